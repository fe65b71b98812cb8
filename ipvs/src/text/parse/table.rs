//! Reading a table.

use core::str::FromStr;
use std::collections::{HashMap, HashSet};

use crate::destination::Destination;
use crate::request::Change;
use crate::service::VirtualService;
use crate::table::Table;
use crate::text::parse::change::read;
use crate::text::parse::command::ChangeCommand;
use crate::text::parse::error::{TextError, TextProblem};
use crate::text::parse::lexer::words;
use crate::text::parse::values::NumbersOnly;

/// Reads the lines of `ipvsadm -S -n`, and all else that `ipvsadm -R` makes a table of: `-A` and
/// `-a` with their options in short or long form, thresholds among them.
///
/// Blank lines and lines that begin with `#` are left out. Names of hosts and services are
/// refused: write numbers (`ipvsadm -S -n`), or resolve them through
/// [`Lookup`](crate::text::parse::Lookup).
///
/// ```
/// use lvs_ipvs::Table;
///
/// let table: Table = "
///     ## the web
///     -A -t 192.0.2.10:80 -s wrr
///     -a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 3 -x 100
/// "
/// .parse()?;
/// assert_eq!(table.len(), 1);
/// assert_eq!(
///     table.text().lossless().to_string(),
///     "-A -t 192.0.2.10:80 -s wrr\n-a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 3 -x 100\n"
/// );
/// # Ok::<(), lvs_ipvs::text::parse::TextError>(())
/// ```
impl FromStr for Table {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let mut services: Vec<(VirtualService, Vec<Destination>)> = Vec::new();
        let mut places = HashMap::new();
        let mut destinations = HashSet::new();
        for (line, number) in text.lines().zip(1..) {
            match words(line).next() {
                None => continue,
                Some(word) if word.starts_with('#') => continue,
                Some(_) => {}
            }
            let fail = |problem| TextError {
                line: number,
                problem,
            };
            let change = read(words(line), &mut NumbersOnly)
                .map_err(|error| fail(TextProblem::Rule(error)))?;
            match change {
                Change::AddService(service) => {
                    let key = service.key();
                    if places.insert(key, services.len()).is_some() {
                        return Err(fail(TextProblem::DuplicateService(key)));
                    }
                    services.push((service, Vec::new()));
                }
                Change::AddDestination(service, destination) => {
                    let place = places.get(&service).copied();
                    let Some((_, list)) = place.and_then(|place| services.get_mut(place)) else {
                        return Err(fail(TextProblem::NoService(service)));
                    };
                    let key = destination.key();
                    if !destinations.insert((service, key)) {
                        return Err(fail(TextProblem::DuplicateDestination(service, key)));
                    }
                    list.push(destination);
                }
                other => return Err(fail(TextProblem::NotARule(ChangeCommand::of(&other)))),
            }
        }
        let mut table = Self::new();
        for (service, destinations) in services {
            table.insert_distinct(service, destinations);
        }
        Ok(table)
    }
}

//! From a command line to what it asks for.

mod word;

use lvs_ipvs::Change;
use lvs_ipvs::text::parse::{Given, Lexeme, Lexer, Lookup, RuleError, Settings};

use crate::failure::Failure;
use crate::listing::{Format, Request};
use word::{Display, Reading, Word};

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// To change something.
    Change(Change),
    /// To list services.
    Table(Request),
    /// To list connections.
    Connections {
        /// Numbers instead of names.
        numeric: bool,
        /// What the persistence engine keeps, too.
        persistent: bool,
    },
    /// To show the timeouts.
    Timeouts,
    /// To show the sync daemons.
    Daemons,
    /// To print the table as rules.
    Save {
        /// Numbers instead of names.
        numeric: bool,
        /// Connection thresholds, too.
        with_thresholds: bool,
    },
    /// To read command lines from standard input.
    Restore,
    /// To explain the options.
    Help,
    /// To show the version.
    Version,
}

impl Command {
    /// What ipvsadm does without arguments: everything is listed, with names.
    pub(crate) const LIST_ALL: Self = Self::Table(Request {
        service: None,
        numeric: false,
        format: Format::Default,
        exact: false,
        sort: true,
    });

    /// Reads a command line.
    pub(crate) fn read<'a>(
        words: impl Iterator<Item = &'a str> + Clone,
        lookup: &mut dyn Lookup,
    ) -> Result<Self, Failure> {
        let mut lexer = Lexer::new(words);
        let mut settings = Settings::default();
        let mut first = None;
        let (word, spelled, value) = loop {
            // Whatever is wrong before there is a command, ipvsadm shows its usage.
            match lexer.next(word::find).map_err(Failure::Usage)? {
                Some(Lexeme::Rest(word)) => {
                    first.get_or_insert(word);
                    settings.take_rest(word);
                }
                Some(Lexeme::Option {
                    option,
                    word,
                    value,
                }) => break (option, word, value),
                None => return Err(no_command(first)),
            }
        };
        match word {
            Word::Change(command) => {
                let display = read_options(&mut lexer, &mut settings, lookup)?;
                display.check_allowed(Display::empty(), command.name())?;
                let change = settings.into_change(command, value);
                change.map(Self::Change).map_err(Failure::Refused)
            }
            Word::Reading(Reading::List) => {
                let display = read_options(&mut lexer, &mut settings, lookup)?;
                list(display, &settings)
            }
            Word::Reading(Reading::Save) => {
                let display = read_options(&mut lexer, &mut settings, lookup)?;
                check(&settings, Given::empty(), "-S")?;
                display.check_allowed(Display::NUMERIC | Display::WITH_THRESHOLDS, "-S")?;
                Ok(Self::Save {
                    numeric: display.contains(Display::NUMERIC),
                    with_thresholds: display.contains(Display::WITH_THRESHOLDS),
                })
            }
            Word::Reading(Reading::Restore) => {
                let display = read_options(&mut lexer, &mut settings, lookup)?;
                check(&settings, Given::empty(), "-R")?;
                display.check_allowed(Display::empty(), "-R")?;
                Ok(Self::Restore)
            }
            // What follows these is not even looked at.
            Word::Reading(Reading::Help) => Ok(Self::Help),
            Word::Reading(Reading::Version) => Ok(Self::Version),
            Word::Setting(_) | Word::Display(_) | Word::Sort => Err(no_command(Some(spelled))),
        }
    }
}

fn no_command(word: Option<&str>) -> Failure {
    Failure::Usage(RuleError::no_command(word))
}

/// Reads the options behind the command.
fn read_options<'a>(
    lexer: &mut Lexer<'a, impl Iterator<Item = &'a str> + Clone>,
    settings: &mut Settings,
    lookup: &mut dyn Lookup,
) -> Result<Display, Failure> {
    let mut given = Display::empty();
    while let Some(lexeme) = lexer.next(word::find).map_err(Failure::Refused)? {
        match lexeme {
            Lexeme::Rest(word) => settings.take_rest(word),
            Lexeme::Option {
                option: Word::Setting(option),
                value,
                ..
            } => settings
                .take(option, value, lookup)
                .map_err(Failure::Refused)?,
            Lexeme::Option {
                option: Word::Display(display),
                ..
            } => {
                if given.intersects(display) {
                    let option = display.name();
                    return Err(Failure::Refused(RuleError::Repeated { option }));
                }
                given |= display;
            }
            // The default, which ipvsadm lets stand everywhere.
            Lexeme::Option {
                option: Word::Sort, ..
            } => {}
            Lexeme::Option {
                option: Word::Change(_) | Word::Reading(_),
                word,
                ..
            } => {
                let word = word.into();
                return Err(Failure::Refused(RuleError::SecondCommand { word }));
            }
        }
    }
    Ok(given)
}

/// Refuses words that are no options, and options the command does not take.
fn check(settings: &Settings, allowed: Given, command: &'static str) -> Result<(), Failure> {
    settings.check_rest(0).map_err(Failure::Refused)?;
    let checked = settings.given().check_allowed(allowed, command);
    checked.map_err(Failure::Refused)
}

/// What there is to list besides services, and with what it cannot be combined.
const OTHER_LISTS: [(Display, Display); 3] = [
    (Display::CONNECTION, Display::COUNTS),
    (Display::TIMEOUT, Display::COUNTS.union(Display::PERSISTENT)),
    (Display::DAEMON, Display::COUNTS.union(Display::PERSISTENT)),
];

/// Formats; of several the first counts.
const FORMATS: [(Display, Format); 5] = [
    (Display::STATS, Format::Stats),
    (Display::RATE, Format::Rate),
    (Display::THRESHOLDS, Format::Thresholds),
    (Display::PERSISTENT, Format::PersistentConnections),
    (Display::TUNNELS, Format::TunnelInfo),
];

fn list(display: Display, settings: &Settings) -> Result<Command, Failure> {
    // The sync id does nothing here; ipvsadm takes it all the same.
    check(settings, Given::SERVICE | Given::SYNC_ID, "-L")?;
    display.check_allowed(Display::WITH_THRESHOLDS.complement(), "-L")?;
    let conflict = |option, limit| Err(Failure::Refused(RuleError::Conflict { option, limit }));
    let others = display.intersection(Display::OTHERS);
    for (other, excluded) in OTHER_LISTS {
        if !display.contains(other) {
            continue;
        }
        if others != other {
            return conflict(
                other.name(),
                "only one of -c, --timeout and --daemon can be given",
            );
        }
        if settings.service().is_some() {
            return conflict(other.name(), "lists nothing of a single service");
        }
        if display.intersects(excluded) {
            let format = display.intersection(excluded);
            return conflict(format.name(), "is no format for -c, --timeout or --daemon");
        }
    }
    let numeric = display.contains(Display::NUMERIC);
    let persistent = display.contains(Display::PERSISTENT);
    let format = FORMATS.iter().find(|(bit, _)| display.contains(*bit));
    Ok(match others {
        Display::CONNECTION => Command::Connections {
            numeric,
            persistent,
        },
        Display::TIMEOUT => Command::Timeouts,
        Display::DAEMON => Command::Daemons,
        _ => Command::Table(Request {
            service: settings.service(),
            numeric,
            format: format.map_or(Format::Default, |(_, format)| *format),
            exact: display.contains(Display::EXACT),
            sort: !display.contains(Display::NO_SORT),
        }),
    })
}

#[cfg(test)]
mod tests;

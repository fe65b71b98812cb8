//! Questions to name servers, and the ready-made dialogues, from the options.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use lvs_healthcheck::Target;
use lvs_healthcheck::probe::dns::{DnsProbe, Rcode, RecordType};
use lvs_healthcheck::probe::expect::Script;
use lvs_healthcheck::probe::preset;

use crate::arguments::{Options, Preset};
use crate::failure::Failure;
use crate::locator::Locator;

/// A question, and the answer that is wanted, for people.
pub(crate) fn dns(
    options: &Options,
    locator: &Locator,
    target: Target,
) -> Result<(DnsProbe, String), Failure> {
    let words = &options.words;
    let (name, kind) = question(locator)?;
    let mut probe = match options.judging.preset {
        Some(Preset::Keepalived) => DnsProbe::keepalived(target)
            .with_name(&name)
            .with_type(kind),
        _ => DnsProbe::new(target, &name, kind),
    };
    if words.dns_tcp {
        probe = probe.with_tcp();
    }
    if words.no_recursion {
        probe = probe.with_recursion_desired(false);
    }
    let mut expected = format!("an answer about {name} {kind}");
    if !words.rcode.is_empty() {
        let rcodes = words.rcode.iter().map(|text| rcode(text));
        probe = probe.with_rcodes(rcodes.collect::<Result<Vec<_>, _>>()?);
        expected = format!("{expected} with {}", words.rcode.join(" or "));
    }
    if let Some(count) = words.min_answers {
        probe = probe.with_min_answers(count);
        expected = format!("{expected} of {count} records");
    }
    if !words.expect.is_empty() {
        probe = probe.with_any_of(words.expect.iter().map(String::as_str));
        expected = format!("{expected} with {}", words.expect.join(" or "));
    }
    Ok((probe, expected))
}

/// The name and the type that are asked for.
fn question(locator: &Locator) -> Result<(String, RecordType), Failure> {
    let mut name = locator.name()?;
    let mut kind = None;
    for (key, value) in locator.query()? {
        match key.as_str() {
            "type" => kind = Some(record_type(&value)?),
            "class" if value.eq_ignore_ascii_case("IN") => {}
            "class" => return Err(Failure::value("class", format!("{value:?}"), "must be IN")),
            _ => {
                let limit = "must be type (or class, which is IN)";
                return Err(Failure::value("query", format!("{key:?}"), limit));
            }
        }
    }
    if let Some(word) = locator.words.first() {
        name.clone_from(word);
    }
    if let Some(word) = locator.words.get(1) {
        kind = Some(record_type(word)?);
    }
    Ok(match (name.is_empty(), kind) {
        (true, kind) => (".".to_owned(), kind.unwrap_or(RecordType::SOA)),
        (false, kind) => (name, kind.unwrap_or(RecordType::A)),
    })
}

fn record_type(text: &str) -> Result<RecordType, Failure> {
    let limit = "must be a type of record such as SOA, or TYPE and a number";
    text.parse()
        .map_err(|_| Failure::value("type", format!("{text:?}"), limit))
}

/// A response code by its name, as dig prints it, or its number.
fn rcode(text: &str) -> Result<Rcode, Failure> {
    let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
    ];
    let named = names
        .iter()
        .position(|name| text.eq_ignore_ascii_case(name));
    let number = named
        .and_then(|at| u8::try_from(at).ok())
        .or_else(|| text.parse().ok());
    let number = number.filter(|number| *number < 16);
    let limit = || {
        format!(
            "must be one of {}, or a number from 0 to 15",
            names.join(", ")
        )
    };
    number
        .map(Rcode::new)
        .ok_or_else(|| Failure::value("rcode", format!("{text:?}"), limit()))
}

/// Redis, with its password and the key that must not exist.
pub(crate) fn redis(options: &Options, locator: &Locator) -> Result<(Script, String), Failure> {
    let password = password(options, locator)?;
    let password = password.as_deref();
    if !locator.name()?.is_empty() {
        let limit = "must be /?key=NAME, or nothing";
        return Err(Failure::value("path", format!("{:?}", locator.path), limit));
    }
    match locator.query()?.as_slice() {
        [] => Ok((preset::redis(password), "+PONG to PING".to_owned())),
        [(key, name)] if key == "key" && !name.is_empty() => {
            let expected = format!("that the key {name} does not exist");
            Ok((preset::redis_key(name, password), expected))
        }
        _ => {
            let limit = "must be key=NAME";
            Err(Failure::value(
                "query",
                format!("{:?}", locator.path),
                limit,
            ))
        }
    }
}

/// What is in the file for it, or in the URL.
pub(crate) fn password(options: &Options, locator: &Locator) -> Result<Option<String>, Failure> {
    match &options.words.password_file {
        Some(file) => Ok(Some(first_line(file)?)),
        None => Ok(locator.password.clone()),
    }
}

/// The first line of a file, without its end.
fn first_line(path: &Path) -> Result<String, Failure> {
    const LONGEST: u64 = 4096;
    let odd = |what: String| Failure::value("password-file", path.display(), what);
    let file = File::open(path).map_err(|error| odd(format!("must be readable: {error}")))?;
    let mut line = String::new();
    BufReader::new(file.take(LONGEST))
        .read_line(&mut line)
        .map_err(|error| odd(format!("must be text: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<String, String> {
        let rest: Vec<_> = words[1..].iter().map(|word| (*word).to_owned()).collect();
        let locator = Locator::new(words[0], &rest).unwrap();
        let asked = question(&locator).map(|(name, kind)| format!("{name} {kind}"));
        asked.map_err(|failure| failure.to_string())
    }

    #[test]
    fn questions_are_those_of_a_url_or_of_dig() {
        for (words, question) in [
            (&["dns://a/example.org?type=soa"][..], "example.org SOA"),
            (&["dns://a/example.org?CLASS=IN;TYPE=MX"], "example.org MX"),
            (&["dns://a/example.org"], "example.org A"),
            (&["dns://a"], ". SOA"),
            (
                &["dns", "@a", "example.org", "TYPE300"],
                "example.org TYPE300",
            ),
            (&["dns", "example.org", "@a"], "example.org A"),
        ] {
            assert_eq!(asked(words).unwrap(), question);
        }
        for (words, start) in [
            (&["dns://a/b?type=nix"][..], "type is \"nix\""),
            (&["dns://a/b?class=CH"], "class is \"CH\""),
            (&["dns://a/b?x=y"], "query is \"x\""),
        ] {
            let refused = asked(words).unwrap_err();
            assert!(refused.starts_with(start), "{refused}");
        }
    }

    #[test]
    fn response_codes_have_names_and_numbers() {
        assert_eq!(rcode("nxdomain").unwrap(), Rcode::NX_DOMAIN);
        assert_eq!(rcode("5").unwrap(), Rcode::REFUSED);
        assert!(rcode("16").is_err() && rcode("maybe").is_err());
    }
}

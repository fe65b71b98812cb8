//! Questions over UDP that are others each time, from the options: NTP, RADIUS, SIP, SNMP, QUIC.

use core::ops::RangeInclusive;

use lvs_healthcheck::probe::preset::{Ntp, Quic, Radius, Sip, Snmp};
use lvs_healthcheck::probe::udp::{Exchange, ExchangeProbe};
use lvs_healthcheck::{Check, Policy, Target};

use crate::arguments::Options;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::locator::Locator;
use crate::server;

/// The check, and what is expected, for people.
pub(crate) fn exchange(
    options: &Options,
    locator: &Locator,
    target: Target,
    policy: Policy,
) -> Result<(Check, String), Failure> {
    let made = |expected: &str| expected.to_owned();
    Ok(match locator.scheme.kind {
        Kind::Ntp => {
            let expected = made("an answer of a synchronized server (stratum 1 to 15)");
            check(target, Ntp::new(), policy, expected)
        }
        Kind::Radius => {
            let secret = server::password(options, locator)?.ok_or_else(|| {
                let limit = "must be given: radius://:SECRET@HOST, or --password-file";
                Failure::value("secret", "not given", limit)
            })?;
            let expected = made("an answer to Status-Server, signed with the secret");
            check(target, Radius::new(secret), policy, expected)
        }
        Kind::Sip => {
            let status = statuses(&options.words.expect)?.unwrap_or(200..=299);
            let (low, high) = (*status.start(), *status.end());
            let expected = format!("a response to OPTIONS with status {low} to {high}");
            check(target, Sip::new().with_status(status), policy, expected)
        }
        Kind::Snmp => {
            let (snmp, expected) = snmp(locator)?;
            check(target, snmp, policy, expected)
        }
        // QUIC, the one that is left.
        _ => {
            let expected = made("a list of the versions that the server speaks");
            check(target, Quic::new(), policy, expected)
        }
    })
}

fn check<E: Exchange + Clone + 'static>(
    target: Target,
    exchange: E,
    policy: Policy,
    expected: String,
) -> (Check, String) {
    let probe = ExchangeProbe::new(target, exchange);
    (Check::new(probe, policy), expected)
}

/// A status or a range of them, of which there is one.
fn statuses(given: &[String]) -> Result<Option<RangeInclusive<u16>>, Failure> {
    let odd = |value: String| {
        let limit = "must be a status from 200 to 699, or one range of them: 200-299";
        Failure::value("expect", value, limit)
    };
    let text = match given {
        [] => return Ok(None),
        [text] => text,
        more => return Err(odd(more.join(","))),
    };
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |digits: &str| {
        let plain = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| plain);
        number.filter(|status| (200..700).contains(status))
    };
    match (number(low), number(high)) {
        (Some(low), Some(high)) if low <= high => Ok(Some(low..=high)),
        _ => Err(odd(format!("{text:?}"))),
    }
}

/// With the community, where others have a user.
fn snmp(locator: &Locator) -> Result<(Snmp, String), Failure> {
    let community = locator.user.as_deref().ok_or_else(|| {
        let limit = "must be given, such as snmp://public@HOST";
        Failure::value("community", "not given", limit)
    })?;
    if !locator.name()?.is_empty() {
        let limit = "must be ?version=1, or nothing";
        return Err(Failure::value("path", format!("{:?}", locator.path), limit));
    }
    let mut snmp = Snmp::new(community);
    let mut version = "2c".to_owned();
    for (key, value) in locator.query()? {
        match (key.as_str(), value.as_str()) {
            ("version", "1") => snmp = snmp.with_version_1(),
            ("version", "2c") => snmp = Snmp::new(community),
            ("version", _) => {
                let limit = "must be 1 or 2c";
                return Err(Failure::value("version", format!("{value:?}"), limit));
            }
            _ => {
                let limit = "must be version=1 or version=2c";
                return Err(Failure::value("query", format!("{key:?}"), limit));
            }
        }
        version = value;
    }
    let expected = format!("sysUpTime over SNMP version {version}");
    Ok((snmp, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_one_range() {
        let read = |given: &[&str]| {
            let given: Vec<_> = given.iter().map(|text| (*text).to_owned()).collect();
            statuses(&given).map_err(|failure| failure.to_string())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["200"]), Ok(Some(200..=200)));
        assert_eq!(read(&["200-499"]), Ok(Some(200..=499)));
        for (given, said) in [
            (&["199"][..], "expect is \"199\": must be a status from 200"),
            (&["200-700"], "expect is \"200-700\": "),
            (&["299-200"], "expect is \"299-200\": "),
            (&["200-"], "expect is \"200-\": "),
            (&["+20"], "expect is \"+20\": "),
            (&["200,404"], "expect is \"200,404\": "),
            (&["200", "404"], "expect is 200,404: "),
        ] {
            let refused = read(given).unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
        }
    }

    #[test]
    fn community_and_version_are_read() {
        let read = |url: &str| {
            let made = snmp(&Locator::new(url, &[]).unwrap());
            made.map_err(|failure| failure.to_string())
        };
        let plain = Snmp::new("a b");
        assert_eq!(read("snmp://a%20b@h").unwrap().0, plain);
        let (old, expected) = read("snmp://a%20b@h/?version=1").unwrap();
        assert_eq!(old, plain.with_version_1());
        assert_eq!(expected, "sysUpTime over SNMP version 1");
        for (url, said) in [
            ("snmp://h", "community is not given"),
            ("snmp://a@h/x", "path is \"/x\""),
            ("snmp://a@h?version=3", "version is \"3\": must be 1 or 2c"),
            ("snmp://a@h?oid=1", "query is \"oid\""),
        ] {
            let refused = read(url).unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
        }
    }
}

//! A `GetRequest` for `sysUpTime` and its response, RFC 3416 §4.2 in messages of RFC 1157 or RFC 1901.

use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::Identity;
use crate::probe::udp::{Answer, Exchange};

/// Types in BER: universal, and those of SNMP.
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
const SEQUENCE: u8 = 0x30;
const GET: u8 = 0xa0;
const RESPONSE: u8 = 0xa2;

/// `sysUpTime.0`, 1.3.6.1.2.1.1.3.0, with the value NULL.
const UP_TIME: [u8; 12] = [6, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 5, 0];

/// The type of its value in a response, RFC 3416 §3; another one says that there is none.
const TIME_TICKS: u8 = 0x43;

/// SNMP, versions 1 and 2c: the agent tells how long it runs.
///
/// Agents do not answer who gives a community they do not know.
#[derive(Clone, Eq, Hash, PartialEq)]
#[must_use]
pub struct Snmp {
    community: Box<str>,
    version: u8,
}

impl core::fmt::Debug for Snmp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The community is a password of sorts.
        let mut debug = f.debug_struct("Snmp");
        debug
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Snmp {
    /// Version 2c with this community, 1 to 255 bytes; many agents have `public`.
    pub fn new(community: &str) -> Self {
        Self {
            community: community.into(),
            version: 1,
        }
    }

    /// Version 1 instead.
    pub const fn with_version_1(mut self) -> Self {
        self.version = 0;
        self
    }

    /// The number of the request: positive, and in four bytes.
    fn number(attempt: &Attempt) -> [u8; 4] {
        let [a, b, c, d, ..] = attempt.random.to_be_bytes();
        [(a & 0x3f) | 0x40, b, c, d]
    }
}

/// Adds a value with its type and length.
fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
    out.push(kind);
    match (high, low) {
        (0, 0..=127) => out.push(low),
        (0, _) => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(value);
}

/// The next value of this type, and what follows it.
fn take(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=127 => (usize::from(*short), rest),
        0x81..=0x84 => {
            let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let length = long
                .iter()
                .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (*found == kind).then_some(())?;
    rest.split_at_checked(length)
}

/// What a response says: the number of the request, what went wrong, the type of the value.
fn read(bytes: &[u8], version: u8) -> Option<(&[u8], u8, u8)> {
    let (message, _) = take(bytes, SEQUENCE)?;
    let (found, message) = take(message, INTEGER)?;
    let (_, message) = take(message, OCTETS)?;
    let (response, _) = take(message, RESPONSE)?;
    let (number, response) = take(response, INTEGER)?;
    let (error, response) = take(response, INTEGER)?;
    let (_, response) = take(response, INTEGER)?;
    let (list, _) = take(response, SEQUENCE)?;
    let (pair, _) = take(list, SEQUENCE)?;
    let value = pair.strip_prefix(UP_TIME.get(..10)?)?;
    (found == [version]).then_some((number, *error.last()?, *value.first()?))
}

impl Exchange for Snmp {
    fn ask(&self, attempt: &Attempt) -> Vec<u8> {
        let mut pair = Vec::new();
        put(&mut pair, SEQUENCE, &UP_TIME);
        let mut request = Vec::new();
        put(&mut request, INTEGER, &Self::number(attempt));
        put(&mut request, INTEGER, &[0]);
        put(&mut request, INTEGER, &[0]);
        put(&mut request, SEQUENCE, &pair);
        let mut message = Vec::new();
        put(&mut message, INTEGER, &[self.version]);
        put(&mut message, OCTETS, self.community.as_bytes());
        put(&mut message, GET, &request);
        let mut datagram = Vec::new();
        put(&mut datagram, SEQUENCE, &message);
        datagram
    }

    fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer {
        let Some((number, error, value)) = read(bytes, self.version) else {
            return Answer::Other("no response of SNMP to such a request");
        };
        if number != Self::number(attempt) {
            return Answer::Other("a response to another request");
        }
        let outcome = match (error, value) {
            (0, TIME_TICKS) => Outcome::new(Code::Ok, Phase::Match),
            (0, _) => Outcome::new(Code::Content, Phase::Match).with_detail("it has no sysUpTime"),
            (error, _) => Outcome::new(Code::Status, Phase::Match)
                .with_detail(&format!("expected no error, got error-status {error}")),
        };
        Answer::Known(outcome)
    }

    fn validate(&self) -> Result<(), Invalid> {
        if !(1..=255).contains(&self.community.len()) {
            let length = format!("{} bytes", self.community.len());
            return Err(Invalid::new("community", length, "must be 1 to 255 bytes"));
        }
        Ok(())
    }

    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::policy::Health;

    fn attempt() -> Attempt {
        let second = Duration::from_secs(1);
        let attempt = Attempt::new(1, second, second, None, Health::Unknown);
        attempt.with_random(0x0102_0304_0000_0000)
    }

    /// What snmpd of net-snmp 5.9.3 answered to such a request, captured on loopback.
    const RESPONSE: &[u8] = b"\x30\x2b\x02\x01\x01\x04\x06public\xa2\x1e\x02\x04\x41\x02\x03\x04\
        \x02\x01\0\x02\x01\0\x30\x10\x30\x0e\x06\x08\x2b\x06\x01\x02\x01\x01\x03\0\x43\x02\x00\xf7";

    fn outcome(bytes: &[u8]) -> Option<Outcome> {
        match Snmp::new("public").examine(&attempt(), bytes) {
            Answer::Known(outcome) => Some(outcome),
            Answer::Other(_) => None,
        }
    }

    #[test]
    fn request_is_one_in_ber() {
        let request = Snmp::new("public").ask(&attempt());
        let expected = b"\x30\x29\x02\x01\x01\x04\x06public\xa0\x1c\x02\x04\x41\x02\x03\x04\
            \x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x03\0\x05\0";
        assert_eq!(request, expected);
        let long = Snmp::new(&"c".repeat(200)).with_version_1().ask(&attempt());
        assert_eq!(
            long.get(..9).unwrap(),
            b"\x30\x81\xec\x02\x01\0\x04\x81\xc8"
        );
    }

    #[test]
    fn response_decides() {
        assert_eq!(outcome(RESPONSE).unwrap().code, Code::Ok);
        let changed = |at: usize, value| {
            let mut bytes = RESPONSE.to_vec();
            *bytes.get_mut(at).unwrap() = value;
            outcome(&bytes)
        };
        let error = changed(23, 5).unwrap();
        assert_eq!(
            error.to_string(),
            "status (match): expected no error, got error-status 5"
        );
        let none = changed(41, 0x80).unwrap();
        assert_eq!(none.to_string(), "content (match): it has no sysUpTime");
        for (at, what) in [(4, "version"), (13, "kind"), (18, "number"), (40, "name")] {
            assert_eq!(changed(at, 0x7f), None, "{what}");
        }
        for cut in 0..RESPONSE.len() {
            assert_eq!(outcome(RESPONSE.get(..cut).unwrap()), None, "{cut}");
        }
    }

    #[test]
    fn community_is_bounded_and_not_printed() {
        for length in [0, 256] {
            let refused = Snmp::new(&"c".repeat(length)).validate().unwrap_err();
            assert_eq!(refused.field, "community");
        }
        assert!(!format!("{:?}", Snmp::new("secret")).contains("secret"));
    }
}

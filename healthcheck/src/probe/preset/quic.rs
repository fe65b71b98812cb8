//! A version nobody speaks, and the list of those the server speaks, RFC 8999 §6 and RFC 9000 §6.

use crate::attempt::Attempt;
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::Identity;
use crate::probe::udp::{Answer, Exchange};

/// Servers ignore what is shorter, RFC 9000 §14.1.
const LENGTH: usize = 1200;

/// One of the versions that are kept free to be refused, RFC 9000 §15.
const VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];

/// QUIC, so HTTP/3 and DNS over QUIC: the server refuses a version there is none of, and says which
/// it speaks.
///
/// That costs it no state and no handshake, and says nothing about certificates.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Quic;

impl Quic {
    /// The question.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// The connection identifiers: whom is asked, and who asks.
const fn identifiers(attempt: &Attempt) -> [[u8; 8]; 2] {
    [attempt.random.to_be_bytes(), attempt.random.to_le_bytes()]
}

impl Exchange for Quic {
    fn ask(&self, attempt: &Attempt) -> Vec<u8> {
        // Long header, fixed bit.
        let mut packet = vec![0xc0];
        packet.extend(VERSION);
        for identifier in identifiers(attempt) {
            packet.push(8);
            packet.extend(identifier);
        }
        packet.resize(LENGTH, 0);
        packet
    }

    fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer {
        let [theirs, ours] = identifiers(attempt);
        // Ours comes back first, as the destination.
        let mut expected = vec![0, 0, 0, 0, 8];
        expected.extend(ours);
        expected.push(8);
        expected.extend(theirs);
        let Some((first, rest)) = bytes.split_first() else {
            return Answer::Other("too short for QUIC");
        };
        let Some(versions) = rest.strip_prefix(&expected[..]).filter(|_| *first >= 0x80) else {
            return Answer::Other("no negotiation of the version asked for");
        };
        let known = versions.chunks_exact(4);
        if versions.is_empty() || !known.remainder().is_empty() {
            let outcome = Outcome::new(Code::Proto, Phase::Recv);
            return Answer::Known(outcome.with_detail("a malformed list of versions"));
        }
        let known: Vec<String> = known
            .take(8)
            .map(|version| version.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        let detail = format!("versions {}", known.join(", "));
        Answer::Known(Outcome::new(Code::Ok, Phase::Match).with_detail(&detail))
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
        attempt.with_random(0x0102_0304_0506_0708)
    }

    fn answer(versions: &[u8]) -> Vec<u8> {
        let mut packet = b"\x80\0\0\0\0\x08\x08\x07\x06\x05\x04\x03\x02\x01".to_vec();
        packet.extend(b"\x08\x01\x02\x03\x04\x05\x06\x07\x08");
        packet.extend(versions);
        packet
    }

    fn outcome(bytes: &[u8]) -> Option<Outcome> {
        match Quic::new().examine(&attempt(), bytes) {
            Answer::Known(outcome) => Some(outcome),
            Answer::Other(_) => None,
        }
    }

    #[test]
    fn question_is_long_enough_and_of_a_version_there_is_none_of() {
        let question = Quic::new().ask(&attempt());
        assert_eq!(question.len(), 1200);
        let start = b"\xc0\x1a\x2a\x3a\x4a\x08\x01\x02\x03\x04\x05\x06\x07\x08\x08\x08\x07";
        assert!(question.starts_with(start));
    }

    #[test]
    fn list_of_versions_passes() {
        let passed = outcome(&answer(&[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf])).unwrap();
        assert_eq!(
            passed.to_string(),
            "ok (match): versions 00000001, 6b3343cf"
        );
        for versions in [&[][..], &[0, 0, 0]] {
            assert_eq!(outcome(&answer(versions)).unwrap().code, Code::Proto);
        }
    }

    #[test]
    fn anything_else_is_no_answer() {
        let good = answer(&[0, 0, 0, 1]);
        for at in 0..23 {
            let mut other = good.clone();
            other[at] ^= 0x80;
            assert_eq!(outcome(&other), None, "{at}");
            assert_eq!(outcome(&good[..at]), None, "{at}");
        }
    }
}

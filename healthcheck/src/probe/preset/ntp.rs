//! A client's request and a server's answer, RFC 5905 §7.3.

use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Detail, Outcome, Phase};
use crate::probe::Identity;
use crate::probe::udp::{Answer, Exchange};

/// The packet without extensions, which both have.
const LENGTH: usize = 48;

/// Version 4, mode 3: client.
const CLIENT: u8 = 0x23;

/// Mode 4: server.
const SERVER: u8 = 4;

/// Strata from here on are not synchronized.
const UNSYNCHRONIZED: u8 = 16;

/// NTP: the server knows what time it is.
///
/// It must be synchronized, which every server says of itself: its stratum is 1 to 15, and it does
/// not announce an alarm. One that refuses ("kiss of death", stratum 0) because it is asked too often
/// is [`Busy`](Code::Busy). How far its time is off is not looked at.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Ntp {
    max_stratum: u8,
}

impl Default for Ntp {
    fn default() -> Self {
        Self::new()
    }
}

impl Ntp {
    /// Any synchronized server.
    pub const fn new() -> Self {
        Self { max_stratum: 15 }
    }

    /// How far from a clock it may be, 1 to 15. Default 15.
    pub const fn with_max_stratum(mut self, stratum: u8) -> Self {
        self.max_stratum = stratum;
        self
    }
}

impl Exchange for Ntp {
    fn ask(&self, attempt: &Attempt) -> Vec<u8> {
        let mut packet = vec![0; LENGTH];
        if let Some(first) = packet.first_mut() {
            *first = CLIENT;
        }
        // The transmit timestamp, which a server sends back as it is; a random number says less
        // about us than the time would.
        if let Some(place) = packet.get_mut(40..48) {
            place.copy_from_slice(&attempt.random.to_be_bytes());
        }
        packet
    }

    fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer {
        let Some(&packet) = bytes.first_chunk::<LENGTH>() else {
            return Answer::Other("too short for NTP");
        };
        let [first, stratum, ..] = packet;
        if first & 7 != SERVER {
            return Answer::Other("not from an NTP server");
        }
        if packet.get(24..32) != Some(&attempt.random.to_be_bytes()) {
            return Answer::Other("an answer to another question");
        }
        let kiss = packet.get(12..16).unwrap_or_default();
        let (code, detail) = match stratum {
            // Without a word it does not refuse: chrony says so that it never knew the time.
            0 if kiss != [0; 4] => {
                let kiss = Detail::from_bytes(kiss);
                let code = match kiss.as_str() {
                    "RATE" => Code::Busy,
                    _ => Code::Status,
                };
                (code, format!("stratum 0: {kiss}"))
            }
            _ if first >> 6 == 3 || !(1..UNSYNCHRONIZED).contains(&stratum) => {
                (Code::Status, "its clock is not synchronized".to_owned())
            }
            _ if stratum > self.max_stratum => {
                let detail = format!(
                    "expected stratum {} at most, got {stratum}",
                    self.max_stratum
                );
                (Code::Status, detail)
            }
            _ => (Code::Ok, format!("stratum {stratum}")),
        };
        Answer::Known(Outcome::new(code, Phase::Match).with_detail(&detail))
    }

    fn validate(&self) -> Result<(), Invalid> {
        if !(1..UNSYNCHRONIZED).contains(&self.max_stratum) {
            let value = self.max_stratum.to_string();
            return Err(Invalid::new("max_stratum", value, "must be 1 to 15"));
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
        attempt.with_random(0x0102_0304_0506_0708)
    }

    fn answer(first: u8, stratum: u8, kiss: &[u8; 4]) -> Vec<u8> {
        let mut packet = vec![0; 48];
        packet[0] = first;
        packet[1] = stratum;
        packet[12..16].copy_from_slice(kiss);
        packet[24..32].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        packet
    }

    fn outcome(ntp: &Ntp, packet: &[u8]) -> Option<(Code, String)> {
        match ntp.examine(&attempt(), packet) {
            Answer::Known(outcome) => Some((outcome.code, outcome.detail.to_string())),
            Answer::Other(_) => None,
        }
    }

    #[test]
    fn request_is_that_of_a_client_and_tells_nothing() {
        let packet = Ntp::new().ask(&attempt());
        assert_eq!((packet.len(), packet[0]), (48, 0x23));
        assert_eq!(packet[40..], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn servers_say_whether_they_know_the_time() {
        let ntp = Ntp::new();
        for (packet, code, detail) in [
            (answer(0x24, 2, b"\0\0\0\0"), Code::Ok, "stratum 2"),
            (answer(0x1c, 15, b"\0\0\0\0"), Code::Ok, "stratum 15"),
            (
                answer(0xe4, 2, b"\0\0\0\0"),
                Code::Status,
                "its clock is not synchronized",
            ),
            (
                answer(0x24, 16, b"\0\0\0\0"),
                Code::Status,
                "its clock is not synchronized",
            ),
            (
                answer(0xe4, 0, b"\0\0\0\0"),
                Code::Status,
                "its clock is not synchronized",
            ),
            (answer(0xe4, 0, b"RATE"), Code::Busy, "stratum 0: RATE"),
            (answer(0xe4, 0, b"DENY"), Code::Status, "stratum 0: DENY"),
        ] {
            assert_eq!(outcome(&ntp, &packet), Some((code, detail.to_owned())));
        }
        let near = Ntp::new().with_max_stratum(1);
        let far = outcome(&near, &answer(0x24, 2, b"\0\0\0\0")).unwrap();
        assert_eq!(
            far,
            (Code::Status, "expected stratum 1 at most, got 2".to_owned())
        );
        assert_eq!(
            near.with_max_stratum(0).validate().unwrap_err().field,
            "max_stratum"
        );
        assert!(Ntp::new().with_max_stratum(16).validate().is_err());
    }

    #[test]
    fn anything_else_is_no_answer() {
        let good = answer(0x24, 2, b"\0\0\0\0");
        for (at, what) in [(0, "a client"), (24, "another question"), (31, "the same")] {
            let mut other = good.clone();
            other[at] ^= 1;
            assert_eq!(outcome(&Ntp::new(), &other), None, "{what}");
        }
        for cut in 0..48 {
            assert_eq!(outcome(&Ntp::new(), &good[..cut]), None, "{cut}");
        }
        let mut signed = good;
        signed.extend([0; 20]);
        assert!(
            outcome(&Ntp::new(), &signed).is_some(),
            "with a key's digest"
        );
    }
}

//! `Status-Server` and an answer that proves who gave it, RFC 5997.

use core::fmt;

use md5::{Digest, Md5};

use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::Identity;
use crate::probe::udp::{Answer, Exchange};

/// Codes of packets, RFC 2865 §3, RFC 2866 §3, RFC 5997 §3.
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;
const ACCOUNTING_RESPONSE: u8 = 5;
const ACCESS_CHALLENGE: u8 = 11;
const STATUS_SERVER: u8 = 12;

/// Code, identifier, length, authenticator, RFC 2865 §3.
const HEADER: usize = 20;

/// `Message-Authenticator` and the length of that attribute, RFC 3579 §3.2.
const MESSAGE_AUTHENTICATOR: [u8; 2] = [80, 18];

/// The longest packet.
const LONGEST: usize = 4096;

/// RADIUS: the server answers who knows its secret, on ports for authentication and accounting alike.
///
/// The request is a `Status-Server`, which servers answer themselves whatever their users' data bases
/// do; FreeRADIUS does with `status_server = yes`. An answer whose authenticator is right passes; one
/// whose is not may be anybody's and is ignored.
#[derive(Clone, Eq, Hash, PartialEq)]
#[must_use]
pub struct Radius {
    secret: Box<[u8]>,
}

impl fmt::Debug for Radius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Radius").finish_non_exhaustive()
    }
}

impl Radius {
    /// With the secret the server has for this host, 1 to 128 bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self {
            secret: secret.as_ref().into(),
        }
    }

    /// HMAC-MD5 with the secret, RFC 2104.
    fn sign(&self, message: &[u8]) -> [u8; 16] {
        let mut key = [0; 64];
        let hashed: [u8; 16];
        let secret = if self.secret.len() > key.len() {
            hashed = Md5::digest(&self.secret).into();
            &hashed[..]
        } else {
            &self.secret
        };
        for (place, byte) in key.iter_mut().zip(secret) {
            *place = *byte;
        }
        let inner = Md5::new_with_prefix(key.map(|byte| byte ^ 0x36));
        let outer = Md5::new_with_prefix(key.map(|byte| byte ^ 0x5c));
        let inner = inner.chain_update(message).finalize();
        outer.chain_update(inner).finalize().into()
    }
}

/// The request's identifier and authenticator, nobody else's.
fn request(attempt: &Attempt) -> (u8, [u8; 16]) {
    let random = attempt.random.to_be_bytes();
    let authenticator = Md5::digest(random).into();
    (random[7], authenticator)
}

impl Exchange for Radius {
    fn ask(&self, attempt: &Attempt) -> Vec<u8> {
        let (identifier, authenticator) = request(attempt);
        let mut packet = vec![STATUS_SERVER, identifier, 0, 38];
        packet.extend(authenticator);
        packet.extend(MESSAGE_AUTHENTICATOR);
        packet.extend([0; 16]);
        let signature = self.sign(&packet);
        packet.truncate(HEADER + MESSAGE_AUTHENTICATOR.len());
        packet.extend(signature);
        packet
    }

    fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer {
        let (asked, authenticator) = request(attempt);
        let Some(&[code, identifier, high, low, ref signature @ ..]) =
            bytes.first_chunk::<HEADER>()
        else {
            return Answer::Other("too short for RADIUS");
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let attributes = bytes.get(HEADER..length).filter(|_| length <= LONGEST);
        let (Some(attributes), true) = (attributes, identifier == asked) else {
            return Answer::Other("no answer to this request");
        };
        let proof = Md5::new_with_prefix([code, identifier, high, low])
            .chain_update(authenticator)
            .chain_update(attributes)
            .chain_update(&self.secret)
            .finalize();
        if proof[..] != signature[..] {
            return Answer::Other("an answer that is not signed with the secret");
        }
        let outcome = match code {
            ACCESS_ACCEPT | ACCESS_REJECT | ACCESS_CHALLENGE | ACCOUNTING_RESPONSE => {
                Outcome::new(Code::Ok, Phase::Match)
            }
            other => Outcome::new(Code::Status, Phase::Match)
                .with_detail(&format!("expected an answer, got code {other}")),
        };
        Answer::Known(outcome)
    }

    fn validate(&self) -> Result<(), Invalid> {
        if !(1..=128).contains(&self.secret.len()) {
            let length = format!("{} bytes", self.secret.len());
            return Err(Invalid::new("secret", length, "must be 1 to 128 bytes"));
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
        attempt.with_random(0xfeed)
    }

    /// What a server with this secret answers, which has read the request.
    fn answer(code: u8, secret: &str) -> Vec<u8> {
        let request = Radius::new("secret").ask(&attempt());
        let mut answer = vec![code, request[1], 0, 20 + 6];
        answer.extend(&request[4..20]);
        answer.extend(*b"\x12\x06well");
        let mut signed = answer.clone();
        signed.extend(secret.bytes());
        let proof: [u8; 16] = Md5::digest(&signed).into();
        answer[4..20].copy_from_slice(&proof);
        answer
    }

    fn outcome(bytes: &[u8]) -> Option<Outcome> {
        match Radius::new("secret").examine(&attempt(), bytes) {
            Answer::Known(outcome) => Some(outcome),
            Answer::Other(_) => None,
        }
    }

    #[test]
    fn signature_is_that_of_the_standard() {
        // RFC 2202 §2, test cases 1, 2 and 6.
        let hex = |bytes: [u8; 16]| bytes.map(|byte| format!("{byte:02x}")).concat();
        let signed = |key: &[u8], text: &str| hex(Radius::new(key).sign(text.as_bytes()));
        let text = "what do ya want for nothing?";
        assert_eq!(
            signed(&[0x0b; 16], "Hi There"),
            "9294727a3638bb1c13f48ef8158bfc9d"
        );
        assert_eq!(signed(b"Jefe", text), "750c783e6ab0b503eaa86e310a5db738");
        let text = "Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            signed(&[0xaa; 80], text),
            "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"
        );
    }

    #[test]
    fn request_is_signed_as_a_whole() {
        let radius = Radius::new("secret");
        let mut packet = radius.ask(&attempt());
        assert_eq!((packet.len(), packet[0], packet[3]), (38, 12, 38));
        assert_eq!(packet[20..22], [80, 18]);
        let signature: [u8; 16] = packet[22..].try_into().unwrap();
        packet[22..].fill(0);
        assert_eq!(radius.sign(&packet), signature);
        assert_ne!(
            radius.ask(&attempt())[4..20],
            radius.ask(&attempt().with_random(1))[4..20]
        );
    }

    #[test]
    fn answer_counts_if_who_gave_it_knows_the_secret() {
        for code in [2, 3, 5, 11] {
            assert_eq!(
                outcome(&answer(code, "secret")).unwrap().code,
                Code::Ok,
                "{code}"
            );
        }
        let other = outcome(&answer(1, "secret")).unwrap();
        assert_eq!(
            other.to_string(),
            "status (match): expected an answer, got code 1"
        );
        assert_eq!(outcome(&answer(2, "other")), None);
        let good = answer(2, "secret");
        for at in 0..good.len() {
            let mut other = good.clone();
            other[at] ^= 1;
            assert_eq!(outcome(&other), None, "{at}");
            assert_eq!(outcome(&good[..at]), None, "{at}");
        }
        let mut padded = good;
        padded.extend([0; 9]);
        assert!(
            outcome(&padded).is_some(),
            "RFC 2865 §3: what is beyond is padding"
        );
    }

    #[test]
    fn secret_is_bounded_and_not_printed() {
        for length in [0, 129] {
            let refused = Radius::new("s".repeat(length)).validate().unwrap_err();
            assert_eq!(refused.field, "secret");
        }
        assert!(!format!("{:?}", Radius::new("hidden")).contains("hidden"));
    }
}

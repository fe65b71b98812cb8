//! An `OPTIONS` request and its response, RFC 3261 §11.

use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::str;

use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Detail, Outcome, Phase};
use crate::probe::Identity;
use crate::probe::udp::{Answer, Exchange};

/// What a branch begins with, RFC 3261 §8.1.1.7.
const BRANCH: &str = "z9hG4bK";

/// SIP over UDP: answers `OPTIONS`.
///
/// A final response with status 200 to 299 passes, unless [other ones](Self::with_status) do: many
/// servers answer strangers with 401, 404 or 405, which says that they are alive. 503 is
/// [`Busy`](Code::Busy) where it does not pass.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Sip {
    uri: Option<Box<str>>,
    status: RangeInclusive<u16>,
}

impl Default for Sip {
    fn default() -> Self {
        Self::new()
    }
}

impl Sip {
    /// Asks the address itself.
    pub const fn new() -> Self {
        Self {
            uri: None,
            status: 200..=299,
        }
    }

    /// Asks about this, such as `sip:ping@example.org`: up to 256 printable characters of ASCII, no
    /// blanks. Default: `sip:` and the target's address.
    pub fn with_uri(mut self, uri: &str) -> Self {
        self.uri = Some(uri.into());
        self
    }

    /// Which responses pass, within 200 to 699. Default 200 to 299.
    pub const fn with_status(mut self, status: RangeInclusive<u16>) -> Self {
        self.status = status;
        self
    }

    /// By what the response is known: a number nobody can guess.
    fn branch(attempt: &Attempt) -> String {
        format!("{BRANCH}{:016x}", attempt.random)
    }
}

impl Exchange for Sip {
    fn ask(&self, attempt: &Attempt) -> Vec<u8> {
        let address = attempt
            .server
            .map(|server: SocketAddr| format!("sip:{server}"));
        let uri = self
            .uri
            .as_deref()
            .or(address.as_deref())
            .unwrap_or_default();
        let (branch, number) = (Self::branch(attempt), attempt.random);
        // `rport` has the server answer to where the request came from, RFC 3581.
        let lines = [
            format!("OPTIONS {uri} SIP/2.0"),
            format!("Via: SIP/2.0/UDP healthcheck.invalid;branch={branch};rport"),
            "Max-Forwards: 70".to_owned(),
            format!("From: <sip:healthcheck@healthcheck.invalid>;tag={number:08x}"),
            format!("To: <{uri}>"),
            format!("Call-ID: {number:016x}@healthcheck.invalid"),
            "CSeq: 1 OPTIONS".to_owned(),
            "Contact: <sip:healthcheck@healthcheck.invalid>".to_owned(),
            "Accept: application/sdp".to_owned(),
            "Content-Length: 0".to_owned(),
        ];
        let mut request = lines.join("\r\n").into_bytes();
        request.extend(b"\r\n\r\n");
        request
    }

    fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer {
        let head = bytes.split(|byte| *byte == b'\n');
        let mut lines = head.map(|line| String::from_utf8_lossy(line.trim_ascii_end()));
        let first = lines.next().unwrap_or_default();
        let Some((status, reason)) = status(&first) else {
            return Answer::Other("no response of SIP");
        };
        let branch = Self::branch(attempt);
        // Fields may have a short name and be folded; the branch is nobody else's.
        let mut fields = lines.take_while(|line| !line.is_empty());
        if !fields.any(|line| line.contains(&branch)) {
            return Answer::Other("a response to another request");
        }
        if status < 200 {
            return Answer::Other("a response that is not final");
        }
        let reason = Detail::new(reason);
        if self.status.contains(&status) {
            let outcome = Outcome::new(Code::Ok, Phase::Match);
            return Answer::Known(outcome.with_detail(&format!("{status} {reason}")));
        }
        let code = if status == 503 {
            Code::Busy
        } else {
            Code::Status
        };
        let (low, high) = (self.status.start(), self.status.end());
        let detail = format!("expected status {low} to {high}, got {status} {reason}");
        Answer::Known(Outcome::new(code, Phase::Match).with_detail(&detail))
    }

    fn validate(&self) -> Result<(), Invalid> {
        let odd = |uri: &&str| {
            uri.is_empty() || uri.len() > 256 || !uri.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if let Some(uri) = self.uri.as_deref().filter(odd) {
            let limit = "must be 1 to 256 printable characters of ASCII without blanks";
            return Err(Invalid::new("uri", format!("{uri:?}"), limit));
        }
        let (low, high) = (*self.status.start(), *self.status.end());
        if low < 200 || high > 699 || low > high {
            let limit = "must be a range within 200 to 699";
            return Err(Invalid::new("status", format!("{low} to {high}"), limit));
        }
        Ok(())
    }

    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }
}

/// The status and its reason in the first line.
fn status(line: &str) -> Option<(u16, &str)> {
    let rest = line.strip_prefix("SIP/2.0 ")?;
    let (digits, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let plain = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| plain)?, reason))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::policy::Health;

    fn attempt() -> Attempt {
        let second = Duration::from_secs(1);
        let attempt = Attempt::new(1, second, second, None, Health::Unknown).with_random(0xabcd);
        attempt.with_server("192.0.2.7:5060".parse().unwrap(), false)
    }

    fn response(first: &str) -> Vec<u8> {
        let via = "v: SIP/2.0/UDP x;branch=z9hG4bK000000000000abcd;rport=9";
        format!("{first}\r\n{via}\r\nl: 0\r\n\r\n").into_bytes()
    }

    fn outcome(sip: &Sip, bytes: &[u8]) -> Option<Outcome> {
        match sip.examine(&attempt(), bytes) {
            Answer::Known(outcome) => Some(outcome),
            Answer::Other(_) => None,
        }
    }

    #[test]
    fn request_has_all_that_is_mandatory() {
        let request = String::from_utf8(Sip::new().ask(&attempt())).unwrap();
        assert!(
            request.starts_with("OPTIONS sip:192.0.2.7:5060 SIP/2.0\r\n"),
            "{request}"
        );
        assert!(request.ends_with("\r\n\r\n"));
        for field in ["Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq"] {
            assert!(
                request.contains(&format!("\r\n{field}: ")),
                "RFC 3261 §8.1.1: {field}"
            );
        }
        let other = Sip::new().with_uri("sip:a@b").ask(&attempt());
        assert!(other.starts_with(b"OPTIONS sip:a@b SIP/2.0\r\n"));
    }

    #[test]
    fn status_decides() {
        let sip = Sip::new();
        for (first, code, detail) in [
            ("SIP/2.0 200 OK", Code::Ok, "200 OK"),
            (
                "SIP/2.0 404 Not Found",
                Code::Status,
                "expected status 200 to 299, got 404 Not Found",
            ),
            (
                "SIP/2.0 503",
                Code::Busy,
                "expected status 200 to 299, got 503",
            ),
        ] {
            let outcome = outcome(&sip, &response(first)).unwrap();
            assert_eq!((outcome.code, outcome.detail.as_str()), (code, detail));
        }
        let alive = Sip::new().with_status(200..=499);
        assert_eq!(
            outcome(&alive, &response("SIP/2.0 404 No")).unwrap().code,
            Code::Ok
        );
    }

    #[test]
    fn anything_else_is_no_answer() {
        let good = response("SIP/2.0 200 OK");
        let other = String::from_utf8(good.clone())
            .unwrap()
            .replace("abcd", "abce");
        for bytes in [
            &response("SIP/2.0 100 Trying")[..],
            &response("SIP/2.0 20 OK"),
            &response("SIP/2.0 +20 OK"),
            &response("HTTP/1.1 200 OK"),
            &response("OPTIONS sip:x SIP/2.0"),
            other.as_bytes(),
            b"SIP/2.0 200 OK\r\n\r\nz9hG4bK000000000000abcd",
            b"",
        ] {
            assert_eq!(outcome(&Sip::new(), bytes), None);
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for uri in ["", "sip:a b", "sip:a\r\nX: y", "sip:ä", &"a".repeat(257)] {
            assert_eq!(
                Sip::new().with_uri(uri).validate().unwrap_err().field,
                "uri"
            );
        }
        #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
        let reversed = 299..=200;
        for status in [100..=299, 200..=700, reversed] {
            let refused = Sip::new().with_status(status).validate();
            assert_eq!(refused.unwrap_err().field, "status");
        }
        assert_eq!(
            Sip::new().with_uri("sip:a@b;transport=udp").validate(),
            Ok(())
        );
    }
}

//! What an ICMP error about a datagram of ours means for an attempt.

use super::event::IcmpError;
use crate::outcome::{Code, Outcome, Phase};

impl IcmpError {
    /// The outcome of an attempt about which the network says this; `None` if it says nothing
    /// about the target (source quench, packet too big, a header the sender of the error did not
    /// understand).
    ///
    /// ```
    /// use lvs_healthcheck::Code;
    /// use lvs_healthcheck::probe::{Errno, IcmpError};
    ///
    /// let port = IcmpError::new(3, 3, "192.0.2.7".parse()?, Errno::from_raw(111));
    /// assert_eq!(port.outcome().unwrap().code, Code::Refused);
    /// # Ok::<_, std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let (code, what) = match (self.from.is_ipv4(), self.kind, self.code) {
            // RFC 792: destination unreachable, of which code 4 is about the size of a packet.
            (true, 3, 4) => return None,
            (true, 3, 3) | (false, 1, 4) => (Code::Refused, "port unreachable"),
            (true, 3, 9 | 10 | 13) | (false, 1, 1 | 5 | 6) => {
                (Code::Unreachable, "administratively prohibited")
            }
            (true, 3, 0) | (false, 1, 0) => (Code::Unreachable, "network unreachable"),
            (true, 3, _) | (false, 1, _) => (Code::Unreachable, "host unreachable"),
            // RFC 792, RFC 4443 §3.3.
            (true, 11, _) | (false, 3, _) => (Code::Unreachable, "time to live exceeded"),
            _ => return None,
        };
        let code = if self.own_filter {
            Code::LocalDenied
        } else {
            code
        };
        let detail = format!("{what}, by ICMP from {}", self.from);
        Some(Outcome::new(code, Phase::Connect).with_detail(&detail))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Errno;
    use super::*;

    fn code(from: &str, kind: u8, code: u8) -> Option<Code> {
        let error = IcmpError::new(kind, code, from.parse().unwrap(), Errno::from_raw(113));
        Some(error.outcome()?.code)
    }

    #[test]
    fn every_kind_has_its_code() {
        for (kind, number, expected) in [
            (3, 0, Some(Code::Unreachable)),
            (3, 1, Some(Code::Unreachable)),
            (3, 3, Some(Code::Refused)),
            (3, 4, None),
            (3, 13, Some(Code::Unreachable)),
            (4, 0, None),
            (11, 0, Some(Code::Unreachable)),
            (12, 0, None),
        ] {
            assert_eq!(code("192.0.2.1", kind, number), expected, "{kind}/{number}");
        }
        for (kind, number, expected) in [
            (1, 0, Some(Code::Unreachable)),
            (1, 1, Some(Code::Unreachable)),
            (1, 3, Some(Code::Unreachable)),
            (1, 4, Some(Code::Refused)),
            (2, 0, None),
            (3, 0, Some(Code::Unreachable)),
            (4, 0, None),
        ] {
            assert_eq!(
                code("2001:db8::1", kind, number),
                expected,
                "{kind}/{number}"
            );
        }
    }

    #[test]
    fn own_packet_filter_says_nothing_about_the_target() {
        let mut error = IcmpError::new(3, 3, "192.0.2.1".parse().unwrap(), Errno::from_raw(111));
        error.own_filter = true;
        assert_eq!(error.outcome().unwrap().code, Code::LocalDenied);
    }
}

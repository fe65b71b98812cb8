//! The query, and whether a message is an answer to it, RFC 1035 §4.1.

use super::record::{Rcode, RecordType};
use crate::error::Invalid;

/// Identifier, flags and four counts.
const HEADER: usize = 12;

/// Response, opcode, truncated and response code in the two bytes of flags.
const RESPONSE: u16 = 1 << 15;
const OPCODE: u16 = 0xf << 11;
const TRUNCATED: u16 = 1 << 9;
const RECURSION_DESIRED: u16 = 1 << 8;
const RCODE: u16 = 0xf;

/// Class `IN`.
const INTERNET: u16 = 1;

/// What the probe asks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Query {
    bytes: Vec<u8>,
    /// Where the question ends.
    end: usize,
}

/// What a message turns out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// No answer to this query.
    Other,
    /// An answer.
    Answer {
        rcode: Rcode,
        truncated: bool,
        answers: u16,
    },
}

impl Query {
    pub(super) fn new(
        id: u16,
        name: &str,
        kind: RecordType,
        recursion_desired: bool,
    ) -> Result<Self, Invalid> {
        let flags = if recursion_desired {
            RECURSION_DESIRED
        } else {
            0
        };
        let mut bytes = Vec::with_capacity(HEADER + name.len() + 6);
        for word in [id, flags, 1, 0, 0, 0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        let refused = |limit| Invalid::new("name", format!("{name:?}"), limit);
        if name
            .bytes()
            .any(|byte| byte == b'\\' || !byte.is_ascii_graphic())
        {
            return Err(refused("must be ASCII without blanks and backslashes"));
        }
        let relative = name.strip_suffix('.').unwrap_or(name);
        for label in relative.split('.').filter(|_| !relative.is_empty()) {
            let length = u8::try_from(label.len())
                .ok()
                .filter(|length| *length <= 63);
            let Some(length) = length.filter(|length| *length > 0) else {
                return Err(refused("must have labels of 1 to 63 bytes"));
            };
            bytes.push(length);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        if bytes.len() - HEADER > 255 || name.is_empty() {
            return Err(refused("must be 1 to 253 bytes"));
        }
        for word in [kind.number(), INTERNET] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        let end = bytes.len();
        Ok(Self { bytes, end })
    }

    /// Says how long answers over UDP may be: an OPT record, RFC 6891 §6.1.
    pub(super) fn with_udp_size(mut self, size: u16) -> Self {
        if let Some(count) = self.bytes.get_mut(11) {
            *count = 1;
        }
        let [high, low] = size.to_be_bytes();
        // The root, OPT, the size, no further flags, no data.
        self.bytes.extend([0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As it is sent over TCP.
    pub(super) fn with_length(&self) -> Vec<u8> {
        let length = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes()[..], &self.bytes].concat()
    }

    /// Looks at a message. A lenient look compares the identifier only.
    pub(super) fn examine(&self, message: &[u8], lenient: bool) -> Verdict {
        let word = |bytes: &[u8], at: usize| {
            let word = bytes.get(at..at.saturating_add(2))?.try_into().ok()?;
            Some(u16::from_be_bytes(word))
        };
        let (Some(flags), Some(answers)) = (word(message, 2), word(message, 6)) else {
            return Verdict::Other;
        };
        let ours = message.len() >= HEADER && word(message, 0) == word(&self.bytes, 0);
        if !ours || flags & RESPONSE == 0 {
            return Verdict::Other;
        }
        if !lenient && (flags & OPCODE != 0 || !self.asks_the_same(message)) {
            return Verdict::Other;
        }
        Verdict::Answer {
            rcode: Rcode::new((flags & RCODE).to_be_bytes()[1]),
            truncated: flags & TRUNCATED != 0,
            answers,
        }
    }

    /// Whether a message repeats our question, capitals aside, which some servers change.
    fn asks_the_same(&self, message: &[u8]) -> bool {
        let question = self.bytes.get(HEADER..self.end).unwrap_or_default();
        let end = HEADER.saturating_add(question.len());
        let one = message.get(4..6) == Some(&[0, 1]);
        one && message
            .get(HEADER..end)
            .is_some_and(|repeated| repeated.eq_ignore_ascii_case(question))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query::new(0x1234, "Www.example.org", RecordType::A, true).unwrap()
    }

    /// The answer a server gives: its flags, and as many records, which are not looked at here.
    fn answer(flags: u16, answers: u8) -> Vec<u8> {
        let mut bytes = query().bytes;
        bytes.splice(2..4, flags.to_be_bytes());
        bytes.splice(6..8, [0, answers]);
        bytes
    }

    #[test]
    fn query_is_as_the_standard_wants_it() {
        let expected = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03Www\x07example\x03org\0\0\x01\0\x01";
        assert_eq!(query().bytes(), expected);
        assert_eq!(query().with_length().get(..4).unwrap(), [0, 33, 0x12, 0x34]);
        let root = Query::new(1, ".", RecordType::SOA, false).unwrap();
        assert_eq!(root.bytes(), b"\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\x06\0\x01");
        let dotted = Query::new(0x1234, "Www.example.org.", RecordType::A, true);
        assert_eq!(dotted.unwrap(), query());
    }

    #[test]
    fn size_of_answers_is_said_in_a_record_that_is_not_part_of_the_question() {
        let query = query().with_udp_size(1232);
        let plain = self::query();
        assert_eq!(query.bytes()[10..12], [0, 1], "one additional record");
        assert_eq!(query.bytes()[12..33], plain.bytes()[12..]);
        assert_eq!(query.bytes()[33..], *b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
        // Whether or not the server knows of it.
        assert_ne!(query.examine(&answer(0x8180, 1), false), Verdict::Other);
    }

    #[test]
    fn names_that_cannot_be_asked_for_are_refused() {
        let long = "a".repeat(64);
        let many = "abcdefg.".repeat(32);
        for name in [
            "",
            "a..b",
            ".a",
            "b\u{fc}ro.example",
            "a\\.b",
            "a b",
            &long,
            &many,
        ] {
            let refused = Query::new(1, name, RecordType::A, true).unwrap_err();
            assert_eq!(refused.field, "name", "{name:?}");
        }
    }

    #[test]
    fn answer_tells_its_code_and_whether_it_is_whole() {
        let verdict = query().examine(&answer(0x8183, 0), false);
        let (rcode, truncated, answers) = (Rcode::NX_DOMAIN, false, 0);
        assert_eq!(
            verdict,
            Verdict::Answer {
                rcode,
                truncated,
                answers
            }
        );
        let verdict = query().examine(&answer(0x8380, 2), false);
        let (rcode, truncated, answers) = (Rcode::NO_ERROR, true, 2);
        assert_eq!(
            verdict,
            Verdict::Answer {
                rcode,
                truncated,
                answers
            }
        );
    }

    #[test]
    fn anything_else_is_not_an_answer() {
        let good = answer(0x8180, 1);
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            *bytes.get_mut(at).unwrap() = value;
            bytes
        };
        for (what, bytes) in [
            ("another identifier", changed(0, 9)),
            ("a query", changed(2, 0x01)),
            ("an update", changed(2, 0xa8)),
            ("two questions", changed(5, 2)),
            ("another name", changed(13, b'x')),
            ("another type", changed(good.len() - 3, 2)),
        ] {
            assert_eq!(query().examine(&bytes, false), Verdict::Other, "{what}");
        }
        for cut in 0..good.len() {
            let verdict = query().examine(good.get(..cut).unwrap(), false);
            assert_eq!(verdict, Verdict::Other, "{cut}");
        }
        let lower = changed(13, b'w');
        assert_ne!(query().examine(&lower, false), Verdict::Other, "capitals");
    }

    #[test]
    fn lenient_look_compares_the_identifier_only() {
        let mut bytes = answer(0xa180, 0);
        bytes.truncate(HEADER);
        assert_ne!(query().examine(&bytes, true), Verdict::Other);
        assert_eq!(query().examine(&bytes, false), Verdict::Other);
        *bytes.first_mut().unwrap() = 9;
        assert_eq!(query().examine(&bytes, true), Verdict::Other);
    }
}

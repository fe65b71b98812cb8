//! Words of a line, and the notations the kernel uses in them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::error::MalformedLine;
use super::lines::Line;
use crate::service::Protocol;

/// The words of a line, separated by blanks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    line: Line<'a>,
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(super) const fn new(line: Line<'a>) -> Self {
        Self {
            line,
            rest: line.text,
        }
    }

    /// The next word, empty at the end of the line.
    pub(super) fn word(&mut self) -> Word<'a> {
        let start = self.rest.iter().position(|byte| *byte != b' ');
        let rest = start.and_then(|start| self.rest.get(start..));
        let rest = rest.unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b' ');
        let (text, after) = rest
            .split_at_checked(end.unwrap_or(rest.len()))
            .unwrap_or((rest, &[]));
        self.rest = after;
        Word {
            line: self.line,
            column: column(self.line.text, rest),
            text,
        }
    }

    /// Whether there is no further word.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.iter().all(|byte| *byte == b' ')
    }

    /// What follows after one blank, as it is.
    pub(super) fn remainder(&self) -> &'a [u8] {
        self.rest.strip_prefix(b" ").unwrap_or(self.rest)
    }

    /// An error when there is a further word.
    pub(super) fn end(mut self) -> Result<(), MalformedLine> {
        let word = self.word();
        if word.text.is_empty() {
            Ok(())
        } else {
            Err(word.malformed("rest", "the end of the line"))
        }
    }
}

/// Byte of the line at which `rest`, its last part, starts; from 1.
const fn column(line: &[u8], rest: &[u8]) -> usize {
    line.len().saturating_sub(rest.len()).saturating_add(1)
}

/// One word of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    line: Line<'a>,
    column: usize,
    pub(super) text: &'a [u8],
}

impl<'a> Word<'a> {
    /// The error that this word is not what was expected.
    pub(super) fn malformed(&self, field: &'static str, expected: &'static str) -> MalformedLine {
        MalformedLine::new(self.line.number, self.column, field, self.text, expected)
    }

    /// The same word without its first bytes.
    pub(super) fn without_prefix(self, prefix: &[u8]) -> Option<Self> {
        let text = self.text.strip_prefix(prefix)?;
        Some(Self {
            column: self.column.saturating_add(prefix.len()),
            text,
            ..self
        })
    }

    /// The same word without its last bytes.
    pub(super) fn without_suffix(self, suffix: &[u8]) -> Option<Self> {
        let text = self.text.strip_suffix(suffix)?;
        Some(Self { text, ..self })
    }

    /// Its parts before and after the last such byte, which is in neither.
    pub(super) fn split_last(self, byte: u8) -> Option<(Self, Self)> {
        let at = self.text.iter().rposition(|other| *other == byte)?;
        let (before, after) = self.text.split_at_checked(at)?;
        let after = Self {
            column: self.column.saturating_add(at),
            text: after,
            ..self
        };
        let before = Self {
            text: before,
            ..self
        };
        Some((before, after.without_prefix(&[byte])?))
    }

    pub(super) fn address(&self, field: &'static str) -> Result<IpAddr, MalformedLine> {
        let address = match self.text.len() {
            8 => ipv4(self.text).map(IpAddr::V4),
            39 => ipv6(self.text).map(IpAddr::V6),
            _ => None,
        };
        address.ok_or_else(|| self.malformed(field, "8 hexadecimal digits or 8 groups of 4"))
    }

    pub(super) fn port(&self, field: &'static str) -> Result<u16, MalformedLine> {
        hexadecimal(self.text)
            .filter(|_| self.text.len() == 4)
            .and_then(|port| port.try_into().ok())
            .ok_or_else(|| self.malformed(field, "4 hexadecimal digits"))
    }

    pub(super) fn hexadecimal(&self, field: &'static str) -> Result<u64, MalformedLine> {
        hexadecimal(self.text)
            .ok_or_else(|| self.malformed(field, "a hexadecimal number of at most 64 bits"))
    }

    pub(super) fn decimal(&self, field: &'static str) -> Result<u64, MalformedLine> {
        decimal(self.text)
            .ok_or_else(|| self.malformed(field, "a decimal number of at most 64 bits"))
    }
}

/// `None` for a name that the kernel did not have when this was written.
pub(super) fn protocol(name: &[u8]) -> Option<Protocol> {
    Some(match name {
        b"TCP" => Protocol::TCP,
        b"UDP" => Protocol::UDP,
        b"SCTP" => Protocol::SCTP,
        b"IP" => Protocol::from_number(0),
        b"ICMP" => Protocol::from_number(1),
        b"ICMPv6" => Protocol::from_number(58),
        _ => {
            let number = decimal(name.strip_prefix(b"IP_")?)?;
            Protocol::from_number(number.try_into().ok()?)
        }
    })
}

/// Most significant byte first, whatever the machine.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let bits = u32::try_from(hexadecimal(text)?).ok()?;
    Some(Ipv4Addr::from_bits(bits))
}

/// All eight groups, with all their digits.
fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut bits = 0_u128;
    // Four digits and a colon, which the last group lacks.
    for group in text.chunks(5) {
        let (digits, colon) = group.split_at_checked(4)?;
        if !matches!(colon, b":" | b"") {
            return None;
        }
        bits = bits << 16 | u128::from(hexadecimal(digits)?);
    }
    Some(Ipv6Addr::from_bits(bits))
}

/// Digits of either case, nothing else; at most 16 of them.
pub(super) fn hexadecimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | u64::from(digit))
    })
}

/// Digits, nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> Line<'_> {
        Line { number: 7, text }
    }

    #[test]
    fn words_know_their_column() {
        let mut words = Words::new(line(b"one  two three "));
        let read: Vec<_> = core::iter::from_fn(|| {
            let word = words.word();
            (!word.text.is_empty()).then_some((word.column, word.text))
        })
        .collect();
        assert_eq!(read, [(1, &b"one"[..]), (6, b"two"), (10, b"three")]);
        assert!(words.is_at_end());
        assert_eq!(words.word().malformed("x", "y").column(), 16);
    }

    #[test]
    fn a_word_splits_at_its_last_such_byte() {
        let word = Words::new(line(b" [a:b]:c")).word();
        let (before, after) = word.split_last(b':').unwrap();
        assert_eq!((before.column, before.text), (2, &b"[a:b]"[..]));
        assert_eq!((after.column, after.text), (8, &b"c"[..]));
    }

    #[test]
    fn addresses_have_all_their_digits() {
        let address = |text: &[u8]| Words::new(line(text)).word().address("x");
        assert_eq!(address(b"0A010002"), Ok([10, 1, 0, 2].into()));
        assert_eq!(
            address(b"fd00:0001:0000:0000:0000:0000:0000:0002"),
            Ok("fd00:1::2".parse().unwrap())
        );
        for wrong in [
            "",
            "0A01000",
            "0A0100022",
            "0A01000G",
            "+A010002",
            "fd00::2",
            "fd00:0001:0000:0000:0000:0000:0000:000g",
            "fd00:0001:0000:0000:0000:0000:0000.0002",
            "fd00:0001:0000:0000:0000:0000:000::0002",
        ] {
            assert!(address(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_end_where_64_bits_do() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(hexadecimal(b"FFFFFFFFFFFFFFFF"), Some(u64::MAX));
        assert_eq!(hexadecimal(b"10000000000000000"), None);
        for wrong in [&b""[..], b"-1", b"+1", b" 1", b"1 ", b"\xff"] {
            assert_eq!(decimal(wrong), None);
            assert_eq!(hexadecimal(wrong), None);
        }
    }

    #[test]
    fn protocols_without_a_name_have_a_number() {
        assert_eq!(protocol(b"SCTP"), Some(Protocol::SCTP));
        assert_eq!(protocol(b"IP_50"), Some(Protocol::from_number(50)));
        assert_eq!(protocol(b"IP_"), None);
        assert_eq!(protocol(b"QUIC"), None);
    }
}

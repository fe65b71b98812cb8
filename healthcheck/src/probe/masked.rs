//! Bytes of which some bits do not matter, as keepalived's `UDP_CHECK` writes them.

use core::fmt;
use core::str::FromStr;

/// Bytes with wildcards, in hexadecimal: an `X` stands for four bits that may be anything, and `|`
/// separates alternatives.
///
/// ```
/// use lvs_healthcheck::probe::MaskedBytes;
///
/// let pattern: MaskedBytes = "12 3X FF".parse()?;
/// assert!(pattern.begins(&[0x12, 0x3a, 0xff, 0x00]));
/// assert!(!pattern.begins(&[0x12, 0x4a, 0xff]));
/// assert_eq!(pattern.to_string(), "12 3X FF");
/// # Ok::<_, lvs_healthcheck::probe::NotMaskedBytes>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct MaskedBytes(Vec<Vec<Masked>>);

/// A byte and which of its bits matter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Masked {
    value: u8,
    mask: u8,
}

impl MaskedBytes {
    /// Bytes, and in a mask which of their bits matter; as many as the shorter of both has.
    #[must_use]
    pub fn new(bytes: &[u8], mask: &[u8]) -> Self {
        let masked = bytes.iter().zip(mask).map(|(byte, mask)| Masked {
            value: byte & mask,
            mask: *mask,
        });
        Self(vec![masked.collect()])
    }

    /// Whether these bytes begin so, for one of the alternatives, as far as they go: fewer bytes
    /// only need to be what it begins with. This is how keepalived compares.
    #[must_use]
    pub fn agrees(&self, bytes: &[u8]) -> bool {
        let fits = |(masked, byte): (&Masked, &u8)| byte & masked.mask == masked.value;
        let mut alternatives = self.0.iter();
        alternatives.any(|wanted| wanted.iter().zip(bytes).all(fits))
    }

    /// Whether these bytes begin so, for one of the alternatives.
    #[must_use]
    pub fn begins(&self, bytes: &[u8]) -> bool {
        let fits = |(masked, byte): (&Masked, &u8)| byte & masked.mask == masked.value;
        let begins = |wanted: &Vec<Masked>| {
            wanted.len() <= bytes.len() && wanted.iter().zip(bytes).all(fits)
        };
        self.0.iter().any(begins)
    }
}

/// The text is no sequence of bytes in hexadecimal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not bytes in hexadecimal, two digits or X for each")]
#[non_exhaustive]
pub struct NotMaskedBytes {
    /// What was read.
    pub text: String,
}

impl FromStr for MaskedBytes {
    type Err = NotMaskedBytes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotMaskedBytes {
            text: text.to_owned(),
        };
        let alternatives = text.split('|').map(|part| {
            let mut digits = part.chars().filter(|letter| !letter.is_ascii_whitespace());
            let mut bytes = Vec::new();
            while let Some(high) = digits.next() {
                let low = digits.next()?;
                bytes.push(masked(high, low)?);
            }
            (!bytes.is_empty()).then_some(bytes)
        });
        let alternatives: Option<_> = alternatives.collect();
        alternatives.map(Self).ok_or_else(refused)
    }
}

fn masked(high: char, low: char) -> Option<Masked> {
    let (high, high_mask) = digit(high)?;
    let (low, low_mask) = digit(low)?;
    Some(Masked {
        value: high << 4 | low,
        mask: high_mask << 4 | low_mask,
    })
}

fn digit(letter: char) -> Option<(u8, u8)> {
    if letter.eq_ignore_ascii_case(&'x') {
        return Some((0, 0));
    }
    let value = letter.to_digit(16)?;
    u8::try_from(value).ok().map(|value| (value, 0xf))
}

impl fmt::Display for MaskedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, bytes) in self.0.iter().enumerate() {
            f.write_str(if number > 0 { "|" } else { "" })?;
            for (at, byte) in bytes.iter().enumerate() {
                f.write_str(if at > 0 { " " } else { "" })?;
                for (value, mask) in [
                    (byte.value >> 4, byte.mask >> 4),
                    (byte.value & 0xf, byte.mask & 0xf),
                ] {
                    if mask == 0 {
                        f.write_str("X")?;
                    } else {
                        write!(f, "{value:X}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_half_a_byte() {
        let pattern: MaskedBytes = "X4|xC 01".parse().unwrap();
        assert!(pattern.begins(&[0x24]) && pattern.begins(&[0x1c, 1]));
        assert!(!pattern.begins(&[0x25]) && !pattern.begins(&[0x1c]) && !pattern.begins(&[]));
        assert_eq!(pattern.to_string(), "X4|XC 01");
    }

    #[test]
    fn what_is_shorter_agrees_with_what_it_is_compared_with() {
        let pattern = MaskedBytes::new(&[0x12, 0x34, 0x56], &[0xff, 0xf0, 0xff]);
        assert_eq!(pattern.to_string(), "12 3X 56");
        for bytes in [&[][..], &[0x12], &[0x12, 0x3f], &[0x12, 0x30, 0x56, 0x78]] {
            assert!(pattern.agrees(bytes), "{bytes:?}");
        }
        assert!(!pattern.agrees(&[0x13]) && !pattern.agrees(&[0x12, 0x40]));
        assert!(!pattern.begins(&[0x12, 0x3f]));
        assert!(MaskedBytes::new(&[], &[]).agrees(b"anything"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "1", "12 3", "0g", "12||34", "|", "ä1"] {
            assert_eq!(text.parse::<MaskedBytes>().unwrap_err().text, text);
        }
    }
}

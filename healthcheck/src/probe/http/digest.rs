//! Digests of bodies: `md5:…`, `sha256:…`.

use core::fmt;
use core::str::FromStr;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::error::Invalid;

/// Which bytes a [`Digest`] is of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DigestOf {
    /// The body as it came over the wire, the framing of chunks included: what keepalived's
    /// genhash prints. The same as `Decoded` for a reply without chunks.
    Wire,
    /// The body itself.
    Decoded,
}

/// The digest a body must have.
///
/// Read from `md5:` and 32 or `sha256:` and 64 hexadecimal digits; the number of digits alone will
/// do. Unless changed, MD5 is over the [wire](DigestOf::Wire), as keepalived has it, and SHA-256
/// over the [decoded](DigestOf::Decoded) body. MD5 only tells that something has changed; it does
/// not keep anybody from changing it.
///
/// ```
/// use lvs_healthcheck::probe::http::{Digest, DigestOf};
///
/// let digest: Digest = "d41d8cd98f00b204e9800998ecf8427e".parse()?;
/// assert_eq!(digest.to_string(), "md5:d41d8cd98f00b204e9800998ecf8427e");
/// assert_eq!(digest.of(), DigestOf::Wire);
/// # Ok::<_, lvs_healthcheck::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Digest {
    value: Value,
    of: DigestOf,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Value {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

impl Digest {
    /// This MD5, over the wire: keepalived's `digest`.
    #[must_use]
    pub const fn md5(value: [u8; 16]) -> Self {
        Self {
            value: Value::Md5(value),
            of: DigestOf::Wire,
        }
    }

    /// Takes the digest over other bytes than its kind does by default.
    #[must_use]
    pub const fn over(mut self, of: DigestOf) -> Self {
        self.of = of;
        self
    }

    /// Over which bytes it is taken.
    #[must_use]
    pub const fn of(&self) -> DigestOf {
        self.of
    }

    pub(super) fn hasher(&self) -> Hasher {
        match self.value {
            Value::Md5(_) => Hasher::Md5(Md5::new()),
            Value::Sha256(_) => Hasher::Sha256(Sha256::new()),
        }
    }

    /// The digest of the same kind that came out.
    pub(super) fn of_same_kind(&self, hasher: Hasher) -> Self {
        let value = match hasher {
            Hasher::Md5(hasher) => Value::Md5(hasher.finalize().into()),
            Hasher::Sha256(hasher) => Value::Sha256(hasher.finalize().into()),
        };
        Self { value, of: self.of }
    }
}

impl FromStr for Digest {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (kind, digits) = text.split_once(':').unwrap_or(("", text));
        let value = match (kind, digits.len()) {
            ("" | "md5", 32) => bytes(digits).map(Value::Md5),
            ("" | "sha256", 64) => bytes(digits).map(Value::Sha256),
            _ => None,
        };
        let value = value.ok_or_else(|| {
            Invalid::new(
                "digest",
                format!("{text:?}"),
                "must be md5: and 32 or sha256: and 64 hexadecimal digits",
            )
        })?;
        let of = match value {
            Value::Md5(_) => DigestOf::Wire,
            Value::Sha256(_) => DigestOf::Decoded,
        };
        Ok(Self { value, of })
    }
}

/// The bytes of exactly twice as many hexadecimal digits.
fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes): (_, &[u8]) = match &self.value {
            Value::Md5(bytes) => ("md5", bytes),
            Value::Sha256(bytes) => ("sha256", bytes),
        };
        write!(f, "{kind}:")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A digest in the making.
#[derive(Clone, Debug)]
pub(super) enum Hasher {
    Md5(Md5),
    Sha256(Sha256),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_and_written() {
        // RFC 1321 §A.5 and FIPS 180-2 §B.1, of "abc".
        for (text, kind) in [
            ("900150983cd24fb0d6963f7d28e17f72", "md5"),
            (
                "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
                "sha256",
            ),
        ] {
            let digest: Digest = text.parse().unwrap();
            let full = format!("{kind}:{}", text.to_lowercase());
            assert_eq!(digest.to_string(), full);
            assert_eq!(full.parse(), Ok(digest));
            let mut hasher = digest.hasher();
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(digest.of_same_kind(hasher), digest);
            assert_ne!(digest.of_same_kind(digest.hasher()), digest);
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in [
            "",
            "md5:",
            "md5:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha1:900150983cd24fb0d6963f7d28e17f72",
            "900150983cd24fb0d6963f7d28e17f7",
            "900150983cd24fb0d6963f7d28e17f7g",
            "+00150983cd24fb0d6963f7d28e17f72",
            "90015098ää4fb0d6963f7d28e17f72",
        ] {
            assert_eq!(
                text.parse::<Digest>().unwrap_err().field,
                "digest",
                "{text}"
            );
        }
    }
}

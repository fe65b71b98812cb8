//! Public keys by their digest.

use core::fmt;
use core::str::FromStr;

/// The SHA-256 digest of a certificate's public key (its `SubjectPublicKeyInfo`, RFC 5280 §4.1.2.7
/// and RFC 7469 §2.4).
///
/// Read from 64 hexadecimal digits, or from curl's `sha256//` and base64 (with the feature `tls`),
/// which is also how it is printed. To get it from a certificate:
///
/// ```sh
/// openssl x509 -in server.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Pin([u8; 32]);

/// The text is no pin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a pin is 64 hexadecimal digits, or sha256// and the base64 of 32 bytes")]
#[non_exhaustive]
pub struct InvalidPin;

impl Pin {
    /// This digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Pin {
    type Err = InvalidPin;

    fn from_str(text: &str) -> Result<Self, InvalidPin> {
        if let Some(base64) = text.strip_prefix("sha256//") {
            return decode(base64).map(Self).ok_or(InvalidPin);
        }
        let hexadecimal = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !hexadecimal {
            return Err(InvalidPin);
        }
        let mut digest = [0; 32];
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = core::str::from_utf8(digits).map_err(|_| InvalidPin)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidPin)?;
        }
        Ok(Self(digest))
    }
}

#[cfg(feature = "tls")]
fn decode(base64: &str) -> Option<[u8; 32]> {
    use base64ct::{Base64, Encoding};

    let mut digest = [0; 32];
    let whole = Base64::decode(base64, &mut digest).is_ok_and(|bytes| bytes.len() == 32);
    whole.then_some(digest)
}

#[cfg(not(feature = "tls"))]
const fn decode(_base64: &str) -> Option<[u8; 32]> {
    None
}

impl fmt::Display for Pin {
    #[cfg(feature = "tls")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64ct::{Base64, Encoding};

        write!(f, "sha256//{}", Base64::encode_string(&self.0))
    }

    #[cfg(not(feature = "tls"))]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_from_what_it_prints() {
        let pin = Pin::new(core::array::from_fn(|n| u8::try_from(n).unwrap()));
        assert_eq!(pin.to_string().parse(), Ok(pin));
        let digits: String = pin
            .digest()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        assert_eq!(digits.parse(), Ok(pin));
        #[cfg(feature = "tls")]
        assert_eq!(
            pin.to_string(),
            "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        );
    }

    #[test]
    fn refuses_other_text() {
        let digits = "0".repeat(64);
        for text in [
            "",
            "sha256//",
            "sha256//AAAA",
            &digits[1..],
            &digits.replacen('0', "g", 1),
            &digits.replacen("00", "+1", 1),
            "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        ] {
            assert_eq!(text.parse::<Pin>(), Err(InvalidPin), "{text:?}");
        }
    }
}

//! Authentication of VRRPv2, as deployed: passwords and the authentication header. RFC 2338
//! §5.3.6, RFC 2402, RFC 2403.
//!
//! A password travels in clear text and guards against mistakes only. The header (AH) holds an
//! HMAC-MD5-96 over IP header and message, and a sequence number. RFC 3768 removed both, because
//! they never stopped a hostile router from claiming the Active role; they are here for old peers.
//!
//! ```text
//! 0          1          2          4       8          12       24
//! | next 112 | length 4 | reserved | SPI   | sequence | digest | message    authentication header
//! ```

use alloc::boxed::Box;
use core::fmt;
use core::net::Ipv4Addr;

use ctutils::CtEq;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::DecodeError;
use crate::address::PROTOCOL;
use crate::error::ValueError;

/// Protocol number of the authentication header.
pub(crate) const AH_PROTOCOL: u8 = 51;
/// Bytes of an authentication header with a digest of 96 bits.
pub(crate) const AH_LEN: usize = 24;

/// How a VRRPv2 message is authenticated. RFC 3768 §5.3.6.
#[expect(clippy::exhaustive_enums, reason = "whatever is unknown is `Other`")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AuthType {
    /// 0: not at all.
    None,
    /// 1: by a password in the authentication data.
    Simple,
    /// 2: by an authentication header before the message.
    Header,
    /// Unknown, 3 to 255.
    Other(u8),
}

impl AuthType {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Simple => 1,
            Self::Header => 2,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for AuthType {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Simple,
            2 => Self::Header,
            _ => Self::Other(number),
        }
    }
}

/// How the advertisements of a virtual router are authenticated; only VRRPv2 can be.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Authentication {
    /// Not at all; for VRRPv3 the only choice.
    #[default]
    None,
    /// By a password.
    Simple(Password),
    /// By an authentication header.
    Header(AhKey),
}

impl Authentication {
    /// The type sent and expected.
    #[must_use]
    pub const fn auth_type(&self) -> AuthType {
        match self {
            Self::None => AuthType::None,
            Self::Simple(_) => AuthType::Simple,
            Self::Header(_) => AuthType::Header,
        }
    }
}

/// The password of authentication type 1. It is printed nowhere.
#[derive(Clone, Copy)]
pub struct Password([u8; 8]);

impl Password {
    /// The first eight bytes of this text, filled with zeros to the right (`VRRP-035`). Further
    /// bytes are ignored, as peers do.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let mut octets = [0; 8];
        for (octet, byte) in octets.iter_mut().zip(text) {
            *octet = *byte;
        }
        Self(octets)
    }

    /// Whether the data of a message is this password, found out in constant time (`VRRP-034`).
    #[must_use]
    pub fn matches(&self, auth_data: &[u8; 8]) -> bool {
        self.0.ct_eq(auth_data).to_bool()
    }

    /// The authentication data to be sent.
    pub(super) const fn octets(&self) -> [u8; 8] {
        self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Which bytes the digest of the authentication header covers. The two do not understand each
/// other.
#[expect(
    clippy::exhaustive_enums,
    reason = "the standard and the one deviation from it"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AhFlavour {
    /// keepalived: the time to live counts, except in packets to a single peer.
    Keepalived,
    /// RFC 2402 §3.3.3.1: the time to live is taken as zero.
    Rfc2402,
}

/// The key of authentication type 2. It is printed nowhere.
#[derive(Clone)]
pub struct AhKey {
    flavour: AhFlavour,
    key: Box<[u8]>,
}

impl AhKey {
    /// A key for this flavour.
    ///
    /// # Errors
    ///
    /// [`ValueError::KeyLength`] for an empty key, and in keepalived's flavour for one longer than
    /// 8 bytes, of which keepalived would use 8.
    pub fn new(flavour: AhFlavour, key: &[u8]) -> Result<Self, ValueError> {
        let max = match flavour {
            AhFlavour::Keepalived => 8,
            AhFlavour::Rfc2402 => usize::MAX,
        };
        if key.is_empty() || key.len() > max {
            return Err(ValueError::KeyLength {
                value: key.len(),
                min: 1,
                max,
            });
        }
        Ok(Self {
            flavour,
            key: key.into(),
        })
    }

    /// Which bytes the digest covers.
    #[must_use]
    pub const fn flavour(&self) -> AhFlavour {
        self.flavour
    }

    /// The digest, ready to be compared or cut to 96 bits.
    ///
    /// `ip_header` is the IPv4 header as on the wire, with options; `fields` are the first 12 bytes
    /// of the authentication header.
    fn mac(&self, ip_header: &[u8], fields: &[u8; 12], message: &[u8]) -> Option<Hmac<Md5>> {
        // HMAC fills keys with zeros itself, so a filled key and a short one are the same.
        let mut mac = Hmac::<Md5>::new_from_slice(&self.key).ok()?;
        let (fixed, options) = ip_header.split_first_chunk::<20>()?;
        let mut fixed = *fixed;
        let [
            _,
            tos,
            _,
            _,
            _,
            _,
            flags,
            offset,
            ttl,
            _,
            high,
            low,
            ..,
            a,
            b,
            c,
            d,
        ] = &mut fixed;
        let to_peer = !Ipv4Addr::new(*a, *b, *c, *d).is_multicast();
        for mutable in [tos, flags, offset, high, low] {
            *mutable = 0;
        }
        if self.flavour == AhFlavour::Rfc2402 || to_peer {
            *ttl = 0;
        }
        mac.update(&fixed);
        mac.update(options);
        mac.update(fields);
        mac.update(&[0; 12]);
        mac.update(message);
        Some(mac)
    }

    /// Writes the authentication header of a message, with the packet's source as SPI, as
    /// keepalived does.
    pub(super) fn sign(
        &self,
        ip_header: &[u8; 20],
        sequence: u32,
        message: &[u8],
    ) -> Option<[u8; AH_LEN]> {
        let [.., s0, s1, s2, s3, _, _, _, _] = *ip_header;
        let [n0, n1, n2, n3] = sequence.to_be_bytes();
        let fields = [PROTOCOL, 4, 0, 0, s0, s1, s2, s3, n0, n1, n2, n3];
        let digest = self
            .mac(ip_header, &fields, message)?
            .finalize()
            .into_bytes();
        let mut header = [0; AH_LEN];
        for (octet, byte) in header.iter_mut().zip(fields.iter().chain(digest.iter())) {
            *octet = *byte;
        }
        Some(header)
    }

    /// Whether the digest is right, found out in constant time, and the SPI is the packet's source
    /// (`VRRP-036`).
    ///
    /// `ip_header` is the IPv4 header as received, with options.
    #[must_use]
    pub fn verifies(&self, ip_header: &[u8], header: AhView<'_>, message: &[u8]) -> bool {
        let Some((fields, digest)) = header.bytes.split_first_chunk() else {
            return false;
        };
        let source = ip_header.get(12..16);
        let right = self
            .mac(ip_header, fields, message)
            .is_some_and(|mac| digest.len() == 12 && mac.verify_truncated_left(digest).is_ok());
        right && source == Some(&header.spi().to_be_bytes())
    }
}

impl PartialEq for AhKey {
    fn eq(&self, other: &Self) -> bool {
        self.flavour == other.flavour && self.key.ct_eq(&other.key).to_bool()
    }
}

impl Eq for AhKey {}

impl fmt::Debug for AhKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AhKey")
            .field("flavour", &self.flavour)
            .finish_non_exhaustive()
    }
}

/// An authentication header. RFC 2402 §2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AhView<'a> {
    /// As many as the length field says, at least 24.
    bytes: &'a [u8],
    head: &'a [u8; AH_LEN],
}

impl<'a> AhView<'a> {
    /// Reads the header at the beginning of these bytes; gives it, and what follows.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Length`] if there are fewer bytes than its length field says, or fewer than
    /// 24; [`DecodeError::Field`] for a length that cannot hold the digest.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        let what = "authentication header";
        let short = |needed| DecodeError::Length {
            what,
            needed,
            given: bytes.len(),
        };
        let head: &[u8; AH_LEN] = bytes.first_chunk().ok_or_else(|| short(AH_LEN))?;
        let [_, words, ..] = *head;
        let length = usize::from(words).wrapping_add(2).wrapping_mul(4);
        if length < AH_LEN {
            return Err(DecodeError::Field {
                what,
                field: "length",
                offset: 1,
                value: words.into(),
            });
        }
        let (bytes, rest) = bytes
            .split_at_checked(length)
            .ok_or_else(|| short(length))?;
        Ok((Self { bytes, head }, rest))
    }

    /// Protocol of what follows: 112 for VRRP.
    #[must_use]
    pub const fn next_header(self) -> u8 {
        let [next, ..] = *self.head;
        next
    }

    /// Security parameters index; keepalived puts the source address here.
    #[must_use]
    pub const fn spi(self) -> u32 {
        let [_, _, _, _, a, b, c, d, ..] = *self.head;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Sequence number, increasing from packet to packet.
    #[must_use]
    pub const fn sequence(self) -> u32 {
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.head;
        u32::from_be_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn secrets_are_not_printed() {
        let key = AhKey::new(AhFlavour::Keepalived, b"geheim").unwrap();
        let shown = format!("{:?} {key:?}", Password::new(b"geheim"));
        assert_eq!(shown, "Password(..) AhKey { flavour: Keepalived, .. }");
    }

    /// `VRRP-034`, `VRRP-035`
    #[test]
    fn passwords_are_filled_and_cut() {
        assert!(Password::new(b"abc").matches(b"abc\0\0\0\0\0"));
        assert!(Password::new(b"abcdefghij").matches(b"abcdefgh"));
        assert!(!Password::new(b"abc").matches(b"ab\0\0\0\0\0\0"));
        assert!(!Password::new(b"ab").matches(b"abc\0\0\0\0\0"));
        assert_ne!(Password::new(b"ab"), Password::new(b"abc"));
    }

    #[test]
    fn keys_have_limits() {
        assert!(AhKey::new(AhFlavour::Keepalived, b"").is_err());
        assert!(AhKey::new(AhFlavour::Keepalived, b"12345678").is_ok());
        assert!(AhKey::new(AhFlavour::Keepalived, b"123456789").is_err());
        assert!(AhKey::new(AhFlavour::Rfc2402, &[7; 80]).is_ok());
    }

    /// keepalived leaves the time to live out in packets to a peer only, RFC 2402 always.
    #[test]
    fn flavours_differ_in_the_time_to_live() {
        for (flavour, to, ignored) in [
            (AhFlavour::Keepalived, [224, 0, 0, 18], false),
            (AhFlavour::Keepalived, [192, 0, 2, 22], true),
            (AhFlavour::Rfc2402, [224, 0, 0, 18], true),
            (AhFlavour::Rfc2402, [192, 0, 2, 22], true),
        ] {
            let key = AhKey::new(flavour, b"key").unwrap();
            let mut ip_header = [0; 20];
            ip_header[8] = 255;
            ip_header[16..].copy_from_slice(&to);
            let bytes = key.sign(&ip_header, 7, b"message").unwrap();
            let (header, _) = AhView::split(&bytes).unwrap();
            assert!(key.verifies(&ip_header, header, b"message"));
            ip_header[8] = 64;
            assert_eq!(
                key.verifies(&ip_header, header, b"message"),
                ignored,
                "{flavour:?} {to:?}"
            );
        }
    }

    /// `VRRP-036`: a right digest over a header that names another source.
    #[test]
    fn the_spi_must_be_the_source() {
        let key = AhKey::new(AhFlavour::Keepalived, b"key").unwrap();
        let mut ip_header = [0; 20];
        ip_header[12..16].copy_from_slice(&[192, 0, 2, 11]);
        ip_header[16..].copy_from_slice(&[224, 0, 0, 18]);
        for (spi, passes) in [([192, 0, 2, 11], true), ([192, 0, 2, 12], false)] {
            let mut bytes = [112, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7].to_vec();
            bytes[4..8].copy_from_slice(&spi);
            let fields = bytes.first_chunk().unwrap();
            let mac = key.mac(&ip_header, fields, b"message").unwrap();
            bytes.extend(&mac.finalize().into_bytes()[..12]);
            let (header, _) = AhView::split(&bytes).unwrap();
            assert_eq!(key.verifies(&ip_header, header, b"message"), passes);
        }
    }

    #[test]
    fn headers_are_read_by_their_length() {
        let mut bytes = [0_u8; 40];
        bytes[..2].copy_from_slice(&[112, 4]);
        assert_eq!(AhView::split(&bytes).unwrap().1.len(), 16);
        bytes[1] = 5;
        assert_eq!(AhView::split(&bytes).unwrap().1.len(), 12);
        for wrong in [0, 3, 9, 255] {
            bytes[1] = wrong;
            assert!(AhView::split(&bytes).is_err(), "{wrong}");
        }
        assert!(AhView::split(&bytes[..23]).is_err());
    }
}

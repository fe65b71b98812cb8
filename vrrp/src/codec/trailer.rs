//! keepalived's `auth_hmac` trailer: 28 bytes behind the message that hold an HMAC-SHA256 and a
//! growing sequence. Feature `hmac-trailer`; part of no RFC (draft-cassen-vrrp-auth-hmac, layout of
//! keepalived 2.4.1).
//!
//! ```text
//! 0        1        2          4         8          10        12       28
//! | type 1 | key id | reserved | seconds | fraction | counter | digest |
//! ```
//!
//! Receivers without it drop such packets by their length.

use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;

use ctutils::CtEq;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Advertisement, Message};
use crate::error::ValueError;

/// Bytes of the trailer.
pub(crate) const TRAILER_LEN: usize = 28;
/// The only type of trailer.
const TYPE: u8 = 1;

/// A key of the trailer, with the number by which receivers find it. It is printed nowhere.
#[derive(Clone)]
pub struct TrailerKey {
    id: u8,
    key: Box<[u8]>,
}

impl TrailerKey {
    /// A key of 32 to 64 bytes.
    ///
    /// # Errors
    ///
    /// [`ValueError::KeyLength`] for another length.
    pub fn new(id: u8, key: &[u8]) -> Result<Self, ValueError> {
        if !(32..=64).contains(&key.len()) {
            return Err(ValueError::KeyLength {
                value: key.len(),
                min: 32,
                max: 64,
            });
        }
        Ok(Self {
            id,
            key: key.into(),
        })
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// The digest, ready to be compared or cut to 128 bits. `fields` are the first 12 bytes of the
    /// trailer.
    fn mac(
        &self,
        version: u8,
        vrid: u8,
        source: IpAddr,
        message: &[u8],
        fields: &[u8; 12],
    ) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        let mut address = [0; 16];
        let family = match source {
            IpAddr::V4(source) => {
                for (octet, byte) in address.iter_mut().zip(source.octets()) {
                    *octet = byte;
                }
                4
            }
            IpAddr::V6(source) => {
                address = source.octets();
                6
            }
        };
        let (head, body) = message.split_first_chunk::<8>()?;
        let [a, b, c, d, e, f, _, _] = *head;
        mac.update(&[family, version, vrid, 0]);
        mac.update(&address);
        mac.update(&[a, b, c, d, e, f, 0, 0]);
        mac.update(body);
        mac.update(fields);
        mac.update(&[0; 16]);
        Some(mac)
    }

    /// The trailer of a message.
    pub(super) fn sign(
        &self,
        advertisement: &Advertisement<'_>,
        source: IpAddr,
        message: &[u8],
        sequence: u64,
    ) -> Option<[u8; TRAILER_LEN]> {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = sequence.to_be_bytes();
        let fields = [TYPE, self.id, 0, 0, s0, s1, s2, s3, s4, s5, s6, s7];
        let version = advertisement.version.number();
        let mac = self.mac(version, advertisement.vrid.get(), source, message, &fields)?;
        let digest = mac.finalize().into_bytes();
        let mut trailer = [0; TRAILER_LEN];
        for (octet, byte) in trailer.iter_mut().zip(fields.iter().chain(digest.iter())) {
            *octet = *byte;
        }
        Some(trailer)
    }

    /// Whether the trailer names this key and its digest is right, found out in constant time.
    #[must_use]
    pub fn verifies(&self, source: IpAddr, message: Message<'_>, trailer: TrailerView<'_>) -> bool {
        let Some((fields, digest)) = trailer.bytes.split_first_chunk() else {
            return false;
        };
        let (version, vrid) = (message.version_number(), message.vrid_number());
        self.id == trailer.key_id()
            && self
                .mac(version, vrid, source, message.bytes(), fields)
                .is_some_and(|mac| mac.verify_truncated_left(digest).is_ok())
    }
}

impl PartialEq for TrailerKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.key.ct_eq(&other.key).to_bool()
    }
}

impl Eq for TrailerKey {}

impl fmt::Debug for TrailerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailerKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A trailer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrailerView<'a> {
    bytes: &'a [u8; TRAILER_LEN],
}

impl<'a> TrailerView<'a> {
    /// The trailer in these bytes, or `None` unless they are 28 and begin with its type.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let bytes: &[u8; TRAILER_LEN] = bytes.try_into().ok()?;
        let [kind, ..] = *bytes;
        (kind == TYPE).then_some(Self { bytes })
    }

    /// Number of the key.
    #[must_use]
    pub const fn key_id(self) -> u8 {
        let [_, id, ..] = *self.bytes;
        id
    }

    /// UTC seconds (upper 32 bits), fraction in 1/65536 s, and a counter for ties (16 bits each).
    #[must_use]
    pub const fn sequence(self) -> u64 {
        let [_, _, _, _, a, b, c, d, e, f, g, h, ..] = *self.bytes;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The seconds alone.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        let [_, _, _, _, a, b, c, d, ..] = *self.bytes;
        u32::from_be_bytes([a, b, c, d])
    }
}

//! What both versions have in common: the first bytes, and the value.

use super::DecodeError;
use crate::address::Addresses;
use crate::interval::Interval;
use crate::priority::Priority;
use crate::version::Version;
use crate::vrid::Vrid;

/// A VRRP message of either version: the fields that are in the same place in both.
///
/// ```
/// use lvs_vrrp::codec::Message;
///
/// let bytes = [0x31, 0x0a, 0xc8, 0x01, 0x00, 0x64, 0xa1, 0x03, 192, 0, 2, 1];
/// let message = Message::new(&bytes)?;
/// assert_eq!((message.version_number(), message.vrid_number()), (3, 10));
/// assert_eq!((message.priority().get(), message.checksum()), (200, 0xa103));
/// # Ok::<(), lvs_vrrp::codec::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    head: &'a [u8; 8],
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads at least eight bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Length`] for fewer.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((head, body)) = bytes.split_first_chunk() else {
            return Err(DecodeError::Length {
                what: "message",
                needed: 8,
                given: bytes.len(),
            });
        };
        Ok(Self { bytes, head, body })
    }

    /// All bytes, from the version on.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The first eight bytes.
    #[must_use]
    pub const fn head(self) -> &'a [u8; 8] {
        self.head
    }

    /// What follows the first eight bytes.
    #[must_use]
    pub const fn body(self) -> &'a [u8] {
        self.body
    }

    /// The number in the version field, 0 to 15.
    #[must_use]
    pub const fn version_number(self) -> u8 {
        let [first, ..] = *self.head;
        first >> 4
    }

    /// The version, or `None` for one that does not exist.
    #[must_use]
    pub const fn version(self) -> Option<Version> {
        Version::from_number(self.version_number())
    }

    /// The number in the type field, 0 to 15; 1 is an advertisement, the only type there is.
    #[must_use]
    pub const fn type_number(self) -> u8 {
        let [first, ..] = *self.head;
        first & 0x0f
    }

    /// The number in the virtual router id field; 0 is invalid.
    #[must_use]
    pub const fn vrid_number(self) -> u8 {
        let [_, vrid, ..] = *self.head;
        vrid
    }

    /// The priority.
    #[must_use]
    pub const fn priority(self) -> Priority {
        let [_, _, priority, ..] = *self.head;
        Priority::new(priority)
    }

    /// How many addresses it says it has.
    #[must_use]
    pub const fn count(self) -> u8 {
        let [_, _, _, count, ..] = *self.head;
        count
    }

    /// The checksum as received.
    #[must_use]
    pub const fn checksum(self) -> u16 {
        let [.., high, low] = *self.head;
        u16::from_be_bytes([high, low])
    }
}

/// What an advertisement says, in either version.
///
/// ```
/// use lvs_vrrp::codec::Advertisement;
/// use lvs_vrrp::{AddressList, Interval, Priority, Version, Vrid};
///
/// let addresses = AddressList::new(["192.0.2.1".parse()?])?;
/// let resignation = Advertisement {
///     version: Version::V3,
///     vrid: Vrid::try_from(51)?,
///     priority: Priority::RESIGN,
///     interval: Interval::DEFAULT,
///     addresses: addresses.as_addresses(),
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[expect(
    clippy::exhaustive_structs,
    reason = "the fields of the message; senders build it field by field"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Advertisement<'a> {
    /// The version it is sent in.
    pub version: Version,
    /// Which virtual router it is about.
    pub vrid: Vrid,
    /// The sender's priority; 0 when it resigns.
    pub priority: Priority,
    /// The sender's advertisement interval.
    pub interval: Interval,
    /// The virtual addresses, 1 to 255; the first one of IPv6 is link-local.
    pub addresses: Addresses<'a>,
}

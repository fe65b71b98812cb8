//! VRRPv2: IPv4, whole seconds, eight bytes of authentication data at the end. RFC 3768 §5.3,
//! RFC 2338 §5.3.

use super::{Advertisement, AuthType, DecodeError, Message};
use crate::address::{Addresses, Family};
use crate::checksum::Sum;
use crate::interval::Interval;
use crate::version::Version;
use crate::vrid::Vrid;

/// Bytes that the fixed fields and the authentication data take.
pub const FIXED_LEN: usize = 16;

/// A VRRPv2 message of the right length: 16 bytes and 4 for each address (`VRRP-028`, `VRRP-085`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct View<'a> {
    message: Message<'a>,
    addresses: Addresses<'a>,
    auth_data: &'a [u8; 8],
}

impl<'a> View<'a> {
    /// Reads a message whose version is not looked at.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Length`] unless there are exactly as many bytes as the count asks for.
    #[inline]
    pub fn new(message: Message<'a>) -> Result<Self, DecodeError> {
        let needed = usize::from(message.count()).wrapping_mul(4);
        let split = message.body().split_last_chunk();
        let list = split.filter(|(list, _)| list.len() == needed);
        list.and_then(|(list, auth_data)| {
            Some(Self {
                message,
                addresses: Addresses::new(Family::Ipv4, list)?,
                auth_data,
            })
        })
        .ok_or_else(|| DecodeError::Length {
            what: "VRRPv2 message",
            needed: needed.wrapping_add(FIXED_LEN),
            given: message.bytes().len(),
        })
    }

    /// The fields both versions have.
    #[must_use]
    pub const fn message(self) -> Message<'a> {
        self.message
    }

    /// How it is authenticated.
    #[must_use]
    pub fn auth_type(self) -> AuthType {
        let [_, _, _, _, auth_type, ..] = *self.message.head();
        auth_type.into()
    }

    /// The interval in seconds; 0 is invalid.
    #[must_use]
    pub const fn seconds(self) -> u8 {
        let [_, _, _, _, _, seconds, ..] = *self.message.head();
        seconds
    }

    /// The virtual addresses; there may be none.
    #[must_use]
    pub const fn addresses(self) -> Addresses<'a> {
        self.addresses
    }

    /// The authentication data: the password for type 1; zero for types 0 and 2, and then ignored
    /// (`VRRP-033`, `VRRP-037`).
    #[must_use]
    pub const fn auth_data(self) -> &'a [u8; 8] {
        self.auth_data
    }

    /// Whether the checksum is right: that of the whole message (`VRRP-027`).
    #[must_use]
    #[inline]
    pub fn checksum_is_right(self) -> bool {
        Sum::new().with(self.message.bytes()).verifies()
    }

    /// The value. Authentication data is not part of it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Field`] for a virtual router id, a count or an interval of 0.
    #[inline]
    pub fn advertisement(self) -> Result<Advertisement<'a>, DecodeError> {
        let zero = |field, offset| DecodeError::Field {
            what: "VRRPv2 message",
            field,
            offset,
            value: 0,
        };
        if self.addresses.is_empty() {
            return Err(zero("address count", 3));
        }
        Ok(Advertisement {
            version: Version::V2,
            vrid: Vrid::new(self.message.vrid_number())
                .ok_or_else(|| zero("virtual router id", 1))?,
            priority: self.message.priority(),
            interval: Interval::from_seconds(self.seconds()).map_err(|_| zero("interval", 5))?,
            addresses: self.addresses,
        })
    }
}

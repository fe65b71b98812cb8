//! VRRPv3: IPv4 and IPv6, centiseconds, no authentication. RFC 9568 §5, RFC 5798 §5.

use core::net::IpAddr;

use super::{Advertisement, DecodeError, Message};
use crate::address::{Addresses, Family, PROTOCOL};
use crate::checksum::{ChecksumFinding, ChecksumForm, RxChecksum, Sum};
use crate::interval::Interval;
use crate::version::Version;
use crate::vrid::Vrid;

/// Bytes that the fixed fields take.
pub const FIXED_LEN: usize = 8;

/// A VRRPv3 message of the right length: 8 bytes and 4 or 16 for each address (`VRRP-028`,
/// `VRRP-085`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct View<'a> {
    message: Message<'a>,
    addresses: Addresses<'a>,
}

impl<'a> View<'a> {
    /// Reads a message whose version is not looked at. The family is that of the IP header which
    /// carries it (`VRRP-030`).
    ///
    /// # Errors
    ///
    /// [`DecodeError::Length`] unless there are exactly as many bytes as the count asks for.
    #[inline]
    pub fn new(message: Message<'a>, family: Family) -> Result<Self, DecodeError> {
        let needed = usize::from(message.count()).wrapping_mul(family.address_len());
        Some(message.body())
            .filter(|list| list.len() == needed)
            .and_then(|list| Addresses::new(family, list))
            .map(|addresses| Self { message, addresses })
            .ok_or_else(|| DecodeError::Length {
                what: "VRRPv3 message",
                needed: needed.wrapping_add(FIXED_LEN),
                given: message.bytes().len(),
            })
    }

    /// The fields both versions have.
    #[must_use]
    pub const fn message(self) -> Message<'a> {
        self.message
    }

    /// The four reserved bits, 0 to 15; sent as 0, ignored on receive (`VRRP-019`, `VRRP-020`).
    #[must_use]
    pub const fn reserved(self) -> u8 {
        let [_, _, _, _, high, ..] = *self.message.head();
        high >> 4
    }

    /// The interval in centiseconds, 0 to 4095; 0 is invalid.
    #[must_use]
    pub const fn centiseconds(self) -> u16 {
        let [_, _, _, _, high, low, ..] = *self.message.head();
        u16::from_be_bytes([high & 0x0f, low])
    }

    /// The virtual addresses; there may be none.
    #[must_use]
    pub const fn addresses(self) -> Addresses<'a> {
        self.addresses
    }

    /// Which form of checksum is right, if one is that the policy accepts; IPv6 has but one.
    ///
    /// `extension` is what follows the message and is covered by the checksum of IPv6.
    #[must_use]
    #[inline]
    pub fn checksum(
        self,
        source: IpAddr,
        destination: IpAddr,
        extension: &[u8],
        policy: RxChecksum,
    ) -> Option<ChecksumFinding> {
        let both = Sum::new().with_address(source).with_address(destination);
        self.checksum_between(both, source, extension, policy)
    }

    /// The same with the sum of source and destination at hand.
    #[inline]
    pub(crate) fn checksum_between(
        self,
        both: Sum,
        source: IpAddr,
        extension: &[u8],
        policy: RxChecksum,
    ) -> Option<ChecksumFinding> {
        let bytes = self.message.bytes();
        let message = Sum::new().with(bytes);
        if self.addresses.family() == Family::Ipv6 {
            let length = bytes.len().saturating_add(extension.len());
            let sum = message
                .with(extension)
                .and(both)
                .with_length(length, PROTOCOL);
            return sum.verifies().then_some(ChecksumFinding::Ipv6PseudoHeader);
        }
        let with = message.and(both).with_length(bytes.len(), PROTOCOL);
        let found = match (message.verifies(), with.verifies()) {
            (true, true) => Some(ChecksumFinding::Ambiguous),
            (true, false) => Some(ChecksumFinding::MessageOnly),
            (false, true) => Some(ChecksumFinding::PseudoHeader),
            (false, false) => None,
        };
        match (policy, found) {
            (
                RxChecksum::Strict(ChecksumForm::MessageOnly),
                Some(ChecksumFinding::PseudoHeader),
            )
            | (
                RxChecksum::Strict(ChecksumForm::PseudoHeader),
                Some(ChecksumFinding::MessageOnly),
            ) => None,
            (RxChecksum::EitherOrGroup, None) => {
                let sum = message.with_pseudo_header(source, Family::Ipv4.group(), bytes.len());
                sum.verifies().then_some(ChecksumFinding::GroupPseudoHeader)
            }
            _ => found,
        }
    }

    /// The value. Reserved bits are not part of it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Field`] for a virtual router id, a count or an interval of 0.
    #[inline]
    pub fn advertisement(self) -> Result<Advertisement<'a>, DecodeError> {
        let zero = |field, offset| DecodeError::Field {
            what: "VRRPv3 message",
            field,
            offset,
            value: 0,
        };
        if self.addresses.is_empty() {
            return Err(zero("address count", 3));
        }
        Ok(Advertisement {
            version: Version::V3,
            vrid: Vrid::new(self.message.vrid_number())
                .ok_or_else(|| zero("virtual router id", 1))?,
            priority: self.message.priority(),
            interval: Interval::from_centiseconds(self.centiseconds())
                .map_err(|_| zero("interval", 4))?,
            addresses: self.addresses,
        })
    }
}

//! Gratuitous ARP, by which an Active router tells its neighbours where an IPv4 address is now. RFC
//! 9568 §8.1.2, RFC 5227.

use core::net::Ipv4Addr;

use super::ethernet::{ARP, EthernetView, HEADER_LEN, header};
use super::{DecodeError, Writer};
use crate::address::MacAddress;
use crate::error::EncodeError;

/// Bytes of the packet behind the Ethernet header.
const LEN: usize = 28;
/// Hardware type Ethernet, protocol IPv4, and the lengths of their addresses.
const TYPES: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Request or reply; some networks learn from replies only.
#[expect(clippy::exhaustive_enums, reason = "the two kinds there are")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ArpOperation {
    /// Operation 1.
    #[default]
    Request,
    /// Operation 2.
    Reply,
}

/// The target hardware address, which receivers do not use; known hosts accept all three.
#[expect(clippy::exhaustive_enums, reason = "any address is `Other`")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ArpTarget {
    /// The sender's: RFC 9568 with errata 7947 and 7949.
    #[default]
    Sender,
    /// `ff:ff:ff:ff:ff:ff`: keepalived, FRR, holo.
    Broadcast,
    /// Zero: the announcement of RFC 5227.
    Zero,
    /// Another one.
    Other(MacAddress),
}

impl ArpTarget {
    const fn of(target: MacAddress, sender: MacAddress) -> Self {
        match target.octets() {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => Self::Broadcast,
            [0, 0, 0, 0, 0, 0] => Self::Zero,
            [a, b, c, d, e, f] => match sender.octets() {
                [g, h, i, j, k, l] if a == g && b == h && c == i && d == j && e == k && f == l => {
                    Self::Sender
                }
                _ => Self::Other(target),
            },
        }
    }

    const fn mac(self, sender: MacAddress) -> MacAddress {
        match self {
            Self::Sender => sender,
            Self::Broadcast => MacAddress::BROADCAST,
            Self::Zero => MacAddress::ZERO,
            Self::Other(target) => target,
        }
    }
}

/// An ARP packet that announces where an address is: its sender's and its target's protocol address
/// are the same.
///
/// ```
/// use lvs_vrrp::codec::GratuitousArp;
/// use lvs_vrrp::{Family, Vrid};
///
/// let mac = Vrid::try_from(10)?.virtual_mac(Family::Ipv4);
/// let mut frame = [0; 42];
/// GratuitousArp::new("192.0.2.1".parse()?, mac).emit_frame(&mut frame)?;
/// assert_eq!(frame[..12], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x5e, 0, 1, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[expect(
    clippy::exhaustive_structs,
    reason = "the fields of the packet; every combination is valid"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct GratuitousArp {
    /// The address announced.
    pub address: Ipv4Addr,
    /// Where it is: the virtual MAC.
    pub mac: MacAddress,
    /// Request, by default, or reply.
    pub operation: ArpOperation,
    /// Target hardware address.
    pub target: ArpTarget,
}

impl GratuitousArp {
    /// Bytes of the frame.
    pub const FRAME_LEN: usize = HEADER_LEN + LEN;

    /// A request with the sender's as the target hardware address.
    #[must_use]
    pub const fn new(address: Ipv4Addr, mac: MacAddress) -> Self {
        Self {
            address,
            mac,
            operation: ArpOperation::Request,
            target: ArpTarget::Sender,
        }
    }

    /// Writes the Ethernet frame, to every station, without padding; gives its length, 42.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Buffer`]
    pub fn emit_frame(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let given = buffer.len();
        let frame = buffer
            .get_mut(..Self::FRAME_LEN)
            .ok_or(EncodeError::Buffer {
                given,
                needed: Self::FRAME_LEN,
            })?;
        let operation = match self.operation {
            ArpOperation::Request => [0, 1],
            ArpOperation::Reply => [0, 2],
        };
        let mut writer = Writer::new(frame);
        writer.put(&header(MacAddress::BROADCAST, self.mac, ARP));
        writer.put(&TYPES);
        writer.put(&operation);
        writer.put(&self.mac.octets());
        writer.put(&self.address.octets());
        writer.put(&self.target.mac(self.mac).octets());
        writer.put(&self.address.octets());
        Ok(Self::FRAME_LEN)
    }

    /// Reads a frame; padding is left out.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for a frame that is cut off, carries something else than ARP for IPv4 over
    /// Ethernet, or announces nothing because its two protocol addresses differ.
    pub fn parse_frame(frame: &[u8]) -> Result<Self, DecodeError> {
        let what = "gratuitous ARP";
        let wrong = |field, offset, value| DecodeError::Field {
            what,
            field,
            offset,
            value,
        };
        let frame = EthernetView::new(frame)?;
        if frame.ether_type() != ARP {
            return Err(wrong("Ethernet type", 12, frame.ether_type().into()));
        }
        let short = || DecodeError::Length {
            what,
            needed: LEN,
            given: frame.payload().len(),
        };
        let (types, rest) = frame.payload().split_first_chunk::<6>().ok_or_else(short)?;
        let (operation, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (mac, rest) = rest.split_first_chunk::<6>().ok_or_else(short)?;
        let (address, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (target, rest) = rest.split_first_chunk::<6>().ok_or_else(short)?;
        let target_address = rest.first_chunk::<4>().ok_or_else(short)?;
        let [hardware, kind, ..] = *types;
        if *types != TYPES {
            return Err(wrong(
                "types",
                0,
                u16::from_be_bytes([hardware, kind]).into(),
            ));
        }
        if address != target_address {
            let value = u32::from_be_bytes(*target_address);
            return Err(wrong("target address", 24, value));
        }
        let mac = MacAddress::new(*mac);
        Ok(Self {
            address: (*address).into(),
            mac,
            operation: match u16::from_be_bytes(*operation) {
                1 => ArpOperation::Request,
                2 => ArpOperation::Reply,
                other => return Err(wrong("operation", 6, other.into())),
            },
            target: ArpTarget::of(MacAddress::new(*target), mac),
        })
    }
}

//! Unsolicited neighbour advertisements, by which an Active router tells its neighbours where an
//! IPv6 address is now. RFC 9568 §8.2.2, RFC 4861 §4.4, §7.2.6.

use core::net::{IpAddr, Ipv6Addr};

use super::ethernet::{EthernetView, HEADER_LEN, ethernet_header};
use super::ip::{Ipv6View, ipv6_head};
use super::{DecodeError, Writer};
use crate::address::{Family, MacAddress};
use crate::checksum::Sum;
use crate::error::EncodeError;

/// Bytes of the ICMPv6 message.
const LEN: usize = 32;
const ICMPV6: u8 = 58;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The flags of a router (R) that overrides what is known (O) without having been asked (no S).
const FLAGS: u8 = 0xa0;

/// A neighbour advertisement to all nodes, from a router, not asked for, overriding.
///
/// ```
/// use lvs_vrrp::codec::UnsolicitedNa;
/// use lvs_vrrp::{Family, Vrid};
///
/// let mac = Vrid::try_from(10)?.virtual_mac(Family::Ipv6);
/// let mut frame = [0; 86];
/// UnsolicitedNa::new("2001:db8::1".parse()?, mac).emit_frame(&mut frame)?;
/// assert_eq!(UnsolicitedNa::parse_frame(&frame)?.target.to_string(), "2001:db8::1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[expect(
    clippy::exhaustive_structs,
    reason = "the fields of the packet; every combination is valid"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UnsolicitedNa {
    /// The address announced.
    pub target: Ipv6Addr,
    /// Where it is: the virtual MAC.
    pub mac: MacAddress,
    /// Source of the packet: the address itself, or the link-local virtual address.
    pub source: Ipv6Addr,
}

impl UnsolicitedNa {
    /// Bytes of the frame.
    pub const FRAME_LEN: usize = HEADER_LEN + 40 + LEN;

    /// An announcement sent from the address itself, as keepalived and FRR do.
    #[must_use]
    pub const fn new(target: Ipv6Addr, mac: MacAddress) -> Self {
        Self {
            target,
            mac,
            source: target,
        }
    }

    /// Writes the Ethernet frame, to all nodes; gives its length, 86.
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
        let [high, low] = self.sum([0, 0]).checksum().to_be_bytes();
        let ethernet = ethernet_header(MacAddress::ALL_NODES, self.mac, Family::Ipv6);
        let mut writer = Writer::new(frame);
        writer.put(&ethernet);
        writer.put(&ipv6_head(0, 32, ICMPV6, 255));
        writer.put(&self.source.octets());
        writer.put(&ALL_NODES.octets());
        writer.put(&[136, 0, high, low, FLAGS, 0, 0, 0]);
        writer.put(&self.target.octets());
        writer.put(&[2, 1]);
        writer.put(&self.mac.octets());
        Ok(Self::FRAME_LEN)
    }

    /// The sum of pseudo-header and message.
    fn sum(&self, [high, low]: [u8; 2]) -> Sum {
        Sum::new()
            .with(&[136, 0, high, low, FLAGS, 0, 0, 0])
            .with(&self.target.octets())
            .with(&[2, 1])
            .with(&self.mac.octets())
            .with_pseudo_header_of(IpAddr::V6(self.source), ALL_NODES.into(), LEN, ICMPV6)
    }

    /// Reads a frame, as strictly as it is written: one option, these flags, a right checksum.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for a frame that is cut off or carries something else.
    pub fn parse_frame(frame: &[u8]) -> Result<Self, DecodeError> {
        let what = "neighbour advertisement";
        let wrong = |field, offset, value| DecodeError::Field {
            what,
            field,
            offset,
            value,
        };
        let frame = EthernetView::new(frame)?;
        if frame.family() != Some(Family::Ipv6) {
            return Err(wrong("Ethernet type", 12, frame.ether_type().into()));
        }
        let packet = Ipv6View::new(frame.payload())?;
        for (field, offset, is, must) in [
            ("next header", 6, packet.next_header(), ICMPV6),
            ("hop limit", 7, packet.hop_limit(), 255),
        ] {
            if is != must {
                return Err(wrong(field, offset, is.into()));
            }
        }
        if packet.destination() != ALL_NODES {
            let [.., high, low] = packet.destination().octets();
            return Err(wrong(
                "destination",
                24,
                u16::from_be_bytes([high, low]).into(),
            ));
        }
        let message: &[u8; LEN] = packet
            .payload()
            .try_into()
            .map_err(|_| DecodeError::Length {
                what,
                needed: LEN,
                given: packet.payload().len(),
            })?;
        let [kind, code, high, low, flags, _, _, _, rest @ ..] = message;
        let [.., option, words, m0, m1, m2, m3, m4, m5] = *rest;
        for (field, offset, is, must) in [
            ("type", 0, *kind, 136),
            ("code", 1, *code, 0),
            // The other bits of this and the next three bytes are reserved: ignored.
            ("flags", 4, *flags & 0xe0, FLAGS),
            ("option", 24, option, 2),
            ("option length", 25, words, 1),
        ] {
            if is != must {
                return Err(wrong(field, offset, is.into()));
            }
        }
        let target: &[u8; 16] = rest.first_chunk().unwrap_or(&[0; 16]);
        let parsed = Self {
            target: (*target).into(),
            mac: MacAddress::new([m0, m1, m2, m3, m4, m5]),
            source: packet.source(),
        };
        let sum = Sum::new().with(message).with_pseudo_header_of(
            IpAddr::V6(parsed.source),
            ALL_NODES.into(),
            LEN,
            ICMPV6,
        );
        if !sum.verifies() {
            let value = u16::from_be_bytes([*high, *low]);
            return Err(wrong("checksum", 2, value.into()));
        }
        Ok(parsed)
    }
}

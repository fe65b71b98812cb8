//! Ethernet around the packets. RFC 9568 §7.2.

use super::DecodeError;
use crate::address::{Family, MacAddress};

/// Bytes of a header without VLAN tags.
pub(super) const HEADER_LEN: usize = 14;
/// A frame that carries ARP.
pub(super) const ARP: u16 = 0x0806;
/// How many VLAN tags a frame may have, one within the other.
const MAX_TAGS: usize = 4;

/// An Ethernet frame without its check sequence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EthernetView<'a> {
    destination: MacAddress,
    source: MacAddress,
    ether_type: u16,
    payload: &'a [u8],
}

impl<'a> EthernetView<'a> {
    /// Reads a frame; up to four VLAN tags (802.1Q, 802.1ad) are skipped. The payload may end in
    /// padding.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Length`] if it is cut off within the header or a tag.
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let short = || DecodeError::Length {
            what: "Ethernet header",
            needed: HEADER_LEN,
            given: bytes.len(),
        };
        let (destination, rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let (source, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (ether_type, mut payload) = rest.split_first_chunk().ok_or_else(short)?;
        let mut ether_type = u16::from_be_bytes(*ether_type);
        for _ in 0..MAX_TAGS {
            if !matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
                break;
            }
            let ([_, _, high, low], rest) = payload.split_first_chunk().ok_or_else(short)?;
            ether_type = u16::from_be_bytes([*high, *low]);
            payload = rest;
        }
        Ok(Self {
            destination: MacAddress::new(*destination),
            source: MacAddress::new(*source),
            ether_type,
            payload,
        })
    }

    /// Where it goes to.
    #[must_use]
    pub const fn destination(self) -> MacAddress {
        self.destination
    }

    /// Where it comes from: for advertisements the virtual MAC.
    #[must_use]
    pub const fn source(self) -> MacAddress {
        self.source
    }

    /// What it carries: 0x0800 IPv4, 0x86dd IPv6, 0x0806 ARP.
    #[must_use]
    pub const fn ether_type(self) -> u16 {
        self.ether_type
    }

    /// The family of the packet it carries, if that is one of IP.
    #[must_use]
    pub const fn family(self) -> Option<Family> {
        match self.ether_type {
            0x0800 => Some(Family::Ipv4),
            0x86dd => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// What follows the header and its tags.
    #[must_use]
    pub const fn payload(self) -> &'a [u8] {
        self.payload
    }
}

/// The header of a frame that carries a packet of this family.
///
/// An advertisement goes from the virtual MAC ([`Vrid::virtual_mac`](crate::Vrid::virtual_mac),
/// `VRRP-104`) to the group's ([`MacAddress::of_group`]), or to a peer's.
#[must_use]
pub const fn ethernet_header(
    destination: MacAddress,
    source: MacAddress,
    family: Family,
) -> [u8; 14] {
    match family {
        Family::Ipv4 => header(destination, source, 0x0800),
        Family::Ipv6 => header(destination, source, 0x86dd),
    }
}

/// The header of a frame.
pub(super) const fn header(
    destination: MacAddress,
    source: MacAddress,
    ether_type: u16,
) -> [u8; 14] {
    let [d0, d1, d2, d3, d4, d5] = destination.octets();
    let [s0, s1, s2, s3, s4, s5] = source.octets();
    let [high, low] = ether_type.to_be_bytes();
    [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlan_tags_are_skipped() {
        let mut frame = [0_u8; 12].to_vec();
        frame.extend([0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 0x86, 0xdd, 0x60]);
        let view = EthernetView::new(&frame).unwrap();
        assert_eq!(
            (view.family(), view.payload()),
            (Some(Family::Ipv6), &[0x60][..])
        );
        assert!(EthernetView::new(&frame[..19]).is_err());
        assert!(EthernetView::new(&frame[..13]).is_err());
    }
}

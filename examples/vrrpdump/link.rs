//! What lies around the IP packets of a capture.

use std::borrow::Cow;

use lvs_vrrp::{Family, InterfaceIndex};

/// A frame as it was captured.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    /// When, since 1970; unknown for simple packet blocks of pcapng.
    pub(crate) time: Option<core::time::Duration>,
    /// Where; empty in files that do not say.
    pub(crate) interface: Cow<'a, str>,
    /// What the bytes begin with.
    pub(crate) link: Link,
    /// As much as was captured.
    pub(crate) bytes: &'a [u8],
    /// How long it was on the link.
    pub(crate) original_len: usize,
}

/// A link type: what frames begin with. The numbers are those of tcpdump.org.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// 1: Ethernet, with or without VLAN tags.
    Ethernet,
    /// 113: what Linux says of a packet of any interface.
    CookedV1,
    /// 276: the same, with the interface.
    CookedV2,
    /// 101, 228, 229: nothing but the packet.
    Ip,
    /// Another one, which is not read.
    Other(u32),
}

impl From<u32> for Link {
    fn from(number: u32) -> Self {
        match number {
            1 => Self::Ethernet,
            113 => Self::CookedV1,
            276 => Self::CookedV2,
            // The older numbers of raw IP, which differ between systems, besides.
            12 | 14 | 101 | 228 | 229 => Self::Ip,
            other => Self::Other(other),
        }
    }
}

/// What a frame carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Carried<'a> {
    /// 0x0800 IPv4, 0x86dd IPv6, 0x0806 ARP.
    pub(crate) ether_type: u16,
    /// It may be cut off.
    pub(crate) bytes: &'a [u8],
    /// Where it was captured, if the frame itself says so.
    pub(crate) interface: Option<InterfaceIndex>,
    /// The VLANs it is in, the outermost first; empty without tags.
    pub(crate) vlans: Vec<u16>,
}

impl Carried<'_> {
    /// The family, if it is a packet of IP.
    pub(crate) fn family(&self) -> Option<Family> {
        match self.ether_type {
            0x0800 => Some(Family::Ipv4),
            0x86dd => Some(Family::Ipv6),
            _ => None,
        }
    }
}

/// What is in a frame, if its headers are whole.
pub(crate) fn carried(link: Link, bytes: &[u8]) -> Option<Carried<'_>> {
    let (ether_type, bytes, interface) = match link {
        Link::Ethernet => {
            let ([.., high, low], rest) = bytes.split_first_chunk::<14>()?;
            (u16::from_be_bytes([*high, *low]), rest, None)
        }
        Link::CookedV1 => {
            let ([.., high, low], rest) = bytes.split_first_chunk::<16>()?;
            (u16::from_be_bytes([*high, *low]), rest, None)
        }
        Link::CookedV2 => {
            let ([high, low, _, _, a, b, c, d, ..], rest) = bytes.split_first_chunk::<20>()?;
            let index = InterfaceIndex::new(u32::from_be_bytes([*a, *b, *c, *d]));
            (u16::from_be_bytes([*high, *low]), rest, Some(index))
        }
        Link::Ip => match bytes.first()? >> 4 {
            4 => (0x0800, bytes, None),
            6 => (0x86dd, bytes, None),
            _ => return None,
        },
        Link::Other(_) => return None,
    };
    let (ether_type, bytes, vlans) = untag(ether_type, bytes)?;
    Some(Carried {
        ether_type,
        bytes,
        interface,
        vlans,
    })
}

/// Takes off VLAN tags, of 802.1Q and 802.1ad; cooked frames have them after their header.
fn untag(mut ether_type: u16, mut rest: &[u8]) -> Option<(u16, &[u8], Vec<u16>)> {
    let mut vlans = Vec::new();
    while let 0x8100 | 0x88a8 | 0x9100 = ether_type {
        let ([control, id, high, low], after) = rest.split_first_chunk()?;
        vlans.push(u16::from_be_bytes([control & 0xf, *id]));
        ether_type = u16::from_be_bytes([*high, *low]);
        rest = after;
    }
    Some((ether_type, rest, vlans))
}

/// Whether a packet is one of VRRP, behind an authentication header or not. Everything else is no
/// business of ours, however damaged.
pub(crate) fn is_vrrp(family: Family, bytes: &[u8]) -> bool {
    match family {
        Family::Ipv4 => match bytes.get(9) {
            Some(112) => true,
            Some(51) => {
                let header_len = bytes
                    .first()
                    .map_or(0, |first| usize::from(first & 0xf) * 4);
                bytes.get(header_len) == Some(&112)
            }
            _ => false,
        },
        Family::Ipv6 => bytes.get(6) == Some(&112),
    }
}

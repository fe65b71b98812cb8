//! IP headers around the messages: as much of them as VRRP needs.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::DecodeError;
use crate::checksum::Sum;

/// Type of service and traffic class of what is sent: network control, as keepalived, FRR and holo
/// do; no RFC asks for it.
const TRAFFIC_CLASS: u8 = 0xc0;

/// An IPv4 packet whose header and length are sound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ipv4View<'a> {
    head: &'a [u8; 20],
    header: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4View<'a> {
    /// Reads a packet from its first byte on. What follows its end, such as padding of the link, is
    /// left out (`VRRP-204`); options are skipped (`VRRP-205`). The header's own checksum is not
    /// looked at, since the kernel has done that.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for another version, a header length below 20, and lengths that contradict
    /// each other or the bytes at hand.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let what = "IPv4 header";
        let head: &[u8; 20] = bytes.first_chunk().ok_or(DecodeError::Length {
            what,
            needed: 20,
            given: bytes.len(),
        })?;
        let [first, _, high, low, ..] = *head;
        if !(0x45..=0x4f).contains(&first) {
            return Err(DecodeError::Field {
                what,
                field: "version and header length",
                offset: 0,
                value: first.into(),
            });
        }
        let header_len = usize::from(first & 0x0f).wrapping_mul(4);
        let total = usize::from(u16::from_be_bytes([high, low]));
        bytes
            .get(..total)
            .and_then(|packet| packet.split_at_checked(header_len))
            .map(|(header, payload)| Self {
                head,
                header,
                payload,
            })
            .ok_or_else(|| DecodeError::Length {
                what: "IPv4 packet",
                needed: total.max(header_len),
                given: bytes.len(),
            })
    }

    /// The header with its options.
    #[must_use]
    pub const fn header(self) -> &'a [u8] {
        self.header
    }

    /// What follows the header, up to the total length.
    #[must_use]
    pub const fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// Whether it is one of several fragments.
    #[must_use]
    pub const fn is_fragment(self) -> bool {
        let [_, _, _, _, _, _, flags, offset, ..] = *self.head;
        flags & 0x3f != 0 || offset != 0
    }

    /// Time to live.
    #[must_use]
    pub const fn ttl(self) -> u8 {
        let [_, _, _, _, _, _, _, _, ttl, ..] = *self.head;
        ttl
    }

    /// Protocol of the payload.
    #[must_use]
    pub const fn protocol(self) -> u8 {
        let [_, _, _, _, _, _, _, _, _, protocol, ..] = *self.head;
        protocol
    }

    /// Source address.
    #[must_use]
    pub const fn source(self) -> Ipv4Addr {
        let [.., a, b, c, d, _, _, _, _] = *self.head;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Destination address.
    #[must_use]
    pub const fn destination(self) -> Ipv4Addr {
        let [.., a, b, c, d] = *self.head;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Whether the header's own checksum is right.
    #[must_use]
    pub fn checksum_is_right(self) -> bool {
        Sum::new().with(self.header).verifies()
    }
}

/// An IPv6 packet whose header and length are sound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ipv6View<'a> {
    head: &'a [u8; 40],
    payload: &'a [u8],
}

impl<'a> Ipv6View<'a> {
    /// Reads a packet from its first byte on. What follows its end is left out.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for another version and for fewer bytes than the header asks for.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let short = |what, needed| DecodeError::Length {
            what,
            needed,
            given: bytes.len(),
        };
        let Some((head, rest)) = bytes.split_first_chunk::<40>() else {
            return Err(short("IPv6 header", 40));
        };
        let [first, _, _, _, high, low, ..] = *head;
        if first >> 4 != 6 {
            return Err(DecodeError::Field {
                what: "IPv6 header",
                field: "version",
                offset: 0,
                value: (first >> 4).into(),
            });
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let payload = rest
            .get(..length)
            .ok_or_else(|| short("IPv6 packet", length.wrapping_add(40)))?;
        Ok(Self { head, payload })
    }

    /// What follows the header, up to the payload length.
    #[must_use]
    pub const fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// Protocol of the payload, or kind of an extension header.
    #[must_use]
    pub const fn next_header(self) -> u8 {
        let [_, _, _, _, _, _, next, ..] = *self.head;
        next
    }

    /// Hop limit.
    #[must_use]
    pub const fn hop_limit(self) -> u8 {
        let [_, _, _, _, _, _, _, limit, ..] = *self.head;
        limit
    }

    /// Source address.
    #[must_use]
    pub fn source(self) -> Ipv6Addr {
        let [_, _, _, _, _, _, _, _, addresses @ ..] = self.head;
        let source: &[u8; 16] = addresses.first_chunk().unwrap_or(&[0; 16]);
        (*source).into()
    }

    /// Destination address.
    #[must_use]
    pub fn destination(self) -> Ipv6Addr {
        let destination: &[u8; 16] = self.head.last_chunk().unwrap_or(&[0; 16]);
        (*destination).into()
    }
}

/// What an IPv4 header to be sent says; it has no options.
pub(super) struct Ipv4Header {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) identification: u16,
    pub(super) total_len: u16,
}

impl Ipv4Header {
    #[inline]
    pub(super) fn bytes(&self) -> [u8; 20] {
        let without = self.with_checksum(0);
        self.with_checksum(Sum::new().with(&without).checksum())
    }

    #[inline]
    const fn with_checksum(&self, checksum: u16) -> [u8; 20] {
        let [l0, l1] = self.total_len.to_be_bytes();
        let [i0, i1] = self.identification.to_be_bytes();
        let [c0, c1] = checksum.to_be_bytes();
        let [s0, s1, s2, s3] = self.source.octets();
        let [d0, d1, d2, d3] = self.destination.octets();
        [
            0x45,
            TRAFFIC_CLASS,
            l0,
            l1,
            i0,
            i1,
            0,
            0,
            self.ttl,
            self.protocol,
            c0,
            c1,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ]
    }
}

/// The first 8 bytes of an IPv6 header; the two addresses follow.
pub(super) const fn ipv6_head(
    traffic_class: u8,
    payload_len: u16,
    next_header: u8,
    hop_limit: u8,
) -> [u8; 8] {
    let [l0, l1] = payload_len.to_be_bytes();
    let first = 0x60 | traffic_class >> 4;
    let second = traffic_class << 4;
    [first, second, 0, 0, l0, l1, next_header, hop_limit]
}

/// The same for advertisements.
pub(super) const fn ipv6_control_head(payload_len: u16, next_header: u8, hop_limit: u8) -> [u8; 8] {
    ipv6_head(TRAFFIC_CLASS, payload_len, next_header, hop_limit)
}

/// The bytes of an address, to be written one after the other.
pub(super) fn put_address(writer: &mut super::Writer<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => writer.put(&address.octets()),
        IpAddr::V6(address) => writer.put(&address.octets()),
    }
}

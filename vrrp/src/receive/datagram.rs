//! What is known of a packet: rows 1 and 2 of the ladder.

use core::net::{IpAddr, Ipv6Addr};

use super::{Reason, Rejection};
use crate::address::{Family, InterfaceIndex, PROTOCOL};
use crate::checksum::Sum;
use crate::codec::{AhView, Ipv4View, Ipv6View};
use crate::timer::Timestamp;

/// Protocol number of the authentication header.
const AH_PROTOCOL: u8 = 51;

/// Where and when a packet came in, and how its bytes begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Meta {
    interface: InterfaceIndex,
    received_at: Timestamp,
    layer: Layer,
}

/// How the bytes begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Layer {
    Ipv4,
    Ipv6,
    Ipv6Payload {
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: u8,
    },
}

impl Meta {
    /// The bytes begin with an IPv4 header, as those of Linux's raw sockets do.
    #[must_use]
    pub const fn ipv4(interface: InterfaceIndex, received_at: Timestamp) -> Self {
        Self {
            interface,
            received_at,
            layer: Layer::Ipv4,
        }
    }

    /// The bytes begin with an IPv6 header, as those of captures do.
    #[must_use]
    pub const fn ipv6(interface: InterfaceIndex, received_at: Timestamp) -> Self {
        Self {
            interface,
            received_at,
            layer: Layer::Ipv6,
        }
    }

    /// The bytes are what an IPv6 header of protocol 112 carried. Raw sockets deliver no more;
    /// destination and hop limit come from ancillary data, which must be asked for.
    #[must_use]
    pub const fn ipv6_payload(
        interface: InterfaceIndex,
        received_at: Timestamp,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: u8,
    ) -> Self {
        Self {
            interface,
            received_at,
            layer: Layer::Ipv6Payload {
                source,
                destination,
                hop_limit,
            },
        }
    }

    /// The interface it came in at.
    #[must_use]
    pub const fn interface(&self) -> InterfaceIndex {
        self.interface
    }

    /// When it came in.
    #[must_use]
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.layer {
            Layer::Ipv4 => Family::Ipv4,
            Layer::Ipv6 | Layer::Ipv6Payload { .. } => Family::Ipv6,
        }
    }
}

/// A packet of VRRP, taken apart as far as the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Sum of source and destination, taken where their family is known: behind an `IpAddr` it
    /// costs several times as much.
    pub(super) both: Sum,
    pub(super) ttl: u8,
    pub(super) ip_header: &'a [u8],
    pub(super) is_behind_ah: bool,
    pub(super) ah: Option<AhView<'a>>,
    pub(super) message: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Takes a packet apart: rows 1 and 2 of the ladder, with authentication headers let pass.
    ///
    /// # Errors
    ///
    /// [`Reason::IpHeader`], [`Reason::Proto`].
    #[inline]
    pub fn new(meta: &Meta, bytes: &'a [u8]) -> Result<Self, Rejection> {
        let ip_header = |_| Rejection::new(1, Reason::IpHeader, None);
        let proto = Rejection::new(2, Reason::Proto, None);
        match meta.layer {
            Layer::Ipv4 => {
                let packet = Ipv4View::new(bytes).map_err(ip_header)?;
                if packet.is_fragment() {
                    return Err(Rejection::new(1, Reason::IpHeader, None));
                }
                let mut datagram = Self {
                    source: packet.source().into(),
                    destination: packet.destination().into(),
                    both: Sum::new()
                        .with_address(packet.source().into())
                        .with_address(packet.destination().into()),
                    ttl: packet.ttl(),
                    ip_header: packet.header(),
                    is_behind_ah: false,
                    ah: None,
                    message: packet.payload(),
                };
                match packet.protocol() {
                    PROTOCOL => Ok(datagram),
                    AH_PROTOCOL if packet.payload().first() == Some(&PROTOCOL) => {
                        let split = AhView::split(packet.payload()).ok();
                        datagram.is_behind_ah = true;
                        datagram.ah = split.map(|(header, _)| header);
                        datagram.message = split.map_or(&[], |(_, message)| message);
                        Ok(datagram)
                    }
                    _ => Err(proto),
                }
            }
            Layer::Ipv6 => {
                let packet = Ipv6View::new(bytes).map_err(ip_header)?;
                if packet.next_header() != PROTOCOL {
                    return Err(proto);
                }
                let (source, destination) = (packet.source(), packet.destination());
                let limit = packet.hop_limit();
                Ok(Self::ipv6(source, destination, limit, packet.payload()))
            }
            Layer::Ipv6Payload {
                source,
                destination,
                hop_limit,
            } => Ok(Self::ipv6(source, destination, hop_limit, bytes)),
        }
    }

    fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, ttl: u8, message: &'a [u8]) -> Self {
        Self {
            source: IpAddr::V6(source),
            destination: IpAddr::V6(destination),
            both: Sum::new()
                .with_address(IpAddr::V6(source))
                .with_address(IpAddr::V6(destination)),
            ttl,
            ip_header: &[],
            is_behind_ah: false,
            ah: None,
            message,
        }
    }

    /// Source address.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// Destination address.
    #[must_use]
    pub const fn destination(&self) -> IpAddr {
        self.destination
    }

    /// Time to live or hop limit.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.ttl
    }

    /// The authentication header, if there is a whole one.
    #[must_use]
    pub const fn authentication_header(&self) -> Option<AhView<'a>> {
        self.ah
    }

    /// The message, from its version on; it may be of any length.
    #[must_use]
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }
}

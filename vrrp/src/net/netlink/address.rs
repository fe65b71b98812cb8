//! Addresses of interfaces, as the kernel lists them.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressHeaderFlags, AddressMessage,
};
use nix::errno::Errno;

use super::message::attributes_of;
use super::{RequestMessage, Rtnetlink};
use crate::address::{Family, InterfaceIndex};
use crate::net::{NetError, Operation};

/// `RTM_NEWADDR`
pub(crate) const ADDED: u16 = 20;
/// `RTM_DELADDR`
pub(crate) const REMOVED: u16 = 21;

/// Bytes of the header of an address message.
const HEADER: usize = 8;

/// An address of an interface.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InterfaceAddress {
    /// The interface.
    pub interface: InterfaceIndex,
    /// The address.
    pub address: IpAddr,
    /// Bits of the prefix: up to 32 or 128.
    pub prefix_len: u8,
    /// The scope: 0 everywhere, 253 the link, 254 the host. `ip-address(8)`
    pub scope: u8,
    /// Its name: the interface's, or one of its own. IPv4 only.
    pub label: Option<String>,
    /// The address at which all hosts of its subnet are reached, if it has one. IPv4 only.
    pub broadcast: Option<Ipv4Addr>,
    /// Who installed it (`IFA_PROTO`, Linux 5.18), where that is known.
    pub protocol: Option<u8>,
    /// How long it will be there from when it was listed, in whole seconds; `None` for ever.
    pub lifetime: Option<Duration>,
    pub(crate) flags: AddressFlags,
}

impl InterfaceAddress {
    /// Whether the kernel still has to find out that nobody else has it, or found somebody: it
    /// cannot be used then.
    #[must_use]
    pub const fn is_tentative(&self) -> bool {
        let unusable = AddressFlags::Tentative.union(AddressFlags::Dadfailed);
        self.flags.intersects(unusable)
    }

    /// Whether it is the interface's second or later one of its subnet (IPv4), or temporary
    /// (IPv6).
    #[must_use]
    pub const fn is_secondary(&self) -> bool {
        self.flags.contains(AddressFlags::Secondary)
    }

    /// Whether the kernel made no route to its subnet for it.
    #[must_use]
    pub const fn has_no_prefix_route(&self) -> bool {
        self.flags.contains(AddressFlags::Noprefixroute)
    }

    /// Whether it is an IPv6 address that means something on its link only.
    #[must_use]
    pub const fn is_link_local(&self) -> bool {
        matches!(self.address, IpAddr::V6(address) if address.is_unicast_link_local())
    }

    /// Reads the payload of a message.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let header = AddressHeader::parse(payload).ok()?;
        let (mut local, mut address) = (None, None);
        let (mut label, mut broadcast) = (None, None);
        let (mut protocol, mut lifetime) = (None, None);
        let mut flags = AddressFlags::from_bits_retain(header.flags.bits().into());
        for attribute in attributes_of(payload.get(HEADER..)?) {
            match AddressAttribute::parse(&attribute) {
                Ok(AddressAttribute::Local(value)) => local = Some(value),
                Ok(AddressAttribute::Address(value)) => address = Some(value),
                Ok(AddressAttribute::Label(value)) => label = Some(value),
                Ok(AddressAttribute::Broadcast(value)) => broadcast = Some(value),
                Ok(AddressAttribute::Flags(value)) => flags = value,
                Ok(AddressAttribute::Protocol(value)) => protocol = Some(value.into()),
                Ok(AddressAttribute::CacheInfo(value)) if value.ifa_valid != u32::MAX => {
                    lifetime = Some(Duration::from_secs(value.ifa_valid.into()));
                }
                _ => {}
            }
        }
        Some(Self {
            interface: InterfaceIndex::new(header.index),
            // With a point-to-point address the other one is the peer's.
            address: local.or(address)?,
            prefix_len: header.prefix_len,
            scope: header.scope.into(),
            label,
            broadcast,
            protocol,
            lifetime,
            flags,
        })
    }

    /// The message to remove it.
    pub(crate) fn removal(&self) -> RequestMessage {
        let mut message = message(self.interface, self.address, self.prefix_len);
        message
            .attributes
            .extend(self.label.clone().map(AddressAttribute::Label));
        RequestMessage::DelAddress(message)
    }
}

/// A message about this address.
pub(crate) fn message(
    interface: InterfaceIndex,
    address: IpAddr,
    prefix_len: u8,
) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family_of(Family::of(address));
    message.header.prefix_len = prefix_len;
    message.header.index = interface.get();
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    message
}

/// The flags as both places have them: the header only has room for the lower 8 bits.
pub(crate) fn set_flags(message: &mut AddressMessage, flags: AddressFlags) {
    let [low, ..] = flags.bits().to_le_bytes();
    message.header.flags = AddressHeaderFlags::from_bits_retain(low);
    message.attributes.push(AddressAttribute::Flags(flags));
}

const fn family_of(family: Family) -> AddressFamily {
    match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    }
}

impl Rtnetlink {
    /// Lists the addresses of these families.
    pub(crate) fn addresses(
        &mut self,
        families: impl IntoIterator<Item = Family>,
    ) -> Result<Vec<InterfaceAddress>, NetError> {
        let mut all = Vec::new();
        for family in families {
            all.extend(self.addresses_of(family, 0)?);
        }
        Ok(all)
    }

    /// Lists the addresses of some interfaces. It does not matter how many others have, and how often
    /// those change. There may be addresses of other interfaces among them.
    pub(crate) fn addresses_at(
        &mut self,
        places: &BTreeSet<(InterfaceIndex, Family)>,
    ) -> Result<Vec<InterfaceAddress>, NetError> {
        if !self.socket.is_strict() {
            let families: BTreeSet<_> = places.iter().map(|(_, family)| *family).collect();
            return self.addresses(families);
        }
        let mut all = Vec::new();
        for (interface, family) in places {
            match self.addresses_of(*family, interface.get()) {
                Ok(here) => all.extend(here),
                // It is gone, and its addresses with it.
                Err(error) if error.io().raw_os_error() == Some(Errno::ENODEV as i32) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    fn addresses_of(
        &mut self,
        family: Family,
        interface: u32,
    ) -> Result<Vec<InterfaceAddress>, NetError> {
        let mut message = AddressMessage::default();
        message.header.family = family_of(family);
        message.header.index = interface;
        let what = RequestMessage::GetAddress(message);
        self.list(Operation::ReadLinks, &what, |kind, payload| {
            (kind == ADDED).then(|| InterfaceAddress::read(payload))?
        })
    }
}

// The captures are of a little-endian machine.
#[cfg(target_endian = "little")]
#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::super::message::tests::capture;
    use super::*;

    fn read(text: &str) -> Vec<InterfaceAddress> {
        let bytes = capture(text);
        let messages = messages(&bytes).map(Result::unwrap);
        messages
            .filter(|message| message.kind == ADDED)
            .map(|message| InterfaceAddress::read(message.payload).unwrap())
            .collect()
    }

    #[test]
    fn ipv4_addresses_are_read() {
        let all = read(include_str!(
            "../../../tests/data/rtnetlink/addresses-ipv4.hex"
        ));
        let [address] = &all[..] else {
            panic!("{all:?}");
        };
        let expected = InterfaceAddress {
            interface: InterfaceIndex::new(3),
            address: "192.0.2.10".parse().unwrap(),
            prefix_len: 32,
            scope: 0,
            label: Some("eth0".into()),
            broadcast: None,
            protocol: None,
            lifetime: Some(Duration::from_secs(30)),
            flags: AddressFlags::Noprefixroute,
        };
        assert_eq!(*address, expected);
        assert!(address.has_no_prefix_route() && !address.is_tentative());
    }

    #[test]
    fn ipv6_addresses_are_read() {
        let all = read(include_str!(
            "../../../tests/data/rtnetlink/addresses-ipv6.hex"
        ));
        let [link_local, address] = &all[..] else {
            panic!("{all:?}");
        };
        // The kernel's own: still looked for, for ever, of origin 3 (link-local).
        assert!(link_local.is_tentative() && link_local.is_link_local());
        assert_eq!((link_local.scope, link_local.protocol), (253, Some(3)));
        assert_eq!((link_local.prefix_len, link_local.lifetime), (64, None));
        assert_eq!(address.address, "2001:db8::10".parse::<IpAddr>().unwrap());
        assert_eq!(address.prefix_len, 128);
        assert!(
            address
                .flags
                .contains(AddressFlags::Nodad | AddressFlags::Deprecated)
        );
        assert_eq!(address.lifetime, Some(Duration::from_secs(30)));
    }
}

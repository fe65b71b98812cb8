//! Links, as the kernel lists them.

use alloc::string::String;
use alloc::vec::Vec;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkMessage};

use super::message::{attributes_of, number, text};
use super::{RequestMessage, Rtnetlink};
use crate::address::{InterfaceIndex, MacAddress};
use crate::net::{NetError, Operation};

/// `RTM_NEWLINK`
pub(crate) const ADDED: u16 = 16;
/// `RTM_DELLINK`
pub(crate) const REMOVED: u16 = 17;

/// Bytes of the header of a link message.
const HEADER: usize = 16;

// Attributes, `rtnetlink(7)`.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;

/// What the kernel says about a link. A notification need not say everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LinkRecord {
    pub(crate) index: InterfaceIndex,
    pub(crate) flags: LinkFlags,
    pub(crate) name: Option<String>,
    pub(crate) mtu: Option<u32>,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) base: Option<InterfaceIndex>,
    pub(crate) kind: Option<String>,
    pub(crate) alias: Option<String>,
    /// The bridge, bond or VRF it belongs to.
    pub(crate) controller: Option<InterfaceIndex>,
    /// The group somebody has put it into.
    pub(crate) group: Option<u32>,
}

impl LinkRecord {
    pub(crate) fn is_kind(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Reads the payload of a message; `None` for one that is about something else, such as the
    /// ports of a bridge.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let header = LinkHeader::parse(payload).ok()?;
        if header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let mut record = Self {
            index: InterfaceIndex::new(header.index),
            flags: header.flags,
            name: None,
            mtu: None,
            mac: None,
            base: None,
            kind: None,
            alias: None,
            controller: None,
            group: None,
        };
        let mut has_base_here = true;
        for attribute in attributes_of(payload.get(HEADER..)?) {
            let value = attribute.value();
            match attribute.kind() {
                IFLA_ADDRESS => record.mac = value.try_into().ok().map(MacAddress::new),
                IFLA_IFNAME => record.name = Some(text(value)),
                IFLA_MTU => record.mtu = number(value),
                IFLA_LINK => record.base = number(value).map(InterfaceIndex::new),
                IFLA_MASTER => record.controller = number(value).map(InterfaceIndex::new),
                IFLA_GROUP => record.group = number(value),
                IFLA_LINKINFO => {
                    let mut nested = attributes_of(value);
                    let kind = nested.find(|attribute| attribute.kind() == IFLA_INFO_KIND);
                    record.kind = kind.map(|attribute| text(attribute.value()));
                }
                IFLA_IFALIAS => record.alias = Some(text(value)),
                IFLA_LINK_NETNSID => has_base_here = false,
                _ => {}
            }
        }
        record.base = record.base.filter(|_| has_base_here);
        Some(record)
    }
}

impl Rtnetlink {
    /// Lists all links.
    pub(crate) fn links(&mut self) -> Result<Vec<LinkRecord>, NetError> {
        let what = RequestMessage::GetLink(LinkMessage::default());
        self.list(Operation::ReadLinks, &what, |kind, payload| {
            (kind == ADDED).then(|| LinkRecord::read(payload))?
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

    #[test]
    fn links_are_read_and_ports_of_bridges_are_not() {
        let mut bytes = capture(include_str!("../../../tests/data/rtnetlink/link.hex"));
        let payload = messages(&bytes).next().unwrap().unwrap().payload;
        let record = LinkRecord::read(payload).unwrap();
        let expected = LinkRecord {
            index: InterfaceIndex::new(3),
            flags: record.flags,
            name: Some("eth0".into()),
            mtu: Some(1500),
            mac: Some(MacAddress::new([2, 0, 0, 0, 0, 1])),
            base: Some(InterfaceIndex::new(2)),
            kind: Some("veth".into()),
            alias: Some("uplink".into()),
            controller: None,
            group: Some(0),
        };
        assert_eq!(record, expected);
        assert!(record.is_kind("veth"));
        assert!(record.flags.contains(LinkFlags::Up | LinkFlags::Running));
        // AF_BRIDGE: when it goes, the device stays.
        bytes[16] = 7;
        let payload = messages(&bytes).next().unwrap().unwrap().payload;
        assert_eq!(LinkRecord::read(payload), None);
    }
}

//! Links of the system and their addresses: what there is, and what changes.
//!
//! [`LinkMonitor`] keeps a [`LinkTable`] that is as the kernel's own is, from notifications. When
//! so much happens that some are lost, it lists everything again.
//!
//! ```no_run
//! use lvs_vrrp::net::links::LinkMonitor;
//!
//! let mut monitor = LinkMonitor::open()?;
//! // ... when its descriptor is readable:
//! let changes = monitor.read()?;
//! for index in changes.interfaces {
//!     let link = monitor.links().get(index);
//!     let is_up = link.is_some_and(|link| link.is_running);
//!     let sources = link.map(|link| link.sources(None)).unwrap_or_default();
//!     // node.link(now, index, is_up, &sources);
//! }
//! # Ok::<(), lvs_vrrp::net::NetError>(())
//! ```

mod monitor;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use netlink_packet_route::link::LinkFlags;

pub use self::monitor::{LinkChanges, LinkMonitor};
pub(in crate::net) use self::monitor::{Listed, Listing};
pub use super::netlink::address::InterfaceAddress;
use super::netlink::link::LinkRecord;
use crate::address::{InterfaceIndex, MacAddress};

/// A link: a network interface and its addresses.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Its number.
    pub index: InterfaceIndex,
    /// Its name, which may change.
    pub name: String,
    /// Whether somebody has set it up.
    pub is_up: bool,
    /// Whether it is up and can carry packets: it has a carrier, or is of a kind that has none.
    pub is_running: bool,
    /// Whether what is sent there stays on this host.
    pub is_loopback: bool,
    /// Whether it is one of those where nobody asks for addresses by ARP or neighbour discovery:
    /// tunnels, `dummy`. See [`is_asked`](Self::is_asked).
    pub has_no_arp: bool,
    /// Its MAC address, if it is of a kind that has one of 6 bytes.
    pub mac: Option<MacAddress>,
    /// The longest packet it carries, in bytes.
    pub mtu: u32,
    /// The link it is made of, such as the one below a VLAN or a macvlan, if that is in the same
    /// network namespace.
    pub base: Option<InterfaceIndex>,
    /// Its kind, such as `macvlan`; physical ones have none.
    pub kind: Option<String>,
    /// What somebody has written on it (`ip link set alias`).
    pub alias: Option<String>,
    /// Its addresses, in the order in which they appeared.
    pub addresses: Vec<InterfaceAddress>,
}

impl Link {
    fn new(record: LinkRecord) -> Option<Self> {
        let mut link = Self {
            index: record.index,
            name: record.name.clone()?,
            is_up: false,
            is_running: false,
            is_loopback: false,
            has_no_arp: false,
            mac: None,
            mtu: 0,
            base: None,
            kind: None,
            alias: None,
            addresses: Vec::new(),
        };
        link.update(record);
        Some(link)
    }

    fn update(&mut self, record: LinkRecord) {
        let flags = record.flags;
        self.is_up = flags.contains(LinkFlags::Up);
        self.is_running = flags.contains(LinkFlags::Up.union(LinkFlags::Running));
        self.is_loopback = flags.contains(LinkFlags::Loopback);
        self.has_no_arp = flags.contains(LinkFlags::Noarp);
        if let Some(name) = record.name {
            self.name = name;
        }
        // What says no more than this is about something else, such as a wireless network.
        let Some(mtu) = record.mtu else {
            return;
        };
        self.mtu = mtu;
        self.mac = record.mac;
        self.base = record.base;
        self.kind = record.kind;
        self.alias = record.alias;
    }

    /// Whether neighbours ask for an address of this link, so that announcements belong there. For
    /// an address of another link, such as `lo`, they belong on the interface of the virtual router
    /// (OP-6).
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        !self.is_loopback && !self.has_no_arp
    }

    /// The addresses that advertisements may come from, the first ones of their subnets first: all
    /// but those that cannot be used yet and those that were installed with this tag
    /// ([`AddressBook::tag`](super::addresses::AddressBook::tag)). The order does not change while
    /// the addresses are there.
    #[must_use]
    pub fn sources(&self, tag: Option<u8>) -> Vec<IpAddr> {
        let is_virtual = |address: &InterfaceAddress| tag.is_some() && address.protocol == tag;
        let usable = self.addresses.iter();
        let usable = usable.filter(|address| !address.is_tentative() && !is_virtual(address));
        let (mut sources, others): (Vec<_>, Vec<_>) =
            usable.partition(|address| !address.is_secondary());
        sources.extend(others);
        sources.into_iter().map(|there| there.address).collect()
    }
}

/// All links.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkTable {
    links: BTreeMap<InterfaceIndex, Link>,
    names: BTreeMap<String, InterfaceIndex>,
}

impl LinkTable {
    /// The link of this number.
    #[must_use]
    pub fn get(&self, index: InterfaceIndex) -> Option<&Link> {
        self.links.get(&index)
    }

    /// The link that has this name now.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.get(*self.names.get(name)?)
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// A table of what was listed.
    fn new(records: Vec<LinkRecord>, addresses: Vec<InterfaceAddress>) -> Self {
        let mut table = Self::default();
        for record in records {
            table.add_link(record);
        }
        for address in addresses {
            table.add_address(address);
        }
        table
    }

    /// Whether anything is different.
    fn add_link(&mut self, record: LinkRecord) -> bool {
        let Some(link) = self.links.get_mut(&record.index) else {
            return match Link::new(record) {
                Some(link) => {
                    self.names.insert(link.name.clone(), link.index);
                    self.links.insert(link.index, link).is_none()
                }
                None => false,
            };
        };
        let before = Link {
            addresses: Vec::new(),
            name: link.name.clone(),
            kind: link.kind.clone(),
            alias: link.alias.clone(),
            ..*link
        };
        let addresses = core::mem::take(&mut link.addresses);
        link.update(record);
        let is_different = *link != before;
        link.addresses = addresses;
        if link.name != before.name {
            let (index, name) = (link.index, link.name.clone());
            self.forget_name(&before.name, index);
            self.names.insert(name, index);
        }
        is_different
    }

    fn remove_link(&mut self, index: InterfaceIndex) -> bool {
        let removed = self.links.remove(&index);
        if let Some(link) = &removed {
            self.forget_name(&link.name, index);
        }
        removed.is_some()
    }

    /// Another link may have it by now.
    fn forget_name(&mut self, name: &str, index: InterfaceIndex) {
        if self.names.get(name) == Some(&index) {
            self.names.remove(name);
        }
    }

    /// Whether anything is different but the rest of a lifetime.
    fn add_address(&mut self, address: InterfaceAddress) -> bool {
        let Some(link) = self.links.get_mut(&address.interface) else {
            return false;
        };
        let mut addresses = link.addresses.iter_mut();
        let Some(known) = addresses.find(|known| is_same(known, &address)) else {
            link.addresses.push(address);
            return true;
        };
        let is_different = InterfaceAddress {
            lifetime: known.lifetime,
            ..address.clone()
        } != *known;
        *known = address;
        is_different
    }

    fn remove_address(&mut self, address: &InterfaceAddress) -> bool {
        let Some(link) = self.links.get_mut(&address.interface) else {
            return false;
        };
        let before = link.addresses.len();
        link.addresses.retain(|known| !is_same(known, address));
        link.addresses.len() != before
    }

    /// Makes the table like this one, and gives the links that are different. Addresses keep their
    /// order.
    fn replace(&mut self, mut other: Self) -> Vec<InterfaceIndex> {
        let mut different = Vec::new();
        for (index, link) in &mut other.links {
            let Some(known) = self.links.get(index) else {
                different.push(*index);
                continue;
            };
            let place = |address: &InterfaceAddress| {
                let mut addresses = known.addresses.iter();
                addresses.position(|known| is_same(known, address))
            };
            link.addresses
                .sort_by_key(|address| place(address).unwrap_or(usize::MAX));
            if !is_alike(known, link) {
                different.push(*index);
            }
        }
        let gone = self.links.keys();
        different.extend(gone.filter(|index| !other.links.contains_key(index)));
        *self = other;
        different
    }
}

/// IPv4 knows the same address several times, with different prefixes.
fn is_same(one: &InterfaceAddress, other: &InterfaceAddress) -> bool {
    one.address == other.address && one.prefix_len == other.prefix_len
}

/// Whether they are the same but for the rest of lifetimes.
fn is_alike(one: &Link, other: &Link) -> bool {
    let without = |link: &Link| {
        let mut link = link.clone();
        for address in &mut link.addresses {
            address.lifetime = None;
        }
        link
    };
    without(one) == without(other)
}

//! Following what changes.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use std::os::fd::{AsFd, BorrowedFd};

use super::LinkTable;
use crate::address::{Family, InterfaceIndex};
use crate::net::addresses::AddressKey;
use crate::net::netlink::address::{self, InterfaceAddress};
use crate::net::netlink::link::{self, LinkRecord};
use crate::net::netlink::message::{Message, messages};
use crate::net::netlink::{NetlinkSocket, Received, Rtnetlink};
use crate::net::{NetError, Operation};

/// `RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV6_IFADDR`
const GROUPS: [u32; 3] = [1, 5, 9];

/// Room for some thousand notifications.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams read in one call at most, so that other work goes on.
const AT_ONCE: usize = 64;

/// More than the queue has room for: each takes some hundred bytes at least.
const QUEUE: usize = 1 << 14;

/// Datagrams that are kept while everything is listed; if there are more, it is listed again.
const KEPT: usize = 1 << 13;

/// What has changed since the last look.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkChanges {
    /// Links that appeared, are different, or are gone.
    pub interfaces: BTreeSet<InterfaceIndex>,
    /// Addresses that were there and are not any more, whoever removed them.
    pub removed: BTreeSet<AddressKey>,
    /// Whether notifications were lost, and everything was listed again.
    pub was_overrun: bool,
    /// Whether there is more to read, and waiting for the descriptor would be wrong.
    pub has_more: bool,
}

/// Keeps a table of links and addresses up to date; for the network namespace of the thread that
/// opened it.
#[derive(Debug)]
pub struct LinkMonitor {
    socket: NetlinkSocket,
    // `None` while it is elsewhere, for a listing.
    netlink: Option<Rtnetlink>,
    links: LinkTable,
    // Something was lost, and not everything was listed since.
    lost: Option<Lost>,
}

/// What was told since something was lost, in order: a listing that was begun in between may not have
/// seen it.
#[derive(Debug, Default)]
struct Lost {
    told: Vec<Vec<u8>>,
    // Something was lost again.
    is_again: bool,
}

/// Everything is to be listed, wherever there is time for it.
#[derive(Debug)]
pub(in crate::net) struct Listing {
    netlink: Rtnetlink,
}

/// What became of that.
#[derive(Debug)]
pub(in crate::net) struct Listed {
    netlink: Rtnetlink,
    result: Result<LinkTable, NetError>,
}

impl Listing {
    /// Waits for the kernel, while others configure the network.
    pub(in crate::net) fn run(mut self) -> Listed {
        let result = list(&mut self.netlink);
        let netlink = self.netlink;
        Listed { netlink, result }
    }
}

fn list(netlink: &mut Rtnetlink) -> Result<LinkTable, NetError> {
    let records = netlink.links()?;
    let addresses = netlink.addresses([Family::Ipv4, Family::Ipv6])?;
    Ok(LinkTable::new(records, addresses))
}

impl LinkMonitor {
    /// Lists everything, and follows what changes from there.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open() -> Result<Self, NetError> {
        Self::open_with_receive_buffer(RECEIVE_BUFFER)
    }

    /// As [`open`](Self::open), with a queue of this many bytes for notifications, as far as the
    /// kernel grants it.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open_with_receive_buffer(bytes: usize) -> Result<Self, NetError> {
        // Whatever happens from here on is in the list, or is told, or both.
        let socket = NetlinkSocket::open(&GROUPS)
            .map_err(|error| NetError::new(Operation::OpenNetlinkSocket, "", error))?;
        socket
            .set_receive_buffer(bytes)
            .map_err(|error| NetError::new(Operation::ConfigureSocket, "netlink", error))?;
        let mut netlink = Rtnetlink::open()?;
        let links = list(&mut netlink)?;
        Ok(Self {
            socket,
            netlink: Some(netlink),
            links,
            lost: None,
        })
    }

    /// What there is, as far as it was read.
    #[must_use]
    pub const fn links(&self) -> &LinkTable {
        &self.links
    }

    /// Reads notifications, without waiting; where some were lost it lists everything, and waits for
    /// that.
    ///
    /// # Errors
    ///
    /// The operating system's. The next call lists everything again.
    pub fn read(&mut self) -> Result<LinkChanges, NetError> {
        let mut changes = self.follow()?;
        if let Some(listing) = self.begin_listing() {
            let listed = self.adopt(listing.run())?;
            changes.interfaces.extend(&listed.interfaces);
            changes.removed.extend(&listed.removed);
            changes.removed.retain(|key| !self.links.has(*key));
            changes.was_overrun = true;
            changes.has_more = true;
        }
        Ok(changes)
    }

    /// Reads notifications, some at most, and waits for nothing. Where some were lost,
    /// [`begin_listing`](Self::begin_listing) has something to do.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub(in crate::net) fn follow(&mut self) -> Result<LinkChanges, NetError> {
        let mut changes = LinkChanges::default();
        for _ in 0..AT_ONCE {
            let received = match self.socket.receive() {
                Ok(received) => received,
                Err(error) => {
                    self.lose();
                    return Err(NetError::new(Operation::Monitor, "", error));
                }
            };
            let length = match received {
                Received::Nothing => return Ok(changes),
                Received::Overrun => {
                    self.lose();
                    return Ok(changes);
                }
                Received::Datagram(length) => length,
            };
            let datagram = self.socket.datagram(length);
            if !self.links.take(datagram, &mut changes) {
                self.lose();
                return Ok(changes);
            }
            if let Some(lost) = &mut self.lost {
                lost.is_again |= lost.told.len() >= KEPT;
                if !lost.is_again {
                    lost.told.push(datagram.to_vec());
                }
            }
        }
        changes.has_more = true;
        Ok(changes)
    }

    /// Something was lost: throws away what is left, as everything is listed after that.
    fn lose(&mut self) {
        for _ in 0..QUEUE {
            match self.socket.receive() {
                Ok(Received::Nothing) | Err(_) => break,
                Ok(Received::Datagram(_) | Received::Overrun) => {}
            }
        }
        self.lost = Some(Lost {
            told: Vec::new(),
            is_again: self.lost.is_some(),
        });
    }

    /// Whether something was lost, and not everything was listed since.
    pub(in crate::net) const fn has_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// What lists everything, if something was lost and that is not under way.
    pub(in crate::net) fn begin_listing(&mut self) -> Option<Listing> {
        let lost = self.lost.as_mut()?;
        let netlink = self.netlink.take()?;
        *lost = Lost::default();
        Some(Listing { netlink })
    }

    /// Makes the table as it was listed, and as was told since.
    ///
    /// # Errors
    ///
    /// Why it could not be listed: it is still to be done.
    pub(in crate::net) fn adopt(&mut self, listed: Listed) -> Result<LinkChanges, NetError> {
        self.netlink = Some(listed.netlink);
        let table = listed.result?;
        let mut changes = LinkChanges::default();
        let Some(lost) = self.lost.take_if(|lost| !lost.is_again) else {
            return Ok(changes);
        };
        changes.was_overrun = true;
        let before: Vec<AddressKey> = self.links.keys().collect();
        changes.interfaces.extend(self.links.replace(table));
        for datagram in lost.told {
            self.links.take(&datagram, &mut changes);
        }
        changes.removed.extend(before);
        let links = &self.links;
        changes.removed.retain(|key| !links.has(*key));
        Ok(changes)
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl LinkTable {
    /// Takes over what a datagram says; whether all of it makes sense.
    fn take(&mut self, datagram: &[u8], changes: &mut LinkChanges) -> bool {
        let mut is_whole = true;
        for message in messages(datagram) {
            match message {
                Ok(message) => self.apply(&message, changes),
                Err(_) => is_whole = false,
            }
        }
        is_whole
    }

    /// Takes over what a notification says.
    fn apply(&mut self, message: &Message<'_>, changes: &mut LinkChanges) {
        let payload = message.payload;
        let (index, is_different) = match message.kind {
            link::ADDED | link::REMOVED => {
                let Some(record) = LinkRecord::read(payload) else {
                    return;
                };
                let index = record.index;
                if message.kind == link::ADDED {
                    (index, self.add_link(record))
                } else {
                    let addresses = self.get(index).map(|link| &link.addresses[..]);
                    let keys = addresses.unwrap_or_default().iter().map(key_of);
                    changes.removed.extend(keys);
                    (index, self.remove_link(index))
                }
            }
            address::ADDED | address::REMOVED => {
                let Some(address) = InterfaceAddress::read(payload) else {
                    return;
                };
                let (index, key) = (address.interface, key_of(&address));
                if message.kind == address::ADDED {
                    changes.removed.remove(&key);
                    (index, self.add_address(address))
                } else {
                    let is_different = self.remove_address(&address);
                    if is_different && !self.has(key) {
                        changes.removed.insert(key);
                    }
                    (index, is_different)
                }
            }
            _ => return,
        };
        if is_different {
            changes.interfaces.insert(index);
        }
    }

    fn keys(&self) -> impl Iterator<Item = AddressKey> {
        self.iter()
            .flat_map(|link| link.addresses.iter().map(key_of))
    }

    fn has(&self, key: AddressKey) -> bool {
        let addresses = self.get(key.interface).map(|link| &link.addresses[..]);
        let mut addresses = addresses.unwrap_or_default().iter();
        addresses.any(|there| there.address == key.address)
    }
}

fn key_of(there: &InterfaceAddress) -> AddressKey {
    AddressKey {
        interface: there.interface,
        address: there.address,
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use netlink_packet_route::link::LinkFlags;

    use super::*;
    use crate::net::netlink::{Request, RequestMessage};

    const LO: InterfaceIndex = InterfaceIndex::new(1);

    /// What the kernel tells of an address that is added; the order to add it looks the same.
    fn told(address: IpAddr) -> Vec<u8> {
        let message = RequestMessage::NewAddress(address::message(LO, address, 32));
        let mut datagram = Vec::new();
        Request::new(&message, 0).emit(0, &mut datagram);
        datagram
    }

    fn has(monitor: &LinkMonitor, address: IpAddr) -> bool {
        let interface = LO;
        monitor.links().has(AddressKey { interface, address })
    }

    /// It tells of no such address, nor that it has gone, as there never was one.
    #[test]
    fn what_is_told_while_all_is_listed_counts() {
        let address = IpAddr::from([192, 0, 2, 77]);
        let mut monitor = LinkMonitor::open().unwrap();
        assert!(monitor.begin_listing().is_none());
        monitor.lose();
        let listing = monitor.begin_listing().unwrap();
        assert!(monitor.begin_listing().is_none(), "it is under way");
        let lost = monitor.lost.as_mut().unwrap();
        lost.told.push(told(address));
        let listed = listing.run();
        let changes = monitor.adopt(listed).unwrap();
        assert!(changes.was_overrun && !monitor.has_lost());
        assert!(changes.interfaces.contains(&LO) && has(&monitor, address));
        assert!(monitor.begin_listing().is_none());
    }

    #[test]
    fn what_is_lost_while_all_is_listed_is_listed_again() {
        let address = IpAddr::from([192, 0, 2, 77]);
        let mut monitor = LinkMonitor::open().unwrap();
        monitor.lose();
        let listing = monitor.begin_listing().unwrap();
        let mut changes = LinkChanges::default();
        assert!(monitor.links.take(&told(address), &mut changes));
        monitor.lose();
        let changes = monitor.adopt(listing.run()).unwrap();
        assert!(!changes.was_overrun && monitor.has_lost() && has(&monitor, address));
        let listing = monitor.begin_listing().unwrap();
        let changes = monitor.adopt(listing.run()).unwrap();
        assert!(changes.was_overrun && !monitor.has_lost());
        assert_eq!(changes.removed.len(), 1);
        assert!(!has(&monitor, address));
    }

    #[test]
    fn links_are_found_by_the_names_they_have_now() {
        let mut links = LinkTable::default();
        let record = |index, name: &str| LinkRecord {
            index: InterfaceIndex::new(index),
            flags: LinkFlags::Up,
            name: Some(name.into()),
            mtu: Some(1500),
            mac: None,
            base: None,
            kind: None,
            alias: None,
            controller: None,
            group: None,
        };
        let found =
            |links: &LinkTable, name: &str| links.by_name(name).map(|link| link.index.get());
        links.add_link(record(2, "eth0"));
        links.add_link(record(2, "wan"));
        links.add_link(record(3, "eth0"));
        assert_eq!(found(&links, "wan"), Some(2));
        assert_eq!(found(&links, "eth0"), Some(3));
        links.remove_link(InterfaceIndex::new(2));
        assert_eq!(
            (found(&links, "wan"), found(&links, "eth0")),
            (None, Some(3))
        );
        // Two change their names at once, told one after the other.
        links.add_link(record(4, "lan"));
        links.add_link(record(3, "lan"));
        links.add_link(record(4, "eth0"));
        assert_eq!(
            (found(&links, "lan"), found(&links, "eth0")),
            (Some(3), Some(4))
        );
    }
}

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
const AT_ONCE: usize = 256;

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
    netlink: Rtnetlink,
    links: LinkTable,
    // Something was lost, and listing everything failed.
    is_stale: bool,
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
        let mut monitor = Self {
            socket,
            netlink: Rtnetlink::open()?,
            links: LinkTable::default(),
            is_stale: false,
        };
        monitor.links = monitor.list()?;
        Ok(monitor)
    }

    /// What there is, as far as it was read.
    #[must_use]
    pub const fn links(&self) -> &LinkTable {
        &self.links
    }

    /// Reads notifications, without waiting.
    ///
    /// # Errors
    ///
    /// The operating system's. The next call lists everything again.
    pub fn read(&mut self) -> Result<LinkChanges, NetError> {
        let mut changes = LinkChanges::default();
        if self.is_stale {
            self.recover(&mut changes)?;
            return Ok(changes);
        }
        for _ in 0..AT_ONCE {
            let received = self.socket.receive();
            match received.map_err(|error| NetError::new(Operation::Monitor, "", error))? {
                Received::Nothing => return Ok(changes),
                Received::Overrun => {
                    self.recover(&mut changes)?;
                    return Ok(changes);
                }
                Received::Datagram(length) => {
                    let mut is_whole = true;
                    for message in messages(self.socket.datagram(length)) {
                        match message {
                            Ok(message) => self.links.apply(&message, &mut changes),
                            Err(_) => is_whole = false,
                        }
                    }
                    if !is_whole {
                        self.recover(&mut changes)?;
                        return Ok(changes);
                    }
                }
            }
        }
        changes.has_more = true;
        Ok(changes)
    }

    /// Something was lost: throws away what is left, and lists everything.
    fn recover(&mut self, changes: &mut LinkChanges) -> Result<(), NetError> {
        changes.was_overrun = true;
        // What comes after the listing is told again, so it does not matter where this ends.
        for _ in 0..AT_ONCE {
            match self.socket.receive() {
                Ok(Received::Nothing) | Err(_) => break,
                Ok(Received::Datagram(_) | Received::Overrun) => {}
            }
        }
        changes.has_more = true;
        self.is_stale = true;
        let listed = self.list()?;
        self.is_stale = false;
        let before: Vec<AddressKey> = self.links.keys().collect();
        changes.interfaces.extend(self.links.replace(listed));
        let is_gone = |key: &AddressKey| !self.links.has(*key);
        changes.removed.extend(before.into_iter().filter(is_gone));
        let links = &self.links;
        changes.removed.retain(|key| !links.has(*key));
        Ok(())
    }

    fn list(&mut self) -> Result<LinkTable, NetError> {
        let records = self.netlink.links()?;
        let addresses = self.netlink.addresses([Family::Ipv4, Family::Ipv6])?;
        Ok(LinkTable::new(records, addresses))
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl LinkTable {
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

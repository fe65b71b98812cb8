//! Where an advertisement goes.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::ops::Deref;

use crate::receive::Mode;

/// So many peers need no allocation.
const INLINE: usize = 4;

/// The group, or each peer: a list of addresses, which allocates nothing unless there are more than
/// four peers.
#[derive(Clone, Debug)]
pub struct Destinations {
    few: [IpAddr; INLINE],
    len: usize,
    /// All of them, if they are more.
    many: Vec<IpAddr>,
}

impl Destinations {
    pub(super) fn of(mode: Option<Mode<'_>>) -> Self {
        let mut destinations = Self {
            few: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); INLINE],
            len: 0,
            many: Vec::new(),
        };
        match mode {
            Some(Mode::Multicast { group }) => destinations.extend([group].into_iter()),
            Some(Mode::Unicast { peers }) if peers.len() > INLINE => {
                destinations.many = peers.iter().map(|peer| peer.address()).collect();
            }
            Some(Mode::Unicast { peers }) => {
                destinations.extend(peers.iter().map(|peer| peer.address()));
            }
            None => {}
        }
        destinations
    }

    fn extend(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        for (place, address) in self.few.iter_mut().zip(addresses) {
            *place = address;
            self.len = self.len.saturating_add(1);
        }
    }
}

impl Deref for Destinations {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        if self.many.is_empty() {
            self.few.get(..self.len).unwrap_or_default()
        } else {
            &self.many
        }
    }
}

impl IntoIterator for Destinations {
    type Item = IpAddr;
    type IntoIter = DestinationsIter;

    fn into_iter(self) -> DestinationsIter {
        DestinationsIter {
            destinations: self,
            next: 0,
        }
    }
}

/// One destination after the other.
#[derive(Clone, Debug)]
pub struct DestinationsIter {
    destinations: Destinations,
    next: usize,
}

impl Iterator for DestinationsIter {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let address = self.destinations.get(self.next).copied();
        self.next = self.next.saturating_add(1);
        address
    }
}

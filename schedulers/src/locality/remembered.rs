//! The destinations that the entries of a cache refer to, wherever they are in the list.

use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::locality::pool::{Id, Pool};
use crate::scheduler::Addressed;

/// Each destination that entries refer to, once. A destination is known by its address: removed
/// and added again it is the same one, as it is for the kernel, which keeps it for the cache.
///
/// The hooks keep the places in the list right, so that an entry finds its destination without
/// looking for it. Every place is checked by address before it is used.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    servers: Pool<Server>,
    /// Who is remembered at each index of the list. What is missing or wrong is looked up.
    listed: Vec<Option<Id>>,
}

#[derive(Clone, Debug)]
struct Server {
    address: SocketAddr,
    /// Its index in the list; `None` = removed.
    index: Option<usize>,
    /// How many entries refer to it.
    references: usize,
}

impl Remembered {
    pub(crate) const fn new() -> Self {
        Self {
            servers: Pool::new(),
            listed: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.servers.clear();
        self.listed.clear();
    }

    /// The hook for `list[index]`, which was appended.
    pub(crate) fn added<D: Addressed>(&mut self, list: &[D], index: usize) {
        let Some(d) = list.get(index) else {
            return;
        };
        let known = self.find(d.address());
        self.place(known, index);
    }

    /// The hook for the destination that was at `index`.
    pub(crate) fn removed(&mut self, index: usize) {
        if index < self.listed.len() {
            self.listed.remove(index);
        }
        for server in self.servers.values_mut() {
            server.index = match server.index {
                Some(place) if place == index => None,
                Some(place) if place > index => Some(place - 1),
                place => place,
            };
        }
    }

    /// One more entry refers to `list[index]`; says by which name. `None` if there is no such
    /// destination.
    pub(crate) fn hold<D: Addressed>(&mut self, list: &[D], index: usize) -> Option<Id> {
        let address = list.get(index)?.address();
        if let Some(id) = self.at(index, address) {
            self.servers.get_mut(id)?.references += 1;
            return Some(id);
        }
        let id = match self.find(address) {
            Some(id) => id,
            None => self.servers.insert(Server {
                address,
                index: None,
                references: 0,
            })?,
        };
        self.place(Some(id), index);
        self.servers.get_mut(id)?.references += 1;
        Some(id)
    }

    /// One entry less refers to it.
    pub(crate) fn release(&mut self, id: Id) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        server.references = server.references.saturating_sub(1);
        if server.references > 0 {
            return;
        }
        let place = server.index.and_then(|index| self.listed.get_mut(index));
        if let Some(place) = place.filter(|place| **place == Some(id)) {
            *place = None;
        }
        self.servers.remove(id);
    }

    /// Where it is in the list; `None` = removed.
    #[inline]
    pub(crate) fn index<D: Addressed>(&mut self, id: Id, list: &[D]) -> Option<usize> {
        let server = self.servers.get_mut(id)?;
        let index = server.index?;
        let is_there = |d: &D| d.address() == server.address;
        if list.get(index).is_some_and(is_there) {
            return Some(index);
        }
        // The caller forgot a hook.
        server.index = list.iter().position(is_there);
        server.index
    }

    pub(crate) fn address(&self, id: Id) -> Option<SocketAddr> {
        self.servers.get(id).map(|server| server.address)
    }

    pub(crate) fn contains(&self, address: SocketAddr) -> bool {
        self.find(address).is_some()
    }

    fn at(&self, index: usize, address: SocketAddr) -> Option<Id> {
        let id = (*self.listed.get(index)?)?;
        (self.servers.get(id)?.address == address).then_some(id)
    }

    fn find(&self, address: SocketAddr) -> Option<Id> {
        let mut servers = self.servers.iter();
        let found = servers.find(|(_, server)| server.address == address);
        found.map(|(id, _)| id)
    }

    /// Who is at `index` of the list.
    fn place(&mut self, id: Option<Id>, index: usize) {
        if self.listed.len() <= index {
            self.listed.resize(index + 1, None);
        }
        if let Some(place) = self.listed.get_mut(index) {
            *place = id;
        }
        if let Some(server) = id.and_then(|id| self.servers.get_mut(id)) {
            server.index = Some(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::scheduler::Candidate;

    /// A destination with this port.
    struct Server(u16);

    impl Candidate for Server {
        fn weight(&self) -> u32 {
            1
        }
    }

    impl Addressed for Server {
        fn address(&self) -> SocketAddr {
            ([10, 2, 1, 1], self.0).into()
        }
    }

    fn servers<const N: usize>(ports: [u16; N]) -> Vec<Server> {
        ports.map(Server).into()
    }

    /// With all hooks called, nobody has to be looked for.
    #[test]
    fn places_follow_the_list() {
        let mut list = servers([1, 2, 3, 4]);
        let mut remembered = Remembered::new();
        let [first, third, fourth] = [0, 2, 3].map(|index| remembered.hold(&list, index).unwrap());
        assert_eq!(remembered.hold(&list, 2), Some(third));
        let gone = list.remove(0);
        remembered.removed(0);
        list.remove(0);
        remembered.removed(0);
        assert_eq!(remembered.index(first, &list), None);
        for (index, id) in [third, fourth].into_iter().enumerate() {
            assert_eq!(remembered.index(id, &list), Some(index));
            assert_eq!(remembered.at(index, list[index].address()), Some(id));
        }
        list.push(gone);
        remembered.added(&list, 2);
        assert_eq!(remembered.index(first, &list), Some(2));
        assert_eq!(remembered.at(2, list[2].address()), Some(first));
    }

    #[test]
    fn a_server_is_remembered_until_the_last_reference_is_gone() {
        let list = servers([1, 2]);
        let mut remembered = Remembered::new();
        let id = remembered.hold(&list, 1).unwrap();
        assert_eq!(remembered.hold(&list, 1), Some(id));
        remembered.release(id);
        assert!(remembered.contains(list[1].address()));
        remembered.release(id);
        assert!(!remembered.contains(list[1].address()));
        assert_eq!(remembered.address(id), None);
        assert_eq!(remembered.listed, [None, None]);
        remembered.release(id);
        assert_eq!(remembered.hold(&list, 2), None, "beyond the list");
    }

    /// Forgotten hooks cost a search, and never give another server than was remembered.
    #[test]
    fn a_forgotten_hook_is_made_up_for() {
        let mut list = servers([1, 2, 3]);
        let mut remembered = Remembered::new();
        let [first, second] = [0, 1].map(|index| remembered.hold(&list, index).unwrap());
        list.remove(0);
        assert_eq!(remembered.index(first, &list), None);
        assert_eq!(remembered.index(second, &list), Some(0));
        assert_eq!(remembered.hold(&list, 0), Some(second));
        list.clear();
        assert_eq!(remembered.index(second, &list), None);
    }
}

//! The destinations that the entries of a cache refer to, wherever they are in the list.

use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::pool::{Id, Pool};
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

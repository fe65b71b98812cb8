//! Which router has which address: one that moves from one router to another is installed when the
//! other has removed it, or it would be gone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::InterfaceIndex;

use super::{Node, virtual_addresses};

/// The addresses of all interfaces.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    /// Who has it, or may have it.
    by: BTreeMap<(InterfaceIndex, IpAddr), usize>,
    /// Who waits for it. No two routers of a configuration have the same.
    awaited_by: BTreeMap<(InterfaceIndex, IpAddr), usize>,
}

impl Holders {
    pub(super) fn take(&mut self, key: usize, index: InterfaceIndex, addresses: &[IpAddr]) {
        self.by
            .extend(addresses.iter().map(|address| ((index, *address), key)));
    }

    /// A router had these and has those: gives who waited for the others.
    pub(super) fn release(
        &mut self,
        key: usize,
        index: InterfaceIndex,
        had: &[IpAddr],
        has: &[IpAddr],
    ) -> Vec<usize> {
        if had.len() == has.len() {
            return Vec::new();
        }
        for address in had {
            if self.by.get(&(index, *address)) == Some(&key) {
                self.by.remove(&(index, *address));
            }
        }
        self.take(key, index, has);
        let gone = had.iter().map(|address| (index, *address));
        let gone = gone.filter(|place| !self.by.contains_key(place));
        let waiting = &mut self.awaited_by;
        gone.filter_map(|place| waiting.remove(&place)).collect()
    }

    /// Whether some router has it, or may have it.
    pub(super) fn has(&self, index: InterfaceIndex, address: IpAddr) -> bool {
        self.by.contains_key(&(index, address))
    }

    /// Whether another router has it; then this one waits.
    fn is_taken(&mut self, key: usize, place: (InterfaceIndex, IpAddr)) -> bool {
        let is_taken = self.by.get(&place).is_some_and(|other| *other != key);
        if is_taken {
            self.awaited_by.insert(place, key);
        }
        is_taken
    }
}

impl Node {
    /// The addresses of a router that nobody else has on its interface.
    pub(super) fn free_addresses(&mut self, key: usize) -> Vec<IpAddr> {
        let Some(router) = self.routers.get(key) else {
            return Vec::new();
        };
        let (index, holders) = (router.setup.interface, &mut self.holders);
        virtual_addresses(router.machine.config())
            .filter(|address| !holders.is_taken(key, (index, *address)))
            .collect()
    }

    /// Addresses are free now: others may have waited for them.
    pub(super) fn continue_others(&mut self, key: usize, had: &[IpAddr]) {
        let Some(router) = self.routers.get(key) else {
            return;
        };
        let (index, has) = (router.setup.interface, router.work.installed());
        for other in self.holders.release(key, index, had, has) {
            if let Some(router) = self.router_mut(other) {
                router.work.doubt();
            }
            self.continue_work(other);
        }
    }
}

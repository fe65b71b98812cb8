//! Which addresses of an interface are its own: virtual ones come and go, and belong to whoever is
//! Active (spec 1.2).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::{Node, virtual_addresses};
use crate::address::{Family, InterfaceIndex};
use crate::config::{RouterConfig, SourcePolicy};
use crate::event::InitReason;

impl Node {
    /// Tells real addresses from virtual ones. Virtual are those of all routers of the interface
    /// that do not own them, and those that were installed and have not been seen to go: a
    /// configuration forgets them before the interface does.
    pub(super) fn find_real(&mut self, index: InterfaceIndex) {
        let Some(interface) = self.interfaces.get_mut(&index) else {
            return;
        };
        let (routers, holders) = (&self.routers, &self.holders);
        let here = interface.routers.iter().filter_map(|key| routers.get(*key));
        let others = here.filter(|router| !router.setup.config.is_owner());
        let configured: BTreeSet<IpAddr> = others
            .flat_map(|router| virtual_addresses(&router.setup.config))
            .collect();
        let told = &interface.addresses;
        interface
            .placed
            .retain(|address| holders.has(index, *address) || told.contains(address));
        let placed = &interface.placed;
        let is_real =
            |address: &&IpAddr| !configured.contains(address) && !placed.contains(address);
        interface.real = told.iter().filter(is_real).copied().collect();
    }

    pub(super) fn find_all_real(&mut self) {
        let all: Vec<InterfaceIndex> = self.interfaces.keys().copied().collect();
        for index in all {
            self.find_real(index);
        }
    }

    /// These are going to be installed. They were configured, so none of them is taken for real.
    pub(super) fn place(&mut self, key: usize, addresses: &[IpAddr]) {
        let Some(router) = self.router(key).filter(|r| !r.setup.config.is_owner()) else {
            return;
        };
        let index = router.setup.interface;
        if let Some(interface) = self.interfaces.get_mut(&index) {
            interface.placed.extend(addresses);
        }
    }
}

/// From which of the real addresses of its interface a router advertises (`VRRP-001`).
pub(super) fn choose_source(config: &RouterConfig, real: &[IpAddr]) -> Result<IpAddr, InitReason> {
    let is_usable = |address: &IpAddr| match (config.source(), address) {
        (SourcePolicy::Fixed(fixed), address) => *address == fixed,
        (SourcePolicy::Primary, IpAddr::V4(_)) => config.family() == Family::Ipv4,
        (SourcePolicy::Primary, IpAddr::V6(v6)) => {
            config.family() == Family::Ipv6 && v6.is_unicast_link_local()
        }
    };
    let mut candidates = real.iter().copied();
    candidates.find(is_usable).ok_or(InitReason::NoSource)
}

//! For which router a packet is: an array per interface and family, by virtual router id.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use super::{Node, Router};
use crate::address::{Family, InterfaceIndex};
use crate::codec::Authentication;
use crate::receive::{LocalRouter, Lookup, Mode, Routers};
use crate::vrid::Vrid;

/// The routers of an interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    v4: Option<Box<[Option<usize>; 256]>>,
    v6: Option<Box<[Option<usize>; 256]>>,
    /// Those with unicast peers.
    unicast: Vec<usize>,
    expects_authentication_header: bool,
}

impl Slots {
    /// Puts a router in; gives the one with the same key that was there.
    pub(super) fn insert(&mut self, key: usize, router: &Router) -> Option<usize> {
        let config = router.machine.config();
        if let Mode::Unicast { .. } = config.mode() {
            self.unicast.push(key);
        }
        self.expects_authentication_header |=
            matches!(config.authentication(), Authentication::Header(_));
        let slots = match config.family() {
            Family::Ipv4 => &mut self.v4,
            Family::Ipv6 => &mut self.v6,
        };
        let slots = slots.get_or_insert_with(|| Box::new([None; 256]));
        let slot = slots.get_mut(usize::from(config.vrid().get()))?;
        slot.replace(key)
    }

    fn first(&self, family: Family, vrid: Vrid) -> Option<usize> {
        let slots = match family {
            Family::Ipv4 => &self.v4,
            Family::Ipv6 => &self.v6,
        };
        *slots.as_ref()?.get(usize::from(vrid.get()))?
    }
}

impl Node {
    /// The router a packet is for. Several of one key are told apart by their peers; the first
    /// takes what is from nobody's.
    pub(super) fn find_key(
        &self,
        interface: InterfaceIndex,
        family: Family,
        vrid: Vrid,
        source: IpAddr,
    ) -> Option<usize> {
        let first = self.interfaces.get(&interface)?.slots.first(family, vrid)?;
        let mut at = Some(first);
        while let Some(key) = at {
            let router = self.router(key)?;
            if router.next_in_slot.is_none() && key == first {
                return at;
            }
            if has_peer(router, source) {
                return at;
            }
            at = router.next_in_slot;
        }
        Some(first)
    }
}

fn has_peer(router: &Router, source: IpAddr) -> bool {
    match router.machine.config().mode() {
        Mode::Unicast { peers } => peers.iter().any(|peer| peer.address() == source),
        Mode::Multicast { .. } => false,
    }
}

impl Routers for Node {
    fn peer_ttl(&self, interface: InterfaceIndex, source: IpAddr) -> Option<RangeInclusive<u8>> {
        let interface = self.interfaces.get(&interface)?;
        let routers = interface.slots.unicast.iter();
        let routers = routers.filter_map(|key| self.router(*key));
        let peers = routers.filter_map(|router| match router.machine.config().mode() {
            Mode::Unicast { peers } => peers.iter().find(|peer| peer.address() == source),
            Mode::Multicast { .. } => None,
        });
        let ranges = peers.map(|peer| peer.ttl().clone());
        ranges.reduce(|one, other| *one.start().min(other.start())..=*one.end().max(other.end()))
    }

    fn expects_authentication_header(&self, interface: InterfaceIndex) -> bool {
        let interface = self.interfaces.get(&interface);
        interface.is_some_and(|interface| interface.slots.expects_authentication_header)
    }

    fn find(
        &self,
        interface: InterfaceIndex,
        family: Family,
        vrid: Vrid,
        source: IpAddr,
    ) -> Lookup<'_> {
        let key = self.find_key(interface, family, vrid, source);
        let Some(router) = key.and_then(|key| self.router(key)) else {
            return Lookup::Unknown;
        };
        let config = router.machine.config();
        let own = self.interfaces.get(&interface);
        let mut local = LocalRouter::new(
            config.versions(),
            router.machine.effective_priority(),
            config.interval(),
            config.addresses(),
            config.switches().receive,
        );
        local.own_addresses = own.map_or(&[], |interface| &interface.real);
        local.authentication = config.authentication();
        // After the last number the counter begins anew, or nobody could be heard any more.
        local.sequence = router.sequence.filter(|last| *last < u32::MAX);
        local.mode = config.mode();
        local.active = router.machine.active();
        #[cfg(feature = "hmac-trailer")]
        {
            local.trailer = self.trailer_rules(router, source);
        }
        Lookup::Router(local)
    }
}

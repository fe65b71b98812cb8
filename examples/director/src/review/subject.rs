//! What is looked at: a configuration, and what of it this process runs.

use core::net::IpAddr;
use core::slice::from_ref;

use lvs_vrrp::net::DriverConfig;

use crate::keepalived::{
    Check, CheckKind, Config, Connection, GroupEntry, Position, Protocol, RealServer,
    VirtualAddress, VirtualServer,
};
use crate::vrrp::{Plan, PlannedAddress, PlannedGroup, PlannedRouter};

/// What is to be reviewed.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Subject<'a> {
    config: &'a Config,
    plan: &'a Plan,
    is_with_vrrp: bool,
    is_with_checkers: bool,
    has_empty_standby: bool,
    drains: bool,
}

impl<'a> Subject<'a> {
    /// A configuration of which everything is run, by a director whose table is ready while it is on
    /// standby.
    pub const fn new(config: &'a Config, plan: &'a Plan) -> Self {
        Self {
            config,
            plan,
            is_with_vrrp: true,
            is_with_checkers: true,
            has_empty_standby: false,
            drains: false,
        }
    }

    /// Virtual routers are not run (`-C`); another process may run them.
    pub const fn without_vrrp(mut self) -> Self {
        self.is_with_vrrp = false;
        self
    }

    /// Virtual services are not run (`-P`).
    pub const fn without_checkers(mut self) -> Self {
        self.is_with_checkers = false;
        self
    }

    /// On standby the table is empty (`OP-19`).
    pub const fn with_empty_standby(mut self) -> Self {
        self.has_empty_standby = true;
        self
    }

    /// What is removed is drained: weight 0 until its connections have ended (`OP-11`).
    pub const fn draining(mut self) -> Self {
        self.drains = true;
        self
    }

    pub(super) fn driver_config(&self) -> DriverConfig {
        self.plan.driver_config().0
    }

    pub(super) fn group_of(&self, router: &PlannedRouter) -> Option<&'a PlannedGroup> {
        let mut groups = self.plan.groups().iter();
        groups.find(|group| group.members.contains(&router.name))
    }

    pub(super) const fn config(&self) -> &'a Config {
        self.config
    }

    pub(super) const fn is_with_vrrp(&self) -> bool {
        self.is_with_vrrp
    }

    pub(super) const fn is_with_checkers(&self) -> bool {
        self.is_with_checkers
    }

    pub(super) const fn has_empty_standby(&self) -> bool {
        self.has_empty_standby
    }

    pub(super) const fn drains(&self) -> bool {
        self.drains
    }

    pub(super) fn services(&self) -> &'a [VirtualServer] {
        self.config.virtual_servers()
    }

    /// Virtual servers with their real servers.
    pub(super) fn servers(&self) -> impl Iterator<Item = (&'a VirtualServer, &'a RealServer)> {
        let services = self.config.virtual_servers().iter();
        services.flat_map(|service| service.real_servers.iter().map(move |it| (service, it)))
    }

    pub(super) fn routers(&self) -> &'a [PlannedRouter] {
        self.plan.routers()
    }

    /// Addresses that move, with the virtual router they belong to.
    pub(super) fn virtual_addresses(
        &self,
    ) -> impl Iterator<Item = (&'a PlannedRouter, &'a PlannedAddress)> {
        let routers = self.plan.routers().iter();
        routers.flat_map(|router| router.addresses.iter().map(move |it| (router, it)))
    }

    /// What a service is reached at: first and last address, and the port.
    pub(super) fn ranges(&self, service: &VirtualServer) -> Vec<(IpAddr, IpAddr, u16)> {
        match &service.address {
            VirtualAddress::Socket(socket) => vec![(socket.ip(), socket.ip(), socket.port())],
            VirtualAddress::Group(name) => {
                let group = self.config.group(name);
                let entries = group.map_or(&[][..], |group| &group.entries);
                let ranges = entries.iter().filter_map(|entry| match entry {
                    GroupEntry::Addresses(range) => Some((range.first, range.last, range.port)),
                    GroupEntry::Fwmark { .. } => None,
                });
                ranges.collect()
            }
            VirtualAddress::Fwmark(_) => Vec::new(),
        }
    }

    /// The marks of a service.
    pub(super) fn marks(&self, service: &VirtualServer) -> Vec<u32> {
        match &service.address {
            VirtualAddress::Fwmark(mark) => vec![mark.get()],
            VirtualAddress::Group(name) => {
                let group = self.config.group(name);
                let entries = group.map_or(&[][..], |group| &group.entries);
                let marks = entries.iter().filter_map(|entry| match entry {
                    GroupEntry::Fwmark { mark, .. } => Some(mark.get()),
                    GroupEntry::Addresses(_) => None,
                });
                marks.collect()
            }
            VirtualAddress::Socket(_) => Vec::new(),
        }
    }

    /// Whether clients connect to this address: it is a service's, or moves with a virtual router.
    pub(super) fn is_virtual(&self, address: IpAddr) -> bool {
        let mut moving = self.virtual_addresses();
        moving.any(|(_, moving)| moving.ip == address)
            || self
                .services()
                .iter()
                .any(|service| match &service.address {
                    // By far the most.
                    VirtualAddress::Socket(socket) => socket.ip() == address,
                    _ => {
                        let mut ranges = self.ranges(service).into_iter();
                        ranges.any(|(first, last, _)| (first..=last).contains(&address))
                    }
                })
    }

    /// Where the first of what it runs is configured; none if there is nothing.
    pub(super) fn place(&self) -> Option<&'a Position> {
        let service = self.services().first().map(|service| &service.position);
        let router = self.routers().first().map(|router| &router.position);
        let service = service.filter(|_| self.is_with_checkers);
        let router = router.filter(|_| self.is_with_vrrp);
        service.or(router)
    }
}

/// Where a check connects to, if it is one that does.
pub(super) fn connections(check: &Check) -> &[Connection] {
    match &check.kind {
        CheckKind::Tcp(connection) | CheckKind::Ping(connection) => from_ref(connection),
        CheckKind::Http(check) | CheckKind::Https(check) => from_ref(&check.connection),
        CheckKind::Smtp(check) => from_ref(&check.connection),
        CheckKind::Dns(check) => from_ref(&check.connection),
        CheckKind::Udp(check) => from_ref(&check.connection),
        _ => &[],
    }
}

/// `TCP 192.0.2.1:80`, `fwmark 7`
pub(super) fn name(service: &VirtualServer) -> String {
    match service.protocol {
        Some(protocol) => format!("{protocol} {}", service.address),
        None => service.address.to_string(),
    }
}

/// Whether packets of one connection cannot be told from those of the next.
pub(super) fn is_udp(service: &VirtualServer) -> bool {
    service.protocol == Some(Protocol::Udp)
}

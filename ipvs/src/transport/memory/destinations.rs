//! Destinations: the `DEST` nest, the list of a service, and the trash.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use nix::libc::{EINVAL, ERANGE};

use super::Errno;
use super::generation::Generation;
use super::netlink::{ExtendedAck, Writer};
use super::policy::{self, Attributes};
use super::services::{Identity, RawAddress, family, normalise, raw_address};
use super::stats::put_stats;
use crate::address::Family;
use crate::destination::DestinationKey;
use crate::stats::Stats;
use crate::wire::attributes::destination as attribute;

/// `IP_VS_CONN_F_FWD_MASK`: the bits of `FWD_METHOD` that survive.
const METHOD_MASK: u32 = 7;
/// The only method that may lead to the other address family.
const TUNNEL: u32 = 2;
/// `IP_VS_CONN_F_TUNNEL_TYPE_GUE`.
const GUE: u8 = 1;

/// What the kernel finds a destination by, within its service.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct DestinationIdentity {
    pub(super) family: Family,
    pub(super) address: RawAddress,
    pub(super) port: u16,
}

impl DestinationIdentity {
    pub(super) fn ip(&self) -> IpAddr {
        match self.family {
            Family::Inet => {
                let [a, b, c, d, ..] = self.address;
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            Family::Inet6 => IpAddr::V6(Ipv6Addr::from(self.address)),
        }
    }
}

impl From<DestinationKey> for DestinationIdentity {
    fn from(key: DestinationKey) -> Self {
        Self {
            family: key.family(),
            address: raw_address(key.address),
            port: key.port,
        }
    }
}

/// Everything a full nest sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    method: u32,
    weight: i32,
    upper: u32,
    lower: u32,
    tunnel_type: u8,
    tunnel_port: u16,
    tunnel_flags: u16,
}

/// A parsed nest before its family is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    address: RawAddress,
    port: u16,
    family: u16,
    /// `None` where the identity alone was asked for.
    settings: Option<Settings>,
}

impl Asked {
    /// The nest and its attributes. Extended acknowledgements never hear of failures.
    pub(super) fn read(
        nest: Option<&[u8]>,
        full: bool,
        generation: &Generation,
    ) -> Result<Self, Errno> {
        let known = |number| match number {
            attribute::ADDR_FAMILY => generation.destination_families,
            attribute::STATS64 => generation.stats64,
            attribute::TUN_TYPE | attribute::TUN_PORT => generation.tunnel_types,
            attribute::TUN_FLAGS => generation.tunnel_flags,
            _ => true,
        };
        let mut unheard = ExtendedAck::default();
        let nest = nest.ok_or(EINVAL)?;
        let attributes = policy::parse(nest, &policy::DESTINATION, known, 0, &mut unheard)
            .map_err(|_| EINVAL)?;
        Ok(Self {
            address: attributes.filled(attribute::ADDR).ok_or(EINVAL)?,
            port: attributes.be16(attribute::PORT).ok_or(EINVAL)?,
            family: attributes.u16(attribute::ADDR_FAMILY).unwrap_or(0),
            settings: match full {
                true => Some(settings(&attributes).ok_or(EINVAL)?),
                false => None,
            },
        })
    }

    /// Family, and whether it may differ from that of the service.
    pub(super) fn resolve(
        &self,
        service: Family,
        daemon_runs: bool,
        generation: &Generation,
    ) -> Result<DestinationIdentity, Errno> {
        let family = match self.family {
            0 => service,
            number => family(number, generation)?,
        };
        if let Some(settings) = self.settings.filter(|_| family != service) {
            if daemon_runs || settings.method != TUNNEL {
                return Err(EINVAL);
            }
        }
        Ok(DestinationIdentity {
            family,
            address: normalise(family, self.address),
            port: self.port,
        })
    }

    /// Weight, thresholds and tunnel port.
    pub(super) fn check(&self, generation: &Generation) -> Result<Settings, Errno> {
        let settings = self.settings.ok_or(EINVAL)?;
        if settings.weight < 0 || settings.lower > settings.upper {
            return Err(ERANGE);
        }
        if generation.threshold_limit && settings.upper > i32::MAX.unsigned_abs() {
            return Err(EINVAL);
        }
        if settings.tunnel_type == GUE && settings.tunnel_port == 0 {
            return Err(EINVAL);
        }
        Ok(settings)
    }
}

fn settings(attributes: &Attributes<'_, 16>) -> Option<Settings> {
    Some(Settings {
        method: attributes.u32(attribute::FWD_METHOD)? & METHOD_MASK,
        weight: i32::from_ne_bytes(attributes.array(attribute::WEIGHT)?),
        upper: attributes.u32(attribute::U_THRESH)?,
        lower: attributes.u32(attribute::L_THRESH)?,
        tunnel_type: attributes.u8(attribute::TUN_TYPE).unwrap_or(0),
        tunnel_port: attributes.be16(attribute::TUN_PORT).unwrap_or(0),
        tunnel_flags: attributes.u16(attribute::TUN_FLAGS).unwrap_or(0),
    })
}

/// Connections by kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Connections {
    pub(super) active: u32,
    pub(super) inactive: u32,
    pub(super) persistent: u32,
}

impl Connections {
    fn any(self) -> bool {
        self != Self::default()
    }
}

/// A destination, in a list or in the trash.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) identity: DestinationIdentity,
    settings: Settings,
    pub(super) connections: Connections,
    pub(super) stats: Stats,
    /// The service it was last bound to, by serial number.
    service: u64,
}

impl Destination {
    pub(super) fn new(identity: DestinationIdentity, settings: Settings, service: u64) -> Self {
        Self {
            identity,
            settings,
            connections: Connections::default(),
            stats: Stats::default(),
            service,
        }
    }

    /// Comes back from the trash: connections go on counting; statistics only within the same
    /// service object (`ip_vs_ctl.c`).
    pub(super) fn rebind(&mut self, settings: Settings, service: u64) {
        self.settings = settings;
        if self.service != service {
            self.service = service;
            self.stats = Stats::default();
        }
    }

    pub(super) const fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Appends the nest `DEST` of a reply, attributes in the kernel's order.
    pub(super) fn write(&self, writer: &mut Writer<'_>, generation: &Generation) {
        let Self {
            identity,
            settings,
            connections,
            ..
        } = self;
        writer.nest(crate::wire::attributes::top::DEST, |writer| {
            writer.put(attribute::ADDR, &identity.address);
            writer.put_be16(attribute::PORT, identity.port);
            writer.put_u32(attribute::FWD_METHOD, settings.method);
            writer.put(attribute::WEIGHT, &settings.weight.to_ne_bytes());
            if generation.tunnel_types {
                writer.put_u8(attribute::TUN_TYPE, settings.tunnel_type);
                writer.put_be16(attribute::TUN_PORT, settings.tunnel_port);
            }
            if generation.tunnel_flags {
                writer.put_u16(attribute::TUN_FLAGS, settings.tunnel_flags);
            }
            writer.put_u32(attribute::U_THRESH, settings.upper);
            writer.put_u32(attribute::L_THRESH, settings.lower);
            writer.put_u32(attribute::ACTIVE_CONNS, connections.active);
            writer.put_u32(attribute::INACT_CONNS, connections.inactive);
            writer.put_u32(attribute::PERSIST_CONNS, connections.persistent);
            if generation.destination_families {
                writer.put_u16(attribute::ADDR_FAMILY, identity.family.number());
            }
            let nests = (attribute::STATS, attribute::STATS64);
            put_stats(writer, generation, nests, &self.stats);
        });
    }
}

/// The destinations of a service. New ones go to the head of the list.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    // By age: the newest has the largest number.
    by_age: BTreeMap<u64, Destination>,
    ages: HashMap<DestinationIdentity, u64>,
    last: u64,
}

impl Destinations {
    pub(super) fn contains(&self, identity: &DestinationIdentity) -> bool {
        self.ages.contains_key(identity)
    }

    pub(super) fn get_mut(&mut self, identity: &DestinationIdentity) -> Option<&mut Destination> {
        self.by_age.get_mut(self.ages.get(identity)?)
    }

    pub(super) fn insert(&mut self, destination: Destination) {
        self.last = self.last.saturating_add(1);
        self.ages.insert(destination.identity, self.last);
        self.by_age.insert(self.last, destination);
    }

    pub(super) fn remove(&mut self, identity: &DestinationIdentity) -> Option<Destination> {
        let age = self.ages.remove(identity)?;
        self.by_age.remove(&age)
    }

    /// In the order of dumps: newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.by_age.values().rev()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Destination> {
        self.by_age.values_mut()
    }

    pub(super) fn into_newest_first(self) -> impl Iterator<Item = Destination> {
        self.by_age.into_values().rev()
    }
}

/// How often the kernel looks into the trash, and how long a destination stays without
/// connections (`ip_vs_ctl.c`).
const CHECK: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_secs(120);
/// The kernel has no such limit, but time too, which a memory kernel may never see.
const TRASH: usize = 16384;

/// A removed destination and the service it belonged to.
#[derive(Debug)]
struct Trashed {
    destination: Destination,
    service: Identity,
    idle_since: Option<Duration>,
}

/// What the kernel compares first: it forgets the family of the service.
type TrashKey = (DestinationIdentity, u32, u16);

/// Removed destinations, which come back with their counters when they are added again.
#[derive(Debug, Default)]
pub(super) struct Trash {
    // By age.
    entries: BTreeMap<u64, Trashed>,
    // Newest last, as the search goes backwards.
    by_key: HashMap<TrashKey, Vec<u64>>,
    last: u64,
    now: Duration,
    next_check: Option<Duration>,
}

impl Trash {
    fn key(trashed: &Trashed) -> TrashKey {
        let service = trashed.service;
        (trashed.destination.identity, service.mark, service.protocol)
    }

    pub(super) fn put(&mut self, destination: Destination, service: Identity) {
        if self.entries.is_empty() {
            self.next_check = self.now.checked_add(CHECK);
        }
        self.last = self.last.saturating_add(1);
        let trashed = Trashed {
            destination,
            service,
            idle_since: None,
        };
        self.by_key
            .entry(Self::key(&trashed))
            .or_default()
            .push(self.last);
        self.entries.insert(self.last, trashed);
        if self.entries.len() > TRASH {
            let oldest = self.entries.keys().next().copied();
            oldest.and_then(|oldest| self.remove(oldest));
        }
    }

    /// Takes out what the kernel would find for a destination added to that service.
    pub(super) fn take(
        &mut self,
        identity: &DestinationIdentity,
        service: &Identity,
    ) -> Option<Destination> {
        let candidates = self
            .by_key
            .get(&(*identity, service.mark, service.protocol))?;
        let entries = &self.entries;
        let found = candidates.iter().rev().copied().find(|number| {
            entries.get(number).is_some_and(|trashed| {
                let old = trashed.service;
                // Only as many bytes as the new service's family has.
                service.mark != 0
                    || (normalise(service.family, old.address) == service.address
                        && old.port == service.port)
            })
        })?;
        self.remove(found)
    }

    fn remove(&mut self, number: u64) -> Option<Destination> {
        let trashed = self.entries.remove(&number)?;
        let key = Self::key(&trashed);
        if let Some(numbers) = self.by_key.get_mut(&key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(trashed.destination)
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now.saturating_add(by);
        // After four checks nothing is left but what has connections, however long it took.
        for _ in 0..4 {
            match self.next_check {
                Some(check) if check <= end && !self.entries.is_empty() => {
                    self.now = check;
                    self.check();
                    self.next_check = check.checked_add(CHECK);
                }
                _ => break,
            }
        }
        self.now = end;
        if self.next_check.is_some_and(|check| check <= end) {
            self.next_check = end.checked_add(CHECK);
        }
    }

    fn check(&mut self) {
        let now = self.now;
        let mut expired = Vec::new();
        for (number, trashed) in &mut self.entries {
            if trashed.destination.connections.any() {
                continue;
            }
            match trashed.idle_since {
                None => trashed.idle_since = Some(now),
                Some(since) if now.saturating_sub(since) < PERIOD => {}
                Some(_) => expired.push(*number),
            }
        }
        for number in expired {
            self.remove(number);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

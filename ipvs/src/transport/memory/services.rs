//! Virtual services: the `SERVICE` nest, the table, and its order.

use core::cmp::Reverse;
use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};

use nix::libc::{EAFNOSUPPORT, EINVAL, ENOENT};

use super::Errno;
use super::destinations::Destinations;
use super::generation::Generation;
use super::netlink::{ExtendedAck, Writer};
use super::policy::{self, Attributes};
use super::stats::put_stats;
use crate::address::Family;
use crate::service::ServiceKey;
use crate::stats::Stats;
use crate::wire::attributes::service as attribute;

/// `IP_VS_SVC_F_HASHED`: set for every service in the table.
const HASHED: u32 = 2;

/// An address as the kernel keeps it: IPv4 in the first four bytes, then zeros.
pub(super) type RawAddress = [u8; 16];

/// The bytes of `address` that count in `family`.
pub(super) fn normalise(family: Family, mut address: RawAddress) -> RawAddress {
    if family == Family::Inet {
        if let Some(rest) = address.get_mut(4..) {
            rest.fill(0);
        }
    }
    address
}

pub(super) fn raw_address(address: IpAddr) -> RawAddress {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            for (slot, byte) in bytes.iter_mut().zip(address.octets()) {
                *slot = byte;
            }
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// The family of a number, where this kernel has it.
pub(super) fn family(number: u16, generation: &Generation) -> Result<Family, Errno> {
    Family::from_number(number)
        .filter(|family| *family == Family::Inet || generation.ipv6)
        .ok_or(EAFNOSUPPORT)
}

/// What the kernel finds a service by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Identity {
    pub(super) family: Family,
    /// 0 for a service with an address.
    pub(super) mark: u32,
    pub(super) protocol: u16,
    pub(super) address: RawAddress,
    pub(super) port: u16,
}

impl Identity {
    /// Reads the identity of a nest: the nest, its key, its family.
    pub(super) fn read(
        attributes: &Attributes<'_, 13>,
        generation: &Generation,
    ) -> Result<Self, Errno> {
        let number = attributes.u16(attribute::AF).ok_or(EINVAL)?;
        let mark = attributes.u32(attribute::FWMARK);
        let address = (
            attributes.u16(attribute::PROTOCOL),
            attributes.filled(attribute::ADDR),
            attributes.be16(attribute::PORT),
        );
        let key = match (mark, address) {
            // A mark hides the rest; filed as TCP, address 0, port 0.
            (Some(mark), _) => (mark, 6, [0; 16], 0),
            (None, (Some(protocol), Some(address), Some(port))) => (0, protocol, address, port),
            _ => return Err(EINVAL),
        };
        let family = family(number, generation)?;
        let (mark, protocol, address, port) = key;
        Ok(Self {
            family,
            mark,
            protocol,
            address: normalise(family, address),
            port,
        })
    }

    /// FNV-1a over the key: as good a hash as any other for an order nobody may rely on.
    fn bucket(&self) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let key = self.mark.to_ne_bytes();
        let key = key.iter().chain(&self.address);
        let key = key.copied().chain(self.port.to_ne_bytes());
        for byte in key.chain(self.protocol.to_ne_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        // The kernel's table has 256 buckets.
        (hash >> 32) & 0xff
    }
}

impl From<ServiceKey> for Identity {
    fn from(key: ServiceKey) -> Self {
        match key {
            ServiceKey::Address {
                protocol,
                address,
                port,
            } => Self {
                family: Family::of(address),
                mark: 0,
                protocol: protocol.number(),
                address: raw_address(address),
                port,
            },
            ServiceKey::FirewallMark { family, mark } => Self {
                family,
                mark,
                protocol: 6,
                address: [0; 16],
                port: 0,
            },
        }
    }
}

/// Parses the nest; extended acknowledgements never hear of it (`ip_vs_ctl.c`).
pub(super) fn parse<'a>(
    nest: Option<&'a [u8]>,
    generation: &Generation,
) -> Result<Attributes<'a, 13>, Errno> {
    let known = |number| match number {
        attribute::PE_NAME => generation.engine_names,
        attribute::STATS64 => generation.stats64,
        _ => true,
    };
    let nest = nest.ok_or(EINVAL)?;
    let mut unheard = ExtendedAck::default();
    policy::parse(nest, &policy::SERVICE, known, 0, &mut unheard).map_err(|_| EINVAL)
}

/// The settings of a full nest, as asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    scheduler: &'a [u8],
    engine: Option<&'a [u8]>,
    flags: u32,
    timeout: u32,
    mask: [u8; 4],
}

impl<'a> Asked<'a> {
    /// The settings, all of which must be there; `old_flags` are those of the service if it exists.
    pub(super) fn read(attributes: &Attributes<'a, 13>, old_flags: u32) -> Result<Self, Errno> {
        let read = || {
            let flags: [u8; 8] = attributes.filled(attribute::FLAGS)?;
            let [f0, f1, f2, f3, m0, m1, m2, m3] = flags;
            let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
            let mask = u32::from_ne_bytes([m0, m1, m2, m3]);
            Some(Self {
                scheduler: attributes.text(attribute::SCHED_NAME)?,
                engine: attributes
                    .text(attribute::PE_NAME)
                    .filter(|name| !name.is_empty()),
                flags: (old_flags & !mask) | (flags & mask),
                timeout: attributes.u32(attribute::TIMEOUT)?,
                mask: attributes.array(attribute::NETMASK)?,
            })
        };
        read().ok_or(EINVAL)
    }

    /// The checks that `NEW_SERVICE` and `SET_SERVICE` share (`ip_vs_ctl.c`).
    pub(super) fn check(&self, family: Family, generation: &Generation) -> Result<Settings, Errno> {
        let scheduler = generation.scheduler(self.scheduler).ok_or(ENOENT)?;
        let engine = match self.engine {
            Some(name) => Some(generation.engine(name).ok_or(ENOENT)?),
            None => None,
        };
        if family == Family::Inet6 && !(1..=128).contains(&u32::from_ne_bytes(self.mask)) {
            return Err(EINVAL);
        }
        Ok(Settings {
            scheduler,
            engine,
            flags: self.flags | HASHED,
            ticks: self.timeout.wrapping_mul(generation.ticks()),
            mask: self.mask,
        })
    }
}

/// The settings of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    scheduler: &'static str,
    engine: Option<&'static str>,
    pub(super) flags: u32,
    /// The persistence timeout, in 32 bits of ticks (`ip_vs_ctl.c`).
    ticks: u32,
    mask: [u8; 4],
}

/// A virtual service with its destinations.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) identity: Identity,
    /// Tells a service from an earlier one with the same identity.
    pub(super) serial: u64,
    pub(super) settings: Settings,
    pub(super) stats: Stats,
    pub(super) destinations: Destinations,
}

impl Service {
    /// Appends the nest `SERVICE` of a reply, attributes in the kernel's order.
    pub(super) fn write(&self, writer: &mut Writer<'_>, generation: &Generation) {
        let Self {
            identity, settings, ..
        } = self;
        writer.nest(crate::wire::attributes::top::SERVICE, |writer| {
            writer.put_u16(attribute::AF, identity.family.number());
            if identity.mark == 0 {
                writer.put_u16(attribute::PROTOCOL, identity.protocol);
                writer.put(attribute::ADDR, &identity.address);
                writer.put_be16(attribute::PORT, identity.port);
            } else {
                writer.put_u32(attribute::FWMARK, identity.mark);
            }
            writer.put_text(attribute::SCHED_NAME, settings.scheduler);
            if let Some(engine) = settings.engine {
                writer.put_text(attribute::PE_NAME, engine);
            }
            let [f0, f1, f2, f3] = settings.flags.to_ne_bytes();
            let flags = [f0, f1, f2, f3, 0xff, 0xff, 0xff, 0xff];
            writer.put(attribute::FLAGS, &flags);
            let seconds = settings
                .ticks
                .checked_div(generation.ticks())
                .unwrap_or_default();
            writer.put_u32(attribute::TIMEOUT, seconds);
            writer.put(attribute::NETMASK, &settings.mask);
            let nests = (attribute::STATS, attribute::STATS64);
            put_stats(writer, generation, nests, &self.stats);
        });
    }
}

/// Where a service stands in the walk: table, bucket, newest first.
type Place = (bool, u64, Reverse<u64>);

/// All services.
#[derive(Debug, Default)]
pub(super) struct Services {
    by_place: BTreeMap<Place, Service>,
    places: HashMap<Identity, Place>,
    last_serial: u64,
}

impl Services {
    pub(super) fn get(&self, identity: &Identity) -> Option<&Service> {
        self.by_place.get(self.places.get(identity)?)
    }

    pub(super) fn get_mut(&mut self, identity: &Identity) -> Option<&mut Service> {
        self.by_place.get_mut(self.places.get(identity)?)
    }

    pub(super) fn insert(&mut self, identity: Identity, settings: Settings, marks_last: bool) {
        self.last_serial = self.last_serial.saturating_add(1);
        let serial = self.last_serial;
        let mark_table = marks_last && identity.mark != 0;
        let place = (mark_table, identity.bucket(), Reverse(serial));
        self.places.insert(identity, place);
        let service = Service {
            identity,
            serial,
            settings,
            stats: Stats::default(),
            destinations: Destinations::default(),
        };
        self.by_place.insert(place, service);
    }

    pub(super) fn remove(&mut self, identity: &Identity) -> Option<Service> {
        let place = self.places.remove(identity)?;
        self.by_place.remove(&place)
    }

    /// Removes the first service of the walk.
    pub(super) fn pop(&mut self) -> Option<Service> {
        let (_, service) = self.by_place.pop_first()?;
        self.places.remove(&service.identity);
        Some(service)
    }

    /// In the order of dumps.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.by_place.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.by_place.values_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

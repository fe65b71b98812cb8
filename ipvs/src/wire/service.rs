//! Services in replies and requests.

use core::net::IpAddr;

use super::attributes::{Nest, service, top};
use super::reader::{Attribute, top_nest};
use super::stats::StatsNests;
use crate::address::Family;
use crate::error::{DecodeError, DecodeProblem};
use crate::flags::ServiceFlags;
use crate::name::EngineName;
use crate::persistence::PersistenceMask;
use crate::scheduler::Scheduler;
use crate::service::{Protocol, ServiceEntry, ServiceKey, VirtualService};
use crate::stats::Stats;
use crate::unknown::UnknownAttributes;

/// A service as it stands in a message: every field read, nothing copied but numbers.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    key: ServiceKey,
    scheduler: Scheduler,
    flags: ServiceFlags,
    timeout_secs: u32,
    mask: PersistenceMask,
    engine: Option<EngineName>,
    stats: Stats,
    unknown: Unknown<'a>,
}

impl<'a> ServiceView<'a> {
    /// Reads the attributes of a message with command `NEW_SERVICE`.
    ///
    /// `offset` is where `attributes` start within the message, for errors.
    ///
    /// # Errors
    ///
    /// The first attribute that is cut off, too short, or missing without a way to do without.
    pub fn read(attributes: &'a [u8], offset: usize) -> Result<Self, DecodeError> {
        Self::read_nest(&top_nest(attributes, top::SERVICE, offset)?)
    }

    fn read_nest(nest: &Attribute<'a>) -> Result<Self, DecodeError> {
        let mut identity = Identity::default();
        let (mut scheduler, mut engine) = (None, None);
        let (mut flags, mut timeout_secs, mut mask) = (ServiceFlags::empty(), 0, None);
        let mut stats = StatsNests::default();
        let mut unknown = Unknown::default();
        for attribute in nest.nested(Nest::Service) {
            let attribute = attribute?;
            match attribute.number {
                service::AF
                | service::PROTOCOL
                | service::ADDR
                | service::PORT
                | service::FWMARK => identity.take(attribute)?,
                service::SCHED_NAME => scheduler = attribute.name()?.map(Scheduler::from_name),
                // Flags, then a mask that is all ones in replies.
                service::FLAGS => flags = ServiceFlags::from_bits_retain(attribute.u32()?),
                service::TIMEOUT => timeout_secs = attribute.u32()?,
                service::NETMASK => mask = Some(attribute.array()?),
                service::PE_NAME => engine = attribute.name()?,
                service::STATS => stats.narrow(attribute),
                service::STATS64 => stats.wide(attribute),
                _ => unknown = Unknown(Some(*nest)),
            }
        }
        let key = identity.key(nest)?;
        let family = key.family();
        Ok(Self {
            key,
            scheduler: scheduler.ok_or_else(|| nest.missing(Nest::Service, service::SCHED_NAME))?,
            flags: flags - ServiceFlags::HASHED,
            timeout_secs,
            mask: mask.map_or_else(
                || PersistenceMask::full(family),
                |bytes| PersistenceMask::from_attribute(family, bytes),
            ),
            engine,
            stats: stats.read()?,
            unknown: unknown.bounded(Nest::Service, service::STATS64)?,
        })
    }

    /// What identifies the service.
    #[must_use]
    pub const fn key(&self) -> ServiceKey {
        self.key
    }

    /// The scheduler.
    #[must_use]
    pub const fn scheduler(&self) -> Scheduler {
        self.scheduler
    }

    /// The flags, without the kernel-internal [`ServiceFlags::HASHED`].
    #[must_use]
    pub const fn flags(&self) -> ServiceFlags {
        self.flags
    }

    /// Persistence timeout in seconds, there whether persistence is on or not.
    #[must_use]
    pub const fn timeout_secs(&self) -> u32 {
        self.timeout_secs
    }

    /// Persistence mask, there whether persistence is on or not.
    #[must_use]
    pub const fn mask(&self) -> PersistenceMask {
        self.mask
    }

    /// The persistence engine.
    #[must_use]
    pub const fn engine(&self) -> Option<EngineName> {
        self.engine
    }

    /// Counters and rates.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The value; allocates only when there are unknown attributes.
    #[must_use]
    pub fn to_entry(&self) -> ServiceEntry {
        ServiceEntry {
            service: VirtualService {
                key: self.key,
                scheduler: self.scheduler,
                flags: self.flags,
                timeout_secs: self.timeout_secs,
                mask: self.mask,
                engine: self.engine,
                unknown: self.unknown.collect(Nest::Service, service::STATS64),
            },
            stats: self.stats,
        }
    }
}

/// Reads what identifies a service, and nothing else of its nest.
pub(super) fn read_service_key(nest: &Attribute<'_>) -> Result<ServiceKey, DecodeError> {
    let mut identity = Identity::default();
    for attribute in nest.nested(Nest::Service) {
        identity.take(attribute?)?;
    }
    identity.key(nest)
}

/// The attributes that identify a service, as far as they were met.
#[derive(Debug, Default)]
struct Identity<'a> {
    family: Option<Family>,
    protocol: Option<Protocol>,
    address: Option<Attribute<'a>>,
    port: Option<u16>,
    mark: Option<u32>,
}

impl<'a> Identity<'a> {
    #[inline]
    fn take(&mut self, attribute: Attribute<'a>) -> Result<(), DecodeError> {
        match attribute.number {
            service::AF => self.family = Some(read_family(&attribute)?),
            service::PROTOCOL => self.protocol = Some(Protocol::from_number(attribute.u16()?)),
            service::ADDR => self.address = Some(attribute),
            service::PORT => self.port = Some(attribute.u16_network()?),
            service::FWMARK => self.mark = Some(attribute.u32()?),
            _ => {}
        }
        Ok(())
    }

    fn key(self, nest: &Attribute<'_>) -> Result<ServiceKey, DecodeError> {
        let missing = |number| nest.missing(Nest::Service, number);
        let family = self.family.ok_or_else(|| missing(service::AF))?;
        // A mark wins over the rest, as in the kernel.
        if let Some(mark) = self.mark {
            return Ok(ServiceKey::FirewallMark { family, mark });
        }
        let protocol = self.protocol.ok_or_else(|| missing(service::PROTOCOL))?;
        let address = self.address.ok_or_else(|| missing(service::ADDR))?;
        Ok(ServiceKey::Address {
            protocol,
            address: read_address(&address, family)?,
            port: self.port.ok_or_else(|| missing(service::PORT))?,
        })
    }
}

/// A nest that holds unknown attributes, if any does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unknown<'a>(pub(super) Option<Attribute<'a>>);

/// Bytes of unknown attributes that can be sent back: a request adds up to 192 bytes to them, and
/// all of it must fit a 16-bit length. No kernel sends half as much.
const LONGEST_UNKNOWN: usize = 65_000;

impl<'a> Unknown<'a> {
    /// Refuses what could be read and not be sent back.
    pub(super) fn bounded(self, nest: Nest, last_known: u16) -> Result<Self, DecodeError> {
        let Some(attribute) = self.0 else {
            return Ok(self);
        };
        let unknown = self.attributes(nest, last_known);
        let length = unknown
            .map(|attribute| attribute.whole.len().next_multiple_of(4))
            .sum();
        if length > LONGEST_UNKNOWN {
            let limit = LONGEST_UNKNOWN;
            return Err(attribute.error(DecodeProblem::Long { length, limit }));
        }
        Ok(self)
    }

    pub(super) fn collect(self, nest: Nest, last_known: u16) -> UnknownAttributes {
        let mut result = UnknownAttributes::none();
        for attribute in self.attributes(nest, last_known) {
            result.push(attribute.whole);
        }
        result
    }

    /// The attributes above `last_known`. Lower ones this crate does not read (there are none
    /// today) would be output only.
    fn attributes(self, nest: Nest, last_known: u16) -> impl Iterator<Item = Attribute<'a>> {
        let all = self.0.into_iter().flat_map(move |found| found.nested(nest));
        all.flatten()
            .filter(move |attribute| attribute.number > last_known)
    }
}

pub(super) fn read_family(attribute: &Attribute<'_>) -> Result<Family, DecodeError> {
    let number = attribute.u16()?;
    // The family decides how addresses are read, so an unknown one cannot be passed through.
    Family::from_number(number)
        .ok_or_else(|| attribute.error(DecodeProblem::Unexpected(number.into())))
}

/// The kernel sends 16 bytes for either family; IPv4 is in the first four.
pub(super) fn read_address(
    attribute: &Attribute<'_>,
    family: Family,
) -> Result<IpAddr, DecodeError> {
    Ok(match family {
        Family::Inet => attribute.array::<4>()?.into(),
        Family::Inet6 => attribute.array::<16>()?.into(),
    })
}

//! Destinations in replies and requests.

use super::attributes::{Nest, destination, top};
use super::reader::{Attribute, top_nest};
use super::service::{Unknown, read_address, read_family};
use super::stats::StatsNests;
use crate::address::Family;
use crate::destination::{Destination, DestinationEntry, DestinationKey};
use crate::error::DecodeError;
use crate::flags::TunnelFlags;
use crate::forwarding::{Encapsulation, Forwarding, TunnelType};
use crate::stats::Stats;

/// A destination as it stands in a message: every field read, nothing copied but numbers.
#[derive(Clone, Copy, Debug)]
pub struct DestinationView<'a> {
    key: DestinationKey,
    forwarding: Forwarding,
    encapsulation: Encapsulation,
    weight: u32,
    lower_threshold: u32,
    upper_threshold: u32,
    active_connections: u32,
    inactive_connections: u32,
    persistent_connections: u32,
    stats: Stats,
    unknown: Unknown<'a>,
}

impl<'a> DestinationView<'a> {
    /// Reads the attributes of a message with command `NEW_DEST`.
    ///
    /// `service_family` is the family of the service asked for: kernels before 3.18 do not send
    /// that of the destination. `offset` is where `attributes` start within the message, for
    /// errors.
    ///
    /// # Errors
    ///
    /// The first attribute that is cut off, too short, or missing without a way to do without.
    pub fn read(
        attributes: &'a [u8],
        service_family: Family,
        offset: usize,
    ) -> Result<Self, DecodeError> {
        let nest = top_nest(attributes, top::DEST, offset)?;
        Self::read_nest(&nest, Some(service_family))
    }

    /// Reads such a message where it is not known which service was asked for.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also when the family of the destination is not there.
    pub fn read_by_own_family(attributes: &'a [u8], offset: usize) -> Result<Self, DecodeError> {
        Self::read_nest(&top_nest(attributes, top::DEST, offset)?, None)
    }

    pub(super) fn read_nest(
        nest: &Attribute<'a>,
        service_family: Option<Family>,
    ) -> Result<Self, DecodeError> {
        let mut identity = Identity::default();
        let (mut forwarding, mut weight) = (None, None);
        let (mut upper_threshold, mut lower_threshold) = (0, 0);
        let (mut active_connections, mut inactive_connections) = (0, 0);
        let mut persistent_connections = 0;
        let mut encapsulation = Encapsulation::ipip();
        let mut stats = StatsNests::default();
        let mut unknown = Unknown::default();
        for attribute in nest.nested(Nest::Destination) {
            let attribute = attribute?;
            match attribute.number {
                destination::ADDR | destination::PORT | destination::ADDR_FAMILY => {
                    identity.take(attribute)?;
                }
                destination::FWD_METHOD => {
                    forwarding = Some(Forwarding::from_bits(attribute.u32()?));
                }
                destination::WEIGHT => weight = Some(attribute.u32()?),
                destination::U_THRESH => upper_threshold = attribute.u32()?,
                destination::L_THRESH => lower_threshold = attribute.u32()?,
                destination::ACTIVE_CONNS => active_connections = attribute.u32()?,
                destination::INACT_CONNS => inactive_connections = attribute.u32()?,
                destination::PERSIST_CONNS => persistent_connections = attribute.u32()?,
                destination::STATS => stats.narrow(attribute),
                destination::STATS64 => stats.wide(attribute),
                destination::TUN_TYPE => {
                    encapsulation.tunnel_type = TunnelType::from_number(attribute.u8()?);
                }
                destination::TUN_PORT => encapsulation.port = attribute.u16_network()?,
                destination::TUN_FLAGS => {
                    encapsulation.flags = TunnelFlags::from_bits_retain(attribute.u16()?);
                }
                _ => unknown = Unknown(Some(*nest)),
            }
        }
        let missing = |number| nest.missing(Nest::Destination, number);
        Ok(Self {
            key: identity.key(nest, service_family)?,
            forwarding: forwarding.ok_or_else(|| missing(destination::FWD_METHOD))?,
            encapsulation,
            weight: weight.ok_or_else(|| missing(destination::WEIGHT))?,
            lower_threshold,
            upper_threshold,
            active_connections,
            inactive_connections,
            persistent_connections,
            stats: stats.read()?,
            unknown: unknown.bounded(Nest::Destination, destination::TUN_FLAGS)?,
        })
    }

    /// What identifies the destination.
    #[must_use]
    pub const fn key(&self) -> DestinationKey {
        self.key
    }

    /// The forwarding method.
    #[must_use]
    pub const fn forwarding(&self) -> Forwarding {
        self.forwarding
    }

    /// The tunnel data; of use only when the method is [`Forwarding::Tunnel`].
    #[must_use]
    pub const fn encapsulation(&self) -> Encapsulation {
        self.encapsulation
    }

    /// The lower threshold as configured.
    #[must_use]
    pub const fn lower_threshold(&self) -> u32 {
        self.lower_threshold
    }

    /// The upper threshold; 0 means no limit.
    #[must_use]
    pub const fn upper_threshold(&self) -> u32 {
        self.upper_threshold
    }

    /// Connections the protocol counts as active.
    #[must_use]
    pub const fn active_connections(&self) -> u32 {
        self.active_connections
    }

    /// All other connections.
    #[must_use]
    pub const fn inactive_connections(&self) -> u32 {
        self.inactive_connections
    }

    /// Persistence templates.
    #[must_use]
    pub const fn persistent_connections(&self) -> u32 {
        self.persistent_connections
    }

    /// The weight.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Active and inactive connections together.
    #[must_use]
    pub fn connections(&self) -> u64 {
        u64::from(self.active_connections) + u64::from(self.inactive_connections)
    }

    /// Counters and rates.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The value; allocates only when there are unknown attributes.
    #[must_use]
    pub fn to_entry(&self) -> DestinationEntry {
        DestinationEntry {
            destination: Destination {
                key: self.key,
                forwarding: self.forwarding,
                encapsulation: self.encapsulation,
                weight: self.weight,
                lower_threshold: self.lower_threshold,
                upper_threshold: self.upper_threshold,
                unknown: self
                    .unknown
                    .collect(Nest::Destination, destination::TUN_FLAGS),
            },
            active_connections: self.active_connections,
            inactive_connections: self.inactive_connections,
            persistent_connections: self.persistent_connections,
            stats: self.stats,
        }
    }
}

/// Reads what identifies a destination, and nothing else of its nest.
pub(super) fn read_destination_key(
    nest: &Attribute<'_>,
    service_family: Family,
) -> Result<DestinationKey, DecodeError> {
    let mut identity = Identity::default();
    for attribute in nest.nested(Nest::Destination) {
        identity.take(attribute?)?;
    }
    identity.key(nest, Some(service_family))
}

/// The attributes that identify a destination, as far as they were met.
#[derive(Debug, Default)]
struct Identity<'a> {
    family: Option<Family>,
    address: Option<Attribute<'a>>,
    port: Option<u16>,
}

impl<'a> Identity<'a> {
    #[inline]
    fn take(&mut self, attribute: Attribute<'a>) -> Result<(), DecodeError> {
        match attribute.number {
            destination::ADDR => self.address = Some(attribute),
            destination::PORT => self.port = Some(attribute.u16_network()?),
            // 0 stands for the family of the service.
            destination::ADDR_FAMILY if attribute.u16()? == 0 => self.family = None,
            destination::ADDR_FAMILY => self.family = Some(read_family(&attribute)?),
            _ => {}
        }
        Ok(())
    }

    fn key(
        self,
        nest: &Attribute<'_>,
        service_family: Option<Family>,
    ) -> Result<DestinationKey, DecodeError> {
        let missing = |number| nest.missing(Nest::Destination, number);
        let address = self.address.ok_or_else(|| missing(destination::ADDR))?;
        let family = self.family.or(service_family);
        let family = family.ok_or_else(|| missing(destination::ADDR_FAMILY))?;
        Ok(DestinationKey {
            address: read_address(&address, family)?,
            port: self.port.ok_or_else(|| missing(destination::PORT))?,
        })
    }
}

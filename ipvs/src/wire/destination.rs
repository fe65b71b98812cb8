//! Destination replies.

use super::attributes::{Nest, destination, top};
use super::reader::{Attribute, top_nest};
use super::service::{Unknown, read_address};
use super::stats::StatsNests;
use crate::address::Family;
use crate::destination::{Destination, DestinationEntry, DestinationKey};
use crate::error::{DecodeError, DecodeProblem};
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
        Self::read_nest(&top_nest(attributes, top::DEST, offset)?, service_family)
    }

    fn read_nest(nest: &Attribute<'a>, service_family: Family) -> Result<Self, DecodeError> {
        let (mut family, mut address, mut port) = (service_family, None, None);
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
                destination::ADDR => address = Some(attribute),
                destination::PORT => port = Some(attribute.u16_network()?),
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
                destination::ADDR_FAMILY => {
                    let number = attribute.u16()?;
                    // 0 stands for the family of the service.
                    if number != 0 {
                        family = Family::from_number(number).ok_or_else(|| {
                            attribute.error(DecodeProblem::Unexpected(number.into()))
                        })?;
                    }
                }
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
        let address = address.ok_or_else(|| missing(destination::ADDR))?;
        Ok(Self {
            key: DestinationKey {
                address: read_address(&address, family)?,
                port: port.ok_or_else(|| missing(destination::PORT))?,
            },
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

//! How advertisements travel: from which address, to whom, with what time to live.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

#[cfg(feature = "hmac-trailer")]
use super::TrailerConfig;
use super::{ConfigError, RouterConfig};
use crate::address::{Family, TTL};
use crate::codec::Authentication;
use crate::receive::{Mode, Peer};

/// From which of the interface's addresses a virtual router advertises. Virtual addresses that this
/// router installed are never chosen (`VRRP-001`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SourcePolicy {
    /// IPv4: the first real address of the interface. IPv6: its link-local address.
    #[default]
    Primary,
    /// This one.
    Fixed(IpAddr),
}

/// How advertisements travel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Transport {
    source: SourcePolicy,
    cast: Cast,
    unicast_ttl: Option<u8>,
    pub(super) authentication: Authentication,
    #[cfg(feature = "hmac-trailer")]
    pub(super) trailer: Option<TrailerConfig>,
}

/// Whom a virtual router sends to.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Cast {
    Group(IpAddr),
    Peers(Box<[Peer]>),
}

impl Transport {
    /// From the primary address to the group of the RFCs.
    pub(super) const fn new(family: Family) -> Self {
        Self {
            source: SourcePolicy::Primary,
            cast: Cast::Group(family.group()),
            unicast_ttl: None,
            authentication: Authentication::None,
            #[cfg(feature = "hmac-trailer")]
            trailer: None,
        }
    }
}

impl RouterConfig {
    /// Sets from which address it advertises.
    pub fn with_source(mut self, source: SourcePolicy) -> Self {
        self.change().transport.source = source;
        self
    }

    /// Sends to another group than that of the RFCs.
    pub fn with_group(mut self, group: IpAddr) -> Self {
        self.change().transport.cast = Cast::Group(group);
        self
    }

    /// Sends to these peers instead of a group.
    pub fn with_unicast_peers(mut self, peers: impl IntoIterator<Item = Peer>) -> Self {
        self.change().transport.cast = Cast::Peers(peers.into_iter().collect());
        self
    }

    /// Sets the time to live, or hop limit, of what is sent to unicast peers: 1 to 255, 255 if it is
    /// not set. A peer that does not accept less drops it (row 3 of the
    /// [ladder](mod@crate::receive)); to groups 255 is sent always (`VRRP-004`, `VRRP-009`).
    pub fn with_unicast_ttl(mut self, ttl: u8) -> Self {
        self.change().transport.unicast_ttl = Some(ttl);
        self
    }

    /// From which address it advertises.
    #[must_use]
    pub fn source(&self) -> SourcePolicy {
        self.values.transport.source
    }

    /// Whom it speaks with.
    #[must_use]
    pub fn mode(&self) -> Mode<'_> {
        match &self.values.transport.cast {
            Cast::Group(group) => Mode::Multicast { group: *group },
            Cast::Peers(peers) => Mode::Unicast { peers },
        }
    }

    /// The time to live, or hop limit, of what it sends.
    #[must_use]
    pub fn ttl(&self) -> u8 {
        match self.values.transport.cast {
            Cast::Group(_) => TTL,
            Cast::Peers(_) => self.values.transport.unicast_ttl.unwrap_or(TTL),
        }
    }

    pub(super) fn validate_cast(&self) -> Result<(), ConfigError> {
        let family = self.family();
        let is_default =
            matches!(&self.values.transport.cast, Cast::Group(group) if *group == family.group());
        if !is_default && !self.values.switches.permits.unicast {
            return Err(ConfigError::Refused {
                field: "a unicast peer or another group",
            });
        }
        match &self.values.transport.cast {
            Cast::Group(group) if Family::of(*group) != family || !group.is_multicast() => {
                Err(ConfigError::Group { address: *group })
            }
            Cast::Group(_) => Ok(()),
            Cast::Peers(peers) if peers.is_empty() => Err(ConfigError::NoPeer),
            Cast::Peers(peers) => {
                let mut seen: Vec<IpAddr> = Vec::new();
                for address in peers.iter().map(Peer::address) {
                    let is_wrong = Family::of(address) != family
                        || address.is_multicast()
                        || address.is_unspecified();
                    if is_wrong {
                        return Err(ConfigError::Peer { address });
                    }
                    if seen.contains(&address) {
                        return Err(ConfigError::AddressTwice { address });
                    }
                    seen.push(address);
                }
                Ok(())
            }
        }
    }

    /// `VRRP-004`, `VRRP-009`: other routers drop what comes to a group with less than 255.
    pub(super) fn validate_ttl(&self) -> Result<(), ConfigError> {
        match (
            self.values.transport.unicast_ttl,
            &self.values.transport.cast,
        ) {
            (Some(0), _) => Err(ConfigError::UnicastTtl { value: 0 }),
            (Some(value), Cast::Group(_)) => Err(ConfigError::GroupTtl { value }),
            _ => Ok(()),
        }
    }

    /// `VRRP-001`, `VRRP-007`
    pub(super) fn validate_source(&self) -> Result<(), ConfigError> {
        let SourcePolicy::Fixed(address) = self.values.transport.source else {
            return Ok(());
        };
        let is_unicast = matches!(self.values.transport.cast, Cast::Peers(_));
        let fits = match address {
            IpAddr::V4(_) => self.family() == Family::Ipv4,
            IpAddr::V6(v6) => {
                self.family() == Family::Ipv6 && (is_unicast || v6.is_unicast_link_local())
            }
        };
        let mut virtual_addresses = self
            .addresses()
            .as_addresses()
            .iter()
            .chain(self.values.excluded.iter().copied());
        let is_virtual = !self.values.is_owner && virtual_addresses.any(|other| other == address);
        if !fits || is_virtual || address.is_multicast() || address.is_unspecified() {
            return Err(ConfigError::Source { address });
        }
        Ok(())
    }
}

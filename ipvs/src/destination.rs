//! Destinations: identity, settings, and what the kernel reports.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::address::{Endpoint, Family};
use crate::forwarding::{Encapsulation, Forwarding};
use crate::stats::Stats;
use crate::unknown::UnknownAttributes;

/// What identifies a destination within its virtual service: family, address and port.
///
/// Forwarding method and weight are not part of it.
#[expect(
    clippy::exhaustive_structs,
    reason = "the kernel's identity of a destination"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DestinationKey {
    /// Address of the real server.
    pub address: IpAddr,
    /// Port of the real server; 0 keeps the port of the packet.
    pub port: u16,
}

impl DestinationKey {
    /// The address family.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.address)
    }
}

impl From<SocketAddr> for DestinationKey {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip(),
            port: address.port(),
        }
    }
}

impl fmt::Display for DestinationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Endpoint(self.address, self.port).fmt(f)
    }
}

/// A destination: its key and its settings.
///
/// ```
/// use lvs_ipvs::Destination;
///
/// let server = Destination::masquerade("10.0.0.11:8080".parse()?)
///     .with_weight(3)
///     .with_thresholds(75, 100);
/// assert_eq!(server.key().to_string(), "10.0.0.11:8080");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Destination {
    pub(crate) key: DestinationKey,
    pub(crate) forwarding: Forwarding,
    pub(crate) encapsulation: Encapsulation,
    pub(crate) weight: u32,
    pub(crate) lower_threshold: u32,
    pub(crate) upper_threshold: u32,
    pub(crate) unknown: UnknownAttributes,
}

impl Destination {
    /// A destination with that forwarding method, weight 1, no thresholds.
    pub const fn new(key: DestinationKey, forwarding: Forwarding) -> Self {
        Self {
            key,
            forwarding,
            encapsulation: Encapsulation::ipip(),
            weight: 1,
            lower_threshold: 0,
            upper_threshold: 0,
            unknown: UnknownAttributes::none(),
        }
    }

    /// A destination reached by masquerading (NAT).
    pub const fn masquerade(address: SocketAddr) -> Self {
        Self::at(address, Forwarding::Masquerade)
    }

    /// A destination reached by direct routing.
    pub const fn direct_route(address: SocketAddr) -> Self {
        Self::at(address, Forwarding::DirectRoute)
    }

    /// A destination reached through an IPIP tunnel; see
    /// [`with_encapsulation`](Self::with_encapsulation) for GUE and GRE.
    pub const fn tunnel(address: SocketAddr) -> Self {
        Self::at(address, Forwarding::Tunnel)
    }

    const fn at(address: SocketAddr, forwarding: Forwarding) -> Self {
        Self::new(
            DestinationKey {
                address: address.ip(),
                port: address.port(),
            },
            forwarding,
        )
    }

    /// Replaces the forwarding method.
    pub const fn with_forwarding(mut self, forwarding: Forwarding) -> Self {
        self.forwarding = forwarding;
        self
    }

    /// Replaces the tunnel data. Default: IPIP.
    pub const fn with_encapsulation(mut self, encapsulation: Encapsulation) -> Self {
        self.encapsulation = encapsulation;
        self
    }

    /// Replaces the weight, 0 to 2147483647. Default: 1. A destination of weight 0 is
    /// *quiesced*: it gets no new connections, and existing ones continue.
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Replaces the connection thresholds, each 0 to 2147483647. At `upper` connections the
    /// destination counts as overloaded until it falls below `lower`. Default: 0 and 0. An
    /// upper threshold of 0 means no limit, a lower one of 0 three quarters of the upper.
    pub const fn with_thresholds(mut self, lower: u32, upper: u32) -> Self {
        self.lower_threshold = lower;
        self.upper_threshold = upper;
        self
    }

    /// Takes over the attributes of a destination read from the kernel that this crate has no
    /// field for, so that replacing its settings does not drop them.
    pub fn with_unknown(mut self, unknown: UnknownAttributes) -> Self {
        self.unknown = unknown;
        self
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

    /// The weight.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// The lower threshold as configured; 0 means three quarters of the upper one.
    #[must_use]
    pub const fn lower_threshold(&self) -> u32 {
        self.lower_threshold
    }

    /// The upper threshold; 0 means no limit.
    #[must_use]
    pub const fn upper_threshold(&self) -> u32 {
        self.upper_threshold
    }

    /// Attributes this crate has no field for.
    #[must_use]
    pub const fn unknown(&self) -> &UnknownAttributes {
        &self.unknown
    }

    /// Whether both have the same effect: equal in everything but unknown attributes and, for
    /// methods other than tunnel, the tunnel data.
    #[must_use]
    pub fn same_settings(&self, other: &Self) -> bool {
        self.weight == other.weight && self.same_but_weight(other)
    }

    pub(crate) fn same_but_weight(&self, other: &Self) -> bool {
        self.key == other.key
            && self.forwarding == other.forwarding
            && self.lower_threshold == other.lower_threshold
            && self.upper_threshold == other.upper_threshold
            && (self.forwarding != Forwarding::Tunnel || self.encapsulation == other.encapsulation)
    }
}

/// A destination as the kernel reports it.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DestinationEntry {
    /// Key and settings.
    pub destination: Destination,
    /// Connections the protocol counts as active (for TCP: established and opening ones).
    pub active_connections: u32,
    /// All other connections; every UDP connection is inactive.
    pub inactive_connections: u32,
    /// Persistence templates.
    pub persistent_connections: u32,
    /// Counters and rates, up to 2 s old. They continue when a destination that was removed
    /// less than some minutes ago comes back.
    pub stats: Stats,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnel_data_counts_only_for_tunnels() {
        let address = "10.0.0.1:80".parse().unwrap();
        let gue = Encapsulation::gue(6080);
        let nat = Destination::masquerade(address);
        assert!(nat.clone().with_encapsulation(gue).same_settings(&nat));
        let tunnel = Destination::tunnel(address);
        assert!(
            !tunnel
                .clone()
                .with_encapsulation(gue)
                .same_settings(&tunnel)
        );
    }

    #[test]
    fn each_setting_counts() {
        let plain = Destination::masquerade("10.0.0.1:80".parse().unwrap());
        for other in [
            plain.clone().with_weight(2),
            plain.clone().with_thresholds(1, 2),
            plain.clone().with_thresholds(0, 2),
            plain.clone().with_forwarding(Forwarding::DirectRoute),
        ] {
            assert!(!plain.same_settings(&other), "{other:?}");
        }
        assert!(plain.same_settings(&plain.clone()));
    }
}

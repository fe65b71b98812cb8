//! Which services a plan may touch.

use core::net::IpAddr;
use core::ops::RangeInclusive;
use std::collections::BTreeSet;

use crate::address::Family;
use crate::invalid::ValidationError;
use crate::service::ServiceKey;

/// A set of services: what a plan may touch. Everything outside is somebody else's.
///
/// The rules of a scope add up: a service is in scope when one of them names it.
#[must_use]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    all: bool,
    keys: BTreeSet<ServiceKey>,
    addresses: Vec<Addresses>,
    marks: Vec<RangeInclusive<u32>>,
}

/// Virtual addresses that share a prefix, with a range of ports.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Addresses {
    network: IpAddr,
    length: u8,
    ports: RangeInclusive<u16>,
}

impl Scope {
    /// Every service of the network namespace.
    pub const fn all() -> Self {
        let mut scope = Self::none();
        scope.all = true;
        scope
    }

    /// No service; the start for the `with_` methods.
    pub const fn none() -> Self {
        Self {
            all: false,
            keys: BTreeSet::new(),
            addresses: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Adds these services.
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = ServiceKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Adds services of every protocol whose virtual address starts with the first `length` bits
    /// of `network` (0 to 32 for IPv4, 0 to 128 for IPv6) and whose port is in the range;
    /// `0..=65535` takes all ports.
    ///
    /// # Errors
    ///
    /// A length beyond the address.
    pub fn with_addresses(
        mut self,
        network: IpAddr,
        length: u8,
        ports: RangeInclusive<u16>,
    ) -> Result<Self, ValidationError> {
        let (bits, limit) = match Family::of(network) {
            Family::Inet => (32, "must be 0 to 32 for IPv4"),
            Family::Inet6 => (128, "must be 0 to 128 for IPv6"),
        };
        if length > bits {
            let field = "scope prefix length";
            return Err(ValidationError::number(field, length.into(), limit));
        }
        self.addresses.push(Addresses {
            network,
            length,
            ports,
        });
        Ok(self)
    }

    /// Adds services of both families for the firewall marks in the range.
    pub fn with_marks(mut self, marks: RangeInclusive<u32>) -> Self {
        self.marks.push(marks);
        self
    }

    /// Whether that service is in scope.
    #[must_use]
    pub fn contains(&self, key: &ServiceKey) -> bool {
        self.all
            || self.keys.contains(key)
            || match *key {
                ServiceKey::Address { address, port, .. } => self
                    .addresses
                    .iter()
                    .any(|rule| rule.contains(address, port)),
                ServiceKey::FirewallMark { mark, .. } => {
                    self.marks.iter().any(|range| range.contains(&mark))
                }
            }
    }
}

impl Addresses {
    fn contains(&self, address: IpAddr, port: u16) -> bool {
        let length = u32::from(self.length);
        let same_prefix = match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= length
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= length
            }
            _ => false,
        };
        same_prefix && self.ports.contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> ServiceKey {
        ServiceKey::tcp(address.parse().unwrap())
    }

    fn network(address: &str, length: u8) -> Scope {
        Scope::none()
            .with_addresses(address.parse().unwrap(), length, 0..=u16::MAX)
            .unwrap()
    }

    #[test]
    fn all_and_none() {
        for key in [
            tcp("192.0.2.10:80"),
            ServiceKey::firewall_mark(Family::Inet6, 1),
        ] {
            assert!(Scope::all().contains(&key));
            assert!(!Scope::none().contains(&key));
            assert!(Scope::none().with_keys([key]).contains(&key));
        }
    }

    #[test]
    fn keys_are_exact() {
        let scope = Scope::none().with_keys([tcp("192.0.2.10:80")]);
        assert!(!scope.contains(&tcp("192.0.2.10:81")));
        assert!(!scope.contains(&ServiceKey::udp("192.0.2.10:80".parse().unwrap())));
    }

    #[test]
    fn prefixes_end_at_their_length() {
        // The host bits of the network do not count.
        let scope = network("192.0.2.77", 25);
        assert!(scope.contains(&tcp("192.0.2.127:80")));
        assert!(!scope.contains(&tcp("192.0.2.128:80")));
        assert!(!scope.contains(&tcp("[::ffff:192.0.2.1]:80")));
        assert!(!scope.contains(&ServiceKey::firewall_mark(Family::Inet, 1)));

        let scope = network("2001:db8::", 33);
        assert!(scope.contains(&tcp("[2001:db8:7fff::1]:80")));
        assert!(!scope.contains(&tcp("[2001:db8:8000::1]:80")));
    }

    #[test]
    fn prefixes_of_no_bits_and_of_all_bits() {
        assert!(network("0.0.0.0", 0).contains(&tcp("203.0.113.1:1")));
        assert!(!network("0.0.0.0", 0).contains(&tcp("[::1]:1")));
        assert!(network("192.0.2.10", 32).contains(&tcp("192.0.2.10:1")));
        assert!(!network("192.0.2.10", 32).contains(&tcp("192.0.2.11:1")));
        assert!(network("::", 0).contains(&tcp("[2001:db8::1]:1")));
        assert!(network("2001:db8::1", 128).contains(&tcp("[2001:db8::1]:1")));
        assert!(!network("2001:db8::1", 128).contains(&tcp("[2001:db8::2]:1")));
    }

    #[test]
    fn prefix_lengths_beyond_the_address_are_refused() {
        let refused = |address: &str, length| {
            let ports = 0..=u16::MAX;
            Scope::none()
                .with_addresses(address.parse().unwrap(), length, ports)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused("192.0.2.0", 33),
            "scope prefix length 33: must be 0 to 32 for IPv4"
        );
        assert_eq!(
            refused("::", 129),
            "scope prefix length 129: must be 0 to 128 for IPv6"
        );
    }

    #[test]
    fn port_and_mark_ranges_include_their_ends() {
        let scope = Scope::none()
            .with_addresses("192.0.2.0".parse().unwrap(), 24, 80..=90)
            .unwrap()
            .with_marks(5..=6);
        for (port, inside) in [(79, false), (80, true), (90, true), (91, false)] {
            assert_eq!(scope.contains(&tcp(&format!("192.0.2.1:{port}"))), inside);
        }
        for (mark, inside) in [(4, false), (5, true), (6, true), (7, false)] {
            for family in [Family::Inet, Family::Inet6] {
                let key = ServiceKey::firewall_mark(family, mark);
                assert_eq!(scope.contains(&key), inside, "{key}");
            }
        }
    }
}

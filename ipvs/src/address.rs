//! Address families and the addresses of firewall-mark services.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address family of a virtual service or a destination.
///
/// IPVS knows no others: any other number in a request is `EAFNOSUPPORT`.
#[expect(
    clippy::exhaustive_enums,
    reason = "IPVS is defined for these two families only"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// IPv4, `AF_INET`.
    Inet,
    /// IPv6, `AF_INET6`.
    Inet6,
}

impl Family {
    /// The family an address belongs to.
    ///
    /// IPv4-mapped IPv6 addresses are IPv6: the kernel does not translate between the two.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Inet,
            IpAddr::V6(_) => Self::Inet6,
        }
    }

    /// The number on the wire: 2 or 10.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Inet => 2,
            Self::Inet6 => 10,
        }
    }

    /// The family with that number, or `None`.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            2 => Some(Self::Inet),
            10 => Some(Self::Inet6),
            _ => None,
        }
    }

    /// The address `0.0.0.0` or `::` of the family.
    #[must_use]
    pub const fn unspecified(self) -> IpAddr {
        match self {
            Self::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inet => "IPv4",
            Self::Inet6 => "IPv6",
        })
    }
}

/// Writes `address:port` with IPv6 in brackets, as every tool of the field does.
pub(crate) struct Endpoint(pub(crate) IpAddr, pub(crate) u16);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.1),
            // Other tools write `::10.0.0.1` with a dotted end where the standard library, which
            // does so for `::ffff:10.0.0.1` only, writes `::a00:1`.
            IpAddr::V6(address) => match address.segments() {
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                    let [a, b] = high.to_be_bytes();
                    let [c, d] = low.to_be_bytes();
                    write!(f, "[::{a}.{b}.{c}.{d}]:{}", self.1)
                }
                _ => write!(f, "[{address}]:{}", self.1),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for family in [Family::Inet, Family::Inet6] {
            assert_eq!(Family::from_number(family.number()), Some(family));
            assert_eq!(Family::of(family.unspecified()), family);
        }
        assert_eq!(Family::from_number(0), None);
    }

    #[test]
    fn ipv6_endpoints_have_brackets() {
        assert_eq!(
            Endpoint("fd00::1".parse().unwrap(), 80).to_string(),
            "[fd00::1]:80"
        );
        // As inet_ntop(3) writes them.
        for text in [
            "[::]:80",
            "[::1]:80",
            "[::0.1.0.0]:3",
            "[::0.1.0.2]:80",
            "[::1.2.3.4]:80",
            "[::5:0:1]:80",
            "[::ffff:0.0.0.0]:2",
            "[::ffff:1.2.3.4]:1",
            "[1:0:0:2::]:80",
            "[1:2:3:4:5:6:0:8]:80",
        ] {
            let endpoint: core::net::SocketAddr = text.parse().unwrap();
            assert_eq!(Endpoint(endpoint.ip(), endpoint.port()).to_string(), text);
        }
        assert_eq!(
            Endpoint("10.0.0.1".parse().unwrap(), 0).to_string(),
            "10.0.0.1:0"
        );
    }
}

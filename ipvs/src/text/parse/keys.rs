//! Reading keys as they are printed.

use core::net::SocketAddr;
use core::str::FromStr;

use crate::address::Family;
use crate::destination::DestinationKey;
use crate::service::{Protocol, ServiceKey};
use crate::text::parse::error::RuleError;
use crate::text::parse::values::ranged;

/// Reads `10.0.0.11:80` or `[2001:db8::11]:80`.
impl FromStr for DestinationKey {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let limit = "must be ADDRESS:PORT or [IPV6]:PORT";
        match endpoint(text) {
            Some(address) => Ok(address.into()),
            None => Err(RuleError::value("destination", text, limit)),
        }
    }
}

/// An address and a port. IPVS knows no zones of IPv6.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let address = text.parse().ok()?;
    match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => None,
        _ => Some(address),
    }
}

/// Reads `TCP 192.0.2.10:80`, `UDP [2001:db8::1]:53`, `SCTP …`, `protocol 50 192.0.2.10:0`,
/// `fwmark 7` or `fwmark 7 IPv6`.
///
/// ```
/// use lvs_ipvs::ServiceKey;
/// let key: ServiceKey = "UDP [2001:db8::1]:53".parse()?;
/// assert_eq!(key, ServiceKey::udp("[2001:db8::1]:53".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl FromStr for ServiceKey {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let refused = || {
            let limit =
                "must be TCP, UDP, SCTP or protocol N with ADDRESS:PORT, fwmark N or fwmark N IPv6";
            RuleError::value("service", text, limit)
        };
        let (kind, rest) = text.split_once(' ').ok_or_else(refused)?;
        let with_address = |key: fn(SocketAddr) -> Self| {
            let address = endpoint(rest).ok_or_else(refused)?;
            Ok(key(address))
        };
        match kind {
            "TCP" => with_address(Self::tcp),
            "UDP" => with_address(Self::udp),
            "SCTP" => with_address(Self::sctp),
            "protocol" => {
                let (number, address) = rest.split_once(' ').ok_or_else(refused)?;
                let address = endpoint(address).ok_or_else(refused)?;
                let number = number.parse().map_err(|_| refused())?;
                Ok(Self::Address {
                    protocol: Protocol::from_number(number),
                    address: address.ip(),
                    port: address.port(),
                })
            }
            "fwmark" => {
                let (mark, family) = match rest.strip_suffix(" IPv6") {
                    Some(mark) => (mark, Family::Inet6),
                    None => (rest, Family::Inet),
                };
                let limit = "must be a mark from 1 to 4294967295";
                let mark = ranged("service", mark, 1..=u32::MAX, limit)?;
                Ok(Self::firewall_mark(family, mark))
            }
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_printed() {
        let address: SocketAddr = "[fd00::1]:80".parse().unwrap();
        for key in [
            ServiceKey::tcp("192.0.2.10:80".parse().unwrap()),
            ServiceKey::udp(address),
            ServiceKey::sctp(address),
            ServiceKey::Address {
                protocol: Protocol::from_number(50),
                address: address.ip(),
                port: 0,
            },
            ServiceKey::firewall_mark(Family::Inet, u32::MAX),
            ServiceKey::firewall_mark(Family::Inet6, 1),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let key = DestinationKey::from(address);
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "TCP",
            "TCP 192.0.2.10",
            "tcp 192.0.2.10:80",
            "fwmark 0",
            "fwmark 7 IPv4",
            "protocol 192.0.2.10:80",
            "protocol 70000 192.0.2.10:80",
            "TCP [fe80::1%3]:80",
        ] {
            let error = text.parse::<ServiceKey>().unwrap_err();
            assert!(error.to_string().contains("service"), "{error}");
        }
        for text in ["10.0.0.1", "[fe80::1%3]:80"] {
            assert!(text.parse::<DestinationKey>().is_err(), "{text}");
        }
    }
}

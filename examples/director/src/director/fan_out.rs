//! Destinations in the services of a pool.
//!
//! The services of a group may differ in port and family: a server is in each of them with the port
//! IPVS wants there, and not at all in those whose family it cannot serve.

use lvs_ipvs::{Destination, Forwarding, ServiceKey};

/// The destination as it can be in that service; `None` when its family keeps it out.
///
/// Only a tunnel leads to the other family, and only masquerading changes ports: a tunnel or a
/// direct route to a service with a port has that port.
pub(crate) fn fitted(destination: &Destination, service: &ServiceKey) -> Option<Destination> {
    let forwarding = destination.forwarding();
    let mut key = destination.key();
    if key.family() != service.family() && forwarding != Forwarding::Tunnel {
        return None;
    }
    if forwarding != Forwarding::Masquerade {
        key.port = service.port().filter(|port| *port != 0).unwrap_or(key.port);
    }
    let (lower, upper) = (destination.lower_threshold(), destination.upper_threshold());
    Some(
        Destination::new(key, forwarding)
            .with_encapsulation(destination.encapsulation())
            .with_weight(destination.weight())
            .with_thresholds(lower, upper),
    )
}

#[cfg(test)]
mod tests {
    use lvs_ipvs::Encapsulation;

    use super::*;

    fn tunnel(address: &str) -> Destination {
        Destination::tunnel(address.parse().unwrap())
    }

    fn routed(address: &str) -> Destination {
        Destination::direct_route(address.parse().unwrap())
    }

    fn masqueraded(address: &str) -> Destination {
        Destination::masquerade(address.parse().unwrap())
    }

    #[test]
    fn a_destination_fits_into_a_service_by_family_and_port() {
        let v4 = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
        let v6 = ServiceKey::udp("[2001:db8::1]:53".parse().unwrap());
        let every_port = ServiceKey::tcp("192.0.2.1:0".parse().unwrap());
        let mark = ServiceKey::firewall_mark(lvs_ipvs::Family::Inet6, 7);
        for (destination, service, expected) in [
            (tunnel("10.0.0.1:0"), v4, Some(tunnel("10.0.0.1:80"))),
            (tunnel("10.0.0.1:80"), v6, Some(tunnel("10.0.0.1:53"))),
            (tunnel("10.0.0.1:0"), mark, Some(tunnel("10.0.0.1:0"))),
            (tunnel("10.0.0.1:9"), every_port, Some(tunnel("10.0.0.1:9"))),
            (routed("10.0.0.1:0"), v4, Some(routed("10.0.0.1:80"))),
            (routed("10.0.0.1:80"), v6, None),
            (routed("10.0.0.1:0"), mark, None),
            (
                masqueraded("10.0.0.1:8080"),
                v4,
                Some(masqueraded("10.0.0.1:8080")),
            ),
            (masqueraded("10.0.0.1:8080"), mark, None),
            (
                masqueraded("[2001:db8::2]:1"),
                mark,
                Some(masqueraded("[2001:db8::2]:1")),
            ),
        ] {
            assert_eq!(
                fitted(&destination, &service),
                expected,
                "{destination:?} {service}"
            );
            if let Some(fitted) = expected {
                assert_eq!(fitted.validate(&service), Ok(()), "{fitted:?} {service}");
            }
        }
    }

    #[test]
    fn everything_else_stays_as_configured() {
        let configured = tunnel("10.0.0.1:0")
            .with_encapsulation(Encapsulation::gue(6080))
            .with_weight(9)
            .with_thresholds(1, 2);
        let service = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
        let expected = tunnel("10.0.0.1:80")
            .with_encapsulation(Encapsulation::gue(6080))
            .with_weight(9)
            .with_thresholds(1, 2);
        assert_eq!(fitted(&configured, &service), Some(expected));
    }
}

//! A pool: the virtual services of one `virtual_server` block, and their real servers.
//!
//! A group stands for many services that share their servers: checks run once for each server,
//! and what they find applies to every service. The services may differ in port and family: a
//! server is in each of them with the port IPVS wants there, and not at all in those whose family
//! it cannot serve.

use core::fmt;

use lvs_healthcheck::aggregate::{Aggregate, Desired};
use lvs_ipvs::{Destination, DestinationKey, Forwarding, ServiceKey, Table, VirtualService};

/// Numbers a check within a [`Director`](crate::Director), from 0 in the order of the file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CheckNumber(pub(crate) usize);

/// Virtual services and the real servers they share.
#[derive(Clone, Debug)]
pub struct Pool {
    pub(crate) services: Vec<VirtualService>,
    pub(crate) servers: Vec<Server>,
}

/// A real server: its destination as configured, and what its checks make of it.
#[derive(Clone, Debug)]
pub struct Server {
    /// With the configured weight.
    pub(crate) destination: Destination,
    pub(crate) health: Aggregate<CheckNumber>,
}

impl Pool {
    /// Keys of the services.
    pub fn services(&self) -> impl ExactSizeIterator<Item = ServiceKey> + '_ {
        self.services.iter().map(VirtualService::key)
    }

    /// The real servers, in the order of the file.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The destinations that are not to be there because of what the checks say.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (ServiceKey, DestinationKey)> + '_ {
        let failed = self
            .servers
            .iter()
            .filter(|server| server.desired().is_none());
        failed.flat_map(|server| {
            let fitting = |key| fitted(&server.destination, &key).map(|entry| (key, entry.key()));
            self.services().filter_map(fitting)
        })
    }

    /// Puts services and those destinations that are to be there into a table.
    pub(crate) fn fill(&self, table: &mut Table) {
        let destinations: Vec<_> = self.servers.iter().filter_map(Server::desired).collect();
        for service in &self.services {
            let key = service.key();
            let fitting = destinations.iter().filter_map(|entry| fitted(entry, &key));
            table.insert(service.clone(), fitting);
        }
    }
}

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

/// The first service, and how many more there are: `TCP 192.0.2.1:80`, `… and 3 more`.
impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.services.as_slice() {
            [] => f.write_str("no service"),
            [only] => only.key().fmt(f),
            [first, more @ ..] => write!(f, "{} and {} more", first.key(), more.len()),
        }
    }
}

impl Server {
    /// Address and port; without a port where each service of the pool has its own.
    #[must_use]
    pub const fn key(&self) -> DestinationKey {
        self.destination.key()
    }

    /// The destination as it should be in the kernel's table, but for what differs between the
    /// services of the pool; `None` when it should not be there.
    #[must_use]
    pub fn desired(&self) -> Option<Destination> {
        match self.health.desired() {
            Desired::Present { weight } => Some(self.destination.clone().with_weight(weight)),
            // Whatever else comes to be desired, it is not an entry.
            _ => None,
        }
    }
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

    #[test]
    fn pools_are_called_by_their_services() {
        let service = |text: &str| VirtualService::tcp(text.parse().unwrap());
        let mut pool = Pool {
            services: Vec::new(),
            servers: Vec::new(),
        };
        assert_eq!(pool.to_string(), "no service");
        pool.services.push(service("192.0.2.1:80"));
        assert_eq!(pool.to_string(), "TCP 192.0.2.1:80");
        pool.services.push(service("192.0.2.2:80"));
        pool.services.push(service("192.0.2.3:80"));
        assert_eq!(pool.to_string(), "TCP 192.0.2.1:80 and 2 more");
        assert_eq!(pool.services().len(), 3);
    }
}

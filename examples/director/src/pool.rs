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

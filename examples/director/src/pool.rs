//! A pool: the virtual services of one `virtual_server` block, and their real servers.
//!
//! A group stands for many services that share their servers: checks run once for each server,
//! and what they find applies to every service.

use core::fmt;

use lvs_healthcheck::aggregate::{Aggregate, Desired};
use lvs_ipvs::{Destination, DestinationKey, ServiceKey, Table, VirtualService};

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
            table.insert(service.clone(), destinations.iter().cloned());
        }
    }
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
    /// Address and port.
    #[must_use]
    pub const fn key(&self) -> DestinationKey {
        self.destination.key()
    }

    /// The destination as it should be in the kernel's table; `None` when it should not be there.
    #[must_use]
    pub fn desired(&self) -> Option<Destination> {
        match self.health.desired() {
            Desired::Present { weight } => Some(self.destination.clone().with_weight(weight)),
            // Whatever else comes to be desired, it is not an entry.
            _ => None,
        }
    }
}

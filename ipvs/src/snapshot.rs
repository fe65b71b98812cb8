//! The table as the kernel reported it, counters included.

use crate::destination::{DestinationEntry, DestinationKey};
use crate::service::{ServiceEntry, ServiceKey};
use crate::stats::Stats;
use crate::table::{Table, TableService};

/// All virtual services and destinations of a network namespace, read with one dump of the
/// services and one dump per service.
///
/// The kernel has no consistent dump: while somebody else changes the table, entries can be
/// skipped or repeated, unmarked. Hence [`agreed`](Self::agreed).
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// The services in the kernel's order, which is that of a hash table.
    pub services: Vec<SnapshotService>,
    /// Whether two dumps in a row showed the same services and destinations, which is as
    /// good as it gets: two readings that miss the same entry are possible, and unlikely. Counters
    /// do not count.
    pub agreed: bool,
}

/// A virtual service of a [`Snapshot`] with its destinations.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SnapshotService {
    /// Key, settings and counters.
    pub entry: ServiceEntry,
    /// The destinations in the kernel's order: newest first.
    pub destinations: Vec<DestinationEntry>,
}

impl Snapshot {
    /// A snapshot of services in the kernel's order.
    #[must_use]
    pub const fn new(services: Vec<SnapshotService>, agreed: bool) -> Self {
        Self { services, agreed }
    }

    /// The service with that key. Walks the services from the first.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&SnapshotService> {
        self.services
            .iter()
            .find(|service| service.entry.service.key() == *key)
    }

    /// The destinations of a service, newest first; empty when there is no such service.
    #[must_use]
    pub fn destinations(&self, key: &ServiceKey) -> &[DestinationEntry] {
        self.service(key)
            .map_or(&[], |service| service.destinations.as_slice())
    }

    /// The settings alone: services sorted by key, destinations oldest first.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        for service in &self.services {
            let destinations = service.destinations.iter().rev();
            table.insert(
                service.entry.service.clone(),
                destinations.map(|entry| entry.destination.clone()),
            );
        }
        table
    }
}

impl SnapshotService {
    /// A service with its destinations, newest first.
    #[must_use]
    pub const fn new(entry: ServiceEntry, destinations: Vec<DestinationEntry>) -> Self {
        Self {
            entry,
            destinations,
        }
    }

    /// The destination with that key.
    #[must_use]
    pub fn destination(&self, key: &DestinationKey) -> Option<&DestinationEntry> {
        self.destinations
            .iter()
            .find(|entry| entry.destination.key() == *key)
    }
}

/// The agreed snapshot of a kernel into which the table was just loaded: no connections, all
/// counters zero.
///
/// ```
/// use lvs_ipvs::{Destination, Snapshot, Table, VirtualService};
///
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
/// let mut table = Table::new();
/// table.insert(web, [Destination::masquerade("10.0.0.11:80".parse()?)]);
/// assert_eq!(Snapshot::from(&table).table(), table);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl From<&Table> for Snapshot {
    fn from(table: &Table) -> Self {
        Self::new(table.services().map(SnapshotService::from).collect(), true)
    }
}

impl From<&TableService> for SnapshotService {
    fn from(service: &TableService) -> Self {
        let entry = ServiceEntry {
            service: service.service.clone(),
            stats: Stats::default(),
        };
        let destinations = service.destinations.iter().rev();
        let destinations = destinations.map(|destination| DestinationEntry {
            destination: destination.clone(),
            active_connections: 0,
            inactive_connections: 0,
            persistent_connections: 0,
            stats: Stats::default(),
        });
        Self::new(entry, destinations.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Destination, VirtualService};

    #[test]
    fn destinations_are_the_mirror_image_of_the_tables() {
        let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
        let old = Destination::masquerade("10.0.0.1:80".parse().unwrap());
        let new = Destination::masquerade("10.0.0.2:80".parse().unwrap());
        let mut table = Table::new();
        table.insert(service.clone(), [old.clone(), new.clone()]);

        let snapshot = Snapshot::from(&table);
        assert!(snapshot.agreed);
        let entries = snapshot.destinations(&service.key());
        assert_eq!(entries[0].destination, new);
        assert_eq!(entries[1].destination, old);
        assert_eq!(snapshot.table(), table);
    }

    #[test]
    fn lookups_find_by_key() {
        let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
        let destination = Destination::masquerade("10.0.0.1:80".parse().unwrap());
        let mut table = Table::new();
        table.insert(service.clone(), [destination.clone()]);
        let snapshot = Snapshot::from(&table);

        let found = snapshot.service(&service.key()).unwrap();
        assert_eq!(found.entry.service, service);
        assert!(found.destination(&destination.key()).is_some());
        let other = Destination::masquerade("10.0.0.1:81".parse().unwrap());
        assert!(found.destination(&other.key()).is_none());
        let absent = VirtualService::udp("192.0.2.10:80".parse().unwrap()).key();
        assert!(snapshot.service(&absent).is_none());
        assert!(snapshot.destinations(&absent).is_empty());
    }
}

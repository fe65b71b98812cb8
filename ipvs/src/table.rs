//! A whole table as a value: virtual services and their destinations in order.

use std::collections::{BTreeMap, HashMap};

use crate::destination::{Destination, DestinationKey};
use crate::invalid::ValidationError;
use crate::service::{ServiceKey, VirtualService};

/// Virtual services with their destinations.
///
/// Services are sorted by key: the kernel's own order is that of a hash table. Destinations
/// stand in the order in which they were added; the kernel's list, its dumps and its schedulers
/// walk them the other way round, newest first.
///
/// ```
/// use lvs_ipvs::{Destination, Table, VirtualService};
///
/// let mut table = Table::new();
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
/// table.insert(web.clone(), vec![Destination::masquerade("10.0.0.11:80".parse()?)]);
/// assert_eq!(table.destinations(&web.key()).len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Table {
    services: BTreeMap<ServiceKey, TableService>,
}

/// One virtual service of a [`Table`].
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableService {
    /// Key and settings.
    pub service: VirtualService,
    /// Destinations, in the order in which they were added.
    pub destinations: Vec<Destination>,
}

impl TableService {
    /// The destination with that key.
    #[must_use]
    pub fn destination(&self, key: &DestinationKey) -> Option<&Destination> {
        self.destinations
            .iter()
            .find(|destination| destination.key() == *key)
    }
}

impl Table {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            services: BTreeMap::new(),
        }
    }

    /// Puts a service with its destinations in, replacing one of the same key. Of several
    /// destinations with the same key the last one counts, at the place of the first.
    pub fn insert(
        &mut self,
        service: VirtualService,
        destinations: impl IntoIterator<Item = Destination>,
    ) {
        let mut entry = TableService {
            service,
            destinations: Vec::new(),
        };
        let mut places = HashMap::new();
        for destination in destinations {
            let last = entry.destinations.len();
            let place = *places.entry(destination.key()).or_insert(last);
            match entry.destinations.get_mut(place) {
                Some(present) => *present = destination,
                None => entry.destinations.push(destination),
            }
        }
        self.services.insert(entry.service.key(), entry);
    }

    /// Puts a service in that has no destination twice.
    pub(crate) fn insert_distinct(
        &mut self,
        service: VirtualService,
        destinations: Vec<Destination>,
    ) {
        let entry = TableService {
            service,
            destinations,
        };
        self.services.insert(entry.service.key(), entry);
    }

    /// Takes a service out.
    pub fn remove(&mut self, key: &ServiceKey) -> Option<TableService> {
        self.services.remove(key)
    }

    /// The service with that key.
    #[must_use]
    pub fn get(&self, key: &ServiceKey) -> Option<&TableService> {
        self.services.get(key)
    }

    /// The destinations of a service; empty when there is no such service.
    pub fn destinations(&self, key: &ServiceKey) -> &[Destination] {
        self.services
            .get(key)
            .map_or(&[], |entry| entry.destinations.as_slice())
    }

    /// All services, sorted by key.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &TableService> + '_ {
        self.services.values()
    }

    /// Number of services.
    #[must_use]
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// Whether there are no services.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Checks every service and destination.
    ///
    /// # Errors
    ///
    /// The key of the first service with a field that cannot be right, and the field.
    pub fn validate(&self) -> Result<(), (ServiceKey, ValidationError)> {
        for (key, entry) in &self.services {
            entry.service.validate().map_err(|error| (*key, error))?;
            for destination in &entry.destinations {
                destination.validate(key).map_err(|error| (*key, error))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_given_twice_keeps_its_place_and_takes_the_later_settings() {
        let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
        let first = Destination::masquerade("10.0.0.1:80".parse().unwrap());
        let second = Destination::masquerade("10.0.0.2:80".parse().unwrap());
        let mut table = Table::new();
        table.insert(
            service.clone(),
            [first.clone(), second.clone(), first.clone().with_weight(7)],
        );
        assert_eq!(
            table.destinations(&service.key()),
            [first.with_weight(7), second]
        );
    }

    #[test]
    fn validation_names_the_service() {
        let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
        let bad = Destination::masquerade("10.0.0.1:80".parse().unwrap()).with_thresholds(5, 3);
        let mut table = Table::new();
        table.insert(service.clone(), [bad]);
        let (key, error) = table.validate().unwrap_err();
        assert_eq!(key, service.key());
        assert_eq!(error.field(), "lower threshold");
    }
}

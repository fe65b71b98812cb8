//! What is there, by key, whether a kernel reported it or a table says so.

use std::collections::BTreeMap;

use crate::destination::{Destination, DestinationEntry};
use crate::service::{ServiceKey, VirtualService};
use crate::snapshot::Snapshot;
use crate::table::Table;

/// Services that are there.
pub(crate) type Services<'a> = BTreeMap<ServiceKey, Present<'a>>;

/// A service that is there, with its destinations oldest first.
#[derive(Debug)]
pub(crate) struct Present<'a> {
    pub(crate) service: &'a VirtualService,
    pub(crate) destinations: Vec<Held<'a>>,
}

/// A destination that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) active: u32,
    pub(crate) inactive: u32,
    /// Persistence templates.
    pub(crate) templates: u32,
}

impl Held<'_> {
    /// Active and inactive connections.
    pub(crate) fn connections(&self) -> u64 {
        u64::from(self.active).saturating_add(self.inactive.into())
    }
}

impl<'a> From<&'a DestinationEntry> for Held<'a> {
    fn from(entry: &'a DestinationEntry) -> Self {
        Self {
            destination: &entry.destination,
            active: entry.active_connections,
            inactive: entry.inactive_connections,
            templates: entry.persistent_connections,
        }
    }
}

impl<'a> From<&'a Destination> for Held<'a> {
    fn from(destination: &'a Destination) -> Self {
        Self {
            destination,
            active: 0,
            inactive: 0,
            templates: 0,
        }
    }
}

/// The services of a snapshot. Of entries a torn dump repeats the first counts.
pub(crate) fn of_snapshot(snapshot: &Snapshot) -> Services<'_> {
    let mut services = Services::new();
    for service in &snapshot.services {
        let key = service.entry.service.key();
        services.entry(key).or_insert_with(|| Present {
            service: &service.entry.service,
            destinations: service.destinations.iter().rev().map(Held::from).collect(),
        });
    }
    services
}

/// The services of a table, as if the kernel held exactly them.
pub(crate) fn of_table(table: &Table) -> Services<'_> {
    let present = table.services().map(|entry| {
        let present = Present {
            service: &entry.service,
            destinations: entry.destinations.iter().map(Held::from).collect(),
        };
        (entry.service.key(), present)
    });
    present.collect()
}

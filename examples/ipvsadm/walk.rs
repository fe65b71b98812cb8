//! Goes through services and their destinations in the order of the output.

use std::io;

use lvs_ipvs::text::{sort_destinations, sort_services};
use lvs_ipvs::{Client, DestinationEntry, ServiceEntry};

use crate::failure::Failure;

/// Visits services with their destinations, sorted or in the kernel's order.
///
/// Destinations are read service by service, as ipvsadm does, so that those of one service are
/// in memory at a time.
pub(crate) fn walk(
    client: &mut Client,
    services: &[ServiceEntry],
    sort: bool,
    mut visit: impl FnMut(&ServiceEntry, &[&DestinationEntry]) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut services: Vec<_> = services.iter().collect();
    if sort {
        sort_services(&mut services, |entry| entry.service.key());
    }
    let mut destinations = Vec::new();
    for entry in services {
        destinations.clear();
        client.for_each_destination(entry.service.key(), |destination| {
            destinations.push(destination.to_entry());
        })?;
        let mut ordered: Vec<_> = destinations.iter().collect();
        if sort {
            sort_destinations(&mut ordered, |entry| entry.destination.key());
        }
        visit(entry, &ordered)?;
    }
    Ok(())
}

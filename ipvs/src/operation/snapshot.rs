//! Reading the whole table, twice or more, until two readings agree.
//!
//! The kernel's dump cursor is an index: entries added or removed between two parts of a dump
//! make it skip or repeat others, and no flag tells (see the kernel's `ip_vs_genl_dump_*`). Two
//! equal readings in a row are the best there is.

use std::collections::HashMap;

use super::{Operation, Step};
use crate::error::{Error, RequestKind};
use crate::request::Query;
use crate::service::ServiceKey;
use crate::session::{Event, Reply, RequestId, Session};
use crate::snapshot::{Snapshot, SnapshotService};

/// Readings at most: enough for a table that changes now and then, an end for one that never
/// rests.
const MAX_READINGS: u32 = 4;

/// Reads services and destinations until two readings agree, four times at most.
#[derive(Debug, Default)]
pub struct TakeSnapshot {
    previous: Option<Vec<SnapshotService>>,
    services: Vec<SnapshotService>,
    // Requests of this reading: the service dump, then one destination dump for each service.
    open: HashMap<RequestId, Dump>,
    readings: u32,
}

#[derive(Clone, Copy, Debug)]
enum Dump {
    Services,
    Destinations(usize, ServiceKey),
}

impl TakeSnapshot {
    /// Prepares the first reading.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn finish_reading(&mut self, session: &mut Session) -> Step<Snapshot> {
        self.readings += 1;
        let services = core::mem::take(&mut self.services);
        let agreed = self
            .previous
            .as_deref()
            .is_some_and(|previous| same(previous, &services));
        if agreed || self.readings == MAX_READINGS {
            return Step::Done(Snapshot::new(services, agreed));
        }
        self.previous = Some(services);
        self.start_reading(session);
        Step::Continue
    }

    fn start_reading(&mut self, session: &mut Session) {
        let request = session.submit(Query::Services);
        self.open.insert(request, Dump::Services);
    }
}

/// Whether two readings show the same table; counters move all the time and do not count.
fn same(left: &[SnapshotService], right: &[SnapshotService]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            left.entry.service == right.entry.service
                && left.destinations.len() == right.destinations.len()
                && left
                    .destinations
                    .iter()
                    .zip(&right.destinations)
                    .all(|(left, right)| left.destination == right.destination)
        })
}

impl Operation for TakeSnapshot {
    type Output = Snapshot;

    fn start(&mut self, session: &mut Session) -> Step<Snapshot> {
        self.start_reading(session);
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Snapshot>, Error> {
        match event {
            Event::Reply { request, reply } => {
                match (self.open.get(&request), reply) {
                    (Some(Dump::Services), Reply::Service(service)) => {
                        self.services
                            .push(SnapshotService::new(service.to_entry(), Vec::new()));
                    }
                    (Some(Dump::Destinations(index, _)), Reply::Destination(destination)) => {
                        if let Some(service) = self.services.get_mut(*index) {
                            service.destinations.push(destination.to_entry());
                        }
                    }
                    _ => {}
                }
                Ok(Step::Continue)
            }
            Event::Completed { request, outcome } => {
                let Some(dump) = self.open.remove(&request) else {
                    return Ok(Step::Continue);
                };
                let query = match dump {
                    Dump::Services => Query::Services,
                    Dump::Destinations(_, service) => Query::Destinations(service),
                };
                outcome.into_result(RequestKind::Read(query))?;
                if let Dump::Services = dump {
                    for (index, service) in self.services.iter().enumerate() {
                        let key = service.entry.service.key();
                        let request = session.submit(Query::Destinations(key));
                        self.open.insert(request, Dump::Destinations(index, key));
                    }
                }
                Ok(match self.open.is_empty() {
                    true => self.finish_reading(session),
                    false => Step::Continue,
                })
            }
        }
    }
}

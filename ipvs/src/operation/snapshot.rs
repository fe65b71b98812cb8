//! Reading the whole table: once, or until two readings agree.
//!
//! The kernel's dump cursor is an index: entries added or removed between two parts of a dump
//! make it skip or repeat others, and no flag tells (see the kernel's `ip_vs_genl_dump_*`). Two
//! equal readings in a row are the best there is.

use std::collections::VecDeque;

use super::{Operation, Step};
use crate::error::{Error, RequestKind};
use crate::request::Query;
use crate::service::ServiceEntry;
use crate::session::{Event, Reply, Session};
use crate::snapshot::{Snapshot, SnapshotService};

/// Readings at most: enough for a table that changes now and then, an end for one that never
/// rests.
const MAX_READINGS: u32 = 4;

/// Reads services and destinations until two readings agree, four times at most.
#[derive(Debug)]
pub struct TakeSnapshot {
    previous: Option<Vec<SnapshotService>>,
    services: Vec<SnapshotService>,
    reading: Reading,
    readings_left: u32,
}

impl Default for TakeSnapshot {
    fn default() -> Self {
        Self::with_readings(MAX_READINGS)
    }
}

impl TakeSnapshot {
    /// Prepares the first reading.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Prepares a single reading: half the work of two that agree, and none is there to agree
    /// with.
    #[must_use]
    pub fn once() -> Self {
        Self::with_readings(1)
    }

    /// Prepares that many readings at most, one at least. Only one makes
    /// [`Snapshot::agreed`] false for sure.
    #[must_use]
    pub fn with_readings(most: u32) -> Self {
        Self {
            previous: None,
            services: Vec::new(),
            reading: Reading::default(),
            readings_left: most.max(1),
        }
    }

    fn finish_reading(&mut self, session: &mut Session) -> Step<Snapshot> {
        self.readings_left = self.readings_left.saturating_sub(1);
        let services = core::mem::take(&mut self.services);
        let agreed = self
            .previous
            .as_deref()
            .is_some_and(|previous| same(previous, &services));
        if agreed || self.readings_left == 0 {
            return Step::Done(Snapshot::new(services, agreed));
        }
        self.previous = Some(services);
        self.reading.start(session);
        Step::Continue
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
        self.reading.start(session);
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Snapshot>, Error> {
        let Self {
            services, reading, ..
        } = self;
        Ok(
            match reading.step(session, event, |service| services.push(service))? {
                Step::Done(()) => self.finish_reading(session),
                Step::Continue => Step::Continue,
            },
        )
    }
}

/// Reads services and destinations once, each service given to a function with its
/// destinations when those are complete. Of the destinations only those of one service are held.
pub struct VisitTable<F> {
    reading: Reading,
    visit: F,
}

impl<F: FnMut(SnapshotService)> VisitTable<F> {
    /// Prepares the reading.
    #[must_use]
    pub fn new(visit: F) -> Self {
        Self {
            reading: Reading::default(),
            visit,
        }
    }
}

impl<F> core::fmt::Debug for VisitTable<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VisitTable")
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

impl<F: FnMut(SnapshotService)> Operation for VisitTable<F> {
    type Output = ();

    fn start(&mut self, session: &mut Session) -> Step<()> {
        self.reading.start(session);
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<()>, Error> {
        self.reading.step(session, event, &mut self.visit)
    }
}

/// One reading: a dump of the services, then one of the destinations of each. A socket has one
/// dump at a time, so each is asked for when the one before it has ended.
#[derive(Debug, Default)]
struct Reading {
    // Services whose destinations are not asked for yet.
    services: VecDeque<ServiceEntry>,
    current: Option<SnapshotService>,
}

impl Reading {
    fn start(&mut self, session: &mut Session) {
        self.services.clear();
        self.current = None;
        session.submit(Query::Services);
    }

    fn step(
        &mut self,
        session: &mut Session,
        event: Event<'_>,
        complete: impl FnOnce(SnapshotService),
    ) -> Result<Step<()>, Error> {
        let outcome = match event {
            Event::Reply { reply, .. } => {
                match (reply, &mut self.current) {
                    (Reply::Service(service), None) => self.services.push_back(service.to_entry()),
                    (Reply::Destination(destination), Some(service)) => {
                        service.destinations.push(destination.to_entry());
                    }
                    _ => {}
                }
                return Ok(Step::Continue);
            }
            Event::Completed { outcome, .. } => outcome,
        };
        let done = self.current.take();
        let query = done.as_ref().map_or(Query::Services, |service| {
            Query::Destinations(service.entry.service.key())
        });
        outcome.into_result(RequestKind::Read(query))?;
        if let Some(service) = done {
            complete(service);
        }
        let Some(entry) = self.services.pop_front() else {
            return Ok(Step::Done(()));
        };
        session.submit(Query::Destinations(entry.service.key()));
        self.current = Some(SnapshotService::new(entry, Vec::new()));
        Ok(Step::Continue)
    }
}

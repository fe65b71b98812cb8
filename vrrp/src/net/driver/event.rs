//! What a driver tells: one stream, in order, numbered.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::address::InterfaceIndex;
use crate::event::Notification;
use crate::net::NetError;
use crate::net::addresses::AddressKey;
use crate::net::config::DriverError;
use crate::net::links::InterfaceAddress;
use crate::net::macvlan::Leftover;
use crate::node::{Report, ReportKind, Subject};
use crate::timer::Timestamp;

/// Something that happened.
#[expect(clippy::exhaustive_structs, reason = "which, when, and what")]
#[derive(Clone, Debug)]
pub struct DriverEvent {
    /// Grows by one with each event; where some are missing, they were dropped.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub kind: DriverEventKind,
}

/// What happened.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum DriverEventKind {
    /// The node reports it; its own sequence number counts reports only.
    Report(Report),
    /// An interface of the configuration is there now, or another has its name.
    InterfaceFound {
        /// Its name.
        name: String,
        /// Its index.
        index: InterfaceIndex,
    },
    /// An interface of the configuration is not there.
    InterfaceMissing {
        /// Its name.
        name: String,
    },
    /// So much happened to links that some of it was lost; all was read again.
    LinksReread,
    /// The configuration does not fit the interfaces as they are now: all goes on as it was.
    Refused(Arc<DriverError>),
    /// An address that an earlier process had left behind was removed.
    LeftoverRemoved(InterfaceAddress),
    /// A device with a virtual MAC that an earlier process had left behind was deleted.
    DeviceDeleted(Leftover),
    /// Somebody had removed this virtual address, and it is there again.
    AddressRestored(AddressKey),
    /// A hook of the program panicked, and said this. It counts as failed.
    HookPanicked(String),
    /// The system refused something. What that means to a virtual router is a report of its own.
    Failed(Arc<NetError>),
}

impl DriverEvent {
    fn transition(&self) -> Option<Subject> {
        match &self.kind {
            DriverEventKind::Report(report) => match report.kind {
                ReportKind::Router(Notification::Transition(_)) => Some(report.subject),
                _ => None,
            },
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<DriverEvent>,
    has_ended: bool,
}

/// The events of a driver, to be taken on whatever thread.
///
/// It holds a limited number. When nobody takes them the oldest go, but never the last transition of
/// a virtual router.
#[derive(Clone, Debug)]
pub struct EventStream {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    capacity: usize,
}

impl EventStream {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shared: Arc::default(),
            capacity: capacity.max(1),
        }
    }

    /// The next event, if there is one.
    #[must_use]
    pub fn try_next(&self) -> Option<DriverEvent> {
        self.lock().events.pop_front()
    }

    /// The next event; `None` when the driver has ended.
    ///
    /// # Blocking
    ///
    /// Until there is one.
    #[must_use]
    pub fn next(&self) -> Option<DriverEvent> {
        self.take(None)
    }

    /// The next event; `None` when the driver has ended or this time is over.
    ///
    /// # Blocking
    ///
    /// So long.
    #[must_use]
    pub fn next_within(&self, timeout: Duration) -> Option<DriverEvent> {
        self.take(Instant::now().checked_add(timeout))
    }

    fn take(&self, until: Option<Instant>) -> Option<DriverEvent> {
        let mut queue = self.lock();
        loop {
            if let Some(event) = queue.events.pop_front() {
                return Some(event);
            }
            if queue.has_ended {
                return None;
            }
            let condition = &self.shared.1;
            queue = match until {
                None => condition
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.checked_duration_since(Instant::now())?;
                    let waited = condition.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    pub(super) fn push(&self, event: DriverEvent) {
        let mut queue = self.lock();
        queue.events.push_back(event);
        if queue.events.len() > self.capacity {
            make_room(&mut queue.events);
        }
        drop(queue);
        self.shared.1.notify_one();
    }

    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.shared.1.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        // Nothing in here panics half-way.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the oldest that is not the last transition of its router. Where each is, it grows: there
/// are no more of these than routers.
fn make_room(events: &mut VecDeque<DriverEvent>) {
    let mut last = BTreeMap::new();
    for event in &*events {
        if let Some(subject) = event.transition() {
            last.insert(subject, event.sequence);
        }
    }
    let dispensable = events.iter().position(|event| {
        let last = event.transition().and_then(|subject| last.get(&subject));
        last != Some(&event.sequence)
    });
    if let Some(place) = dispensable {
        events.remove(place);
    }
}

//! What happened, in order and numbered, on its way to whoever prints it.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::happening::Happening;

/// So many lines wait for somebody who reads slowly; then the oldest go.
const CAPACITY: usize = 4096;

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Grows by one; where some are missing they were dropped.
    pub(crate) sequence: u64,
    /// When it was told.
    pub(crate) at: SystemTime,
    pub(crate) what: Happening,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    sequence: u64,
    has_ended: bool,
}

/// The way from those who tell to the one who prints. Telling never waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    shared: Arc<(Mutex<Queue>, Condvar)>,
}

impl Journal {
    pub(crate) fn tell(&self, what: Happening) {
        let mut queue = self.lock();
        queue.sequence = queue.sequence.saturating_add(1);
        let entry = Entry {
            sequence: queue.sequence,
            at: SystemTime::now(),
            what,
        };
        queue.entries.push_back(entry);
        if queue.entries.len() > CAPACITY {
            queue.entries.pop_front();
        }
        drop(queue);
        self.shared.1.notify_one();
    }

    /// Nothing more will be told.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.shared.1.notify_all();
    }

    /// All that waits, once there is something or this time is over; `None` at the end.
    pub(crate) fn take(&self, until: Option<Instant>) -> Option<VecDeque<Entry>> {
        let mut queue = self.lock();
        while queue.entries.is_empty() && !queue.has_ended {
            let condition = &self.shared.1;
            queue = match until {
                None => condition
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left == Duration::ZERO {
                        return Some(VecDeque::new());
                    }
                    let waited = condition.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let entries = core::mem::take(&mut queue.entries);
        (!entries.is_empty() || !queue.has_ended).then_some(entries)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here panics half-way.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

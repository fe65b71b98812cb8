//! What happened, in order and numbered, on its way to whoever prints it.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// So many lines wait for somebody who reads slowly; then the oldest go.
const CAPACITY: usize = 4096;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry<T> {
    /// Grows by one; where some are missing they were dropped.
    pub sequence: u64,
    /// When it was told.
    pub at: SystemTime,
    /// What it was.
    pub what: T,
}

#[derive(Debug)]
struct Queue<T> {
    entries: VecDeque<Entry<T>>,
    sequence: u64,
    has_ended: bool,
}

/// The way from those who tell to the one who prints. Telling never waits: where nobody reads, the
/// oldest of 4096 go.
#[derive(Debug)]
pub struct Log<T> {
    shared: Arc<(Mutex<Queue<T>>, Condvar)>,
}

impl<T> Entry<T> {
    /// As JSON, without an end of line: what all have, then what belongs to this one.
    #[must_use]
    pub fn to_json(&self, event: &str, fields: &Value) -> String {
        let fields = fields.to_string();
        let fields = fields.strip_prefix('{').unwrap_or("}");
        let comma = if fields == "}" { "" } else { "," };
        format!(
            "{{\"sequence\":{},\"time\":{},\"event\":\"{event}\"{comma}{fields}",
            self.sequence,
            seconds(self.at)
        )
    }
}

/// Seconds since 1970, to the microsecond.
fn seconds(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        let queue = Queue {
            entries: VecDeque::new(),
            sequence: 0,
            has_ended: false,
        };
        Self {
            shared: Arc::new((Mutex::new(queue), Condvar::new())),
        }
    }
}

impl<T> Log<T> {
    /// Tells of something.
    pub fn tell(&self, what: T) {
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
    pub fn end(&self) {
        self.lock().has_ended = true;
        self.shared.1.notify_all();
    }

    /// All that waits, once there is something or this time is over; `None` at the end.
    #[must_use]
    pub fn take(&self, until: Option<Instant>) -> Option<VecDeque<Entry<T>>> {
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

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // Nothing in here panics half-way.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_goes_oldest_first_and_leaves_a_gap() {
        let log = Log::default();
        for number in 0..=CAPACITY {
            log.tell(number);
        }
        let entries = log.take(None).unwrap();
        let first = entries.front().map(|entry| (entry.sequence, entry.what));
        assert_eq!((entries.len(), first), (CAPACITY, Some((2, 1))));
        assert!(log.take(Some(Instant::now())).unwrap().is_empty());
        log.end();
        assert!(log.take(None).is_none());
    }
}

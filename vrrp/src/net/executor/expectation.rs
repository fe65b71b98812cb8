//! What a thread stays awake for.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::net::clock;
use crate::timer::Timestamp;

/// Another task is about to come.
#[derive(Clone, Debug)]
pub(in crate::net) struct Expectation {
    until: Timestamp,
    has_come: Arc<AtomicBool>,
}

impl Expectation {
    pub(in crate::net) fn new(until: Timestamp) -> Self {
        Self {
            until,
            has_come: Arc::default(),
        }
    }

    /// It has come.
    pub(in crate::net) fn fulfil(&self) {
        self.has_come.store(true, Ordering::Release);
    }

    /// It may still come.
    pub(in crate::net) fn is_open(&self, now: Timestamp) -> bool {
        now < self.until && !self.has_come.load(Ordering::Acquire)
    }

    /// Stays awake until it comes, or does not come any more. Whoever else could run does.
    pub(in crate::net) fn wait(&self) {
        while self.is_open(clock::now()) {
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn who_waits_goes_on_when_it_has_come_or_does_not_come_any_more() {
        Expectation::new(clock::now().saturating_add(Duration::from_micros(100))).wait();
        let expectation = Expectation::new(Timestamp::MAX);
        let other = expectation.clone();
        let waits = thread::spawn(move || other.wait());
        expectation.fulfil();
        waits.join().unwrap();
    }
}

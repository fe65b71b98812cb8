//! Getting ready for a take-over shortly before it.
//!
//! A thread that sleeps takes the better part of a tenth of a millisecond to wake up, which is longer than
//! the kernel needs to add an address. So the driver wakes up [`LEAD`] before a Backup takes over, wakes
//! the thread of the addresses, and sleeps again; that one stays awake for as long as the take-over may
//! come, half a millisecond at most. If an advertisement comes instead, nothing was done but this.
//!
//! The thread of the driver adds no addresses itself, not even one: the kernel would make it wait while
//! somebody else configures the network, and the advertisements of all routers with it (OP-2). Where there
//! is only one processor, the other thread must not be in its way, and nothing of this is done.

use core::time::Duration;
use std::thread;

use super::engine::Engine;
use crate::net::executor::{AddressTask, Expectation};
use crate::timer::Timestamp;

/// How long before a take-over it gets ready.
const LEAD: Duration = Duration::from_micros(200);

/// How long after it should have come nobody waits for it any more.
const GRACE: Duration = Duration::from_micros(300);

/// It gets ready at most once in this time: where many take over one after the other, staying awake for
/// each would cost more than it gains.
const REST: Duration = Duration::from_millis(10);

/// What is expected.
#[derive(Debug)]
pub(super) struct Expecting {
    is_worth_it: bool,
    /// The take-over it got ready for last.
    at: Timestamp,
    open: Option<Expectation>,
}

impl Expecting {
    pub(super) fn new() -> Self {
        let processors = thread::available_parallelism();
        Self {
            is_worth_it: processors.is_ok_and(|count| count.get() > 1),
            at: Timestamp::ZERO,
            open: None,
        }
    }

    /// What there is to do before a take-over that is due then.
    fn prepare(&mut self, now: Timestamp, at: Timestamp) -> Next {
        let begin = at.saturating_sub(LEAD);
        if !self.is_worth_it || begin < self.at.saturating_add(REST) {
            return Next::Nothing;
        }
        if now < begin {
            return Next::At(begin);
        }
        self.end();
        self.at = at;
        let expectation = Expectation::new(at.saturating_add(GRACE));
        self.open = Some(expectation.clone());
        Next::Expect(expectation)
    }

    /// Whether the thread of the addresses is awake.
    pub(super) fn is_awake(&self, now: Timestamp) -> bool {
        let mut open = self.open.iter();
        open.any(|expectation| expectation.is_open(now))
    }

    /// It has a task.
    pub(super) fn end(&mut self) {
        if let Some(expectation) = self.open.take() {
            expectation.fulfil();
        }
    }
}

#[derive(Debug)]
enum Next {
    Nothing,
    At(Timestamp),
    Expect(Expectation),
}

impl Engine {
    /// Gets ready for the next take-over if it is time, or says when that is.
    pub(super) fn expect_take_over(&mut self, now: Timestamp) -> Option<Timestamp> {
        let at = self.node.next_take_over()?;
        match self.expecting.prepare(now, at) {
            Next::Nothing => None,
            Next::At(begin) => Some(begin),
            Next::Expect(expectation) => {
                // The thread goes only after the driver, or tells of its end.
                let _ = self.addresses.send(AddressTask::Expect(expectation));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn it_gets_ready_once_shortly_before_each_take_over() {
        let mut expecting = Expecting::new();
        expecting.is_worth_it = true;
        let at = us(35_000);
        assert!(matches!(expecting.prepare(us(1000), at), Next::At(begin) if begin == us(34_800)));
        assert!(!expecting.is_awake(us(1000)));
        let Next::Expect(first) = expecting.prepare(us(34_800), at) else {
            panic!("{expecting:?}");
        };
        assert!(first.is_open(us(35_299)) && !first.is_open(us(35_300)));
        assert!(matches!(expecting.prepare(us(34_900), at), Next::Nothing));
        assert!(expecting.is_awake(us(35_100)) && !expecting.is_awake(us(35_300)));
        // Another one soon after.
        assert!(matches!(
            expecting.prepare(us(35_200), us(45_199)),
            Next::Nothing
        ));
        // An advertisement has come instead.
        let at = us(70_000);
        assert!(
            matches!(expecting.prepare(us(34_950), at), Next::At(begin) if begin == us(69_800))
        );
        // It woke up late.
        let Next::Expect(second) = expecting.prepare(us(69_999), at) else {
            panic!("{expecting:?}");
        };
        assert!(!first.is_open(us(35_000)), "one at a time");
        assert!(expecting.is_awake(at));
        expecting.end();
        assert!(!expecting.is_awake(at) && !second.is_open(at));
        expecting.is_worth_it = false;
        assert!(matches!(
            expecting.prepare(us(99_999), us(99_999)),
            Next::Nothing
        ));
    }
}

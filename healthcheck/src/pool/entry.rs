//! One entry of the table, and the drain it may be in.

use core::time::Duration;

use super::event::{Cause, Connections, PoolEvent};
use super::settings::OnLimit;
use crate::Timestamp;
use crate::aggregate::Desired;

/// What an entry is to become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Goal {
    /// It stays as it is.
    Stay,
    /// It is there with that weight.
    Serve(u32, Cause),
    /// It leaves at once.
    Gone(Cause),
    /// It has weight 0, and leaves or stays so when its connections are over.
    Drain(Drainage),
}

/// How an entry drains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Drainage {
    pub(super) cause: Cause,
    pub(super) limit: Option<Duration>,
    pub(super) on_limit: OnLimit,
    /// Whether it stays with weight 0 in the end, and comes with weight 0 if it was not there.
    pub(super) stays: bool,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Drained,
    TimedOut,
}

/// A drain that goes on, or is over while it is still wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Draining {
    pub(super) how: Drainage,
    pub(super) since: Timestamp,
    pub(super) end: Option<End>,
    left: Option<Connections>,
}

impl Draining {
    /// When it is over at the latest.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match self.end {
            None => Some(self.since.saturating_add(self.how.limit?)),
            Some(_) => None,
        }
    }
}

/// An entry of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) now: Desired,
    pub(super) cause: Cause,
    pub(super) drain: Option<Draining>,
}

impl Entry {
    pub(super) const fn new(now: Desired, cause: Cause) -> Self {
        Self {
            now,
            cause,
            drain: None,
        }
    }

    pub(super) const fn weight(&self) -> u32 {
        match self.now {
            Desired::Present { weight } => weight,
            Desired::Absent => 0,
        }
    }

    /// Comes as near to the goal as can be now; tells what becomes of a drain.
    pub(super) fn pursue<D: Clone>(
        &mut self,
        now: Timestamp,
        goal: Goal,
        key: &D,
        events: &mut Vec<PoolEvent<D>>,
    ) {
        match goal {
            Goal::Stay => self.cancel(key, events),
            Goal::Serve(weight, cause) => {
                self.cancel(key, events);
                self.set(Desired::Present { weight }, cause);
            }
            Goal::Gone(cause) => {
                self.cancel(key, events);
                self.set(Desired::Absent, cause);
            }
            Goal::Drain(how) => self.drain(now, how, key, events),
        }
    }

    const fn set(&mut self, now: Desired, cause: Cause) {
        self.now = now;
        self.cause = cause;
    }

    fn cancel<D: Clone>(&mut self, key: &D, events: &mut Vec<PoolEvent<D>>) {
        if let Some(Draining { end: None, .. }) = self.drain.take() {
            let destination = key.clone();
            events.push(PoolEvent::DrainCancelled { destination });
        }
    }

    fn drain<D: Clone>(
        &mut self,
        now: Timestamp,
        how: Drainage,
        key: &D,
        events: &mut Vec<PoolEvent<D>>,
    ) {
        let zero = Desired::Present { weight: 0 };
        // Without time there is nothing to wait for and nothing to tell.
        if how.limit == Some(Duration::ZERO) {
            self.cancel(key, events);
            let to = if how.stays { zero } else { Desired::Absent };
            return self.set(to, how.cause);
        }
        // What is not there has no connections.
        if self.drain.is_none() && self.now == Desired::Absent && !how.stays {
            return self.set(Desired::Absent, how.cause);
        }
        let destination = || key.clone();
        let mut draining = match self.drain {
            // The clock of a drain goes on when only its cause is another.
            Some(draining) => Draining { how, ..draining },
            None => {
                events.push(PoolEvent::DrainStarted {
                    destination: destination(),
                    cause: how.cause,
                    limit: how.limit,
                });
                Draining {
                    how,
                    since: now,
                    end: None,
                    left: None,
                }
            }
        };
        if draining.deadline().is_some_and(|deadline| deadline <= now) {
            draining.end = Some(End::TimedOut);
            events.push(PoolEvent::DrainTimedOut {
                destination: destination(),
                left: draining.left,
            });
        }
        self.drain = Some(draining);
        match draining.end {
            None => self.set(zero, how.cause),
            Some(_) if how.stays => self.set(zero, how.cause),
            Some(End::TimedOut) if how.on_limit == OnLimit::KeepZero => self.set(zero, how.cause),
            Some(End::TimedOut) => self.set(Desired::Absent, Cause::DrainTimedOut),
            Some(End::Drained) => self.set(Desired::Absent, Cause::Drained),
        }
    }

    /// Takes note that its connections are over. Says whether that matters.
    pub(super) fn drained<D: Clone>(&mut self, key: &D, events: &mut Vec<PoolEvent<D>>) -> bool {
        let Some(draining) = &mut self.drain else {
            return false;
        };
        match draining.end {
            Some(End::Drained) => return false,
            // Its end was told.
            Some(End::TimedOut) => {}
            None => {
                let destination = key.clone();
                events.push(PoolEvent::DrainDone { destination });
            }
        }
        draining.end = Some(End::Drained);
        true
    }

    /// Takes note of how many connections there are.
    pub(super) const fn observe(&mut self, connections: Connections) {
        if let Some(draining) = &mut self.drain {
            draining.left = Some(connections);
        }
    }
}

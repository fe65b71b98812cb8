//! The blocking driver (API first; the body follows).
use crate::Timestamp;
use crate::check::{Check, CheckEvent, CheckId};
use crate::error::Error;
use crate::policy::{Health, Policy};
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd};

/// Settings of a [`Driver`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Config {
    seed: Option<u64>,
}

/// Runs checks, on the thread that calls [`poll`](Driver::poll) and nowhere else.
#[derive(Debug)]
pub struct Driver {}

#[expect(clippy::missing_errors_doc, reason = "first cut")]
impl Driver {
    /// Opens the driver's epoll and timer descriptors.
    pub fn new(_config: Config) -> Result<Self, Error> {
        todo!()
    }
    /// Adds a check; its first attempt starts as its policy says.
    pub fn add(&mut self, _check: Check) -> Result<CheckId, Error> {
        todo!()
    }
    /// Removes a check; a running attempt is cancelled and gives no event any more.
    pub fn remove(&mut self, _check: CheckId) -> Result<(), Error> {
        todo!()
    }
    /// Replaces a check's policy and keeps its health.
    pub fn set_policy(&mut self, _check: CheckId, _policy: Policy) -> Result<(), Error> {
        todo!()
    }
    /// A check's health now.
    pub fn health(&self, _check: CheckId) -> Option<Health> {
        todo!()
    }
    /// Now, on the clock of all times in events.
    pub fn now(&self) -> Timestamp {
        todo!()
    }
    /// Works until there is at least one event or the time is over (`None`: no limit); appends what happened to `events`.
    /// Returns early without events when a signal handler ran.
    pub fn poll(
        &mut self,
        _timeout: Option<Duration>,
        _events: &mut Vec<CheckEvent>,
    ) -> Result<(), Error> {
        todo!()
    }
}
impl AsFd for Driver {
    /// Readable when [`poll`](Driver::poll) has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        todo!()
    }
}
/// Looks up a user's number, group and supplementary groups, for `user` and `script_user`.
pub fn lookup_user(_name: &str) -> Result<crate::probe::command::Credentials, Error> {
    todo!()
}

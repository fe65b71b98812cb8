//! Probes that are functions of the user's: plain ones, which may block.

use core::fmt;

use super::{Action, Engine, Event, Probe, Resource, Step};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::outcome::{Code, Outcome, Phase};

/// Something to be called off the driver's thread; see [`Action::Call`].
pub struct Call(Box<dyn FnOnce() -> Outcome + Send>);

impl Call {
    /// Wraps a function; it may block.
    pub fn new(function: impl FnOnce() -> Outcome + Send + 'static) -> Self {
        Self(Box::new(function))
    }

    /// Calls it, on this thread.
    #[must_use]
    pub fn run(self) -> Outcome {
        (self.0)()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// A probe made of a function that may block, called on a thread of the driver's own.
///
/// The threads are few ([`Limits`](crate::timetable::Limits)) and shared by all such probes. A
/// function cannot be interrupted: at its deadline the attempt counts as failed
/// ([`Code::TimeoutIo`]) and the next one waits until the function has returned. So give what it
/// calls a time limit of its own: `attempt.deadline` says when.
///
/// ```
/// use std::fs;
/// use lvs_healthcheck::probe::FnProbe;
/// use lvs_healthcheck::{Check, Code, Outcome, Phase, Policy};
///
/// let probe = FnProbe::new(|_attempt| match fs::read_to_string("/proc/loadavg") {
///     Ok(load) if load.starts_with('0') => Outcome::new(Code::Ok, Phase::Match),
///     Ok(load) => Outcome::new(Code::Busy, Phase::Match).with_detail(&load),
///     Err(error) => Outcome::new(Code::LocalSocket, Phase::Bind).with_detail(&error.to_string()),
/// });
/// let check = Check::new(probe, Policy::default());
/// ```
pub struct FnProbe<F> {
    function: std::sync::Arc<F>,
}

impl<F: Fn(&Attempt) -> Outcome + Send + Sync + 'static> FnProbe<F> {
    /// Makes a probe of a function.
    pub fn new(function: F) -> Self {
        Self {
            function: std::sync::Arc::new(function),
        }
    }
}

impl<F> fmt::Debug for FnProbe<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnProbe")
    }
}

impl<F: Fn(&Attempt) -> Outcome + Send + Sync + 'static> Probe for FnProbe<F> {
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        let (function, attempt) = (self.function.clone(), *attempt);
        let call = Call::new(move || function(&attempt));
        let late = Outcome::new(Code::TimeoutIo, Phase::Process);
        Box::new(CallEngine::new(Action::Call(call), late))
    }

    fn resource(&self) -> Resource {
        Resource::Thread
    }
}

/// One attempt that is a function's and nothing else.
#[derive(Debug)]
pub(super) struct CallEngine {
    begin: Option<Action>,
    /// What it counts as when time is up.
    late: Outcome,
    /// What may end the function then.
    abort: Option<Action>,
    /// Time was up, or the check was removed; only the function's return is waited for.
    reported: bool,
}

impl CallEngine {
    pub(super) const fn new(begin: Action, late: Outcome) -> Self {
        Self {
            begin: Some(begin),
            late,
            abort: None,
            reported: false,
        }
    }

    /// One that can be ended when time is up.
    #[cfg(feature = "tokio")]
    pub(super) fn with_abort(mut self, abort: Action) -> Self {
        self.abort = Some(abort);
        self
    }
}

impl Engine for CallEngine {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(self.begin.take().into_iter().collect())
    }

    fn on_event(&mut self, event: Event<'_>, _now: Timestamp) -> Step {
        match event {
            Event::Returned(_) | Event::Failed { .. } if self.reported => Step::End(Vec::new()),
            Event::Returned(outcome) => Step::Done(outcome),
            Event::Failed {
                operation,
                errno,
                origin,
                ..
            } => Step::Done(operation.outcome(errno, origin)),
            Event::Deadline if !self.reported => {
                self.reported = true;
                Step::Report(self.late.clone(), self.abort.take().into_iter().collect())
            }
            Event::Cancel => {
                self.reported = true;
                Step::Do(Vec::new())
            }
            _ => Step::Do(Vec::new()),
        }
    }
}

//! Probes that are async functions of the user's (feature `tokio`).

use core::fmt;
use core::pin::Pin;
use std::sync::Arc;

use super::{Action, Engine, Event, Probe, Resource, Step};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::outcome::{Code, Outcome, Phase};

/// Something to be run as a task of the driver's runtime; see [`Action::Run`].
pub struct Task(Pin<Box<dyn Future<Output = Outcome> + Send>>);

impl Task {
    /// Wraps a future.
    pub fn new(future: impl Future<Output = Outcome> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    pub(crate) fn into_future(self) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        self.0
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

/// A probe made of an async function, run as a task of the runtime that drives.
///
/// Only an [`AsyncDriver`](crate::AsyncDriver) has a runtime; a driver of its own refuses it
/// ([`Error::NoRuntime`](crate::Error::NoRuntime)). How many run at once is
/// [limited](crate::timetable::Limits::with_max_tasks). The task is aborted at its deadline (the
/// attempt counts as failed, [`Code::TimeoutIo`]), and when its check is removed or the driver
/// dropped; tokio does that where the future waits, so one that never does holds up the next
/// attempt. A panic says nothing about the destination.
///
/// The plain counterpart is [`FnProbe`](super::FnProbe).
///
/// ```
/// use lvs_healthcheck::probe::AsyncProbe;
/// use lvs_healthcheck::{Check, Code, Outcome, Phase, Policy};
///
/// let probe = AsyncProbe::new(|_attempt| async {
///     match tokio::net::UnixStream::connect("/run/app.sock").await {
///         Ok(_) => Outcome::new(Code::Ok, Phase::Connect),
///         Err(error) => {
///             Outcome::new(Code::Refused, Phase::Connect).with_detail(&error.to_string())
///         }
///     }
/// });
/// let check = Check::new(probe, Policy::default());
/// ```
pub struct AsyncProbe {
    function: Arc<dyn Fn(Attempt) -> Task + Send + Sync>,
}

impl AsyncProbe {
    /// Makes a probe of an async function, which is called within the task.
    #[must_use]
    pub fn new<F, R>(function: F) -> Self
    where
        F: Fn(Attempt) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let function = Arc::new(function);
        Self {
            function: Arc::new(move |attempt| {
                let function = function.clone();
                Task::new(async move { function(attempt).await })
            }),
        }
    }
}

impl fmt::Debug for AsyncProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsyncProbe")
    }
}

impl Probe for AsyncProbe {
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(TaskEngine {
            task: Some((self.function)(*attempt)),
            reported: false,
        })
    }

    fn resource(&self) -> Resource {
        Resource::Task
    }
}

#[derive(Debug)]
struct TaskEngine {
    task: Option<Task>,
    /// Time was up; only the end of the task is waited for.
    reported: bool,
}

impl Engine for TaskEngine {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(self.task.take().map(Action::Run).into_iter().collect())
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
                let outcome = Outcome::new(Code::TimeoutIo, Phase::Process);
                Step::Report(outcome, vec![Action::Abort])
            }
            // What is held is let go of when the driver closes the attempt.
            _ => Step::Do(Vec::new()),
        }
    }
}

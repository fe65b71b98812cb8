//! Probes that are async functions of the user's (feature `tokio`).

use core::fmt;
use core::pin::Pin;
use std::sync::Arc;

use super::call::CallEngine;
use super::{Action, Engine, Probe, Resource};
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
        let task = Action::Run((self.function)(*attempt));
        let late = Outcome::new(Code::TimeoutIo, Phase::Process);
        Box::new(CallEngine::new(task, late).with_abort(Action::Abort))
    }

    fn resource(&self) -> Resource {
        Resource::Task
    }
}

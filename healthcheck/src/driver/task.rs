//! Tasks of a runtime: probes that are async functions.

use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::panic::catch_unwind;

use ::tokio::runtime::Handle;
use ::tokio::task::AbortHandle;

use super::worker::{Back, panicked};
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::Task;

/// A task under way; dropping this aborts it.
#[derive(Debug)]
pub(super) struct Started(AbortHandle);

impl Started {
    /// Starts a task, whose outcome goes back once nothing is left of its future.
    pub(super) fn new(runtime: &Handle, task: Task, back: Back) -> Self {
        let job = Job {
            future: task.into_future(),
            end: End {
                outcome: None,
                back,
            },
        };
        Self(runtime.spawn(job).abort_handle())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Fields are dropped in order: the future is gone before its end is told.
struct Job {
    future: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    end: End,
}

struct End {
    outcome: Option<Outcome>,
    back: Back,
}

impl Future for Job {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let job = self.get_mut();
        let polled = catch_unwind(AssertUnwindSafe(|| job.future.as_mut().poll(task)));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panic) => panicked(&*panic),
        };
        job.end.outcome = Some(outcome);
        Poll::Ready(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Outcome::new(Code::Cancelled, Phase::Process).with_detail("the task was aborted")
        });
        self.back.give(outcome);
    }
}

//! A few threads for functions that may block.
//!
//! A thread is started when a function has to be called and all are busy, up to a limit, and ends
//! when nothing was asked of it for a while or the driver is gone. A function that does not return
//! keeps its thread.

use alloc::collections::VecDeque;
use core::any::Any;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::catch_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::ClockId;

use crate::Timestamp;
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::Call;

/// How long a thread waits for more before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Workers {
    shared: Arc<Shared>,
    limit: u32,
    /// Where tasks run.
    #[cfg(feature = "tokio")]
    runtime: Option<::tokio::runtime::Handle>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rung when there is something to call, or the driver is gone.
    work: Condvar,
    /// Readable when something has returned.
    returned: EventFd,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Task>,
    returned: Vec<(u64, Outcome)>,
    threads: u32,
    idle: usize,
    closed: bool,
}

/// Something to be called.
#[derive(Debug)]
struct Task {
    number: u64,
    call: Call,
    /// When it is too late for that.
    deadline: Timestamp,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of the user's runs under the lock, so what it protects is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, state: &mut State, number: u64, outcome: Outcome) {
        state.returned.push((number, outcome));
        // Full only after 2⁶⁴ − 1 unread returns.
        let _ = self.returned.write(1);
    }
}

/// The way back for an outcome.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(super) struct Back {
    shared: Arc<Shared>,
    number: u64,
}

#[cfg(feature = "tokio")]
impl Back {
    pub(super) fn give(&self, outcome: Outcome) {
        let mut state = self.shared.state();
        if !state.closed {
            self.shared.give(&mut state, self.number, outcome);
        }
    }
}

impl Workers {
    /// With so many threads at most.
    pub(super) fn new(limit: u32) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            limit,
            #[cfg(feature = "tokio")]
            runtime: None,
            shared: Arc::new(Shared {
                state: Mutex::default(),
                work: Condvar::new(),
                returned: EventFd::from_flags(flags)?,
            }),
        })
    }

    /// Has something called; its outcome comes back with this number. After the deadline it is not
    /// begun any more, so that what has piled up behind functions that hang is soon gone.
    pub(super) fn call(&self, number: u64, call: Call, deadline: Timestamp) -> io::Result<()> {
        let mut state = self.shared.state();
        if state.idle <= state.waiting.len() && state.threads < self.limit {
            let shared = self.shared.clone();
            let name = "healthcheck".to_owned();
            thread::Builder::new()
                .name(name)
                .spawn(move || work(&shared))?;
            state.threads = state.threads.saturating_add(1);
            state.idle = state.idle.saturating_add(1);
        }
        state.waiting.push_back(Task {
            number,
            call,
            deadline,
        });
        self.shared.work.notify_one();
        Ok(())
    }

    /// Where the outcome of something that runs elsewhere is to be left, with this number.
    #[cfg(feature = "tokio")]
    pub(super) fn back(&self, number: u64) -> Back {
        Back {
            shared: self.shared.clone(),
            number,
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn set_runtime(&mut self, runtime: ::tokio::runtime::Handle) {
        self.runtime = Some(runtime);
    }

    #[cfg(feature = "tokio")]
    pub(super) const fn runtime(&self) -> Option<&::tokio::runtime::Handle> {
        self.runtime.as_ref()
    }

    /// What has returned since the last time.
    pub(super) fn returned(&self) -> Vec<(u64, Outcome)> {
        // Reading stops it from being ready; an error means that it was not.
        let _ = self.shared.returned.read();
        core::mem::take(&mut self.shared.state().returned)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        state.waiting.clear();
        self.shared.work.notify_all();
    }
}

impl AsFd for Workers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.returned.as_fd()
    }
}

/// The life of a thread; it counts as idle when it begins.
fn work(shared: &Shared) {
    let mut state = shared.state();
    loop {
        if let Some(task) = state.waiting.pop_front() {
            state.idle = state.idle.saturating_sub(1);
            drop(state);
            let outcome = if now() < task.deadline {
                let call = AssertUnwindSafe(|| task.call.run());
                catch_unwind(call).unwrap_or_else(|panic| panicked(&*panic))
            } else {
                Outcome::new(Code::Cancelled, Phase::Process)
                    .with_detail("no thread was free in time")
            };
            state = shared.state();
            state.idle = state.idle.saturating_add(1);
            shared.give(&mut state, task.number, outcome);
        } else if state.closed {
            return;
        } else {
            let waited = shared.work.wait_timeout(state, PATIENCE);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            if timeout.timed_out() && state.waiting.is_empty() {
                state.idle = state.idle.saturating_sub(1);
                state.threads = state.threads.saturating_sub(1);
                return;
            }
        }
    }
}

fn now() -> Timestamp {
    let now = ClockId::CLOCK_BOOTTIME.now().map(Duration::from);
    // Cannot fail; the driver's own clock would stand still, too.
    now.unwrap_or_default()
}

/// A panic says nothing about the destination.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let detail = format!("the probe panicked: {}", text.unwrap_or("no text"));
    Outcome::new(Code::Cancelled, Phase::Process).with_detail(&detail)
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn all(workers: &Workers, count: usize) -> Vec<(u64, Outcome)> {
        let mut returned = Vec::new();
        while returned.len() < count {
            returned.extend(workers.returned());
            thread::sleep(Duration::from_millis(1));
        }
        returned
    }

    #[test]
    fn there_are_never_more_threads_than_the_limit() {
        let workers = Workers::new(2).unwrap();
        let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let later = now() + Duration::from_secs(60);
        for number in 0..6 {
            let (running, most) = (running.clone(), most.clone());
            let call = Call::new(move || {
                let at_once = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(at_once, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(30));
                running.fetch_sub(1, Ordering::SeqCst);
                Outcome::new(Code::Ok, Phase::Match)
            });
            workers.call(number, call, later).unwrap();
        }
        assert_eq!(workers.shared.state().threads, 2);
        assert_eq!(all(&workers, 6).len(), 6);
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_waited_too_long_is_not_begun() {
        let workers = Workers::new(1).unwrap();
        let (release, held) = mpsc::channel::<()>();
        let blocking = Call::new(move || {
            held.recv().unwrap();
            Outcome::new(Code::Ok, Phase::Match)
        });
        let start = now();
        workers
            .call(0, blocking, start + Duration::from_secs(60))
            .unwrap();
        let late = Call::new(|| unreachable!("begun all the same"));
        workers.call(1, late, start).unwrap();
        release.send(()).unwrap();
        let returned = all(&workers, 2);
        let outcome = &returned.iter().find(|(number, _)| *number == 1).unwrap().1;
        assert_eq!(outcome.detail.as_str(), "no thread was free in time");
    }
}

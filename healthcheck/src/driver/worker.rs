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
    waiting: VecDeque<(u64, Call)>,
    returned: Vec<(u64, Outcome)>,
    threads: u32,
    idle: usize,
    closed: bool,
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

    /// Has something called; its outcome comes back with this number.
    pub(super) fn call(&self, number: u64, call: Call) -> io::Result<()> {
        let mut state = self.shared.state();
        if state.idle <= state.waiting.len() && state.threads < self.limit {
            let shared = self.shared.clone();
            let name = "healthcheck".to_owned();
            thread::Builder::new()
                .name(name)
                .spawn(move || work(&shared))?;
            state.idle = state.idle.saturating_add(1);
            state.threads = state.threads.saturating_add(1);
        }
        state.waiting.push_back((number, call));
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
        if let Some((number, call)) = state.waiting.pop_front() {
            state.idle = state.idle.saturating_sub(1);
            drop(state);
            let outcome = catch_unwind(AssertUnwindSafe(|| call.run()));
            let outcome = outcome.unwrap_or_else(|panic| panicked(&*panic));
            state = shared.state();
            state.idle = state.idle.saturating_add(1);
            shared.give(&mut state, number, outcome);
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

/// A panic says nothing about the destination.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let detail = format!(
        "the probe's function panicked: {}",
        text.unwrap_or("no text")
    );
    Outcome::new(Code::Cancelled, Phase::Process).with_detail(&detail)
}

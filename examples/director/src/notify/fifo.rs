//! FIFOs that are told of changes, and who reads them: one owner for a process, whoever writes.
//!
//! ```text
//! servers ──► claim, write ─┐                ┌─► FIFO ──► its reader
//!                           ├─► Fifos (one) ─┤                 ▲
//! routers ──► claim, write ─┘                └─► …             │
//!                              thread notify-fifos: starts it, sees to its end
//! ```
//!
//! Each [half](Half) of a configuration claims the FIFOs it writes into. One that both claim is opened
//! once; it stays open, with its reader, until nobody claims it any more: a reload that keeps its path
//! does not disturb it.
//!
//! A line is written at once, as a whole and in the order of the calls, or it is lost: nobody waits
//! for a reader. The first line that is lost is told, and then how many.
//!
//! At the end of a FIFO its reader has `child_wait_time` to read what is left. Then the FIFO is closed,
//! so that the reader finds the end of the file; in what is left of that time it may end by itself.
//! After that it gets SIGTERM, and SIGKILL a moment later, with its process group. What it has not
//! read counts as lost.

mod event;
mod pipe;
mod planned;
mod state;

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

pub use event::FifoEvent;
pub(crate) use planned::{PlannedFifo, planned};

use state::State;

/// How often a FIFO that is to end is looked at: nothing says when somebody has read it.
const LOOK: Duration = Duration::from_millis(10);

/// One of the two that write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a configuration has these two")]
pub enum Half {
    /// Virtual servers.
    Servers,
    /// Virtual routers.
    Routers,
}

/// The FIFOs of a process. Clones are the same; when the last one is gone the readers are ended, and
/// nobody waits for that.
#[derive(Clone, Debug)]
pub struct Fifos {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread.
    wake: EventFd,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // It fails only when the counter is at its end; then the thread is awake.
        let _ = self.wake.write(1);
    }
}

impl Fifos {
    /// None yet. What happens to them is told, on a thread of its own.
    ///
    /// # Errors
    ///
    /// The system has no thread or no descriptor for it.
    pub fn start(tell: impl Fn(FifoEvent) + Send + 'static) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: EventFd::from_flags(flags)?,
        });
        let thread = thread::Builder::new().name("notify-fifos".into());
        let keeper = Arc::clone(&shared);
        let thread = thread.spawn(move || keep(&keeper, &tell))?;
        Ok(Self {
            owner: Arc::new(Owner {
                shared,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Those that are there already were left by the process before: they go with this one.
    pub fn inherit(&self) {
        self.shared().lock().inherit();
    }

    /// Another process goes on with all of them: they stay, and their readers are asked to end now.
    pub fn leave(&self) {
        self.shared().lock().leave(Instant::now());
        self.shared().wake();
    }

    /// From now on this half writes into these. They are open when this returns.
    pub(crate) fn claim(&self, half: Half, planned: &[PlannedFifo]) {
        self.shared().lock().claim(half, planned, Instant::now());
        self.shared().wake();
    }

    /// Writes a line into each FIFO of this half.
    pub(crate) fn write(&self, half: Half, line: &str) {
        let mut state = self.shared().lock();
        state.write(half, line);
        let has_events = state.has_events();
        drop(state);
        if has_events {
            self.shared().wake();
        }
    }

    /// Ends them all, and waits for it: for as long as readers may take.
    pub fn finish(&self) {
        self.shared().lock().end(Instant::now());
        self.shared().wake();
        let thread = self.owner.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It does not panic; if it did there would be nothing left to wait for.
            let _ = thread.join();
        }
    }

    fn shared(&self) -> &Shared {
        &self.owner.shared
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.lock().end(Instant::now());
        self.shared.wake();
    }
}

/// Sees to readers, and to the end of FIFOs.
fn keep(shared: &Shared, tell: &dyn Fn(FifoEvent)) {
    loop {
        let mut state = shared.lock();
        state.step(Instant::now());
        let (is_over, is_ending) = (state.is_over(), state.is_ending());
        let events = state.take_events();
        let descriptors = state.descriptors();
        drop(state);
        for event in events {
            tell(event);
        }
        if is_over {
            return;
        }
        wait(shared, &descriptors, is_ending);
    }
}

fn wait(shared: &Shared, others: &[OwnedFd], is_ending: bool) {
    let timeout = match is_ending {
        true => PollTimeout::from(u8::try_from(LOOK.as_millis()).unwrap_or(u8::MAX)),
        false => PollTimeout::NONE,
    };
    let all = core::iter::once(shared.wake.as_fd()).chain(others.iter().map(AsFd::as_fd));
    let mut polled: Vec<_> = all.map(|it| PollFd::new(it, PollFlags::POLLIN)).collect();
    // Whatever it says, the next look shows what there is to do.
    let _ = poll(&mut polled, timeout);
    // It does not block: nothing there is nothing to take.
    let _ = shared.wake.read();
}

#[cfg(test)]
mod tests;

//! Threads that take tasks one after the other and tell what came of each.

use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use nix::sys::eventfd::EventFd;

use super::Outcome;
use crate::net::{NetError, Operation};

/// Where threads leave what they tell, and how they wake the driver.
#[derive(Clone, Debug)]
pub(in crate::net) struct Outbox {
    outcomes: Sender<Outcome>,
    wake: Arc<EventFd>,
    is_closed: Arc<AtomicBool>,
}

impl Outbox {
    pub(in crate::net) fn new(wake: Arc<EventFd>) -> (Self, Receiver<Outcome>) {
        let (outcomes, inbox) = mpsc::channel();
        let is_closed = Arc::default();
        let outbox = Self {
            outcomes,
            wake,
            is_closed,
        };
        (outbox, inbox)
    }

    /// What waits for a thread is not begun any more.
    pub(in crate::net) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Says whether somebody is there to hear it.
    fn tell(&self, outcomes: impl IntoIterator<Item = Outcome>) -> bool {
        let (mut is_heard, mut is_told) = (true, false);
        for outcome in outcomes {
            is_heard &= self.outcomes.send(outcome).is_ok();
            is_told = true;
        }
        if is_told {
            // It fails only when the counter is at its end; then the driver is awake.
            let _ = self.wake.write(1);
        }
        is_heard
    }
}

/// Tells that a thread has ended, for whatever reason: a panic is one.
struct Farewell(Outbox, &'static str);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.tell([Outcome::Ended(self.1)]);
    }
}

/// Starts a thread, in the network namespace of this one. It ends when nobody can give it tasks any
/// more, or hears what it tells.
pub(super) fn start<T: Send + 'static, I: IntoIterator<Item = Outcome>>(
    name: &'static str,
    outbox: Outbox,
    mut perform: impl FnMut(T) -> I + Send + 'static,
) -> Result<Sender<T>, NetError> {
    let (tasks, inbox) = mpsc::channel::<T>();
    let run = move || {
        let farewell = Farewell(outbox, name);
        for task in inbox {
            let is_closed = farewell.0.is_closed.load(Ordering::Acquire);
            if is_closed || !farewell.0.tell(perform(task)) {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name(name.into());
    let started = thread.stack_size(256 << 10).spawn(run);
    let failed = |error| NetError::new(Operation::StartThread, name, error);
    started.map(|_| tasks).map_err(failed)
}

/// What somebody said who panicked.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").into()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn outbox() -> (Outbox, Receiver<Outcome>) {
        Outbox::new(Arc::new(EventFd::new().unwrap()))
    }

    #[test]
    fn the_end_of_a_thread_is_told() {
        let (outbox, outcomes) = outbox();
        let tasks = start("ends", outbox, |is_last: bool| {
            assert!(!is_last, "the last task");
            [Outcome::Left]
        });
        let tasks = tasks.unwrap();
        tasks.send(false).unwrap();
        assert!(matches!(
            outcomes.recv_timeout(PATIENCE).unwrap(),
            Outcome::Left
        ));
        tasks.send(true).unwrap();
        assert!(matches!(
            outcomes.recv_timeout(PATIENCE).unwrap(),
            Outcome::Ended("ends")
        ));
    }

    #[test]
    fn what_waits_is_not_begun_when_the_driver_is_dropped() {
        let (outbox, outcomes) = outbox();
        let (begun, begins) = mpsc::channel();
        let (go_on, waits) = mpsc::channel::<()>();
        let tasks = start("waits", outbox.clone(), move |task: u8| {
            begun.send(task).unwrap();
            waits.recv().unwrap();
            [Outcome::Left]
        });
        let tasks = tasks.unwrap();
        tasks.send(1).unwrap();
        tasks.send(2).unwrap();
        assert_eq!(begins.recv_timeout(PATIENCE), Ok(1));
        outbox.close();
        go_on.send(()).unwrap();
        assert!(matches!(
            outcomes.recv_timeout(PATIENCE).unwrap(),
            Outcome::Left
        ));
        assert!(matches!(
            outcomes.recv_timeout(PATIENCE).unwrap(),
            Outcome::Ended("waits")
        ));
        assert!(begins.try_recv().is_err());
    }
}

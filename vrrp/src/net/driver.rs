//! A driver: one thread, one loop, many virtual routers.

mod beginning;
mod engine;
mod event;
mod expecting;
mod following;
mod handle;
mod jobs;
mod restoring;
mod sockets;
mod waiting;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::config::{DriverConfig, DriverError};
use super::executor::Hooks;
use crate::node::HandOver;
#[cfg(doc)]
use crate::node::Node;
use engine::{Engine, Progress};
use waiting::Ready;

pub use event::{DriverEvent, DriverEventKind, EventStream};
#[cfg(feature = "tokio")]
pub(super) use handle::{Command, Reply};
pub use handle::{Handle, RouterSnapshot, Snapshot};

/// Runs virtual routers on the thread that calls [`run`](Self::run).
///
/// It has more threads: `vrrp-addresses`, which waits for the kernel's answers to requests about
/// addresses, and where there are several processors stays awake for half a millisecond when a take-over
/// is about to come; `vrrp-links`, which lists links when notifications were lost, and `vrrp-hooks`, if
/// the program has [`Hooks`]. Dropped it stops at once, but for the request or the hook that is under way:
/// addresses stay until their lifetime ends, and nobody resigns; [`Handle::shutdown`] is the way to
/// leave.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    ready: Vec<Ready>,
    has_ended: bool,
}

impl Driver {
    /// Opens all that is needed, in the network namespace of this thread, and removes what an earlier
    /// process left behind. Nothing is sent yet. Interfaces that are not there may come later.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, and what the system refuses: without CAP_NET_RAW or
    /// CAP_NET_ADMIN there is no way.
    pub fn new(config: DriverConfig) -> Result<Self, DriverError> {
        Ok(Self {
            engine: Engine::new(config, None)?,
            ready: Vec::new(),
            has_ended: false,
        })
    }

    /// Goes on where another driver stopped, perhaps that of another process
    /// ([`ShutdownMode::Handover`](crate::event::ShutdownMode::Handover)): see [`Node::resume`]
    /// for which virtual routers are Active at once. Their addresses, and the devices of their
    /// virtual MACs, were not touched in between.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn resume(config: DriverConfig, left: &HandOver) -> Result<Self, DriverError> {
        Ok(Self {
            engine: Engine::new(config, Some(left))?,
            ready: Vec::new(),
            has_ended: false,
        })
    }

    /// What there is for a successor, once this driver was shut down with
    /// [`ShutdownMode::Handover`](crate::event::ShutdownMode::Handover) and has ended. The addresses
    /// have whole lifetimes from then on.
    pub fn hand_over(&self) -> HandOver {
        self.engine.node.hand_over()
    }

    /// Calls the program's hooks, on a thread of their own.
    ///
    /// # Errors
    ///
    /// Where there can be no more threads.
    pub fn set_hooks(&mut self, hooks: impl Hooks + 'static) -> Result<(), DriverError> {
        self.engine.set_hooks(Box::new(hooks))?;
        Ok(())
    }

    /// Tells this function of each event, on the driver's own thread: it must be quick, as
    /// advertisements wait for it. It replaces one that was set before.
    pub fn on_event(&mut self, listener: impl FnMut(&DriverEvent) + Send + 'static) {
        self.engine.set_listener(Box::new(listener));
    }

    /// The events from now on, of which so many may wait to be taken.
    pub fn events(&mut self, capacity: usize) -> EventStream {
        self.engine.subscribe(capacity)
    }

    /// The means to tell it something from other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.engine.handle()
    }

    /// Runs until it was [shut down](Handle::shutdown), and all that belongs to that is done.
    ///
    /// The thread has to be in the network namespace in which the driver was made: sockets are opened
    /// there when interfaces appear. Interfaces of other namespaces are not taken for them if their
    /// indexes are others.
    ///
    /// # Errors
    ///
    /// Where the system cannot wait or set a timer, and where a thread of the driver has ended;
    /// everything else is an event.
    ///
    /// # Blocking
    ///
    /// All the time.
    pub fn run(&mut self) -> Result<(), DriverError> {
        while self.step(None)? {}
        Ok(())
    }

    /// Waits for something to do, but no longer than this (`None`: however long it takes), and does
    /// it. Says whether there will be more. In the network namespace in which the driver was made, as
    /// [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Blocking
    ///
    /// So long.
    pub fn step(&mut self, timeout: Option<Duration>) -> Result<bool, DriverError> {
        if self.has_ended {
            return Ok(false);
        }
        // The first step does not wait: it sets the first deadline.
        let timeout = self.engine.begin_wait(timeout);
        self.engine.waiting.wait(timeout, &mut self.ready)?;
        let progress = self.engine.step(&self.ready)?;
        self.has_ended = progress == Progress::Ended;
        Ok(!self.has_ended)
    }

    /// Whether nothing was ready at the last step.
    #[cfg(feature = "tokio")]
    pub(super) fn found_nothing(&self) -> bool {
        self.ready.is_empty()
    }

    #[cfg(feature = "tokio")]
    pub(super) fn epoll(&self) -> alloc::sync::Arc<nix::sys::epoll::Epoll> {
        self.engine.waiting.epoll()
    }
}

//! What other threads can tell a driver, and ask it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};

use nix::sys::eventfd::EventFd;

use crate::address::Family;
use crate::counters::{GlobalCounters, RouterCounters};
use crate::event::{InitReason, ShutdownMode, State};
use crate::group::GroupId;
use crate::guard::GuardStatus;
use crate::interval::Interval;
use crate::machine::Counters;
use crate::net::config::{DriverConfig, DriverError};
use crate::node::RouterId;
use crate::priority::{Priority, Rank};
use crate::timer::Timestamp;
use crate::track::{TrackerId, TrackerStatus};
use crate::vrid::Vrid;

/// Who waits for an answer.
pub(in crate::net) type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// What a driver is told.
pub(in crate::net) enum Command {
    Shutdown(ShutdownMode),
    Reload(Box<DriverConfig>, Reply<Result<(), DriverError>>),
    Try(Box<DriverConfig>, Reply<Result<(), DriverError>>),
    Settled(Reply<()>),
    Tracker(TrackerId, TrackerStatus),
    Guard(GroupId, GuardStatus),
    Yield(GroupId),
    Stalled,
    ResetCounters(RouterId),
    Snapshot(Reply<Snapshot>),
}

/// Tells a driver what to do, from whatever thread.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) commands: Sender<Command>,
    pub(super) wake: Arc<EventFd>,
}

impl Handle {
    pub(in crate::net) fn tell(&self, command: Command) -> Result<(), DriverError> {
        self.commands
            .send(command)
            .map_err(|_| DriverError::Ended)?;
        // It fails only when the counter is at its end; then the driver is awake.
        let _ = self.wake.write(1);
        Ok(())
    }

    /// Asks, and waits until the driver has answered.
    fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, DriverError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.tell(command(Box::new(move |value| drop(reply.send(value)))))?;
        answer.recv().map_err(|_| DriverError::Ended)
    }

    /// Stops all virtual routers in this manner; the driver ends when that is done, and after 10 s at
    /// the latest. A second time it does nothing.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    pub fn shutdown(&self, mode: ShutdownMode) -> Result<(), DriverError> {
        self.tell(Command::Shutdown(mode))
    }

    /// Goes on with another configuration, by the difference: what is as it was is not touched.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing has changed then. [`DriverError::Ended`].
    ///
    /// # Blocking
    ///
    /// Until the driver has it. Not to be called on the driver's own thread.
    pub fn reload(&self, config: DriverConfig) -> Result<(), DriverError> {
        self.ask(|reply| Command::Reload(Box::new(config), reply))?
    }

    /// Says whether [`reload`](Self::reload) would take this configuration now, without doing so: for
    /// programs that change other things with it, and want to know before.
    ///
    /// # Errors
    ///
    /// What is wrong with it. [`DriverError::Ended`].
    ///
    /// # Blocking
    ///
    /// Until the driver has looked at it. Not to be called on the driver's own thread.
    pub fn try_reload(&self, config: DriverConfig) -> Result<(), DriverError> {
        self.ask(|reply| Command::Try(Box::new(config), reply))?
    }

    /// Waits until nothing is under way: addresses that a [`reload`](Self::reload) takes away are
    /// gone, and hooks have returned. Says whether that is so within this time; what the kernel
    /// refuses to remove is tried again, and not waited for.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    ///
    /// # Blocking
    ///
    /// For that time at most. Not to be called on the driver's own thread, nor in a hook.
    pub fn wait_settled(&self, limit: Duration) -> Result<bool, DriverError> {
        let (reply, answer) = mpsc::sync_channel(1);
        // Who waits no longer needs no answer.
        self.tell(Command::Settled(Box::new(move |()| {
            let _ = reply.try_send(());
        })))?;
        match answer.recv_timeout(limit) {
            Ok(()) => Ok(true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(DriverError::Ended),
        }
    }

    /// Says what is known of a tracker.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    pub fn set_tracker(
        &self,
        tracker: TrackerId,
        status: impl Into<TrackerStatus>,
    ) -> Result<(), DriverError> {
        self.tell(Command::Tracker(tracker, status.into()))
    }

    /// Says what the arbiter says of the guard of a group.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    pub fn set_guard(&self, group: GroupId, status: GuardStatus) -> Result<(), DriverError> {
        self.tell(Command::Guard(group, status))
    }

    /// Lets a group give way: [`Node::yield_group`](crate::node::Node::yield_group).
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    pub fn yield_group(&self, group: GroupId) -> Result<(), DriverError> {
        self.tell(Command::Yield(group))
    }

    /// Says that the process was stopped for long, where the clock may not show it.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    pub fn stalled(&self) -> Result<(), DriverError> {
        self.tell(Command::Stalled)
    }

    /// Sets the counters of a virtual router to zero.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    pub fn reset_counters(&self, router: RouterId) -> Result<(), DriverError> {
        self.tell(Command::ResetCounters(router))
    }

    /// How things are.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    ///
    /// # Blocking
    ///
    /// Until the driver has answered. Not to be called on the driver's own thread.
    pub fn snapshot(&self) -> Result<Snapshot, DriverError> {
        self.ask(Command::Snapshot)
    }
}

/// How a driver's virtual routers are at one moment.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// The virtual routers, by their number.
    pub routers: Vec<RouterSnapshot>,
    /// What is known of each tracker, links among them.
    pub trackers: BTreeMap<TrackerId, TrackerStatus>,
    /// Packets that were for no router.
    pub counters: GlobalCounters,
    /// Packets that were longer than any advertisement, or came with more ancillary data than was
    /// asked for: they were dropped before anybody looked at them, and no other counter has them.
    pub truncated: u64,
}

/// How a virtual router is.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct RouterSnapshot {
    /// Which it is.
    pub id: RouterId,
    /// The name of its interface.
    pub interface: String,
    /// Its family.
    pub family: Family,
    /// Its virtual router id.
    pub vrid: Vrid,
    /// Its state.
    pub state: State,
    /// Why it does not run, in [`State::Initialize`].
    pub init_reason: Option<InitReason>,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Its effective priority.
    pub priority: Priority,
    /// The Active, where that is another.
    pub active: Option<Rank>,
    /// The interval of the Active.
    pub interval: Interval,
    /// When the last advertisement was: as Active its own, as Backup that of the Active.
    pub last_advert: Option<Timestamp>,
    /// When it will do something by itself: as Active advertise, as Backup take over.
    pub next_deadline: Option<Timestamp>,
    /// What it received and sent.
    pub counters: RouterCounters,
    /// What became of it.
    pub machine_counters: Counters,
}

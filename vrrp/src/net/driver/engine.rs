//! One step of a driver, whoever waits for it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::sync::mpsc::{self, Receiver as Inbox, Sender as Postbox};

use super::beginning::Beginning;
use super::event::{DriverEvent, DriverEventKind, EventStream, Feed};
use super::expecting::Expecting;
use super::handle::{Command, Handle, Reply, RouterSnapshot, Snapshot};
use super::jobs::{Batches, Place, Placed};
use super::restoring::Restoring;
use super::sockets::Sockets;
use super::waiting::{Ready, Waiting};
use crate::address::InterfaceIndex;
use crate::event::ShutdownMode;
use crate::group::GroupId;
use crate::guard::GuardStatus;
use crate::job::JobId;
use crate::net::clock;
use crate::net::config::{Device, DriverConfig, DriverError, Resolved};
use crate::net::executor::{
    AddressJob, AddressTask, HookCall, Hooks, Outbox, Outcome, start_addresses, start_hooks,
    start_links,
};
use crate::net::links::{LinkMonitor, Listing};
use crate::net::{NetError, ReceiveBuffer};
use crate::node::{HandOver, Node, RouterId};
use crate::timer::Timestamp;

/// Receiving takes no longer than this, or this process stood still meanwhile.
const MOMENT: Duration = Duration::from_millis(5);

/// So often it is received again, as it took long.
const TRIES: usize = 4;

/// For how long a driver that stops waits for its jobs.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom events are told.
type Listener = Box<dyn FnMut(&DriverEvent) + Send>;

/// All that a driver has but the waiting's turn.
pub(super) struct Engine {
    pub(super) waiting: Waiting,
    pub(super) node: Node,
    pub(super) config: DriverConfig,
    pub(super) resolved: Resolved,
    pub(super) monitor: LinkMonitor,
    /// What our addresses are tagged with.
    pub(super) tag: Option<u8>,
    /// The devices with virtual MACs.
    pub(super) devices: BTreeMap<RouterId, Device>,
    /// Routers for which one is being made.
    pub(super) devices_asked: BTreeSet<RouterId>,
    /// Those that are not needed any more, once the addresses of their router are gone.
    pub(super) devices_left: Vec<(RouterId, InterfaceIndex)>,
    pub(super) is_leaving: bool,
    /// Until when the guards of groups are held.
    pub(super) guarded_until: BTreeMap<GroupId, Timestamp>,
    /// Where addresses were installed.
    pub(super) placed: BTreeMap<Place, Placed>,
    /// What is to be installed when others have removed it.
    pub(super) delayed: VecDeque<(Timestamp, RouterId, AddressJob)>,
    /// What is being installed, or is to be, and whether that is wanted still.
    pub(super) installing: Vec<(RouterId, Arc<AtomicBool>)>,
    /// Addresses that were removed, by us or by others.
    pub(super) restoring: Restoring,
    pub(super) sockets: Sockets,
    /// Sockets are opened again then, as some could not be, or have failed.
    pub(super) sockets_due: Option<Timestamp>,
    /// What was told of why they could not be opened.
    pub(super) sockets_said: BTreeSet<String>,
    pub(super) batches: Batches,
    buffer: ReceiveBuffer,
    /// Packets of all receivers, also of those that were closed, that were cut.
    truncated: u64,
    /// Of receivers that are looked at once more; emptied each time, with the room kept.
    ready: Vec<Ready>,
    commands: Inbox<Command>,
    handle: Handle,
    outcomes: Inbox<Outcome>,
    pub(super) outbox: Outbox,
    pub(super) addresses: Postbox<AddressTask>,
    pub(super) expecting: Expecting,
    pub(super) lister: Postbox<Listing>,
    /// All links are listed then.
    pub(super) listing_due: Option<Timestamp>,
    pub(super) hooks: Option<Postbox<(JobId, HookCall)>>,
    /// Jobs that threads have.
    pub(super) jobs_out: usize,
    /// Who waits until they have none.
    settling: Vec<Reply<()>>,
    next_renewal: Option<Timestamp>,
    listener: Option<Listener>,
    streams: Vec<Feed>,
    sequence: u64,
    /// What happened before anybody could listen.
    unsaid: Vec<DriverEventKind>,
    has_begun: bool,
    /// A successor goes on with what is there.
    is_handed_over: bool,
    /// It ends, then at the latest.
    stopping: Option<Timestamp>,
    /// A thread that nothing goes without has ended.
    broken: Option<&'static str>,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    Runs,
    Ended,
}

impl Engine {
    pub(super) fn new(config: DriverConfig, left: Option<&HandOver>) -> Result<Self, DriverError> {
        config.validate()?;
        let waiting = Waiting::new()?;
        let (outbox, outcomes) = Outbox::new(waiting.waker());
        let addresses = start_addresses(outbox.clone())?;
        let lister = start_links(outbox.clone())?;
        let Beginning {
            mut holdings,
            monitor,
            devices,
            resolved,
            node,
            placed,
            unsaid,
        } = Beginning::new(&config, left)?;
        let mut sockets = Sockets::default();
        // What cannot be opened at the start cannot be hoped for later.
        let opened = waiting.add(&monitor, Ready::Links).and_then(|()| {
            let mut errors = sockets.adopt(&config, &resolved, &waiting).into_iter();
            errors.next().map_or(Ok(()), Err)
        });
        if let Err(error) = opened {
            if left.is_none() {
                holdings.undo();
            }
            return Err(error.into());
        }
        let tag = holdings.book.tag();
        let next_renewal = holdings.book.next_renewal();
        let (commands, inbox) = mpsc::channel();
        let handle = Handle {
            commands,
            wake: waiting.waker(),
        };
        let mut engine = Self {
            waiting,
            node,
            config,
            resolved,
            monitor,
            tag,
            devices,
            devices_asked: BTreeSet::new(),
            devices_left: Vec::new(),
            is_leaving: false,
            guarded_until: BTreeMap::new(),
            placed,
            delayed: VecDeque::new(),
            installing: Vec::new(),
            restoring: Restoring::default(),
            sockets,
            sockets_due: None,
            sockets_said: BTreeSet::new(),
            batches: Batches::default(),
            buffer: ReceiveBuffer::new(),
            truncated: 0,
            ready: Vec::new(),
            commands: inbox,
            handle,
            outcomes,
            outbox,
            addresses,
            expecting: Expecting::new(),
            lister,
            listing_due: None,
            hooks: None,
            jobs_out: 0,
            settling: Vec::new(),
            next_renewal,
            listener: None,
            streams: Vec::new(),
            sequence: 0,
            unsaid,
            has_begun: false,
            is_handed_over: false,
            stopping: None,
            broken: None,
        };
        engine.post(AddressTask::Begin(Box::new(holdings)));
        Ok(engine)
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(super) fn set_hooks(&mut self, hooks: Box<dyn Hooks>) -> Result<(), NetError> {
        self.hooks = Some(start_hooks(hooks, self.outbox.clone())?);
        Ok(())
    }

    pub(super) fn set_listener(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    pub(super) fn subscribe(&mut self, capacity: usize) -> EventStream {
        let stream = EventStream::new(capacity);
        self.streams.push(stream.feed());
        stream
    }

    /// How long it may wait: not at all before the first step, which sets the deadline.
    pub(super) fn begin_wait(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        if core::mem::replace(&mut self.has_begun, true) {
            timeout
        } else {
            Some(Duration::ZERO)
        }
    }

    /// What is ready is taken first, then time passes, then what is to be done is done (spec 2.10).
    pub(super) fn step(&mut self, ready: &[Ready]) -> Result<Progress, DriverError> {
        for kind in core::mem::take(&mut self.unsaid) {
            self.tell(kind);
        }
        self.receive_all(ready);
        if ready.contains(&Ready::Links) {
            self.read_links();
        }
        if ready.contains(&Ready::Woken) {
            self.take_outcomes();
            self.take_commands();
        }
        if let Some(thread) = self.broken {
            self.end();
            return Err(DriverError::ThreadEnded { thread });
        }
        if self.listing_due.is_some_and(|at| at <= clock::now()) {
            self.list_links();
        }
        if self.sockets_due.is_some_and(|at| at <= clock::now()) {
            self.open_sockets();
        }
        let now = self.hear_before_time_passes()?;
        self.node.tick(now);
        if self.next_renewal.is_some_and(|at| at <= now) {
            self.next_renewal = None;
            self.post(AddressTask::Renew(now));
        }
        self.drop_unwanted();
        self.install_delayed(now);
        self.perform_jobs();
        self.restore_missing();
        self.forget_devices();
        self.answer_settling();
        if self.has_ended(now) {
            self.end();
            return Ok(Progress::Ended);
        }
        let delayed = self.delayed.front().map(|(at, _, _)| *at);
        let deadlines = [
            self.expect_take_over(now),
            self.node.next_deadline(),
            delayed,
            self.next_renewal,
            self.restoring.next_due(),
            self.sockets_due,
            self.listing_due,
            self.stopping,
        ];
        let deadline = deadlines.into_iter().flatten().min();
        self.waiting.set_deadline(deadline)?;
        Ok(Progress::Runs)
    }

    /// The time that may pass: whatever came before it has been heard, also when this process stood
    /// still a moment ago, or something took long (spec 2.10 rule 1, OP-5).
    fn hear_before_time_passes(&mut self) -> Result<Timestamp, DriverError> {
        let mut heard_at = clock::now();
        for _ in 0..TRIES {
            if self.node.next_deadline().is_none_or(|at| at > heard_at) {
                break;
            }
            let mut ready = core::mem::take(&mut self.ready);
            self.waiting.find_receivers(&mut ready)?;
            self.receive_all(&ready);
            self.ready = ready;
            let now = clock::now();
            if now.saturating_sub(heard_at) < MOMENT {
                break;
            }
            heard_at = now;
        }
        Ok(heard_at)
    }

    fn receive_all(&mut self, ready: &[Ready]) {
        for ready in ready {
            if let Ready::Receiver(number) = *ready {
                self.receive(number);
            }
        }
    }

    fn receive(&mut self, number: u64) {
        let Some(receiver) = self.sockets.receiver_mut(number) else {
            return;
        };
        let now = clock::now();
        let truncated = receiver.truncated();
        let node = &mut self.node;
        let drained = receiver.drain(&mut self.buffer, |meta, bytes| {
            node.receive(now.max(meta.received_at()), meta, bytes);
        });
        let truncated = receiver.truncated().saturating_sub(truncated);
        self.truncated = self.truncated.saturating_add(truncated);
        if let Err(error) = drained {
            // It is closed, so that it is not ready for ever, and opened again.
            self.sockets.close(number);
            self.sockets_due = Some(now);
            self.tell(DriverEventKind::Failed(Arc::new(error)));
        }
    }

    fn take_outcomes(&mut self) {
        let mut has_devices = false;
        while let Ok(outcome) = self.outcomes.try_recv() {
            match outcome {
                Outcome::Job(id, result) => {
                    self.jobs_out = self.jobs_out.saturating_sub(1);
                    self.node.complete(clock::now(), id, result);
                }
                Outcome::Listed(listed) => self.adopt_links(*listed),
                Outcome::Skipped(job) => self.skipped(job),
                Outcome::Device(router, device) => {
                    self.devices_asked.remove(&router);
                    self.devices.insert(router, device);
                    has_devices = true;
                }
                Outcome::NoDevice(router) => drop(self.devices_asked.remove(&router)),
                Outcome::Left => self.jobs_out = self.jobs_out.saturating_sub(1),
                Outcome::NextRenewal(at) => self.next_renewal = at,
                Outcome::Restored(key, restored) => self.take_restored(key, restored),
                Outcome::Gone(key) => self.restoring.miss(clock::now(), key),
                Outcome::HookPanicked(said) => self.tell(DriverEventKind::HookPanicked(said)),
                Outcome::Ended(thread) => self.broken = Some(thread),
                Outcome::Failed(error) => self.tell(DriverEventKind::Failed(Arc::new(error))),
            }
        }
        if has_devices {
            self.resolve_again(clock::now());
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            let now = clock::now();
            match command {
                Command::Shutdown(mode) => self.shutdown(now, mode),
                Command::Reload(config, reply) => {
                    let result = self.reload(now, *config);
                    reply(result);
                }
                Command::Try(config, reply) => reply(self.try_out(&config).map(drop)),
                Command::Settled(reply) => self.settling.push(reply),
                Command::Tracker(tracker, status) => self.node.set_tracker(now, tracker, status),
                Command::Guard(group, status) => {
                    self.node.set_guard(now, group, status);
                    if let GuardStatus::Held { until, .. } = status {
                        self.bound_addresses(group, until);
                    }
                }
                Command::Yield(group) => self.node.yield_group(now, group),
                Command::Stalled => self.node.stalled(now),
                Command::ResetCounters(router) => self.node.reset_counters(now, router),
                Command::Snapshot(reply) => reply(self.snapshot(now)),
            }
        }
    }

    fn shutdown(&mut self, now: Timestamp, mode: ShutdownMode) {
        if self.stopping.is_none() {
            self.stopping = Some(now.saturating_add(STOP_TIMEOUT));
            self.is_handed_over = mode == ShutdownMode::Handover;
            self.node.shutdown(now, mode);
        }
    }

    /// What a configuration comes to with the interfaces as they are.
    fn try_out(&self, config: &DriverConfig) -> Result<Resolved, DriverError> {
        let (value, running) = (config.tag, self.config.tag);
        if value != running {
            return Err(DriverError::TagChanged { value, running });
        }
        config.resolve(&self.view())
    }

    /// Nothing is under way: whoever waits for that is told.
    fn answer_settling(&mut self) {
        if self.jobs_out == 0 {
            for reply in self.settling.drain(..) {
                reply(());
            }
        }
    }

    fn reload(&mut self, now: Timestamp, config: DriverConfig) -> Result<(), DriverError> {
        let mut resolved = self.try_out(&config)?;
        let node = core::mem::take(&mut resolved.node);
        self.node.reconfigure(now, node)?;
        self.config = config;
        self.change_to(resolved);
        Ok(())
    }

    /// Whether it stops, and nothing is left to be done or to be hoped for.
    fn has_ended(&mut self, now: Timestamp) -> bool {
        let Some(until) = self.stopping else {
            return false;
        };
        if now >= until {
            return true;
        }
        if !self.node.is_idle() || self.jobs_out > 0 {
            return false;
        }
        if core::mem::replace(&mut self.is_leaving, true) {
            return true;
        }
        self.jobs_out = 1;
        self.post(if self.is_handed_over {
            AddressTask::Leave
        } else {
            AddressTask::RemoveDevices
        });
        false
    }

    /// Nobody is told anything any more, nor answered.
    fn end(&mut self) {
        self.commands = mpsc::channel().1;
        self.settling.clear();
        for stream in &self.streams {
            stream.end();
        }
    }

    /// Gives something to the thread of the addresses.
    pub(super) fn post(&mut self, task: AddressTask) {
        // The thread goes only after the driver, or tells of its end.
        let _ = self.addresses.send(task);
        self.expecting.end();
    }

    pub(super) fn tell(&mut self, kind: DriverEventKind) {
        self.sequence = self.sequence.saturating_add(1);
        let event = DriverEvent {
            sequence: self.sequence,
            at: clock::now(),
            kind,
        };
        if let Some(listener) = &mut self.listener {
            listener(&event);
        }
        self.streams.retain(|stream| stream.push(&event));
    }

    fn snapshot(&self, now: Timestamp) -> Snapshot {
        let routers = self.config.routers().filter_map(|(id, setup)| {
            let machine = self.node.machine(id)?;
            Some(RouterSnapshot {
                id,
                interface: setup.interface().into(),
                family: setup.config().family(),
                vrid: setup.config().vrid(),
                state: machine.state(),
                init_reason: machine.init_reason(),
                since: machine.since(),
                priority: machine.effective_priority(),
                active: machine.active(),
                interval: machine.active_interval(),
                last_advert: machine.last_advert(),
                next_deadline: machine.next_deadline(),
                counters: self.node.router_counters(id)?.clone(),
                machine_counters: *machine.counters(),
            })
        });
        Snapshot {
            at: now,
            routers: routers.collect(),
            trackers: self.node.trackers().collect(),
            counters: self.node.counters().clone(),
            truncated: self.truncated,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.outbox.close();
        self.end();
    }
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine")
            .field("node", &self.node)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}

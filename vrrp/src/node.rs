//! Many virtual routers of one host: interfaces, demultiplexing, trackers, groups, address work,
//! announcements.
//!
//! A node takes what happened, with the time, and has [jobs](crate::job) to be done. It has no
//! sockets, no clock and no threads.
//!
//! ```
//! use core::time::Duration;
//! use lvs_vrrp::event::State;
//! use lvs_vrrp::job::{JobKind, JobResult};
//! use lvs_vrrp::node::{InterfaceConfig, Node, NodeConfig, NodeRouter, RouterId};
//! use lvs_vrrp::{AddressList, InterfaceIndex, MacAddress, RouterConfig, Vrid};
//!
//! let (lan, id) = (InterfaceIndex::new(2), RouterId::new(1));
//! let mac = MacAddress::new([2, 0, 0, 0, 0, 1]);
//! let addresses = AddressList::new(["192.0.2.1".parse()?])?;
//! let router = RouterConfig::new(Vrid::try_from(51)?, addresses);
//! let config = NodeConfig::new()
//!     .with_interface(lan, InterfaceConfig::new(mac).up(["192.0.2.9".parse()?]))
//!     .with_router(id, NodeRouter::new(lan, router));
//! let mut node = Node::new(config)?;
//!
//! let mut now = Duration::from_secs(60);
//! let mut buffer = [0; 1500];
//! let mut sent = 0;
//! node.tick(now);
//! while node.state(id) != Some(State::Active) {
//!     now = node.next_deadline().unwrap();
//!     node.tick(now);
//! }
//! while let Some(job) = node.poll_job() {
//!     if let JobKind::Send(send) = &job.kind {
//!         for destination in node.destinations(send) {
//!             sent += node.emit_packet(now, send, destination, &mut buffer)?;
//!         }
//!     }
//!     node.complete(now, job.id, JobResult::Done);
//! }
//! assert_eq!(sent, 20 + 8 + 4);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Order of calls
//!
//! Time never goes back. Feed what was received before [`tick`](Node::tick); after any call that
//! takes the time, fetch [jobs](Node::poll_job) until there are none, and ask for the
//! [next deadline](Node::next_deadline). Jobs may take as long as they need, on whatever thread;
//! their results come by [`complete`](Node::complete).
//!
//! # Decisions
//!
//! A take-over is Prepare, install, announce, Establish, notify; the opposite is remove, Settle,
//! release the guard, notify (OP-1). Advertisements wait for none of it. Establish comes when the
//! last frame of the first round of announcements was handed out; a removal does not wait for it. A router that is Active again while its
//! addresses are still being removed waits until they are gone and settled, then prepares anew. One
//! that stopped before it was told to install has nothing to remove.
//!
//! Members of a group resign when their addresses are gone, in whatever
//! [`ShutdownMode`](crate::event::ShutdownMode): the group is their guard.

mod announcing;
mod awaited;
mod change;
mod config;
mod demux;
mod destinations;
mod emit;
mod flood;
mod giving_way;
mod groups;
mod hand_over;
mod holders;
mod limit;
mod links;
#[cfg(test)]
mod load;
mod perform;
mod places;
mod queue;
mod queueing;
mod real;
mod receiving;
mod report;
#[cfg(feature = "hmac-trailer")]
mod trailers;
mod wake;
mod work;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::InterfaceIndex;
use crate::announce::{Announcer, Rounds};
use crate::checksum::FormFollower;
use crate::config::RouterConfig;
use crate::counters::{GlobalCounters, RouterCounters};
use crate::event::{Announce, DataPlane, Event, Notification, SendAdvert, State};
use crate::group::{Group, GroupId};
use crate::job::{Job, JobId, JobKind};
use crate::machine::VirtualRouter;
use crate::timer::{self, NEVER, Timestamp};
use crate::track::{TrackerId, TrackerStatus};

pub use config::{InterfaceConfig, NodeConfig, NodeError, NodeRouter, RouterId, Settings};
pub use destinations::{Destinations, DestinationsIter};
pub use emit::EmitError;
pub use flood::FloodLimit;
pub use hand_over::{HandOver, HandedRouter};
pub use report::{OtherJob, Report, ReportKind, Subject};

use awaited::Awaited;
use demux::Slots;
use flood::Buckets;
use holders::Holders;
use limit::Limiter;
use links::Rumour;
use places::Places;
use queue::Queue;
use report::Reports;
use wake::{Wake, Wakes};
use work::Work;

/// Many virtual routers.
#[derive(Clone, Debug)]
pub struct Node {
    config: NodeConfig,
    /// When it began, once it has been told the time.
    started: Option<Timestamp>,
    now: Timestamp,
    is_stopped: bool,
    routers: Places,
    /// Who has which address.
    holders: Holders,
    /// The routers of each group, those too that were in it when they began to remove addresses.
    ties: BTreeMap<GroupId, BTreeSet<usize>>,
    interfaces: BTreeMap<InterfaceIndex, Interface>,
    groups: BTreeMap<GroupId, Group>,
    /// Who follows which tracker.
    followers: BTreeMap<TrackerId, Vec<Scope>>,
    wakes: Wakes,
    /// From when on advertisements may leave together with others.
    early: Wakes,
    /// Empty between ticks; kept for its memory.
    due: Vec<(Timestamp, Wake)>,
    /// Whose deadline may have changed.
    touched: Vec<Wake>,
    /// Whose states may not be what they should be.
    dirty: Vec<Scope>,
    next_job: u64,
    sends: Queue,
    jobs: Queue,
    announcements: VecDeque<Job>,
    reports: Reports,
    /// Jobs handed out whose results count, and for which router.
    awaited: Awaited,
    limiter: Limiter,
    /// What is to be added to the time to get UTC.
    #[cfg(feature = "hmac-trailer")]
    utc_offset: Option<core::time::Duration>,
    counters: GlobalCounters,
}

/// What has to agree: a router, or the members of a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    Router(usize),
    Group(GroupId),
}

/// A virtual router at work.
#[derive(Clone, Debug)]
struct Router {
    id: RouterId,
    setup: NodeRouter,
    group: Option<GroupId>,
    /// The group it was in when it began to remove what is still there.
    former_group: Option<GroupId>,
    machine: VirtualRouter,
    work: Work,
    /// What waits for address work, in order.
    pending: VecDeque<(Gate, Item)>,
    queued: Queued,
    /// How many jobs there are whose results are awaited.
    awaited: usize,
    counters: RouterCounters,
    follower: FormFollower,
    buckets: Buckets,
    #[cfg(feature = "hmac-trailer")]
    trailers: trailers::Trailers,
    /// The last sequence number of an authentication header, sent or accepted.
    sequence: Option<u32>,
    contribution: i64,
    /// No start before.
    start_at: Timestamp,
    /// Installing failed: no start before.
    refused_until: Timestamp,
    /// When it announces what: its own, or those of the node.
    rounds: Rounds,
    second_round: Timestamp,
    /// The second round after an advertisement that lost.
    losing_round: Timestamp,
    refresh: Timestamp,
    /// It is no longer configured, and goes when its work is done.
    is_leaving: bool,
    /// Another router with the same key.
    next_in_slot: Option<usize>,
    scheduled: Timestamp,
    /// From when on its next advertisement may leave, as far as that is waited for.
    scheduled_early: Timestamp,
}

/// The last jobs of a router that a newer one replaces, which may be fetched already.
#[derive(Clone, Copy, Debug, Default)]
struct Queued {
    /// Of VRRPv2, of VRRPv3.
    sends: [QueuedSends; 2],
    plane: Option<JobId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct QueuedSends {
    advert: Option<JobId>,
    resignation: Option<JobId>,
}

/// An interface at work.
#[derive(Clone, Debug)]
struct Interface {
    is_up: bool,
    /// What it was told to have.
    addresses: Vec<IpAddr>,
    /// Those of them that are nobody's virtual address.
    real: Vec<IpAddr>,
    /// Virtual addresses that this node installed and that are there, or were told, since.
    placed: BTreeSet<IpAddr>,
    /// What was said of it since, and is not believed yet.
    rumour: Option<Rumour>,
    /// After it came up, routers wait until then, or until a frame was received.
    settles_at: Timestamp,
    announcer: Announcer,
    slots: Slots,
    /// The routers on it.
    routers: Vec<usize>,
    scheduled: Timestamp,
}

impl Interface {
    fn deadline(&self, now: Timestamp) -> Timestamp {
        let settles = Some(self.settles_at).filter(|at| *at > now);
        let rumour = self.rumour.as_ref().map(|rumour| rumour.due_at);
        let announces = self.announcer.deadline();
        settles
            .into_iter()
            .chain(rumour)
            .fold(announces, Timestamp::min)
    }
}

/// What address work an item waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Gate {
    /// Nothing, but what came before it.
    Open,
    /// The addresses are there.
    Installed,
    /// The same, they were announced, and what follows is done.
    Established,
    /// The addresses are gone.
    Removed,
    /// The same, and what was prepared is undone.
    Settled,
}

/// What may have to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Item {
    Resign(SendAdvert),
    Plane(DataPlane),
    Announce(Announce),
    Release,
    Notify(Notification),
}

impl Router {
    fn new(
        id: RouterId,
        setup: NodeRouter,
        group: Option<GroupId>,
        machine: VirtualRouter,
        start_at: Timestamp,
    ) -> Self {
        Self {
            id,
            group,
            former_group: None,
            follower: FormFollower::new(setup.config.switches().tx_checksum),
            setup,
            machine,
            work: Work::new(),
            pending: VecDeque::new(),
            queued: Queued::default(),
            awaited: 0,
            counters: RouterCounters::new(),
            buckets: Buckets::default(),
            #[cfg(feature = "hmac-trailer")]
            trailers: trailers::Trailers::default(),
            sequence: None,
            contribution: 0,
            start_at,
            refused_until: Timestamp::ZERO,
            rounds: Rounds::default(),
            second_round: NEVER,
            losing_round: NEVER,
            refresh: NEVER,
            is_leaving: false,
            next_in_slot: None,
            scheduled: NEVER,
            scheduled_early: NEVER,
        }
    }

    fn subject(&self) -> Subject {
        Subject {
            router: Some(self.id),
            interface: self.setup.interface,
            family: self.setup.config.family(),
            vrid: Some(self.setup.config.vrid()),
        }
    }

    fn is_releasing(&self) -> bool {
        self.pending.iter().any(|(_, item)| *item == Item::Release)
    }

    fn deadline(&self, now: Timestamp) -> Timestamp {
        let waits = [self.start_at, self.refused_until];
        let waits = waits.into_iter().filter(|at| *at > now);
        let rounds = [self.second_round, self.losing_round, self.refresh];
        let all = waits
            .chain(rounds)
            .chain([self.work.deadline])
            .chain(self.machine.next_deadline());
        all.min().unwrap_or(NEVER)
    }
}

impl Node {
    /// A node of these parts. It begins when it is first told the time.
    ///
    /// # Errors
    ///
    /// What [`NodeConfig::validate`] finds.
    pub fn new(config: NodeConfig) -> Result<Self, NodeError> {
        config.validate()?;
        let mut node = Self {
            config: NodeConfig::default(),
            started: None,
            now: Timestamp::ZERO,
            is_stopped: false,
            routers: Places::default(),
            holders: Holders::default(),
            ties: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            groups: BTreeMap::new(),
            followers: BTreeMap::new(),
            wakes: Wakes::default(),
            early: Wakes::default(),
            due: Vec::new(),
            touched: Vec::new(),
            dirty: Vec::new(),
            next_job: 0,
            sends: Queue::default(),
            jobs: Queue::default(),
            announcements: VecDeque::new(),
            reports: Reports::default(),
            awaited: Awaited::default(),
            limiter: Limiter::default(),
            #[cfg(feature = "hmac-trailer")]
            utc_offset: None,
            counters: GlobalCounters::new(),
        };
        node.adopt(config)?;
        Ok(node)
    }

    /// Time has passed. Early or twice it does nothing (`VRRP-206`).
    ///
    /// Feed what was received before: a Backup that woke up late must not promote itself while fresh
    /// advertisements wait.
    pub fn tick(&mut self, now: Timestamp) {
        self.begin(now);
        let mut due = core::mem::take(&mut self.due);
        self.wakes.take_due(self.now, &mut due);
        let mut advertises = false;
        for (deadline, wake) in due.drain(..) {
            advertises |= self.wake(deadline, wake);
        }
        self.due = due;
        if advertises {
            self.advertise_early();
        }
        self.report_suppressed();
        self.settle();
    }

    /// What may leave now leaves with what has to.
    fn advertise_early(&mut self) {
        let (now, slack) = (self.now, self.config.settings.slack);
        let mut due = core::mem::take(&mut self.due);
        self.early.take_due(now, &mut due);
        for (at, wake) in due.drain(..) {
            let Wake::Router(key) = wake else {
                continue;
            };
            let Some(router) = self.router_mut(key).filter(|r| r.scheduled_early == at) else {
                continue;
            };
            router.scheduled_early = NEVER;
            if router.machine.state() == State::Active {
                let actions = router.machine.advertise_early(now, slack);
                self.perform(key, State::Active, &actions);
            }
            self.touched.push(wake);
        }
        self.due = due;
    }

    /// When [`tick`](Self::tick) is to be called next, if not before; a call too early does nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self.started {
            None => Some(Timestamp::ZERO),
            Some(_) => {
                let report = Some(self.limiter.deadline()).filter(|at| *at != NEVER);
                self.wakes.next().into_iter().chain(report).min()
            }
        }
    }

    /// The next thing to be done: advertisements first, announcements last.
    pub fn poll_job(&mut self) -> Option<Job> {
        let job = self.sends.pop().or_else(|| self.jobs.pop());
        if job.is_some() {
            return job;
        }
        if let Some(report) = self.reports.pop() {
            let id = self.new_id();
            let kind = JobKind::Notify(report);
            return Some(Job { id, kind });
        }
        let job = self.announcements.pop_front()?;
        match job.kind {
            JobKind::Announce(announcement) if announcement.ends_round => {
                self.end_announcing(announcement.key);
            }
            _ => {}
        }
        Some(job)
    }

    /// The state of a router, if there is such.
    #[must_use]
    pub fn state(&self, router: RouterId) -> Option<State> {
        self.machine(router).map(VirtualRouter::state)
    }

    /// The machine of a router, to look at.
    #[must_use]
    pub fn machine(&self, router: RouterId) -> Option<&VirtualRouter> {
        self.by_id(router).map(|router| &router.machine)
    }

    /// What a router received and sent. Each packet that was built to be sent counts: in unicast
    /// mode one for each peer, with both versions one for each; a job that was withdrawn counts for
    /// nothing.
    #[must_use]
    pub fn router_counters(&self, router: RouterId) -> Option<&RouterCounters> {
        self.by_id(router).map(|router| &router.counters)
    }

    /// What is known of each tracker, as far as the node was told.
    pub fn trackers(&self) -> impl Iterator<Item = (TrackerId, TrackerStatus)> {
        let trackers = self.config.trackers.iter();
        trackers.map(|(tracker, status)| (*tracker, *status))
    }

    /// Packets that were for no router, or are counted once for all.
    #[must_use]
    pub const fn counters(&self) -> &GlobalCounters {
        &self.counters
    }

    /// Sets the counters of a router to zero; its discontinuity time is now (`VRRP-141`).
    pub fn reset_counters(&mut self, now: Timestamp, router: RouterId) {
        self.begin(now);
        let now = self.now;
        let key = self.routers.key_of(router);
        if let Some(router) = key.and_then(|key| self.router_mut(key)) {
            router.machine.reset_counters(now);
            router.counters = RouterCounters::new();
        }
    }

    /// The configuration it works by.
    pub const fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Whether no address is there because of it, but for those left to a successor, and nothing is
    /// left to be done: after [`shutdown`](Self::shutdown), the process may end. If their guard is lost
    /// before, those are removed too, and it is idle again when they are gone.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let is_done = |router: &Router| {
            router.machine.state() != State::Active
                && (router.work.is_clear() || router.work.is_handed_over())
                && router.pending.is_empty()
        };
        // The routers last: there may be many.
        self.sends.is_empty()
            && self.jobs.is_empty()
            && self.reports.is_empty()
            && self.routers.iter().all(|(_, router)| is_done(router))
    }

    /// How many virtual routers are configured.
    #[must_use]
    pub fn router_count(&self) -> usize {
        self.config.routers.len()
    }

    fn by_id(&self, id: RouterId) -> Option<&Router> {
        self.router(self.routers.key_of(id)?)
    }

    fn router(&self, key: usize) -> Option<&Router> {
        self.routers.get(key)
    }

    fn router_mut(&mut self, key: usize) -> Option<&mut Router> {
        self.routers.get_mut(key)
    }

    /// The keys of all routers, those that leave too.
    fn keys(&self) -> Vec<usize> {
        self.routers.iter().map(|(key, _)| key).collect()
    }

    /// Time never goes back; the first time is when it starts.
    fn begin(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.started.is_none() {
            self.started = Some(self.now);
            self.schedule_starts();
        }
    }

    /// Brings everything into order after something has happened.
    fn settle(&mut self) {
        while let Some(scope) = self.dirty.pop() {
            match scope {
                Scope::Router(key) => self.settle_router(key),
                Scope::Group(group) => self.settle_group(group),
            }
        }
        self.reschedule();
    }

    fn mark(&mut self, key: usize) {
        let Some(router) = self.router(key) else {
            return;
        };
        let scope = match router.group {
            Some(group) => {
                let state = self.groups.get_mut(&group);
                if state.is_some_and(|group| core::mem::replace(&mut group.is_marked, true)) {
                    return;
                }
                Scope::Group(group)
            }
            None => Scope::Router(key),
        };
        if self.dirty.last() != Some(&scope) {
            self.dirty.push(scope);
        }
    }

    fn reschedule(&mut self) {
        let slack = self.config.settings.slack;
        let mut touched = core::mem::take(&mut self.touched);
        for wake in touched.drain(..) {
            match wake {
                Wake::Router(key) => {
                    if let Some(router) = self.routers.get_mut(key) {
                        let deadline = router.deadline(self.now);
                        self.wakes.schedule(wake, &mut router.scheduled, deadline);
                        let earliest = router.machine.earliest_advert(slack);
                        if let Some(earliest) = earliest.filter(|_| !slack.is_zero()) {
                            let scheduled = &mut router.scheduled_early;
                            self.early.schedule(wake, scheduled, earliest);
                        }
                        if router.is_leaving {
                            self.forget_departed(key);
                        }
                    }
                }
                Wake::Interface(index) => {
                    if let Some(interface) = self.interfaces.get_mut(&index) {
                        let deadline = interface.deadline(self.now);
                        self.wakes
                            .schedule(wake, &mut interface.scheduled, deadline);
                    }
                }
            }
        }
        self.touched = touched;
        self.prune_wakes();
    }

    /// The first deadline is one at which there is something to be done: those that have moved since
    /// are put where they are now. What has come is left to the tick.
    fn prune_wakes(&mut self) {
        let now = self.now;
        while let Some((deadline, wake)) = self.wakes.first().filter(|(first, _)| *first > now) {
            let mut unknown = NEVER;
            let (current, scheduled) = match wake {
                Wake::Router(key) => match self.routers.get_mut(key) {
                    Some(router) => (router.deadline(now), &mut router.scheduled),
                    None => (NEVER, &mut unknown),
                },
                Wake::Interface(index) => match self.interfaces.get_mut(&index) {
                    Some(interface) => (interface.deadline(now), &mut interface.scheduled),
                    None => (NEVER, &mut unknown),
                },
            };
            if *scheduled != deadline {
                self.wakes.pop();
            } else if current > deadline {
                self.wakes.pop();
                *scheduled = NEVER;
                self.wakes.schedule(wake, scheduled, current);
            } else {
                return;
            }
        }
    }

    /// What waits until a deadline that has come; says whether an advertisement was due.
    fn wake(&mut self, deadline: Timestamp, wake: Wake) -> bool {
        match wake {
            Wake::Router(key) => {
                let now = self.now;
                let Some(router) = self.router_mut(key).filter(|r| r.scheduled == deadline) else {
                    return false;
                };
                router.scheduled = NEVER;
                let starts = [router.start_at, router.refused_until].contains(&deadline);
                let ticks = router
                    .machine
                    .next_deadline()
                    .is_some_and(|deadline| timer::is_due(now, deadline));
                let advertises = ticks && router.machine.state() == State::Active;
                if starts {
                    self.mark(key);
                }
                if ticks {
                    self.feed(key, Event::Tick);
                }
                self.continue_rounds(key);
                self.continue_work(key);
                self.touched.push(wake);
                advertises
            }
            Wake::Interface(index) => {
                let Some(interface) = self.interfaces.get_mut(&index) else {
                    return false;
                };
                if interface.scheduled != deadline {
                    return false;
                }
                interface.scheduled = NEVER;
                self.believe_due(index);
                let Some(interface) = self.interfaces.get(&index) else {
                    return false;
                };
                if interface.settles_at == deadline {
                    self.mark_interface(index);
                }
                self.announce(index);
                self.touched.push(wake);
                false
            }
        }
    }

    fn new_id(&mut self) -> JobId {
        self.next_job = self.next_job.saturating_add(1);
        JobId(self.next_job)
    }

    fn report(&mut self, subject: Subject, kind: ReportKind) {
        let routers = self.routers.len();
        let limit = self.config.settings.reports.max(routers);
        self.reports.push(self.now, subject, kind, limit);
    }

    fn report_router(&mut self, key: usize, kind: ReportKind) {
        if let Some(subject) = self.router(key).map(Router::subject) {
            self.report(subject, kind);
        }
    }
}

/// All virtual addresses of a router, advertised and excluded ones.
pub(crate) fn virtual_addresses(config: &RouterConfig) -> impl Iterator<Item = IpAddr> {
    let advertised = config.addresses().as_addresses().iter();
    advertised.chain(config.excluded_addresses().iter().copied())
}

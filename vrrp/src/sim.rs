//! A virtual network: hosts with virtual routers, packets that are lost, late and doubled, cuts,
//! pauses, crashes, clocks that go wrong. Seconds of it take microseconds, and the same seed gives
//! the same run.
//!
//! Try your configuration:
//!
//! ```
//! use core::time::Duration;
//! use lvs_vrrp::sim::{Lan, Link, RouterHost, RouterKey};
//! use lvs_vrrp::{AddressList, Family, Priority, RouterConfig, State, Vrid};
//!
//! let vrid = Vrid::try_from(51)?;
//! let addresses = AddressList::new(["192.0.2.100".parse()?])?;
//! let config = |priority| {
//!     RouterConfig::new(vrid, addresses.clone()).with_priority(Priority::new(priority))
//! };
//! let mut lan = Lan::new(7);
//! lan.set_link(Link::default().with_delay(Duration::from_millis(1)).with_loss(10_000));
//! let a = lan.add(RouterHost::new().with_router(config(200), "192.0.2.1".parse()?)?);
//! let b = lan.add(RouterHost::new().with_router(config(100), "192.0.2.2".parse()?)?);
//! lan.start(a);
//! lan.start(b);
//! lan.run_for(Duration::from_secs(10));
//!
//! // For two seconds the network is cut in two.
//! lan.cut(a, b);
//! lan.cut(b, a);
//! lan.run_for(Duration::from_secs(5));
//! lan.mend();
//! lan.run_for(Duration::from_secs(5));
//!
//! let router = RouterKey { family: Family::Ipv4, vrid };
//! assert_eq!(lan.host(a).and_then(|host| host.router(router)).unwrap().state(), State::Active);
//! assert_eq!(lan.overlaps().len(), 1);
//! println!("{}", lan.trace());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! A [`Host`] is whatever runs virtual routers: [`RouterHost`] some machines, [`NodeHost`] a node with
//! its groups and jobs. Their packets are encoded and go up the receive ladder. The kernel of a host
//! is simulated too: [steps of address work](Lan::set_pace) take time and fail, addresses stay while
//! the process is paused or [killed](Lan::kill), and leave by themselves when their lifetime is over
//! (OP-4). [Overlaps](Lan::overlaps) are what it is about: times at which two kernels had an address;
//! [holdings](Lan::holdings) say who had which when.
//!
//! At one point of time, what arrives comes before what is due.

mod clock;
mod holding;
mod host;
mod kernel;
mod link;
mod nodes;
mod random;
mod routers;
mod trace;
mod work;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use clock::Clock;
use holding::Holdings;
pub use holding::{Holding, Overlap};
pub use host::{Effect, Effects, Host, RouterKey};
pub use link::Link;
pub use nodes::NodeHost;
pub use random::Random;
pub use routers::RouterHost;
pub use trace::{Entry, HostId, Trace, What};
use work::Paces;
pub use work::{Pace, Step, Work};

use kernel::{Change, EXPIRY_LAG, Installed};

use crate::event::ShutdownMode;
use crate::job::JobResult;
use crate::lease::{JobId, LeaseAnswer, LeaseJob, MemoryStore};
use crate::timer::{NEVER, Timestamp};

/// A network of hosts, and the stores of leases that they ask.
#[derive(Clone, Debug)]
pub struct Lan<H> {
    now: Timestamp,
    random: Random,
    seats: Vec<Seat<H>>,
    link: Link,
    /// Ways that differ, and who does not hear whom.
    ways: BTreeMap<(HostId, HostId), Way>,
    stores: Vec<MemoryStore>,
    store_link: Link,
    /// What will happen: packets first, then in the order of planning.
    agenda: BTreeMap<(Timestamp, Class, u64), Occurrence>,
    planned: u64,
    holdings: Holdings,
    trace: Trace,
    packets: u64,
}

/// From one host to another.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    link: Option<Link>,
    is_cut: bool,
    /// When the last packet arrives.
    behind: Timestamp,
}

/// A host and what is around it.
#[derive(Clone, Debug)]
struct Seat<H> {
    host: H,
    clock: Clock,
    is_up: bool,
    /// Grows with each crash: what was planned before does not happen.
    life: u32,
    /// When the process goes on.
    paused_until: Option<Timestamp>,
    /// What came meanwhile.
    backlog: VecDeque<Input>,
    /// When the process is woken next.
    wakes_at: Timestamp,
    lateness: Duration,
    paces: Paces,
    /// Work of the kernel that is not over.
    busy: Vec<(RouterKey, Timestamp)>,
    expiry_lag: Duration,
    /// It does not reach the stores.
    is_off_store: bool,
    /// What the kernel has.
    addresses: Vec<Installed>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Class {
    Arrival,
    Other,
}

#[derive(Clone, Debug)]
enum Occurrence {
    Input(HostId, u32, Input),
    Wake(HostId),
    Resume(HostId, u32),
    /// The kernel does what was begun.
    Worked(HostId, u32, RouterKey, Work, JobResult),
    /// What was done at once is told.
    Told(HostId, u32, Input),
    /// The lifetime of addresses ends.
    Expired(HostId, RouterKey, Change),
    Request(HostId, u32, RouterKey, LeaseJob),
}

/// What reaches a process.
#[derive(Clone, Debug)]
enum Input {
    /// A packet, and when it was received by the host's clock.
    Packet(Timestamp, Arc<[u8]>),
    Worked(RouterKey, Step, JobResult),
    Answer(RouterKey, JobId, LeaseAnswer),
}

impl<H: Host> Lan<H> {
    /// An empty network. All chance comes from the seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            now: Timestamp::ZERO,
            random: Random::new(seed),
            seats: Vec::new(),
            link: Link {
                delay: Duration::ZERO,
                jitter: Duration::ZERO,
                loss: 0,
                duplication: 0,
                reordering: 0,
            },
            ways: BTreeMap::new(),
            stores: Vec::new(),
            store_link: Link {
                delay: Duration::ZERO,
                jitter: Duration::ZERO,
                loss: 0,
                duplication: 0,
                reordering: 0,
            },
            agenda: BTreeMap::new(),
            planned: 0,
            holdings: Holdings::new(),
            trace: Trace {
                entries: Vec::new(),
            },
            packets: 0,
        }
    }

    /// Adds a host, which is not started yet, with a clock that is right.
    pub fn add(&mut self, host: H) -> HostId {
        self.seats.push(Seat {
            host,
            clock: Clock::default(),
            is_up: false,
            life: 0,
            paused_until: None,
            backlog: VecDeque::new(),
            wakes_at: NEVER,
            lateness: Duration::ZERO,
            paces: Paces::default(),
            busy: Vec::new(),
            expiry_lag: EXPIRY_LAG,
            is_off_store: false,
            addresses: Vec::new(),
        });
        HostId(self.seats.len().saturating_sub(1))
    }

    /// Adds a store of leases; leases ask them in the order in which they were added.
    pub fn add_store(&mut self, store: MemoryStore) {
        self.stores.push(store);
    }

    /// Sets the way between any two hosts. At first it is perfect.
    pub const fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Sets the way from one host to another, which stays as it is whatever the others are.
    pub fn set_link_between(&mut self, from: HostId, to: HostId, link: Link) {
        self.ways.entry((from, to)).or_default().link = Some(link);
    }

    /// Sets the way between hosts and stores. At first it is perfect.
    pub const fn set_store_link(&mut self, link: Link) {
        self.store_link = link;
    }

    /// Sets what a host's clock shows at the beginning, and by how many parts per million it runs
    /// faster than it should. To be called before the host is started.
    pub fn set_clock(&mut self, host: HostId, offset: Duration, rate_ppm: i32) {
        if let Some(seat) = self.seats.get_mut(host.0) {
            seat.clock = Clock::new(offset, rate_ppm);
        }
    }

    /// Lets the process of a host run up to this late when something is due. At first it is on time.
    pub fn set_lateness(&mut self, host: HostId, lateness: Duration) {
        if let Some(seat) = self.seats.get_mut(host.0) {
            seat.lateness = lateness;
        }
    }

    /// Sets how long a step of address work takes on a host, and how often it fails. At first steps
    /// take no time and succeed.
    pub fn set_pace(&mut self, host: HostId, step: Step, pace: Pace) {
        if let Some(seat) = self.seats.get_mut(host.0) {
            seat.paces.set(step, pace);
        }
    }

    /// Says how the next steps of address work on a host go: how long each takes, and its result.
    /// After them the [pace](Self::set_pace) counts again.
    pub fn script(
        &mut self,
        host: HostId,
        step: Step,
        outcomes: impl IntoIterator<Item = (Duration, JobResult)>,
    ) {
        if let Some(seat) = self.seats.get_mut(host.0) {
            seat.paces.script(step, outcomes);
        }
    }

    /// Sets how much later than their lifetime says the kernel of a host removes addresses, at most.
    /// At first 2 s, as Linux may.
    pub fn set_expiry_lag(&mut self, host: HostId, lag: Duration) {
        if let Some(seat) = self.seats.get_mut(host.0) {
            seat.expiry_lag = lag;
        }
    }

    /// Starts the process of a host; after a crash, anew. One that runs is left alone.
    pub fn start(&mut self, host: HostId) {
        let Some(seat) = self.seats.get_mut(host.0).filter(|seat| !seat.is_up) else {
            return;
        };
        seat.is_up = true;
        self.log(host, None, What::Started);
        self.with(host, |host, now, out| host.start(now, out));
    }

    /// Tells the process of a host to stop. It is there still, and may be [crashed](Self::crash)
    /// when it has nothing more to do.
    pub fn stop(&mut self, host: HostId, mode: ShutdownMode) {
        self.log(host, None, What::Stopped);
        self.with(host, |host, now, out| host.stop(now, mode, out));
    }

    /// A host loses power: no last word, no addresses.
    pub fn crash(&mut self, host: HostId) {
        self.end_process(host);
        self.lose(host, |_| true);
        self.log(host, None, What::Crashed);
    }

    /// The process of a host is killed, and its kernel goes on: the addresses stay until their
    /// lifetime is over, or [another process](Self::start) removes them.
    pub fn kill(&mut self, host: HostId) {
        self.end_process(host);
        self.log(host, None, What::Killed);
    }

    fn end_process(&mut self, host: HostId) {
        let Some(seat) = self.seats.get_mut(host.0) else {
            return;
        };
        seat.host.crash();
        seat.is_up = false;
        seat.life = seat.life.saturating_add(1);
        seat.paused_until = None;
        seat.backlog.clear();
        seat.busy.clear();
        seat.wakes_at = NEVER;
    }

    /// The process of a host stands still for so long, and its kernel does not: addresses stay, and
    /// packets wait. A pause within a pause makes it longer if it ends later.
    pub fn pause(&mut self, host: HostId, time: Duration) {
        let until = self.now.saturating_add(time);
        let Some(seat) = self.seats.get_mut(host.0).filter(|seat| seat.is_up) else {
            return;
        };
        if seat.paused_until.is_some_and(|earlier| earlier >= until) {
            return;
        }
        seat.paused_until = Some(until);
        let life = seat.life;
        self.log(host, None, What::Paused(time));
        self.plan(until, Occurrence::Resume(host, life));
    }

    /// From here on, nothing that one host sends reaches the other. The other direction is not cut.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        self.ways.entry((from, to)).or_default().is_cut = true;
        self.log(to, None, What::Deaf(from));
    }

    /// Cuts the network between these hosts and all others, in both directions.
    pub fn partition(&mut self, hosts: &[HostId]) {
        for other in (0..self.seats.len()).map(HostId) {
            if !hosts.contains(&other) {
                for host in hosts {
                    self.cut(*host, other);
                    self.cut(other, *host);
                }
            }
        }
    }

    /// Ends all cuts, those from the stores too.
    pub fn mend(&mut self) {
        let mut mended = Vec::new();
        for ((from, to), way) in &mut self.ways {
            if core::mem::take(&mut way.is_cut) {
                mended.push((*from, *to));
            }
        }
        for (from, to) in mended {
            self.log(to, None, What::Hears(from));
        }
        for seat in &mut self.seats {
            seat.is_off_store = false;
        }
    }

    /// From here on a host does not reach the stores, nor they it.
    pub fn cut_from_stores(&mut self, host: HostId) {
        if let Some(seat) = self.seats.get_mut(host.0) {
            seat.is_off_store = true;
        }
    }

    /// Lets a host do something at this time of its clock: change a priority, say. Nothing happens
    /// while it is down or paused.
    pub fn with(&mut self, host: HostId, act: impl FnOnce(&mut H, Timestamp, &mut Effects)) {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(host.0) else {
            return;
        };
        if !seat.is_up || seat.paused_until.is_some() {
            return;
        }
        let mut out = Effects::default();
        act(&mut seat.host, seat.clock.local(now), &mut out);
        while let Some(effect) = out.pop() {
            self.perform(host, effect);
        }
        self.set_alarm(host);
    }

    /// Goes on until this time.
    pub fn run_until(&mut self, end: Timestamp) {
        while let Some(entry) = self.agenda.first_entry() {
            let at = entry.key().0;
            if at > end {
                break;
            }
            let occurrence = entry.remove();
            self.now = self.now.max(at);
            self.happen(occurrence);
        }
        self.now = self.now.max(end);
    }

    /// Goes on for so long.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now.saturating_add(time));
    }

    /// The time, on a clock that is right; it began with zero.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// A host.
    #[must_use]
    pub fn host(&self, host: HostId) -> Option<&H> {
        self.seats.get(host.0).map(|seat| &seat.host)
    }

    /// What has happened.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The times at which two hosts or more had an address: their kernels, not their state machines.
    #[must_use]
    pub fn overlaps(&self) -> &[Overlap] {
        self.holdings.overlaps()
    }

    /// Who had which address when, from the kernels' view: from when it was installed until it was
    /// removed or its lifetime was over. In order of their beginnings.
    #[must_use]
    pub fn holdings(&self) -> &[Holding] {
        self.holdings.all()
    }

    /// Which hosts have addresses of a virtual router now, in order.
    #[must_use]
    pub fn holders(&self, router: RouterKey) -> Vec<HostId> {
        let present = self.holdings.present();
        let mut holders: Vec<HostId> = present
            .filter(|holding| holding.router == router)
            .map(|holding| holding.host)
            .collect();
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    /// How many packets were sent.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    fn log(&mut self, host: HostId, router: Option<RouterKey>, what: What) {
        self.trace.entries.push(Entry {
            at: self.now,
            host,
            router,
            what,
        });
    }

    fn plan(&mut self, at: Timestamp, occurrence: Occurrence) {
        let class = match occurrence {
            Occurrence::Input(..) => Class::Arrival,
            _ => Class::Other,
        };
        self.planned = self.planned.saturating_add(1);
        self.agenda.insert((at, class, self.planned), occurrence);
    }

    fn happen(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::Input(host, life, input) => {
                if self.life(host) == Some(life) {
                    self.take(host, input);
                }
            }
            Occurrence::Wake(host) => {
                if let Some(seat) = self.seats.get_mut(host.0) {
                    if seat.wakes_at > self.now {
                        return;
                    }
                    seat.wakes_at = NEVER;
                }
                self.with(host, |host, now, out| host.tick(now, out));
            }
            Occurrence::Resume(host, life) => {
                if self.life(host) == Some(life) {
                    self.resume(host);
                }
            }
            Occurrence::Worked(host, life, router, work, result) => {
                // What a process began ends with it.
                if self.life(host) == Some(life) {
                    let result = self.do_work(host, router, &work, result);
                    self.take(host, Input::Worked(router, work.step(), result));
                }
            }
            Occurrence::Told(host, life, input) => {
                if self.life(host) == Some(life) {
                    self.take(host, input);
                }
            }
            Occurrence::Expired(host, router, change) => self.expire(host, router, change),
            Occurrence::Request(host, life, router, job) => {
                let store = self.stores.get_mut(usize::from(job.id.store()));
                if let Some(store) = store {
                    let answer = store.handle(self.now, &job.request);
                    let is_off = self.seats.get(host.0).is_none_or(|seat| seat.is_off_store);
                    if !is_off && !self.random.happens(self.store_link.loss) {
                        let time = self.store_link.time(&mut self.random);
                        let input = Input::Answer(router, job.id, answer);
                        let at = self.now.saturating_add(time);
                        self.plan(at, Occurrence::Input(host, life, input));
                    }
                }
            }
        }
    }

    fn life(&self, host: HostId) -> Option<u32> {
        self.seats.get(host.0).map(|seat| seat.life)
    }

    /// Gives something to a process, or lets it wait while that is paused.
    fn take(&mut self, host: HostId, input: Input) {
        let Some(seat) = self.seats.get_mut(host.0) else {
            return;
        };
        if seat.paused_until.is_some() {
            seat.backlog.push_back(input);
            return;
        }
        self.with(host, |host, now, out| match input {
            Input::Packet(received_at, packet) => host.receive(now, received_at, &packet, out),
            Input::Worked(router, step, result) => host.worked(now, router, step, result, out),
            Input::Answer(router, id, answer) => host.answered(now, router, id, answer, out),
        });
    }

    fn resume(&mut self, host: HostId) {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(host.0) else {
            return;
        };
        if seat.paused_until.take_if(|until| *until <= now).is_none() {
            return;
        }
        let backlog = core::mem::take(&mut seat.backlog);
        self.log(host, None, What::Resumed);
        for input in backlog {
            self.take(host, input);
        }
        self.with(host, |host, now, out| host.tick(now, out));
    }

    /// Wakes a process when its next deadline has come.
    fn set_alarm(&mut self, host: HostId) {
        let Some(seat) = self.seats.get_mut(host.0) else {
            return;
        };
        let Some(deadline) = seat.host.next_deadline() else {
            return;
        };
        let at = seat.clock.when(deadline).max(self.now);
        if at == NEVER || at >= seat.wakes_at {
            return;
        }
        let at = at.saturating_add(self.random.up_to(seat.lateness));
        seat.wakes_at = at;
        self.plan(at, Occurrence::Wake(host));
    }

    fn perform(&mut self, host: HostId, effect: Effect) {
        match effect {
            Effect::Send(packet) => self.send(host, &packet.into()),
            Effect::Work(router, work) => self.begin_work(host, router, work),
            Effect::Extend {
                router,
                addresses,
                gone_by,
            } => {
                self.install(host, router, &addresses, Some(gone_by));
            }
            Effect::RemoveLeftovers => self.remove_leftovers(host),
            Effect::Announce(router) => self.log(host, Some(router), What::Announced),
            Effect::Ask(router, job) => self.ask(host, router, job),
            Effect::Report(router, notification) => {
                self.log(host, Some(router), What::Reported(notification));
            }
            Effect::Breach(router, since) => self.log(host, Some(router), What::Breach(since)),
            Effect::Trouble(router, trouble) => {
                self.log(host, Some(router), What::Trouble(trouble));
            }
        }
    }

    fn send(&mut self, from: HostId, packet: &Arc<[u8]>) {
        self.packets = self.packets.saturating_add(1);
        for to in (0..self.seats.len()).map(HostId) {
            if to == from {
                continue;
            }
            let way = self.ways.entry((from, to)).or_default();
            if way.is_cut {
                continue;
            }
            let link = way.link.unwrap_or(self.link);
            let copies = if self.random.happens(link.duplication) {
                2
            } else {
                1
            };
            for _ in 0..copies {
                let Some(way) = self.ways.get_mut(&(from, to)) else {
                    continue;
                };
                let arrival = link.arrival(self.now, &mut way.behind, &mut self.random);
                if let (Some(at), Some(seat)) = (arrival, self.seats.get(to.0)) {
                    let (life, received_at) = (seat.life, seat.clock.local(at));
                    let input = Input::Packet(received_at, Arc::clone(packet));
                    self.plan(at, Occurrence::Input(to, life, input));
                }
            }
        }
    }

    fn ask(&mut self, host: HostId, router: RouterKey, job: LeaseJob) {
        let Some(seat) = self.seats.get(host.0) else {
            return;
        };
        let life = seat.life;
        if !seat.is_off_store && !self.random.happens(self.store_link.loss) {
            let at = self
                .now
                .saturating_add(self.store_link.time(&mut self.random));
            self.plan(at, Occurrence::Request(host, life, router, job));
        }
    }
}

//! The destinations of one virtual service: who deserves which weight, and why.
//!
//! A [`Pool`] keeps an [`Aggregate`] for each destination and decides about the service as a whole:
//! whether there is a quorum, whether the sorry server is needed, who drains. It is fed what checks
//! report, what people want, and the time; [`settle`](Pool::settle) then gives one [`Batch`]: steps
//! from the table that was to the table that should be, in an order that leaves the service with
//! servers throughout, and what happened.
//!
//! `D` names a destination, `C` a check (usually [`CheckId`](crate::CheckId)).
//!
//! ```
//! use std::time::Duration;
//! use lvs_healthcheck::aggregate::{Aggregate, Contribution, Desired, Member, UnknownAs};
//! use lvs_healthcheck::policy::Health;
//! use lvs_healthcheck::pool::{Batch, Pool, Settings, Sorry};
//!
//! // Two servers with a check each, and one that says sorry when both are down.
//! let server = |check| {
//!     let mut server = Aggregate::new(10);
//!     server.insert(check, Member::required(UnknownAs::Up));
//!     server
//! };
//! let settings = Settings::new().with_sorry(Some(Sorry::new("sorry")));
//! let mut now = Duration::ZERO;
//! let mut pool = Pool::new(now, settings, [("a", server("a http")), ("b", server("b http"))])?;
//!
//! let mut batch = Batch::new();
//! pool.settle(now, &mut batch);
//! let steps = |batch: &Batch<_>| -> Vec<String> {
//!     batch.changes.iter().map(ToString::to_string).collect()
//! };
//! assert_eq!(steps(&batch), ["a: out to weight 10 (healthy)", "b: out to weight 10 (healthy)"]);
//!
//! // Both fail. However many reports a turn brings, it ends in one batch: here the sorry server
//! // comes before the last server goes.
//! now += Duration::from_secs(3);
//! pool.update(now, &"a", &"a http", Contribution::new(Health::Down));
//! pool.update(now, &"b", &"b http", Contribution::new(Health::Down));
//! pool.settle(now, &mut batch);
//! assert_eq!(steps(&batch), [
//!     "sorry: out to weight 1 (sorry server needed)",
//!     "a: weight 10 to weight 0 (the sorry server has taken over)",
//!     "b: weight 10 to weight 0 (the sorry server has taken over)",
//!     "a: weight 0 to out (the sorry server has taken over)",
//!     "b: weight 0 to out (the sorry server has taken over)",
//! ]);
//! let told: Vec<_> = batch.events.iter().map(ToString::to_string).collect();
//! assert_eq!(told, [
//!     "a is down (its checks say down)",
//!     "b is down (its checks say down)",
//!     "quorum lost: weight 0, quorum 1",
//!     "sorry server sorry is needed",
//!     "ready",
//! ]);
//! assert_eq!(pool.entry(&"a"), Some(Desired::Absent));
//!
//! // Whoever wonders why gets an answer.
//! let expected = "a
//!   configured weight 10
//!   check a http: down
//!   its checks say down
//!   weight 10 with what checks ask for
//!   the sorry server has taken over
//!   out (the sorry server has taken over)";
//! assert_eq!(pool.explain(&"a").unwrap().to_string(), expected);
//! # Ok::<_, lvs_healthcheck::Invalid>(())
//! ```
//!
//! # With a driver
//!
//! ```
//! use std::net::TcpListener;
//! use std::time::Duration;
//! use lvs_healthcheck::aggregate::{Aggregate, Member, UnknownAs};
//! use lvs_healthcheck::policy::{Policy, Spread};
//! use lvs_healthcheck::pool::{Batch, Pool, Settings};
//! use lvs_healthcheck::{Check, CheckEvent, Config, Driver, Target, TcpProbe};
//!
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! let address = server.local_addr()?;
//! let mut driver = Driver::new(Config::default())?;
//! let policy = Policy::default().with_spread(Spread::None);
//! let check = driver.add(Check::new(TcpProbe::new(Target::new(address)), policy))?;
//!
//! let mut destination = Aggregate::new(1);
//! destination.insert(check, Member::required(UnknownAs::Down)); // in the table once it is up
//! let mut pool = Pool::new(driver.now(), Settings::new(), [(address, destination)])?;
//!
//! let (mut events, mut batch) = (Vec::new(), Batch::new());
//! // One turn of a loop; it also ends when `pool.next_deadline()` has come.
//! driver.poll(Some(Duration::from_secs(5)), &mut events)?;
//! for event in events.drain(..) {
//!     let CheckEvent::Completed(report) = event else { continue };
//!     pool.update(report.at, &address, &report.check, &report);
//! }
//! pool.settle(driver.now(), &mut batch);
//! for change in &batch.changes {
//!     println!("{change}"); // 127.0.0.1:12345: out to weight 1 (healthy)
//! }
//! assert_eq!(batch.changes.len(), 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which knob of keepalived is what
//!
//! | `keepalived.conf` | Here |
//! |---|---|
//! | `quorum`, `hysteresis` | [`Settings::with_quorum`], [`Settings::with_hysteresis`]; what keepalived corrects, [`Settings::correct`] does |
//! | `sorry_server`, `sorry_server_inhibit` | [`Sorry`], its [`Removal`](crate::aggregate::Removal) |
//! | `inhibit_on_failure` | [`Removal::Inhibit`](crate::aggregate::Removal::Inhibit) of the destination |
//! | `alpha` | [`UnknownAs::Down`](crate::aggregate::UnknownAs::Down) of its checks |
//! | `omega` | [`Settings::with_omega`], acted upon by [`Pool::stop`] |
//! | `rs_init_notifies` | [`Settings::with_initial_events`] |
//! | `ha_suspend` | [`Pool::suspend`], [`Pool::resume`] |
//! | a real server taken out of the file | [`Leaving::Delete`] |
//!
//! # Cost
//!
//! An input about one destination costs a search for its name and the checks of that destination;
//! the other destinations are gone through only when a decision about the whole service is another.
//! A new configuration goes through all of them once.

mod decide;
mod entry;
mod event;
mod explain;
mod member;
mod quorum;
mod reload;
mod settings;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use self::decide::{Decisions, Sums};
use self::entry::{End, Entry};
pub use self::event::{Batch, Cause, Change, Connections, PoolEvent};
pub use self::explain::{Explanation, Step};
use self::member::Member;
pub use self::settings::{Drain, Guard, Leaving, OnLimit, OnLowQuorum, Settings, Sorry, Swap};
use crate::Timestamp;
use crate::aggregate::{Aggregate, Contribution, Desired, Source};
use crate::outcome::AdminHint;

/// What becomes of the table when the service ends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Shutdown {
    /// It stays, and traffic goes on.
    Leave,
    /// Every destination leaves at once.
    Remove,
    /// Every destination drains and then leaves.
    Drain,
    /// Every destination stays with weight 0.
    Zero,
}

/// How a pool is; see [`Pool::status`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Sum of the weights of healthy destinations, before slow start.
    pub weight: u64,
    /// Whether there is a quorum.
    pub has_quorum: bool,
    /// Healthy destinations.
    pub healthy: usize,
    /// Configured destinations that nobody voted out.
    pub total: usize,
    /// Whether the sorry server is needed.
    pub needs_sorry: bool,
    /// Whether the guard acts.
    pub is_guarded: bool,
    /// Whether the service is offered: not withdrawn, not ended.
    pub is_offered: bool,
    /// Whether every destination had a verdict, or time for one.
    pub is_ready: bool,
    /// Whether what checks say counts for nothing at present.
    pub is_suspended: bool,
}

/// The sorry server.
#[derive(Clone, Debug)]
struct LastResort {
    is_needed: bool,
    /// Whether it was needed when the last batch was made.
    was_needed: bool,
    is_up: bool,
    entry: Entry,
    timer: Option<Timestamp>,
    is_dirty: bool,
}

impl LastResort {
    const fn new() -> Self {
        Self {
            is_needed: false,
            was_needed: false,
            is_up: true,
            entry: Entry::new(Desired::Absent, Cause::SorryIdle),
            timer: None,
            is_dirty: true,
        }
    }

    fn switch<D: Clone>(
        &mut self,
        is_needed: bool,
        key: &D,
        events: &mut Vec<PoolEvent<D>>,
    ) -> bool {
        if self.is_needed == is_needed {
            return false;
        }
        self.is_needed = is_needed;
        let destination = key.clone();
        events.push(match is_needed {
            true => PoolEvent::SorryOn { destination },
            false => PoolEvent::SorryOff { destination },
        });
        true
    }
}

/// The destinations of one virtual service.
///
/// Pure: it reads no clock and opens nothing; equal inputs give equal batches. Call its methods
/// with a time that does not go back; an earlier one counts as the latest seen. Inputs act at once,
/// [`settle`](Self::settle) only gathers what they came to, so that how inputs are grouped into
/// turns does not matter for what becomes of the pool.
#[derive(Clone, Debug)]
pub struct Pool<D, C> {
    settings: Settings<D>,
    /// In the order of the configuration; those that left it are last.
    members: Vec<Member<D, C>>,
    index: BTreeMap<D, usize>,
    sorry: Option<LastResort>,
    /// In the order of arrival.
    ejected: Vec<D>,
    /// Whether something has changed on which it depends which of them count.
    ejections_moved: bool,
    sums: Sums,
    decisions: Decisions,
    now: Timestamp,
    deadlines: BTreeSet<(Timestamp, usize)>,
    ready_at: Timestamp,
    is_started: bool,
    is_ready: bool,
    is_suspended: bool,
    stopped: Option<Shutdown>,
    /// What batches said so far: the table, without what is absent.
    told: BTreeMap<D, Desired>,
    dirty: Vec<usize>,
    events: Vec<PoolEvent<D>>,
}

impl<D: Clone + Ord, C: PartialEq> Pool<D, C> {
    /// Takes note of what a check says: a [`Report`](crate::Report) by reference, or a
    /// [`Contribution`]. Says whether the check counts: one nobody has, and any while
    /// [suspended](Self::suspend), does not.
    pub fn update(
        &mut self,
        now: Timestamp,
        destination: &D,
        check: &C,
        says: impl Into<Contribution>,
    ) -> bool {
        self.advance(now);
        if self.is_suspended || self.stopped.is_some() {
            return false;
        }
        let now = self.now;
        self.change(now, destination, |aggregate| {
            let has_it = aggregate.members().any(|(key, _)| key == check);
            aggregate.apply(now, check, says);
            has_it
        })
        .unwrap_or(false)
    }

    /// Takes a vote about a destination in place of the source's earlier one; see
    /// [`Aggregate::set_vote`]. Says whether the destination is configured.
    pub fn set_vote(
        &mut self,
        now: Timestamp,
        destination: &D,
        source: Source,
        vote: Option<AdminHint>,
    ) -> bool {
        let change = |aggregate: &mut Aggregate<C>| aggregate.set_vote(source, vote);
        self.change(now, destination, change).is_some()
    }

    /// Changes what is known of a destination in any way. `None` if it is not configured.
    pub fn change<R>(
        &mut self,
        now: Timestamp,
        destination: &D,
        change: impl FnOnce(&mut Aggregate<C>) -> R,
    ) -> Option<R> {
        self.advance(now);
        let slot = self.configured(destination)?;
        let aggregate = &mut self.members.get_mut(slot)?.aggregate;
        aggregate.tick(self.now);
        let result = change(aggregate);
        self.touch(&[slot]);
        Some(result)
    }

    /// Replaces the configured weight by the operator's, or (`None`) goes back to it. It outlives
    /// new configurations. Says whether the destination is configured.
    pub fn set_override(&mut self, now: Timestamp, destination: &D, weight: Option<u32>) -> bool {
        let change = |aggregate: &mut Aggregate<C>| aggregate.set_override(weight);
        self.change(now, destination, change).is_some()
    }

    /// An observer (passive observation, an advisory source) says that a destination is to be kept
    /// away. How many of these count at one time is [limited](Settings::with_eject_limit), the
    /// oldest first; and none counts when it would leave no destination with a weight. Says whether
    /// the destination is configured.
    pub fn eject(&mut self, now: Timestamp, destination: &D) -> bool {
        self.advance(now);
        let Some(slot) = self.configured(destination) else {
            return false;
        };
        if !self.ejected.contains(destination) {
            self.ejected.push(destination.clone());
            self.ejections_moved = true;
            self.touch(&[slot]);
        }
        true
    }

    /// Takes an ejection back. Says whether there was one.
    pub fn readmit(&mut self, now: Timestamp, destination: &D) -> bool {
        self.advance(now);
        let Some(place) = self.ejected.iter().position(|key| key == destination) else {
            return false;
        };
        self.ejected.remove(place);
        self.ejections_moved = true;
        if let Some(slot) = self.configured(destination) {
            if let Some(member) = self.members.get_mut(slot) {
                member.is_ejected = false;
            }
            self.touch(&[slot]);
        }
        true
    }

    /// The connections of a destination that drains (or of the sorry server) are over. Says whether
    /// that matters.
    pub fn drained(&mut self, now: Timestamp, destination: &D) -> bool {
        self.advance(now);
        let mut matters = false;
        if let Some(slot) = self.index.get(destination).copied() {
            let events = &mut self.events;
            let member = self.members.get_mut(slot);
            if member.is_some_and(|member| member.entry.drained(&member.key, events)) {
                matters = true;
                self.touch(&[slot]);
            }
        }
        if self.is_sorry_server(destination) {
            let events = &mut self.events;
            let sorry = self.sorry.as_mut();
            if sorry.is_some_and(|sorry| sorry.entry.drained(destination, events)) {
                matters = true;
                self.pursue_sorry();
            }
        }
        matters
    }

    /// Takes note of the connections a destination has, in case it drains: when none are left, it
    /// is [drained](Self::drained). Says whether it is.
    pub fn observe(&mut self, now: Timestamp, destination: &D, connections: Connections) -> bool {
        self.advance(now);
        let Connections {
            active,
            inactive,
            persistent,
        } = connections;
        let is_persistent = persistent != 0 && self.settings.drain.wait_persistent;
        if active == 0 && inactive == 0 && !is_persistent {
            return self.drained(now, destination);
        }
        let slot = self.index.get(destination).copied();
        if let Some(member) = slot.and_then(|slot| self.members.get_mut(slot)) {
            member.entry.observe(connections);
        }
        let is_sorry = self.is_sorry_server(destination);
        if let Some(sorry) = self.sorry.as_mut().filter(|_| is_sorry) {
            sorry.entry.observe(connections);
        }
        false
    }

    fn is_sorry_server(&self, destination: &D) -> bool {
        let sorry = self.settings.sorry.as_ref();
        sorry.is_some_and(|sorry| sorry.destination == *destination)
    }

    /// What the sorry server's own check says: an event, and nothing more, since it is the last
    /// resort.
    pub fn set_sorry_health(&mut self, now: Timestamp, is_up: bool) {
        self.advance(now);
        let (Some(settings), Some(sorry)) = (&self.settings.sorry, &mut self.sorry) else {
            return;
        };
        if sorry.is_up != is_up {
            sorry.is_up = is_up;
            let destination = settings.destination.clone();
            self.events
                .push(PoolEvent::SorryHealth { destination, is_up });
        }
    }

    /// What checks say counts for nothing from now on, and everything stays as it is: for a standby
    /// that does not check (`ha_suspend` of `keepalived.conf`). Drains go on.
    pub fn suspend(&mut self, now: Timestamp) {
        self.advance(now);
        if !core::mem::replace(&mut self.is_suspended, true) {
            self.events.push(PoolEvent::Suspended);
        }
    }

    /// What checks say counts again. With `forget`, what they said before does not: every
    /// destination stays as it is until they have said something new.
    pub fn resume(&mut self, now: Timestamp, forget: bool) {
        self.advance(now);
        if !core::mem::replace(&mut self.is_suspended, false) {
            return;
        }
        self.events.push(PoolEvent::Resumed);
        if forget {
            for member in &mut self.members {
                member.adopted = Some(member.entry.now);
                member.aggregate.forget();
            }
            self.touch_all();
        }
    }

    /// Ends the service: nothing but drains and time counts from now on. If the settings say
    /// [omega](Settings::with_omega), it is told as if everything went down: destinations, quorum,
    /// service.
    pub fn stop(&mut self, now: Timestamp, how: Shutdown) {
        self.advance(now);
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(how);
        if self.settings.omega {
            for member in &self.members {
                if member.view.is_some_and(|view| view.is_healthy) {
                    self.events.push(PoolEvent::Down {
                        destination: member.key.clone(),
                        cause: Cause::Stopped,
                    });
                }
            }
            if self.decisions.quorum.is_up {
                self.events.push(PoolEvent::QuorumDown {
                    weight: self.sums.weight,
                    quorum: self.settings.quorum,
                });
            }
        }
        self.events.push(PoolEvent::Stopped);
        self.touch_all();
    }

    /// Where a destination is, if it is configured.
    fn configured(&self, destination: &D) -> Option<usize> {
        let slot = *self.index.get(destination)?;
        let member = self.members.get(slot)?;
        (!member.is_leaving).then_some(slot)
    }

    /// A destination that is configured or still in the table.
    fn member(&self, destination: &D) -> Option<&Member<D, C>> {
        let member = self.members.get(*self.index.get(destination)?)?;
        (!member.is_gone()).then_some(member)
    }

    /// How the pool is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            weight: self.sums.weight,
            has_quorum: self.decisions.quorum.is_up,
            healthy: self.sums.healthy,
            total: self.sums.eligible,
            needs_sorry: self.sorry.as_ref().is_some_and(|sorry| sorry.is_needed),
            is_guarded: self.decisions.is_guarded,
            is_offered: self.decisions.is_offered && self.stopped.is_none(),
            is_ready: self.is_ready,
            is_suspended: self.is_suspended,
        }
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings<D> {
        &self.settings
    }

    /// What is known of a configured destination.
    #[must_use]
    pub fn aggregate(&self, destination: &D) -> Option<&Aggregate<C>> {
        let slot = self.configured(destination)?;
        self.members.get(slot).map(|member| &member.aggregate)
    }

    /// Whether a destination left the configuration and is still in the table for its connections.
    #[must_use]
    pub fn is_leaving(&self, destination: &D) -> bool {
        self.member(destination)
            .is_some_and(|member| member.is_leaving)
    }

    /// Destinations that drain, with the time since when: those whose connections are to be
    /// [observed](Self::observe).
    pub fn draining(&self) -> impl Iterator<Item = (&D, Timestamp)> {
        let sorry = self.settings.sorry.as_ref().zip(self.sorry.as_ref());
        let sorry = sorry.map(|(settings, sorry)| (&settings.destination, &sorry.entry));
        let members = self
            .members
            .iter()
            .map(|member| (&member.key, &member.entry));
        members.chain(sorry).filter_map(|(key, entry)| {
            let drain = entry.drain.filter(|_| entry.now != Desired::Absent)?;
            (drain.end != Some(End::Drained)).then_some((key, drain.since))
        })
    }

    /// What the table should hold for a destination; `None` for one that is not of this pool.
    #[must_use]
    pub fn entry(&self, destination: &D) -> Option<Desired> {
        let member = self.member(destination).map(|member| member.entry.now);
        let sorry = self.sorry_entry(destination).map(|entry| entry.now);
        match (member, sorry) {
            (Some(member), Some(sorry)) => Some(larger(member, sorry)),
            (one, other) => one.or(other),
        }
    }

    /// The table that should be, in the order of the configuration, the sorry server last.
    pub fn table(&self) -> impl Iterator<Item = (&D, u32)> {
        let sorry = self.settings.sorry.as_ref().map(|sorry| &sorry.destination);
        let sorry = sorry.filter(|key| !self.index.contains_key(key));
        let keys = self.members.iter().map(|member| &member.key).chain(sorry);
        keys.filter_map(|key| match self.entry(key) {
            Some(Desired::Present { weight }) => Some((key, weight)),
            _ => None,
        })
    }

    /// The sorry server's entry if it is that destination.
    fn sorry_entry(&self, destination: &D) -> Option<&Entry> {
        let settings = self.settings.sorry.as_ref()?;
        let sorry = self.sorry.as_ref()?;
        (settings.destination == *destination).then_some(&sorry.entry)
    }
}

/// The entry of a destination that is wanted twice.
fn larger(one: Desired, other: Desired) -> Desired {
    match (one, other) {
        (Desired::Present { weight }, Desired::Present { weight: other }) => Desired::Present {
            weight: weight.max(other),
        },
        (Desired::Absent, other) => other,
        (one, _) => one,
    }
}

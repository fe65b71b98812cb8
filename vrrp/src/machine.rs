//! The state machine of one virtual router. RFC 9568 §6.4, RFC 5798 §6.4, RFC 3768 §6.4.
//!
//! [`VirtualRouter::handle`] takes the time and an event and gives what is to be done, in order; the
//! machine has no clock, no socket and no thread. Deadlines live in the state, as points of time:
//! ask for [`next_deadline`](VirtualRouter::next_deadline) and feed [`Event::Tick`] then or later.
//! A tick that comes early or twice does nothing.
//!
//! Feed what was received, with the time of its reception, before the tick: a Backup that woke up
//! late must not promote itself while fresh advertisements wait in its socket.
//!
//! ```
//! use core::time::Duration;
//! use lvs_vrrp::config::RouterConfig;
//! use lvs_vrrp::event::{Action, Event, State};
//! use lvs_vrrp::machine::VirtualRouter;
//! use lvs_vrrp::{AddressList, Vrid};
//!
//! let addresses = AddressList::new(["192.0.2.1".parse()?])?;
//! let config = RouterConfig::new(Vrid::try_from(51)?, addresses);
//! let mut router = VirtualRouter::new(config)?;
//! let boot = Duration::from_secs(60);
//! let _ = router.handle(boot, Event::Source(Some("192.0.2.9".parse()?)));
//! let _ = router.handle(boot, Event::Startup);
//! assert_eq!(router.state(), State::Backup);
//!
//! // Nobody is heard until the deadline.
//! let deadline = router.next_deadline().unwrap();
//! assert_eq!(deadline - boot, Duration::from_nanos(3_609_375_000));
//! let actions = router.handle(deadline, Event::Tick);
//! assert_eq!(router.state(), State::Active);
//! assert!(matches!(actions.as_slice()[0], Action::SendAdvert(_)));
//! assert_eq!(actions.as_slice()[1], Action::InstallAddresses);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! | Event | Initialize | Backup | Active |
//! |---|---|---|---|
//! | startup | Backup; the owner Active | – | – |
//! | shutdown, fault | – | Initialize | resign, Initialize |
//! | tick | – | Active if silence was long enough | advertise if it is time |
//! | resignation | – | hurry | advertise |
//! | better, or as good | – | wait on | Backup |
//! | worse | – | ignore, or wait on without preemption | stay, answer |
//!
//! An event that means nothing in a state is ignored; it is never an error.
//!
//! # Where the RFCs are silent
//!
//! * Deadlines count from the reception of an advertisement. One that was overtaken by a later one
//!   does not turn them back, and one that claims to be from the future was received now.
//! * An advertisement of the own rank is not answered, since it may be our own packet.
//! * A losing advertisement leads to one more announcement, at most once in an interval.
//! * After a pause as long as a down interval an Active is Backup until it has heard nothing for
//!   another (OP-5); the strict profiles assert themselves, as the timers of the RFCs do.
//! * A guard that was given back counts no more, whatever it was granted for; one that is granted
//!   without having been asked for is given back.
//! * A Backup that asks for the guard keeps asking when the Active resigns, and waits for the skew
//!   time with the guard in hand.
//! * In both versions at once the timers are those of VRRPv3. The VRRPv2 of a router is ignored for
//!   a down interval after each of its advertisements of VRRPv3.
//! * [`ShutdownMode::Abrupt`] removes the addresses and says nothing;
//!   [`ShutdownMode::Handover`] leaves them to a successor, which starts with
//!   [`resume`](VirtualRouter::resume). A guard is left with them, and may be renewed until the
//!   successor does that; when it is lost or ends, the addresses are removed after all, as by
//!   [`ShutdownMode::ReleaseFirst`]. So they are if it has ended by then, and if another shutdown
//!   follows.

mod active;
mod backup;
mod change;
mod counters;
mod dual;
mod guarding;

use core::net::IpAddr;
use core::time::Duration;

use crate::actions::Actions;
use crate::config::{ConfigError, RouterConfig};
use crate::event::{
    Action, DataPlane, Event, HeardAdvert, InitReason, LastEvent, NewActiveReason, Notification,
    SendAdvert, ShutdownMode, State, Transition,
};
use crate::guard::GuardStatus;
use crate::interval::Interval;
use crate::priority::{Priority, Rank};
use crate::timer::{self, NEVER, Timestamp};

pub use counters::Counters;
use dual::Peers;

/// One virtual router: state of at most 352 bytes, and a configuration.
///
/// Times given to it never go back; one before the last is taken as equal to it.
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    config: RouterConfig,
    /// What trackers add to the base priority, in sum.
    contribution: i64,
    /// The effective priority.
    priority: Priority,
    /// Where its advertisements come from.
    source: Option<IpAddr>,
    state: State,
    init_reason: InitReason,
    /// The latest time it was told.
    now: Timestamp,
    /// When the state was entered.
    since: Timestamp,
    /// Active: when to advertise. Backup: when silence has been long enough.
    deadline: Timestamp,
    /// Active: when it advertised last. Backup: from when on silence counts.
    reference: Timestamp,
    /// Backup: no promotion before. Active: no advertisement before, as it listens.
    not_before: Timestamp,
    /// Backup: when the preempt hold ends. Active: when it may announce again.
    hold: Timestamp,
    /// Backup: how long silence has to be.
    wait: Wait,
    /// Backup: why it will become Active.
    pending: Pending,
    /// Backup: the interval at which the Active advertises.
    active_interval: Interval,
    /// Backup: that interval comes from an Active.
    is_interval_learned: bool,
    /// Backup: the Active.
    active: Option<Rank>,
    guard: GuardStatus,
    /// Backup: the guard was requested; when to ask again.
    request: Option<Timestamp>,
    peers: Peers,
    promotions: backup::Promotions,
    new_active_reason: NewActiveReason,
    last_event: LastEvent,
    counters: Counters,
}

/// How long silence has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// `Active_Down_Interval`.
    Down,
    /// `Skew_Time`: nobody is Active.
    Skew,
    /// Not at all: an owner that waits for the guard only.
    Nothing,
}

/// Why a Backup will become Active.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pending {
    /// The Active is silent.
    NoResponse,
    /// The Active resigned, or the addresses are ours.
    Priority,
    /// The Active has a lower priority.
    Preempted,
    /// The same, and the preempt hold has ended.
    HoldOver,
}

impl VirtualRouter {
    /// A virtual router that was not started yet.
    ///
    /// Tell it its source address, then [`Event::Startup`].
    ///
    /// # Errors
    ///
    /// What [`RouterConfig::validate`] finds.
    pub fn new(config: RouterConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            contribution: 0,
            priority: config.effective_priority(0),
            source: None,
            state: State::Initialize,
            init_reason: InitReason::NotStarted,
            now: Timestamp::ZERO,
            since: Timestamp::ZERO,
            deadline: NEVER,
            reference: Timestamp::ZERO,
            not_before: Timestamp::ZERO,
            hold: NEVER,
            wait: Wait::Down,
            pending: Pending::NoResponse,
            active_interval: config.interval(),
            is_interval_learned: false,
            active: None,
            guard: GuardStatus::Unknown,
            request: None,
            peers: Peers::default(),
            promotions: backup::Promotions::default(),
            new_active_reason: NewActiveReason::NotActive,
            last_event: LastEvent::None,
            counters: Counters::default(),
            config,
        })
    }

    /// Takes an event at this time and gives what is to be done, in order. Allocates nothing.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Actions {
        let mut out = Actions::new();
        let now = self.advance(now);
        if !matches!(event, Event::Shutdown(_) | Event::Fault(_)) {
            self.check_guard(now, &mut out);
            if let Event::Guard(status) = event {
                self.change_guard(now, status, &mut out);
            }
            if let Some(gap) = self.stall(now, event == Event::Stalled) {
                self.recover(now, gap, &mut out);
            }
        }
        match event {
            Event::Startup => self.start(now, &mut out),
            Event::Shutdown(mode) => self.shut_down(now, mode, &mut out),
            Event::Fault(reason) => self.fail(now, reason, &mut out),
            Event::Advert(advert) => self.hear(now, advert, &mut out),
            Event::Tick => match self.state {
                State::Initialize => {}
                State::Backup => self.promote_if_due(now, &mut out),
                State::Active => self.advertise_if_due(now, &mut out),
            },
            Event::Contribution(contribution) => {
                self.contribution = contribution;
                self.update_priority(now, &mut out);
            }
            Event::Source(source) => self.change_source(now, source, &mut out),
            Event::Yield => self.give_way(now, &mut out),
            // What follows from them has come before.
            Event::Guard(_) | Event::Stalled => {}
        }
        out
    }

    /// Goes on as Active where another process of this host stopped with
    /// [`ShutdownMode::Handover`], whose addresses are still there. It does nothing if this router
    /// runs already, or has no source address; with a guard it asks for it first.
    ///
    /// The actions are those of becoming Active: installing addresses that are there does nothing.
    pub fn resume(&mut self, now: Timestamp) -> Actions {
        let mut out = Actions::new();
        let now = self.advance(now);
        self.check_guard(now, &mut out);
        if self.state == State::Initialize && self.source.is_some() {
            self.start_as_active(now, LastEvent::Handover, &mut out);
        }
        out
    }

    /// The same, with what the arbiter says of the guard.
    pub(crate) fn resume_with(&mut self, now: Timestamp, guard: GuardStatus) -> Actions {
        self.guard = guard;
        self.resume(now)
    }

    /// When a tick is due next; `None` while only other events matter.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadline = match self.state {
            State::Initialize => match self.guard {
                GuardStatus::Held { until, .. } if self.is_guarded() && self.is_handed_over() => {
                    until
                }
                _ => NEVER,
            },
            State::Backup => match self.request {
                Some(retry) if !self.guard.is_held_at(self.now) => self.deadline.max(retry),
                _ => self.deadline,
            },
            State::Active => match self.guard {
                GuardStatus::Held { until, .. } if self.is_guarded() => self.deadline.min(until),
                _ => self.deadline,
            },
        };
        (deadline != NEVER).then_some(deadline)
    }

    /// Its configuration.
    pub const fn config(&self) -> &RouterConfig {
        &self.config
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why it does not run, if it does not.
    #[must_use]
    pub fn init_reason(&self) -> Option<InitReason> {
        (self.state == State::Initialize).then_some(self.init_reason)
    }

    /// When it entered its state: `up-datetime`.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// The priority it advertises: base and trackers.
    #[must_use]
    pub const fn effective_priority(&self) -> Priority {
        self.priority
    }

    /// Where its advertisements come from.
    #[must_use]
    pub const fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Which router a Backup takes for the Active; `None` while it has heard none, and in the other
    /// states.
    #[must_use]
    pub const fn active(&self) -> Option<Rank> {
        self.active
    }

    /// `Active_Adver_Interval`: the interval at which the Active advertises, as far as a Backup
    /// knows; otherwise the own interval (`VRRP-039`).
    #[must_use]
    pub fn active_interval(&self) -> Interval {
        match self.state {
            State::Backup => self.active_interval,
            _ => self.config.interval(),
        }
    }

    /// `Skew_Time`, of [`active_interval`](Self::active_interval): `skew-time`.
    #[must_use]
    pub fn skew_time(&self) -> Duration {
        let version = self.config.timer_version();
        timer::skew_time(version, self.priority, self.active_interval())
    }

    /// `Active_Down_Interval`, of [`active_interval`](Self::active_interval):
    /// `master-down-interval`.
    #[must_use]
    pub fn active_down_interval(&self) -> Duration {
        let version = self.config.timer_version();
        let factor = self.config.down_factor();
        timer::active_down_interval(version, self.priority, self.active_interval(), factor)
    }

    /// When the last advertisement was: as Active its own, as Backup that of the Active, if there is
    /// one.
    #[must_use]
    pub const fn last_advert(&self) -> Option<Timestamp> {
        match (self.state, self.active) {
            (State::Active, _) | (State::Backup, Some(_)) => Some(self.reference),
            _ => None,
        }
    }

    /// Why it became Active the last time (`VRRP-142`).
    #[must_use]
    pub const fn new_active_reason(&self) -> NewActiveReason {
        self.new_active_reason
    }

    /// The last event that changed its state.
    #[must_use]
    pub const fn last_event(&self) -> LastEvent {
        self.last_event
    }

    /// What the arbiter said last.
    #[must_use]
    pub const fn guard(&self) -> GuardStatus {
        self.guard
    }

    /// Whether it has asked for the guard, or has it, without being Active yet.
    #[must_use]
    pub const fn wants_guard(&self) -> bool {
        self.request.is_some()
    }

    /// What it counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sets all counters to zero; the time goes into their discontinuity time (`VRRP-141`).
    pub fn reset_counters(&mut self, now: Timestamp) {
        self.counters = Counters::since(self.advance(now));
    }

    /// Time never goes back.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.now
    }

    /// RFC 9568 §6.4.1 (`VRRP-049` to `VRRP-051`).
    fn start(&mut self, now: Timestamp, out: &mut Actions) {
        if self.state != State::Initialize {
            return;
        }
        if self.is_handed_over() {
            // No successor came, and it begins like any other.
            self.stop_serving(out);
            self.init_reason = InitReason::Shutdown;
        }
        if self.source.is_none() {
            self.init_reason = InitReason::NoSource;
            return;
        }
        let event = match self.init_reason {
            InitReason::NotStarted | InitReason::Shutdown | InitReason::HandedOver => {
                LastEvent::Startup
            }
            InitReason::InterfaceDown => LastEvent::InterfaceUp,
            InitReason::NoSource => LastEvent::PrimaryAddress,
            InitReason::NoVirtualAddresses => LastEvent::VirtualAddresses,
            InitReason::Tracker => LastEvent::Tracker,
            InitReason::Group => LastEvent::Group,
            InitReason::AddressWork => LastEvent::AddressWork,
        };
        if self.priority.is_owner() {
            self.start_as_active(now, event, out);
        } else {
            self.enter_backup(now, event, out);
        }
    }

    /// Becomes Active without waiting; with a guard, as soon as that is granted.
    fn start_as_active(&mut self, now: Timestamp, event: LastEvent, out: &mut Actions) {
        if self.may_be_active(now) {
            self.become_active(now, NewActiveReason::Priority, event, out);
            return;
        }
        self.forget(now);
        self.pending = Pending::Priority;
        self.wait = Wait::Nothing;
        self.enter_backup_with(now, now, event, out);
        self.request_guard(now, out);
    }

    /// Nothing learned before counts any more.
    fn forget(&mut self, now: Timestamp) {
        self.active_interval = self.config.interval();
        self.is_interval_learned = false;
        self.active = None;
        self.hold = NEVER;
        self.not_before = Timestamp::ZERO;
        self.reference = now;
        self.wait = Wait::Down;
        self.pending = Pending::NoResponse;
        self.request = None;
    }

    /// Leaves whatever state for Initialize on purpose. RFC 9568 §6.4.2, §6.4.3 (`VRRP-058`,
    /// `VRRP-074`).
    fn shut_down(&mut self, now: Timestamp, mode: ShutdownMode, out: &mut Actions) {
        let serves = self.state == State::Active || self.is_handed_over();
        // Nothing can be left to a successor that a guard does not cover.
        if mode == ShutdownMode::Handover && serves && self.may_be_active(now) {
            self.leave(now, InitReason::HandedOver, LastEvent::Handover, out);
            return;
        }
        if serves {
            match mode {
                ShutdownMode::Graceful => self.resign(out),
                ShutdownMode::ReleaseFirst | ShutdownMode::Handover => self.resign_released(out),
                ShutdownMode::Abrupt => self.stop_serving(out),
            }
        }
        self.release_guard(out);
        self.leave(now, InitReason::Shutdown, LastEvent::Shutdown, out);
    }

    /// It stopped, and its addresses are left to a successor.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.init_reason() == Some(InitReason::HandedOver)
    }

    /// Leaves whatever state for Initialize because it cannot run. It resigns unless the link is
    /// down.
    fn fail(&mut self, now: Timestamp, reason: InitReason, out: &mut Actions) {
        if self.is_handed_over() {
            // Whether that can run is for the successor to see, if there still is something for it.
            self.check_guard(now, out);
            return;
        }
        if self.state == State::Active {
            if reason == InitReason::InterfaceDown {
                self.stop_serving(out);
            } else {
                self.resign(out);
            }
        }
        self.release_guard(out);
        let event = match reason {
            InitReason::InterfaceDown => LastEvent::InterfaceDown,
            InitReason::NoSource => LastEvent::NoPrimaryAddress,
            InitReason::NoVirtualAddresses => LastEvent::NoVirtualAddresses,
            InitReason::Tracker => LastEvent::Tracker,
            InitReason::Group => LastEvent::Group,
            InitReason::AddressWork => LastEvent::AddressWork,
            InitReason::NotStarted | InitReason::Shutdown | InitReason::HandedOver => {
                LastEvent::Shutdown
            }
        };
        self.leave(now, reason, event, out);
    }

    fn leave(&mut self, now: Timestamp, reason: InitReason, event: LastEvent, out: &mut Actions) {
        self.init_reason = reason;
        if self.state != State::Initialize {
            self.forget(now);
            self.deadline = NEVER;
            self.transition(now, State::Initialize, event, out);
        }
    }

    /// Sends an accepted advertisement to where its state wants it.
    fn hear(&mut self, now: Timestamp, advert: HeardAdvert, out: &mut Actions) {
        if self.state == State::Initialize || !self.is_for_us(&advert) {
            return;
        }
        // What was received in the future, by a clock that differs, was received now.
        let received_at = advert.received_at.min(now);
        let advert = HeardAdvert {
            received_at,
            ..advert
        };
        if self.is_heard_in_v3(&advert, out) {
            return;
        }
        match self.state {
            State::Initialize => {}
            State::Backup => self.hear_as_backup(&advert, out),
            State::Active => self.hear_as_active(now, &advert, out),
        }
    }

    /// Enters a state and reports it, after all that belongs to the transition.
    fn transition(&mut self, now: Timestamp, to: State, event: LastEvent, out: &mut Actions) {
        let from = self.state;
        self.state = to;
        self.since = now;
        self.last_event = event;
        out.push(Action::Notify(Notification::Transition(Transition {
            from,
            to,
            event,
            reason: self.new_active_reason,
            priority: self.priority,
        })));
    }

    /// The advertisement of this moment (`VRRP-102`).
    fn advert(&self, priority: Priority) -> Action {
        Action::SendAdvert(SendAdvert {
            priority,
            interval: self.config.interval(),
            versions: self.config.versions(),
        })
    }

    /// The data plane of a router that does not serve.
    fn stop_serving(&self, out: &mut Actions) {
        out.push(Action::CancelAnnouncements);
        out.push(Action::DataPlane(DataPlane::default()));
        out.push(Action::RemoveAddresses);
    }

    /// Resigns in the order of the RFCs; with a guard, in the other one.
    fn resign(&self, out: &mut Actions) {
        if self.is_guarded() {
            self.resign_released(out);
        } else {
            out.push(self.advert(Priority::RESIGN));
            self.stop_serving(out);
        }
    }

    /// Resigns when the addresses are gone.
    fn resign_released(&self, out: &mut Actions) {
        self.stop_serving(out);
        out.push(self.advert(Priority::RESIGN));
    }
}

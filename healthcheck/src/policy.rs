//! From outcomes to health: rise and fall, delays, jitter, first start.
//!
//! One counter explains keepalived, HAProxy and the others: `h` runs from 0 to
//! `rise + fall - 1`, and the check is up while `h ≥ rise`. A success adds one and, once up, fills
//! the counter; a failure takes one and, once down, empties it. So `fall` failures in a row take a
//! check down, `rise` successes in a row bring it back.
//!
//! [`Policy`] is the settings, [`Machine`] the state. Both are pure: time and random numbers are
//! passed in, so a history can be replayed.
//!
//! ```
//! use lvs_healthcheck::policy::{Health, Machine, Policy};
//! use lvs_healthcheck::{Code, Outcome, Phase};
//!
//! let mut machine = Machine::new(Policy::default().with_rise(2).with_fall(2))?;
//! let ok = Outcome::new(Code::Ok, Phase::Connect);
//! let refused = Outcome::new(Code::Refused, Phase::Connect);
//!
//! assert_eq!(machine.on_outcome(&ok).change.unwrap().to, Health::Up);
//! assert_eq!(machine.on_outcome(&refused).change, None); // tolerated
//! assert_eq!(machine.on_outcome(&refused).change.unwrap().to, Health::Down);
//! assert_eq!(machine.on_outcome(&ok).change, None);      // one is not enough
//! assert_eq!(machine.on_outcome(&ok).change.unwrap().to, Health::Up);
//! # Ok::<_, lvs_healthcheck::Invalid>(())
//! ```
//!
//! # Presets
//!
//! | As in | Policy | rise | fall | starts |
//! |---|---|---|---|---|
//! | keepalived | [`Policy::keepalived`] | 1 | `retry` + 1 | up, one failure suffices; `alpha`: down |
//! | HAProxy | [`Policy::haproxy`] | 2 | 3 | `init-state` |
//! | HAProxy's agent | [`Policy::haproxy_agent`] | 1 | 1 | up |
//! | Envoy | [`Policy::envoy`] | `healthy_threshold` | `unhealthy_threshold` | down, one success suffices |
//! | seesaw | [`Policy::seesaw`] | 1 | `retries` + 1 | down |
//! | ldirectord | [`Policy::ldirectord`] | 1 | `failurecount` | as the table has it |
//! | pingora | [`Policy::pingora`] | 1 | 1 | up |
//! | nginx, Tengine | [`Policy::nginx`] | 2 | 5 | down |
//! | DPVS | [`Policy::dpvs`] | 2 | 2 | undecided |
//! | keepalived's `vrrp_script` | [`Policy::track_script`] | 1 | 1 | up; `init_fail`: down |
//!
//! Slow start and damping are settings of a destination, not of one of its checks: see
//! [`aggregate`](crate::aggregate).

mod delay;
mod envoy;
mod haproxy;
mod keepalived;
mod machine;
mod passive;
mod presets;
mod push;
mod validate;
mod warning;

use core::fmt;
use core::time::Duration;

pub use self::delay::{ScheduleBase, Spread};
pub use self::envoy::Envoy;
pub use self::haproxy::Haproxy;
pub use self::keepalived::{Keepalived, KeepalivedChecker};
pub use self::machine::{Decision, HealthChange, Machine};
pub use self::passive::{Observation, Observe, OnError, Passive};
pub use self::push::Ttl;
pub use self::warning::Warning;

/// What a check's history says about its target.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// No attempt has said anything yet.
    Unknown,
    /// Working.
    Up,
    /// Not working.
    Down,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// Where the counter starts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Initial {
    /// Up, and `fall` failures are needed to take it down.
    FullyUp,
    /// Up, but the first failure takes it down. The default, as in HAProxy and keepalived.
    Up1,
    /// Down, but the first success brings it up.
    Down1,
    /// Down, and `rise` successes are needed to bring it up.
    FullyDown,
    /// Neither: health stays [unknown](Health::Unknown) until `rise` successes or `fall` failures
    /// came in a row. The way of DPVS's health checker.
    Undecided,
    /// As the kernel's table had it: up counts as `Up1`, down as `FullyDown`.
    Keep {
        /// Whether the destination was in the table with a weight above 0.
        up: bool,
    },
}

/// What an error of this host counts as.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OnLocalError {
    /// Nothing: health and counter stay, the next attempt comes after the normal interval.
    Ignore,
    /// A failure.
    Fail,
    /// Nothing, until this many came in a row (at least 1); from then on failures.
    FailAfter(u32),
}

/// How a check's outcomes are judged and when it runs.
///
/// Methods set one thing each and never fail; [`validate`](Self::validate) names the first setting
/// out of range, and [`Machine::new`] and [`Driver::add`](crate::Driver::add) call it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Policy {
    pub(crate) rise: u16,
    pub(crate) fall: u16,
    pub(crate) rise_first: Option<u16>,
    pub(crate) initial: Initial,
    pub(crate) interval: Duration,
    pub(crate) fast: Option<Duration>,
    pub(crate) rising: Option<Duration>,
    pub(crate) down: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) idle_up: Option<Duration>,
    pub(crate) base: ScheduleBase,
    pub(crate) jitter_percent: u8,
    pub(crate) jitter_add: Duration,
    pub(crate) jitter_add_percent: u8,
    pub(crate) spread: Spread,
    pub(crate) director: u64,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) on_local_error: OnLocalError,
    pub(crate) on_no_route: OnLocalError,
    pub(crate) passive: Option<Passive>,
    pub(crate) log_all_failures: bool,
}

impl Default for Policy {
    /// Every 5 s from start to start ± 5 %, 3 s each; two failures take it down, one success
    /// brings it up; starts up; local errors are ignored.
    fn default() -> Self {
        Self {
            rise: 1,
            fall: 2,
            rise_first: None,
            initial: Initial::Up1,
            interval: Duration::from_secs(5),
            fast: None,
            rising: None,
            down: None,
            idle: None,
            idle_up: None,
            base: ScheduleBase::StartToStart,
            jitter_percent: 5,
            jitter_add: Duration::ZERO,
            jitter_add_percent: 0,
            spread: Spread::Hash {
                cap: Spread::DEFAULT_CAP,
            },
            director: 0,
            timeout: Duration::from_secs(3),
            connect_timeout: None,
            on_local_error: OnLocalError::Ignore,
            on_no_route: OnLocalError::Ignore,
            passive: None,
            log_all_failures: false,
        }
    }
}

impl Policy {
    /// The shortest interval or timeout: 1 ms.
    pub const MIN_TIME: Duration = Duration::from_millis(1);

    /// The longest interval or timeout: 10⁹ s.
    pub const MAX_TIME: Duration = Duration::from_secs(1_000_000_000);

    /// Successes in a row that bring a check up, at least 1. Default 1.
    pub const fn with_rise(mut self, rise: u16) -> Self {
        self.rise = rise;
        self
    }

    /// Failures in a row that take a check down, at least 1. Default 2.
    pub const fn with_fall(mut self, fall: u16) -> Self {
        self.fall = fall;
        self
    }

    /// Successes in a row that bring a check up for the very first time, at least 1.
    /// Default: as `rise`. Envoy's behaviour is 1.
    pub const fn with_rise_first(mut self, successes: u16) -> Self {
        self.rise_first = Some(successes);
        self
    }

    /// Where the counter starts. Default [`Initial::Up1`].
    pub const fn with_initial(mut self, initial: Initial) -> Self {
        self.initial = initial;
        self
    }

    /// Time between attempts in a settled state that is up. Default 5 s.
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Time between attempts while up with the last ones failed, and before the first verdict.
    /// Default: the interval.
    pub const fn with_fast_interval(mut self, interval: Duration) -> Self {
        self.fast = Some(interval);
        self
    }

    /// Time between attempts while down with the last ones successful. Default: the interval.
    pub const fn with_rising_interval(mut self, interval: Duration) -> Self {
        self.rising = Some(interval);
        self
    }

    /// Time between attempts in a settled state that is down. Default: the interval.
    pub const fn with_down_interval(mut self, interval: Duration) -> Self {
        self.down = Some(interval);
        self
    }

    /// Time between attempts, in whatever state, while the virtual service has
    /// [no traffic](Machine::set_traffic). Default: as if it had. Envoy's `no_traffic_interval`.
    pub const fn with_idle_interval(mut self, interval: Duration) -> Self {
        self.idle = Some(interval);
        self
    }

    /// The same while up. Default: the idle interval. Envoy's `no_traffic_healthy_interval`.
    pub const fn with_idle_up_interval(mut self, interval: Duration) -> Self {
        self.idle_up = Some(interval);
        self
    }

    /// Whether delays count from the start or the end of an attempt.
    /// Default [`ScheduleBase::StartToStart`].
    pub const fn with_schedule_base(mut self, base: ScheduleBase) -> Self {
        self.base = base;
        self
    }

    /// Varies each delay evenly by up to this share in either direction, 0 to 50 %. Default 5.
    /// HAProxy's `spread-checks`.
    pub const fn with_jitter_percent(mut self, percent: u8) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// Makes each delay longer by up to this time. Default 0. Envoy's `interval_jitter`.
    pub const fn with_jitter_add(mut self, most: Duration) -> Self {
        self.jitter_add = most;
        self
    }

    /// Makes each delay longer by up to this share of it, 0 to 100 %. Default 0. Envoy's
    /// `interval_jitter_percent`.
    pub const fn with_jitter_add_percent(mut self, percent: u8) -> Self {
        self.jitter_add_percent = percent;
        self
    }

    /// Names the director, so that [`Spread::Hash`] gives each director other starts for the same
    /// checks, and two of them do not hit a server at once. Default: no name.
    pub fn with_director(mut self, name: &str) -> Self {
        self.director = delay::hash(0, name.as_bytes());
        self
    }

    /// When the first attempt starts. Default [`Spread::Hash`].
    pub const fn with_spread(mut self, spread: Spread) -> Self {
        self.spread = spread;
        self
    }

    /// Time for one attempt, everything included. Default 3 s.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Time for connecting, if less than the whole. Default: the timeout.
    ///
    /// Linux repeats a lost SYN after about 1 s, 3 s and 7 s, so less than a second turns one lost
    /// packet into a failure.
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// What errors of this host count as, routes excepted. Default [`OnLocalError::Ignore`].
    pub const fn with_on_local_error(mut self, on_local_error: OnLocalError) -> Self {
        self.on_local_error = on_local_error;
        self
    }

    /// What a missing route ([`Code::LocalNoRoute`](crate::Code::LocalNoRoute)) counts as.
    /// Default [`OnLocalError::Ignore`]; keepalived counts it as a failure.
    pub const fn with_on_no_route(mut self, on_no_route: OnLocalError) -> Self {
        self.on_no_route = on_no_route;
        self
    }

    /// Lets what happens to real traffic count, see [`Machine::observe`]. Default: it does not.
    pub const fn with_passive(mut self, passive: Passive) -> Self {
        self.passive = Some(passive);
        self
    }

    /// Marks every failure as worth logging, not just those that change something. Default off.
    pub const fn with_log_all_failures(mut self, log_all_failures: bool) -> Self {
        self.log_all_failures = log_all_failures;
        self
    }

    /// The time between attempts in a settled state that is up.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The time for one attempt.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The time for connecting, if it has its own limit.
    #[must_use]
    pub const fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// Successes in a row that bring a check up.
    #[must_use]
    pub const fn rise(&self) -> u16 {
        self.rise
    }

    /// Failures in a row that take a check down.
    #[must_use]
    pub const fn fall(&self) -> u16 {
        self.fall
    }

    /// The highest value of the counter, `rise + fall - 1`.
    #[must_use]
    pub fn highest(&self) -> u32 {
        u32::from(self.rise)
            .saturating_add(u32::from(self.fall))
            .saturating_sub(1)
    }
}

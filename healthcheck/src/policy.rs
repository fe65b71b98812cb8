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

mod delay;
mod keepalived;
mod machine;

use core::fmt;
use core::time::Duration;

pub use self::delay::{ScheduleBase, Spread};
pub use self::keepalived::{Keepalived, KeepalivedChecker};
pub use self::machine::{Decision, HealthChange, Machine};
use crate::error::Invalid;

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
    pub(crate) base: ScheduleBase,
    pub(crate) jitter_percent: u8,
    pub(crate) jitter_add: Duration,
    pub(crate) spread: Spread,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) on_local_error: OnLocalError,
    pub(crate) on_no_route: OnLocalError,
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
            base: ScheduleBase::StartToStart,
            jitter_percent: 5,
            jitter_add: Duration::ZERO,
            spread: Spread::Hash {
                cap: Spread::DEFAULT_CAP,
            },
            timeout: Duration::from_secs(3),
            connect_timeout: None,
            on_local_error: OnLocalError::Ignore,
            on_no_route: OnLocalError::Ignore,
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

    /// Time between attempts while up with the last ones failed. Default: the interval.
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

    /// The highest value of the counter, `rise + fall - 1`.
    pub(crate) fn highest(&self) -> u32 {
        u32::from(self.rise)
            .saturating_add(u32::from(self.fall))
            .saturating_sub(1)
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// The first setting out of range, with its value and its limit.
    pub fn validate(&self) -> Result<(), Invalid> {
        let counts = [
            ("rise", Some(u32::from(self.rise))),
            ("fall", Some(u32::from(self.fall))),
            ("rise_first", self.rise_first.map(u32::from)),
            ("on_local_error", fail_after(self.on_local_error)),
            ("on_no_route", fail_after(self.on_no_route)),
        ];
        for (field, count) in counts {
            if count == Some(0) {
                return Err(Invalid::new(field, "0", "must be at least 1"));
            }
        }
        let times = [
            ("interval", Some(self.interval)),
            ("fast_interval", self.fast),
            ("rising_interval", self.rising),
            ("down_interval", self.down),
            ("timeout", Some(self.timeout)),
            ("connect_timeout", self.connect_timeout),
        ];
        for (field, time) in times {
            if time.is_some_and(|time| !(Self::MIN_TIME..=Self::MAX_TIME).contains(&time)) {
                let value = format!("{:?}", time.unwrap_or_default());
                return Err(Invalid::new(field, value, "must be 1 ms to 1000000000 s"));
            }
        }
        if self.jitter_percent > 50 {
            let value = self.jitter_percent.to_string();
            return Err(Invalid::new("jitter_percent", value, "must be 0 to 50"));
        }
        if self.jitter_add > Self::MAX_TIME {
            let value = format!("{:?}", self.jitter_add);
            return Err(Invalid::new(
                "jitter_add",
                value,
                "must be at most 1000000000 s",
            ));
        }
        self.spread.validate()
    }
}

/// The number in [`OnLocalError::FailAfter`].
fn fail_after(on_local_error: OnLocalError) -> Option<u32> {
    match on_local_error {
        OnLocalError::FailAfter(count) => Some(count),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_that_is_out_of_range() {
        let zero = Duration::ZERO;
        let cases = [
            ("rise", Policy::default().with_rise(0)),
            ("fall", Policy::default().with_fall(0)),
            ("rise_first", Policy::default().with_rise_first(0)),
            ("interval", Policy::default().with_interval(zero)),
            ("fast_interval", Policy::default().with_fast_interval(zero)),
            (
                "rising_interval",
                Policy::default().with_rising_interval(Duration::MAX),
            ),
            ("down_interval", Policy::default().with_down_interval(zero)),
            (
                "timeout",
                Policy::default().with_timeout(Duration::from_micros(999)),
            ),
            (
                "connect_timeout",
                Policy::default().with_connect_timeout(zero),
            ),
            ("jitter_percent", Policy::default().with_jitter_percent(51)),
            (
                "jitter_add",
                Policy::default().with_jitter_add(Duration::MAX),
            ),
            (
                "on_local_error",
                Policy::default().with_on_local_error(OnLocalError::FailAfter(0)),
            ),
            (
                "on_no_route",
                Policy::default().with_on_no_route(OnLocalError::FailAfter(0)),
            ),
            (
                "spread",
                Policy::default().with_spread(Spread::Even {
                    index: 3,
                    count: 3,
                    window: zero,
                }),
            ),
            (
                "spread",
                Policy::default().with_spread(Spread::Random {
                    within: Duration::MAX,
                }),
            ),
        ];
        for (field, policy) in cases {
            assert_eq!(policy.validate().unwrap_err().field, field);
        }
        assert_eq!(Policy::default().validate(), Ok(()));
    }

    #[test]
    fn error_text_names_field_value_and_limit() {
        let error = Policy::default()
            .with_interval(Duration::ZERO)
            .validate()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "interval is 0ns: must be 1 ms to 1000000000 s"
        );
    }
}

//! Keeping destinations out that come and go all the time.

use core::time::Duration;

use crate::Timestamp;
use crate::error::Invalid;
use crate::policy::Policy;

/// Flap damping, as routers damp routes.
///
/// Each time a destination goes down it earns a penalty of 1000, which halves every half-life. At
/// the suppress limit and above it counts as down although its checks say up, until the penalty is
/// below the reuse limit.
///
/// ```
/// use std::time::Duration;
/// use lvs_healthcheck::aggregate::{Aggregate, Contribution, Damping, Member, Reason, UnknownAs};
/// use lvs_healthcheck::policy::Health;
///
/// let damping = Damping::default();
/// damping.validate()?;
/// let mut server = Aggregate::new(10).with_damping(damping);
/// server.insert("http", Member::required(UnknownAs::Up));
/// let now = Duration::from_secs(100);
/// for _ in 0..3 {
///     server.apply(now, &"http", Contribution::new(Health::Down));
///     server.apply(now, &"http", Contribution::new(Health::Up));
/// }
/// assert_eq!(server.reason(), Reason::Suppressed);
/// // Two half-lives take 3000 to 750.
/// let back = server.next_deadline().unwrap();
/// assert_eq!(back.as_secs(), 220);
/// assert!(server.tick(back));
/// assert_eq!(server.reason(), Reason::Up);
/// # Ok::<_, lvs_healthcheck::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Damping {
    suppress: u32,
    reuse: u32,
    half_life: Duration,
    max_suppress: Duration,
}

impl Default for Damping {
    /// Out from a penalty of 3000 until it is below 750; half-life 60 s; 300 s at most after the
    /// last time it went down.
    fn default() -> Self {
        Self {
            suppress: 3000,
            reuse: 750,
            half_life: Duration::from_secs(60),
            max_suppress: Duration::from_secs(300),
        }
    }
}

impl Damping {
    /// What going down once costs.
    pub const PENALTY: u32 = 1000;

    /// The penalty from which on a destination is out. Default 3000.
    pub const fn with_suppress(mut self, penalty: u32) -> Self {
        self.suppress = penalty;
        self
    }

    /// The penalty below which it may come back, at least 1 and less than the suppress limit.
    /// Default 750.
    pub const fn with_reuse(mut self, penalty: u32) -> Self {
        self.reuse = penalty;
        self
    }

    /// The time in which a penalty halves, 1 ms to 10⁹ s. Default 60 s.
    pub const fn with_half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life;
        self
    }

    /// The longest time out after the last time it went down, 1 ms to 10⁹ s. Default 300 s.
    pub const fn with_max_suppress(mut self, time: Duration) -> Self {
        self.max_suppress = time;
        self
    }

    /// The highest penalty: what decays to the reuse limit in the longest time out.
    #[must_use]
    pub fn max_penalty(&self) -> f64 {
        let halvings = self.max_suppress.as_secs_f64() / self.half_life.as_secs_f64().max(1e-9);
        f64::from(self.reuse) * halvings.exp2()
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// The first setting out of range, or a longest time out so short that the penalty cannot
    /// reach the suppress limit.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (field, time) in [
            ("half_life", self.half_life),
            ("max_suppress", self.max_suppress),
        ] {
            if !(Policy::MIN_TIME..=Policy::MAX_TIME).contains(&time) {
                let limit = "must be 1 ms to 1000000000 s";
                return Err(Invalid::new(field, format!("{time:?}"), limit));
            }
        }
        if self.reuse == 0 || self.reuse >= self.suppress {
            let limit = "must be at least 1 and less than the suppress limit";
            return Err(Invalid::new("reuse", self.reuse.to_string(), limit));
        }
        if self.max_penalty() < f64::from(self.suppress) {
            let limit = "must be long enough for penalties to reach the suppress limit";
            return Err(Invalid::new(
                "max_suppress",
                format!("{:?}", self.max_suppress),
                limit,
            ));
        }
        Ok(())
    }
}

/// The penalty of one destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damper {
    penalty: f64,
    at: Timestamp,
    until: Option<Timestamp>,
}

impl Damper {
    pub(super) const fn new() -> Self {
        Self {
            penalty: 0.0,
            at: Timestamp::ZERO,
            until: None,
        }
    }

    /// The penalty now.
    pub(super) fn penalty(&self, damping: &Damping, now: Timestamp) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.penalty * (-passed / damping.half_life.as_secs_f64().max(1e-9)).exp2()
    }

    /// It went down.
    pub(super) fn on_down(&mut self, damping: &Damping, now: Timestamp) {
        let penalty = self.penalty(damping, now) + f64::from(Damping::PENALTY);
        self.penalty = penalty.min(damping.max_penalty());
        self.at = now;
        if self.is_suppressed(now) || self.penalty >= f64::from(damping.suppress) {
            let halvings = (self.penalty / f64::from(damping.reuse.max(1))).log2();
            let wait = damping.half_life.as_secs_f64() * halvings.max(0.0);
            let wait = Duration::try_from_secs_f64(wait).unwrap_or(damping.max_suppress);
            // Just below the reuse limit, and not for longer than said.
            let wait = wait.saturating_add(Duration::from_nanos(1));
            self.until = Some(now.saturating_add(wait.min(damping.max_suppress)));
        }
    }

    /// Whether it is out.
    pub(super) fn is_suppressed(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When it may come back, if it is out.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn flaps(damping: &Damping, seconds: &[u32]) -> Damper {
        let mut damper = Damper::new();
        for second in seconds {
            damper.on_down(damping, *second * SECOND);
        }
        damper
    }

    #[test]
    fn penalty_is_1000_each_time_and_halves_each_minute() {
        let damping = Damping::default();
        let damper = flaps(&damping, &[100]);
        let penalty =
            |damper: &Damper, second: u32| damper.penalty(&damping, second * SECOND).round();
        assert_eq!(penalty(&damper, 100), 1000.0);
        assert_eq!(penalty(&damper, 160), 500.0);
        assert_eq!(penalty(&damper, 220), 250.0);
        assert_eq!(penalty(&flaps(&damping, &[100, 160]), 160), 1500.0);
    }

    #[test]
    fn third_time_at_once_is_out_until_the_penalty_is_below_reuse() {
        let damping = Damping::default();
        assert!(!flaps(&damping, &[100, 100]).is_suppressed(100 * SECOND));
        let damper = flaps(&damping, &[100, 100, 100]);
        // 3000 · 2^(−Δt/60) = 750 at Δt = 120.
        assert!(damper.is_suppressed(220 * SECOND - SECOND / 100));
        assert!(!damper.is_suppressed(220 * SECOND + SECOND / 100));
        let until = damper.until(100 * SECOND).unwrap();
        assert!(!damper.is_suppressed(until) && damper.until(until).is_none());
        // A fortieth of a second costs the first two thousand 0.6.
        let mut late = flaps(&damping, &[100, 100]);
        late.on_down(&damping, 100 * SECOND + SECOND / 40);
        assert!(late.penalty(&damping, 100 * SECOND + SECOND / 40) > 2999.0);
        assert!(!late.is_suppressed(100 * SECOND + SECOND / 40));
        let late = flaps(&damping, &[100, 120, 140]);
        assert!(!late.is_suppressed(140 * SECOND), "2425 only");
    }

    #[test]
    fn time_out_is_limited_however_often_it_flaps() {
        let damping = Damping::default();
        assert_eq!(damping.max_penalty(), 24_000.0);
        let damper = flaps(&damping, &[100; 100]);
        assert_eq!(damper.penalty(&damping, 100 * SECOND), 24_000.0);
        assert_eq!(damper.until(100 * SECOND), Some(400 * SECOND));
    }

    #[test]
    fn flap_while_out_prolongs_it() {
        let damping = Damping::default();
        let damper = flaps(&damping, &[100, 100, 100, 210]);
        // 842 left plus 1000 is below the suppress limit, but it was still out.
        assert!(damper.is_suppressed(280 * SECOND));
        assert!(!damper.is_suppressed(290 * SECOND));
    }

    #[test]
    fn settings_are_checked() {
        let field = |damping: Damping| damping.validate().unwrap_err().field;
        let damping = Damping::default();
        assert_eq!(damping.validate(), Ok(()));
        assert_eq!(field(damping.with_reuse(0)), "reuse");
        assert_eq!(field(damping.with_reuse(3000)), "reuse");
        assert_eq!(field(damping.with_half_life(Duration::ZERO)), "half_life");
        assert_eq!(
            field(damping.with_max_suppress(Duration::MAX)),
            "max_suppress"
        );
        let never = damping.with_max_suppress(119 * SECOND);
        assert_eq!(field(never), "max_suppress", "2965 at most");
        assert_eq!(damping.with_max_suppress(120 * SECOND).validate(), Ok(()));
    }

    proptest! {
        #[test]
        fn out_exactly_while_the_penalty_went_over_suppress_and_not_below_reuse(
            gaps in proptest::collection::vec(0_u32..200, 1..20),
        ) {
            let damping = Damping::default();
            let mut damper = Damper::new();
            let (mut now, mut out) = (Duration::ZERO, false);
            for gap in gaps {
                for _ in 0..gap {
                    now += SECOND;
                    let penalty = damper.penalty(&damping, now);
                    // At the limit itself the last digits decide.
                    if (penalty - 750.0).abs() > 1e-3 {
                        out &= penalty >= 750.0;
                        prop_assert_eq!(damper.is_suppressed(now), out);
                    }
                    out = damper.is_suppressed(now);
                }
                damper.on_down(&damping, now);
                let penalty = damper.penalty(&damping, now);
                prop_assert!(penalty <= damping.max_penalty());
                out |= penalty >= 3000.0;
                prop_assert_eq!(damper.is_suppressed(now), out);
            }
        }

        #[test]
        fn no_setting_makes_it_panic(
            suppress: u32, reuse: u32, half: u64, max: u64, at: u64, again: u64,
        ) {
            let damping = Damping { suppress, reuse,
                half_life: Duration::from_nanos(half), max_suppress: Duration::from_nanos(max) };
            let mut damper = Damper::new();
            for at in [at, again] {
                damper.on_down(&damping, Duration::from_nanos(at));
            }
            let _ = (damping.validate(), damper.is_suppressed(Duration::from_nanos(again)));
        }
    }
}

//! The ramp of a destination's weight after it has come back.

use core::time::Duration;

use crate::error::Invalid;
use crate::policy::{Policy, Warning};

/// How a destination that was down and came back gets to its full weight; HAProxy's `slowstart`.
///
/// Not at the start of a program: only after it was seen down. The share grows evenly with the
/// time, in steps of a twentieth of the duration, at least 1 s; the weight is rounded up, and never
/// 0 while the full weight is not.
///
/// ```
/// use std::time::Duration;
/// use lvs_healthcheck::aggregate::SlowStart;
///
/// let slow_start = SlowStart::new(Duration::from_secs(60));
/// let weight = |secs| slow_start.weight(100, Duration::from_secs(secs));
/// assert_eq!([weight(0), weight(3), weight(30), weight(60)], [1, 5, 50, 100]);
/// ```
///
/// Weights are whole numbers and often small: scale those of
/// [the whole service](super::Aggregate::with_weight_scale) so that a share of them can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct SlowStart {
    duration: Duration,
    min_fraction: f64,
    aggression: f64,
    forced: bool,
}

impl SlowStart {
    /// Full weights below this are too small for a smooth ramp.
    const FINE: u32 = 20;

    /// An even ramp from nothing over this time, 1 ms to 10⁹ s.
    pub const fn new(duration: Duration) -> Self {
        Self {
            duration,
            min_fraction: 0.0,
            aggression: 1.0,
            forced: false,
        }
    }

    /// The least share of the full weight, 0 to 1. Default 0.
    pub const fn with_min_fraction(mut self, fraction: f64) -> Self {
        self.min_fraction = fraction;
        self
    }

    /// Raises the share to the power of `1 / aggression`, above 0: over 1 it is fast at first,
    /// below 1 slow at first. Default 1. Envoy's `aggression`.
    pub const fn with_aggression(mut self, aggression: f64) -> Self {
        self.aggression = aggression;
        self
    }

    /// Allows schedulers for which it does more harm than good,
    /// see [`validate_for`](Self::validate_for). Default: refused.
    pub const fn with_forced(mut self, forced: bool) -> Self {
        self.forced = forced;
        self
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// The first setting out of range.
    pub fn validate(&self) -> Result<(), Invalid> {
        if !(Policy::MIN_TIME..=Policy::MAX_TIME).contains(&self.duration) {
            let limit = "must be 1 ms to 1000000000 s";
            return Err(Invalid::new(
                "slow_start",
                format!("{:?}", self.duration),
                limit,
            ));
        }
        if !(0.0..=1.0).contains(&self.min_fraction) {
            let value = self.min_fraction.to_string();
            return Err(Invalid::new("min_fraction", value, "must be 0 to 1"));
        }
        if !(0.001..=1000.0).contains(&self.aggression) {
            let value = self.aggression.to_string();
            return Err(Invalid::new("aggression", value, "must be 0.001 to 1000"));
        }
        Ok(())
    }

    /// Refuses the kernel's schedulers that spread clients by a hash (`sh`, `mh`, `dh`), where each
    /// change of a weight sends clients elsewhere, unless [forced](Self::with_forced).
    ///
    /// # Errors
    ///
    /// It is one of them, or a setting is out of range.
    pub fn validate_for(&self, scheduler: &str) -> Result<(), Invalid> {
        self.validate()?;
        if !self.forced && matches!(scheduler, "sh" | "mh" | "dh") {
            let limit = "slow start moves clients there with each step; it can be forced";
            return Err(Invalid::new("scheduler", scheduler, limit));
        }
        Ok(())
    }

    /// What is seldom meant with this full weight, scale included.
    #[must_use]
    pub fn warnings(&self, weight: u32) -> Vec<Warning> {
        let coarse = weight > 0 && weight < Self::FINE;
        Vec::from_iter(coarse.then_some(Warning::SlowStartCoarse { weight }))
    }

    /// The time between two steps.
    #[must_use]
    pub fn tick(&self) -> Duration {
        (self.duration / 20).max(Duration::from_secs(1))
    }

    /// The weight so long after it has come back.
    #[must_use]
    pub fn weight(&self, full: u32, elapsed: Duration) -> u32 {
        if full == 0 || elapsed >= self.duration {
            return full;
        }
        let tick = self.tick().as_nanos().max(1);
        let elapsed = (elapsed.as_nanos() / tick).saturating_mul(tick);
        let even = u128::from(full)
            .saturating_mul(elapsed)
            .div_ceil(self.duration.as_nanos().max(1));
        let weight = if self.aggression == 1.0 {
            u32::try_from(even).unwrap_or(full)
        } else {
            // Below 2⁵³ ns (104 days) exact, and close enough after that.
            let share = elapsed as f64 / self.duration.as_nanos() as f64;
            rounded_up(full, share.powf(self.aggression.recip()))
        };
        weight
            .max(rounded_up(full, self.min_fraction))
            .clamp(1, full)
    }

    /// How long after it has come back the weight may change next; `None` once it is full.
    #[must_use]
    pub fn next_step(&self, elapsed: Duration) -> Option<Duration> {
        if elapsed >= self.duration {
            return None;
        }
        let tick = self.tick();
        let steps = elapsed.as_nanos() / tick.as_nanos().max(1);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let next = tick.saturating_mul(steps.saturating_add(1));
        Some(next.min(self.duration))
    }
}

/// A share of a weight, rounded up; what is a whole number but for the last digits stays one.
fn rounded_up(full: u32, share: f64) -> u32 {
    let exact = f64::from(full) * share;
    // The conversion saturates.
    (exact - exact * 1e-12).ceil() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ramp_is_even_rounded_up_and_steps_with_its_ticks() {
        let slow = SlowStart::new(10 * SECOND);
        let weights = |full| -> Vec<u32> {
            (0..=20)
                .map(|half| slow.weight(full, Duration::from_millis(500 * half)))
                .collect()
        };
        assert_eq!(
            weights(10),
            [
                1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10
            ],
            "ticks of one second"
        );
        assert_eq!(weights(0), [0; 21], "0 stays 0");
        assert_eq!(weights(1), [1; 21]);
        assert_eq!(slow.tick(), SECOND);
        assert_eq!(SlowStart::new(60 * SECOND).tick(), 3 * SECOND);
    }

    #[test]
    fn ramp_shorter_than_a_tick_ends_in_time() {
        let slow = SlowStart::new(SECOND / 2);
        assert_eq!(slow.weight(10, SECOND / 4), 1);
        assert_eq!(slow.next_step(SECOND / 4), Some(SECOND / 2));
        assert_eq!(slow.weight(10, SECOND / 2), 10);
        assert_eq!(slow.next_step(SECOND / 2), None);
    }

    #[test]
    fn aggression_bends_the_ramp_and_the_minimum_lifts_it() {
        let weights = |slow: SlowStart| [1_u32, 25, 50, 75].map(|s| slow.weight(100, s * SECOND));
        let slow = SlowStart::new(100 * SECOND);
        assert_eq!(weights(slow), [1, 25, 50, 75]);
        // 0.25^(1/2) and so on; 1 s is before the first tick of 5 s.
        assert_eq!(weights(slow.with_aggression(2.0)), [1, 50, 71, 87]);
        assert_eq!(weights(slow.with_aggression(0.5)), [1, 7, 25, 57]);
        assert_eq!(weights(slow.with_min_fraction(0.3)), [30, 30, 50, 75]);
        assert_eq!(weights(slow.with_min_fraction(1.0)), [100; 4]);
    }

    #[test]
    fn settings_are_checked() {
        let field = |slow: SlowStart| slow.validate().unwrap_err().field;
        let slow = SlowStart::new(SECOND);
        assert_eq!(slow.validate(), Ok(()));
        assert_eq!(field(SlowStart::new(Duration::ZERO)), "slow_start");
        assert_eq!(field(slow.with_min_fraction(1.01)), "min_fraction");
        assert_eq!(field(slow.with_min_fraction(f64::NAN)), "min_fraction");
        assert_eq!(field(slow.with_aggression(0.0)), "aggression");
        assert_eq!(field(slow.with_aggression(f64::INFINITY)), "aggression");
    }

    #[test]
    fn hashing_schedulers_are_refused_unless_forced() {
        let slow = SlowStart::new(SECOND);
        for scheduler in ["sh", "mh", "dh"] {
            assert_eq!(slow.validate_for(scheduler).unwrap_err().field, "scheduler");
            assert_eq!(slow.with_forced(true).validate_for(scheduler), Ok(()));
        }
        for scheduler in ["rr", "wrr", "wlc", "sed", "my-own"] {
            assert_eq!(slow.validate_for(scheduler), Ok(()));
        }
        let invalid = SlowStart::new(Duration::ZERO).with_forced(true);
        assert!(
            invalid.validate_for("sh").is_err(),
            "ranges count all the same"
        );
    }

    #[test]
    fn small_weights_are_worth_a_warning() {
        let slow = SlowStart::new(SECOND);
        assert_eq!(slow.warnings(19), [Warning::SlowStartCoarse { weight: 19 }]);
        assert_eq!(slow.warnings(20), []);
        assert_eq!(slow.warnings(0), []);
    }

    proptest! {
        #[test]
        fn weight_grows_from_at_least_1_to_full(
            full in 1_u32..=super::super::MAX_WEIGHT,
            millis in 1_u64..10_000_000,
            early in 0_u64..11_000_000,
            later in 0_u64..1_000_000,
            fraction in 0.0..=1.0,
            aggression in 0.001..=1000.0,
        ) {
            let at = Duration::from_millis;
            for slow in [
                SlowStart::new(at(millis)),
                SlowStart::new(at(millis)).with_min_fraction(fraction).with_aggression(aggression),
            ] {
                prop_assert_eq!(slow.validate(), Ok(()));
                let (before, after) = (slow.weight(full, at(early)), slow.weight(full, at(early + later)));
                prop_assert!(1 <= before && before <= after && after <= full);
                prop_assert_eq!(slow.weight(full, at(millis)), full);
            }
        }

        #[test]
        fn weight_changes_at_steps_only(
            full in 1_u32..1000, millis in 1_u64..100_000, at in 0_u64..100_000,
        ) {
            let slow = SlowStart::new(Duration::from_millis(millis));
            let at = Duration::from_millis(at);
            if let Some(next) = slow.next_step(at) {
                prop_assert!(next > at);
                let last = next - Duration::from_nanos(1);
                prop_assert_eq!(slow.weight(full, at), slow.weight(full, last));
            } else {
                prop_assert_eq!(slow.weight(full, at), full);
            }
        }

        #[test]
        fn nothing_overflows(full: u32, secs: u64, nanos in 0_u32..1_000_000_000, elapsed: u64) {
            let slow = SlowStart::new(Duration::new(secs, nanos)).with_aggression(0.3);
            let elapsed = Duration::from_secs(elapsed);
            prop_assert!(slow.weight(full, elapsed) <= full);
            prop_assert!(slow.next_step(elapsed).is_none_or(|next| next > elapsed));
        }
    }
}

//! When the next attempt starts: base of the delay, jitter, spread of the first starts.

use core::time::Duration;

use super::Policy;
use crate::Timestamp;
use crate::error::Invalid;

/// What a delay counts from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ScheduleBase {
    /// From the end of an attempt, as HAProxy's and keepalived's network checks do.
    EndToStart,
    /// From the start of an attempt, so that its duration does not stretch the period; an attempt
    /// that is still running at its next slot skips that slot.
    StartToStart,
}

/// When the first attempt of a check starts, so that many checks do not start at once.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Spread {
    /// At once.
    None,
    /// After 1 s plus a random time within this; keepalived's `warmup`.
    Random {
        /// The random part's limit, 0 to 10⁹ s.
        within: Duration,
    },
    /// The `index`-th of `count` checks starts after `index / count` of the window.
    Even {
        /// Which one this is, from 0; less than `count`.
        index: u32,
        /// How many there are.
        count: u32,
        /// The time in which all of them start, up to 10⁹ s.
        window: Duration,
    },
    /// At a share of the interval that follows from the check's key: the same after a restart,
    /// another on each director [with a name](Policy::with_director).
    Hash {
        /// The longest wait; the interval if that is less.
        cap: Duration,
    },
}

impl Spread {
    /// The longest wait of [`Spread::Hash`] in [`Policy::default`]: 10 s.
    pub const DEFAULT_CAP: Duration = Duration::from_secs(10);

    /// The start of the `index`-th of these checks as HAProxy spreads them, given the intervals of
    /// all of them and `max-spread-checks` as `cap`: all start within the longest interval.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lvs_healthcheck::policy::Spread;
    ///
    /// let intervals = [Duration::from_secs(2), Duration::from_secs(6), Duration::from_secs(3)];
    /// let window = Duration::from_secs(6);
    /// assert_eq!(Spread::even(1, &intervals, None), Spread::Even { index: 1, count: 3, window });
    /// let window = Duration::from_secs(1);
    /// let capped = Spread::even(1, &intervals, Some(window));
    /// assert_eq!(capped, Spread::Even { index: 1, count: 3, window });
    /// ```
    #[must_use]
    pub fn even(index: u32, intervals: &[Duration], cap: Option<Duration>) -> Self {
        let window = intervals.iter().copied().max().unwrap_or_default();
        Self::Even {
            index,
            count: u32::try_from(intervals.len()).unwrap_or(u32::MAX),
            window: cap.map_or(window, |cap| window.min(cap)),
        }
    }

    /// Checks the ranges named at the variants.
    pub(super) fn validate(self) -> Result<(), Invalid> {
        let bad = match self {
            Self::Even {
                index,
                count,
                window,
            } => index >= count || window > Policy::MAX_TIME,
            Self::Random { within } => within > Policy::MAX_TIME,
            Self::None | Self::Hash { .. } => false,
        };
        if bad {
            let limit = "must have an index below the count and at most 1000000000 s";
            return Err(Invalid::new("spread", format!("{self:?}"), limit));
        }
        Ok(())
    }
}

/// How long the first attempt waits. `key` names the check, `draw` gives evenly distributed
/// random numbers.
pub(super) fn first_wait(policy: &Policy, key: &str, draw: &mut dyn FnMut() -> u64) -> Duration {
    match policy.spread {
        Spread::None => Duration::ZERO,
        Spread::Random { within } => {
            Duration::from_secs(1).saturating_add(fraction(within, draw()))
        }
        Spread::Even {
            index,
            count,
            window,
        } => {
            let nanos = window.as_nanos().saturating_mul(u128::from(index));
            nanos
                .checked_div(u128::from(count))
                .map_or(Duration::ZERO, from_nanos)
        }
        Spread::Hash { cap } => fraction(
            policy.interval.min(cap),
            hash(policy.director, key.as_bytes()),
        ),
    }
}

/// The delay with jitter added; never less than [`Policy::MIN_TIME`].
pub(super) fn jittered(
    policy: &Policy,
    delay: Duration,
    draw: &mut dyn FnMut() -> u64,
) -> Duration {
    let mut wait = delay;
    if policy.jitter_percent > 0 {
        let reach = delay.saturating_mul(u32::from(policy.jitter_percent)) / 100;
        let low = delay.saturating_sub(reach);
        wait = low.saturating_add(fraction(reach.saturating_mul(2), draw()));
    }
    if !policy.jitter_add.is_zero() {
        wait = wait.saturating_add(fraction(policy.jitter_add, draw()));
    }
    if policy.jitter_add_percent > 0 {
        let most = delay.saturating_mul(u32::from(policy.jitter_add_percent)) / 100;
        wait = wait.saturating_add(fraction(most, draw()));
    }
    wait.max(Policy::MIN_TIME)
}

/// When the next attempt starts, given when the last one started and ended.
pub(super) fn next_start(
    base: ScheduleBase,
    started: Timestamp,
    ended: Timestamp,
    delay: Duration,
) -> Timestamp {
    match base {
        ScheduleBase::EndToStart => ended.saturating_add(delay),
        ScheduleBase::StartToStart => {
            let delay = delay.max(Policy::MIN_TIME).as_nanos();
            let passed = ended.saturating_sub(started).as_nanos().max(1);
            // Slots that have passed are skipped, not made up for.
            started.saturating_add(from_nanos(passed.div_ceil(delay).saturating_mul(delay)))
        }
    }
}

/// `draw / 2^64` of the whole.
fn fraction(whole: Duration, draw: u64) -> Duration {
    // With 10⁹ s (2⁶⁰ ns) as the longest valid time the product stays below 2¹²⁸; saturating only
    // keeps settings nobody validated from panicking.
    from_nanos(whole.as_nanos().saturating_mul(u128::from(draw >> 8)) >> 56)
}

/// The reverse of [`Duration::as_nanos`], at most the longest duration.
fn from_nanos(nanos: u128) -> Duration {
    const BILLION: u128 = 1_000_000_000;
    let subsec = u32::try_from(nanos % BILLION).unwrap_or_default();
    u64::try_from(nanos / BILLION).map_or(Duration::MAX, |secs| Duration::new(secs, subsec))
}

/// A hash that stays the same over versions and hosts: FNV-1a, then mixed so that keys which
/// differ in the last letter only are far apart.
pub(super) fn hash(seed: u64, key: &[u8]) -> u64 {
    let start = seed ^ 0xcbf2_9ce4_8422_2325;
    let fnv = key.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn next(base: ScheduleBase, start_ms: u64, end_ms: u64, delay_ms: u64) -> u128 {
        let at = Duration::from_millis;
        next_start(base, at(start_ms), at(end_ms), at(delay_ms)).as_millis()
    }

    #[test]
    fn end_to_start_counts_from_the_end() {
        assert_eq!(next(ScheduleBase::EndToStart, 1000, 1700, 5000), 6700);
    }

    #[test]
    fn start_to_start_keeps_the_grid_and_skips_missed_slots() {
        let base = ScheduleBase::StartToStart;
        assert_eq!(next(base, 1000, 1000, 5000), 6000);
        assert_eq!(next(base, 1000, 1700, 5000), 6000);
        assert_eq!(next(base, 1000, 6000, 5000), 6000);
        assert_eq!(next(base, 1000, 6001, 5000), 11000);
        assert_eq!(next(base, 1000, 99_000, 5000), 101_000);
    }

    #[test]
    fn even_spread_is_an_exact_share_of_the_window() {
        let starts: Vec<_> = (0..4)
            .map(|index| Spread::Even {
                index,
                count: 4,
                window: 2 * SECOND,
            })
            .map(|spread| first_wait(&Policy::default().with_spread(spread), "", &mut || 0))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(starts, [0, 500, 1000, 1500]);
    }

    #[test]
    fn random_spread_starts_after_one_second() {
        let policy = Policy::default().with_spread(Spread::Random {
            within: 60 * SECOND,
        });
        assert_eq!(first_wait(&policy, "", &mut || 0), SECOND);
        assert_eq!(first_wait(&policy, "", &mut || 1 << 63), 31 * SECOND);
        assert!(first_wait(&policy, "", &mut || u64::MAX) < 61 * SECOND);
        let policy = policy.with_spread(Spread::Random {
            within: Duration::ZERO,
        });
        assert_eq!(first_wait(&policy, "", &mut || u64::MAX), SECOND);
    }

    #[test]
    fn hash_spread_is_stable_even_and_below_interval_and_cap() {
        let policy = Policy::default().with_interval(8 * SECOND);
        let waits: Vec<_> = (0..8000)
            .map(|n| {
                first_wait(&policy, &format!("10.0.0.{n}:80"), &mut || {
                    panic!("no draw")
                })
            })
            .collect();
        for eighth in 0..8 {
            let share = waits.iter().filter(|wait| wait.as_secs() == eighth).count();
            assert!((850..1150).contains(&share), "{share} in second {eighth}");
        }
        assert_eq!(
            first_wait(&policy, "10.0.0.3:80", &mut || 0),
            *waits.get(3).unwrap()
        );
        let capped = policy.with_spread(Spread::Hash { cap: SECOND });
        assert!((0..100).all(|n| first_wait(&capped, &n.to_string(), &mut || 0) < SECOND));
    }

    #[test]
    fn directors_with_names_start_the_same_check_at_different_times() {
        let wait = |director: Option<&str>, key: &str| {
            let policy = Policy::default().with_interval(8 * SECOND);
            let policy = match director {
                Some(name) => policy.with_director(name),
                None => policy,
            };
            first_wait(&policy, key, &mut || 0)
        };
        let apart = (0..1000)
            .map(|n| format!("10.0.0.{n}:80"))
            .filter(|key| wait(Some("a"), key).abs_diff(wait(Some("b"), key)) > SECOND)
            .count();
        // Two places drawn from 8 s are more than 1 s apart in (7/8)² of the cases.
        assert!((700..830).contains(&apart), "{apart}");
        assert_eq!(wait(Some("a"), "x"), wait(Some("a"), "x"));
        assert_ne!(wait(Some("a"), "x"), wait(None, "x"));
    }

    #[test]
    fn even_spread_takes_the_window_from_all_intervals() {
        let window = |intervals: &[u64], cap: Option<Duration>| {
            let intervals: Vec<_> = intervals
                .iter()
                .map(|ms| Duration::from_millis(*ms))
                .collect();
            match Spread::even(0, &intervals, cap) {
                Spread::Even { window, .. } => window.as_millis(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(window(&[100, 200], None), 200, "none of a second or more");
        assert_eq!(window(&[100, 1000, 4000], None), 4000);
        assert_eq!(window(&[100, 1000, 4000], Some(SECOND)), 1000);
        assert_eq!(window(&[], None), 0);
        assert!(
            Spread::even(0, &[], None).validate().is_err(),
            "none of none"
        );
    }

    #[test]
    fn each_part_of_the_jitter_has_its_own_draw() {
        let policy = Policy::default()
            .with_jitter_percent(10)
            .with_jitter_add(4 * SECOND)
            .with_jitter_add_percent(50);
        let wait = |draws: [u64; 3]| {
            let mut draws = draws.into_iter();
            jittered(&policy, 10 * SECOND, &mut || draws.next().unwrap()).as_millis()
        };
        let half = 1 << 63;
        assert_eq!(
            wait([0, 0, 0]),
            9_000,
            "only the proportional part shortens"
        );
        assert_eq!(wait([half, 0, 0]), 10_000);
        assert_eq!(wait([half, half, 0]), 12_000);
        assert_eq!(wait([half, 0, half]), 12_500);
        assert_eq!(wait([u64::MAX; 3]), 19_999, "just under 11 + 4 + 5 s");
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_bounds(
            percent in 0_u8..=50, add_percent in 0_u8..=100, add_ms in 0_u64..5000,
            delay_ms in 1_u64..100_000, draw: u64,
        ) {
            let add = Duration::from_millis(add_ms);
            let delay = Duration::from_millis(delay_ms);
            let policy = Policy::default()
                .with_jitter_percent(percent)
                .with_jitter_add(add)
                .with_jitter_add_percent(add_percent);
            let wait = jittered(&policy, delay, &mut || draw);
            let reach = delay * u32::from(percent) / 100;
            let add = add + delay * u32::from(add_percent) / 100;
            prop_assert!(wait >= (delay - reach).max(Policy::MIN_TIME));
            prop_assert!(wait <= (delay + reach + add).max(Policy::MIN_TIME));
        }

        #[test]
        fn next_start_is_after_the_end_and_on_the_grid(
            start: u32, took: u32, delay in 1_u32..1_000_000,
        ) {
            let at = |ms: u32| Duration::from_millis(ms.into());
            let (start, end, delay) = (at(start), at(start) + at(took), at(delay));
            let next = next_start(ScheduleBase::StartToStart, start, end, delay);
            prop_assert!(next > start && next >= end && next - end <= delay);
            prop_assert_eq!((next - start).as_nanos() % delay.as_nanos(), 0);
        }

        #[test]
        fn nothing_overflows(secs: u64, delay_secs: u64, draw: u64, percent: u8) {
            let long = Duration::from_secs(secs);
            let delay = Duration::from_secs(delay_secs);
            let policy = Policy::default().with_jitter_percent(percent).with_jitter_add(long);
            let wait = jittered(&policy, delay, &mut || draw);
            next_start(ScheduleBase::StartToStart, Duration::ZERO, long, wait);
            next_start(ScheduleBase::EndToStart, long, long, wait);
        }
    }
}

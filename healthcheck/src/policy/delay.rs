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
    /// another on each director if the key names the director.
    Hash {
        /// The longest wait; the interval if that is less.
        cap: Duration,
    },
}

impl Spread {
    /// The longest wait of [`Spread::Hash`] in [`Policy::default`]: 10 s.
    pub const DEFAULT_CAP: Duration = Duration::from_secs(10);

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
        Spread::Hash { cap } => fraction(policy.interval.min(cap), hash(key.as_bytes())),
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
fn hash(key: &[u8]) -> u64 {
    let fnv = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
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

    proptest! {
        #[test]
        fn jitter_stays_within_its_bounds(
            percent in 0_u8..=50, add_ms in 0_u64..5000, delay_ms in 1_u64..100_000, draw: u64,
        ) {
            let add = Duration::from_millis(add_ms);
            let delay = Duration::from_millis(delay_ms);
            let policy = Policy::default().with_jitter_percent(percent).with_jitter_add(add);
            let wait = jittered(&policy, delay, &mut || draw);
            let reach = delay * u32::from(percent) / 100;
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

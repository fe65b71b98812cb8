//! Time as the crate sees it, and how long a Backup waits.
//!
//! All arithmetic is in whole nanoseconds and rounds once: at an interval of 1 cs the skews of
//! neighbouring priorities differ by 39 062.5 ns, so rounding to anything coarser would make routers
//! of different priorities time out together.

use core::time::Duration;

use crate::interval::Interval;
use crate::priority::Priority;
use crate::version::Version;

/// A point in time: time since boot on a clock that never steps and counts suspension, such as
/// Linux's `CLOCK_BOOTTIME`.
///
/// Nothing in this crate reads a clock; the caller passes the time in, and all points of time that
/// meet come from one clock.
///
/// The greatest value, [`NEVER`], is no point of time: a deadline that would lie there is never due.
pub type Timestamp = Duration;

/// The end of time, which is never reached.
pub const NEVER: Timestamp = Timestamp::MAX;

/// Whether a deadline has come.
pub(crate) fn is_due(now: Timestamp, deadline: Timestamp) -> bool {
    now >= deadline && deadline != NEVER
}

/// `Skew_Time`: by how much a Backup waits longer than the down factor says, so that the one with
/// the highest priority is first to take over. RFC 9568 §6.1 (`VRRP-040`), RFC 3768 §6.1
/// (`VRRP-042`).
///
/// In VRRPv3 it is (256 − priority) / 256 of the interval at which the Active advertises, in VRRPv2
/// the same part of one second, whatever the interval.
///
/// ```
/// use lvs_vrrp::{Interval, Priority, Version, timer::skew_time};
///
/// let interval = Interval::from_centiseconds(33)?;
/// let skew = skew_time(Version::V3, Priority::new(150), interval);
/// assert_eq!(skew.as_nanos(), 136_640_625);
/// # Ok::<(), lvs_vrrp::ValueError>(())
/// ```
#[must_use]
pub fn skew_time(version: Version, priority: Priority, interval: Interval) -> Duration {
    Duration::from_nanos(skew_nanos(version, priority, interval))
}

/// `Active_Down_Interval`: how long a Backup bears the silence of the Active. RFC 9568 §6.1
/// (`VRRP-041`), RFC 3768 §6.1 (`VRRP-042`).
///
/// It is the down factor, 3 by the RFCs, times the interval at which the Active advertises, and
/// [`skew_time`] more.
///
/// ```
/// use lvs_vrrp::{Interval, Priority, Version, timer::active_down_interval};
///
/// let down = active_down_interval(Version::V3, Priority::DEFAULT, Interval::DEFAULT, 3);
/// assert_eq!(down.as_nanos(), 3_609_375_000);
/// ```
#[must_use]
pub fn active_down_interval(
    version: Version,
    priority: Priority,
    interval: Interval,
    down_factor: u8,
) -> Duration {
    let silence = u64::from(down_factor).saturating_mul(nanos(interval));
    let skew = skew_nanos(version, priority, interval);
    Duration::from_nanos(silence.saturating_add(skew))
}

/// The next advertisement after one that was due at `deadline` and is sent now: an interval after
/// the deadline while on time, an interval from now on if a whole one was missed, so that late
/// advertisements never come in a burst (`VRRP-208`).
pub(crate) fn next_slot(deadline: Timestamp, now: Timestamp, interval: Duration) -> Timestamp {
    let next = deadline.saturating_add(interval);
    if next > now {
        next
    } else {
        now.saturating_add(interval)
    }
}

fn skew_nanos(version: Version, priority: Priority, interval: Interval) -> u64 {
    let unit = match version {
        Version::V2 => 1_000_000_000,
        Version::V3 => nanos(interval),
    };
    let parts = 256_u64.saturating_sub(u64::from(priority.get()));
    parts.saturating_mul(unit) >> 8
}

fn nanos(interval: Interval) -> u64 {
    u64::from(interval.centiseconds()).saturating_mul(10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `VRRP-040`, `VRRP-041`, `VRRP-042`: the values of RFC 9568 §6.1 and RFC 3768 §6.1 worked out
    /// by hand, to the nanosecond.
    #[test]
    fn skew_and_down_interval_are_exact() {
        for (version, priority, centiseconds, skew, down) in [
            (3, 1, 100, 996_093_750, 3_996_093_750),
            (3, 100, 100, 609_375_000, 3_609_375_000),
            (3, 254, 100, 7_812_500, 3_007_812_500),
            (3, 255, 100, 3_906_250, 3_003_906_250),
            (3, 100, 1, 6_093_750, 36_093_750),
            (3, 254, 1, 78_125, 30_078_125),
            (3, 255, 1, 39_062, 30_039_062),
            (3, 150, 33, 136_640_625, 1_126_640_625),
            (3, 200, 150, 328_125_000, 4_828_125_000),
            (3, 100, 4095, 24_953_906_250, 147_803_906_250),
            (3, 1, 4095, 40_790_039_062, 163_640_039_062),
            (2, 100, 100, 609_375_000, 3_609_375_000),
            (2, 100, 300, 609_375_000, 9_609_375_000),
            (2, 254, 100, 7_812_500, 3_007_812_500),
            (2, 1, 25_500, 996_093_750, 765_996_093_750),
        ] {
            let version = Version::from_number(version).unwrap();
            let priority = Priority::new(priority);
            let interval = match Interval::from_centiseconds(centiseconds) {
                Ok(interval) => interval,
                Err(_) => Interval::from_seconds((centiseconds / 100).try_into().unwrap()).unwrap(),
            };
            let skew_is = skew_time(version, priority, interval).as_nanos();
            let down_is = active_down_interval(version, priority, interval, 3).as_nanos();
            assert_eq!(
                (skew_is, down_is),
                (skew, down),
                "{version} {priority} {interval}"
            );
        }
    }

    /// `VRRP-208`
    #[test]
    fn slots_are_kept_until_one_is_missed() {
        let at = Duration::from_millis;
        let second = at(1000);
        for (deadline, now, next) in [
            (1000, 1000, 2000),
            (1000, 1999, 2000),
            // The slot at 2000 is missed: no second advertisement at once.
            (1000, 2000, 3000),
            (1000, 2400, 3400),
            (1000, 9000, 10_000),
        ] {
            assert_eq!(next_slot(at(deadline), at(now), second), at(next));
        }
        assert_eq!(next_slot(NEVER, NEVER, second), NEVER);
        assert!(!is_due(NEVER, NEVER));
    }
}

//! The clock of [`Timestamp`]: time since boot, with the time the machine was suspended.

use core::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::timer::Timestamp;

/// Both clocks go equally fast, adjusted or not. If the distance between them has changed by more
/// than this, the wall clock was set, or whoever read them was interrupted in between.
const TOLERANCE: Duration = Duration::from_millis(10);

/// The time now. It never goes back, and nobody can set it: `CLOCK_BOOTTIME` of clock_gettime(2).
#[must_use]
pub fn now() -> Timestamp {
    read(ClockId::CLOCK_BOOTTIME)
}

fn read(clock: ClockId) -> Duration {
    // The kernel knows both clocks since 2.6.39, and they start at zero or later.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Both clocks at one moment, to bring the kernel's receive times, which are wall time, to ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    boot: Timestamp,
    wall: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self {
            boot: now(),
            wall: read(ClockId::CLOCK_REALTIME),
        }
    }

    /// The time since boot at this moment.
    pub(crate) const fn boot(self) -> Timestamp {
        self.boot
    }

    /// When this wall time was, if the wall clock was not set since that other moment: no earlier
    /// than then, as what had come before was read then.
    pub(crate) fn at_wall(self, wall: Duration, since: Self) -> Option<Timestamp> {
        let elapsed = self.wall.checked_sub(since.wall)?;
        if elapsed.abs_diff(self.boot.checked_sub(since.boot)?) > TOLERANCE {
            return None;
        }
        let age = self.wall.checked_sub(wall)?;
        Some(self.boot.saturating_sub(age).max(since.boot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Moment = Moment {
        boot: Duration::from_secs(1000),
        wall: Duration::from_secs(1_700_000_000),
    };

    /// A hundred seconds later, by a wall clock that was set by so many seconds meanwhile.
    fn later(set: i64) -> Moment {
        let wall = SINCE.wall.as_secs() + 100;
        Moment {
            boot: SINCE.boot + Duration::from_secs(100),
            wall: Duration::from_secs(wall.checked_add_signed(set).unwrap()),
        }
    }

    /// What is read at this moment, and came so many seconds before by the wall clock.
    fn came(read: Moment, before: i64) -> Option<Timestamp> {
        let wall = read.wall.as_secs().checked_add_signed(-before).unwrap();
        read.at_wall(Duration::from_secs(wall), SINCE)
    }

    /// `VRRP-207`
    #[test]
    fn the_age_of_a_packet_counts_however_old_it_is() {
        for (before, at) in [(0, 1100), (3, 1097), (61, 1039), (100, 1000)] {
            let at = Duration::from_secs(at);
            assert_eq!(came(later(0), before), Some(at), "{before}");
        }
    }

    /// It would have been read then.
    #[test]
    fn no_packet_is_older_than_the_last_look() {
        assert_eq!(came(later(0), 101), Some(SINCE.boot));
    }

    #[test]
    fn a_time_to_come_is_not_known() {
        assert_eq!(came(later(0), -1), None);
    }

    /// Whichever way: those that came before would seem older than they are, or younger.
    #[test]
    fn nothing_is_known_after_the_wall_clock_was_set() {
        for set in [3600, 30, 1, -1, -30, -3600] {
            for before in [0, 1, 50] {
                assert_eq!(came(later(set), before), None, "{set} {before}");
            }
        }
    }

    #[test]
    fn time_goes_on() {
        let (first, second) = (now(), now());
        assert!(first > Duration::ZERO && first <= second);
    }
}

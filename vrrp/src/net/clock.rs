//! The clock of [`Timestamp`]: time since boot, with the time the machine was suspended.

use core::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::timer::Timestamp;

/// Both clocks go equally fast, adjusted or not. If the distance between them has changed by more
/// than this, the wall clock was set, or whoever read them was interrupted in between.
const TOLERANCE: Duration = Duration::from_millis(10);

/// Both clocks were read at one moment if it took no longer than this; it takes a ten-thousandth.
const MOMENT: Duration = Duration::from_micros(500);

/// How often it is tried to read both at one moment.
const TRIES: usize = 4;

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
    /// Reads both again if it was interrupted in between, as on a machine that has much to do.
    pub(crate) fn now() -> Self {
        Self::read_by(now, || read(ClockId::CLOCK_REALTIME))
    }

    fn read_by(mut boot: impl FnMut() -> Timestamp, mut wall: impl FnMut() -> Duration) -> Self {
        let mut moment = Self {
            boot: boot(),
            wall: wall(),
        };
        for _ in 1..TRIES {
            let after = boot();
            if after.saturating_sub(moment.boot) <= MOMENT {
                break;
            }
            moment = Self {
                boot: after,
                wall: wall(),
            };
        }
        moment
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

    /// Read by somebody who lost 600 ms between the two clocks, so many times.
    fn interrupted(times: usize) -> Moment {
        let passed = core::cell::Cell::new(Duration::ZERO);
        let mut left = times;
        let boot = || SINCE.boot + passed.get();
        Moment::read_by(boot, || {
            if left > 0 {
                left -= 1;
                passed.set(passed.get() + Duration::from_millis(600));
            }
            SINCE.wall + passed.get()
        })
    }

    #[test]
    fn clocks_are_read_again_after_an_interruption() {
        for times in 0..TRIES {
            let moment = interrupted(times);
            assert_eq!(
                moment.boot - SINCE.boot,
                moment.wall - SINCE.wall,
                "{times}"
            );
        }
        let moment = interrupted(TRIES);
        let apart = (moment.wall - SINCE.wall) - (moment.boot - SINCE.boot);
        assert_eq!(apart, Duration::from_millis(600), "and not for ever");
    }

    #[test]
    fn time_goes_on() {
        let (first, second) = (now(), now());
        assert!(first > Duration::ZERO && first <= second);
    }
}

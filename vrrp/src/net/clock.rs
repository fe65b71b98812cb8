//! The clock of [`Timestamp`]: time since boot, with the time the machine was suspended.

use core::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::timer::Timestamp;

/// A packet waited no longer than this before it was read; an age beyond it says that the wall
/// clock was set in between.
const MAX_AGE: Duration = Duration::from_secs(60);

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

    /// When this wall time was. A time to come, or one long ago, says that the wall clock was set:
    /// then it was just now.
    pub(crate) fn at_wall(self, wall: Duration) -> Timestamp {
        match self.wall.checked_sub(wall) {
            Some(age) if age <= MAX_AGE => self.boot.saturating_sub(age),
            _ => self.boot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment {
        boot: Duration::from_secs(1000),
        wall: Duration::from_secs(1_700_000_000),
    };

    fn at(seconds: i64) -> Timestamp {
        let wall = AT.wall.as_secs().checked_add_signed(seconds).unwrap();
        AT.at_wall(Duration::from_secs(wall))
    }

    /// `VRRP-207`
    #[test]
    fn the_age_of_a_packet_counts() {
        assert_eq!(at(-3), Duration::from_secs(997));
        assert_eq!(at(0), Duration::from_secs(1000));
    }

    #[test]
    fn a_wall_clock_that_was_set_counts_nothing() {
        for set in [3600, 1, -3600, -61] {
            assert_eq!(at(set), Duration::from_secs(1000), "{set}");
        }
    }

    #[test]
    fn time_goes_on() {
        let (first, second) = (now(), now());
        assert!(first > Duration::ZERO && first <= second);
    }
}

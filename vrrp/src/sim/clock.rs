//! A host's own clock.

use core::time::Duration;

use crate::timer::{NEVER, Timestamp};

/// A clock that starts at some time and runs at some rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    offset: Duration,
    rate_ppm: i32,
}

impl Clock {
    /// A clock that shows this at the beginning and runs faster by parts per million, or slower if
    /// negative.
    pub(super) const fn new(offset: Duration, rate_ppm: i32) -> Self {
        Self { offset, rate_ppm }
    }

    /// What it shows at this time.
    pub(super) fn local(self, time: Timestamp) -> Timestamp {
        let run = if self.rate_ppm == 0 {
            time
        } else {
            scaled(time, self.rate(), 1_000_000)
        };
        run.saturating_add(self.offset)
    }

    /// The first time at which it shows this, or more.
    pub(super) fn when(self, local: Timestamp) -> Timestamp {
        if local == NEVER {
            return NEVER;
        }
        let run = local.saturating_sub(self.offset);
        if self.rate_ppm == 0 {
            return run;
        }
        let mut time = scaled(run, 1_000_000, self.rate());
        while self.local(time) < local {
            time = time.saturating_add(Duration::from_nanos(1));
        }
        time
    }

    fn rate(self) -> u64 {
        u64::try_from(i64::from(self.rate_ppm).saturating_add(1_000_000)).unwrap_or(1)
    }
}

fn scaled(time: Duration, by: u64, of: u64) -> Duration {
    let nanos = time
        .as_nanos()
        .saturating_mul(u128::from(by))
        .checked_div(u128::from(of))
        .unwrap_or_default();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_at_the_first_possible_time() {
        for rate in [-200, -1, 0, 1, 200, 100_000] {
            let clock = Clock::new(Duration::from_secs(5), rate);
            for nanos in [5_000_000_000, 5_000_000_001, 8_609_375_000, 77_777_777_777] {
                let local = Duration::from_nanos(nanos);
                let time = clock.when(local);
                assert!(clock.local(time) >= local);
                let before = time.saturating_sub(Duration::from_nanos(1));
                assert!(
                    time.is_zero() || clock.local(before) < local,
                    "{rate} {nanos}"
                );
            }
        }
    }
}

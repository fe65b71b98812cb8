//! How many attempts at once, and how fast.

use core::time::Duration;

use crate::Timestamp;
use crate::error::Invalid;

/// Limits of a [`Timetable`](super::Timetable); every one at least 1.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Limits {
    pub(super) max_in_flight: u32,
    pub(super) max_in_flight_per_host: u32,
    pub(super) max_processes: u32,
    pub(crate) max_threads: u32,
    pub(super) max_tasks: u32,
    pub(super) start_rate: u32,
    pub(super) fork_rate: u32,
}

impl Default for Limits {
    /// The numbers named at the methods.
    fn default() -> Self {
        Self {
            max_in_flight: 4096,
            max_in_flight_per_host: 8,
            max_processes: 16,
            max_threads: 4,
            max_tasks: 1000,
            start_rate: 5000,
            fork_rate: 200,
        }
    }
}

impl Limits {
    /// Attempts running at once. Default 4096.
    pub const fn with_max_in_flight(mut self, count: u32) -> Self {
        self.max_in_flight = count;
        self
    }

    /// Attempts running at once against one machine. Default 8.
    pub const fn with_max_in_flight_per_host(mut self, count: u32) -> Self {
        self.max_in_flight_per_host = count;
        self
    }

    /// External commands running at once. Default 16.
    pub const fn with_max_processes(mut self, count: u32) -> Self {
        self.max_processes = count;
        self
    }

    /// Functions that may block running at once, each on a thread. Default 4.
    pub const fn with_max_threads(mut self, count: u32) -> Self {
        self.max_threads = count;
        self
    }

    /// Async functions running at once, each as a task. Default 1000.
    pub const fn with_max_tasks(mut self, count: u32) -> Self {
        self.max_tasks = count;
        self
    }

    /// Attempts started per second, with bursts of a tenth of it. Default 5000.
    pub const fn with_start_rate(mut self, per_second: u32) -> Self {
        self.start_rate = per_second;
        self
    }

    /// External commands started per second, with bursts of a tenth of it. Default 200.
    pub const fn with_fork_rate(mut self, per_second: u32) -> Self {
        self.fork_rate = per_second;
        self
    }

    /// Refuses a limit of 0, with which nothing would ever run.
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let all = [
            ("max_in_flight", self.max_in_flight),
            ("max_in_flight_per_host", self.max_in_flight_per_host),
            ("max_processes", self.max_processes),
            ("max_threads", self.max_threads),
            ("max_tasks", self.max_tasks),
            ("start_rate", self.start_rate),
            ("fork_rate", self.fork_rate),
        ];
        match all.into_iter().find(|(_, limit)| *limit == 0) {
            Some((field, _)) => Err(Invalid::new(field, "0", "must be at least 1")),
            None => Ok(()),
        }
    }
}

/// A token bucket, kept as the time at which it would be full again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    cost: Duration,
    full_at: Timestamp,
}

impl Bucket {
    /// What may be taken at once, as time: so much of a second's rate.
    const BURST: Duration = Duration::from_millis(100);

    pub(super) fn new(per_second: u32) -> Self {
        let cost = Duration::from_secs(1)
            .checked_div(per_second)
            .unwrap_or(Duration::MAX);
        Self {
            cost,
            full_at: Timestamp::ZERO,
        }
    }

    /// When the next token can be taken.
    pub(super) fn free_at(&self, now: Timestamp) -> Timestamp {
        // A bucket whose burst is less than one token still gives one when it is full.
        let spare = Self::BURST.saturating_sub(self.cost);
        self.full_at.saturating_sub(spare).max(now)
    }

    pub(super) fn is_free(&self, now: Timestamp) -> bool {
        self.free_at(now) <= now
    }

    pub(super) fn take(&mut self, now: Timestamp) {
        self.full_at = self.full_at.max(now).saturating_add(self.cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tokens a bucket gives within a time, asked every millisecond.
    fn taken(bucket: &mut Bucket, start: Timestamp, millis: u64) -> u32 {
        let mut count = 0;
        for ms in 0..millis {
            let now = start + Duration::from_millis(ms);
            while bucket.is_free(now) {
                bucket.take(now);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn rate_is_kept_after_a_burst_of_a_tenth() {
        let start = Duration::from_secs(77);
        let mut bucket = Bucket::new(1000);
        assert_eq!(taken(&mut bucket, start, 1), 100);
        let count = taken(&mut bucket, start + Duration::from_millis(1), 1000);
        assert!((999..=1001).contains(&count), "{count}");
    }

    #[test]
    fn slow_rate_gives_one_at_a_time() {
        let start = Duration::from_secs(77);
        let mut bucket = Bucket::new(2);
        assert_eq!(taken(&mut bucket, start, 1), 1);
        assert_eq!(bucket.free_at(start), start + Duration::from_millis(500));
        assert_eq!(
            taken(&mut bucket, start + Duration::from_millis(1), 5000),
            10
        );
    }

    #[test]
    fn zero_is_refused_by_name() {
        let limits = [
            ("max_in_flight", Limits::default().with_max_in_flight(0)),
            (
                "max_in_flight_per_host",
                Limits::default().with_max_in_flight_per_host(0),
            ),
            ("max_processes", Limits::default().with_max_processes(0)),
            ("max_threads", Limits::default().with_max_threads(0)),
            ("max_tasks", Limits::default().with_max_tasks(0)),
            ("start_rate", Limits::default().with_start_rate(0)),
            ("fork_rate", Limits::default().with_fork_rate(0)),
        ];
        for (field, limits) in limits {
            assert_eq!(limits.validate().unwrap_err().field, field);
        }
    }
}

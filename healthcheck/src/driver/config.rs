//! Settings of a driver.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::{fs, thread};

use nix::sys::resource::{Resource, getrlimit};

use crate::timetable::Limits;

/// Settings of a [`Driver`](crate::Driver).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Config {
    seed: Option<u64>,
    limits: Option<Limits>,
    start_slack: Option<Duration>,
}

impl Config {
    /// Makes jitter and random first starts repeatable. Default: another on every start.
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Limits how much runs at once. Default: those of [`Limits::default`], except that attempts
    /// in flight are at most three quarters of the descriptors this process still has when the driver
    /// is made (set a limit if it opens many later), and commands at once the larger of 16 and four
    /// per processor.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Starts of attempts may wait so much for others to start together with, which costs fewer
    /// wake-ups; deadlines do not wait. From 10 ms, the default, to 1 s.
    pub const fn with_start_slack(mut self, slack: Duration) -> Self {
        self.start_slack = Some(slack);
        self
    }

    pub(super) const fn start_slack(&self) -> Option<Duration> {
        self.start_slack
    }

    pub(super) const fn is_seeded(&self) -> bool {
        self.seed.is_some()
    }

    /// Seed and limits, defaults worked out.
    pub(super) fn into_parts(self) -> (u64, Limits) {
        let seed = self
            .seed
            .unwrap_or_else(|| RandomState::new().build_hasher().finish());
        (seed, self.limits.unwrap_or_else(limits_of_this_process))
    }
}

fn limits_of_this_process() -> Limits {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let used = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let free = descriptors.saturating_sub(u64::try_from(used).unwrap_or(u64::MAX));
    let free = u32::try_from(free / 4)
        .unwrap_or(u32::MAX)
        .saturating_mul(3);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    Limits::default()
        .with_max_in_flight(free.clamp(1, 4096))
        .with_max_processes(processors.saturating_mul(4).max(16))
}

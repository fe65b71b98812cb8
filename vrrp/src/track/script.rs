//! When a script is run, and what its results amount to. The shell runs the command.
//!
//! One run at a time. The first result, whatever it is, decides at once; after that it takes
//! [`rise`](ScriptConfig::rise) successes in a row, or [`fall`](ScriptConfig::fall) failures, to
//! change the status. A run that takes too long is to be killed and counts as a failure; if it does
//! not end even so, each further interval counts as one more.
//!
//! ```
//! use core::time::Duration;
//! use lvs_vrrp::track::{Script, ScriptConfig, ScriptStep, TrackerStatus};
//!
//! let mut config = ScriptConfig::default();
//! config.fall = 2;
//! let mut script = Script::new(config)?;
//! let second = Duration::from_secs(1);
//! let mut now = Duration::from_secs(60);
//! let mut told = Vec::new();
//! for is_success in [true, false, false] {
//!     let (step, _) = script.tick(now);
//!     assert_eq!(step, Some(ScriptStep::Start));
//!     told.extend(script.finished(now, is_success));
//!     now += second;
//! }
//! assert_eq!(told, [TrackerStatus::Fine, TrackerStatus::Failed]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use core::time::Duration;

use super::TrackerStatus;
use crate::timer::Timestamp;

/// How a script is run.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ScriptConfig {
    /// From the start of one run to the start of the next; 1 ms to 1000 days, by default 1 s.
    pub interval: Duration,
    /// How long a run may take, in the same range; `None`, the default, is as long as the interval.
    pub timeout: Option<Duration>,
    /// How many successes in a row mean that it is fine again, at least 1; 1.
    pub rise: u32,
    /// How many failures in a row mean that it has failed, at least 1; 1.
    pub fall: u32,
    /// It begins as failed, and needs [`rise`](Self::rise) successes; off: nothing is known before
    /// the first result.
    pub init_fail: bool,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: None,
            rise: 1,
            fall: 1,
            init_fail: false,
        }
    }
}

impl ScriptConfig {
    const MIN: Duration = Duration::from_millis(1);
    const MAX: Duration = Duration::from_secs(1000 * 86_400);

    /// Looks at every value.
    ///
    /// # Errors
    ///
    /// The first that is out of its range.
    pub fn validate(&self) -> Result<(), ScriptError> {
        let timeout = self.timeout.unwrap_or(self.interval);
        for (field, value) in [("interval", self.interval), ("timeout", timeout)] {
            if !(Self::MIN..=Self::MAX).contains(&value) {
                return Err(ScriptError::Time { field, value });
            }
        }
        for (field, value) in [("rise", self.rise), ("fall", self.fall)] {
            if value == 0 {
                return Err(ScriptError::Count { field });
            }
        }
        Ok(())
    }
}

/// A way to run a script that there cannot be: the first field that is wrong.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ScriptError {
    /// A time out of its range.
    #[error("script: {field} of {value:?} is not in 1 ms..=1000 days")]
    Time {
        /// Which time.
        field: &'static str,
        /// The time given.
        value: Duration,
    },
    /// No result at all would be enough.
    #[error("script: {field} of 0 is not at least 1")]
    Count {
        /// Which number.
        field: &'static str,
    },
}

/// What the shell is to do.
#[expect(clippy::exhaustive_enums, reason = "a command is started and killed")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ScriptStep {
    /// Start the command, and say when it has ended; at once, as a failure, if it cannot be started.
    Start,
    /// Kill it, and say when it has ended.
    Kill,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Run {
    /// Nothing runs; the next run begins then.
    Waits { until: Timestamp },
    /// Since then.
    Runs { since: Timestamp },
    /// It took too long, and was to be killed; if it is there still at that time it counts again.
    Overdue { since: Timestamp, again: Timestamp },
}

/// A script that is run again and again.
///
/// Call [`tick`](Self::tick) at [`next_deadline`](Self::next_deadline) and do what it says; call
/// [`finished`](Self::finished) when the command has ended. Both give the new status when it
/// changes: it goes into [`Node::set_tracker`](crate::node::Node::set_tracker).
#[derive(Clone, Debug)]
pub struct Script {
    config: ScriptConfig,
    status: TrackerStatus,
    /// Results in a row that contradict the status.
    against: u32,
    run: Run,
}

impl Script {
    /// A script that runs for the first time at the first tick.
    ///
    /// # Errors
    ///
    /// What [`ScriptConfig::validate`] finds.
    pub fn new(config: ScriptConfig) -> Result<Self, ScriptError> {
        config.validate()?;
        Ok(Self {
            config,
            status: if config.init_fail {
                TrackerStatus::Failed
            } else {
                TrackerStatus::Unknown
            },
            against: 0,
            run: Run::Waits {
                until: Timestamp::ZERO,
            },
        })
    }

    /// What its results amount to so far.
    #[must_use]
    pub const fn status(&self) -> TrackerStatus {
        self.status
    }

    /// When [`tick`](Self::tick) is to be called next; a call too early does nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Timestamp {
        match self.run {
            Run::Waits { until } => until,
            Run::Runs { since } => since.saturating_add(self.timeout()),
            Run::Overdue { again, .. } => again,
        }
    }

    /// Time has passed: what is to be done, and the status if it is another now.
    #[must_use]
    pub fn tick(&mut self, now: Timestamp) -> (Option<ScriptStep>, Option<TrackerStatus>) {
        if now < self.next_deadline() {
            return (None, None);
        }
        match self.run {
            Run::Waits { .. } => {
                self.run = Run::Runs { since: now };
                (Some(ScriptStep::Start), None)
            }
            Run::Runs { since } | Run::Overdue { since, .. } => {
                let again = now.saturating_add(self.config.interval);
                self.run = Run::Overdue { since, again };
                (Some(ScriptStep::Kill), self.count(false))
            }
        }
    }

    /// The command has ended, with success or not; the status if it is another now. The end of a run
    /// that was killed has been counted before.
    pub fn finished(&mut self, now: Timestamp, is_success: bool) -> Option<TrackerStatus> {
        let (since, is_counted) = match self.run {
            Run::Waits { .. } => return None,
            Run::Runs { since } => (since, false),
            Run::Overdue { since, .. } => (since, true),
        };
        let until = since.saturating_add(self.config.interval).max(now);
        self.run = Run::Waits { until };
        if is_counted {
            return None;
        }
        self.count(is_success)
    }

    fn timeout(&self) -> Duration {
        self.config.timeout.unwrap_or(self.config.interval)
    }

    fn count(&mut self, is_success: bool) -> Option<TrackerStatus> {
        let result = TrackerStatus::from(is_success);
        if result == self.status {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let enough = match (self.status, is_success) {
            (TrackerStatus::Unknown, _) => 1,
            (_, true) => self.config.rise,
            (_, false) => self.config.fall,
        };
        if self.against < enough {
            return None;
        }
        self.against = 0;
        self.status = result;
        Some(result)
    }
}

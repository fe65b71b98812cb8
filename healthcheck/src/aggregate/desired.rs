//! What the kernel's table should hold for a destination, and why.

use core::fmt;
use core::time::Duration;

/// What the kernel's table should hold for a destination.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Desired {
    /// No entry.
    Absent,
    /// An entry.
    Present {
        /// 0 means no new connections; at most [`MAX_WEIGHT`](super::MAX_WEIGHT).
        weight: u32,
    },
}

/// What becomes of a destination that is down, or out of service.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Removal {
    /// It leaves the table. The default.
    Remove,
    /// It stays with weight 0; keepalived's `inhibit_on_failure`.
    Inhibit,
    /// It stays with weight 0 until its connections are over, at most that long, and then leaves.
    /// Counting the time is for a [`Pool`](crate::pool::Pool); an aggregate alone leaves it at
    /// weight 0.
    DrainThenRemove {
        /// The longest drain; `None` for no limit.
        limit: Option<Duration>,
    },
}

/// Why a destination is wanted as it is: the first that applies, in this order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// A vote puts it out of service.
    Maint,
    /// A vote asks for no new connections.
    Drain,
    /// Its checks say up, but it was down too often.
    Suppressed,
    /// Its checks say up, but it was not down for long enough.
    MinDownTime,
    /// Its checks say down.
    Down,
    /// Its checks have said nothing yet, and count as down until then.
    Unknown,
    /// Its checks have said nothing yet, and it stays as it was adopted.
    Adopted,
    /// A check asks for no new connections.
    NoNew,
    /// It has come back and is getting its weight little by little.
    SlowStart,
    /// Its checks say down, but it was not up for long enough.
    MinUpTime,
    /// It is up.
    Up,
}

impl Reason {
    /// A stable identifier for logs, such as `slow_start`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maint => "maint",
            Self::Drain => "drain",
            Self::Suppressed => "suppressed",
            Self::MinDownTime => "min_down_time",
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Adopted => "adopted",
            Self::NoNew => "no_new",
            Self::SlowStart => "slow_start",
            Self::MinUpTime => "min_up_time",
            Self::Up => "up",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

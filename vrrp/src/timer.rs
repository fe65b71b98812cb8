//! Time as the crate sees it.

use core::time::Duration;

/// A point in time: time since boot on a clock that never steps and counts suspension, such as
/// Linux's `CLOCK_BOOTTIME`.
///
/// Nothing in this crate reads a clock; the caller passes the time in, and all points of time that
/// meet come from one clock.
pub type Timestamp = Duration;

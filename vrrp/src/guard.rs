//! The guard: a second condition for being Active, as a lease that only one router can hold.

use crate::timer::Timestamp;

/// Whether this router may be Active, as whoever arbitrates says.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum GuardStatus {
    /// It may, until then: at that time it must have begun to stop.
    Held {
        /// From when on it may not, unless it is told otherwise before.
        until: Timestamp,
        /// Which grant this is: a number that grows with each holder, for whoever checks it.
        epoch: u64,
    },
    /// Nobody holds the guard.
    Free,
    /// Another router holds it.
    HeldByOther,
    /// The arbiter cannot be asked. This never lets a router become Active (`VRRP-217`).
    #[default]
    Unknown,
}

impl GuardStatus {
    /// Whether it is held now.
    #[must_use]
    pub fn is_held_at(self, now: Timestamp) -> bool {
        matches!(self, Self::Held { until, .. } if now < until)
    }
}

//! What a virtual router counts of itself. What it received and sent is counted where packets are:
//! [`RouterCounters`](crate::counters::RouterCounters).

use crate::timer::Timestamp;

/// Counters of one state machine.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Counters {
    /// Transitions to Active: `master-transitions`.
    pub became_active: u64,
    /// Advertisements heard while Active that lost.
    pub losing_adverts: u64,
    /// Times it became Active and heard a better advertisement within an interval (`VRRP-137`).
    pub flaps: u64,
    /// Pauses in which another may have taken over (`VRRP-210`).
    pub stalls: u64,
    /// Times the guard was lost while Active.
    pub guard_losses: u64,
    /// Promotions that the limit put off.
    pub refused_promotions: u64,
    /// When they were last set to zero: `discontinuity-datetime` (`VRRP-141`).
    pub discontinuity: Timestamp,
}

impl Counters {
    /// All zero from this time on.
    pub(super) fn since(discontinuity: Timestamp) -> Self {
        Self {
            discontinuity,
            ..Self::default()
        }
    }
}

/// Counts one more.
pub(super) const fn increment(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

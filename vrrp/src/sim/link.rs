//! What happens to packets on the way.

use core::time::Duration;

use super::random::Random;
use crate::timer::Timestamp;

/// The way from one host to another, or to a store of leases.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::sim::Link;
///
/// let bad = Link::default().with_delay(Duration::from_millis(2)).with_loss(100_000);
/// assert_eq!(bad.loss, 100_000);
/// ```
#[expect(clippy::exhaustive_structs, reason = "every combination is valid")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Link {
    /// How long a packet takes at least. By default no time.
    pub delay: Duration,
    /// How much longer it takes at most. By default not.
    pub jitter: Duration,
    /// How many of a million packets are lost. By default none.
    pub loss: u32,
    /// How many of a million arrive twice. By default none.
    pub duplication: u32,
    /// How many of a million may be overtaken by later ones, if jitter lets them. By default none.
    pub reordering: u32,
}

impl Link {
    /// Sets how long a packet takes at least.
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets how much longer it takes at most.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets how many of a million packets are lost.
    #[must_use]
    pub const fn with_loss(mut self, in_a_million: u32) -> Self {
        self.loss = in_a_million;
        self
    }

    /// Sets how many of a million arrive twice.
    #[must_use]
    pub const fn with_duplication(mut self, in_a_million: u32) -> Self {
        self.duplication = in_a_million;
        self
    }

    /// Sets how many of a million may be overtaken.
    #[must_use]
    pub const fn with_reordering(mut self, in_a_million: u32) -> Self {
        self.reordering = in_a_million;
        self
    }

    /// How long a packet is on the way now.
    pub(super) fn time(&self, random: &mut Random) -> Duration {
        self.delay.saturating_add(random.up_to(self.jitter))
    }

    /// When a packet arrives that is sent now, if it does, behind those that arrive until then.
    pub(super) fn arrival(
        &self,
        now: Timestamp,
        behind: &mut Timestamp,
        random: &mut Random,
    ) -> Option<Timestamp> {
        if random.happens(self.loss) {
            return None;
        }
        let at = now.saturating_add(self.time(random));
        if random.happens(self.reordering) {
            return Some(at);
        }
        *behind = at.max(*behind);
        Some(*behind)
    }
}

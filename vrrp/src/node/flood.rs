//! How many advertisements of one virtual router are looked at.
//!
//! A packet that climbed the ladder costs a step of a machine, and what an Active answers to it. On
//! a link where somebody sends what he likes that has to be bounded, without harm to those who
//! advertise rightly. So there is a bucket for each *effect*, not one for all: a flood of
//! advertisements that lose does not keep those of the Active out, nor its resignation. What is
//! dropped is only what others of the same effect have just preceded.

use core::time::Duration;

use crate::codec::Advertisement;
use crate::machine::VirtualRouter;
use crate::priority::Rank;
use crate::receive::Accepted;
use crate::timer::Timestamp;

/// How many advertisements of one effect (of the known Active; of another router that outranks
/// ours; of one that loses; resignations) a virtual router looks at. Those beyond are counted
/// ([`RouterCounters::flooded`](crate::counters::RouterCounters::flooded)), reported
/// ([`ReportKind::Flooded`](super::ReportKind::Flooded)) and have no other effect.
///
/// No router that keeps to the standards comes near: the shortest interval is 1 cs, in both versions
/// at once 200 advertisements in a second.
#[expect(clippy::exhaustive_structs, reason = "a rate and a depth")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FloodLimit {
    /// In a second, in the long run; at least [`MIN_PER_SECOND`](Self::MIN_PER_SECOND). 1000.
    pub per_second: u32,
    /// At once, beyond that: what a driver that was busy finds in its socket with one and the same
    /// time of reception; at least [`MIN_BURST`](Self::MIN_BURST). 100.
    pub burst: u32,
}

impl FloodLimit {
    /// The least rate: twice what a router of both versions at 1 cs sends.
    pub const MIN_PER_SECOND: u32 = 400;
    /// The least burst.
    pub const MIN_BURST: u32 = 10;
}

impl Default for FloodLimit {
    fn default() -> Self {
        Self {
            per_second: 1000,
            burst: 100,
        }
    }
}

/// What an advertisement can do to a virtual router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effect {
    /// Tell that the known Active lives.
    Alive,
    /// Keep a Backup quiet, or make an Active give way.
    Wins,
    /// Be answered, or ignored, or borne.
    Loses,
    /// Make the others hurry.
    Resigns,
}

impl Effect {
    fn of(advertisement: &Advertisement<'_>, rank: Rank, machine: &VirtualRouter) -> Self {
        if advertisement.priority.is_resign() {
            return Self::Resigns;
        }
        if machine.active() == Some(rank) {
            return Self::Alive;
        }
        let own = machine.source();
        let wins = own.is_none_or(|own| rank > Rank::new(machine.effective_priority(), own));
        if wins { Self::Wins } else { Self::Loses }
    }
}

/// The buckets of one virtual router: for each effect, when it would be as full as it may be again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buckets {
    full_at: [Timestamp; 4],
}

impl Buckets {
    /// Takes from the bucket; whether there was something in it. Time is that of the reception, so
    /// that packets which waited in a socket count as when they came.
    pub(super) fn take(
        &mut self,
        limit: Option<FloodLimit>,
        now: Timestamp,
        accepted: &Accepted<'_>,
        machine: &VirtualRouter,
    ) -> bool {
        let Some(limit) = limit else {
            return true;
        };
        let rank = Rank::new(accepted.advertisement.priority, accepted.source);
        let effect = Effect::of(&accepted.advertisement, rank, machine);
        let [alive, wins, loses, resigns] = &mut self.full_at;
        let full_at = match effect {
            Effect::Alive => alive,
            Effect::Wins => wins,
            Effect::Loses => loses,
            Effect::Resigns => resigns,
        };
        let received_at = accepted.received_at.min(now);
        let space = Duration::from_secs(1)
            .checked_div(limit.per_second)
            .unwrap_or(Duration::ZERO);
        let from = (*full_at).max(received_at);
        if from.saturating_sub(received_at) > space.saturating_mul(limit.burst) {
            return false;
        }
        *full_at = from.saturating_add(space);
        true
    }
}

//! Handing the lease to a router of better rank. §4.3.
//!
//! A router that should preempt may not advertise before it has the lease, and the holder has it. So
//! it writes a claim at the stores with each attempt that is refused. The holder reads claims with
//! each renewal, and gives way to one that beats its own rank. If the claimant does not become
//! Active, the old holder takes the lease back after a while, and does not give way to that claimant
//! again for ten times as long.

use super::{Lease, LeaseEvent, Phase};
use crate::priority::Rank;
use crate::timer::Timestamp;

use super::job::HolderId;

/// Somebody wants the lease, and has this rank.
#[expect(
    clippy::exhaustive_structs,
    reason = "who and with what right; made by stores"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Claim {
    /// Who wants it.
    pub holder: HolderId,
    /// Its effective priority, and the address from which it advertises.
    pub rank: Rank,
}

/// How the lease was handed over last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HandOver {
    /// The claimant, from when it was told to give way until the lease is given back.
    yielding: Option<HolderId>,
    /// To whom it was given, and with what epoch it was held before.
    given: Option<(HolderId, u64)>,
    /// Not to be asked for before.
    pub(super) not_before: Timestamp,
    /// A claimant that was given the lease and did not take it, and until when it is ignored.
    ignored: Option<(HolderId, Timestamp)>,
}

impl Lease {
    /// A store told the greatest claim of others.
    pub(super) fn hear_claim(&mut self, claim: Claim) {
        let is_ignored = self
            .hand_over
            .ignored
            .is_some_and(|(holder, until)| holder == claim.holder && self.now < until);
        let beats = self.rank.is_some_and(|rank| claim.rank > rank);
        if self.phase != Phase::Holding || !self.used || !beats || is_ignored {
            return;
        }
        if claim.holder == self.holder || self.config.preemption().is_none() {
            return;
        }
        self.hand_over.yielding = Some(claim.holder);
        self.tell(LeaseEvent::Yield(claim));
    }

    /// The lease is given back: if to a claimant, it is let alone for a while.
    pub(super) fn note_hand_over(&mut self) {
        if let (Some(claimant), Some(preemption)) =
            (self.hand_over.yielding.take(), self.config.preemption())
        {
            self.hand_over.given = Some((claimant, self.epoch));
            self.hand_over.not_before = self.now.saturating_add(preemption.give_back);
        }
    }

    /// The lease is held again: if nobody had it meanwhile, the claimant cannot be Active.
    pub(super) fn note_take_back(&mut self) {
        if let (Some((claimant, epoch)), Some(preemption)) =
            (self.hand_over.given.take(), self.config.preemption())
        {
            if self.epoch <= epoch.saturating_add(1) {
                let until = preemption.give_back.saturating_mul(10);
                self.hand_over.ignored = Some((claimant, self.now.saturating_add(until)));
            }
        }
    }
}

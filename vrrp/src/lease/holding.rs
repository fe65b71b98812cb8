//! Holding the lease: renewals, its end, and the time until the addresses are gone.

use super::job::{HolderId, LeaseJob, LeaseRequest};
use super::slot::{Lane, Slot, Word};
use super::{Lease, LeaseEvent, LossReason, Phase};
use crate::timer::{self, Timestamp};

impl Lease {
    /// A majority granted the lease.
    pub(super) fn hold(&mut self, epoch: u64) {
        let time_to_stop = self.config.time_to_stop();
        let sent_at = self.majority_sent_at();
        if sent_at.is_none_or(|sent_at| self.now >= sent_at.saturating_add(time_to_stop)) {
            // The answers took too long.
            self.end_round();
            return;
        }
        self.phase = Phase::Holding;
        self.in_round = false;
        self.unreachable_since = None;
        self.epoch = epoch;
        let is_vacated = |slot: &Slot| slot.grant.is_none_or(|grant| grant.is_vacated);
        self.ready_at = if self.used || self.slots.iter().all(is_vacated) {
            self.now
        } else {
            self.now.saturating_add(self.config.grace())
        };
        let next = self.now.saturating_add(self.config.renew_period());
        for slot in self.slots.iter_mut().filter(|slot| slot.grant.is_none()) {
            slot.next = next;
        }
        self.exclusive_until = None;
        self.note_take_back();
        if self.is_open {
            self.is_open = false;
            self.tell(LeaseEvent::Closed);
        }
    }

    /// Follows the grants with the time until which they exclude others.
    pub(super) fn extend(&mut self) {
        if !matches!(self.phase, Phase::Holding | Phase::Stopping) {
            return;
        }
        if let Some(sent_at) = self.majority_sent_at() {
            let until = sent_at.saturating_add(self.config.exclusive_time());
            if until > self.now {
                self.exclusive_until = self.exclusive_until.max(Some(until));
            }
        }
    }

    /// §4.2, rule 1: whatever comes after this, an answer included, comes too late (`VRRP-216`).
    pub(super) fn check_deadline(&mut self) {
        if self.phase != Phase::Holding {
            return;
        }
        match self.stop_at() {
            None => self.lose(LossReason::Revoked),
            Some(deadline) if timer::is_due(self.now, deadline) => {
                self.lose(LossReason::Expired {
                    late: self.now.saturating_sub(deadline),
                });
            }
            Some(_) => {}
        }
    }

    pub(super) fn lose(&mut self, reason: LossReason) {
        if !self.used {
            self.give_back();
            return;
        }
        self.tell(LeaseEvent::Lost(reason));
        // One that comes this late does not know whether the arbiter can be reached.
        let is_on_time = match reason {
            LossReason::Expired { late } => late <= self.config.scheduling_delay(),
            LossReason::Revoked | LossReason::Doubt => false,
        };
        if is_on_time && self.may_open() && !self.is_reachable() {
            self.phase = Phase::Asking;
            self.next_round = self.now;
            self.exclusive_until = None;
            for slot in &mut self.slots {
                slot.grant = None;
                slot.main = None;
            }
            self.open();
            return;
        }
        if reason == LossReason::Revoked {
            self.exclusive_until = Some(self.now);
        }
        if self.is_open {
            self.is_open = false;
            self.tell(LeaseEvent::Closed);
        }
        self.is_wanted = false;
        self.stop();
    }

    /// From now on the status is not held; the stores hear of it when the addresses are gone.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.in_round = false;
        self.unreachable_since = None;
        for slot in self.slots.iter_mut().filter(|slot| slot.grant.is_none()) {
            slot.main = None;
        }
    }

    /// Nothing is used: everything is released, and asked for anew if it is wanted.
    pub(super) fn give_back(&mut self) {
        self.used = false;
        self.in_round = false;
        self.exclusive_until = None;
        self.unreachable_since = None;
        for store in 0..self.slots.len() {
            self.release(store);
        }
        self.next_round = self.now;
        self.phase = if self.is_wanted {
            Phase::Asking
        } else {
            Phase::Idle
        };
    }

    pub(super) fn renew_if_due(&mut self) {
        let is_held = self.phase == Phase::Holding;
        if !is_held && self.phase != Phase::Stopping {
            return;
        }
        for store in 0..self.slots.len() {
            let due = |slot: &&Slot| slot.main.is_none() && timer::is_due(self.now, slot.next);
            let Some(slot) = self.slots.get(store).filter(due) else {
                continue;
            };
            let reads_claims = slot.claim.is_none() && self.config.preemption().is_some();
            match slot.grant {
                Some(grant) => {
                    self.renew(store, grant.attempt, self.epoch);
                    if is_held && reads_claims {
                        let holder = self.holder;
                        self.post(store, Lane::Claim, |_| LeaseRequest::ReadClaims { holder });
                    }
                }
                None if is_held => self.acquire(store, self.epoch),
                None => {}
            }
        }
    }

    pub(super) fn renew(&mut self, store: usize, attempt: u64, epoch: u64) {
        let (holder, duration) = (self.holder, self.config.duration());
        self.post(store, Lane::Main, |_| LeaseRequest::Renew {
            holder,
            attempt,
            duration,
            epoch,
        });
    }

    pub(super) fn take_renewal(&mut self, job: &LeaseJob, epoch: u64) {
        let next = job.sent_at.saturating_add(self.config.renew_period());
        if let Some(slot) = self.slots.get_mut(usize::from(job.id.store)) {
            slot.is_failing = false;
            slot.word = Word::Mine;
            slot.next = next;
            if let Some(grant) = &mut slot.grant {
                grant.sent_at = job.sent_at;
                grant.epoch = grant.epoch.max(epoch);
            }
        }
    }

    pub(super) fn take_revocation(&mut self, job: &LeaseJob, attempt: u64, by: Option<HolderId>) {
        let next = self.retry_after(job);
        let word = self.word_on(by);
        if let Some(slot) = self.slots.get_mut(usize::from(job.id.store)) {
            slot.is_failing = false;
            slot.word = word;
            slot.grant = None;
            slot.settled = slot.settled.max(attempt);
            slot.next = next;
        }
        if self.phase == Phase::Stopping && self.majority_sent_at().is_none() {
            self.exclusive_until = self.exclusive_until.min(Some(self.now));
        }
    }

    /// A request had no answer that could be used. What it did to the store is not known.
    pub(super) fn fail(&mut self, job: &LeaseJob) {
        let next = self.retry_after(job);
        let is_asking = self.phase == Phase::Asking;
        let Some(slot) = self.slots.get_mut(usize::from(job.id.store)) else {
            return;
        };
        match job.request {
            LeaseRequest::Acquire { .. } | LeaseRequest::Renew { .. } => {
                slot.is_failing = true;
                slot.word = Word::Unknown;
                slot.next = next;
                if is_asking {
                    slot.grant = None;
                }
            }
            LeaseRequest::Release { up_to, .. } => {
                // Once the lease is over there is nothing to release. A later attempt takes the
                // place of this one, and is released in turn.
                let is_last = slot.last_attempt == up_to && slot.settled < up_to;
                if is_last && next < slot.release_until {
                    slot.to_release.get_or_insert((next, up_to));
                }
            }
            LeaseRequest::WriteClaim { .. } | LeaseRequest::ReadClaims { .. } => {}
        }
    }

    /// Tells, once, that the addresses have been there for too long.
    pub(super) fn check_breach(&mut self) {
        let is_over = |until: &mut Timestamp| timer::is_due(self.now, *until);
        if self.phase == Phase::Stopping {
            if let Some(since) = self.exclusive_until.take_if(is_over) {
                self.tell(LeaseEvent::Breach { since });
            }
        }
    }

    pub(super) fn slot_deadline(&self, slot: &Slot) -> Option<Timestamp> {
        let renews = match self.phase {
            Phase::Holding => true,
            Phase::Stopping => slot.grant.is_some(),
            Phase::Idle | Phase::Asking => false,
        };
        let next = (renews && slot.main.is_none()).then_some(slot.next);
        let release = slot.to_release.map(|(due, _)| due);
        [slot.answer_by(), next, release]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn phase_deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Idle => None,
            Phase::Asking => {
                let due = self.next_round.max(self.hand_over.not_before);
                let round = (!self.in_round).then_some(due);
                [round, self.open_at()].into_iter().flatten().min()
            }
            Phase::Holding => {
                let ready = Some(self.ready_at).filter(|time| *time > self.now);
                [self.stop_at(), ready].into_iter().flatten().min()
            }
            Phase::Stopping => self.exclusive_until,
        }
    }
}

//! Asking for the lease: rounds in which all stores are asked at once, and the time in between.

use core::mem;
use core::time::Duration;

use super::job::{HolderId, JobId, LeaseAnswer, LeaseJob, LeaseRequest};
use super::preemption::Claim;
use super::slot::{Grant, Lane, Word};
use super::{Lease, LeaseEvent, Phase, WhenUnreachable};
use crate::timer::{self, Timestamp};

impl Lease {
    pub(super) fn start_round_if_due(&mut self) {
        let due = self.next_round.max(self.hand_over.not_before);
        if self.phase != Phase::Asking || self.in_round || !timer::is_due(self.now, due) {
            return;
        }
        self.in_round = true;
        self.unreachable_since.get_or_insert(self.now);
        for store in 0..self.slots.len() {
            self.acquire(store, self.highest_epoch.saturating_add(1));
        }
    }

    pub(super) fn acquire(&mut self, store: usize, epoch: u64) {
        let (holder, duration) = (self.holder, self.config.duration());
        self.post(store, Lane::Main, |attempt| LeaseRequest::Acquire {
            holder,
            attempt,
            duration,
            epoch,
        });
        let attempt = self.number;
        if let Some(slot) = self.slots.get_mut(store) {
            slot.grant = None;
            slot.last_attempt = attempt;
        }
    }

    /// Whether what was answered decides the round: a majority granted the lease and knows one
    /// epoch, or cannot any more.
    pub(super) fn conclude_round(&mut self) {
        if self.phase != Phase::Asking || !self.in_round {
            return;
        }
        let majority = self.config.majority();
        let granted = self.count(|slot| slot.grant.is_some());
        if granted < majority {
            let undecided = self.count(|slot| slot.grant.is_none() && slot.main.is_some());
            if granted.saturating_add(undecided) < majority {
                self.end_round();
            }
            return;
        }
        let epochs = self.slots.iter().filter_map(|slot| slot.grant);
        let epoch = epochs.map(|grant| grant.epoch).max().unwrap_or_default();
        let knows = |grant: Option<Grant>| grant.is_some_and(|grant| grant.epoch >= epoch);
        if self.count(|slot| knows(slot.grant)) >= majority {
            self.hold(epoch);
            return;
        }
        for store in 0..self.slots.len() {
            let grant = self
                .slots
                .get(store)
                .filter(|slot| slot.main.is_none())
                .and_then(|slot| slot.grant);
            if let Some(grant) = grant.filter(|grant| grant.epoch < epoch) {
                self.renew(store, grant.attempt, epoch);
            }
        }
    }

    /// Too few granted it: what was granted, or may have been, is released.
    pub(super) fn end_round(&mut self) {
        self.in_round = false;
        let is_reachable = self.is_reachable();
        for store in 0..self.slots.len() {
            // With a single store the next attempt takes the place of this one.
            if self.config.stores() > 1 {
                self.release_grant(store);
            } else if let Some(slot) = self.slots.get_mut(store) {
                slot.grant = None;
                slot.main = None;
            }
        }
        let pause = if mem::take(&mut self.asks_again) {
            Duration::ZERO
        } else {
            self.pause()
        };
        self.next_round = self.now.saturating_add(pause);
        if is_reachable {
            self.unreachable_since = None;
            if self.is_open {
                self.close();
            }
        }
    }

    /// How long until the next round: one request timeout, and with several stores up to two more,
    /// so that routers which took the stores from each other do not meet again.
    fn pause(&self) -> Duration {
        let timeout = self.config.request_timeout();
        if self.config.stores() == 1 {
            return timeout;
        }
        let [low, high] = halves(self.holder.get());
        let draw = mix(low ^ high.rotate_left(32) ^ self.number) >> 48;
        let part = u32::try_from(draw).unwrap_or_default();
        let extra = timeout.saturating_mul(part).checked_div(1 << 15);
        timeout.saturating_add(extra.unwrap_or_default())
    }

    pub(super) fn take_grant(&mut self, job: &LeaseJob, grant: Grant) {
        let next = grant.sent_at.saturating_add(self.config.renew_period());
        if let Some(slot) = self.slots.get_mut(usize::from(job.id.store)) {
            slot.grant = Some(grant);
            slot.is_failing = false;
            slot.word = Word::Mine;
            slot.is_claimed = false;
            slot.next = next;
        }
    }

    pub(super) fn take_refusal(&mut self, job: &LeaseJob, attempt: u64, by: Option<HolderId>) {
        let next = self.now.saturating_add(self.config.renew_period());
        let word = self.word_on(by);
        let store = usize::from(job.id.store);
        if let Some(slot) = self.slots.get_mut(store) {
            slot.is_failing = false;
            slot.word = word;
            slot.settled = slot.settled.max(attempt);
            slot.next = next;
        }
        if self.phase == Phase::Asking && word == Word::Other {
            self.write_claim(store);
        }
    }

    fn write_claim(&mut self, store: usize) {
        let (Some(rank), Some(preemption)) = (self.rank, self.config.preemption()) else {
            return;
        };
        let holder = self.holder;
        self.post(store, Lane::Claim, |_| LeaseRequest::WriteClaim {
            claim: Claim { holder, rank },
            duration: preemption.claim_duration,
        });
        if let Some(slot) = self.slots.get_mut(store) {
            slot.is_claimed = true;
        }
    }

    pub(super) fn word_on(&self, holder: Option<HolderId>) -> Word {
        match holder {
            None => Word::Free,
            Some(holder) if holder == self.holder => Word::Unknown,
            Some(_) => Word::Other,
        }
    }

    /// Nothing is known of this job any more; but a grant that nobody uses would keep others out.
    pub(super) fn hear_late(&mut self, id: JobId, answer: LeaseAnswer) {
        let is_unused = matches!(self.phase, Phase::Idle | Phase::Asking);
        if !is_unused || !matches!(answer, LeaseAnswer::Granted { .. }) {
            return;
        }
        let until = self.now.saturating_add(self.config.duration());
        if let Some(slot) = self.slots.get_mut(usize::from(id.store)) {
            if slot.main.is_none() && slot.grant.is_none() && id.number <= slot.last_attempt {
                slot.to_release = Some((self.now, slot.last_attempt));
                slot.release_until = until;
            }
        }
    }

    /// Gives back what a store granted, or may have granted.
    fn release_grant(&mut self, store: usize) {
        let until = self.now.saturating_add(self.config.duration());
        if let Some(slot) = self.slots.get_mut(store) {
            slot.grant = None;
            slot.main = None;
            if slot.is_touched() {
                slot.to_release = Some((self.now, slot.last_attempt));
                slot.release_until = until;
                slot.word = Word::Unknown;
            }
        }
    }

    /// The same, and a claim.
    pub(super) fn release(&mut self, store: usize) {
        self.release_grant(store);
        if let Some(slot) = self.slots.get_mut(store) {
            slot.claim = None;
            if slot.is_claimed {
                slot.to_release = Some((self.now, slot.last_attempt));
            }
        }
    }

    pub(super) fn release_if_due(&mut self) {
        let holder = self.holder;
        for store in 0..self.slots.len() {
            let is_due = |(due, _): &mut (Timestamp, u64)| *due <= self.now;
            let Some(slot) = self.slots.get_mut(store) else {
                continue;
            };
            let Some((_, up_to)) = slot.to_release.take_if(is_due) else {
                continue;
            };
            slot.is_claimed = false;
            self.post(store, Lane::Release, |_| LeaseRequest::Release {
                holder,
                up_to,
            });
        }
    }

    /// Whether the policy allows to be Active without the arbiter.
    pub(super) fn may_open(&self) -> bool {
        match self.config.when_unreachable() {
            WhenUnreachable::FailClosed => false,
            WhenUnreachable::FailOpen => true,
            WhenUnreachable::FailOpenIfAlone => self.is_alone,
        }
    }

    /// When a router that never had the lease goes on without it: when a lease that it knows nothing
    /// of would be over.
    pub(super) fn open_at(&self) -> Option<Timestamp> {
        let is_candidate = self.phase == Phase::Asking && !self.is_open && self.may_open();
        let since = self
            .unreachable_since
            .filter(|_| is_candidate && !self.is_reachable())?;
        Some(since.saturating_add(self.config.outlasts_all()))
    }

    pub(super) fn open_if_due(&mut self) {
        if self
            .open_at()
            .is_some_and(|due| timer::is_due(self.now, due))
        {
            self.open();
        }
    }

    pub(super) fn open(&mut self) {
        self.is_open = true;
        self.tell(LeaseEvent::Opened);
    }

    /// The arbiter is back and did not grant the lease, or the policy does not allow to go on
    /// without it.
    pub(super) fn close(&mut self) {
        self.is_open = false;
        self.tell(LeaseEvent::Closed);
        if self.used {
            self.is_wanted = false;
            self.stop();
        }
    }
}

fn halves(number: u128) -> [u64; 2] {
    let low = number & u128::from(u64::MAX);
    let part = |part| u64::try_from(part).unwrap_or_default();
    [part(low), part(number >> 64)]
}

/// The finalizer of SplitMix64: spreads numbers that differ little.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

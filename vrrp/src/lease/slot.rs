//! One store, as the lease sees it: what it granted, what it said last, what it is asked.

use super::job::{JobId, LeaseJob};
use crate::timer::Timestamp;

#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// What the store granted, as far as is known.
    pub(super) grant: Option<Grant>,
    pub(super) word: Word,
    /// The last request that was finished had no answer.
    pub(super) is_failing: bool,
    /// Acquisition or renewal.
    pub(super) main: Option<Pending>,
    pub(super) release: Option<Pending>,
    /// Writing or reading of claims.
    pub(super) claim: Option<Pending>,
    /// While the lease is held: when to renew, or to try to acquire, next.
    pub(super) next: Timestamp,
    /// The last attempt to acquire; 0 before the first.
    pub(super) last_attempt: u64,
    /// The last attempt that surely has no grant.
    pub(super) settled: u64,
    /// The store may have a claim of ours.
    pub(super) is_claimed: bool,
    /// Something is to be released: when to ask, and up to which attempt, for there may be a later
    /// one by then.
    pub(super) to_release: Option<(Timestamp, u64)>,
    /// From when on to leave that to the end of the lease.
    pub(super) release_until: Timestamp,
}

/// A grant of one store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) attempt: u64,
    /// When the request was sent from which it counts.
    pub(super) sent_at: Timestamp,
    pub(super) epoch: u64,
    pub(super) is_vacated: bool,
}

/// What a store said last on who holds the lease.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Word {
    #[default]
    Unknown,
    Free,
    Mine,
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) job: LeaseJob,
    /// Whether it was taken to be sent.
    pub(super) is_taken: bool,
}

/// The three things that a store can be asked at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lane {
    Main,
    Release,
    Claim,
}

impl Lane {
    /// The most urgent first.
    pub(super) const ALL: [Self; 3] = [Self::Main, Self::Release, Self::Claim];
}

impl Slot {
    pub(super) fn lane(&mut self, lane: Lane) -> &mut Option<Pending> {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Release => &mut self.release,
            Lane::Claim => &mut self.claim,
        }
    }

    /// Gives a job out to be sent.
    pub(super) fn take_job(&mut self, lane: Lane) -> Option<LeaseJob> {
        let pending = self.lane(lane).as_mut().filter(|job| !job.is_taken)?;
        pending.is_taken = true;
        Some(pending.job)
    }

    /// Ends the job that was sent under this id, if it is not over yet.
    pub(super) fn finish(&mut self, id: JobId) -> Option<LeaseJob> {
        Lane::ALL.into_iter().find_map(|lane| {
            let is_it = |pending: &mut Pending| pending.is_taken && pending.job.id == id;
            self.lane(lane).take_if(is_it).map(|pending| pending.job)
        })
    }

    /// Ends one job that was not answered in time.
    pub(super) fn time_out(&mut self, now: Timestamp) -> Option<LeaseJob> {
        Lane::ALL.into_iter().find_map(|lane| {
            let is_over = |pending: &mut Pending| pending.job.answer_by <= now;
            self.lane(lane).take_if(is_over).map(|pending| pending.job)
        })
    }

    /// The store granted something, or may have.
    pub(super) const fn is_touched(&self) -> bool {
        self.last_attempt > self.settled
    }

    /// When the first of the jobs times out.
    pub(super) fn answer_by(&self) -> Option<Timestamp> {
        [&self.main, &self.release, &self.claim]
            .into_iter()
            .flatten()
            .map(|pending| pending.job.answer_by)
            .min()
    }
}

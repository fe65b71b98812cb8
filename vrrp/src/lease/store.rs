//! A store in memory: the arbiter of tests and simulations.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::job::{HolderId, LeaseAnswer, LeaseRequest};
use super::preemption::Claim;
use crate::timer::Timestamp;

/// One store that keeps the five promises of the [`job`](super::job) module: one lease, the claims on
/// it, and a clock with a rate of its own.
///
/// Behind a socket it is a witness for two directors, if it keeps grants where a restart finds them
/// or [waits](Self::restart) after one.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::lease::{HolderId, LeaseAnswer, LeaseRequest, MemoryStore};
///
/// let mut store = MemoryStore::new();
/// let acquire = |holder| LeaseRequest::Acquire {
///     holder: HolderId::new(holder),
///     attempt: 1,
///     duration: Duration::from_secs(10),
///     epoch: 1,
/// };
/// let granted = LeaseAnswer::Granted { epoch: 1, vacated: true };
/// assert_eq!(store.handle(Duration::from_secs(60), &acquire(1)), granted);
/// let refused = store.handle(Duration::from_secs(69), &acquire(2));
/// assert_eq!(refused, LeaseAnswer::Refused { holder: Some(HolderId::new(1)), epoch: 1 });
///
/// // The lease has ended, but nobody gave it back.
/// let granted = LeaseAnswer::Granted { epoch: 2, vacated: false };
/// assert_eq!(store.handle(Duration::from_secs(70), &acquire(2)), granted);
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    clock_rate_ppm: i32,
    lock_delay: Duration,
    /// The latest time, on the store's clock.
    now: Timestamp,
    epoch: u64,
    grant: Option<Grant>,
    /// The lease is not granted before.
    not_before: Timestamp,
    /// Whether the holder before gave the lease back, or the time after its end was waited for.
    is_vacated: bool,
    /// The last release of each holder: attempts up to that which arrive later are void.
    released: VecDeque<(HolderId, u64)>,
    claims: Vec<(Claim, Timestamp)>,
}

/// So many holders' releases are remembered, those that released last; later than after so many others
/// nothing of a holder's is under way any more.
const MAX_RELEASED: usize = 256;
/// So many claims are kept, those with the best rank: only the best counts.
const MAX_CLAIMS: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Grant {
    holder: HolderId,
    attempt: u64,
    ends_at: Timestamp,
    is_vacated: bool,
}

impl MemoryStore {
    /// A store that nobody has asked yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            clock_rate_ppm: 0,
            lock_delay: Duration::ZERO,
            now: Timestamp::ZERO,
            epoch: 0,
            grant: None,
            not_before: Timestamp::ZERO,
            is_vacated: true,
            released: VecDeque::new(),
            claims: Vec::new(),
        }
    }

    /// Waits this long after a lease has ended without being released before it grants the next: the
    /// lock delay of Consul. Zero at first.
    #[must_use]
    pub const fn with_lock_delay(mut self, delay: Duration) -> Self {
        self.lock_delay = delay;
        self
    }

    /// Lets the clock of the store run faster than the times it is given, by parts per million, or
    /// slower if negative. To be set before the first request.
    #[must_use]
    pub const fn with_clock_rate_ppm(mut self, ppm: i32) -> Self {
        self.clock_rate_ppm = ppm;
        self
    }

    /// Answers a request. Times that go back count as the last one.
    pub fn handle(&mut self, now: Timestamp, request: &LeaseRequest) -> LeaseAnswer {
        self.advance(now);
        match *request {
            LeaseRequest::Acquire {
                holder,
                attempt,
                duration,
                epoch,
            } => self.acquire(holder, attempt, duration, epoch),
            LeaseRequest::Renew {
                holder,
                attempt,
                duration,
                epoch,
            } => self.renew(holder, attempt, duration, epoch),
            LeaseRequest::Release { holder, up_to } => {
                self.release(holder, up_to);
                LeaseAnswer::Released
            }
            LeaseRequest::WriteClaim { claim, duration } => {
                self.write_claim(claim, duration);
                LeaseAnswer::ClaimWritten
            }
            LeaseRequest::ReadClaims { holder } => {
                let claims = self.claims.iter().map(|(claim, _)| *claim);
                let others = claims.filter(|claim| claim.holder != holder);
                LeaseAnswer::Claims(others.max_by_key(|claim| claim.rank))
            }
        }
    }

    /// Starts again without memory of grants and claims: nothing is granted for `silence`, which has
    /// to be the longest lease, or a holder from before could be met by another. The epoch is
    /// remembered.
    pub fn restart(&mut self, now: Timestamp, silence: Duration) {
        self.advance(now);
        self.grant = None;
        self.claims.clear();
        self.released.clear();
        self.not_before = self.now.saturating_add(silence);
    }

    /// Who held the lease when it was asked last.
    #[must_use]
    pub fn holder(&self) -> Option<HolderId> {
        self.grant.map(|grant| grant.holder)
    }

    /// The epoch of the last grant, or the greatest that a holder told; 0 before the first.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(self.local(now));
        if let Some(grant) = self.grant.take_if(|grant| grant.ends_at <= self.now) {
            self.not_before = grant.ends_at.saturating_add(self.lock_delay);
            self.is_vacated = !self.lock_delay.is_zero();
        }
        self.claims.retain(|(_, ends_at)| *ends_at > self.now);
    }

    /// The time on the store's own clock.
    fn local(&self, time: Timestamp) -> Timestamp {
        let rate = i128::from(self.clock_rate_ppm).saturating_add(1_000_000);
        let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        let nanos = nanos.saturating_mul(rate) / 1_000_000;
        Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    fn acquire(
        &mut self,
        holder: HolderId,
        attempt: u64,
        duration: Duration,
        epoch: u64,
    ) -> LeaseAnswer {
        let refused = LeaseAnswer::Refused {
            holder: self.holder(),
            epoch: self.epoch,
        };
        let is_void = self
            .released_up_to(holder)
            .is_some_and(|up_to| attempt <= up_to);
        let is_vacated = match self.grant {
            _ if is_void => return refused,
            Some(grant) if grant.holder != holder || grant.attempt >= attempt => return refused,
            Some(grant) => grant.is_vacated,
            None if self.now < self.not_before => return refused,
            None => self.is_vacated,
        };
        let Some(next) = self.epoch.checked_add(1) else {
            return refused;
        };
        self.epoch = next.max(epoch);
        self.grant = Some(Grant {
            holder,
            attempt,
            ends_at: self.now.saturating_add(duration),
            is_vacated,
        });
        self.forget_claim(holder);
        LeaseAnswer::Granted {
            epoch: self.epoch,
            vacated: is_vacated,
        }
    }

    fn renew(
        &mut self,
        holder: HolderId,
        attempt: u64,
        duration: Duration,
        epoch: u64,
    ) -> LeaseAnswer {
        let is_it = |grant: &&mut Grant| grant.holder == holder && grant.attempt == attempt;
        if let Some(grant) = self.grant.as_mut().filter(is_it) {
            // A renewal that was overtaken by a longer one does not shorten it.
            grant.ends_at = grant.ends_at.max(self.now.saturating_add(duration));
            self.epoch = self.epoch.max(epoch);
            return LeaseAnswer::Renewed;
        }
        LeaseAnswer::Lost {
            holder: self.holder(),
            epoch: self.epoch,
        }
    }

    fn release(&mut self, holder: HolderId, up_to: u64) {
        self.forget_claim(holder);
        let is_it = |grant: &mut Grant| grant.holder == holder && grant.attempt <= up_to;
        if let Some(grant) = self.grant.take_if(is_it) {
            debug_assert!(grant.ends_at > self.now);
            self.is_vacated = true;
            self.not_before = self.now;
        }
        let up_to = self
            .released_up_to(holder)
            .map_or(up_to, |other| other.max(up_to));
        self.released.retain(|(other, _)| *other != holder);
        if self.released.len() >= MAX_RELEASED {
            self.released.pop_front();
        }
        self.released.push_back((holder, up_to));
    }

    fn released_up_to(&self, holder: HolderId) -> Option<u64> {
        let mut released = self.released.iter();
        let found = released.find(|(other, _)| *other == holder);
        found.map(|(_, up_to)| *up_to)
    }

    fn write_claim(&mut self, claim: Claim, duration: Duration) {
        self.forget_claim(claim.holder);
        self.claims.push((claim, self.now.saturating_add(duration)));
        if self.claims.len() > MAX_CLAIMS {
            let ranked = self.claims.iter().enumerate();
            let least = ranked.min_by_key(|(_, (claim, _))| claim.rank);
            if let Some((place, _)) = least {
                self.claims.swap_remove(place);
            }
        }
    }

    fn forget_claim(&mut self, holder: HolderId) {
        self.claims.retain(|(claim, _)| claim.holder != holder);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

//! Arbitration by a lease: the second condition for being Active, so that at most one router is.
//!
//! VRRP elects by silence, and silence has many causes that are not the death of the other router:
//! while a network is cut, there are two Active routers, and while a process is stalled, too. With a
//! lease VRRP still decides who *should* be Active and how fast; a third party decides who *may*: one
//! store, or the majority of several.
//!
//! [`Lease`] is that condition as a machine without clock and sockets. It gives
//! [jobs](job::LeaseJob) for the stores and takes their answers; what it says is the
//! [`GuardStatus`] of the virtual routers. Use one lease for all virtual routers
//! that move together, not one for each address: stores bear tens of leases, not thousands.
//!
//! # The promise
//!
//! At most one router has the addresses at any instant, **if** the clocks of holder and stores run at
//! rates that differ by no more than declared, removal takes no longer than declared, and the process
//! runs no later than declared ([`LeaseConfig`]). Offsets of clocks do not matter. Nor do delays and
//! losses of requests and answers: they cost time, not the promise.
//!
//! What it cannot give: a process that is paused cannot stop itself. Install the addresses with a
//! lifetime that ends before [`Lease::exclusive_until`], and extend it with each renewal, so that the
//! kernel removes them when nobody does (OP-4): [`Lease::address_lifetime`] says which.
//!
//! # Rules
//!
//! | | Rule | Where |
//! |---|---|---|
//! | 1 | the holder begins to stop at H = t_s + D·(1 − ρ) − S − J, t_s being when the request was *sent*; a renewal counts if its answer arrived before H | [`Lease::stop_at`] |
//! | 2 | the store counts D from when it processes the request, which is not before t_s | [`job`] |
//! | 3 | a new holder waits until the store says so; that a lease must have ended by now is never enough | [`job::LeaseAnswer::Granted`] |
//! | 4 | three renewals fit into the time to H, so that two may fail | [`LeaseConfig::renew_period`] |
//! | 5 | the lease is released after the addresses are gone | [`Lease::addresses_gone`] |
//! | 6 | each grant has a growing epoch | [`GuardStatus::Held`] |
//! | 7 | after a pause that the clock may not have counted, the lease is lost | [`Lease::stalled`] |
//! | 8 | what happens when the arbiter cannot be reached is configured | [`WhenUnreachable`] |
//!
//! # Several stores
//!
//! Of N stores, N / 2 + 1 have to grant the lease. H follows from the request that was sent first of
//! those that the majority needs: the latest time at which a majority is still sure. A store that is
//! lost is asked again with each renewal; what too few have granted is released again, and asked for
//! anew after a time that differs between routers. The stores agree on one epoch: a holder does not
//! use its lease before a majority knows an epoch above all that a majority knew.

mod config;
mod error;
mod event;
mod holding;
pub mod job;
mod lifetime;
mod preemption;
mod round;
mod slot;
pub mod store;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::guard::GuardStatus;
use crate::priority::Rank;
use crate::timer::{NEVER, Timestamp};

pub use config::{LeaseConfig, Preemption, WhenUnreachable};
pub use error::LeaseConfigError;
pub use event::{LeaseEvent, LossReason};
pub use job::{HolderId, JobId, LeaseAnswer, LeaseJob, LeaseRequest};
pub use lifetime::{KERNEL_LAG, address_lifetime};
pub use preemption::Claim;
pub use store::MemoryStore;

use preemption::HandOver;
use slot::{Lane, Pending, Slot, Word};

/// How many events wait to be polled; beyond that the oldest are forgotten.
const MOST_EVENTS: usize = 32;

/// The lease of one router, or of all its virtual routers that move together.
///
/// Inputs come with the time: what the virtual router wants ([`request`](Self::request),
/// [`withdraw`](Self::withdraw)), that its addresses are gone
/// ([`addresses_gone`](Self::addresses_gone)), answers of stores ([`answer`](Self::answer)), and
/// [`tick`](Self::tick) at [`next_deadline`](Self::next_deadline). After each of them take all
/// [events](Self::poll_event) first, then all [jobs](Self::poll_job). Times never go back; one before
/// the last is taken as equal to it.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::lease::{HolderId, Lease, LeaseConfig, LeaseEvent, MemoryStore};
/// use lvs_vrrp::{GuardStatus, Priority, Rank};
///
/// let (removal_time, scheduling_delay) = (Duration::from_millis(300), Duration::from_millis(700));
/// let config = LeaseConfig::new(Duration::from_secs(10), removal_time, scheduling_delay)?;
/// let mut lease = Lease::new(config, HolderId::new(0x5eed));
/// let mut store = MemoryStore::new();
///
/// // The virtual router has heard nothing for long enough.
/// let sent = Duration::from_secs(60);
/// lease.request(sent, Rank::new(Priority::DEFAULT, "192.0.2.9".parse()?));
/// let job = lease.poll_job().unwrap();
/// let answered = sent + Duration::from_millis(40);
/// lease.answer(answered, job.id, store.handle(answered, &job.request));
///
/// // The deadline counts from when the request was sent.
/// let until = sent + Duration::from_millis(8_990);
/// let held = GuardStatus::Held { until, epoch: 1 };
/// assert_eq!(lease.poll_event(), Some(LeaseEvent::Status(held)));
/// assert_eq!(lease.next_deadline(), Some(sent + Duration::from_millis(2_900)));
///
/// // It stops being Active: the addresses go first, then the lease.
/// let later = sent + Duration::from_secs(1);
/// lease.withdraw(later);
/// assert_eq!(lease.poll_event(), Some(LeaseEvent::Status(GuardStatus::Unknown)));
/// assert_eq!(lease.poll_job(), None);
/// lease.addresses_gone(later + Duration::from_millis(5));
/// let job = lease.poll_job().unwrap();
/// store.handle(later + Duration::from_millis(6), &job.request);
/// assert_eq!(store.holder(), None);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lease {
    config: LeaseConfig,
    holder: HolderId,
    rank: Option<Rank>,
    slots: Vec<Slot>,
    /// The latest time it was told.
    now: Timestamp,
    phase: Phase,
    is_wanted: bool,
    /// The status was [`GuardStatus::Held`] since the addresses were last known to be gone.
    used: bool,
    /// The status is held though no store says so.
    is_open: bool,
    /// The last job's number.
    number: u64,
    /// The epoch of the present or last tenure.
    epoch: u64,
    /// The greatest epoch any store told.
    highest_epoch: u64,
    /// Holding: when the grace is over.
    ready_at: Timestamp,
    /// Holding, stopping: until when no store can have given the lease to another.
    exclusive_until: Option<Timestamp>,
    /// Asking: stores have been asked and not all have decided.
    in_round: bool,
    /// Asking: something has changed since then, so the next round follows at once.
    asks_again: bool,
    /// Asking: when to ask next.
    next_round: Timestamp,
    /// Asking: since when no majority could be reached.
    unreachable_since: Option<Timestamp>,
    is_alone: bool,
    hand_over: HandOver,
    published: GuardStatus,
    events: VecDeque<LeaseEvent>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing is held or asked for.
    Idle,
    /// The stores are asked, again and again.
    Asking,
    /// A majority granted the lease.
    Holding,
    /// The lease was lost or is not wanted any more, but the addresses may still be there. It is
    /// renewed where that is possible, so that nobody else gets it before they are gone.
    Stopping,
}

impl Lease {
    /// A lease that nobody wants yet.
    #[must_use]
    pub fn new(config: LeaseConfig, holder: HolderId) -> Self {
        Self {
            config,
            holder,
            rank: None,
            slots: (0..config.stores()).map(|_| Slot::default()).collect(),
            now: Timestamp::ZERO,
            phase: Phase::Idle,
            is_wanted: false,
            used: false,
            is_open: false,
            number: 0,
            epoch: 0,
            highest_epoch: 0,
            ready_at: Timestamp::ZERO,
            exclusive_until: None,
            in_round: false,
            asks_again: false,
            next_round: Timestamp::ZERO,
            unreachable_since: None,
            is_alone: false,
            hand_over: HandOver::default(),
            published: GuardStatus::Unknown,
            events: VecDeque::new(),
        }
    }

    /// The virtual router wants the lease: for
    /// [`Action::RequestGuard`](crate::Action::RequestGuard). The rank decides between claims.
    ///
    /// Asks until the lease is granted or [withdrawn](Self::withdraw); to request again changes only
    /// the rank. A lease that was lost has to be requested again.
    pub fn request(&mut self, now: Timestamp, rank: Rank) {
        self.advance(now);
        self.rank = Some(rank);
        self.is_wanted = true;
        if self.phase == Phase::Idle {
            self.phase = Phase::Asking;
            self.next_round = self.now;
        }
        self.settle();
    }

    /// The virtual router does not want the lease any more: for
    /// [`Action::ReleaseGuard`](crate::Action::ReleaseGuard).
    ///
    /// If it was held it is released when the addresses [are gone](Self::addresses_gone).
    pub fn withdraw(&mut self, now: Timestamp) {
        self.advance(now);
        self.is_wanted = false;
        if core::mem::take(&mut self.is_open) {
            self.tell(LeaseEvent::Closed);
        }
        match self.phase {
            Phase::Idle | Phase::Stopping => {}
            Phase::Asking | Phase::Holding if self.used => {
                self.note_hand_over();
                self.stop();
            }
            Phase::Asking | Phase::Holding => self.give_back(),
        }
        self.settle();
    }

    /// No virtual address is installed any more, and none will be unless the status says that the
    /// lease is held: releases a lease that is not wanted or was lost (§4.2, rule 5).
    ///
    /// Has to be told after each loss and withdrawal, at once if no address was installed. While the
    /// lease is held and wanted it does nothing.
    pub fn addresses_gone(&mut self, now: Timestamp) {
        self.advance(now);
        if self.phase == Phase::Stopping {
            self.settle();
            self.give_back();
        }
        self.settle();
    }

    /// A store answered a job. Answers that come too late, or twice, do no harm.
    pub fn answer(&mut self, now: Timestamp, id: JobId, answer: LeaseAnswer) {
        self.advance(now);
        self.hear(id, answer);
        self.settle();
    }

    /// Time has passed. Early or twice it does nothing.
    pub fn tick(&mut self, now: Timestamp) {
        self.advance(now);
        self.settle();
    }

    /// The effective priority, or the address from which advertisements come, has changed.
    pub const fn set_rank(&mut self, rank: Rank) {
        self.rank = Some(rank);
    }

    /// Whether an independent third check, which has not to be the network of VRRP nor the store,
    /// says that all other routers are down. At first it does not. Only
    /// [`WhenUnreachable::FailOpenIfAlone`] looks at it.
    pub fn set_alone(&mut self, now: Timestamp, is_alone: bool) {
        self.advance(now);
        self.is_alone = is_alone;
        if self.is_open && !self.may_open() {
            self.close();
        }
        self.settle();
    }

    /// The process was stopped, and the clock may not show for how long: a virtual machine was
    /// resumed or moved. A lease that was held is lost (§4.2, rule 7), and answers to what was asked
    /// before are void. Pauses that the clock shows need no such call.
    pub fn stalled(&mut self, now: Timestamp) {
        self.advance(now);
        for slot in &mut self.slots {
            slot.main = None;
            slot.claim = None;
        }
        match self.phase {
            Phase::Idle | Phase::Stopping => {}
            Phase::Asking | Phase::Holding => self.lose(LossReason::Doubt),
        }
        self.settle();
    }

    /// A store says, unasked, that something has changed: if the lease is wanted it is asked for at
    /// once, instead of after a request timeout or two. For stores that can be watched.
    pub fn store_changed(&mut self, now: Timestamp) {
        self.advance(now);
        if self.phase == Phase::Asking {
            self.next_round = self.now;
            // What is being asked may have been answered before the change.
            self.asks_again = self.in_round;
        }
        self.settle();
    }

    /// The next request to send, if there is any. Take all.
    pub fn poll_job(&mut self) -> Option<LeaseJob> {
        Lane::ALL
            .into_iter()
            .find_map(|lane| self.slots.iter_mut().find_map(|slot| slot.take_job(lane)))
    }

    /// What has happened since the last one, if anything; a change of status comes first, and only
    /// the last one is told. Take all.
    pub fn poll_event(&mut self) -> Option<LeaseEvent> {
        let status = self.status();
        if status != self.published {
            self.published = status;
            return Some(LeaseEvent::Status(status));
        }
        self.events.pop_front()
    }

    /// When to call [`tick`](Self::tick) at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let slots = self
            .slots
            .iter()
            .filter_map(|slot| self.slot_deadline(slot));
        slots
            .chain(self.phase_deadline())
            .filter(|deadline| *deadline != NEVER)
            .min()
    }

    /// Whether the lease is held, and until when.
    #[must_use]
    pub fn status(&self) -> GuardStatus {
        if self.is_open {
            return GuardStatus::Held {
                until: NEVER,
                epoch: self.epoch,
            };
        }
        if self.phase == Phase::Holding && self.now >= self.ready_at {
            if let Some(until) = self.stop_at() {
                return GuardStatus::Held {
                    until,
                    epoch: self.epoch,
                };
            }
        }
        let count = |word| self.count(|slot| slot.word == word);
        let majority = self.config.majority();
        if count(Word::Other) > self.config.stores().saturating_sub(majority) {
            GuardStatus::HeldByOther
        } else if count(Word::Free) >= majority {
            GuardStatus::Free
        } else {
            GuardStatus::Unknown
        }
    }

    /// H: when the holder begins to stop, unless a renewal is answered before. None when the lease is
    /// not held.
    #[must_use]
    pub fn stop_at(&self) -> Option<Timestamp> {
        if self.phase != Phase::Holding {
            return None;
        }
        let sent_at = self.majority_sent_at()?;
        Some(sent_at.saturating_add(self.config.time_to_stop()))
    }

    /// H + S + J: until when no store can have given the lease to another. The lifetime with which
    /// the kernel keeps the addresses has to end before (OP-4): see
    /// [`address_lifetime`](Self::address_lifetime). None when it is not known.
    #[must_use]
    pub const fn exclusive_until(&self) -> Option<Timestamp> {
        self.exclusive_until
    }

    /// Whether the status is held only because the arbiter cannot be reached: the others may think
    /// the same.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// The epoch of the lease that is held, or was held last; 0 before the first.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &LeaseConfig {
        &self.config
    }

    /// Who it asks for.
    #[must_use]
    pub const fn holder(&self) -> HolderId {
        self.holder
    }

    /// Whatever the input is, what was not answered in time and the end of the lease come first.
    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for index in 0..self.slots.len() {
            while let Some(job) = self
                .slots
                .get_mut(index)
                .and_then(|slot| slot.time_out(self.now))
            {
                self.fail(&job);
            }
        }
        self.check_deadline();
    }

    /// Does what follows from the last input.
    fn settle(&mut self) {
        self.conclude_round();
        self.extend();
        self.check_deadline();
        self.start_round_if_due();
        self.renew_if_due();
        self.release_if_due();
        self.open_if_due();
        self.check_breach();
        if matches!(self.status(), GuardStatus::Held { .. }) {
            self.used = true;
        }
    }

    fn hear(&mut self, id: JobId, answer: LeaseAnswer) {
        // An epoch that does not grow would fence nothing.
        let grows = |epoch| epoch > self.fenced_epoch();
        let is_new = matches!(answer, LeaseAnswer::Granted { epoch, .. } if grows(epoch));
        let Some(slot) = self.slots.get_mut(usize::from(id.store)) else {
            return;
        };
        let Some(job) = slot.finish(id) else {
            self.hear_late(id, answer);
            return;
        };
        match (job.request, answer) {
            (
                LeaseRequest::Acquire {
                    attempt,
                    epoch: asked,
                    ..
                },
                LeaseAnswer::Granted { epoch, vacated },
            ) if is_new && epoch >= asked => {
                let grant = slot::Grant {
                    attempt,
                    sent_at: job.sent_at,
                    epoch,
                    is_vacated: vacated,
                };
                self.highest_epoch = self.highest_epoch.max(epoch);
                self.take_grant(&job, grant);
            }
            (LeaseRequest::Acquire { attempt, .. }, LeaseAnswer::Refused { holder, epoch }) => {
                self.highest_epoch = self.highest_epoch.max(epoch);
                self.take_refusal(&job, attempt, holder);
            }
            (LeaseRequest::Renew { epoch, .. }, LeaseAnswer::Renewed) => {
                self.take_renewal(&job, epoch);
            }
            (LeaseRequest::Renew { attempt, .. }, LeaseAnswer::Lost { holder, epoch }) => {
                self.highest_epoch = self.highest_epoch.max(epoch);
                self.take_revocation(&job, attempt, holder);
            }
            (LeaseRequest::Release { up_to, .. }, LeaseAnswer::Released) => {
                slot.is_failing = false;
                slot.settled = slot.settled.max(up_to);
                if slot.last_attempt <= up_to {
                    slot.word = Word::Free;
                }
            }
            (LeaseRequest::WriteClaim { .. }, LeaseAnswer::ClaimWritten) => slot.is_failing = false,
            (LeaseRequest::ReadClaims { .. }, LeaseAnswer::Claims(claim)) => {
                slot.is_failing = false;
                if let Some(claim) = claim {
                    self.hear_claim(claim);
                }
            }
            _ => self.fail(&job),
        }
    }

    /// What has to be below a new epoch.
    fn fenced_epoch(&self) -> u64 {
        match self.phase {
            Phase::Holding => self.epoch.saturating_sub(1),
            _ => self.epoch,
        }
    }

    /// Puts a request into a lane, in place of what was there.
    fn post(&mut self, store: usize, lane: Lane, request: impl FnOnce(u64) -> LeaseRequest) {
        self.number = self.number.saturating_add(1);
        let job = LeaseJob {
            id: JobId {
                number: self.number,
                store: u8::try_from(store).unwrap_or(u8::MAX),
            },
            sent_at: self.now,
            answer_by: self.now.saturating_add(self.config.request_timeout()),
            request: request(self.number),
        };
        if let Some(slot) = self.slots.get_mut(store) {
            *slot.lane(lane) = Some(Pending {
                job,
                is_taken: false,
            });
        }
    }

    fn tell(&mut self, event: LeaseEvent) {
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn count(&self, has: impl Fn(&Slot) -> bool) -> u8 {
        let count = self.slots.iter().filter(|slot| has(slot)).count();
        u8::try_from(count).unwrap_or(u8::MAX)
    }

    /// When the request was sent that was sent first of those the majority needs.
    fn majority_sent_at(&self) -> Option<Timestamp> {
        let sent = |slot: &Slot| slot.grant.map(|grant| grant.sent_at);
        self.slots
            .iter()
            .filter_map(sent)
            .filter(|time| {
                let since = self.count(|slot| sent(slot) >= Some(*time));
                since >= self.config.majority()
            })
            .max()
    }

    /// Whether a majority of the stores answers.
    fn is_reachable(&self) -> bool {
        self.count(|slot| !slot.is_failing) >= self.config.majority()
    }

    /// How long after a request the next one to the same store may follow.
    fn retry_after(&self, job: &LeaseJob) -> Timestamp {
        let pause: Duration = self.config.request_timeout();
        job.sent_at.saturating_add(pause).max(self.now)
    }
}

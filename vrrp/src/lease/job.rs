//! What a lease asks of the stores, and what they answer.
//!
//! Whoever has a store, such as etcd, Consul, a Kubernetes Lease or a service of one's own, takes
//! jobs from [`Lease::poll_job`](super::Lease::poll_job), asks the store, and gives the answer to
//! [`Lease::answer`](super::Lease::answer). A store has to keep five promises:
//!
//! 1. At any time at most one holder has a grant, which lasts for the duration asked for at least,
//!    counted on the store's clock from when it processes the request.
//! 2. Each grant has an epoch greater than all before it, and at least the one asked for.
//! 3. A renewal is refused when the attempt it names is no longer the one that holds the lease, and
//!    a release leaves alone what a later attempt was granted: requests can overtake each other.
//! 4. An acquisition by the holder itself, with a higher attempt, replaces its grant.
//! 5. Grants outlive a restart of the store; or it grants nothing for the time of a lease after one.
//!
//! No adapter to a product is part of this crate. One could do it so:
//!
//! | Store | A grant is | The epoch is | Mind |
//! |---|---|---|---|
//! | etcd | a key that a transaction creates if it is absent, bound to an etcd lease of this attempt | in the value of a second key, raised in the same transaction | whole seconds: round up |
//! | Consul | a key acquired with a session of this attempt | in the value of a second key | sessions last 10 s at least; the lock delay of Consul is the grace, so a grant is vacated |
//! | Kubernetes Lease | the record, replaced if its version is still the one that was seen unchanged for its duration, on the clock of whoever replaces it | the number of transitions | the times in the record come from other clocks: do not compare them |
//! | a witness of one's own | [`MemoryStore`](super::MemoryStore) behind a socket | counted | promise 5 |

use core::fmt;
use core::time::Duration;

use super::preemption::Claim;
use crate::timer::Timestamp;

/// Who holds, or wants, a lease: another number for each start of a process, so that a restarted one
/// is not taken for the one before it. A random UUID will do.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HolderId(u128);

impl HolderId {
    /// The holder with that number.
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

/// As 32 hexadecimal digits.
impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Which job an answer is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobId {
    pub(super) number: u64,
    pub(super) store: u8,
}

impl JobId {
    /// Which store is asked, counted from 0.
    #[must_use]
    pub const fn store(self) -> u8 {
        self.store
    }

    /// The number of the job, which grows.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// A request to one store.
///
/// The time of a lease counts from [`sent_at`](Self::sent_at), the instant before the request can
/// have been sent: to send it late makes the lease shorter, never longer than the store's.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LeaseJob {
    /// Which job it is.
    pub id: JobId,
    /// When it counts as sent.
    pub sent_at: Timestamp,
    /// When the lease stops waiting for the answer, and asks anew if it still needs one.
    pub answer_by: Timestamp,
    /// What the store is asked.
    pub request: LeaseRequest,
}

/// What a store is asked.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LeaseRequest {
    /// To grant the lease: [`Granted`](LeaseAnswer::Granted) or [`Refused`](LeaseAnswer::Refused).
    Acquire {
        /// To whom.
        holder: HolderId,
        /// Which attempt of this holder it is, a number that grows.
        attempt: u64,
        /// For how long.
        duration: Duration,
        /// The least epoch the grant is to have.
        epoch: u64,
    },
    /// To let a grant begin anew: [`Renewed`](LeaseAnswer::Renewed) or [`Lost`](LeaseAnswer::Lost).
    Renew {
        /// Whose grant.
        holder: HolderId,
        /// The attempt that was granted.
        attempt: u64,
        /// For how long from now on.
        duration: Duration,
        /// The epoch, to be remembered if it is greater than the store's: several stores agree on
        /// one by this.
        epoch: u64,
    },
    /// To free what was granted to this holder, and to forget its claim:
    /// [`Released`](LeaseAnswer::Released), also where there was nothing.
    Release {
        /// Whose grant.
        holder: HolderId,
        /// The last attempt that is concerned: it and those before are over, also if they arrive
        /// later.
        up_to: u64,
    },
    /// To keep a claim for a while, in place of the one this holder had:
    /// [`ClaimWritten`](LeaseAnswer::ClaimWritten).
    WriteClaim {
        /// Who wants the lease, with what rank.
        claim: Claim,
        /// How long it is kept.
        duration: Duration,
    },
    /// To tell the claim with the greatest rank among those of others:
    /// [`Claims`](LeaseAnswer::Claims).
    ReadClaims {
        /// Who asks.
        holder: HolderId,
    },
}

/// What a store answered. An answer that does not fit the request counts as
/// [`Failed`](Self::Failed).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LeaseAnswer {
    /// The lease is granted.
    Granted {
        /// The epoch of this grant, greater than all before it.
        epoch: u64,
        /// Whether the grace is over: the holder before gave the lease back, or there was none, or
        /// the store itself waited after the lease of that holder had ended. If not, the lease
        /// waits [`LeaseConfig::grace`](super::LeaseConfig::grace) before it says that it is held.
        vacated: bool,
    },
    /// The lease is not granted.
    Refused {
        /// Who holds it; nobody if the store lets time pass before it grants it again.
        holder: Option<HolderId>,
        /// The epoch of the last grant.
        epoch: u64,
    },
    /// The lease begins anew.
    Renewed,
    /// The lease cannot be renewed, for it is not held by this attempt.
    Lost {
        /// Who holds it.
        holder: Option<HolderId>,
        /// The epoch of the last grant.
        epoch: u64,
    },
    /// There is nothing left of what was to be released.
    Released,
    /// The claim is kept.
    ClaimWritten,
    /// The greatest claim of others, if there is any.
    Claims(Option<Claim>),
    /// The store could not be reached, or answered with an error. Whether it did what it was asked is
    /// not known.
    Failed,
}

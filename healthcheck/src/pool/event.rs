//! What a pool tells: changes of the table, and events.

use core::fmt;
use core::time::Duration;

use super::settings::Guard;
use crate::aggregate::{Desired, Reason};
use crate::outcome::AdminHint;

/// Why a destination has its entry, or none; `Display` gives words.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// What is known of the destination itself: checks, votes, slow start.
    Own(Reason),
    /// It waits for its first verdict.
    Waiting,
    /// There was no verdict in time, so it counts as up.
    Unjudged,
    /// An observer [ejected](super::Pool::eject) it.
    Ejected,
    /// It is not configured any more.
    NotConfigured,
    /// The sorry server has taken over.
    Replaced,
    /// The whole service is withdrawn: too few destinations are healthy.
    Withdrawn,
    /// It failed, but so many did that all count as healthy.
    FailOpen,
    /// It failed, but so many did that it is kept.
    Frozen,
    /// Its connections are over.
    Drained,
    /// Its connections were not over in time.
    DrainTimedOut,
    /// It is the sorry server, and is needed.
    SorryNeeded,
    /// It is the sorry server, and is not needed.
    SorryIdle,
    /// The service has ended.
    Stopped,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Own(reason) => own(*reason),
            Self::Waiting => "waiting for the first verdict",
            Self::Unjudged => "no verdict in time",
            Self::Ejected => "ejected by an observer",
            Self::NotConfigured => "not configured any more",
            Self::Replaced => "the sorry server has taken over",
            Self::Withdrawn => "the service is withdrawn",
            Self::FailOpen => "down, but so many are that all count as healthy",
            Self::Frozen => "down, but so many are that it is kept",
            Self::Drained => "drained",
            Self::DrainTimedOut => "drain took too long",
            Self::SorryNeeded => "sorry server needed",
            Self::SorryIdle => "sorry server not needed",
            Self::Stopped => "the service has ended",
        })
    }
}

/// What is known of a destination itself, in words.
const fn own(reason: Reason) -> &'static str {
    match reason {
        Reason::Maint => "voted into maintenance",
        Reason::Drain => "voted to drain",
        Reason::Suppressed => "went down too often",
        Reason::MinDownTime => "not down for long enough",
        Reason::Down => "its checks say down",
        Reason::Unknown => "waiting for the first verdict",
        Reason::Adopted => "kept as found until the first verdict",
        Reason::NoNew => "a check asks for no new connections",
        Reason::SlowStart => "slow start",
        Reason::MinUpTime => "its checks say down, but it was not up for long enough",
        Reason::Up => "healthy",
    }
}

/// One step to another table. `Display` is a line: `a: weight 4 to out (its checks say down)`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Change<D> {
    /// The destination; for the sorry server, too.
    pub destination: D,
    /// What the table holds before.
    pub from: Desired,
    /// What it is to hold.
    pub to: Desired,
    /// Why.
    pub cause: Cause,
}

impl<D: fmt::Display> fmt::Display for Change<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            destination,
            from,
            to,
            cause,
        } = self;
        let (from, to) = (Words(*from), Words(*to));
        write!(f, "{destination}: {from} to {to} ({cause})")
    }
}

/// An entry in words.
pub(super) struct Words(pub(super) Desired);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Desired::Absent => f.write_str("out"),
            Desired::Present { weight } => write!(f, "weight {weight}"),
        }
    }
}

/// Connections of a destination, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the kernel's three counters")]
pub struct Connections {
    /// Established.
    pub active: u32,
    /// All others.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
}

/// Something that happened in a pool; `Display` is a line for people.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PoolEvent<D> {
    /// A destination is healthy now.
    Up {
        /// Which.
        destination: D,
    },
    /// A destination is not healthy any more.
    Down {
        /// Which.
        destination: D,
        /// Why.
        cause: Cause,
    },
    /// The strongest vote about a destination is another.
    Voted {
        /// Which.
        destination: D,
        /// The vote before.
        from: AdminHint,
        /// The vote now.
        to: AdminHint,
    },
    /// The quorum is gained.
    QuorumUp {
        /// Sum of the weights of healthy destinations.
        weight: u64,
        /// The configured quorum.
        quorum: u64,
    },
    /// The quorum is lost.
    QuorumDown {
        /// Sum of the weights of healthy destinations.
        weight: u64,
        /// The configured quorum.
        quorum: u64,
    },
    /// The sorry server is needed.
    SorryOn {
        /// The sorry server.
        destination: D,
    },
    /// The sorry server is not needed any more.
    SorryOff {
        /// The sorry server.
        destination: D,
    },
    /// The health of the sorry server itself is another. The table stays: it is the last resort.
    SorryHealth {
        /// The sorry server.
        destination: D,
        /// Whether its check says up.
        is_up: bool,
    },
    /// Too few destinations are healthy: the service as a whole is to go.
    Withdrawn {
        /// Healthy destinations.
        healthy: usize,
        /// Destinations that count.
        total: usize,
    },
    /// Enough destinations are healthy again.
    Offered {
        /// Healthy destinations.
        healthy: usize,
        /// Destinations that count.
        total: usize,
    },
    /// The guard acts.
    GuardOn {
        /// How.
        guard: Guard,
        /// Healthy destinations.
        healthy: usize,
        /// Destinations with a verdict.
        total: usize,
    },
    /// The guard acts no more.
    GuardOff,
    /// A destination gets no new connections and will leave when the others are over.
    DrainStarted {
        /// Which.
        destination: D,
        /// Why.
        cause: Cause,
        /// The longest it may take; `None` for no limit.
        limit: Option<Duration>,
    },
    /// A drain is over: no connections are left.
    DrainDone {
        /// Of which destination.
        destination: D,
    },
    /// A drain is over: the limit is reached.
    DrainTimedOut {
        /// Of which destination.
        destination: D,
        /// The connections seen last, if any were told.
        left: Option<Connections>,
    },
    /// A drain is over: the destination is wanted again, or is to leave at once.
    DrainCancelled {
        /// Of which destination.
        destination: D,
    },
    /// A destination is new in the configuration.
    Added {
        /// Which.
        destination: D,
    },
    /// A destination has left the configuration.
    Removed {
        /// Which.
        destination: D,
    },
    /// Every destination has a verdict, or had its time.
    Ready,
    /// What checks say is not listened to, as told.
    Suspended,
    /// What checks say counts again.
    Resumed,
    /// The service has ended.
    Stopped,
}

impl<D: fmt::Display> fmt::Display for PoolEvent<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { destination } => write!(f, "{destination} is up"),
            Self::Down { destination, cause } => write!(f, "{destination} is down ({cause})"),
            Self::Voted {
                destination,
                from,
                to,
            } => write!(f, "{destination} is voted {to}, was {from}"),
            Self::QuorumUp { weight, quorum } => {
                write!(f, "quorum gained: weight {weight}, quorum {quorum}")
            }
            Self::QuorumDown { weight, quorum } => {
                write!(f, "quorum lost: weight {weight}, quorum {quorum}")
            }
            Self::SorryOn { destination } => write!(f, "sorry server {destination} is needed"),
            Self::SorryOff { destination } => {
                write!(f, "sorry server {destination} is not needed any more")
            }
            Self::SorryHealth { destination, is_up } => {
                let word = if *is_up { "up" } else { "down" };
                write!(f, "sorry server {destination} is {word}")
            }
            Self::Withdrawn { healthy, total } => {
                write!(f, "service withdrawn: {healthy} of {total} healthy")
            }
            Self::Offered { healthy, total } => {
                write!(f, "service offered: {healthy} of {total} healthy")
            }
            Self::GuardOn {
                guard,
                healthy,
                total,
            } => {
                let word = match guard {
                    Guard::FailOpen => "all count as healthy",
                    Guard::Freeze => "nothing more is removed",
                };
                write!(f, "guard: {healthy} of {total} healthy, {word}")
            }
            Self::GuardOff => f.write_str("guard: enough are healthy again"),
            Self::DrainStarted {
                destination,
                cause,
                limit,
            } => {
                write!(f, "{destination} drains ({cause}), ")?;
                match limit {
                    Some(limit) => write!(f, "{limit:?} at most"),
                    None => f.write_str("without limit"),
                }
            }
            Self::DrainDone { destination } => write!(f, "{destination} is drained"),
            Self::DrainTimedOut { destination, left } => {
                write!(f, "{destination} is not drained in time")?;
                match left {
                    Some(left) => write!(
                        f,
                        ": {} active, {} inactive, {} persistent",
                        left.active, left.inactive, left.persistent
                    ),
                    None => Ok(()),
                }
            }
            Self::DrainCancelled { destination } => write!(f, "{destination} drains no more"),
            Self::Added { destination } => write!(f, "{destination} added"),
            Self::Removed { destination } => write!(f, "{destination} removed"),
            Self::Ready => f.write_str("ready"),
            Self::Suspended => f.write_str("checks suspended"),
            Self::Resumed => f.write_str("checks count again"),
            Self::Stopped => f.write_str("service ended"),
        }
    }
}

/// What one turn came to. Carry out the changes in their order, then tell the events in theirs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Batch<D> {
    /// Steps to the new table; after each of them the service has as much weight as can be.
    pub changes: Vec<Change<D>>,
    /// What happened, in the order it did.
    pub events: Vec<PoolEvent<D>>,
}

impl<D> Batch<D> {
    /// Nothing to do.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            changes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Whether there is nothing to do and nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.events.is_empty()
    }
}

impl<D> Default for Batch<D> {
    fn default() -> Self {
        Self::new()
    }
}

//! What a lease tells.

use core::time::Duration;

use super::preemption::Claim;
use crate::guard::GuardStatus;
use crate::timer::Timestamp;

/// Something that whoever uses a lease has to know.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LeaseEvent {
    /// The status is another one: for [`Event::Guard`](crate::Event::Guard) of the virtual routers.
    Status(GuardStatus),
    /// The lease was lost while it was held; the addresses must go.
    Lost(LossReason),
    /// Somebody with a better claim waits: for [`Event::Yield`](crate::Event::Yield). Told again
    /// with each claim that is read until the lease is given back.
    Yield(Claim),
    /// The arbiter cannot be reached, and the [policy](super::WhenUnreachable) says to go on without
    /// it: from here on, two may be Active.
    Opened,
    /// The arbiter decides again.
    Closed,
    /// The promise is broken: the addresses were not gone by this time, from which on the arbiter may
    /// have let another one have the lease.
    Breach {
        /// Since when another router may be Active.
        since: Timestamp,
    },
}

/// Why a lease was lost.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LossReason {
    /// No renewal was answered in time.
    Expired {
        /// How long after the deadline this was noticed. More than the scheduling delay that was
        /// declared means that another router may have become Active meanwhile.
        late: Duration,
    },
    /// The stores say that it is not held, earlier than it could have ended: it was taken away, or
    /// they forgot it.
    Revoked,
    /// The process was stopped, and its clock may not have counted the time.
    Doubt,
}

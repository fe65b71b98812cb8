//! What a plan does with entries nobody asked for, and whether it minds their order.

use core::time::Duration;

use super::scope::Scope;
use crate::scheduler::Scheduler;
use crate::service::{Protocol, ServiceKey};

/// Longest time a destination drains, unless [`Drain::with_limit`] says otherwise.
const DRAIN_LIMIT: Duration = Duration::from_secs(300);

/// The rules a [`Plan`](crate::Plan) keeps to.
///
/// ```
/// use lvs_ipvs::{Policy, Scope, Surplus};
///
/// // Services on 192.0.2.0/24 are ours; servers taken out of them finish their connections.
/// let scope = Scope::none().with_addresses("192.0.2.0".parse()?, 24, 0..=65535)?;
/// let policy = Policy::new(scope).with_surplus_destinations(Surplus::Drain);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[must_use]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Which services may be touched.
    pub scope: Scope,
    /// Services in scope that are not desired. Default: [`Surplus::Delete`].
    pub surplus_services: Surplus,
    /// Destinations that are not desired, of services that are. Default: [`Surplus::Delete`], since
    /// a plan that is applied only once would never come to the end of a drain.
    pub surplus_destinations: Surplus,
    /// How [`Surplus::Drain`] drains.
    pub drain: Drain,
    /// Whose destinations are put in the desired order. Default: [`DestinationOrder::Any`].
    pub order: DestinationOrder,
}

impl Policy {
    /// Touches what is in scope, deletes what is surplus there, and leaves the order alone.
    pub const fn new(scope: Scope) -> Self {
        Self {
            scope,
            surplus_services: Surplus::Delete,
            surplus_destinations: Surplus::Delete,
            drain: Drain::new(),
            order: DestinationOrder::Any,
        }
    }

    /// Replaces what is done with services that are not desired.
    pub const fn with_surplus_services(mut self, surplus: Surplus) -> Self {
        self.surplus_services = surplus;
        self
    }

    /// Replaces what is done with destinations that are not desired.
    pub const fn with_surplus_destinations(mut self, surplus: Surplus) -> Self {
        self.surplus_destinations = surplus;
        self
    }

    /// Replaces how [`Surplus::Drain`] drains.
    pub const fn with_drain(mut self, drain: Drain) -> Self {
        self.drain = drain;
        self
    }

    /// Replaces whose destinations are put in the desired order.
    pub const fn with_order(mut self, order: DestinationOrder) -> Self {
        self.order = order;
        self
    }
}

/// What to do with an entry that is there and not desired.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Surplus {
    /// Remove it at once. What becomes of its connections is up to the sysctl
    /// `expire_nodest_conn`: their packets are dropped in silence, or they end with the next one.
    #[default]
    Delete,
    /// Send it no new connections (weight 0), and remove it when the last one has ended, at the
    /// latest after a limit; see [`Drain`]. A destination that is desired again in the meantime
    /// gets its weight back and keeps its place, counters and connections (`OP-11`).
    Drain,
    /// Leave it as it is.
    Keep,
}

/// How destinations are drained.
///
/// A destination drains from the moment a plan sets its weight to 0 until it has neither active
/// nor inactive connections (`OP-11`); for TCP that is two minutes after the last one was closed. A
/// plan of its own knows no time: made again and again it removes what has drained. The limit is
/// kept by a [`Reconciler`](crate::Reconciler), which remembers when draining began.
///
/// ```
/// use core::time::Duration;
/// use lvs_ipvs::Drain;
///
/// let patient = Drain::new().with_limit(Some(Duration::from_secs(3600)));
/// assert_eq!(Drain::new().limit, Some(Duration::from_secs(300)));
/// ```
#[non_exhaustive]
#[must_use]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Drain {
    /// Longest time a destination drains; what connections are left then are cut off. `None`
    /// waits for ever, 0 not at all; in a plan of its own there is no limit. Default: 300 s.
    pub limit: Option<Duration>,
    /// Whether destinations of UDP services drain too. A client that keeps sending keeps its
    /// entry for ever (`OP-10`), so by default they are removed at once. Entries of one-packet
    /// services end at once either way.
    pub udp: bool,
    /// Whether inactive connections count. For TCP these are the ones that open or close: one that
    /// both ends have closed is remembered for two minutes. Default: yes, since without them the
    /// last packets of a connection may be lost.
    pub inactive: bool,
    /// Whether persistence templates count as connections. They send returning clients to the
    /// destination even at weight 0 unless the sysctl `expire_quiescent_template` is 1; with it
    /// 0, each such client prolongs the drain. Default: no.
    pub persistent: bool,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// Drains for 300 s at most, not for UDP, and does not wait for persistence templates.
    pub const fn new() -> Self {
        Self {
            limit: Some(DRAIN_LIMIT),
            udp: false,
            inactive: true,
            persistent: false,
        }
    }

    /// Replaces the longest time; `None` waits for ever.
    pub const fn with_limit(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// Replaces whether destinations of UDP services drain.
    pub const fn with_udp(mut self, udp: bool) -> Self {
        self.udp = udp;
        self
    }

    /// Replaces whether inactive connections count.
    pub const fn with_inactive(mut self, inactive: bool) -> Self {
        self.inactive = inactive;
        self
    }

    /// Replaces whether persistence templates count as connections.
    pub const fn with_persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Whether destinations of that service drain at all. A firewall mark hides the protocol, so
    /// those of its services do.
    pub(crate) fn applies_to(&self, service: &ServiceKey) -> bool {
        let is_udp = matches!(
            service,
            ServiceKey::Address { protocol, .. } if *protocol == Protocol::UDP
        );
        self.udp || !is_udp
    }
}

/// Whether the order of a service's destinations is part of what is desired.
///
/// The kernel adds a destination at the head of the list and cannot move one. So the order is
/// that of the history, and two directors with different histories differ (`OP-12`): schedulers
/// that hash then send the same client elsewhere, others start their turn elsewhere. Putting the
/// desired order in place means removing destinations and adding them again at once. The kernel
/// keeps counters and connections of a destination that comes back within some minutes, but a
/// packet in between is dropped, or ends its connection when the sysctl `expire_nodest_conn` is
/// on; and schedulers that hash send some clients elsewhere from then on.
/// [`Plan::out_of_order`](crate::Plan::out_of_order) says what it costs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum DestinationOrder {
    /// The order is as it came about.
    #[default]
    Any,
    /// The desired order, for services whose scheduler hashes: `dh`, `sh`, `mh`.
    ForHashing,
    /// The desired order, for every service.
    Exact,
}

impl DestinationOrder {
    pub(crate) const fn matters_to(self, scheduler: Scheduler) -> bool {
        match self {
            Self::Any => false,
            Self::ForHashing => {
                matches!(scheduler, Scheduler::Dh | Scheduler::Sh | Scheduler::Mh)
            }
            Self::Exact => true,
        }
    }
}

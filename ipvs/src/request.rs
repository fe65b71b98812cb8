//! What can be asked of the kernel: changes, which are acknowledged, and queries, which are
//! answered.

use crate::config::Timeouts;
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::destination::{Destination, DestinationKey};
use crate::invalid::ValidationError;
use crate::service::{ServiceKey, VirtualService};

/// A request that changes something and gets an acknowledgement.
///
/// `Display` writes the `ipvsadm` command line that would do the same, as far as `ipvsadm` can:
/// it knows no local forwarding, no other protocols, and no flags without a name.
///
/// ```
/// use lvs_ipvs::{Change, VirtualService};
/// let add = Change::AddService(VirtualService::tcp("192.0.2.10:80".parse()?));
/// assert_eq!(add.to_string(), "ipvsadm -A -t 192.0.2.10:80 -s wlc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Adds a service; rejected when it exists.
    AddService(VirtualService),
    /// Replaces the settings of a service; rejected when it does not exist.
    SetService(VirtualService),
    /// Removes a service with its destinations; rejected when it does not exist.
    RemoveService(ServiceKey),
    /// Adds a destination at the head of the service's list; rejected when it exists.
    AddDestination(ServiceKey, Destination),
    /// Replaces the settings of a destination; rejected when it does not exist.
    SetDestination(ServiceKey, Destination),
    /// Removes a destination; rejected when it does not exist.
    RemoveDestination(ServiceKey, DestinationKey),
    /// Starts a sync daemon; rejected when one of that role runs.
    StartDaemon(SyncDaemon),
    /// Stops the sync daemon of that role; rejected when none runs. Takes up to seconds.
    StopDaemon(DaemonRole),
    /// Sets the timeouts that are given.
    SetTimeouts(Timeouts),
    /// Zeroes the counters of one service and its destinations, or of all and the totals.
    Zero(Option<ServiceKey>),
    /// Removes every service of the network namespace.
    Flush,
}

impl Change {
    /// Checks the arguments, as every client does before it sends a change.
    ///
    /// # Errors
    ///
    /// The first field that cannot be right.
    pub fn validate(&self) -> Result<(), ValidationError> {
        match self {
            Self::AddService(service) | Self::SetService(service) => service.validate(),
            Self::AddDestination(service, destination)
            | Self::SetDestination(service, destination) => destination.validate(service),
            Self::RemoveService(key) | Self::RemoveDestination(key, _) | Self::Zero(Some(key)) => {
                key.validate_mark()
            }
            Self::StartDaemon(daemon) => daemon.validate(),
            Self::SetTimeouts(timeouts) => timeouts.validate(),
            Self::StopDaemon(_) | Self::Zero(None) | Self::Flush => Ok(()),
        }
    }

    /// The service the change is about, if it is about one.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceKey> {
        match self {
            Self::AddService(service) | Self::SetService(service) => Some(service.key()),
            Self::RemoveService(key)
            | Self::AddDestination(key, _)
            | Self::SetDestination(key, _)
            | Self::RemoveDestination(key, _) => Some(*key),
            Self::Zero(key) => *key,
            Self::StartDaemon(_) | Self::StopDaemon(_) | Self::SetTimeouts(_) | Self::Flush => None,
        }
    }
}

/// A request that is answered with what is asked for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Query {
    /// One service; rejected when it does not exist.
    Service(ServiceKey),
    /// All services, in the kernel's order.
    Services,
    /// The destinations of a service, newest first. A missing service looks like one without
    /// destinations.
    Destinations(ServiceKey),
    /// The running sync daemons.
    Daemons,
    /// The timeouts.
    Timeouts,
    /// Version and table size.
    Info,
    /// The `IPVS` generic netlink family, by name.
    Family,
}

impl Query {
    /// Checks the arguments, as every client does before it asks.
    ///
    /// # Errors
    ///
    /// Firewall mark 0, which the kernel takes for the service `TCP 0.0.0.0:0`.
    pub fn validate(&self) -> Result<(), ValidationError> {
        match self {
            Self::Service(key) | Self::Destinations(key) => key.validate_mark(),
            _ => Ok(()),
        }
    }

    /// Whether the answer is a dump: any number of messages and an end mark.
    #[must_use]
    pub const fn is_dump(&self) -> bool {
        matches!(self, Self::Services | Self::Destinations(_) | Self::Daemons)
    }
}

/// A change or a query.
#[expect(clippy::exhaustive_enums, reason = "there is no third kind")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Acknowledged.
    Change(Change),
    /// Answered.
    Query(Query),
}

impl From<Change> for Request {
    fn from(change: Change) -> Self {
        Self::Change(change)
    }
}

impl From<Query> for Request {
    fn from(query: Query) -> Self {
        Self::Query(query)
    }
}

//! The steps of the algorithms that remember destinations.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Step;

/// What `lblc` and `lblcr` did with their cache. `address` is the one the client sent to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheStep {
    /// Before the pick a collection dropped entries.
    Collected {
        /// How many.
        entries: usize,
        /// For how long an entry must have been unused to be dropped.
        unused: Duration,
    },
    /// There is an entry.
    Hit {
        /// The address looked up.
        address: IpAddr,
        /// How many servers it has.
        servers: u32,
    },
    /// There is no entry.
    Miss {
        /// The address looked up.
        address: IpAddr,
    },
    /// A server of the entry is left out: it is not in the list of its service any more.
    Removed {
        /// That server.
        server: SocketAddr,
    },
    /// The entry's server has more active connections than its weight.
    Busy {
        /// That server.
        server: SocketAddr,
        /// Its active connections.
        active: u32,
        /// Its weight.
        weight: u32,
        /// Somebody who is below half load; only then another server is looked for.
        relief: Option<Relief>,
    },
    /// A new entry was made.
    Created {
        /// The address that has an entry now.
        address: IpAddr,
        /// Its server.
        server: SocketAddr,
    },
    /// The entry has another server now (`lblc`).
    Moved {
        /// The address of the entry.
        address: IpAddr,
        /// Its former server.
        from: SocketAddr,
        /// Its present server.
        to: SocketAddr,
    },
    /// The server that was picked afresh is one that the entry has already.
    Kept {
        /// The address of the entry.
        address: IpAddr,
        /// That server.
        server: SocketAddr,
    },
    /// The entry has one server more now (`lblcr`).
    Added {
        /// The address of the entry.
        address: IpAddr,
        /// The new server.
        server: SocketAddr,
        /// How many it has now.
        servers: u32,
    },
    /// The entry has lost the most loaded of its servers, for they had been the same for long
    /// (`lblcr`).
    Evicted {
        /// The address of the entry.
        address: IpAddr,
        /// That server.
        server: SocketAddr,
        /// For how long they had been the same.
        unchanged: Duration,
    },
    /// The cache is full: the pick is not remembered.
    Full {
        /// The address that gets no entry.
        address: IpAddr,
    },
}

/// Somebody who is below half load.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Relief {
    /// Who.
    pub server: SocketAddr,
    /// Active connections, less than half the weight.
    pub active: u32,
    /// The weight.
    pub weight: u32,
}

impl From<CacheStep> for Step {
    fn from(step: CacheStep) -> Self {
        Self::Cache(step)
    }
}

impl fmt::Display for CacheStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collected { entries, unused } => write!(
                f,
                "collection: {entries} of the cache's entries dropped, unused for {} s",
                unused.as_secs()
            ),
            Self::Hit { address, servers } => {
                let plural = if *servers == 1 { "" } else { "s" };
                write!(f, "{address} is cached, {servers} server{plural}")
            }
            Self::Miss { address } => write!(f, "{address} is not cached"),
            Self::Removed { server } => write!(f, "{server}: left out, removed"),
            Self::Busy {
                server,
                active,
                weight,
                relief,
            } => {
                write!(f, "{server}: {active} active for weight {weight}, ")?;
                match relief {
                    Some(relief) => write!(
                        f,
                        "too busy: {} has {} for {}",
                        relief.server, relief.active, relief.weight
                    ),
                    None => f.write_str("but nobody is below half load"),
                }
            }
            Self::Created { address, server } => {
                write!(f, "{address} is cached from now on, goes to {server}")
            }
            Self::Moved { address, from, to } => write!(f, "{address} moves from {from} to {to}"),
            Self::Kept { address, server } => write!(f, "{address} has {server} already"),
            Self::Added {
                address,
                server,
                servers,
            } => write!(f, "{address} gets {server} too, {servers} servers now"),
            Self::Evicted {
                address,
                server,
                unchanged,
            } => write!(
                f,
                "{address} loses {server}, the most loaded, after {} s without change",
                unchanged.as_secs()
            ),
            Self::Full { address } => write!(f, "{address} is not cached, the cache is full"),
        }
    }
}

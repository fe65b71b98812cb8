//! What can go wrong with the demonstration.

use core::net::SocketAddr;
use std::io;

/// Why the demonstration did not start, or did not do what was asked.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum FarmError {
    /// The environment: an address cannot be had.
    #[error("cannot listen on {address} for {role}")]
    Bind {
        /// Who wanted the address: "the forwarder", "server 2".
        role: String,
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The environment: no event loop, no thread, or no reading of the process's limits.
    #[error("cannot set up the demonstration's event loop")]
    Runtime(#[source] io::Error),
    /// The caller named a server that does not exist.
    #[error("there is no server {number}: servers are numbered from 1 to {count}")]
    NoSuchServer {
        /// The number given.
        number: usize,
        /// How many servers there are.
        count: usize,
    },
    /// The caller gave destinations that the scheduler refuses.
    #[error("destinations refused")]
    Destinations(#[source] lvs_schedulers::Error),
    /// A table names a scheduler that the kernel does not have.
    #[error(transparent)]
    Scheduler(#[from] lvs_schedulers::UnknownScheduler),
    /// The demonstration's thread has ended.
    #[error("the demonstration has ended")]
    Ended,
}

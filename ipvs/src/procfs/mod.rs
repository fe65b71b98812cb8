//! What the kernel shows of IPVS under `/proc/net`, without privilege and without netlink.
//!
//! | File | Shows | Reader |
//! |---|---|---|
//! | `ip_vs_conn` | connections and persistence templates | [`Connections`] |
//! | `ip_vs_conn_sync` | the same, and whether they were made here | [`Connections`] |
//! | `ip_vs` | services and destinations, with less detail than netlink | [`Services`] |
//! | `ip_vs_stats` | counters and rates of all services together | [`Totals`] |
//! | `ip_vs_stats_percpu` | the same for each CPU | [`CpuTotals`] |
//! | `ip_vs_app` | helpers for protocols that carry addresses | [`Applications`] |
//! | `ip_vs_status` | how full the tables are, on newer kernels, for root | [`Status`] |
//!
//! All files are those of one network namespace: that of the calling thread for the `open`
//! functions, another one through [`Namespace`](crate::Namespace).
//!
//! Readers are streams: they keep one line, of at most 1024 bytes, and what is in a file of any
//! length costs no more memory than that. A line that cannot be read is a [`MalformedLine`] with
//! number, column and text, and reading goes on with the next one. Names that are not known are
//! values.

mod applications;
mod connections;
mod error;
mod lines;
mod services;
mod state;
mod status;
mod totals;
mod words;

use std::fs::File;
use std::io::{self, BufReader};

pub use applications::{Application, Applications};
pub use connections::{Connection, ConnectionCounts, ConnectionRow, Connections, Origin};
pub use error::{MalformedLine, ReadError};
pub use services::{
    ListedDestination, ListedKey, ListedPersistence, ListedService, Services, ServicesRow,
};
pub use state::{ConnectionState, OtherState};
pub use status::Status;
pub use totals::{CpuTotals, Totals};

use crate::error::Error;

/// Opens a file of the thread's network namespace. `/proc/net` itself would be that of the
/// process's first thread.
pub(crate) fn open(name: &str) -> Result<BufReader<File>, Error> {
    let path = format!("/proc/thread-self/net/{name}");
    match File::open(&path) {
        Ok(file) => Ok(BufReader::with_capacity(BUFFER, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Unavailable),
        Err(error) => Err(Error::io(format!("cannot open {path}"), error)),
    }
}

/// The kernel fills a page at a time for a reader that asks for less.
const BUFFER: usize = 32 * 1024;

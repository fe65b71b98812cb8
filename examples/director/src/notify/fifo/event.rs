//! What happens to FIFOs.

use core::fmt;

use serde_json::{Value, json};

use crate::notify::Ended;

/// What happened to a FIFO or to its reader; `Display` is a line for people.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FifoEvent {
    /// It cannot be written: that is tried again with each line.
    NotOpened {
        /// The FIFO.
        path: String,
        /// Why.
        reason: String,
    },
    /// Its reader cannot be started.
    NotRead {
        /// The FIFO.
        path: String,
        /// Why.
        reason: String,
    },
    /// Its reader has ended, and nobody had asked it to.
    ReaderEnded {
        /// The FIFO.
        path: String,
        /// How.
        ended: Ended,
    },
    /// A line is lost. Those lost after it are only counted.
    Losing {
        /// The FIFO.
        path: String,
        /// What was to be said.
        line: String,
        /// Why nobody hears it.
        reason: String,
    },
    /// So many lines were lost since it was told last: told when there is room again, and at the end.
    Lost {
        /// The FIFO.
        path: String,
        /// The lines.
        count: u64,
    },
}

impl FifoEvent {
    /// Its name and what belongs to it, for JSON.
    #[must_use]
    pub fn fields(&self) -> (&'static str, Value) {
        match self {
            Self::NotOpened { path, reason } => {
                ("fifo-not-opened", json!({ "path": path, "reason": reason }))
            }
            Self::NotRead { path, reason } => {
                ("fifo-not-read", json!({ "path": path, "reason": reason }))
            }
            Self::ReaderEnded { path, ended } => (
                "fifo-reader-ended",
                json!({ "path": path, "result": ended.to_string() }),
            ),
            Self::Losing { path, line, reason } => (
                "fifo-losing",
                json!({ "path": path, "line": line, "reason": reason }),
            ),
            Self::Lost { path, count } => ("fifo-lost", json!({ "path": path, "count": count })),
        }
    }
}

impl fmt::Display for FifoEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened { path, reason } => write!(f, "notify  {path}: {reason}"),
            Self::NotRead { path, reason } => {
                write!(f, "notify  reader of {path} cannot be started: {reason}")
            }
            Self::ReaderEnded { path, ended } => write!(f, "notify  reader of {path}: {ended}"),
            Self::Losing { path, line, reason } => {
                write!(f, "notify  {path}: {reason}, so nobody hears: {line}")
            }
            Self::Lost { path, count } => {
                let ending = if *count == 1 { "" } else { "s" };
                write!(f, "notify  {path}: {count} line{ending} lost")
            }
        }
    }
}

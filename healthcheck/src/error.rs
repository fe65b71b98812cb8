//! What can go wrong for the caller of this library.
//!
//! A failing *check* is never an error: it is an [`Outcome`](crate::Outcome). Errors are for wrong
//! settings and for the few calls of the operating system the [`Driver`](crate::Driver) itself
//! cannot do without.

use std::io;

use crate::CheckId;

/// A setting outside what it may be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field} is {value}: {limit}")]
#[non_exhaustive]
pub struct Invalid {
    /// The setting, by the name of the method or field that sets it.
    pub field: &'static str,
    /// What it was set to, printable.
    pub value: String,
    /// What it may be.
    pub limit: &'static str,
}

impl Invalid {
    /// Names a setting, its value and its limit; for implementors of
    /// [`Probe::validate`](crate::Probe::validate).
    #[must_use]
    pub fn new(field: &'static str, value: impl Into<String>, limit: &'static str) -> Self {
        Self {
            field,
            value: value.into(),
            limit,
        }
    }
}

/// Why a call of the [`Driver`](crate::Driver) was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's fault: a setting is out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),

    /// The caller's fault: no such check, or it was removed.
    #[error("no check {0}")]
    UnknownCheck(CheckId),

    /// The caller's fault: the process ignores `SIGCHLD` (or set `SA_NOCLDWAIT`), so the kernel
    /// throws exit codes away and command checks cannot work.
    #[error(
        "command checks need exit codes, but this process ignores SIGCHLD (or set SA_NOCLDWAIT)"
    )]
    ChildStatusLost,

    /// The caller's fault: the probe is a task, and only a driver on a runtime (`AsyncDriver`, with
    /// the feature `tokio`) can run it.
    #[error("the probe is an async function, which only an AsyncDriver can run")]
    NoRuntime,

    /// The environment's fault: the operating system refused something the driver needs.
    #[error("{operation} failed")]
    Io {
        /// What was tried, such as `epoll_create1`.
        operation: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an answer of the operating system.
    pub(crate) fn io(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io {
            operation,
            source: source.into(),
        }
    }
}

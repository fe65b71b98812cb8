//! How a client behaves.

use core::time::Duration;

use crate::error::{Error, RequestKind};
use crate::request::{Change, Query};

/// How a client behaves.
///
/// ```
/// use core::time::Duration;
/// use lvs_ipvs::Options;
/// let patient = Options::default().with_timeout(Duration::from_secs(60));
/// ```
#[non_exhaustive]
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Longest wait for the next answer. Default: 10 s, since stopping a sync daemon takes
    /// seconds.
    pub timeout: Duration,
    /// Whether arguments are checked before they are sent (see [`validate`](crate::validate)).
    /// Default: yes. Tools that must show the kernel's own answer to nonsense turn it off.
    pub validate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            validate: true,
        }
    }
}

impl Options {
    /// Replaces the longest wait for the next answer.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Leaves judging arguments to the kernel.
    pub const fn without_validation(mut self) -> Self {
        self.validate = false;
        self
    }

    /// Refuses a change whose arguments cannot be right, unless that is left to the kernel.
    pub(crate) fn check_change(&self, change: &Change) -> Result<(), Error> {
        if !self.validate {
            return Ok(());
        }
        change.validate().map_err(|error| Error::Invalid {
            request: RequestKind::of_change(change),
            error,
        })
    }

    /// As [`check_change`](Self::check_change).
    pub(crate) fn check_query(&self, query: Query) -> Result<(), Error> {
        if !self.validate {
            return Ok(());
        }
        query.validate().map_err(|error| Error::Invalid {
            request: RequestKind::Read(query),
            error,
        })
    }
}

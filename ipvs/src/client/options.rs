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
    /// Size of the socket's receive queue in bytes of memory, as the kernel counts them: 768 to
    /// 896 for an acknowledgement on current kernels. Default: `None`, which leaves it as it is,
    /// for a new socket at the sysctl `net.core.rmem_default` (212992 unless changed).
    ///
    /// Answers for which there is no room are lost, and what was asked for is then reported as
    /// [unknown](crate::UnknownCause::Overrun). No client has more than [128
    /// requests](crate::session::WINDOW) under way, whose answers fit the usual default; so a
    /// larger queue is needed where that sysctl is lower.
    ///
    /// It is set when the options are. Beyond `net.core.rmem_max` it takes `CAP_NET_ADMIN` in the
    /// initial user namespace, which IPVS needs anyway. The kernel rounds, and may grant less or
    /// nothing of it: see [`Client::receive_buffer`](crate::Client::receive_buffer).
    pub receive_buffer: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            validate: true,
            receive_buffer: None,
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

    /// Replaces the size of the receive queue, in bytes of memory; see
    /// [`receive_buffer`](Self::receive_buffer).
    pub const fn with_receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
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

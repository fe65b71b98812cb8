//! What can be wrong with a call.

use alloc::string::String;
use core::net::SocketAddr;

/// Why a [`VirtualService`](crate::VirtualService) refused a change. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Error {
    /// The caller gave a weight the kernel would read as negative.
    #[error("weight {value} of destination {address} is above {limit}")]
    Weight {
        /// The destination of the refused call.
        address: SocketAddr,
        /// The weight given.
        value: u32,
        /// The highest weight possible.
        limit: u32,
    },
    /// The caller gave a lower threshold above the upper one.
    #[error(
        "lower threshold {lower} of destination {address} is above its upper threshold {upper}"
    )]
    Thresholds {
        /// The destination of the refused call.
        address: SocketAddr,
        /// The upper threshold given; 0 = none.
        upper: u32,
        /// The lower threshold given.
        lower: u32,
    },
    /// The caller added a destination that the service has already.
    #[error("destination {address} exists already")]
    Exists {
        /// The destination of the refused call.
        address: SocketAddr,
    },
    /// The caller named a destination that the service does not have.
    #[error("the service has no destination {address}")]
    NotFound {
        /// The destination of the refused call.
        address: SocketAddr,
    },
}

impl Error {
    /// The destination of the refused call.
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::Weight { address, .. }
            | Self::Thresholds { address, .. }
            | Self::Exists { address }
            | Self::NotFound { address } => *address,
        }
    }
}

/// A scheduler name that this version does not know.
///
/// ```
/// use lvs_schedulers::Algorithm;
///
/// let error = "fastest".parse::<Algorithm>().unwrap_err();
/// assert_eq!(error.name(), "fastest");
/// assert!(error.to_string().starts_with("unknown scheduler \"fastest\" (known: rr, wrr, lc, "));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("unknown scheduler {name:?} (known: {known})", known = crate::scheduler::Known)]
pub struct UnknownScheduler {
    name: String,
}

impl UnknownScheduler {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into() }
    }

    /// The name that was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }
}

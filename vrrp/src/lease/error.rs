//! What can be wrong with the times of a lease.

use core::time::Duration;

/// A configuration that no lease can have: the first field that is wrong.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum LeaseConfigError {
    /// A time that is out of range.
    #[error("{field} of {value:?} is not in {least:?}..={greatest:?}")]
    Range {
        /// Which time.
        field: &'static str,
        /// The time given.
        value: Duration,
        /// The shortest allowed.
        least: Duration,
        /// The longest allowed.
        greatest: Duration,
    },
    /// Clocks that run too differently.
    #[error("clock error of {ppm} ppm is not in 0..=100000")]
    ClockError {
        /// The error given, in parts per million.
        ppm: u32,
    },
    /// No store, or too many.
    #[error("{value} stores are not in 1..=32")]
    Stores {
        /// The number given.
        value: u8,
    },
    /// Nothing is left of the lease for its renewal.
    #[error(
        "removal time and scheduling delay of {value:?} together exceed {limit:?}: \
         a lease of this duration has no time left to be renewed"
    )]
    NoTimeLeft {
        /// The sum of the two.
        value: Duration,
        /// What the sum may be.
        limit: Duration,
    },
    /// Too few renewals within a lease: two must be able to fail (§4.2, rule 4).
    #[error(
        "renew period of {value:?} is more than {limit:?}, a third of the time to the deadline"
    )]
    RenewPeriod {
        /// The period given.
        value: Duration,
        /// What it may be.
        limit: Duration,
    },
    /// Requests that are waited for too long (§4.2, rule 4).
    #[error("request timeout of {value:?} is more than {limit:?}, half of the renew period")]
    RequestTimeout {
        /// The timeout given.
        value: Duration,
        /// What it may be.
        limit: Duration,
    },
    /// A claim that ends before its writer would write it again.
    #[error("claim duration of {value:?} is less than {limit:?}, five request timeouts")]
    ClaimDuration {
        /// The duration given.
        value: Duration,
        /// What it has to be.
        limit: Duration,
    },
    /// Addresses that the kernel would keep for longer than the lease lasts (OP-4).
    #[error("address lifetime of {value:?} is not in 1s..={limit:?}")]
    AddressLifetime {
        /// The lifetime given.
        value: Duration,
        /// What it may be; zero if the lease is too short for any.
        limit: Duration,
    },
}

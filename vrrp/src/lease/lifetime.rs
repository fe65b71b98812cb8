//! With which lifetime the kernel may keep addresses: §4.2, rule 7, and OP-4.
//!
//! A process that is paused cannot remove its addresses; the kernel does it when their valid lifetime
//! is over and nobody has extended it. Linux counts lifetimes in whole seconds and removes addresses
//! up to [`KERNEL_LAG`] late. So a lifetime that is set now has to be that much shorter than the time
//! for which the lease is exclusive.

use core::time::Duration;

use super::Lease;
use super::config::LeaseConfig;
use super::error::LeaseConfigError;
use crate::timer::{NEVER, Timestamp};

/// How much later than their lifetime says the kernel removes addresses, at most: 3 s.
///
/// Linux counts lifetimes in seconds and rounds the moments at which it looks at them up to whole
/// ones: seen on Linux 6.18, an address left up to 2.10 s late.
pub const KERNEL_LAG: Duration = Duration::from_secs(3);

/// What the kernel takes as no limit.
const UNLIMITED: Duration = Duration::from_secs(u32::MAX as u64);

/// The longest valid lifetime, in whole seconds from 1, that addresses may be given now if they have
/// to be gone by then whatever happens to the process. None if less than a second is left: then they
/// must not be installed.
///
/// To be asked at the moment of the system call; a call that was delayed after that extends the
/// addresses for too long, so compare the clock once more when it has returned.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::lease::address_lifetime;
///
/// let (now, gone_by) = (Duration::from_secs(100), Duration::from_millis(107_900));
/// assert_eq!(address_lifetime(now, gone_by), Some(Duration::from_secs(4)));
/// assert_eq!(address_lifetime(Duration::from_secs(105), gone_by), None);
/// ```
#[must_use]
pub const fn address_lifetime(now: Timestamp, gone_by: Timestamp) -> Option<Duration> {
    let left = gone_by.saturating_sub(now).saturating_sub(KERNEL_LAG);
    match left.as_secs() {
        0 => None,
        secs if secs < UNLIMITED.as_secs() => Some(Duration::from_secs(secs)),
        _ => Some(UNLIMITED),
    }
}

impl LeaseConfig {
    /// The longest valid lifetime, in whole seconds, that addresses may be given after every renewal
    /// without looking at the clock: D·(1 − ρ) less the request timeout, the scheduling delay and
    /// [`KERNEL_LAG`]. Addresses with it are gone before another can have the lease.
    ///
    /// None if less than a second is left: a lease this short can be kept only by a process that is
    /// never paused for longer than it declares. Lifetimes that follow the clock
    /// ([`Lease::address_lifetime`]) are longer where answers are fast.
    #[must_use]
    pub fn address_lifetime(&self) -> Option<Duration> {
        let latest = self
            .request_timeout()
            .saturating_add(self.scheduling_delay());
        address_lifetime(latest, self.exclusive_time())
    }

    /// Checks a lifetime that is to be set after every renewal, whatever the clock says.
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::AddressLifetime`] if addresses with it could outlast the lease.
    pub fn check_address_lifetime(&self, lifetime: Duration) -> Result<(), LeaseConfigError> {
        let limit = self.address_lifetime().unwrap_or_default();
        if !lifetime.is_zero() && lifetime <= limit {
            return Ok(());
        }
        Err(LeaseConfigError::AddressLifetime {
            value: lifetime,
            limit,
        })
    }
}

impl Lease {
    /// The longest valid lifetime that addresses may be given at this moment: see
    /// [`address_lifetime`]. None while the lease is not held, and when too little of it is left.
    /// With an arbiter that cannot be reached and a policy to go on, 2³² − 1 s: no limit.
    #[must_use]
    pub fn address_lifetime(&self, now: Timestamp) -> Option<Duration> {
        address_lifetime(now, self.gone_by(now)?)
    }

    /// By when the addresses have to be gone, if they may be there.
    pub(crate) fn gone_by(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.status().is_held_at(now) {
            return None;
        }
        if self.is_open {
            return Some(NEVER);
        }
        self.exclusive_until
    }
}

//! The times of a lease, and what follows from them.

use core::time::Duration;

use super::error::LeaseConfigError;

const DAY: Duration = Duration::from_secs(86_400);
const MILLISECOND: Duration = Duration::from_millis(1);
/// A lease that can do less is of no use: three renewals of ten milliseconds.
const LEAST_TIME_TO_RENEW: Duration = Duration::from_millis(30);

/// What a holder does when the arbiter cannot be reached (§4.2, rule 8).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenUnreachable {
    /// It stops at the deadline, even if the others are visibly silent: at most one is Active.
    #[default]
    FailClosed,
    /// It goes on as if there were no lease, and so do others: at most one is Active as long as the
    /// arbiter can be reached, and no longer.
    FailOpen,
    /// It goes on as if there were no lease while a third, independent check says that the other
    /// routers are down: see [`Lease::set_alone`](super::Lease::set_alone).
    FailOpenIfAlone,
}

/// How a router with a better rank gets the lease from the holder (§4.3).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Preemption {
    /// How long a store keeps a claim that is not written again.
    pub claim_duration: Duration,
    /// How long a holder that gave way lets the claimant try, before it may take the lease back.
    pub give_back: Duration,
}

/// The times of a lease. [`new`](Self::new) takes its duration and how long it takes to stop; the
/// rest has defaults.
///
/// | Symbol | Field | Default |
/// |---|---|---|
/// | D | [`duration`](Self::duration) | |
/// | ρ | [`with_clock_error_ppm`](Self::with_clock_error_ppm) | 1000 ppm, 0.1 % |
/// | S | [`removal_time`](Self::removal_time) | |
/// | J | [`scheduling_delay`](Self::scheduling_delay) | |
/// | G | [`with_grace`](Self::with_grace) | 0 |
/// | P | [`with_renew_period`](Self::with_renew_period) | a third of D·(1 − ρ) − S − J |
/// | | [`with_request_timeout`](Self::with_request_timeout) | P / 2 |
///
/// The last two are rounded down to two digits, which leaves the last renewal a little time to be
/// answered in.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::lease::LeaseConfig;
///
/// let duration = Duration::from_secs(10);
/// let removal_time = Duration::from_millis(300);
/// let scheduling_delay = Duration::from_millis(700);
/// let config = LeaseConfig::new(duration, removal_time, scheduling_delay)?;
/// assert_eq!(config.time_to_stop(), Duration::from_millis(8_990));
/// assert_eq!(config.renew_period(), Duration::from_millis(2_900));
/// assert_eq!(config.request_timeout(), Duration::from_millis(1_400));
///
/// let too_short = LeaseConfig::new(Duration::from_secs(1), removal_time, scheduling_delay);
/// assert_eq!(
///     too_short.unwrap_err().to_string(),
///     "removal time and scheduling delay of 1s together exceed 969ms: \
///      a lease of this duration has no time left to be renewed"
/// );
/// # Ok::<(), lvs_vrrp::lease::LeaseConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LeaseConfig {
    duration: Duration,
    clock_error_ppm: u32,
    removal_time: Duration,
    scheduling_delay: Duration,
    grace: Duration,
    renew_period: Option<Duration>,
    request_timeout: Option<Duration>,
    stores: u8,
    when_unreachable: WhenUnreachable,
    preemption: Option<Preemption>,
}

impl LeaseConfig {
    /// A lease of this duration, 10 ms to a day, for a holder that needs `removal_time` at most to
    /// be really inactive (addresses removed, data plane off, kernel calls returned), and whose
    /// process runs `scheduling_delay` late at most.
    ///
    /// # Errors
    ///
    /// A time out of range, or [`LeaseConfigError::NoTimeLeft`].
    pub fn new(
        duration: Duration,
        removal_time: Duration,
        scheduling_delay: Duration,
    ) -> Result<Self, LeaseConfigError> {
        let config = Self {
            duration,
            clock_error_ppm: 1000,
            removal_time,
            scheduling_delay,
            grace: Duration::ZERO,
            renew_period: None,
            request_timeout: None,
            stores: 1,
            when_unreachable: WhenUnreachable::FailClosed,
            preemption: None,
        };
        config.validated()
    }

    /// Bounds by how much the clocks of holder and store can run at different rates, in parts per
    /// million, at most 100 000.
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::ClockError`], and as for [`new`](Self::new).
    pub fn with_clock_error_ppm(mut self, ppm: u32) -> Result<Self, LeaseConfigError> {
        self.clock_error_ppm = ppm;
        self.validated()
    }

    /// Lets a new holder wait after the lease of another has ended without being released, at most a
    /// day, where the store does not wait itself (Consul's lock delay).
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::Range`].
    pub fn with_grace(mut self, grace: Duration) -> Result<Self, LeaseConfigError> {
        self.grace = grace;
        self.validated()
    }

    /// Renews this often instead.
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::RenewPeriod`] if fewer than three fit into the time to the deadline.
    pub fn with_renew_period(mut self, period: Duration) -> Result<Self, LeaseConfigError> {
        self.renew_period = Some(period);
        self.validated()
    }

    /// Waits this long for answers instead.
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::RequestTimeout`] if it is more than half of the renew period.
    pub fn with_request_timeout(mut self, timeout: Duration) -> Result<Self, LeaseConfigError> {
        self.request_timeout = Some(timeout);
        self.validated()
    }

    /// Uses this many independent stores instead of one, 1 to 32; whoever has the grants of more than
    /// half of them holds the lease.
    ///
    /// An even number tolerates no more losses than the odd one below it: see
    /// [`tolerated_losses`](Self::tolerated_losses).
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::Stores`].
    pub fn with_stores(mut self, stores: u8) -> Result<Self, LeaseConfigError> {
        self.stores = stores;
        self.validated()
    }

    /// Sets what happens when the arbiter cannot be reached.
    #[must_use]
    pub const fn with_when_unreachable(mut self, policy: WhenUnreachable) -> Self {
        self.when_unreachable = policy;
        self
    }

    /// Lets routers of better rank claim the lease. A claim lasts as long as the lease would; a
    /// holder that gave way lets the claimant try for two down intervals.
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::Range`] for a down interval of zero or more than a day.
    pub fn with_preemption(self, down_interval: Duration) -> Result<Self, LeaseConfigError> {
        check("down interval", down_interval, MILLISECOND, DAY)?;
        let mut config = self;
        config.preemption = Some(Preemption {
            claim_duration: self.duration,
            give_back: down_interval.saturating_mul(2),
        });
        config.validated()
    }

    /// Lets stores keep claims for another time, at most a day.
    ///
    /// # Errors
    ///
    /// [`LeaseConfigError::ClaimDuration`] if a claim could end before it is written again.
    pub fn with_claim_duration(mut self, duration: Duration) -> Result<Self, LeaseConfigError> {
        if let Some(preemption) = &mut self.preemption {
            preemption.claim_duration = duration;
        }
        self.validated()
    }

    /// D: how long the store is asked to grant the lease.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// ρ: by how much clocks differ, in parts per million.
    #[must_use]
    pub const fn clock_error_ppm(&self) -> u32 {
        self.clock_error_ppm
    }

    /// S: how long it takes to be really inactive. What has to be over before counts too: an
    /// installation that is under way when the lease ends, and what a
    /// [`Node`](crate::Node) settles before it releases the lease.
    #[must_use]
    pub const fn removal_time(&self) -> Duration {
        self.removal_time
    }

    /// J: how late the process runs.
    #[must_use]
    pub const fn scheduling_delay(&self) -> Duration {
        self.scheduling_delay
    }

    /// G: how long a new holder waits.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        self.grace
    }

    /// P: how long after a request the next renewal is sent.
    #[must_use]
    pub fn renew_period(&self) -> Duration {
        let third = self.time_to_stop().checked_div(3).unwrap_or_default();
        self.renew_period
            .unwrap_or_else(|| two_digits_rounded_down(third))
    }

    /// How long an answer is waited for.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        let half = self.renew_period().checked_div(2).unwrap_or_default();
        self.request_timeout
            .unwrap_or_else(|| two_digits_rounded_down(half))
    }

    /// How many stores there are.
    #[must_use]
    pub const fn stores(&self) -> u8 {
        self.stores
    }

    /// How many stores have to grant the lease.
    #[must_use]
    pub const fn majority(&self) -> u8 {
        (self.stores >> 1).saturating_add(1)
    }

    /// How many stores may fail: 0 of 1 and of 2, 1 of 3 and of 4.
    #[must_use]
    pub const fn tolerated_losses(&self) -> u8 {
        self.stores.saturating_sub(self.majority())
    }

    /// What happens when the arbiter cannot be reached.
    #[must_use]
    pub const fn when_unreachable(&self) -> WhenUnreachable {
        self.when_unreachable
    }

    /// How routers of better rank get the lease, if they do.
    #[must_use]
    pub const fn preemption(&self) -> Option<Preemption> {
        self.preemption
    }

    /// D·(1 − ρ): how long after a request was sent no store can have given the lease to another,
    /// on the holder's clock.
    #[must_use]
    pub fn exclusive_time(&self) -> Duration {
        self.duration.saturating_sub(self.clock_error())
    }

    /// H − t_s = D·(1 − ρ) − S − J: how long after a request was sent the holder begins to stop
    /// (§4.2, rule 1).
    #[must_use]
    pub fn time_to_stop(&self) -> Duration {
        self.exclusive_time().saturating_sub(self.stopping_time())
    }

    /// D·(1 + ρ) + G: after what time a lease that nobody renews is over for everybody.
    pub(super) fn outlasts_all(&self) -> Duration {
        self.duration
            .saturating_add(self.clock_error())
            .saturating_add(self.grace)
    }

    fn clock_error(&self) -> Duration {
        let error = self
            .duration
            .as_nanos()
            .saturating_mul(u128::from(self.clock_error_ppm))
            .div_ceil(1_000_000);
        Duration::from_nanos(u64::try_from(error).unwrap_or(u64::MAX))
    }

    fn stopping_time(&self) -> Duration {
        self.removal_time.saturating_add(self.scheduling_delay)
    }

    fn validated(self) -> Result<Self, LeaseConfigError> {
        check(
            "lease duration",
            self.duration,
            MILLISECOND.saturating_mul(10),
            DAY,
        )?;
        if self.clock_error_ppm > 100_000 {
            return Err(LeaseConfigError::ClockError {
                ppm: self.clock_error_ppm,
            });
        }
        check("removal time", self.removal_time, Duration::ZERO, DAY)?;
        check(
            "scheduling delay",
            self.scheduling_delay,
            Duration::ZERO,
            DAY,
        )?;
        check("grace", self.grace, Duration::ZERO, DAY)?;
        if !(1..=32).contains(&self.stores) {
            return Err(LeaseConfigError::Stores { value: self.stores });
        }
        let limit = self.exclusive_time().saturating_sub(LEAST_TIME_TO_RENEW);
        let value = self.stopping_time();
        if value > limit {
            return Err(LeaseConfigError::NoTimeLeft { value, limit });
        }
        if let Some(value) = self.renew_period {
            let limit = self.time_to_stop().checked_div(3).unwrap_or_default();
            check("renew period", value, MILLISECOND, DAY)?;
            if value > limit {
                return Err(LeaseConfigError::RenewPeriod { value, limit });
            }
        }
        if let Some(value) = self.request_timeout {
            let limit = self.renew_period().checked_div(2).unwrap_or_default();
            check("request timeout", value, MILLISECOND, DAY)?;
            if value > limit {
                return Err(LeaseConfigError::RequestTimeout { value, limit });
            }
        }
        if let Some(Preemption { claim_duration, .. }) = self.preemption {
            let limit = self.request_timeout().saturating_mul(5);
            check("claim duration", claim_duration, MILLISECOND, DAY)?;
            if claim_duration < limit {
                return Err(LeaseConfigError::ClaimDuration {
                    value: claim_duration,
                    limit,
                });
            }
        }
        Ok(self)
    }
}

fn check(
    field: &'static str,
    value: Duration,
    least: Duration,
    greatest: Duration,
) -> Result<(), LeaseConfigError> {
    if (least..=greatest).contains(&value) {
        return Ok(());
    }
    Err(LeaseConfigError::Range {
        field,
        value,
        least,
        greatest,
    })
}

/// 2.9967 s becomes 2.9 s, 143 ms become 140 ms.
fn two_digits_rounded_down(time: Duration) -> Duration {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let digits = nanos.checked_ilog10().unwrap_or_default();
    let unit = 10_u64.saturating_pow(digits.saturating_sub(1));
    let rest = nanos.checked_rem(unit).unwrap_or_default();
    Duration::from_nanos(nanos.saturating_sub(rest))
}

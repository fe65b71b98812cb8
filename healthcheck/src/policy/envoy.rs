//! Policies from the fields of Envoy's `HealthCheck`.

use core::time::Duration;

use super::{Initial, Policy, ScheduleBase, Spread};

/// The fields of an Envoy `HealthCheck` that belong to the policy.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Envoy {
    /// `interval`: between attempts.
    pub interval: Duration,
    /// `timeout`: for one attempt.
    pub timeout: Duration,
    /// `healthy_threshold`: successes in a row that bring it up, but for the first time.
    pub healthy_threshold: u16,
    /// `unhealthy_threshold`: failures in a row that take it down.
    pub unhealthy_threshold: u16,
    /// `unhealthy_interval`: while down. Default `interval`.
    pub unhealthy_interval: Option<Duration>,
    /// `unhealthy_edge_interval`: while the last ones failed. Default `unhealthy_interval`.
    pub unhealthy_edge_interval: Option<Duration>,
    /// `healthy_edge_interval`: while down and the last ones succeeded. Default `interval`.
    pub healthy_edge_interval: Option<Duration>,
    /// `no_traffic_interval`: while nothing uses the service. Default 60 s.
    pub no_traffic_interval: Option<Duration>,
    /// `no_traffic_healthy_interval`: the same while up. Default `no_traffic_interval`.
    pub no_traffic_healthy_interval: Option<Duration>,
    /// `interval_jitter`: makes delays longer by up to this.
    pub interval_jitter: Duration,
    /// `interval_jitter_percent`: the same as a share of the delay, 0 to 100.
    pub interval_jitter_percent: u8,
}

impl Envoy {
    /// The four fields that Envoy has no defaults for; the others have Envoy's.
    #[must_use]
    pub const fn new(
        interval: Duration,
        timeout: Duration,
        healthy_threshold: u16,
        unhealthy_threshold: u16,
    ) -> Self {
        Self {
            interval,
            timeout,
            healthy_threshold,
            unhealthy_threshold,
            unhealthy_interval: None,
            unhealthy_edge_interval: None,
            healthy_edge_interval: None,
            no_traffic_interval: None,
            no_traffic_healthy_interval: None,
            interval_jitter: Duration::ZERO,
            interval_jitter_percent: 0,
        }
    }
}

impl Policy {
    /// The policy of an Envoy `HealthCheck`: starts down, the first success brings it up.
    ///
    /// The edge intervals apply while the counter is between its ends; Envoy itself applies them
    /// to the attempt after which health is about to change.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lvs_healthcheck::policy::{Envoy, Policy};
    ///
    /// let second = Duration::from_secs(1);
    /// let mut fields = Envoy::new(10 * second, second, 2, 3);
    /// fields.unhealthy_interval = Some(30 * second);
    /// assert_eq!(Policy::envoy(&fields).validate(), Ok(()));
    /// ```
    pub fn envoy(fields: &Envoy) -> Self {
        Self {
            rise: fields.healthy_threshold,
            fall: fields.unhealthy_threshold,
            rise_first: Some(1),
            initial: Initial::FullyDown,
            interval: fields.interval,
            fast: fields.unhealthy_edge_interval.or(fields.unhealthy_interval),
            rising: fields.healthy_edge_interval,
            down: fields.unhealthy_interval,
            idle: Some(
                fields
                    .no_traffic_interval
                    .unwrap_or(Duration::from_secs(60)),
            ),
            idle_up: fields.no_traffic_healthy_interval,
            base: ScheduleBase::EndToStart,
            jitter_percent: 0,
            jitter_add: fields.interval_jitter,
            jitter_add_percent: fields.interval_jitter_percent,
            spread: Spread::None,
            timeout: fields.timeout,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn defaults_follow_one_another() {
        let mut fields = Envoy::new(10 * SECOND, SECOND, 2, 3);
        let policy = Policy::envoy(&fields);
        assert_eq!(
            (policy.rise, policy.fall, policy.rise_first),
            (2, 3, Some(1))
        );
        assert_eq!(policy.initial, Initial::FullyDown);
        assert_eq!((policy.interval, policy.timeout), (10 * SECOND, SECOND));
        assert_eq!(
            (policy.fast, policy.rising, policy.down),
            (None, None, None)
        );
        assert_eq!((policy.idle, policy.idle_up), (Some(60 * SECOND), None));
        fields.unhealthy_interval = Some(30 * SECOND);
        let policy = Policy::envoy(&fields);
        assert_eq!((policy.fast, policy.rising), (Some(30 * SECOND), None));
        assert_eq!(policy.down, Some(30 * SECOND));
        fields.unhealthy_edge_interval = Some(2 * SECOND);
        fields.healthy_edge_interval = Some(3 * SECOND);
        fields.no_traffic_interval = Some(90 * SECOND);
        fields.no_traffic_healthy_interval = Some(80 * SECOND);
        fields.interval_jitter = SECOND;
        fields.interval_jitter_percent = 20;
        let policy = Policy::envoy(&fields);
        assert_eq!(
            (policy.fast, policy.rising),
            (Some(2 * SECOND), Some(3 * SECOND))
        );
        assert_eq!(
            (policy.idle, policy.idle_up),
            (Some(90 * SECOND), Some(80 * SECOND))
        );
        assert_eq!((policy.jitter_add, policy.jitter_add_percent), (SECOND, 20));
    }
}

//! Policies from the words of a `haproxy.cfg`.

use core::time::Duration;

use super::{Initial, Observe, OnError, OnLocalError, Passive, Policy, ScheduleBase, Spread};

/// The knobs of one server's check, after `default-server`.
///
/// `None` is "not written anywhere" and gives HAProxy's default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Haproxy {
    /// `inter`: the interval, and the time for one attempt unless `timeout check` is set.
    /// Default 2 s.
    pub inter: Option<Duration>,
    /// `fastinter`: interval between the ends of the counter. Default `inter`.
    pub fastinter: Option<Duration>,
    /// `downinter`: interval while entirely down. Default `inter`.
    pub downinter: Option<Duration>,
    /// `rise`: successes in a row that bring it up. Default 2.
    pub rise: Option<u16>,
    /// `fall`: failures in a row that take it down. Default 3.
    pub fall: Option<u16>,
    /// `init-state`: `fully-up`, `up`, `down`, `fully-down`; `none` is [`Initial::Keep`].
    /// Default `up`.
    pub init_state: Option<Initial>,
    /// `timeout check`: time for the reply, once connected. Default: all of it within `inter`.
    pub timeout_check: Option<Duration>,
    /// `timeout connect`: time for connecting if `timeout check` is set, `inter` at most.
    pub timeout_connect: Option<Duration>,
    /// `spread-checks`: jitter in percent, 0 to 50. Default 0.
    pub spread_checks: u8,
    /// `observe`: which real traffic counts. Default none.
    pub observe: Option<Observe>,
    /// `error-limit`: errors of real traffic in a row that make `on-error` happen. Default 10.
    pub error_limit: Option<u32>,
    /// `on-error`: what they lead to. Default `fail-check`.
    pub on_error: Option<OnError>,
    /// `agent-inter`: interval of the agent check. Default 2 s.
    pub agent_inter: Option<Duration>,
}

impl Haproxy {
    /// The default of `inter` and `agent-inter`: 2 s.
    const INTER: Duration = Duration::from_secs(2);

    /// Nothing written: all defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Policy {
    /// The policy of a HAProxy server's `check`.
    ///
    /// Delays count from end to start. Without `timeout check` an attempt has `inter`, with it the
    /// smaller of `timeout connect` and `inter` for connecting, and `timeout check` on top: an attempt that
    /// connects at once has the sum of both for the reply, where HAProxy counts `timeout check` from
    /// the connection. A missing route counts as a failure (`L4CON`), other local errors do not (`SOCKERR`).
    ///
    /// The first start is at once: HAProxy spreads the checks of all servers, so it takes all of
    /// them to say when one starts, see [`Spread::even`]. `slowstart` belongs to the destination,
    /// see [`SlowStart`](crate::aggregate::SlowStart).
    ///
    /// ```
    /// use std::time::Duration;
    /// use lvs_healthcheck::policy::{Haproxy, Policy, Spread};
    ///
    /// // server a 192.0.2.7:80 check inter 1s fastinter 200ms
    /// let mut knobs = Haproxy::new();
    /// knobs.inter = Some(Duration::from_secs(1));
    /// knobs.fastinter = Some(Duration::from_millis(200));
    /// // One of two servers with equal intervals.
    /// let intervals = [Duration::from_secs(1); 2];
    /// let policy = Policy::haproxy(&knobs).with_spread(Spread::even(0, &intervals, None));
    /// assert_eq!((policy.rise(), policy.fall()), (2, 3));
    /// assert_eq!(policy.timeout(), Duration::from_secs(1));
    /// ```
    pub fn haproxy(knobs: &Haproxy) -> Self {
        let inter = knobs.inter.unwrap_or(Haproxy::INTER);
        let connect = knobs
            .timeout_check
            .map(|_| knobs.timeout_connect.map_or(inter, |time| time.min(inter)));
        let timeout = match (connect, knobs.timeout_check) {
            (Some(connect), Some(check)) => connect.saturating_add(check),
            _ => inter,
        };
        let passive = knobs.observe.map(|observe| {
            let default = Passive::new(observe);
            default
                .with_error_limit(knobs.error_limit.unwrap_or(default.error_limit))
                .with_on_error(knobs.on_error.unwrap_or(default.on_error))
        });
        Self {
            rise: knobs.rise.unwrap_or(2),
            fall: knobs.fall.unwrap_or(3),
            initial: knobs.init_state.unwrap_or(Initial::Up1),
            interval: inter,
            fast: knobs.fastinter,
            rising: knobs.fastinter,
            down: knobs.downinter,
            base: ScheduleBase::EndToStart,
            jitter_percent: knobs.spread_checks,
            spread: Spread::None,
            timeout,
            connect_timeout: connect,
            on_no_route: OnLocalError::Fail,
            passive,
            ..Self::default()
        }
    }

    /// The policy of a HAProxy server's `agent-check`: every word of the agent counts at once.
    ///
    /// An agent that does not answer says nothing, so no missing route counts either.
    pub fn haproxy_agent(knobs: &Haproxy) -> Self {
        let inter = knobs.agent_inter.unwrap_or(Haproxy::INTER);
        Self {
            rise: 1,
            fall: 1,
            interval: inter,
            base: ScheduleBase::EndToStart,
            jitter_percent: knobs.spread_checks,
            spread: Spread::None,
            timeout: knobs.timeout_check.unwrap_or(inter),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn defaults_are_those_of_the_manual() {
        let policy = Policy::haproxy(&Haproxy::new());
        assert_eq!(policy.validate(), Ok(()));
        assert_eq!((policy.rise, policy.fall), (2, 3));
        assert_eq!(policy.initial, Initial::Up1);
        assert_eq!(policy.interval, 2 * SECOND);
        assert_eq!(
            (policy.fast, policy.rising, policy.down),
            (None, None, None)
        );
        assert_eq!((policy.timeout, policy.connect_timeout), (2 * SECOND, None));
        assert_eq!(
            (policy.jitter_percent, policy.base),
            (0, ScheduleBase::EndToStart)
        );
        assert_eq!(policy.passive, None);
        assert_eq!(policy.on_local_error, OnLocalError::Ignore);
        assert_eq!(policy.on_no_route, OnLocalError::Fail);
        let agent = Policy::haproxy_agent(&Haproxy::new());
        assert_eq!((agent.rise, agent.fall, agent.interval), (1, 1, 2 * SECOND));
        assert_eq!((agent.timeout, agent.jitter_percent), (2 * SECOND, 0));
        assert_eq!(agent.on_no_route, OnLocalError::Ignore);
        assert_eq!(agent.validate(), Ok(()));
    }

    #[test]
    fn written_knobs_win() {
        let knobs = Haproxy {
            inter: Some(3 * SECOND),
            fastinter: Some(SECOND),
            downinter: Some(9 * SECOND),
            rise: Some(4),
            fall: Some(5),
            init_state: Some(Initial::FullyDown),
            spread_checks: 7,
            observe: Some(Observe::Layer7),
            agent_inter: Some(8 * SECOND),
            ..Haproxy::new()
        };
        let policy = Policy::haproxy(&knobs);
        assert_eq!((policy.rise, policy.fall), (4, 5));
        assert_eq!(policy.initial, Initial::FullyDown);
        assert_eq!(policy.interval, 3 * SECOND);
        assert_eq!((policy.fast, policy.rising), (Some(SECOND), Some(SECOND)));
        assert_eq!(policy.down, Some(9 * SECOND));
        assert_eq!(policy.jitter_percent, 7);
        assert_eq!(policy.passive, Some(Passive::new(Observe::Layer7)));
        let knobs = Haproxy {
            error_limit: Some(2),
            on_error: Some(OnError::SuddenDeath),
            ..knobs
        };
        let passive = Policy::haproxy(&knobs).passive.unwrap();
        assert_eq!(
            (passive.error_limit, passive.on_error),
            (2, OnError::SuddenDeath)
        );
        assert_eq!(Policy::haproxy_agent(&knobs).interval, 8 * SECOND);
    }

    #[test]
    fn timeout_check_is_added_to_the_time_for_connecting() {
        let times = |inter, connect, check| {
            let policy = Policy::haproxy(&Haproxy {
                inter: Some(inter * SECOND),
                timeout_connect: (connect > 0).then_some(connect * SECOND),
                timeout_check: (check > 0).then_some(check * SECOND),
                ..Haproxy::new()
            });
            (
                policy.timeout.as_secs(),
                policy.connect_timeout.map(|time| time.as_secs()),
            )
        };
        assert_eq!(times(5, 2, 0), (5, None), "inter for everything");
        assert_eq!(times(5, 2, 4), (6, Some(2)));
        assert_eq!(times(5, 9, 4), (9, Some(5)), "inter limits connecting");
        assert_eq!(times(5, 0, 4), (9, Some(5)));
    }
}

//! How outcomes are judged: the library's policy from the options, on top of a preset.

use lvs_healthcheck::Policy;
use lvs_healthcheck::policy::{Haproxy, Initial, Keepalived, KeepalivedChecker, Spread};

use crate::arguments::{InitialState, Judging, Preset};
use crate::failure::Failure;
use crate::kind::Kind;

/// The policy for a check of this kind.
pub(crate) fn policy(options: &Judging, kind: Kind) -> Result<Policy, Failure> {
    let mut policy = base(options, kind)
        .with_spread(Spread::None)
        .with_jitter_percent(0);
    if let Some(time) = options.timeout {
        policy = policy.with_timeout(time);
    }
    if let Some(time) = options.connect_timeout {
        policy = policy.with_connect_timeout(time);
    }
    if let Some(time) = options.interval {
        policy = policy.with_interval(time);
    }
    if let Some(time) = options.fast_interval {
        policy = policy.with_fast_interval(time);
    }
    if let Some(time) = options.rising_interval {
        policy = policy.with_rising_interval(time);
    }
    if let Some(time) = options.down_interval {
        policy = policy.with_down_interval(time);
    }
    if let Some(rise) = options.rise {
        policy = policy.with_rise(rise);
    }
    if let Some(fall) = options.fall {
        policy = policy.with_fall(fall);
    }
    if let Some(state) = options.initial {
        policy = policy.with_initial(initial(state));
    }
    policy.validate()?;
    Ok(policy)
}

/// What holds where no option says otherwise.
fn base(options: &Judging, kind: Kind) -> Policy {
    match options.preset {
        // Every word of an agent counts at once.
        None if kind == Kind::Agent => Policy::default().with_fall(1),
        None => Policy::default(),
        Some(Preset::Keepalived) => {
            let mut knobs = Keepalived::new();
            knobs.delay_loop = options.interval;
            knobs.delay_before_retry = options.fast_interval;
            knobs.connect_timeout = options.connect_timeout;
            knobs.misc_timeout = options.timeout;
            Policy::keepalived(checker(kind), &knobs)
        }
        Some(Preset::Haproxy) => {
            let mut knobs = Haproxy::new();
            knobs.inter = options.interval;
            knobs.agent_inter = options.interval;
            knobs.fastinter = options.fast_interval;
            knobs.downinter = options.down_interval;
            if kind == Kind::Agent {
                Policy::haproxy_agent(&knobs)
            } else {
                Policy::haproxy(&knobs)
            }
        }
    }
}

/// keepalived's checker that comes nearest.
fn checker(kind: Kind) -> KeepalivedChecker {
    match kind {
        Kind::Http => KeepalivedChecker::Http,
        Kind::Smtp => KeepalivedChecker::Smtp,
        Kind::Dns => KeepalivedChecker::Dns,
        Kind::Udp => KeepalivedChecker::Udp,
        Kind::Icmp => KeepalivedChecker::Ping,
        Kind::Command => KeepalivedChecker::Misc,
        _ => KeepalivedChecker::Tcp,
    }
}

fn initial(state: InitialState) -> Initial {
    match state {
        InitialState::FullyUp => Initial::FullyUp,
        InitialState::Up => Initial::Up1,
        InitialState::Down => Initial::Down1,
        InitialState::FullyDown => Initial::FullyDown,
        InitialState::Undecided => Initial::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::arguments::Arguments;

    fn of(kind: Kind, line: &[&str]) -> Result<Policy, String> {
        let arguments = Arguments::of(line);
        policy(&arguments.options.judging, kind).map_err(|failure| failure.to_string())
    }

    #[test]
    fn options_win_over_presets() {
        let plain = of(Kind::Tcp, &["x"]).unwrap();
        assert_eq!((plain.rise(), plain.fall()), (1, 2));
        assert_eq!(plain.timeout(), Duration::from_secs(3));
        assert_eq!(of(Kind::Agent, &["x"]).unwrap().fall(), 1);
        let keepalived = of(Kind::Dns, &["x", "--preset", "keepalived"]).unwrap();
        assert_eq!((keepalived.rise(), keepalived.fall()), (1, 4));
        assert_eq!(keepalived.interval(), Duration::from_secs(60));
        let haproxy = of(
            Kind::Http,
            &[
                "x",
                "--preset",
                "haproxy",
                "--fall",
                "7",
                "--interval",
                "1s",
            ],
        );
        let haproxy = haproxy.unwrap();
        assert_eq!((haproxy.rise(), haproxy.fall()), (2, 7));
        assert_eq!(haproxy.timeout(), Duration::from_secs(1), "inter");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let refused = of(Kind::Tcp, &["x", "--fall", "0"]).unwrap_err();
        assert_eq!(refused, "fall is 0: must be at least 1");
        let refused = of(Kind::Tcp, &["x", "--timeout", "0"]).unwrap_err();
        assert!(
            refused.starts_with("timeout is 0ns: must be 1 ms"),
            "{refused}"
        );
    }
}

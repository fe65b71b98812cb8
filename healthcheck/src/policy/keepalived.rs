//! Policies from the words of a `keepalived.conf`.

use core::time::Duration;

use super::{Initial, OnLocalError, Policy, ScheduleBase, Spread};

/// The kind of a checker, which decides its defaults.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeepalivedChecker {
    /// `TCP_CHECK`.
    Tcp,
    /// `HTTP_GET` and `SSL_GET`.
    Http,
    /// `SMTP_CHECK`.
    Smtp,
    /// `DNS_CHECK`.
    Dns,
    /// `UDP_CHECK`.
    Udp,
    /// `PING_CHECK`.
    Ping,
    /// `MISC_CHECK`.
    Misc,
    /// `FILE_CHECK`.
    File,
}

/// The knobs of one checker, after inheritance from `real_server` and `virtual_server`.
///
/// `None` is "not written anywhere" and gives keepalived's default for the kind of checker.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Keepalived {
    /// `delay_loop`: the interval. Default 60 s.
    pub delay_loop: Option<Duration>,
    /// `retry`: failures tolerated while up. Default 1, DNS 3, MISC 0.
    pub retry: Option<u16>,
    /// `delay_before_retry`: interval after a tolerated failure. Default 1 s, HTTP 3 s, DNS
    /// `delay_loop`.
    pub delay_before_retry: Option<Duration>,
    /// `warmup`: the first attempt starts after 1 s plus a random time within this.
    /// Default `delay_loop`; 0 means no random part.
    pub warmup: Option<Duration>,
    /// `connect_timeout`: time for one phase. Default 5 s.
    pub connect_timeout: Option<Duration>,
    /// `misc_timeout`: time for a command, MISC only. Default `delay_loop`.
    pub misc_timeout: Option<Duration>,
    /// `alpha`: the checker starts down.
    pub alpha: bool,
    /// `log_all_failures`, or the global `checker_log_all_failures`.
    pub log_all_failures: bool,
}

impl Keepalived {
    /// Nothing written: all defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Policy {
    /// The policy of a keepalived checker.
    ///
    /// `retry R` is `fall` R + 1 with `rise` 1. The first failure after the start takes the
    /// checker down whatever `retry` says. MISC runs from start to start, the others from end to
    /// start. A missing route counts as a failure, other local errors are not counted. keepalived
    /// limits each phase of an attempt to `connect_timeout` and restarts that clock on every read;
    /// here the whole attempt is limited to twice as much, and to as much if datagrams are all there
    /// is: DNS, UDP and PING have one phase.
    ///
    /// FILE knows `alpha` and `log_all_failures` only: the file is read at once, whenever something
    /// happens to it, and every 30 s; each number counts.
    ///
    /// An unset `connect_timeout` or interval never makes the policy invalid, a zero one does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lvs_healthcheck::policy::{Keepalived, KeepalivedChecker, Policy};
    ///
    /// let mut knobs = Keepalived::new();
    /// knobs.delay_loop = Some(Duration::from_secs(3));
    /// let policy = Policy::keepalived(KeepalivedChecker::Misc, &knobs);
    /// assert_eq!(policy.interval(), Duration::from_secs(3));
    /// assert_eq!(policy.timeout(), Duration::from_secs(3));
    /// ```
    pub fn keepalived(checker: KeepalivedChecker, knobs: &Keepalived) -> Self {
        use KeepalivedChecker as Kind;

        if checker == Kind::File {
            return Self::keepalived_file(knobs);
        }
        let delay_loop = knobs.delay_loop.unwrap_or(Duration::from_secs(60));
        let retry = knobs.retry.unwrap_or(match checker {
            Kind::Dns => 3,
            Kind::Misc => 0,
            _ => 1,
        });
        let before_retry = knobs.delay_before_retry.unwrap_or(match checker {
            Kind::Http => Duration::from_secs(3),
            Kind::Dns => delay_loop,
            _ => Duration::from_secs(1),
        });
        let connect_timeout = knobs.connect_timeout.unwrap_or(Duration::from_secs(5));
        let (base, timeout, connect_timeout) = if checker == Kind::Misc {
            (
                ScheduleBase::StartToStart,
                knobs.misc_timeout.unwrap_or(delay_loop),
                None,
            )
        } else {
            let phases = match checker {
                Kind::Dns | Kind::Udp | Kind::Ping => 1,
                _ => 2,
            };
            let whole = connect_timeout.saturating_mul(phases);
            (ScheduleBase::EndToStart, whole, Some(connect_timeout))
        };
        let down = if checker == Kind::Http {
            before_retry.max(delay_loop)
        } else {
            delay_loop
        };
        Self {
            rise: 1,
            fall: retry.saturating_add(1),
            initial: initial(knobs),
            interval: delay_loop,
            fast: Some(before_retry),
            down: Some(down),
            base,
            jitter_percent: 0,
            spread: Spread::Random {
                within: knobs.warmup.unwrap_or(delay_loop),
            },
            timeout,
            connect_timeout,
            on_no_route: OnLocalError::Fail,
            log_all_failures: knobs.log_all_failures,
            ..Self::default()
        }
    }

    /// What a file says counts as soon as it says it.
    fn keepalived_file(knobs: &Keepalived) -> Self {
        Self {
            rise: 1,
            fall: 1,
            initial: initial(knobs),
            // A safety net beside what is told of the file.
            interval: Duration::from_secs(30),
            jitter_percent: 0,
            spread: Spread::None,
            timeout: Duration::from_secs(5),
            log_all_failures: knobs.log_all_failures,
            ..Self::default()
        }
    }
}

const fn initial(knobs: &Keepalived) -> Initial {
    if knobs.alpha {
        Initial::FullyDown
    } else {
        Initial::Up1
    }
}

#[cfg(test)]
mod tests {
    use KeepalivedChecker as Kind;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn defaults_are_those_of_each_checker() {
        let knobs = Keepalived::new();
        let rows = [
            (Kind::Tcp, 2, 1, ScheduleBase::EndToStart, 10),
            (Kind::Http, 2, 3, ScheduleBase::EndToStart, 10),
            (Kind::Smtp, 2, 1, ScheduleBase::EndToStart, 10),
            (Kind::Dns, 4, 60, ScheduleBase::EndToStart, 5),
            (Kind::Udp, 2, 1, ScheduleBase::EndToStart, 5),
            (Kind::Ping, 2, 1, ScheduleBase::EndToStart, 5),
            (Kind::Misc, 1, 1, ScheduleBase::StartToStart, 60),
        ];
        for (kind, fall, fast, base, timeout) in rows {
            let policy = Policy::keepalived(kind, &knobs);
            assert_eq!(policy.validate(), Ok(()));
            assert_eq!((policy.rise, policy.fall), (1, fall), "{kind:?}");
            assert_eq!(policy.fast, Some(fast * SECOND), "{kind:?}");
            assert_eq!(policy.base, base, "{kind:?}");
            assert_eq!(policy.timeout, timeout * SECOND, "{kind:?}");
            assert_eq!(policy.interval, 60 * SECOND);
            assert_eq!(policy.down, Some(60 * SECOND));
            assert_eq!(
                policy.spread,
                Spread::Random {
                    within: 60 * SECOND
                }
            );
            assert_eq!(policy.initial, Initial::Up1);
        }
    }

    #[test]
    fn written_knobs_win() {
        let knobs = Keepalived {
            delay_loop: Some(2 * SECOND),
            retry: Some(4),
            delay_before_retry: Some(7 * SECOND),
            warmup: Some(Duration::ZERO),
            connect_timeout: Some(3 * SECOND),
            misc_timeout: Some(9 * SECOND),
            alpha: true,
            log_all_failures: true,
        };
        let policy = Policy::keepalived(Kind::Http, &knobs);
        assert_eq!(policy.fall, 5);
        assert_eq!(policy.initial, Initial::FullyDown);
        assert_eq!(policy.down, Some(7 * SECOND), "the longer of both for HTTP");
        assert_eq!(policy.connect_timeout, Some(3 * SECOND));
        assert_eq!(policy.timeout, 6 * SECOND);
        assert_eq!(
            policy.spread,
            Spread::Random {
                within: Duration::ZERO
            }
        );
        assert!(policy.log_all_failures);
        let policy = Policy::keepalived(Kind::Misc, &knobs);
        assert_eq!(policy.timeout, 9 * SECOND);
        assert_eq!(policy.connect_timeout, None);
        assert_eq!(policy.down, Some(2 * SECOND));
        let policy = Policy::keepalived(Kind::Udp, &knobs);
        assert_eq!(policy.timeout, 3 * SECOND);
    }

    #[test]
    fn files_count_at_once() {
        let mut knobs = Keepalived::new();
        // What such a block cannot have makes no difference.
        knobs.delay_loop = Some(SECOND);
        knobs.retry = Some(9);
        let policy = Policy::keepalived(Kind::File, &knobs);
        assert_eq!(policy.validate(), Ok(()));
        assert_eq!((policy.rise, policy.fall), (1, 1));
        assert_eq!(
            (policy.spread, policy.initial),
            (Spread::None, Initial::Up1)
        );
        assert_eq!(policy.interval, 30 * SECOND);
        knobs.alpha = true;
        let policy = Policy::keepalived(Kind::File, &knobs);
        assert_eq!(policy.initial, Initial::FullyDown);
    }
}

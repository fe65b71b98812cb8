//! Our side: a process with a driver, which is this program again.

use core::time::Duration;
use std::ffi::OsString;

use lvs_healthcheck::policy::Policy;
use lvs_healthcheck::probe::CloseMode;
use lvs_healthcheck::probe::http::Method;
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{Check, CheckEvent, Config, Driver, Http, Target, TcpProbe};

use crate::Result;
use crate::process::stay_on;
use crate::server::address;

/// The network the servers' addresses are of.
pub(crate) const NETWORK: [u8; 2] = [127, 1];

/// What is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// TCP, closed in order.
    Tcp,
    /// TCP, the last ACK held back, then reset.
    HalfOpen,
    /// `GET / HTTP/1.0`, closed in order.
    Http,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::HalfOpen => "half-open",
            Self::Http => "http",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Tcp, Self::HalfOpen, Self::Http]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    fn check(self, number: u16, policy: Policy) -> Check {
        let probe = TcpProbe::new(Target::new(address(NETWORK, number)));
        let check = match self {
            Self::Tcp => Check::new(probe, policy),
            Self::HalfOpen => Check::new(probe.with_close(CloseMode::HalfOpen), policy),
            Self::Http => {
                let http = Http::haproxy().with_method(Method::Get);
                Check::new(probe.with_protocol(http), policy)
            }
        };
        check.with_key(&number.to_string())
    }
}

/// The word and the two numbers a subject and a floor are started with.
pub(crate) fn arguments(arguments: &[OsString]) -> Result<(Kind, u16, Duration)> {
    let words: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let [kind, servers, interval] = words[..] else {
        return Err("wanted: kind of check, number of servers, milliseconds".into());
    };
    let kind = Kind::of(kind).ok_or("no such kind of check")?;
    let interval = Duration::from_millis(interval.parse()?);
    Ok((kind, servers.parse()?, interval))
}

/// Checks as many servers as often as the arguments say, until it is killed or a check fails.
pub(crate) fn run(words: &[OsString]) -> Result<()> {
    let (kind, servers, interval) = arguments(words)?;
    stay_on(0)?;
    let policy = Policy::default()
        .with_interval(interval)
        .with_timeout(interval.max(Duration::from_secs(1)));
    // What is asked for may be more than can be done: that is the measurement.
    let limits = Limits::default().with_start_rate(1_000_000);
    let mut driver = Driver::new(Config::default().with_limits(limits))?;
    for number in 0..servers {
        driver.add(kind.check(number, policy.clone()))?;
    }
    let mut events = Vec::new();
    loop {
        driver.poll(None, &mut events)?;
        for event in events.drain(..) {
            if let CheckEvent::Completed(report) = event
                && !report.outcome.verdict.is_pass()
            {
                return Err(format!("a check failed: {}", report.outcome).into());
            }
        }
    }
}

//! The HTTP probe: against recordings, against nginx, against servers that mean harm.

#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod drive;
mod fuzzed;
mod nginx;
mod real;
mod replies;
mod requests;
mod turns;

use core::net::SocketAddr;
use core::time::Duration;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::Protocol;
use lvs_healthcheck::{
    Check, CheckEvent, Config, Driver, Outcome, Policy, Probe, Report, Target, TcpProbe,
};

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(60 * SECOND)
        .with_timeout(10 * SECOND)
}

/// The first report of a check of its own.
fn run(probe: impl Probe + 'static, policy: Policy) -> Report {
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    driver.poll(Some(20 * SECOND), &mut events).unwrap();
    assert_eq!(driver.load().in_flight, 0);
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report,
        other => panic!("unexpected {other:?}"),
    }
}

/// What one attempt finds out.
fn ask(server: SocketAddr, protocol: impl Protocol + 'static) -> Outcome {
    let probe = TcpProbe::new(Target::new(server)).with_protocol(protocol);
    run(probe, policy()).outcome
}

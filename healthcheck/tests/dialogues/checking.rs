//! Runs one attempt of a probe and gives its report.

use core::time::Duration;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::{Check, CheckEvent, Config, Driver, Policy, Probe, Report};

/// The time of an attempt; servers that start may be slow on a busy machine.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The first report of a check, with this time for the attempt.
pub(super) fn report_within(probe: impl Probe + 'static, timeout: Duration) -> Report {
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_interval(Duration::from_secs(600))
        .with_timeout(timeout);
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    while events.is_empty() {
        driver
            .poll(Some(Duration::from_secs(30)), &mut events)
            .unwrap();
    }
    assert_eq!(driver.load().in_flight, 0);
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report,
        other => panic!("unexpected {other:?}"),
    }
}

/// The first report of a check.
pub(super) fn report(probe: impl Probe + 'static) -> Report {
    report_within(probe, TIMEOUT)
}

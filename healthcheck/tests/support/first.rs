//! The first report of a check.

use core::time::Duration;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::{Check, CheckEvent, Config, Driver, Policy, Probe, Report};

/// Starts at once, has long enough for a busy machine, and comes once.
pub(super) fn policy() -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(Duration::from_secs(600))
        .with_timeout(Duration::from_secs(20))
}

/// The first report of a check, after which nothing of it runs any more.
pub(super) fn first_report(probe: impl Probe + 'static, policy: Policy) -> Report {
    let patience = policy.timeout() + Duration::from_secs(60);
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    let (mut events, begin) = (Vec::new(), driver.now());
    while events.is_empty() {
        let waited = driver.now() - begin;
        assert!(waited < patience, "{:?} after {waited:?}", driver.load());
        driver.poll(Some(patience - waited), &mut events).unwrap();
    }
    assert_eq!(driver.load().in_flight, 0, "{events:?}");
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report,
        other => panic!("unexpected {other:?}"),
    }
}

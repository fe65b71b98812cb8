//! What a caller tells a driver: errors of real traffic, others' reports, suspension.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::net::SocketAddr;
use core::time::Duration;
use std::net::TcpListener;

use lvs_healthcheck::policy::{Observation, Observe, OnError, OnLocalError, Passive, Spread};
use lvs_healthcheck::probe::{FnProbe, PushProbe};
use lvs_healthcheck::{
    Check, CheckEvent, CheckId, Code, Config, Driver, Error, Health, Outcome, Phase, Policy,
    Report, Source, Target, TcpProbe, Verdict,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn driver() -> Driver {
    Driver::new(Config::default().with_seed(1)).unwrap()
}

fn policy(interval: Duration) -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(interval)
}

fn reports_within(driver: &mut Driver, time: Duration) -> Vec<Report> {
    let mut events = Vec::new();
    driver.poll(Some(time), &mut events).unwrap();
    let report = |event| match event {
        CheckEvent::Completed(report) => report,
        other => panic!("unexpected {other:?}"),
    };
    events.into_iter().map(report).collect()
}

fn only_report(driver: &mut Driver) -> Report {
    let mut reports = reports_within(driver, 60 * SECOND);
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.remove(0)
}

/// A server that answers connections, and one nobody is at.
fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn tcp(address: SocketAddr) -> TcpProbe {
    TcpProbe::new(Target::new(address))
}

#[test]
fn errors_of_real_traffic_count_and_hurry_the_next_attempt() {
    let (_server, address) = server();
    let mut driver = driver();
    let passive = Passive::new(Observe::Layer7)
        .with_error_limit(2)
        .with_on_error(OnError::MarkDown);
    let policy = policy(600 * SECOND)
        .with_fast_interval(20 * MS)
        .with_passive(passive);
    let check = driver.add(Check::new(tcp(address), policy)).unwrap();
    assert_eq!(only_report(&mut driver).health, Health::Up);

    driver.observe(check, Observation::HttpStatus(502)).unwrap();
    assert_eq!(reports_within(&mut driver, Duration::ZERO).len(), 0);
    driver.observe(check, Observation::HttpStatus(503)).unwrap();
    let report = only_report(&mut driver);
    assert_eq!(
        (report.source, report.health, report.attempt, report.verdict),
        (Source::Traffic, Health::Down, 1, Verdict::FailNow)
    );
    assert_eq!(
        report.outcome.to_string(),
        "status (match): errors of real traffic, the last: HTTP status 503"
    );
    assert!(report.change.is_some() && report.log);
    // The next attempt does not wait for the interval, and finds the server up.
    let report = only_report(&mut driver);
    assert_eq!((report.source, report.attempt), (Source::Attempt, 2));
    assert_eq!(report.health, Health::Up);
}

#[test]
fn without_passive_checks_nothing_is_made_of_traffic() {
    let (_server, address) = server();
    let mut driver = driver();
    let check = driver.add(Check::new(tcp(address), policy(600 * SECOND)));
    let check = check.unwrap();
    assert_eq!(only_report(&mut driver).health, Health::Up);
    for _ in 0..100 {
        driver.observe(check, Observation::ConnectFailed).unwrap();
    }
    assert_eq!(reports_within(&mut driver, Duration::ZERO).len(), 0);
    driver.remove(check).unwrap();
    let refused = driver.observe(check, Observation::ConnectFailed);
    assert!(matches!(refused, Err(Error::UnknownCheck(_))));
}

#[test]
fn traffic_that_comes_back_brings_the_next_attempt_forward() {
    let (_server, address) = server();
    let mut driver = driver();
    let policy = policy(20 * SECOND).with_idle_interval(600 * SECOND);
    let check = driver.add(Check::new(tcp(address), policy)).unwrap();
    driver.set_traffic(check, false).unwrap();
    let started = only_report(&mut driver).started;
    assert_eq!(driver.next_attempt(check), Some(started + 600 * SECOND));
    driver.set_traffic(check, true).unwrap();
    let next = driver.next_attempt(check).unwrap();
    assert!(next <= driver.now() + 20 * SECOND, "{next:?}");
}

#[test]
fn suspended_check_rests_while_one_with_the_same_probe_goes_on() {
    let (server, address) = server();
    let mut driver = driver();
    let [first, second] = [(); 2].map(|()| {
        driver
            .add(Check::new(tcp(address), policy(30 * MS)))
            .unwrap()
    });
    assert_eq!(reports_within(&mut driver, 60 * SECOND).len(), 2);
    driver.suspend(first).unwrap();
    assert!(driver.is_suspended(first) && !driver.is_suspended(second));
    assert_eq!(driver.next_attempt(first), driver.next_attempt(second));
    for _ in 0..3 {
        assert_eq!(only_report(&mut driver).check, second);
    }
    driver.suspend_all().unwrap();
    assert_eq!(driver.next_attempt(second), None);
    drop(server);
    assert_eq!(reports_within(&mut driver, 100 * MS).len(), 0);
    assert_eq!(driver.health(second), Some(Health::Up), "as it was");
    driver.resume_all().unwrap();
    assert!(!driver.is_suspended(first));
    let reports = reports_within(&mut driver, 60 * SECOND);
    let checks: Vec<CheckId> = reports.iter().map(|report| report.check).collect();
    assert_eq!(checks, [first, second]);
    let attempts: Vec<u64> = reports.iter().map(|report| report.attempt).collect();
    assert_eq!(attempts, [2, 5], "only those it took part in");
    assert!(reports.iter().all(|report| report.verdict.is_fail()));
}

#[test]
fn resumed_checks_keep_their_places_in_the_interval() {
    let mut driver = driver();
    let hour = 3600 * SECOND;
    let spread = Policy::default().with_jitter_percent(0).with_interval(hour);
    let spread = spread.with_spread(Spread::Hash { cap: hour });
    let nowhere: SocketAddr = "192.0.2.7:80".parse().unwrap();
    let checks: Vec<CheckId> = (0..20)
        .map(|number: u32| {
            let check = Check::new(tcp(nowhere), spread.clone()).exclusive();
            driver.add(check.with_key(&number.to_string())).unwrap()
        })
        .collect();
    let before: Vec<_> = checks.iter().map(|id| driver.next_attempt(*id)).collect();
    driver.suspend_all().unwrap();
    assert!(checks.iter().all(|id| driver.next_attempt(*id).is_none()));
    driver.resume_all().unwrap();
    let after: Vec<_> = checks.iter().map(|id| driver.next_attempt(*id)).collect();
    assert_eq!(before, after);
}

#[test]
fn running_attempt_of_a_suspended_check_says_nothing() {
    let mut driver = driver();
    let slow = FnProbe::new(|_| {
        std::thread::sleep(300 * MS);
        Outcome::new(Code::Status, Phase::Match)
    });
    let check = driver.add(Check::new(slow, policy(600 * SECOND))).unwrap();
    while driver.load().in_flight == 0 {
        assert_eq!(reports_within(&mut driver, MS).len(), 0);
    }
    driver.suspend(check).unwrap();
    let report = only_report(&mut driver);
    assert_eq!(
        (report.outcome.verdict, report.verdict, report.health),
        (Verdict::Fail, Verdict::Neutral, Health::Unknown)
    );
}

#[test]
fn reports_are_judged_and_their_absence_is_a_failure() {
    let mut driver = driver();
    let probe = PushProbe::new(150 * MS);
    let policy = policy(600 * SECOND).with_fall(2);
    let check = driver.add(Check::new(probe, policy)).unwrap();
    let ok = Outcome::new(Code::Ok, Phase::Match);
    for _ in 0..3 {
        driver.report(check, ok.clone()).unwrap();
        let report = only_report(&mut driver);
        assert_eq!(
            (report.source, report.health, report.attempt),
            (Source::Reporter, Health::Up, 0)
        );
    }
    let last = driver.now();
    let [first, second] = [(); 2].map(|()| only_report(&mut driver));
    assert_eq!((first.source, first.health), (Source::Attempt, Health::Up));
    assert_eq!(first.outcome.code, Code::TimeoutIo);
    assert!(first.at >= last + 140 * MS, "not before its time");
    assert!(second.at >= first.at + 150 * MS);
    assert_eq!((second.health, second.attempt), (Health::Down, 2));
    driver.report(check, ok).unwrap();
    assert_eq!(only_report(&mut driver).health, Health::Up);
}

#[test]
fn suspended_check_does_not_miss_reports() {
    let mut driver = driver();
    let policy = policy(SECOND).with_fall(1);
    let check = driver.add(Check::new(PushProbe::new(30 * MS), policy));
    let check = check.unwrap();
    driver.suspend(check).unwrap();
    assert_eq!(reports_within(&mut driver, 90 * MS).len(), 0);
    driver.resume(check).unwrap();
    let due = driver.next_attempt(check).unwrap();
    assert!(due >= driver.now(), "the time begins anew");
    assert_eq!(only_report(&mut driver).health, Health::Down);
}

#[test]
fn others_find_out_only_where_that_is_wanted() {
    let (_server, address) = server();
    let mut driver = driver();
    let check = driver
        .add(Check::new(tcp(address), policy(SECOND)))
        .unwrap();
    let refused = driver.report(check, Outcome::new(Code::Ok, Phase::Match));
    let text = refused.unwrap_err().to_string();
    assert_eq!(
        text,
        format!("check is {check}: must be one that waits for reports, see PushProbe")
    );
    let never = Check::new(PushProbe::new(Duration::ZERO), policy(SECOND));
    assert_eq!(
        driver.add(never).unwrap_err().to_string(),
        "ttl is 0ns: must be 1 ms to 1000000000 s"
    );
}

#[test]
fn report_says_what_the_policy_made_of_the_outcome() {
    let mut driver = driver();
    let probe = FnProbe::new(|_| Outcome::new(Code::LocalSocket, Phase::Bind));
    let policy = policy(600 * SECOND).with_on_local_error(OnLocalError::Fail);
    driver.add(Check::new(probe, policy.with_fall(1))).unwrap();
    let report = only_report(&mut driver);
    assert_eq!(
        (report.outcome.verdict, report.verdict, report.health),
        (Verdict::Neutral, Verdict::Fail, Health::Down)
    );
}

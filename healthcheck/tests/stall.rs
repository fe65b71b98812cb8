//! A host that did not look for a while does not hold that against servers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::{
    Check, CheckEvent, Code, Config, Driver, Health, Policy, Report, Target, TcpProbe, Verdict,
};

const SECOND: Duration = Duration::from_secs(1);

/// A server that greets after this time, if at all, and goes on as a mail server.
fn server(greets_after: Option<Duration>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some(time) = greets_after {
                thread::sleep(time);
                let _ = stream.write_all(b"220 hello\r\n");
            }
            let mut said = [0; 64];
            while let Ok(1..) = stream.read(&mut said) {
                let _ = stream.write_all(b"250 well\r\n");
            }
        }
    });
    address
}

/// What is reported of an attempt that began before this host looked away for longer than the
/// attempt may take, and of the next one.
fn reports_around_a_stall(address: SocketAddr, timeout: Duration) -> Vec<Report> {
    let probe = TcpProbe::new(Target::new(address)).with_protocol(Smtp::new().with_name("us"));
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_interval(2 * timeout)
        .with_timeout(timeout)
        .with_fall(1);
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    while driver.load().in_flight == 0 {
        driver.poll(Some(Duration::ZERO), &mut events).unwrap();
    }
    assert_eq!(events.len(), 0, "it takes its time");
    thread::sleep(3 * timeout / 2);
    while events.len() < 2 {
        driver.poll(Some(10 * SECOND), &mut events).unwrap();
    }
    let report = |event| match event {
        CheckEvent::Completed(report) => report,
        other => panic!("unexpected {other:?}"),
    };
    events.into_iter().map(report).collect()
}

#[test]
fn answers_nobody_looked_at_in_time_are_no_failure() {
    let reports = reports_around_a_stall(server(Some(SECOND / 5)), 2 * SECOND);
    let outcome = &reports[0].outcome;
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Cancelled, Verdict::Neutral),
        "{outcome}"
    );
    let text = outcome.detail.as_str();
    assert!(text.starts_with("this host looked "), "{text}");
    assert_eq!(reports[0].health, Health::Unknown);
    assert_eq!(reports[1].outcome.code, Code::Ok, "{}", reports[1].outcome);
}

#[test]
fn silence_is_a_failure_whoever_looks() {
    let reports = reports_around_a_stall(server(None), SECOND);
    for report in reports {
        assert_eq!(report.outcome.code, Code::TimeoutIo, "{}", report.outcome);
        assert_eq!(report.health, Health::Down);
    }
}

/// Timers are late by some milliseconds on every host; of a short attempt that is a large part.
#[test]
fn drip_is_a_failure_also_of_short_attempts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                while stream.write_all(b"2").is_ok() {
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
    });
    let probe = TcpProbe::new(Target::new(address)).with_protocol(Smtp::new().with_name("us"));
    let timeout = SECOND / 50;
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_interval(2 * timeout)
        .with_timeout(timeout);
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    while events.len() < 30 {
        driver.poll(Some(10 * SECOND), &mut events).unwrap();
    }
    for event in events {
        let CheckEvent::Completed(report) = event else {
            panic!("{event:?}")
        };
        let late = (report.at - report.started).saturating_sub(timeout);
        let stood_still = report.outcome.code == Code::Cancelled;
        assert!(!stood_still || late > SECOND / 20, "{}", report.outcome);
    }
}

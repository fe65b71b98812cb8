//! The table of outcome codes, every row produced by a real cause: sockets, processes, network
//! namespaces. One table for each kind of privilege; together they have every code.

#![cfg(all(feature = "dns", feature = "http", feature = "tls"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; the tables are printed"
)]

#[path = "../support/elsewhere.rs"]
mod elsewhere;
#[path = "../support/full.rs"]
mod full;
#[path = "../support/namespace.rs"]
mod namespace;
mod ordinary;
mod privileged;
#[path = "../support/router.rs"]
mod router;
mod server;

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::{
    Check, CheckEvent, Code, Config, Driver, Outcome, Phase, Policy, Probe, Verdict,
};

const SECOND: Duration = Duration::from_secs(1);

/// What ends by itself has this long; machines may be busy.
const LONG: Duration = Duration::from_secs(20);

/// How long is waited for what does not come.
const SHORT: Duration = Duration::from_millis(300);

/// A row: what happens, and what is made of it.
struct Row {
    code: Code,
    phase: Phase,
    verdict: Verdict,
    cause: &'static str,
    produce: fn() -> Outcome,
}

const fn row(
    code: Code,
    phase: Phase,
    verdict: Verdict,
    cause: &'static str,
    produce: fn() -> Outcome,
) -> Row {
    Row {
        code,
        phase,
        verdict,
        cause,
        produce,
    }
}

/// Limits of the whole process are lowered by some rows.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one attempt under the driver finds out in this time.
fn outcome(probe: impl Probe + 'static, timeout: Duration) -> Outcome {
    let driver = Driver::new(Config::default()).unwrap();
    outcome_in(driver, probe, timeout)
}

/// The same in a driver made before.
fn outcome_in(driver: Driver, probe: impl Probe + 'static, timeout: Duration) -> Outcome {
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_interval(60 * SECOND)
        .with_timeout(timeout);
    nth_outcome(driver, Check::new(probe, policy), 1)
}

/// What the second attempt finds out after one that has passed.
fn second_outcome(probe: impl Probe + 'static) -> Outcome {
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_rise(1)
        .with_interval(SECOND / 100)
        .with_timeout(LONG);
    let driver = Driver::new(Config::default()).unwrap();
    nth_outcome(driver, Check::new(probe, policy), 2)
}

fn nth_outcome(mut driver: Driver, check: Check, number: usize) -> Outcome {
    driver.add(check).unwrap();
    let mut events = Vec::new();
    while events.len() < number {
        driver.poll(Some(SECOND), &mut events).unwrap();
    }
    assert_eq!(events.len(), number, "exactly one outcome each");
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report.outcome,
        other => panic!("unexpected {other:?}"),
    }
}

/// Produces, prints and compares every row.
fn check(table: &[Row]) {
    let _alone = alone();
    let mut wrong = Vec::new();
    for row in table {
        let outcome = (row.produce)();
        let found = (outcome.code, outcome.phase, outcome.verdict);
        let counts = format!("{:?}", outcome.verdict);
        println!(
            "{:16} {:8} {counts:9} | {} | {}",
            outcome.code,
            outcome.phase.to_string(),
            row.cause,
            outcome.detail
        );
        if found != (row.code, row.phase, row.verdict) {
            wrong.push(format!("{}: not {} but {outcome:?}", row.cause, row.code));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn causes_of_ordinary_life() {
    check(ordinary::TABLE);
}

#[test]
#[ignore = "needs root, iproute2 and nftables: makes network namespaces"]
fn causes_in_the_network_and_on_this_host() {
    check(privileged::TABLE);
}

#[test]
fn every_code_has_a_cause() {
    let rows = || ordinary::TABLE.iter().chain(privileged::TABLE);
    for code in Code::ALL {
        assert!(rows().any(|row| row.code == *code), "{code}");
    }
    // Those that do not count as their code says are decisions of the specification.
    let unusual: Vec<_> = rows()
        .filter(|row| row.verdict != row.code.default_verdict())
        .map(|row| (row.code.as_str(), row.verdict))
        .collect();
    assert_eq!(
        unusual,
        [
            ("status", Verdict::FailNow),
            ("status", Verdict::FailNow),
            ("busy", Verdict::PassNoNew),
            ("spawn", Verdict::Neutral),
            ("spawn", Verdict::Neutral),
        ]
    );
}

//! Command checks in programs that deal with child processes themselves. Each test runs alone.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::time::Duration;
use std::sync::{Mutex, MutexGuard};

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::{
    Check, CheckEvent, Code, Command, CommandProbe, Config, Driver, Error, Health, Policy, Report,
    Verdict,
};
use nix::sys::wait::{WaitStatus, wait};

const SECOND: Duration = Duration::from_secs(1);

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn check(script: &str, timeout: Duration) -> Check {
    let command = Command::new("/bin/sh")
        .with_argument("-c")
        .with_argument(script);
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_interval(10 * SECOND)
        .with_timeout(timeout);
    Check::new(CommandProbe::new(command), policy)
}

/// Polls until a command runs.
fn start(driver: &mut Driver) {
    let mut events = Vec::new();
    while driver.load().processes == 0 {
        driver
            .poll(Some(Duration::from_millis(5)), &mut events)
            .unwrap();
    }
    assert!(events.is_empty());
}

fn next(driver: &mut Driver) -> Report {
    let mut events = Vec::new();
    driver.poll(Some(10 * SECOND), &mut events).unwrap();
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report,
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn exit_status_taken_by_the_program_says_nothing() {
    let _alone = alone();
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(check("sleep 0.2; exit 1", 5 * SECOND)).unwrap();
    start(&mut driver);
    // What a program does that believes all children to be its own.
    assert!(matches!(wait().unwrap(), WaitStatus::Exited(_, 1)));
    let report = next(&mut driver);
    assert_eq!(
        (report.outcome.code, report.outcome.verdict),
        (Code::Spawn, Verdict::Neutral)
    );
    assert_eq!((report.health, report.local_errors), (Health::Unknown, 1));
    assert_eq!(driver.load().processes, 0, "and the check goes on");
}

#[test]
fn program_that_ignores_sigchld_is_told_so() {
    let _alone = alone();
    if std::env::var_os("HC_IGNORING").is_none() {
        let output = std::process::Command::new("env")
            .args(["--ignore-signal=CHLD", "HC_IGNORING=1"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "program_that_ignores_sigchld_is_told_so"])
            .output()
            .unwrap();
        // Its exit code comes from a process that ignores SIGCHLD itself, not from this one.
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        return;
    }
    let mut driver = Driver::new(Config::default()).unwrap();
    let error = driver.add(check("exit 0", SECOND)).unwrap_err();
    assert!(matches!(error, Error::ChildStatusLost), "{error}");
    assert!(error.to_string().contains("ignores SIGCHLD"), "{error}");
}

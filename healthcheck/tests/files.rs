//! Checks that read files, under the driver.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::time::Duration;
use std::fs;
use std::path::Path;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::file::{FileProbe, MaintenanceProbe};
use lvs_healthcheck::{
    AdminHint, Check, CheckEvent, Code, Config, Driver, Policy, Probe, Report, Verdict, WeightHint,
};

/// So long that only the watching can be the cause of a report.
const HOUR: Duration = Duration::from_secs(3600);

fn driver(probe: impl Probe + 'static) -> Driver {
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_rise(1)
        .with_fall(1)
        .with_interval(HOUR)
        .with_timeout(Duration::from_secs(10));
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    driver
}

/// Reports until one is as wanted; a change may be seen in two steps.
fn until(driver: &mut Driver, wanted: impl Fn(&Report) -> bool) -> Report {
    for _ in 0..20 {
        let mut events = Vec::new();
        driver
            .poll(Some(Duration::from_secs(10)), &mut events)
            .unwrap();
        for event in events {
            match event {
                CheckEvent::Completed(report) if wanted(&report) => return report,
                _ => {}
            }
        }
    }
    panic!("did not come")
}

fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

#[test]
fn file_is_read_when_it_is_written_replaced_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web1");
    let mut driver = driver(FileProbe::new(&path).with_weight(2));
    let says = |value| move |report: &Report| report.hint == Some(WeightHint::Delta(value));
    until(&mut driver, says(0));
    fs::write(&path, "3").unwrap();
    until(&mut driver, says(6));
    replace(&path, "-4\n");
    until(&mut driver, says(-8));
    fs::write(&path, "what").unwrap();
    let report = until(&mut driver, |report| {
        report.outcome.verdict == Verdict::Neutral
    });
    assert_eq!(
        report.hint,
        Some(WeightHint::Delta(-8)),
        "the old value stays"
    );
    fs::remove_file(&path).unwrap();
    until(&mut driver, says(0));
}

#[test]
fn directory_that_is_made_anew_is_watched_again() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("state");
    fs::write(&path, "1").unwrap();
    let mut driver = driver(FileProbe::new(&path));
    until(&mut driver, |report| report.outcome.code == Code::Status);
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("state"), "0").unwrap();
    fs::remove_file(&path).unwrap();
    fs::remove_dir(&inner).unwrap();
    fs::rename(&other, &inner).unwrap();
    until(&mut driver, |report| report.outcome.code == Code::Ok);
    fs::write(&path, "1").unwrap();
    until(&mut driver, |report| report.outcome.code == Code::Status);
}

#[test]
fn maintenance_begins_and_ends_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut driver = driver(MaintenanceProbe::new(
        directory.path(),
        ["192.0.2.7:80", "192.0.2.7"],
    ));
    let votes = |hint| move |report: &Report| report.outcome.admin == Some(hint);
    until(&mut driver, votes(AdminHint::Ready));
    fs::write(directory.path().join("192.0.2.7"), "").unwrap();
    until(&mut driver, votes(AdminHint::Maint));
    fs::remove_file(directory.path().join("192.0.2.7")).unwrap();
    until(&mut driver, votes(AdminHint::Ready));
}

#[test]
fn removed_check_is_not_told_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web1");
    let mut driver = driver(FileProbe::new(&path));
    let check = until(&mut driver, |_| true).check;
    driver.remove(check).unwrap();
    fs::write(&path, "1").unwrap();
    let mut events = Vec::new();
    driver
        .poll(Some(Duration::from_millis(100)), &mut events)
        .unwrap();
    assert!(events.is_empty(), "{events:?}");
}

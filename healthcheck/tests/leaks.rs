//! What a thousand commands leave behind: nothing. Alone in its process, because it counts
//! everything the process has.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/children.rs"]
mod children;
#[path = "support/descriptors.rs"]
mod descriptors;

use core::time::Duration;

use lvs_healthcheck::policy::{ScheduleBase, Spread};
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{Check, CheckEvent, Code, Command, CommandProbe, Config, Driver, Policy};

use self::children::children;
use self::descriptors::descriptors;

#[test]
fn thousand_runs_leave_no_zombie_and_no_descriptor() {
    let (before, none) = (descriptors(), children());
    assert_eq!(none, 0);
    let limits = Limits::default().with_fork_rate(100_000);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    let idle = descriptors();
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_schedule_base(ScheduleBase::EndToStart)
        .with_interval(Policy::MIN_TIME);
    let checks: Vec<_> = (0..10)
        .map(|n| {
            // Some end well, some badly, some cannot be started.
            let program = ["/bin/true", "/bin/false", "/no/such/program"][n % 3];
            let probe = CommandProbe::new(Command::new(program));
            driver.add(Check::new(probe, policy.clone())).unwrap()
        })
        .collect();
    let mut events = Vec::new();
    while events.len() < 1000 {
        driver
            .poll(Some(Duration::from_secs(1)), &mut events)
            .unwrap();
    }
    let count = |code| {
        let has = |event: &&CheckEvent| matches!(event, CheckEvent::Completed(report) if report.outcome.code == code);
        events.iter().filter(has).count()
    };
    let counts = [Code::Ok, Code::ExitNonzero, Code::Spawn].map(count);
    assert_eq!(counts.iter().sum::<usize>(), events.len());
    assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
    for check in checks {
        driver.remove(check).unwrap();
    }
    while driver.load().processes > 0 {
        driver
            .poll(Some(Duration::from_millis(10)), &mut Vec::new())
            .unwrap();
    }
    assert_eq!((descriptors(), children()), (idle, 0));
    drop(driver);
    assert_eq!(descriptors(), before);
}

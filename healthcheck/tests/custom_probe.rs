//! Probes of one's own, well-behaved and otherwise, under the driver.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/lateness.rs"]
mod lateness;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::{Action, CloseMode, Engine, Event, Resource, Step, Transport};
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, CheckId, Code, Command, Config, Driver, Outcome, Phase, Policy,
    Probe, Report, Target, Timestamp, Verdict, WeightHint,
};

use self::lateness::Watch;

const SECOND: Duration = Duration::from_secs(1);

/// A probe made of a function: the attempt, the event (none at the start), the answer.
type Answer = dyn Fn(&Attempt, Option<&Event<'_>>, Timestamp) -> Step + Send + Sync;

#[derive(Clone)]
struct Custom {
    answer: Arc<Answer>,
    resource: Resource,
}

impl core::fmt::Debug for Custom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Custom")
    }
}

#[derive(Debug)]
struct CustomEngine(Custom, Attempt);

impl Probe for Custom {
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(CustomEngine(self.clone(), *attempt))
    }

    fn resource(&self) -> Resource {
        self.resource
    }
}

impl Engine for CustomEngine {
    fn start(&mut self, now: Timestamp) -> Step {
        (self.0.answer)(&self.1, None, now)
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        (self.0.answer)(&self.1, Some(&event), now)
    }
}

fn driver_with(
    resource: Resource,
    answer: impl Fn(&Attempt, Option<&Event<'_>>, Timestamp) -> Step + Send + Sync + 'static,
) -> Driver {
    let probe = Custom {
        answer: Arc::new(answer),
        resource,
    };
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(Duration::from_millis(800))
        .with_timeout(Duration::from_millis(600));
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    driver
}

fn next(driver: &mut Driver) -> Report {
    let mut events = Vec::new();
    driver.poll(Some(10 * SECOND), &mut events).unwrap();
    assert_eq!(events.len(), 1);
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report,
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn outcome_at_once_is_reported_with_its_hint_and_the_next_attempt_keeps_the_grid() {
    let mut driver = driver_with(Resource::Socket, |attempt, _, _| {
        let weight = WeightHint::Percent(u32::try_from(attempt.number).unwrap());
        Step::Done(Outcome::new(Code::Ok, Phase::Match).with_weight(weight))
    });
    let watch = Watch::start();
    let (first, second) = (next(&mut driver), next(&mut driver));
    assert_eq!(
        (first.hint, first.hint_changed),
        (Some(WeightHint::Percent(1)), true)
    );
    assert_eq!(
        (second.hint, second.attempt),
        (Some(WeightHint::Percent(2)), 2)
    );
    let gap = second.started - first.started;
    watch.judge("start", vec![gap - Duration::from_millis(800)]);
}

#[test]
fn silent_engine_is_ended_at_the_deadline() {
    let mut driver = driver_with(Resource::Socket, |_, _, _| Step::Do(Vec::new()));
    let watch = Watch::start();
    let report = next(&mut driver);
    assert_eq!(
        (report.outcome.code, report.outcome.verdict),
        (Code::TimeoutIo, Verdict::Fail)
    );
    let took = report.at - report.started;
    watch.judge("silent engine", vec![took - Duration::from_millis(600)]);
    assert_eq!(driver.load().in_flight, 0);
}

#[test]
fn deadline_can_be_moved_but_not_beyond_that_of_the_attempt() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut driver = driver_with(Resource::Socket, move |attempt, event, now| {
        if matches!(event, Some(Event::Deadline)) {
            log.lock().unwrap().push(now - attempt.started);
        }
        let wait = if event.is_none() {
            Duration::from_millis(50)
        } else {
            100 * SECOND
        };
        Step::Do(vec![Action::SetDeadline(now + wait)])
    });
    assert_eq!(next(&mut driver).outcome.code, Code::TimeoutIo);
    let seen = seen.lock().unwrap();
    let [asked, given] = seen[..] else {
        panic!("{seen:?}")
    };
    assert!(
        asked >= Duration::from_millis(50) && asked < Duration::from_millis(600),
        "{asked:?}"
    );
    assert!(given >= Duration::from_millis(600), "{given:?}");
}

#[test]
fn engine_that_ends_without_an_outcome_says_nothing() {
    let mut driver = driver_with(Resource::Socket, |_, _, _| Step::End(Vec::new()));
    let report = next(&mut driver);
    assert_eq!(
        (report.outcome.code, report.outcome.verdict),
        (Code::Cancelled, Verdict::Neutral)
    );
}

#[test]
fn second_outcome_of_an_attempt_is_dropped() {
    let mut driver = driver_with(Resource::Socket, |_, event, now| match event {
        None => Step::Report(
            Outcome::new(Code::Ok, Phase::Match),
            vec![Action::SetDeadline(now + Duration::from_millis(20))],
        ),
        Some(_) => Step::Done(Outcome::new(Code::Proto, Phase::Match)),
    });
    for number in 1..=2 {
        let report = next(&mut driver);
        assert_eq!((report.outcome.code, report.attempt), (Code::Ok, number));
    }
}

#[test]
fn engine_that_asks_in_vain_for_ever_is_stopped() {
    let mut driver = driver_with(Resource::Socket, |_, _, _| {
        let target = Target::new("127.0.0.1:1".parse().unwrap());
        let target = target.with_device("no-such-device");
        Step::Do(vec![Action::Connect {
            target,
            transport: Transport::Tcp {
                close: CloseMode::Fin,
                prompt: false,
            },
        }])
    });
    let report = next(&mut driver);
    assert_eq!(report.outcome.code, Code::Cancelled);
    assert_eq!(
        report.outcome.detail.as_str(),
        "the probe keeps asking for what fails"
    );
}

/// Whether the server's program always has a connection by the time the engine hears of it.
fn always_seen_at_once(prompt: bool) -> bool {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let target = Target::new(server.local_addr().unwrap());
    let connect = move || {
        Step::Do(vec![Action::Connect {
            target: target.clone(),
            transport: Transport::Tcp {
                close: CloseMode::Fin,
                prompt,
            },
        }])
    };
    let (connected, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut driver = driver_with(Resource::Socket, move |_, event, _| match event {
        None => connect(),
        Some(Event::Connected) => {
            let connected = connected.fetch_add(1, Ordering::Relaxed) + 1;
            while server.accept().is_ok() {
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            if accepted.load(Ordering::Relaxed) < connected {
                return Step::Done(Outcome::new(Code::TimeoutConnect, Phase::Connect));
            }
            if connected == 20 {
                return Step::Done(Outcome::new(Code::Ok, Phase::Connect));
            }
            // The one before is closed.
            connect()
        }
        _ => Step::Done(Outcome::new(Code::Proto, Phase::Match)),
    });
    let code = next(&mut driver).outcome.code;
    assert!(matches!(code, Code::Ok | Code::TimeoutConnect), "{code}");
    code == Code::Ok
}

#[test]
fn last_packet_of_the_handshake_waits_for_what_follows_at_once() {
    assert!(always_seen_at_once(false));
    assert!(!always_seen_at_once(true));
}

#[test]
fn after_a_failing_action_the_rest_of_the_step_is_dropped() {
    let mut driver = driver_with(Resource::Process, |_, event, _| match event {
        None => Step::Do(vec![
            Action::Spawn(Command::new("/no/such/command")),
            Action::Spawn(Command::new("/bin/true")),
        ]),
        Some(Event::Failed { errno, .. }) => {
            Step::Done(Outcome::new(Code::Spawn, Phase::Process).with_detail(&errno.to_string()))
        }
        Some(other) => panic!("unexpected {other:?}"),
    });
    assert_eq!(
        next(&mut driver).outcome.detail.as_str(),
        "No such file or directory"
    );
}

#[test]
fn command_an_engine_leaves_behind_is_killed_and_reaped() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("pid");
    let script = format!("echo $$ > {}; echo; exec sleep 1000", file.display());
    let mut driver = driver_with(Resource::Process, move |_, event, _| match event {
        None => Step::Do(vec![Action::Spawn(
            Command::new("/bin/sh")
                .with_argument("-c")
                .with_argument(&script),
        )]),
        Some(Event::ChildOutput(_)) => Step::Done(Outcome::new(Code::Ok, Phase::Process)),
        _ => Step::Do(Vec::new()),
    });
    assert_eq!(next(&mut driver).outcome.code, Code::Ok);
    let pid = std::fs::read_to_string(&file).unwrap();
    let process = std::path::Path::new("/proc").join(pid.trim());
    for _ in 0..500 {
        if !process.exists() {
            return;
        }
        driver
            .poll(Some(Duration::from_millis(10)), &mut Vec::new())
            .unwrap();
    }
    panic!("{} still exists", process.display());
}

/// A driver with a probe that panics at one of these places, and with one that does not.
fn with_panic(place: &'static str) -> (Driver, [CheckId; 2]) {
    let custom = |answer: Box<Answer>| Custom {
        answer: answer.into(),
        resource: Resource::Socket,
    };
    let panics = custom(Box::new(move |_, event, now| match event {
        None if place == "start" => panic!("at the start"),
        None if place == "event" => Step::Do(vec![Action::SetDeadline(now)]),
        None => Step::Do(Vec::new()),
        Some(Event::Deadline) if place == "event" => panic!("in an event"),
        Some(Event::Cancel) => panic!("when cancelled"),
        Some(_) => Step::Do(Vec::new()),
    }));
    let passes = custom(Box::new(|_, _, _| {
        Step::Done(Outcome::new(Code::Ok, Phase::Match))
    }));
    let mut driver = Driver::new(Config::default()).unwrap();
    let policy = Policy::default().with_spread(Spread::None);
    let checks =
        [panics, passes].map(|probe| driver.add(Check::new(probe, policy.clone())).unwrap());
    (driver, checks)
}

#[test]
fn probe_that_panics_says_nothing_and_the_others_go_on() {
    for (place, text) in [
        ("start", "the probe panicked: at the start"),
        ("event", "the probe panicked: in an event"),
    ] {
        let (mut driver, [panics, _]) = with_panic(place);
        let mut events = Vec::new();
        while events.len() < 2 {
            driver.poll(Some(10 * SECOND), &mut events).unwrap();
        }
        for event in events {
            let CheckEvent::Completed(report) = event else {
                panic!("{event:?}")
            };
            let outcome = report.outcome;
            if report.check == panics {
                assert_eq!(outcome.verdict, Verdict::Neutral);
                assert_eq!(outcome.detail.as_str(), text);
            } else {
                assert_eq!(outcome.code, Code::Ok);
            }
        }
        assert_eq!(driver.load().in_flight, 0);
    }
}

#[test]
fn probe_that_panics_when_cancelled_is_gone_all_the_same() {
    let (mut driver, [panics, passes]) = with_panic("cancel");
    let mut events = Vec::new();
    while events.is_empty() || driver.load().in_flight == 0 {
        driver.poll(Some(10 * SECOND), &mut events).unwrap();
    }
    driver.remove(panics).unwrap();
    assert_eq!((driver.load().in_flight, driver.load().checks), (0, 1));
    driver.remove(passes).unwrap();
}

//! Checks with identical probes: one attempt for all of them, a report for each.

#![cfg(all(feature = "http", feature = "tls"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use lvs_healthcheck::policy::{Initial, Spread};
use lvs_healthcheck::probe::tls::Tls;
use lvs_healthcheck::probe::{Action, CloseMode, Engine, Event, Identity, Step};
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, CheckId, Code, Command, CommandProbe, Config, Driver, Health, Http,
    Outcome, Phase, Policy, Probe, Report, Target, TcpProbe, Timestamp,
};
use proptest::prelude::*;

fn policy(interval_ms: u64) -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(Duration::from_millis(interval_ms))
        .with_timeout(Duration::from_secs(10))
}

fn driver() -> Driver {
    Driver::new(Config::default().with_seed(1)).unwrap()
}

fn reports(driver: &mut Driver) -> Vec<Report> {
    let mut events = Vec::new();
    driver
        .poll(Some(Duration::from_secs(10)), &mut events)
        .unwrap();
    let report = |event| match event {
        CheckEvent::Completed(report) => report,
        other => panic!("unexpected {other:?}"),
    };
    events.into_iter().map(report).collect()
}

/// A listener, and how many connections it got.
fn connections(listener: &TcpListener) -> usize {
    listener.set_nonblocking(true).unwrap();
    core::iter::from_fn(|| listener.accept().ok()).count()
}

#[test]
fn server_sees_one_connection_for_all_at_the_shortest_interval() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = TcpProbe::new(Target::new(listener.local_addr().unwrap()));
    let mut under = driver();
    let checks =
        [60, 20, 600_000].map(|ms| under.add(Check::new(probe.clone(), policy(ms))).unwrap());
    let alone = Check::new(probe, policy(600_000)).exclusive();
    let alone = under.add(alone).unwrap();
    assert_eq!(under.load().checks, 4);
    let mut seen: BTreeMap<CheckId, Vec<(u64, Timestamp)>> = BTreeMap::new();
    while seen.get(&checks[1]).is_none_or(|seen| seen.len() < 8) {
        for report in reports(&mut under) {
            assert_eq!(report.health, Health::Up);
            let seen = seen.entry(report.check).or_default();
            seen.push((report.attempt, report.started));
        }
    }
    assert_eq!(seen[&alone].len(), 1);
    for check in checks {
        assert_eq!(seen[&check], seen[&checks[0]], "the same attempts");
    }
    let numbers: Vec<_> = seen[&checks[0]].iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    for pair in seen[&checks[0]].windows(2) {
        assert!(
            pair[1].1 - pair[0].1 >= Duration::from_millis(20),
            "{pair:?}"
        );
    }
    assert_eq!(connections(&listener), numbers.len() + 1);
    // The fastest gone, the next fastest leads.
    under.remove(checks[1]).unwrap();
    let before = seen[&checks[0]].last().unwrap().1;
    for report in reports(&mut under) {
        assert_ne!(report.check, checks[1]);
        assert!(report.started - before >= Duration::from_millis(60));
    }
}

#[test]
fn each_judges_by_itself_and_the_one_in_a_hurry_sets_the_pace() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let probe = TcpProbe::new(Target::new(closed));
    let mut under = driver();
    let at_once = policy(60_000).with_fall(1);
    let later = policy(60_000)
        .with_fall(3)
        .with_fast_interval(Duration::from_millis(10));
    let later = later.with_initial(Initial::FullyUp);
    let at_once = under.add(Check::new(probe.clone(), at_once)).unwrap();
    let later = under.add(Check::new(probe, later)).unwrap();
    for number in 1..=3 {
        let reports = reports(&mut under);
        let [first, second] = &reports[..] else {
            panic!("{reports:?}")
        };
        assert_eq!((first.check, second.check), (at_once, later));
        assert_eq!((first.attempt, second.attempt), (number, number));
        assert_eq!(first.health, Health::Down);
        let expected = if number < 3 { Health::Up } else { Health::Down };
        assert_eq!(second.health, expected);
    }
    assert_eq!(under.health(later), Some(Health::Down));
    let next = under.next_attempt(later).unwrap();
    assert!(
        next > under.now() + Duration::from_secs(30),
        "nobody is in a hurry any more"
    );
}

#[test]
fn what_differs_on_the_wire_is_not_shared() {
    let target = || Target::new("192.0.2.7:80".parse().unwrap());
    let tcp = || TcpProbe::new(target());
    let (tls, other_tls) = (Tls::new(), Tls::new());
    let http = || Http::get("/");
    let command =
        |argument: &str| CommandProbe::new(Command::new("/bin/true").with_argument(argument));
    let distinct: Vec<Box<dyn Probe>> = vec![
        Box::new(tcp()),
        Box::new(TcpProbe::new(Target::new("192.0.2.7:81".parse().unwrap()))),
        Box::new(TcpProbe::new(target().with_mark(1))),
        Box::new(TcpProbe::new(target().with_mark(2))),
        Box::new(TcpProbe::new(target().with_device("eth0"))),
        Box::new(TcpProbe::new(
            target().with_source("192.0.2.1".parse().unwrap()),
        )),
        Box::new(TcpProbe::new(target().with_namespace("blue"))),
        Box::new(tcp().with_close(CloseMode::Rst)),
        Box::new(tcp().with_tls(tls.clone())),
        Box::new(tcp().with_tls(tls.clone().with_name("a.example"))),
        Box::new(tcp().with_tls(tls.clone().with_name("b.example"))),
        Box::new(tcp().with_tls(other_tls)),
        Box::new(tcp().with_starttls(tls)),
        Box::new(tcp().with_protocol(http())),
        Box::new(tcp().with_protocol(http().with_host("a.example"))),
        Box::new(tcp().with_protocol(http().with_host("b.example"))),
        Box::new(tcp().with_protocol(http().with_body_contains("ok"))),
        Box::new(command("a")),
        Box::new(command("b")),
    ];
    for (at, one) in distinct.iter().enumerate() {
        for (other_at, other) in distinct.iter().enumerate() {
            let same = one.identity().unwrap() == other.identity().unwrap();
            assert_eq!(same, at == other_at, "{one:?} {other:?}");
        }
    }
    // Made twice from the same words they are the same.
    let twice = || tcp().with_protocol(http().with_host("a.example").with_body_contains("ok"));
    assert_eq!(twice().identity(), twice().identity());
}

/// Comes to an end after a few milliseconds; says when two attempts run at once.
#[derive(Clone, Debug)]
struct Slow {
    kind: u8,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    running: [AtomicUsize; 3],
    starts: Mutex<Vec<(u8, Timestamp)>>,
}

impl Slow {
    /// How many attempts of this kind are running.
    fn running(&self) -> &AtomicUsize {
        self.seen.running.get(usize::from(self.kind)).unwrap()
    }
}

#[derive(Debug)]
struct SlowEngine(Slow);

impl Probe for Slow {
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        let before = self.running().fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "two at once");
        self.seen
            .starts
            .lock()
            .unwrap()
            .push((self.kind, attempt.started));
        Box::new(SlowEngine(self.clone()))
    }

    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(&self.kind))
    }
}

impl Drop for SlowEngine {
    fn drop(&mut self) {
        self.0.running().fetch_sub(1, Ordering::SeqCst);
    }
}

impl Engine for SlowEngine {
    fn start(&mut self, now: Timestamp) -> Step {
        Step::Do(vec![Action::SetDeadline(now + Duration::from_millis(5))])
    }

    fn on_event(&mut self, event: Event<'_>, _now: Timestamp) -> Step {
        match event {
            Event::Deadline => Step::Done(Outcome::new(Code::Ok, Phase::Match)),
            _ => Step::Do(Vec::new()),
        }
    }
}

#[derive(Clone, Debug)]
enum Move {
    Add(u8, u64),
    Remove(usize),
    Pace(usize, u64),
    Work(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (0_u8..3, 5_u64..40).prop_map(|(kind, ms)| Move::Add(kind, ms)),
        1 => (0_usize..8).prop_map(Move::Remove),
        1 => (0_usize..8, 5_u64..40).prop_map(|(at, ms)| Move::Pace(at, ms)),
        4 => (1_u64..15).prop_map(Move::Work),
    ];
    proptest::collection::vec(one, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_check_gets_one_report_of_each_attempt_it_takes_part_in(moves in moves()) {
        let seen = Arc::new(Seen::default());
        let mut under = driver();
        // Kind, when it was added, and the starts it was told of.
        let mut checks: BTreeMap<CheckId, (u8, Timestamp, Vec<Timestamp>)> = BTreeMap::new();
        for step in moves.into_iter().chain([Move::Work(100)]) {
            let nth = |at: usize| checks.keys().nth(at).copied();
            match step {
                Move::Add(kind, ms) => {
                    let probe = Slow { kind, seen: seen.clone() };
                    let at = under.now();
                    let check = under.add(Check::new(probe, policy(ms))).unwrap();
                    checks.insert(check, (kind, at, Vec::new()));
                }
                Move::Remove(at) => if let Some(check) = nth(at) {
                    under.remove(check).unwrap();
                    checks.remove(&check);
                    prop_assert!(under.remove(check).is_err());
                    prop_assert_eq!(under.health(check), None);
                },
                Move::Pace(at, ms) => if let Some(check) = nth(at) {
                    under.set_policy(check, policy(ms)).unwrap();
                },
                Move::Work(ms) => {
                    let end = under.now() + Duration::from_millis(ms);
                    while under.now() < end {
                        let mut events = Vec::new();
                        under.poll(Some(end - under.now().min(end)), &mut events).unwrap();
                        for event in events {
                            let CheckEvent::Completed(report) = event else { continue };
                            let told = &mut checks.get_mut(&report.check).unwrap().2;
                            told.push(report.started);
                            prop_assert_eq!(told.len() as u64, report.attempt);
                        }
                    }
                }
            }
            prop_assert_eq!(under.load().checks, checks.len());
        }
        let starts = seen.starts.lock().unwrap();
        for (kind, added, told) in checks.values() {
            let last = told.last().copied().unwrap_or_default();
            let expected: Vec<_> = starts
                .iter()
                .filter(|(this, at)| this == kind && at > added && *at <= last)
                .map(|(_, at)| *at)
                .collect();
            prop_assert!(!told.is_empty());
            prop_assert_eq!(told, &expected);
        }
        drop(under);
        for running in &seen.running {
            prop_assert_eq!(running.load(Ordering::SeqCst), 0);
        }
    }
}

#[test]
fn check_with_another_time_limit_goes_its_own_way() {
    let probe = Slow {
        kind: 0,
        seen: Arc::default(),
    };
    let seen = probe.seen.clone();
    let mut under = driver();
    let slow = policy(600_000);
    let [one, two] = [(); 2].map(|()| {
        let check = Check::new(probe.clone(), slow.clone());
        under.add(check).unwrap()
    });
    assert_eq!(reports(&mut under).len(), 2);
    assert_eq!(seen.starts.lock().unwrap().len(), 1);
    let quick = policy(20).with_timeout(Duration::from_secs(5));
    under.set_policy(two, quick).unwrap();
    for number in 2..=4 {
        let reports = reports(&mut under);
        let [report] = &reports[..] else {
            panic!("{reports:?}")
        };
        assert_eq!((report.check, report.attempt), (two, number));
    }
    assert_eq!(under.health(one), Some(Health::Up));
    under.remove(one).unwrap();
    under.remove(two).unwrap();
    assert_eq!(under.load().checks, 0);
}

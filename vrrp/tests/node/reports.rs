//! The stream of reports: in order, numbered, bounded.

use lvs_vrrp::event::{Notification, State, Transition};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{NodeRouter, Report, ReportKind, Settings};

use crate::rig::*;

fn drain(rig: &mut Rig) -> Vec<Report> {
    let mut reports = Vec::new();
    while let Some(job) = rig.node.poll_job() {
        if let JobKind::Notify(report) = job.kind {
            reports.push(report);
        }
    }
    reports
}

fn transition(report: &Report) -> Option<Transition> {
    match report.kind {
        ReportKind::Router(Notification::Transition(transition)) => Some(transition),
        _ => None,
    }
}

#[test]
fn numbers_grow_by_one() {
    let mut rig = Rig::new(config(3));
    rig.run(ms(4000));
    for number in 1..=3 {
        rig.hear(number, 200, HIGHER);
    }
    rig.work();
    let numbers: Vec<_> = rig.reports.iter().map(|report| report.sequence).collect();
    let expected: Vec<_> = (1..).take(numbers.len()).collect();
    assert!(numbers.len() >= 9);
    assert_eq!(numbers, expected);
}

/// A queue that nobody empties keeps the last state of each router, and whence it came.
#[test]
fn a_full_queue_merges_and_keeps_the_last_state() {
    let mut settings = Settings::default();
    settings.spread = false;
    settings.reports = 4;
    let mut rig = Rig::new(config(3).with_settings(settings));
    for _ in 0..50 {
        rig.now += ms(10);
        for (number, is_up) in [(1, false), (2, true)] {
            let _ = number;
            rig.node.link(rig.now, LAN, is_up, &[address(OWN)]);
        }
        let source = format!("192.0.2.{}", 10 + rig.now.as_millis() % 100);
        rig.node.receive(
            rig.now,
            &lvs_vrrp::receive::Meta::ipv4(LAN, rig.now),
            &advert(1, 100, &source)[..20],
        );
    }
    let reports = drain(&mut rig);
    assert!(reports.len() <= 4, "{reports:#?}");
    assert!(
        reports
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence)
    );
    for number in 1..=3 {
        let last = reports
            .iter()
            .rev()
            .filter(|report| report.subject.router == Some(id(number)))
            .find_map(transition)
            .expect("the last state is never dropped");
        assert_eq!((last.from, last.to), (State::Initialize, State::Backup));
    }
}

/// What is dropped is merged: the transition that is left leads from where the first one began.
#[test]
fn what_is_merged_says_whence_it_came() {
    let mut settings = Settings::default();
    settings.spread = false;
    settings.reports = 1;
    let mut rig = Rig::new(config(1).with_settings(settings));
    rig.node.link(rig.now, LAN, false, &[]);
    let reports = drain(&mut rig);
    let transitions: Vec<_> = reports.iter().filter_map(transition).collect();
    let [only] = transitions[..] else {
        panic!("{reports:#?}");
    };
    assert_eq!((only.from, only.to), (State::Initialize, State::Initialize));
}

/// There is always room for one report of each router.
#[test]
fn as_many_reports_wait_as_there_are_routers() {
    let mut settings = Settings::default();
    settings.spread = false;
    settings.reports = 1;
    let there = NodeRouter::new(OTHER_LAN, router_config(3));
    let config = config(2).with_router(id(3), there).with_settings(settings);
    let mut rig = Rig::new(config);
    drain(&mut rig);
    rig.node.link(rig.now, LAN, false, &[]);
    rig.node.receive(
        rig.now,
        &lvs_vrrp::receive::Meta::ipv4(OTHER_LAN, rig.now),
        &advert(3, 100, LOWER)[..20],
    );
    assert_eq!(drain(&mut rig).len(), 3);
}

/// Transitions that wait for slow address work are merged too, and lead from one to the next.
#[test]
fn transitions_that_wait_for_address_work_are_merged() {
    let mut rig = Rig::active(config(1));
    rig.hear(1, 200, HIGHER);
    for _ in 0..40 {
        for is_up in [false, true] {
            rig.node.link(rig.now, LAN, is_up, &[address(OWN)]);
        }
    }
    rig.work();
    let told: Vec<_> = rig.reports.iter().filter_map(transition).collect();
    assert_eq!(told.len(), 32);
    for pair in told.windows(2) {
        assert_eq!(pair[0].to, pair[1].from, "{told:?}");
    }
    assert_eq!(told.last().unwrap().to, State::Backup);
}

/// One that is Active again while its addresses are being removed, and gives way before they are
/// there once more, was Backup all the time to whoever is told.
#[test]
fn a_return_without_addresses_is_not_told() {
    let mut rig = Rig::active(config(1));
    for _ in 0..3 {
        rig.hear(1, 200, HIGHER);
        rig.run_open(ms(4000));
        assert_eq!(rig.state(1), State::Active);
    }
    rig.hear(1, 200, HIGHER);
    rig.work();
    let told: Vec<_> = rig.reports.iter().filter_map(transition).collect();
    let states: Vec<_> = told.iter().map(|told| (told.from, told.to)).collect();
    assert_eq!(states, [(State::Active, State::Backup)]);
}

/// What was said of an address list that is not there yet is said once when it is.
#[test]
fn what_waits_twice_is_done_once() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.hear(1, 50, LOWER);
    let mut sizes = Vec::new();
    for _ in 0..2 {
        for _ in 0..1000 {
            rig.run_open(ms(100));
            rig.hear(1, 50, LOWER);
        }
        sizes.push(format!("{:?}", rig.node).len());
    }
    assert!(sizes[1] < sizes[0] + 1000, "{sizes:?}");
}

/// Each take-over is told when its own addresses are there, not because those of the last one were.
#[test]
fn a_second_take_over_that_fails_is_not_told() {
    let mut rig = Rig::active(config(1));
    rig.hear(1, 200, HIGHER);
    rig.work();
    rig.reports.clear();
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Failed);
    rig.work();
    let mut told = rig.reports.iter().filter_map(transition);
    assert!(told.all(|told| told.to != State::Active));
}

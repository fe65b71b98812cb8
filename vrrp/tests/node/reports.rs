//! The stream of reports: in order, numbered, bounded.

use lvs_vrrp::event::{Notification, State, Transition};
use lvs_vrrp::job::JobKind;
use lvs_vrrp::node::{Report, ReportKind, Settings};

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

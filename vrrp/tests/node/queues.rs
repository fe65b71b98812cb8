//! Jobs that wait for a slow driver: what is newer replaces them, and they take bounded room.

use lvs_vrrp::event::State;
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::receive::Meta;
use lvs_vrrp::{GuardStatus, NodeConfig};

use crate::rig::*;

const GROUP: GroupId = GroupId::new(1);

fn guarded() -> NodeConfig {
    config(1).with_group(GROUP, GroupConfig::new([id(1)]).with_guard(ms(500)))
}

fn kinds(rig: &mut Rig) -> Vec<JobKind> {
    core::iter::from_fn(|| rig.node.poll_job())
        .map(|job| job.kind)
        .collect()
}

/// The data plane is told how it has to be now, once, not how it was in between.
#[test]
fn only_the_newest_data_plane_waits() {
    let mut rig = Rig::active(config(1));
    for _ in 0..20 {
        for is_up in [false, true] {
            rig.node.link(rig.now, LAN, is_up, &[address(OWN)]);
        }
    }
    let planes = kinds(&mut rig).into_iter().filter_map(|kind| match kind {
        JobKind::DataPlane { plane, .. } => Some(plane.serves),
        _ => None,
    });
    assert_eq!(planes.collect::<Vec<_>>(), [false]);
}

/// A request for the guard that nobody has seen is void when the guard is given back.
#[test]
fn a_release_takes_a_request_back() {
    let mut rig = Rig::new(guarded());
    while rig.node.group_rank(GROUP).is_none() || !rig.node.machine(id(1)).unwrap().wants_guard() {
        rig.now = rig.node.next_deadline().unwrap();
        rig.node.tick(rig.now);
    }
    let packet = advert(1, 200, HIGHER);
    let meta = Meta::ipv4(LAN, rig.now);
    rig.node.receive(rig.now, &meta, &packet);
    let guards = kinds(&mut rig).into_iter().filter_map(|kind| match kind {
        JobKind::AcquireGuard { .. } => Some("acquire"),
        JobKind::ReleaseGuard { .. } => Some("release"),
        _ => None,
    });
    assert_eq!(guards.collect::<Vec<_>>(), ["release"]);
}

/// While addresses are there that have to go, the guard is not asked for again.
#[test]
fn a_group_that_is_releasing_asks_for_nothing() {
    let mut rig = Rig::new(guarded());
    rig.run(ms(3700));
    let until = rig.now + ms(60_000);
    let held = GuardStatus::Held { until, epoch: 1 };
    rig.node.set_guard(rig.now, GROUP, held);
    rig.work();
    rig.run(ms(100));
    rig.take_log();
    rig.hear(1, 200, HIGHER);
    rig.node.set_guard(rig.now, GROUP, GuardStatus::Unknown);
    // Long enough to want it again.
    rig.run_open(ms(9000));
    let log = rig.take_log();
    assert!(!log.contains("acquire"), "{log}");
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Done);
    rig.run(ms(1000));
    let log = rig.take_log();
    assert!(log.starts_with("1 settle, 1 Backup, acquire 1"), "{log}");
}

/// One that is Active again before its addresses were gone does not resign.
#[test]
fn a_resignation_that_waits_is_dropped_by_a_return() {
    let mut rig = Rig::new(guarded());
    rig.run(ms(3700));
    let until = rig.now + ms(60_000);
    let held = GuardStatus::Held { until, epoch: 1 };
    rig.node.set_guard(rig.now, GROUP, held);
    rig.work();
    rig.take_log();
    rig.node.yield_group(rig.now, GROUP);
    rig.fetch();
    assert_eq!(rig.state(1), State::Backup);
    rig.run_open(ms(4000));
    assert_eq!(rig.state(1), State::Active);
    assert!(!rig.take_log().contains("send 0"));
    rig.run(ms(100));
    assert!(!rig.take_log().contains("send 0"));
    assert_eq!(rig.state(1), State::Active);
}

/// Results that nothing waits for are forgotten; those of address work never are.
#[test]
fn results_that_nobody_tells_take_bounded_room() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    assert_eq!(rig.open.len(), 1);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        for _ in 0..2000 {
            rig.now += ms(1000);
            rig.node.tick(rig.now);
            while rig.node.poll_job().is_some() {}
        }
        sizes.push(format!("{:?}", rig.node).len());
    }
    assert!(sizes[2] < sizes[0] + sizes[0] / 10, "{sizes:?}");
    rig.take_log();
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 install 1");
}

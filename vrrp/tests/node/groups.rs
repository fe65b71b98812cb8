//! Groups: all members Active, or none (`VRRP-214`); guards.

use lvs_vrrp::event::{InitReason, ShutdownMode, State};
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{EmitError, NodeRouter};
use lvs_vrrp::{GuardStatus, NodeConfig, Priority};

use crate::rig::*;

const GROUP: GroupId = GroupId::new(1);

fn grouped(count: u8) -> NodeConfig {
    config(count).with_group(GROUP, GroupConfig::new((1..=count).map(|n| id(n.into()))))
}

fn guarded(count: u8) -> NodeConfig {
    let members = (1..=count).map(|n| id(n.into()));
    config(count).with_group(GROUP, GroupConfig::new(members).with_guard(ms(500)))
}

fn states(rig: &Rig, count: u32) -> Vec<State> {
    let states: Vec<_> = (1..=count).map(|number| rig.state(number)).collect();
    assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
    states
}

#[test]
fn members_become_active_together() {
    let mut rig = Rig::new(grouped(2));
    // One of them hears somebody for another two seconds.
    rig.run(ms(2000));
    rig.hear(2, 100, HIGHER);
    rig.run(ms(3600));
    assert_eq!(states(&rig, 2), [State::Backup; 2]);
    assert_eq!(rig.take_log(), "1 Backup, 2 Backup");
    rig.run(ms(10));
    assert_eq!(states(&rig, 2), [State::Active; 2]);
}

#[test]
fn one_that_yields_takes_the_others_with_it_and_they_resign() {
    let mut rig = Rig::active(grouped(3));
    rig.hear(2, 200, HIGHER);
    assert_eq!(states(&rig, 3), [State::Backup; 3]);
    rig.work();
    let mut log: Vec<_> = rig.take_log().split(", ").map(str::to_owned).collect();
    log.sort_unstable();
    assert_eq!(
        log,
        [
            "1 Backup",
            "1 remove 1",
            "1 send 0",
            "1 settle",
            "2 Backup",
            "2 remove 2",
            "2 send 100",
            "2 settle",
            "3 Backup",
            "3 remove 3",
            "3 send 0",
            "3 settle"
        ]
    );
}

#[test]
fn one_that_cannot_run_stops_the_others() {
    let there = NodeRouter::new(OTHER_LAN, router_config(2));
    let mut rig = Rig::active(grouped(2).with_router(id(2), there));
    rig.node.link(rig.now, OTHER_LAN, false, &[address(OWN)]);
    assert_eq!(states(&rig, 2), [State::Initialize; 2]);
    let reasons = [1, 2].map(|n| rig.node.machine(id(n)).unwrap().init_reason());
    assert_eq!(
        reasons,
        [Some(InitReason::Group), Some(InitReason::InterfaceDown)]
    );
    rig.node.link(rig.now, OTHER_LAN, true, &[address(OWN)]);
    assert_eq!(states(&rig, 2), [State::Backup; 2]);
}

#[test]
fn a_member_that_cannot_install_takes_the_others_down() {
    let mut rig = Rig::new(grouped(2));
    rig.run_open(ms(3700));
    for job in rig.open.clone() {
        rig.complete(job.id, JobResult::Done);
    }
    let install = rig.open[1].id;
    rig.complete(install, JobResult::Failed);
    assert_eq!(states(&rig, 2), [State::Initialize; 2]);
}

#[test]
fn a_group_of_owners_starts_as_active() {
    let owner = |number| NodeRouter::new(LAN, router_config(number).as_owner());
    let config = grouped(2).with_router(id(1), owner(1));
    assert_eq!(
        config.validate().unwrap_err().to_string(),
        "group 1 has owners and others"
    );
    let rig = Rig::new(config.with_router(id(2), owner(2)));
    assert_eq!(states(&rig, 2), [State::Active; 2]);
}

/// Keepalived's issue 2715: a member that is added does not stop the others.
#[test]
fn adding_a_member_to_an_active_group_does_not_flap_it() {
    let mut rig = Rig::active(grouped(2));
    rig.node.reconfigure(rig.now, grouped(3)).unwrap();
    assert_eq!(states(&rig, 3), [State::Active; 3]);
    rig.run(ms(10));
    assert_eq!(
        rig.take_log(),
        "3 send 100, 3 prepare, 3 Backup, 3 install 3, 3 establish, 3 Active"
    );
    rig.node.reconfigure(rig.now, grouped(2)).unwrap();
    rig.work();
    assert_eq!(states(&rig, 2), [State::Active; 2]);
    assert_eq!(
        rig.take_log(),
        "3 remove 3, 3 send 0, 3 settle, 3 Initialize"
    );
    // As many without the group, and with it again.
    for config in [config(2), grouped(2)] {
        rig.node.reconfigure(rig.now, config).unwrap();
        rig.work();
        assert_eq!(states(&rig, 2), [State::Active; 2]);
        assert_eq!(rig.take_log(), "");
    }
}

/// `VRRP-217`, spec 4.3: asked for when all want it, given back when no address is left.
#[test]
fn a_guard_is_acquired_by_all_and_released_after_the_last_address() {
    let mut rig = Rig::new(guarded(2));
    rig.run(ms(3700));
    assert_eq!(rig.take_log(), "1 Backup, 2 Backup, acquire 1");
    rig.node.set_guard(rig.now, GROUP, GuardStatus::Unknown);
    rig.run(ms(1000));
    assert_eq!(states(&rig, 2), [State::Backup; 2]);
    assert_eq!(rig.take_log(), "acquire 1");
    let held = GuardStatus::Held {
        until: rig.now + ms(5000),
        epoch: 1,
    };
    rig.node.set_guard(rig.now, GROUP, held);
    assert_eq!(states(&rig, 2), [State::Active; 2]);
    rig.work();
    rig.take_log();
    rig.hear(1, 200, HIGHER);
    rig.fetch();
    let removals: Vec<_> = rig.open.iter().map(|job| job.id).collect();
    assert_eq!(removals.len(), 2);
    rig.complete(removals[0], JobResult::Done);
    rig.complete(removals[1], JobResult::Failed);
    rig.run(ms(100));
    assert!(!rig.take_log().contains("release"), "addresses may be left");
    rig.run(ms(1000));
    let log = rig.take_log();
    assert!(log.starts_with("2 remove 2"), "{log}");
    assert!(log.ends_with("2 settle, release 1, 2 Backup"), "{log}");
}

/// `VRRP-216`: at the end of the guard everything stops, without any event.
#[test]
fn a_guard_that_ends_stops_all_members() {
    let mut rig = Rig::new(guarded(2));
    rig.run(ms(3700));
    let until = rig.now + ms(2000);
    let held = GuardStatus::Held { until, epoch: 1 };
    rig.node.set_guard(rig.now, GROUP, held);
    rig.work();
    rig.run(ms(1999));
    assert_eq!(states(&rig, 2), [State::Active; 2]);
    rig.run(ms(1));
    assert_eq!(states(&rig, 2), [State::Backup; 2]);
}

/// `VRRP-216`: what was decided before the guard's end and is sent after it is not sent.
#[test]
fn an_advertisement_is_not_built_after_the_end_of_the_guard() {
    let mut rig = Rig::new(guarded(1));
    rig.run(ms(3700));
    let until = rig.now + ms(1000);
    rig.node
        .set_guard(rig.now, GROUP, GuardStatus::Held { until, epoch: 1 });
    let job = rig.node.poll_job().unwrap();
    let JobKind::Send(send) = job.kind else {
        panic!("{job:?}");
    };
    let group = rig.node.destinations(&send)[0];
    let mut buffer = [0; 100];
    let mut emit = |now| rig.node.emit_packet(now, &send, group, &mut buffer);
    assert!(emit(until - ms(1)).is_ok());
    assert_eq!(emit(until), Err(EmitError::Withdrawn));
    assert_eq!(rig.node.router_counters(id(1)).unwrap().sent(), 1);
}

#[test]
fn a_dissolved_group_gives_its_guard_back_after_its_addresses() {
    let mut rig = Rig::new(guarded(1));
    rig.run(ms(3700));
    let until = rig.now + ms(60_000);
    rig.node
        .set_guard(rig.now, GROUP, GuardStatus::Held { until, epoch: 1 });
    rig.run(ms(10));
    rig.take_log();
    rig.node.reconfigure(rig.now, config(0)).unwrap();
    rig.fetch();
    assert_eq!(rig.take_log(), "1 remove 1");
    rig.work();
    assert_eq!(
        rig.take_log(),
        "1 send 0, 1 settle, release 1, 1 Initialize"
    );
}

#[test]
fn shutdown_with_a_guard_releases_first() {
    let mut rig = Rig::new(guarded(1));
    rig.run(ms(3700));
    let until = rig.now + ms(60_000);
    rig.node
        .set_guard(rig.now, GROUP, GuardStatus::Held { until, epoch: 1 });
    rig.run(ms(10));
    rig.take_log();
    rig.node.shutdown(rig.now, ShutdownMode::Graceful);
    rig.fetch();
    assert_eq!(rig.take_log(), "1 remove 1");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 send 0, 1 settle");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "release 1, 1 Initialize");
}

#[test]
fn groups_that_cannot_be_are_refused() {
    let group = |members: &[u32]| GroupConfig::new(members.iter().copied().map(id));
    let cases = [
        (group(&[]), "group 1 has no members"),
        (group(&[1, 9]), "group 1 has router 9, which is not there"),
        (group(&[1, 1]), "router 1 is in groups twice"),
    ];
    for (group, text) in cases {
        let config = config(1).with_group(GROUP, group);
        assert_eq!(config.validate().unwrap_err().to_string(), text);
    }
    let guard = router_config(1)
        .with_priority(Priority::new(7))
        .with_guard(ms(1));
    let config = config(1).with_router(id(1), NodeRouter::new(LAN, guard));
    assert_eq!(
        config.validate().unwrap_err().to_string(),
        "router 1: the guard of a router in a node is that of its group"
    );
}

/// A member that leaves its group while its addresses are being removed: the guard waits for it.
#[test]
fn a_guard_waits_for_a_former_member() {
    let mut rig = Rig::new(guarded(1));
    rig.run(ms(3700));
    let until = rig.now + ms(60_000);
    rig.node
        .set_guard(rig.now, GROUP, GuardStatus::Held { until, epoch: 1 });
    rig.work();
    rig.hear(1, 200, HIGHER);
    rig.take_log();
    rig.node.reconfigure(rig.now, config(1)).unwrap();
    rig.fetch();
    assert_eq!(rig.take_log(), "");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 settle");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "release 1, 1 Backup");
}

//! Another configuration: by the difference, without flapping what did not change.

use lvs_vrrp::event::{ShutdownMode, State};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::NodeRouter;
use lvs_vrrp::{AddressList, Priority};

use crate::rig::*;

/// `VRRP-215`: what is unchanged sends nothing and keeps its deadlines, whatever else changes.
#[test]
fn an_unchanged_router_notices_nothing() {
    let mut rig = Rig::active(config(3));
    rig.hear(2, 200, HIGHER);
    rig.work();
    rig.run(ms(300));
    rig.take_log();
    let before: Vec<_> = [1, 2]
        .map(|number| format!("{:?}", rig.node.machine(id(number)).unwrap()))
        .into();
    let new = config(2)
        .with_router(id(4), router(4))
        .with_router(id(5), router(5));
    rig.node.reconfigure(rig.now, new).unwrap();
    rig.work();
    assert_eq!(
        rig.take_log(),
        "3 send 0, 3 remove 3, 5 Backup, 4 Backup, 3 settle, 3 Initialize"
    );
    let after: Vec<_> = [1, 2]
        .map(|number| format!("{:?}", rig.node.machine(id(number)).unwrap()))
        .into();
    assert_eq!(before, after);
    assert_eq!(rig.node.state(id(3)), None);
}

#[test]
fn addresses_change_by_the_difference() {
    let mut rig = Rig::active(config(1));
    let addresses = ["198.51.100.77", "198.51.100.1"].map(address);
    let more = router_config(1).with_addresses(AddressList::new(addresses).unwrap());
    let both = config(1).with_router(id(1), NodeRouter::new(LAN, more));
    rig.node.reconfigure(rig.now, both).unwrap();
    rig.work();
    assert_eq!(rig.take_log(), "1 send 100, 1 change +77 -");
    // Changed twice while the work lasts: the difference to what is there then.
    rig.node.reconfigure(rig.now, config(1)).unwrap();
    rig.fetch();
    let other =
        router_config(1).with_addresses(AddressList::new([address("198.51.100.9")]).unwrap());
    let other = config(1).with_router(id(1), NodeRouter::new(LAN, other));
    rig.node.reconfigure(rig.now, other).unwrap();
    rig.fetch();
    assert_eq!(rig.take_log(), "1 send 100, 1 change + -77, 1 send 100");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 change +9 -1");
    // If that fails, either may be there.
    rig.finish(JobResult::Failed);
    assert_eq!(rig.state(1), State::Initialize);
    assert_eq!(rig.take_log(), "1 send 0, 1 remove 1+9");
}

#[test]
fn a_router_with_another_key_is_another_one() {
    let mut rig = Rig::active(config(1));
    let moved = config(0).with_router(id(1), NodeRouter::new(OTHER_LAN, router_config(1)));
    rig.node.reconfigure(rig.now, moved).unwrap();
    assert_eq!(rig.state(1), State::Backup);
    rig.work();
    assert_eq!(
        rig.take_log(),
        "1 send 0, 1 remove 1, 1 Backup, 1 settle, 1 Initialize"
    );
    rig.run(ms(4000));
    assert_eq!(rig.state(1), State::Active);
    assert_eq!(rig.node.router_count(), 1);
}

#[test]
fn a_priority_is_advertised_at_once() {
    let mut rig = Rig::active(config(1));
    let higher = router_config(1).with_priority(Priority::new(150));
    let higher = config(1).with_router(id(1), NodeRouter::new(LAN, higher));
    rig.node.reconfigure(rig.now, higher).unwrap();
    rig.work();
    assert_eq!(rig.take_log(), "1 send 150");
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut rig = Rig::active(config(1));
    let before = format!("{:?}", rig.node);
    let bad = router_config(1).with_priority(Priority::new(0));
    let bad = config(2).with_router(id(1), NodeRouter::new(LAN, bad));
    let error = rig.node.reconfigure(rig.now, bad).unwrap_err();
    assert_eq!(error.to_string(), "router 1");
    assert_eq!(format!("{:?}", rig.node), before);
}

#[test]
fn each_shutdown_mode_has_its_order() {
    for (mode, log) in [
        (
            ShutdownMode::Graceful,
            "1 send 0, 1 remove 1, 1 settle, 1 Initialize",
        ),
        (
            ShutdownMode::ReleaseFirst,
            "1 remove 1, 1 send 0, 1 settle, 1 Initialize",
        ),
        (ShutdownMode::Abrupt, "1 remove 1, 1 settle, 1 Initialize"),
        (ShutdownMode::Handover, "1 Initialize"),
    ] {
        let mut rig = Rig::active(config(1));
        rig.node.shutdown(rig.now, mode);
        rig.work();
        assert_eq!(rig.take_log(), log, "{mode:?}");
        assert!(rig.node.is_idle(), "{mode:?}");
        rig.node.link(rig.now, LAN, false, &[]);
        rig.node.link(rig.now, LAN, true, &[address(OWN)]);
        rig.run(ms(9000));
        assert_eq!(rig.state(1), State::Initialize, "{mode:?}: it stays so");
    }
}

/// An address that moves from one router to another is installed when the other has removed it, or
/// the removal would take it away.
#[test]
fn addresses_move_between_routers_without_loss() {
    let with = |number: u8, addresses: &[&str]| {
        let list = AddressList::new(addresses.iter().map(|text| address(text)));
        NodeRouter::new(LAN, router_config(number).with_addresses(list.unwrap()))
    };
    let [one, two, both] = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
    let old = config(0)
        .with_router(id(1), with(1, &[one, both]))
        .with_router(id(2), with(2, &[two]));
    let new = config(0)
        .with_router(id(1), with(1, &[one]))
        .with_router(id(2), with(2, &[two, both]));
    let mut rig = Rig::active(old);
    rig.run(ms(20_000));
    rig.take_log();
    rig.node.reconfigure(rig.now, new).unwrap();
    rig.fetch();
    assert_eq!(rig.take_log(), "1 send 100, 2 send 100, 1 change + -3");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "2 change +3 -");
    assert!(!rig.log.iter().any(|word| word.contains("~announce")));
    rig.finish(JobResult::Done);
    rig.fetch();
    assert!(rig.log.iter().any(|word| word == "2 ~announce 2"));
    let same = config(1).with_router(id(2), with(2, &[one]));
    assert_eq!(
        same.validate().unwrap_err().to_string(),
        "routers 2 and 1 of one interface both have the address 198.51.100.1"
    );
}

/// A router that was removed and is added again is another one: it serves and stops while the
/// addresses of the one before are still being removed, each by a job of its own.
#[test]
fn a_router_that_returns_is_another_one() {
    let mut rig = Rig::active(config(1));
    rig.node.reconfigure(rig.now, config(0)).unwrap();
    rig.fetch();
    let first = rig.open[0].id;
    assert_eq!(rig.take_log(), "1 send 0, 1 remove 1");
    let other = AddressList::new([address("198.51.100.77")]).unwrap();
    let other = NodeRouter::new(LAN, router_config(1).with_addresses(other));
    let config = config(0).with_router(id(1), other);
    rig.node.reconfigure(rig.now, config).unwrap();
    rig.run_open(ms(3700));
    for step in ["1 prepare", "1 install 77"] {
        assert!(rig.take_log().ends_with(step), "{step}");
        let next = rig.open.iter().find(|job| job.id != first).unwrap().id;
        rig.complete(next, JobResult::Done);
    }
    rig.node.shutdown(rig.now, ShutdownMode::Graceful);
    rig.fetch();
    let removals = || {
        let jobs = rig.open.iter();
        jobs.filter_map(|job| match &job.kind {
            JobKind::RemoveAddresses { addresses, .. } => Some(addresses[0]),
            _ => None,
        })
    };
    let both = ["198.51.100.1", "198.51.100.77"].map(address);
    assert_eq!(removals().collect::<Vec<_>>(), both);
    rig.work();
    assert!(rig.node.is_idle());
    let log = rig.take_log();
    assert_eq!(log.matches("remove").count(), 1, "{log}");
}

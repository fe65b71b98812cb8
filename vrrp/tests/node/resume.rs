//! Hand-over to another process of this host: what was Active goes on where that is safe.

use core::time::Duration;

use lvs_vrrp::event::{ShutdownMode, State};
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::JobResult;
use lvs_vrrp::node::{HandOver, HandedRouter, InterfaceConfig, NodeRouter, ReportKind, Settings};
use lvs_vrrp::track::{Track, TrackerId};
use lvs_vrrp::{AddressList, GuardStatus, MacAddress, NodeConfig};

use crate::rig::*;

const GROUP: GroupId = GroupId::new(1);

fn grouped(guard: bool) -> NodeConfig {
    let group = GroupConfig::new([id(1), id(2)]);
    let group = if guard {
        group.with_guard(ms(500))
    } else {
        group
    };
    config(2).with_group(GROUP, group)
}

/// Shut down, and what it leaves.
fn stop(rig: &mut Rig) -> HandOver {
    rig.node.shutdown(rig.now, ShutdownMode::Handover);
    rig.work();
    assert!(rig.node.is_idle());
    rig.node.hand_over()
}

/// No resignation, no removal, no installation, nothing prepared again; advertisements go on.
#[test]
fn a_successor_goes_on_without_touching_addresses() {
    let mut old = Rig::active(config(3));
    old.hear(3, 200, HIGHER);
    old.work();
    old.take_log();
    let left = stop(&mut old);
    assert_eq!(old.take_log(), "1 Initialize, 2 Initialize, 3 Initialize");
    assert_eq!(left.at, old.now);
    let handed = |number: u8| HandedRouter {
        addresses: vec![[198, 51, 100, number].into()],
        sequence: None,
    };
    let expected = [(id(1), handed(1)), (id(2), handed(2))];
    assert_eq!(left.routers, expected.into());
    // The old one does nothing more, whatever happens.
    old.run(ms(60_000));
    assert_eq!(old.node.hand_over(), left, "nor does it stop later");
    old.hear(1, 1, LOWER);
    assert_eq!(old.take_log(), "");

    let mut new = Rig::resume(config(3), left.at + ms(900), &left);
    let states = [1, 2, 3].map(|number| new.state(number));
    assert_eq!(states, [State::Active, State::Active, State::Backup]);
    assert_eq!(new.take_log(), "1 send 100, 2 send 100, 3 Backup");
    new.run(ms(900));
    let log = new.take_log();
    assert_eq!(log, "1 establish, 1 Active, 2 establish, 2 Active");
    new.run(ms(100));
    assert_eq!(new.take_log(), "1 send 100, 2 send 100");
    new.node.shutdown(new.now, ShutdownMode::Graceful);
    new.work();
    assert!(new.take_log().contains("1 remove 1"));
    assert!(new.node.is_idle());
}

#[test]
fn a_successor_with_another_configuration_makes_the_difference() {
    let mut old = Rig::active(config(2));
    let left = stop(&mut old);
    let addresses = ["198.51.100.1", "198.51.100.77"].map(address);
    let more = router_config(1).with_addresses(AddressList::new(addresses).unwrap());
    let config = config(0).with_router(id(1), NodeRouter::new(LAN, more));
    let mut new = Rig::resume(config, left.at, &left);
    assert_eq!(new.take_log(), "1 send 100, 1 change +77 -");
    new.work();
    assert_eq!(new.node.state(id(2)), None);
}

/// Where it is not safe, leftovers are removed, and the router starts as any other.
#[test]
fn addresses_of_a_router_that_cannot_go_on_are_removed() {
    let mut old = Rig::active(config(1));
    let left = stop(&mut old);
    let down = config(1).with_interface(LAN, InterfaceConfig::new(MacAddress::ZERO));
    let tracker = TrackerId::new(1);
    let tracked = router(1).with_track(Track::new(tracker, 0));
    let tracked = config(1)
        .with_tracker(tracker, false)
        .with_router(id(1), tracked);
    let cases = [
        // 3.0078125 s is the shortest down interval another may have, and 1 s may have passed before.
        (
            "late",
            config(1),
            ms(2008),
            "1 remove 1, 1 Backup",
            State::Backup,
        ),
        ("down", down, ms(0), "1 remove 1", State::Initialize),
        ("tracker", tracked, ms(0), "1 remove 1", State::Initialize),
    ];
    for (name, config, gap, log, state) in cases {
        let mut new = Rig::resume(config, left.at + gap, &left);
        assert_eq!(
            (new.take_log().as_str(), new.state(1)),
            (log, state),
            "{name}"
        );
        new.work();
        assert_eq!(new.take_log(), "1 settle", "{name}");
    }
    let in_time = Rig::resume(config(1), left.at + ms(2007), &left);
    assert_eq!(in_time.state(1), State::Active);
    let of_another_boot = Rig::resume(config(1), left.at - ms(1), &left);
    assert_eq!(of_another_boot.state(1), State::Backup);
}

/// `VRRP-214`: all members go on, or none does.
#[test]
fn a_group_goes_on_whole_or_not_at_all() {
    let mut old = Rig::active(grouped(false));
    let mut left = stop(&mut old);
    let mut new = Rig::resume(grouped(false), left.at, &left);
    assert_eq!(new.take_log(), "1 send 100, 2 send 100");
    left.routers.remove(&id(2));
    let mut new = Rig::resume(grouped(false), left.at, &left);
    assert_eq!([1, 2].map(|number| new.state(number)), [State::Backup; 2]);
    assert!(new.take_log().starts_with("1 remove 1"));
}

/// `VRRP-216`: only while the guard is held still; otherwise it is given back when the addresses are
/// gone.
#[test]
fn a_guarded_group_goes_on_with_its_guard_only() {
    let mut old = Rig::new(grouped(true));
    old.run(ms(3700));
    let until = old.now + ms(1500);
    let held = GuardStatus::Held { until, epoch: 7 };
    old.node.set_guard(old.now, GROUP, held);
    old.run(ms(10));
    old.take_log();
    let left = stop(&mut old);
    assert_eq!(left.guards, [(GROUP, held)].into());
    assert_eq!(
        old.take_log(),
        "1 Initialize, 2 Initialize",
        "it is not released"
    );

    let mut new = Rig::resume(grouped(true), until - ms(1), &left);
    assert_eq!([1, 2].map(|number| new.state(number)), [State::Active; 2]);
    assert_eq!(new.take_log(), "1 send 100, 2 send 100");
    new.run_open(ms(1));
    assert_eq!([1, 2].map(|number| new.state(number)), [State::Backup; 2]);
    assert_eq!(new.take_log(), "1 remove 1, 2 remove 2, 1 Active, 2 Active");
    new.work();
    assert!(new.take_log().contains("release 1"));

    for guards in [left.guards.clone(), [].into()] {
        let is_known = !guards.is_empty();
        let left = HandOver {
            guards,
            ..left.clone()
        };
        let mut new = Rig::resume(grouped(true), until, &left);
        assert_eq!([1, 2].map(|number| new.state(number)), [State::Backup; 2]);
        let log = new.take_log();
        assert!(
            log.starts_with("2 remove 2, 1 remove 1") || log.starts_with("1 remove 1, 2 remove 2"),
            "{log}"
        );
        assert!(!log.contains("send") && !log.contains("release"), "{log}");
        new.work();
        assert_eq!(new.take_log().contains("release 1"), is_known);
    }
}

/// One that was preparing has no addresses to leave: the successor is Active and prepares.
#[test]
fn a_router_that_was_preparing_is_prepared_by_the_successor() {
    let mut old = Rig::new(config(1));
    old.run_open(ms(3700));
    old.node.shutdown(old.now, ShutdownMode::Handover);
    old.fetch();
    assert!(!old.node.is_idle(), "a job is under way");
    old.finish(JobResult::Done);
    assert!(old.node.is_idle());
    assert_eq!(
        old.take_log(),
        "1 Backup, 1 send 100, 1 prepare, 1 Active, 1 Initialize"
    );
    let left = old.node.hand_over();
    assert!(left.routers[&id(1)].addresses.is_empty());
    let mut new = Rig::resume(config(1), left.at, &left);
    assert_eq!(new.take_log(), "1 send 100, 1 prepare");
}

/// An installation that fails after the shutdown: what may be there is removed, not handed over.
#[test]
fn what_nobody_knows_is_not_handed_over() {
    let mut old = Rig::new(config(1));
    old.run_open(ms(3700));
    old.finish(JobResult::Done);
    old.node.shutdown(old.now, ShutdownMode::Handover);
    old.finish(JobResult::Failed);
    assert_eq!(old.take_reports(), [ReportKind::InstallFailed]);
    old.work();
    let log = old.take_log();
    assert!(
        log.contains("1 remove 1") && log.ends_with("1 settle"),
        "{log}"
    );
    assert!(old.node.is_idle());
    assert_eq!(old.node.hand_over().routers, [].into());
}

/// Start delays are for links that have just come up; these were in use.
#[test]
fn a_successor_does_not_wait_to_start() {
    let slow = || {
        let mut settings = Settings::default();
        settings.startup_delay = Duration::from_secs(30);
        settings.link_settle = Duration::from_secs(30);
        config(1).with_settings(settings)
    };
    let mut old = Rig::active(config(1));
    let left = stop(&mut old);
    let new = Rig::resume(slow(), left.at, &left);
    assert_eq!(new.state(1), State::Active);
    assert_eq!(Rig::new(slow()).state(1), State::Initialize);
}

/// `VRRP-001`: the configuration has changed meanwhile, and the interface lists what was left.
#[test]
fn a_successor_does_not_advertise_from_what_was_left_to_it() {
    let mut old = Rig::active(config(1));
    let left = stop(&mut old);
    let other = router_config(1).with_addresses(AddressList::new([address(LOWER)]).unwrap());
    let lan = InterfaceConfig::new(MacAddress::new([2, 0, 0, 0, 0, 9]))
        .up(["198.51.100.1", OWN].map(address));
    let config = config(0)
        .with_interface(LAN, lan)
        .with_router(id(1), NodeRouter::new(LAN, other));
    let new = Rig::resume(config, left.at, &left);
    let machine = new.node.machine(id(1)).unwrap();
    assert_eq!(machine.source(), Some(address(OWN)));
}

/// Invariant 10: a guard that is lost takes along what was left with it; until then it is renewed.
#[test]
fn what_is_left_goes_when_the_guard_is_lost() {
    let held = |until| GuardStatus::Held { until, epoch: 1 };
    let handed_over = || {
        let mut rig = Rig::new(grouped(true));
        rig.run(ms(3700));
        let until = rig.now + ms(10_000);
        rig.node.set_guard(rig.now, GROUP, held(until));
        rig.run(ms(1000));
        stop(&mut rig);
        rig.take_log();
        (rig, until)
    };
    let (mut rig, until) = handed_over();
    rig.node.set_guard(rig.now, GROUP, held(until + ms(5000)));
    rig.run(ms(10_000));
    assert_eq!(rig.take_log(), "", "renewed");
    assert!(rig.node.is_idle());
    rig.run(ms(5000));
    let ended = rig.take_log();

    let (mut rig, _) = handed_over();
    rig.node.set_guard(rig.now, GROUP, GuardStatus::HeldByOther);
    assert!(!rig.node.is_idle());
    rig.work();
    let lost = rig.take_log();

    let (mut rig, _) = handed_over();
    rig.node.shutdown(rig.now, ShutdownMode::Graceful);
    rig.work();
    assert!(rig.node.is_idle());
    assert_eq!(rig.node.hand_over().routers, [].into());
    let shut_down = rig.take_log();

    let (mut rig, _) = handed_over();
    rig.node.reconfigure(rig.now, config(0)).unwrap();
    rig.work();
    let removed = rig.take_log();

    for log in [ended, lost, shut_down, removed] {
        for number in [1, 2] {
            let [remove, resign] = ["remove", "send 0"].map(|word| {
                let word = match word {
                    "remove" => format!("{number} remove {number}"),
                    _ => format!("{number} {word}"),
                };
                log.find(&word).unwrap_or_else(|| panic!("{word}: {log}"))
            });
            assert!(remove < resign, "{log}");
        }
        assert!(log.ends_with("release 1"), "{log}");
    }
}

/// What a successor knows from the beginning counts for its first advertisement.
#[test]
fn a_successor_begins_with_the_priority_of_its_trackers() {
    let mut old = Rig::active(config(1));
    let left = stop(&mut old);
    let tracker = TrackerId::new(1);
    let tracked = router(1).with_track(Track::new(tracker, -50));
    let tracked = config(1)
        .with_tracker(tracker, false)
        .with_router(id(1), tracked);
    let mut new = Rig::resume(tracked, left.at, &left);
    assert_eq!(new.take_log(), "1 send 50");
}

/// An address that moves to another router with the successor is installed when it was removed.
#[test]
fn addresses_move_between_routers_of_a_successor() {
    let with = |number: u8, last: &[u8]| {
        let list = last.iter().map(|last| [198, 51, 100, *last].into());
        let list = AddressList::new(list).unwrap();
        NodeRouter::new(LAN, router_config(number).with_addresses(list))
    };
    let both = |one: &[u8], two: &[u8]| {
        config(0)
            .with_router(id(1), with(1, one))
            .with_router(id(2), with(2, two))
    };
    let mut old = Rig::active(both(&[1], &[2, 3]));
    let left = stop(&mut old);
    let mut new = Rig::resume(both(&[1, 3], &[2]), left.at, &left);
    let log = new.take_log();
    assert!(
        log.contains("2 change + -3") && !log.contains("1 change"),
        "{log}"
    );
    new.finish(JobResult::Done);
    assert_eq!(new.take_log(), "1 change +3 -");
}

/// What is being established when the process stops is waited for, and nothing begins after that.
#[test]
fn establishing_ends_before_a_process_may() {
    let mut old = Rig::new(config(1));
    old.run_open(ms(3700));
    old.finish(JobResult::Done);
    old.finish(JobResult::Done);
    let mut unannounced = old.clone();
    old.run_open(ms(10));
    old.node.shutdown(old.now, ShutdownMode::Handover);
    old.fetch();
    assert!(!old.node.is_idle());
    old.finish(JobResult::Done);
    assert!(old.node.is_idle());

    unannounced
        .node
        .shutdown(unannounced.now, ShutdownMode::Handover);
    unannounced.run_open(ms(10_000));
    assert!(unannounced.node.is_idle() && unannounced.open.is_empty());
}

/// What was not announced yet is announced by the successor, which begins anew.
#[test]
fn a_process_that_handed_over_announces_nothing() {
    let mut old = Rig::active(config(1));
    stop(&mut old);
    old.log.clear();
    old.run(ms(20_000));
    assert_eq!(old.log, [""; 0]);
}

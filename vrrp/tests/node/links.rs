//! Links, source addresses, delays, trackers.

use lvs_vrrp::event::{InitReason, State};
use lvs_vrrp::node::{NodeRouter, Settings};
use lvs_vrrp::track::{Track, TrackerId};
use lvs_vrrp::{Interval, Priority};

use crate::rig::*;

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    settings.spread = false;
    change(&mut settings);
    settings
}

fn reason(rig: &Rig, number: u32) -> Option<InitReason> {
    rig.node.machine(id(number)).unwrap().init_reason()
}

/// `VRRP-052`: an interface without link, or without address, has no running router; the Active
/// removes its addresses, and says nothing where nobody hears.
#[test]
fn link_and_source_decide_whether_it_runs() {
    let mut rig = Rig::active(config(1));
    rig.node.link(rig.now, LAN, false, &[address(OWN)]);
    rig.work();
    assert_eq!(rig.take_log(), "1 remove 1, 1 settle, 1 Initialize");
    assert_eq!(reason(&rig, 1), Some(InitReason::InterfaceDown));
    rig.node.link(rig.now, LAN, true, &[]);
    assert_eq!(reason(&rig, 1), Some(InitReason::NoSource));
    rig.node
        .link(rig.now, LAN, true, &[address("198.51.100.1")]);
    assert_eq!(
        reason(&rig, 1),
        Some(InitReason::NoSource),
        "a virtual address is no source (VRRP-001)"
    );
    rig.node
        .link(rig.now, LAN, true, &[address("198.51.100.1"), address(OWN)]);
    assert_eq!(rig.state(1), State::Backup);
    let machine = rig.node.machine(id(1)).unwrap();
    assert_eq!(machine.source(), Some(address(OWN)));
    rig.node.link(rig.now, LAN, true, &[address(LOWER)]);
    let machine = rig.node.machine(id(1)).unwrap();
    assert_eq!(machine.source(), Some(address(LOWER)));
}

#[test]
fn nothing_runs_before_the_startup_delay_is_over() {
    let delay = settings(|settings| settings.startup_delay = ms(5000));
    let mut rig = Rig::new(config(1).with_settings(delay));
    rig.run(ms(4999));
    rig.hear(1, 100, LOWER);
    assert_eq!(rig.state(1), State::Initialize);
    rig.run(ms(1));
    assert_eq!(rig.state(1), State::Backup);
}

/// Spec 3.4: after link-up a router waits for the time, or for any frame.
#[test]
fn a_link_settles_by_time_or_by_traffic() {
    let settle = settings(|settings| settings.link_settle = ms(2000));
    let mut rig = Rig::new(config(1).with_settings(settle));
    rig.run(ms(1999));
    assert_eq!(rig.state(1), State::Initialize);
    rig.run(ms(1));
    assert_eq!(rig.state(1), State::Backup);
    rig.node.link(rig.now, LAN, false, &[]);
    rig.node.link(rig.now, LAN, true, &[address(OWN)]);
    assert_eq!(rig.state(1), State::Initialize);
    rig.run(ms(10));
    // Of whatever kind: the link passes traffic.
    rig.hear_bytes(&[0; 3]);
    assert_eq!(rig.state(1), State::Backup);
}

/// Spec 2.10: starts differ within an interval, always in the same way.
#[test]
fn starts_are_spread_over_the_interval() {
    let spread = settings(|settings| settings.spread = true);
    let starts = || -> Vec<u128> {
        let mut rig = Rig::new(config(250).with_settings(spread.clone()));
        let begin = rig.now;
        rig.run(ms(1000));
        (1..=250)
            .map(|number| {
                let machine = rig.node.machine(id(number)).unwrap();
                assert_eq!(machine.state(), State::Backup);
                (machine.since() - begin).as_millis()
            })
            .collect()
    };
    let first = starts();
    assert_eq!(first, starts());
    for tenth in 0..10 {
        let count = first.iter().filter(|at| **at / 100 == tenth).count();
        assert!((10..=45).contains(&count), "{count} start in tenth {tenth}");
    }
}

/// `VRRP-211`: the sum is cut once, whatever the order.
#[test]
fn trackers_add_up_and_are_cut_once() {
    let [plus, minus] = [1, 2].map(TrackerId::new);
    for order in [[plus, minus], [minus, plus]] {
        let router = router(1)
            .with_track(Track::new(plus, 250))
            .with_track(Track::new(minus, -200));
        let config = config(0)
            .with_tracker(plus, Some(false))
            .with_tracker(minus, Some(true))
            .with_router(id(1), router);
        let mut rig = Rig::new(config);
        let mut seen = Vec::new();
        for tracker in order {
            rig.node.set_tracker(rig.now, tracker, tracker == plus);
            let machine = rig.node.machine(id(1)).unwrap();
            seen.push(machine.effective_priority().get());
        }
        let between = if order[0] == plus { 254 } else { 1 };
        assert_eq!(seen, [between, 150]);
    }
}

#[test]
fn a_tracker_without_weight_stops_the_router() {
    let tracker = TrackerId::new(7);
    let config = config(0)
        .with_tracker(tracker, None)
        .with_router(id(1), router(1).with_track(Track::new(tracker, 0)));
    let mut rig = Rig::new(config);
    assert_eq!(reason(&rig, 1), Some(InitReason::Tracker));
    rig.node.set_tracker(rig.now, tracker, true);
    rig.run(ms(4000));
    assert_eq!(rig.state(1), State::Active);
    rig.take_log();
    rig.node.set_tracker(rig.now, tracker, false);
    rig.work();
    assert_eq!(
        rig.take_log(),
        "1 send 0, 1 remove 1, 1 settle, 1 Initialize"
    );
}

/// The tie-break of an IPv6 router is a link-local address (`VRRP-007`).
#[test]
fn ipv6_advertises_from_a_link_local_address() {
    let addresses = ["fe80::100", "2001:db8::100"].map(address);
    let config =
        lvs_vrrp::RouterConfig::new(vrid(1), lvs_vrrp::AddressList::new(addresses).unwrap())
            .with_priority(Priority::new(120))
            .with_interval(Interval::from_centiseconds(10).unwrap());
    let base = crate::rig::config(0).with_router(id(1), NodeRouter::new(LAN, config));
    let mut rig = Rig::new(base);
    assert_eq!(reason(&rig, 1), Some(InitReason::NoSource));
    let real = ["192.0.2.9", "2001:db8::9", "fe80::9"].map(address);
    rig.node.link(rig.now, LAN, true, &real);
    let machine = rig.node.machine(id(1)).unwrap();
    assert_eq!(machine.source(), Some(address("fe80::9")));
}

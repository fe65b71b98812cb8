//! Links, source addresses, delays, trackers.

use lvs_vrrp::event::{InitReason, State};
use lvs_vrrp::node::{NodeError, NodeRouter, Settings};
use lvs_vrrp::track::{Track, TrackerId, TrackerStatus};
use lvs_vrrp::{AddressList, Interval, Priority};

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
        "a virtual address is no source"
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

/// Only an address is needed where the link does not count.
#[test]
fn one_that_ignores_its_link_runs_without() {
    let ignoring = config(1).with_router(id(1), router(1).ignoring_link());
    let mut rig = Rig::active(ignoring);
    rig.node.link(rig.now, LAN, false, &[address(OWN)]);
    assert_eq!(rig.state(1), State::Active);
    rig.node.link(rig.now, LAN, false, &[]);
    assert_eq!(reason(&rig, 1), Some(InitReason::NoSource));
    rig.node.link(rig.now, LAN, false, &[address(OWN)]);
    assert_eq!(rig.state(1), State::Backup);
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

/// Spec 3.3: a link that comes back in time was never down, and one that goes away in time never up.
#[test]
fn short_changes_of_a_link_are_not_believed() {
    let lan = || interface().with_link_delays(ms(300), ms(1999));
    let mut rig = Rig::active(config(1).with_interface(LAN, lan()));
    let told = |rig: &mut Rig, is_up: bool| {
        let addresses = [address(OWN)];
        let addresses = if is_up { &addresses[..] } else { &[] };
        rig.node.link(rig.now, LAN, is_up, addresses);
        rig.work();
    };
    told(&mut rig, false);
    rig.run(ms(1000));
    // Said again it does not begin anew.
    told(&mut rig, false);
    rig.run(ms(998));
    assert_eq!(rig.state(1), State::Active);
    told(&mut rig, true);
    rig.run(ms(5000));
    assert_eq!(rig.state(1), State::Active);
    assert!(!rig.take_log().contains("remove"));

    told(&mut rig, false);
    rig.run(ms(1998));
    assert_eq!(rig.state(1), State::Active);
    rig.run(ms(1));
    assert_eq!(reason(&rig, 1), Some(InitReason::InterfaceDown));
    told(&mut rig, true);
    rig.run(ms(299));
    told(&mut rig, false);
    rig.run(ms(5000));
    assert_eq!(rig.state(1), State::Initialize);
    told(&mut rig, true);
    rig.run(ms(299));
    assert_eq!(rig.state(1), State::Initialize);
    rig.run(ms(1));
    assert_eq!(rig.state(1), State::Backup);
}

/// New addresses of a link that stays as it was count at once.
#[test]
fn delays_do_not_hold_up_addresses() {
    let lan = interface().with_link_delays(ms(300), ms(300));
    let mut rig = Rig::active(config(1).with_interface(LAN, lan));
    rig.node.link(rig.now, LAN, true, &[address(LOWER)]);
    let machine = rig.node.machine(id(1)).unwrap();
    assert_eq!(machine.source(), Some(address(LOWER)));
}

/// Spec 3.3: the down delay must be less than (down factor − 1) × interval of every router there.
#[test]
fn a_down_delay_in_which_others_take_over_is_refused() {
    let fast = Interval::from_centiseconds(50).unwrap();
    let base = |down| {
        let lan = interface().with_link_delays(ms(60_000), ms(down));
        let router = NodeRouter::new(LAN, router_config(2).with_interval(fast));
        config(1)
            .with_interface(LAN, lan)
            .with_router(id(2), router)
    };
    assert_eq!(base(999).validate(), Ok(()));
    assert_eq!(
        base(1000).validate().unwrap_err().to_string(),
        "interface 2: down delay of 1s is not less than 1s, \
         (down factor - 1) x interval of router 2"
    );
    let impatient = NodeRouter::new(LAN, router_config(3).with_down_factor(1));
    let error = base(1).with_router(id(3), impatient).validate();
    assert!(matches!(error, Err(NodeError::DownDelay { limit, .. }) if limit.is_zero()));
}

/// Spec 3.3: 254 is taken for 253, beyond that a weight is refused.
#[test]
fn weights_are_bounded() {
    let tracker = TrackerId::new(1);
    let weighted = |weight| {
        let router = router(1).with_track(Track::new(tracker, weight));
        config(0)
            .with_tracker(tracker, true)
            .with_router(id(1), router)
    };
    for weight in [-254, -253, 0, 253, 254] {
        assert_eq!(weighted(weight).validate(), Ok(()));
    }
    for weight in [-255, 255, i32::MIN, i32::MAX] {
        assert_eq!(
            weighted(weight).validate().unwrap_err().to_string(),
            format!("weight {weight} of tracker 1 is not in -253..=253")
        );
    }
}

/// A file: its number times the weight; what is far below stops the router.
#[test]
fn the_number_of_a_file_moves_the_priority() {
    let file = TrackerId::new(1);
    let router = router(1).with_track(Track::new(file, 2));
    let config = config(0)
        .with_tracker(file, TrackerStatus::Unknown)
        .with_router(id(1), router);
    let mut rig = Rig::new(config);
    for (value, priority) in [(10, 120), (-30, 40), (-60, 1), (-126, 1), (1000, 254)] {
        rig.node.set_tracker(rig.now, file, value);
        let machine = rig.node.machine(id(1)).unwrap();
        assert_eq!(machine.effective_priority().get(), priority, "{value}");
        assert_eq!(machine.state(), State::Backup);
    }
    rig.node.set_tracker(rig.now, file, -127);
    assert_eq!(reason(&rig, 1), Some(InitReason::Tracker));
    rig.node.set_tracker(rig.now, file, 0);
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
    let config = lvs_vrrp::RouterConfig::new(vrid(1), AddressList::new(addresses).unwrap())
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

/// Spec 2.8: the owner of the addresses advertises from one of them, which is installed here too. It
/// is heard, and gets its addresses back.
#[test]
fn an_active_gives_way_to_the_owner_that_returns() {
    let virtual_address = "198.51.100.1";
    let mut rig = Rig::active(config(1));
    rig.node.link(
        rig.now,
        LAN,
        true,
        &[address(OWN), address(virtual_address)],
    );
    rig.run(ms(500));
    rig.take_log();
    rig.hear(1, 255, virtual_address);
    assert_eq!(rig.state(1), State::Backup);
    rig.work();
    let log = rig.take_log();
    assert!(log.ends_with("1 remove 1, 1 settle, 1 Backup"), "{log}");
}

/// `VRRP-001`: an address that was virtual is not real because the configuration has forgotten it.
#[test]
fn an_address_that_was_installed_is_never_advertised_from() {
    let [first, own] = ["198.51.100.1", OWN].map(address);
    let source = |rig: &Rig| rig.node.machine(id(2)).unwrap().source();
    // Removed by a change, and by a router that leaves.
    let changed = router_config(1).with_addresses(AddressList::new([address(LOWER)]).unwrap());
    let changed = config(2).with_router(id(1), NodeRouter::new(LAN, changed));
    let gone = config(0).with_router(id(2), router(2));
    for new in [changed, gone] {
        let mut rig = Rig::active(config(2));
        rig.node.link(rig.now, LAN, true, &[first, own]);
        rig.node.reconfigure(rig.now, new).unwrap();
        rig.fetch();
        assert!(!rig.open.is_empty());
        rig.node.link(rig.now, LAN, true, &[first, own]);
        rig.fetch();
        assert_eq!(source(&rig), Some(own), "it is there still");
        rig.work();
        rig.node.link(rig.now, LAN, true, &[first, own]);
        rig.work();
        assert_eq!(source(&rig), Some(own), "the news is late");
        rig.node.link(rig.now, LAN, true, &[own]);
        rig.node.link(rig.now, LAN, true, &[first, own]);
        assert_eq!(source(&rig), Some(first), "it was added by somebody else");
    }
}

/// Spec 3.3: the delay of a link counts from when it was first said to be down.
#[test]
fn a_link_that_is_said_to_be_down_again_is_down_in_time() {
    let lan = interface().with_link_delays(ms(300), ms(1999));
    let mut rig = Rig::active(config(1).with_interface(LAN, lan));
    rig.node.link(rig.now, LAN, false, &[]);
    rig.run(ms(1000));
    rig.node.link(rig.now, LAN, false, &[]);
    rig.run(ms(998));
    assert_eq!(rig.state(1), State::Active);
    rig.run(ms(1));
    assert_eq!(reason(&rig, 1), Some(InitReason::InterfaceDown));
}

/// Spec 3.4: a link that is up and said to be up has settled no later for that.
#[test]
fn news_of_a_link_that_is_up_do_not_unsettle_it() {
    let settle = settings(|settings| settings.link_settle = ms(2000));
    let mut rig = Rig::new(config(1).with_settings(settle));
    rig.run(ms(1000));
    rig.node.link(rig.now, LAN, true, &[address(OWN)]);
    rig.run(ms(1000));
    assert_eq!(rig.state(1), State::Backup);
    rig.node.link(rig.now, LAN, true, &[address(OWN)]);
    assert_eq!(rig.state(1), State::Backup);
}

//! Every cell of the table of RFC 9568 §6.4.3: Active by event; what the data plane is told.

use lvs_vrrp::codec::{Advertisement, Transmission};
use lvs_vrrp::event::{
    Action, DataPlane, Event, HeardAdvert, InitReason, LastEvent, NewActiveReason, Notification,
    ShutdownMode, State, Transition,
};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::receive::{LocalRouter, Meta, SingleRouter, Versions, receive};
use lvs_vrrp::{Action::Notify, InterfaceIndex, Priority, Profile, Rank, Version};

use crate::rig::{
    HIGHER, LOWER, OWN, active, address, advert, advert_of, backup, brief, centiseconds, config,
    config_v6, feed, ms, ns, observations, router,
};

/// `VRRP-074`: priority 0 exactly once, in each order.
#[test]
fn active_shuts_down_as_told() {
    for (mode, expected) in [
        (ShutdownMode::Graceful, "send 0, remove"),
        (ShutdownMode::ReleaseFirst, "remove, send 0"),
        (ShutdownMode::Abrupt, "remove"),
        (ShutdownMode::Handover, "none"),
    ] {
        let (mut router, now) = active(config(100));
        let actions = router.handle(now + ms(1), Event::Shutdown(mode));
        assert_eq!(brief(&actions), expected);
        let last = *actions.as_slice().last().unwrap();
        assert!(matches!(last, Notify(Notification::Transition(_))));
        assert_eq!(
            (router.state(), router.next_deadline()),
            (State::Initialize, None)
        );
        let again = router.handle(now + ms(2), Event::Shutdown(mode));
        assert!(again.is_empty());
    }
}

/// The addresses stay where they are between the one process and the other.
#[test]
fn successor_resumes_as_active() {
    let (mut old, now) = active(config(100));
    feed(
        &mut old,
        now + ms(1),
        Event::Shutdown(ShutdownMode::Handover),
    );
    assert_eq!(old.init_reason(), Some(InitReason::HandedOver));

    let mut new = router(config(100));
    let actions = new.resume(now + ms(200));
    assert_eq!(
        brief(&actions),
        "send 100, install, announce, reason priority"
    );
    assert_eq!(new.last_event(), LastEvent::Handover);
    assert_eq!(new.next_deadline(), Some(now + ms(1200)));
    assert!(new.resume(now + ms(300)).is_empty(), "it runs already");
    let mut without_source = VirtualRouter::new(config(100)).unwrap();
    assert!(without_source.resume(now).is_empty());
}

/// Each reason leads to Initialize; only a link that is down keeps the resignation back.
#[test]
fn faults_end_in_initialize() {
    for (reason, event, expected) in [
        (
            InitReason::InterfaceDown,
            LastEvent::InterfaceDown,
            "remove",
        ),
        (
            InitReason::NoSource,
            LastEvent::NoPrimaryAddress,
            "send 0, remove",
        ),
        (
            InitReason::NoVirtualAddresses,
            LastEvent::NoVirtualAddresses,
            "send 0, remove",
        ),
        (InitReason::Tracker, LastEvent::Tracker, "send 0, remove"),
        (InitReason::Group, LastEvent::Group, "send 0, remove"),
    ] {
        let (mut router, now) = active(config(100));
        assert_eq!(brief(&router.handle(now, Event::Fault(reason))), expected);
        assert_eq!(router.init_reason(), Some(reason));
        assert_eq!(router.last_event(), event);

        let mut router = backup(config(100));
        assert_eq!(brief(&router.handle(ms(1), Event::Fault(reason))), "none");
        assert_eq!(router.init_reason(), Some(reason));
    }
}

/// What a fault was is told when it is over.
#[test]
fn startup_after_a_fault_says_what_came_back() {
    for (reason, event) in [
        (InitReason::InterfaceDown, LastEvent::InterfaceUp),
        (InitReason::NoSource, LastEvent::PrimaryAddress),
        (InitReason::NoVirtualAddresses, LastEvent::VirtualAddresses),
        (InitReason::Shutdown, LastEvent::Startup),
        (InitReason::Tracker, LastEvent::Tracker),
        (InitReason::Group, LastEvent::Group),
    ] {
        let mut router = backup(config(100));
        feed(&mut router, ms(1), Event::Fault(reason));
        feed(&mut router, ms(2), Event::Startup);
        assert_eq!(
            (router.state(), router.last_event()),
            (State::Backup, event)
        );
    }
}

/// `VRRP-075`: with the own interval, whatever the interval of the Active was.
#[test]
fn active_advertises_at_its_own_interval() {
    let mut router = backup(config(100).with_interval(centiseconds(50)));
    feed(
        &mut router,
        ms(1),
        advert_of(ms(1), 200, LOWER, 400, Version::V3),
    );
    let mut at = router.next_deadline().unwrap();
    feed(&mut router, at, Event::Tick);
    for _ in 0..3 {
        assert_eq!(router.next_deadline(), Some(at + ms(500)));
        at += ms(500);
        assert_eq!(brief(&router.handle(at, Event::Tick)), "send 100");
    }
}

/// `VRRP-076`
#[test]
fn active_answers_a_resignation_and_stays() {
    let (mut router, now) = active(config(100));
    let at = now + ms(300);
    assert_eq!(brief(&router.handle(at, advert(at, 0, HIGHER))), "send 100");
    assert_eq!(router.next_deadline(), Some(at + ms(1000)));
    assert_eq!(router.state(), State::Active);
}

/// `VRRP-077`, `VRRP-078`, `VRRP-209`: the cell of each rank.
#[test]
fn active_yields_to_higher_ranks_only() {
    let ours = address("10.0.0.9");
    for (priority, source, wins) in [
        (99, "10.0.0.200", false),
        (100, "10.0.0.8", false),
        (100, "9.255.255.255", false),
        (100, "10.0.0.10", true),
        (100, "11.0.0.0", true),
        (101, "10.0.0.1", true),
        (255, "10.0.0.1", true),
    ] {
        let (mut router, now) = active(config(100));
        let at = now + ms(100);
        feed(&mut router, at, Event::Source(Some(ours)));
        feed(
            &mut router,
            at,
            advert_of(at, priority, source, 50, Version::V3),
        );
        let state = if wins { State::Backup } else { State::Active };
        assert_eq!(router.state(), state, "{priority} {source}");
        if wins {
            let expected = at + ns(1_804_687_500);
            assert_eq!(router.next_deadline(), Some(expected));
            assert_eq!(router.active_interval(), centiseconds(50));
            assert_eq!(router.active().unwrap().address(), address(source));
        } else {
            assert_eq!(router.next_deadline(), Some(now + ms(1000)));
        }
    }
}

/// `VRRP-077`: VRRPv2 adopts nothing.
#[test]
fn v2_waits_by_its_own_interval() {
    let (mut router, now) = active(config(100).with_versions(Versions::Only(Version::V2)));
    let at = now + ms(100);
    feed(&mut router, at, advert_of(at, 200, LOWER, 300, Version::V2));
    assert_eq!(router.next_deadline(), Some(at + ns(3_609_375_000)));
}

/// What led to Active is over when it ends: wait, reason and hold begin anew.
#[test]
fn a_new_backup_has_forgotten_the_old_one() {
    let (mut router, now) = {
        let mut router = backup(config(100).with_preempt_hold(ms(10_000)));
        feed(&mut router, ms(1), advert(ms(1), 50, LOWER));
        feed(&mut router, ms(2), advert(ms(2), 0, LOWER));
        let now = router.next_deadline().unwrap();
        assert_eq!(now, ms(2) + ns(609_375_000));
        feed(&mut router, now, Event::Tick);
        (router, now)
    };
    feed(&mut router, now, advert(now, 200, HIGHER));
    let deadline = now + ns(3_609_375_000);
    assert_eq!(router.next_deadline(), Some(deadline));
    let mut silent = router.clone();
    feed(&mut silent, deadline, Event::Tick);
    assert_eq!(silent.new_active_reason(), NewActiveReason::NoResponse);
    // A lesser Active is borne for the whole hold.
    for seconds in 1..=10 {
        let at = now + ms(seconds * 1000);
        feed(&mut router, at, advert(at, 50, LOWER));
        assert_eq!(router.next_deadline(), Some(at + ns(3_609_375_000)));
    }
}

/// The reason is that of the last advertisement.
#[test]
fn silence_of_an_accepted_active_is_no_preemption() {
    let mut router = backup(config(100));
    feed(&mut router, ms(1), advert(ms(1), 50, LOWER));
    feed(&mut router, ms(2), advert(ms(2), 200, HIGHER));
    let deadline = router.next_deadline().unwrap();
    feed(&mut router, deadline, Event::Tick);
    assert_eq!(router.new_active_reason(), NewActiveReason::NoResponse);
}

/// `VRRP-128`: one owner is as it should be.
#[test]
fn an_owner_is_no_conflict_to_others() {
    let (mut router, now) = active(config(100));
    let at = now + ms(5000);
    feed(&mut router, now + ms(1000), Event::Tick);
    let actions = router.handle(now + ms(2001), advert(at, 255, HIGHER));
    assert_eq!(observations(&actions), []);
    assert_eq!(router.state(), State::Backup);
}

/// The order of giving way: everything is off and gone before it is reported.
#[test]
fn transition_is_reported_after_the_removal() {
    let switches = Profile::Strict9568.switches();
    let (mut router, now) = active(config(100).with_switches(switches));
    let at = now + ms(2000);
    feed(&mut router, now + ms(1000), Event::Tick);
    let actions = router.handle(at, advert(at, 200, LOWER));
    assert_eq!(
        actions.as_slice(),
        [
            Action::CancelAnnouncements,
            Action::DataPlane(DataPlane::default()),
            Action::RemoveAddresses,
            Notify(Notification::Transition(Transition {
                from: State::Active,
                to: State::Backup,
                event: LastEvent::HigherPriorityBackup,
                reason: router.new_active_reason(),
                priority: Priority::DEFAULT,
            })),
        ]
    );
}

/// `VRRP-079`, `VRRP-080`: the advertisement timer is not touched; each profile answers, announces
/// again and yields as its standard says.
#[test]
fn losing_advertisements_are_answered_by_profile() {
    for (profile, version, losing, winning) in [
        (Profile::Strict3768, Version::V2, "none", "remove"),
        (Profile::Strict5798, Version::V3, "none", "remove"),
        (Profile::Strict9568, Version::V3, "send 100", "remove"),
        (Profile::Linux, Version::V2, "announce", "send 100, remove"),
        (
            Profile::Linux,
            Version::V3,
            "send 100, announce",
            "send 100, remove",
        ),
    ] {
        let config = config(100)
            .with_versions(Versions::Only(version))
            .with_switches(profile.switches());
        let (mut router, now) = active(config);
        let at = now + ms(100);
        let actions = router.handle(at, advert_of(at, 99, HIGHER, 100, version));
        assert_eq!(brief(&actions), losing, "{profile} {version}");
        assert_eq!(router.next_deadline(), Some(now + ms(1000)));
        assert_eq!(router.counters().losing_adverts, 1);
        assert!(matches!(
            observations(&actions)[..],
            [Notification::LosingAdvert(rank)] if rank.priority().get() == 99
        ));
        let actions = router.handle(at, advert_of(at, 101, LOWER, 100, version));
        assert_eq!(brief(&actions), winning, "{profile} {version}");
    }
}

/// `VRRP-081`
#[test]
fn preempt_is_not_looked_at_in_active() {
    let (mut router, now) = active(config(100).with_preempt(false));
    feed(&mut router, now + ms(1), advert(now + ms(1), 101, LOWER));
    assert_eq!(router.state(), State::Backup);
}

/// `VRRP-209`: nothing is sent, or the packet that came back would be answered for ever.
#[test]
fn own_rank_is_reported_and_not_answered() {
    let (mut router, now) = active(config(100));
    let actions = router.handle(now, advert(now, 100, OWN));
    assert_eq!(
        actions.as_slice(),
        [Notify(Notification::DuplicatePrimaryAddress(address(OWN)))]
    );
    assert_eq!(router.state(), State::Active);
}

/// `VRRP-088`, `VRRP-089`, `VRRP-128`: two owners notice each other where the profile lets them.
#[test]
fn two_owners_end_as_one_unless_the_profile_is_deaf() {
    for (profile, version, elects) in [
        (Profile::Strict3768, Version::V2, false),
        (Profile::Strict5798, Version::V3, false),
        (Profile::Strict9568, Version::V3, true),
        (Profile::Linux, Version::V2, true),
        (Profile::Linux, Version::V3, true),
    ] {
        let config = config(100)
            .as_owner()
            .with_versions(Versions::Only(version))
            .with_switches(profile.switches());
        let (mut router, now) = active(config);
        let at = now + ms(10);
        let lower = router.handle(at, advert_of(at, 255, LOWER, 100, version));
        assert_eq!(router.state(), State::Active);
        let higher = router.handle(at, advert_of(at, 255, HIGHER, 100, version));
        let conflict = |source| Notification::OwnerConflict(address(source));
        if elects {
            assert!(observations(&lower).contains(&conflict(LOWER)));
            assert!(observations(&higher).contains(&conflict(HIGHER)));
            assert_eq!(router.state(), State::Backup);
            assert_eq!(router.last_event(), LastEvent::OwnerPreempt);
        } else {
            assert!(lower.is_empty() && higher.is_empty());
            assert_eq!(router.state(), State::Active);
        }
    }
}

/// `VRRP-083`: what the ladder would have dropped at row 8 changes nothing.
#[test]
fn advertisements_of_another_version_change_nothing() {
    let mut router = backup(config(100));
    let deadline = router.next_deadline();
    let foreign = advert_of(ms(1), 200, LOWER, 100, Version::V2);
    assert!(router.handle(ms(1), foreign).is_empty());
    assert_eq!((router.next_deadline(), router.active()), (deadline, None));
}

/// What the data plane is told. An Active answers and forwards, and nobody else does; it is told before
/// the addresses go, and after they came.
#[test]
fn only_an_active_serves() {
    let served = |actions: &lvs_vrrp::Actions| -> Vec<(usize, bool)> {
        let places = actions.iter().enumerate();
        let planes = places.filter_map(|(place, action)| match action {
            Action::DataPlane(plane) => Some((place, plane.serves)),
            _ => None,
        });
        planes.collect()
    };
    let place = |actions: &lvs_vrrp::Actions, wanted| {
        actions.iter().position(|action| *action == wanted).unwrap()
    };
    let mut router = router(config(100));
    let started = router.handle(ms(0), Event::Startup);
    assert_eq!(served(&started), [(0, false)]);
    let promoted = router.handle(ms(10_000), Event::Tick);
    let installed = place(&promoted, Action::InstallAddresses);
    assert_eq!(served(&promoted), [(installed + 1, true)]);
    let yielded = router.handle(ms(10_500), advert(ms(10_500), 200, LOWER));
    let removed = place(&yielded, Action::RemoveAddresses);
    assert_eq!(served(&yielded), [(removed - 1, false)]);
    // Neither a Backup that hears, nor one that stops, has it changed.
    let heard = router.handle(ms(11_000), advert(ms(11_000), 200, LOWER));
    let stopped = router.handle(ms(11_500), Event::Shutdown(ShutdownMode::Graceful));
    assert_eq!((served(&heard), served(&stopped)), (vec![], vec![]));
}

/// `VRRP-072`, `VRRP-073`, `VRRP-046`: accept mode is off unless set, by the profile or here.
#[test]
fn data_plane_accepts_as_configured() {
    let ipvs = lvs_vrrp::Switches::ipvs();
    for (config, accepts) in [
        (config(100), false),
        (config(100).with_accept_mode(true), true),
        (config(100).with_switches(ipvs), true),
        (
            config(100).with_switches(ipvs).with_accept_mode(false),
            false,
        ),
        (config(100).as_owner().with_accept_mode(false), true),
    ] {
        let mut router = router(config);
        let mut actions = router.handle(ms(0), Event::Startup);
        if router.state() == State::Backup {
            actions = router.handle(ms(10_000), Event::Tick);
        }
        let plane = actions.iter().find_map(|action| match action {
            Action::DataPlane(plane) => Some(*plane),
            _ => None,
        });
        assert_eq!(plane.map(|plane| plane.accepts), Some(accepts));
        assert_eq!(plane.map(|plane| plane.serves), Some(true));
    }
}

/// `VRRP-055`: a Backup never sends router advertisements, an Active of IPv4 neither.
#[test]
fn router_advertisements_are_for_active_ipv6_only() {
    let (mut router, now) = active(config_v6(100).with_router_advertisements(true));
    let at = now + ms(1);
    let mut actions = router
        .handle(at, advert_of(at, 200, "fe80::1", 100, Version::V3))
        .into_iter();
    let plane = actions.find(|action| matches!(action, Action::DataPlane(_)));
    assert_eq!(plane, Some(Action::DataPlane(DataPlane::default())));

    let mut router = backup(config(100).with_router_advertisements(true));
    let actions = router.handle(ms(10_000), Event::Tick);
    let sends = |action: &Action| {
        matches!(
            action,
            Action::DataPlane(DataPlane {
                router_advertisements: true,
                ..
            })
        )
    };
    assert!(!actions.iter().any(sends));
}

/// What passed the ladder is what the machine hears, from the bytes on.
#[test]
fn the_machine_hears_what_passed_the_ladder() {
    let mut router = backup(config(100));
    let local = LocalRouter::new(
        router.config().versions(),
        router.effective_priority(),
        router.config().interval(),
        router.config().addresses(),
        router.config().switches().receive,
    );
    let interface = InterfaceIndex::new(2);
    let here = SingleRouter::new(interface, router.config().vrid(), local);
    let sent = Advertisement {
        version: Version::V3,
        vrid: router.config().vrid(),
        priority: Priority::new(200),
        interval: centiseconds(250),
        addresses: router.config().addresses().as_addresses(),
    };
    let mut packet = [0; 64];
    let length = Transmission::multicast(address(LOWER))
        .emit_packet(&sent, &mut packet)
        .unwrap();
    let accepted = receive(&Meta::ipv4(interface, ms(500)), &packet[..length], &here).unwrap();
    let advert = HeardAdvert::from(&accepted);
    assert!(router.handle(ms(700), Event::Advert(advert)).is_empty());
    // T02: counted from the reception, by the interval of the Active.
    assert_eq!(router.next_deadline(), Some(ns(9_523_437_500)));
    assert_eq!(
        router.active(),
        Some(Rank::new(Priority::new(200), address(LOWER)))
    );
}

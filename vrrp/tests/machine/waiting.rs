//! Every cell of the tables of RFC 9568 §6.4.1 and §6.4.2: Initialize and Backup by event.

use lvs_vrrp::event::{
    Action, Announce, DataPlane, Event, InitReason, LastEvent, Notification, SendAdvert,
    ShutdownMode, State, Transition,
};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{Action::Notify, Interval, Priority, Version};

use crate::rig::{
    HIGHER, LOWER, OWN, active, address, advert, advert_of, backup, brief, centiseconds, config,
    config_v6, feed, ms, ns, router,
};

/// Everything that is no Startup.
fn other_events() -> Vec<Event> {
    vec![
        Event::Tick,
        advert(ms(1), 0, LOWER),
        advert(ms(1), 1, LOWER),
        advert(ms(1), 255, HIGHER),
        Event::Contribution(-5),
        Event::Contribution(0),
        Event::Source(Some(address(LOWER))),
        Event::Shutdown(ShutdownMode::Graceful),
        Event::Fault(InitReason::Tracker),
        Event::Yield,
        Event::Stalled,
    ]
}

/// `VRRP-052`
#[test]
fn only_startup_leaves_initialize() {
    let mut router = router(config(100));
    for event in other_events() {
        assert_eq!(brief(&router.handle(ms(1), event)), "none", "{event:?}");
        assert_eq!(
            (router.state(), router.next_deadline()),
            (State::Initialize, None)
        );
    }
    feed(&mut router, ms(2), Event::Startup);
    assert_eq!(router.state(), State::Backup);
}

/// `VRRP-049`, `VRRP-113`: advertisement, addresses, announcements, in this order; the owner accepts.
#[test]
fn owner_starts_as_active() {
    let mut router = router(config(100).as_owner());
    let actions = router.handle(ms(0), Event::Startup);
    assert_eq!(
        actions.as_slice(),
        [
            Action::SendAdvert(SendAdvert {
                priority: Priority::OWNER,
                interval: Interval::DEFAULT,
                versions: Versions::Only(Version::V3),
            }),
            Action::InstallAddresses,
            Action::DataPlane(DataPlane {
                serves: true,
                accepts: true,
                router_advertisements: false,
            }),
            Action::Announce(Announce::BecameActive),
            Notify(Notification::Transition(Transition {
                from: State::Initialize,
                to: State::Active,
                event: LastEvent::Startup,
                reason: router.new_active_reason(),
                priority: Priority::OWNER,
            })),
        ]
    );
    assert_eq!(router.next_deadline(), Some(ms(1000)));
}

/// `VRRP-051`: nothing is sent.
#[test]
fn others_start_as_backup() {
    let mut router = router(config(100));
    let actions = router.handle(ms(0), Event::Startup);
    assert_eq!(
        actions.as_slice(),
        [
            Action::DataPlane(DataPlane::default()),
            Notify(Notification::Transition(Transition {
                from: State::Initialize,
                to: State::Backup,
                event: LastEvent::Startup,
                reason: router.new_active_reason(),
                priority: Priority::DEFAULT,
            })),
        ]
    );
    assert_eq!(router.next_deadline(), Some(ns(3_609_375_000)));
}

/// `VRRP-039`, `VRRP-050`: what was learned from an Active is forgotten.
#[test]
fn startup_forgets_the_learned_interval() {
    let mut router = backup(config(100));
    feed(
        &mut router,
        ms(500),
        advert_of(ms(500), 200, LOWER, 250, Version::V3),
    );
    assert_eq!(router.active_interval(), centiseconds(250));
    assert!(router.active().is_some());
    feed(
        &mut router,
        ms(600),
        Event::Fault(InitReason::InterfaceDown),
    );
    assert_eq!(router.init_reason(), Some(InitReason::InterfaceDown));
    feed(&mut router, ms(700), Event::Startup);
    assert_eq!(router.active_interval(), Interval::DEFAULT);
    assert_eq!(router.active(), None);
    assert_eq!(router.last_event(), LastEvent::InterfaceUp);
    assert_eq!(router.next_deadline(), Some(ns(4_309_375_000)));
}

/// `VRRP-007`: without an address to advertise from it does not run.
#[test]
fn without_a_source_it_does_not_start() {
    for config in [config(100), config_v6(100), config(100).as_owner()] {
        let mut router = VirtualRouter::new(config).unwrap();
        assert!(router.handle(ms(0), Event::Startup).is_empty());
        assert_eq!(router.init_reason(), Some(InitReason::NoSource));
    }
}

/// `VRRP-058`: no packet.
#[test]
fn backup_shuts_down_in_silence() {
    for mode in [
        ShutdownMode::Graceful,
        ShutdownMode::ReleaseFirst,
        ShutdownMode::Handover,
        ShutdownMode::Abrupt,
    ] {
        let mut router = backup(config(100));
        let actions = router.handle(ms(1), Event::Shutdown(mode));
        assert_eq!(brief(&actions), "none");
        assert_eq!(actions.len(), 1, "only the transition is reported");
        assert_eq!(
            (router.state(), router.next_deadline()),
            (State::Initialize, None)
        );
    }
}

/// `VRRP-059`, `VRRP-060`, `VRRP-069`, `VRRP-121`: IPv6. The addresses, with which the kernel joins the
/// solicited-node groups, come before the announcements, router advertisements after them.
#[test]
fn promotion_has_the_order_of_the_rfc() {
    let mut router = backup(config_v6(100).with_router_advertisements(true));
    let deadline = router.next_deadline().unwrap();
    let actions = router.handle(deadline, Event::Tick);
    let plane = DataPlane {
        serves: true,
        accepts: false,
        router_advertisements: false,
    };
    let expected = [
        Action::InstallAddresses,
        Action::DataPlane(plane),
        Action::Announce(Announce::BecameActive),
        Action::DataPlane(DataPlane {
            router_advertisements: true,
            ..plane
        }),
    ];
    assert!(matches!(actions.as_slice()[0], Action::SendAdvert(_)));
    assert_eq!(actions.as_slice()[1..5], expected);
    assert!(matches!(actions.as_slice()[5], Notify(_)));
    assert_eq!(actions.len(), 6);
}

/// `VRRP-062`: its interval is not adopted.
#[test]
fn resignation_makes_backups_hurry_at_the_rate_in_force() {
    let mut router = backup(config(200));
    feed(
        &mut router,
        ms(100),
        advert_of(ms(100), 255, LOWER, 200, Version::V3),
    );
    feed(
        &mut router,
        ms(200),
        advert_of(ms(200), 0, LOWER, 4095, Version::V3),
    );
    // 56/256 of the 2 s that were adopted.
    assert_eq!(router.next_deadline(), Some(ms(200) + ns(437_500_000)));
}

/// `VRRP-063`, `VRRP-064`: an equal priority is acceptable to a Backup, from whatever address.
#[test]
fn backup_does_not_look_at_addresses() {
    for source in [LOWER, OWN, HIGHER] {
        let mut router = backup(config(100));
        let actions = router.handle(ms(500), advert_of(ms(500), 100, source, 50, Version::V3));
        assert!(actions.is_empty());
        assert_eq!(router.skew_time(), ns(304_687_500));
        assert_eq!(
            router.next_deadline(),
            Some(ns(500_000_000 + 1_804_687_500))
        );
        assert_eq!(router.active().unwrap().address(), address(source));
    }
}

/// `VRRP-063`, `VRRP-065`: the cell of each priority, with preemption and without.
#[test]
fn backup_rearms_for_all_but_lower_priorities_with_preempt() {
    for preempt in [true, false] {
        for priority in [1, 99, 100, 101, 254, 255] {
            let mut router = backup(config(100).with_preempt(preempt));
            let before = router.next_deadline();
            let actions = router.handle(ms(500), advert(ms(500), priority, LOWER));
            assert!(actions.is_empty());
            let accepted = !preempt || priority >= 100;
            let expected = if accepted {
                Some(ns(4_109_375_000))
            } else {
                before
            };
            assert_eq!(router.next_deadline(), expected, "{preempt} {priority}");
        }
    }
}

/// `VRRP-045`: the owner preempts whatever the setting. One that is Backup, since it gave way to
/// another owner, lets a lesser router not stop it.
#[test]
fn owner_preempts_whatever_the_setting() {
    let (mut router, now) = active(config(100).as_owner().with_preempt(false));
    let at = now + ms(100);
    feed(&mut router, at, advert(at, 255, HIGHER));
    assert_eq!(router.state(), State::Backup);
    let deadline = router.next_deadline().unwrap();
    feed(&mut router, at + ms(500), advert(at + ms(500), 254, LOWER));
    assert_eq!(router.next_deadline(), Some(deadline));
    feed(&mut router, deadline, Event::Tick);
    assert_eq!(router.state(), State::Active);
    assert_eq!(router.last_event(), LastEvent::OwnerPreempt);
}

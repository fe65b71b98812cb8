//! Changes while a virtual router runs.

use core::time::Duration;

use lvs_vrrp::event::{
    Action, Announce, DataPlane, Event, InitReason, LastEvent, Notification, SendAdvert, State,
};
use lvs_vrrp::receive::{Peer, Versions};
use lvs_vrrp::{AddressList, ConfigError, Interval, Priority, RouterConfig, Version, Vrid};

use crate::rig::{
    HIGHER, LOWER, OWN, active, address, advert, advert_of, backup, brief, centiseconds, config,
    config_v6, feed, ms, ns, observations, router,
};

/// `VRRP-215`: an unchanged configuration sends nothing and keeps all deadlines.
#[test]
fn the_same_configuration_does_nothing() {
    let mut backup = backup(config(100));
    feed(
        &mut backup,
        ms(1),
        advert_of(ms(1), 200, LOWER, 250, Version::V3),
    );
    let (mut active, now) = active(config(100));
    for router in [&mut backup, &mut active] {
        let before = format!("{router:?}");
        assert!(router.reconfigure(now, &config(100)).unwrap().is_empty());
        assert_eq!(format!("{router:?}"), before);
    }
}

/// `VRRP-215`: what has nothing to do with the timers does not move them.
#[test]
fn other_settings_do_not_move_the_deadlines() {
    let mut backup = backup(config(100));
    feed(
        &mut backup,
        ms(1),
        advert_of(ms(1), 200, LOWER, 250, Version::V3),
    );
    let (mut active, now) = active(config(100));
    let peer = Peer::new(address(LOWER));
    let changed = config(100)
        .with_preempt(false)
        .with_preempt_hold(ms(1000))
        .with_unicast_peers([peer]);
    for router in [&mut backup, &mut active] {
        let deadline = router.next_deadline();
        assert!(router.reconfigure(now, &changed).unwrap().is_empty());
        assert_eq!(router.next_deadline(), deadline);
        assert_eq!(*router.config(), changed);
    }
}

/// Nothing changes where the new configuration is refused.
#[test]
fn a_refused_configuration_changes_nothing() {
    let (mut router, now) = active(config(100));
    let before = format!("{router:?}");
    let addresses = AddressList::new([address("192.0.2.100")]).unwrap();
    let other = RouterConfig::new(Vrid::new(11).unwrap(), addresses);
    for (config, message) in [
        (
            config(0),
            "priority 0 is not in 1..=254: the owner is set as such",
        ),
        (
            other,
            "a virtual router cannot change its virtual router id",
        ),
        (config_v6(100), "a virtual router cannot change its family"),
    ] {
        let refused: ConfigError = router.reconfigure(now, &config).unwrap_err();
        assert_eq!(refused.to_string(), message);
        assert_eq!(format!("{router:?}"), before);
    }
}

/// `VRRP-102`: an Active advertises a new priority at once; its rhythm stays.
#[test]
fn active_advertises_a_new_priority_at_once() {
    let (mut router, now) = active(config(100));
    let at = now + ms(300);
    let actions = router.handle(at, Event::Contribution(-30));
    assert_eq!(brief(&actions), "send 70");
    let (from, to) = (Priority::new(100), Priority::new(70));
    assert_eq!(
        observations(&actions),
        [Notification::Priority { from, to }]
    );
    assert_eq!(router.next_deadline(), Some(now + ms(1000)));
    // Trackers and base add up.
    let actions = router.reconfigure(at, &config(150)).unwrap();
    assert_eq!(brief(&actions), "send 120");
    assert_eq!(router.effective_priority().get(), 120);
}

/// `VRRP-211`: cut once, after summing; what changes nothing after that sends nothing.
#[test]
fn the_sum_is_cut_once() {
    let config = config(100);
    for (contribution, effective) in [
        (0, 100),
        (50, 150),
        (250 - 200, 150),
        (-200 + 250, 150),
        (154, 254),
        (155, 254),
        (i64::MAX, 254),
        (-99, 1),
        (-100, 1),
        (i64::MIN, 1),
    ] {
        assert_eq!(config.effective_priority(contribution).get(), effective);
        let owner = config.clone().as_owner();
        assert_eq!(owner.effective_priority(contribution), Priority::OWNER);
    }
    let (mut router, now) = active(config);
    assert_eq!(
        brief(&router.handle(now, Event::Contribution(200))),
        "send 254"
    );
    assert!(router.handle(now, Event::Contribution(300)).is_empty());
}

/// The deadline counts from where it did, with the new skew time, and is not over before now.
#[test]
fn backup_moves_its_deadline_with_the_priority() {
    let mut router = backup(config(100));
    feed(&mut router, ms(500), advert(ms(500), 200, LOWER));
    feed(&mut router, ms(600), Event::Contribution(50));
    assert_eq!(router.next_deadline(), Some(ms(3500) + ns(414_062_500)));
    feed(&mut router, ms(700), Event::Contribution(-99));
    assert_eq!(router.next_deadline(), Some(ms(3500) + ns(996_093_750)));
    // The new one would lie in the past.
    feed(&mut router, ms(4000), Event::Contribution(154));
    assert_eq!(router.next_deadline(), Some(ms(4000)));
    let reason = "send 254, install, announce, reason no-response";
    assert_eq!(brief(&router.handle(ms(4000), Event::Tick)), reason);
}

/// After a resignation it is the skew time that changes.
#[test]
fn backup_moves_a_skew_deadline_with_the_priority() {
    let mut router = backup(config(100));
    feed(&mut router, ms(500), advert(ms(500), 0, LOWER));
    feed(&mut router, ms(600), Event::Contribution(100));
    assert_eq!(
        router.next_deadline(),
        Some(ms(500) + ns(218_750_000)).max(Some(ms(600)))
    );
}

/// An Active with a new interval advertises at once, and an interval from now.
#[test]
fn active_starts_a_new_interval_at_once() {
    let (mut router, now) = active(config(100));
    let at = now + ms(300);
    let changed = config(100).with_interval(centiseconds(25));
    let actions = router.reconfigure(at, &changed).unwrap();
    assert_eq!(
        actions.as_slice(),
        [Action::SendAdvert(SendAdvert {
            priority: Priority::new(100),
            interval: centiseconds(25),
            versions: Versions::Only(Version::V3),
        })]
    );
    assert_eq!(router.next_deadline(), Some(at + ms(250)));
    // One that gives way in VRRPv2 waits by the new one.
    let v2 = config(100).with_versions(Versions::Only(Version::V2));
    let (mut router, now) = active(v2.clone());
    let slow = v2.with_interval(Interval::from_seconds(3).unwrap());
    assert_eq!(brief(&router.reconfigure(now, &slow).unwrap()), "send 100");
    feed(
        &mut router,
        now,
        advert_of(now, 200, LOWER, 300, Version::V2),
    );
    assert_eq!(router.next_deadline(), Some(now + ns(9_609_375_000)));
}

/// A Backup keeps what it learned of a living Active; without that the new one counts.
#[test]
fn backup_uses_its_new_interval_if_it_knows_no_other() {
    let changed = config(100).with_interval(centiseconds(200));
    let mut alone = backup(config(100));
    assert!(alone.reconfigure(ms(100), &changed).unwrap().is_empty());
    assert_eq!(alone.next_deadline(), Some(ns(7_218_750_000)));

    let mut learned = backup(config(100));
    feed(
        &mut learned,
        ms(1),
        advert_of(ms(1), 200, LOWER, 50, Version::V3),
    );
    let deadline = learned.next_deadline();
    assert!(learned.reconfigure(ms(100), &changed).unwrap().is_empty());
    assert_eq!(learned.next_deadline(), deadline);

    // A router that is to be preempted was not learned from.
    let mut preempting = backup(config(100));
    feed(
        &mut preempting,
        ms(1),
        advert_of(ms(1), 50, LOWER, 50, Version::V3),
    );
    assert!(
        preempting
            .reconfigure(ms(100), &changed)
            .unwrap()
            .is_empty()
    );
    assert_eq!(preempting.next_deadline(), Some(ns(7_218_750_000)));

    // Nor was one that was heard before the last start, or in another version.
    let mut restarted = backup(config(100));
    feed(
        &mut restarted,
        ms(1),
        advert_of(ms(1), 200, LOWER, 50, Version::V3),
    );
    feed(&mut restarted, ms(2), Event::Fault(InitReason::Tracker));
    feed(&mut restarted, ms(3), Event::Startup);
    assert!(restarted.reconfigure(ms(3), &changed).unwrap().is_empty());
    assert_eq!(restarted.next_deadline(), Some(ms(3) + ns(7_218_750_000)));
    let v2 = config(100).with_versions(Versions::Only(Version::V2));
    assert!(learned.reconfigure(ms(200), &v2).unwrap().is_empty());
    assert_eq!(learned.next_deadline(), Some(ms(1) + ns(3_609_375_000)));

    let mut v2_backup = backup(v2.clone());
    feed(
        &mut v2_backup,
        ms(1),
        advert_of(ms(1), 200, LOWER, 100, Version::V2),
    );
    let slow = v2.with_interval(centiseconds(200));
    assert!(v2_backup.reconfigure(ms(2), &slow).unwrap().is_empty());
    assert_eq!(v2_backup.next_deadline(), Some(ms(1) + ns(6_609_375_000)));
}

/// `VRRP-114`: addresses change by the difference, with an announcement and an advertisement; a
/// Backup does nothing.
#[test]
fn active_changes_its_addresses() {
    let two = AddressList::new([address("192.0.2.100"), address("192.0.2.101")]).unwrap();
    let advertised = config(100).with_addresses(two);
    let excluded = config(100).with_excluded_addresses([address("2001:db8::1")]);
    for (changed, sends) in [(advertised, true), (excluded, false)] {
        let (mut router, now) = active(config(100));
        let actions = router.reconfigure(now + ms(1), &changed).unwrap();
        let slice = actions.as_slice();
        let expected = [Action::ChangeAddresses, Action::Announce(Announce::Added)];
        assert_eq!(slice[..2], expected);
        assert_eq!(slice.len(), if sends { 3 } else { 2 });
        assert_eq!(router.next_deadline(), Some(now + ms(1000)));

        let mut backup = backup(config(100));
        let deadline = backup.next_deadline();
        assert!(backup.reconfigure(ms(1), &changed).unwrap().is_empty());
        assert_eq!(backup.next_deadline(), deadline);
    }
}

/// The data plane follows accept mode without an advertisement.
#[test]
fn accept_mode_changes_while_active() {
    let (mut router, now) = active(config(100));
    let accepting = config(100).with_accept_mode(true);
    let actions = router.reconfigure(now, &accepting).unwrap();
    assert_eq!(
        actions.as_slice(),
        [Action::DataPlane(DataPlane {
            serves: true,
            accepts: true,
            router_advertisements: false,
        })]
    );
}

/// An upgrade from one version to both: peers hear it at once.
#[test]
fn versions_change_while_active() {
    let (mut router, now) = active(config(100).with_versions(Versions::Only(Version::V2)));
    let both = config(100).with_versions(Versions::Dual);
    let actions = router.reconfigure(now, &both).unwrap();
    assert_eq!(brief(&actions), "send 100");
    assert!(matches!(
        actions.as_slice()[0],
        Action::SendAdvert(SendAdvert {
            versions: Versions::Dual,
            ..
        })
    ));
}

/// The source address is what breaks ties, and what an Active advertises from.
#[test]
fn source_changes() {
    let (mut router, now) = active(config(100));
    let same = Event::Source(Some(address(OWN)));
    assert!(router.handle(now, same).is_empty());
    let actions = router.handle(now, Event::Source(Some(address("192.0.2.250"))));
    assert_eq!(brief(&actions), "send 100");
    assert_eq!(router.next_deadline(), Some(now + ms(1000)));
    feed(&mut router, now, advert(now, 100, HIGHER));
    assert_eq!(router.state(), State::Active);

    let mut backup = backup(config(100));
    let deadline = backup.next_deadline();
    assert!(
        backup
            .handle(ms(1), Event::Source(Some(address(LOWER))))
            .is_empty()
    );
    assert_eq!(backup.next_deadline(), deadline);
}

/// Without an address it stops, and starts when it is told to.
#[test]
fn a_lost_source_ends_in_initialize() {
    let (mut router, now) = active(config(100));
    assert_eq!(
        brief(&router.handle(now, Event::Source(None))),
        "send 0, remove"
    );
    assert_eq!(router.init_reason(), Some(InitReason::NoSource));
    feed(&mut router, now, Event::Startup);
    assert_eq!(router.state(), State::Initialize);
    feed(&mut router, now, Event::Source(Some(address(OWN))));
    assert_eq!(router.state(), State::Initialize);
    feed(&mut router, now, Event::Startup);
    assert_eq!(
        (router.state(), router.last_event()),
        (State::Backup, LastEvent::PrimaryAddress)
    );
}

/// Preemption switched on: from the next losing advertisement on the timer runs out.
#[test]
fn preempt_switched_on_counts_from_the_next_advertisement() {
    let mut router = backup(config(100).with_preempt(false));
    feed(&mut router, ms(500), advert(ms(500), 50, LOWER));
    let deadline = router.next_deadline();
    assert!(
        router
            .reconfigure(ms(600), &config(100))
            .unwrap()
            .is_empty()
    );
    feed(&mut router, ms(1500), advert(ms(1500), 50, LOWER));
    assert_eq!(router.next_deadline(), deadline);
}

/// What is stopped takes a new configuration for the next start.
#[test]
fn a_stopped_router_takes_the_new_interval() {
    let mut router = router(config(100));
    let changed = config(200).with_interval(centiseconds(10));
    let actions = router.reconfigure(Duration::ZERO, &changed).unwrap();
    assert_eq!(brief(&actions), "none");
    feed(&mut router, ms(1000), Event::Startup);
    assert_eq!(router.next_deadline(), Some(ms(1000) + ns(321_875_000)));
}

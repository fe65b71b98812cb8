//! A virtual router that speaks both versions, for an upgrade. RFC 9568 §8.4.

use lvs_vrrp::event::{Action, Event, Notification, SendAdvert, State};
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{Priority, Rank, RouterConfig, Version};

use crate::rig::{
    HIGHER, LOWER, active, address, advert_of, backup, brief, centiseconds, config, feed, ms, ns,
    observations,
};

fn dual(priority: u8) -> RouterConfig {
    config(priority).with_versions(Versions::Dual)
}

/// `VRRP-131`, `VRRP-132`: both at the configured rate, also below one second; VRRPv2 says a second
/// at least.
#[test]
fn active_sends_both_versions_at_its_rate() {
    let (mut router, now) = active(dual(100).with_interval(centiseconds(25)));
    let mut sent = 0;
    for _ in 0..4 {
        let at = router.next_deadline().unwrap();
        let actions = router.handle(at, Event::Tick);
        let [Action::SendAdvert(advert)] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        let expected = SendAdvert {
            priority: Priority::new(100),
            interval: centiseconds(25),
            versions: Versions::Dual,
        };
        assert_eq!(*advert, expected);
        assert_eq!(advert.interval.seconds_rounded_up(), 1);
        sent += 1;
        assert_eq!(at, now + ms(250) * sent);
    }
}

/// `VRRP-133`: a Backup waits by the rate of the Active, whose seconds are converted; the skew time
/// is that of VRRPv3.
#[test]
fn backup_uses_the_rate_of_the_active() {
    let mut router = backup(dual(100).with_interval(centiseconds(25)));
    feed(
        &mut router,
        ms(100),
        advert_of(ms(100), 200, LOWER, 300, Version::V2),
    );
    assert_eq!(router.active_interval(), centiseconds(300));
    assert_eq!(router.next_deadline(), Some(ms(100) + ns(10_828_125_000)));
}

/// `VRRP-134`: while the VRRPv3 of a router is heard its VRRPv2 says nothing new; of another router
/// it does, and of the same one when its VRRPv3 has fallen silent.
#[test]
fn v2_is_ignored_while_v3_of_the_same_router_is_heard() {
    let mut router = backup(dual(100).with_interval(centiseconds(25)));
    let v3 = |at| advert_of(at, 200, LOWER, 25, Version::V3);
    let v2 = |at, source| advert_of(at, 200, source, 100, Version::V2);
    feed(&mut router, ms(100), v3(ms(100)));
    let deadline = router.next_deadline();
    assert_eq!(router.active_interval(), centiseconds(25));
    feed(&mut router, ms(101), v2(ms(101), LOWER));
    assert_eq!(
        (router.next_deadline(), router.active_interval()),
        (deadline, centiseconds(25))
    );

    let mut other = router.clone();
    feed(&mut other, ms(102), v2(ms(102), HIGHER));
    assert_eq!(other.active_interval(), centiseconds(100));

    let silent = deadline.unwrap();
    feed(&mut router, silent, v2(silent, LOWER));
    assert_eq!(router.active_interval(), centiseconds(100));
}

/// `VRRP-134`: both versions of one losing router get one answer, and of a resigning one too.
#[test]
fn an_active_answers_a_router_of_both_versions_once() {
    for priority in [0, 50] {
        let (mut router, now) = active(dual(100));
        let v3 = router.handle(now, advert_of(now, priority, LOWER, 100, Version::V3));
        assert!(brief(&v3).starts_with("send 100"));
        let v2 = router.handle(now, advert_of(now, priority, LOWER, 100, Version::V2));
        assert!(v2.is_empty());
    }
}

/// `VRRP-135`: three advertisements of VRRPv3 without one of VRRPv2, reported once.
#[test]
fn an_active_of_v3_alone_is_reported() {
    let mut router = backup(dual(100));
    let mut reports = Vec::new();
    for second in 1..=6 {
        let at = ms(second * 1000);
        let actions = router.handle(at, advert_of(at, 200, LOWER, 100, Version::V3));
        reports.extend(
            observations(&actions)
                .into_iter()
                .map(|report| (second, report)),
        );
    }
    assert_eq!(
        reports,
        [(3, Notification::ActiveWithoutV2(address(LOWER)))]
    );

    let mut router = backup(dual(100));
    for second in 1..=6 {
        let at = ms(second * 1000);
        for version in [Version::V3, Version::V2] {
            assert!(
                router
                    .handle(at, advert_of(at, 200, LOWER, 100, version))
                    .is_empty()
            );
        }
    }
}

/// `VRRP-136`: a router of VRRPv2 alone above one that advertises several times a second.
#[test]
fn v2_above_fast_v3_is_reported() {
    let report = Notification::V2AboveFastV3(Rank::new(Priority::new(200), address(LOWER)));
    let hear = |config: RouterConfig, version| {
        let mut router = backup(config);
        let at = ms(1);
        let mut reports = observations(&router.handle(at, advert_of(at, 200, LOWER, 100, version)));
        reports.extend(observations(
            &router.handle(at, advert_of(at, 200, LOWER, 100, version)),
        ));
        reports
    };
    let fast = || dual(100).with_interval(centiseconds(50));
    assert_eq!(hear(fast(), Version::V2), [report]);
    assert_eq!(hear(fast(), Version::V3), []);
    assert_eq!(hear(dual(100), Version::V2), []);
    assert_eq!(
        hear(dual(200).with_interval(centiseconds(50)), Version::V2),
        []
    );
}

/// An Active of both versions gives way to either.
#[test]
fn an_active_yields_to_either_version() {
    for version in [Version::V2, Version::V3] {
        let (mut router, now) = active(dual(100));
        feed(&mut router, now, advert_of(now, 101, LOWER, 100, version));
        assert_eq!(router.state(), State::Backup);
    }
}

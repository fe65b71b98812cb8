//! The guard as a condition for being Active: every row of the table that says what it changes.

use lvs_vrrp::GuardStatus;
use lvs_vrrp::event::{Action, Event, InitReason, LastEvent, Notification, ShutdownMode, State};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::{RouterConfig, Timestamp};

use crate::rig::{
    HIGHER, LOWER, advert, backup, brief, config, feed, ms, ns, observations, router,
};

const RETRY: Timestamp = ms(1000);

fn guarded(priority: u8) -> RouterConfig {
    config(priority).with_guard(RETRY)
}

fn held(until: Timestamp) -> Event {
    Event::Guard(GuardStatus::Held { until, epoch: 7 })
}

/// Active with the guard until then; the time is that of the promotion.
fn active_until(until: Timestamp) -> (VirtualRouter, Timestamp) {
    let mut router = backup(guarded(100));
    let now = router.next_deadline().unwrap();
    feed(&mut router, now, Event::Tick);
    feed(&mut router, now, held(until));
    assert_eq!(router.state(), State::Active);
    (router, now)
}

/// Row 1: the owner is Backup until the guard is granted, and then Active at once.
#[test]
fn owner_asks_before_it_is_active() {
    let mut router = router(guarded(100).as_owner());
    assert_eq!(brief(&router.handle(ms(0), Event::Startup)), "request");
    assert_eq!(router.state(), State::Backup);
    assert!(router.handle(ms(1), Event::Tick).is_empty());
    let actions = router.handle(ms(2), held(ms(9000)));
    assert_eq!(
        brief(&actions),
        "send 255, install, announce, reason priority"
    );
}

/// Row 1 for a process that goes on where another stopped.
#[test]
fn successor_asks_before_it_is_active() {
    let mut router = router(guarded(100));
    assert_eq!(brief(&router.resume(ms(0))), "request");
    let actions = router.handle(ms(2), held(ms(9000)));
    assert_eq!(
        brief(&actions),
        "send 100, install, announce, reason priority"
    );
}

/// A grant that comes while it does not run is given back, and worth nothing at the start.
#[test]
fn a_stopped_router_gives_the_guard_back() {
    let mut router = router(guarded(100).as_owner());
    assert_eq!(brief(&router.handle(ms(0), held(ms(9000)))), "release");
    assert_eq!(brief(&router.handle(ms(1), Event::Startup)), "request");
    assert_eq!(router.state(), State::Backup);
}

/// `VRRP-217`, row 2: nothing but a guard that is held now lets a Backup become Active; it asks again
/// after the longer of skew time and retry.
#[test]
fn only_a_held_guard_promotes() {
    for (status, promotes) in [
        (GuardStatus::Unknown, false),
        (GuardStatus::Free, false),
        (GuardStatus::HeldByOther, false),
        (
            GuardStatus::Held {
                until: ns(3_609_375_000),
                epoch: 1,
            },
            false,
        ),
        (
            GuardStatus::Held {
                until: ns(3_609_375_001),
                epoch: 1,
            },
            true,
        ),
    ] {
        let mut router = backup(guarded(100));
        let deadline = router.next_deadline().unwrap();
        assert_eq!(brief(&router.handle(deadline, Event::Tick)), "request");
        assert!(router.wants_guard());
        assert!(router.handle(deadline, Event::Tick).is_empty());
        assert_eq!(router.next_deadline(), Some(deadline + RETRY));
        let actions = router.handle(deadline, Event::Guard(status));
        if promotes {
            let expected = "send 100, install, announce, reason no-response";
            assert_eq!(brief(&actions), expected);
        } else {
            assert!(actions.is_empty(), "{status:?}");
            assert_eq!(router.state(), State::Backup);
            let again = deadline + RETRY;
            assert_eq!(brief(&router.handle(again, Event::Tick)), "request");
        }
    }
}

/// Row 2: the skew time is the longer one here.
#[test]
fn requests_are_no_faster_than_the_skew_time() {
    let mut router = backup(config(100).with_guard(ms(1)));
    let deadline = router.next_deadline().unwrap();
    feed(&mut router, deadline, Event::Tick);
    assert_eq!(router.next_deadline(), Some(deadline + ns(609_375_000)));
}

/// Rows 3 and 4: a rightful Active that speaks takes the request back, and a grant that comes all the
/// same is given back.
#[test]
fn a_rightful_active_withdraws_the_request() {
    let mut router = backup(guarded(100));
    let now = router.next_deadline().unwrap();
    feed(&mut router, now, Event::Tick);
    let at = now + ms(10);
    assert_eq!(brief(&router.handle(at, advert(at, 200, LOWER))), "release");
    assert_eq!(router.next_deadline(), Some(at + ns(3_609_375_000)));
    assert_eq!(brief(&router.handle(at, held(ms(60_000)))), "release");
    assert_eq!(router.state(), State::Backup);
    // The grant that was given back is no right to become Active later.
    let deadline = router.next_deadline().unwrap();
    assert_eq!(brief(&router.handle(deadline, Event::Tick)), "request");
}

/// Row 3: where the Active has resigned the skew time is kept, and so is the guard.
#[test]
fn a_grant_waits_for_the_skew_time() {
    let mut router = backup(guarded(100));
    let now = router.next_deadline().unwrap();
    feed(&mut router, now, Event::Tick);
    let at = now + ms(10);
    assert!(router.handle(at, advert(at, 0, LOWER)).is_empty());
    assert!(router.handle(at + ms(1), held(ms(60_000))).is_empty());
    let deadline = at + ns(609_375_000);
    assert_eq!(router.next_deadline(), Some(deadline));
    let expected = "send 100, install, announce, reason priority";
    assert_eq!(brief(&router.handle(deadline, Event::Tick)), expected);
}

/// `VRRP-216`, rows 5 and 6: from the end of the guard on nothing is sent but the resignation,
/// whatever the event that comes first.
#[test]
fn nothing_is_sent_from_the_end_of_the_guard_on() {
    let until = ms(5000);
    for event in [
        Event::Tick,
        advert(until, 0, LOWER),
        advert(until, 1, LOWER),
        Event::Contribution(10),
        Event::Source(Some(crate::rig::address("192.0.2.10"))),
        held(ms(60_000)),
        Event::Guard(GuardStatus::Unknown),
    ] {
        let (mut router, now) = active_until(until);
        assert_eq!(router.next_deadline(), Some(now + ms(1000)));
        feed(&mut router, now + ms(1000), Event::Tick);
        // The guard ends before the next advertisement is due.
        assert_eq!(router.next_deadline(), Some(until));
        assert!(router.handle(until - ns(1), Event::Tick).is_empty());
        let actions = router.handle(until, event);
        let text = brief(&actions);
        assert!(
            text.starts_with("remove, send 0, release"),
            "{event:?}: {text}"
        );
        assert!(!text.contains("send 1"), "{event:?}: {text}");
        assert_eq!(router.state(), State::Backup);
        assert_eq!(router.last_event(), LastEvent::GuardLost);
        assert_eq!(router.counters().guard_losses, 1);
    }
}

/// Row 6: a full down interval of its own.
#[test]
fn a_lost_guard_costs_a_down_interval() {
    for status in [
        GuardStatus::Free,
        GuardStatus::HeldByOther,
        GuardStatus::Unknown,
    ] {
        let (mut router, now) = active_until(ms(60_000));
        let at = now + ms(100);
        let actions = router.handle(at, Event::Guard(status));
        assert_eq!(brief(&actions), "remove, send 0");
        assert_eq!(router.next_deadline(), Some(at + ns(3_609_375_000)));
    }
}

/// A renewal moves the end.
#[test]
fn a_renewal_moves_the_end() {
    let (mut router, now) = active_until(ms(4500));
    assert_eq!(router.next_deadline(), Some(ms(4500)));
    assert!(router.handle(ms(4400), held(ms(9000))).is_empty());
    assert_eq!(router.next_deadline(), Some(now + ms(1000)));
    let at = now + ms(1000);
    assert_eq!(brief(&router.handle(at, Event::Tick)), "send 100");
}

/// Row 7: the guard goes after the addresses.
#[test]
fn a_better_advertisement_releases_the_guard_last() {
    let (mut router, now) = active_until(ms(60_000));
    let at = now + ms(1);
    let actions = router.handle(at, advert(at, 200, HIGHER));
    assert_eq!(brief(&actions), "send 100, remove, release");
    // The status told before counts no more, though its end lies in the future.
    let deadline = router.next_deadline().unwrap();
    assert_eq!(brief(&router.handle(deadline, Event::Tick)), "request");
}

/// Row 8: addresses, resignation, guard; in this order, whatever the caller prefers.
#[test]
fn shutdown_releases_first() {
    for (mode, expected) in [
        (ShutdownMode::Graceful, "remove, send 0, release"),
        (ShutdownMode::ReleaseFirst, "remove, send 0, release"),
        (ShutdownMode::Abrupt, "remove, release"),
        (ShutdownMode::Handover, "none"),
    ] {
        let (mut router, now) = active_until(ms(60_000));
        let actions = router.handle(now + ms(1), Event::Shutdown(mode));
        assert_eq!(brief(&actions), expected);
    }
    let (mut router, now) = active_until(ms(60_000));
    let actions = router.handle(now, Event::Fault(InitReason::Tracker));
    assert_eq!(brief(&actions), "remove, send 0, release");
}

/// Invariant 10: what is left to a successor is left with the guard. It may be renewed; when it is lost
/// or ends, nothing may stay.
#[test]
fn what_was_handed_over_goes_with_the_guard() {
    let handed_over = || {
        let (mut router, now) = active_until(ms(60_000));
        feed(&mut router, now, Event::Shutdown(ShutdownMode::Handover));
        assert_eq!(brief(&router.handle(now, held(ms(70_000)))), "none");
        assert_eq!(router.next_deadline(), Some(ms(70_000)));
        (router, now)
    };
    for status in [
        GuardStatus::Unknown,
        GuardStatus::Free,
        GuardStatus::HeldByOther,
    ] {
        let (mut router, now) = handed_over();
        let actions = router.handle(now + ms(1), Event::Guard(status));
        assert_eq!(brief(&actions), "remove, send 0", "{status:?}");
        assert_eq!(router.init_reason(), Some(InitReason::Shutdown));
        assert_eq!(router.next_deadline(), None);
    }
    let (mut router, _) = handed_over();
    assert!(router.handle(ms(70_000) - ns(1), Event::Tick).is_empty());
    let actions = router.handle(ms(70_000), Event::Tick);
    assert_eq!(brief(&actions), "remove, send 0, release");
    assert_eq!(router.counters().guard_losses, 1);
    // Whatever comes first then.
    for reason in [InitReason::InterfaceDown, InitReason::Tracker] {
        let (mut router, _) = handed_over();
        let actions = router.handle(ms(70_000), Event::Fault(reason));
        assert_eq!(brief(&actions), "remove, send 0, release", "{reason:?}");
        assert_eq!(router.init_reason(), Some(InitReason::Shutdown));
    }

    for (event, expected) in [
        (
            Event::Shutdown(ShutdownMode::Graceful),
            "remove, send 0, release",
        ),
        (Event::Shutdown(ShutdownMode::Abrupt), "remove, release"),
        (Event::Shutdown(ShutdownMode::Handover), "none"),
        (Event::Fault(InitReason::InterfaceDown), "none"),
        (Event::Startup, "remove"),
    ] {
        let (mut router, now) = handed_over();
        let actions = router.handle(now + ms(1), event);
        assert_eq!(brief(&actions), expected, "{event:?}");
    }
}

/// A guard that has ended cannot be left to anybody.
#[test]
fn an_expired_guard_is_not_handed_over() {
    let (mut router, _) = active_until(ms(60_000));
    let actions = router.handle(ms(60_000), Event::Shutdown(ShutdownMode::Handover));
    assert_eq!(brief(&actions), "remove, send 0, release");
    assert_eq!(router.init_reason(), Some(InitReason::Shutdown));
}

/// A Backup that stops asks for the guard no more.
#[test]
fn backup_takes_its_request_along() {
    let mut router = backup(guarded(100));
    let now = router.next_deadline().unwrap();
    feed(&mut router, now, Event::Tick);
    for mode in [ShutdownMode::Graceful, ShutdownMode::Handover] {
        let actions = router.clone().handle(now, Event::Shutdown(mode));
        assert_eq!(brief(&actions), "release");
    }
}

/// Pulled down by the group, or by a better claim: removal, resignation, release; then a full down
/// interval. A Backup that only waits for the guard gives its claim up.
#[test]
fn yielding_resigns() {
    let (mut router, now) = active_until(ms(60_000));
    let actions = router.handle(now + ms(1), Event::Yield);
    assert_eq!(brief(&actions), "remove, send 0, release");
    assert_eq!(router.last_event(), LastEvent::Yielded);
    let deadline = now + ms(1) + ns(3_609_375_000);
    assert_eq!(router.next_deadline(), Some(deadline));

    feed(&mut router, deadline, Event::Tick);
    assert!(router.wants_guard());
    assert_eq!(brief(&router.handle(deadline, Event::Yield)), "release");
    assert_eq!(router.next_deadline(), Some(deadline + ns(3_609_375_000)));
    assert!(router.handle(deadline, Event::Yield).is_empty());
}

/// A group without a guard of its own: the resignation goes first, as in the RFCs.
#[test]
fn yielding_without_a_guard_has_the_order_of_the_rfcs() {
    let (mut router, now) = crate::rig::active(config(100));
    assert_eq!(brief(&router.handle(now, Event::Yield)), "send 0, remove");
}

/// The guard can be switched off and on while it runs; on, it counts at once.
#[test]
fn the_guard_can_come_and_go() {
    let (mut router, now) = active_until(ms(60_000));
    let actions = router.reconfigure(now, &config(100)).unwrap();
    assert_eq!(brief(&actions), "release");
    assert_eq!(router.state(), State::Active);
    feed(&mut router, now, held(ms(60_000)));
    assert!(router.reconfigure(now, &guarded(100)).unwrap().is_empty());
    assert_eq!(router.state(), State::Active);

    let (mut router, now) = crate::rig::active(config(100));
    let actions = router.reconfigure(now, &guarded(100)).unwrap();
    assert_eq!(brief(&actions), "remove, send 0");
    assert_eq!(router.state(), State::Backup);
}

/// A guard that ends and a pause that was noticed at once: the guard is the stricter one.
#[test]
fn the_guard_is_looked_at_before_the_pause() {
    let (mut router, _) = active_until(ms(5000));
    let actions = router.handle(ms(60_000), Event::Tick);
    assert_eq!(brief(&actions), "remove, send 0, release");
    assert_eq!(observations(&actions), []);
    assert!(matches!(
        actions.as_slice().last(),
        Some(Action::Notify(Notification::Transition(_)))
    ));
}

/// `VRRP-216`: a router that asserts itself after a pause does not do so before it has taken note
/// that the guard is gone, or is needed from now on.
#[test]
fn nothing_is_asserted_without_the_guard() {
    let mut switches = lvs_vrrp::Profile::Linux.switches();
    switches.stall = lvs_vrrp::profile::StallPolicy::Assert;
    let guarded = guarded(100).with_switches(switches);
    let mut router = backup(guarded.clone());
    let now = router.next_deadline().unwrap();
    feed(&mut router, now, Event::Tick);
    feed(&mut router, now, held(ms(60_000)));
    let actions = router.handle(now + ms(5000), Event::Guard(GuardStatus::Free));
    assert_eq!(brief(&actions), "remove, send 0");

    let (mut router, now) = crate::rig::active(config(100).with_switches(switches));
    let actions = router.reconfigure(now + ms(5000), &guarded).unwrap();
    assert_eq!(brief(&actions), "remove, send 0");
}

/// `VRRP-216`: the time that passes with a call counts, whatever the call is for.
#[test]
fn the_guard_ends_with_any_call() {
    let (mut router, _) = active_until(ms(4000));
    assert_eq!(brief(&router.resume(ms(4000))), "remove, send 0, release");
    let (mut router, _) = active_until(ms(4000));
    let changed = guarded(100).with_preempt(false);
    let actions = router.reconfigure(ms(4000), &changed).unwrap();
    assert_eq!(brief(&actions), "remove, send 0, release");
    // A configuration without a guard comes too late for this one.
    let (mut router, _) = active_until(ms(4000));
    let actions = router.reconfigure(ms(4000), &config(100)).unwrap();
    assert_eq!(brief(&actions), "remove, send 0, release");
}

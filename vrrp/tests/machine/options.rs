//! Switches that change the machine: holds, pauses, hardening, hand-over.

use lvs_vrrp::event::{
    Action, Announce, Event, InitReason, LastEvent, NewActiveReason, Notification, State,
};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::profile::{AnswerLosing, PromotionLimit, StallPolicy};
use lvs_vrrp::{
    Actions, GuardStatus, Priority, Profile, Rank, RouterConfig, Switches, Timestamp, Version,
};

use crate::rig::{
    HIGHER, LOWER, active, address, advert, advert_of, backup, brief, centiseconds, config, feed,
    ms, ns, observations,
};

fn switched(priority: u8, change: impl FnOnce(&mut Switches)) -> RouterConfig {
    let mut switches = Profile::Linux.switches();
    change(&mut switches);
    config(priority).with_switches(switches)
}

/// Feeds losing advertisements once a second until then, and gives the time of the last.
fn losing_until(router: &mut VirtualRouter, end: Timestamp) -> Timestamp {
    let mut at = ms(0);
    while at + ms(1000) <= end {
        at += ms(1000);
        assert!(router.handle(at, advert(at, 100, LOWER)).is_empty());
    }
    at
}

/// `VRRP-212`: the hold counts from the first losing advertisement; after it, the first advertisement
/// is treated as a resignation.
#[test]
fn hold_ends_with_the_first_advertisement_after_it() {
    let mut router = backup(config(200).with_preempt_hold(ms(10_000)));
    losing_until(&mut router, ms(10_000));
    assert_eq!(router.next_deadline(), Some(ms(13_000) + ns(218_750_000)));
    feed(&mut router, ms(11_000), advert(ms(11_000), 100, LOWER));
    assert_eq!(router.next_deadline(), Some(ms(11_000) + ns(218_750_000)));
    // Another one does not put it off.
    feed(&mut router, ms(11_100), advert(ms(11_100), 100, LOWER));
    assert_eq!(router.next_deadline(), Some(ms(11_000) + ns(218_750_000)));
    feed(&mut router, ms(11_000) + ns(218_750_000), Event::Tick);
    assert_eq!(router.new_active_reason(), NewActiveReason::Preempted);
    assert_eq!(router.last_event(), LastEvent::PreemptHoldTimeout);
}

/// `VRRP-212`: an Active that dies, or resigns, is replaced without delay.
#[test]
fn hold_delays_neither_death_nor_resignation() {
    let mut dead = backup(config(200).with_preempt_hold(ms(60_000)));
    let last = losing_until(&mut dead, ms(3000));
    let deadline = last + ns(3_218_750_000);
    assert_eq!(dead.next_deadline(), Some(deadline));
    feed(&mut dead, deadline, Event::Tick);
    assert_eq!(dead.new_active_reason(), NewActiveReason::NoResponse);

    let mut resigned = backup(config(200).with_preempt_hold(ms(60_000)));
    losing_until(&mut resigned, ms(3000));
    feed(&mut resigned, ms(3500), advert(ms(3500), 0, LOWER));
    assert_eq!(resigned.next_deadline(), Some(ms(3500) + ns(218_750_000)));
}

/// An advertisement of at least the own priority ends the hold: the next losing one starts anew.
#[test]
fn hold_ends_with_a_better_active() {
    let mut router = backup(config(200).with_preempt_hold(ms(2000)));
    feed(&mut router, ms(1000), advert(ms(1000), 100, LOWER));
    feed(&mut router, ms(2000), advert(ms(2000), 200, LOWER));
    feed(&mut router, ms(4000), advert(ms(4000), 100, LOWER));
    // Borne until 6 s.
    assert_eq!(router.next_deadline(), Some(ms(4000) + ns(3_218_750_000)));
}

/// `VRRP-212`: so does a resignation.
#[test]
fn hold_ends_with_a_resignation() {
    let mut router = backup(config(200).with_preempt_hold(ms(2000)));
    feed(&mut router, ms(1000), advert(ms(1000), 100, LOWER));
    feed(&mut router, ms(1500), advert(ms(1500), 0, LOWER));
    feed(&mut router, ms(1600), advert(ms(1600), 100, LOWER));
    feed(&mut router, ms(3500), advert(ms(3500), 100, LOWER));
    // Borne until 3.6 s.
    assert_eq!(router.next_deadline(), Some(ms(3500) + ns(3_218_750_000)));
}

/// At the start nobody is Active, so there is nothing to hold.
#[test]
fn hold_does_not_delay_the_start() {
    let mut router = backup(config(200).with_preempt_hold(ms(60_000)));
    feed(&mut router, ns(3_218_750_000), Event::Tick);
    assert_eq!(router.state(), State::Active);
}

/// `VRRP-207`: deadlines start where advertisements were received, and are not turned back by one
/// that was overtaken.
#[test]
fn deadlines_count_from_the_reception() {
    let mut router = backup(config(100));
    feed(&mut router, ms(3000), advert(ms(2000), 200, LOWER));
    assert_eq!(router.next_deadline(), Some(ms(2000) + ns(3_609_375_000)));
    feed(&mut router, ms(3100), advert(ms(1500), 200, LOWER));
    assert_eq!(router.next_deadline(), Some(ms(2000) + ns(3_609_375_000)));
    // A receive time in the future is that of another clock.
    feed(&mut router, ms(3200), advert(ms(9000), 200, LOWER));
    assert_eq!(router.next_deadline(), Some(ms(3200) + ns(3_609_375_000)));
}

/// The last moment at which an Active of 1 s may have been silent: 3 s and 2/256 s.
const THRESHOLD: Timestamp = ns(3_007_812_500);

fn after_pause(policy: StallPolicy, gap: Timestamp) -> (VirtualRouter, Timestamp, Actions) {
    let (mut router, now) = active(switched(100, |switches| switches.stall = policy));
    let at = now + gap;
    let actions = router.handle(at, Event::Tick);
    (router, at, actions)
}

/// `VRRP-210`, OP-5: by default an Active that was silent too long is Backup until it has heard
/// nothing for a down interval; it says nothing.
#[test]
fn after_a_pause_the_active_steps_down() {
    assert_eq!(Switches::default().stall, StallPolicy::StepDown);
    let (router, at, actions) = after_pause(StallPolicy::StepDown, THRESHOLD - ns(1));
    assert_eq!(
        (router.state(), brief(&actions).as_str()),
        (State::Active, "send 100")
    );
    assert_eq!(router.next_deadline(), Some(at + ms(1000)));

    let (mut router, at, actions) = after_pause(StallPolicy::StepDown, THRESHOLD);
    assert_eq!(brief(&actions), "remove");
    let gap = THRESHOLD;
    assert_eq!(observations(&actions), [Notification::Stalled { gap }]);
    assert_eq!(
        (router.state(), router.last_event()),
        (State::Backup, LastEvent::Stalled)
    );
    assert_eq!(router.counters().stalls, 1);
    let deadline = at + ns(3_609_375_000);
    assert_eq!(router.next_deadline(), Some(deadline));
    // Not even a resignation from before the pause ended lets it hurry.
    feed(&mut router, at + ms(1), advert(at - ms(500), 0, LOWER));
    assert_eq!(router.next_deadline(), Some(deadline));
    feed(&mut router, at + ms(2), advert(at - ms(400), 200, LOWER));
    assert_eq!(router.next_deadline(), Some(deadline));
}

/// The queue is drained first: its first advertisement is what shows the pause, and is not answered.
#[test]
fn after_a_pause_queued_advertisements_are_not_answered() {
    let (mut router, now) = active(config(100));
    let at = now + ms(60_000);
    let actions = router.handle(at, advert(now + ms(5000), 50, LOWER));
    assert_eq!(brief(&actions), "remove");
    assert_eq!(router.state(), State::Backup);
}

/// What the timers of the RFCs do, and the neighbours told again.
#[test]
fn after_a_pause_the_active_may_assert_itself() {
    let (mut router, at, actions) = after_pause(StallPolicy::Assert, THRESHOLD);
    assert_eq!(brief(&actions), "send 100, announce");
    assert!(
        actions
            .iter()
            .any(|a| *a == Action::Announce(Announce::AfterStall))
    );
    assert_eq!(router.next_deadline(), Some(at + ms(1000)));
    assert!(router.handle(at, Event::Tick).is_empty());
}

/// It says nothing for one interval, and then decides by what it has heard.
#[test]
fn after_a_pause_the_active_may_listen() {
    let (mut router, at, actions) = after_pause(StallPolicy::Listen, THRESHOLD);
    assert_eq!(brief(&actions), "none");
    for event in [
        advert(at, 50, LOWER),
        advert(at, 0, LOWER),
        Event::Contribution(-1),
        Event::Source(Some(address("192.0.2.10"))),
        Event::Tick,
    ] {
        assert_eq!(
            brief(&router.handle(at + ms(999), event)),
            "none",
            "{event:?}"
        );
    }
    let mut yielding = router.clone();
    assert_eq!(brief(&router.handle(at + ms(1000), Event::Tick)), "send 99");
    assert_eq!(
        brief(&yielding.handle(at + ms(999), advert(at, 200, LOWER))),
        "remove"
    );
    assert_eq!(yielding.state(), State::Backup);
}

/// The time of listening is no second pause, even if its end is noticed late; and a shorter interval
/// does not end it before.
#[test]
fn listening_ends_once() {
    let (mut router, at, _) = after_pause(StallPolicy::Listen, THRESHOLD);
    let late = at + ms(1001);
    assert_eq!(brief(&router.clone().handle(late, Event::Tick)), "send 100");
    let faster = router.config().clone().with_interval(centiseconds(10));
    assert!(router.reconfigure(at + ms(1), &faster).unwrap().is_empty());
    assert_eq!(router.next_deadline(), Some(at + ms(1000)));
}

/// What is refused after a pause is not refused to an owner that starts anew.
#[test]
fn a_new_start_ends_the_refusal() {
    let (mut router, now) = active(config(100).as_owner());
    feed(&mut router, now, Event::Stalled);
    feed(&mut router, now, Event::Fault(InitReason::InterfaceDown));
    feed(&mut router, now, Event::Startup);
    assert_eq!(router.state(), State::Active);
    let answer = router.handle(now, advert(now, 50, LOWER));
    assert_eq!(brief(&answer), "send 255, announce");
}

/// A pause that the clock did not show.
#[test]
fn a_pause_can_be_told() {
    let (mut router, now) = active(config(100));
    let actions = router.handle(now, Event::Stalled);
    assert_eq!(brief(&actions), "remove");
    let gap = ms(0);
    assert_eq!(observations(&actions), [Notification::Stalled { gap }]);
    assert!(
        router.handle(now, Event::Stalled).is_empty(),
        "a Backup has nothing to do"
    );
}

/// `VRRP-213`: once in an interval, however many losing advertisements come.
#[test]
fn announcements_are_repeated_once_an_interval() {
    let (mut router, now) = active(config(100));
    let losing = |router: &mut VirtualRouter, at| brief(&router.handle(at, advert(at, 50, LOWER)));
    assert_eq!(losing(&mut router, now), "send 100, announce");
    assert_eq!(losing(&mut router, now + ms(1)), "send 100");
    assert_eq!(losing(&mut router, now + ms(999)), "send 100");
    assert_eq!(losing(&mut router, now + ms(1000)), "send 100, announce");
}

/// The switch of each profile can be changed by itself.
#[test]
fn answers_can_be_switched() {
    for (answers, announces, expected) in [
        (AnswerLosing::Never, false, "none"),
        (AnswerLosing::Always, false, "send 100"),
        (AnswerLosing::Never, true, "announce"),
    ] {
        let config = switched(100, |switches| {
            switches.answer_losing_adverts = answers;
            switches.reannounce = announces;
        });
        let (mut router, now) = active(config);
        assert_eq!(brief(&router.handle(now, advert(now, 50, LOWER))), expected);
    }
}

/// `VRRP-137`: a better advertisement within an interval of having become Active.
#[test]
fn flapping_is_noticed() {
    for (after, flaps) in [(1000, 1), (1001, 0)] {
        let (mut router, now) = active(config(100));
        feed(&mut router, now + ms(1000), Event::Tick);
        let at = now + ms(after);
        let actions = router.handle(at + ms(500), advert(at, 200, LOWER));
        assert_eq!(router.counters().flaps, flaps);
        let rank = Rank::new(Priority::new(200), address(LOWER));
        let noticed = observations(&actions).contains(&Notification::Flap(rank));
        assert_eq!(noticed, flaps == 1);
    }
}

/// An interval of more than ten times the own is reported once, and adopted unless cut.
#[test]
fn long_intervals_are_reported_and_can_be_cut() {
    let mut router = backup(config(100));
    let ten = router.handle(ms(1), advert_of(ms(1), 200, LOWER, 1000, Version::V3));
    assert_eq!(observations(&ten), []);
    let long = router.handle(ms(2), advert_of(ms(2), 200, LOWER, 1001, Version::V3));
    let reported = [Notification::LongInterval(centiseconds(1001))];
    assert_eq!(observations(&long), reported);
    let again = router.handle(ms(3), advert_of(ms(3), 200, LOWER, 1001, Version::V3));
    assert_eq!(observations(&again), []);
    assert_eq!(router.active_interval(), centiseconds(1001));

    let longest = Some(centiseconds(300));
    let mut cut = backup(switched(100, |switches| {
        switches.max_adopted_interval = longest
    }));
    feed(
        &mut cut,
        ms(1),
        advert_of(ms(1), 200, LOWER, 4095, Version::V3),
    );
    assert_eq!(cut.active_interval(), centiseconds(300));
    assert_eq!(cut.next_deadline(), Some(ms(1) + ns(10_828_125_000)));
}

/// The loser of a short time with two Active routers resigns, while the real one lives.
#[test]
fn resignations_can_be_believed_of_the_active_only() {
    let config = switched(100, |switches| {
        switches.zero_only_from_current_active = true
    });
    let mut router = backup(config);
    feed(&mut router, ms(100), advert(ms(100), 200, HIGHER));
    let deadline = router.next_deadline();
    // A losing router is not taken for the Active either.
    feed(&mut router, ms(150), advert(ms(150), 50, LOWER));
    let actions = router.handle(ms(200), advert(ms(200), 0, LOWER));
    let ignored = Notification::ResignationIgnored(address(LOWER));
    assert_eq!(observations(&actions), [ignored]);
    assert_eq!(router.next_deadline(), deadline);
    feed(&mut router, ms(300), advert(ms(300), 0, HIGHER));
    assert_eq!(router.next_deadline(), Some(ms(300) + ns(609_375_000)));
}

/// An Active that is to be preempted is the Active too.
#[test]
fn a_lesser_active_is_believed_when_it_resigns() {
    let config = switched(100, |switches| {
        switches.zero_only_from_current_active = true
    });
    let mut router = backup(config);
    feed(&mut router, ms(100), advert(ms(100), 50, LOWER));
    feed(&mut router, ms(200), advert(ms(200), 0, LOWER));
    assert_eq!(router.next_deadline(), Some(ms(200) + ns(609_375_000)));
}

/// Promotions beyond the limit wait: one down interval, two, four, until the window has passed.
#[test]
fn promotions_can_be_limited() {
    let window = ms(60_000);
    let config = switched(100, |switches| {
        switches.promotion_limit = Some(PromotionLimit {
            promotions: 2,
            window,
        });
    });
    let mut router = backup(config);
    let first = router.next_deadline().unwrap();
    for _ in 0..2 {
        let at = router.next_deadline().unwrap();
        feed(&mut router, at, Event::Tick);
        assert_eq!(router.state(), State::Active);
        feed(&mut router, at + ms(1), advert(at + ms(1), 200, LOWER));
    }
    let mut at = router.next_deadline().unwrap();
    for times in [1, 2, 4] {
        let actions = router.handle(at, Event::Tick);
        assert_eq!(
            actions.as_slice(),
            [Action::Notify(Notification::PromotionRefused)]
        );
        let next = at + router.active_down_interval() * times;
        assert_eq!(router.next_deadline(), Some(next));
        // Neither resignations nor priorities shorten it.
        feed(&mut router, at, advert(at, 0, LOWER));
        assert_eq!(router.next_deadline(), Some(next));
        at = next;
    }
    assert_eq!(router.counters().refused_promotions, 3);
    assert!(at < first + window);
    feed(&mut router, first + window, Event::Tick);
    assert_eq!(router.state(), State::Active);
}

/// The window begins with the first promotion, and no promotion is put off for longer than it.
#[test]
fn the_window_of_the_limit_begins_with_a_promotion() {
    let window = ms(20_000);
    let config = switched(254, |switches| {
        switches.promotion_limit = Some(PromotionLimit {
            promotions: 1,
            window,
        });
    });
    let mut router = backup(config);
    // The first promotion comes nearly a window after the start.
    feed(&mut router, ms(19_000), advert(ms(19_000), 0, LOWER));
    let promoted = router.next_deadline().unwrap();
    feed(&mut router, promoted, Event::Tick);
    assert_eq!(router.state(), State::Active);
    let at = ms(20_000);
    feed(
        &mut router,
        at,
        advert_of(at, 255, LOWER, 4095, Version::V3),
    );
    feed(&mut router, at, advert(at, 0, LOWER));
    let refused = router.next_deadline().unwrap();
    let actions = router.handle(refused, Event::Tick);
    assert_eq!(
        actions.as_slice(),
        [Action::Notify(Notification::PromotionRefused)]
    );
    assert_eq!(router.next_deadline(), Some(refused + window));
}

/// An Active whose priority falls resigns and stays away for a down interval.
#[test]
fn handover_can_be_fast() {
    let config = switched(100, |switches| switches.fast_handover = true);
    let (mut router, now) = active(config);
    assert_eq!(
        brief(&router.handle(now, Event::Contribution(1))),
        "send 101"
    );
    let actions = router.handle(now, Event::Contribution(-50));
    assert_eq!(brief(&actions), "send 0, remove");
    assert_eq!(router.last_event(), LastEvent::FastHandover);
    let deadline = now + ms(3000) + ns(804_687_500);
    assert_eq!(router.next_deadline(), Some(deadline));
    // Nor does it take over when whoever took over resigns at once.
    feed(&mut router, now + ms(1), advert(now + ms(1), 60, LOWER));
    feed(&mut router, now + ms(2), advert(now + ms(2), 0, LOWER));
    assert_eq!(router.next_deadline(), Some(deadline));
    feed(&mut router, deadline, Event::Tick);
    assert_eq!(router.state(), State::Active);
}

/// `VRRP-142`: the reason stays until the next promotion.
#[test]
fn the_reason_of_the_last_promotion_is_kept() {
    let mut router = backup(config(100));
    assert_eq!(router.new_active_reason(), NewActiveReason::NotActive);
    feed(&mut router, ms(1), advert(ms(1), 50, LOWER));
    let now = router.next_deadline().unwrap();
    feed(&mut router, now, Event::Tick);
    assert_eq!(router.last_event(), LastEvent::LowerPriorityActive);
    feed(&mut router, now, advert(now, 200, LOWER));
    assert_eq!(router.new_active_reason(), NewActiveReason::Preempted);
    assert_eq!(router.counters().became_active, 1);
    assert_eq!(router.since(), now);
}

/// `VRRP-141`
#[test]
fn resetting_the_counters_changes_their_discontinuity() {
    let (mut router, now) = active(config(100));
    assert_eq!(router.counters().became_active, 1);
    router.reset_counters(now + ms(5));
    assert_eq!(router.counters().became_active, 0);
    assert_eq!(router.counters().discontinuity, now + ms(5));
}

/// Time never goes back.
#[test]
fn an_earlier_time_is_taken_as_the_last() {
    let (mut router, now) = active(config(100));
    assert!(router.handle(ms(0), Event::Tick).is_empty());
    assert_eq!(
        brief(&router.handle(ms(1), advert(now, 0, LOWER))),
        "send 100"
    );
    assert_eq!(router.next_deadline(), Some(now + ms(1000)));
}

/// A limit that is lowered while the guard is asked for: the request is taken back.
#[test]
fn a_refused_promotion_takes_the_request_back() {
    let limited = |promotions| {
        let window = ms(600_000);
        let limit = Some(PromotionLimit { promotions, window });
        switched(100, |switches| switches.promotion_limit = limit).with_guard(ms(10))
    };
    let mut router = backup(limited(2));
    let now = router.next_deadline().unwrap();
    feed(&mut router, now, Event::Tick);
    let until = now + ms(60_000);
    let held = GuardStatus::Held { until, epoch: 1 };
    feed(&mut router, now, Event::Guard(held));
    assert_eq!(router.state(), State::Active);
    feed(&mut router, now, advert(now, 200, LOWER));
    let now = router.next_deadline().unwrap();
    assert_eq!(brief(&router.handle(now, Event::Tick)), "request");
    assert!(router.reconfigure(now, &limited(1)).unwrap().is_empty());
    let retry = router.next_deadline().unwrap();
    assert_eq!(brief(&router.handle(retry, Event::Tick)), "release");
    assert_eq!(router.counters().refused_promotions, 1);
}

/// What was refused for a down interval is refused for no more than a new, shorter one.
#[test]
fn a_shorter_down_interval_shortens_a_refusal() {
    let slow = config(100).with_interval(centiseconds(1000));
    let (mut router, now) = active(slow);
    feed(&mut router, now, Event::Stalled);
    assert_eq!(router.next_deadline(), Some(now + ns(36_093_750_000)));
    assert!(router.reconfigure(now, &config(100)).unwrap().is_empty());
    assert_eq!(router.next_deadline(), Some(now + ns(3_609_375_000)));
}

//! What happens between two routers, whichever they are.

use core::time::Duration;
use std::thread;

use crate::lab::{Lab, Side};
use crate::scene::{HIGH, LOW, SLACK, Scene, YIELD};
use crate::stall::Meter;
use crate::tap::Advertisement;

/// One is Active and the other is Backup, from beginning to end.
pub(crate) fn one_is_active(scene: &Scene, active: Side) {
    let mut router = scene.start(active, HIGH);
    scene.takes(active);
    let mut other = scene.start(active.other(), LOW);
    thread::sleep(SLACK + 2 * scene.settings(active.other(), LOW).down_interval());
    assert_eq!(scene.lab.holding.holders(), [active].into());
    scene.client_stays(active);
    scene.is_active(&router.counters());
    scene.is_backup(&other.counters());
    scene.ends().is_clean();
}

/// The Active is killed: the other takes over when the down interval ends.
pub(crate) fn active_is_killed(scene: &Scene, active: Side) {
    let [mut router, mut other] = scene.both_at_work(active);
    let settings = scene.settings(active.other(), LOW);
    let killed = Lab::now();
    router.kill();
    let taken = scene.lab.holding.first(active.other(), killed);
    let last = scene.lab.tap.last(active, taken);
    let took = taken.saturating_sub(last.at);
    println!("taken over {took:?} after the last advertisement");
    let (down, earlier) = (
        settings.down_interval(),
        scene.program(active.other()).earlier(),
    );
    assert!(took + earlier >= down, "{took:?} of {down:?}");
    assert!(took < down + SLACK, "{took:?} of {down:?}");
    scene.client_knows(active.other());
    assert_eq!(other.counters().times_active, 1);
    assert!(
        other
            .counters()
            .resignations_received
            .is_none_or(|count| count == 0)
    );
    scene.leftover_goes(active);
    scene.lab.ping();
}

/// The Active resigns: the other takes over after the skew time.
pub(crate) fn active_resigns(scene: &Scene, active: Side) {
    let [mut router, mut other] = scene.both_at_work(active);
    let settings = scene.settings(active.other(), LOW);
    let resigned = Lab::now();
    router.resign();
    let taken = scene.lab.holding.first(active.other(), resigned);
    let is_last = |last: &Advertisement| last.priority == 0;
    let last = scene.lab.tap.first(active, resigned, is_last);
    let took = taken.saturating_sub(last.at);
    println!("taken over {took:?} after the resignation");
    let program = scene.program(active.other());
    let skew = settings.skew() + program.gap();
    assert!(took + program.earlier() >= skew, "{took:?} of {skew:?}");
    assert!(took < skew + SLACK, "{took:?} of {skew:?}");
    scene.client_knows(active.other());
    let counters = other.counters();
    assert_eq!((counters.times_active, counters.errors), (1, 0));
    assert!(
        counters
            .resignations_received
            .is_none_or(|count| count >= 1),
        "{counters:?}"
    );
    scene.ends().is_clean();
}

/// One with the higher priority comes back and takes the address from the other.
pub(crate) fn higher_returns(scene: &Scene, higher: Side) {
    let mut lower = scene.start(higher.other(), LOW);
    scene.takes(higher.other());
    let (begin, meter) = (Lab::now(), Meter::of(lower.processes(), &scene.lab.probe));
    let mut router = scene.start(higher, HIGH);
    let taken = scene.lab.holding.first(higher, begin);
    let given_up = scene.lab.holding.given_up(higher.other(), begin);
    let stall = meter.end();
    let first = scene.lab.tap.first(higher, begin, |_| true);
    // What the one waits before it takes the address, and the other until it has given it up.
    let waited = taken.saturating_sub(first.at);
    let lasted = given_up.saturating_sub(first.at);
    println!("taken {waited:?} after the first word, given up {lasted:?} after it; {stall}");
    scene.client_knows(higher);
    let seen = router.counters();
    assert_eq!((seen.times_active, seen.errors), (1, 0), "{seen:?}");
    let seen = lower.counters();
    assert_eq!((seen.times_active, seen.errors), (1, 0), "{seen:?}");
    let report = scene.ends();
    assert!(report.gap <= YIELD + stall.of_one(), "{report}");
    let (taker, giver) = (scene.program(higher), scene.program(higher.other()));
    assert!(waited >= taker.gap(), "{waited:?}");
    let patience = giver.patience() + stall.of_one();
    assert!(lasted <= patience, "{lasted:?} of {patience:?}");
    // So there is none where the one waits longer than it takes the other.
    assert_eq!(report.overlaps, usize::from(given_up > taken), "{report}");
    assert!(
        taker.gap().is_zero() || report.overlap <= lasted.saturating_sub(taker.gap()),
        "{report}"
    );
}

/// One with the higher priority comes back, and leaves the address where it is.
pub(crate) fn higher_waits(scene: &Scene, higher: Side) {
    let mut lower = scene.start(higher.other(), LOW);
    scene.takes(higher.other());
    let settings = scene.settings(higher, HIGH).with_preempt(false);
    let mut router = scene.start_with(higher, &settings);
    thread::sleep(SLACK + 2 * settings.down_interval());
    assert_eq!(scene.lab.holding.holders(), [higher.other()].into());
    scene.client_stays(higher.other());
    scene.is_active(&lower.counters());
    scene.is_backup(&router.counters());
    // It is there all the same.
    lower.resign();
    scene.lab.holding.wait(&[higher]);
    scene.client_knows(higher);
    scene.ends().is_clean();
}

/// What one sends does not arrive: both are Active, until it does again.
pub(crate) fn active_is_mute(scene: &Scene, active: Side) {
    let [mut router, mut other] = scene.both_at_work(active);
    let settings = scene.settings(active.other(), LOW);
    let cut = Lab::now();
    scene.lab.mute(active);
    let taken = scene.lab.holding.first(active.other(), cut);
    assert!(taken.saturating_sub(cut) < settings.down_interval() + SLACK);
    // The other is heard, and loses: who is mute stays.
    thread::sleep(settings.interval);
    assert_eq!(scene.lab.holding.holders().len(), 2);
    let begin = Lab::now();
    let meter = Meter::of(other.processes(), &scene.lab.probe);
    scene.lab.unmute();
    let mended = Lab::now();
    let given_up = scene.lab.holding.given_up(active.other(), begin);
    let stall = meter.end();
    scene.lab.holding.wait(&[active]);
    // This one arrives, if none did before.
    let first = scene.lab.tap.first(active, mended, |_| true);
    let lasted = given_up.saturating_sub(first.at);
    println!("given up {lasted:?} after the first word that arrived; {stall}");
    let patience = scene.program(active.other()).patience() + stall.of_one();
    assert!(lasted <= patience, "{lasted:?} of {patience:?}");
    if scene.program(active).announces_again() {
        scene.client_knows(active);
    }
    assert_eq!(
        (
            router.counters().times_active,
            other.counters().times_active
        ),
        (1, 1)
    );
    let report = scene.ends();
    assert_eq!(report.overlaps, 1, "{report}");
    let after = scene.lab.report("after it was mended", mended).overlap;
    // It comes within an interval.
    assert!(after <= settings.interval + patience + YIELD, "{after:?}");
}

/// Each is set to another password: neither believes the other.
pub(crate) fn nobody_is_believed(scene: &Scene, first: Side) {
    let mut router = scene.start(first, HIGH);
    scene.takes(first);
    let mut other = scene.start(first.other(), LOW);
    scene.lab.holding.first(first.other(), Duration::ZERO);
    for counters in [router.counters(), other.counters()] {
        assert_eq!(counters.times_active, 1, "{counters:?}");
        assert!(counters.errors >= 1, "{counters:?}");
    }
    scene.ends();
}

//! What becomes of a destination that fails or leaves, and the states of a drain.

use core::time::Duration;

use lvs_healthcheck::aggregate::Removal;
use lvs_healthcheck::pool::{Connections, Drain, Leaving, OnLimit, Settings};

use super::rig::{DRAIN, Rig, server};

fn rig(removal: Removal) -> Rig {
    with(Settings::new(), removal)
}

fn with(settings: Settings<&'static str>, removal: Removal) -> Rig {
    let server = || server(5).with_removal(removal);
    Rig::new(settings, [("a", server()), ("b", server())])
}

fn connections(active: u32, inactive: u32, persistent: u32) -> Connections {
    Connections {
        active,
        inactive,
        persistent,
    }
}

#[test]
fn remove_deletes_on_failure() {
    let mut rig = rig(Removal::Remove);
    rig.down("a");
    assert_eq!(rig.changes(), ["a: weight 5 to out (its checks say down)"]);
}

#[test]
fn remove_deletes_on_leaving() {
    let mut rig = rig(Removal::Remove);
    assert!(rig.pool.remove(rig.now, &"a"));
    assert_eq!(
        rig.changes(),
        ["a: weight 5 to out (not configured any more)"]
    );
    assert_eq!(rig.events(), ["a removed"]);
    assert_eq!(rig.pool.entry(&"a"), None, "forgotten");
}

#[test]
fn inhibit_keeps_weight_0_on_failure() {
    let mut rig = rig(Removal::Inhibit);
    rig.down("a");
    assert_eq!(
        rig.changes(),
        ["a: weight 5 to weight 0 (its checks say down)"]
    );
    rig.pass(10_000);
    assert!(rig.changes().is_empty());
    rig.up("a");
    assert_eq!(rig.changes(), ["a: weight 0 to weight 5 (healthy)"]);
}

#[test]
fn inhibit_drains_on_leaving() {
    let mut rig = rig(Removal::Inhibit);
    rig.pool.remove(rig.now, &"a");
    let expected = ["a: weight 5 to weight 0 (not configured any more)"];
    assert_eq!(rig.changes(), expected);
    rig.pass(300);
    assert_eq!(rig.changes(), ["a: weight 0 to out (drain took too long)"]);
}

#[test]
fn drain_then_remove_on_failure() {
    let mut rig = rig(DRAIN);
    rig.down("a");
    assert_eq!(
        rig.changes(),
        ["a: weight 5 to weight 0 (its checks say down)"]
    );
    let expected = [
        "a is down (its checks say down)",
        "a drains (its checks say down), 60s at most",
    ];
    assert_eq!(rig.events()[..2], expected);
    assert_eq!(
        rig.pool.next_deadline(),
        Some(rig.now + Duration::from_secs(60))
    );
    assert!(rig.pool.drained(rig.now, &"a"));
    assert_eq!(rig.changes(), ["a: weight 0 to out (drained)"]);
    assert_eq!(rig.events(), ["a is drained"]);
    rig.up("a");
    assert_eq!(rig.changes(), ["a: out to weight 5 (healthy)"]);
}

#[test]
fn drain_then_remove_on_leaving() {
    let mut rig = rig(DRAIN);
    rig.pool.remove(rig.now, &"a");
    rig.turn();
    assert_eq!(rig.weight("a"), Some(0));
    rig.pass(59).turn();
    assert_eq!(rig.weight("a"), Some(0));
    rig.pass(1);
    assert_eq!(rig.changes(), ["a: weight 0 to out (drain took too long)"]);
    assert_eq!(rig.events(), ["a is not drained in time"]);
    assert_eq!(rig.pool.entry(&"a"), None);
}

#[test]
fn drained_is_no_connection_and_persistence_only_if_asked_for() {
    for (waits, counters, expected) in [
        (false, connections(1, 0, 0), false),
        (false, connections(0, 1, 0), false),
        (false, connections(0, 0, 1), true),
        (true, connections(0, 0, 1), false),
        (true, connections(0, 0, 0), true),
    ] {
        let drain = Drain::new().with_wait_persistent(waits);
        let mut rig = with(Settings::new().with_drain(drain), DRAIN);
        rig.down("a").turn();
        let is_drained = rig.pool.observe(rig.now, &"a", counters);
        assert_eq!(is_drained, expected, "{waits} {counters:?}");
        rig.turn();
        assert_eq!(rig.weight("a").is_none(), expected);
    }
}

#[test]
fn what_is_left_is_told_at_the_limit() {
    let mut rig = rig(DRAIN);
    rig.down("a").turn();
    rig.pool.observe(rig.now, &"a", connections(3, 2, 1));
    rig.pass(60).turn();
    let expected = ["a is not drained in time: 3 active, 2 inactive, 1 persistent"];
    assert_eq!(rig.events(), expected);
}

#[test]
fn at_the_limit_weight_0_may_be_kept_until_drained() {
    let drain = Drain::new().with_on_limit(OnLimit::KeepZero);
    let mut rig = with(Settings::new().with_drain(drain), DRAIN);
    rig.down("a").turn();
    rig.pass(60);
    assert!(rig.changes().is_empty());
    assert_eq!(rig.events(), ["a is not drained in time"]);
    assert_eq!(rig.weight("a"), Some(0));
    assert!(rig.pool.drained(rig.now, &"a"));
    assert_eq!(rig.changes(), ["a: weight 0 to out (drained)"]);
}

#[test]
fn wanted_again_is_back_at_full_weight_at_once() {
    let mut rig = rig(DRAIN);
    rig.down("a").turn();
    rig.pass(30).up("a");
    assert_eq!(rig.changes(), ["a: weight 0 to weight 5 (healthy)"]);
    assert_eq!(rig.events(), ["a is up", "a drains no more"]);
    assert_eq!(rig.pool.next_deadline(), None);
}

#[test]
fn configured_again_is_back_with_what_is_known() {
    let mut rig = rig(DRAIN);
    rig.hint("a", 3).turn();
    rig.pool.remove(rig.now, &"a");
    rig.turn();
    assert!(rig.pool.add(rig.now, "a", server(5).with_removal(DRAIN)));
    assert_eq!(rig.changes(), ["a: weight 0 to weight 3 (healthy)"]);
    assert_eq!(rig.events(), ["a added", "a drains no more"]);
}

#[test]
fn without_limit_it_drains_for_ever() {
    let mut rig = rig(Removal::DrainThenRemove { limit: None });
    rig.down("a").turn();
    assert_eq!(rig.pool.next_deadline(), None);
    rig.pass(1_000_000);
    assert!(rig.changes().is_empty());
}

#[test]
fn udp_leaves_at_once_since_it_would_never_end() {
    let settings = Settings::new()
        .with_drain(Drain::none())
        .with_leaving(Leaving::Drain);
    let mut rig = with(settings, Removal::Inhibit);
    rig.pool.remove(rig.now, &"a");
    assert_eq!(
        rig.changes(),
        ["a: weight 5 to out (not configured any more)"]
    );
    assert_eq!(rig.events(), ["a removed"]);
}

#[test]
fn leaving_may_delete_whatever_the_removal() {
    let settings = Settings::new().with_leaving(Leaving::Delete);
    for removal in [Removal::Remove, Removal::Inhibit, DRAIN] {
        let mut rig = with(settings.clone(), removal);
        rig.pool.remove(rig.now, &"a");
        rig.turn();
        assert_eq!(rig.weight("a"), None, "{removal:?}");
    }
}

#[test]
fn the_clock_goes_on_when_a_failed_one_leaves_the_configuration() {
    let mut rig = rig(DRAIN);
    rig.down("a").turn();
    rig.pass(30);
    rig.pool.remove(rig.now, &"a");
    assert!(rig.changes().is_empty(), "already at weight 0");
    rig.pass(30);
    assert_eq!(rig.changes(), ["a: weight 0 to out (drain took too long)"]);
}

#[test]
fn what_is_not_in_the_table_does_not_drain() {
    let mut rig = rig(Removal::Remove);
    rig.down("a").turn();
    rig.pool.remove(rig.now, &"a");
    assert!(rig.changes().is_empty());
    assert_eq!(rig.events(), ["a removed"]);
    assert!(!rig.pool.drained(rig.now, &"a"));
}

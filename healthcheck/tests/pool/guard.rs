//! What is done when too many fail: guard, watermarks, limited ejections.

use lvs_healthcheck::aggregate::UnknownAs;
use lvs_healthcheck::pool::{Guard, Settings, Sorry};

use super::rig::{DRAIN, Rig, server, unknown_as};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Four servers of weight 5.
fn rig(settings: Settings<&'static str>) -> Rig {
    Rig::new(settings, NAMES.map(|name| (name, server(5))))
}

fn weights(rig: &Rig) -> [Option<u32>; 4] {
    NAMES.map(|name| rig.weight(name))
}

#[test]
fn without_guard_all_may_go() {
    let mut rig = rig(Settings::new());
    for name in NAMES {
        rig.down(name);
    }
    rig.turn();
    assert_eq!(weights(&rig), [None; 4]);
    assert!(!rig.pool.status().is_guarded);
}

#[test]
fn fail_open_treats_all_as_healthy_below_the_share() {
    let mut rig = rig(Settings::new().with_guard(50, Guard::FailOpen));
    rig.down("a").down("b").turn();
    assert_eq!(
        weights(&rig),
        [None, None, Some(5), Some(5)],
        "50 % is enough"
    );
    rig.down("c");
    let expected = [
        "a: out to weight 5 (down, but so many are that all count as healthy)",
        "b: out to weight 5 (down, but so many are that all count as healthy)",
    ];
    assert_eq!(rig.changes(), expected);
    assert_eq!(weights(&rig), [Some(5); 4]);
    let expected = [
        "c is down (its checks say down)",
        "guard: 1 of 4 healthy, all count as healthy",
    ];
    assert_eq!(rig.events(), expected);
    assert_eq!(
        rig.pool.status().weight,
        5,
        "the quorum counts what is true"
    );
    rig.up("c").turn();
    assert_eq!(weights(&rig), [None, None, Some(5), Some(5)]);
    assert_eq!(rig.events(), ["c is up", "guard: enough are healthy again"]);
}

#[test]
fn fail_open_leaves_out_those_that_still_wait() {
    let servers = [
        ("a", unknown_as(5, UnknownAs::Down)),
        ("b", unknown_as(5, UnknownAs::Down)),
    ];
    let mut rig = Rig::new(Settings::new().with_guard(50, Guard::FailOpen), servers);
    assert!(!rig.pool.status().is_guarded, "nobody has a verdict");
    rig.down("a").turn();
    assert!(rig.pool.status().is_guarded);
    assert_eq!((rig.weight("a"), rig.weight("b")), (Some(5), None));
}

#[test]
fn freeze_removes_nothing_more_and_lets_others_return() {
    let mut rig = rig(Settings::new().with_guard(50, Guard::Freeze));
    rig.down("a").down("b").turn();
    rig.hint("c", 3).turn();
    rig.down("c");
    assert!(rig.changes().is_empty(), "kept");
    assert_eq!(weights(&rig), [None, None, Some(3), Some(5)]);
    rig.down("d");
    assert!(rig.changes().is_empty());
    rig.up("a");
    assert_eq!(rig.changes(), ["a: out to weight 5 (healthy)"]);
    assert!(rig.pool.status().is_guarded, "1 of 4");
    rig.up("b").turn();
    assert_eq!(
        weights(&rig),
        [Some(5), Some(5), None, None],
        "kept no more"
    );
}

#[test]
fn freeze_does_not_hold_the_sorry_server_back() {
    let settings = Settings::new()
        .with_guard(100, Guard::Freeze)
        .with_quorum(20)
        .with_sorry(Some(Sorry::new("s")));
    let mut rig = rig(settings);
    rig.down("a").turn();
    assert_eq!(weights(&rig), [None; 4]);
    assert_eq!(rig.weight("s"), Some(1));
}

#[test]
fn watermarks_withdraw_the_service_with_hysteresis() {
    let mut rig = rig(Settings::new().with_watermarks(50, 75));
    rig.down("a").down("b").turn();
    assert!(rig.pool.status().is_offered, "50 % is not below 50 %");
    rig.down("c").turn();
    assert_eq!(
        rig.events().last().unwrap(),
        "service withdrawn: 1 of 4 healthy"
    );
    assert!(!rig.pool.status().is_offered);
    assert_eq!(weights(&rig), [None; 4]);
    rig.up("a").turn();
    assert!(!rig.pool.status().is_offered, "50 % is not yet 75 %");
    rig.up("b").turn();
    assert_eq!(
        rig.events().last().unwrap(),
        "service offered: 3 of 4 healthy"
    );
    assert_eq!(weights(&rig), [Some(5), Some(5), None, Some(5)]);
}

#[test]
fn service_starts_withdrawn_until_the_high_mark() {
    let servers = NAMES.map(|name| (name, unknown_as(5, UnknownAs::Down)));
    let mut rig = Rig::new(Settings::new().with_watermarks(25, 50), servers);
    rig.up("a").turn();
    assert_eq!(weights(&rig), [None; 4]);
    rig.up("b").turn();
    assert_eq!(weights(&rig), [Some(5), Some(5), None, None]);
}

#[test]
fn ejections_count_up_to_their_share_the_oldest_first() {
    let mut rig = rig(Settings::new().with_eject_limit(50));
    for name in ["c", "a", "b"] {
        assert!(rig.pool.eject(rig.now, &name));
    }
    rig.turn();
    assert_eq!(weights(&rig), [None, Some(5), None, Some(5)]);
    assert!(
        rig.events()
            .contains(&"c is down (ejected by an observer)".to_owned())
    );
    let why = rig.pool.explain(&"b").unwrap().to_string();
    assert!(why.contains("which does not count"), "{why}");
    assert!(rig.pool.readmit(rig.now, &"c"));
    rig.turn();
    assert_eq!(
        weights(&rig),
        [None, None, Some(5), Some(5)],
        "the next in line"
    );
    assert!(!rig.pool.readmit(rig.now, &"c"));
    assert!(!rig.pool.eject(rig.now, &"nobody"));
}

#[test]
fn one_may_be_ejected_however_small_the_share_unless_it_is_0() {
    for (limit, expected) in [(1, None), (0, Some(5))] {
        let mut rig = rig(Settings::new().with_eject_limit(limit));
        rig.pool.eject(rig.now, &"a");
        rig.pool.eject(rig.now, &"b");
        rig.turn();
        assert_eq!(
            weights(&rig),
            [expected, Some(5), Some(5), Some(5)],
            "{limit}"
        );
    }
}

#[test]
fn ejections_do_not_count_when_nobody_else_is_left() {
    let mut rig = rig(Settings::new().with_eject_limit(50));
    rig.pool.eject(rig.now, &"a");
    rig.down("b").down("c").turn();
    assert_eq!(weights(&rig), [None, None, None, Some(5)]);
    rig.down("d");
    let expected = [
        "a: out to weight 5 (healthy)",
        "d: weight 5 to out (its checks say down)",
    ];
    assert_eq!(rig.changes(), expected);
    rig.up("d").turn();
    assert_eq!(weights(&rig), [None, None, None, Some(5)]);
}

#[test]
fn ejected_destinations_leave_by_their_removal() {
    let servers = NAMES.map(|name| (name, server(5).with_removal(DRAIN)));
    let mut rig = Rig::new(Settings::new(), servers);
    rig.pool.eject(rig.now, &"a");
    rig.turn();
    assert_eq!(rig.weight("a"), Some(0));
    rig.pool.readmit(rig.now, &"a");
    rig.turn();
    assert_eq!(rig.weight("a"), Some(5));
}

//! Adoption of what the kernel has, new configurations, suspension, and the end.

use core::time::Duration;

use lvs_healthcheck::aggregate::{Contribution, Desired, Member, Removal, UnknownAs};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{Drain, Leaving, PoolEvent, Settings, Shutdown, Sorry};

use super::rig::{DRAIN, Rig, Server, server, unknown_as};

fn adopted(weight: u32, unknown: UnknownAs, found: u32) -> Server {
    unknown_as(weight, unknown).with_adopted(Desired::Present { weight: found })
}

#[test]
fn found_with_weight_counts_as_up_and_stays_until_the_first_verdict() {
    for unknown in [UnknownAs::Up, UnknownAs::Down, UnknownAs::Hold] {
        let mut rig = Rig::fresh(Settings::new(), [("a", adopted(10, unknown, 3))]);
        assert!(rig.changes().is_empty(), "{unknown:?}");
        assert!(rig.has_quorum());
        rig.pass(3600);
        assert!(rig.changes().is_empty());
        rig.up("a");
        assert_eq!(rig.changes(), ["a: weight 3 to weight 10 (healthy)"]);
        rig.down("a");
        assert_eq!(rig.changes(), ["a: weight 10 to out (its checks say down)"]);
    }
}

#[test]
fn one_failure_takes_out_what_was_found() {
    let mut rig = Rig::fresh(Settings::new(), [("a", adopted(10, UnknownAs::Up, 3))]);
    rig.turn();
    rig.down("a");
    assert_eq!(rig.changes(), ["a: weight 3 to out (its checks say down)"]);
    assert_eq!(rig.events()[0], "a is down (its checks say down)");
}

#[test]
fn found_with_weight_0_stays_so_until_the_first_success() {
    let mut rig = Rig::fresh(Settings::new(), [("a", adopted(10, UnknownAs::Up, 0))]);
    rig.turn();
    assert!(!rig.has_quorum());
    assert_eq!(rig.weight("a"), Some(0));
    rig.up("a");
    assert_eq!(rig.changes(), ["a: weight 0 to weight 10 (healthy)"]);
}

#[test]
fn not_found_is_added_at_once_or_after_the_grace_or_when_up() {
    let servers = [
        ("at once", unknown_as(1, UnknownAs::Up)),
        ("grace", unknown_as(1, UnknownAs::Hold)),
        ("alpha", unknown_as(1, UnknownAs::Down)),
    ];
    let mut rig = Rig::fresh(Settings::new(), servers);
    assert_eq!(rig.changes(), ["at once: out to weight 1 (healthy)"]);
    assert_eq!(
        rig.pool.next_deadline(),
        Some(rig.now + Duration::from_secs(5))
    );
    rig.pass(5);
    assert_eq!(
        rig.changes(),
        ["grace: out to weight 1 (no verdict in time)"]
    );
    rig.pass(1000);
    assert!(rig.changes().is_empty());
    rig.up("alpha");
    assert_eq!(rig.changes(), ["alpha: out to weight 1 (healthy)"]);
}

#[test]
fn alpha_with_inhibit_is_there_with_weight_0_from_the_start() {
    let alpha = unknown_as(1, UnknownAs::Down).with_removal(Removal::Inhibit);
    let mut rig = Rig::fresh(Settings::new(), [("a", alpha)]);
    let expected = ["a: out to weight 0 (waiting for the first verdict)"];
    assert_eq!(rig.changes(), expected);
}

#[test]
fn ready_when_all_have_a_verdict_or_the_grace_is_over() {
    let servers = || [("a", server(1)), ("b", server(1))];
    let ready = [PoolEvent::Ready];
    let mut rig = Rig::fresh(Settings::new(), servers());
    rig.turn();
    rig.up("a").turn();
    assert!(rig.batch.events.is_empty());
    rig.up("b").turn();
    assert_eq!(rig.batch.events, ready);
    rig.pass(5).turn();
    assert!(rig.batch.events.is_empty(), "once");
    let mut rig = Rig::fresh(Settings::new(), servers());
    rig.turn();
    rig.pass(5).turn();
    assert_eq!(rig.batch.events, ready);
}

#[test]
fn configuration_without_difference_gives_nothing() {
    let servers = || {
        [
            ("a", server(5)),
            ("b", server(6).with_removal(DRAIN)),
            ("c", server(7)),
        ]
    };
    let settings = || {
        Settings::new()
            .with_quorum(7)
            .with_sorry(Some(Sorry::new("s")))
    };
    let mut rig = Rig::new(settings(), servers());
    rig.down("a").down("b").hint("c", 9).turn();
    for _ in 0..100 {
        rig.pool.replace(rig.now, settings(), servers()).unwrap();
        rig.turn();
        assert!(rig.batch.is_empty(), "{:?}", rig.batch);
    }
    assert_eq!(rig.weight("c"), Some(9));
}

#[test]
fn only_the_difference_is_changed() {
    let mut rig = Rig::new(
        Settings::new(),
        [("a", server(5)), ("b", server(6)), ("c", server(7))],
    );
    rig.down("a").turn();
    let next = [("d", server(8)), ("b", server(9)), ("a", server(5))];
    rig.pool.replace(rig.now, Settings::new(), next).unwrap();
    let expected = [
        "d: out to weight 8 (healthy)",
        "b: weight 6 to weight 9 (healthy)",
        "c: weight 7 to out (not configured any more)",
    ];
    assert_eq!(rig.changes(), expected);
    assert_eq!(rig.events(), ["d added", "c removed"]);
    assert_eq!(rig.weight("a"), None, "still down");
    let order: Vec<_> = rig.pool.table().collect();
    assert_eq!(order, [(&"d", 8), (&"b", 9)]);
}

#[test]
fn new_checks_of_a_destination_that_is_up_do_not_take_it_down() {
    let mut rig = Rig::new(Settings::new(), [("a", server(5)), ("b", server(5))]);
    rig.up("a").down("b").turn();
    let alpha = || {
        let mut server = unknown_as(5, UnknownAs::Down);
        server.insert("smtp", Member::required(UnknownAs::Down));
        server
    };
    let next = [("a", alpha()), ("b", alpha())];
    rig.pool.replace(rig.now, Settings::new(), next).unwrap();
    assert!(rig.changes().is_empty());
    rig.pool
        .update(rig.now, &"a", &"smtp", Contribution::new(Health::Down));
    assert_eq!(rig.changes(), ["a: weight 5 to out (its checks say down)"]);
    // The other one is up again when its known check is, and what it carried is gone with it.
    rig.up("b");
    assert!(
        rig.changes().is_empty(),
        "smtp counts as down until it has run"
    );
    rig.pool
        .update(rig.now, &"b", &"smtp", Contribution::new(Health::Up));
    assert_eq!(rig.changes(), ["b: out to weight 5 (healthy)"]);
}

#[test]
fn wrong_configuration_leaves_everything_as_it_was() {
    let mut rig = Rig::new(Settings::new(), [("a", server(5))]);
    let twice = [("b", server(1)), ("b", server(1))];
    let error = rig
        .pool
        .replace(rig.now, Settings::new(), twice)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "destination is number 2 again: each only once"
    );
    let settings = Settings::new().with_quorum(0);
    assert!(rig.pool.replace(rig.now, settings.clone(), []).is_err());
    assert!(rig.pool.set_settings(rig.now, settings).is_err());
    let high = Settings::new().with_quorum(6);
    assert!(rig.pool.set_settings(rig.now, high).is_err());
    assert!(rig.changes().is_empty());
    assert_eq!(rig.weight("a"), Some(5));
}

#[test]
fn returning_after_it_has_gone_is_as_if_new_even_within_a_turn() {
    for turns in [false, true] {
        let mut rig = Rig::new(Settings::new(), [("a", server(5)), ("b", server(5))]);
        rig.down("a").turn();
        rig.pool.remove(rig.now, &"a");
        if turns {
            rig.turn();
        }
        rig.pool.add(rig.now, "a", server(5));
        assert_eq!(rig.changes(), ["a: out to weight 5 (healthy)"], "{turns}");
        assert!(!rig.pool.add(rig.now, "a", server(5)), "it is there");
    }
}

#[test]
fn operators_weight_counts_until_taken_back_and_survives_reloads() {
    let mut rig = Rig::new(Settings::new(), [("a", server(10))]);
    assert!(rig.pool.set_override(rig.now, &"a", Some(4)));
    assert_eq!(rig.changes(), ["a: weight 10 to weight 4 (healthy)"]);
    let next = [("a", server(20))];
    rig.pool.replace(rig.now, Settings::new(), next).unwrap();
    assert!(rig.changes().is_empty());
    let why = rig.pool.explain(&"a").unwrap().to_string();
    assert!(
        why.contains("configured weight 20\n  the operator says weight 4"),
        "{why}"
    );
    rig.pool.set_override(rig.now, &"a", None);
    assert_eq!(rig.changes(), ["a: weight 4 to weight 20 (healthy)"]);
    assert!(!rig.pool.set_override(rig.now, &"b", None));
}

#[test]
fn quorum_is_judged_anew_by_new_settings() {
    let mut rig = Rig::new(Settings::new(), [("a", server(5)), ("b", server(5))]);
    rig.down("a").turn();
    rig.pool
        .set_settings(rig.now, Settings::new().with_quorum(6))
        .unwrap();
    rig.turn();
    assert_eq!(rig.service_events(), ["quorum lost: weight 5, quorum 6"]);
    rig.pool
        .set_settings(rig.now, Settings::new().with_quorum(5))
        .unwrap();
    rig.turn();
    assert_eq!(rig.service_events(), ["quorum gained: weight 5, quorum 5"]);
}

#[test]
fn another_sorry_server_comes_before_the_old_one_goes() {
    let settings = |name, removal| {
        let sorry = Sorry::new(name).with_removal(removal);
        Settings::new().with_sorry(Some(sorry))
    };
    let mut rig = Rig::new(settings("s", Removal::Remove), [("a", server(5))]);
    rig.down("a").turn();
    rig.pool
        .set_settings(rig.now, settings("t", Removal::Remove))
        .unwrap();
    let expected = [
        "t: out to weight 1 (sorry server needed)",
        "s: weight 1 to weight 0 (not configured any more)",
        "s: weight 0 to out (not configured any more)",
    ];
    assert_eq!(rig.changes(), expected);
    assert_eq!(rig.pool.entry(&"s"), None);
    // One that drains is drained by the same rules as any destination.
    rig.pool
        .set_settings(rig.now, settings("u", DRAIN))
        .unwrap();
    rig.turn();
    rig.pool.set_settings(rig.now, Settings::new()).unwrap();
    rig.turn();
    assert_eq!(rig.weight("u"), Some(0));
    rig.pass(60);
    assert_eq!(rig.changes(), ["u: weight 0 to out (drain took too long)"]);
}

#[test]
fn suspended_checks_count_for_nothing_and_drains_go_on() {
    let mut rig = Rig::new(
        Settings::new(),
        [("a", server(5).with_removal(DRAIN)), ("b", server(5))],
    );
    rig.down("a").turn();
    rig.pool.suspend(rig.now);
    rig.up("a").down("b");
    rig.turn();
    assert_eq!(rig.events(), ["checks suspended"]);
    assert_eq!((rig.weight("a"), rig.weight("b")), (Some(0), Some(5)));
    rig.pass(60);
    assert_eq!(rig.changes(), ["a: weight 0 to out (drain took too long)"]);
    rig.pool.resume(rig.now, false);
    rig.up("a").turn();
    assert_eq!(rig.weight("a"), Some(5));
}

#[test]
fn resuming_may_forget_what_was_known_without_changing_the_table() {
    let mut rig = Rig::new(Settings::new(), [("a", server(5)), ("b", server(5))]);
    rig.down("a").hint("b", 3).turn();
    rig.pool.suspend(rig.now);
    rig.pass(3600);
    rig.pool.resume(rig.now, true);
    assert!(rig.changes().is_empty());
    assert_eq!((rig.weight("a"), rig.weight("b")), (None, Some(3)));
    rig.up("a").up("b").turn();
    assert_eq!((rig.weight("a"), rig.weight("b")), (Some(5), Some(5)));
}

#[test]
fn end_with_omega_is_told_as_if_everything_went_down() {
    let servers = || [("a", server(5)), ("b", server(5)), ("c", server(5))];
    let mut rig = Rig::new(Settings::new().with_omega(true), servers());
    rig.down("b").turn();
    rig.pool.stop(rig.now, Shutdown::Remove);
    rig.turn();
    let expected = [
        "a is down (the service has ended)",
        "c is down (the service has ended)",
        "quorum lost: weight 10, quorum 1",
        "service ended",
    ];
    assert_eq!(rig.events(), expected);
    let mut rig = Rig::new(Settings::new(), servers());
    rig.pool.stop(rig.now, Shutdown::Remove);
    rig.turn();
    assert_eq!(rig.events(), ["service ended"]);
}

#[test]
fn end_leaves_zeroes_drains_or_removes() {
    let drain = Drain::new().with_limit(Some(Duration::from_secs(7)));
    let settings = || {
        let sorry = Sorry::new("s").with_removal(Removal::Inhibit);
        Settings::new().with_drain(drain).with_sorry(Some(sorry))
    };
    for (how, now, later) in [
        (
            Shutdown::Leave,
            [Some(5), None, Some(0)],
            [Some(5), None, Some(0)],
        ),
        (
            Shutdown::Zero,
            [Some(0), None, Some(0)],
            [Some(0), None, Some(0)],
        ),
        (Shutdown::Drain, [Some(0), None, Some(0)], [None; 3]),
        (Shutdown::Remove, [None; 3], [None; 3]),
    ] {
        let mut rig = Rig::new(settings(), [("a", server(5)), ("b", server(5))]);
        rig.down("b").turn();
        let weights = |rig: &Rig| ["a", "b", "s"].map(|name| rig.weight(name));
        rig.pool.stop(rig.now, how);
        rig.turn();
        assert_eq!(weights(&rig), now, "{how:?}");
        rig.up("b").down("a");
        rig.pass(7).turn();
        assert_eq!(weights(&rig), later, "{how:?}");
        assert_eq!(rig.pool.next_deadline(), None);
    }
}

#[test]
fn leaving_by_reload_drains_and_time_is_exported() {
    let settings = || Settings::new().with_leaving(Leaving::Drain);
    let mut rig = Rig::new(settings(), [("a", server(5)), ("b", server(5))]);
    rig.pool
        .replace(rig.now, settings(), [("a", server(5))])
        .unwrap();
    let expected = ["b: weight 5 to weight 0 (not configured any more)"];
    assert_eq!(rig.changes(), expected);
    assert_eq!(
        rig.pool.next_deadline(),
        Some(rig.now + Duration::from_secs(300))
    );
    // A second reload does not start it anew.
    rig.pass(200);
    rig.pool
        .replace(rig.now, settings(), [("a", server(5))])
        .unwrap();
    assert!(rig.changes().is_empty());
    rig.pass(100);
    assert_eq!(rig.changes(), ["b: weight 0 to out (drain took too long)"]);
}

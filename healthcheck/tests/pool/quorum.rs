//! The quorum: gained at `quorum + hysteresis`, lost below `quorum - hysteresis` or at 0.

use lvs_healthcheck::aggregate::UnknownAs;
use lvs_healthcheck::pool::Settings;

use super::rig::{Rig, server, unknown_as};

fn settings(quorum: u64, hysteresis: u64) -> Settings<&'static str> {
    Settings::new()
        .with_quorum(quorum)
        .with_hysteresis(hysteresis)
}

/// Servers of these weights, all up.
fn rig(quorum: u64, hysteresis: u64, weights: [u32; 3]) -> Rig {
    let [a, b, c] = weights;
    let servers = [("a", server(a)), ("b", server(b)), ("c", server(c))];
    Rig::new(settings(quorum, hysteresis), servers)
}

#[test]
fn gained_only_at_quorum_plus_hysteresis() {
    let servers = [
        ("a", unknown_as(2, UnknownAs::Down)),
        ("b", unknown_as(1, UnknownAs::Down)),
        ("c", unknown_as(1, UnknownAs::Down)),
    ];
    let mut rig = Rig::new(settings(3, 1), servers);
    assert!(!rig.has_quorum());
    rig.up("a").up("b").turn();
    assert!(!rig.has_quorum(), "3 is the quorum, but not 3 + 1");
    rig.up("c").turn();
    assert_eq!(rig.service_events(), ["quorum gained: weight 4, quorum 3"]);
}

#[test]
fn lost_only_below_quorum_minus_hysteresis() {
    let mut rig = rig(3, 1, [2, 1, 1]);
    assert!(rig.has_quorum());
    rig.down("b").down("c").turn();
    assert!(rig.has_quorum(), "2 is 3 - 1");
    rig.hint("a", 1).turn();
    assert_eq!(rig.service_events(), ["quorum lost: weight 1, quorum 3"]);
}

#[test]
fn lost_at_weight_0_whatever_the_hysteresis() {
    let mut rig = rig(1, 0, [1, 1, 1]);
    rig.down("a").down("b").down("c").turn();
    assert_eq!(rig.service_events(), ["quorum lost: weight 0, quorum 1"]);
}

#[test]
fn destinations_of_weight_0_count_0_although_they_are_up() {
    let mut rig = rig(1, 0, [1, 1, 1]);
    rig.hint("a", 0).hint("b", 0).turn();
    assert!(rig.has_quorum());
    rig.hint("c", 0).turn();
    assert_eq!(rig.service_events(), ["quorum lost: weight 0, quorum 1"]);
    assert_eq!(rig.pool.status().healthy, 3);
    assert_eq!(rig.weight("c"), Some(0), "present, not down");
}

#[test]
fn configured_weight_0_is_present_and_adds_nothing() {
    let rig = rig(2, 0, [0, 1, 1]);
    assert_eq!(rig.weight("a"), Some(0));
    assert_eq!(rig.pool.status().weight, 2);
}

#[test]
fn start_is_up_if_it_would_be_gained() {
    assert!(rig(3, 0, [1, 1, 1]).has_quorum());
    assert!(!rig(3, 1, [1, 1, 1]).has_quorum());
    assert!(rig(3, 1, [1, 2, 1]).has_quorum());
}

#[test]
fn start_is_not_told_unless_asked_for() {
    let servers = || {
        let down = unknown_as(1, UnknownAs::Down);
        [("a", server(2)), ("b", down)]
    };
    let mut rig = Rig::fresh(settings(1, 0), servers());
    rig.turn();
    let gained = ["quorum gained: weight 2, quorum 1"];
    assert_eq!(rig.events(), gained, "before there was none");
    let mut rig = Rig::fresh(settings(3, 0), servers());
    rig.turn();
    assert!(rig.events().is_empty(), "{:?}", rig.events());
    // The first verdict is told, the second is nothing new.
    rig.down("b").turn();
    assert_eq!(rig.events(), ["b is down (its checks say down)"]);
    rig.down("b").turn();
    assert!(rig.events().is_empty(), "{:?}", rig.events());
    let mut rig = Rig::fresh(settings(1, 0).with_initial_events(true), servers());
    rig.turn();
    let expected = [
        "a is up",
        "b is down (waiting for the first verdict)",
        "quorum gained: weight 2, quorum 1",
    ];
    assert_eq!(rig.events(), expected);
}

#[test]
fn losing_it_without_a_sorry_server_changes_nothing_in_the_table() {
    let mut rig = rig(3, 0, [1, 1, 1]);
    rig.down("a");
    assert_eq!(rig.changes(), ["a: weight 1 to out (its checks say down)"]);
    assert!(!rig.has_quorum());
    assert_eq!((rig.weight("b"), rig.weight("c")), (Some(1), Some(1)));
}

#[test]
fn events_go_from_the_destination_to_the_service() {
    let mut rig = rig(3, 0, [1, 1, 1]);
    rig.down("a").turn();
    let expected = [
        "a is down (its checks say down)",
        "quorum lost: weight 2, quorum 3",
    ];
    assert_eq!(rig.events(), expected);
}

#[test]
fn every_input_counts_however_few_turns_there_are() {
    // In one turn down and up again: the quorum was lost on the way, and hysteresis keeps it so.
    let mut rig = rig(2, 1, [1, 1, 1]);
    rig.down("a").down("b").down("c").up("a").up("b").turn();
    assert!(!rig.has_quorum());
    rig.up("c").turn();
    assert!(rig.has_quorum());
}

#[test]
fn quorum_above_all_weights_is_refused() {
    let pool = lvs_healthcheck::pool::Pool::new(
        core::time::Duration::ZERO,
        settings(4, 0),
        [("a", server(3))],
    );
    let expected = "quorum is 4: at most the sum of the weights of all destinations";
    assert_eq!(pool.unwrap_err().to_string(), expected);
}

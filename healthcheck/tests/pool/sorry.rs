//! The sorry server: when it comes, what becomes of the real servers, and in which order.

use core::time::Duration;

use lvs_healthcheck::aggregate::{Desired, Removal};
use lvs_healthcheck::pool::{Change, OnLowQuorum, Settings, Sorry, Swap};

use super::rig::{DRAIN, Rig, server};

fn with(sorry: Sorry<&'static str>) -> Rig {
    removing(sorry, Removal::Remove)
}

/// Two servers of weight 5, quorum 6.
fn removing(sorry: Sorry<&'static str>, removal: Removal) -> Rig {
    let settings = Settings::new().with_quorum(6).with_sorry(Some(sorry));
    let server = || server(5).with_removal(removal);
    Rig::new(settings, [("a", server()), ("b", server())])
}

#[test]
fn swap_adds_first_quiesces_then_removes() {
    let mut rig = with(Sorry::new("s"));
    assert_eq!(rig.weight("s"), None);
    rig.down("b");
    let expected = [
        "s: out to weight 1 (sorry server needed)",
        "a: weight 5 to weight 0 (the sorry server has taken over)",
        "b: weight 5 to weight 0 (the sorry server has taken over)",
        "a: weight 0 to out (the sorry server has taken over)",
        "b: weight 0 to out (the sorry server has taken over)",
    ];
    assert_eq!(rig.changes(), expected);
    let expected = [
        "quorum lost: weight 5, quorum 6",
        "sorry server s is needed",
    ];
    assert_eq!(rig.service_events(), expected);

    rig.up("b");
    let expected = [
        "a: out to weight 5 (healthy)",
        "b: out to weight 5 (healthy)",
        "s: weight 1 to weight 0 (sorry server not needed)",
        "s: weight 0 to out (sorry server not needed)",
    ];
    assert_eq!(rig.changes(), expected);
    let expected = [
        "quorum gained: weight 10, quorum 6",
        "sorry server s is not needed any more",
    ];
    assert_eq!(rig.service_events(), expected);
}

#[test]
fn keepaliveds_order_removes_first() {
    let mut rig = with(Sorry::new("s").with_swap(Swap::RemoveFirst));
    rig.down("b");
    let expected = [
        "a: weight 5 to out (the sorry server has taken over)",
        "b: weight 5 to out (the sorry server has taken over)",
        "s: out to weight 1 (sorry server needed)",
    ];
    assert_eq!(rig.changes(), expected);
    rig.up("b");
    let expected = [
        "s: weight 1 to out (sorry server not needed)",
        "a: out to weight 5 (healthy)",
        "b: out to weight 5 (healthy)",
    ];
    assert_eq!(rig.changes(), expected);
}

#[test]
fn inhibited_sorry_server_stays_with_weight_0() {
    let mut rig = with(
        Sorry::new("s")
            .with_removal(Removal::Inhibit)
            .with_weight(3),
    );
    assert_eq!(rig.weight("s"), Some(0), "from the start");
    rig.down("b").turn();
    assert_eq!(rig.weight("s"), Some(3));
    rig.up("b").turn();
    assert_eq!(rig.weight("s"), Some(0));
}

#[test]
fn sorry_server_that_drains_leaves_when_it_is_drained() {
    let mut rig = with(Sorry::new("s").with_removal(DRAIN));
    assert_eq!(rig.weight("s"), None, "nothing to drain at the start");
    rig.down("b").turn();
    rig.up("b").turn();
    assert_eq!(rig.weight("s"), Some(0));
    assert_eq!(
        rig.pool.next_deadline(),
        Some(rig.now + Duration::from_secs(60))
    );
    assert!(rig.pool.drained(rig.now, &"s"));
    assert_eq!(rig.changes(), ["s: weight 0 to out (drained)"]);
    // Or when its time is over.
    rig.down("b").turn();
    rig.up("b").turn();
    rig.pass(60);
    assert_eq!(rig.changes(), ["s: weight 0 to out (drain took too long)"]);
    assert_eq!(rig.pool.next_deadline(), None);
}

#[test]
fn real_servers_leave_by_their_own_removal() {
    let mut rig = removing(Sorry::new("s"), Removal::Inhibit);
    rig.down("b").turn();
    assert_eq!((rig.weight("a"), rig.weight("b")), (Some(0), Some(0)));
    let mut rig = removing(Sorry::new("s"), DRAIN);
    rig.down("b").turn();
    assert_eq!((rig.weight("a"), rig.weight("b")), (Some(0), Some(0)));
    rig.pass(60).turn();
    assert_eq!((rig.weight("a"), rig.weight("b")), (None, None));
    assert_eq!(rig.weight("s"), Some(1));
}

#[test]
fn changes_of_real_servers_wait_while_it_is_there() {
    let mut rig = with(Sorry::new("s"));
    rig.down("b").turn();
    rig.hint("a", 3);
    assert!(rig.changes().is_empty());
    rig.down("a");
    assert!(rig.changes().is_empty());
    rig.hint("a", 4).up("b").turn();
    assert_eq!((rig.weight("a"), rig.weight("b")), (Some(4), Some(5)));
}

#[test]
fn alongside_leaves_the_real_servers() {
    let sorry = Sorry::new("s").with_on_low_quorum(OnLowQuorum::AddAlongside);
    let mut rig = with(sorry);
    rig.down("b");
    let expected = [
        "s: out to weight 1 (sorry server needed)",
        "b: weight 5 to weight 0 (its checks say down)",
        "b: weight 0 to out (its checks say down)",
    ];
    assert_eq!(rig.changes(), expected);
    assert_eq!(rig.weight("a"), Some(5));
}

#[test]
fn only_when_empty_waits_for_the_last_server() {
    let sorry = Sorry::new("s").with_on_low_quorum(OnLowQuorum::OnlyWhenEmpty);
    let mut rig = with(sorry);
    rig.down("b").turn();
    assert!(!rig.has_quorum());
    assert_eq!((rig.weight("a"), rig.weight("s")), (Some(5), None));
    rig.hint("a", 0).turn();
    assert_eq!((rig.weight("a"), rig.weight("s")), (Some(0), Some(1)));
    rig.hint("a", 1).turn();
    assert_eq!((rig.weight("a"), rig.weight("s")), (Some(1), None));
}

#[test]
fn failing_check_of_the_sorry_server_is_told_and_no_more() {
    let mut rig = with(Sorry::new("s"));
    rig.down("b").turn();
    rig.pool.set_sorry_health(rig.now, false);
    assert!(rig.changes().is_empty());
    assert_eq!(rig.events(), ["sorry server s is down"]);
    assert_eq!(rig.weight("s"), Some(1));
}

#[test]
fn sorry_server_may_be_a_real_server() {
    for removal in [Removal::Remove, Removal::Inhibit] {
        let sorry = Sorry::new("a").with_removal(removal);
        let mut rig = removing(sorry, removal);
        rig.down("a").turn();
        assert_eq!(rig.weight("a"), Some(1), "as sorry server, although down");
        assert_eq!(rig.weight("b"), (removal == Removal::Inhibit).then_some(0));
        rig.up("a").turn();
        assert_eq!((rig.weight("a"), rig.weight("b")), (Some(5), Some(5)));
    }
}

#[test]
fn sorry_server_is_there_from_the_start_if_nobody_else_is() {
    let settings = Settings::new().with_sorry(Some(Sorry::new("s")));
    let mut rig = Rig::fresh(settings, []);
    assert_eq!(rig.changes(), ["s: out to weight 1 (sorry server needed)"]);
}

#[test]
fn a_moment_without_quorum_within_a_turn_is_told_but_changes_nothing() {
    let mut rig = with(Sorry::new("s"));
    rig.down("b").up("b");
    assert!(rig.changes().is_empty());
    assert_eq!(rig.service_events().len(), 4);
}

#[test]
fn adopted_sorry_server_is_not_added_twice() {
    let adopted = Desired::Present { weight: 1 };
    let settings = Settings::new().with_sorry(Some(Sorry::new("s").with_adopted(adopted)));
    let mut rig = Rig::fresh(settings, [("a", server(5))]);
    rig.turn();
    let first = rig.batch.changes.first();
    assert!(
        matches!(
            first,
            Some(Change {
                destination: "a",
                ..
            })
        ),
        "{first:?}"
    );
    assert_eq!(rig.weight("s"), None);
}

//! The table of conflicts: whose word counts when two do not agree.

use core::time::Duration;

use lvs_healthcheck::aggregate::{
    Aggregate, Combine, Contribution, Desired, Member, Role, SlowStart, Source, UnknownAs,
};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{Drain, Settings, Sorry};
use lvs_healthcheck::{AdminHint, WeightHint};

use super::rig::{DRAIN, Rig, Server};

/// A server of weight 10 with the checks `http` and `smtp`, and an agent.
fn server() -> Server {
    let mut server = Aggregate::new(10);
    server.insert("http", Member::required(UnknownAs::Up));
    server.insert("smtp", Member::required(UnknownAs::Up));
    server.insert("agent", Member::new(Role::Agent, UnknownAs::Up));
    server
}

fn rig() -> Rig {
    Rig::new(Settings::new(), [("a", server())])
}

fn tell(rig: &mut Rig, check: &'static str, says: Contribution) {
    assert!(rig.pool.update(rig.now, &"a", &check, says));
    rig.turn();
}

const UP: Contribution = Contribution::new(Health::Up);
const DOWN: Contribution = Contribution::new(Health::Down);

#[test]
fn one_required_up_and_one_down_is_down() {
    let mut rig = rig();
    tell(&mut rig, "http", UP);
    tell(&mut rig, "smtp", DOWN);
    assert_eq!(rig.weight("a"), None);
}

#[test]
fn check_down_and_agent_up_is_down() {
    let mut rig = rig();
    tell(&mut rig, "http", DOWN);
    tell(&mut rig, "agent", UP);
    assert_eq!(rig.weight("a"), None);
}

#[test]
fn check_up_and_agent_down_is_down_until_the_agent_says_up() {
    let mut rig = rig();
    tell(&mut rig, "agent", DOWN);
    tell(&mut rig, "http", UP);
    assert_eq!(rig.weight("a"), None);
    tell(&mut rig, "agent", UP);
    assert_eq!(rig.weight("a"), Some(10));
}

#[test]
fn check_up_and_agent_drain_is_weight_0_and_present() {
    let mut rig = rig();
    tell(&mut rig, "agent", UP.with_admin(AdminHint::Drain));
    assert_eq!(rig.weight("a"), Some(0));
    assert_eq!(rig.pool.status().weight, 0, "does not count for the quorum");
    let expected = [
        "a is voted drain, was ready",
        "quorum lost: weight 0, quorum 1",
        "a drains (voted to drain), 300s at most",
    ];
    assert_eq!(rig.events(), expected);
    // It stays so for as long as the vote does.
    rig.pass(1000).turn();
    assert_eq!(rig.weight("a"), Some(0));
    tell(&mut rig, "agent", UP.with_admin(AdminHint::Ready));
    assert_eq!(rig.weight("a"), Some(10));
}

#[test]
fn agent_ready_does_not_lift_the_operators_maintenance() {
    let mut rig = rig();
    let maint = Some(AdminHint::Maint);
    assert!(rig.pool.set_vote(rig.now, &"a", Source::Api, maint));
    tell(&mut rig, "agent", UP.with_admin(AdminHint::Ready));
    assert_eq!(rig.weight("a"), None);
    assert!(rig.pool.set_vote(rig.now, &"a", Source::Api, None));
    rig.turn();
    assert_eq!(rig.weight("a"), Some(10));
    assert!(!rig.pool.set_vote(rig.now, &"nobody", Source::Api, maint));
}

#[test]
fn weight_hint_while_down_is_applied_on_return() {
    let mut rig = rig();
    tell(&mut rig, "smtp", DOWN);
    tell(&mut rig, "http", UP.with_hint(WeightHint::Absolute(4)));
    assert_eq!(rig.weight("a"), None);
    tell(&mut rig, "smtp", UP);
    assert_eq!(rig.weight("a"), Some(4));
}

#[test]
fn hint_of_0_is_present_with_weight_0_and_lowers_the_quorum() {
    let mut rig = rig();
    tell(&mut rig, "http", UP.with_hint(WeightHint::Percent(0)));
    assert_eq!(rig.weight("a"), Some(0));
    let status = rig.pool.status();
    assert_eq!(
        (status.healthy, status.weight, status.has_quorum),
        (1, 0, false)
    );
}

#[test]
fn percentage_applies_to_the_operators_weight() {
    let mut rig = rig();
    rig.pool.set_override(rig.now, &"a", Some(40));
    tell(&mut rig, "agent", UP.with_hint(WeightHint::Percent(50)));
    assert_eq!(rig.weight("a"), Some(20));
}

#[test]
fn changed_hint_is_ramped_anew_without_restarting_the_clock() {
    let second = Duration::from_secs(1);
    let slow = || server().with_slow_start(SlowStart::new(10 * second));
    let settings = Settings::new().with_sorry(Some(Sorry::new("s")));
    let mut rig = Rig::new(settings, [("a", slow())]);
    tell(&mut rig, "http", DOWN);
    tell(&mut rig, "http", UP);
    assert_eq!(rig.weight("a"), Some(1));
    assert!(
        rig.has_quorum(),
        "which counts the weight before the slow start"
    );
    assert_eq!(rig.pool.next_deadline(), Some(rig.now + second));
    rig.pass(5).turn();
    assert_eq!(rig.weight("a"), Some(5));
    tell(&mut rig, "http", UP.with_hint(WeightHint::Absolute(100)));
    assert_eq!(rig.weight("a"), Some(50));
    let why = rig.pool.explain(&"a").unwrap().to_string();
    assert!(why.ends_with("weight 50 (slow start)"), "{why}");
    rig.pass(5).turn();
    assert_eq!(rig.weight("a"), Some(100));
    assert_eq!(rig.pool.next_deadline(), None);
}

#[test]
fn two_absolute_hints_add_up_in_keepaliveds_way() {
    let mut server = Aggregate::new(5).with_combine(Combine::Additive);
    server.insert("http", Member::required(UnknownAs::Up));
    server.insert("smtp", Member::required(UnknownAs::Up));
    let mut rig = Rig::new(Settings::new(), [("a", server)]);
    tell(&mut rig, "http", UP.with_hint(WeightHint::Absolute(8)));
    tell(&mut rig, "smtp", UP.with_hint(WeightHint::Absolute(18)));
    assert_eq!((rig.weight("a"), rig.pool.status().weight), (Some(21), 21));
}

#[test]
fn maintenance_takes_out_by_the_removal() {
    let mut rig = Rig::new(Settings::new(), [("a", server().with_removal(DRAIN))]);
    let maint = Some(AdminHint::Maint);
    rig.pool.set_vote(rig.now, &"a", Source::Api, maint);
    rig.turn();
    assert_eq!(rig.weight("a"), Some(0));
    rig.pass(60);
    assert_eq!(rig.changes(), ["a: weight 0 to out (drain took too long)"]);
}

#[test]
fn voted_out_is_no_failure_for_the_guard() {
    use lvs_healthcheck::pool::Guard;
    let settings = Settings::new().with_guard(60, Guard::FailOpen);
    let mut rig = Rig::new(settings, [("a", server()), ("b", server())]);
    rig.pool
        .set_vote(rig.now, &"b", Source::Api, Some(AdminHint::Maint));
    rig.turn();
    let status = rig.pool.status();
    assert_eq!(
        (status.is_guarded, status.healthy, status.total),
        (false, 1, 1)
    );
    assert_eq!((rig.weight("a"), rig.weight("b")), (Some(10), None));
}

#[test]
fn voted_drain_may_end_with_removal() {
    let drain = Drain::new().with_remove_voted(true);
    let mut rig = Rig::new(Settings::new().with_drain(drain), [("a", server())]);
    let vote = Some(AdminHint::Drain);
    rig.pool.set_vote(rig.now, &"a", Source::Api, vote);
    rig.turn();
    let draining: Vec<_> = rig.pool.draining().collect();
    assert_eq!(draining, [(&"a", rig.now)]);
    assert!(rig.pool.drained(rig.now, &"a"));
    assert_eq!(rig.changes(), ["a: weight 0 to out (drained)"]);
    rig.pool.set_vote(rig.now, &"a", Source::Api, None);
    assert_eq!(rig.changes(), ["a: out to weight 10 (healthy)"]);
}

#[test]
fn votes_survive_a_new_configuration() {
    let mut rig = rig();
    let vote = Some(AdminHint::Drain);
    rig.pool.set_vote(rig.now, &"a", Source::Api, vote);
    rig.turn();
    let next = [("a", server())];
    rig.pool.replace(rig.now, Settings::new(), next).unwrap();
    assert!(rig.changes().is_empty());
    assert_eq!(rig.pool.entry(&"a"), Some(Desired::Present { weight: 0 }));
}

//! The pipeline of weights: which rule goes before which, and what each gives.

use core::time::Duration;

use lvs_healthcheck::aggregate::{
    Aggregate, Combine, Contribution, Damping, Desired, MAX_WEIGHT, Member, Reason, Removal, Role,
    Rule, SlowStart, Source, UnknownAs,
};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::{AdminHint, WeightHint};

const SECOND: Duration = Duration::from_secs(1);

const fn weight(weight: u32) -> Desired {
    Desired::Present { weight }
}

/// Everything at once; each step takes away the rule that applies, so that the next one shows.
#[test]
fn first_rule_that_applies_decides() {
    let mut server = Aggregate::new(100)
        .with_slow_start(SlowStart::new(100 * SECOND))
        .with_damping(Damping::default())
        .with_min_down_time(200 * SECOND);
    server.insert("check", Member::required(UnknownAs::Down));
    server.insert("other", Member::required(UnknownAs::Down));
    let mut seen = Vec::new();
    let mut look = |server: &Aggregate<&str>| seen.push((server.reason(), server.desired()));

    look(&server);
    let up = Contribution::new(Health::Up);
    server.apply(SECOND, &"other", up.with_no_new(true));
    for second in 2..6 {
        server.apply(second * SECOND, &"check", up);
        server.apply(second * SECOND, &"check", Contribution::new(Health::Down));
    }
    server.set_vote(Source::Api, Some(AdminHint::Drain));
    server.set_vote(Source::Config, Some(AdminHint::Maint));
    look(&server);
    server.set_vote(Source::Config, None);
    look(&server);
    server.set_vote(Source::Api, None);
    look(&server);
    server.apply(6 * SECOND, &"check", up);
    look(&server);
    server.tick(150 * SECOND);
    look(&server);
    server.tick(202 * SECOND);
    look(&server);
    server.apply(204 * SECOND, &"other", up);
    server.tick(252 * SECOND);
    look(&server);
    server.tick(302 * SECOND);
    look(&server);

    assert_eq!(
        seen,
        [
            (Reason::Unknown, Desired::Absent),
            (Reason::Maint, Desired::Absent),
            (Reason::Drain, weight(0)),
            (Reason::Down, Desired::Absent),
            (Reason::Suppressed, Desired::Absent),
            (Reason::MinDownTime, Desired::Absent),
            (Reason::NoNew, weight(0)),
            (Reason::SlowStart, weight(50)),
            (Reason::Up, weight(100)),
        ]
    );
}

#[test]
fn removal_decides_what_remains_of_who_is_out() {
    let limit = Some(300 * SECOND);
    for (removal, remains) in [
        (Removal::Remove, Desired::Absent),
        (Removal::Inhibit, weight(0)),
        (Removal::DrainThenRemove { limit }, weight(0)),
    ] {
        let mut server = Aggregate::new(10).with_removal(removal);
        server.insert("check", Member::required(UnknownAs::Down));
        assert_eq!(server.desired(), remains, "unknown counts as down");
        assert!(server.apply(SECOND, &"check", Contribution::new(Health::Up)));
        assert_eq!(server.desired(), weight(10));
        assert!(server.set_vote(Source::Api, Some(AdminHint::Maint)));
        assert_eq!(server.desired(), remains, "maint");
        server.set_vote(Source::Api, Some(AdminHint::Drain));
        assert_eq!(server.desired(), weight(0), "drain is never a removal");
        server.set_vote(Source::Api, None);
        server.apply(SECOND, &"check", Contribution::new(Health::Down));
        assert_eq!(server.desired(), remains, "down");
    }
}

/// Down and voted to drain: it stays at weight 0, since the vote goes first.
#[test]
fn drain_goes_before_health() {
    let mut server = Aggregate::new(10);
    server.insert("check", Member::required(UnknownAs::Up));
    server.apply(SECOND, &"check", Contribution::new(Health::Down));
    server.set_vote(Source::Api, Some(AdminHint::Drain));
    assert_eq!(
        (server.desired(), server.reason()),
        (weight(0), Reason::Drain)
    );
}

#[test]
fn unknown_counts_as_up_as_down_or_holds_what_was_found() {
    let found = weight(3);
    for (unknown, expected, reason) in [
        (UnknownAs::Up, weight(10), Reason::Up),
        (UnknownAs::Down, Desired::Absent, Reason::Unknown),
        (UnknownAs::Hold, found, Reason::Adopted),
    ] {
        let mut server = Aggregate::new(10).with_adopted(found);
        server.insert("check", Member::required(unknown));
        assert_eq!((server.desired(), server.reason()), (expected, reason));
        let mut failed = server.clone();
        failed.apply(SECOND, &"check", Contribution::new(Health::Down));
        assert_eq!(
            (failed.desired(), failed.reason()),
            (Desired::Absent, Reason::Down)
        );
        server.apply(SECOND, &"check", Contribution::new(Health::Up));
        assert_eq!(
            (server.desired(), server.reason()),
            (weight(10), Reason::Up)
        );
    }
}

#[test]
fn configured_weight_0_is_present_and_adds_nothing() {
    let mut server = Aggregate::new(0);
    server.insert("check", Member::required(UnknownAs::Up));
    let hint = Contribution::new(Health::Up).with_hint(WeightHint::Percent(200));
    server.apply(SECOND, &"check", hint);
    assert_eq!((server.desired(), server.quorum_weight()), (weight(0), 0));
    let server = server
        .with_slow_start(SlowStart::new(SECOND))
        .with_weight_scale(9);
    assert_eq!(server.desired(), weight(0));
}

#[test]
fn scale_multiplies_what_the_kernel_gets_and_not_what_a_quorum_counts() {
    let mut server = Aggregate::new(3).with_weight_scale(20);
    server.insert("load", Member::new(Role::Advisory, UnknownAs::Up));
    assert_eq!((server.desired(), server.quorum_weight()), (weight(60), 3));
    let half = Contribution::new(Health::Up).with_hint(WeightHint::Percent(50));
    server.apply(SECOND, &"load", half);
    assert_eq!(
        (server.desired(), server.weight()),
        (weight(40), 2),
        "1.5 rounded up"
    );
    let most = Aggregate::<()>::new(MAX_WEIGHT).with_weight_scale(u32::MAX);
    assert_eq!(most.desired(), weight(MAX_WEIGHT));
    assert_eq!(Aggregate::<()>::new(u32::MAX).desired(), weight(MAX_WEIGHT));
    assert_eq!(
        Aggregate::<()>::new(7).with_weight_scale(0).desired(),
        weight(7)
    );
}

#[test]
fn additive_of_two_scripts_is_keepalived_s() {
    let mut server = Aggregate::new(5).with_combine(Combine::Additive);
    for (script, exit_code) in [("one", 10), ("two", 20)] {
        server.insert(script, Member::required(UnknownAs::Up));
        let hint = WeightHint::Absolute(exit_code - 2);
        server.apply(
            SECOND,
            &script,
            Contribution::new(Health::Up).with_hint(hint),
        );
    }
    assert_eq!(server.desired(), weight(21), "5 + 3 + 13");
}

#[test]
fn last_is_the_hint_that_changed_last_and_not_the_one_repeated_last() {
    let mut server = Aggregate::new(10).with_combine(Combine::Last);
    server.insert("a", Member::required(UnknownAs::Up));
    server.insert("b", Member::required(UnknownAs::Up));
    let hint = |weight| Contribution::new(Health::Up).with_hint(WeightHint::Absolute(weight));
    let mut says = |check, contribution: Contribution| {
        server.apply(SECOND, &check, contribution);
        server.desired()
    };
    assert_eq!(says("b", hint(4)), weight(4));
    assert_eq!(says("a", hint(7)), weight(7));
    assert_eq!(says("b", hint(4)), weight(7), "nothing new");
    assert_eq!(says("b", hint(5)), weight(5));
    assert_eq!(
        says("b", Contribution::new(Health::Up)),
        weight(7),
        "the one that is left"
    );
}

#[test]
fn agents_object_under_every_rule_and_never_help() {
    for rule in [Rule::All, Rule::Any, Rule::AtLeast(1)] {
        let mut server = Aggregate::new(10).with_rule(rule);
        server.insert("a", Member::required(UnknownAs::Up));
        server.insert("b", Member::required(UnknownAs::Up));
        server.insert("agent", Member::new(Role::Agent, UnknownAs::Down));
        assert_eq!(server.desired(), weight(10), "silent so far");
        server.apply(SECOND, &"agent", Contribution::new(Health::Down));
        assert_eq!(server.desired(), Desired::Absent, "{rule:?}");
        server.apply(SECOND, &"agent", Contribution::new(Health::Up));
        assert_eq!(server.desired(), weight(10), "{rule:?}");
        server.apply(SECOND, &"a", Contribution::new(Health::Down));
        server.apply(SECOND, &"b", Contribution::new(Health::Down));
        assert_eq!(server.desired(), Desired::Absent, "{rule:?}");
    }
    // Without any check only the agent's word counts.
    let mut server = Aggregate::new(10);
    server.insert("agent", Member::new(Role::Agent, UnknownAs::Up));
    server.apply(SECOND, &"agent", Contribution::new(Health::Down));
    assert_eq!(server.desired(), Desired::Absent);
}

#[test]
fn roles_differ_in_what_counts() {
    let hinting = Contribution::new(Health::Down).with_hint(WeightHint::Percent(50));
    let says = hinting.with_admin(AdminHint::Drain);
    for (role, is_up, vote) in [
        (Role::Required, false, AdminHint::Drain),
        (Role::Agent, false, AdminHint::Drain),
        (Role::Advisory, true, AdminHint::Drain),
        (Role::Info, true, AdminHint::Ready),
    ] {
        let mut server = Aggregate::new(10);
        server.insert("check", Member::new(role, UnknownAs::Up));
        server.apply(SECOND, &"check", says);
        assert_eq!(server.admin(), vote, "{role:?}");
        assert_eq!(
            server.weight(),
            if role == Role::Info { 10 } else { 5 },
            "{role:?}"
        );
        server.apply(SECOND, &"check", hinting);
        assert_eq!(server.desired() != Desired::Absent, is_up, "{role:?}");
    }
}

#[test]
fn removed_check_takes_its_vote_and_its_hint_with_it() {
    let mut server = Aggregate::new(10);
    server.insert("agent", Member::new(Role::Agent, UnknownAs::Up));
    let says = Contribution::new(Health::Down)
        .with_hint(WeightHint::Percent(50))
        .with_admin(AdminHint::Maint);
    server.apply(SECOND, &"agent", says);
    assert_eq!(server.desired(), Desired::Absent);
    assert!(server.remove(&"agent"));
    assert_eq!(server.desired(), weight(10));
}

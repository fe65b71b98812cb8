//! The core under random histories: reports, roles, operators, reloads and time in any order, with a
//! kernel in memory in which others have services, too.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod adoption;
mod bed;
mod history;
mod returning;
mod roles;

use core::time::Duration;

use bed::Bed;
use director::director::Role;
use history::{History, Spec, history};
use lvs_healthcheck::AdminHint;
use lvs_healthcheck::policy::Health;
use proptest::prelude::*;

/// Plays a history and looks at everything after each step.
fn play(history: &History) -> Bed {
    let mut bed = Bed::new(&history.start);
    bed.settle();
    for step in &history.steps {
        bed.act(step);
        bed.settle();
        bed.check();
    }
    bed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Equal inputs give equal outputs: events with their numbers and times, tables, all of it.
    #[test]
    fn equal_histories_give_equal_outputs(history in history()) {
        let (one, other) = (play(&history), play(&history));
        prop_assert_eq!(one.said, other.said);
        prop_assert_eq!(one.tables, other.tables);
    }

    /// The same configuration again changes nothing and tells nothing but that.
    #[test]
    fn a_reload_of_the_same_is_nothing(history in history()) {
        let mut bed = play(&history);
        let (before, written) = (bed.director.desired(), bed.written);
        let setup = bed.spec.setup();
        let changes = bed.director.reload(bed.now, &setup).unwrap();
        prop_assert!(changes.is_empty(), "{changes:?}");
        let lines = bed.settle();
        prop_assert_eq!(lines, ["reload  done: 0 services new, 0 gone"]);
        prop_assert_eq!(bed.director.desired(), before);
        prop_assert_eq!(bed.written, written);
    }

    /// What was on its way out is gone when its time is over, and the table is as if the last
    /// configuration had been the only one, with the same reports.
    #[test]
    fn reloads_leave_no_traces(history in history()) {
        let mut bed = play(&history);
        bed.act(&history::Step::Role(Role::Active));
        bed.pass(Duration::from_secs(1000));
        bed.settle();
        bed.pass(Duration::from_secs(1000));
        bed.settle();
        let mut fresh = Bed::new(&bed.spec);
        fresh.settle();
        // Everything says up in both, whoever had been voted out is back.
        for bed in [&mut bed, &mut fresh] {
            bed.forget_operators();
            bed.report_all(Health::Up);
            bed.settle();
            bed.check();
        }
        prop_assert_eq!(bed.director.desired(), fresh.director.desired());
        prop_assert!(!bed.director.is_draining());
    }
}

/// One service, two servers with a check each.
fn spec() -> Spec {
    Spec::simple(&[3, 4])
}

#[test]
fn events_are_numbered_without_gaps() {
    let mut bed = Bed::new(&spec());
    bed.settle();
    bed.report(0, 0, Health::Down);
    bed.report(0, 1, Health::Down);
    bed.settle();
    bed.report(0, 0, Health::Up);
    bed.settle();
    let numbers: Vec<u64> = bed.said.iter().map(|event| event.number).collect();
    let expected: Vec<u64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    assert!(numbers.len() > 9, "{:#?}", bed.said);
    assert!(bed.said.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn a_check_whose_timing_alone_is_another_goes_on_under_its_number() {
    let mut bed = Bed::new(&spec());
    bed.settle();
    bed.report(0, 0, Health::Down);
    bed.settle();
    let mut other = spec();
    other.services[0].delay_loop = 17;
    let changes = bed.reload(&other);
    assert_eq!((changes.removed.len(), changes.added.len()), (0, 0));
    assert_eq!(changes.policies.len(), 2);
    assert_eq!(bed.settle(), ["reload  done: 0 services new, 0 gone"]);
    assert_eq!(bed.weights(0), [None, Some(4)], "it stays down");
}

/// Rule 2 of the specification's §3.9, and keepalived's for new alpha checks.
#[test]
fn a_new_check_counts_as_what_its_server_was() {
    let mut bed = Bed::new(&spec());
    bed.settle();
    bed.report(0, 0, Health::Down);
    bed.report(0, 1, Health::Up);
    bed.settle();
    let mut other = spec();
    other.services[0].servers.iter_mut().for_each(|server| {
        server.ports = vec![99];
        server.alpha = true;
    });
    let changes = bed.reload(&other);
    assert_eq!((changes.removed.len(), changes.added.len()), (2, 2));
    bed.settle();
    assert_eq!(bed.weights(0), [None, Some(4)]);
    bed.report(0, 0, Health::Up);
    bed.report(0, 1, Health::Down);
    bed.settle();
    assert_eq!(bed.weights(0), [Some(3), None]);
}

#[test]
fn a_removed_server_drains_only_when_that_is_asked_for() {
    for (drain, expected) in [(None, vec![None]), (Some(60), vec![Some(0)])] {
        let mut first = spec();
        first.drain = drain;
        let mut bed = Bed::new(&first);
        bed.settle();
        bed.connections = 1;
        let mut other = first.clone();
        let left = other.services[0].servers.remove(0);
        bed.reload(&other);
        bed.settle();
        assert_eq!(bed.weights_of(0, &[&left]), expected, "{drain:?}");
        assert_eq!(bed.weights(0), [Some(4)]);
        // Wanted again meanwhile, it is back with its weight.
        bed.reload(&first);
        bed.settle();
        assert_eq!(bed.weights(0), [Some(3), Some(4)]);
        bed.reload(&other);
        bed.settle();
        bed.pass(Duration::from_secs(30));
        bed.settle();
        assert_eq!(bed.weights_of(0, &[&left]), expected);
        bed.connections = 0;
        bed.pass(Duration::from_secs(1));
        bed.settle();
        assert_eq!(
            bed.weights_of(0, &[&left]),
            [None],
            "its connections are over"
        );
    }
}

#[test]
fn a_service_that_leaves_drains_as_a_whole_and_goes() {
    let mut first = Spec::simple(&[1]);
    first.drain = Some(60);
    first.services.push(history::ServiceSpec::simple(2, &[5]));
    let mut bed = Bed::new(&first);
    bed.settle();
    bed.connections = 1;
    let mut other = first.clone();
    let gone = other.services.remove(1);
    bed.reload(&other);
    bed.settle();
    let key = gone.key();
    let weights: Vec<_> = bed.director.desired().destinations(&key).to_vec();
    assert_eq!((weights.len(), weights[0].weight()), (1, 0));
    assert_eq!(bed.director.status().count(), 2);
    bed.pass(Duration::from_secs(61));
    bed.settle();
    assert!(bed.director.desired().get(&key).is_none());
    assert_eq!(bed.director.status().count(), 1);
    bed.check();
}

#[test]
fn a_vote_drains_a_server_without_removing_it() {
    let mut bed = Bed::new(&spec());
    bed.settle();
    assert!(bed.vote(0, 0, Some(AdminHint::Drain)));
    bed.settle();
    assert_eq!(bed.weights(0), [Some(0), Some(4)]);
    assert!(bed.vote(0, 0, Some(AdminHint::Maint)));
    bed.settle();
    assert_eq!(bed.weights(0), [None, Some(4)]);
    // It outlives a reload.
    bed.reload(&spec());
    bed.settle();
    assert_eq!(bed.weights(0), [None, Some(4)]);
    assert!(bed.vote(0, 0, None));
    bed.settle();
    assert_eq!(bed.weights(0), [Some(3), Some(4)]);
}

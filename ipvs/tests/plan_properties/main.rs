//! Plans and the reconciler over random tables, against a plain model of the kernel's table.
//!
//! The model knows what the kernel answers (what exists, what does not) and nothing of how plans
//! are made.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod draining;
mod expectation;
mod generate;
mod minimum;
mod minimum_order;
mod model;
mod reconciler;
mod settled;
mod setup;
mod world;

use lvs_ipvs::{Actual, Cause, Change, Desired, Outcome, Plan, Policy, Table};
use proptest::prelude::*;

use crate::generate::{any_model, any_policy, any_table, everything};
use crate::model::Model;

fn plan(actual: &Model, desired: &Table, policy: &Policy) -> Plan {
    Plan::new(Actual(&actual.snapshot()), Desired(desired), policy)
}

/// A plan that is applied without anything going wrong.
fn run(model: &mut Model, plan: &Plan) {
    for change in plan.changes() {
        assert_eq!(change.validate(), Ok(()));
        assert_eq!(model.apply(change), Ok(()), "{change} of {plan}");
    }
}

proptest! {
    /// Every request is accepted, the outcome is what policy and desired table say (the order of
    /// new destinations included), and then nothing is left to do but to wait for connections.
    #[test]
    fn plans_converge_at_once(before in any_model(), desired in any_table(), policy in any_policy()) {
        let mut after = before.clone();
        let first = plan(&after, &desired, &policy);
        run(&mut after, &first);
        expectation::check(&before, &after, &desired, &policy, &first);

        // Later looks remove what has drained, and put in order what could not be without
        // leaving the service empty; then nothing is left to do but to wait for connections.
        let wait = |after: &mut Model| {
            for _ in 0..3 {
                let (before, plan) = (after.clone(), plan(after, &desired, &policy));
                run(after, &plan);
                expectation::check(&before, after, &desired, &policy, &plan);
                for step in plan.steps() {
                    prop_assert!(matches!(step.cause, Cause::Drained | Cause::OutOfOrder), "{}", plan);
                }
            }
            let last = plan(after, &desired, &policy);
            prop_assert!(last.is_empty(), "{}", last);
            Ok(())
        };
        wait(&mut after)?;
        after.end_connections();
        wait(&mut after)?;
    }

    /// `OP-20`
    #[test]
    fn plans_stay_in_scope(before in any_model(), desired in any_table(), policy in any_policy()) {
        let plan = plan(&before, &desired, &policy);
        for change in plan.changes() {
            let service = change.service().unwrap();
            prop_assert!(policy.scope.contains(&service), "{}", change);
        }
        let all = desired.services().map(|entry| entry.service.key());
        let outside: Vec<_> = all.filter(|key| !policy.scope.contains(key)).collect();
        prop_assert_eq!(plan.outside_scope(), outside);
    }

    #[test]
    fn a_table_applied_to_itself_sends_nothing(table in any_table(), policy in any_policy()) {
        let mut model = Model::of(&table);
        prop_assert!(plan(&model, &table, &policy).is_empty());
        for service in everything() {
            model.connect(&service, &[[1, 1, 1]; 4]);
        }
        prop_assert!(plan(&model, &table, &policy).is_empty());
    }

    /// `OP-13`, when the kernel takes everything and when it refuses some: a service with a usable
    /// destination before and after is never without.
    #[test]
    fn a_service_keeps_a_usable_destination_at_every_step(
        before in any_model(),
        desired in any_table(),
        policy in any_policy(),
        refused in prop_oneof![Just(0_u64), any::<u64>()],
    ) {
        let plan = plan(&before, &desired, &policy);
        let mut model = before.clone();
        run(&mut model, &plan);
        let after = core::mem::replace(&mut model, before);
        let lasting: Vec<_> = everything()
            .into_iter()
            .filter(|key| model.is_usable(key) && after.is_usable(key))
            .collect();
        let mut done = Vec::new();
        for (step, change) in plan.changes().enumerate() {
            let is_sent = plan.permits(step, |index| done[index]);
            if refused == 0 {
                prop_assert!(is_sent, "{}", change);
            }
            let is_refused = refused.rotate_right(step as u32) & 1 == 1;
            done.push(is_sent && !is_refused && model.execute(&plan, step) == Outcome::Done);
            for key in &lasting {
                prop_assert!(model.is_usable(key), "{} is empty after {}", key, change);
            }
        }
    }

    /// `OP-11`: what is desired is never removed, but to put it in order.
    #[test]
    fn what_is_desired_keeps_its_place(
        before in any_model(),
        desired in any_table(),
        policy in any_policy(),
    ) {
        let plan = plan(&before, &desired, &policy);
        for step in plan.steps() {
            let Change::RemoveDestination(service, key) = &step.change else {
                continue;
            };
            let wanted = desired.get(service);
            if wanted.is_some_and(|wanted| wanted.destination(key).is_some()) {
                prop_assert_eq!(&step.cause, &Cause::OutOfOrder);
                prop_assert!(expectation::orders(&policy, wanted.unwrap()));
            }
        }
    }

    /// `Display` is the commands, one per line, and they read back as what they were.
    #[test]
    fn a_plan_prints_its_commands(before in any_model(), desired in any_table(), policy in any_policy()) {
        let plan = plan(&before, &desired, &policy);
        let text = plan.to_string();
        let read: Result<Vec<Change>, _> = text.lines().map(str::parse).collect();
        prop_assert_eq!(read.unwrap(), plan.changes().cloned().collect::<Vec<_>>());
        prop_assert_eq!(text.is_empty(), plan.is_empty());
        prop_assert_eq!(plan.len(), plan.steps().len());
    }
}

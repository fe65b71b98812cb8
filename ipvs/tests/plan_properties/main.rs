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

mod generate;
mod minimum;
mod model;
mod reconciler;

use lvs_ipvs::{Actual, Desired, Plan, Policy, Table};
use proptest::prelude::*;

use crate::generate::{any_policy, any_table, everything};
use crate::model::Model;

fn plan(actual: &Model, desired: &Table, policy: &Policy) -> Plan {
    Plan::new(Actual(&actual.snapshot()), Desired(desired), policy)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every request is accepted, the outcome is what policy and desired table say (the order of
    /// new destinations included), and then nothing is left to do.
    #[test]
    fn plans_converge_at_once(actual in any_table(), desired in any_table(), policy in any_policy()) {
        let mut model = Model::of(&actual);
        let expected = model.expected(&desired, &policy, &everything());
        let plan = plan(&model, &desired, &policy);
        for change in plan.changes() {
            prop_assert_eq!(change.validate(), Ok(()));
            prop_assert_eq!(model.apply(change), Ok(()), "{}", change);
        }
        prop_assert_eq!(&model, &expected);
        let again = self::plan(&model, &desired, &policy);
        prop_assert!(again.is_empty(), "{}", again);
    }

    /// `OP-20`
    #[test]
    fn plans_stay_in_scope(actual in any_table(), desired in any_table(), policy in any_policy()) {
        let plan = plan(&Model::of(&actual), &desired, &policy);
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
        prop_assert!(plan(&Model::of(&table), &table, &policy).is_empty());
    }

    /// `OP-13`, when the kernel takes everything and when it refuses some: a service with a usable
    /// destination before and after is never without.
    #[test]
    fn a_service_keeps_a_usable_destination_at_every_step(
        actual in any_table(),
        desired in any_table(),
        policy in any_policy(),
        refused in prop_oneof![Just(0_u64), any::<u64>()],
    ) {
        let mut model = Model::of(&actual);
        let expected = model.expected(&desired, &policy, &everything());
        let lasting: Vec<_> = everything()
            .into_iter()
            .filter(|key| model.is_usable(key) && expected.is_usable(key))
            .collect();
        let plan = plan(&model, &desired, &policy);
        let mut done = Vec::new();
        for (step, change) in plan.changes().enumerate() {
            let is_sent = plan.permits(step, |index| done[index]);
            if refused == 0 {
                prop_assert!(is_sent, "{}", change);
            }
            let is_refused = refused.rotate_right(step as u32) & 1 == 1;
            done.push(is_sent && !is_refused && model.apply(change).is_ok());
            for key in &lasting {
                prop_assert!(model.is_usable(key), "{} is empty after {}", key, change);
            }
        }
    }

    /// `Display` is the commands, one per line.
    #[test]
    fn a_plan_prints_its_commands(actual in any_table(), desired in any_table(), policy in any_policy()) {
        let plan = plan(&Model::of(&actual), &desired, &policy);
        let commands: Vec<_> = plan.changes().map(ToString::to_string).collect();
        let text = plan.to_string();
        prop_assert_eq!(text.lines().collect::<Vec<_>>(), commands);
        prop_assert_eq!(text.is_empty(), plan.is_empty());
        prop_assert_eq!(plan.len(), plan.steps().len());
    }
}

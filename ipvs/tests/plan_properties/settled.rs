//! What a table must be like when its reconciler has nothing left to do.

use std::collections::BTreeSet;

use lvs_ipvs::{Drift, Plan, Reconciler, Surplus};

use crate::expectation::{is_in_order, orders};
use crate::model::{Model, Server};
use crate::setup::Setup;

/// Checks a table after the last plan, which is empty.
pub(crate) fn check(setup: &Setup, reconciler: &Reconciler, model: &Model, last: &Plan) {
    let policy = &setup.policy;
    let (desired, ledger) = (reconciler.desired(), reconciler.ledger());
    let left: BTreeSet<_> = reconciler.drift_left().copied().collect();
    assert!(left.is_empty() || setup.drift == Drift::Report, "{left:?}");
    for key in model.services.keys() {
        if desired.get(key).is_none() && policy.scope.contains(key) {
            let is_left = policy.surplus_services == Surplus::Keep
                || !ledger.contains(key)
                || ledger.is_shared(key);
            assert!(is_left, "{key} is ours, not desired and still there");
            for one in ledger.own_destinations(key) {
                let is_left = policy.surplus_services == Surplus::Keep;
                assert!(is_left || model.server(key, *one).is_none());
            }
        }
    }
    for wanted in desired.services() {
        let key = wanted.service.key();
        if !policy.scope.contains(&key) || reconciler.conflicts().contains(&key) {
            continue;
        }
        let Some((service, servers)) = model.services.get(&key) else {
            assert!(left.contains(&(key, None)), "{key} is missing");
            continue;
        };
        assert!(*service == wanted.service || left.contains(&(key, None)));
        for one in &wanted.destinations {
            let server = model.server(&key, one.key());
            let is_left = left.contains(&(key, Some(one.key())));
            match server {
                None => assert!(is_left, "{one:?} is missing"),
                Some(Server { destination, .. }) if setup.drift == Drift::AdoptWeight => {
                    assert_eq!(destination.clone().with_weight(one.weight()), *one);
                }
                Some(Server { destination, .. }) => assert!(is_left || destination == one),
            }
        }
        for server in servers {
            let one = server.key();
            let is_left = wanted.destination(&one).is_some()
                || policy.surplus_destinations == Surplus::Keep
                || !ledger.owns(&key, &one)
                || left.contains(&(key, Some(one)));
            assert!(is_left, "{one} of {key} is surplus");
        }
        if left.is_empty() && !is_in_order(servers, wanted) {
            let report = last.out_of_order();
            assert!(report.iter().any(|one| one.service == key && !one.rebuilt));
            // Only where the one that would have to move is all there is.
            let usable = servers.iter().filter(|server| server.is_usable()).count();
            assert!(
                !orders(policy, wanted) || usable == 1,
                "{key} is not in order"
            );
        }
    }
}

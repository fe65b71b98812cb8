use super::*;

fn sh() -> VirtualService {
    web().with_scheduler(Scheduler::Sh)
}

/// From the hosts that are there, oldest first, to those desired: a weight of 0 is written as a
/// negative number. Steps as `-d HOST`, `-a HOST`, `-e HOST`, `?` behind those that must wait; and
/// what [`Plan::out_of_order`] says: destinations, and whether it is done.
fn reorder(
    order: DestinationOrder,
    actual: &[i8],
    desired: &[i8],
) -> (Vec<String>, Option<(usize, bool)>) {
    let list = |hosts: &[i8]| -> Vec<Destination> {
        hosts
            .iter()
            .map(|host| server(host.unsigned_abs(), u32::from(*host > 0)))
            .collect()
    };
    let actual = table([(sh(), list(actual))]);
    let desired = table([(sh(), list(desired))]);
    let policy = Policy::new(Scope::all()).with_order(order);
    let plan = plan_with(&actual, &desired, &policy);
    let word = |step: usize, change: &Change| {
        let (word, key) = match change {
            Change::AddDestination(_, destination) => ("-a", destination.key()),
            Change::SetDestination(_, destination) => ("-e", destination.key()),
            Change::RemoveDestination(_, key) => ("-d", *key),
            other => panic!("{other}"),
        };
        let host = key.to_string();
        let host = host.trim_start_matches("10.0.0.").trim_end_matches(":80");
        let waits = if plan.is_guarded(step) { "?" } else { "" };
        format!("{word} {host}{waits}")
    };
    let steps = plan.changes().enumerate();
    let steps = steps.map(|(step, change)| word(step, change)).collect();
    let cost = plan.out_of_order().first();
    (steps, cost.map(|cost| (cost.destinations, cost.rebuilt)))
}

/// `OP-12`: the longest beginning that can stay does, the rest is added again in order.
#[test]
fn the_fewest_destinations_are_added_again() {
    for (actual, desired, steps, again) in [
        (&[1, 2, 3][..], &[1, 2, 3][..], vec![], None),
        (&[1, 3, 2], &[1, 2, 3], vec!["-d 3", "-a 3"], Some(1)),
        (
            &[2, 3, 1],
            &[1, 2, 3],
            vec!["-d 2", "-a 2", "-d 3", "-a 3"],
            Some(2),
        ),
        (&[3, 1, 2], &[1, 2, 3], vec!["-d 3", "-a 3"], Some(1)),
        // New ones come last by themselves, or make those behind them be added again.
        (&[1, 2], &[1, 2, 3], vec!["-a 3"], None),
        (&[1, 3], &[1, 2, 3], vec!["-a 2", "-d 3", "-a 3"], Some(1)),
        (
            &[2, 3],
            &[1, 2, 3],
            vec!["-a 1", "-d 2", "-a 2", "-d 3?", "-a 3?"],
            Some(2),
        ),
        // Surplus ones stand anywhere and go.
        (&[9, 1, 8, 2], &[1, 2], vec!["-d 9", "-d 8"], None),
    ] {
        let expected = (
            steps.iter().map(ToString::to_string).collect(),
            again.map(|count| (count, true)),
        );
        let seen = reorder(DestinationOrder::Exact, actual, desired);
        assert_eq!(seen, expected, "{actual:?} to {desired:?}");
        let (steps, cost) = reorder(DestinationOrder::Any, actual, desired);
        assert_eq!(cost, again.map(|count| (count, false)));
        assert!(
            steps
                .iter()
                .all(|step| !step.starts_with("-d") || step.ends_with(['8', '9']))
        );
    }
}

#[test]
fn settings_that_change_anyway_come_with_the_new_place() {
    let (steps, _) = reorder(DestinationOrder::Exact, &[2, -1], &[1, -2]);
    assert_eq!(steps, ["-e 1", "-d 2?", "-a 2?"]);
}

#[test]
fn only_services_that_hash_are_put_in_order_when_that_is_asked() {
    for (scheduler, rebuilt) in [
        (Scheduler::Sh, true),
        (Scheduler::Dh, true),
        (Scheduler::Mh, true),
        (Scheduler::Wrr, false),
        (Scheduler::Wlc, false),
    ] {
        let service = web().with_scheduler(scheduler);
        let actual = table([(service.clone(), vec![server(2, 1), server(1, 1)])]);
        let desired = table([(service, vec![server(1, 1), server(2, 1)])]);
        let policy = Policy::new(Scope::all()).with_order(DestinationOrder::ForHashing);
        let plan = plan_with(&actual, &desired, &policy);
        assert_eq!(plan.is_empty(), !rebuilt, "{scheduler}");
        assert_eq!(plan.out_of_order()[0].rebuilt, rebuilt);
    }
}

#[test]
fn the_cost_counts_connections_of_what_is_added_again() {
    let both = [server(2, 1), server(1, 1)];
    let mut snapshot = Snapshot::from(&table([(sh(), both.to_vec())]));
    for (entry, active) in snapshot.services[0].destinations.iter_mut().zip([5, 700]) {
        entry.active_connections = active;
        entry.inactive_connections = 30;
    }
    let desired = table([(sh(), vec![server(1, 1), server(2, 1)])]);
    let plan = Plan::new(
        Actual(&snapshot),
        Desired(&desired),
        &Policy::new(Scope::all()),
    );
    let cost = plan.out_of_order()[0];
    // The snapshot is newest first: the 700 are those of the first that was added, host 2.
    assert_eq!((cost.destinations, cost.connections), (1, 730));
    assert_eq!(cost.service, sh().key());
}

/// `OP-13` while destinations are away for a moment.
#[test]
fn a_destination_is_taken_out_only_while_another_stands() {
    for (actual, desired, steps, rebuilt) in [
        // The other one stands.
        (&[2, 1][..], &[1, 2][..], vec!["-d 2", "-a 2"], true),
        // Only the one to be moved is usable, before and after.
        (&[2, -1], &[-1, 2], vec![], false),
        // It is replaced by the one in front of it, which must be there first.
        (&[2, -1], &[1, 2], vec!["-e 1", "-d 2?", "-a 2?"], true),
        (&[2], &[1, 2], vec!["-a 1", "-d 2?", "-a 2?"], true),
        // Nothing useful is in front: the order has to wait.
        (&[2], &[-1, 2], vec!["-a 1"], false),
        // The second goes when the first is back.
        (
            &[2, 3],
            &[-1, 2, 3],
            vec!["-a 1", "-d 2", "-a 2", "-d 3?", "-a 3?"],
            true,
        ),
        // No usable one at the end, so nothing to wait for.
        (&[2, 1], &[-1, -2], vec!["-d 2", "-a 2", "-e 1"], true),
    ] {
        let expected: Vec<_> = steps.iter().map(ToString::to_string).collect();
        let (seen, cost) = reorder(DestinationOrder::Exact, actual, desired);
        assert_eq!(seen, expected, "{actual:?} to {desired:?}");
        assert_eq!(
            cost.map(|(_, rebuilt)| rebuilt),
            Some(rebuilt),
            "{actual:?} to {desired:?}"
        );
    }
}

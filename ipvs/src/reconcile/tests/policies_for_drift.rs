use super::*;

fn with(drift: Drift, desired: &Table) -> Reconciler {
    let mut reconciler = Reconciler::new(Policy::new(Scope::all())).with_drift(drift);
    reconciler.set_desired(desired.clone());
    let (plan, _) = reconciler.step(SECOND, &snapshot(&Table::new()));
    record(&mut reconciler, &plan, |_| Outcome::Done);
    reconciler
}

#[test]
fn reported_drift_is_left_as_it_is_until_something_else_is_desired() {
    let desired = table([
        (dns(), &[server(1)]),
        (web(), &[server(1), server(2), server(3)]),
    ]);
    let mut reconciler = with(Drift::Report, &desired);
    let meddled = table([(
        web().with_scheduler(crate::Scheduler::Rr),
        &[server(1).with_weight(7), server(3), server(9)],
    )]);
    for now in [2, 3] {
        let (plan, next) = reconciler.step(now * SECOND, &snapshot(&meddled));
        assert!(plan.is_empty(), "{plan}");
        assert_eq!(next, Some((now + 30) * SECOND));
        let left: Vec<_> = reconciler.drift_left().copied().collect();
        let entry = |host| (web().key(), Some(server(host).key()));
        assert_eq!(
            left,
            [
                (web().key(), None),
                entry(1),
                entry(2),
                entry(9),
                (dns().key(), None)
            ]
        );
    }
    reconciler.set_desired(table([
        (dns(), &[server(1)]),
        (web(), &[server(1).with_weight(5), server(2), server(3)]),
    ]));
    let (plan, _) = reconciler.step(4 * SECOND, &snapshot(&meddled));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 5 # changed"]
    );
}

#[test]
fn adopted_weights_count_until_another_one_is_desired() {
    let desired = table([(web(), &[server(1), server(2)])]);
    let mut reconciler = with(Drift::AdoptWeight, &desired);
    // All but the weight is repaired, with the weight somebody set.
    let meddled = table([(
        web(),
        &[server(1).with_weight(0).with_thresholds(1, 2), server(2)],
    )]);
    let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&meddled));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 0 # changed, drift"]
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    let quiet = table([(web(), &[server(1).with_weight(0), server(2)])]);
    assert!(reconciler.step(3 * SECOND, &snapshot(&quiet)).0.is_empty());
    // It lasts over a new desired table that does not mean it, and over the service's return.
    let mut more = table([(web(), &[server(1), server(2), server(3)])]);
    reconciler.set_desired(more.clone());
    let (plan, _) = reconciler.step(4 * SECOND, &snapshot(&Table::new()));
    assert_eq!(plan.len(), 4);
    assert_eq!(
        steps(&plan)[1],
        "ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 0 # missing, drift"
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    // A weight that is meant replaces it.
    more.insert(web(), [server(1).with_weight(2), server(2), server(3)]);
    reconciler.set_desired(more);
    let there = table([(web(), &[server(1).with_weight(0), server(2), server(3)])]);
    let (plan, _) = reconciler.step(5 * SECOND, &snapshot(&there));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 2 # changed"]
    );
}

#[test]
fn a_weight_set_back_by_hand_is_no_longer_adopted() {
    let desired = table([(web(), &[server(1)])]);
    let mut reconciler = with(Drift::AdoptWeight, &desired);
    let heavy = table([(web(), &[server(1).with_weight(5)])]);
    assert!(reconciler.step(2 * SECOND, &snapshot(&heavy)).0.is_empty());
    assert!(
        reconciler
            .step(3 * SECOND, &snapshot(&desired))
            .0
            .is_empty()
    );
    // Somebody removes it: it comes back with the desired weight.
    let (plan, _) = reconciler.step(4 * SECOND, &snapshot(&table([(web(), &[])])));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 1 # missing, drift"]
    );
}

/// What a rule of ours changes is nobody else's doing.
#[test]
fn another_policy_is_not_drift() {
    let desired = table([(web(), &[server(1), server(2)])]);
    let mut reconciler = with(Drift::Report, &desired);
    let keep = reconciler.policy().clone();
    let keep = keep.with_surplus_destinations(Surplus::Keep);
    reconciler.set_policy(keep.clone());
    let fewer = table([(web(), &[server(1)])]);
    reconciler.set_desired(fewer);
    assert!(
        reconciler
            .step(2 * SECOND, &snapshot(&desired))
            .0
            .is_empty()
    );

    let removal = "ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.2:80 # surplus";
    let (service, key) = (web().key(), server(2).key());
    reconciler.set_surplus(service, key, Some(Surplus::Delete));
    let (plan, _) = reconciler.step(3 * SECOND, &snapshot(&desired));
    assert_eq!(steps(&plan), [removal]);
    reconciler.set_surplus(service, key, None);
    assert!(
        reconciler
            .step(4 * SECOND, &snapshot(&desired))
            .0
            .is_empty()
    );
    reconciler.set_policy(keep.with_surplus_destinations(Surplus::Delete));
    let (plan, _) = reconciler.step(5 * SECOND, &snapshot(&desired));
    assert_eq!(steps(&plan), [removal]);
    assert_eq!(reconciler.drift_left().len(), 0);
}

use super::*;

fn merging(desired: &Table) -> Reconciler {
    let mut reconciler = Reconciler::new(Policy::new(Scope::all())).with_adoption(Adoption::Merge);
    reconciler.set_desired(desired.clone());
    reconciler
}

/// Rule O2 of the specification: keep what others put there.
#[test]
fn merging_removes_only_what_it_added() {
    let mut reconciler = merging(&table([(web(), &[server(1), server(2)])]));
    let (plan, _) = reconciler.step(SECOND, &snapshot(&table([(web(), &[server(9)])])));
    assert_eq!(plan.len(), 2);
    assert_eq!(reconciler.adopted(), [web().key()]);
    record(&mut reconciler, &plan, |_| Outcome::Done);
    assert!(reconciler.ledger().is_shared(&web().key()));

    reconciler.set_desired(table([(web(), &[server(1)])]));
    let there = table([(web(), &[server(9), server(1), server(2)])]);
    let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&there));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.2:80 # surplus"]
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);

    reconciler.set_desired(Table::new());
    let there = table([(web(), &[server(9), server(1)])]);
    let expected = ["ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.1:80 # surplus"];
    assert_eq!(steps(&reconciler.withdraw(&snapshot(&there))), expected);
    let (plan, _) = reconciler.step(3 * SECOND, &snapshot(&there));
    assert_eq!(steps(&plan), expected);
    record(&mut reconciler, &plan, |_| Outcome::Done);
    let left = table([(web(), &[server(9)])]);
    assert!(reconciler.step(4 * SECOND, &snapshot(&left)).0.is_empty());
    // Nothing of ours is left, so the service is theirs alone again.
    assert_eq!(owned(&reconciler), []);
}

#[test]
fn a_refused_addition_to_a_shared_service_is_not_ours() {
    let mut reconciler = merging(&table([(web(), &[server(1)])]));
    let (plan, _) = reconciler.step(SECOND, &snapshot(&table([(web(), &[])])));
    assert!(reconciler.ledger().owns(&web().key(), &server(1).key()));
    record(&mut reconciler, &plan, |change| refused(change, 12));
    assert!(!reconciler.ledger().owns(&web().key(), &server(1).key()));
}

#[test]
fn what_we_create_under_merging_is_ours_as_a_whole() {
    let mut reconciler = merging(&table([(web(), &[server(1)])]));
    let (plan, _) = reconciler.step(SECOND, &snapshot(&Table::new()));
    record(&mut reconciler, &plan, |_| Outcome::Done);
    let there = table([(web(), &[server(1), server(9)])]);
    let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&there));
    assert_eq!(plan.len(), 1, "{plan}");
}

#[test]
fn refusing_leaves_the_service_alone_and_names_it() {
    let desired = table([(web(), &[server(1)]), (dns(), &[server(1)])]);
    let mut reconciler = Reconciler::new(Policy::new(Scope::all())).with_adoption(Adoption::Refuse);
    reconciler.set_desired(desired);
    let there = table([(web(), &[server(9)])]);
    let (plan, _) = reconciler.step(SECOND, &snapshot(&there));
    assert_eq!(reconciler.conflicts(), [web().key()]);
    assert_eq!(reconciler.adopted(), []);
    assert!(
        plan.changes()
            .all(|change| change.service() == Some(dns().key()))
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    // What we created we go on with; when the other is gone its place is ours.
    let there = table([(dns(), &[])]);
    let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&there));
    assert_eq!(reconciler.conflicts(), []);
    assert_eq!(plan.len(), 3, "{plan}");
}

/// Rule O3: what an earlier process made and nobody desires goes.
#[test]
fn a_ledger_of_an_earlier_process_counts() {
    let mut ledger = Ledger::new();
    ledger.insert(web().key());
    ledger.insert_shared(dns().key());
    ledger.insert_destination(&dns().key(), server(1).key());
    let mut reconciler = Reconciler::new(Policy::new(Scope::all())).with_ledger(ledger);
    let there = table([(web(), &[server(1)]), (dns(), &[server(1), server(9)])]);
    let (plan, _) = reconciler.step(SECOND, &snapshot(&there));
    assert_eq!(
        steps(&plan),
        [
            "ipvsadm -d -u 192.0.2.10:53 -r 10.0.0.1:80 # surplus",
            "ipvsadm -D -t 192.0.2.10:80 # surplus"
        ]
    );
}

#[test]
fn what_is_to_be_created_is_in_the_ledger_before_it_can_have_been() {
    let mut reconciler = reconciler(&table([(web(), &[])]));
    assert_eq!(owned(&reconciler), []);
    let _ = reconciler.step(SECOND, &snapshot(&Table::new()));
    assert_eq!(owned(&reconciler), [web().key()]);
}

#[test]
fn quiescing_takes_new_connections_from_what_is_ours() {
    let mut reconciler = settled(&table([(web(), &[server(1), server(2)])]));
    let there = table([
        (web(), &[server(1).with_weight(4), server(2).with_weight(0)]),
        (dns(), &[server(3)]),
    ]);
    let plan = reconciler.quiesce(&snapshot(&there));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 0 # draining"]
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    assert_eq!(owned(&reconciler), [web().key()]);
}

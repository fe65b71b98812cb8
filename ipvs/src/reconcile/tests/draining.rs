use super::*;
use crate::Drain;

const LIMIT: Duration = Duration::from_secs(20);

fn draining(desired: &Table) -> Reconciler {
    let policy = Policy::new(Scope::all())
        .with_surplus_services(Surplus::Drain)
        .with_surplus_destinations(Surplus::Drain)
        .with_drain(Drain::new().with_limit(Some(LIMIT)));
    let mut reconciler = Reconciler::new(policy);
    reconciler.set_desired(desired.clone());
    reconciler
}

/// The table with that many connections on every destination.
fn busy(table: &Table, connections: u32) -> Snapshot {
    let mut snapshot = Snapshot::from(table);
    for entry in snapshot
        .services
        .iter_mut()
        .flat_map(|service| &mut service.destinations)
    {
        entry.active_connections = connections;
    }
    snapshot
}

/// A reconciler at 10 s that wants host 2 gone, which has connections.
fn under_way() -> (Reconciler, Table) {
    let both = table([(web(), &[server(1), server(2)])]);
    let mut reconciler = draining(&both);
    let _ = reconciler.step(SECOND, &busy(&both, 3));
    reconciler.set_desired(table([(web(), &[server(1)])]));
    let (plan, next) = reconciler.step(10 * SECOND, &busy(&both, 3));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 0 # draining"]
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    assert_eq!(next, Some(11 * SECOND));
    let quiet = table([(web(), &[server(1), server(2).with_weight(0)])]);
    (reconciler, quiet)
}

/// `OP-11`
#[test]
fn a_destination_is_removed_when_its_last_connection_has_ended() {
    let (mut reconciler, quiet) = under_way();
    for now in 11..=15 {
        let (plan, next) = reconciler.step(now * SECOND, &busy(&quiet, 2));
        assert!(plan.is_empty());
        assert_eq!(next, Some((now + 1) * SECOND));
    }
    let all: Vec<_> = reconciler.draining().copied().collect();
    let expected = Draining {
        service: web().key(),
        destination: server(2).key(),
        since: 10 * SECOND,
        connections: 2,
    };
    assert_eq!(all, [expected]);
    let (plan, _) = reconciler.step(16 * SECOND, &busy(&quiet, 0));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.2:80 # drained"]
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    assert_eq!(reconciler.draining().len(), 0);
    assert_eq!(reconciler.next_look(), Some(46 * SECOND));
}

#[test]
fn a_destination_is_removed_at_the_limit_at_the_latest() {
    let (mut reconciler, quiet) = under_way();
    let almost = 30 * SECOND - Duration::from_nanos(1);
    let (plan, next) = reconciler.step(almost, &busy(&quiet, 7));
    assert!(plan.is_empty());
    assert_eq!(
        next,
        Some(30 * SECOND),
        "the limit comes before the next second"
    );
    let (plan, _) = reconciler.step(30 * SECOND, &busy(&quiet, 7));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.2:80 # not drained in time"]
    );
    assert_eq!(plan.steps()[0].cause, Cause::DrainLimit { connections: 7 });
    // Refused, it is not given another wait.
    record(&mut reconciler, &plan, |change| refused(change, 1));
    let (plan, _) = reconciler.step(31 * SECOND, &busy(&quiet, 7));
    assert_eq!(plan.len(), 1);
}

/// `OP-11`
#[test]
fn a_destination_that_returns_gets_its_weight_back_and_may_drain_anew() {
    let (mut reconciler, quiet) = under_way();
    let both = table([(web(), &[server(1), server(2)])]);
    reconciler.set_desired(both.clone());
    let (plan, _) = reconciler.step(29 * SECOND, &busy(&quiet, 7));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 1 # changed"]
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    assert_eq!(reconciler.draining().len(), 0);
    reconciler.set_desired(table([(web(), &[server(1)])]));
    let (plan, _) = reconciler.step(40 * SECOND, &busy(&both, 7));
    assert_eq!(plan.len(), 1);
    let (plan, _) = reconciler.step(59 * SECOND, &busy(&quiet, 7));
    assert!(plan.is_empty(), "the clock started again at 40 s");
}

/// Whoever gives weight to what drains does not stop the clock.
#[test]
fn the_clock_runs_on_whatever_others_do() {
    let (mut reconciler, quiet) = under_way();
    let meddled = table([(web(), &[server(1), server(2).with_weight(9)])]);
    let (plan, _) = reconciler.step(20 * SECOND, &busy(&meddled, 7));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 0 # draining"]
    );
    // A torn dump that lacks it does not either.
    let (_, _) = reconciler.step(21 * SECOND, &torn(&table([(web(), &[server(1)])])));
    assert_eq!(reconciler.draining().len(), 1);
    let (plan, _) = reconciler.step(30 * SECOND, &busy(&quiet, 7));
    assert_eq!(plan.len(), 1);
    // Gone for good, it is forgotten.
    let _ = reconciler.step(31 * SECOND, &busy(&table([(web(), &[server(1)])]), 7));
    assert_eq!(reconciler.draining().len(), 0);
}

#[test]
fn a_service_drains_before_it_goes() {
    let both = table([(web(), &[server(1), server(2)])]);
    let mut reconciler = draining(&both);
    let _ = reconciler.step(SECOND, &busy(&both, 3));
    reconciler.set_desired(Table::new());
    let (plan, _) = reconciler.step(10 * SECOND, &busy(&both, 3));
    assert_eq!(plan.len(), 2);
    record(&mut reconciler, &plan, |_| Outcome::Done);
    let quiet = table([(web(), &[server(1).with_weight(0), server(2).with_weight(0)])]);
    let (plan, _) = reconciler.step(11 * SECOND, &busy(&quiet, 3));
    assert!(plan.is_empty());
    let mut half = busy(&quiet, 0);
    half.services[0].destinations[0].active_connections = 1;
    assert!(reconciler.step(12 * SECOND, &half).0.is_empty());
    let (plan, _) = reconciler.step(30 * SECOND, &half);
    assert_eq!(
        steps(&plan),
        ["ipvsadm -D -t 192.0.2.10:80 # not drained in time"]
    );
    record(&mut reconciler, &plan, |_| Outcome::Done);
    assert_eq!(owned(&reconciler), []);
    assert_eq!(reconciler.draining().len(), 0);
}

#[test]
fn no_limit_waits_for_ever_and_a_limit_of_0_not_at_all() {
    let both = table([(web(), &[server(1), server(2)])]);
    for (limit, removed) in [(None, false), (Some(Duration::ZERO), true)] {
        let mut reconciler = draining(&both);
        let _ = reconciler.step(SECOND, &busy(&both, 3));
        let drain = Drain::new().with_limit(limit);
        reconciler.set_policy(reconciler.policy().clone().with_drain(drain));
        reconciler.set_desired(table([(web(), &[server(1)])]));
        let (plan, _) = reconciler.step(2 * SECOND, &busy(&both, 3));
        let is_removal = matches!(plan.steps()[0].change, Change::RemoveDestination(..));
        assert_eq!(is_removal, removed);
        if !removed {
            let quiet = table([(web(), &[server(1), server(2).with_weight(0)])]);
            let (plan, next) = reconciler.step(Duration::MAX, &busy(&quiet, 3));
            assert!(plan.is_empty());
            assert_eq!(next, Some(Duration::MAX));
        }
    }
}

#[test]
fn many_draining_destinations_are_looked_at_less_often() {
    for (count, interval) in [(100, SECOND), (101, 5 * SECOND)] {
        let all: Vec<_> = (0..count).map(server).collect();
        let full = table([(web(), &all[..])]);
        let mut reconciler = draining(&full);
        let _ = reconciler.step(SECOND, &busy(&full, 3));
        reconciler.set_desired(table([(web(), &[])]));
        let (plan, _) = reconciler.step(2 * SECOND, &busy(&full, 3));
        record(&mut reconciler, &plan, |_| Outcome::Done);
        assert_eq!(reconciler.next_look(), Some(2 * SECOND + interval));
    }
}

/// A server that has failed is not worth the wait.
#[test]
fn a_destination_can_be_an_exception_while_it_is_not_desired() {
    let both = table([(web(), &[server(1), server(2), server(3)])]);
    let mut reconciler = draining(&both);
    let _ = reconciler.step(SECOND, &busy(&both, 3));
    reconciler.set_desired(table([(web(), &[server(1)])]));
    reconciler.set_surplus(web().key(), server(2).key(), Some(Surplus::Delete));
    let (plan, _) = reconciler.step(2 * SECOND, &busy(&both, 3));
    assert_eq!(
        steps(&plan),
        [
            "ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.3:80 -m -w 0 # draining",
            "ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.2:80 # surplus",
        ]
    );
    // Even if it drains already; and being desired once ends it.
    reconciler.set_surplus(web().key(), server(3).key(), Some(Surplus::Delete));
    assert_eq!(reconciler.next_look(), Some(2 * SECOND));
    let quiet = table([(web(), &[server(1), server(3).with_weight(0)])]);
    let (plan, _) = reconciler.step(3 * SECOND, &busy(&quiet, 3));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.3:80 # surplus"]
    );
    reconciler.set_desired(both.clone());
    reconciler.set_desired(table([(web(), &[server(1), server(2)])]));
    let (plan, _) = reconciler.step(4 * SECOND, &busy(&both, 3));
    assert_eq!(
        steps(&plan),
        ["ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.3:80 -m -w 0 # draining"]
    );
}

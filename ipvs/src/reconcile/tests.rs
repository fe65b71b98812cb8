use super::*;
use crate::error::{NotSentCause, Rejected, UnknownCause};
use crate::request::Request;
use crate::{Cause, Destination, PlanStep, Surplus, VirtualService};

const SECOND: Duration = Duration::from_secs(1);

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn dns() -> VirtualService {
    VirtualService::udp("192.0.2.10:53".parse().unwrap())
}

fn server(host: u8) -> Destination {
    Destination::masquerade(([10, 0, 0, host], 80).into())
}

fn table<const N: usize>(services: [(VirtualService, &[Destination]); N]) -> Table {
    let mut table = Table::new();
    for (service, destinations) in services {
        table.insert(service, destinations.iter().cloned());
    }
    table
}

fn snapshot(table: &Table) -> Snapshot {
    Snapshot::from(table)
}

fn torn(table: &Table) -> Snapshot {
    let mut snapshot = Snapshot::from(table);
    snapshot.agreed = false;
    snapshot
}

fn reconciler(desired: &Table) -> Reconciler {
    let mut reconciler = Reconciler::new(Policy::new(Scope::all()));
    reconciler.set_desired(desired.clone());
    reconciler
}

/// A reconciler that has brought about what it desires.
fn settled(desired: &Table) -> Reconciler {
    let mut reconciler = reconciler(desired);
    let (plan, _) = reconciler.step(SECOND, &snapshot(&Table::new()));
    record(&mut reconciler, &plan, |_| Outcome::Done);
    reconciler
}

fn record(reconciler: &mut Reconciler, plan: &Plan, outcome: impl Fn(&Change) -> Outcome) {
    for change in plan.changes() {
        reconciler.record(change, &outcome(change));
    }
}

fn refused(change: &Change, errno: i32) -> Outcome {
    Outcome::Rejected(Rejected::new(&Request::Change(change.clone()), errno))
}

fn owned(reconciler: &Reconciler) -> Vec<ServiceKey> {
    reconciler.ledger().services().copied().collect()
}

/// Each step as command, cause, and whether it is drift.
fn steps(plan: &Plan) -> Vec<String> {
    let line = |step: &PlanStep| {
        let drift = if step.drift { ", drift" } else { "" };
        format!("{} # {}{drift}", step.change, step.cause)
    };
    plan.steps().iter().map(line).collect()
}

mod adoption;
mod draining;
mod policies_for_drift;

mod ownership {
    use super::*;

    /// `OP-20`
    #[test]
    fn removes_what_it_created_and_nothing_else() {
        let foreign = table([(dns(), &[server(9)])]);
        let mut reconciler = reconciler(&table([(web(), &[server(1)])]));
        let (plan, _) = reconciler.step(SECOND, &snapshot(&foreign));
        assert_eq!(plan.len(), 2);
        record(&mut reconciler, &plan, |_| Outcome::Done);
        assert_eq!(owned(&reconciler), [web().key()]);
        assert_eq!(reconciler.adopted(), []);

        let both = table([(dns(), &[server(9)]), (web(), &[server(1)])]);
        reconciler.set_desired(Table::new());
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&both));
        assert_eq!(steps(&plan), ["ipvsadm -D -t 192.0.2.10:80 # surplus"]);
        record(&mut reconciler, &plan, |_| Outcome::Done);
        assert_eq!(owned(&reconciler), []);

        // Somebody else makes the same service: it is theirs.
        let (plan, _) = reconciler.step(3 * SECOND, &snapshot(&both));
        assert!(plan.is_empty());
    }

    #[test]
    fn adopts_what_is_desired_and_there_and_says_so() {
        let there = table([(web(), &[server(1), server(2)]), (dns(), &[])]);
        let mut reconciler = reconciler(&table([(web(), &[server(1)])]));
        let (plan, _) = reconciler.step(SECOND, &snapshot(&there));
        assert_eq!(reconciler.adopted(), [web().key()]);
        assert_eq!(owned(&reconciler), [web().key()]);
        // What adoption finds is not drift.
        assert_eq!(
            steps(&plan),
            ["ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.2:80 # surplus"]
        );
        let (_, _) = reconciler.step(2 * SECOND, &snapshot(&there));
        assert_eq!(reconciler.adopted(), []);
        assert_eq!(owned(&reconciler), [web().key()]);
    }

    #[test]
    fn never_adopts_outside_the_scope() {
        let there = table([(web(), &[])]);
        let scope = Scope::none().with_keys([dns().key()]);
        let mut reconciler = Reconciler::new(Policy::new(scope));
        reconciler.set_desired(table([(web(), &[server(1)])]));
        let (plan, _) = reconciler.step(SECOND, &snapshot(&there));
        assert!(plan.is_empty());
        assert_eq!(plan.outside_scope(), [web().key()]);
        assert_eq!(owned(&reconciler), []);
        assert!(reconciler.withdraw(&snapshot(&there)).is_empty());
    }

    #[test]
    fn a_refused_service_is_not_owned_and_one_of_unknown_outcome_may_be() {
        for (outcome, expected) in [
            (refused(&Change::AddService(web()), 2), vec![]),
            (Outcome::NotSent(NotSentCause::TimedOutBefore), vec![]),
            (
                Outcome::Invalid(web().with_one_packet().validate().unwrap_err()),
                vec![],
            ),
            (Outcome::Unknown(UnknownCause::TimedOut), vec![web().key()]),
            (Outcome::Done, vec![web().key()]),
        ] {
            let mut reconciler = reconciler(&table([(web(), &[])]));
            let (plan, _) = reconciler.step(SECOND, &snapshot(&Table::new()));
            record(&mut reconciler, &plan, |_| outcome.clone());
            assert_eq!(owned(&reconciler), expected, "{outcome:?}");
        }
    }

    #[test]
    fn what_may_be_ours_is_removed_when_it_shows_up_and_forgotten_when_it_does_not() {
        let desired = table([(web(), &[])]);
        for (there, removals) in [(desired.clone(), 1), (Table::new(), 0)] {
            let mut reconciler = reconciler(&desired);
            let _ = reconciler.step(SECOND, &snapshot(&Table::new()));
            reconciler.set_desired(Table::new());
            let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&there));
            assert_eq!(plan.len(), removals);
            record(&mut reconciler, &plan, |_| Outcome::Done);
            assert_eq!(owned(&reconciler), []);
        }
    }

    #[test]
    fn a_service_gone_before_its_removal_counts_as_removed() {
        let desired = table([(web(), &[])]);
        let mut reconciler = settled(&desired);
        reconciler.set_desired(Table::new());
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&desired));
        record(&mut reconciler, &plan, |change| refused(change, 3));
        assert_eq!(owned(&reconciler), []);
        assert_eq!(reconciler.next_look(), Some(32 * SECOND));
    }

    #[test]
    fn a_refused_removal_stays_owned() {
        let desired = table([(web(), &[])]);
        let mut reconciler = settled(&desired);
        reconciler.set_desired(Table::new());
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&desired));
        record(&mut reconciler, &plan, |change| refused(change, 1));
        assert_eq!(owned(&reconciler), [web().key()]);
        let (plan, _) = reconciler.step(3 * SECOND, &snapshot(&desired));
        assert_eq!(plan.len(), 1);
    }

    #[test]
    fn kept_surplus_stays_owned_until_it_is_gone() {
        let policy = Policy::new(Scope::all()).with_surplus_services(Surplus::Keep);
        let mut reconciler = Reconciler::new(policy);
        let desired = table([(web(), &[server(1)])]);
        reconciler.set_desired(desired.clone());
        let _ = reconciler.step(SECOND, &snapshot(&desired));
        reconciler.set_desired(Table::new());
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&desired));
        assert!(plan.is_empty());
        assert_eq!(owned(&reconciler), [web().key()]);
        // A torn dump proves nothing.
        let _ = reconciler.step(3 * SECOND, &torn(&Table::new()));
        assert_eq!(owned(&reconciler), [web().key()]);
        let _ = reconciler.step(4 * SECOND, &snapshot(&Table::new()));
        assert_eq!(owned(&reconciler), []);
    }

    #[test]
    fn withdrawing_removes_what_is_owned_and_there() {
        let desired = table([(dns(), &[server(1)]), (web(), &[server(1)])]);
        let mut reconciler = settled(&desired);
        let mark = VirtualService::firewall_mark(crate::Family::Inet, 7);
        let there = table([(web(), &[server(1)]), (mark, &[])]);

        let plan = reconciler.withdraw(&snapshot(&there));
        assert_eq!(steps(&plan), ["ipvsadm -D -t 192.0.2.10:80 # surplus"]);
        assert_eq!(
            steps(&reconciler.withdraw(&torn(&there))),
            [
                "ipvsadm -D -t 192.0.2.10:80 # surplus",
                "ipvsadm -D -u 192.0.2.10:53 # surplus"
            ]
        );
        record(&mut reconciler, &plan, |_| Outcome::Done);
        assert_eq!(owned(&reconciler), [dns().key()]);
    }
}

mod drift {
    use super::*;

    #[test]
    fn what_somebody_else_did_is_repaired_and_marked() {
        let desired = table([(dns(), &[server(1)]), (web(), &[server(1), server(2)])]);
        let mut reconciler = settled(&desired);
        let meddled = table([(web(), &[server(1).with_weight(7), server(3)])]);
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&meddled));
        assert_eq!(
            steps(&plan),
            [
                "ipvsadm -A -u 192.0.2.10:53 -s wlc # missing, drift",
                "ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 1 # missing, drift",
                "ipvsadm -a -u 192.0.2.10:53 -r 10.0.0.1:80 -m -w 1 # missing, drift",
                "ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 1 # changed, drift",
                "ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.3:80 # surplus, drift",
            ]
        );
    }

    #[test]
    fn a_new_desired_table_is_not_drift_and_drift_beside_it_still_is() {
        let desired = table([(web(), &[server(1), server(2), server(3)])]);
        let mut reconciler = settled(&desired);
        reconciler.set_desired(table([(web(), &[server(1).with_weight(2), server(2)])]));
        let meddled = table([(web(), &[server(1), server(2).with_weight(9), server(3)])]);
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&meddled));
        assert_eq!(
            steps(&plan),
            [
                "ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 2 # changed",
                "ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 1 # changed, drift",
                "ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.3:80 # surplus",
            ]
        );
    }

    #[test]
    fn trying_again_is_not_drift() {
        let desired = table([(web(), &[server(1)])]);
        let mut reconciler = settled(&desired);
        let there = table([(web(), &[])]);
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&there));
        assert!(plan.steps()[0].drift);
        record(&mut reconciler, &plan, |change| refused(change, 12));
        let (plan, _) = reconciler.step(3 * SECOND, &snapshot(&there));
        assert_eq!(plan.len(), 1);
        assert!(!plan.steps()[0].drift);
    }

    /// Outcomes may come in after the desired table has moved on.
    #[test]
    fn an_outcome_of_before_the_new_desired_table_does_not_settle_the_entry() {
        let mut reconciler = settled(&table([(web(), &[server(1)])]));
        reconciler.set_desired(table([(web(), &[server(1).with_weight(2)])]));
        let (plan, _) = reconciler.step(2 * SECOND, &snapshot(&table([(web(), &[server(1)])])));
        reconciler.set_desired(table([(web(), &[server(1).with_weight(3)])]));
        record(&mut reconciler, &plan, |_| Outcome::Done);
        let there = table([(web(), &[server(1).with_weight(2)])]);
        let (plan, _) = reconciler.step(3 * SECOND, &snapshot(&there));
        assert_eq!(plan.len(), 1);
        assert!(!plan.steps()[0].drift);
    }

    #[test]
    fn torn_dumps_accuse_nobody() {
        let mut reconciler = settled(&table([(web(), &[server(1)])]));
        let (plan, next) = reconciler.step(2 * SECOND, &torn(&table([(web(), &[])])));
        assert_eq!(plan.len(), 1);
        assert!(!plan.steps()[0].drift);
        assert_eq!(next, Some(3 * SECOND));
    }
}

mod looks {
    use super::*;

    #[test]
    fn the_first_and_a_new_desired_table_make_a_look_due() {
        let mut reconciler = Reconciler::new(Policy::new(Scope::all()));
        assert_eq!(reconciler.next_look(), Some(Duration::ZERO));
        let (_, next) = reconciler.step(5 * SECOND, &snapshot(&Table::new()));
        assert_eq!(next, Some(35 * SECOND));
        reconciler.set_desired(table([(web(), &[])]));
        assert_eq!(reconciler.next_look(), Some(5 * SECOND));
    }

    #[test]
    fn the_drift_interval_can_be_set_and_turned_off() {
        for (interval, next) in [
            (Some(10 * SECOND), Some(15 * SECOND)),
            (Some(Duration::MAX), Some(Duration::MAX)),
            (Some(Duration::ZERO), None),
            (None, None),
        ] {
            let reconciler = Reconciler::new(Policy::new(Scope::all()));
            let mut reconciler = reconciler.with_drift_interval(interval);
            let step = reconciler.step(5 * SECOND, &snapshot(&Table::new()));
            assert_eq!(step.1, next);
        }
    }

    #[test]
    fn unfinished_changes_are_looked_at_three_times_and_then_with_the_drift_interval() {
        let mut reconciler = reconciler(&table([(web(), &[])]));
        let empty = snapshot(&Table::new());
        for (now, next) in [(1, 2), (2, 3), (3, 33), (33, 63)] {
            let (plan, _) = reconciler.step(now * SECOND, &empty);
            record(&mut reconciler, &plan, |change| refused(change, 2));
            assert_eq!(reconciler.next_look(), Some(next * SECOND), "at {now}");
        }
        // A new desired table deserves three looks of its own.
        reconciler.set_desired(table([(web(), &[]), (dns(), &[])]));
        let (_, next) = reconciler.step(40 * SECOND, &empty);
        assert_eq!(next, Some(41 * SECOND));
    }

    #[test]
    fn unfinished_changes_are_looked_at_without_a_drift_interval_too() {
        let desired = table([(web(), &[])]);
        let mut reconciler = reconciler(&desired).with_drift_interval(None);
        let (plan, next) = reconciler.step(SECOND, &snapshot(&Table::new()));
        assert_eq!(next, Some(2 * SECOND));
        let unknown = Outcome::Unknown(UnknownCause::Overrun);
        record(&mut reconciler, &plan, |_| unknown.clone());
        assert_eq!(reconciler.next_look(), Some(2 * SECOND));
        // Nor does looking end when that lasts.
        for now in [2, 3, 4] {
            let (plan, _) = reconciler.step(now * SECOND, &snapshot(&Table::new()));
            record(&mut reconciler, &plan, |_| unknown.clone());
        }
        assert_eq!(reconciler.next_look(), Some(34 * SECOND));
        // It had been done.
        let (plan, next) = reconciler.step(34 * SECOND, &snapshot(&desired));
        assert!(plan.is_empty());
        assert_eq!(next, None);
    }

    #[test]
    fn a_short_drift_interval_is_not_prolonged() {
        let interval = SECOND / 4;
        let mut reconciler = reconciler(&table([(web(), &[])])).with_drift_interval(Some(interval));
        let (_, next) = reconciler.step(SECOND, &snapshot(&Table::new()));
        assert_eq!(next, Some(SECOND + interval));
    }

    #[test]
    fn done_changes_start_the_count_anew() {
        let mut reconciler = reconciler(&table([(web(), &[])]));
        let empty = snapshot(&Table::new());
        for now in [1, 2] {
            let _ = reconciler.step(now * SECOND, &empty);
        }
        let (plan, _) = reconciler.step(3 * SECOND, &empty);
        record(&mut reconciler, &plan, |_| Outcome::Done);
        assert_eq!(reconciler.next_look(), Some(33 * SECOND));
        let (_, next) = reconciler.step(33 * SECOND, &empty);
        assert_eq!(next, Some(34 * SECOND));
    }

    #[test]
    fn time_going_backwards_stands_still() {
        let mut reconciler = Reconciler::new(Policy::new(Scope::all()));
        let _ = reconciler.step(50 * SECOND, &snapshot(&Table::new()));
        let (_, next) = reconciler.step(SECOND, &snapshot(&Table::new()));
        assert_eq!(next, Some(80 * SECOND));
    }
}

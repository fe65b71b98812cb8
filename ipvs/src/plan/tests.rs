use super::*;
use crate::unknown::UnknownAttributes;
use crate::{DestinationEntry, Encapsulation, Persistence, Scheduler, SnapshotService};

mod drain;
mod order;

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn dns() -> VirtualService {
    VirtualService::udp("192.0.2.10:53".parse().unwrap())
}

/// Destination 10.0.0.HOST:80 with that weight.
fn server(host: u8, weight: u32) -> Destination {
    Destination::masquerade(([10, 0, 0, host], 80).into()).with_weight(weight)
}

fn table<const N: usize>(services: [(VirtualService, Vec<Destination>); N]) -> Table {
    let mut table = Table::new();
    for (service, destinations) in services {
        table.insert(service, destinations);
    }
    table
}

fn plan_with(actual: &Table, desired: &Table, policy: &Policy) -> Plan {
    Plan::new(Actual(&Snapshot::from(actual)), Desired(desired), policy)
}

fn plan(actual: &Table, desired: &Table) -> Plan {
    plan_with(actual, desired, &Policy::new(Scope::all()))
}

fn lines(plan: &Plan) -> Vec<String> {
    let text = plan.to_string();
    text.lines()
        .map(|line| line.strip_prefix("ipvsadm ").unwrap().to_owned())
        .collect()
}

/// An attribute of some newer kernel, as the decoder would keep it.
fn unknown(payload: u8) -> UnknownAttributes {
    let mut attributes = UnknownAttributes::none();
    attributes.push(&[5, 0, 99, 0, payload]);
    attributes
}

#[test]
fn a_table_applied_to_itself_sends_nothing() {
    let both = table([
        (web(), vec![server(1, 1), server(2, 0)]),
        (dns().with_persistence(Persistence::new(60)), vec![]),
    ]);
    let plan = plan(&both, &both);
    assert!(plan.is_empty());
    assert_eq!(plan.len(), 0);
    assert_eq!(plan.to_string(), "");
}

#[test]
fn differences_without_effect_send_nothing() {
    let mut leftover = web();
    leftover.timeout_secs = 300;
    let gue = Encapsulation::gue(6080);
    let actual = table([(
        leftover.with_unknown(unknown(1)),
        vec![
            server(1, 1)
                .with_encapsulation(gue)
                .with_unknown(unknown(2)),
        ],
    )]);
    assert!(plan(&actual, &table([(web(), vec![server(1, 1)])])).is_empty());
}

/// `OP-13`: every stage in its place.
#[test]
fn capacity_is_added_before_it_is_taken_away() {
    let mail = VirtualService::tcp("192.0.2.10:25".parse().unwrap());
    let actual = table([
        (dns(), vec![server(9, 1)]),
        (
            web(),
            vec![server(1, 1), server(2, 4), server(3, 1), server(4, 1)],
        ),
    ]);
    let tunnel = server(4, 1).with_forwarding(crate::Forwarding::Tunnel);
    let desired = table([
        (
            web().with_scheduler(Scheduler::Sh),
            vec![
                server(2, 3),
                server(7, 1),
                server(1, 2),
                tunnel,
                server(6, 1),
            ],
        ),
        (mail, vec![server(5, 1)]),
    ]);
    let plan = plan(&actual, &desired);
    assert_eq!(
        lines(&plan),
        [
            "-A -t 192.0.2.10:25 -s wlc",
            "-a -t 192.0.2.10:25 -r 10.0.0.5:80 -m -w 1",
            "-a -t 192.0.2.10:80 -r 10.0.0.7:80 -m -w 1",
            "-a -t 192.0.2.10:80 -r 10.0.0.6:80 -m -w 1",
            "-e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 2",
            "-E -t 192.0.2.10:80 -s sh",
            "-e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 3",
            "-e -t 192.0.2.10:80 -r 10.0.0.4:80 -i -w 1",
            "-d -t 192.0.2.10:80 -r 10.0.0.3:80",
            "-D -u 192.0.2.10:53",
        ]
    );
    let causes: Vec<_> = plan.steps().iter().map(|step| &step.cause).collect();
    assert_eq!(causes[0], &Cause::Missing);
    assert_eq!(
        causes[4],
        &Cause::Changed(Box::new(Previous::Destination(server(1, 1))))
    );
    assert_eq!(
        causes[5],
        &Cause::Changed(Box::new(Previous::Service(web())))
    );
    assert_eq!(causes[8], &Cause::Surplus);
    assert_eq!(causes[9], &Cause::Surplus);
    assert!(plan.steps().iter().all(|step| !step.drift));
}

#[test]
fn one_changed_weight_is_one_request() {
    let actual = table([(web(), vec![server(1, 1), server(2, 1)])]);
    let desired = table([(web(), vec![server(1, 1), server(2, 0)])]);
    assert_eq!(
        lines(&plan(&actual, &desired)),
        ["-e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 0"]
    );
}

/// The kernel forgets what a SET leaves out.
#[test]
fn settings_that_replace_others_carry_the_attributes_nobody_knows() {
    let actual = table([(
        web().with_unknown(unknown(1)),
        vec![
            server(1, 1).with_unknown(unknown(2)),
            server(2, 2).with_unknown(unknown(3)),
        ],
    )]);
    let desired = table([(
        web().with_scheduler(Scheduler::Rr),
        vec![
            server(1, 2),
            server(2, 1).with_unknown(unknown(4)),
            server(3, 1),
        ],
    )]);
    let carried: Vec<_> = plan(&actual, &desired)
        .changes()
        .map(|change| match change {
            Change::AddDestination(_, destination) | Change::SetDestination(_, destination) => {
                destination.unknown().clone()
            }
            Change::SetService(service) => service.unknown().clone(),
            other => panic!("{other}"),
        })
        .collect();
    // New destination, raised, service, lowered: the last one brings its own.
    assert_eq!(
        carried,
        [
            UnknownAttributes::none(),
            unknown(2),
            unknown(1),
            unknown(4)
        ]
    );
}

/// `OP-20`
#[test]
fn what_is_outside_the_scope_is_left_alone_and_named() {
    let actual = table([(web(), vec![server(1, 1)]), (dns(), vec![server(9, 1)])]);
    let policy = Policy::new(Scope::none().with_keys([web().key()]));
    let desired = table([(dns(), vec![server(8, 1)])]);
    let plan = plan_with(&actual, &desired, &policy);
    assert_eq!(lines(&plan), ["-D -t 192.0.2.10:80"]);
    assert_eq!(plan.outside_scope(), [dns().key()]);
}

#[test]
fn surplus_is_kept_on_request_services_and_destinations_apart() {
    let actual = table([(web(), vec![server(1, 1)]), (dns(), vec![server(9, 1)])]);
    let desired = table([(web(), vec![server(2, 1)])]);
    let policy = Policy::new(Scope::all());

    let services = policy.clone().with_surplus_services(Surplus::Keep);
    assert_eq!(
        lines(&plan_with(&actual, &desired, &services)),
        [
            "-a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 1",
            "-d -t 192.0.2.10:80 -r 10.0.0.1:80"
        ]
    );
    let destinations = policy.with_surplus_destinations(Surplus::Keep);
    assert_eq!(
        lines(&plan_with(&actual, &desired, &destinations)),
        [
            "-a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 1",
            "-D -u 192.0.2.10:53"
        ]
    );
}

/// The dump cursor is an index: what changes meanwhile makes it repeat entries.
#[test]
fn entries_repeated_by_a_torn_dump_count_once() {
    let actual = table([(web(), vec![server(1, 1), server(2, 1)])]);
    let mut snapshot = Snapshot::from(&actual);
    snapshot.agreed = false;
    let repeated: Vec<DestinationEntry> = snapshot.services[0].destinations.clone();
    snapshot.services[0].destinations.extend(repeated);
    let again: SnapshotService = snapshot.services[0].clone();
    snapshot.services.push(again);

    let policy = Policy::new(Scope::all());
    assert!(Plan::new(Actual(&snapshot), Desired(&actual), &policy).is_empty());
    let fewer = table([(web(), vec![server(1, 1)])]);
    let plan = Plan::new(Actual(&snapshot), Desired(&fewer), &policy);
    assert_eq!(lines(&plan), ["-d -t 192.0.2.10:80 -r 10.0.0.2:80"]);
    let plan = Plan::new(Actual(&snapshot), Desired(&Table::new()), &policy);
    assert_eq!(lines(&plan), ["-D -t 192.0.2.10:80"]);
}

mod guards {
    use super::*;

    /// The guarded steps, and for each whether it may go when only `done` is done.
    fn guarded(plan: &Plan, done: usize) -> Vec<(usize, bool)> {
        (0..plan.len())
            .filter(|step| plan.is_guarded(*step))
            .map(|step| (step, plan.permits(step, |index| index == done)))
            .collect()
    }

    /// `OP-13`: a refused replacement must not take the service down.
    #[test]
    fn a_swap_waits_for_what_takes_over() {
        let actual = table([
            (web(), vec![server(1, 1), server(2, 0), server(3, 1)]),
            (dns(), vec![server(1, 1)]),
        ]);
        let desired = table([
            (
                web(),
                vec![server(2, 2), server(3, 0), server(4, 0), server(5, 1)],
            ),
            (dns(), vec![server(1, 1), server(2, 1)]),
        ]);
        let plan = plan(&actual, &desired);
        assert_eq!(
            lines(&plan),
            [
                "-a -t 192.0.2.10:80 -r 10.0.0.4:80 -m -w 0",
                "-a -t 192.0.2.10:80 -r 10.0.0.5:80 -m -w 1",
                "-a -u 192.0.2.10:53 -r 10.0.0.2:80 -m -w 1",
                "-e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 2",
                "-e -t 192.0.2.10:80 -r 10.0.0.3:80 -m -w 0",
                "-d -t 192.0.2.10:80 -r 10.0.0.1:80",
            ]
        );
        // A new destination of weight 0 takes nothing over, nor does one of another service.
        for (done, permitted) in [(0, false), (1, true), (2, false), (3, true)] {
            assert_eq!(
                guarded(&plan, done),
                [(4, permitted), (5, permitted)],
                "{done}"
            );
        }
        assert!(plan.permits(0, |_| false));
        assert!(!plan.permits(plan.len(), |_| true));
    }

    #[test]
    fn a_destination_that_stays_makes_guards_needless() {
        let actual = table([(web(), vec![server(1, 1), server(2, 1)])]);
        let desired = table([(web(), vec![server(2, 5), server(3, 1)])]);
        assert_eq!(guarded(&plan(&actual, &desired), 0), []);

        let keep = Policy::new(Scope::all()).with_surplus_destinations(Surplus::Keep);
        let desired = table([(web(), vec![server(1, 0), server(3, 1)])]);
        assert_eq!(guarded(&plan_with(&actual, &desired, &keep), 0), []);
    }

    #[test]
    fn a_service_meant_to_be_empty_is_not_guarded() {
        let actual = table([(web(), vec![server(1, 1), server(2, 1)])]);
        let desired = table([(web(), vec![server(1, 0), server(3, 0)])]);
        assert_eq!(guarded(&plan(&actual, &desired), 0), []);
    }

    #[test]
    fn what_is_not_usable_can_go_at_any_time() {
        let actual = table([(web(), vec![server(1, 1), server(2, 0), server(3, 0)])]);
        let thresholds = server(3, 0).with_thresholds(1, 2);
        let desired = table([(web(), vec![server(4, 1), thresholds])]);
        let plan = plan(&actual, &desired);
        assert_eq!(
            lines(&plan),
            [
                "-a -t 192.0.2.10:80 -r 10.0.0.4:80 -m -w 1",
                "-e -t 192.0.2.10:80 -r 10.0.0.3:80 -m -w 0 -x 2 -y 1",
                "-d -t 192.0.2.10:80 -r 10.0.0.1:80",
                "-d -t 192.0.2.10:80 -r 10.0.0.2:80",
            ]
        );
        assert_eq!(guarded(&plan, 0), [(2, true)]);
    }
}

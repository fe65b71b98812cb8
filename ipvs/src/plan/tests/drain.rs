use super::*;

/// What the kernel reports of a destination: its weight, its connections, its templates.
struct Seen(Destination, u32, u32);

fn look(services: &[(VirtualService, &[Seen])]) -> Snapshot {
    let mut table = Table::new();
    for (service, list) in services {
        table.insert(service.clone(), list.iter().map(|seen| seen.0.clone()));
    }
    let mut snapshot = Snapshot::from(&table);
    for service in &mut snapshot.services {
        let key = service.entry.service.key();
        let list = services.iter().find(|(service, _)| service.key() == key);
        for entry in &mut service.destinations {
            let key = entry.destination.key();
            let seen = list.unwrap().1.iter().find(|seen| seen.0.key() == key);
            let seen = seen.unwrap();
            // Half of them count as inactive.
            entry.active_connections = seen.1.div_ceil(2);
            entry.inactive_connections = seen.1 / 2;
            entry.persistent_connections = seen.2;
        }
    }
    snapshot
}

fn draining() -> Policy {
    Policy::new(Scope::all())
        .with_surplus_services(Surplus::Drain)
        .with_surplus_destinations(Surplus::Drain)
}

fn drain(actual: &[(VirtualService, &[Seen])], desired: &Table, policy: &Policy) -> Vec<String> {
    let snapshot = look(actual);
    let plan = Plan::new(Actual(&snapshot), Desired(desired), policy);
    let step = |step: &PlanStep| format!("{} # {}", step.change, step.cause);
    plan.steps()
        .iter()
        .map(step)
        .map(|line| line.strip_prefix("ipvsadm ").unwrap().to_owned())
        .collect()
}

const QUIET: &str = "-e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 0 # draining";
const GONE: &str = "-d -t 192.0.2.10:80 -r 10.0.0.2:80 # drained";

/// `OP-11`: new connections first, then the wait, then the removal.
#[test]
fn a_surplus_destination_is_quieted_then_waited_for_then_removed() {
    let desired = table([(web(), vec![server(1, 1)])]);
    for (weight, connections, expected) in [
        (3, 5, vec![QUIET]),
        // A connection may have come in since the look.
        (3, 0, vec![QUIET]),
        (0, 5, vec![]),
        (0, 1, vec![]),
        (0, 0, vec![GONE]),
    ] {
        let actual = [
            Seen(server(1, 1), 9, 0),
            Seen(server(2, weight), connections, 7),
        ];
        let steps = drain(&[(web(), &actual)], &desired, &draining());
        assert_eq!(
            steps, expected,
            "weight {weight}, {connections} connections"
        );
    }
}

#[test]
fn templates_count_only_on_request() {
    let desired = table([(web(), vec![server(1, 1)])]);
    let actual = [Seen(server(1, 1), 0, 0), Seen(server(2, 0), 0, 1)];
    let actual = [(web(), &actual[..])];
    assert_eq!(drain(&actual, &desired, &draining()), [GONE]);
    let patient = draining().with_drain(Drain::new().with_persistent(true));
    assert_eq!(drain(&actual, &desired, &patient), Vec::<String>::new());
}

#[test]
fn connections_that_are_not_active_count_unless_they_shall_not() {
    let desired = table([(web(), vec![server(1, 1)])]);
    // Of one connection none is inactive, of two one is active and one is not.
    let actual = [Seen(server(1, 1), 0, 0), Seen(server(2, 0), 2, 0)];
    let mut snapshot = look(&[(web(), &actual)]);
    snapshot.services[0].destinations[0].active_connections = 0;
    for (inactive, steps) in [(true, 0), (false, 1)] {
        let policy = draining().with_drain(Drain::new().with_inactive(inactive));
        let plan = Plan::new(Actual(&snapshot), Desired(&desired), &policy);
        assert_eq!(plan.len(), steps);
    }
}

/// `OP-10`
#[test]
fn destinations_of_udp_services_are_removed_at_once_unless_they_shall_drain() {
    let desired = table([(dns(), vec![server(1, 1)])]);
    let actual = [Seen(server(1, 1), 0, 0), Seen(server(2, 1), 4, 0)];
    let actual = [(dns(), &actual[..])];
    assert_eq!(
        drain(&actual, &desired, &draining()),
        ["-d -u 192.0.2.10:53 -r 10.0.0.2:80 # surplus"]
    );
    let patient = draining().with_drain(Drain::new().with_udp(true));
    assert_eq!(
        drain(&actual, &desired, &patient),
        ["-e -u 192.0.2.10:53 -r 10.0.0.2:80 -m -w 0 # draining"]
    );
    assert_eq!(
        drain(&actual, &Table::new(), &draining()),
        ["-D -u 192.0.2.10:53 # surplus"]
    );
}

#[test]
fn a_surplus_service_goes_as_a_whole_when_all_of_it_has_drained() {
    let nothing = Table::new();
    let services = |one: Seen, two: Seen| drain(&[(web(), &[one, two])], &nothing, &draining());
    assert_eq!(
        services(Seen(server(1, 0), 0, 0), Seen(server(2, 1), 3, 0)),
        [QUIET]
    );
    assert_eq!(
        services(Seen(server(1, 0), 1, 0), Seen(server(2, 0), 0, 0)),
        Vec::<String>::new()
    );
    assert_eq!(
        services(Seen(server(1, 0), 0, 0), Seen(server(2, 0), 0, 0)),
        ["-D -t 192.0.2.10:80 # drained"]
    );
    let empty: [Seen; 0] = [];
    assert_eq!(
        drain(&[(web(), &empty)], &nothing, &draining()),
        ["-D -t 192.0.2.10:80 # surplus"]
    );
}

/// `OP-13`: quieting the last usable destination takes it from the service just as removal does.
#[test]
fn quieting_waits_for_what_takes_over() {
    let desired = table([(web(), vec![server(1, 1)])]);
    let snapshot = look(&[(web(), &[Seen(server(2, 1), 1, 0)])]);
    let plan = Plan::new(Actual(&snapshot), Desired(&desired), &draining());
    assert_eq!(plan.len(), 2);
    assert!(plan.is_guarded(1));
    assert!(!plan.permits(1, |_| false));
    assert!(plan.permits(1, |step| step == 0));
}

#[test]
fn what_drains_keeps_its_other_settings() {
    let tunnel = Destination::tunnel("10.0.0.2:80".parse().unwrap())
        .with_encapsulation(Encapsulation::gue(6080))
        .with_thresholds(1, 2)
        .with_weight(4)
        .with_unknown(unknown(1));
    let snapshot = look(&[(web(), &[Seen(tunnel.clone(), 1, 0)])]);
    let empty = table([(web(), vec![])]);
    let plan = Plan::new(Actual(&snapshot), Desired(&empty), &draining());
    let quiet = tunnel.with_weight(0);
    let change = Change::SetDestination(web().key(), quiet);
    assert_eq!(plan.changes().collect::<Vec<_>>(), [&change]);
}

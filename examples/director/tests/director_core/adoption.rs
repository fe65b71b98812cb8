//! What the director makes of a table it finds (spec §3.8, A0 to A6).

use core::net::Ipv4Addr;

use lvs_healthcheck::policy::Health;
use lvs_ipvs::{Destination, Scheduler, Table, VirtualService};

use crate::bed::Bed;
use crate::history::Spec;

/// The service of a simple specification with servers of these weights.
fn found(weights: &[(u8, u32)]) -> Table {
    let service = VirtualService::tcp("192.0.2.1:80".parse().unwrap());
    let service = service.with_scheduler(Scheduler::Wrr);
    let servers = weights.iter().map(|(last, weight)| {
        let address = (Ipv4Addr::new(10, 0, 0, *last), 80).into();
        Destination::masquerade(address).with_weight(*weight)
    });
    let mut table = Table::new();
    table.insert(service, servers);
    table
}

/// A1 and A2: nothing is written before the first verdicts, then the pipeline decides.
#[test]
fn what_serves_goes_on_as_it_is_until_its_checks_have_said_something() {
    let mut bed = Bed::found(&Spec::simple(&[3, 4]), &found(&[(1, 9), (2, 4)]));
    bed.settle();
    assert_eq!((bed.weights(0), bed.written), (vec![Some(9), Some(4)], 0));
    bed.report(0, 0, Health::Up);
    bed.report(0, 1, Health::Down);
    bed.settle();
    assert_eq!(bed.weights(0), [Some(3), None]);
}

/// A3: a weight of 0 is not inherited, and not raised before a success.
#[test]
fn what_is_quiet_stays_quiet_until_it_proves_to_be_up() {
    let mut bed = Bed::found(&Spec::simple(&[3, 4]), &found(&[(1, 0), (2, 0)]));
    bed.settle();
    assert_eq!((bed.weights(0), bed.written), (vec![Some(0), Some(0)], 0));
    bed.report(0, 0, Health::Up);
    bed.settle();
    assert_eq!(bed.weights(0), [Some(3), Some(0)]);
}

/// A4: with alpha it waits, without it comes at once.
#[test]
fn what_is_missing_comes_at_once_or_with_its_first_success() {
    let mut spec = Spec::simple(&[3, 4]);
    spec.services[0].servers[1].alpha = true;
    let mut bed = Bed::found(&spec, &found(&[]));
    bed.settle();
    assert_eq!(bed.weights(0), [Some(3), None]);
    bed.report(0, 1, Health::Up);
    bed.settle();
    assert_eq!(bed.weights(0), [Some(3), Some(4)]);
}

/// A5: by the same rule as what leaves the configuration.
#[test]
fn what_is_not_configured_leaves_as_if_it_had_been() {
    for (drain, expected) in [(None, None), (Some(60), Some(0))] {
        let mut spec = Spec::simple(&[3]);
        spec.drain = drain;
        let mut bed = Bed::found(&spec, &found(&[(1, 3), (8, 5)]));
        bed.connections = 1;
        bed.settle();
        let mut stray = spec.services[0].servers[0].clone();
        stray.last = 8;
        assert_eq!(bed.weights_of(0, &[&stray]), [expected]);
        bed.connections = 0;
        bed.settle();
        assert_eq!(bed.weights_of(0, &[&stray]), [None]);
        assert_eq!(bed.weights(0), [Some(3)]);
    }
}

/// A6: ready when all have their verdicts, or their time is over.
#[test]
fn it_is_ready_when_every_server_had_its_verdict() {
    let is_ready = |bed: &Bed| bed.said.iter().any(|event| event.to_string() == "ready");
    let mut bed = Bed::found(&Spec::simple(&[3, 4]), &found(&[(1, 9)]));
    bed.settle();
    bed.report(0, 0, Health::Up);
    bed.settle();
    assert!(!is_ready(&bed));
    bed.report(0, 1, Health::Down);
    bed.settle();
    assert!(is_ready(&bed));

    let mut late = Bed::new(&Spec::simple(&[3]));
    late.settle();
    assert!(!is_ready(&late));
    late.now = late.director.next_deadline().unwrap();
    late.settle();
    assert!(is_ready(&late));
}

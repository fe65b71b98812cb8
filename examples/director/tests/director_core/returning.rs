//! What leaves the configuration and is in it again before it is gone; and the two halves of a reload.

use core::time::Duration;

use director::director::Role;
use lvs_healthcheck::policy::Health;

use crate::bed::Bed;
use crate::history::{ServiceSpec, Spec};

/// A service that stays, and one that comes and goes, with a drain.
fn both() -> Spec {
    let mut spec = Spec::simple(&[1]);
    spec.services.push(ServiceSpec::simple(2, &[3, 4]));
    spec.drain = Some(60);
    spec
}

fn first_alone() -> Spec {
    let mut spec = both();
    spec.services.truncate(1);
    spec
}

/// All is well, the second service has connections and has left the file.
fn leaving(spec: &Spec) -> Bed {
    let mut bed = Bed::new(spec);
    bed.settle();
    bed.report_all(Health::Up);
    bed.settle();
    bed.connections = 7;
    let mut without = spec.clone();
    without.services.truncate(1);
    bed.reload(&without);
    bed.settle();
    assert!(bed.director.is_draining());
    bed
}

/// Nothing is removed and added: its servers are written once each, to get their weights back.
#[test]
fn a_service_that_returns_while_it_drains_keeps_its_connections() {
    let spec = both();
    let mut bed = leaving(&spec);
    let written = bed.written;
    bed.reload(&spec);
    let lines = bed.settle();
    let cancelled = "service TCP 192.0.2.2:80: 10.0.0.1:80 drains no more";
    assert!(lines.iter().any(|line| line == cancelled), "{lines:#?}");
    // Its checks are new, and may say that a server has gone meanwhile.
    assert_eq!(bed.weights(1), [Some(0), Some(0)]);
    assert_eq!(bed.written, written);
    bed.report(1, 0, Health::Up);
    bed.report(1, 1, Health::Down);
    bed.settle();
    assert_eq!(bed.weights(1), [Some(3), None]);
    bed.report(1, 1, Health::Up);
    bed.settle();
    assert_eq!(bed.weights(1), [Some(3), Some(4)]);
    assert_eq!(bed.written, written + 3);
    // The end of the drain that was does not matter any more.
    bed.pass(Duration::from_secs(61));
    bed.settle();
    bed.check();
    assert_eq!(bed.weights(1), [Some(3), Some(4)]);
}

#[test]
fn without_checks_the_weights_are_back_at_once() {
    let mut spec = both();
    for server in &mut spec.services[1].servers {
        server.ports.clear();
    }
    let mut bed = leaving(&spec);
    let written = bed.written;
    bed.reload(&spec);
    bed.settle();
    assert_eq!(bed.weights(1), [Some(3), Some(4)]);
    assert_eq!(bed.written, written + 2);
}

/// One of its servers is not configured any more: that one goes on draining.
#[test]
fn a_server_that_does_not_return_with_its_service_drains_on() {
    let spec = both();
    let mut bed = leaving(&spec);
    let mut smaller = spec.clone();
    let left = smaller.services[1].servers.remove(0);
    bed.reload(&smaller);
    bed.settle();
    bed.report(1, 0, Health::Up);
    bed.settle();
    assert_eq!(bed.weights(1), [Some(4)]);
    assert_eq!(bed.weights_of(1, &[&left]), [Some(0)]);
    bed.connections = 0;
    bed.pass(Duration::from_secs(1));
    bed.settle();
    assert_eq!(bed.weights_of(1, &[&left]), [None]);
}

/// Its health is known, so that it need not wait for its checks.
#[test]
fn a_server_that_returns_while_it_drains_is_written_once() {
    let spec = both();
    let mut bed = Bed::new(&spec);
    bed.settle();
    bed.report_all(Health::Up);
    bed.settle();
    bed.connections = 7;
    let mut smaller = spec.clone();
    smaller.services[1].servers.remove(1);
    bed.reload(&smaller);
    bed.settle();
    let written = bed.written;
    bed.reload(&spec);
    bed.settle();
    assert_eq!(bed.weights(1), [Some(3), Some(4)]);
    assert_eq!(bed.written, written + 1);
}

/// So that addresses can come after the first half, and go before the other.
#[test]
fn what_goes_stays_until_the_reload_is_finished() {
    for drain in [None, Some(60)] {
        let mut bed = Bed::new(&Spec { drain, ..both() });
        bed.settle();
        bed.report_all(Health::Up);
        bed.connections = 7;
        bed.settle();
        let mut other = Spec { drain, ..both() };
        let gone = other.services.remove(1);
        other.services.push(ServiceSpec::simple(3, &[5]));
        bed.director.begin_reload(bed.now, &other.setup()).unwrap();
        bed.settle();
        assert!(bed.director.is_reloading());
        let table = bed.director.desired();
        let weights = |key| {
            let weights = table.destinations(&key).iter().map(|it| it.weight());
            weights.collect::<Vec<_>>()
        };
        assert_eq!(weights(other.services[1].key()), [5]);
        assert_eq!(weights(gone.key()), [3, 4], "as it was");
        bed.director.finish_reload(bed.now);
        bed.settle();
        assert!(!bed.director.is_reloading());
        let table = bed.director.desired();
        let left: Vec<_> = table.destinations(&gone.key()).to_vec();
        let expected = drain.map_or(0, |_| 2);
        assert_eq!(left.len(), expected);
        assert!(left.iter().all(|it| it.weight() == 0), "{left:?}");
        assert_eq!(table.get(&gone.key()).is_some(), drain.is_some());
        // Nothing is left to be finished.
        let written = bed.written;
        bed.director.finish_reload(bed.now);
        bed.settle();
        assert_eq!(bed.written, written);
    }
}

/// A reload that is begun before the last was finished takes over what that one kept.
#[test]
fn what_was_kept_can_return() {
    let mut bed = Bed::new(&both());
    bed.settle();
    bed.report_all(Health::Up);
    bed.settle();
    let written = bed.written;
    let begin = |bed: &mut Bed, spec: &Spec| {
        bed.director.begin_reload(bed.now, &spec.setup()).unwrap();
        bed.settle();
    };
    begin(&mut bed, &first_alone());
    begin(&mut bed, &both());
    bed.director.finish_reload(bed.now);
    bed.settle();
    assert_eq!(bed.weights(1), [Some(3), Some(4)]);
    assert_eq!(bed.written, written);
}

/// Refused, it has changed nothing.
#[test]
fn a_director_that_stops_refuses_both_trial_and_reload() {
    let mut bed = Bed::new(&both());
    bed.settle();
    let setup = first_alone().setup();
    bed.director.try_reload(bed.now, &setup).unwrap();
    bed.director.set_role(bed.now, Role::Active);
    bed.director
        .stop(bed.now, director::director::Shutdown::Leave);
    let (tried, begun) = (
        bed.director.try_reload(bed.now, &setup),
        bed.director.begin_reload(bed.now, &setup),
    );
    assert_eq!(tried.unwrap_err(), begun.unwrap_err());
    bed.settle();
    assert_eq!(bed.weights(1), [Some(3), Some(4)]);
}

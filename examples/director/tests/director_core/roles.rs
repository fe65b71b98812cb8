//! Roles, and the end.

use core::time::Duration;

use director::director::{Role, Shutdown};
use lvs_healthcheck::policy::Health;

use crate::bed::Bed;
use crate::history::Spec;

/// `OP-19`: what checks say meanwhile is there at once when the standby becomes active.
#[test]
fn an_empty_standby_has_the_right_table_as_soon_as_it_is_active() {
    let mut bed = Bed::new(&Spec::simple(&[3, 4]));
    bed.director.set_role(bed.now, Role::Standby);
    bed.settle();
    assert_eq!(bed.weights(0), [None, None]);
    bed.report(0, 0, Health::Down);
    bed.report(0, 1, Health::Up);
    bed.settle();
    bed.check();
    bed.director.set_role(bed.now, Role::Active);
    bed.settle();
    assert_eq!(bed.weights(0), [None, Some(4)]);
    bed.director.set_role(bed.now, Role::Standby);
    bed.settle();
    bed.check();
    assert_eq!(bed.weights(0), [None, None]);
}

/// Rules O4 and O5 of the specification's §3.7.
#[test]
fn the_end_is_as_told() {
    for (how, expected) in [
        (Shutdown::Leave, [Some(3), Some(4)]),
        (Shutdown::Remove, [None, None]),
        (Shutdown::Zero, [Some(0), Some(0)]),
        (Shutdown::Drain, [Some(0), Some(0)]),
    ] {
        let mut spec = Spec::simple(&[3, 4]);
        spec.services[0].omega = true;
        spec.drain = Some(60);
        let mut bed = Bed::new(&spec);
        bed.settle();
        bed.connections = 1;
        bed.director.stop(bed.now, how);
        let lines = bed.settle();
        assert_eq!(bed.weights(0), expected, "{how:?}");
        let at = |words: &str| lines.iter().position(|line| line.contains(words));
        // Servers, then the quorum, then the service.
        assert!(at("10.0.0.1:80 is down").unwrap() < at("quorum lost").unwrap());
        assert!(at("quorum lost").unwrap() < at("service ended").unwrap());
        // Nothing counts any more but time.
        bed.report(0, 0, Health::Down);
        bed.settle();
        assert_eq!(bed.weights(0), expected, "{how:?}");
        assert!(bed.director.reload(bed.now, &spec.setup()).is_err());
        assert_eq!(bed.director.is_over(), how != Shutdown::Drain);
        bed.pass(Duration::from_secs(60));
        bed.settle();
        assert!(bed.director.is_over());
        if how == Shutdown::Drain {
            assert_eq!(bed.weights(0), [None, None]);
            assert!(bed.director.desired().is_empty());
        }
    }
}

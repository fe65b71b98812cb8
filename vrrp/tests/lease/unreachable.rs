//! Rule 8: what happens when the arbiter cannot be reached.

use core::time::Duration;

use lvs_vrrp::GuardStatus;
use lvs_vrrp::lease::{Lease, LeaseEvent, MemoryStore, WhenUnreachable};
use lvs_vrrp::timer::NEVER;

use crate::rig::{config, events, holding, is_held, jobs, lease, ms, rank, run, serve, verbs};

const START: Duration = ms(60_000);
/// When a lease of this start that is not renewed is lost.
const DEADLINE: Duration = ms(60_000 + 8_990);

const OPEN: GuardStatus = GuardStatus::Held {
    until: NEVER,
    epoch: 1,
};

fn with(policy: WhenUnreachable) -> Lease {
    holding(config().with_when_unreachable(policy), START)
}

/// Whether the guard is held after the deadline, with a store that does not answer.
fn goes_on(lease: &mut Lease) -> bool {
    run(lease, DEADLINE, &mut [None]);
    is_held(lease)
}

/// Closed by default, open if told so, open if alone only while alone.
#[test]
fn the_policy_decides() {
    let table = [
        (WhenUnreachable::FailClosed, false, false),
        (WhenUnreachable::FailClosed, true, false),
        (WhenUnreachable::FailOpen, false, true),
        (WhenUnreachable::FailOpenIfAlone, false, false),
        (WhenUnreachable::FailOpenIfAlone, true, true),
    ];
    for (policy, is_alone, goes) in table {
        let mut lease = with(policy);
        lease.set_alone(START, is_alone);
        assert_eq!(goes_on(&mut lease), goes, "{policy:?}, alone: {is_alone}");
        assert_eq!(lease.is_open(), goes);
        let told = events(&mut lease).contains(&LeaseEvent::Opened);
        assert_eq!(told, goes);
        if goes {
            assert_eq!(lease.status(), OPEN);
            assert_eq!(lease.exclusive_until(), None);
        }
    }
    assert_eq!(config().when_unreachable(), WhenUnreachable::FailClosed);
}

/// Not to be alone any more ends it at once.
#[test]
fn company_closes() {
    let mut lease = with(WhenUnreachable::FailOpenIfAlone);
    lease.set_alone(START, true);
    assert!(goes_on(&mut lease));
    lease.set_alone(DEADLINE + ms(10), false);
    assert_eq!(lease.status(), GuardStatus::Unknown);
    let told = events(&mut lease);
    assert_eq!(told.last(), Some(&LeaseEvent::Closed));
}

/// An arbiter that is back decides: for us, then it is held again without a gap, or for another.
#[test]
fn the_arbiter_decides_when_it_is_back() {
    for other_has_it in [false, true] {
        let mut lease = with(WhenUnreachable::FailOpen);
        assert!(goes_on(&mut lease));
        events(&mut lease);
        let mut store = MemoryStore::new();
        let now = DEADLINE + ms(5000);
        if other_has_it {
            let mut other = Lease::new(config(), lvs_vrrp::lease::HolderId::new(9));
            other.request(now, rank(100));
            let mut stores = [Some(store)];
            serve(&mut other, now, &mut stores);
            store = stores[0].take().unwrap();
        }
        run(&mut lease, now, &mut [None]);
        assert!(lease.is_open());
        run(&mut lease, now + ms(3000), &mut [Some(store)]);
        assert!(!lease.is_open());
        assert_eq!(is_held(&lease), !other_has_it);
        assert!(lease.stop_at().is_some() != other_has_it);
        let told = events(&mut lease);
        assert!(told.contains(&LeaseEvent::Closed));
        let lost = |event: &LeaseEvent| matches!(event, LeaseEvent::Lost(_));
        assert!(!told.iter().any(lost));
        if other_has_it {
            // Nothing is asked for until the addresses are gone.
            assert_eq!(lease.status(), GuardStatus::HeldByOther);
            lease.request(now + ms(3000), rank(100));
            assert_eq!(verbs(&mut lease), [""; 0]);
        }
    }
}

/// A store that answers, but has given the lease to another, is not unreachable.
#[test]
fn a_revoked_lease_does_not_open() {
    let mut lease = with(WhenUnreachable::FailOpen);
    run(
        &mut lease,
        START + ms(9000),
        &mut [Some(MemoryStore::new())],
    );
    assert!(!is_held(&lease) && !lease.is_open());
}

/// After a pause nothing is known of the arbiter.
#[test]
fn a_pause_does_not_open() {
    let mut lease = with(WhenUnreachable::FailOpen);
    lease.tick(START + ms(2900));
    jobs(&mut lease);
    lease.tick(DEADLINE + ms(701));
    assert!(!is_held(&lease));
    let mut lease = with(WhenUnreachable::FailOpen);
    lease.stalled(START + ms(10));
    assert!(!is_held(&lease));
}

/// Doubt ends what is open, too: another may have become Active.
#[test]
fn doubt_closes() {
    let mut lease = with(WhenUnreachable::FailOpen);
    assert!(goes_on(&mut lease));
    lease.stalled(DEADLINE + ms(10));
    assert_eq!(lease.status(), GuardStatus::Unknown);
}

/// Who never had the lease goes on without it when one that it knows nothing of would be over:
/// D·(1 + ρ) after it asked first.
#[test]
fn a_candidate_waits_for_the_time_of_a_lease() {
    for (policy, opens) in [
        (WhenUnreachable::FailClosed, false),
        (WhenUnreachable::FailOpen, true),
    ] {
        let config = config().with_when_unreachable(policy);
        let mut lease = lease(config);
        lease.request(START, rank(100));
        run(&mut lease, START + ms(10_009), &mut [None]);
        assert!(!is_held(&lease));
        run(&mut lease, START + ms(10_010), &mut [None]);
        assert_eq!(is_held(&lease), opens);
    }
}

/// To withdraw ends it like any lease: nothing to release before the addresses are gone.
#[test]
fn an_open_one_is_withdrawn() {
    let mut lease = with(WhenUnreachable::FailOpen);
    assert!(goes_on(&mut lease));
    let now = DEADLINE + ms(10);
    lease.withdraw(now);
    assert_eq!(lease.status(), GuardStatus::Unknown);
    jobs(&mut lease);
    lease.addresses_gone(now);
    assert_eq!(verbs(&mut lease), ["release"]);
}

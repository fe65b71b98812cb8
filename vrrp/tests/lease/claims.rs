//! Preemption by claims, and taking back what a claimant does not use. §4.3.

use core::time::Duration;

use lvs_vrrp::lease::{
    Claim, HolderId, Lease, LeaseAnswer, LeaseConfig, LeaseEvent, LeaseRequest, MemoryStore,
};
use lvs_vrrp::{GuardStatus, Priority, Rank};

use crate::rig::{
    config, events, granted, is_held, jobs, lease, ms, rank, refused, run, serve, verb, verbs,
};

const START: Duration = ms(60_000);

fn preempting() -> LeaseConfig {
    config().with_preemption(ms(3609)).unwrap()
}

const fn claim(rank: Rank) -> Claim {
    Claim {
        holder: HolderId::new(2),
        rank,
    }
}

/// A holder whose rank is 100 at 192.0.2.9, with its store.
fn holder(config: LeaseConfig) -> (Lease, [Option<MemoryStore>; 1]) {
    let mut stores = [Some(MemoryStore::new())];
    let mut lease = lease(config);
    lease.request(START, rank(100));
    serve(&mut lease, START, &mut stores);
    assert!(is_held(&lease));
    events(&mut lease);
    (lease, stores)
}

/// With each attempt that is refused, and only with preemption.
#[test]
fn who_is_refused_writes_a_claim() {
    for (config, expected) in [(config(), None), (preempting(), Some(ms(10_000)))] {
        let mut lease = lease(config);
        lease.request(START, rank(150));
        let job = lease.poll_job().unwrap();
        lease.answer(START, job.id, refused(2, 1));
        let written = lease.poll_job().map(|job| job.request);
        let own = Claim {
            holder: lease.holder(),
            rank: rank(150),
        };
        let expected = expected.map(|duration| LeaseRequest::WriteClaim {
            claim: own,
            duration,
        });
        assert_eq!(written, expected);
    }
}

/// While the store lets time pass there is nobody to give way.
#[test]
fn nothing_is_claimed_from_nobody() {
    let mut lease = lease(preempting());
    lease.request(START, rank(150));
    let job = lease.poll_job().unwrap();
    let nobody = LeaseAnswer::Refused {
        holder: None,
        epoch: 1,
    };
    lease.answer(START, job.id, nobody);
    assert_eq!(verbs(&mut lease), [""; 0]);
}

/// The holder reads claims with each renewal, and gives way to one that beats its rank: a greater
/// priority, or the same and a greater address.
#[test]
fn a_holder_gives_way_to_a_better_claim_only() {
    let at = |priority, last| Rank::new(Priority::new(priority), [192, 0, 2, last].into());
    let table = [
        (at(101, 1), true),
        (at(100, 10), true),
        (at(100, 9), false),
        (at(100, 8), false),
        (at(99, 200), false),
    ];
    for (rank, yields) in table {
        let (mut lease, _) = holder(preempting());
        lease.tick(START + ms(2900));
        let asked = jobs(&mut lease);
        assert_eq!(
            asked.iter().map(verb).collect::<Vec<_>>(),
            ["renew", "read claims"]
        );
        let answer = LeaseAnswer::Claims(Some(claim(rank)));
        lease.answer(START + ms(2900), asked[1].id, answer);
        let expected = yields.then_some(LeaseEvent::Yield(claim(rank)));
        assert_eq!(lease.poll_event(), expected);
        // It is held until it is withdrawn.
        assert!(is_held(&lease));
    }
}

/// The rank compared with is the present one.
#[test]
fn a_change_of_rank_counts() {
    let (mut lease, _) = holder(preempting());
    lease.set_rank(rank(200));
    lease.tick(START + ms(2900));
    let asked = jobs(&mut lease);
    let answer = LeaseAnswer::Claims(Some(claim(rank(150))));
    lease.answer(START + ms(2900), asked[1].id, answer);
    assert_eq!(lease.poll_event(), None);
}

/// Without preemption claims are neither read nor heard.
#[test]
fn without_preemption_nobody_reads_claims() {
    let (mut lease, _) = holder(config());
    lease.tick(START + ms(2900));
    assert_eq!(verbs(&mut lease), ["renew"]);
}

/// The whole hand-over, through a store: claim, addresses gone, lease released, granted.
#[test]
fn a_claimant_gets_the_lease_well_before_it_would_end() {
    let (mut old, mut stores) = holder(preempting());
    let mut new = Lease::new(preempting(), HolderId::new(2));
    new.request(START, rank(150));
    serve(&mut new, START, &mut stores);
    assert_eq!(new.status(), GuardStatus::HeldByOther);
    let now = START + ms(2900);
    run(&mut old, now, &mut stores);
    let told = events(&mut old);
    let better = claim(rank(150));
    assert!(told.contains(&LeaseEvent::Yield(better)), "{told:?}");
    old.withdraw(now);
    serve(&mut old, now, &mut stores);
    assert_eq!(stores[0].as_ref().unwrap().holder(), Some(HolderId::new(1)));
    old.addresses_gone(now + ms(200));
    serve(&mut old, now + ms(200), &mut stores);
    new.store_changed(now + ms(201));
    serve(&mut new, now + ms(201), &mut stores);
    let until = now + ms(201) + ms(8990);
    assert_eq!(new.status(), GuardStatus::Held { until, epoch: 2 });
    // The old one may want it again, but asks after two down intervals of 3.609 s only.
    old.request(now + ms(300), rank(100));
    let mut changes_its_mind = old.clone();
    changes_its_mind.withdraw(now + ms(400));
    assert_eq!(verbs(&mut changes_its_mind), [""; 0]);
    let asked = now + ms(7218);
    assert_eq!(old.next_deadline(), Some(asked));
    run(&mut old, asked, &mut stores);
    assert_eq!(old.status(), GuardStatus::HeldByOther);
}

/// Gives way to a claimant that does not take the lease, and takes it back at `back`.
fn taken_back(stores: &mut [Option<MemoryStore>; 1]) -> (Lease, Duration) {
    let (mut lease, own) = holder(preempting());
    *stores = own;
    let write = LeaseRequest::WriteClaim {
        claim: claim(rank(150)),
        duration: ms(3_600_000),
    };
    stores[0].as_mut().unwrap().handle(START, &write);
    let now = START + ms(2900);
    run(&mut lease, now, stores);
    assert!(events(&mut lease).contains(&LeaseEvent::Yield(claim(rank(150)))));
    lease.withdraw(now);
    lease.addresses_gone(now);
    lease.request(now, rank(100));
    let back = now + ms(7218);
    run(&mut lease, back - ms(1), stores);
    assert!(!is_held(&lease));
    run(&mut lease, back, stores);
    assert!(is_held(&lease));
    events(&mut lease);
    (lease, back)
}

/// A claimant that cannot be Active does not keep the lease from everybody: it is taken back after
/// two down intervals, and not given again for ten times as long.
#[test]
fn the_lease_is_taken_back() {
    let mut stores = [None];
    let (mut lease, back) = taken_back(&mut stores);
    run(&mut lease, back + ms(72_179), &mut stores);
    let told = events(&mut lease);
    let yields = |event: &LeaseEvent| matches!(event, LeaseEvent::Yield(_));
    assert!(!told.iter().any(yields) && is_held(&lease));
    run(&mut lease, back + ms(72_180 + 2900), &mut stores);
    assert!(events(&mut lease).iter().any(yields));
}

/// Only that claimant is ignored.
#[test]
fn another_claimant_is_heard() {
    let mut stores = [None];
    let (mut lease, back) = taken_back(&mut stores);
    let other = Claim {
        holder: HolderId::new(3),
        rank: rank(160),
    };
    let write = LeaseRequest::WriteClaim {
        claim: other,
        duration: ms(10_000),
    };
    stores[0].as_mut().unwrap().handle(back, &write);
    run(&mut lease, back + ms(2900), &mut stores);
    assert!(events(&mut lease).contains(&LeaseEvent::Yield(other)));
}

/// A claimant that gives up takes its claim away.
#[test]
fn a_claim_is_taken_away() {
    let mut stores = [Some(MemoryStore::new())];
    let mut old = lease(preempting());
    old.request(START, rank(100));
    serve(&mut old, START, &mut stores);
    let mut new = Lease::new(preempting(), HolderId::new(2));
    new.request(START, rank(150));
    serve(&mut new, START, &mut stores);
    let read = LeaseRequest::ReadClaims {
        holder: HolderId::new(1),
    };
    let claims = |stores: &mut [Option<MemoryStore>; 1]| {
        let store = stores[0].as_mut().unwrap();
        store.handle(START, &read)
    };
    assert_ne!(claims(&mut stores), LeaseAnswer::Claims(None));
    new.withdraw(START);
    serve(&mut new, START, &mut stores);
    assert_eq!(claims(&mut stores), LeaseAnswer::Claims(None));
}

/// A claim is written where the lease is held by another, though a round fails for want of others.
#[test]
fn a_failed_round_keeps_its_claims() {
    let config = preempting().with_stores(3).unwrap();
    let mut lease = lease(config);
    lease.request(START, rank(150));
    let asked = jobs(&mut lease);
    lease.answer(START, asked[0].id, refused(2, 1));
    lease.answer(START, asked[1].id, granted(1));
    lease.answer(START, asked[2].id, refused(2, 1));
    let told: Vec<_> = jobs(&mut lease)
        .iter()
        .map(|job| (job.id.store(), verb(job)))
        .collect();
    let expected = [(1, "release"), (0, "write claim"), (2, "write claim")];
    assert_eq!(told, expected);
}

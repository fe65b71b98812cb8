//! The majority of several stores: healthcheck case table, epochs, and deadlines.

use core::time::Duration;

use lvs_vrrp::GuardStatus;
use lvs_vrrp::lease::{
    HolderId, Lease, LeaseAnswer, LeaseConfig, LeaseEvent, LeaseRequest, LossReason, MemoryStore,
};

use crate::rig::{
    config, events, granted, is_held, jobs, lease, ms, rank, refused, run, serve, verb,
};

const START: Duration = ms(60_000);

fn of(stores: u8) -> LeaseConfig {
    config().with_stores(stores).unwrap()
}

/// Stores that answer when they are in `up`.
fn stores(up: &[bool]) -> Vec<Option<MemoryStore>> {
    let store = |up: &bool| up.then(MemoryStore::new);
    up.iter().map(store).collect()
}

/// A majority has to grant; more is not needed, less is released.
#[test]
fn it_takes_more_than_half() {
    for count in 1..=6 {
        for up in 0..=count {
            let up: Vec<_> = (0..count).map(|store| store < up).collect();
            let mut stores = stores(&up);
            let config = of(count);
            let mut lease = lease(config);
            lease.request(START, rank(100));
            serve(&mut lease, START, &mut stores);
            let granted = stores.iter().flatten().count();
            let enough = granted >= usize::from(config.majority());
            assert_eq!(is_held(&lease), enough, "{granted} of {count}");
            if !enough {
                // Those that do not answer are waited for.
                lease.tick(START + config.request_timeout());
                serve(&mut lease, START + config.request_timeout(), &mut stores);
                let kept = stores
                    .iter()
                    .flatten()
                    .filter(|store| store.holder().is_some());
                assert_eq!(kept.count(), 0, "{granted} of {count}");
                assert_eq!(lease.status(), GuardStatus::Unknown);
            }
        }
    }
}

/// The deadline follows from the request that was sent first of those the majority needs.
#[test]
fn the_deadline_follows_from_the_majority() {
    let mut lease = lease(of(3));
    lease.request(START, rank(100));
    for job in jobs(&mut lease) {
        lease.answer(START, job.id, granted(1));
    }
    // Renewals of the first, then the second, then the third store get through: at different times.
    let mut deadlines = Vec::new();
    for turn in 0..3_u8 {
        let now = lease.next_deadline().unwrap();
        lease.tick(now);
        for job in jobs(&mut lease) {
            let answer = if job.id.store() == turn {
                LeaseAnswer::Renewed
            } else {
                LeaseAnswer::Failed
            };
            lease.answer(now, job.id, answer);
        }
        deadlines.push(lease.stop_at().unwrap() - START);
    }
    // The second greatest of the three times: none, the first renewal, the second.
    assert_eq!(deadlines, [8990, 2900 + 8990, 4300 + 8990].map(ms));
}

/// One store of three may be lost, and comes back; two may not.
#[test]
fn the_loss_of_a_store_is_tolerated() {
    let mut stores = stores(&[true; 3]);
    let mut lease = lease(of(3));
    lease.request(START, rank(100));
    serve(&mut lease, START, &mut stores);
    let gone = stores[1].take();
    run(&mut lease, START + ms(60_000), &mut stores);
    assert!(is_held(&lease));
    let mut told = events(&mut lease);
    assert!(
        told.iter()
            .all(|event| matches!(event, LeaseEvent::Status(_)))
    );

    // It has forgotten the lease meanwhile, and grants it anew.
    stores[1] = gone;
    run(&mut lease, START + ms(80_000), &mut stores);
    assert_eq!(stores[1].as_ref().unwrap().holder(), Some(lease.holder()));

    // Without this grant the loss of another would be the end.
    stores[0] = None;
    run(&mut lease, START + ms(120_000), &mut stores);
    assert!(is_held(&lease));
    stores[2] = None;
    run(&mut lease, START + ms(140_000), &mut stores);
    assert!(!is_held(&lease));
    told = events(&mut lease);
    let late = Duration::ZERO;
    let lost = LeaseEvent::Lost(LossReason::Expired { late });
    assert!(told.contains(&lost));
}

/// Two routers A and B and three stores, one at each and an arbiter: who serves after a change of
/// what they reach, given that A served before.
#[test]
fn who_serves_in_the_cases_of_a_two_node_cluster() {
    let table = [
        (
            "link A-B cut",
            [true, false, true],
            [false, true, true],
            Some(1),
        ),
        (
            "A isolated",
            [true, false, false],
            [false, true, true],
            Some(2),
        ),
        (
            "B isolated",
            [true, false, true],
            [false, true, false],
            Some(1),
        ),
        ("C dead", [true, true, false], [true, true, false], Some(1)),
        (
            "C dead, link cut",
            [true, false, false],
            [false, true, false],
            None,
        ),
        ("nothing", [true; 3], [true; 3], Some(1)),
    ];
    for (case, reached_by_a, reached_by_b, serves) in table {
        let mut stores = stores(&[true; 3]);
        let mut leases = [1, 2].map(|id| Lease::new(of(3), HolderId::new(id)));
        let reached = [reached_by_a, reached_by_b];
        for lease in &mut leases {
            lease.request(START, rank(100));
            serve(lease, START, &mut stores);
        }
        assert!(is_held(&leases[0]) && !is_held(&leases[1]));
        // Each goes from deadline to deadline, the earlier one first.
        for _ in 0..400 {
            let next = leases.each_ref().map(|lease| {
                let deadline = lease.next_deadline();
                deadline.unwrap_or(Duration::MAX)
            });
            let first = usize::from(next[1] < next[0]);
            let (lease, now) = (&mut leases[first], next[first]);
            if now > START + ms(60_000) {
                break;
            }
            lease.tick(now);
            for event in events(lease) {
                if matches!(event, LeaseEvent::Lost(_)) {
                    lease.addresses_gone(now);
                    lease.request(now, rank(100));
                }
            }
            for job in jobs(lease) {
                let store = usize::from(job.id.store());
                if reached[first][store] {
                    let store = stores[store].as_mut().unwrap();
                    let answer = store.handle(now, &job.request);
                    lease.answer(now, job.id, answer);
                }
            }
            assert!(!leases.iter().all(is_held), "{case}");
        }
        let holder = leases.iter().find(|lease| is_held(lease));
        let holder = holder.map(|lease| lease.holder().get());
        assert_eq!(holder, serves, "{case}");
    }
}

/// Rule 6: stores count for themselves, and agree on an epoch before it is used.
#[test]
fn stores_agree_on_an_epoch() {
    let mut lease = lease(of(3));
    lease.request(START, rank(100));
    let asked = jobs(&mut lease);
    for (job, epoch) in asked.iter().zip([3, 9, 4]) {
        lease.answer(START, job.id, granted(epoch));
        assert!(!is_held(&lease));
    }
    // Two know less than the greatest; one of them has to learn it.
    let raised = jobs(&mut lease);
    let told: Vec<_> = raised.iter().map(|job| job.request).collect();
    assert!(
        told.iter()
            .all(|request| matches!(request, LeaseRequest::Renew { epoch: 9, .. }))
    );
    let asked: Vec<_> = raised.iter().map(|job| job.id.store()).collect();
    assert_eq!(asked, [0, 2]);
    lease.answer(START, raised[1].id, LeaseAnswer::Renewed);
    let until = START + ms(8990);
    assert_eq!(lease.status(), GuardStatus::Held { until, epoch: 9 });
}

/// A store that refuses to learn the epoch does not count.
#[test]
fn an_epoch_that_is_not_learned_is_not_used() {
    for answer in [
        LeaseAnswer::Failed,
        LeaseAnswer::Lost {
            holder: None,
            epoch: 3,
        },
    ] {
        let mut lease = lease(of(2));
        lease.request(START, rank(100));
        for (job, epoch) in jobs(&mut lease).iter().zip([3, 9]) {
            lease.answer(START, job.id, granted(epoch));
        }
        let job = lease.poll_job().unwrap();
        assert_eq!((verb(&job), job.id.store()), ("renew", 0));
        lease.answer(START, job.id, answer);
        assert!(!is_held(&lease));
        assert!(jobs(&mut lease).iter().all(|job| verb(job) == "release"));
    }
}

/// Rule 6: epochs grow though no two holders have the same majority.
#[test]
fn epochs_grow_over_changing_majorities() {
    let mut stores = stores(&[true; 3]);
    let mut last = 0;
    for turn in 0..30_u64 {
        let now = ms(turn * 20_000);
        let away = usize::try_from(turn % 3).unwrap();
        let gone = stores[away].take();
        let mut lease = Lease::new(of(3), HolderId::new(turn.into()));
        lease.request(now, rank(100));
        serve(&mut lease, now, &mut stores);
        assert!(
            is_held(&lease) && lease.epoch() > last,
            "{turn}: after {last}"
        );
        last = lease.epoch();
        if turn % 2 == 0 {
            lease.withdraw(now);
            lease.addresses_gone(now);
            serve(&mut lease, now, &mut stores);
        }
        stores[away] = gone;
    }
}

/// Routers that took the stores from each other try again at different times.
#[test]
fn ties_are_broken() {
    let mut pauses = Vec::new();
    for id in 1..=8_u128 {
        let config = of(2);
        let mut lease = Lease::new(config, HolderId::new(id));
        lease.request(START, rank(100));
        let asked = jobs(&mut lease);
        lease.answer(START, asked[0].id, granted(1));
        lease.answer(START, asked[1].id, refused(99, 1));
        assert_eq!(lease.status(), GuardStatus::HeldByOther);
        let release = lease.poll_job().unwrap();
        assert_eq!((verb(&release), release.id.store()), ("release", 0));
        lease.answer(START, release.id, LeaseAnswer::Released);
        let pause = lease.next_deadline().unwrap() - START;
        let timeout = config.request_timeout();
        assert!((timeout..=timeout * 3).contains(&pause));
        pauses.push(pause);
    }
    pauses.sort();
    pauses.dedup();
    assert_eq!(pauses.len(), 8);
}

/// What a majority says of others is the status.
#[test]
fn the_status_is_what_a_majority_says() {
    let other = refused(2, 1);
    let free = LeaseAnswer::Refused {
        holder: None,
        epoch: 1,
    };
    let failed = LeaseAnswer::Failed;
    let table = [
        ([other, other, free], GuardStatus::HeldByOther),
        ([other, other, failed], GuardStatus::HeldByOther),
        ([free, free, other], GuardStatus::Free),
        ([other, failed, free], GuardStatus::Unknown),
        ([failed, failed, free], GuardStatus::Unknown),
    ];
    for (answers, status) in table {
        let mut lease = lease(of(3));
        lease.request(START, rank(100));
        for (job, answer) in jobs(&mut lease).iter().zip(answers) {
            lease.answer(START, job.id, answer);
        }
        assert_eq!(lease.status(), status, "{answers:?}");
    }
}

//! The rules of §4.2, one by one, with one store.

use core::time::Duration;

use lvs_vrrp::GuardStatus;
use lvs_vrrp::lease::{
    HolderId, Lease, LeaseAnswer, LeaseEvent, LeaseRequest, LossReason, MemoryStore,
};

use crate::rig::{
    TICK, config, events, granted, holding, is_held, jobs, lease, ms, rank, refused, run, serve,
    verb, verbs,
};

const START: Duration = ms(60_000);

/// Rule 1: the deadline counts from when the request was sent, however long the answer took.
#[test]
fn the_deadline_counts_from_sending() {
    for delay in [0, 1, 700, 1399] {
        let mut lease = lease(config());
        lease.request(START, rank(100));
        let job = lease.poll_job().unwrap();
        assert_eq!((job.sent_at, job.answer_by), (START, START + ms(1400)));
        lease.answer(START + ms(delay), job.id, granted(7));
        let until = START + ms(8990);
        assert_eq!(lease.status(), GuardStatus::Held { until, epoch: 7 });
        assert_eq!(lease.stop_at(), Some(until));
        assert_eq!(lease.exclusive_until(), Some(START + ms(9990)));
    }
}

/// Rule 1 (`VRRP-216`): a renewal counts if its answer arrived before the deadline, and not at it.
#[test]
fn a_renewal_counts_only_before_the_deadline() {
    let deadline = START + ms(8990);
    for (arrival, counts) in [
        (deadline - TICK, true),
        (deadline, false),
        (deadline + TICK, false),
    ] {
        let mut lease = holding(config(), START);
        lease.tick(START + ms(8500));
        let job = lease.poll_job().unwrap();
        assert_eq!(verb(&job), "renew");
        lease.answer(arrival, job.id, LeaseAnswer::Renewed);
        assert_eq!(is_held(&lease), counts, "{arrival:?}");
        let until = counts.then_some(START + ms(8500 + 8990));
        assert_eq!(lease.stop_at(), until);
        if !counts {
            let late = arrival - deadline;
            let lost = LeaseEvent::Lost(LossReason::Expired { late });
            let unknown = LeaseEvent::Status(GuardStatus::Unknown);
            let told = events(&mut lease);
            assert_eq!(told[told.len() - 2..], [unknown, lost][..]);
        }
    }
}

/// Rule 1: the deadline is a deadline of the machine, and holds without any answer.
#[test]
fn it_is_lost_at_the_deadline_without_a_renewal() {
    let mut lease = holding(config(), START);
    let mut times = Vec::new();
    while let Some(next) = lease.next_deadline().filter(|_| is_held(&lease)) {
        times.push(next);
        lease.tick(next - TICK);
        assert!(is_held(&lease));
        lease.tick(next);
        jobs(&mut lease);
    }
    assert_eq!(times.last(), Some(&(START + ms(8990))));
    assert_eq!(lease.status(), GuardStatus::Unknown);
}

/// Rule 2: only rates matter. With a store whose clock runs as fast as is declared, whatever it
/// shows, another gets the lease after the holder has stopped, and soon after.
#[test]
fn the_store_counts_no_faster_than_declared() {
    for ppm in [0, 100, 1000, 20_000, 100_000] {
        let config = config().with_clock_error_ppm(ppm).unwrap();
        // ρ is relative to the store: 1 / (1 − ρ) is how much faster it may be.
        let fast = u64::from(ppm) * 1_000_000 / (1_000_000 - u64::from(ppm));
        let store = || MemoryStore::new().with_clock_rate_ppm(i32::try_from(fast).unwrap());
        let mut own = Lease::new(config, HolderId::new(1));
        own.request(START, rank(100));
        let mut stores = [Some(store())];
        serve(&mut own, START, &mut stores);
        let end = own.exclusive_until().unwrap();
        assert_eq!(end, own.stop_at().unwrap() + ms(1000));

        let other = |time| {
            let mut store = stores[0].clone().unwrap();
            let acquire = LeaseRequest::Acquire {
                holder: HolderId::new(2),
                attempt: 1,
                duration: config.duration(),
                epoch: 2,
            };
            store.handle(time, &acquire)
        };
        let first = HolderId::new(1);
        let busy = LeaseAnswer::Refused {
            holder: Some(first),
            epoch: 1,
        };
        assert_eq!(other(end - TICK), busy, "{ppm} ppm");
        // And it does not hold it back for much longer.
        let soon = end + ms(1);
        assert!(
            matches!(other(soon), LeaseAnswer::Granted { epoch: 2, .. }),
            "{ppm} ppm"
        );
    }
}

/// Rule 3 (`VRRP-217`): that the lease must have ended by now is never enough.
#[test]
fn nothing_but_a_grant_makes_a_holder() {
    let mut lease = lease(config());
    lease.request(START, rank(100));
    let job = lease.poll_job().unwrap();
    lease.answer(START, job.id, refused(2, 4));
    assert_eq!(lease.status(), GuardStatus::HeldByOther);
    for second in 1..200 {
        lease.tick(START + ms(second * 1000));
        assert!(!is_held(&lease));
        jobs(&mut lease);
    }
    assert_eq!(lease.status(), GuardStatus::Unknown);
    let (now, job) = loop {
        let now = lease.next_deadline().unwrap();
        lease.tick(now);
        if let Some(job) = lease.poll_job() {
            break (now, job);
        }
    };
    assert!(matches!(
        job.request,
        LeaseRequest::Acquire { epoch: 5, .. }
    ));
    lease.answer(now, job.id, granted(5));
    assert!(is_held(&lease));
}

/// A store that can be watched need not be asked again and again to be quick; what was being asked
/// meanwhile may have been too early.
#[test]
fn a_change_is_followed_by_an_attempt() {
    for in_round in [false, true] {
        let mut lease = lease(config());
        lease.request(START, rank(100));
        let job = lease.poll_job().unwrap();
        let now = START + ms(10);
        if in_round {
            lease.store_changed(now);
            assert_eq!(lease.poll_job(), None);
        }
        lease.answer(now, job.id, refused(2, 4));
        if !in_round {
            assert_eq!(lease.poll_job(), None);
            assert_eq!(lease.next_deadline(), Some(now + ms(1400)));
            lease.store_changed(now);
        }
        let job = lease.poll_job().unwrap();
        assert_eq!((verb(&job), job.sent_at), ("acquire", now));
        // Once.
        lease.answer(now, job.id, refused(2, 4));
        assert_eq!(lease.poll_job(), None);
    }
}

/// Rule 3: with a grace the taker waits after a lease that ended, not after one that was given back;
/// the lease is renewed meanwhile.
#[test]
fn a_taker_waits_for_the_grace() {
    let config = config().with_grace(ms(5000)).unwrap();
    for vacated in [true, false] {
        let mut lease = lease(config);
        lease.request(START, rank(100));
        let job = lease.poll_job().unwrap();
        lease.answer(START, job.id, LeaseAnswer::Granted { epoch: 3, vacated });
        assert_eq!(is_held(&lease), vacated);
        let mut renewals = 0;
        while !is_held(&lease) {
            let next = lease.next_deadline().unwrap();
            lease.tick(next);
            for job in jobs(&mut lease) {
                assert_eq!(verb(&job), "renew");
                lease.answer(next, job.id, LeaseAnswer::Renewed);
                renewals += 1;
            }
            assert_eq!(is_held(&lease), next >= START + ms(5000));
        }
        assert_eq!(renewals, if vacated { 0 } else { 1 });
    }
}

/// Rule 4: renewals come every P; when they fail, a timeout apart. Two may fail, and more.
#[test]
fn attempts_may_fail() {
    for failures in 0..=4 {
        let mut lease = holding(config(), START);
        let mut sent = Vec::new();
        while is_held(&lease) && sent.len() <= failures {
            lease.tick(lease.next_deadline().unwrap());
            for job in jobs(&mut lease) {
                assert_eq!(verb(&job), "renew");
                sent.push(job.sent_at - START);
                if sent.len() > failures {
                    lease.answer(job.sent_at + ms(400), job.id, LeaseAnswer::Renewed);
                }
            }
        }
        let expected = [2900, 4300, 5700, 7100, 8500].map(ms);
        assert_eq!(sent, expected[..=failures]);
        assert!(is_held(&lease), "{failures} failures");
        assert_eq!(lease.stop_at(), Some(START + sent[failures] + ms(8990)));
    }
}

/// Rule 4: a store that fails at once is not asked again before the timeout.
#[test]
fn a_store_that_fails_fast_is_not_asked_in_a_loop() {
    let mut lease = holding(config(), START);
    let mut sent = 0;
    while let Some(next) = lease
        .next_deadline()
        .filter(|next| *next < START + ms(8990))
    {
        lease.tick(next);
        for job in jobs(&mut lease) {
            sent += 1;
            lease.answer(next, job.id, LeaseAnswer::Failed);
        }
    }
    assert_eq!(sent, 5);
}

/// Rule 5: released after the addresses are gone, and renewed until then, however long that takes.
#[test]
fn nothing_is_released_before_the_addresses_are_gone() {
    let mut lease = holding(config(), START);
    lease.withdraw(START + ms(100));
    assert_eq!(lease.status(), GuardStatus::Unknown);
    let mut verbs = Vec::new();
    while let Some(next) = lease
        .next_deadline()
        .filter(|next| *next < START + ms(30_000))
    {
        lease.tick(next);
        for job in jobs(&mut lease) {
            verbs.push(verb(&job));
            lease.answer(next, job.id, LeaseAnswer::Renewed);
        }
    }
    assert_eq!(verbs, vec!["renew"; 10]);
    assert!(
        events(&mut lease)
            .iter()
            .all(|event| !matches!(event, LeaseEvent::Breach { .. }))
    );
    lease.addresses_gone(START + ms(30_000));
    let job = lease.poll_job().unwrap();
    let release = LeaseRequest::Release {
        holder: HolderId::new(1),
        up_to: 1,
    };
    assert_eq!(job.request, release);
    lease.answer(START + ms(30_001), job.id, LeaseAnswer::Released);
    assert_eq!(
        (lease.status(), lease.next_deadline()),
        (GuardStatus::Free, None)
    );
}

/// Rule 5: that addresses are gone means nothing while the lease is held and wanted.
#[test]
fn a_lease_that_is_wanted_is_kept() {
    let mut lease = holding(config(), START);
    lease.addresses_gone(START + ms(1));
    assert!(is_held(&lease) && jobs(&mut lease).is_empty());
}

/// Rule 5: one that was asked for, but not granted yet, is given up at once; a grant that arrives
/// later is released too.
#[test]
fn what_was_only_asked_for_is_released_at_once() {
    let mut lease = lease(config());
    lease.request(START, rank(100));
    let asked = lease.poll_job().unwrap();
    lease.withdraw(START + ms(1));
    let release = lease.poll_job().unwrap();
    assert_eq!(verb(&release), "release");
    lease.answer(START + ms(2), release.id, LeaseAnswer::Released);
    assert_eq!(lease.next_deadline(), None);
    lease.answer(START + ms(3), asked.id, granted(1));
    assert!(!is_held(&lease));
    assert_eq!(verbs(&mut lease), ["release"]);
}

/// Rule 5: a release is asked for again until it is answered, at most for the time of a lease.
#[test]
fn a_release_is_repeated() {
    let mut lease = holding(config(), START);
    lease.withdraw(START);
    lease.addresses_gone(START);
    let mut sent = verbs(&mut lease);
    while let Some(next) = lease.next_deadline() {
        lease.tick(next);
        sent.extend(verbs(&mut lease));
    }
    // Every 1.4 s within 10 s.
    assert_eq!(sent, vec!["release"; 8]);
}

/// A release that is under way for long does not free what was granted later.
#[test]
fn a_release_frees_no_later_grant() {
    let mut lease = holding(config(), START);
    lease.withdraw(START);
    lease.addresses_gone(START);
    let slow = lease.poll_job().unwrap();
    lease.request(START + ms(10), rank(100));
    let job = lease.poll_job().unwrap();
    let mut store = MemoryStore::new();
    lease.answer(
        START + ms(20),
        job.id,
        store.handle(START + ms(20), &job.request),
    );
    assert!(is_held(&lease));
    store.handle(START + ms(30), &slow.request);
    assert_eq!(store.holder(), Some(HolderId::new(1)));
    // Nor is it repeated with the number of the later one.
    let mut stores = [Some(store)];
    run(&mut lease, START + ms(40_000), &mut stores);
    assert!(is_held(&lease));
}

/// Rule 6: every grant has a greater epoch, whoever holds.
#[test]
fn epochs_grow() {
    let mut stores = [Some(MemoryStore::new())];
    let mut last = 0;
    for turn in 0..10_u64 {
        let mut lease = Lease::new(config(), HolderId::new(u128::from(turn)));
        let now = ms(1000 * turn);
        lease.request(now, rank(100));
        serve(&mut lease, now, &mut stores);
        assert!(lease.epoch() > last);
        last = lease.epoch();
        lease.withdraw(now + ms(5));
        lease.addresses_gone(now + ms(5));
        serve(&mut lease, now + ms(5), &mut stores);
    }
    assert_eq!(last, 10);
}

/// Rule 6: an epoch that does not grow fences nothing, so such a grant is none.
#[test]
fn a_grant_of_an_old_epoch_is_none() {
    let mut lease = holding(config(), START);
    lease.withdraw(START);
    lease.addresses_gone(START);
    lease.request(START, rank(100));
    for job in jobs(&mut lease) {
        let answer = match job.request {
            LeaseRequest::Acquire { epoch, .. } => {
                assert_eq!(epoch, 2);
                granted(1)
            }
            _ => LeaseAnswer::Released,
        };
        lease.answer(START + ms(1), job.id, answer);
    }
    assert_eq!(lease.status(), GuardStatus::Unknown);
}

/// Rule 6: what is asked for is more than any store ever told; less fences too little.
#[test]
fn a_grant_of_less_than_asked_for_is_none() {
    for (epoch, counts) in [(7, false), (8, true)] {
        let mut lease = lease(config());
        lease.request(START, rank(100));
        let job = lease.poll_job().unwrap();
        lease.answer(START, job.id, refused(2, 7));
        lease.store_changed(START);
        let job = lease.poll_job().unwrap();
        assert!(matches!(
            job.request,
            LeaseRequest::Acquire { epoch: 8, .. }
        ));
        lease.answer(START, job.id, granted(epoch));
        assert_eq!(is_held(&lease), counts);
    }
}

/// Rule 6: there is nothing beyond the last epoch.
#[test]
fn the_last_epoch_is_granted_once() {
    let mut lease = lease(config());
    for counts in [true, false] {
        lease.request(START, rank(100));
        for job in jobs(&mut lease) {
            lease.answer(START, job.id, granted(u64::MAX));
        }
        assert_eq!(is_held(&lease), counts);
        lease.withdraw(START);
        lease.addresses_gone(START);
        for job in jobs(&mut lease) {
            lease.answer(START, job.id, LeaseAnswer::Released);
        }
    }
}

/// Rule 7: after a pause that the clock shows, whatever comes first finds the lease lost.
#[test]
fn a_pause_beyond_the_deadline_loses() {
    let inputs: [fn(&mut Lease, Duration); 5] = [
        |lease, now| lease.tick(now),
        |lease, now| lease.request(now, rank(100)),
        |lease, now| lease.store_changed(now),
        |lease, now| lease.set_alone(now, true),
        |lease, now| lease.addresses_gone(now),
    ];
    for input in inputs {
        let mut lease = holding(config(), START);
        input(&mut lease, START + ms(8990) + ms(2000));
        assert!(!is_held(&lease));
        let late = ms(2000);
        let told = events(&mut lease);
        assert_eq!(told[1], LeaseEvent::Lost(LossReason::Expired { late }));
        // Another may have got it one second after the deadline.
        let since = START + ms(9990);
        assert_eq!(told[2], LeaseEvent::Breach { since });
    }
}

/// Rule 7: doubt is loss, and answers to what was asked before are void.
#[test]
fn doubt_loses() {
    let mut lease = holding(config(), START);
    lease.tick(START + ms(2900));
    let renewal = lease.poll_job().unwrap();
    lease.stalled(START + ms(2950));
    assert_eq!(
        events(&mut lease),
        [
            LeaseEvent::Status(GuardStatus::Unknown),
            LeaseEvent::Lost(LossReason::Doubt)
        ]
    );
    let exclusive = lease.exclusive_until();
    lease.answer(START + ms(2960), renewal.id, LeaseAnswer::Renewed);
    assert!(!is_held(&lease));
    assert_eq!(lease.exclusive_until(), exclusive);
    lease.addresses_gone(START + ms(3000));
    assert!(verbs(&mut lease).contains(&"release"));
}

/// Rule 7: a request that was under way during the doubt grants nothing.
#[test]
fn doubt_voids_what_is_asked() {
    let mut lease = lease(config());
    lease.request(START, rank(100));
    let before = lease.poll_job().unwrap();
    lease.stalled(START + ms(10));
    lease.answer(START + ms(20), before.id, granted(1));
    assert!(!is_held(&lease));
    // It is asked anew.
    let after = jobs(&mut lease);
    let job = after.iter().find(|job| verb(job) == "acquire").unwrap();
    assert_eq!(job.sent_at, START + ms(10));
    lease.answer(START + ms(30), job.id, granted(2));
    assert_eq!(lease.stop_at(), Some(START + ms(10) + ms(8990)));
}

/// A removal that takes longer than declared is told when the lease may be another's.
#[test]
fn a_slow_removal_is_told() {
    let mut lease = holding(config(), START);
    lease.tick(START + ms(8990));
    assert_eq!(events(&mut lease).len(), 2);
    let end = START + ms(9990);
    lease.tick(end - TICK);
    jobs(&mut lease);
    assert_eq!(events(&mut lease), []);
    lease.tick(end);
    lease.tick(end + ms(1));
    let breach = LeaseEvent::Breach { since: end };
    assert_eq!(events(&mut lease), [breach]);

    // In time there is none.
    let mut lease = holding(config(), START);
    lease.tick(START + ms(8990));
    lease.addresses_gone(end - TICK);
    lease.tick(end + ms(1));
    let told = events(&mut lease);
    assert!(
        !told
            .iter()
            .any(|event| matches!(event, LeaseEvent::Breach { .. }))
    );
}

/// A lease that the store took away is lost at once, and too late.
#[test]
fn a_revoked_lease_is_lost_at_once() {
    let mut lease = holding(config(), START);
    let now = START + ms(2900);
    lease.tick(now);
    let job = lease.poll_job().unwrap();
    let holder = Some(HolderId::new(2));
    lease.answer(now, job.id, LeaseAnswer::Lost { holder, epoch: 2 });
    assert_eq!(
        events(&mut lease),
        [
            LeaseEvent::Status(GuardStatus::HeldByOther),
            LeaseEvent::Lost(LossReason::Revoked),
            LeaseEvent::Breach { since: now },
        ]
    );
}

/// What was lost is not asked for again by itself, and not before the addresses are gone.
#[test]
fn a_lost_lease_has_to_be_requested_again() {
    for requested in [false, true] {
        let mut lease = holding(config(), START);
        let now = START + ms(8990);
        lease.tick(now);
        jobs(&mut lease);
        if requested {
            lease.request(now, rank(100));
            assert!(!verbs(&mut lease).contains(&"acquire"));
        }
        lease.addresses_gone(now + ms(100));
        assert_eq!(verbs(&mut lease).contains(&"acquire"), requested);
    }
}

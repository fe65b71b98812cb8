//! The store in memory keeps its promises.

use lvs_vrrp::lease::{Claim, HolderId, LeaseAnswer, LeaseRequest, MemoryStore};
use lvs_vrrp::{Priority, Rank, Timestamp};

use crate::rig::{TICK, granted, ms, rank, refused};

const DURATION: Timestamp = ms(10_000);

const fn acquire(holder: u128, attempt: u64) -> LeaseRequest {
    LeaseRequest::Acquire {
        holder: HolderId::new(holder),
        attempt,
        duration: DURATION,
        epoch: 0,
    }
}

const fn renew(holder: u128, attempt: u64, epoch: u64) -> LeaseRequest {
    LeaseRequest::Renew {
        holder: HolderId::new(holder),
        attempt,
        duration: DURATION,
        epoch,
    }
}

const fn release(holder: u128, up_to: u64) -> LeaseRequest {
    LeaseRequest::Release {
        holder: HolderId::new(holder),
        up_to,
    }
}

#[test]
fn one_holder_at_a_time() {
    let mut store = MemoryStore::new();
    assert_eq!(store.handle(ms(0), &acquire(1, 1)), granted(1));
    assert_eq!(store.handle(DURATION - TICK, &acquire(2, 1)), refused(1, 1));
    assert_eq!(store.handle(DURATION - TICK, &renew(2, 1, 1)), {
        let holder = Some(HolderId::new(1));
        LeaseAnswer::Lost { holder, epoch: 1 }
    });
    let ended = LeaseAnswer::Granted {
        epoch: 2,
        vacated: false,
    };
    assert_eq!(store.handle(DURATION, &acquire(2, 2)), ended);
}

/// Promise 3: what is overtaken does no harm.
#[test]
fn requests_may_overtake_each_other() {
    let mut store = MemoryStore::new();
    assert_eq!(store.handle(ms(0), &acquire(1, 5)), granted(1));
    // Promise 4.
    assert_eq!(store.handle(ms(1), &acquire(1, 9)), granted(2));
    let own = refused(1, 2);
    assert_eq!(store.handle(ms(2), &acquire(1, 9)), own);
    assert_eq!(store.handle(ms(2), &acquire(1, 7)), own);
    assert!(matches!(
        store.handle(ms(3), &renew(1, 5, 1)),
        LeaseAnswer::Lost { .. }
    ));
    assert_eq!(store.handle(ms(4), &release(1, 8)), LeaseAnswer::Released);
    assert_eq!(store.holder(), Some(HolderId::new(1)));
    assert_eq!(store.handle(ms(5), &release(1, 9)), LeaseAnswer::Released);
    assert_eq!(store.holder(), None);
    let nobody = LeaseAnswer::Refused {
        holder: None,
        epoch: 2,
    };
    assert_eq!(store.handle(ms(6), &acquire(1, 8)), nobody);
    assert_eq!(store.handle(ms(7), &acquire(2, 1)), granted(3));
}

#[test]
fn renewals_count_from_their_arrival_and_raise_the_epoch() {
    let mut store = MemoryStore::new();
    store.handle(ms(0), &acquire(1, 1));
    assert_eq!(
        store.handle(ms(6000), &renew(1, 1, 40)),
        LeaseAnswer::Renewed
    );
    assert_eq!(store.epoch(), 40);
    assert_eq!(store.handle(ms(15_999), &acquire(2, 1)), refused(1, 40));
    assert!(matches!(
        store.handle(ms(16_000), &acquire(2, 2)),
        LeaseAnswer::Granted { epoch: 41, .. }
    ));
}

/// G: after a lease that ended, not after one that was given back.
#[test]
fn a_lock_delay_follows_an_end() {
    let mut store = MemoryStore::new().with_lock_delay(ms(15_000));
    store.handle(ms(0), &acquire(1, 1));
    let nobody = LeaseAnswer::Refused {
        holder: None,
        epoch: 1,
    };
    assert_eq!(store.handle(ms(24_999), &acquire(2, 1)), nobody);
    assert_eq!(store.handle(ms(25_000), &acquire(2, 2)), granted(2));
    store.handle(ms(25_001), &release(2, 2));
    assert_eq!(store.handle(ms(25_002), &acquire(1, 2)), granted(3));
}

/// Promise 5: without memory it is silent first, and its epochs grow on.
#[test]
fn a_restart_is_followed_by_silence() {
    let mut store = MemoryStore::new();
    store.handle(ms(0), &acquire(1, 1));
    store.restart(ms(100), DURATION);
    let nobody = LeaseAnswer::Refused {
        holder: None,
        epoch: 1,
    };
    assert_eq!(store.handle(ms(10_099), &acquire(2, 1)), nobody);
    assert_eq!(store.handle(ms(10_100), &acquire(2, 2)), granted(2));
}

#[test]
fn its_clock_has_a_rate() {
    for (ppm, end) in [(0, 10_000), (250_000, 8_000), (-200_000, 12_500)] {
        let mut store = MemoryStore::new().with_clock_rate_ppm(ppm);
        store.handle(ms(0), &acquire(1, 1));
        assert_eq!(store.handle(ms(end) - TICK, &acquire(2, 1)), refused(1, 1));
        store.handle(ms(end), &acquire(2, 2));
        assert_eq!(store.holder(), Some(HolderId::new(2)));
    }
}

#[test]
fn claims_end_and_the_greatest_is_told() {
    let mut store = MemoryStore::new();
    let claim = |holder, priority| Claim {
        holder: HolderId::new(holder),
        rank: rank(priority),
    };
    let write = |claim, millis| LeaseRequest::WriteClaim {
        claim,
        duration: ms(millis),
    };
    let read = |holder| LeaseRequest::ReadClaims {
        holder: HolderId::new(holder),
    };
    assert_eq!(store.handle(ms(0), &read(1)), LeaseAnswer::Claims(None));
    store.handle(ms(0), &write(claim(2, 120), 1000));
    store.handle(ms(0), &write(claim(3, 150), 500));
    let greatest = |claim| LeaseAnswer::Claims(Some(claim));
    assert_eq!(store.handle(ms(1), &read(1)), greatest(claim(3, 150)));
    assert_eq!(store.handle(ms(1), &read(3)), greatest(claim(2, 120)));
    assert_eq!(store.handle(ms(500), &read(1)), greatest(claim(2, 120)));
    // Written again it is replaced, with its new rank.
    store.handle(ms(600), &write(claim(2, 90), 1000));
    assert_eq!(store.handle(ms(1599), &read(1)), greatest(claim(2, 90)));
    assert_eq!(store.handle(ms(1600), &read(1)), LeaseAnswer::Claims(None));
    // Who gets the lease, or gives up, claims it no more.
    store.handle(ms(1600), &write(claim(2, 90), 1000));
    store.handle(ms(1601), &acquire(2, 1));
    store.handle(ms(1601), &write(claim(3, 90), 1000));
    store.handle(ms(1602), &release(3, 0));
    assert_eq!(store.handle(ms(1603), &read(1)), LeaseAnswer::Claims(None));
    assert_eq!(store.holder(), Some(HolderId::new(2)));
}

/// A release makes earlier attempts void however late they come, whoever was granted meanwhile.
#[test]
fn a_late_attempt_stays_void_after_other_releases() {
    let (a, b) = (1, 2);
    let mut store = MemoryStore::new();
    let now = ms(60_000);
    let release = |holder, up_to| LeaseRequest::Release {
        holder: HolderId::new(holder),
        up_to,
    };
    store.handle(now, &release(a, 5));
    let granted = store.handle(now, &acquire(b, 1));
    assert!(matches!(granted, LeaseAnswer::Granted { .. }));
    store.handle(now, &release(b, 1));
    // One that was overtaken takes nothing back.
    store.handle(now, &release(a, 3));
    for attempt in [4, 5] {
        let late = store.handle(now, &acquire(a, attempt));
        assert!(matches!(late, LeaseAnswer::Refused { .. }), "{late:?}");
    }
    let next = store.handle(now, &acquire(a, 6));
    assert!(matches!(next, LeaseAnswer::Granted { .. }));
}

/// Claims and releases of made-up holders take bounded memory, and do not hide the best claim.
#[test]
fn made_up_holders_take_bounded_memory() {
    let mut store = MemoryStore::new();
    let now = ms(60_000);
    let size = |store: &MemoryStore| format!("{store:?}").len();
    let mut sizes = Vec::new();
    for round in 0..4_u128 {
        for number in 0..300 {
            let holder = HolderId::new(1_000_000 + round * 1000 + number);
            let priority = if (round, number) == (1, 7) { 200 } else { 100 };
            let rank = Rank::new(Priority::new(priority), [192, 0, 2, 1].into());
            let claim = Claim { holder, rank };
            let duration = DURATION;
            store.handle(now, &LeaseRequest::WriteClaim { claim, duration });
            let other = HolderId::new(2_000_000 + round * 1000 + number);
            store.handle(
                now,
                &LeaseRequest::Release {
                    holder: other,
                    up_to: 1,
                },
            );
        }
        sizes.push(size(&store));
    }
    assert_eq!(sizes[1], sizes[3]);
    let answer = store.handle(
        now,
        &LeaseRequest::ReadClaims {
            holder: HolderId::new(1),
        },
    );
    let LeaseAnswer::Claims(Some(best)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(best.holder, HolderId::new(1_001_007));
}

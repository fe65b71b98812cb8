//! What an update costs.

use core::time::Duration;
use std::time::Instant;

use lvs_healthcheck::aggregate::{Aggregate, Contribution, Member, UnknownAs};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{Batch, Pool, Settings, Sorry};

/// Updates that are measured.
const UPDATES: u32 = 20_000;

/// A pool of so many destinations of weight 10 with two checks each.
fn pool(count: u32) -> Pool<u32, u8> {
    let destinations = (0..count).map(|name| {
        let mut aggregate = Aggregate::new(10);
        aggregate.insert(0, Member::required(UnknownAs::Up));
        aggregate.insert(1, Member::required(UnknownAs::Up));
        (name, aggregate)
    });
    let settings = Settings::new()
        .with_quorum(u64::from(count) * 5)
        .with_sorry(Some(Sorry::new(u32::MAX)));
    Pool::new(Duration::ZERO, settings, destinations).unwrap()
}

/// Time for an update with its batch, when every other one changes a weight.
fn update(count: u32) -> Duration {
    let mut pool = pool(count);
    let mut batch = Batch::new();
    pool.settle(Duration::ZERO, &mut batch);
    let mut changes = 0;
    let start = Instant::now();
    for round in 0..UPDATES {
        // One at a time fails, so that the quorum stays.
        let name = round / 4 % count;
        let health = match round % 4 {
            0 | 1 => Health::Down,
            _ => Health::Up,
        };
        let now = Duration::from_millis(round.into());
        pool.update(now, &name, &0, Contribution::new(health));
        pool.settle(now, &mut batch);
        changes += batch.changes.len();
    }
    let elapsed = start.elapsed();
    assert_eq!(changes, UPDATES as usize / 2);
    elapsed / UPDATES
}

#[test]
#[ignore = "measures time: run it alone and with --release to read its figures"]
fn update_costs_hardly_more_in_a_large_pool() {
    let [small, large, huge] = [10, 1_000, 100_000].map(update);
    println!("update and batch: {small:?} of 10, {large:?} of 1,000, {huge:?} of 100,000");
    // Going through all of them would cost 10,000 times as much.
    assert!(huge < small * 50, "{small:?} {huge:?}");

    let mut pool = pool(1_000);
    let mut batch = Batch::new();
    pool.settle(Duration::ZERO, &mut batch);
    let start = Instant::now();
    for name in 0..1_000 {
        pool.update(Duration::ZERO, &name, &0, Contribution::new(Health::Down));
    }
    pool.settle(Duration::ZERO, &mut batch);
    let elapsed = start.elapsed();
    assert!(pool.status().needs_sorry);
    println!("all of 1,000 fail in one turn, the sorry server takes over: {elapsed:?}");
}

/// Time for a report that changes nothing, in a pool of 10,000 of which so many are ejected.
fn steady_report(ejected: u32) -> Duration {
    let mut pool = pool(10_000);
    let mut batch = Batch::new();
    for name in 0..ejected {
        pool.eject(Duration::ZERO, &name);
    }
    pool.settle(Duration::ZERO, &mut batch);
    let best = (0..5).map(|_| {
        let start = Instant::now();
        for round in 0..200 {
            let says = Contribution::new(Health::Unknown);
            pool.update(Duration::ZERO, &(9_999 - round), &0, says);
        }
        start.elapsed()
    });
    best.min().unwrap() / 200
}

#[test]
fn reports_do_not_pay_for_ejections() {
    let (one, many) = (steady_report(1), steady_report(1_000));
    // Walking through them would cost a thousand times as much.
    assert!(many < 30 * one, "1: {one:?}, 1,000: {many:?}");
}

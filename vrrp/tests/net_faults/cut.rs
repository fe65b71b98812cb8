//! A cable that carries one way only.

use core::time::Duration;
use std::thread;

use lvs_vrrp::State;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::clock;

use crate::network::{Host, eventually};
use crate::pair::{ADDRESS, network, router};
use crate::running::Running;

/// The host hears nothing any more, but sends.
fn cut(host: &Host) {
    host.run(
        "nft",
        "add table netdev cut ; \
         add chain netdev cut heard { type filter hook ingress device eth0 priority 0 ; } ; \
         add rule netdev cut heard drop",
    );
}

fn heal(host: &Host) {
    host.run("nft", "delete table netdev cut");
}

/// Both are Active while the Backup cannot hear: that is the protocol's, and a lease the remedy.
/// Healed, the worse one gives way with the next advertisement.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_backup_that_hears_nothing_gives_way_when_it_hears_again() {
    let (switch, one, other) = network();
    let high = Running::start(&one, router(200).driver());
    high.until_state(1, State::Active);
    let low = Running::start(&other, router(100).driver());
    low.until_state(1, State::Backup);
    let before = high.router(1).since;
    let down = router(100).config().active_down_interval();
    let from = clock::now();
    cut(&other);
    let taken_over = low.until_state(1, State::Active).at - from;
    thread::sleep(Duration::from_millis(500));
    let healed = clock::now();
    heal(&other);
    let gave_way = low.until_state(1, State::Backup).at - healed;
    eventually(|| other.holds(ADDRESS), |holds| !holds);
    // The better one hears those of the worse one, and stays.
    assert_eq!(high.router(1).state, State::Active);
    assert_eq!(high.router(1).since, before);
    high.stop(ShutdownMode::Graceful);
    low.stop(ShutdownMode::Abrupt);
    let both = switch.holding.overlap_since(Duration::ZERO);
    println!(
        "cut one way for {:?}: taken over after {taken_over:?} (down interval {down:?}), given way \
         {gave_way:?} after it was healed; held by both for {both:?}",
        healed - from
    );
    let interval = Duration::from_millis(100);
    let patience = Duration::from_millis(200);
    assert!(taken_over < down + patience, "{taken_over:?}");
    assert!(gave_way < interval + patience, "{gave_way:?}");
    assert!(
        both < healed - from - taken_over + interval + patience,
        "{both:?}"
    );
}

/// An Active that hears nothing is still heard.
#[test]
#[ignore = "needs root, for network namespaces"]
fn an_active_that_hears_nothing_stays() {
    let (switch, one, other) = network();
    let high = Running::start(&one, router(200).driver());
    high.until_state(1, State::Active);
    let low = Running::start(&other, router(100).driver());
    let backup = low.until_state(1, State::Backup);
    cut(&one);
    let heard = low.router(1).counters.received();
    eventually(
        || low.router(1).counters.received(),
        |now| *now > heard + 10,
    );
    assert_eq!(low.router(1).state, State::Backup);
    assert!(low.router(1).since <= backup.at);
    heal(&one);
    high.stop(ShutdownMode::Graceful);
    low.stop(ShutdownMode::Abrupt);
    let both = switch.holding.overlap_since(Duration::ZERO);
    println!("an Active that hears nothing: held by both for {both:?}");
    switch.holding.is_clean();
}

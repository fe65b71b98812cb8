//! The device of the virtual MAC is deleted under an Active.

use core::time::Duration;
use std::time::Instant;

use lvs_vrrp::State;
use lvs_vrrp::event::ShutdownMode;

use crate::network::eventually;
use crate::pair::{ADDRESS, network, router};
use crate::process::Router;
use crate::running::Running;

#[test]
#[ignore = "needs root, and a kernel with macvlan"]
fn a_device_that_somebody_deletes_comes_back() {
    let (switch, one, other) = network();
    let with_mac = |priority| Router {
        has_virtual_mac: true,
        ..router(priority)
    };
    let high = Running::start(&one, with_mac(200).driver());
    high.until_state(1, State::Active);
    let low = Running::start(&other, with_mac(100).driver());
    low.until_state(1, State::Backup);
    // What a command takes on this machine just now, in which the order is the least.
    let begun = Instant::now();
    one.ip("link show dev vrrp.51");
    let usual = begun.elapsed();
    let deleted = Instant::now();
    one.ip("link delete dev vrrp.51");
    eventually(|| one.holds(ADDRESS), |holds| *holds);
    let gap = deleted.elapsed();
    let sent = low.router(1).counters.received();
    eventually(|| low.router(1).counters.received(), |now| *now > sent + 3);
    assert_eq!(high.router(1).state, State::Active);
    // That of the Backup, too; it is at rest again.
    other.ip("link delete dev vrrp.51");
    eventually(
        || other.ask("-o link show type macvlan"),
        |all| all.contains("vrrp.51"),
    );
    high.stop(ShutdownMode::Graceful);
    low.until_state(1, State::Active);
    eventually(|| other.holds(ADDRESS), |holds| *holds);
    low.stop(ShutdownMode::Graceful);
    let both = switch.holding.overlap_since(Duration::ZERO);
    println!(
        "a device was back with its address {gap:?} after it was deleted; held by both for {both:?}"
    );
    assert!(
        gap < Duration::from_secs(1) + 50 * usual,
        "{gap:?} {usual:?}"
    );
    switch.holding.is_clean();
}

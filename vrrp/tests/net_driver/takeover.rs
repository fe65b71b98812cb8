//! Who has the address.

use core::time::Duration;

use lvs_vrrp::Version;
use lvs_vrrp::net::clock;

use crate::network::holding::overlap;
use crate::network::{Host, Switch, eventually};
use crate::process::Router;

/// A switch with two hosts.
fn network() -> (Switch, Host, Host) {
    let switch = Switch::new();
    let (one, other) = (Host::new("one"), Host::new("other"));
    switch.connect(&one, "eth0", &["192.0.2.1/24", "fe80::1/64"]);
    switch.connect(&other, "eth0", &["192.0.2.2/24", "fe80::2/64"]);
    (switch, one, other)
}

/// The better one takes over, resigns, comes back, is killed; the other has the address in between.
fn change_hands(version: Version, address: &str, on_tokio: bool) {
    let (switch, one, other) = network();
    let router = |priority| Router {
        on_tokio,
        ..Router::new(version, priority, address)
    };
    let (high, low) = (router(200), router(100));
    let down = low.config().active_down_interval();

    let mut lower = low.start(&other);
    lower.until("Active");
    assert!(other.holds(address));
    let mut higher = high.start(&one);
    higher.until("Active");
    lower.until("Backup");
    assert!(one.holds(address) && !other.holds(address));

    let (resigned, meter) = (clock::now(), switch.holding.meter());
    higher.stop();
    lower.until("Active");
    let after_resigning = clock::now().saturating_sub(resigned);
    let stall_after_resigning = meter.end();
    assert!(other.holds(address) && !one.holds(address));

    let mut higher = high.start(&one);
    higher.until("Active");
    lower.until("Backup");
    let (killed, meter) = (clock::now(), switch.holding.meter());
    higher.kill();
    lower.until("Active");
    let after_kill = clock::now().saturating_sub(killed);
    let stall_after_kill = meter.end();
    assert!(other.holds(address));
    // Nobody helps: the kernel removes it when its lifetime is over.
    eventually(|| one.holds(address), |holds| !holds);
    let left_after = clock::now().saturating_sub(killed);
    lower.stop();
    assert!(!other.holds(address));

    let held = |host| switch.holding.spans(host, address);
    let (one, other) = (held(&one), held(&other));
    println!(
        "{version:?} {address} tokio {on_tokio}: down interval {down:?}; taken over {after_resigning:?} after a \
         resignation, {after_kill:?} after a kill; left {left_after:?} after the kill; held by both \
         for {:?}",
        overlap(&one, &other)
    );
    // The way of the words to here.
    let patience = Duration::from_millis(300);
    let limit = down + patience + stall_after_resigning.of_one();
    assert!(after_resigning < limit, "{after_resigning:?} of {limit:?}");
    let limit = down + patience + stall_after_kill.of_one();
    assert!(after_kill < limit, "{after_kill:?} of {limit:?}");
    let lifetime = (down * 3).max(Duration::from_secs(3));
    assert!(
        left_after < lifetime + Duration::from_secs(2),
        "{left_after:?}"
    );
    // Until the kill nobody holds what another holds.
    let overlaps = switch.holding.overlaps().into_iter();
    let before = overlaps.filter(|overlap| overlap.from < killed);
    before.for_each(|overlap| overlap.is_excused());
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_ipv4_address_changes_hands() {
    change_hands(Version::V3, "192.0.2.100", false);
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_ipv6_address_changes_hands() {
    change_hands(Version::V3, "fe80::100", false);
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_address_of_vrrp_version_2_changes_hands() {
    change_hands(Version::V2, "192.0.2.100", false);
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_address_changes_hands_between_tasks() {
    change_hands(Version::V3, "192.0.2.100", true);
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_address_of_vrrp_version_2_changes_hands_between_tasks() {
    change_hands(Version::V2, "192.0.2.100", true);
}

//! Addresses that somebody else removes, and that cannot be brought back.

use core::net::IpAddr;
use core::time::Duration;
use std::thread;

use lvs_vrrp::event::{InitReason, ShutdownMode};
use lvs_vrrp::net::{DriverConfig, DriverEventKind, Operation, RouterSetup, clock};
use lvs_vrrp::node::{ReportKind, RouterId, Settings};
use lvs_vrrp::{State, Version};

use crate::network::{Host, Switch, eventually};
use crate::process::Router;
use crate::running::Running;

const ADDRESS: &str = "192.0.2.100";
/// An interface can be made to have no IPv6, and go on with the rest.
const WITH_IT: &str = "2001:db8::100";
const SWITCH: &str = "ipv6/conf/eth0/disable_ipv6";

/// A router with an address of each family.
fn driver(priority: u8) -> DriverConfig {
    let router = Router::new(Version::V3, priority, ADDRESS);
    let config = router.config();
    let config = config.with_excluded_addresses([WITH_IT.parse::<IpAddr>().unwrap()]);
    let mut settings = Settings::default();
    settings.install_retry = Duration::from_secs(2);
    DriverConfig::new()
        .with_settings(settings)
        .with_router(RouterId::new(1), RouterSetup::new("eth0", config))
}

fn hosts() -> (Switch, Host, Host) {
    let switch = Switch::new();
    let (one, other) = (Host::new("one"), Host::new("other"));
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    switch.connect(&other, "eth0", &["192.0.2.2/24"]);
    for host in [&one, &other] {
        host.sysctl(SWITCH, "0");
    }
    (switch, one, other)
}

fn is_refusal(kind: &DriverEventKind) -> bool {
    matches!(kind, DriverEventKind::Failed(error) if error.operation() == Operation::AddAddress)
}

fn is_loss(kind: &DriverEventKind) -> bool {
    match kind {
        DriverEventKind::Report(report) => report.kind == ReportKind::AddressesLost,
        _ => false,
    }
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_router_whose_address_cannot_be_brought_back_gives_way() {
    let (switch, one, other) = hosts();
    let high = Running::start(&one, driver(200));
    high.until_state(1, State::Active);
    let low = Running::start(&other, driver(100));
    low.until_state(1, State::Backup);
    assert!(one.holds(ADDRESS) && one.holds(WITH_IT));
    let removed = clock::now();
    one.sysctl(SWITCH, "1");
    // The first, second, fourth and last of six.
    let mut told = Vec::new();
    let lost = high.until("a loss", |kind| is_refusal(kind) || is_loss(kind));
    let mut event = lost;
    while !is_loss(&event.kind) {
        told.push(event.at - removed);
        event = high.until("a loss", |kind| is_refusal(kind) || is_loss(kind));
    }
    println!("failures were told {told:?} after the address was removed");
    assert_eq!(told.len(), 4, "{told:?}");
    let after = event.at - removed;
    println!("it gave way {after:?} after the address was removed");
    let expected = Duration::from_millis(1500)..Duration::from_secs(4);
    assert!(expected.contains(&after), "{after:?}");
    high.until_state(1, State::Initialize);
    let refused = high.router(1);
    assert_eq!(refused.init_reason, Some(InitReason::AddressWork));
    low.until_state(1, State::Active);
    assert!(!one.holds(ADDRESS));
    assert!(other.holds(ADDRESS) && other.holds(WITH_IT));
    one.sysctl(SWITCH, "0");
    high.until_state(1, State::Active);
    low.until_state(1, State::Backup);
    assert!(one.holds(ADDRESS) && one.holds(WITH_IT));
    high.stop(ShutdownMode::Graceful);
    low.stop(ShutdownMode::Graceful);
    switch.holding.is_clean();
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_address_that_can_be_brought_back_soon_is() {
    let (_switch, one, _other) = hosts();
    let running = Running::start(&one, driver(100));
    running.until_state(1, State::Active);
    let since = running.router(1).since;
    one.sysctl(SWITCH, "1");
    running.until("a failure", is_refusal);
    thread::sleep(Duration::from_millis(300));
    assert!(!one.holds(WITH_IT));
    one.sysctl(SWITCH, "0");
    let back = running.until("restored", |kind| {
        is_loss(kind) || matches!(kind, DriverEventKind::AddressRestored(_))
    });
    assert!(!is_loss(&back.kind));
    eventually(|| one.holds(WITH_IT), |holds| *holds);
    let there = running.router(1);
    assert_eq!((there.state, there.since), (State::Active, since));
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS) && !one.holds(WITH_IT));
}

/// Somebody else puts it there before we can: as at a take-over it is as good as installed, and theirs.
#[test]
#[ignore = "needs root, for network namespaces"]
fn an_address_that_somebody_else_puts_in_its_place_stays_theirs() {
    let (_switch, one, _other) = hosts();
    let running = Running::start(&one, driver(100));
    running.until_state(1, State::Active);
    let since = running.router(1).since;
    one.sysctl(SWITCH, "1");
    // The fourth is the third that is told; 400 ms later comes the fifth, and 800 ms after it the last.
    for _ in 0..3 {
        running.until("a failure", is_refusal);
    }
    thread::sleep(Duration::from_millis(450));
    one.sysctl(SWITCH, "0");
    one.ip(&format!("address add {WITH_IT}/64 dev eth0 nodad"));
    thread::sleep(Duration::from_secs(2));
    let there = running.router(1);
    assert_eq!((there.state, there.since), (State::Active, since));
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS));
    let all = one.ask("-o -6 address show dev eth0");
    assert!(all.contains(&format!("{WITH_IT}/64")), "{all}");
    assert!(!all.contains(&format!("{WITH_IT}/128")), "{all}");
}

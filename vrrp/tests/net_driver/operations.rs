//! What other threads tell a driver, and ask it.

use core::time::Duration;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use lvs_vrrp::codec::{AhFlavour, AhKey, Authentication};
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::{
    AddressSetup, Driver, DriverConfig, DriverError, DriverEventKind, RouterSetup,
};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::track::{Track, TrackerId};
use lvs_vrrp::{AddressList, Interval, Priority, RouterConfig, State, Version, Vrid};

use crate::network::{Host, PATIENCE, Switch, eventually};
use crate::running::Running;

fn config(vrid: u8, priority: u8, address: &str) -> RouterConfig {
    let addresses = AddressList::new([address.parse().unwrap()]).unwrap();
    RouterConfig::new(Vrid::new(vrid).unwrap(), addresses)
        .with_versions(Versions::Only(Version::V3))
        .with_priority(Priority::new(priority))
        .with_interval(Interval::from_centiseconds(10).unwrap())
}

/// A router on an interface, with an address of 24 bits.
fn router(interface: &str, vrid: u8, priority: u8, address: &str) -> RouterSetup {
    let setup = AddressSetup::new().with_prefix_len(24);
    RouterSetup::new(interface, config(vrid, priority, address))
        .with_address(address.parse().unwrap(), setup)
}

fn network() -> (Switch, Host, Host) {
    let switch = Switch::new();
    let (one, other) = (Host::new("one"), Host::new("other"));
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    switch.connect(&other, "eth0", &["192.0.2.2/24"]);
    (switch, one, other)
}

const ONE: RouterId = RouterId::new(1);

/// The live view: state, priority, Active, counters; trackers; and nothing after the end.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_snapshot_says_how_things_are() {
    let (_switch, one, other) = network();
    let tracker = TrackerId::new(7);
    let tracked = router("eth0", 51, 200, "192.0.2.100").with_track(Track::new(tracker, -150));
    let config = DriverConfig::new()
        .with_tracker(tracker, true)
        .with_router(ONE, tracked);
    let high = Running::start(&one, config);
    high.until_state(1, State::Active);
    let low = router("eth0", 51, 100, "192.0.2.100");
    let low = Running::start(&other, DriverConfig::new().with_router(ONE, low));
    low.until_state(1, State::Backup);
    let heard = eventually(|| low.router(1), |router| router.counters.received() > 3);
    assert_eq!(heard.state, State::Backup);
    assert_eq!(heard.interface, "eth0");
    let active = heard.active.unwrap();
    assert_eq!(active.priority(), Priority::new(200));
    assert_eq!(active.address().to_string(), "192.0.2.1");
    let last = heard.last_advert.unwrap();
    assert!(heard.next_deadline.unwrap() - last > Duration::from_millis(300));
    let sent = high.router(1);
    assert_eq!(sent.state, State::Active);
    assert!(sent.counters.sent() > 3 && sent.counters.received() == 0);

    high.handle.set_tracker(tracker, false).unwrap();
    low.until_state(1, State::Active);
    high.until_state(1, State::Backup);
    assert_eq!(high.router(1).priority, Priority::new(50));
    assert!(other.holds("192.0.2.100") && !one.holds("192.0.2.100"));

    let handle = high.handle.clone();
    high.stop(ShutdownMode::Graceful);
    assert!(matches!(handle.snapshot(), Err(DriverError::Ended)));
    low.stop(ShutdownMode::Graceful);
    assert!(!other.holds("192.0.2.100"));
}

/// Also while the driver itself is still there.
#[test]
#[ignore = "needs root, for network namespaces"]
fn nobody_waits_for_a_driver_that_has_ended() {
    let (_switch, one, _other) = network();
    let setup = DriverConfig::new().with_router(ONE, router("eth0", 51, 200, "192.0.2.100"));
    let again = setup.clone();
    let (answer, answers) = mpsc::channel();
    one.enter(move || {
        let mut driver = Driver::new(setup).unwrap();
        let handle = driver.handle();
        handle.shutdown(ShutdownMode::Graceful).unwrap();
        driver.run().unwrap();
        let asking = thread::spawn(move || {
            answer.send(handle.snapshot().map(drop)).unwrap();
            answer.send(handle.try_reload(again.clone())).unwrap();
            answer.send(handle.reload(again)).unwrap();
            answer
                .send(handle.wait_settled(PATIENCE).map(drop))
                .unwrap();
        });
        for _ in 0..4 {
            let said = answers.recv_timeout(PATIENCE).unwrap();
            assert!(matches!(said, Err(DriverError::Ended)), "{said:?}");
        }
        asking.join().unwrap();
        drop(driver);
    });
}

/// What is as it was keeps its state; addresses change by the difference; interfaces may come later.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_reload_changes_the_difference() {
    let (switch, one, _other) = network();
    let stays = router("eth0", 51, 100, "192.0.2.100");
    let goes = router("eth0", 52, 100, "192.0.2.110");
    let comes = router("eth1", 53, 100, "198.51.100.100");
    let base = DriverConfig::new().with_router(ONE, stays.clone());
    let running = Running::start(&one, base.clone().with_router(RouterId::new(2), goes));
    running.until_state(2, State::Active);
    let before = eventually(|| running.router(1), |router| router.state == State::Active);
    assert!(one.holds("192.0.2.100") && one.holds("192.0.2.110"));

    let next = base.with_router(RouterId::new(3), comes);
    running.handle.try_reload(next.clone()).unwrap();
    assert!(running.handle.wait_settled(PATIENCE).unwrap());
    assert!(one.holds("192.0.2.110") && running.router(2).state == State::Active);
    running.handle.reload(next.clone()).unwrap();
    assert!(running.handle.wait_settled(PATIENCE).unwrap());
    assert!(!one.holds("192.0.2.110"));
    let after = running.router(1);
    assert_eq!((after.state, after.since), (State::Active, before.since));
    assert_eq!(running.router(3).state, State::Initialize);

    switch.connect(&one, "eth1", &["198.51.100.1/24"]);
    running.until(
        "eth1",
        |kind| matches!(kind, DriverEventKind::InterfaceFound { name, .. } if name == "eth1"),
    );
    running.until_state(3, State::Active);
    assert!(one.holds("198.51.100.100"));

    // The same address, in another subnet.
    let setup = AddressSetup::new().with_prefix_len(28);
    let moved = stays.with_address("192.0.2.100".parse().unwrap(), setup);
    running
        .handle
        .reload(next.clone().with_router(ONE, moved))
        .unwrap();
    eventually(
        || one.ask("-o address show dev eth0"),
        |all| all.contains("192.0.2.100/28") && !all.contains("192.0.2.100/24"),
    );
    assert_eq!(running.router(1).since, before.since);

    // What is wrong changes nothing.
    let wrong = next.with_router(ONE, router("no/name", 51, 100, "192.0.2.100"));
    let tried = running.handle.try_reload(wrong.clone()).unwrap_err();
    let error = running.handle.reload(wrong).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("interface name \"no/name\": "),
        "{error}"
    );
    assert_eq!(tried.to_string(), error.to_string());
    assert_eq!(running.router(1).since, before.since);
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds("192.0.2.100") && !one.holds("198.51.100.100"));
}

/// A router that moves to another interface, and the last one of an interface: both resign where they
/// were, and only there are their addresses until then.
#[test]
#[ignore = "needs root, for network namespaces"]
fn who_leaves_by_a_reload_resigns_where_it_was() {
    let (switch, one, other) = network();
    switch.connect(&one, "eth1", &["192.0.2.3/24"]);
    let setup = |interface, priority| {
        let router = router(interface, 51, priority, "192.0.2.100");
        DriverConfig::new().with_router(ONE, router)
    };
    let high = Running::start(&one, setup("eth0", 200));
    high.until_state(1, State::Active);
    let low = Running::start(&other, setup("eth0", 100));
    low.until_state(1, State::Backup);
    eventually(|| low.router(1), |low| low.counters.received() > 1);
    // Where it moves to it cannot be Active: the low one is soon, and in another network.
    one.ip("link set dev eth1 down");
    high.handle.reload(setup("eth1", 200)).unwrap();
    low.until_state(1, State::Active);
    assert_eq!(low.router(1).counters.received_resignations(), 1);
    assert!(!one.holds("192.0.2.100") && other.holds("192.0.2.100"));
    assert_eq!(high.router(1).state, State::Initialize);

    high.handle.reload(setup("eth0", 200)).unwrap();
    low.until_state(1, State::Backup);
    high.until_state(1, State::Active);
    high.handle.reload(DriverConfig::new()).unwrap();
    low.until_state(1, State::Active);
    assert_eq!(low.router(1).counters.received_resignations(), 2);
    assert!(!one.holds("192.0.2.100") && other.holds("192.0.2.100"));
    high.stop(ShutdownMode::Graceful);
    low.stop(ShutdownMode::Graceful);
}

/// It takes over from one that is alive, and waits for its addresses to be removed there; but before
/// that is over it resigns.
#[test]
#[ignore = "needs root, for network namespaces"]
fn what_is_not_wanted_any_more_is_not_installed() {
    let (switch, one, other) = network();
    let setup = |priority| {
        let router = router("eth0", 51, priority, "192.0.2.100");
        DriverConfig::new().with_router(ONE, router)
    };
    let low = Running::start(&other, setup(100));
    low.until_state(1, State::Active);
    let gap = Duration::from_secs(60);
    let high = Running::start(&one, setup(200).with_gap(gap));
    low.until_state(1, State::Backup);
    let resigned = Instant::now();
    high.stop(ShutdownMode::Graceful);
    let took = resigned.elapsed();
    assert!(took < gap / 2, "{took:?}");
    low.until_state(1, State::Active);
    low.stop(ShutdownMode::Graceful);
    assert_eq!(switch.holding.spans(&one, "192.0.2.100"), []);
}

/// Spec 3.7: the successor goes on, the Backup hears no silence, the address is there all the time.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_successor_goes_on() {
    let (switch, one, other) = network();
    let setup = |priority| {
        let router = router("eth0", 51, priority, "192.0.2.100");
        DriverConfig::new().with_router(ONE, router)
    };
    let first = Running::start(&one, setup(200));
    first.until_state(1, State::Active);
    let low = Running::start(&other, setup(100));
    low.until_state(1, State::Backup);
    let heard = eventually(|| low.router(1), |router| router.counters.received() > 3);
    let left = first.stop(ShutdownMode::Handover);
    assert_eq!(left.routers.len(), 1);
    let second = Running::resume(&one, setup(200), left);
    second.until_state(1, State::Active);
    thread::sleep(Duration::from_millis(800));
    let later = low.router(1);
    assert_eq!((later.state, later.since), (State::Backup, heard.since));
    assert!(later.counters.received() > heard.counters.received() + 4);
    assert_eq!(later.counters.received_resignations(), 0);
    second.stop(ShutdownMode::Graceful);
    let spans = switch.holding.spans(&one, "192.0.2.100");
    assert_eq!(spans.len(), 1, "{spans:?}");
    low.until_state(1, State::Active);
    low.stop(ShutdownMode::Graceful);
}

/// The addresses are gone before the others hear of it.
#[test]
#[ignore = "needs root, for network namespaces"]
fn addresses_are_released_first() {
    let (switch, one, other) = network();
    let setup = |priority| {
        let router = router("eth0", 51, priority, "192.0.2.100");
        DriverConfig::new().with_router(ONE, router)
    };
    let high = Running::start(&one, setup(254));
    high.until_state(1, State::Active);
    let low = Running::start(&other, setup(253));
    low.until_state(1, State::Backup);
    eventually(|| low.router(1), |router| router.counters.received() > 1);
    high.stop(ShutdownMode::ReleaseFirst);
    low.until_state(1, State::Active);
    assert_eq!(low.router(1).counters.received_resignations(), 1);
    low.stop(ShutdownMode::Abrupt);
    // Whatever held somebody up: the one was told after the other had removed it.
    assert!(switch.holding.overlaps().is_empty());
}

/// Authentication headers are another protocol, with another socket; who sends none is dropped and
/// counted.
#[test]
#[ignore = "needs root, for network namespaces"]
fn authenticated_routers_hear_each_other() {
    let (_switch, one, other) = network();
    let setup = |priority, key: Option<&[u8]>| {
        let key = key.map(|key| AhKey::new(AhFlavour::Keepalived, key).unwrap());
        let router = config(51, priority, "192.0.2.100")
            .with_versions(Versions::Only(Version::V2))
            .with_interval(Interval::from_seconds(1).unwrap())
            .with_authentication(key.map_or(Authentication::None, Authentication::Header));
        DriverConfig::new().with_router(ONE, RouterSetup::new("eth0", router))
    };
    let high = Running::start(&one, setup(200, Some(b"secret")));
    high.until_state(1, State::Active);
    let low = Running::start(&other, setup(100, Some(b"secret")));
    low.until_state(1, State::Backup);
    let heard = eventually(|| low.router(1), |router| router.counters.received() > 1);
    assert_eq!(heard.active.unwrap().priority(), Priority::new(200));
    high.handle.reload(setup(200, None)).unwrap();
    let refused = eventually(
        || low.router(1),
        |router| router.counters.rejected_in_all() > 0,
    );
    assert_eq!(refused.state, State::Backup);
    low.stop(ShutdownMode::Graceful);
    high.stop(ShutdownMode::Graceful);
}

//! What a program does beside the addresses.

use core::time::Duration;
use std::sync::mpsc::{self, Receiver, Sender};

use lvs_vrrp::event::{DataPlane, ShutdownMode};
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::JobResult;
use lvs_vrrp::net::{DriverConfig, DriverEventKind, Handle, Hooks, Lifetime, clock};
use lvs_vrrp::node::{RouterId, Settings};
use lvs_vrrp::receive::Peer;
use lvs_vrrp::{GuardStatus, Priority, Rank, State, Version};

use crate::network::{Host, Switch, eventually};
use crate::process::Router;
use crate::running::Running;

const ADDRESS: &str = "192.0.2.100";

fn network() -> (Switch, Host, Host) {
    let switch = Switch::new();
    let (one, other) = (Host::new("one"), Host::new("other"));
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    switch.connect(&other, "eth0", &["192.0.2.2/24"]);
    (switch, one, other)
}

fn driver(priority: u8) -> DriverConfig {
    Router::new(Version::V3, priority, ADDRESS).driver()
}

/// Says what it is called for; preparing takes until that is told.
struct Slow {
    calls: Sender<&'static str>,
    go_on: Receiver<()>,
}

impl Hooks for Slow {
    fn prepare(&mut self, _: RouterId) -> JobResult {
        self.calls.send("prepare").unwrap();
        self.go_on.recv().unwrap();
        JobResult::Done
    }

    fn establish(&mut self, _: RouterId) -> JobResult {
        self.calls.send("establish").unwrap();
        JobResult::Done
    }

    fn settle(&mut self, _: RouterId) -> JobResult {
        self.calls.send("settle").unwrap();
        JobResult::Done
    }

    fn data_plane(&mut self, _: RouterId, plane: DataPlane) -> JobResult {
        let serves = if plane.serves { "serves" } else { "serves not" };
        self.calls.send(serves).unwrap();
        JobResult::Done
    }
}

fn said(calls: &Receiver<&'static str>) -> Vec<&'static str> {
    calls.try_iter().collect()
}

/// OP-1: preparing delays the address and nothing else; what follows is in order.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_slow_hook_delays_no_advertisement() {
    let (_switch, one, other) = network();
    let (calls, called) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    // Long enough that nobody takes over because of what else this machine does.
    let slow = |priority| Router {
        interval: Duration::from_millis(500),
        ..Router::new(Version::V3, priority, ADDRESS)
    };
    let low = Running::start(&other, slow(100).driver());
    low.until_state(1, State::Active);
    let high = Running::start_with(&one, slow(200).driver(), |driver| {
        driver.set_hooks(Slow { calls, go_on }).unwrap();
    });
    assert_eq!(called.recv().unwrap(), "serves not");
    assert_eq!(called.recv().unwrap(), "prepare");
    low.until_state(1, State::Backup);
    let heard = low.router(1).counters.received();
    let more = |now: &u64| *now >= heard + 5;
    eventually(|| low.router(1).counters.received(), more);
    assert_eq!(low.router(1).state, State::Backup);
    assert!(!one.holds(ADDRESS) && called.try_recv().is_err());
    go.send(()).unwrap();
    high.until_state(1, State::Active);
    assert!(one.holds(ADDRESS));
    assert_eq!(said(&called), ["serves", "establish"]);
    high.stop(ShutdownMode::Graceful);
    assert_eq!(said(&called), ["serves not", "settle"]);
    low.stop(ShutdownMode::Graceful);
}

/// Panics when it is called for the first time.
struct Panicking(bool);

impl Hooks for Panicking {
    fn prepare(&mut self, _: RouterId) -> JobResult {
        assert!(core::mem::replace(&mut self.0, true), "not yet");
        JobResult::Done
    }
}

/// It is as if the hook had failed: the router steps down, and tries again.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_hook_that_panics_has_failed() {
    let (_switch, one, _other) = network();
    let mut settings = Settings::default();
    settings.install_retry = Duration::from_millis(500);
    let config = driver(200).with_settings(settings);
    let running = Running::start_with(&one, config, |driver| {
        driver.set_hooks(Panicking(false)).unwrap();
    });
    running.until("a panic", |kind| match kind {
        DriverEventKind::HookPanicked(said) => said == "not yet",
        _ => false,
    });
    running.until_state(1, State::Initialize);
    running.until_state(1, State::Active);
    eventually(|| one.holds(ADDRESS), |holds| *holds);
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS));
}

/// An arbiter that grants at once, for a while.
struct Arbiter {
    handle: Handle,
    calls: Sender<String>,
}

impl Hooks for Arbiter {
    fn acquire_guard(&mut self, group: GroupId, rank: Rank) -> JobResult {
        self.calls
            .send(format!("acquire {}", rank.priority().get()))
            .unwrap();
        let until = clock::now() + Duration::from_secs(60);
        let status = GuardStatus::Held { until, epoch: 1 };
        self.handle.set_guard(group, status).unwrap();
        JobResult::Done
    }

    fn release_guard(&mut self, _: GroupId) -> JobResult {
        self.calls.send("release".into()).unwrap();
        JobResult::Done
    }
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_guard_is_asked_for_and_given_back() {
    let (_switch, one, _other) = network();
    let group = GroupConfig::new([RouterId::new(1)]).with_guard(Duration::from_millis(100));
    let config = driver(100).with_group(GroupId::new(1), group);
    let (calls, called) = mpsc::channel();
    let running = Running::start_with(&one, config, |driver| {
        let handle = driver.handle();
        driver.set_hooks(Arbiter { handle, calls }).unwrap();
    });
    running.until_state(1, State::Active);
    assert!(one.holds(ADDRESS));
    assert_eq!(called.recv().unwrap(), "acquire 100");
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS));
    assert_eq!(called.iter().last().unwrap(), "release");
}

/// Grants for the time that it is told, once.
struct Grants(Handle, Duration);

impl Hooks for Grants {
    fn acquire_guard(&mut self, group: GroupId, _: Rank) -> JobResult {
        let until = clock::now() + self.1;
        let status = GuardStatus::Held { until, epoch: 1 };
        self.0.set_guard(group, status).unwrap();
        JobResult::Done
    }
}

/// For how long the kernel keeps the address now, in seconds.
fn lifetime(host: &Host) -> u64 {
    let shown = host.ask("-o address show dev eth0");
    let line = shown.lines().find(|line| line.contains(ADDRESS)).unwrap();
    let mut words = line
        .split_whitespace()
        .skip_while(|word| *word != "valid_lft");
    words
        .nth(1)
        .unwrap()
        .trim_end_matches("sec")
        .parse()
        .unwrap()
}

/// Spec 4.2 rule 7: should the process be paused, the kernel removes the address before the guard is
/// another's.
#[test]
#[ignore = "needs root, for network namespaces"]
fn no_lifetime_reaches_beyond_the_guard() {
    let (_switch, one, _other) = network();
    let group = GroupConfig::new([RouterId::new(1)]).with_guard(Duration::from_millis(100));
    let with = |lifetime| {
        let config = driver(100).with_group(GroupId::new(1), group.clone());
        let (id, setup) = config.routers().next().unwrap();
        let setup = setup.clone().with_lifetime(lifetime);
        config.clone().with_router(id, setup)
    };
    let refused = with(Lifetime::Unlimited).validate().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "lifetime of router 1: unlimited, but group 1 has a guard"
    );
    let config = with(Lifetime::Limited(Duration::from_secs(600)));
    let running = Running::start_with(&one, config, |driver| {
        let hooks = Grants(driver.handle(), Duration::from_secs(30));
        driver.set_hooks(hooks).unwrap();
    });
    running.until_state(1, State::Active);
    let first = lifetime(&one);
    assert!((10..=28).contains(&first), "{first}");
    let until = clock::now() + Duration::from_secs(300);
    let status = GuardStatus::Held { until, epoch: 1 };
    running.handle.set_guard(GroupId::new(1), status).unwrap();
    eventually(|| lifetime(&one), |later| (200..=298).contains(later));
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS));
}

/// Each tells the other, and nobody else.
#[test]
#[ignore = "needs root, for network namespaces"]
fn unicast_peers_hear_each_other() {
    let (_switch, one, other) = network();
    let unicast = |priority, peer: &str| {
        let config = driver(priority);
        let (id, setup) = config.routers().next().unwrap();
        let peers = [Peer::new(peer.parse().unwrap())];
        let router = setup.config().clone().with_unicast_peers(peers);
        let changed = lvs_vrrp::net::RouterSetup::new("eth0", router);
        DriverConfig::new().with_router(id, changed)
    };
    let high = Running::start(&one, unicast(200, "192.0.2.2"));
    high.until_state(1, State::Active);
    let low = Running::start(&other, unicast(100, "192.0.2.1"));
    low.until_state(1, State::Backup);
    let heard = eventually(|| low.router(1), |router| router.counters.received() > 3);
    assert_eq!(heard.active.unwrap().priority(), Priority::new(200));
    for host in [&one, &other] {
        let groups = host.ask("maddress show dev eth0");
        assert!(!groups.contains("224.0.0.18"), "{groups}");
    }
    high.stop(ShutdownMode::Graceful);
    low.until_state(1, State::Active);
    assert!(other.holds(ADDRESS));
    low.stop(ShutdownMode::Graceful);
}

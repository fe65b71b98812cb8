//! Virtual routers at work, in network namespaces.

use core::time::Duration;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::example;
use crate::network::{Network, Running};

const ROUTER: &str = "-i va --vrid 51 --address 192.0.2.1/24 --interval 100ms";

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_router_takes_its_address_and_leaves_it() {
    for driver in ["blocking", "tokio"] {
        let network = Network::new();
        let mut vrrpd = network.start(&format!("{ROUTER} --priority 150 --driver {driver}"));
        let active = vrrpd.wait_state("va/51", "active");
        assert_eq!(active["cause"], "active-timeout");
        assert_eq!(active["reason"], "no-response");
        assert_eq!(active["priority"], 150);
        assert_eq!(active["interface"], "va");
        assert!(network.has("192.0.2.1/24"), "{driver}");
        let snapshot = vrrpd.snapshot();
        let router = &snapshot["routers"][0];
        assert_eq!(router["state"], "active");
        assert!(router["sent"].as_u64() >= Some(1), "{router}");
        assert_eq!(vrrpd.stop(), Some(0));
        assert!(!network.has("192.0.2.1/24"), "{driver}");
        let last = vrrpd
            .seen
            .iter()
            .rev()
            .find(|event| event["event"] == "state");
        assert_eq!(last.unwrap()["cause"], "shutdown");
        // Nothing is missing, and all is in order.
        for (event, number) in vrrpd.seen.iter().zip(1..) {
            assert_eq!(event["sequence"], number);
            assert!(event["time"].as_f64() > Some(1e9), "{event}");
        }
    }
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_end_is_said_with_priority_0_and_the_backup_takes_over_within_the_skew() {
    let network = Network::new();
    let other = Network::new();
    network.give_end_to(&other);
    let mut first = network.start(&format!("{ROUTER} --priority 150"));
    first.wait_state("va/51", "active");
    let mut second = other.start("-i vb --vrid 51 --address 192.0.2.1/24 --interval 100ms");
    second.wait_state("vb/51", "backup");
    // It advertises ten times a second.
    let heard = (0..50).any(|_| {
        sleep(Duration::from_millis(20));
        second.snapshot()["routers"][0]["active"] == "192.0.2.11"
    });
    assert!(heard, "{:?}", second.seen.last());
    assert_eq!(first.stop(), Some(0));
    second.wait_state("vb/51", "active");
    let router = &second.snapshot()["routers"][0];
    assert_eq!(router["received_resignations"], 1);
    assert!(!network.has("192.0.2.1/24"));
    assert_eq!(second.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn reading_again_adds_and_removes_routers_and_leaves_others_alone() {
    let network = Network::new();
    let router = |id: u8, name: &str| {
        format!(
            "vrrp_instance {name} {{\n  interface va\n  version 3\n  advert_int 0.1\n  \
             virtual_router_id {id}\n  virtual_ipaddress {{ 192.0.2.{id}/24 }}\n}}\n"
        )
    };
    let (one, two) = (router(51, "ONE"), router(52, "TWO"));
    let path = network.write("ha.conf", &one);
    let mut vrrpd = network.start("--use-file ha.conf");
    vrrpd.wait_state("ONE", "active");
    fs::write(&path, format!("{two}{one}")).unwrap();
    vrrpd.signal(Signal::SIGHUP);
    let reloaded = vrrpd.wait_event("reloaded");
    assert_eq!(reloaded["routers"].as_array().map(Vec::len), Some(2));
    vrrpd.wait_state("TWO", "active");
    assert!(network.has("192.0.2.52/24") && network.has("192.0.2.51/24"));
    // A mistake changes nothing.
    fs::write(&path, two.replace("192.0.2.52/24", "nonsense")).unwrap();
    vrrpd.signal(Signal::SIGHUP);
    let kept = vrrpd.wait_event("not-reloaded");
    assert!(kept["reason"].as_str().unwrap().contains("error"), "{kept}");
    let named = vrrpd.seen.iter().find(|event| event["severity"] == "error");
    assert!(named.unwrap()["line"].is_u64(), "{named:?}");
    assert_eq!(
        vrrpd.snapshot()["routers"].as_array().map(Vec::len),
        Some(2)
    );
    fs::write(&path, &two).unwrap();
    vrrpd.signal(Signal::SIGHUP);
    // Either is told first: the end of a router is told by the driver.
    let is_gone = |event: &Value| event["router"] == "ONE" && event["to"] == "initialize";
    let is_either = |event: &Value| event["event"] == "reloaded" || is_gone(event);
    let told = [(); 2].map(|()| vrrpd.wait("reloaded, or ONE initialize", is_either));
    assert!(told.iter().any(|event| event["event"] == "reloaded"));
    let gone = told.iter().find(|event| is_gone(event)).unwrap();
    assert_eq!(gone["cause"], "shutdown");
    assert!(!network.has("192.0.2.51/24") && network.has("192.0.2.52/24"));
    // The one that stayed never changed its state.
    let states = |name: &str| {
        let seen = vrrpd.seen.iter();
        let seen = seen.filter(|event| event["event"] == "state" && event["router"] == name);
        seen.map(|event| event["to"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states("TWO"), ["backup", "active"]);
    assert_eq!(states("ONE"), ["backup", "active", "initialize"]);
    assert_eq!(vrrpd.stop(), Some(0));
    assert!(!network.has("192.0.2.52/24"));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_virtual_mac_has_a_device_of_its_own() {
    let network = Network::new();
    for (flag, device) in [("--virtual-mac", "vrrp.51"), ("--virtual-mac=vm0", "vm0")] {
        let mut vrrpd = network.start(&format!("{ROUTER} {flag}"));
        vrrpd.wait_state("va/51", "active");
        let link = network.ask(&format!("-br link show dev {device}"));
        assert!(link.contains("00:00:5e:00:01:33"), "{link}");
        let addresses = network.ask(&format!("-br addr show dev {device}"));
        assert!(addresses.contains("192.0.2.1/24"), "{addresses}");
        assert_eq!(vrrpd.stop(), Some(0));
        assert_eq!(network.ask(&format!("-br link show dev {device}")), "");
    }
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_file_may_name_the_network_namespace() {
    let network = Network::new();
    let path = network.write(
        "ha.conf",
        &format!(
            "global_defs {{\n  net_namespace {}\n}}\nvrrp_instance ONE {{\n  interface va\n  \
             version 3\n  advert_int 0.1\n  virtual_router_id 51\n  virtual_ipaddress {{ \
             192.0.2.1/24 }}\n}}\n",
            network.name()
        ),
    );
    let arguments = format!("--use-file {}", path.display());
    let mut vrrpd = Running::start(example::command("vrrpd"), &arguments);
    vrrpd.wait_state("ONE", "active");
    assert!(network.has("192.0.2.1/24"));
    assert_eq!(vrrpd.stop(), Some(0));
    assert!(!network.has("192.0.2.1/24"));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn what_is_refused_is_told_with_its_reason() {
    let network = Network::new();
    let other = Network::new();
    network.give_end_to(&other);
    let router = "--vrid 51 --address 192.0.2.1/24 --version 2";
    let mut first = network.start(&format!(
        "-i va {router} --priority owner --password secret"
    ));
    first.wait_state("va/51", "active");
    let mut second = other.start(&format!("-i vb {router} --password other"));
    let told = second.wait_event("rejected");
    assert_eq!(told["reason"], "auth-failure", "{told}");
    assert_eq!(told["source"], "192.0.2.11");
    assert_eq!(second.stop(), Some(0));
    assert_eq!(first.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn nobody_waits_for_who_does_not_read() {
    let network = Network::new();
    let mut child = network
        .command()
        .args(ROUTER.split(' '))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    // More than a pipe holds, as soon as it runs: until then the signal would end it.
    let until = Instant::now() + Duration::from_secs(20);
    while !network.has("192.0.2.1/24") {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(20));
    }
    for _ in 0..400 {
        kill(pid, Signal::SIGUSR1).unwrap();
        sleep(Duration::from_millis(4));
    }
    kill(pid, Signal::SIGTERM).unwrap();
    while network.has("192.0.2.1/24") {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn addresses_have_the_broadcast_address_of_the_file() {
    let network = Network::new();
    let file = |broadcast: &str| {
        format!(
            "vrrp_instance ONE {{\n  interface va\n  version 3\n  advert_int 0.1\n  \
             virtual_router_id 51\n  promote_secondaries\n  virtual_ipaddress {{\n    192.0.2.1/24 {broadcast}\n    \
             198.51.100.1/28 brd 198.51.100.9\n  }}\n}}\n"
        )
    };
    let path = network.write("ha.conf", &file("brd +"));
    let mut vrrpd = network.start("--use-file ha.conf --strict");
    vrrpd.wait_state("ONE", "active");
    let shown = || network.ask("-o addr show dev va").replace(" scope", "\n");
    let has = |what: &str| shown().lines().any(|line| line.ends_with(what));
    assert!(has("inet 192.0.2.1/24 brd 192.0.2.255"), "{}", shown());
    assert!(has("inet 198.51.100.1/28 brd 198.51.100.9"), "{}", shown());
    // The kernel cannot change it.
    fs::write(&path, file("")).unwrap();
    vrrpd.signal(Signal::SIGHUP);
    vrrpd.wait_event("reloaded");
    let until = Instant::now() + Duration::from_secs(10);
    while !has("inet 192.0.2.1/24") {
        assert!(Instant::now() < until, "{}", shown());
        sleep(Duration::from_millis(20));
    }
    assert!(has("inet 198.51.100.1/28 brd 198.51.100.9"), "{}", shown());
    assert_eq!(vrrpd.stop(), Some(0));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn without_link_only_one_that_ignores_it_goes_on() {
    let network = Network::new();
    let other = Network::new();
    network.give_end_to(&other);
    let router = |id: u8, name: &str, more: &str| {
        format!(
            "vrrp_instance {name} {{\n  interface va\n  version 3\n  advert_int 0.1\n  \
             virtual_router_id {id}\n  {more}\n  virtual_ipaddress {{ 192.0.2.{id}/24 }}\n}}\n"
        )
    };
    let text = router(51, "ONE", "dont_track_primary") + &router(52, "TWO", "");
    network.write("ha.conf", &text);
    other.ip("link set vb down");
    // Also from the beginning.
    let mut vrrpd = network.start("--use-file ha.conf --strict");
    vrrpd.wait_state("ONE", "active");
    assert_eq!(
        vrrpd.snapshot()["routers"][1]["init_reason"],
        "interface-down"
    );
    other.ip("link set vb up");
    vrrpd.wait_state("TWO", "active");
    other.ip("link set vb down");
    vrrpd.wait_state("TWO", "initialize");
    sleep(Duration::from_millis(500));
    assert_eq!(vrrpd.snapshot()["routers"][0]["state"], "active");
    assert!(network.has("192.0.2.51/24") && !network.has("192.0.2.52/24"));
    let changes = vrrpd.seen.iter().filter(|event| event["event"] == "state");
    let changes = changes.filter(|event| event["router"] == "ONE");
    assert_eq!(changes.count(), 2, "{:?}", vrrpd.seen);
    assert_eq!(vrrpd.stop(), Some(0));
}

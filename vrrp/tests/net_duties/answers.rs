//! Who answers for a virtual address, and with which MAC.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::{Family, State};

use crate::network::{Host, eventually};
use crate::observer::{Frame, Neighbour, Observer};
use crate::running::Running;
use crate::scene::{FAMILIES, LONG, Scene, WHILE, driver, is_reached, own_mac, words};

/// What was said about this address.
fn said(frames: &[Frame], address: &str) -> Vec<Neighbour> {
    let all = frames.iter().filter_map(Frame::neighbour);
    all.filter(|neighbour| neighbour.sender == address)
        .collect()
}

/// The MAC under which a host knows an address.
fn known(host: &Host, address: &str) -> String {
    let entry = host.ask(&format!("neighbour show {address} dev eth0"));
    let mut words = entry.split_whitespace();
    words.find(|word| *word == "lladdr");
    words.next().unwrap_or_default().into()
}

/// VRRP-066, VRRP-068, VRRP-109, VRRP-110, VRRP-111, VRRP-118: The Active answers with the virtual
/// MAC, from it (spec §6.9 names the deviation from RFC 5798's note), and as a router. The interface,
/// in the same subnet, never answers.
#[test]
#[ignore = "needs root, for network namespaces"]
fn the_active_answers_with_the_virtual_mac() {
    for family in FAMILIES {
        let scene = Scene::new();
        let words = words(family);
        let observer = Observer::new(&scene.client);
        let (active, backup) = scene.run(family);
        assert!(is_reached(&scene.client, words.address, ""));
        assert_eq!(known(&scene.client, words.address), words.mac);
        // It verifies what it knows.
        scene.client.ip(&format!(
            "neighbour replace {} lladdr {} dev eth0 nud stale",
            words.address, words.mac
        ));
        assert!(is_reached(&scene.client, words.address, ""));
        let frames = observer.during(WHILE);
        let said = said(&frames, words.address);
        let mut answers = said.iter().filter(|said| !said.is_question);
        let to_client = |said: &&Neighbour| family == Family::Ipv6 || said.target == words.client;
        let answer = answers.find(to_client).unwrap();
        assert_eq!(answer.is_router, family == Family::Ipv6);
        for said in &said {
            assert_eq!(said.told.as_deref(), Some(words.mac), "{said:?}");
            assert_eq!(said.source, words.mac, "{said:?}");
        }
        active.stop(ShutdownMode::Graceful);
        backup.stop(ShutdownMode::Graceful);
    }
}

/// VRRP-053, VRRP-054, VRRP-057: A Backup says nothing for the addresses, whoever asks, and does not
/// take what is for them. The Active is made deaf, so that only the Backup could.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_backup_neither_answers_nor_accepts() {
    for family in FAMILIES {
        let scene = Scene::new();
        let words = words(family);
        let (active, backup) = scene.run(family);
        scene.deafen(&scene.one);
        let observer = Observer::new(&scene.client);
        scene.client.ip("neighbour flush dev eth0");
        assert!(!is_reached(&scene.client, words.address, ""));
        let frames = observer.take();
        let mut questions = frames.iter().filter_map(Frame::neighbour);
        assert!(questions.any(|said| said.is_question && said.target == words.address));
        assert_eq!(said(&frames, words.address), []);
        // It would be reached under its own address, but not under that one, by either MAC.
        assert!(is_reached(&scene.client, words.other, ""));
        for mac in [words.mac.to_string(), own_mac(2)] {
            scene.client.ip(&format!(
                "neighbour replace {} lladdr {mac} dev eth0 nud permanent",
                words.address
            ));
            assert!(!is_reached(&scene.client, words.address, ""), "{mac}");
        }
        let frames = observer.take();
        let from = frames.iter().filter_map(Frame::ip).map(|(from, _)| from);
        assert_eq!(from.filter(|from| from == words.address).count(), 0);
        assert_eq!(backup.router(1).state, State::Backup);
        active.stop(ShutdownMode::Graceful);
        backup.stop(ShutdownMode::Graceful);
    }
}

/// VRRP-067: The solicited-node groups are those of the addresses that it answers for.
#[test]
#[ignore = "needs root, for network namespaces"]
fn solicited_node_groups_come_and_go() {
    let scene = Scene::new();
    let words = words(Family::Ipv6);
    let (active, backup) = scene.run(Family::Ipv6);
    let hears = |host: &Host| {
        let groups = host.ask(&format!("-6 maddress show dev {}", words.device));
        groups.contains("ff02::1:ff00:100")
    };
    // The kernel joins them when it has time, a moment after the address is there.
    eventually(|| hears(&scene.one), |hears| *hears);
    assert!(!hears(&scene.other));
    active.stop(ShutdownMode::Graceful);
    backup.until_state(1, State::Active);
    eventually(|| hears(&scene.other), |hears| *hears);
    backup.stop(ShutdownMode::Graceful);
}

/// VRRP-104, VRRP-112, VRRP-120: From its start on, whatever an owner sends of its addresses comes
/// from the virtual MAC: advertisements, ARP, neighbour discovery.
#[test]
#[ignore = "needs root, for network namespaces"]
fn an_owner_shows_only_the_virtual_mac() {
    for family in FAMILIES {
        let scene = Scene::new();
        let words = words(family);
        let observer = Observer::new(&scene.client);
        let owner = Running::start(&scene.one, driver(family, 255));
        owner.until_state(1, State::Active);
        let frames = observer.during(LONG);
        let is_advertisement = |frame: &&Frame| frame.is_advertisement();
        let advertisements: Vec<_> = frames.iter().filter(is_advertisement).collect();
        assert!(advertisements.len() >= 3, "{advertisements:?}");
        for frame in advertisements {
            assert_eq!(frame.source(), words.mac);
            assert_eq!(frame.destination(), words.group_mac);
        }
        let said = said(&frames, words.address);
        assert!(!said.is_empty());
        for said in said {
            assert_eq!(said.told.as_deref(), Some(words.mac), "{said:?}");
            assert_eq!(said.source, words.mac, "{said:?}");
        }
        owner.stop(ShutdownMode::Graceful);
    }
}

/// VRRP-122: Nobody is asked whether the addresses are free, and they are there at once.
#[test]
#[ignore = "needs root, for network namespaces"]
fn duplicates_are_not_looked_for() {
    let scene = Scene::new();
    scene.one.sysctl("ipv6/conf/default/accept_dad", "1");
    scene.one.sysctl("ipv6/conf/all/accept_dad", "1");
    let words = words(Family::Ipv6);
    let observer = Observer::new(&scene.client);
    let active = Running::start(&scene.one, driver(Family::Ipv6, 200));
    active.until_state(1, State::Active);
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        let all = scene
            .one
            .ask(&format!("-6 -o address show dev {}", words.device));
        assert!(
            all.contains(words.address) && !all.contains("tentative"),
            "{all}"
        );
        thread::sleep(Duration::from_millis(50));
    }
    let frames = observer.take();
    let mut questions = frames.iter().filter_map(Frame::neighbour);
    let is_probe = |said: &Neighbour| said.is_question && said.sender == "::";
    let probe = questions.find(|said| is_probe(said) && said.target == words.address);
    assert_eq!(probe, None);
    active.stop(ShutdownMode::Graceful);
}

/// VRRP-108: The device has the virtual addresses and no other, though it may make some by default.
#[test]
#[ignore = "needs root, for network namespaces"]
fn the_virtual_mac_makes_no_address() {
    let scene = Scene::new();
    // EUI-64 for new devices.
    scene.one.sysctl("ipv6/conf/default/addr_gen_mode", "0");
    let words = words(Family::Ipv6);
    let active = Running::start(&scene.one, driver(Family::Ipv6, 200));
    let addresses = || {
        let all = scene
            .one
            .ask(&format!("-6 -o address show dev {}", words.device));
        let mut addresses: Vec<_> = all
            .lines()
            .map(|line| line.split_whitespace().nth(3).unwrap().to_string())
            .collect();
        addresses.sort();
        addresses
    };
    active.until_state(1, State::Active);
    // Some make theirs when the link comes up.
    scene.one.ip("link set dev eth0 down");
    active.until_state(1, State::Initialize);
    scene.one.ip("link set dev eth0 up");
    active.until_state(1, State::Active);
    thread::sleep(WHILE);
    assert_eq!(addresses(), ["2001:db8::100/64", "fe80::100/64"]);
    active.stop(ShutdownMode::Graceful);
}

/// The device of a successor takes what comes to it as before.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_successor_answers() {
    for family in FAMILIES {
        let scene = Scene::new();
        let words = words(family);
        let (active, backup) = scene.run(family);
        assert!(is_reached(&scene.client, words.address, ""));
        let left = active.stop(ShutdownMode::Handover);
        let next = Running::resume(&scene.one, driver(family, 200), left);
        next.until_state(1, State::Active);
        scene.client.ip("neighbour flush dev eth0");
        assert!(is_reached(&scene.client, words.address, ""));
        assert_eq!(known(&scene.client, words.address), words.mac);
        assert_eq!(backup.router(1).state, State::Backup);
        next.stop(ShutdownMode::Graceful);
        backup.until_state(1, State::Active);
        assert!(is_reached(&scene.client, words.address, ""));
        backup.stop(ShutdownMode::Graceful);
    }
}

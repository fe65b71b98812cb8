//! What virtual routers pass on.

use std::thread;

use lvs_vrrp::event::ShutdownMode;

use crate::network::{Host, cable};
use crate::observer::{Frame, Observer};
use crate::scene::{FAMILIES, LONG, Scene, is_reached, own_mac, words};

/// A host behind a director, on a link of its own.
fn server_behind(director: &Host) -> Host {
    let server = Host::new("server");
    cable(director, "eth1", &server, "eth0");
    director
        .ip("address add 198.51.100.1/24 dev eth1\naddress add 2001:db8:1::1/64 dev eth1 nodad");
    server.ip(
        "address add 198.51.100.9/24 dev eth0\naddress add 2001:db8:1::9/64 dev eth0 nodad\n\
         route add default via 198.51.100.1\nroute add 2000::/3 via 2001:db8:1::1",
    );
    server
}

const SERVERS: [(&str, &str); 2] = [
    ("198.51.100.9", "198.51.100.0/24"),
    ("2001:db8:1::9", "2001:db8:1::/64"),
];

/// VRRP-071: What comes to the virtual MAC is forwarded.
#[test]
#[ignore = "needs root, for network namespaces"]
fn the_active_forwards_what_comes_to_the_virtual_mac() {
    for (family, (server, subnet)) in FAMILIES.into_iter().zip(SERVERS) {
        let scene = Scene::new();
        let words = words(family);
        let _server = server_behind(&scene.one);
        let (active, backup) = scene.run(family);
        let observer = Observer::new(&scene.client);
        scene
            .client
            .ip(&format!("route add {subnet} via {}", words.address));
        assert!(is_reached(&scene.client, server, ""));
        let frames = observer.take();
        let mut requests = frames
            .iter()
            .filter(|frame| frame.ip().is_some_and(|(_, to)| to == server));
        assert_eq!(requests.next().unwrap().destination(), words.mac);
        // The Backup hears it, too, knows no way to there, and does not say so.
        let told = frames.iter().filter(|frame| frame.source() == own_mac(2));
        let mut told = told.filter_map(Frame::ip);
        assert_eq!(told.find(|(_, to)| to == words.client), None);
        active.stop(ShutdownMode::Graceful);
        backup.stop(ShutdownMode::Graceful);
    }
}

/// VRRP-056: A Backup passes nothing on that comes to the virtual MAC. The Active is deaf, and a hub
/// brings the Backup what is not for it.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_backup_discards_what_comes_to_the_virtual_mac() {
    for (family, (server, subnet)) in FAMILIES.into_iter().zip(SERVERS) {
        let scene = Scene::new();
        let words = words(family);
        let behind = server_behind(&scene.other);
        let (active, backup) = scene.run(family);
        scene.deafen(&scene.one);
        let observer = Observer::new(&behind);
        scene.client.ip(&format!(
            "neighbour replace {address} lladdr {} dev eth0 nud permanent\n\
             route add {subnet} via {address}",
            words.mac,
            address = words.address
        ));
        assert!(!is_reached(&scene.client, server, ""));
        let frames = observer.take();
        let passed = frames
            .iter()
            .filter_map(Frame::ip)
            .filter(|(_, to)| to == server);
        assert_eq!(passed.count(), 0);
        active.stop(ShutdownMode::Graceful);
        // Now that it is Active, the very same packet passes.
        backup.until_state(1, lvs_vrrp::State::Active);
        assert!(is_reached(&scene.client, server, ""));
        backup.stop(ShutdownMode::Graceful);
    }
}

/// VRRP-003: Advertisements stay on their link, though the hosts forward everything else.
#[test]
#[ignore = "needs root, for network namespaces"]
fn advertisements_are_not_forwarded() {
    for family in FAMILIES {
        let scene = Scene::new();
        let behind = server_behind(&scene.other);
        let (near, far) = (Observer::new(&scene.client), Observer::new(&behind));
        let (active, backup) = scene.run(family);
        thread::sleep(LONG);
        let count = |observer: &Observer| {
            let frames = observer.take();
            frames
                .iter()
                .filter(|frame| frame.is_advertisement())
                .count()
        };
        assert!(count(&near) >= 3);
        assert_eq!(count(&far), 0);
        active.stop(ShutdownMode::Graceful);
        backup.stop(ShutdownMode::Graceful);
    }
}

//! Links and addresses of a real kernel, and what is told when they change.

use core::net::IpAddr;
use core::time::Duration;
use std::thread::sleep;
use std::time::Instant;

use lvs_vrrp::net::addresses::{AddressBook, AddressKey, VirtualAddress};
use lvs_vrrp::net::clock::now;
use lvs_vrrp::net::links::{Link, LinkChanges, LinkMonitor};

use super::isolated::{PATIENCE, cable, index, ip, isolated};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| address(text)).collect()
}

/// Reads until there is no more.
fn read(monitor: &mut LinkMonitor) -> LinkChanges {
    let mut all = LinkChanges::default();
    loop {
        let changes = monitor.read().unwrap();
        all.interfaces.extend(changes.interfaces);
        all.removed.extend(changes.removed);
        all.was_overrun |= changes.was_overrun;
        if !changes.has_more {
            return all;
        }
    }
}

/// Reads until something is so: the kernel looks after carriers and new addresses when it has time.
fn read_until(monitor: &mut LinkMonitor, is_so: impl Fn(&LinkMonitor) -> bool) {
    let start = Instant::now();
    loop {
        read(monitor);
        if is_so(monitor) {
            return;
        }
        let links = monitor.links();
        assert!(start.elapsed() < PATIENCE, "still not so: {links:#?}");
        sleep(Duration::from_millis(2));
    }
}

/// What a monitor that has just been opened sees.
fn fresh() -> Vec<Link> {
    let monitor = LinkMonitor::open().unwrap();
    monitor.links().iter().map(without_lifetimes).collect()
}

fn without_lifetimes(link: &Link) -> Link {
    let mut link = link.clone();
    for address in &mut link.addresses {
        address.lifetime = None;
    }
    link
}

/// What the monitor sees becomes what there is.
fn assert_is_up_to_date(monitor: &mut LinkMonitor) {
    read_until(monitor, |monitor| {
        let mut known: Vec<Link> = monitor.links().iter().map(without_lifetimes).collect();
        let mut fresh = fresh();
        for link in known.iter_mut().chain(&mut fresh) {
            link.addresses
                .sort_by_key(|address| (address.address, address.prefix_len));
        }
        known == fresh
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn a_link_is_followed_from_its_beginning_to_its_end() {
    isolated(|| {
        let mut monitor = LinkMonitor::open().unwrap();
        let lo = monitor.links().by_name("lo").unwrap();
        assert!(lo.is_up && lo.is_running && lo.is_loopback && !lo.is_asked());
        assert!(monitor.links().by_name("eth0").is_none());

        let eth0 = cable("eth0", "peer0");
        let changes = read(&mut monitor);
        assert!(changes.interfaces.contains(&eth0));
        assert!(!changes.was_overrun);
        ip("link set eth0 mtu 1400 alias uplink");
        ip("link set eth0 address 02:00:00:00:00:01");
        assert!(read(&mut monitor).interfaces.contains(&eth0));
        let link = monitor.links().by_name("eth0").unwrap();
        assert_eq!((link.index, link.mtu), (eth0, 1400));
        assert_eq!(link.alias.as_deref(), Some("uplink"));
        assert_eq!(link.mac.unwrap().to_string(), "02:00:00:00:00:01");
        assert_eq!(link.kind.as_deref(), Some("veth"));
        assert_eq!(link.base, Some(index("peer0")));
        assert!(link.is_up && link.is_running && link.is_asked());

        // No carrier: up, not running. Then down.
        ip("link set peer0 down");
        let is_running = |monitor: &LinkMonitor| monitor.links().get(eth0).unwrap().is_running;
        read_until(&mut monitor, |monitor| !is_running(monitor));
        assert!(monitor.links().get(eth0).unwrap().is_up);
        ip("link set peer0 up");
        read_until(&mut monitor, is_running);
        ip("link set eth0 down");
        read_until(&mut monitor, |monitor| !is_running(monitor));
        assert!(!monitor.links().get(eth0).unwrap().is_up);

        ip("link set eth0 name wan");
        read(&mut monitor);
        assert_eq!(monitor.links().by_name("wan").unwrap().index, eth0);
        assert_is_up_to_date(&mut monitor);

        ip("address add 192.0.2.1/24 dev wan");
        read(&mut monitor);
        ip("link del wan");
        let changes = read(&mut monitor);
        assert!(changes.interfaces.contains(&eth0));
        let interface = eth0;
        let address = address("192.0.2.1");
        assert!(changes.removed.contains(&AddressKey { interface, address }));
        assert!(monitor.links().get(eth0).is_none());
        assert_is_up_to_date(&mut monitor);
        assert_eq!(read(&mut monitor), LinkChanges::default());
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn sources_are_addresses_that_work_and_are_not_virtual() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        let mut monitor = LinkMonitor::open().unwrap();
        ip("address add 192.0.2.5/24 dev eth0");
        ip("address add 192.0.2.4/24 dev eth0");
        ip("address add 198.51.100.1/24 dev eth0");
        ip("address add fe80::1/64 dev eth0 nodad");
        // Somebody may have it: it is looked for, for a second.
        ip("address add fe80::2/64 dev eth0");
        let mut book = AddressBook::open().unwrap();
        let lifetime = Some(Duration::from_secs(60));
        let batch = ["192.0.2.10", "fe80::10"].map(|text| {
            let address = VirtualAddress::new(eth0, address(text));
            address.with_lifetime(lifetime).unwrap()
        });
        for installed in book.install(now(), &batch) {
            installed.unwrap();
        }
        assert!(read(&mut monitor).interfaces.contains(&eth0));
        let tag = book.tag();
        let sources = |monitor: &LinkMonitor| {
            let mut sources = monitor.links().get(eth0).unwrap().sources(tag);
            // The kernel tells of IPv6 addresses when it has time for them.
            sources.sort_by_key(|address| address.is_ipv6().then_some(*address));
            sources
        };
        // 192.0.2.4 is the second of its subnet.
        let v4 = ["192.0.2.5", "198.51.100.1", "192.0.2.4"];
        let expected = addresses(&[&v4[..], &["fe80::1"]].concat());
        read_until(&mut monitor, |monitor| sources(monitor) == expected);
        read_until(&mut monitor, |monitor| {
            let all = monitor.links().get(eth0).unwrap().sources(None);
            all.contains(&address("192.0.2.10")) && all.contains(&address("fe80::10"))
        });

        // Renewing is no change.
        book.renew(now(), &batch.clone().map(|address| address.key()));
        assert_eq!(read(&mut monitor), LinkChanges::default());

        let expected = addresses(&[&v4[..], &["fe80::1", "fe80::2"]].concat());
        read_until(&mut monitor, |monitor| sources(monitor) == expected);

        // Somebody removes one of ours.
        ip("address del 192.0.2.10/32 dev eth0");
        let changes = read(&mut monitor);
        assert_eq!(Vec::from_iter(changes.removed), [batch[0].key()]);
        assert_is_up_to_date(&mut monitor);
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn after_an_overrun_the_table_is_right_again_and_says_what_changed() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        let eth1 = cable("eth1", "peer1");
        let eth2 = cable("eth2", "peer2");
        ip("address add 198.51.100.1/32 dev eth1");
        ip("address add 198.51.100.2/32 dev eth1");
        let mut monitor = LinkMonitor::open_with_receive_buffer(4096).unwrap();
        let order = monitor.links().get(eth1).unwrap().sources(None);
        // The kernel now lists them the other way round; we use the one we did.
        ip("address del 198.51.100.1/32 dev eth1");
        ip("address add 198.51.100.1/32 dev eth1");
        let mut book = AddressBook::open().unwrap();
        let batch: Vec<_> = (1..=100)
            .map(|n| VirtualAddress::new(eth0, address(&format!("192.0.2.{n}"))))
            .collect();
        for installed in book.install(now(), &batch) {
            installed.unwrap();
        }
        ip("link set peer1 down");
        ip("link del eth2");
        let changes = read(&mut monitor);
        assert!(changes.was_overrun);
        for index in [eth0, eth1, eth2] {
            assert!(changes.interfaces.contains(&index), "{changes:?}");
        }
        assert_eq!(monitor.links().get(eth0).unwrap().addresses.len(), 100);
        read_until(&mut monitor, |monitor| {
            !monitor.links().get(eth1).unwrap().is_running
        });
        assert!(monitor.links().get(eth2).is_none());
        assert_is_up_to_date(&mut monitor);
        let after = monitor.links().get(eth1).unwrap().sources(None);
        assert_eq!(after, order);

        // And lost again, with what disappears meanwhile.
        let keys: Vec<_> = batch.iter().map(VirtualAddress::key).collect();
        for removed in book.remove(&keys) {
            removed.unwrap();
        }
        let changes = read(&mut monitor);
        assert!(changes.was_overrun);
        assert_eq!(Vec::from_iter(changes.removed), keys);
        assert_is_up_to_date(&mut monitor);
        assert_eq!(read(&mut monitor), LinkChanges::default());
    });
}

//! The memory kernel as programs use it: preparing it, watching it, letting things go wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::time::Duration;

use lvs_ipvs::{
    Client, CounterWidth, Destination, DestinationKey, Fault, Generation, Interface, MemoryKernel,
    Reason, Scheduler, Stats, VirtualService,
};

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn server(host: u8) -> Destination {
    Destination::masquerade(([10, 0, 0, host], 80).into())
}

fn client(kernel: &MemoryKernel) -> Client {
    Client::with_transport(kernel.socket()).unwrap()
}

#[test]
fn handles_and_sockets_share_one_table() {
    let kernel = MemoryKernel::default();
    let (mut one, mut two) = (client(&kernel), client(&kernel.clone()));
    one.add_service(&web()).unwrap();
    assert!(two.add_service(&web()).unwrap_err().is_exists());
    let debug = format!("{kernel:?}");
    assert!(debug.contains("services: 1"), "{debug}");
    assert!(debug.contains("sockets: 2"), "{debug}");
    drop(two);
    assert!(format!("{kernel:?}").contains("sockets: 1"));
    // Another kernel is another world.
    assert!(
        client(&MemoryKernel::default())
            .services()
            .unwrap()
            .is_empty()
    );
}

/// Draining: weight 0, wait for the connections to end, remove.
#[test]
fn connections_end_when_the_test_says_so() {
    let kernel = MemoryKernel::default();
    let mut ipvs = client(&kernel);
    let (key, host) = (web().key(), server(1).key());
    ipvs.add_service(&web()).unwrap();
    ipvs.add_destination(key, &server(1)).unwrap();
    let active = |ipvs: &mut Client| ipvs.destinations(key).unwrap()[0].active_connections;
    assert!(kernel.set_connections(key, host, 12, 3, 1));
    ipvs.set_destination(key, &server(1).with_weight(0))
        .unwrap();
    assert_eq!(active(&mut ipvs), 12);
    assert!(kernel.set_connections(key, host, 0, 0, 0));
    assert_eq!(active(&mut ipvs), 0);
    ipvs.remove_destination(key, host).unwrap();
    assert!(!kernel.set_connections(key, host, 1, 1, 1));
}

/// A destination that comes back soon goes on counting.
#[test]
fn removed_destinations_are_remembered_for_a_while() {
    let kernel = MemoryKernel::default();
    let mut ipvs = client(&kernel);
    let (key, host) = (web().key(), server(1).key());
    ipvs.add_service(&web()).unwrap();
    for (pause, connections) in [(60, 9), (600, 0)] {
        ipvs.add_destination(key, &server(1)).unwrap();
        let mut stats = Stats::default();
        stats.connections = 9;
        assert!(kernel.set_stats(key, Some(host), stats));
        ipvs.remove_destination(key, host).unwrap();
        kernel.advance(Duration::from_secs(pause));
        ipvs.add_destination(key, &server(1)).unwrap();
        let entry = ipvs.destinations(key).unwrap().remove(0);
        assert_eq!(entry.stats.connections, connections);
        ipvs.remove_destination(key, host).unwrap();
    }
}

#[test]
fn statistics_are_read_back_in_the_widest_form_the_kernel_has() {
    let mut old = Generation::LINUX_6_1;
    old.stats64 = false;
    for (generation, width, connections) in [
        (Generation::LINUX_6_1, CounterWidth::Bits64, (1 << 32) + 7),
        (Generation::LINUX_7_2, CounterWidth::Bits64, (1 << 32) + 7),
        (old, CounterWidth::Bits32, 7),
    ] {
        let kernel = MemoryKernel::new(generation);
        assert_eq!(kernel.generation(), generation);
        let mut ipvs = client(&kernel);
        ipvs.add_service(&web()).unwrap();
        let mut stats = Stats::default();
        stats.connections = (1 << 32) + 7;
        stats.bytes_out = u64::MAX;
        stats.rates.packets_in = 5;
        assert!(kernel.set_stats(web().key(), None, stats));
        let read = ipvs.service(web().key()).unwrap().stats;
        assert_eq!((read.width, read.connections), (width, connections));
        assert_eq!((read.bytes_out, read.rates.packets_in), (u64::MAX, 5));
        ipvs.zero().unwrap();
        assert_eq!(ipvs.service(web().key()).unwrap().stats.bytes_out, 0);
    }
}

#[test]
fn what_a_kernel_lacks_is_refused() {
    let mut generation = Generation::LINUX_6_1;
    generation.schedulers = &["wlc"];
    generation.ipv6 = false;
    let kernel = MemoryKernel::new(generation);
    let mut ipvs = client(&kernel);
    let error = ipvs
        .add_service(&web().with_scheduler(Scheduler::Mh))
        .unwrap_err();
    assert_eq!(
        error.reason(),
        Some(Reason::UnknownScheduler(Scheduler::Mh))
    );
    let six = VirtualService::tcp("[2001:db8::1]:80".parse().unwrap());
    let error = ipvs.add_service(&six).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::FamilyUnavailable));
    kernel.set_permitted(false);
    assert!(ipvs.add_service(&web()).unwrap_err().is_permission());
    kernel.set_permitted(true);
    ipvs.add_service(&web()).unwrap();
    let gone = MemoryKernel::default().without_ipvs();
    assert!(
        Client::with_transport(gone.socket())
            .unwrap_err()
            .is_unavailable()
    );
}

#[test]
fn interfaces_decide_which_addresses_are_unicast() {
    let kernel = MemoryKernel::default();
    let mut ipvs = client(&kernel);
    ipvs.add_service(&web()).unwrap();
    let mut add = |host| ipvs.add_destination(web().key(), &server(host));
    add(255).unwrap();
    let eth0 = Interface::new("eth0").with_address("10.0.0.1".parse().unwrap(), 25);
    kernel.set_interfaces([eth0]);
    let error = add(127).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::DestinationRefused));
    add(128).unwrap();
}

/// Each place of a dump can be changed: an entry that goes pulls one out of the next batch.
#[test]
fn hooks_change_the_table_in_the_middle_of_a_dump() {
    let kernel = MemoryKernel::default();
    let mut ipvs = client(&kernel);
    ipvs.add_service(&web()).unwrap();
    for host in 1..=20 {
        ipvs.add_destination(web().key(), &server(host)).unwrap();
    }
    kernel.inject(Fault::SlowDumps(4));
    kernel.between_batches(|kernel, batch| {
        if batch == 2 {
            let newest: DestinationKey = server(20).key();
            client(kernel)
                .remove_destination(web().key(), newest)
                .unwrap();
        }
    });
    let hosts = |ipvs: &mut Client| {
        let read = ipvs.destinations(web().key()).unwrap();
        let ports = read.iter().map(|entry| entry.destination.key());
        ports.collect::<Vec<_>>()
    };
    // 20 was read before it went; 12 was to come next, and is skipped.
    let seen = hosts(&mut ipvs);
    assert_eq!(seen.len(), 19);
    assert!(seen.contains(&server(20).key()));
    assert!(!seen.contains(&server(12).key()));
    kernel.between_batches(|_, _| {});
    assert!(hosts(&mut ipvs).contains(&server(12).key()));
}

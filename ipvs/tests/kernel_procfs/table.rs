//! The table, the totals, helpers and status: what is there besides connections.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::thread;

use lvs_ipvs::procfs::{Applications, ListedKey, Status};
use lvs_ipvs::{
    Client, Destination, Error, Family, Namespace, Persistence, PersistenceMask, Protocol,
    Scheduler, ServiceFlags, ServiceKey, VirtualService,
};

use super::network::http::fetch;
use super::network::topology::Network;
use super::network::{Host, eventually, load_module};
use super::{add_service, namespace};

/// The estimator renews the counters that are read every 2 s.
const ESTIMATOR: Duration = Duration::from_millis(2200);

/// Ticks of the guest kernels in a second.
const HZ: u32 = 100;

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_table_is_that_of_netlink() {
    let host = Host::new("listed");
    let mut ipvs = host.ipvs();
    let end = |port: u16| SocketAddr::from(([192, 0, 2, 10], port));
    let end6 = |port: u16| SocketAddr::new("fd00::10".parse().unwrap(), port);
    let mask = PersistenceMask::Inet([255, 255, 255, 0].into());
    let services = [
        VirtualService::tcp(end(80)),
        VirtualService::udp(end(80))
            .with_scheduler(Scheduler::Wrr)
            .with_one_packet(),
        VirtualService::sctp(end(80)).with_persistence(Persistence::new(300)),
        VirtualService::tcp(end(0)).with_persistence(Persistence::new(60).with_mask(mask)),
        VirtualService::tcp(end6(80))
            .with_persistence(Persistence::new(77).with_mask(PersistenceMask::Inet6(64))),
        VirtualService::udp(end6(53)),
        VirtualService::firewall_mark(Family::Inet, u32::MAX)
            .with_persistence(Persistence::new(1).with_mask(mask))
            .with_one_packet(),
        VirtualService::firewall_mark(Family::Inet6, 5)
            .with_persistence(Persistence::new(60).with_mask(PersistenceMask::Inet6(120))),
    ];
    for service in &services {
        ipvs.add_service(service).unwrap();
        for number in 1..=3 {
            let (address, address6) = ([10, 0, 0, number], format!("fd00:2::{number}"));
            let address = match service.key().family() {
                Family::Inet => IpAddr::from(address),
                Family::Inet6 => address6.parse().unwrap(),
            };
            let to = SocketAddr::new(address, service.key().port().unwrap_or(0));
            let destination = match number {
                1 => Destination::masquerade(to).with_weight(0),
                2 => Destination::direct_route(to).with_weight(7),
                _ => Destination::tunnel(to).with_weight(i32::MAX.unsigned_abs()),
            };
            ipvs.add_destination(service.key(), &destination).unwrap();
        }
    }

    let mut listed = namespace(&host).listed_services().unwrap();
    let mut read = BTreeMap::new();
    for service in listed.by_ref() {
        let service = service.unwrap();
        let key = services
            .iter()
            .map(VirtualService::key)
            .find(|key| service.key.may_be(key))
            .unwrap();
        assert!(read.insert(key, service).is_none(), "{key}");
    }
    assert_eq!(listed.info(), Some(ipvs.info().unwrap()));
    let snapshot = ipvs.snapshot().unwrap();
    assert_eq!(read.len(), snapshot.services.len());
    for entry in &snapshot.services {
        let service = &entry.entry.service;
        let key = service.key();
        let listed = &read[&key];
        assert_eq!(listed.scheduler, service.scheduler(), "{key}");
        // The kernel does not show it in this one place.
        let hidden = matches!(
            key,
            ServiceKey::Address {
                address: IpAddr::V6(_),
                ..
            }
        );
        let one_packet = service.flags().contains(ServiceFlags::ONE_PACKET);
        assert_eq!(listed.one_packet, one_packet && !hidden, "{key}");
        let persistence = listed.persistence.map(|it| {
            let mask = it.mask(key.family());
            (it.timeout_secs(HZ).unwrap(), mask)
        });
        let expected = service
            .persistence()
            .map(|it| (u64::from(it.timeout_secs), service.mask()));
        assert_eq!(persistence, expected, "{key}");
        let destinations: Vec<_> = listed
            .destinations
            .iter()
            .map(|it| (it.key, it.forwarding.unwrap(), it.weight))
            .collect();
        let expected: Vec<_> = entry
            .destinations
            .iter()
            .map(|it| &it.destination)
            .map(|it| (it.key(), it.forwarding(), it.weight()))
            .collect();
        assert_eq!(destinations, expected, "{key}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn totals_are_the_sum_of_the_services() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let mut ipvs = network.director.ipvs();
    for port in [80, 81] {
        let service = VirtualService::tcp(SocketAddr::from(([192, 0, 2, 10], port)));
        add_service(&mut ipvs, &network, service, 80);
    }
    for port in [80, 81, 81, 80, 81] {
        fetch(&network.client, SocketAddr::from(([192, 0, 2, 10], port)));
    }
    thread::sleep(ESTIMATOR);
    let director = namespace(&network.director);
    let sum = |ipvs: &mut Client| {
        let stats = ipvs.services().unwrap().into_iter().map(|it| it.stats);
        stats.fold([0; 5], |sum, it| {
            let one = [
                it.connections,
                it.packets_in,
                it.packets_out,
                it.bytes_in,
                it.bytes_out,
            ];
            core::array::from_fn(|number| sum[number] + one[number])
        })
    };
    // The three are estimated one after the other: all have seen it once they agree.
    let (services, totals, cpus) = eventually(
        || {
            let totals = director.totals().unwrap().stats;
            (sum(&mut ipvs), totals, director.cpu_totals().unwrap())
        },
        |(services, totals, _)| services[0] == 5 && totals.connections == 5,
    );
    let all = [
        totals.connections,
        totals.packets_in,
        totals.packets_out,
        totals.bytes_in,
        totals.bytes_out,
    ];
    assert_eq!(all, services);
    assert_eq!(cpus.total, totals);
    // One CPU in the guest: its counters are the sum.
    let [(0, cpu)] = cpus.cpus[..] else {
        panic!("{cpus:?}")
    };
    assert_eq!(
        (cpu.connections, cpu.bytes_in),
        (totals.connections, totals.bytes_in)
    );
    assert!(totals.rates.packets_in > 0, "{totals:?}");

    // Zeroing is for the copy, not for the CPUs.
    ipvs.zero().unwrap();
    assert_eq!(director.totals().unwrap().stats.connections, 0);
    let cpus = director.cpu_totals().unwrap();
    assert_eq!((cpus.total.connections, cpus.cpus[0].1.connections), (0, 5));
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn helpers_are_listed_while_their_module_is_there() {
    let host = Host::new("helpers");
    load_module("ip_vs_ftp");
    let read: Vec<_> = namespace(&host)
        .applications()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].protocol, read[0].port), (Some(Protocol::TCP), 21));
    assert_eq!((read[0].name.as_str(), read[0].connections), ("ftp", 0));
    assert_eq!(host.enter(|| Applications::open().unwrap().count()), 1);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_status_counts_what_there_is_where_the_kernel_has_one() {
    let host = Host::new("status");
    let mut ipvs = host.ipvs();
    for port in 1..=5 {
        let service = VirtualService::tcp(SocketAddr::from(([192, 0, 2, 10], port)));
        ipvs.add_service(&service).unwrap();
    }
    let is_there = host.enter(|| fs::exists("/proc/thread-self/net/ip_vs_status").unwrap());
    let status = namespace(&host).status().unwrap();
    assert_eq!(status.is_some(), is_there);
    if let Some(status) = status {
        assert_eq!((status.connections, status.services), (Some(0), Some(5)));
        assert!(status.service_buckets.is_some_and(|buckets| buckets > 0));
        assert!(status.lines.len() > 4, "{status:?}");
        assert_eq!(host.enter(Status::current).unwrap(), Some(status));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_namespace_that_is_none_is_an_error_for_every_reader() {
    let file = Namespace::open("/proc/self/status").unwrap();
    let error = |error: Error| assert!(error.to_string().starts_with("cannot enter the network"));
    error(file.connections().unwrap_err());
    error(file.totals().unwrap_err());
    error(file.status().unwrap_err());
    // Mark and address: what a key may be is told apart.
    let mark = ListedKey::FirewallMark(5);
    assert!(mark.may_be(&ServiceKey::firewall_mark(Family::Inet6, 5)));
}

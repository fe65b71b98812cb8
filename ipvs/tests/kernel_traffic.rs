//! Real traffic through a real kernel, programmed with this library alone: client, director and
//! two real servers in network namespaces, one test for each way to forward and to schedule.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_traffic-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod network;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io;
use std::thread;

use lvs_ipvs::{
    Client, CounterWidth, Destination, DestinationEntry, Encapsulation, Family, Forwarding,
    Persistence, PersistenceMask, Scheduler, ServiceFlags, ServiceKey, Stats, TunnelFlags,
    VirtualService,
};
use network::http::{Answer, Connection, fetch, fetch_from};
use network::topology::{Network, SERVERS};
use network::udp::{UdpClient, UdpServer};
use network::{Host, eventually, load_module};

/// The estimator renews the counters that are read every 2 s.
const ESTIMATOR: Duration = Duration::from_millis(2200);

fn socket(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// A service with both real servers of the network as destinations, scheduled in turn.
fn add_service(
    ipvs: &mut Client,
    service: VirtualService,
    network: &Network,
    destination: impl Fn(IpAddr) -> Destination,
) -> ServiceKey {
    let service = service.with_scheduler(Scheduler::Rr);
    ipvs.add_service(&service).unwrap();
    for address in network.addresses {
        ipvs.add_destination(service.key(), &destination(address))
            .unwrap();
    }
    service.key()
}

/// The destinations in the order of [`SERVERS`]: the kernel's is newest first.
fn destinations(ipvs: &mut Client, service: &ServiceKey) -> [DestinationEntry; 2] {
    let mut entries = ipvs.destinations(*service).unwrap();
    entries.reverse();
    entries.try_into().unwrap()
}

/// Fetches that many times, one after the other; checks that the servers answer in turn.
fn fetch_in_turn(client: &Host, to: SocketAddr, times: usize) -> Vec<Answer> {
    let answers: Vec<_> = (0..times).map(|_| fetch(client, to)).collect();
    for pair in answers.windows(2) {
        assert_ne!(pair[0].server, pair[1].server, "{answers:?}");
    }
    for answer in &answers {
        assert!(SERVERS.contains(&answer.server.as_str()), "{answers:?}");
    }
    answers
}

/// Checks what the servers saw: the virtual address where the packet is forwarded as it is, the
/// real one where the director rewrites it.
fn check_ends(answers: &[Answer], client: IpAddr, local: impl Fn(usize) -> SocketAddr) {
    for answer in answers {
        let number = SERVERS
            .iter()
            .position(|name| *name == answer.server)
            .unwrap();
        assert_eq!(answer.local, local(number), "{answer:?}");
        assert_eq!(answer.peer.ip(), client, "{answer:?}");
    }
}

/// Which way the servers' packets take to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Replies {
    ThroughTheDirector,
    Direct,
}

/// Waits until all counters are in, and checks them against that many finished fetches from each
/// of the servers.
fn check_counters(
    ipvs: &mut Client,
    key: &ServiceKey,
    forwarding: Forwarding,
    fetches: u64,
    replies: Replies,
) {
    // Closed by the client, so what is left of a connection is a state with a timeout.
    let entries = eventually(
        || destinations(ipvs, key),
        |entries| {
            entries.iter().all(|entry| {
                let connections = (entry.active_connections, entry.inactive_connections);
                connections == (0, u32::try_from(fetches).unwrap())
            })
        },
    );
    for entry in &entries {
        assert_eq!(entry.destination.forwarding(), forwarding);
        assert_eq!(entry.persistent_connections, 0);
    }

    // From here on nothing moves, so one round of the estimator has seen all of it.
    thread::sleep(ESTIMATOR);
    let (service, entries) = eventually(
        || (ipvs.service(*key).unwrap().stats, destinations(ipvs, key)),
        |(service, entries)| {
            service.connections == 2 * fetches
                && entries
                    .iter()
                    .all(|entry| entry.stats.connections == fetches)
        },
    );
    let header = match key.family() {
        Family::Inet => 40,
        Family::Inet6 => 60,
    };
    for entry in &entries {
        let stats = entry.stats;
        assert_eq!(stats.width, CounterWidth::Bits64);
        // At least SYN, ACK, request, FIN; at most an acknowledgement more for each of the
        // server's two segments, and something for a lost packet.
        assert!(
            (4 * fetches..=8 * fetches).contains(&stats.packets_in),
            "{stats:?}"
        );
        assert!(stats.bytes_in > stats.packets_in * header, "{stats:?}");
        match replies {
            Replies::ThroughTheDirector => {
                // At least SYN+ACK, answer, FIN.
                assert!(
                    (3 * fetches..=8 * fetches).contains(&stats.packets_out),
                    "{stats:?}"
                );
                assert!(stats.bytes_out > stats.packets_out * header, "{stats:?}");
            }
            Replies::Direct => assert_eq!((stats.packets_out, stats.bytes_out), (0, 0)),
        }
    }
    let sum = |counter: fn(&Stats) -> u64| -> u64 {
        entries.iter().map(|entry| counter(&entry.stats)).sum()
    };
    assert_eq!(service.packets_in, sum(|stats| stats.packets_in));
    assert_eq!(service.packets_out, sum(|stats| stats.packets_out));
    assert_eq!(service.bytes_in, sum(|stats| stats.bytes_in));
    assert_eq!(service.bytes_out, sum(|stats| stats.bytes_out));
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn masquerading_rewrites_address_and_port() {
    let mut network = Network::masquerading();
    network.serve_http(8080);
    let to = socket("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, VirtualService::tcp(to), &network, |address| {
        Destination::masquerade(SocketAddr::new(address, 8080))
    });

    let answers = fetch_in_turn(&network.client, to, 6);
    check_ends(&answers, [10, 1, 0, 2].into(), |number| {
        SocketAddr::new(network.addresses[number], 8080)
    });
    check_counters(
        &mut ipvs,
        &key,
        Forwarding::Masquerade,
        3,
        Replies::ThroughTheDirector,
    );

    // An open connection counts as active until the client closes it.
    let mut connection = Connection::open(&network.client, None, to).unwrap();
    let server = connection.get().unwrap().server;
    let active = |ipvs: &mut Client| -> Vec<_> {
        let busy = destinations(ipvs, &key).into_iter().zip(SERVERS);
        busy.filter(|(entry, _)| entry.active_connections == 1)
            .map(|(_, name)| name)
            .collect()
    };
    assert_eq!(active(&mut ipvs), [server]);
    drop(connection);
    eventually(|| active(&mut ipvs), Vec::is_empty);

    // Zeroed counters start again; connections are not counters.
    ipvs.zero_service(key).unwrap();
    for entry in destinations(&mut ipvs, &key) {
        assert_eq!((entry.stats.connections, entry.stats.bytes_out), (0, 0));
        assert!(entry.inactive_connections >= 3);
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn masquerading_works_over_ipv6() {
    let mut network = Network::masquerading_ipv6();
    network.serve_http(8080);
    let to = socket("[fd00::10]:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, VirtualService::tcp(to), &network, |address| {
        Destination::masquerade(SocketAddr::new(address, 8080))
    });

    let answers = fetch_in_turn(&network.client, to, 6);
    check_ends(&answers, "fd00:1::2".parse().unwrap(), |number| {
        SocketAddr::new(network.addresses[number], 8080)
    });
    check_counters(
        &mut ipvs,
        &key,
        Forwarding::Masquerade,
        3,
        Replies::ThroughTheDirector,
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn direct_routing_leaves_packets_as_they_are() {
    let mut network = Network::direct_routing();
    network.serve_http(80);
    let to = socket("10.0.0.100:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, VirtualService::tcp(to), &network, |address| {
        Destination::direct_route(SocketAddr::new(address, 80))
    });

    let answers = fetch_in_turn(&network.client, to, 6);
    check_ends(&answers, [10, 0, 0, 2].into(), |_| to);
    check_counters(&mut ipvs, &key, Forwarding::DirectRoute, 3, Replies::Direct);
}

/// Fetches through tunnels, of one kind for each server, to servers that no other way leads to.
/// `interface` takes the packets out again, `prepare` gets each server ready for it.
fn fetch_through_tunnels(
    encapsulations: [Encapsulation; 2],
    interface: &str,
    prepare: impl Fn(&Host, usize),
) {
    let mut network = Network::tunnelling(interface, prepare);
    network.serve_http(80);
    let to = socket("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let addresses = network.addresses;
    let key = add_service(&mut ipvs, VirtualService::tcp(to), &network, |address| {
        let number = addresses
            .iter()
            .position(|other| *other == address)
            .unwrap();
        Destination::tunnel(SocketAddr::new(address, 80)).with_encapsulation(encapsulations[number])
    });
    let read = destinations(&mut ipvs, &key).map(|entry| entry.destination.encapsulation());
    assert_eq!(read, encapsulations);

    let answers = fetch_in_turn(&network.client, to, 6);
    check_ends(&answers, [10, 1, 0, 2].into(), |_| to);
    check_counters(&mut ipvs, &key, Forwarding::Tunnel, 3, Replies::Direct);

    // The packets did come out of the tunnel, all of them.
    for (server, entry) in network.servers.iter().zip(destinations(&mut ipvs, &key)) {
        assert_eq!(server.received_packets(interface), entry.stats.packets_in);
    }
}

/// Takes the GUE header off what comes to that port; IPIP is behind it.
fn serve_gue(server: &Host, port: usize) {
    load_module("fou");
    server.ip(&format!("fou add port {port} gue"));
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn ipip_tunnels_reach_servers_behind_a_router() {
    fetch_through_tunnels([Encapsulation::ipip(); 2], "tunl0", |_, _| ());
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn gue_tunnels_reach_servers_on_ports_of_their_own() {
    let with_checksum = Encapsulation::gue(6081).with_flags(TunnelFlags::CHECKSUM);
    fetch_through_tunnels(
        [Encapsulation::gue(6080), with_checksum],
        "tunl0",
        |server, number| {
            serve_gue(server, 6080 + number);
        },
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn gue_tunnels_can_offload_checksums_to_the_inner_packet() {
    let remote = Encapsulation::gue(6080).with_flags(TunnelFlags::REMOTE_CHECKSUM);
    fetch_through_tunnels([remote; 2], "tunl0", |server, _| serve_gue(server, 6080));
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn gre_tunnels_work_with_and_without_checksum() {
    let with_checksum = Encapsulation::gre().with_flags(TunnelFlags::CHECKSUM);
    // The kernel drops what has a checksum that was not agreed on, and the other way round.
    let agreed = ["noicsum", "icsum"];
    fetch_through_tunnels(
        [Encapsulation::gre(), with_checksum],
        "gre1",
        |server, number| {
            server.ip(&format!(
                "link add gre1 type gre remote 10.1.1.2 {}",
                agreed[number]
            ));
        },
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_firewall_mark_gathers_addresses_and_ports() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    network.serve_http(8080);
    // Marks by the traffic classifier: iproute2 has it, and every guest kernel, which cannot be
    // said of nftables and iptables. To IPVS a mark is a mark.
    let classify = |address, port| {
        format!(
            "filter add dev client ingress protocol ip u32 match ip protocol 6 0xff \
             match ip dst {address}/32 match ip dport {port} 0xffff \
             action skbedit mark 0x80000007\n"
        )
    };
    network.director.tc(&format!(
        "qdisc add dev client clsact\n{}{}",
        classify("192.0.2.10", 80),
        classify("192.0.2.11", 8080)
    ));
    let mut ipvs = network.director.ipvs();
    let service = VirtualService::firewall_mark(Family::Inet, 0x8000_0007);
    // Port 0 keeps the port of the packet.
    let key = add_service(&mut ipvs, service, &network, |address| {
        Destination::masquerade(SocketAddr::new(address, 0))
    });

    // One turn over both: each time the other address, each time the other server.
    let ends = [socket("192.0.2.10:80"), socket("192.0.2.11:8080")];
    let mut previous = None;
    for to in ends.into_iter().cycle().take(6) {
        let answer = fetch(&network.client, to);
        check_ends(
            core::slice::from_ref(&answer),
            [10, 1, 0, 2].into(),
            |number| SocketAddr::new(network.addresses[number], to.port()),
        );
        assert_ne!(previous.as_ref(), Some(&answer.server));
        previous = Some(answer.server);
    }
    check_counters(
        &mut ipvs,
        &key,
        Forwarding::Masquerade,
        3,
        Replies::ThroughTheDirector,
    );

    // What has no mark is the director's own.
    let unmarked = Connection::open(&network.client, None, socket("192.0.2.11:80"));
    assert_eq!(
        unmarked.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_persistent_client_stays_with_its_server() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let mut ipvs = network.director.ipvs();
    let clients: [IpAddr; 3] = ["10.1.0.2", "10.1.0.3", "10.1.1.2"].map(|it| it.parse().unwrap());
    let servers_of_clients = |to: SocketAddr| {
        let servers = clients.map(|client| fetch_from(&network.client, Some(client), to).server);
        for _ in 0..2 {
            for (client, server) in clients.iter().zip(&servers) {
                assert_eq!(
                    fetch_from(&network.client, Some(*client), to).server,
                    *server
                );
            }
        }
        servers
    };

    // Each client on its own: rr goes on at each new one.
    let to = socket("192.0.2.10:80");
    let service = VirtualService::tcp(to).with_persistence(Persistence::new(60));
    let masquerade = |address| Destination::masquerade(SocketAddr::new(address, 80));
    let each = add_service(&mut ipvs, service, &network, masquerade);
    let [first, second, third] = servers_of_clients(to);
    assert_ne!(first, second);
    assert_ne!(second, third);

    // Clients of one network together.
    let to = socket("192.0.2.11:80");
    let mask = PersistenceMask::Inet([255, 255, 255, 0].into());
    let persistence = Persistence::new(60).with_mask(mask);
    let service = VirtualService::tcp(to).with_persistence(persistence);
    let masked = add_service(&mut ipvs, service, &network, masquerade);
    let [first, second, third] = servers_of_clients(to);
    assert_eq!(first, second);
    assert_ne!(second, third);

    for (key, templates) in [(each, [1, 2]), (masked, [1, 1])] {
        let mut read = destinations(&mut ipvs, &key).map(|entry| entry.persistent_connections);
        read.sort_unstable();
        assert_eq!(read, templates, "{key}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn one_packet_scheduling_takes_every_datagram_on_its_own() {
    let network = Network::direct_routing();
    let mut ipvs = network.director.ipvs();
    let [each, together] = [socket("10.0.0.100:53"), socket("10.0.0.100:54")];
    let _servers: Vec<_> = network
        .servers
        .iter()
        .zip(SERVERS)
        .flat_map(|(host, name)| [each, together].map(|end| UdpServer::start(host, name, end)))
        .collect();
    let route = |port| move |address| Destination::direct_route(SocketAddr::new(address, port));
    let service = VirtualService::udp(each).with_one_packet();
    let each_key = add_service(&mut ipvs, service, &network, route(53));
    let together_key = add_service(
        &mut ipvs,
        VirtualService::udp(together),
        &network,
        route(54),
    );
    assert!(
        ipvs.service(each_key)
            .unwrap()
            .service
            .flags()
            .contains(ServiceFlags::ONE_PACKET)
    );

    let ask = |to: SocketAddr| -> Vec<_> {
        let client = UdpClient::open(&network.client, socket("10.0.0.2:5353"), to);
        (0..6).map(|_| client.ask().unwrap()).collect()
    };
    let servers = ask(each);
    assert!(
        servers.windows(2).all(|pair| pair[0] != pair[1]),
        "{servers:?}"
    );
    // Without it the datagrams of one client port are one connection.
    let servers = ask(together);
    assert!(
        servers.windows(2).all(|pair| pair[0] == pair[1]),
        "{servers:?}"
    );

    thread::sleep(ESTIMATOR);
    let counters = |ipvs: &mut Client, key| {
        destinations(ipvs, &key).map(|entry| {
            let connections = (entry.active_connections, entry.inactive_connections);
            (connections, entry.stats.connections, entry.stats.packets_in)
        })
    };
    // No connection outlives its datagram.
    let read = counters(&mut ipvs, each_key);
    assert_eq!(read, [((0, 0), 3, 3); 2]);
    let mut read = counters(&mut ipvs, together_key);
    read.sort_unstable();
    assert_eq!(read, [((0, 0), 0, 0), ((0, 1), 1, 6)]);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn weight_0_quiesces_a_destination() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let to = socket("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, VirtualService::tcp(to), &network, |address| {
        Destination::masquerade(SocketAddr::new(address, 80))
    });
    let mut connection = Connection::open(&network.client, None, to).unwrap();
    let quiesced = connection.get().unwrap().server;
    let number = SERVERS.iter().position(|name| *name == quiesced).unwrap();
    let destination = destinations(&mut ipvs, &key)[number].destination.clone();
    ipvs.set_destination(key, &destination.clone().with_weight(0))
        .unwrap();

    for _ in 0..4 {
        assert_ne!(fetch(&network.client, to).server, quiesced);
    }
    // The existing connection goes on.
    assert_eq!(connection.get().unwrap().server, quiesced);
    let read = destinations(&mut ipvs, &key);
    assert_eq!(read[number].active_connections, 1);
    assert_eq!(read[number].destination.weight(), 0);

    // And back.
    ipvs.set_destination(key, &destination).unwrap();
    fetch_in_turn(&network.client, to, 4);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_removed_destination_comes_back_with_its_connections() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let to = socket("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, VirtualService::tcp(to), &network, |address| {
        Destination::masquerade(SocketAddr::new(address, 80))
    });
    let mut connection = Connection::open(&network.client, None, to).unwrap();
    let server = connection.get().unwrap().server;
    let number = SERVERS.iter().position(|name| *name == server).unwrap();
    let destination = destinations(&mut ipvs, &key)[number].destination.clone();

    ipvs.remove_destination(key, destination.key()).unwrap();
    assert_ne!(fetch(&network.client, to).server, server);
    assert_ne!(fetch(&network.client, to).server, server);
    ipvs.add_destination(key, &destination).unwrap();
    assert_eq!(connection.get().unwrap().server, server);
    let read = ipvs.destinations(key).unwrap();
    assert_eq!(read[0].destination, destination, "newest first");
    assert_eq!(read[0].active_connections, 1);
}

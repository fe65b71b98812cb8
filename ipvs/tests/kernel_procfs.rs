//! What the kernel shows under `/proc/net`, of real traffic, against what it says over netlink.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_procfs-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "not every test needs every network")]
mod network;
#[path = "kernel_procfs/table.rs"]
mod table;

use core::net::{IpAddr, SocketAddr};
use std::fs;
use std::thread;

use lvs_ipvs::procfs::{Connection, ConnectionState, Origin, Services};
use lvs_ipvs::{
    Client, DaemonRole, Destination, EngineName, Family, InterfaceName, Namespace, Persistence,
    PersistenceMask, Protocol, Scheduler, ServiceKey, SyncDaemon, VirtualService,
};
use network::http::{self, fetch};
use network::topology::{Network, SERVERS};
use network::udp::{UdpClient, UdpServer};
use network::{Host, cable, eventually};

fn socket(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn namespace(host: &Host) -> Namespace {
    Namespace::open(host.path()).unwrap()
}

/// Adds a service with both servers as masqueraded destinations, on that port.
fn add_service(
    ipvs: &mut Client,
    network: &Network,
    service: VirtualService,
    port: u16,
) -> ServiceKey {
    let service = service.with_scheduler(Scheduler::Rr);
    ipvs.add_service(&service).unwrap();
    for address in network.addresses {
        let server = Destination::masquerade(SocketAddr::new(address, port));
        ipvs.add_destination(service.key(), &server).unwrap();
    }
    service.key()
}

fn connections(host: &Host) -> Vec<Connection> {
    let rows = namespace(host).connections().unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A file of `/proc/net` as it is.
fn raw(host: &Host, file: &str) -> String {
    host.enter(|| fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap())
}

/// All rows with their lines, and the text they were read from: read before and after, until it
/// was the same but for the seconds.
fn connections_and_text(host: &Host) -> (Vec<(Connection, String, String)>, String) {
    let read = || {
        let mut rows = namespace(host).connections().unwrap();
        let mut read = Vec::new();
        while let Some(row) = rows.next_row() {
            let row = row.unwrap();
            let line = core::str::from_utf8(row.line).unwrap().to_owned();
            read.push((row.to_connection(), row.protocol_text.to_owned(), line));
        }
        read
    };
    let timeless = |text: &str| -> Vec<Vec<String>> {
        let words = |line: &str| line.split_whitespace().take(8).map(str::to_owned).collect();
        text.lines().map(words).collect()
    };
    let (before, rows, _) = eventually(
        || (raw(host, "ip_vs_conn"), read(), raw(host, "ip_vs_conn")),
        |(before, _, after)| timeless(before) == timeless(after),
    );
    (rows, before)
}

/// Checks each row against the words of its line, written the way this test reads the format.
fn check_against_the_text(host: &Host) {
    let (rows, text) = connections_and_text(host);
    assert_eq!(rows.len(), text.lines().count() - 1);
    for (connection, protocol_text, line) in rows {
        let words: Vec<_> = line.split_whitespace().collect();
        let same = |other: &str| {
            other
                .split_whitespace()
                .take(8)
                .eq(words[..8].iter().copied())
        };
        assert!(text.lines().any(same), "{line} is not in\n{text}");
        let hex = |address: IpAddr| match address {
            IpAddr::V4(address) => format!("{:08X}", address.to_bits()),
            IpAddr::V6(address) => {
                let groups = address.segments().map(|group| format!("{group:04x}"));
                groups.join(":")
            }
        };
        let Connection {
            client,
            virtual_address,
            destination,
            state,
            expires_in,
            ..
        } = connection;
        let written = [
            protocol_text,
            hex(client.ip()),
            format!("{:04X}", client.port()),
            hex(virtual_address.ip()),
            format!("{:04X}", virtual_address.port()),
            hex(destination.address),
            format!("{:04X}", destination.port),
            state.to_string(),
            expires_in.as_secs().to_string(),
        ];
        assert_eq!(written[..], words[..9]);
    }
}

/// Checks the counts of rows against those that netlink has of each destination.
fn check_against_netlink(host: &Host, ipvs: &mut Client) {
    let mut counts = || {
        let mut counts = Vec::new();
        for service in ipvs.services().unwrap() {
            let key = service.service.key();
            for entry in ipvs.destinations(key).unwrap() {
                let to = entry.destination.key();
                let rows = namespace(host).connections().unwrap();
                let seen = rows
                    .tally(|row| row.connection.is_of(&key) && row.connection.is_to(&to))
                    .unwrap();
                let told = [
                    entry.active_connections,
                    entry.inactive_connections,
                    entry.persistent_connections,
                ];
                let seen = [seen.active, seen.inactive, seen.templates];
                counts.push((key, to, seen, told.map(u64::from)));
            }
        }
        counts
    };
    // States change and entries expire between the two readings.
    let counts = eventually(&mut counts, |counts| {
        counts.iter().all(|(_, _, seen, told)| seen == told)
    });
    assert!(counts.iter().any(|(_, _, seen, _)| *seen != [0; 3]));
}

/// TCP and UDP through a network: open, closed, refused, unanswered.
fn connect_in_every_way(mut network: Network, vip: &str) {
    network.serve_http(8080);
    let end = |port| SocketAddr::new(vip.parse().unwrap(), port);
    let mut ipvs = network.director.ipvs();
    let web = add_service(&mut ipvs, &network, VirtualService::tcp(end(80)), 8080);
    // Nobody listens on the other port of the servers.
    add_service(&mut ipvs, &network, VirtualService::tcp(end(81)), 8081);
    add_service(&mut ipvs, &network, VirtualService::udp(end(53)), 5300);
    let _servers: Vec<_> = network
        .servers
        .iter()
        .zip(SERVERS)
        .zip(network.addresses)
        .map(|((host, name), address)| UdpServer::start(host, name, SocketAddr::new(address, 5300)))
        .collect();

    let open = http::Connection::open(&network.client, None, end(80)).unwrap();
    fetch(&network.client, end(80));
    http::Connection::open(&network.client, None, end(81)).unwrap_err();
    let client = match end(0) {
        SocketAddr::V4(_) => socket("10.1.0.2:5353"),
        SocketAddr::V6(_) => socket("[fd00:1::2]:5353"),
    };
    UdpClient::open(&network.client, client, end(53))
        .ask()
        .unwrap();

    let states = |director: &Host| {
        let mut states: Vec<_> = connections(director)
            .iter()
            .map(|it| (it.virtual_address.port(), it.state.to_string()))
            .collect();
        states.sort();
        states
    };
    // The client closed one connection first; the server of the refused one did not open it.
    let expected = [
        (53, ConnectionState::Udp),
        (80, ConnectionState::Established),
        (80, ConnectionState::TimeWait),
        (81, ConnectionState::Close),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(port, state)| (*port, state.to_string()))
        .collect();
    eventually(|| states(&network.director), |seen| *seen == expected);
    check_against_the_text(&network.director);
    check_against_netlink(&network.director, &mut ipvs);

    for connection in connections(&network.director) {
        assert_eq!(connection.client.ip(), client.ip());
        assert!(!connection.is_template());
        assert!(network.addresses.contains(&connection.destination.address));
        let protocol = match connection.virtual_address.port() {
            53 => Protocol::UDP,
            _ => Protocol::TCP,
        };
        assert_eq!(connection.protocol, Some(protocol));
        let port = match connection.virtual_address.port() {
            53 => 5300,
            80 => 8080,
            _ => 8081,
        };
        assert_eq!(connection.destination.port, port);
        // The timeouts of the protocol and the state.
        let longest = match connection.state {
            ConnectionState::Established => 900,
            ConnectionState::TimeWait => 120,
            ConnectionState::Udp => 300,
            _ => 10,
        };
        let left = connection.expires_in.as_secs();
        assert!(left <= longest && left + 60 > longest, "{connection:?}");
    }
    drop(open);
    // Closed by the client: the rows follow.
    let is_active = |it: &Connection| it.is_of(&web) && it.state.is_active();
    eventually(
        || connections(&network.director),
        |seen| !seen.iter().any(is_active),
    );
    check_against_netlink(&network.director, &mut ipvs);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn rows_are_the_connections_there_are() {
    connect_in_every_way(Network::masquerading(), "192.0.2.10");
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn rows_are_the_connections_there_are_over_ipv6() {
    connect_in_every_way(Network::masquerading_ipv6(), "fd00::10");
}

/// `OP-11`
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_drained_server_is_known_by_its_rows() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let to = socket("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, &network, VirtualService::tcp(to), 80);
    let mut open = http::Connection::open(&network.client, None, to).unwrap();
    let name = open.get().unwrap().server;
    let number = SERVERS.iter().position(|server| *server == name).unwrap();
    let drained = Destination::masquerade(SocketAddr::new(network.addresses[number], 80));
    ipvs.set_destination(key, &drained.clone().with_weight(0))
        .unwrap();
    for _ in 0..4 {
        fetch(&network.client, to);
    }
    let still = |director: &Host| {
        let rows = namespace(director).connections().unwrap();
        let to = drained.key();
        rows.tally(|row| row.connection.is_to(&to)).unwrap()
    };
    let counts = still(&network.director);
    assert_eq!(
        (counts.active, counts.inactive, counts.templates),
        (1, 0, 0)
    );
    drop(open);
    let gone = eventually(|| still(&network.director), |counts| counts.active == 0);
    assert_eq!(gone.inactive, 1);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn templates_show_the_masked_client_and_the_mark() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    network.director.tc("qdisc add dev client clsact\n\
         filter add dev client ingress protocol ip u32 match ip protocol 6 0xff \
         match ip dst 192.0.2.11/32 match ip dport 80 0xffff action skbedit mark 0x80000007\n");
    let mut ipvs = network.director.ipvs();
    let mask = PersistenceMask::Inet([255, 255, 255, 0].into());
    let by_network = Persistence::new(60).with_mask(mask);
    let service = VirtualService::tcp(socket("192.0.2.10:80")).with_persistence(by_network);
    let web = add_service(&mut ipvs, &network, service, 80);
    let service = VirtualService::firewall_mark(Family::Inet, 0x8000_0007)
        .with_persistence(Persistence::new(100));
    let mark = add_service(&mut ipvs, &network, service, 0);
    fetch(&network.client, socket("192.0.2.10:80"));
    fetch(&network.client, socket("192.0.2.11:80"));
    check_against_the_text(&network.director);

    let templates: Vec<_> = connections(&network.director)
        .into_iter()
        .filter(Connection::is_template)
        .collect();
    assert_eq!(templates.len(), 2);
    let of = |key: &ServiceKey| templates.iter().find(|it| it.is_of(key)).unwrap();
    let template = of(&web);
    assert_eq!(template.client, socket("10.1.0.0:0"));
    assert_eq!(template.service_key(), Some(web));
    assert_eq!(template.mark(), None);
    assert!(template.expires_in.as_secs() <= 60);
    let template = of(&mark);
    assert_eq!(template.client, socket("10.1.0.2:0"));
    assert_eq!(template.mark(), Some(0x8000_0007));
    assert_eq!(template.service_key(), Some(mark));
    assert_eq!(template.protocol, Some(Protocol::from_number(0)));
    assert_eq!(
        (template.destination.port, template.state),
        (0, ConnectionState::Assured)
    );
    // The connection itself shows what the packet was addressed to.
    let plain = |it: &Connection| !it.is_template() && it.mark().is_none();
    assert!(
        connections(&network.director)
            .iter()
            .any(|it| plain(it) && it.virtual_address == socket("192.0.2.11:80"))
    );
    for key in [web, mark] {
        let entries = ipvs.destinations(key).unwrap();
        let templates: u32 = entries.iter().map(|it| it.persistent_connections).sum();
        assert_eq!(templates, 1);
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn templates_of_ipv6_show_the_masked_client_and_the_mark() {
    let mut network = Network::masquerading_ipv6();
    network.serve_http(80);
    network.serve_http(81);
    network.director.tc("qdisc add dev client clsact\n\
         filter add dev client ingress protocol ipv6 u32 match ip6 dst fd00::10/128 \
         match ip6 dport 81 0xffff action skbedit mark 6\n");
    let mut ipvs = network.director.ipvs();
    let by_network = Persistence::new(60).with_mask(PersistenceMask::Inet6(64));
    let service = VirtualService::tcp(socket("[fd00::10]:80")).with_persistence(by_network);
    let web = add_service(&mut ipvs, &network, service, 80);
    let service =
        VirtualService::firewall_mark(Family::Inet6, 6).with_persistence(Persistence::new(100));
    let mark = add_service(&mut ipvs, &network, service, 0);
    fetch(&network.client, socket("[fd00::10]:80"));
    fetch(&network.client, socket("[fd00::10]:81"));
    check_against_the_text(&network.director);
    let mut templates: Vec<_> = connections(&network.director)
        .into_iter()
        .filter(Connection::is_template)
        .map(|it| (it.service_key().unwrap(), it.client.to_string()))
        .collect();
    templates.sort();
    assert_eq!(
        templates,
        [
            (web, "[fd00:1::]:0".to_owned()),
            (mark, "[fd00:1::2]:0".to_owned())
        ]
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn an_engine_leaves_its_name_and_data() {
    let network = Network::masquerading();
    let mut ipvs = network.director.ipvs();
    let engine = EngineName::new("sip").unwrap();
    let service = VirtualService::udp(socket("192.0.2.10:5060"))
        .with_persistence(Persistence::new(60).with_engine(engine))
        .with_one_packet();
    add_service(&mut ipvs, &network, service, 5060);
    let call = "INVITE sip:a@b SIP/2.0\r\nVia: x\r\nCall-ID: the-1st.call@host\r\n\r\n";
    network.client.enter(|| {
        let socket = std::net::UdpSocket::bind("10.1.0.2:0").unwrap();
        socket.send_to(call.as_bytes(), "192.0.2.10:5060").unwrap();
    });
    let seen = eventually(
        || connections(&network.director),
        |seen| seen.iter().any(|it| it.engine.is_some()),
    );
    let template = seen.iter().find(|it| it.engine.is_some()).unwrap();
    assert!(template.is_template());
    assert_eq!(template.engine, Some(engine));
    assert_eq!(
        template.engine_data.escape_ascii().to_string(),
        "the-1st.call@host"
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_backup_shows_which_connections_it_was_sent() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let peer = Host::new("peer");
    cable(&network.director, "sync", &peer, "sync");
    network.director.ip("address add 10.9.0.1/24 dev sync");
    peer.ip("address add 10.9.0.2/24 dev sync");
    let sync = InterfaceName::new("sync").unwrap();
    let mut ipvs = network.director.ipvs();
    let mut standby = peer.ipvs();
    let daemon = |role| SyncDaemon::new(role, sync, 7);
    standby.start_daemon(&daemon(DaemonRole::Backup)).unwrap();
    ipvs.start_daemon(&daemon(DaemonRole::Active)).unwrap();
    let to = socket("192.0.2.10:80");
    add_service(&mut ipvs, &network, VirtualService::tcp(to), 80);

    let mut open = http::Connection::open(&network.client, None, to).unwrap();
    let mut rows = Vec::new();
    // The third packet in a state is the one that is sent, two seconds later at most.
    let received = eventually(
        || {
            open.get().unwrap();
            let received = namespace(&peer).sync_connections().unwrap();
            received.collect::<Result<Vec<_>, _>>().unwrap()
        },
        |received| !received.is_empty(),
    );
    let own = namespace(&network.director).sync_connections().unwrap();
    rows.extend(own.map(Result::unwrap));
    assert_eq!((rows.len(), received.len()), (1, 1));
    assert_eq!(rows[0].origin, Some(Origin::Local));
    assert_eq!(received[0].origin, Some(Origin::Sync));
    assert_eq!(received[0].state, ConnectionState::Established);
    let ends = |it: &Connection| (it.protocol, it.client, it.virtual_address, it.destination);
    assert_eq!(ends(&rows[0]), ends(&received[0]));
    // The other file does not say.
    assert_eq!(connections(&peer)[0].origin, None);

    standby.stop_daemon(DaemonRole::Backup).unwrap();
    ipvs.stop_daemon(DaemonRole::Active).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn readers_follow_the_namespace_they_were_opened_in() {
    let host = Host::new("opened");
    let mut ipvs = host.ipvs();
    ipvs.add_service(&VirtualService::tcp(socket("192.0.2.10:80")))
        .unwrap();
    // Opened inside, read here and on another thread.
    let inside = host.enter(|| Services::open().unwrap());
    let from_outside = namespace(&host).listed_services().unwrap();
    let elsewhere = thread::spawn(move || from_outside.map(Result::unwrap).collect::<Vec<_>>());
    let inside: Vec<_> = inside.map(Result::unwrap).collect();
    assert_eq!(inside, elsewhere.join().unwrap());
    assert_eq!(inside.len(), 1);
    let here: Vec<_> = Services::open().unwrap().map(Result::unwrap).collect();
    assert!(!here.iter().any(|service| service.key == inside[0].key));
}

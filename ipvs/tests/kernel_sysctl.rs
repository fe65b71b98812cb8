//! Sysctls of a kernel: which there are, what they do, what a director's preset changes.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_sysctl-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "not every test needs every network")]
mod network;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Instant;

use lvs_ipvs::procfs::Connection;
use lvs_ipvs::sysctl::{
    self, ConnReuse, CpuList, Defence, Director, SyncThreshold, Sysctl, Sysctls, Value,
};
use lvs_ipvs::{
    Client, Destination, Error, Family, Namespace, Persistence, Scheduler, ServiceKey,
    VirtualService,
};
use network::http::{self, fetch};
use network::topology::{Network, SERVERS};
use network::{Host, eventually, load_module};
use nix::sys::socket::sockopt::{Linger, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
};

fn end(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn sysctls(host: &Host) -> Sysctls {
    Namespace::open(host.path()).unwrap().sysctls().unwrap()
}

/// The file itself, read inside.
fn raw(host: &Host, path: &str) -> String {
    host.enter(|| fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap())
}

/// Adds a service with both servers, on port 80.
fn add_service(ipvs: &mut Client, network: &Network, service: VirtualService) -> ServiceKey {
    let service = service.with_scheduler(Scheduler::Rr);
    ipvs.add_service(&service).unwrap();
    for address in network.addresses {
        ipvs.add_destination(service.key(), &server(address))
            .unwrap();
    }
    service.key()
}

fn server(address: IpAddr) -> Destination {
    Destination::masquerade(SocketAddr::new(address, 80))
}

/// The destination of that name.
fn server_of(network: &Network, name: &str) -> Destination {
    let number = SERVERS.iter().position(|server| *server == name).unwrap();
    server(network.addresses[number])
}

fn connections(host: &Host) -> Vec<Connection> {
    let rows = Namespace::open(host.path()).unwrap().connections().unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn every_file_is_known_and_has_its_default() {
    load_module("ip_vs_lblc");
    load_module("ip_vs_lblcr");
    let host = Host::new("defaults");
    assert_eq!(sysctls(&host).unknown().unwrap(), [""; 0]);
    let mut absent = Vec::new();
    for definition in sysctl::ALL {
        let path = format!("/proc/sys/net/{}", definition.path);
        let there = host.enter(|| fs::read_to_string(&path));
        match (there, definition.default) {
            (Ok(text), Some(default)) => assert_eq!(text.trim_end(), default, "{definition}"),
            (Ok(_), None) => {}
            (Err(_), _) => absent.push(definition.name()),
        }
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release
        .split(['.', '-', '\n'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap(), parts.next().unwrap());
    let expected: &[&str] = match version {
        (..=5, _) | (6, ..2) => &[
            "conn_lfactor",
            "conn_max",
            "est_cpulist",
            "est_nice",
            "svc_lfactor",
        ],
        (6, _) | (7, 0) => &["conn_lfactor", "conn_max", "svc_lfactor"],
        (7, 1) => &["conn_max"],
        _ => &[],
    };
    assert_eq!(absent, expected, "{release}");
    for name in absent {
        assert!(
            sysctl::ALL
                .iter()
                .any(|it| it.name() == name && it.since.is_some())
        );
    }
}

/// Sets each of them, looks at the file and at another namespace, and sets the old value again.
fn set_and_reset<T: Value>(host: &Host, other: &Host, sysctl: Sysctl<T>, values: &[T]) {
    let definition = sysctl.definition();
    let here = sysctls(host);
    let before = match here.get(sysctl) {
        Ok(value) => value,
        Err(Error::Sysctl(error)) if error.is_absent() && definition.since.is_some() => return,
        Err(error) => panic!("{error}"),
    };
    let others = raw(other, definition.path);
    for value in values {
        here.set(sysctl, value).unwrap();
        assert_eq!(here.get(sysctl).unwrap(), *value, "{definition}");
        assert_eq!(raw(other, definition.path), others, "{definition}");
    }
    here.set(sysctl, &before).unwrap();
    assert_eq!(raw(host, definition.path), others, "{definition}");
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn every_value_we_accept_is_taken_by_the_kernel_in_this_namespace_alone() {
    load_module("ip_vs_lblc");
    load_module("ip_vs_lblcr");
    let (host, other) = (Host::new("set"), Host::new("other"));
    let both = [true, false, true];
    for sysctl in [
        sysctl::IP_FORWARD,
        sysctl::BACKUP_ONLY,
        sysctl::CACHE_BYPASS,
        sysctl::CONNTRACK,
        sysctl::EXPIRE_NODEST_CONN,
        sysctl::EXPIRE_QUIESCENT_TEMPLATE,
        sysctl::IGNORE_TUNNELED,
        sysctl::NAT_ICMP_SEND,
        sysctl::PMTU_DISC,
        sysctl::RUN_ESTIMATION,
        sysctl::SCHEDULE_ICMP,
        sysctl::SLOPPY_SCTP,
        sysctl::SLOPPY_TCP,
        sysctl::SNAT_REROUTE,
        sysctl::SYNC_PERSIST_MODE,
        sysctl::IPV6_FORWARDING,
    ] {
        set_and_reset(&host, &other, sysctl, &both);
    }
    let most = i64::from(i32::MAX);
    for (sysctl, values) in [
        (sysctl::AM_DROPRATE, [0, most]),
        (sysctl::AMEMTHRESH, [0, most]),
        (sysctl::CONN_LFACTOR, [-8, 8]),
        (sysctl::SVC_LFACTOR, [-8, 8]),
        (sysctl::EST_NICE, [-20, 19]),
        (sysctl::SYNC_RETRIES, [0, 3]),
        (sysctl::SYNC_SOCK_SIZE, [0, most]),
        (sysctl::SYNC_VERSION, [0, 1]),
    ] {
        set_and_reset(&host, &other, sysctl, &values);
    }
    set_and_reset(&host, &other, sysctl::CONN_MAX, &[0, 1 << 20, 1 << 30]);
    set_and_reset(&host, &other, sysctl::SYNC_PORTS, &[2, 64]);
    set_and_reset(
        &host,
        &other,
        sysctl::SYNC_QLEN_MAX,
        &[0, u64::from(u32::MAX)],
    );
    for sysctl in [sysctl::DROP_ENTRY, sysctl::DROP_PACKET, sysctl::SECURE_TCP] {
        set_and_reset(
            &host,
            &other,
            sysctl,
            &[Defence::Always, Defence::Automatic],
        );
    }
    let modes = [ConnReuse::empty(), ConnReuse::FIN_WAIT, ConnReuse::all()];
    set_and_reset(&host, &other, sysctl::CONN_REUSE_MODE, &modes);
    let threshold = |packets, period| SyncThreshold { packets, period };
    let thresholds = [threshold(0, 1), threshold(7, 0), threshold(99, 100)];
    set_and_reset(&host, &other, sysctl::SYNC_THRESHOLD, &thresholds);
    let seconds = |seconds| Duration::from_secs(seconds);
    for sysctl in [
        sysctl::SYNC_REFRESH_PERIOD,
        sysctl::LBLC_EXPIRATION,
        sysctl::LBLCR_EXPIRATION,
    ] {
        set_and_reset(&host, &other, sysctl, &[seconds(1), seconds(2_147_483)]);
    }
    let first = CpuList::from_iter([0]);
    set_and_reset(
        &host,
        &other,
        sysctl::EST_CPULIST,
        &[CpuList::default(), first],
    );
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn what_we_refuse_the_kernel_refuses_or_mistakes() {
    let host = Host::new("mistaken");
    let write = |name: &str, value: &str| {
        let path = format!("/proc/sys/net/ipv4/vs/{name}");
        host.enter(|| fs::write(&path, value))
    };
    for (name, value) in [
        ("drop_entry", "4"),
        ("drop_packet", "-1"),
        ("secure_tcp", "4"),
        ("sync_ports", "3"),
        ("sync_ports", "0"),
        ("sync_threshold", "50 50"),
        ("sync_threshold", "-1 50"),
        ("sync_retries", "4"),
        ("sync_version", "2"),
    ] {
        let error = write(name, value).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name} {value}");
    }
    // Taken, and capped when the daemon starts.
    write("sync_ports", "128").unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn what_the_kernel_refuses_comes_through_with_the_path() {
    let host = Host::new("refused");
    // Read-only outside of the first namespace.
    let Err(Error::Sysctl(error)) = sysctls(&host).set(sysctl::DEBUG_LEVEL, &1) else {
        panic!("set")
    };
    let path = "/proc/sys/net/ipv4/vs/debug_level";
    assert_eq!(error.path().unwrap().to_str(), Some(path));
    assert_eq!(
        error.os_error().unwrap().kind(),
        io::ErrorKind::PermissionDenied
    );
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("cannot write 1 to {path}: ")),
        "{message}"
    );
    assert!(Error::from(error).is_permission());
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_file_is_that_of_the_namespace_it_was_opened_in() {
    let host = Host::new("opened");
    host.sysctl("ipv4/vs/am_droprate", "42");
    let path = "/proc/sys/net/ipv4/vs/am_droprate";
    let mut inside = host.enter(|| fs::File::open(path).unwrap());
    let mut text = String::new();
    inside.read_to_string(&mut text).unwrap();
    assert_eq!(text, "42\n");
    assert_eq!(fs::read_to_string(path).unwrap(), "10\n");
    // So one handle is enough, on any thread, and the present namespace is each thread's own.
    let handle = sysctls(&host);
    assert_eq!(handle.get(sysctl::AM_DROPRATE).unwrap(), 42);
    assert_eq!(Sysctls::current().get(sysctl::AM_DROPRATE).unwrap(), 10);
    let inside = host.enter(|| Sysctls::current().get(sysctl::AM_DROPRATE).unwrap());
    assert_eq!(inside, 42);
    let elsewhere = std::thread::spawn(move || handle.get(sysctl::AM_DROPRATE).unwrap());
    assert_eq!(elsewhere.join().unwrap(), 42);
}

/// `OP-9`
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_preset_of_a_director_is_applied_and_taken_back() {
    let host = Host::new("director");
    let sysctls = sysctls(&host);
    sysctls.set(sysctl::SLOPPY_TCP, &true).unwrap();
    let preset = Director::new()
        .removing_dead_servers()
        .draining_persistent_services()
        .masquerading(Family::Inet)
        .masquerading(Family::Inet6)
        .one_of_several()
        .tracking_connections()
        .preset();
    let review = preset.review(&sysctls).unwrap();
    assert_eq!(review.findings().len(), 6, "{review}");
    assert_eq!(raw(&host, "ipv4/ip_forward"), "0\n");

    let applied = preset.apply(&sysctls).unwrap();
    assert!(applied.failures().is_empty());
    assert_eq!(applied.changes().len(), 6);
    assert!(preset.review(&sysctls).unwrap().is_fine());
    for path in [
        "ipv4/ip_forward",
        "ipv6/conf/all/forwarding",
        "ipv4/vs/expire_nodest_conn",
        "ipv4/vs/expire_quiescent_template",
        "ipv4/vs/schedule_icmp",
        "ipv4/vs/conntrack",
        "ipv4/vs/sloppy_tcp",
    ] {
        assert_eq!(raw(&host, path), "1\n", "{path}");
    }
    let here = Host::new("elsewhere");
    assert_eq!(raw(&here, "ipv4/vs/expire_nodest_conn"), "0\n");

    sysctls.set(sysctl::SCHEDULE_ICMP, &false).unwrap();
    let restored = applied.restore().unwrap();
    assert_eq!((restored.restored.len(), restored.left.len()), (5, 1));
    for (path, value) in [
        ("ipv4/ip_forward", "0\n"),
        ("ipv6/conf/all/forwarding", "0\n"),
        ("ipv4/vs/expire_nodest_conn", "0\n"),
        ("ipv4/vs/conntrack", "0\n"),
        // It was on before.
        ("ipv4/vs/sloppy_tcp", "1\n"),
    ] {
        assert_eq!(raw(&host, path), value, "{path}");
    }
}

/// `OP-9`
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn expire_nodest_conn_ends_connections_of_removed_servers() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let to = end("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, &network, VirtualService::tcp(to));
    let remains = |of: &Destination| {
        let seen = connections(&network.director);
        seen.iter()
            .any(|it| it.is_to(&of.key()) && it.state.is_active())
    };

    // Without: the entry stays, and what the client sends is dropped in silence.
    let mut open = http::Connection::open(&network.client, None, to).unwrap();
    let removed = server_of(&network, &open.get().unwrap().server);
    ipvs.remove_destination(key, removed.key()).unwrap();
    let request = std::thread::spawn(move || open.get());
    std::thread::sleep(Duration::from_secs(3));
    assert!(!request.is_finished());
    assert!(remains(&removed));
    // The server is back: the connection goes on where it was.
    ipvs.add_destination(key, &removed).unwrap();
    request.join().unwrap().unwrap();

    // With: the first packet ends it, and the client learns.
    sysctls(&network.director)
        .set(sysctl::EXPIRE_NODEST_CONN, &true)
        .unwrap();
    let mut open = http::Connection::open(&network.client, None, to).unwrap();
    let removed = server_of(&network, &open.get().unwrap().server);
    ipvs.remove_destination(key, removed.key()).unwrap();
    let error = open.get().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    // The earlier connection may have been to the same server, and is closing.
    eventually(|| remains(&removed), |remains| !remains);
}

/// `OP-9`
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn expire_quiescent_template_moves_persistent_clients_off_a_drained_server() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let to = end("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let service = VirtualService::tcp(to).with_persistence(Persistence::new(600));
    let key = add_service(&mut ipvs, &network, service);
    let name = fetch(&network.client, to).server;
    let drained = server_of(&network, &name);
    ipvs.set_destination(key, &drained.clone().with_weight(0))
        .unwrap();

    // Without: the client stays where it is, drain or not.
    for _ in 0..3 {
        assert_eq!(fetch(&network.client, to).server, name);
    }
    assert!(
        !connections(&network.director)
            .iter()
            .any(Connection::is_invalidated)
    );

    let handle = sysctls(&network.director);
    handle
        .set(sysctl::EXPIRE_QUIESCENT_TEMPLATE, &true)
        .unwrap();
    let moved = fetch(&network.client, to).server;
    assert_ne!(moved, name);
    assert_eq!(fetch(&network.client, to).server, moved);
    // The old template is left over, without effect, until its time is up.
    let templates = connections(&network.director);
    let templates: Vec<_> = templates.iter().filter(|it| it.is_template()).collect();
    assert_eq!(templates.iter().filter(|it| it.is_invalidated()).count(), 1);
    assert_eq!(templates.len(), 2);
}

/// Connects from that port, notes who answers and how long it took, and resets the connection:
/// so the port can be used again at once.
fn connect_from(host: &Host, port: u16, to: SocketAddr) -> (IpAddr, Duration) {
    host.enter(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        setsockopt(&socket, ReuseAddr, &true).unwrap();
        let at_once = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&socket, Linger, &at_once).unwrap();
        let from = SockaddrStorage::from(SocketAddr::from(([10, 1, 0, 2], port)));
        bind(socket.as_raw_fd(), &from).unwrap();
        let started = Instant::now();
        connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
        let took = started.elapsed();
        let mut stream = TcpStream::from(socket);
        // The answer ends with both ends of the connection: the server's, which says who it is,
        // and this one.
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (mut answer, own) = (String::new(), format!(" 10.1.0.2:{port}"));
        while !answer.ends_with(&own) {
            let mut buffer = [0; 256];
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "{answer}");
            answer += core::str::from_utf8(&buffer[..length]).unwrap();
        }
        let server = answer.split(' ').rev().nth(1).unwrap();
        (end(server).ip(), took)
    })
}

/// `OP-9`, for `conntrack` off and on: a client port that is used again, with `conn_reuse_mode`
/// off, on, and with a server drained meanwhile.
///
/// Seen on 6.1.176, 6.12.101 and 7.2.7: with mode 0 the new connection goes on with the old entry
/// and to the old server, even at weight 0; with mode 1 it is scheduled anew, and in no case is a
/// SYN lost, with connection tracking neither (older kernels are said to drop the first one
/// there).
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn conn_reuse_mode_schedules_a_reused_port_anew_with_and_without_conntrack() {
    let mut network = Network::masquerading();
    network.serve_http(80);
    let to = end("192.0.2.10:80");
    let mut ipvs = network.director.ipvs();
    let key = add_service(&mut ipvs, &network, VirtualService::tcp(to));
    // What makes the kernel track connections in this namespace, short of netfilter rules.
    load_module("nf_conntrack");
    let ftp = VirtualService::tcp(end("192.0.2.11:21")).with_persistence(Persistence::new(10));
    add_service(&mut ipvs, &network, ftp);
    let handle = sysctls(&network.director);
    let mut port = 4000;
    for conntrack in [false, true] {
        handle.set(sysctl::CONNTRACK, &conntrack).unwrap();
        for mode in [ConnReuse::empty(), ConnReuse::CLOSED] {
            handle.set(sysctl::CONN_REUSE_MODE, &mode).unwrap();
            port += 1;
            let mut servers = Vec::new();
            for _ in 0..4 {
                let (server, took) = connect_from(&network.client, port, to);
                // A lost SYN is sent again after a second.
                assert!(
                    took < Duration::from_millis(900),
                    "{conntrack} {mode:?} {took:?}"
                );
                servers.push(server);
                // The reset has come by.
                let closed = |seen: &Vec<Connection>| {
                    let of_port = |it: &&Connection| it.client.port() == port;
                    seen.iter().filter(of_port).all(|it| !it.state.is_active())
                };
                eventually(|| connections(&network.director), closed);
            }
            let stays = servers.windows(2).all(|pair| pair[0] == pair[1]);
            let turns = servers.windows(2).all(|pair| pair[0] != pair[1]);
            let seen = format!("conntrack {conntrack}, {mode:?}: {servers:?}");
            assert_eq!(
                (stays, turns),
                (mode.is_empty(), !mode.is_empty()),
                "{seen}"
            );

            // The last server is drained: only scheduled anew does the port leave it.
            let last = *servers.last().unwrap();
            ipvs.set_destination(key, &server(last).with_weight(0))
                .unwrap();
            let (next, _) = connect_from(&network.client, port, to);
            assert_eq!(next == last, mode.is_empty(), "{seen}, then {next}");
            ipvs.set_destination(key, &server(last)).unwrap();
        }
        // It was tracked indeed, where it was to be.
        let path = "/proc/thread-self/net/nf_conntrack";
        let tracked = network.director.enter(|| fs::read_to_string(path));
        if let Ok(tracked) = tracked {
            let is_tracked = tracked.contains("dport=80 src=10.2.");
            assert_eq!(is_tracked, conntrack, "{tracked}");
        }
    }
}

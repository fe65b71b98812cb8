//! A long download through two directors that masquerade, against a real kernel: it goes on when the
//! Active one ends and when that returns, since the sync daemons follow the election. On the wire
//! there is no reset (`OP-1`, `OP-3`).
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_sync-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod download;
#[expect(dead_code, reason = "made for other tests as well")]
mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;
mod wire;

use core::net::IpAddr;
use core::time::Duration;
use std::fs;
use std::path::PathBuf;

use download::Download;
use electing::{director, has_address, wait_state};
use lvs_ipvs::{Client, DaemonRole, ServiceKey};
use network::{Host, cable, eventually};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use wire::Wire;

const VIRTUAL: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 100));
const CLIENT: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 2));
const SERVER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 9, 0, 2));

/// Between events: so much of the download goes one way.
const A_WHILE: Duration = Duration::from_secs(3);

/// ```text
/// client 192.0.2.2 ─┐         ┌─ 192.0.2.11 director 10.9.0.11 ─┐        ┌─ 10.9.0.2 server
///                   ├ outside ┤                                 ├ inside ┤
///                   ┘         └─ 192.0.2.12 director 10.9.0.12 ─┘        └
/// ```
///
/// The gateway of the server, 10.9.0.1, moves with the virtual address 192.0.2.100 (`OP-15`).
struct Network {
    client: Host,
    server: Host,
    directors: [Host; 2],
    bridges: Host,
    folder: TempDir,
}

impl Network {
    fn new() -> Self {
        let bridges = Host::new("bridges");
        let join = |host: &Host, interface: &str, bridge: &str, port: &str, address: &str| {
            cable(host, interface, &bridges, port);
            bridges.ip(&format!("link set {port} master {bridge}"));
            host.ip(&format!("address add {address}/24 dev {interface}"));
        };
        for bridge in ["outside", "inside"] {
            bridges.ip(&format!(
                "link add {bridge} type bridge\nlink set {bridge} up"
            ));
        }
        let (client, server) = (Host::new("client"), Host::new("server"));
        join(&client, "eth0", "outside", "client", &CLIENT.to_string());
        join(&server, "eth0", "inside", "server", &SERVER.to_string());
        server.ip("route add default via 10.9.0.1");
        let directors = ["first", "second"].map(Host::new);
        for (number, host) in (1..).zip(&directors) {
            let outside = format!("192.0.2.1{number}");
            let inside = format!("10.9.0.1{number}");
            join(
                host,
                "eth0",
                "outside",
                &format!("outside{number}"),
                &outside,
            );
            join(host, "eth1", "inside", &format!("inside{number}"), &inside);
            host.sysctl("ipv4/ip_forward", "1");
            host.sysctl("ipv4/conf/all/send_redirects", "0");
            host.sysctl("ipv4/conf/eth0/send_redirects", "0");
            host.sysctl("ipv4/conf/eth1/send_redirects", "0");
            // IPVS comes to the namespace with its first user.
            let _ = host.ipvs().snapshot().unwrap();
            host.sysctl("ipv4/vs/backup_only", "1");
            host.sysctl("ipv4/vs/sync_threshold", "3 10");
        }
        Self {
            client,
            server,
            directors,
            bridges,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn configuration(&self, priority: u8) -> PathBuf {
        let file = self.folder.path().join(format!("{priority}.conf"));
        let text = format!(
            "global_defs {{\n lvs_sync_daemon eth1 inst VI_1\n}}\n\
             vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
             advert_int 1\n preempt_delay 2\n virtual_ipaddress {{\n {VIRTUAL}/24\n \
             10.9.0.1/24 dev eth1\n }}\n}}\n\
             virtual_server {VIRTUAL} 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             real_server {SERVER} 80 {{\n TCP_CHECK {{\n }}\n }}\n}}\n"
        );
        fs::write(&file, text).unwrap();
        file
    }
}

fn key() -> ServiceKey {
    ServiceKey::tcp((VIRTUAL, 80).into())
}

/// Established connections that a director knows.
fn connections(ipvs: &mut Client) -> u32 {
    let entries = ipvs.destinations(key()).unwrap_or_default();
    entries.iter().map(|entry| entry.active_connections).sum()
}

fn roles(ipvs: &mut Client) -> Vec<(DaemonRole, u32)> {
    let daemons = ipvs.daemons().unwrap().into_iter();
    daemons
        .map(|daemon| (daemon.role, daemon.sync_id))
        .collect()
}

fn is(ipvs: &mut Client, role: DaemonRole) {
    // The id is the virtual router's, as none is given.
    eventually(|| roles(ipvs), |roles| *roles == [(role, 51)]);
}

/// Where a line is in the output.
fn place(text: &str, line: &str) -> usize {
    text.find(line)
        .unwrap_or_else(|| panic!("no {line:?}:\n{text}"))
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_download_survives_both_ways_of_a_fail_over() {
    let network = Network::new();
    let [first_host, second_host] = &network.directors;
    let files = [network.configuration(150), network.configuration(100)];
    let [mut first_ipvs, mut second_ipvs] = [first_host.ipvs(), second_host.ipvs()];

    let first = director(first_host, &files[0], &[]);
    wait_state(&first, "backup", "active");
    let second = director(second_host, &files[1], &[]);
    wait_state(&second, "initialize", "backup");
    is(&mut first_ipvs, DaemonRole::Active);
    is(&mut second_ipvs, DaemonRole::Backup);

    let wire = Wire::watch(&network.bridges, CLIENT);
    let download = Download::start(
        &network.server,
        &network.client,
        (SERVER, 80),
        (VIRTUAL, 80),
    );
    eventually(|| connections(&mut first_ipvs), |count| *count == 1);
    // The standby knows of it before anything happens.
    eventually(|| connections(&mut second_ipvs), |count| *count == 1);
    download.goes_on_for(A_WHILE);

    // The Active one ends.
    first.signal(Signal::SIGTERM);
    wait_state(&second, "backup", "active");
    is(&mut second_ipvs, DaemonRole::Active);
    download.goes_on_for(A_WHILE);
    let end = first.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert!(roles(&mut first_ipvs).is_empty());

    // It returns, learns what there is, and takes over again.
    let first = director(first_host, &files[0], &[]);
    wait_state(&first, "initialize", "backup");
    eventually(|| connections(&mut first_ipvs), |count| *count == 1);
    wait_state(&first, "backup", "active");
    wait_state(&second, "active", "backup");
    is(&mut first_ipvs, DaemonRole::Active);
    is(&mut second_ipvs, DaemonRole::Backup);
    assert!(has_address(first_host, "eth0", VIRTUAL) && !has_address(second_host, "eth0", VIRTUAL));
    download.goes_on_for(A_WHILE);

    // The whole download, byte for byte, and nobody has reset anything.
    let length = download.finish();
    assert!(length > 0);
    let seen = wire.finish();
    assert_eq!(
        seen.resets,
        Vec::<String>::new(),
        "of {} segments",
        seen.segments
    );
    assert!(seen.segments > 100, "{} segments", seen.segments);

    for program in [first, second] {
        program.signal(Signal::SIGTERM);
        let end = program.end();
        assert_eq!(end.code, Some(0), "{end:?}");
        the_order_is_kept(&end.out);
    }
}

/// `OP-1`, as it was done.
fn the_order_is_kept(text: &str) {
    let steps = [
        "VI_1: table ready",
        "VI_1: sync daemon backup stopped",
        "VI_1: sync daemon active started",
        "VI_1: backup to active",
    ];
    let places = steps.map(|step| place(text, step));
    assert!(places.is_sorted(), "{text}");
    let begin = place(text, "sync daemon backup started");
    assert!(begin < places[0], "{text}");
    assert!(!text.contains(" failed: "), "{text}");
}

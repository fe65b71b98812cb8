//! Two directors that are each other's real servers, against a real kernel: a firewall mark with
//! direct routing in the local-node arrangement. Packets that the other director has forwarded carry
//! no mark, so nothing goes round in circles, and either one carries on for the other.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_local_node-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;

use core::net::{IpAddr, Ipv4Addr};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use electing::{cached_mac, director, has_address, mac_of, wait_state};
use lvs_ipvs::{Client, Family, Forwarding, ServiceKey};
use network::http::{HttpServer, fetch_from};
use network::{Host, cable, eventually};
use nix::sys::signal::Signal;
use tempfile::TempDir;

const VIRTUAL: IpAddr = address(100);
const CLIENT: IpAddr = address(2);
const NODES: [IpAddr; 2] = [address(11), address(12)];
const PORT: u16 = 80;

const fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

/// Fields drop in order: servers first, namespaces after them.
struct Network {
    _http: [HttpServer; 2],
    client: Host,
    nodes: [Host; 2],
    _bridge: Host,
    folder: TempDir,
}

impl Network {
    /// Client and nodes on one network; what comes for the virtual address from anybody but the
    /// other node gets mark 3.
    fn new() -> Self {
        let bridge = Host::new("bridge");
        bridge.ip("link add bridge type bridge\nlink set bridge up");
        let join = |host: &Host, port: &str, own: IpAddr| {
            cable(host, "eth0", &bridge, port);
            bridge.ip(&format!("link set {port} master bridge"));
            host.ip(&format!("address add {own}/24 dev eth0"));
        };
        let client = Host::new("client");
        join(&client, "client", CLIENT);
        let nodes = ["first", "second"].map(Host::new);
        for ((host, port), own) in nodes.iter().zip(["first", "second"]).zip(NODES) {
            join(host, port, own);
            // As a real server it has the virtual address all the time, and says so to nobody.
            host.ip(&format!("address add {VIRTUAL}/32 dev lo"));
            host.sysctl("ipv4/conf/all/arp_ignore", "1");
            host.sysctl("ipv4/conf/all/arp_announce", "2");
        }
        let [first, second] = &nodes;
        for (host, other) in [(first, second), (second, first)] {
            let other = mac_of(other, "eth0");
            host.tc(&format!(
                "qdisc add dev eth0 clsact\n\
                 filter add dev eth0 ingress protocol ip prio 1 u32 match ether src {other} \
                 action ok\n\
                 filter add dev eth0 ingress protocol ip prio 2 u32 match ip protocol 6 0xff \
                 match ip dst {VIRTUAL}/32 match ip dport {PORT} 0xffff action skbedit mark 3\n"
            ));
        }
        let any = ([0; 4], PORT).into();
        let http = [(first, "first"), (second, "second")]
            .map(|(host, name)| HttpServer::start(host, name, any));
        Self {
            _http: http,
            client,
            nodes,
            _bridge: bridge,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The same for both.
    fn configuration(&self) -> PathBuf {
        let folder = self.folder.path();
        let script = folder.join("check.sh");
        let text = format!(
            "#!/bin/sh\nread -r code <'{}'/$1\nexit $code\n",
            folder.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let server = |address: IpAddr| {
            format!(
                " real_server {address} {{\n  weight 1\n  MISC_CHECK {{\n   misc_path \
                 \"{} {address}\"\n  }}\n }}\n",
                script.display()
            )
        };
        let [one, two] = NODES.map(server);
        let text = format!(
            "global_defs {{\n script_user root\n}}\n\
             vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 7\n \
             virtual_ipaddress {{\n {VIRTUAL}/24\n }}\n}}\n\
             virtual_server fwmark 3 {{\n delay_loop 1\n lb_algo rr\n lb_kind DR\n{one}{two}}}\n"
        );
        let file = folder.join("fwmark.conf");
        fs::write(&file, text).unwrap();
        file
    }

    /// The exit code of the check of a node.
    fn answer(&self, node: IpAddr, code: u8) {
        let new = self.folder.path().join("new");
        fs::write(&new, format!("{code}\n")).unwrap();
        fs::rename(new, self.folder.path().join(node.to_string())).unwrap();
    }

    /// Who answers so many requests, one after the other.
    fn answers(&self, count: usize) -> Vec<String> {
        let fetch = |_| fetch_from(&self.client, None, (VIRTUAL, PORT).into()).server;
        (0..count).map(fetch).collect()
    }
}

/// Addresses of the destinations as the kernel has them, sorted.
fn destinations(ipvs: &mut Client) -> Vec<IpAddr> {
    let key = ServiceKey::firewall_mark(Family::Inet, 3);
    let entries = ipvs.destinations(key).unwrap_or_default();
    let mut found: Vec<_> = entries
        .iter()
        .map(|entry| {
            // The kernel's view of an address of its own host is its own business.
            let forwarding = entry.destination.forwarding();
            let known = [Forwarding::DirectRoute, Forwarding::Local];
            assert!(known.contains(&forwarding), "{forwarding:?}");
            entry.destination.key().address
        })
        .collect();
    found.sort();
    found
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn directors_that_are_real_servers_of_each_other() {
    let network = Network::new();
    let file = network.configuration();
    for node in NODES {
        network.answer(node, 0);
    }
    let [first_host, second_host] = &network.nodes;
    let mut tables = [first_host.ipvs(), second_host.ipvs()];

    let first = director(first_host, &file, &[]);
    wait_state(&first, "backup", "active");
    let second = director(second_host, &file, &[]);
    wait_state(&second, "initialize", "backup");
    for ipvs in &mut tables {
        eventually(|| destinations(ipvs), |found| *found == NODES);
    }
    // In turn, also where the table of the one that is not Active would have another opinion.
    for pair in network.answers(6).chunks(2) {
        let mut pair = pair.to_vec();
        pair.sort();
        assert_eq!(pair, ["first", "second"]);
    }

    // Its check takes a node out on both.
    let [one, two] = NODES;
    network.answer(one, 1);
    for ipvs in &mut tables {
        eventually(|| destinations(ipvs), |found| *found == [two]);
    }
    assert_eq!(network.answers(2), ["second", "second"]);
    network.answer(one, 0);
    for ipvs in &mut tables {
        eventually(|| destinations(ipvs), |found| *found == NODES);
    }

    // The Active one is gone; its web server is not.
    first.signal(Signal::SIGTERM);
    wait_state(&second, "backup", "active");
    let end = first.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert!(has_address(second_host, "eth0", VIRTUAL));
    let mac = Some(mac_of(second_host, "eth0"));
    eventually(
        || cached_mac(&network.client, VIRTUAL),
        |known| *known == mac,
    );
    for pair in network.answers(6).chunks(2) {
        let mut pair = pair.to_vec();
        pair.sort();
        assert_eq!(pair, ["first", "second"]);
    }
    second.signal(Signal::SIGTERM);
    assert_eq!(second.end().code, Some(0));
}

//! `--check` on a host where much is in the way: what it prints is pasted, by a shell and into the
//! configuration, and after that it has nothing more to say but advice.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_review-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
#[expect(dead_code, reason = "made for other tests as well")]
mod program;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use lvs_ipvs::{DaemonRole, Destination, SyncDaemon, VirtualService};
use network::{Host, cable, eventually};
use program::{End, Program};
use serde_json::Value;
use tempfile::TempDir;

const CONFIGURATION: &str = "\
global_defs {
  lvs_sync_daemon eth0
}
vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 51
  virtual_ipaddress {
    192.0.2.1/24 dev lo
  }
}
virtual_server 192.0.2.1 80 {
  lb_algo wlc
  lb_kind NAT
  protocol TCP
  real_server 10.0.0.2 80 {
    TCP_CHECK {
      connect_ip 192.0.2.1
    }
  }
}
virtual_server 192.0.2.1 443 {
  lb_algo sh
  lb_kind DR
  protocol TCP
  real_server 10.0.0.2 8443 {
    TCP_CHECK {
    }
  }
}
virtual_server 192.0.2.1 53 {
  lb_algo rr
  lb_kind TUN
  protocol UDP
  real_server 10.0.0.10 53 {
    inhibit_on_failure
    UDP_CHECK {
    }
  }
  real_server 10.0.0.2 53 {
  }
}
virtual_server 192.0.2.9 80 {
  lb_algo rr
  lb_kind DR
  protocol TCP
  real_server 10.0.0.2 80 {
  }
}
";

/// What is in the way, one of each kind that a namespace can have.
const EXPECTED: [&str; 15] = [
    "arp-ignored",
    "hash-order",
    "link-down",
    "lo-prefix",
    "local-loop",
    "nat-gateway",
    "no-address",
    "port-differs",
    "proxy-arp",
    "self-check",
    "sync-both-roles",
    "sysctl",
    "sysctl",
    "tunnel-rp-filter",
    "udp-weight-0",
];

/// The host of the program, its configuration, and what its interfaces are connected to.
struct Place {
    host: Host,
    others: Host,
    folder: TempDir,
}

impl Place {
    /// Everything is wrong.
    fn new() -> Self {
        let place = Self::with(CONFIGURATION);
        place.host.ip("link set eth0 down\nlink set tunl0 up");
        for (path, value) in [
            ("ipv4/ip_forward", "0"),
            ("ipv4/conf/all/rp_filter", "1"),
            ("ipv4/conf/all/arp_ignore", "1"),
            ("ipv4/conf/eth0/proxy_arp", "1"),
            ("ipv4/vs/backup_only", "1"),
            ("ipv4/vs/expire_nodest_conn", "0"),
        ] {
            place.host.sysctl(path, value);
        }
        place
    }

    /// As a namespace is when it is new, with two interfaces.
    fn with(configuration: &str) -> Self {
        let [host, others] = ["director", "others"].map(Host::new);
        cable(&host, "eth0", &others, "eth0");
        cable(&host, "eth1", &others, "eth1");
        host.ip("address add 192.0.2.10/24 dev eth0\naddress add 10.0.0.10/24 dev eth1");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lb.conf"), configuration).unwrap();
        Self {
            host,
            others,
            folder,
        }
    }

    fn run(&self, arguments: &[&str]) -> End {
        let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
        command.current_dir(&self.folder).arg("lb.conf");
        command.args(arguments);
        self.host.enter(|| Program::start(&mut command)).end()
    }

    /// What `--check` says, and its exit code.
    fn check(&self) -> (Option<i32>, Vec<Value>) {
        let end = self.run(&["--check", "--json"]);
        let lines = end.out.lines();
        let findings = lines.map(|line| serde_json::from_str(line).unwrap());
        (end.code, findings.collect())
    }

    /// Does what a finding says, unless it is for other hosts.
    fn apply(&self, fix: &Value) {
        if let Some(line) = fix["command"].as_str() {
            let mut command = Command::new("sh");
            command.args(["-ec", line]);
            let output = self.host.enter(|| command.output()).unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
        } else if fix.get("on_real_server").is_none() {
            let path = self.folder.path().join("lb.conf");
            edit(&path, fix);
        }
    }
}

/// Replaces words in a line, or puts lines into the block that begins there.
fn edit(path: &Path, fix: &Value) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = fix["line"]
        .as_u64()
        .map(|line| usize::try_from(line - 1).unwrap());
    if let Some(old) = fix["replace"].as_str() {
        let line = &mut lines[line.unwrap()];
        assert!(line.contains(old), "{line}: {fix}");
        *line = line.replace(old, fix["with"].as_str().unwrap());
    } else {
        let new = fix["insert"].as_str().unwrap();
        match line {
            // On the line of the opening brace, so that all others keep their numbers.
            Some(line) => {
                assert!(lines[line].ends_with('{'), "{}: {fix}", lines[line]);
                lines[line] = format!("{}\n{new}", lines[line]);
            }
            None => lines.push(new.to_owned()),
        }
    }
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

fn words<'a>(findings: &'a [Value], key: &str) -> Vec<&'a str> {
    let mut words: Vec<_> = findings
        .iter()
        .map(|it| it[key].as_str().unwrap())
        .collect();
    words.sort_unstable();
    words
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn what_is_printed_can_be_pasted_and_helps() {
    network::load_module("ipip");
    let place = Place::new();
    let (code, findings) = place.check();
    assert_eq!(code, Some(1), "{findings:#?}");
    let bad: Vec<_> = findings
        .iter()
        .filter(|it| it["severity"] != "advice")
        .cloned()
        .collect();
    assert_eq!(words(&bad, "code"), EXPECTED, "{bad:#?}");

    // Started nevertheless, it would switch both directors off.
    let end = place.run(&[]);
    assert_eq!(end.code, Some(1), "{end:?}");
    assert!(
        end.err.contains("both sync daemons run all the time"),
        "{end:?}"
    );
    assert_eq!(place.host.ipvs().snapshot().unwrap().table().len(), 0);

    // Where several of them are fixed by the same line, once is enough; from below, so that lines
    // above keep their numbers.
    let mut fixes: Vec<Value> = Vec::new();
    for finding in &bad {
        let of_finding = finding["fixes"].as_array().unwrap();
        assert!(!of_finding.is_empty(), "{finding}");
        for fix in of_finding {
            if !fixes.contains(fix) {
                fixes.push(fix.clone());
            }
        }
    }
    fixes.sort_by_key(|fix| core::cmp::Reverse(fix["line"].as_u64()));
    for fix in &fixes {
        place.apply(fix);
    }

    let (code, findings) = place.check();
    assert_eq!(code, Some(0), "{findings:#?}");
    assert!(
        words(&findings, "severity")
            .iter()
            .all(|it| *it == "advice"),
        "{findings:#?}"
    );
}

/// The finding with that code, if there is one.
fn find(findings: &[Value], code: &str) -> Option<Value> {
    findings.iter().find(|it| it["code"] == code).cloned()
}

/// OP-8: the kernel has one sync daemon of each role, and none while families are mixed.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn what_keeps_a_sync_daemon_from_starting() {
    let place = Place::with(
        "global_defs {\n  lvs_sync_daemon eth0 id 7\n}\nvirtual_server 192.0.2.10 80 {\n  lb_algo rr\n  \
         lb_kind TUN\n  protocol TCP\n  real_server 2001:db8::2 80 {\n  }\n}\n",
    );
    let mut ipvs = place.host.ipvs();
    let eth0 = "eth0".parse().unwrap();
    let other = SyncDaemon::new(DaemonRole::Active, eth0, 8);
    ipvs.start_daemon(&other).unwrap();
    let (code, findings) = place.check();
    assert_eq!(code, Some(1));
    let clash = find(&findings, "sync-clash").unwrap();
    assert!(
        find(&findings, "sync-mixed-family").is_some(),
        "{findings:#?}"
    );
    // The kernel refuses both.
    let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
    let mixed = Destination::tunnel("[2001:db8::2]:80".parse().unwrap());
    ipvs.add_service(&service).unwrap();
    ipvs.start_daemon(&SyncDaemon::new(DaemonRole::Active, eth0, 7))
        .unwrap_err();
    ipvs.add_destination(service.key(), &mixed).unwrap_err();

    place.apply(&clash["fixes"][0]);
    assert_eq!(ipvs.daemons().unwrap(), []);
    let (_, findings) = place.check();
    assert_eq!(find(&findings, "sync-clash"), None);
    let mixed_family = find(&findings, "sync-mixed-family").unwrap();
    place.apply(&mixed_family["fixes"][0]);
    ipvs.add_destination(service.key(), &mixed).unwrap();
    let (code, findings) = place.check();
    assert_eq!(find(&findings, "sync-mixed-family"), None);
    assert_eq!(code, Some(0), "{findings:#?}");
}

/// The configuration that is to run unchanged, in its own network.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_configuration_that_works_has_nothing_that_fails() {
    network::load_module("ipip");
    let text = include_str!("data/keepalived/files/elasticsearch.conf");
    let router = "vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 114\n  virtual_ipaddress {\n  \
                  172.1.1.114 dev tunl0\n  }\n}\n";
    let place = Place::with(&format!("{text}{router}"));
    place.host.ip("address add 172.1.1.1/24 dev eth0");
    let (code, findings) = place.check();
    assert_eq!(code, Some(0), "{findings:#?}");
    assert!(find(&findings, "tunnel-servers").is_some(), "{findings:#?}");
}

/// OP-14: traffic control sets marks as well as a packet filter does.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn marks_are_found_where_traffic_control_sets_them() {
    let place = Place::with(
        "virtual_server fwmark 3 {\n  lb_algo rr\n  lb_kind DR\n  real_server 10.0.0.2 {\n  }\n}\n",
    );
    let (code, findings) = place.check();
    assert_eq!(code, Some(1), "{findings:#?}");
    assert!(find(&findings, "mark-unset").is_some(), "{findings:#?}");
    let mark = |value: &str| {
        place.host.tc(&format!(
            "filter replace dev eth0 ingress pref 1 handle 800::800 protocol ip u32 match ip dst \
             192.0.2.10/32 action skbedit mark {value}"
        ));
    };
    place.host.tc("qdisc add dev eth0 clsact");
    mark("3/0xff");
    let (code, findings) = place.check();
    assert_eq!(code, Some(0), "{findings:#?}");
    assert!(find(&findings, "mark-partly").is_some(), "{findings:#?}");
    mark("3");
    let (code, findings) = place.check();
    assert_eq!(code, Some(0), "{findings:#?}");
    assert_eq!(find(&findings, "mark-partly"), None);
}

/// OP-16: the larger one of the host's and the tunnel's `rp_filter` counts, and drops what comes out of
/// the tunnel; the fixes let it in.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn fixes_let_in_what_comes_through_a_tunnel() {
    network::load_module("ipip");
    let place = Place::with(
        "vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 51\n  virtual_ipaddress {\n    \
         192.0.2.1 dev tunl0\n  }\n}\nvirtual_server 192.0.2.1 80 {\n  lb_algo rr\n  lb_kind TUN\n  \
         protocol TCP\n  real_server 10.0.0.10 80 {\n  }\n  real_server 10.0.0.2 80 {\n  }\n}\n",
    );
    let (host, other) = (&place.host, &place.others);
    host.ip("link set tunl0 up\naddress add 192.0.2.1/32 dev tunl0");
    // The other director, with a client of which it hands on a packet.
    other.ip(
        "address add 10.0.0.2/24 dev eth1\naddress add 192.0.2.99/32 dev lo\n\
         link add tunnel type ipip local 10.0.0.2 remote 10.0.0.10\nlink set tunnel up\n\
         route add 192.0.2.1/32 dev tunnel src 192.0.2.99",
    );
    for (path, value) in [
        ("ipv4/conf/all/rp_filter", "1"),
        ("ipv4/conf/tunl0/rp_filter", "0"),
        ("ipv4/conf/eth1/rp_filter", "0"),
    ] {
        host.sysctl(path, value);
    }
    let socket = host.enter(|| UdpSocket::bind(("0.0.0.0", 9000)).unwrap());
    socket.set_read_timeout(Some(network::PATIENCE)).unwrap();
    let client = other.enter(|| UdpSocket::bind(("0.0.0.0", 0)).unwrap());
    let send = || client.send_to(b"tunnel", ("192.0.2.1", 9000)).unwrap();
    send();
    eventually(|| filtered(host), |count| *count > 0);
    let (_, findings) = place.check();
    let finding = find(&findings, "tunnel-rp-filter").unwrap();
    assert_eq!(finding["severity"], "fails");
    for fix in finding["fixes"].as_array().unwrap() {
        place.apply(fix);
    }
    send();
    let (length, from) = socket.recv_from(&mut [0; 16]).unwrap();
    assert_eq!((length, from.ip()), (6, [192, 0, 2, 99].into()));
    let (_, findings) = place.check();
    assert_eq!(find(&findings, "tunnel-rp-filter"), None);
}

/// How many packets the way back was wrong of.
fn filtered(host: &Host) -> u64 {
    let text = host.enter(|| fs::read_to_string("/proc/thread-self/net/netstat").unwrap());
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut counters = names.split(' ').zip(values.split(' '));
    let counter = counters.find(|(name, _)| *name == "IPReversePathFilter");
    counter.unwrap().1.parse().unwrap()
}

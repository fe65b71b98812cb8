//! A long download through a masquerading service goes on while the configuration is reloaded, while
//! the weight of its server changes, and when that server leaves the configuration.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_reload-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/kernel_reconcile/download.rs"]
mod download;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
#[expect(dead_code, reason = "made for other tests as well")]
mod program;

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use std::fs;
use std::path::Path;
use std::process::Command;

use download::{Connection, SlowServer};
use lvs_ipvs::{Client, ServiceKey};
use network::eventually;
use network::topology::{Network, SERVERS};
use nix::sys::signal::Signal;
use program::Program;

const SERVICE: &str = "192.0.2.10:80";

/// Services at these addresses with these servers and weights.
fn configure(file: &Path, services: &[&str], servers: &[(IpAddr, u32)]) {
    let mut text = String::new();
    for service in services {
        let _ = write!(
            text,
            "virtual_server {service} 80 {{\nlb_algo wrr\nlb_kind NAT\nprotocol TCP\n"
        );
        for (address, weight) in servers {
            let _ = write!(text, "real_server {address} 80 {{\nweight {weight}\n}}\n");
        }
        text.push_str("}\n");
    }
    fs::write(file, text).unwrap();
}

/// The weight of a server, if it is there.
fn weight(ipvs: &mut Client, server: IpAddr) -> Option<u32> {
    let service = ServiceKey::tcp(SERVICE.parse().unwrap());
    let entries = ipvs.destinations(service).unwrap_or_default();
    let mut entries = entries.iter().map(|entry| &entry.destination);
    let entry = entries.find(|entry| entry.key().address == server);
    entry.map(lvs_ipvs::Destination::weight)
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_download_outlives_reloads_weights_and_a_removal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("director.conf");
    let network = Network::masquerading();
    let http = |server: usize| {
        let address = SocketAddr::new(network.addresses[server], 80);
        SlowServer::start(&network.servers[server], SERVERS[server], address)
    };
    let _http = [http(0), http(1)];
    let [one, two] = network.addresses;
    configure(&file, &["192.0.2.10"], &[(one, 2), (two, 2)]);
    let mut ipvs = network.director.ipvs();
    let program = {
        let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
        command.arg(&file).args(["--drain", "8s"]);
        network.director.enter(|| Program::start(&mut command))
    };
    eventually(|| weight(&mut ipvs, two), |weight| *weight == Some(2));

    let address = SERVICE.parse().unwrap();
    let mut connection = Connection::open(&network.client, address);
    let name = connection.say("download").unwrap();
    let download = connection.receive();
    let (used, other) = match name == SERVERS[0] {
        true => (one, two),
        false => (two, one),
    };

    // Something else is new.
    let both = ["192.0.2.10", "192.0.2.11"];
    configure(&file, &both, &[(one, 2), (two, 2)]);
    program.signal(Signal::SIGHUP);
    let second = ServiceKey::tcp("192.0.2.11:80".parse().unwrap());
    eventually(|| ipvs.service(second).is_ok(), |is_there| *is_there);
    // Its server's weight is another.
    configure(&file, &both, &[(used, 9), (other, 2)]);
    program.signal(Signal::SIGHUP);
    eventually(|| weight(&mut ipvs, used), |weight| *weight == Some(9));
    // Its server is not wanted any more, and gets nobody new.
    configure(&file, &both, &[(other, 2)]);
    program.signal(Signal::SIGHUP);
    eventually(|| weight(&mut ipvs, used), |weight| *weight == Some(0));
    for _ in 0..4 {
        assert_ne!(download::who(&network.client, address), name);
    }
    assert_eq!(weight(&mut ipvs, used), Some(0));
    assert!(!download.is_finished(), "too fast to show anything");
    // All bytes are there and are the right ones.
    drop(download.join().unwrap());
    // The kernel remembers the connection for two minutes; the drain has a limit.
    eventually(|| weight(&mut ipvs, used), Option::is_none);
    assert_eq!(weight(&mut ipvs, other), Some(2));

    program.signal(Signal::SIGTERM);
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert!(end.out.contains("is not drained in time"), "{}", end.out);
    // Whatever was reloaded, the entry in use was written for its weight alone.
    let entry = format!("-r {used}:80");
    let writes = end.out.lines().filter(|line| {
        line.contains("table   ipvsadm")
            && line.contains("-t 192.0.2.10:80")
            && line.contains(&entry)
    });
    let writes: Vec<_> = writes
        .filter_map(|line| line.split("ipvsadm ").nth(1))
        .collect();
    let change = |weight: u32| format!("-e -t 192.0.2.10:80 {entry} -m -w {weight}");
    let expected = [
        format!("-a -t 192.0.2.10:80 {entry} -m -w 2"),
        change(9),
        change(0),
        format!("-d -t 192.0.2.10:80 {entry}"),
    ];
    assert_eq!(writes, expected, "{}", end.out);
}

//! What the director leaves behind, against a real kernel: nothing when it drains at its end, and
//! nothing in the long run when it is killed, thanks to the ledger.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_leaving-… --include-ignored`.

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

use core::time::Duration;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use lvs_ipvs::{Client, ServiceKey, VirtualService};
use network::topology::Network;
use network::{Host, PATIENCE, eventually};
use nix::libc::linger;
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use program::Program;
use tempfile::TempDir;

/// Two servers behind a masquerading service.
fn configuration(folder: &TempDir, virtual_address: &str) -> PathBuf {
    let server = |address| format!("real_server {address} 80 {{\nweight 1\n}}\n");
    let text = format!(
        "virtual_server {virtual_address} 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{}{}}}\n",
        server("10.2.1.2"),
        server("10.2.2.2"),
    );
    let file = folder.path().join(format!("{virtual_address}.conf"));
    fs::write(&file, text).unwrap();
    file
}

fn director(host: &Host, file: &Path, options: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    host.enter(|| Program::start(command.arg(file).args(options)))
}

/// Weights of the service's destinations; none when it is not there.
fn weights(ipvs: &mut Client, service: ServiceKey) -> Vec<u32> {
    let entries = ipvs.destinations(service).unwrap_or_default();
    let weight = |entry: &lvs_ipvs::DestinationEntry| entry.destination.weight();
    entries.iter().map(weight).collect()
}

fn web(address: &str) -> ServiceKey {
    ServiceKey::tcp((address.parse::<core::net::IpAddr>().unwrap(), 80).into())
}

/// One request and its answer on a connection that stays open.
fn ask(connection: &mut TcpStream) {
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = [0; 1000];
    let length = connection.read(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{length} bytes");
}

/// A director that was told to end while a client is connected, and that waits for it.
struct Leaving {
    connection: TcpStream,
    program: Program,
    ipvs: Client,
    _network: Network,
    _folder: TempDir,
}

const SERVICE: &str = "192.0.2.10";

impl Leaving {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut network = Network::masquerading();
        network.serve_http(80);
        let mut ipvs = network.director.ipvs();
        let file = configuration(&folder, SERVICE);
        let program = director(&network.director, &file, &["--drain", "60s"]);
        let service = web(SERVICE);
        eventually(|| weights(&mut ipvs, service), |weights| *weights == [1, 1]);
        let connect = || TcpStream::connect((SERVICE, 80)).unwrap();
        let mut connection = network.client.enter(connect);
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(&mut connection);
        program.signal(Signal::SIGTERM);
        // The server without a connection may have left already.
        eventually(
            || weights(&mut ipvs, service),
            |weights| weights.iter().all(|weight| *weight == 0),
        );
        Self {
            connection,
            program,
            ipvs,
            _network: network,
            _folder: folder,
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn at_its_end_it_waits_for_the_last_connection() {
    let mut leaving = Leaving::new();
    for _ in 0..3 {
        thread::sleep(Duration::from_secs(1));
        ask(&mut leaving.connection);
    }
    // The other server has left, this one waits.
    assert_eq!(weights(&mut leaving.ipvs, web(SERVICE)), [0]);
    // Closed in good order it would be remembered for two minutes.
    let reset = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&leaving.connection, sockopt::Linger, &reset).unwrap();
    drop(leaving.connection);
    let end = leaving.program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert!(leaving.ipvs.services().unwrap().is_empty());
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_second_signal_does_not_wait() {
    let mut leaving = Leaving::new();
    leaving.program.signal(Signal::SIGTERM);
    assert_eq!(leaving.program.end().code, Some(0));
    assert!(leaving.ipvs.services().unwrap().is_empty());
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn what_a_killed_director_left_is_removed_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new("director");
    let mut ipvs = host.ipvs();
    let foreign = VirtualService::udp("192.0.2.99:53".parse().unwrap());
    ipvs.add_service(&foreign).unwrap();
    let ledger = folder.path().join("ledger");
    let options = ["--ledger", ledger.to_str().unwrap()];
    let (old, new) = ("192.0.2.10", "192.0.2.11");

    let killed = director(&host, &configuration(&folder, old), &options);
    eventually(
        || weights(&mut ipvs, web(old)),
        |weights| *weights == [1, 1],
    );
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.end().code, None);
    assert_eq!(weights(&mut ipvs, web(old)), [1, 1]);

    let next = director(&host, &configuration(&folder, new), &options);
    eventually(
        || weights(&mut ipvs, web(new)),
        |weights| *weights == [1, 1],
    );
    eventually(|| ipvs.service(web(old)).is_err(), |is_gone| *is_gone);
    next.signal(Signal::SIGTERM);
    let end = next.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    let left: Vec<_> = ipvs.services().unwrap();
    assert_eq!(left.len(), 1);
    assert!(
        left.iter()
            .all(|entry| entry.service.key() == foreign.key())
    );
}

//! A long download through two directors that masquerade, against a real kernel: it goes on when the
//! Active one ends, or is killed, and when that returns, since the sync daemons follow the election.
//! On the wire there is no reset (`OP-1`, `OP-3`, `OP-4`).
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_sync-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod download;
#[expect(dead_code, reason = "made for other tests as well")]
mod electing;
mod masquerading;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;
mod wire;

use core::time::Duration;
use std::time::Instant;

use download::{Download, Server};
use electing::{director, has_address, wait_state};
use lvs_ipvs::DaemonRole;
use masquerading::{CLIENT, GATEWAY, Network, SERVER, VIRTUAL, connections, is, roles};
use network::eventually;
use nix::sys::signal::Signal;
use program::Program;
use wire::Wire;

/// Between events: so much of the download goes one way.
const A_WHILE: Duration = Duration::from_secs(3);

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_download_survives_both_ways_of_a_fail_over() {
    let network = Network::new();
    let server = Server::start(&network.server, (SERVER, 80));
    let [first_host, second_host] = &network.directors;
    let files = [network.configuration(150), network.configuration(100)];
    let [mut first_ipvs, mut second_ipvs] = [first_host.ipvs(), second_host.ipvs()];

    // The other one has its connections then, so there is nothing to wait for.
    let first = director(first_host, &files[0], &["--drain", "10m"]);
    wait_state(&first, "backup", "active");
    let second = director(second_host, &files[1], &[]);
    wait_state(&second, "initialize", "backup");
    is(&mut first_ipvs, DaemonRole::Active);
    is(&mut second_ipvs, DaemonRole::Backup);

    let wire = Wire::watch(&network.bridges, CLIENT);
    let download = Download::start(server, &network.client, (VIRTUAL, 80));
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

    nobody_has_reset(download, wire);
    for program in [first, second] {
        ends_in_order(program);
    }
}

/// The Active one is killed: what it was goes on in its kernel, address and table and sync daemon,
/// until the Backup takes over, and its address for its lifetime.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_download_survives_a_crash() {
    let network = Network::new();
    let server = Server::start(&network.server, (SERVER, 80));
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
    let download = Download::start(server, &network.client, (VIRTUAL, 80));
    eventually(|| connections(&mut second_ipvs), |count| *count == 1);
    download.goes_on_for(A_WHILE);

    first.signal(Signal::SIGKILL);
    let killed = Instant::now();
    assert_eq!(first.end().code, None);
    wait_state(&second, "backup", "active");
    println!("taken over {:?} after the crash", killed.elapsed());
    is(&mut second_ipvs, DaemonRole::Active);
    // Nobody is there to tell the kernel: only the address goes by itself.
    let has_addresses = || {
        let [outside, inside] = [("eth0", VIRTUAL), ("eth1", GATEWAY)]
            .map(|(interface, address)| has_address(first_host, interface, address));
        outside || inside
    };
    eventually(
        || {
            download.goes_on_for(Duration::ZERO);
            has_addresses()
        },
        |has_some| !has_some,
    );
    println!("addresses gone {:?} after the crash", killed.elapsed());
    assert_eq!(roles(&mut first_ipvs), [(DaemonRole::Active, 51)]);
    download.goes_on_for(A_WHILE);

    // The next process puts that right before it is anybody's backup, and takes over again.
    let first = director(first_host, &files[0], &[]);
    wait_state(&first, "initialize", "backup");
    is(&mut first_ipvs, DaemonRole::Backup);
    wait_state(&first, "backup", "active");
    is(&mut first_ipvs, DaemonRole::Active);
    is(&mut second_ipvs, DaemonRole::Backup);
    download.goes_on_for(A_WHILE);

    nobody_has_reset(download, wire);
    for program in [first, second] {
        ends_in_order(program);
    }
}

/// The whole download, byte for byte, came, and no segment on the wire resets.
fn nobody_has_reset(download: Download, wire: Wire) {
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
}

fn ends_in_order(program: Program) {
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    the_order_is_kept(&end.out);
}

/// Where a line is in the output.
fn place(text: &str, line: &str) -> usize {
    text.find(line)
        .unwrap_or_else(|| panic!("no {line:?}:\n{text}"))
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

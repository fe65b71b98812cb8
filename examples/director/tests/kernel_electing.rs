//! Two directors that run the same file, against a real kernel: they elect who has the virtual
//! address, both keep the table, and clients and neighbours follow the address.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_electing-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
mod cluster;
mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;

use cluster::{Cluster, PORT, SERVERS, VIRTUAL};
use electing::{cached_mac, director, has_address, mac_of, wait_state};
use lvs_ipvs::{Client, Forwarding, Persistence, Scheduler, ServiceKey};
use network::{Host, eventually};
use nix::sys::signal::Signal;
use program::Program;

const FULL: [Option<u32>; 3] = [Some(10); 3];

fn key() -> ServiceKey {
    ServiceKey::tcp((VIRTUAL, PORT).into())
}

/// Weights of the three servers as the kernel has them; `None` for one that is not there.
fn weights(ipvs: &mut Client) -> [Option<u32>; 3] {
    let entries = ipvs.destinations(key()).unwrap_or_default();
    SERVERS.map(|address| {
        let mut entries = entries.iter().map(|entry| &entry.destination);
        let found = entries.find(|it| (it.key().address, it.key().port) == (address, PORT));
        found.map(lvs_ipvs::Destination::weight)
    })
}

fn both_have(tables: &mut [Client; 2], expected: [Option<u32>; 3]) {
    for ipvs in tables {
        eventually(|| weights(ipvs), |weights| *weights == expected);
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn two_directors_with_the_same_file_carry_on_for_each_other() {
    let mut cluster = Cluster::without_address();
    let file = cluster.electing();
    let other = cluster.second_director();
    let mut tables = [cluster.director.ipvs(), other.ipvs()];

    let first = director(&cluster.director, &file, &[]);
    wait_state(&first, "backup", "active");
    let second = director(&other, &file, &[]);
    wait_state(&second, "initialize", "backup");
    both_have(&mut tables, FULL);
    for ipvs in &mut tables {
        the_table_is_as_configured(ipvs);
    }
    assert!(has_address(&cluster.director, "tunl0", VIRTUAL));
    assert!(!has_address(&other, "tunl0", VIRTUAL));

    requests_are_answered(&cluster, 0);
    assert_eq!(neighbour(&cluster), Some(mac_of(&cluster.director, "eth0")));
    assert!(cluster.director.received_packets("eth0") > 0);

    // Weights follow the exit codes, a stopped server leaves and returns: on both.
    cluster.answer(0, "7");
    cluster.answer(1, "2");
    both_have(&mut tables, [Some(5), Some(0), Some(10)]);
    cluster.answer(0, "0");
    cluster.answer(1, "0");
    cluster.stop(2);
    both_have(&mut tables, [Some(10), Some(10), None]);
    cluster.start(2);
    both_have(&mut tables, FULL);

    the_first_is_stopped(&cluster, &other, first, &second);
    the_second_is_killed(&cluster, &other, &file, second);
}

fn the_table_is_as_configured(ipvs: &mut Client) {
    let entry = ipvs.service(key()).unwrap().service;
    assert_eq!(entry.scheduler(), Scheduler::Wrr);
    assert_eq!(entry.persistence(), Some(Persistence::new(10)));
    let table = ipvs.snapshot().unwrap().table();
    assert_eq!(table.len(), 1, "{table:?}");
    let servers = table.destinations(&key());
    // In the order of the file, on both: the same clients get the same servers.
    let servers = servers.iter().map(|it| (it.key().address, it.forwarding()));
    let expected = SERVERS.map(|address| (address, Forwarding::Tunnel));
    assert_eq!(servers.collect::<Vec<_>>(), expected);
}

/// Three new clients get three different servers.
fn requests_are_answered(cluster: &Cluster, first_client: u8) {
    let clients = first_client..first_client + 3;
    let mut servers: Vec<_> = clients.map(|client| cluster.fetch(client).server).collect();
    servers.sort();
    assert_eq!(servers, SERVERS.map(|address| address.to_string()));
}

fn neighbour(cluster: &Cluster) -> Option<String> {
    cached_mac(&cluster.client, VIRTUAL)
}

/// It resigns, and leaves nothing: the other one is asked from then on.
fn the_first_is_stopped(cluster: &Cluster, other: &Host, first: Program, second: &Program) {
    first.signal(Signal::SIGTERM);
    wait_state(second, "backup", "active");
    let end = first.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert!(!has_address(&cluster.director, "tunl0", VIRTUAL));
    assert!(
        cluster
            .director
            .ipvs()
            .snapshot()
            .unwrap()
            .table()
            .is_empty()
    );
    assert!(has_address(other, "tunl0", VIRTUAL));
    // Nobody has asked for the address meanwhile: the cache follows the announcement.
    let expected = Some(mac_of(other, "eth0"));
    eventually(|| neighbour(cluster), |mac| *mac == expected);
    requests_are_answered(cluster, 10);
}

/// It leaves its address, for a time that is limited, and its table.
fn the_second_is_killed(cluster: &Cluster, other: &Host, file: &std::path::Path, second: Program) {
    let first = director(&cluster.director, file, &[]);
    wait_state(&first, "initialize", "backup");
    eventually(
        || weights(&mut cluster.director.ipvs()),
        |weights| *weights == FULL,
    );
    second.signal(Signal::SIGKILL);
    assert_eq!(second.end().code, None);
    wait_state(&first, "backup", "active");
    let expected = Some(mac_of(&cluster.director, "eth0"));
    eventually(|| neighbour(cluster), |mac| *mac == expected);
    requests_are_answered(cluster, 20);
    eventually(|| has_address(other, "tunl0", VIRTUAL), |has_it| !has_it);
    assert!(has_address(&cluster.director, "tunl0", VIRTUAL));
    first.signal(Signal::SIGTERM);
    assert_eq!(first.end().code, Some(0));
}

//! The director as a program against a real kernel: the table follows the checks, requests through
//! it are answered, what others do is repaired, and at the end nothing of it is left.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_director-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
mod cluster;
mod lag;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;

use core::net::IpAddr;
use core::time::Duration;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;

use cluster::{Cluster, PORT, SERVERS, VIRTUAL, client_address};
use lag::Lag;
use lvs_ipvs::{
    Actual, Client, Desired, Destination, Encapsulation, Forwarding, Persistence, Plan, Policy,
    Scheduler, Scope, ServiceFlags, ServiceKey, Snapshot, Surplus, Table, VirtualService,
};
use network::{Host, eventually};
use nix::sys::signal::Signal;
use program::Program;

/// Between looks for changes by others.
const DRIFT_INTERVAL: Duration = Duration::from_secs(30);

/// Times of the configuration.
const DELAY_LOOP: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What one slow processor may take on top, beside what it is measured to be late.
const SLACK: Duration = Duration::from_secs(5);

fn key() -> ServiceKey {
    ServiceKey::tcp((VIRTUAL, PORT).into())
}

/// Weights of the three servers as the kernel has them; `None` for one that is not there.
fn weights(ipvs: &mut Client) -> [Option<u32>; 3] {
    let entries = ipvs.destinations(key()).unwrap_or_default();
    SERVERS.map(|address| {
        let of_server = |entry: &&lvs_ipvs::DestinationEntry| {
            let key = entry.destination.key();
            (key.address, key.port) == (address, PORT)
        };
        let found = entries.iter().find(of_server);
        found.map(|entry| entry.destination.weight())
    })
}

fn director(host: &Host, file: &std::path::Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    host.enter(|| Program::start(command.arg(file)))
}

/// A service that somebody else has put there, with a destination.
fn foreign_service(ipvs: &mut Client) -> Table {
    let service = VirtualService::udp("192.0.2.99:53".parse().unwrap())
        .with_scheduler(Scheduler::Sh)
        .with_persistence(Persistence::new(77));
    let destination = Destination::direct_route("10.9.9.9:53".parse().unwrap()).with_weight(7);
    ipvs.add_service(&service).unwrap();
    ipvs.add_destination(service.key(), &destination).unwrap();
    let table = ipvs.snapshot().unwrap().table();
    assert_eq!(table.len(), 1);
    table
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn elasticsearch_cluster_behind_tunnels() {
    let mut cluster = Cluster::new();
    let mut ipvs = cluster.director.ipvs();
    let foreign = foreign_service(&mut ipvs);

    let program = director(&cluster.director, &cluster.configuration());
    let full = [Some(10); 3];
    eventually(|| weights(&mut ipvs), |weights| *weights == full);
    the_table_is_as_configured(&mut ipvs);
    requests_are_answered_and_clients_stick(&cluster);
    weights_follow_exit_codes(&cluster, &mut ipvs);
    a_stopped_server_leaves_and_returns(&mut cluster, &mut ipvs);
    assert_eq!(weights(&mut ipvs), full);
    let repaired = what_others_change_is_repaired(&mut ipvs);

    // A check that is running when the director ends.
    cluster.answer(0, "slow");
    thread::sleep(DELAY_LOOP);
    eventually(|| cluster.running_checks(), |count| *count > 0);
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    assert!(end.out.contains("attempts of checks"), "{end:?}");
    assert!(end.out.contains(", 0 of them failed"), "{end:?}");
    // Repairs are exactly those of what the test broke.
    let repairs = end.out.lines().filter(|line| line.contains("  repair "));
    assert_eq!(repairs.count(), repaired, "{}", end.out);
    assert_eq!(ipvs.snapshot().unwrap().table(), foreign);
    eventually(|| cluster.running_checks(), |count| *count == 0);
}

fn the_table_is_as_configured(ipvs: &mut Client) {
    let entry = ipvs.service(key()).unwrap().service;
    assert_eq!(entry.scheduler(), Scheduler::Wrr);
    assert_eq!(entry.persistence(), Some(Persistence::new(10)));
    assert_eq!(
        entry.flags() - ServiceFlags::HASHED,
        ServiceFlags::PERSISTENT
    );
    let table = ipvs.snapshot().unwrap().table();
    assert_eq!(table.len(), 2, "{table:?}");
    let destinations = table.destinations(&key());
    // In the order of the file.
    let addresses: Vec<_> = destinations
        .iter()
        .map(|entry| entry.key().address)
        .collect();
    assert_eq!(addresses, SERVERS);
    for destination in destinations {
        assert_eq!(destination.key().port, PORT);
        assert_eq!(destination.forwarding(), Forwarding::Tunnel);
        assert_eq!(destination.encapsulation(), Encapsulation::ipip());
        let thresholds = (destination.lower_threshold(), destination.upper_threshold());
        assert_eq!((destination.weight(), thresholds), (10, (0, 0)));
    }
}

/// As many clients as servers get each another server, and that one again and again.
fn requests_are_answered_and_clients_stick(cluster: &Cluster) {
    let mut servers = Vec::new();
    for number in 0..3 {
        let first = cluster.fetch(number);
        for _ in 0..4 {
            assert_eq!(cluster.fetch(number).server, first.server);
        }
        // The tunnel leaves both ends of the connection as they were.
        assert_eq!(first.local, (VIRTUAL, PORT).into());
        assert_eq!(first.peer.ip(), client_address(number));
        servers.push(first.server);
    }
    servers.sort();
    assert_eq!(servers, SERVERS.map(|address| address.to_string()));
    for server in &cluster.servers {
        // A request is four packets at least.
        let packets = server.received_packets("tunl0");
        assert!(packets >= 5 * 4, "{packets} packets through the tunnel");
    }
}

/// The check script of the first two servers answers with all kinds of exit codes.
fn weights_follow_exit_codes(cluster: &Cluster, ipvs: &mut Client) {
    let mut new_client = 3;
    for (codes, expected) in [
        (["2", "1"], [Some(0), None]),
        (["7", "3"], [Some(5), Some(1)]),
        (["255", "254"], [Some(253), Some(252)]),
        (["1", "0"], [None, Some(10)]),
        (["0", "2"], [Some(10), Some(0)]),
        // Still running when its time is over.
        (["slow", "7"], [None, Some(5)]),
        (["0", "0"], [Some(10), Some(10)]),
    ] {
        for (server, code) in codes.into_iter().enumerate() {
            cluster.answer(server, code);
        }
        let expected = [expected[0], expected[1], Some(10)];
        eventually(|| weights(ipvs), |weights| *weights == expected);
        // New clients only get servers with a weight.
        for _ in 0..3 {
            let answer = cluster.fetch(new_client);
            let server = SERVERS.iter().position(|a| a.to_string() == answer.server);
            let weight = expected[server.unwrap()];
            assert!(
                weight.is_some_and(|weight| weight > 0),
                "{answer:?} {expected:?}"
            );
            new_client += 1;
        }
    }
}

/// The third server is checked by connecting.
fn a_stopped_server_leaves_and_returns(cluster: &mut Cluster, ipvs: &mut Client) {
    let name = SERVERS[2].to_string();
    let stuck = (0..3).find(|&number| cluster.fetch(number).server == name);

    // One retry, so two failures in a row.
    within("gone", 2 * DELAY_LOOP + CONNECT_TIMEOUT, || {
        cluster.stop(2);
        let without = [Some(10), Some(10), None];
        eventually(|| weights(ipvs), |weights| *weights == without);
    });
    // A client that stuck to it is no longer sent there.
    assert_ne!(cluster.fetch(stuck.unwrap()).server, name);

    within("back", DELAY_LOOP + CONNECT_TIMEOUT, || {
        cluster.start(2);
        eventually(|| weights(ipvs), |weights| *weights == [Some(10); 3]);
    });
}

/// Something takes no longer than that, but for what this machine is late.
fn within(what: &str, bound: Duration, work: impl FnOnce()) {
    let (lag, start) = (Lag::measure(), Instant::now());
    work();
    let (took, late) = (start.elapsed(), lag.end());
    println!("{what} after {took:?} of {bound:?}, threads {late:?} late");
    assert!(
        took <= bound + SLACK + late,
        "{what} after {took:?}, threads {late:?} late"
    );
}

/// Somebody else interferes with the director's own service; returns how many repairs that needs.
fn what_others_change_is_repaired(ipvs: &mut Client) -> usize {
    let before = ipvs.snapshot().unwrap().table();
    let tunnel = |address: IpAddr| Destination::tunnel((address, PORT).into());
    let removed = tunnel(SERVERS[1]).key();
    ipvs.remove_destination(key(), removed).unwrap();
    ipvs.set_destination(key(), &tunnel(SERVERS[0]).with_weight(77))
        .unwrap();
    ipvs.add_destination(key(), &tunnel([172, 1, 1, 57].into()))
        .unwrap();
    let patience = Instant::now() + 4 * DRIFT_INTERVAL;
    within("repaired", DRIFT_INTERVAL, || {
        // Destinations return at the end of the list, so the order is another.
        while weights(ipvs) != [Some(10); 3] || ipvs.destinations(key()).unwrap().len() != 3 {
            assert!(Instant::now() < patience, "not repaired");
            thread::sleep(Duration::from_millis(200));
        }
    });
    assert_eq!(ipvs.snapshot().unwrap().table().len(), before.len());
    3
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_killed_director_leaves_a_table_that_the_next_one_takes_over() {
    let cluster = Cluster::new();
    let file = cluster.configuration();
    let mut ipvs = cluster.director.ipvs();
    let killed = director(&cluster.director, &file);
    let full = [Some(10); 3];
    eventually(|| weights(&mut ipvs), |weights| *weights == full);
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.end().code, None);
    assert_eq!(weights(&mut ipvs), full);

    let program = director(&cluster.director, &file);
    let adopted = format!("adopted {}", key());
    program.wait_for(|line| line.contains(&adopted).then_some(()));
    program.wait_for(|line| line.contains("unknown to up").then_some(()));
    assert_eq!(weights(&mut ipvs), full);
    program.signal(Signal::SIGTERM);
    let end = program.end();
    // Taking over changed nothing, so connections went on; the one change is the removal.
    assert!(end.out.contains(", 1 changes of the table"), "{}", end.out);
    assert!(ipvs.snapshot().unwrap().table().is_empty());
}

/// Everything that does not depend on outcomes of checks, next to keepalived's own table.
#[test]
#[ignore = "needs a kernel with IPVS and keepalived: run through .ci/test"]
fn keepalived_makes_the_same_table_of_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keepalived.conf");
    fs::write(&file, include_str!("data/start.conf")).unwrap();
    let (ours, theirs) = (Host::new("director"), Host::new("keepalived"));

    let program = director(&ours, &file);
    let pids = ["--pid=all", "--checkers_pid=check"]
        .map(|option| option.replace('=', &format!("={}/", folder.path().display())));
    let mut command = Command::new("keepalived");
    command.args(["--dont-fork", "--log-console", "--check", "--use-file"]);
    command.arg(&file).args(pids);
    let keepalived = theirs.enter(|| Program::start(&mut command));

    let tables = || [&ours, &theirs].map(|host| host.ipvs().snapshot().unwrap().table());
    let policy = Policy::new(Scope::all()).with_surplus_destinations(Surplus::Delete);
    let differences = || {
        let [ours, theirs] = tables();
        let theirs = Snapshot::from(&theirs);
        let plan = Plan::new(Actual(&theirs), Desired(&ours), &policy);
        let changes = plan.changes().map(ToString::to_string);
        (ours.len(), changes.collect::<Vec<_>>())
    };
    eventually(differences, |(services, changes)| {
        *services == 18 && changes.is_empty()
    });
    // Order, too.
    let [ours, theirs] = tables();
    assert_eq!(ours, theirs);
    for program in [program, keepalived] {
        program.signal(Signal::SIGTERM);
        assert_eq!(program.end().code, Some(0));
    }
}

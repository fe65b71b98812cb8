//! Many connections: exact shares, no threads, no descriptors left behind.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use director::demonstration::farm::{Config, Farm};
use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::{PATIENCE, alone, connect, farm, get, read_answer, request, wait_for};

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn threads() -> usize {
    entries("/proc/self/task")
}

fn descriptors() -> usize {
    entries("/proc/self/fd")
}

/// What the scheduler itself picks for `count` connections, by destination.
fn expected_shares(destinations: &[(SocketAddr, u32)], count: usize) -> BTreeMap<SocketAddr, u64> {
    let mut service = VirtualService::new(Algorithm::Wrr, Semantics::LINUX_6_1);
    for &(address, weight) in destinations {
        service
            .add(Destination::new(address).with_weight(weight))
            .unwrap();
    }
    let flow = Flow::tcp(([127, 0, 0, 1], 40000).into(), ([127, 0, 0, 10], 80).into());
    let mut context = Context::new(Duration::ZERO);
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let picked = service.schedule(&flow, &mut context).unwrap();
        let address = service.destination(picked).unwrap().address();
        *shares.entry(address).or_default() += 1;
    }
    shares
}

#[test]
fn thousand_connections_at_once_get_the_exact_shares_without_threads() {
    const COUNT: usize = 1_000;
    let _turn = alone();
    let descriptors_before = descriptors();
    let mut config = Config::default();
    // The clients of this test live in the same process: four descriptors per connection, not three.
    config.connections = COUNT as u64 * 4 / 3 + 100;
    let farm = Farm::start(&config).unwrap();
    assert_eq!(
        farm.shortage(),
        None,
        "this test needs more open files: {:?}",
        farm.descriptors()
    );

    let servers = farm.servers();
    let destinations: Vec<_> = servers.iter().map(|s| s.address).zip([3, 2, 1]).collect();
    farm.set_destinations(&destinations).unwrap();
    let threads_before = threads();

    let mut clients: Vec<_> = (0..COUNT).map(|_| connect(farm.address())).collect();
    for client in &mut clients {
        client.write_all(request("/").as_bytes()).unwrap();
    }
    let mut answers: BTreeMap<String, u64> = BTreeMap::new();
    for client in &mut clients {
        *answers.entry(read_answer(client).unwrap()).or_default() += 1;
    }
    // The clients have not ended their side, so that all connections are still open.
    let stats = farm.stats();
    let threads_during = threads();
    assert_eq!((stats.open, stats.peak_open), (COUNT as u64, COUNT as u64));
    // The harness may have started a thread for another test meanwhile.
    assert!(
        threads_during <= threads_before + 8,
        "{threads_before} -> {threads_during} threads"
    );

    let shares = expected_shares(&destinations, COUNT);
    for (server, destination) in servers.iter().zip(&stats.destinations) {
        let share = shares[&server.address];
        assert_eq!(answers[&format!("server {}\n", server.number)], share);
        assert_eq!(destination.address, server.address);
        assert_eq!(
            (destination.picked, u64::from(destination.open)),
            (share, share)
        );
    }
    assert_eq!(answers.values().sum::<u64>(), COUNT as u64);

    drop(clients);
    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!(
        (stats.completed, stats.broken, stats.exhausted),
        (COUNT as u64, 0, 0)
    );
    assert!(
        stats
            .destinations
            .iter()
            .all(|destination| destination.open == 0)
    );
    farm.shutdown();
    assert_eq!(descriptors(), descriptors_before);
}

/// Without descriptors left the forwarder waits, and goes on when there are some again.
#[test]
fn lack_of_descriptors_is_survived() {
    const COUNT: usize = 20;
    let _turn = alone();
    let farm = farm(Algorithm::Rr, 1);
    farm.set_destinations(&[(farm.servers()[0].address, 1)])
        .unwrap();
    let sockets: Vec<_> = (0..COUNT)
        .map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap())
        .collect();

    let highest = sockets.iter().map(AsRawFd::as_raw_fd).max().unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(
        Resource::RLIMIT_NOFILE,
        u64::try_from(highest).unwrap() + 6,
        hard,
    )
    .unwrap();
    let mut clients = Vec::new();
    for socket in sockets {
        socket.connect(&farm.address().into()).unwrap();
        clients.push(TcpStream::from(socket));
    }
    let exhausted = wait_for(&farm, |stats| stats.exhausted > 1);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(exhausted.accepted < COUNT as u64);

    let mut answered = 0;
    for client in &mut clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent = client.write_all(request("/").as_bytes());
        match sent.and_then(|()| read_answer(client)) {
            Ok(answer) => {
                assert_eq!(answer, "server 1\n");
                answered += 1;
            }
            // Accepted when there was no descriptor left for the way to the server.
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert!(answered >= COUNT - 6, "{answered} answered");
    drop(clients);
    assert_eq!(
        wait_for(&farm, |stats| stats.open == 0).accepted,
        COUNT as u64
    );
    assert_eq!(get(farm.address(), "/").unwrap(), "server 1\n");
    farm.shutdown();
}

#[test]
fn ten_thousand_short_connections_leave_no_descriptor_behind() {
    const COUNT: u64 = 10_000;
    let _turn = alone();
    let farm = farm(Algorithm::Rr, 3);
    let destinations: Vec<_> = farm.servers().iter().map(|s| (s.address, 1)).collect();
    farm.set_destinations(&destinations).unwrap();
    get(farm.address(), "/").unwrap();
    wait_for(&farm, |stats| stats.open == 0);
    let before = (descriptors(), threads());
    for _ in 1..COUNT {
        get(farm.address(), "/").unwrap();
    }
    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!((stats.accepted, stats.completed), (COUNT, COUNT));
    assert!(
        stats.peak_open < 10,
        "they came one after the other: {stats:?}"
    );
    assert!(
        descriptors() <= before.0 + 3,
        "{} -> {} descriptors",
        before.0,
        descriptors()
    );
    assert!(threads() <= before.1 + 8);
    let requests: u64 = farm.servers().iter().map(|server| server.requests).sum();
    assert_eq!(requests, COUNT);
    farm.shutdown();
}

#[test]
fn shutdown_closes_listeners_and_connections() {
    let _turn = alone();
    let before = descriptors();
    let farm = farm(Algorithm::Rr, 3);
    let destinations: Vec<_> = farm.servers().iter().map(|s| (s.address, 1)).collect();
    farm.set_destinations(&destinations).unwrap();
    let address = farm.address();
    let mut client = connect(address);
    client.write_all(request("/slow/60000").as_bytes()).unwrap();
    wait_for(&farm, |stats| stats.bytes_to_servers > 0);
    let stats = farm.shutdown();
    assert_eq!((stats.accepted, stats.open), (1, 0));
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(rest.is_empty());
    for address in destinations
        .iter()
        .map(|(address, _)| *address)
        .chain([address])
    {
        assert_eq!(
            TcpStream::connect(address).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
    }
    drop(client);
    assert_eq!(descriptors(), before);
}

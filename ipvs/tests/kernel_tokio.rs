//! The asynchronous client on a real kernel: every operation, other namespaces, dropped futures,
//! lost answers.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_tokio-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "of networks only the hosts are needed here")]
mod network;

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};
use std::os::fd::OwnedFd;

use lvs_ipvs::tokio::Client;
use lvs_ipvs::{
    Actual, Change, DaemonRole, Desired, Destination, Encapsulation, Ensured, Error, Namespace,
    Options, Outcome, Plan, Policy, Reason, Scheduler, Scope, SyncDaemon, Table, Timeouts,
    UnknownCause, VirtualService,
};
use network::Host;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use tokio::task::coop;

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap()).with_scheduler(Scheduler::Rr)
}

fn server(port: u16) -> Destination {
    Destination::masquerade(([10, 0, 0, 1], port).into())
}

async fn client(host: &Host) -> Client {
    let namespace = Namespace::open(host.path()).unwrap();
    namespace.tokio_client().await.unwrap()
}

#[tokio::test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn a_service_with_a_destination_reads_back_as_written() {
    let mut ipvs = Client::connect().await.unwrap();
    ipvs.add_service(&web()).await.unwrap();
    let server = Destination::masquerade("127.0.0.1:8080".parse().unwrap()).with_weight(3);
    ipvs.add_destination(web().key(), &server).await.unwrap();

    assert_eq!(ipvs.service(web().key()).await.unwrap().service, web());
    let read = ipvs.destinations(web().key()).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].destination, server);
    let snapshot = ipvs.snapshot().await.unwrap();
    assert_eq!(snapshot.table().destinations(&web().key()), [server]);
    assert!(ipvs.add_service(&web()).await.unwrap_err().is_exists());
    ipvs.flush().await.unwrap();
    assert!(ipvs.services().await.unwrap().is_empty());
}

async fn use_all(mut ipvs: Client) -> Result<(), Error> {
    let key = web().key();
    assert_eq!(ipvs.ensure_service(&web()).await?, Ensured::Added);
    assert_eq!(ipvs.ensure_service(&web()).await?, Ensured::Replaced);
    let add = (1..=1000).map(|port| Change::AddDestination(key, server(port)));
    let report = ipvs.execute(add).await?;
    assert!(report.is_success(), "{report}");
    let gue = Destination::tunnel("10.0.0.2:80".parse().unwrap())
        .with_encapsulation(Encapsulation::gue(6080))
        .with_thresholds(1, 9);
    assert_eq!(ipvs.ensure_destination(key, &gue).await?, Ensured::Added);
    let heavy = |it: Destination| it.with_weight(7);
    let updated = ipvs.update_destination(key, gue.key(), heavy).await?;
    assert_eq!(updated, Ensured::Replaced);
    let read = ipvs.destinations(key).await?;
    assert_eq!(read.len(), 1001);
    assert_eq!(read[0].destination, gue.clone().with_weight(7));
    let sh = |it: VirtualService| it.with_scheduler(Scheduler::Sh);
    let updated = ipvs.update_service(key, sh).await?;
    assert_eq!(updated, Ensured::Replaced);
    let read = ipvs.service(key).await?.service;
    assert_eq!(read.scheduler(), Scheduler::Sh);
    let removed = ipvs.ensure_no_destination(key, gue.key()).await?;
    assert_eq!(removed, Ensured::Removed);
    let removed = ipvs.ensure_no_destination(key, gue.key()).await?;
    assert_eq!(removed, Ensured::Unchanged);

    let mut ports = 0_u64;
    ipvs.for_each_destination(key, |view| ports += u64::from(view.key().port))
        .await?;
    assert_eq!(ports, (1..=1000).sum());
    let mut services = Vec::new();
    ipvs.for_each_service(|view| services.push(view.key()))
        .await?;
    assert_eq!(services, [key]);
    let once = ipvs.snapshot_once().await?;
    let mut visited = Vec::new();
    ipvs.for_each_with_destinations(|service| visited.push(service))
        .await?;
    assert_eq!(once.services, visited);
    let snapshot = ipvs.snapshot().await?;
    assert!(snapshot.agreed);
    assert_eq!(snapshot.services, visited);

    let mut desired = Table::new();
    desired.insert(web(), (500..=1200).map(server));
    let policy = Policy::new(Scope::all());
    let plan = Plan::new(Actual(&snapshot), Desired(&desired), &policy);
    let report = ipvs.apply(&plan).await?;
    assert!(report.is_success(), "{report}");

    let timeouts = Timeouts {
        udp_secs: Some(30),
        ..Timeouts::default()
    };
    ipvs.set_timeouts(timeouts).await?;
    assert_eq!(ipvs.timeouts().await?.udp_secs, Some(30));
    assert_eq!(ipvs.info().await?.version.to_string(), "1.2.1");
    ipvs.zero_service(key).await?;
    ipvs.zero().await?;
    ipvs.remove_destination(key, server(1200).key()).await?;
    let error = ipvs.set_destination(key, &server(1200)).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchDestination));
    ipvs.remove_service(key).await?;
    let error = ipvs.set_service(&web()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchService));
    let error = ipvs.destinations(key).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchService));
    ipvs.flush().await
}

#[tokio::test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn every_operation_works_on_a_single_thread() {
    let host = Host::new("single");
    use_all(client(&host).await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn clients_of_several_namespaces_work_side_by_side() {
    let hosts = [Host::new("red"), Host::new("blue"), Host::new("green")];
    let mut tasks = Vec::new();
    for host in &hosts {
        tasks.push(tokio::spawn(use_all(client(host).await)));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn a_daemon_is_started_once_and_anew_when_it_should_differ() {
    let host = Host::new("daemons");
    host.ip("link add d0 type dummy\naddr add 10.9.0.1/24 dev d0\nlink set d0 up");
    let mut ipvs = client(&host).await;
    for role in [DaemonRole::Active, DaemonRole::Backup] {
        let daemon = SyncDaemon::new(role, "d0".parse().unwrap(), 7);
        assert_eq!(ipvs.ensure_daemon(&daemon).await.unwrap(), Ensured::Added);
        // Defaults, and lengths that the kernel makes longer or shorter.
        for (wanted, expected) in [
            (daemon, Ensured::Unchanged),
            (daemon.with_ttl(3), Ensured::Replaced),
            (daemon.with_ttl(3), Ensured::Unchanged),
            (daemon.with_max_length(10), Ensured::Replaced),
            (daemon.with_max_length(10), Ensured::Unchanged),
            (daemon.with_max_length(65_507), Ensured::Replaced),
            (daemon.with_max_length(65_507), Ensured::Unchanged),
        ] {
            let ensured = ipvs.ensure_daemon(&wanted).await.unwrap();
            let running = ipvs.daemons().await.unwrap();
            assert_eq!(ensured, expected, "{wanted:?}, runs: {running:?}");
        }
    }
    for role in [DaemonRole::Active, DaemonRole::Backup] {
        let removed = ipvs.ensure_no_daemon(role).await.unwrap();
        assert_eq!(removed, Ensured::Removed);
        let removed = ipvs.ensure_no_daemon(role).await.unwrap();
        assert_eq!(removed, Ensured::Unchanged);
    }
    assert!(ipvs.daemons().await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn a_socket_opened_elsewhere_stays_there() {
    let host = Host::new("white");
    let opened: OwnedFd = host.enter(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkGeneric;
        socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap()
    });
    let mut adopted = Client::from_fd(opened).await.unwrap();
    adopted.add_service(&web()).await.unwrap();
    assert_eq!(host.ipvs().services().unwrap().len(), 1);
}

/// Polls a future that many times inside a task, each time with little of the task's budget left:
/// then it gives way after a few datagrams, as it would in a busy program. `None` when it was
/// dropped before its end.
async fn poll_times<F: Future>(future: F, times: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|context| {
            spend(context, 118);
            Poll::Ready(future.as_mut().poll(context))
        });
        if let Poll::Ready(output) = polled.await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Spends so many units of the budget of the task.
fn spend(context: &mut Context<'_>, units: u32) {
    for _ in 0..units {
        let _ = pin!(coop::consume_budget()).poll(context);
    }
}

#[tokio::test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn dropped_futures_leave_the_client_usable() {
    let host = Host::new("dropped");
    let mut other = host.ipvs();
    let mut ipvs = client(&host).await;
    let key = web().key();
    let (mut dropped_batches, mut dropped_readings) = (0, 0);
    for polls in 0..60 {
        other.flush().unwrap();
        ipvs.add_service(&web()).await.unwrap();
        let add = (1..=400).map(|port| Change::AddDestination(key, server(port)));
        let report = poll_times(ipvs.execute(add), polls).await;
        dropped_batches += u32::from(report.is_none());
        // The next call is answered, and what it says is so.
        let read = ipvs.destinations(key).await.unwrap();
        let seen = other.destinations(key).unwrap();
        assert_eq!(read, seen);
        let done = u16::try_from(read.len()).unwrap();
        let ports: Vec<_> = read.iter().map(|it| it.destination.key().port).collect();
        assert!(ports.iter().rev().copied().eq(1..=done), "{ports:?}");
        if report.is_some() {
            assert_eq!(done, 400);
        }

        // Nothing of it is done later.
        let error = ipvs.add_service(&web()).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ServiceExists));
        assert_eq!(other.destinations(key).unwrap().len(), read.len());

        // In the middle of a dump.
        let reading = poll_times(ipvs.snapshot(), polls % 12).await;
        dropped_readings += u32::from(reading.is_none());
        let missing = ipvs.service(VirtualService::firewall_mark(lvs_ipvs::Family::Inet, 9).key());
        let error = missing.await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::NoSuchService));
        let snapshot = ipvs.snapshot().await.unwrap();
        assert_eq!(snapshot, other.snapshot().unwrap());
    }
    println!("dropped: {dropped_batches} batches, {dropped_readings} snapshots");
    assert!((10..60).contains(&dropped_batches), "{dropped_batches}");
    assert!((5..60).contains(&dropped_readings), "{dropped_readings}");
}

/// With room for two answers, most are lost; what is dropped in between must not be to blame for
/// what comes after it.
#[tokio::test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
async fn lost_answers_of_a_dropped_call_do_not_take_others_along() {
    let host = Host::new("narrow");
    let mut ipvs = client(&host).await;
    ipvs.set_options(Options::default().with_receive_buffer(0));
    assert!(ipvs.receive_buffer().unwrap() < 8192);
    let key = web().key();
    ipvs.add_service(&web()).await.unwrap();
    let add = |ports: core::ops::RangeInclusive<u16>| {
        ports.map(move |port| Change::AddDestination(key, server(port)))
    };
    let report = ipvs.execute(add(1..=300)).await.unwrap();
    let unknown = Outcome::Unknown(UnknownCause::Overrun);
    assert!(report.entries().any(|(_, outcome)| *outcome == unknown));
    assert_eq!(ipvs.destinations(key).await.unwrap().len(), 300);

    let mut dropped = 0;
    for round in 0..20_u16 {
        // A new client sends a whole window at once.
        let mut ipvs = client(&host).await;
        ipvs.set_options(Options::default().with_receive_buffer(0));
        let first = 1000 + round * 200;
        let report = poll_times(ipvs.execute(add(first..=first + 199)), u32::from(round)).await;
        dropped += u32::from(report.is_none());
        let error = ipvs.add_service(&web()).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ServiceExists), "round {round}");
    }
    println!("dropped: {dropped}");
    assert!(dropped > 1, "{dropped}");
    // A larger one than the system's default limit, which needs privilege as IPVS does.
    ipvs.set_options(Options::default().with_receive_buffer(4 << 20));
    assert_eq!(ipvs.receive_buffer().unwrap(), 4 << 20);
}

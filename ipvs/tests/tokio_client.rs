//! The asynchronous client on the memory kernel, in both flavours of runtime.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use core::future::Future;

use lvs_ipvs::tokio::Client;
use lvs_ipvs::{
    Change, DaemonRole, Destination, Error, Interface, MemoryKernel, Scheduler, SyncDaemon,
    Timeouts, VirtualService,
};

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn server(host: u8) -> Destination {
    Destination::masquerade(([10, 0, 0, host], 80).into())
}

/// A future that may be spawned.
fn send<F: Future + Send>(future: F) -> F {
    future
}

/// Calls every kind of method.
async fn use_all(kernel: MemoryKernel) -> Result<(), Error> {
    kernel.set_interfaces([Interface::loopback(), Interface::new("eth0")]);
    let mut client = Client::with_transport(kernel.socket()).await?;
    let key = web().key();
    client.add_service(&web()).await?;
    assert!(client.add_service(&web()).await.unwrap_err().is_exists());
    let hosts = (1..=200).map(|host| Change::AddDestination(key, server(host)));
    assert!(client.execute(hosts).await?.is_success());
    let heavy = server(1).with_weight(7);
    client.set_destination(key, &heavy).await?;
    client.remove_destination(key, server(2).key()).await?;
    client.add_destination(key, &server(2)).await?;
    let read = client.destinations(key).await?;
    assert_eq!(read.len(), 200);
    assert_eq!(read[0].destination, server(2), "newest first");
    let mut weights = 0;
    let count = |view: &lvs_ipvs::wire::DestinationView<'_>| weights += view.weight();
    client.for_each_destination(key, count).await?;
    assert_eq!(weights, 206);
    let sh = web().with_scheduler(Scheduler::Sh);
    client.set_service(&sh).await?;
    assert_eq!(client.service(key).await?.service, sh);
    assert_eq!(client.services().await?.len(), 1);
    let mut seen = Vec::new();
    client
        .for_each_service(|view| seen.push(view.key()))
        .await?;
    assert_eq!(seen, [key]);

    let timeouts = Timeouts {
        udp_secs: Some(30),
        ..Timeouts::default()
    };
    client.set_timeouts(timeouts).await?;
    assert_eq!(client.timeouts().await?.udp_secs, Some(30));
    let daemon = SyncDaemon::new(DaemonRole::Backup, "eth0".parse().unwrap(), 3);
    client.start_daemon(&daemon).await?;
    assert_eq!(client.daemons().await?.len(), 1);
    client.stop_daemon(DaemonRole::Backup).await?;
    assert!(client.daemons().await?.is_empty());
    client.zero().await?;
    client.zero_service(key).await?;
    assert_eq!(client.info().await?.version.to_string(), "1.2.1");
    assert_eq!(client.snapshot().await?.destinations(&key).len(), 200);
    client.remove_service(key).await?;
    client.flush().await?;
    assert!(client.services().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn every_command_works_on_a_single_thread() {
    send(use_all(MemoryKernel::default())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_works_on_several_threads() {
    let tasks: Vec<_> = (0..4)
        .map(|_| tokio::spawn(use_all(MemoryKernel::default())))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_kernel_without_ipvs_is_unavailable() {
    let kernel = MemoryKernel::default().without_ipvs();
    let error = Client::with_transport(kernel.socket()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[test]
fn a_socket_needs_a_runtime_and_says_so() {
    let mut connect = core::pin::pin!(Client::connect());
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    let core::task::Poll::Ready(Err(error)) = connect.as_mut().poll(&mut context) else {
        unreachable!("it cannot wait without a runtime");
    };
    assert!(
        error
            .to_string()
            .starts_with("cannot watch the netlink socket outside of a runtime of tokio"),
        "{error}"
    );
}

//! Events for tasks, and what no packet counter has.

use core::net::Ipv4Addr;
use core::time::Duration;

use lvs_vrrp::address::Family;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::{
    AsyncDriver, AsyncEventStream, Driver, DriverConfig, DriverEvent, RouterSetup, SendBatch,
    Sender,
};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::{AddressList, Interval, RouterConfig, Vrid};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use crate::network::{Host, cable, eventually};
use crate::running::Running;

fn config() -> DriverConfig {
    let addresses = AddressList::new(["192.0.2.100".parse().unwrap()]).unwrap();
    let router = RouterConfig::new(Vrid::new(51).unwrap(), addresses)
        .with_interval(Interval::from_centiseconds(10).unwrap());
    DriverConfig::new().with_router(RouterId::new(1), RouterSetup::new("eth0", router))
}

/// A host with an interface, and the one at its other end.
fn network() -> (Host, Host) {
    let (one, other) = (Host::new("one"), Host::new("other"));
    cable(&one, "eth0", &other, "eth0");
    one.ip("address add 192.0.2.1/24 dev eth0");
    other.ip("address add 192.0.2.2/24 dev eth0");
    (one, other)
}

fn said(events: &[DriverEvent]) -> Vec<String> {
    let events = events.iter();
    let said = events.map(|event| format!("{} {:?}", event.sequence, event.kind));
    said.collect()
}

/// The same events in the same order as those who block, though every other wait is given up.
#[test]
#[ignore = "needs root, for network namespaces"]
fn tasks_see_the_events_that_threads_see() {
    let (one, _other) = network();
    let (by_task, by_thread) = one.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_io().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut driver = Driver::new(config()).unwrap();
            let blocking = driver.events(1000);
            let mut driver = AsyncDriver::new(driver).unwrap();
            let (handle, mut events) = (driver.handle(), driver.events(1000));
            let routers = tokio::spawn(async move { driver.run().await.unwrap() });
            let (mut seen, mut given_up) = (Vec::new(), 0);
            loop {
                let short = Duration::from_millis(3);
                match tokio::time::timeout(short, events.next()).await {
                    Ok(Some(event)) => seen.push(event),
                    Ok(None) => break,
                    Err(_) => {
                        given_up += 1;
                        if given_up == 300 {
                            handle.shutdown(ShutdownMode::Graceful).unwrap();
                        }
                    }
                }
            }
            routers.await.unwrap();
            assert!(given_up >= 300);
            assert_eq!(events.dropped(), 0);
            let seen_by_thread: Vec<_> = core::iter::from_fn(|| blocking.try_next()).collect();
            (seen, seen_by_thread)
        })
    });
    assert_eq!(said(&by_task), said(&by_thread));
    // At least to Backup, to Active, and to the end.
    assert!(by_task.len() >= 3, "{:?}", said(&by_task));
    for (event, number) in by_task.iter().zip(1..) {
        assert_eq!(event.sequence, number);
    }
}

/// Whatever runs the routers, and on whatever runtime the task is.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_task_can_follow_a_driver_on_a_thread() {
    let (one, _other) = network();
    let mut driver = one.enter(|| Driver::new(config()).unwrap());
    let (handle, mut events) = (driver.handle(), AsyncEventStream::from(driver.events(1000)));
    let thread = one.spawn(move || driver.run().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let numbers = runtime.block_on(async {
        let mut numbers = Vec::new();
        while let Some(event) = events.next().await {
            numbers.push(event.sequence);
            if numbers.len() == 2 {
                handle.shutdown(ShutdownMode::Graceful).unwrap();
            }
        }
        numbers
    });
    thread.join().unwrap();
    assert!(numbers.len() > 2);
    for (number, expected) in numbers.iter().zip(1..) {
        assert_eq!(*number, expected, "{numbers:?}");
    }
}

/// What is longer than any advertisement is in the snapshot, and stays there when its socket goes.
#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn packets_that_were_cut_are_counted() {
    let (one, other) = network();
    one.ip("link set dev eth0 mtu 9000");
    other.ip("link set dev eth0 mtu 9000");
    let running = Running::start(&one, config());
    let before = running.handle.snapshot().unwrap();
    assert_eq!(before.truncated, 0);
    let to = Ipv4Addr::new(192, 0, 2, 1);
    other.enter(|| {
        let mut batch = SendBatch::new();
        for length in [4608_usize, 4609, 5000] {
            let written = batch.push(to.into(), length, |buffer| {
                buffer.fill(0);
                (buffer[0], buffer[8], buffer[9]) = (0x45, 255, 112);
                buffer[16..20].copy_from_slice(&to.octets());
                Ok::<_, Errno>(length)
            });
            written.unwrap();
        }
        let index = if_nametoindex("eth0").unwrap();
        let sender = Sender::open("eth0", index, Family::Ipv4).unwrap();
        sender.send(&batch, |_, result| result.unwrap());
    });
    let snapshot = || running.handle.snapshot().unwrap();
    let after = eventually(snapshot, |snapshot| snapshot.truncated > 0);
    assert_eq!(after.truncated, 2);
    running.handle.reload(DriverConfig::new()).unwrap();
    assert_eq!(snapshot().truncated, 2);
    running.stop(ShutdownMode::Graceful);
}

//! Futures dropped half-way: at every await point of every kind of call, with and without faults.
//!
//! Over the memory kernel each receive is an await point, and a kernel handles requests while
//! they are sent; so polling a future some times and dropping it reaches every state a call over
//! a socket can be left in.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;

use lvs_ipvs::tokio::Client;
use lvs_ipvs::wire::attributes::command;
use lvs_ipvs::{
    Actual, Change, DaemonRole, Desired, Destination, Fault, Interface, MemoryKernel, Plan, Policy,
    Reason, Scheduler, Scope, ServiceKey, Snapshot, SyncDaemon, Table, VirtualService,
};
use nix::errno::Errno;

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn dns() -> VirtualService {
    VirtualService::udp("192.0.2.10:53".parse().unwrap())
}

fn server(port: u16) -> Destination {
    Destination::masquerade(([10, 0, 0, 1], port).into())
}

fn daemon() -> SyncDaemon {
    SyncDaemon::new(DaemonRole::Backup, "eth0".parse().unwrap(), 3)
}

/// Polls a future that many times and drops it; what it came to, if it ended.
fn poll_times<F: Future>(future: F, times: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn wait<F: Future>(future: F) -> F::Output {
    poll_times(future, 100_000).unwrap()
}

/// The commands of recorded requests.
fn commands(kernel: &MemoryKernel) -> Vec<u8> {
    let mut commands = Vec::new();
    for datagram in kernel.take_recorded() {
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let length = u32::from_ne_bytes(rest[..4].try_into().unwrap());
            commands.push(rest[16]);
            rest = &rest[length as usize..];
        }
    }
    commands
}

/// A kernel with two services, 6 destinations of the first, and a daemon.
fn kernel() -> (MemoryKernel, Client) {
    let kernel = MemoryKernel::default();
    kernel.set_interfaces([Interface::loopback(), Interface::new("eth0")]);
    let mut client = wait(Client::with_transport(kernel.socket())).unwrap();
    wait(client.add_service(&web())).unwrap();
    wait(client.add_service(&dns())).unwrap();
    let add = (1..=6).map(|port| Change::AddDestination(web().key(), server(port)));
    assert!(wait(client.execute(add)).unwrap().is_success());
    wait(client.start_daemon(&daemon())).unwrap();
    kernel.set_recording(true);
    (kernel, client)
}

type Call = for<'a> fn(&'a mut Client) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Boxes the future of a call; what comes of it is of no interest here.
macro_rules! call {
    (|$client:ident| $future:expr) => {
        |$client| {
            Box::pin(async move {
                drop($future.await);
            })
        }
    };
}

/// Calls of every kind: one request, many, a dump, several steps.
const CALLS: [(&str, Call); 19] = [
    (
        "add a service",
        call!(|client| {
            let mail = VirtualService::tcp("192.0.2.10:25".parse().unwrap());
            async move { client.add_service(&mail).await }
        }),
    ),
    (
        "be refused",
        call!(|client| async { client.add_service(&web()).await }),
    ),
    (
        "read a service",
        call!(|client| client.service(web().key())),
    ),
    ("read services", call!(|client| client.services())),
    (
        "read destinations",
        call!(|client| client.destinations(web().key())),
    ),
    (
        "read no destinations",
        call!(|client| client.destinations(dns().key())),
    ),
    (
        "visit destinations",
        call!(|client| client.for_each_destination(web().key(), |_| {})),
    ),
    (
        "visit everything",
        call!(|client| client.for_each_with_destinations(drop)),
    ),
    ("take a snapshot", call!(|client| client.snapshot())),
    ("read once", call!(|client| client.snapshot_once())),
    ("read daemons", call!(|client| client.daemons())),
    (
        "stop a daemon",
        call!(|client| client.stop_daemon(DaemonRole::Backup)),
    ),
    (
        "replace a daemon",
        call!(|client| async { client.ensure_daemon(&daemon().with_ttl(7)).await }),
    ),
    (
        "ensure a service",
        call!(|client| async {
            client
                .ensure_service(&web().with_scheduler(Scheduler::Sh))
                .await
        }),
    ),
    (
        "ensure nothing",
        call!(|client| client.ensure_no_service(web().key())),
    ),
    (
        "update a service",
        call!(|client| {
            client.update_service(web().key(), |it| it.with_scheduler(Scheduler::Sh))
        }),
    ),
    (
        "update a destination",
        call!(|client| {
            client.update_destination(web().key(), server(4).key(), |it| it.with_weight(9))
        }),
    ),
    (
        "execute",
        call!(|client| {
            let ports = 1001..=1135;
            client.execute(ports.map(|port| Change::AddDestination(web().key(), server(port))))
        }),
    ),
    (
        "apply",
        call!(|client| async {
            let mut desired = Table::new();
            desired.insert(dns(), []);
            desired.insert(web(), (1..=12).map(|port| server(port + 3).with_weight(2)));
            let snapshot = client.snapshot_once().await?;
            let policy = Policy::new(Scope::all());
            let plan = Plan::new(Actual(&snapshot), Desired(&desired), &policy);
            client.apply(&plan).await
        }),
    ),
];

/// What goes wrong on the way, if anything.
fn faults() -> Vec<Vec<Fault>> {
    let errno = Errno::ENOMEM as i32;
    vec![
        vec![],
        vec![Fault::SlowDumps(2)],
        vec![Fault::LoseReplies(1)],
        vec![Fault::LoseReplies(500)],
        vec![Fault::DelayReplies(1)],
        vec![
            Fault::SlowDumps(2),
            Fault::PassReplies(3),
            Fault::DelayReplies(1),
        ],
        vec![Fault::DuplicateReplies(500)],
        vec![Fault::TruncateReply(30)],
        vec![Fault::FlipBit(24 * 8 + 15)],
        vec![Fault::RejectRequest { after: 1, errno }],
        vec![Fault::OverrunAfter(0)],
        vec![Fault::OverrunAfter(20)],
        vec![Fault::SlowDumps(2), Fault::OverrunAfter(2)],
        vec![Fault::FailSend(errno)],
        vec![Fault::FailReceive(errno)],
    ]
}

/// What another program sees.
fn look(kernel: &MemoryKernel) -> (Snapshot, Vec<SyncDaemon>) {
    let mut other = wait(Client::with_transport(kernel.socket())).unwrap();
    let snapshot = wait(other.snapshot_once()).unwrap();
    (snapshot, wait(other.daemons()).unwrap())
}

/// The client is as good as new: every answer is right, and nothing is sent but what is asked.
fn check(kernel: &MemoryKernel, client: &mut Client, what: &str) {
    kernel.take_recorded().clear();
    let info = wait(client.info());
    assert!(info.is_ok(), "{what}: {info:?}");
    assert_eq!(commands(kernel), [command::GET_INFO], "{what}");

    let (seen, daemons) = look(kernel);
    assert_eq!(wait(client.snapshot_once()).unwrap(), seen, "{what}");
    assert_eq!(wait(client.daemons()).unwrap(), daemons, "{what}");
    kernel.take_recorded().clear();
    let missing = ServiceKey::tcp("192.0.2.99:80".parse().unwrap());
    let error = wait(client.remove_service(missing)).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NoSuchService), "{what}");
    let error = wait(client.add_service(&dns())).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ServiceExists), "{what}");
    assert_eq!(
        commands(kernel),
        [command::DEL_SERVICE, command::NEW_SERVICE],
        "{what}"
    );
}

/// A batch that takes more than a window goes through.
fn check_batch(client: &mut Client, what: &str) {
    let batch = (5001..=5140).map(|port| Change::AddDestination(dns().key(), server(port)));
    let report = wait(client.execute(batch)).unwrap();
    assert!(report.is_success(), "{what}: {report}");
    assert_eq!(wait(client.destinations(dns().key())).unwrap().len(), 140);
}

#[test]
fn a_call_dropped_anywhere_leaves_the_client_usable() {
    let mut points = BTreeMap::new();
    for (name, call) in CALLS {
        for faults in faults() {
            // All places; of those in long calls with faults, all in the beginning and then some.
            let step = |polls| {
                if polls < 24 || faults.is_empty() {
                    1
                } else {
                    9
                }
            };
            let places = core::iter::successors(Some(0), |polls| Some(polls + step(*polls)));
            for polls in places {
                let (kernel, mut client) = kernel();
                for fault in &faults {
                    kernel.inject(*fault);
                }
                let ended = poll_times(call(&mut client), polls);
                kernel.clear_faults();
                let what = format!("{name}, {faults:?}, dropped after {polls} polls");
                check(&kernel, &mut client, &what);
                if polls % 16 == 1 {
                    check_batch(&mut client, &what);
                }
                if ended.is_some() {
                    break;
                }
                *points.entry(name).or_insert(0) += 1;
            }
        }
    }
    println!("places where a future was dropped: {points:?}");
    let least = points.values().min();
    assert!(
        points.len() == CALLS.len() && least >= Some(&15),
        "{points:?}"
    );
}

#[test]
fn a_future_that_was_never_polled_has_done_nothing() {
    for (name, call) in CALLS {
        let (kernel, mut client) = kernel();
        let before = look(&kernel);
        kernel.take_recorded().clear();
        drop(call(&mut client));
        assert!(kernel.take_recorded().is_empty(), "{name}");
        assert_eq!(look(&kernel), before, "{name}");
    }
}

/// What was sent was handled, and of what was not nothing is done, then or later.
#[test]
fn a_dropped_batch_is_done_up_to_what_was_sent() {
    let ports = 1001..=1200;
    let batch = || {
        let add = |port| Change::AddDestination(web().key(), server(port));
        ports.clone().map(add)
    };
    let mut lengths = Vec::new();
    for polls in 0.. {
        let (kernel, mut client) = kernel();
        let ended = poll_times(client.execute(batch()), polls);
        let sent = commands(&kernel).len();
        let (seen, _) = look(&kernel);
        assert_eq!(wait(client.snapshot_once()).unwrap(), seen);
        let added = seen.destinations(&web().key());
        let added: Vec<_> = added.iter().rev().skip(6).collect();
        assert_eq!(added.len(), sent, "{polls} polls");
        let first = ports.clone().take(sent).map(server);
        assert!(added.iter().map(|it| it.destination.clone()).eq(first));
        lengths.push(sent);
        if ended.is_some() {
            break;
        }
    }
    lengths.dedup();
    // 64 in a datagram, 128 unanswered.
    assert_eq!(lengths, [0, 128, 192, 200]);
}

/// Calls dropped one after the other do not pile up.
#[test]
fn dropping_call_after_call_leaves_nothing_behind() {
    for polls in 1..5 {
        let (kernel, mut client) = kernel();
        for _ in 0..50 {
            for (_, call) in CALLS {
                poll_times(call(&mut client), polls);
            }
            // As the calls undo each other's ground, so that they stay what they are.
            wait(client.ensure_service(&web())).unwrap();
        }
        let what = format!("{polls} polls");
        check(&kernel, &mut client, &what);
        check_batch(&mut client, &what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_loses_a_race_leaves_the_client_usable() {
    for round in 0..50_u32 {
        let (kernel, mut client) = kernel();
        let pause = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
        };
        let batch = (1001..=1200).map(|port| Change::AddDestination(web().key(), server(port)));
        tokio::select! {
            biased;
            () = pause => {}
            report = client.execute(batch) => assert!(report.unwrap().is_success()),
        }
        let what = format!("round {round}");
        check(&kernel, &mut client, &what);
        check_batch(&mut client, &what);
    }
}

//! Both clients do the same: for random calls, sensible and not, with faults in between, they
//! return the same and send the same bytes.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[expect(
    dead_code,
    reason = "of the operations only the requests are needed here"
)]
mod operations;

use std::collections::BTreeMap;

use lvs_ipvs::{
    Actual, Change, Client, DaemonRole, Desired, Destination, Family, Fault, Interface,
    MemoryKernel, Options, Plan, Policy, Query, Request, Scope, ServiceKey, Surplus, Table,
    VirtualService, tokio,
};
use nix::errno::Errno;
use operations::Operation;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// One call of a method, or something done to the kernel before the next.
#[derive(Clone, Debug)]
enum Call {
    Change(Change),
    Ensure(Change),
    /// Read, modify, write: what the change says is what it is modified to.
    Update(Change),
    Read(Query),
    Visit(Query),
    Execute(Vec<Change>),
    Apply(Table),
    Snapshot,
    SnapshotOnce,
    Walk,
    Validate(bool),
    Inject(Fault),
    ClearFaults,
}

impl Call {
    /// The method it calls, for the statistics.
    fn name(&self) -> String {
        let text = format!("{self:?}");
        let words = text.split(['(', ' ', '{']);
        let depth = match self {
            Self::Change(_) | Self::Ensure(_) | Self::Update(_) | Self::Read(_) => 2,
            Self::Visit(_) => 2,
            _ => 1,
        };
        words.take(depth).collect::<Vec<_>>().join(" ")
    }
}

/// Makes a call, blocking or not, and writes down what comes of it. The list of methods is
/// written once, so that neither client can lack one.
macro_rules! perform {
    ($client:ident, $call:expr, $($await:tt)*) => {
        match $call {
            Call::Change(change) => {
                let result = match change {
                    Change::AddService(it) => $client.add_service(it)$($await)*,
                    Change::SetService(it) => $client.set_service(it)$($await)*,
                    Change::RemoveService(key) => $client.remove_service(*key)$($await)*,
                    Change::AddDestination(key, it) => $client.add_destination(*key, it)$($await)*,
                    Change::SetDestination(key, it) => $client.set_destination(*key, it)$($await)*,
                    Change::RemoveDestination(key, it) => {
                        $client.remove_destination(*key, *it)$($await)*
                    }
                    Change::StartDaemon(daemon) => $client.start_daemon(daemon)$($await)*,
                    Change::StopDaemon(role) => $client.stop_daemon(*role)$($await)*,
                    Change::SetTimeouts(timeouts) => $client.set_timeouts(*timeouts)$($await)*,
                    Change::Zero(None) => $client.zero()$($await)*,
                    Change::Zero(Some(key)) => $client.zero_service(*key)$($await)*,
                    Change::Flush => $client.flush()$($await)*,
                    other => unreachable!("{other:?}"),
                };
                format!("{result:?}")
            }
            Call::Ensure(change) => {
                let result = match change {
                    Change::AddService(it) => $client.ensure_service(it)$($await)*,
                    Change::RemoveService(key) => $client.ensure_no_service(*key)$($await)*,
                    Change::AddDestination(key, it) => {
                        $client.ensure_destination(*key, it)$($await)*
                    }
                    Change::RemoveDestination(key, it) => {
                        $client.ensure_no_destination(*key, *it)$($await)*
                    }
                    Change::StartDaemon(daemon) => $client.ensure_daemon(daemon)$($await)*,
                    Change::StopDaemon(role) => $client.ensure_no_daemon(*role)$($await)*,
                    other => unreachable!("{other:?}"),
                };
                format!("{result:?}")
            }
            Call::Update(Change::SetService(it)) => {
                let result = $client.update_service(it.key(), |_| it.clone())$($await)*;
                format!("{result:?}")
            }
            Call::Update(Change::SetDestination(key, it)) => {
                let result = $client.update_destination(*key, it.key(), |_| it.clone())$($await)*;
                format!("{result:?}")
            }
            Call::Read(query) => match query {
                Query::Service(key) => format!("{:?}", $client.service(*key)$($await)*),
                Query::Services => format!("{:?}", $client.services()$($await)*),
                Query::Destinations(key) => format!("{:?}", $client.destinations(*key)$($await)*),
                Query::Daemons => format!("{:?}", $client.daemons()$($await)*),
                Query::Timeouts => format!("{:?}", $client.timeouts()$($await)*),
                Query::Info => format!("{:?}", $client.info()$($await)*),
                other => unreachable!("{other:?}"),
            },
            Call::Visit(query) => {
                let mut seen = Vec::new();
                let result = match query {
                    Query::Destinations(key) => {
                        let visit = |view: &lvs_ipvs::wire::DestinationView<'_>| {
                            seen.push(format!("{:?}", view.to_entry()));
                        };
                        $client.for_each_destination(*key, visit)$($await)*
                    }
                    _ => {
                        let visit = |view: &lvs_ipvs::wire::ServiceView<'_>| {
                            seen.push(format!("{:?}", view.to_entry()));
                        };
                        $client.for_each_service(visit)$($await)*
                    }
                };
                format!("{seen:?} {result:?}")
            }
            Call::Walk => {
                let mut seen = Vec::new();
                let visit = |service| seen.push(service);
                let result = $client.for_each_with_destinations(visit)$($await)*;
                format!("{seen:?} {result:?}")
            }
            Call::Execute(changes) => {
                format!("{:?}", $client.execute(changes.iter().cloned())$($await)*)
            }
            Call::Apply(table) => match $client.snapshot()$($await)* {
                Ok(snapshot) => {
                    let policy = Policy::new(Scope::all()).with_surplus_services(Surplus::Delete);
                    let plan = Plan::new(Actual(&snapshot), Desired(table), &policy);
                    format!("{:?}", $client.apply(&plan)$($await)*)
                }
                Err(error) => format!("{error:?}"),
            },
            Call::Snapshot => format!("{:?}", $client.snapshot()$($await)*),
            Call::SnapshotOnce => format!("{:?}", $client.snapshot_once()$($await)*),
            Call::Validate(on) => {
                let options = match on {
                    true => Options::default(),
                    false => Options::default().without_validation(),
                };
                $client.set_options(options);
                format!("{:?} {:?}", $client.options(), $client.receive_buffer())
            }
            Call::Update(_) | Call::Inject(_) | Call::ClearFaults => {
                unreachable!("made before, or no call")
            }
        }
    };
}

fn blocking(client: &mut Client, call: &Call) -> String {
    perform!(client, call,)
}

async fn asynchronous(client: &mut tokio::Client, call: &Call) -> String {
    perform!(client, call, .await)
}

/// A kernel, if wished with a table that changes in the middle of dumps.
fn kernel(restless: bool) -> MemoryKernel {
    let kernel = MemoryKernel::default();
    let device = Interface::new("d0").with_address("10.9.0.1".parse().unwrap(), 24);
    kernel.set_interfaces([Interface::loopback(), device]);
    kernel.set_recording(true);
    if restless {
        let mut port = 8000;
        kernel.between_batches(move |kernel, batches| {
            if batches == 1 {
                port += 1;
                let key = ServiceKey::tcp(([192, 0, 2, 1], 80).into());
                let newcomer = Destination::masquerade(([10, 0, 0, 1], port).into());
                // A fault may meet this one, and there may be no such service.
                if let Ok(mut other) = Client::with_transport(kernel.socket()) {
                    drop(other.add_destination(key, &newcomer));
                }
            }
        });
    }
    kernel
}

/// Makes the calls with one client each, each with its own kernel, and compares what comes of
/// every one.
fn compare(calls: &[Call], restless: bool, receive_buffer: usize) -> BTreeMap<String, [u32; 2]> {
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (left, right) = (kernel(restless), kernel(restless));
    let mut client = Client::with_transport(left.socket()).unwrap();
    let connect = tokio::Client::with_transport(right.socket());
    let mut other = runtime.block_on(connect).unwrap();
    let options = client.options().with_receive_buffer(receive_buffer);
    client.set_options(options);
    other.set_options(options);
    assert_eq!(left.take_recorded(), right.take_recorded(), "connecting");

    let mut counts = BTreeMap::new();
    for call in calls {
        match call {
            Call::Inject(fault) => {
                left.inject(*fault);
                right.inject(*fault);
                continue;
            }
            Call::ClearFaults => {
                left.clear_faults();
                right.clear_faults();
                continue;
            }
            _ => {}
        }
        let expected = blocking(&mut client, call);
        let got = runtime.block_on(asynchronous(&mut other, call));
        assert_eq!(expected, got, "{call:?}");
        assert_eq!(left.take_recorded(), right.take_recorded(), "{call:?}");
        let failed = expected.contains("Err(") || expected.contains("Rejected(");
        counts.entry(call.name()).or_insert([0, 0])[usize::from(failed)] += 1;
    }
    left.clear_faults();
    right.clear_faults();
    let read = |kernel: &MemoryKernel| {
        let mut fresh = Client::with_transport(kernel.socket()).unwrap();
        fresh.snapshot().unwrap()
    };
    assert_eq!(read(&left), read(&right));
    counts
}

fn faults() -> impl Strategy<Value = Fault> {
    let errno = select(vec![
        Errno::ENOMEM,
        Errno::EEXIST,
        Errno::ESRCH,
        Errno::ENOENT,
        Errno::EBUSY,
    ])
    .prop_map(|errno| errno as i32);
    prop_oneof![
        2 => (1_u32..4).prop_map(Fault::LoseReplies),
        2 => (1_u32..3).prop_map(Fault::DelayReplies),
        1 => (1_u32..3).prop_map(Fault::DuplicateReplies),
        2 => (1_u32..6).prop_map(Fault::PassReplies),
        2 => (0_usize..300).prop_map(Fault::TruncateReply),
        3 => (0_usize..2400).prop_map(Fault::FlipBit),
        5 => (0_u32..4, errno.clone()).prop_map(|(after, errno)| Fault::RejectRequest { after, errno }),
        3 => (0_u32..30).prop_map(Fault::OverrunAfter),
        2 => errno.clone().prop_map(Fault::FailSend),
        2 => errno.prop_map(Fault::FailReceive),
        4 => (0_usize..3).prop_map(Fault::SlowDumps),
    ]
}

/// A table of what a list of changes adds.
fn table(changes: &[Change]) -> Table {
    let mut services: BTreeMap<ServiceKey, (VirtualService, Vec<Destination>)> = BTreeMap::new();
    for change in changes {
        match change {
            Change::AddService(it) | Change::SetService(it) => {
                services.insert(it.key(), (it.clone(), Vec::new()));
            }
            Change::AddDestination(key, it) => {
                let service = services.entry(*key);
                let (_, list) = service.or_insert_with(|| (VirtualService::new(*key), Vec::new()));
                if list.iter().all(|other| other.key() != it.key()) {
                    list.push(it.clone());
                }
            }
            _ => {}
        }
    }
    let mut table = Table::new();
    for (service, destinations) in services.into_values() {
        table.insert(service, destinations);
    }
    table
}

/// Turns requests into calls; `style` says of which kind.
fn call(style: u8, changes: &[Change], fault: Fault) -> Call {
    let change = changes.first().cloned().unwrap_or(Change::Flush);
    let key = change.service();
    match style {
        0..8 => match change {
            Change::AddService(_)
            | Change::RemoveService(_)
            | Change::AddDestination(..)
            | Change::RemoveDestination(..)
            | Change::StartDaemon(_)
            | Change::StopDaemon(_) => Call::Ensure(change),
            Change::SetService(_) | Change::SetDestination(..) => Call::Update(change),
            // Too seldom otherwise.
            Change::SetTimeouts(_) => Call::Ensure(Change::StopDaemon(DaemonRole::Active)),
            Change::Zero(_) => Call::Ensure(Change::StopDaemon(DaemonRole::Backup)),
            _ => Call::Change(change),
        },
        8 => Call::Execute(changes.to_vec()),
        9 => Call::Apply(table(changes)),
        10 => key.map_or(Call::Read(Query::Timeouts), |key| {
            Call::Read(Query::Service(key))
        }),
        11 => key.map_or(Call::Read(Query::Info), |key| {
            Call::Read(Query::Destinations(key))
        }),
        12 => Call::Read(Query::Services),
        13 => Call::Read(Query::Daemons),
        14 => key.map_or(Call::Visit(Query::Services), |key| {
            Call::Visit(Query::Destinations(key))
        }),
        15 => Call::Visit(Query::Services),
        16 => Call::Snapshot,
        17 => Call::SnapshotOnce,
        18 => Call::Walk,
        19 => Call::Validate(changes.len() % 3 > 0),
        20..26 => Call::Inject(fault),
        26 => Call::ClearFaults,
        _ => Call::Change(change),
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let changes = operations::sequences().prop_map(|sequence| {
        let requests = sequence.into_iter().map(|operation| match operation {
            Operation::Request(request) | Operation::Malformed(request, _) => request,
        });
        let changes = requests.filter_map(|request| match request {
            Request::Change(change) => Some(change),
            Request::Query(_) => None,
        });
        changes.collect::<Vec<_>>()
    });
    let styles = vec((0_u8..50, faults(), 1_usize..20), 30);
    (changes, styles).prop_map(|(changes, styles)| {
        // The first are the usual services, which most is about; they get destinations.
        let (usual, rest) = changes.split_at(4);
        let first = usual.iter().cloned().map(Call::Change);
        let keys = usual.iter().filter_map(Change::service);
        let servers = keys.flat_map(|key| {
            let hosts = match key.family() {
                Family::Inet => ["10.0.0.1:80", "10.0.0.2:80"],
                Family::Inet6 => ["[fd00::1]:80", "[fd00::2]:80"],
            };
            let add = move |host: &str| Destination::masquerade(host.parse().unwrap());
            hosts.map(|host| Change::AddDestination(key, add(host)))
        });
        let first = first.chain([Call::Execute(servers.collect())]);
        let calls = styles.into_iter().enumerate();
        let calls = calls.map(|(place, (style, fault, length))| {
            let from = place.min(rest.len());
            let to = (from + length).min(rest.len());
            call(style, rest.get(from..to).unwrap_or_default(), fault)
        });
        first.chain(calls).collect()
    })
}

#[test]
fn both_clients_return_the_same_and_send_the_same() {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    // The usual size, and some that cannot hold the answers to a batch.
    let sizes = select(vec![212_992, 212_992, 212_992, 0, 2_000, 8_000, 20_000]);
    let strategy = (calls(), any::<bool>(), sizes);
    let counts = core::cell::RefCell::new(BTreeMap::<String, [u32; 2]>::new());
    let result = runner.run(&strategy, |(calls, restless, receive_buffer)| {
        for (name, [good, failed]) in compare(&calls, restless, receive_buffer) {
            let mut counts = counts.borrow_mut();
            let count = counts.entry(name).or_insert([0, 0]);
            count[0] += good;
            count[1] += failed;
        }
        Ok(())
    });
    result.unwrap();

    // Every method went well and failed, but those that cannot fail.
    let counts = counts.into_inner();
    println!("calls that went well and that failed: {counts:?}");
    assert_eq!(counts.len(), 11 + 6 + 2 + 6 + 2 + 6, "{counts:?}");
    for (name, [good, failed]) in counts {
        assert!(good > 0, "{name} never went well");
        assert!(failed > 0 || name == "Validate", "{name} never failed");
    }
}

//! The real kernel and the memory kernel, asked the same: same errno, same table, every time.
//!
//! Random sequences of operations, sensible and not, well-formed and not; each sequence in a
//! network namespace of its own. `DIFFERENTIAL_CASES` sets the number of sequences (300).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod operations;

use core::cell::RefCell;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use bytes::BytesMut;
use lvs_ipvs::transport::{NetlinkSocket, Received, Transport};
use lvs_ipvs::wire::{Body, FamilyId, Messages, encode_request, read_family};
use lvs_ipvs::{
    Change, Client, DestinationEntry, Error, Generation, Interface, MemoryKernel, Options, Query,
    Request, ServiceEntry, ServiceKey, SyncDaemon, Timeouts, VirtualService,
};
use nix::sched::{CloneFlags, unshare};
use operations::{Operation, malformed};
use proptest::test_runner::{Config, TestError, TestRunner};

/// How often each command met each answer.
type Shares = BTreeMap<(&'static str, i32), u32>;

/// A kernel under test: a client for whole operations, a bare socket for malformed ones.
struct Subject<T> {
    client: Client,
    socket: T,
    family: FamilyId,
    sequence: u32,
}

/// All that can be read back, in an order that does not depend on the kernel.
#[derive(Debug, PartialEq)]
struct State {
    services: Vec<(VirtualService, Vec<DestinationEntry>)>,
    daemons: Vec<SyncDaemon>,
    timeouts: Timeouts,
}

impl<T: Transport> Subject<T> {
    fn new(client: Client, mut socket: T) -> Self {
        let mut client = client;
        client.set_options(Options::default().without_validation());
        let mut request = BytesMut::new();
        let query = Query::Family.into();
        encode_request(&mut request, FamilyId::new(0), 1, &query);
        socket.send(&request).unwrap();
        let mut reply = BytesMut::new();
        assert_eq!(
            socket.receive(&mut reply, Duration::from_secs(5)).unwrap(),
            Received::Datagram
        );
        let Body::Generic { attributes, .. } = Messages::new(&reply)
            .next()
            .unwrap()
            .unwrap()
            .body()
            .unwrap()
        else {
            panic!("{reply:?}")
        };
        let family = read_family(attributes, 20).unwrap().id;
        // The acknowledgement behind it.
        while socket.receive(&mut reply, Duration::ZERO).unwrap() == Received::Datagram {}
        Self {
            client,
            socket,
            family,
            sequence: 1,
        }
    }

    /// The errno of the answer, 0 for none.
    fn perform(&mut self, operation: &Operation) -> i32 {
        match operation {
            Operation::Request(Request::Change(Change::StopDaemon(role))) => {
                errno(self.client.stop_daemon(*role))
            }
            Operation::Request(Request::Change(change)) => {
                let report = self.client.execute([change.clone()]).unwrap();
                errno(report.into_result())
            }
            Operation::Request(Request::Query(Query::Service(key))) => {
                errno(self.client.service(*key))
            }
            Operation::Request(other) => panic!("{other:?}"),
            Operation::Malformed(request, mutation) => {
                self.sequence += 1;
                let bytes = malformed::encode(self.family, self.sequence, request, mutation);
                self.exchange(&bytes)
            }
        }
    }

    /// Sends one message; its answer ends with an acknowledgement or the end of a dump.
    fn exchange(&mut self, bytes: &[u8]) -> i32 {
        self.socket.send(bytes).unwrap();
        let mut datagram = BytesMut::new();
        loop {
            match self
                .socket
                .receive(&mut datagram, Duration::from_secs(10))
                .unwrap()
            {
                Received::Datagram => {}
                other => panic!("{other:?} after {bytes:?}"),
            }
            for message in Messages::new(&datagram) {
                match message.unwrap().body().unwrap() {
                    Body::Acknowledgement(end) | Body::Done(end) => {
                        return end.errno().unwrap_or(0);
                    }
                    _ => {}
                }
            }
        }
    }

    fn state(&mut self) -> State {
        let snapshot = self.client.snapshot().unwrap();
        assert!(snapshot.agreed);
        let mut services: Vec<_> = snapshot
            .services
            .into_iter()
            .map(|service| {
                let ServiceEntry {
                    service: settings, ..
                } = service.entry;
                (settings, service.destinations)
            })
            .collect();
        services.sort_by_key(|(service, _)| service.key());
        State {
            services,
            daemons: self.client.daemons().unwrap(),
            timeouts: self.client.timeouts().unwrap(),
        }
    }
}

fn errno<T>(result: Result<T, Error>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(Error::Rejected(rejected)) => rejected.errno,
        Err(other) => panic!("{other}"),
    }
}

/// Moves this thread into a new network namespace with the interface `d0`.
fn enter_new_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let commands = "link set lo up\n\
        link add d0 type dummy\n\
        link set d0 up\n\
        addr add 10.9.0.1/24 brd + dev d0\n\
        addr add fd00:9::1/64 dev d0 nodad\n";
    ip.stdin
        .take()
        .unwrap()
        .write_all(commands.as_bytes())
        .unwrap();
    assert!(ip.wait().unwrap().success());
}

/// The generation the running kernel is of.
fn generation(real: &mut Client) -> Generation {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    let mut generation = if version < (6, 12) {
        Generation::LINUX_6_1
    } else if version < (7, 0) {
        Generation::LINUX_6_12
    } else {
        Generation::LINUX_7_2
    };
    // Which schedulers a kernel has is a matter of its configuration.
    let probe = ServiceKey::tcp(([203, 0, 113, 1], 1).into());
    let schedulers: Vec<_> = generation
        .schedulers
        .iter()
        .copied()
        .filter(|name| {
            let scheduler = name.parse().unwrap();
            let service = VirtualService::new(probe).with_scheduler(scheduler);
            let found = real.add_service(&service).is_ok();
            if found {
                real.remove_service(probe).unwrap();
            }
            found
        })
        .collect();
    generation.schedulers = schedulers.leak();
    generation
}

/// What [`enter_new_namespace`] makes.
fn interfaces() -> [Interface; 2] {
    [
        Interface::loopback(),
        Interface::new("d0")
            .with_address("10.9.0.1".parse().unwrap(), 24)
            .with_address("fd00:9::1".parse().unwrap(), 64),
    ]
}

fn print_shares(shares: &Shares) {
    let total: u32 = shares.values().sum();
    println!("share of each command and errno, of {total} operations:");
    let mut commands: BTreeMap<&str, Vec<(i32, u32)>> = BTreeMap::new();
    for ((command, errno), count) in shares {
        commands.entry(command).or_default().push((*errno, *count));
    }
    for (command, answers) in commands {
        let answers: Vec<_> = answers
            .iter()
            .map(|(errno, count)| match errno {
                0 => format!("accepted {count}"),
                errno => format!("{:?} {count}", nix::errno::Errno::from_raw(*errno)),
            })
            .collect();
        println!("  {command:12} {}", answers.join(", "));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_memory_kernel_answers_as_the_real_one() {
    let cases = std::env::var("DIFFERENTIAL_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let cases = cases.unwrap_or(300);
    let config = Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let shares = RefCell::new(Shares::new());
    enter_new_namespace();
    let generation = generation(&mut Client::connect().unwrap());
    let mut runner = TestRunner::new(config);
    let result = runner.run(&operations::sequences(), |sequence| {
        enter_new_namespace();
        let mut real = Subject::new(Client::connect().unwrap(), NetlinkSocket::open().unwrap());
        let memory = MemoryKernel::new(generation);
        memory.set_interfaces(interfaces());
        let mut memory = Subject::new(
            Client::with_transport(memory.socket()).unwrap(),
            memory.socket(),
        );
        for (index, operation) in sequence.iter().enumerate() {
            let (expected, answered) = (real.perform(operation), memory.perform(operation));
            if matches!(operation.name(), "NEW_DAEMON" | "malformed") {
                // A daemon stopped before its thread first ran goes unanswered, which a malformed
                // request would wait for in vain.
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(
                answered, expected,
                "errno of operation {index}: {operation:?}"
            );
            *shares
                .borrow_mut()
                .entry((operation.name(), expected))
                .or_default() += 1;
            if index % 10 == 9 {
                assert_eq!(memory.state(), real.state(), "after operation {index}");
            }
        }
        assert_eq!(memory.state(), real.state(), "at the end");
        stop_daemons(&mut real.client);
        Ok(())
    });
    let shares = shares.into_inner();
    print_shares(&shares);
    if let Err(TestError::Fail(reason, sequence)) = &result {
        for operation in sequence {
            println!("{operation:?}");
        }
        panic!("{reason}");
    }
    result.unwrap();

    let total: u32 = shares.values().sum();
    let accepted: u32 = shares
        .iter()
        .filter(|((_, errno), _)| *errno == 0)
        .map(|(_, n)| n)
        .sum();
    println!("{cases} sequences, {accepted} of {total} operations accepted");
    assert!(total >= cases * 30);
    assert!(accepted * 3 >= total, "at least a third is to be accepted");
    assert!(
        (total - accepted) * 3 >= total,
        "at least a third is to be refused"
    );
}

/// A namespace lives on as long as a daemon runs in it.
fn stop_daemons(client: &mut Client) {
    for daemon in client.daemons().unwrap() {
        client.stop_daemon(daemon.role).unwrap();
    }
}

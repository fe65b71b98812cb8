//! Options of targets: what goes before everything else, and where sockets are opened.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/elsewhere.rs"]
mod elsewhere;
#[path = "support/first.rs"]
mod first;

use core::time::Duration;
use std::fs::{self, File};
use std::io::{IoSliceMut, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::{
    Action, CloseMode, Dialogue, Engine, Event, Protocol, Step, Transport, Turn,
};
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, Code, Config, Driver, Outcome, Phase, Policy, Probe, ProxyHeader,
    Target, TcpProbe, Timestamp,
};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use self::elsewhere::Elsewhere;
use self::first::{first_report, policy};

const SECOND: Duration = Duration::from_secs(1);

fn run(probe: impl Probe + 'static) -> Outcome {
    first_report(probe, policy()).outcome
}

/// Says `hi` and ends.
#[derive(Debug)]
struct Hi;

impl Protocol for Hi {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Self)
    }
}

impl Dialogue for Hi {
    fn opened(&mut self) -> Turn {
        Turn::SendLast(b"hi".to_vec())
    }

    fn data(&mut self, _bytes: &[u8]) -> Turn {
        Turn::Listen
    }

    fn eof(&mut self, _orderly: bool) -> Turn {
        Turn::Done(Outcome::new(Code::Ok, Phase::Match))
    }
}

#[test]
fn proxy_header_goes_before_everything_else() {
    let given = ["198.51.100.1:4000", "203.0.113.1:80"].map(|address| address.parse().unwrap());
    let rows = [
        ProxyHeader::v1(),
        ProxyHeader::v2(),
        ProxyHeader::v1().with_own_addresses(),
        ProxyHeader::v2().with_own_addresses(),
        ProxyHeader::v2().with_addresses(given[0], given[1]),
    ];
    for header in rows {
        for host in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((host, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let target = Target::new(address).with_proxy_header(header);
            let server = thread::spawn(move || {
                [(); 2].map(|()| {
                    let (mut stream, from) = listener.accept().unwrap();
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).unwrap();
                    (all, from)
                })
            });
            let outcome = run(TcpProbe::new(target.clone()).with_protocol(Hi));
            assert_eq!(outcome.code, Code::Ok, "{outcome}");
            // Nothing else is said here, but the header is.
            let outcome = run(TcpProbe::new(target));
            assert_eq!(outcome.code, Code::Ok, "{outcome}");
            let [(talk, from), (silence, later)] = server.join().unwrap();
            let mut expected = header.encode(from, address);
            expected.extend(b"hi");
            assert_eq!(talk, expected, "{header:?}");
            assert_eq!(silence, header.encode(later, address));
        }
    }
}

#[test]
fn reset_after_a_proxy_header_is_still_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap()).with_proxy_header(ProxyHeader::v1());
    let outcome = run(TcpProbe::new(target).with_close(CloseMode::HalfOpen));
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    listener.set_nonblocking(true).unwrap();
    let mut said = Vec::new();
    let seen = listener
        .accept()
        .map(|(mut stream, _)| stream.read_to_end(&mut said));
    // Reset while it waited to be accepted, or after.
    assert!(!matches!(seen, Ok(Ok(_))), "{seen:?}");
}

/// Sends one datagram and passes.
#[derive(Clone, Debug)]
struct Datagram(Target);

impl Probe for Datagram {
    fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(self.clone())
    }
}

impl Engine for Datagram {
    fn start(&mut self, _now: Timestamp) -> Step {
        let transport = Transport::Udp { from_any: false };
        let target = self.0.clone();
        Step::Do(vec![Action::Connect { target, transport }])
    }

    fn on_event(&mut self, event: Event<'_>, _now: Timestamp) -> Step {
        match event {
            Event::Connected => Step::Do(vec![Action::Send(b"hi".to_vec())]),
            Event::Sent => Step::Done(Outcome::new(Code::Ok, Phase::Send)),
            other => Step::Done(
                Outcome::new(Code::Proto, Phase::Send).with_detail(&format!("{other:?}")),
            ),
        }
    }
}

#[test]
fn code_point_is_in_the_packets_of_both_families() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let server = UdpSocket::bind(host).unwrap();
        let address = server.local_addr().unwrap();
        let socket = socket2::SockRef::from(&server);
        match address.is_ipv4() {
            true => socket.set_recv_tos_v4(true).unwrap(),
            false => socket.set_recv_tclass_v6(true).unwrap(),
        }
        let outcome = run(Datagram(Target::new(address).with_dscp(46)));
        assert_eq!(outcome.code, Code::Ok, "{outcome}");
        let mut control = nix::cmsg_space!(i32, i32);
        let mut data = [0; 16];
        let mut parts = [IoSliceMut::new(&mut data)];
        let flags = MsgFlags::empty();
        let message =
            recvmsg::<SockaddrStorage>(server.as_raw_fd(), &mut parts, Some(&mut control), flags);
        let class = message
            .unwrap()
            .cmsgs()
            .unwrap()
            .find_map(|message| match message {
                ControlMessageOwned::Ipv4Tos(class) => Some(i32::from(class)),
                ControlMessageOwned::Ipv6TClass(class) => Some(class),
                _ => None,
            });
        assert_eq!(class, Some(46 << 2), "{host}");
    }
    // TCP takes the same way; that it is accepted is all that can be seen from here.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(server.local_addr().unwrap()).with_dscp(63);
    assert_eq!(run(TcpProbe::new(target)).code, Code::Ok);
}

#[test]
fn namespace_that_cannot_be_entered_is_a_local_error_that_says_why() {
    let target = || Target::new("127.0.0.1:9".parse().unwrap());
    let outcome = run(TcpProbe::new(
        target().with_namespace("/run/netns/no such one"),
    ));
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::LocalBind, Phase::Bind)
    );
    let said = "No such file or directory; opening network namespace /run/netns/no such one";
    assert_eq!(outcome.detail.as_str(), said);

    let without_privilege = thread::spawn(move || {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        set_capabilities(None, sets).unwrap();
        let namespace = target().with_namespace("/proc/self/ns/net");
        let marked = target().with_mark(7);
        [namespace, marked].map(|target| run(TcpProbe::new(target)))
    });
    let [namespace, marked] = without_privilege.join().unwrap();
    assert_eq!(
        (namespace.code, namespace.phase),
        (Code::LocalBind, Phase::Bind)
    );
    assert!(
        namespace
            .detail
            .as_str()
            .contains("CAP_SYS_ADMIN is needed"),
        "{namespace}"
    );
    assert_eq!((marked.code, marked.phase), (Code::LocalBind, Phase::Bind));
    assert!(
        marked
            .detail
            .as_str()
            .ends_with("mark 7 needs CAP_NET_ADMIN"),
        "{marked}"
    );
}

fn path(elsewhere: &Elsewhere) -> String {
    format!("/proc/{}/ns/net", elsewhere.id())
}

/// Does something there.
fn within<T: Send + 'static>(
    elsewhere: &Elsewhere,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let file = File::open(path(elsewhere)).unwrap();
    let thread = thread::spawn(move || {
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap()
}

#[test]
#[ignore = "needs root: makes network namespaces"]
fn sockets_are_opened_in_the_namespace_of_the_target() {
    let elsewhere = Elsewhere::new();
    let listener = within(&elsewhere, || {
        let lines = [
            "link set lo up",
            "link add d0 type veth peer name d1",
            "link set d0 up",
            "link set d1 up",
            "addr add fe80::9/64 dev d0 nodad",
        ];
        for line in lines {
            let status = Command::new("ip").args(line.split(' ')).status().unwrap();
            assert!(status.success(), "{line}");
        }
        TcpListener::bind("[::]:0").unwrap()
    });
    let port = listener.local_addr().unwrap().port();
    let there = |address: &str| {
        let target = Target::new(format!("{address}:{port}").parse().unwrap());
        target.with_namespace(path(&elsewhere))
    };
    for target in [
        there("127.0.0.1"),
        there("[::1]"),
        // A device that only is there, by name and as a scope.
        there("127.0.0.1").with_device("lo"),
        there("[fe80::9]").with_device("d0"),
        there("127.0.0.1").with_source("127.0.0.9".parse().unwrap()),
    ] {
        let outcome = run(TcpProbe::new(target));
        assert_eq!(outcome.code, Code::Ok, "{outcome}");
    }
    // The same port here is another one, and so is this thread's namespace still.
    let here = Target::new(format!("127.0.0.1:{port}").parse().unwrap());
    assert_eq!(run(TcpProbe::new(here)).code, Code::Refused);
    let no_namespace = there("127.0.0.1").with_namespace("/proc/self/status");
    let outcome = run(TcpProbe::new(no_namespace));
    assert_eq!(outcome.code, Code::LocalBind, "{outcome}");
    assert!(
        outcome
            .detail
            .as_str()
            .contains("entering network namespace /proc/self/status")
    );
}

#[test]
#[ignore = "needs root: makes network namespaces"]
fn namespaces_leave_no_thread_and_no_descriptor_and_cost_little() {
    let elsewhere = Elsewhere::new();
    let listener = within(&elsewhere, || {
        assert!(
            Command::new("ip")
                .args(["link", "set", "lo", "up"])
                .status()
                .unwrap()
                .success()
        );
        TcpListener::bind("127.0.0.1:0").unwrap()
    });
    let address = listener.local_addr().unwrap();
    let target = Target::new(address).with_namespace(path(&elsewhere));
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = Target::new(here.local_addr().unwrap());
    let servers = [here, listener].map(|listener| {
        // Until somebody comes from the port of the end.
        let more = |port| port != 4444;
        let serve = move || while more(listener.accept().unwrap().1.port()) {};
        thread::spawn(serve)
    });

    // Descriptors and threads of this process that belong to this test cannot be told from those
    // of others, so it looks at what grows with the number of attempts.
    let count = |path: &str| fs::read_dir(path).unwrap().count();
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    let mut took = Vec::new();
    for target in [plain.clone(), target.clone()] {
        let policy = Policy::default()
            .with_spread(Spread::None)
            .with_jitter_percent(0)
            .with_interval(Policy::MIN_TIME)
            .with_timeout(5 * SECOND);
        let mut driver = Driver::new(Config::default()).unwrap();
        for _ in 0..20 {
            driver
                .add(Check::new(TcpProbe::new(target.clone()), policy.clone()))
                .unwrap();
        }
        let (mut events, mut times) = (Vec::new(), Vec::new());
        while times.len() < 200 {
            driver.poll(Some(5 * SECOND), &mut events).unwrap();
            for event in events.drain(..) {
                let CheckEvent::Completed(report) = event else {
                    continue;
                };
                assert_eq!(report.outcome.code, Code::Ok, "{}", report.outcome);
                times.push(report.outcome.timing.total.unwrap());
            }
        }
        times.sort();
        took.push(times[times.len() / 2]);
    }
    let after = (count("/proc/self/fd"), count("/proc/self/task"));
    println!(
        "a TCP check takes {:?} here, {:?} in another namespace (medians)",
        took[0], took[1]
    );
    assert!(
        after.0 < before.0 + 50 && after.1 < before.1 + 50,
        "{before:?} {after:?}"
    );
    for (target, server) in [plain, target].into_iter().zip(servers) {
        let last = target.with_source_port(4444);
        assert_eq!(run(TcpProbe::new(last)).code, Code::Ok);
        server.join().unwrap();
    }
}

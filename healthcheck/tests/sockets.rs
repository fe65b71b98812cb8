//! The driver's sockets and threads, against servers of this test on loopback.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/first.rs"]
mod first;
#[path = "support/lateness.rs"]
mod lateness;
#[path = "support/mirror.rs"]
mod mirror;

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use lvs_healthcheck::probe::{
    Action, Dialogue, Engine, Event, FnProbe, NamedProbe, Protocol, Step, Transport, Turn,
};
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, Code, Config, Driver, Outcome, Phase, Probe, Target, TcpProbe,
    Timestamp, Verdict,
};

use self::first::{first_report, policy};
use self::lateness::Watch;
use self::mirror::Mirror;

const SECOND: Duration = Duration::from_secs(1);

/// A server for one connection.
fn serve<T: Send + 'static>(
    talk: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Target, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    let server = thread::spawn(move || talk(listener.accept().unwrap().0));
    (target, server)
}

#[test]
fn megabytes_go_both_ways_whole_and_in_order() {
    // More than any socket buffer holds, so both sides have to wait for each other.
    let size = 8 << 20;
    let (target, server) = serve(move |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
        all.len()
    });
    let report = first_report(
        TcpProbe::new(target).with_protocol(Mirror { size, back: 0 }),
        policy(),
    );
    assert_eq!(report.outcome.code, Code::Ok, "{}", report.outcome);
    assert_eq!(server.join().unwrap(), size);
    assert!(report.outcome.timing.first_byte >= report.outcome.timing.connect);
}

/// Waits for a greeting that ends in a line end.
#[derive(Clone, Debug, Default)]
struct Greeting(Vec<u8>);

impl Protocol for Greeting {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }
}

impl Dialogue for Greeting {
    fn opened(&mut self) -> Turn {
        Turn::Listen
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        self.0.extend_from_slice(bytes);
        if self.0.ends_with(b"\n") {
            return Turn::Done(Outcome::new(Code::Ok, Phase::Match));
        }
        Turn::Listen
    }
}

#[test]
fn greeting_that_comes_byte_by_byte_is_heard() {
    let (target, server) = serve(|mut stream| {
        stream.set_nodelay(true).unwrap();
        for byte in b"hello\n" {
            stream.write_all(&[*byte]).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
    });
    let report = first_report(
        TcpProbe::new(target).with_protocol(Greeting::default()),
        policy(),
    );
    assert_eq!(report.outcome.code, Code::Ok, "{}", report.outcome);
    server.join().unwrap();
}

#[test]
fn server_that_closes_or_resets_before_it_speaks() {
    let (target, server) = serve(drop);
    let report = first_report(
        TcpProbe::new(target).with_protocol(Greeting::default()),
        policy(),
    );
    assert_eq!(
        (report.outcome.code, report.outcome.phase),
        (Code::EofEarly, Phase::Recv)
    );
    server.join().unwrap();

    let (target, server) = serve(|stream| {
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    let report = first_report(
        TcpProbe::new(target).with_protocol(Greeting::default()),
        policy(),
    );
    assert_eq!(report.outcome.code, Code::Reset, "{}", report.outcome);
    server.join().unwrap();
}

#[test]
fn drip_does_not_outlive_the_attempt_and_silence_ends_at_the_idle_limit() {
    let (target, server) = serve(|mut stream| {
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    // By a tenth of it a busy host may be late before it blames itself.
    let timeout = 3 * SECOND;
    let short = policy().with_timeout(timeout);
    let watch = Watch::start();
    let report = first_report(
        TcpProbe::new(target).with_protocol(Greeting::default()),
        short,
    );
    assert_eq!(
        (report.outcome.code, report.outcome.phase),
        (Code::TimeoutIo, Phase::Recv)
    );
    watch.judge("drip", vec![report.at - report.started - timeout]);
    server.join().unwrap();

    let (target, server) = serve(|mut stream| stream.read_to_end(&mut Vec::new()));
    let probe = TcpProbe::new(target)
        .with_protocol(Greeting::default())
        .with_idle_timeout(SECOND / 10);
    let watch = Watch::start();
    let report = first_report(probe, policy());
    assert_eq!(report.outcome.code, Code::TimeoutIo);
    watch.judge("silence", vec![report.at - report.started - SECOND / 10]);
    let _ = server.join().unwrap();
}

/// A probe made of a function: the event (none at the start), the answer.
#[derive(Clone)]
struct Custom(fn(SocketAddr, Option<&Event<'_>>) -> Step, SocketAddr);

impl core::fmt::Debug for Custom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Custom")
    }
}

impl Probe for Custom {
    fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(self.clone())
    }
}

impl Engine for Custom {
    fn start(&mut self, _now: Timestamp) -> Step {
        (self.0)(self.1, None)
    }

    fn on_event(&mut self, event: Event<'_>, _now: Timestamp) -> Step {
        (self.0)(self.1, Some(&event))
    }
}

/// Opens a socket, sends `ping`, and ends with what came first.
fn ping(target: SocketAddr, event: Option<&Event<'_>>, transport: Transport, said: &[u8]) -> Step {
    let detail = match event {
        None => {
            let target = Target::new(target);
            return Step::Do(vec![Action::Connect { target, transport }]);
        }
        Some(Event::Connected) => {
            return Step::Do(vec![Action::Read, Action::Send(said.to_vec())]);
        }
        Some(Event::Sent) => return Step::Do(Vec::new()),
        Some(Event::Datagram { bytes, from }) => {
            format!("{} from {from}", String::from_utf8_lossy(bytes))
        }
        Some(Event::Icmp(icmp)) => format!("icmp {}/{} from {}", icmp.kind, icmp.code, icmp.from),
        other => format!("{other:?}"),
    };
    Step::Done(Outcome::new(Code::Ok, Phase::Recv).with_detail(&detail))
}

#[test]
fn datagram_is_answered_or_refused_by_icmp() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let server = UdpSocket::bind(local).unwrap();
        let address = server.local_addr().unwrap();
        let answer = thread::spawn(move || {
            let mut buffer = [0; 16];
            let (count, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..count], from).unwrap();
        });
        let udp = |to, event: Option<&Event<'_>>| {
            ping(to, event, Transport::Udp { from_any: false }, b"hi")
        };
        let report = first_report(Custom(udp, address), policy());
        assert_eq!(report.outcome.detail.as_str(), format!("hi from {address}"));
        answer.join().unwrap();
        // Now nobody listens there.
        let report = first_report(Custom(udp, address), policy());
        let (kind, code) = if address.is_ipv4() { (3, 3) } else { (1, 4) };
        let expected = format!("icmp {kind}/{code} from {}", address.ip());
        assert_eq!(report.outcome.detail.as_str(), expected);
    }
}

#[test]
fn answer_from_another_address_is_heard_only_if_asked_for() {
    let asked = UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = UdpSocket::bind("127.0.0.2:0").unwrap();
    let (address, from) = (asked.local_addr().unwrap(), other.local_addr().unwrap());
    let answers = thread::spawn(move || {
        for _ in 0..2 {
            let mut buffer = [0; 16];
            let (count, from) = asked.recv_from(&mut buffer).unwrap();
            other.send_to(&buffer[..count], from).unwrap();
        }
    });
    let any =
        |to, event: Option<&Event<'_>>| ping(to, event, Transport::Udp { from_any: true }, b"hi");
    let report = first_report(Custom(any, address), policy());
    assert_eq!(report.outcome.detail.as_str(), format!("hi from {from}"));

    let only =
        |to, event: Option<&Event<'_>>| ping(to, event, Transport::Udp { from_any: false }, b"hi");
    let report = first_report(Custom(only, address), policy().with_timeout(SECOND / 2));
    assert_eq!(report.outcome.detail.as_str(), "Some(Deadline)");
    answers.join().unwrap();
}

#[test]
#[ignore = "needs CAP_NET_RAW, or a group in net.ipv4.ping_group_range"]
fn echo_is_answered_over_both_families() {
    for (address, request, reply) in [("127.0.0.1:1", 8, 0), ("[::1]:1", 128, 129)] {
        let echo: fn(SocketAddr, Option<&Event<'_>>) -> Step = |to, event| {
            let kind = if to.is_ipv4() { 8 } else { 128 };
            // Type, code, checksum (right for IPv4 with this content), identifier, number.
            let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 1];
            let sum = !(u16::from(kind) << 8).wrapping_add(1);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            match event {
                // A raw socket on loopback hears the request, too.
                Some(Event::Datagram { bytes, .. }) if bytes[0] == kind => Step::Do(Vec::new()),
                Some(Event::Datagram { bytes, .. }) => Step::Done(
                    Outcome::new(Code::Ok, Phase::Recv).with_detail(&format!("{:?}", &bytes[..1])),
                ),
                other => ping(to, other, Transport::Icmp, &message),
            }
        };
        let report = first_report(Custom(echo, address.parse().unwrap()), policy());
        let expected = format!("[{reply}]");
        assert_eq!(
            report.outcome.detail.as_str(),
            expected,
            "request {request}"
        );
    }
}

#[test]
fn function_that_blocks_does_not_keep_others_waiting() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let mut driver = Driver::new(Config::default()).unwrap();
    let slow = driver
        .add(Check::new(
            FnProbe::new(move |_| {
                held.lock().unwrap().recv().unwrap();
                Outcome::new(Code::Ok, Phase::Match).with_detail("slow")
            }),
            policy(),
        ))
        .unwrap();
    let quick = driver
        .add(Check::new(
            FnProbe::new(|attempt| {
                Outcome::new(Code::Ok, Phase::Match).with_detail(&attempt.number.to_string())
            }),
            policy(),
        ))
        .unwrap();
    let mut next = || {
        let mut events = Vec::new();
        driver.poll(Some(20 * SECOND), &mut events).unwrap();
        let CheckEvent::Completed(report) = events.pop().unwrap() else {
            panic!("no report")
        };
        report
    };
    let report = next();
    assert_eq!((report.check, report.outcome.detail.as_str()), (quick, "1"));
    release.send(()).unwrap();
    let report = next();
    assert_eq!(
        (report.check, report.outcome.detail.as_str()),
        (slow, "slow")
    );
}

#[test]
fn function_that_is_late_fails_and_one_that_panics_says_nothing() {
    let late = FnProbe::new(|_| {
        thread::sleep(SECOND / 2);
        Outcome::new(Code::Ok, Phase::Match)
    });
    let mut driver = Driver::new(Config::default()).unwrap();
    driver
        .add(Check::new(late, policy().with_timeout(SECOND / 10)))
        .unwrap();
    let mut events = Vec::new();
    driver.poll(Some(20 * SECOND), &mut events).unwrap();
    let Some(CheckEvent::Completed(report)) = events.pop() else {
        panic!("no report")
    };
    assert_eq!(report.outcome.code, Code::TimeoutIo);
    assert_eq!(
        driver.load().in_flight,
        1,
        "until the function has returned"
    );
    driver.poll(Some(SECOND), &mut events).unwrap();
    assert_eq!((driver.load().in_flight, events.len()), (0, 0));

    let report = first_report(FnProbe::new(|_| panic!("on purpose")), policy());
    assert_eq!(report.outcome.verdict, Verdict::Neutral);
    assert!(
        report
            .outcome
            .detail
            .as_str()
            .ends_with("panicked: on purpose")
    );
}

#[test]
fn name_is_looked_up_and_then_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Addresses are names, too, and need no files.
    let probe = NamedProbe::new(&format!("127.0.0.1:{port}"), |address| {
        TcpProbe::new(Target::new(address))
    });
    assert_eq!(first_report(probe, policy()).outcome.code, Code::Ok);
    let probe = NamedProbe::new("nowhere.invalid:80", |address| {
        TcpProbe::new(Target::new(address))
    });
    let outcome = first_report(probe, policy()).outcome;
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Resolve, Verdict::Neutral)
    );
}

#[test]
fn more_look_ups_than_threads_all_get_their_turn() {
    let limits = lvs_healthcheck::timetable::Limits::default().with_max_threads(2);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    for _ in 0..8 {
        let probe = NamedProbe::new(&name, |address| TcpProbe::new(Target::new(address)));
        driver.add(Check::new(probe, policy())).unwrap();
    }
    let mut events = Vec::new();
    while events.len() < 8 {
        driver.poll(Some(20 * SECOND), &mut events).unwrap();
    }
    let passed = |event: &CheckEvent| matches!(event, CheckEvent::Completed(report) if report.outcome.code == Code::Ok);
    assert!(events.iter().all(passed), "{events:?}");
}

/// A listener to which very many may come at once.
fn many() -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(1024).unwrap();
    socket.into()
}

#[test]
fn answers_that_came_while_the_driver_stood_still_are_in_time_however_many_they_are() {
    const CHECKS: usize = 400;
    let listener = many();
    let target = Target::new(listener.local_addr().unwrap());
    let (go, waits) = mpsc::channel::<()>();
    let server = thread::spawn(move || {
        let streams: Vec<_> = (0..CHECKS).map(|_| listener.accept().unwrap().0).collect();
        waits.recv().unwrap();
        for mut stream in &streams {
            stream.write_all(b"hello\n").unwrap();
        }
        streams
    });
    let limits = lvs_healthcheck::timetable::Limits::default()
        .with_max_in_flight_per_host(1000)
        .with_start_rate(1_000_000);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    for _ in 0..CHECKS {
        let probe = TcpProbe::new(target.clone()).with_protocol(Greeting::default());
        let policy = policy().with_timeout(2 * SECOND);
        driver.add(Check::new(probe, policy)).unwrap();
    }
    let mut events = Vec::new();
    while driver.load().in_flight < 400 {
        driver.poll(Some(Duration::ZERO), &mut events).unwrap();
        assert_eq!(events.len(), 0, "nobody has said anything yet");
    }
    go.send(()).unwrap();
    let streams = server.join().unwrap();
    thread::sleep(5 * SECOND / 2);
    driver.poll(Some(20 * SECOND), &mut events).unwrap();
    let passed = |event: &&CheckEvent| matches!(event, CheckEvent::Completed(report) if report.outcome.code == Code::Ok);
    assert_eq!(events.iter().filter(passed).count(), CHECKS);
    drop(streams);
}

//! The HTTP probe against servers that mean harm: verdict, reason, lateness, memory, and what is
//! left behind. Alone in its process, because it counts everything the process has.

#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/descriptors.rs"]
mod descriptors;
#[path = "support/lateness.rs"]
mod lateness;
#[path = "support/settles.rs"]
mod settles;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::Protocol;
use lvs_healthcheck::probe::http::{Http, HttpSequence};
use lvs_healthcheck::{
    Check, CheckEvent, Code, Config, Driver, Phase, Policy, Report, Target, TcpProbe, Verdict,
};

use self::descriptors::descriptors;
use self::lateness::Watch;
use self::settles::settles;

const SECOND: Duration = Duration::from_secs(1);

/// How long an attempt may take that ends with its time; by a tenth of it a busy host may be late
/// before it blames itself.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long one may take that ends otherwise; machines may be busy.
const LONG: Duration = Duration::from_secs(30);

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The report of one attempt, after which nothing is left open.
fn run(server: &Server, protocol: impl Protocol + 'static, timeout: Duration) -> Report {
    let before = descriptors();
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_timeout(timeout);
    let probe = TcpProbe::new(Target::new(server.address)).with_protocol(protocol);
    let mut driver = Driver::new(Config::default()).unwrap();
    let own = descriptors();
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    driver.poll(Some(2 * LONG), &mut events).unwrap();
    assert_eq!(driver.load().in_flight, 0);
    // The server closes its end as soon as it finds out.
    settles("descriptors", descriptors, own);
    drop(driver);
    settles("descriptors", descriptors, before);
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report,
        other => panic!("unexpected {other:?}"),
    }
}

/// A server that treats every connection the same, until it is dropped.
struct Server {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(talk: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let done = over.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                // Whatever the probe does to the connection is its right.
                let _ = talk(&mut stream.unwrap());
            }
        });
        Self {
            address,
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a request up to its empty line.
fn request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut all = Vec::new();
    let mut byte = [0];
    while !all.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        all.push(byte[0]);
    }
    Ok(())
}

/// Says this after the request, and waits for the probe to close.
fn says(text: &'static [u8]) -> Server {
    Server::start(move |stream| {
        request(stream)?;
        stream.write_all(text)?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    })
}

/// Says this after the request and closes in order.
fn says_and_closes(text: &'static [u8]) -> Server {
    Server::start(move |stream| {
        request(stream)?;
        stream.write_all(text)?;
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    })
}

/// Checks once: the code, the phase, part of the detail, and, if it is by time, how late.
#[track_caller]
fn check(name: &str, server: &Server, http: Http, code: Code, phase: Phase, detail: &str) {
    let by_time = code == Code::TimeoutIo;
    let watch = Watch::start();
    let report = run(server, http, if by_time { TIMEOUT } else { LONG });
    let outcome = report.outcome;
    assert_eq!(
        (outcome.code, outcome.phase),
        (code, phase),
        "{name}: {outcome}"
    );
    assert!(
        outcome.detail.as_str().contains(detail),
        "{name}: {outcome}"
    );
    if by_time {
        watch.judge(name, vec![report.at - report.started - TIMEOUT]);
    }
    if code != Code::Ok {
        assert_eq!(outcome.verdict, Verdict::Fail, "{name}");
    }
}

fn get() -> Http {
    Http::get("/")
}

fn with_body() -> Http {
    get().with_body_contains("never")
}

#[test]
fn drips_and_silence_end_at_the_deadline() {
    let _alone = alone();
    let drip = |start: &'static [u8], text: &'static [u8], gap: Duration| {
        Server::start(move |stream| {
            stream.set_nodelay(true)?;
            request(stream)?;
            stream.write_all(start)?;
            for byte in text.iter().cycle() {
                stream.write_all(&[*byte])?;
                thread::sleep(gap);
            }
            Ok(())
        })
    };
    let (io, recv) = (Code::TimeoutIo, Phase::Recv);
    let server = drip(b"", b"HTTP/1.1 200 OK\r\nA: b\r\n", SECOND);
    check(
        "one byte per second",
        &server,
        get(),
        io,
        recv,
        "in the status line",
    );
    let server = drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x", Duration::from_millis(20));
    check(
        "drip into the body",
        &server,
        with_body(),
        io,
        recv,
        "in the body, after ",
    );
    let server = Server::start(|stream| {
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    });
    check(
        "never answers",
        &server,
        get(),
        io,
        recv,
        "time is up in the status line",
    );
    let server = says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour");
    check(
        "too few bytes",
        &server,
        with_body(),
        io,
        recv,
        "in the body, after 4 bytes",
    );
    let compatible = Http::keepalived("/");
    check("never closes", &server, compatible, io, recv, "in the body");
}

/// Keeps saying this as fast as it is taken.
fn endless(start: &'static [u8], piece: Vec<u8>) -> Server {
    Server::start(move |stream| {
        request(stream)?;
        stream.write_all(start)?;
        loop {
            stream.write_all(&piece)?;
        }
    })
}

#[test]
fn endless_replies_end_at_their_limits() {
    let _alone = alone();
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    let zeros = || vec![b'0'; 1 << 16];
    let (proto, recv) = (Code::Proto, Phase::Recv);
    let server = endless(OK, zeros());
    let content = (Code::Content, Phase::Match);
    let digest = "md5:900150983cd24fb0d6963f7d28e17f72".parse().unwrap();
    let digest = get().with_digest(digest);
    check(
        "endless body, digest",
        &server,
        digest,
        content.0,
        content.1,
        "of over 65536 bytes",
    );
    check(
        "endless body, match",
        &server,
        with_body(),
        content.0,
        content.1,
        "got \"000",
    );
    check(
        "endless body, status",
        &server,
        get(),
        Code::Ok,
        Phase::Match,
        "200 OK",
    );
    // keepalived reads on, and keeps nothing of it.
    let rss = resident();
    let compatible = Http::keepalived("/");
    check(
        "endless body, keepalived",
        &server,
        compatible,
        Code::TimeoutIo,
        recv,
        "in the body",
    );
    let grown = resident().saturating_sub(rss);
    println!("endless body, keepalived: grew by {} KiB", grown >> 10);
    assert!(grown < 8 << 20, "{grown} bytes");
    let server = endless(b"HTTP/1.1 200 ", zeros());
    check(
        "endless line",
        &server,
        get(),
        proto,
        recv,
        "longer than 8192 bytes",
    );
    let server = endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n".repeat(1000));
    check(
        "endless header",
        &server,
        get(),
        proto,
        recv,
        "more than 128 header fields",
    );
    let server = endless(b"HTTP/1.1 200 OK\r\nA: ", zeros());
    check(
        "endless field",
        &server,
        get(),
        proto,
        recv,
        "longer than 65536 bytes",
    );
    let server = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100));
    check(
        "storm of 1xx",
        &server,
        get(),
        proto,
        recv,
        "more than 8 interim replies",
    );
    let server = endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        zeros(),
    );
    check(
        "endless chunk line",
        &server,
        with_body(),
        proto,
        recv,
        "longer than 4096 bytes",
    );
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn nonsense_is_refused_at_once() {
    let _alone = alone();
    let (proto, recv) = (Code::Proto, Phase::Recv);
    let server = says(b"\x7fELF\x02\x01\x01");
    check("garbage", &server, get(), proto, recv, "got \"\\x7fELF");
    let server = says(b"220 mail.example ESMTP\r\n");
    check("SMTP", &server, get(), proto, recv, "got \"220 mail");
    let server = says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
    check("two lengths", &server, get(), proto, recv, "both 1 and 2");
    let server = Server::start(|stream| {
        request(stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nA: ")?;
        stream.write_all(&[b'x'; 100 << 10])?;
        stream.write_all(b"\r\n\r\n")
    });
    check(
        "100 KiB of header",
        &server,
        get(),
        proto,
        recv,
        "longer than 65536 bytes",
    );
}

#[test]
fn connections_that_end_too_soon() {
    let _alone = alone();
    let (early, recv) = (Code::EofEarly, Phase::Recv);
    let server = Server::start(|stream| {
        request(stream)?;
        stream.shutdown(Shutdown::Both)
    });
    check(
        "closes at once",
        &server,
        get(),
        early,
        recv,
        "in the status line",
    );
    let server = says_and_closes(b"HTTP/1.1 200 OK\r\nA: b\r\nC");
    check(
        "ends in the header",
        &server,
        get(),
        early,
        recv,
        "in the header",
    );
    let server = says_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour");
    check(
        "wrong length",
        &server,
        with_body(),
        early,
        recv,
        "in the body, 5 bytes short",
    );
    let server =
        Server::start(|stream| socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)));
    let outcome = run(&server, get(), LONG).outcome;
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Reset, Verdict::Fail),
        "{outcome}"
    );
    let server = Server::start(|stream| {
        request(stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO))
    });
    let outcome = run(&server, get(), LONG).outcome;
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Reset, Verdict::Fail),
        "{outcome}"
    );
}

#[test]
fn drip_over_several_requests_has_one_deadline() {
    let _alone = alone();
    let server = Server::start(|stream| {
        request(stream)?;
        thread::sleep(3 * TIMEOUT / 8);
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    });
    let pages = HttpSequence::new((0..9).map(|_| get()));
    let watch = Watch::start();
    let report = run(&server, pages, TIMEOUT);
    assert_eq!(report.outcome.code, Code::TimeoutIo, "{}", report.outcome);
    watch.judge(
        "several requests",
        vec![report.at - report.started - TIMEOUT],
    );
}

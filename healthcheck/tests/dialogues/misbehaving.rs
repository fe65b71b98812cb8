//! Servers that misbehave, against the line-based dialogues: what is said of them, and how late.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use lvs_healthcheck::probe::preset;
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::{Code, Report, Target, TcpProbe};

use super::checking::report_within;

const TIMEOUT: Duration = Duration::from_millis(400);

/// How late an attempt may end on a machine that does other things, too. What it took is printed.
const LATE: Duration = Duration::from_secs(2);

/// How a server treats its client, until that has had enough.
type Manner = fn(TcpStream);

/// Sends the same again and again; the dialogue has to end it.
fn repeat(mut stream: TcpStream, bytes: &[u8], pause: Duration) {
    while stream.write_all(bytes).is_ok() {
        thread::sleep(pause);
    }
}

const MANNERS: [(&str, Manner, &[Code]); 7] = [
    (
        "one byte at a time",
        |stream| repeat(stream, b"2", Duration::from_millis(20)),
        &[Code::TimeoutIo],
    ),
    (
        "endless",
        |stream| repeat(stream, &[b'2'; 65536], Duration::ZERO),
        &[Code::Proto, Code::Content, Code::TimeoutIo],
    ),
    (
        "garbage",
        |mut stream| {
            let _ = stream.write_all(b"\0\xff\x01\n\n\r\n");
        },
        &[Code::Proto, Code::Content],
    ),
    ("closed at once", drop, &[Code::EofEarly]),
    (
        "reset at once",
        |stream| {
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        },
        &[Code::Reset],
    ),
    (
        "silent",
        |mut stream| {
            let _ = stream.read_to_end(&mut Vec::new());
        },
        &[Code::TimeoutIo],
    ),
    (
        "closed in the middle",
        |mut stream| {
            let _ = stream.write_all(b"2");
        },
        &[Code::EofEarly, Code::Content],
    ),
];

fn meet(manner: Manner, check: impl FnOnce(Target) -> Report) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    let server = thread::spawn(move || manner(listener.accept().unwrap().0));
    let report = check(target);
    server.join().unwrap();
    report
}

fn judge(name: &str, manner: &str, report: &Report, allowed: &[Code]) {
    let outcome = &report.outcome;
    assert!(
        allowed.contains(&outcome.code),
        "{name}, {manner}: {outcome}"
    );
    let took = report.at - report.started;
    let late = took.saturating_sub(TIMEOUT);
    println!("{name:6} {manner:20} {outcome} after {took:.1?}, {late:.1?} late");
    assert!(late < LATE, "{name}, {manner}: {late:?}");
}

#[test]
fn every_manner_ends_in_time_with_its_reason() {
    for (manner, serve, allowed) in MANNERS {
        let report = meet(serve, |target| {
            let probe = TcpProbe::new(target).with_protocol(Smtp::new());
            report_within(probe, TIMEOUT)
        });
        judge("smtp", manner, &report, allowed);
        for (name, script) in [("ftp", preset::ftp()), ("imap", preset::imap())] {
            let report = meet(serve, |target| {
                let probe = TcpProbe::new(target).with_protocol(script);
                report_within(probe, TIMEOUT)
            });
            judge(name, manner, &report, allowed);
        }
    }
}

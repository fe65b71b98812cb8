//! Servers that reset connections where closing them would be no fault.

#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::Protocol;
use lvs_healthcheck::probe::http::HttpSequence;
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::{
    Check, CheckEvent, Code, Config, Driver, Http, Outcome, Policy, Target, TcpProbe,
};

const SECOND: Duration = Duration::from_secs(1);

/// What one attempt finds out at a server that holds these conversations, one per connection.
fn outcome(protocol: impl Protocol + 'static, conversations: Vec<fn(&mut TcpStream)>) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        for conversation in conversations {
            let (mut stream, _) = listener.accept().unwrap();
            conversation(&mut stream);
            // Ends with a reset.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    let mut driver = Driver::new(Config::default()).unwrap();
    let probe = TcpProbe::new(target).with_protocol(protocol);
    let policy = Policy::default().with_spread(Spread::None);
    let policy = policy.with_timeout(20 * SECOND);
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    driver.poll(Some(30 * SECOND), &mut events).unwrap();
    server.join().unwrap();
    match events.pop() {
        Some(CheckEvent::Completed(report)) => report.outcome,
        other => panic!("unexpected {other:?}"),
    }
}

fn heard(stream: &mut TcpStream, end: &str) {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.extend(byte);
    }
}

fn answer_one(stream: &mut TcpStream) {
    heard(stream, "\r\n\r\n");
    let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(reply).unwrap();
}

#[test]
fn request_on_a_connection_that_is_reset_before_its_reply_is_made_once_more() {
    let pages = || HttpSequence::new([Http::get("/a"), Http::get("/b")]);
    let one_and_reset: fn(&mut TcpStream) = |stream| {
        answer_one(stream);
        heard(stream, "\r\n\r\n");
    };
    let passed = outcome(pages(), vec![one_and_reset, answer_one]);
    assert_eq!(passed.code, Code::Ok, "{passed}");
    // Once only, and only where an earlier one was answered.
    let none: fn(&mut TcpStream) = |stream| heard(stream, "\r\n\r\n");
    let reset = outcome(pages(), vec![one_and_reset, none]);
    assert_eq!(reset.code, Code::Reset, "{reset}");
    assert_eq!(outcome(pages(), vec![none]).code, Code::Reset);
}

#[test]
fn mail_server_may_end_as_it_likes_once_it_was_told_to() {
    let polite: fn(&mut TcpStream) = |stream| {
        stream.write_all(b"220 hello\r\n").unwrap();
        heard(stream, "\r\n");
        stream.write_all(b"250 us\r\n").unwrap();
        heard(stream, "\r\n");
    };
    let passed = outcome(Smtp::new().with_name("us.example"), vec![polite]);
    assert_eq!(passed.code, Code::Ok, "{passed}");
    let early: fn(&mut TcpStream) = |stream| {
        stream.write_all(b"220 hello\r\n").unwrap();
        heard(stream, "\r\n");
    };
    let reset = outcome(Smtp::new().with_name("us.example"), vec![early]);
    assert_eq!(reset.code, Code::Reset, "{reset}");
}

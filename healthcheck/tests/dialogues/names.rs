//! DNS: Unbound, and name servers of this test that misbehave.

use core::time::Duration;
use std::fs;
use std::net::UdpSocket;
use std::thread::{self, JoinHandle};

use lvs_healthcheck::probe::dns::{DnsProbe, Rcode, RecordType};
use lvs_healthcheck::{Code, Target};
use tempfile::TempDir;

use super::checking::{report, report_within};
use super::lateness::Watch;
use super::server::{Server, free_port};

fn unbound() -> Server {
    let (directory, port) = (TempDir::new().unwrap(), free_port());
    let path = directory.path().display();
    // More text than fits into a datagram without the extensions of EDNS.
    let text: String = (0..12)
        .map(|number| {
            let text = format!("{number:02} {}", "x".repeat(60));
            format!("  local-data: 'big.test. TXT \"{text}\"'\n")
        })
        .collect();
    let configuration = format!(
        "server:\n  \
           directory: \"{path}\"\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  \
           use-syslog: no\n  logfile: \"\"\n  interface: 127.0.0.1@{port}\n  \
           do-ip6: no\n  access-control: 127.0.0.0/8 allow\n  module-config: \"iterator\"\n  \
           local-zone: \"test.\" static\n  local-zone: \"refused.test.\" refuse\n  \
           local-data: \"test. SOA ns.test. host.test. 7 1 1 1 1\"\n  \
           local-data: \"www.test. A 192.0.2.80\"\n  local-data: \"www.test. A 192.0.2.81\"\n  \
           local-data: \"www.test. AAAA 2001:db8::80\"\n  \
           local-data: \"mail.test. MX 10 mx.test.\"\n{text}\
         remote-control:\n  control-enable: no\n"
    );
    fs::write(directory.path().join("conf"), configuration).unwrap();
    Server::start_in(directory, port, "unbound", |directory, _| {
        let file = directory.join("conf").display().to_string();
        ["-d", "-p", "-c", &file].map(String::from).to_vec()
    })
}

#[test]
#[ignore = "needs unbound"]
fn name_server_is_judged_by_codes_counts_and_values() {
    let server = unbound();
    let ask = |name: &str, kind| DnsProbe::new(server.target(), name, kind);
    let found = [Rcode::NO_ERROR, Rcode::NX_DOMAIN];
    for (probe, code, detail) in [
        (ask("www.test", RecordType::A), Code::Ok, ""),
        (ask("WWW.test.", RecordType::A).with_tcp(), Code::Ok, ""),
        (
            ask("test", RecordType::SOA).with_min_answers(1),
            Code::Ok,
            "",
        ),
        (
            ask("no.test", RecordType::A),
            Code::Status,
            "expected NOERROR, got NXDOMAIN",
        ),
        (
            ask("no.test", RecordType::A).with_rcodes(found),
            Code::Ok,
            "",
        ),
        (
            ask("refused.test", RecordType::A).with_rcodes(found),
            Code::Status,
            "expected NOERROR or NXDOMAIN, got REFUSED",
        ),
        (
            ask("www.test", RecordType::A).with_any_of(["192.0.2.81"]),
            Code::Ok,
            "",
        ),
        (
            ask("www.test", RecordType::A).with_all_of(["192.0.2.80", "192.0.2.81"]),
            Code::Ok,
            "",
        ),
        (
            ask("www.test", RecordType::AAAA).with_all_of(["2001:db8::80"]),
            Code::Ok,
            "",
        ),
        (
            ask("mail.test", RecordType::MX).with_any_of(["10 mx.test"]),
            Code::Ok,
            "",
        ),
        (
            ask("mail.test", RecordType::MX).with_any_of(["20 mx.test"]),
            Code::Content,
            "expected one of 20 mx.test, got 10 mx.test",
        ),
        (
            ask("www.test", RecordType::CAA).with_min_answers(1),
            Code::Content,
            "expected 1 answers, got 0",
        ),
        (ask("www.test", RecordType::new(300)), Code::Ok, ""),
        (
            DnsProbe::keepalived(server.target()).with_name("test"),
            Code::Ok,
            "",
        ),
    ] {
        let outcome = report(probe.clone()).outcome;
        assert_eq!(outcome.code, code, "{probe:?}: {outcome}\n{}", server.log());
        assert_eq!(outcome.detail.as_str(), detail);
    }
}

#[test]
#[ignore = "needs unbound"]
fn large_answer_comes_over_tcp_and_a_stopped_server_refuses() {
    let mut server = unbound();
    let ask = || DnsProbe::new(server.target(), "big.test", RecordType::TXT);
    let wanted = format!("07 {}", "x".repeat(60));
    let outcome = report(ask().with_all_of([wanted.as_str()])).outcome;
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    assert!(
        outcome.timing.connect.is_some(),
        "over TCP: {:?}",
        outcome.timing
    );
    let cut = ask()
        .with_tcp_fallback(false)
        .with_all_of([wanted.as_str()]);
    let outcome = report(cut).outcome;
    assert_ne!(outcome.code, Code::Ok, "{outcome}");
    let whole = ask()
        .with_tcp_fallback(false)
        .with_udp_size(4096)
        .with_all_of([wanted.as_str()]);
    let outcome = report(whole).outcome;
    assert_eq!(outcome.code, Code::Ok, "by EDNS: {outcome}");
    let (over_udp, over_tcp) = (ask(), ask().with_tcp());
    server.stop();
    for probe in [over_udp, over_tcp] {
        let outcome = report(probe).outcome;
        assert_eq!(outcome.code, Code::Refused, "{outcome}");
    }
}

/// A name server that answers one question with what this makes of it.
fn odd(answers: fn(&[u8]) -> Vec<Vec<u8>>) -> (DnsProbe, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = Target::new(socket.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut buffer = [0; 512];
        let (count, from) = socket.recv_from(&mut buffer).unwrap();
        for answer in answers(buffer.get(..count).unwrap()) {
            socket.send_to(&answer, from).unwrap();
        }
    });
    let probe = DnsProbe::new(target, "www.test", RecordType::A).with_tries(1);
    (probe, server)
}

/// The question turned into an answer with these flags.
fn answer(question: &[u8], flags: u16) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer.splice(2..4, flags.to_be_bytes());
    answer
}

#[test]
fn forged_answers_do_not_stop_the_right_one() {
    let (probe, server) = odd(|question| {
        let mut other_number = answer(question, 0x8183);
        *other_number.first_mut().unwrap() ^= 1;
        let mut other_name = answer(question, 0x8183);
        *other_name.get_mut(13).unwrap() = b'x';
        let right = answer(question, 0x8180);
        vec![other_number, other_name, b"".to_vec(), b"x".to_vec(), right]
    });
    assert_eq!(report(probe).outcome.code, Code::Ok);
    server.join().unwrap();
}

#[test]
fn answers_that_make_no_sense_end_with_a_reason() {
    let (probe, server) = odd(|question| {
        // A record whose name points to itself.
        let mut looped = answer(question, 0x8180);
        looped.splice(6..8, [0, 1]);
        let own = u8::try_from(looped.len()).unwrap();
        looped.extend_from_slice(&[0xc0, own, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4]);
        vec![looped]
    });
    let outcome = report(probe.with_any_of(["1.2.3.4"])).outcome;
    assert_eq!(outcome.code, Code::Proto, "{outcome}");
    assert!(
        outcome.detail.as_str().starts_with("malformed answer"),
        "{outcome}"
    );
    server.join().unwrap();

    let (probe, server) = odd(|question| vec![answer(question, 0x8182)]);
    let outcome = report(probe).outcome;
    assert_eq!(outcome.detail.as_str(), "expected NOERROR, got SERVFAIL");
    server.join().unwrap();

    let timeout = Duration::from_millis(300);
    let (probe, server) = odd(|_| Vec::new());
    let watch = Watch::start();
    let report = report_within(probe, timeout);
    assert_eq!(report.outcome.code, Code::TimeoutIo);
    watch.judge(
        "silent name server",
        vec![report.at - report.started - timeout],
    );
    server.join().unwrap();
}

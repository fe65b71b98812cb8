//! HAProxy's agent protocol, against agents of this test.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use lvs_healthcheck::probe::agent::Agent;
use lvs_healthcheck::{Code, Target, TcpProbe, Verdict, WeightHint};

use super::checking::{report, report_within};

/// An agent that says this to one client, in pieces, and returns what it was asked.
fn agent(pieces: &[&[u8]], asks: bool) -> (Target, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    let pieces: Vec<_> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut asked = Vec::new();
        if asks {
            asked.resize(64, 0);
            let count = stream.read(&mut asked).unwrap();
            asked.truncate(count);
        }
        for piece in pieces {
            // The check may have heard enough.
            if stream.write_all(&piece).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        asked
    });
    (target, server)
}

#[test]
fn line_in_pieces_gives_health_and_weight() {
    let (target, server) = agent(&[b"UP", b" 4", b"0%\r", b"\ndown\n"], true);
    let probe = TcpProbe::new(target).with_protocol(Agent::new().with_send("state?\n"));
    let report = report(probe);
    assert_eq!(report.outcome.verdict, Verdict::Pass, "{}", report.outcome);
    assert_eq!(report.hint, Some(WeightHint::Percent(40)));
    assert_eq!(server.join().unwrap(), b"state?\n");
}

#[test]
fn agent_that_says_nothing_useful_is_neutral() {
    let long = vec![b'x'; 1 << 20];
    for (pieces, code) in [
        (&[&b"up"[..]][..], Code::EofEarly),
        (&[], Code::EofEarly),
        (&[&long], Code::Proto),
        (&[b"\xff\xfe\n"], Code::Ok),
        (&[b"\n"], Code::Ok),
    ] {
        let (target, server) = agent(pieces, false);
        let report = report(TcpProbe::new(target).with_protocol(Agent::new()));
        assert_eq!(
            report.outcome.verdict,
            Verdict::Neutral,
            "{}",
            report.outcome
        );
        assert_eq!(report.outcome.code, code, "{}", report.outcome);
        server.join().unwrap();
    }
}

#[test]
fn agent_that_cannot_be_reached_or_is_silent_is_neutral() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let probe = TcpProbe::new(Target::new(closed)).with_protocol(Agent::new());
    let outcome = report(probe).outcome;
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Refused, Verdict::Neutral)
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe =
        TcpProbe::new(Target::new(silent.local_addr().unwrap())).with_protocol(Agent::new());
    let outcome = report_within(probe, Duration::from_millis(200)).outcome;
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::TimeoutIo, Verdict::Neutral)
    );
}

#[test]
fn agent_that_reports_a_failure_takes_the_server_down_at_once() {
    let (target, server) = agent(&[b"maint stopped # kernel update\n"], false);
    let report = report(TcpProbe::new(target).with_protocol(Agent::new()));
    assert_eq!(report.outcome.verdict, Verdict::FailNow);
    assert_eq!(report.outcome.detail.as_str(), "down maint #kernel update");
    server.join().unwrap();
}

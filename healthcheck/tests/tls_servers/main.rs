//! TLS checks of nginx and `openssl s_server`, with certificates good and bad.

#![cfg(feature = "tls")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod certificates;
#[path = "../support/descriptors.rs"]
mod descriptors;
mod mail;
mod pki;
mod server;
mod versions;

use core::net::SocketAddr;
use core::time::Duration;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::tls::Tls;
use lvs_healthcheck::probe::{Dialogue, Protocol, Turn};
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, Code, Config, Driver, Outcome, Phase, Policy, Probe, Report,
    Target, TcpProbe,
};

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(60 * SECOND)
        .with_timeout(5 * SECOND)
}

/// So many reports of a check of its own.
fn run(probe: impl Probe + 'static, policy: Policy, count: usize) -> Vec<Report> {
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    while events.len() < count {
        let before = events.len();
        driver.poll(Some(20 * SECOND), &mut events).unwrap();
        assert!(events.len() > before, "no report");
    }
    let report = |event| match event {
        CheckEvent::Completed(report) => report,
        other => panic!("unexpected {other:?}"),
    };
    events.into_iter().map(report).collect()
}

/// The outcome of a handshake and nothing more.
fn hello(address: SocketAddr, tls: &Tls) -> Outcome {
    let probe = TcpProbe::new(Target::new(address)).with_tls(tls.clone());
    run(probe, policy(), 1).remove(0).outcome
}

/// Asks for `/` of a host; the detail is status and body.
#[derive(Clone, Debug)]
struct Get {
    host: String,
    reply: Vec<u8>,
}

impl Protocol for Get {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }
}

impl Dialogue for Get {
    fn opened(&mut self) -> Turn {
        Turn::Send(format!("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", self.host).into())
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        self.reply.extend_from_slice(bytes);
        Turn::Listen
    }

    fn eof(&mut self, orderly: bool) -> Turn {
        let text = String::from_utf8_lossy(&self.reply);
        let status = text.split(' ').nth(1).unwrap_or_default();
        let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
        let detail = format!("{status} {body} orderly:{orderly}");
        Turn::Done(Outcome::new(Code::Ok, Phase::Match).with_detail(&detail))
    }
}

fn get(target: Target, tls: &Tls) -> Outcome {
    let get = Get {
        host: tls.name().unwrap_or("none").to_owned(),
        reply: Vec::new(),
    };
    let probe = TcpProbe::new(target).with_tls(tls.clone());
    let probe = probe.with_protocol(get);
    run(probe, policy(), 1).remove(0).outcome
}

fn assert_outcome(outcome: &Outcome, code: Code, phase: Phase, detail: &str) {
    println!("{outcome}");
    assert_eq!((outcome.code, outcome.phase), (code, phase), "{outcome}");
    assert!(
        outcome.detail.as_str().contains(detail),
        "{outcome}: {detail:?} is missing"
    );
}

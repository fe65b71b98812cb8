//! How late attempts end with servers that mean harm. Alone in its process, because it measures
//! time.

#![cfg(all(feature = "http", feature = "tls"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod manners;

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::expect::{Expectation, Matcher, Script};
use lvs_healthcheck::probe::http::Http;
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::probe::tls::{Tls, Verify};
use lvs_healthcheck::{
    Check, CheckEvent, Code, Config, Driver, Policy, Probe, Target, TcpProbe, Verdict,
};

use manners::{MANNERS, Manner, Server};

/// The time of an attempt.
const TIMEOUT: Duration = Duration::from_millis(200);

/// How late one may end on a machine that does other things, too. On an idle one 20 ms are wanted.
const LATE: Duration = Duration::from_secs(2);

/// Attempts of each kind, at the same time.
const COUNT: usize = 10;

/// A probe, and how a good answer to it begins.
type Kind = (&'static str, &'static [u8], fn(Target) -> Box<dyn Probe>);

const KINDS: [Kind; 5] = [
    ("tcp", b"", |target| Box::new(TcpProbe::new(target))),
    // The header of a long record, and a server hello in it.
    (
        "tls",
        b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03",
        |target| {
            let tls = Tls::new().with_verify(Verify::None);
            Box::new(TcpProbe::new(target).with_tls(tls))
        },
    ),
    ("http", b"HTTP/1.1 200 OK\r\n\r\n", |target| {
        let http = Http::get("/").with_body_contains("never");
        Box::new(TcpProbe::new(target).with_protocol(http))
    }),
    ("smtp", b"220-", |target| {
        Box::new(TcpProbe::new(target).with_protocol(Smtp::new()))
    }),
    ("expect", b"2", |target| {
        let never = Expectation::new(Matcher::contains("never"));
        Box::new(TcpProbe::new(target).with_protocol(Script::new().expect(never)))
    }),
];

/// A boxed probe as one.
#[derive(Debug)]
struct Any(Box<dyn Probe>);

impl Probe for Any {
    fn engine(
        &self,
        attempt: &lvs_healthcheck::Attempt,
    ) -> Box<dyn lvs_healthcheck::probe::Engine> {
        self.0.engine(attempt)
    }
}

/// How late the worst attempt was, and what came of how many.
fn meet(manner: Manner, (_, words, probe): Kind) -> (Duration, BTreeMap<&'static str, usize>) {
    let server = Server::start(manner, words);
    let mut driver = Driver::new(Config::default()).unwrap();
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_interval(Duration::from_secs(600))
        .with_timeout(TIMEOUT);
    for _ in 0..COUNT {
        let probe = Any(probe(server.target()));
        driver.add(Check::new(probe, policy.clone())).unwrap();
    }
    let (mut events, mut worst, mut codes) = (Vec::new(), Duration::ZERO, BTreeMap::new());
    while events.len() < COUNT {
        driver.poll(Some(20 * LATE), &mut events).unwrap();
    }
    assert_eq!(events.len(), COUNT, "exactly one outcome each");
    for event in events {
        let CheckEvent::Completed(report) = event else {
            panic!("{event:?}")
        };
        let took = report.at - report.started;
        worst = worst.max(took.saturating_sub(TIMEOUT));
        *codes.entry(report.outcome.code.as_str()).or_default() += 1;
        // An open connection is all that TCP wants, unless it is gone already.
        let connected = [Code::Ok, Code::Reset].contains(&report.outcome.code);
        assert!(
            report.outcome.verdict == Verdict::Fail || connected,
            "{manner:?}: {}",
            report.outcome
        );
    }
    (worst, codes)
}

#[test]
fn hostile_servers_do_not_put_off_a_deadline() {
    let mut worst = Duration::ZERO;
    for manner in MANNERS {
        for kind in KINDS {
            let (late, codes) = meet(manner, kind);
            println!(
                "{manner:8?} {:6} at most {late:.1?} late: {codes:?}",
                kind.0
            );
            assert!(late < LATE, "{manner:?}, {}: {late:?}", kind.0);
            let silent =
                matches!(manner, Manner::Silent | Manner::Drip | Manner::Halt) && kind.0 != "tcp";
            let timeouts = ["timeout_io", "timeout_tls"].map(|code| codes.get(code));
            let timeouts: usize = timeouts.into_iter().flatten().sum();
            assert!(
                !silent || timeouts == COUNT,
                "{manner:?}, {}: {codes:?}",
                kind.0
            );
            worst = worst.max(late);
        }
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("worst {worst:.1?}; load average {}", load.trim());
}

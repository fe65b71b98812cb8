//! Presets over UDP with real servers from Debian's packages, each on a free port of loopback.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[cfg_attr(
    not(feature = "radius"),
    expect(dead_code, reason = "one server is for that feature")
)]
#[path = "support/programs.rs"]
mod programs;

use core::time::Duration;
use std::thread;
use std::time::Instant;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::preset::{Ntp, Sip, Snmp};
use lvs_healthcheck::probe::udp::{Exchange, ExchangeProbe};
use lvs_healthcheck::{Check, CheckEvent, Code, Config, Driver, Outcome, Policy, Target};

#[cfg(feature = "radius")]
use self::programs::FREERADIUS;
use self::programs::{CHRONY, KAMAILIO, PATIENCE, SNMPD, Server};

impl Server {
    /// What one attempt finds out.
    fn outcome<E: Exchange + Clone + 'static>(&self, exchange: E, time: Duration) -> Outcome {
        let policy = Policy::default().with_spread(Spread::None);
        let probe = ExchangeProbe::new(Target::new(self.address), exchange);
        let mut driver = Driver::new(Config::default()).unwrap();
        let check = Check::new(probe, policy.with_timeout(time));
        driver.add(check).unwrap();
        let mut events = Vec::new();
        while events.is_empty() {
            driver.poll(Some(PATIENCE), &mut events).unwrap();
        }
        match events.pop() {
            Some(CheckEvent::Completed(report)) => report.outcome,
            other => panic!("unexpected {other:?}"),
        }
    }

    /// What is found out once the server answers as it should, which takes some time.
    fn passes<E: Exchange + Clone + 'static>(&self, exchange: &E) -> Outcome {
        let begin = Instant::now();
        loop {
            let outcome = self.outcome(exchange.clone(), Duration::from_secs(5));
            if outcome.code == Code::Ok {
                return outcome;
            }
            assert!(begin.elapsed() < PATIENCE, "{outcome}\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Long enough for an answer, short enough to wait for none.
const SHORT: Duration = Duration::from_secs(1);

#[test]
#[ignore = "needs chrony"]
fn chrony_knows_the_time() {
    let server = Server::start(CHRONY);
    let outcome = server.passes(&Ntp::new());
    assert_eq!(outcome.detail.as_str(), "stratum 10");
    let near = server.outcome(Ntp::new().with_max_stratum(9), PATIENCE);
    assert_eq!(
        near.to_string(),
        "status (match): expected stratum 9 at most, got 10"
    );
}

#[test]
#[ignore = "needs chrony"]
fn chrony_that_lost_the_time_fails() {
    // Without a source and without `local`.
    let [command, configuration] = CHRONY;
    let lost = configuration.replace("local stratum 10\n", "");
    let server = Server::start([command, &lost]);
    let begin = Instant::now();
    loop {
        let outcome = server.outcome(Ntp::new(), SHORT);
        if outcome.code == Code::Status {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{outcome}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs snmpd"]
fn snmpd_tells_how_long_it_runs() {
    let server = Server::start(SNMPD);
    server.passes(&Snmp::new("seen"));
    server.passes(&Snmp::new("seen").with_version_1());
    let stranger = server.outcome(Snmp::new("public"), SHORT);
    assert_eq!(
        stranger.to_string(),
        "timeout_io (recv): no answer to 2 questions"
    );
}

#[test]
#[ignore = "needs kamailio"]
fn kamailio_answers_options() {
    let server = Server::start(KAMAILIO);
    let outcome = server.passes(&Sip::new());
    assert_eq!(outcome.detail.as_str(), "200 Fine");
    for (user, code) in [("full", Code::Busy), ("nobody", Code::Status)] {
        let sip = Sip::new().with_uri(&format!("sip:{user}@127.0.0.1"));
        assert_eq!(server.outcome(sip, PATIENCE).code, code, "{user}");
    }
    let alive = Sip::new().with_uri("sip:nobody@127.0.0.1");
    let outcome = server.outcome(alive.with_status(200..=499), PATIENCE);
    assert_eq!(outcome.to_string(), "ok (match): 404 Nobody");
}

#[cfg(feature = "radius")]
#[test]
#[ignore = "needs freeradius"]
fn freeradius_answers_who_knows_its_secret() {
    use lvs_healthcheck::probe::preset::Radius;

    let server = Server::start(FREERADIUS);
    server.passes(&Radius::new("testing123"));
    let stranger = server.outcome(Radius::new("other"), SHORT);
    assert_eq!(stranger.code, Code::TimeoutIo, "{stranger}");
}

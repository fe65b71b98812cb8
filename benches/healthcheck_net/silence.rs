//! Servers that stop answering: until all are known to be down, and how late deadlines are.

use core::time::Duration;
use std::collections::HashMap;

use lvs_healthcheck::policy::{Initial, Policy};
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{
    Check, CheckEvent, Code, Config, Driver, Health, Report, Target, TcpProbe, Timestamp,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::Result;
use crate::figures::{Figures, judge};
use crate::host::Host;
use crate::server::{self, address};

const NETWORK: [u8; 2] = [10, 78];
const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(3);
const FALL: u16 = 2;

pub(crate) fn measure() -> Result<()> {
    let (_, descriptors) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, descriptors, descriptors)?;
    let hosts = [Host::new("silence-one")?, Host::new("silence-other")?];
    hosts[0].connect("eth0", &hosts[1], "eth0")?;
    hosts[0].ip("address add 172.16.0.1/24 dev eth0\nroute add 10.78.0.0/16 via 172.16.0.2")?;
    hosts[1].ip("address add 172.16.0.2/24 dev eth0\nroute add local 10.78.0.0/16 dev lo")?;
    let _server = server::start(&hosts[1])?;
    let policy = Policy::default()
        .with_interval(INTERVAL)
        .with_timeout(TIMEOUT)
        .with_fall(FALL)
        .with_initial(Initial::FullyUp);
    let seen = fall_silent(&hosts, 10_000, &policy)?;
    let all = seen.down_after.max();
    println!(
        "10,000 servers fall silent, interval 5 s, timeout 3 s, fall 2: down after {:.2} s",
        seen.down_after
    );
    let most = (INTERVAL + TIMEOUT) * FALL.into() + Duration::from_secs(1);
    judge("all down, s", all, most.as_secs_f64());
    println!(
        "deadlines of 10,000 servers, late by {:.1} ms",
        seen.late_ms
    );
    hosts[1].ip("route del blackhole 172.16.0.1/32")?;
    let quick = policy
        .with_interval(Duration::from_secs(1))
        .with_timeout(Duration::from_millis(500))
        .with_fall(10);
    let seen = fall_silent(&hosts, 100, &quick)?;
    println!("deadlines of 100 servers, late by {:.1} ms", seen.late_ms);
    judge(
        "latest deadline of 100 servers, ms",
        seen.late_ms.max(),
        20.0,
    );
    Ok(())
}

#[derive(Debug, Default)]
struct Seen {
    /// From the silence to each server's going down, in s.
    down_after: Figures,
    late_ms: Figures,
}

/// Checks servers until all have been found up, silences them, and goes on until all are down.
fn fall_silent(hosts: &[Host; 2], servers: u16, policy: &Policy) -> Result<Seen> {
    hosts[0]
        .enter(|| {
            let (mut seen, mut up) = (Seen::default(), HashMap::new());
            let limits = Limits::default()
                .with_max_in_flight(20_000)
                .with_start_rate(100_000);
            let config = Config::default().with_limits(limits);
            let mut driver = Driver::new(config).map_err(|error| error.to_string())?;
            for number in 0..servers {
                let probe = TcpProbe::new(Target::new(address(NETWORK, number)));
                let check = Check::new(probe, policy.clone()).with_key(&number.to_string());
                driver.add(check).map_err(|error| error.to_string())?;
            }
            let mut reports = || -> core::result::Result<Vec<Report>, String> {
                let mut events = Vec::new();
                let polled = driver.poll(Some(Duration::from_secs(30)), &mut events);
                polled.map_err(|error| error.to_string())?;
                let reports = events.into_iter().filter_map(|event| match event {
                    CheckEvent::Completed(report) => Some(report),
                    _ => None,
                });
                let reports: Vec<_> = reports.collect();
                if reports.is_empty() {
                    return Err("nothing happens any more".into());
                }
                Ok(reports)
            };
            let mut last = Timestamp::ZERO;
            while up.len() < servers.into() {
                for report in reports()? {
                    if report.health != Health::Up || !report.outcome.verdict.is_pass() {
                        return Err(format!("a check failed too early: {}", report.outcome));
                    }
                    last = report.at;
                    up.insert(report.check, ());
                }
            }
            // No way back for the server's answers: nothing is answered any more.
            let silenced = hosts[1].ip("route add blackhole 172.16.0.1/32");
            silenced.map_err(|error| error.to_string())?;
            while !up.is_empty() {
                for report in reports()? {
                    if report.outcome.code == Code::TimeoutConnect {
                        let late = report.at - report.started - policy.timeout();
                        seen.late_ms.add(late.as_secs_f64() * 1e3);
                    }
                    if report.health == Health::Down && up.remove(&report.check).is_some() {
                        seen.down_after.add((report.at - last).as_secs_f64());
                    }
                }
            }
            Ok(seen)
        })
        .map_err(|error: String| error.into())
}

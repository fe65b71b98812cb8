//! What the timetable of health checks costs per due check, with 100,000 targets. Try:
//! cargo bench -p benches --bench healthcheck_timetable
//!
//! Time is passed in, so an hour of checks takes seconds. One due check is everything the timetable
//! does for it: planned, due, started, given a deadline, finished, planned again.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use std::time::Instant;

use lvs_healthcheck::probe::Resource;
use lvs_healthcheck::timetable::{Limits, Timetable};

const TARGETS: u32 = 100_000;
const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 20;
const MOST: f64 = 200.0;

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> Result<(), Box<dyn core::error::Error>> {
    println!("{TARGETS} targets, every {INTERVAL:?}, {ROUNDS} rounds");
    for (words, hosts) in [("hosts not told", false), ("a host each", true)] {
        let nanos = measure(hosts)?;
        let verdict = if nanos <= MOST { "within" } else { "ABOVE" };
        println!("{words:<16} {nanos:>6.0} ns per due check, {verdict} {MOST} ns");
    }
    Ok(())
}

/// Nanoseconds per due check.
fn measure(hosts: bool) -> Result<f64, Box<dyn core::error::Error>> {
    let limits = Limits::default()
        .with_max_in_flight(TARGETS)
        .with_start_rate(10_000_000);
    let mut timetable = Timetable::new(limits)?;
    let mut now = Duration::from_secs(1000);
    timetable.advance(now);
    for number in 0..TARGETS {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number));
        let check = timetable
            .add(Resource::Socket, hosts.then_some(address))
            .ok_or("no room")?;
        // Spread over the interval in no order, as by a hash.
        let at = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let offset = INTERVAL.mul_f64(at as f64 / f64::from(u32::MAX));
        timetable.schedule(check, now + offset, false, INTERVAL);
    }
    let (mut done, mut running) = (0_u32, Vec::new());
    let begun = Instant::now();
    while done < TARGETS * ROUNDS {
        now = timetable.next_wakeup().ok_or("nothing planned")?.max(now);
        timetable.advance(now);
        while let Some(check) = timetable.start_next(now) {
            timetable.set_deadline(check, now + TIMEOUT);
            running.push(check);
        }
        for check in running.drain(..) {
            timetable.finish(check);
            timetable.schedule(check, now + INTERVAL, false, INTERVAL);
            done += 1;
        }
    }
    Ok(begun.elapsed().as_nanos() as f64 / f64::from(done))
}

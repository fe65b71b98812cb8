//! The HTTP probe: against recordings, against nginx, against servers that mean harm.

#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod drive;
#[path = "../support/first.rs"]
mod first;
mod fuzzed;
#[path = "../support/lateness.rs"]
mod lateness;
mod nginx;
mod real;
mod replies;
mod requests;
mod turns;

use core::net::SocketAddr;
use core::time::Duration;

use lvs_healthcheck::probe::Protocol;
use lvs_healthcheck::{Outcome, Target, TcpProbe};

use self::first::{first_report, policy};

const SECOND: Duration = Duration::from_secs(1);

/// What one attempt finds out.
fn ask(server: SocketAddr, protocol: impl Protocol + 'static) -> Outcome {
    let probe = TcpProbe::new(Target::new(server)).with_protocol(protocol);
    first_report(probe, policy()).outcome
}

//! `PING_CHECK`: the host answers an ICMP echo.

use lvs_healthcheck::policy::{KeepalivedChecker, Policy};
use lvs_healthcheck::probe::icmp::IcmpProbe;

use super::{CheckError, Planned, knobs, plan, target};
use crate::keepalived::{self, Connection};

/// As many bytes as keepalived sends.
const SIZE: usize = 128;

pub(super) fn planned(
    check: &keepalived::Check,
    connection: &Connection,
) -> Result<Planned, CheckError> {
    // An echo has no ports, but an address has one.
    let mut portless = connection.clone();
    (portless.port, portless.bind_port) = (1, None);
    let probe = IcmpProbe::new(connection.ip)
        .with_target(target(&portless))
        .with_size(SIZE);
    let policy = Policy::keepalived(KeepalivedChecker::Ping, &knobs(check, None));
    let name = format!("PING_CHECK {}", connection.ip);
    Ok((plan(probe, policy)?, name))
}

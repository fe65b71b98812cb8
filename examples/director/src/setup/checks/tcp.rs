//! `TCP_CHECK`: the connection is accepted.

use core::net::SocketAddr;

use lvs_healthcheck::TcpProbe;
use lvs_healthcheck::policy::{KeepalivedChecker, Policy};

use super::{CheckError, Planned, knobs, plan, target};
use crate::keepalived::{self, Connection};

pub(super) fn planned(
    check: &keepalived::Check,
    connection: &Connection,
) -> Result<Planned, CheckError> {
    let policy = Policy::keepalived(KeepalivedChecker::Tcp, &knobs(check, None));
    let address = SocketAddr::new(connection.ip, connection.port);
    let probe = TcpProbe::new(target(connection));
    Ok((plan(probe, policy)?, format!("TCP_CHECK {address}")))
}

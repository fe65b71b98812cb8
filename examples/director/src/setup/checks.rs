//! From the check blocks of a real server to checks that a driver takes: all but `BFD_CHECK`.

mod dns;
mod file;
mod http;
mod misc;
mod ping;
mod smtp;
mod tcp;
mod tls;
mod udp;

use core::net::SocketAddr;
use core::time::Duration;

use lvs_healthcheck::policy::{Keepalived, Policy};
use lvs_healthcheck::{Probe, Target};

use crate::keepalived::{self, CheckKind, Config, Connection};
use crate::notify::account::{AccountError, Accounts};

/// Keywords of what is run here, with what it needs.
pub(super) const RUN: [&str; 12] = [
    "TCP_CHECK",
    "HTTP_GET",
    "SSL_GET",
    "SMTP_CHECK",
    "DNS_CHECK",
    "UDP_CHECK",
    "PING_CHECK",
    "MISC_CHECK",
    "FILE_CHECK",
    "SSL",
    "track_file",
    "vrrp_track_file",
];

/// Why a check cannot be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error(transparent)]
    Refused(#[from] lvs_healthcheck::Error),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("there is no track_file {0}")]
    NoTrackFile(String),
    #[error("{0}")]
    Tls(&'static str),
}

/// A check that a driver takes, and what it says for people.
pub(super) type Planned = (lvs_healthcheck::Check, String);

pub(super) use file::files;

/// Makes the checks of a configuration.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    config: &'a Config,
    accounts: Accounts,
    tls: tls::Ways,
}

impl<'a> Planner<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self {
            config,
            accounts: Accounts::new(config.globals()),
            tls: tls::Ways::new(config.globals().ssl.as_ref()),
        }
    }

    /// Who runs commands.
    pub(super) const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// What a check block comes to; `None` for a kind that is not run, which is named among the
    /// [features](Config::features).
    pub(super) fn planned(&self, check: &keepalived::Check) -> Option<Result<Planned, CheckError>> {
        Some(match &check.kind {
            CheckKind::Tcp(connection) => tcp::planned(check, connection),
            CheckKind::Http(http) => http::planned(check, http, None),
            CheckKind::Https(http) => {
                let tls = self.tls.of(http);
                tls.and_then(|tls| http::planned(check, http, Some(tls)))
            }
            CheckKind::Smtp(smtp) => smtp::planned(check, smtp),
            CheckKind::Dns(dns) => dns::planned(check, dns),
            CheckKind::Udp(udp) => udp::planned(check, udp),
            CheckKind::Ping(connection) => ping::planned(check, connection),
            CheckKind::Misc(misc) => misc::planned(&self.accounts, check, misc),
            CheckKind::File(file) => file::planned(self.config, check, file),
            CheckKind::Bfd { .. } => return None,
        })
    }
}

fn knobs(check: &keepalived::Check, misc_timeout: Option<Duration>) -> Keepalived {
    let timing = check.timing;
    let mut knobs = Keepalived::new();
    knobs.delay_loop = Some(timing.delay_loop);
    knobs.retry = Some(u16::try_from(timing.retry).unwrap_or(u16::MAX));
    knobs.delay_before_retry = Some(timing.delay_before_retry);
    knobs.warmup = Some(timing.warmup);
    knobs.connect_timeout = Some(timing.connect_timeout);
    knobs.misc_timeout = misc_timeout;
    knobs.alpha = check.alpha;
    knobs.log_all_failures = check.log_all_failures;
    knobs
}

fn target(connection: &Connection) -> Target {
    let mut target = Target::new(SocketAddr::new(connection.ip, connection.port));
    if let Some(source) = connection.bind_ip {
        target = target.with_source(source);
    }
    if let Some(port) = connection.bind_port {
        target = target.with_source_port(port);
    }
    if let Some(interface) = &connection.bind_interface {
        target = target.with_device(interface);
    }
    if connection.fwmark != 0 {
        target = target.with_mark(connection.fwmark);
    }
    target
}

/// Refuses here what a driver would refuse, so that file and line are known.
fn plan(probe: impl Probe + 'static, policy: Policy) -> Result<lvs_healthcheck::Check, CheckError> {
    probe.validate().map_err(lvs_healthcheck::Error::from)?;
    policy.validate().map_err(lvs_healthcheck::Error::from)?;
    Ok(lvs_healthcheck::Check::new(probe, policy))
}

#[cfg(test)]
mod tests;

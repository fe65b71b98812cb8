//! What one `virtual_server` block comes to: services, servers, and how they make one pool.

use core::time::Duration;

use lvs_healthcheck::Command;
use lvs_healthcheck::aggregate::Removal;
use lvs_healthcheck::pool::{Drain, Leaving, Settings};
use lvs_ipvs::{Destination, Protocol, ServiceKey, VirtualService};

use crate::director::ServerKey;
use crate::keepalived::VirtualAddress;

/// Virtual services and the real servers they share.
///
/// A group stands for many services: checks run once for each server, and what they find applies to
/// every service. The services may differ in port and family.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedPool {
    /// What clients connect to, as configured.
    pub address: VirtualAddress,
    /// The services; at least one.
    pub services: Vec<VirtualService>,
    /// The real servers, in the order of the file.
    pub servers: Vec<PlannedServer>,
    /// The sorry server.
    pub sorry: Option<PlannedSorry>,
    /// Quorum, hysteresis, omega and the like; not the sorry server.
    pub settings: Settings<ServerKey>,
    /// `ha_suspend`: on a standby what checks say counts for nothing.
    pub ha_suspend: bool,
    /// `quorum_up`
    pub quorum_up: Option<Command>,
    /// `quorum_down`
    pub quorum_down: Option<Command>,
}

/// A real server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedServer {
    /// With the configured weight; without a port where each service of the pool has its own.
    pub destination: Destination,
    /// What becomes of it while it is down.
    pub removal: Removal,
    /// `notify_up`
    pub notify_up: Option<Command>,
    /// `notify_down`
    pub notify_down: Option<Command>,
}

/// A sorry server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedSorry {
    /// With its weight.
    pub destination: Destination,
    /// What becomes of it while it is not needed.
    pub removal: Removal,
}

impl PlannedPool {
    /// The first service, and how many more there are: `TCP 192.0.2.1:80 and 3 more`.
    #[must_use]
    pub fn name(&self) -> String {
        name_of(&self.services)
    }

    /// Lets what leaves the configuration finish its connections for at most that long. What is
    /// UDP never finishes them, and leaves at once.
    pub(crate) fn set_drain(&mut self, limit: Duration) {
        let is_udp = |service: &VirtualService| {
            let key = service.key();
            matches!(key, ServiceKey::Address { protocol, .. } if protocol == Protocol::UDP)
        };
        let drain = match self.services.iter().any(is_udp) {
            true => Drain::none(),
            false => Drain::new().with_limit(Some(limit)),
        };
        let settings = self.settings.clone();
        self.settings = settings.with_leaving(Leaving::Drain).with_drain(drain);
    }
}

/// Services in few words, whatever the size of a group.
pub(crate) fn name_of(services: &[VirtualService]) -> String {
    match services {
        [] => "no service".to_owned(),
        [only] => only.key().to_string(),
        [first, more @ ..] => super::and_more(&first.key(), more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_called_by_their_services() {
        let service = |text: &str| VirtualService::tcp(text.parse().unwrap());
        let mut services = Vec::new();
        assert_eq!(name_of(&services), "no service");
        services.push(service("192.0.2.1:80"));
        assert_eq!(name_of(&services), "TCP 192.0.2.1:80");
        services.push(service("192.0.2.2:80"));
        services.push(service("192.0.2.3:80"));
        assert_eq!(name_of(&services), "TCP 192.0.2.1:80 and 2 more");
    }
}

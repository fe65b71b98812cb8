//! How things are, for views.

use lvs_healthcheck::aggregate::Desired;
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{Cause, Explanation, Status, Step};
use lvs_ipvs::{ServiceKey, VirtualService};

use super::service::Service;
use super::{CheckNumber, Director, ServerKey};

/// How a pool of servers and its services are.
#[derive(Clone, Copy, Debug)]
pub struct ServiceStatus<'a> {
    service: &'a Service,
    director: &'a Director,
}

/// How a server is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Address and port.
    pub server: ServerKey,
    /// What the table should hold for it.
    pub entry: Desired,
    /// Why.
    pub cause: Cause,
    /// Its health as a whole: what its checks say; unknown before their first verdicts, up without
    /// any checks.
    pub health: Health,
    /// Whether it finishes its connections.
    pub is_draining: bool,
    /// What each of its checks says, in their order.
    pub checks: Vec<CheckStatus>,
}

/// What a check says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CheckStatus {
    /// What it is called: `TCP_CHECK 10.0.0.11:80`.
    pub name: String,
    /// The health of its server, as far as it is concerned.
    pub health: Health,
}

impl<'a> ServiceStatus<'a> {
    /// The first service, and how many more there are.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.service.name
    }

    /// The services.
    pub fn services(&self) -> &'a [VirtualService] {
        &self.service.services
    }

    /// Quorum, sorry server, sums.
    #[must_use]
    pub fn status(&self) -> Status {
        self.service.pool.status()
    }

    /// Whether it is in the configuration; else it is on its way out.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.service.is_configured
    }

    /// The servers in the order of the file, with the sorry server; those that leave are last.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus> + use<'a> {
        let (pool, director) = (&self.service.pool, self.director);
        self.service.servers().map(move |key| {
            let explanation = pool.explain(&key);
            let last = explanation.as_ref().and_then(|this| this.steps.last());
            let (entry, cause) = match last {
                Some(Step::Entry { entry, cause }) => (*entry, *cause),
                _ => (Desired::Absent, Cause::NotConfigured),
            };
            let is_draining = explanation.as_ref().is_some_and(|this| {
                let mut steps = this.steps.iter();
                steps.any(|step| matches!(step, Step::Drain { end: None, .. }))
            });
            let steps = explanation.iter().flat_map(|this| &this.steps);
            let checks = steps.filter_map(|step| match step {
                Step::Check { check, says } => Some(CheckStatus {
                    name: director.check_name(*check)?.to_owned(),
                    health: says.health,
                }),
                _ => None,
            });
            let checks = checks.collect();
            let health = pool.aggregate(&key).map_or(Health::Up, |aggregate| {
                match aggregate.is_undecided() {
                    true => Health::Unknown,
                    false => match aggregate.standing() {
                        lvs_healthcheck::aggregate::Standing::Up => Health::Up,
                        _ => Health::Down,
                    },
                }
            });
            ServerStatus {
                server: key,
                entry,
                cause,
                health,
                is_draining,
                checks,
            }
        })
    }
}

impl Director {
    /// How all pools are, in the order of the file; those that leave are last.
    pub fn status(&self) -> impl Iterator<Item = ServiceStatus<'_>> {
        let services = self.services.iter();
        services.map(|service| ServiceStatus {
            service,
            director: self,
        })
    }

    /// Why a server has the weight it has, step by step. `None` if there is no such server.
    #[must_use]
    pub fn explain(
        &self,
        service: &ServiceKey,
        server: &ServerKey,
    ) -> Option<Explanation<ServerKey, CheckNumber>> {
        let has_it = |known: &&Service| known.services.iter().any(|known| known.key() == *service);
        let service = self.services.iter().find(has_it)?;
        service.pool.explain(server)
    }
}

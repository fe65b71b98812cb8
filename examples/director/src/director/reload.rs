//! A new configuration by difference.

use std::collections::{BTreeSet, HashMap};

use lvs_healthcheck::Check;
use lvs_healthcheck::policy::Policy;
use lvs_ipvs::{ServiceKey, Table, Timestamp, VirtualService};

use super::event::EventKind;
use super::service::{ServerCheck, Service};
use super::{CheckNumber, Director, DirectorError, Known, ServerKey, Shutdown};
use crate::setup::Setup;

/// What a new configuration means for the checks. Those that are not named go on as they are.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckChanges {
    /// Not run any more.
    pub removed: Vec<CheckNumber>,
    /// Go on, judged by another policy.
    pub policies: Vec<(CheckNumber, Policy)>,
    /// New.
    pub added: Vec<(CheckNumber, Check)>,
}

impl CheckChanges {
    /// Whether all checks go on as they are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.policies.is_empty() && self.added.is_empty()
    }
}

impl Director {
    /// Takes over a new configuration by difference (spec §3.9). A service that is in both goes on
    /// with its servers, and they with their checks: a check is the same when service, server and
    /// probe are. A check that is new counts as what its server was, until its first verdict. What
    /// is not configured any more leaves, after a drain if the new setup says so.
    ///
    /// # Errors
    ///
    /// A setting out of range, or the director is stopping; then everything stays as it was.
    pub fn reload(&mut self, now: Timestamp, setup: &Setup) -> Result<CheckChanges, DirectorError> {
        let changes = self.begin_reload(now, setup)?;
        self.finish_reload(now);
        Ok(changes)
    }

    /// Says whether [`reload`](Self::reload) would take this setup, without doing so.
    ///
    /// # Errors
    ///
    /// As those of [`reload`](Self::reload).
    pub fn try_reload(&self, now: Timestamp, setup: &Setup) -> Result<(), DirectorError> {
        if self.stopped.is_some() {
            return Err(DirectorError::Stopping);
        }
        Self::new(now, setup, &Table::new()).map(drop)
    }

    /// The first half of [`reload`](Self::reload): services that are not configured any more stay as
    /// they are until [`finish_reload`](Self::finish_reload), so that their addresses can go before.
    ///
    /// A service that was on its way out, and is configured again, is taken over as
    /// [`new`](Self::new) takes over what it finds: it stays where it is with its connections, and
    /// its servers get their weights back when their checks say so.
    ///
    /// # Errors
    ///
    /// As those of [`reload`](Self::reload).
    pub fn begin_reload(
        &mut self,
        now: Timestamp,
        setup: &Setup,
    ) -> Result<CheckChanges, DirectorError> {
        // On trial: nothing may fail halfway.
        self.try_reload(now, setup)?;
        let before = self.desired();
        self.drain = setup.drain();

        let mut old: Vec<Option<Service>> = core::mem::take(&mut self.services)
            .into_iter()
            .map(Some)
            .collect();
        let partners = partners(&old, setup);
        let (checks, changes) = self.renumber(setup, &partners);
        let mut added = 0;
        for ((plan, checks), partner) in setup.pools.iter().zip(&checks).zip(&partners) {
            let former = partner.and_then(|place| old.get_mut(place)?.take());
            let failed = |error| DirectorError::Pool {
                service: plan.name(),
                error,
            };
            let service = match former {
                Some(mut service) => {
                    let left = left_behind(&service.services, &plan.services);
                    if !left.is_empty() {
                        let gone = service.table_of(&left);
                        self.depart(now, &gone, &mut old)?;
                    }
                    service.replace(now, plan, checks).map_err(failed)?;
                    service
                }
                None => {
                    added += 1;
                    // What others had of it until now is there.
                    Service::new(now, plan, checks, &before).map_err(failed)?
                }
            };
            self.services.push(service);
        }
        let removed = self.keep_rest(now, old);
        self.deadlines.clear();
        self.draining = self.services.iter().filter(|it| it.is_draining).count();
        self.touched = (0..self.services.len()).collect();
        for service in &mut self.services {
            service.timer = None;
            service.set_standby(now, self.role == super::Role::Standby);
        }
        self.events
            .push(now, EventKind::Reloaded { added, removed });
        self.is_table_changed |= self.desired() != before;
        Ok(changes)
    }

    /// The other half: what is not configured any more leaves, after a drain if the setup says so.
    pub fn finish_reload(&mut self, now: Timestamp) {
        let how = self.drain.map_or(Shutdown::Remove, |_| Shutdown::Drain);
        for (place, service) in self.services.iter_mut().enumerate() {
            if service.is_kept() {
                if let Some(drain) = self.drain {
                    service.set_drain(now, drain);
                }
                service.stop(now, how);
                self.touched.insert(place);
                self.is_table_changed = true;
            }
        }
    }

    /// Whether a reload was begun and leaves something to be
    /// [finished](Self::finish_reload).
    #[must_use]
    pub fn is_reloading(&self) -> bool {
        self.services.iter().any(Service::is_kept)
    }

    /// Services that a group has lost leave on their own.
    fn depart(
        &self,
        now: Timestamp,
        gone: &Table,
        old: &mut Vec<Option<Service>>,
    ) -> Result<(), DirectorError> {
        for service in gone.services() {
            let departing = Service::departing(now, service, self.drain);
            let departing = departing.map_err(|error| DirectorError::Pool {
                service: service.service.key().to_string(),
                error,
            })?;
            old.push(Some(departing));
        }
        Ok(())
    }

    /// Keeps the services that are left, for now; those of their keys that others have now are
    /// theirs. Says how many were configured before.
    fn keep_rest(&mut self, now: Timestamp, old: Vec<Option<Service>>) -> usize {
        let taken: BTreeSet<ServiceKey> = self
            .services
            .iter()
            .flat_map(|service| service.services.iter().map(VirtualService::key))
            .collect();
        let mut removed = 0;
        for mut service in old.into_iter().flatten() {
            removed += usize::from(service.is_configured);
            service
                .services
                .retain(|service| !taken.contains(&service.key()));
            if service.services.is_empty() {
                service.tell_return(now, &mut self.events);
            } else {
                service.is_configured = false;
                self.services.push(service);
            }
        }
        removed
    }

    /// Numbers the checks of a setup: those that go on keep their number.
    fn renumber(
        &mut self,
        setup: &Setup,
        partners: &[Option<usize>],
    ) -> (Vec<Vec<Vec<ServerCheck>>>, CheckChanges) {
        let mut former: HashMap<(usize, ServerKey), Vec<CheckNumber>> = HashMap::new();
        for (number, known) in &self.checks {
            let place = (known.service, known.server);
            former.entry(place).or_default().push(*number);
        }
        let mut old = core::mem::take(&mut self.checks);
        let first = self.numbered;
        let mut checks = self.number(setup);
        let mut changes = CheckChanges::default();
        for (place, partner) in partners.iter().enumerate() {
            let Some(partner) = *partner else { continue };
            let (Some(plan), Some(servers)) = (setup.pools.get(place), checks.get_mut(place))
            else {
                continue;
            };
            for (server, checks) in plan.servers.iter().zip(servers) {
                let place = (partner, server.destination.key());
                let Some(candidates) = former.get_mut(&place) else {
                    continue;
                };
                for (number, _) in checks {
                    let Some(known) = self.checks.get(number) else {
                        continue;
                    };
                    let same = candidates.iter().position(|candidate| {
                        let candidate = old.get(candidate);
                        candidate.is_some_and(|other| other.check.has_same_probe(&known.check))
                    });
                    let Some(same) = same.map(|same| candidates.remove(same)) else {
                        continue;
                    };
                    let known = self.checks.remove(number);
                    let former: Option<Known> = old.remove(&same);
                    if let (Some(known), Some(former)) = (known, former) {
                        if known.check.policy() != former.check.policy() {
                            let policy = known.check.policy().clone();
                            changes.policies.push((same, policy));
                        }
                        self.checks.insert(same, known);
                    }
                    *number = same;
                }
            }
        }
        changes.removed = old.into_keys().collect();
        let added = self.checks.range(CheckNumber(first)..);
        changes.added = added
            .map(|(number, known)| (*number, known.check.clone()))
            .collect();
        (checks, changes)
    }
}

/// For each pool of a setup the service that goes on as it: the first that has one of its keys.
fn partners(old: &[Option<Service>], setup: &Setup) -> Vec<Option<usize>> {
    let mut owners = HashMap::new();
    for (place, service) in old.iter().enumerate() {
        let Some(service) = service.as_ref().filter(|service| service.is_configured) else {
            continue;
        };
        for service in &service.services {
            owners.insert(service.key(), place);
        }
    }
    let mut is_taken = BTreeSet::new();
    let pools = setup.pools.iter().map(|plan| {
        let mut owners = plan
            .services
            .iter()
            .filter_map(|service| owners.get(&service.key()).copied());
        owners.find(|place| is_taken.insert(*place))
    });
    pools.collect()
}

/// Keys of services that are in the one list and not in the other.
fn left_behind(before: &[VirtualService], after: &[VirtualService]) -> Vec<ServiceKey> {
    let after: BTreeSet<ServiceKey> = after.iter().map(VirtualService::key).collect();
    let before = before.iter().map(VirtualService::key);
    before.filter(|key| !after.contains(key)).collect()
}

//! Which destinations drain, and since when, from what anybody can see.

use core::time::Duration;
use std::collections::BTreeMap;

use lvs_ipvs::{Change, DestinationKey, Policy, Reconciler, ServiceKey, Snapshot, Surplus};

use crate::expectation::drains;
use crate::model::Server;

/// Destinations that are treated otherwise than the policy says while they are surplus.
pub(crate) type Exceptions = BTreeMap<(ServiceKey, DestinationKey), Surplus>;

/// Destinations that are surplus where surplus drains, and since when.
#[derive(Clone, Debug, Default)]
pub(crate) struct DrainWatch(BTreeMap<(ServiceKey, DestinationKey), Duration>);

impl DrainWatch {
    /// Takes note of a look.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        snapshot: &Snapshot,
        reconciler: &Reconciler,
        exceptions: &Exceptions,
    ) {
        let (desired, policy) = (reconciler.desired(), reconciler.policy());
        let drains = |service: &ServiceKey, one: &DestinationKey| {
            let wanted = desired.get(service);
            let how = match wanted {
                Some(_) => policy.surplus_destinations,
                None => policy.surplus_services,
            };
            let exception = exceptions.get(&(*service, *one)).copied();
            exception.unwrap_or(how) == Surplus::Drain
                && drains(policy, service)
                && reconciler.ledger().owns(service, one)
                && wanted.is_none_or(|wanted| wanted.destination(one).is_none())
        };
        let mut seen = BTreeMap::new();
        for service in &snapshot.services {
            let key = service.entry.service.key();
            for entry in &service.destinations {
                let one = entry.destination.key();
                if drains(&key, &one) {
                    let since = self.0.get(&(key, one)).copied();
                    seen.insert((key, one), since.unwrap_or(now));
                }
            }
        }
        if !snapshot.agreed {
            // What a torn dump lacks may be there.
            let before = core::mem::take(&mut self.0).into_iter();
            let before: Vec<_> = before
                .filter(|((service, one), _)| drains(service, one))
                .collect();
            for (key, since) in before {
                seen.entry(key).or_insert(since);
            }
        }
        self.0 = seen;
    }

    /// The request that would have quieted it was refused: it does not drain yet.
    pub(crate) fn refused(&mut self, change: &Change) {
        if let Change::SetDestination(service, destination) = change {
            self.0.remove(&(*service, destination.key()));
        }
    }

    /// `OP-11`: nothing that drains is removed before it has no connections, or its time is over.
    pub(crate) fn check_removal(
        &self,
        now: Duration,
        change: &Change,
        snapshot: &Snapshot,
        policy: &Policy,
    ) {
        let all: Vec<_> = match change {
            Change::RemoveService(service) => snapshot
                .destinations(service)
                .iter()
                .map(|entry| (*service, entry.destination.key()))
                .collect(),
            Change::RemoveDestination(service, one) => vec![(*service, *one)],
            _ => return,
        };
        for (service, one) in all {
            let Some(since) = self.0.get(&(service, one)) else {
                continue;
            };
            let entry = snapshot.service(&service);
            let entry = entry.and_then(|service| service.destination(&one)).unwrap();
            let server = Server {
                destination: entry.destination.clone(),
                connections: [
                    entry.active_connections,
                    entry.inactive_connections,
                    entry.persistent_connections,
                ],
            };
            let open = server.open(&policy.drain);
            let is_over = policy
                .drain
                .limit
                .is_some_and(|limit| now - *since >= limit);
            let has_drained = open == 0 && !server.is_usable();
            assert!(
                has_drained || is_over,
                "{change}: {one} has {open} connections"
            );
        }
    }
}

//! Which destinations drain, and since when, from what anybody can see.

use core::time::Duration;
use std::collections::BTreeMap;

use lvs_ipvs::{Change, DestinationKey, Policy, ServiceKey, Snapshot, Surplus, Table};

use crate::expectation::drains;

/// Destinations that are surplus where surplus drains, and since when.
#[derive(Clone, Debug, Default)]
pub(crate) struct DrainWatch(BTreeMap<(ServiceKey, DestinationKey), Duration>);

impl DrainWatch {
    /// Takes note of a look.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        snapshot: &Snapshot,
        desired: &Table,
        policy: &Policy,
    ) {
        let mut seen = BTreeMap::new();
        for service in &snapshot.services {
            let key = service.entry.service.key();
            let wanted = desired.get(&key);
            let how = match wanted {
                Some(_) => policy.surplus_destinations,
                None => policy.surplus_services,
            };
            if how != Surplus::Drain || !drains(policy, &key) {
                continue;
            }
            for entry in &service.destinations {
                let one = entry.destination.key();
                if wanted.is_none_or(|wanted| wanted.destination(&one).is_none()) {
                    let since = self.0.get(&(key, one)).copied();
                    seen.insert((key, one), since.unwrap_or(now));
                }
            }
        }
        if !snapshot.agreed {
            let before = core::mem::take(&mut self.0);
            seen.extend(before.into_iter().filter(|((service, one), _)| {
                let wanted = desired.get(service);
                wanted.is_none_or(|wanted| wanted.destination(one).is_none())
            }));
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
            let templates = match policy.drain.persistent {
                true => entry.persistent_connections,
                false => 0,
            };
            let open = entry.active_connections + entry.inactive_connections + templates;
            let is_over = policy
                .drain
                .limit
                .is_some_and(|limit| now - *since >= limit);
            let has_drained = open == 0 && entry.destination.weight() == 0;
            assert!(
                has_drained || is_over,
                "{change}: {one} has {open} connections"
            );
        }
    }
}

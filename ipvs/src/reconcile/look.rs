//! What a look at the table teaches a reconciler.

use super::{Adoption, Draining, Drift, Reconciler};
use crate::Timestamp;
use crate::destination::DestinationKey;
use crate::plan::present::Services;
use crate::plan::{Cause, Plan};
use crate::request::Change;
use crate::service::ServiceKey;

impl Reconciler {
    /// Drops what is known of entries that are gone or turned out to be nobody's concern.
    pub(super) fn forget(&mut self, actual: &Services<'_>) {
        let is_there = |service: &ServiceKey, key: &DestinationKey| {
            let held = actual.get(service).map(|present| &present.destinations);
            held.is_some_and(|held| held.iter().any(|held| held.destination.key() == *key))
        };
        // Ours, no longer wanted, and gone: whoever makes it anew is its owner.
        let desired = &self.desired;
        self.ledger
            .retain(|key| desired.get(key).is_some() || actual.contains_key(key));
        self.ledger.retain_destinations(|service, key| {
            let wanted = desired.get(service);
            wanted.is_some_and(|wanted| wanted.destination(key).is_some()) || is_there(service, key)
        });
        // Of a service that is not ours alone nothing of ours is left.
        let ledger = &self.ledger;
        let bare: Vec<_> = ledger
            .services()
            .filter(|key| ledger.is_shared(key) && desired.get(key).is_none())
            .filter(|key| ledger.own_destinations(key).next().is_none())
            .copied()
            .collect();
        bare.iter().for_each(|key| self.ledger.remove(key));
        self.exceptions
            .retain(|(service, key), _| is_there(service, key));
    }

    pub(super) fn adopt(&mut self, actual: &Services<'_>) {
        self.adopted.clear();
        if self.adoption == Adoption::Refuse {
            return;
        }
        for key in self.desired.services().map(|entry| entry.service.key()) {
            let is_foreign = self.policy.scope.contains(&key) && !self.ledger.contains(&key);
            if is_foreign && actual.contains_key(&key) {
                self.adopted.push(key);
            }
        }
        for key in &self.adopted {
            match self.adoption {
                Adoption::Merge => self.ledger.insert_shared(*key),
                _ => self.ledger.insert(*key),
            }
        }
    }

    /// Whether the last step adopted it.
    pub(super) fn has_adopted(&self, service: &ServiceKey) -> bool {
        self.adopted.binary_search(service).is_ok()
    }

    /// Takes over the weights that differ for no reason of ours.
    pub(super) fn adopt_weights(&mut self, actual: &Services<'_>) {
        if self.drift != Drift::AdoptWeight {
            return;
        }
        for wanted in self.desired.services() {
            let service = wanted.service.key();
            let Some(present) = actual.get(&service) else {
                continue;
            };
            if !self.ledger.contains(&service) || self.has_adopted(&service) {
                continue;
            }
            for held in &present.destinations {
                let (key, weight) = (held.destination.key(), held.destination.weight());
                let Some(wanted) = wanted.destination(&key) else {
                    continue;
                };
                if weight == wanted.weight() {
                    self.weights.remove(&(service, key));
                } else if !self.pending.contains(&(service, Some(key))) {
                    self.weights.insert((service, key), weight);
                }
            }
        }
    }

    /// What is about to be created is ours from now on. What is removed and added again stays
    /// whose it is.
    pub(super) fn enter_additions(&mut self, agreed: bool, plan: &Plan) {
        self.creating.clear();
        self.reordered.clear();
        for step in plan.steps() {
            match &step.change {
                // A torn dump may lack what is there, whose owner stays the same.
                Change::AddService(service) => {
                    let key = service.key();
                    if agreed || !self.ledger.contains(&key) {
                        self.ledger.insert(key);
                        self.creating.insert((key, None));
                    }
                }
                Change::AddDestination(service, destination) => {
                    let key = destination.key();
                    if step.cause == Cause::OutOfOrder {
                        self.reordered.insert((*service, key));
                    } else if agreed || !self.ledger.owns(service, &key) {
                        self.ledger.insert_destination(service, key);
                        self.creating.insert((*service, Some(key)));
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn note_draining(&mut self, at: Timestamp, agreed: bool, plan: &Plan) {
        let mut before = core::mem::take(&mut self.draining);
        for (service, destination, connections) in plan.draining.iter().copied() {
            let key = (service, destination);
            let since = before.remove(&key).map_or(at, |before| before.since);
            let draining = Draining {
                service,
                destination,
                since,
                connections,
            };
            self.draining.insert(key, draining);
        }
        if !agreed {
            // A torn dump may lack what is there.
            before.retain(|(service, destination), _| {
                let entry = self.desired.get(service);
                entry.is_none_or(|entry| entry.destination(destination).is_none())
            });
            self.draining.append(&mut before);
        }
    }

    /// Whether destinations may be put in order that could not be before the plan is done.
    pub(super) fn awaits_order(&self, plan: &Plan) -> bool {
        let mut reports = plan.out_of_order().iter().filter(|report| !report.rebuilt);
        reports.any(|report| {
            let wanted = self.desired.get(&report.service);
            let scheduler = wanted.map(|wanted| wanted.service.scheduler());
            scheduler.is_some_and(|scheduler| self.policy.order.matters_to(scheduler))
                && plan
                    .changes()
                    .any(|change| change.service() == Some(report.service))
        })
    }
}

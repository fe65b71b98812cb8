//! What a reconciler knows while it makes a plan.

use super::{Adoption, Drift, Reconciler};
use crate::Timestamp;
use crate::destination::DestinationKey;
use crate::plan::{EntryKey, Oversight, Surplus};
use crate::service::ServiceKey;

/// A reconciler's memory at a look.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    reconciler: &'a Reconciler,
    at: Timestamp,
    agreed: bool,
    takes_over: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(reconciler: &'a Reconciler, at: Timestamp, agreed: bool) -> Self {
        Self {
            reconciler,
            at,
            agreed,
            takes_over: reconciler.adoption == Adoption::Adopt && !reconciler.ledger.has_shared(),
        }
    }
}

impl Oversight for Watch<'_> {
    fn may_change(&self, service: &ServiceKey) -> bool {
        self.reconciler.ledger.contains(service)
    }

    fn may_remove(&self, service: &ServiceKey) -> bool {
        self.reconciler.ledger.contains(service)
    }

    fn takes_over(&self) -> bool {
        self.takes_over
    }

    fn is_shared(&self, service: &ServiceKey) -> bool {
        self.reconciler.ledger.is_shared(service)
    }

    fn may_remove_destination(&self, service: &ServiceKey, destination: &DestinationKey) -> bool {
        self.reconciler.ledger.owns(service, destination)
    }

    fn surplus(&self, service: &ServiceKey, destination: &DestinationKey) -> Option<Surplus> {
        let exceptions = &self.reconciler.exceptions;
        exceptions.get(&(*service, *destination)).copied()
    }

    /// What a torn dump shows accuses nobody, nor does what was there before we came or is on its
    /// way out anyway.
    fn is_drift(&self, entry: &EntryKey) -> bool {
        let reconciler = self.reconciler;
        let (service, destination) = entry;
        let drains = |destination| reconciler.draining.contains_key(&(*service, destination));
        self.agreed
            && !reconciler.new_policy
            && reconciler.ledger.contains(service)
            && reconciler.desired.get(service).is_some()
            && !reconciler.has_adopted(service)
            && !reconciler.pending.contains(entry)
            && !destination.is_some_and(drains)
    }

    fn leaves_drift(&self) -> bool {
        self.reconciler.drift == Drift::Report
    }

    fn weight(&self, service: &ServiceKey, destination: &DestinationKey) -> Option<u32> {
        if self.reconciler.weights.is_empty() {
            return None;
        }
        let weights = &self.reconciler.weights;
        weights.get(&(*service, *destination)).copied()
    }

    fn is_overdue(&self, service: &ServiceKey, destination: &DestinationKey) -> bool {
        let Some(limit) = self.reconciler.policy.drain.limit else {
            return false;
        };
        let draining = self.reconciler.draining.get(&(*service, *destination));
        let since = draining.map_or(self.at, |draining| draining.since);
        self.at.saturating_sub(since) >= limit
    }
}

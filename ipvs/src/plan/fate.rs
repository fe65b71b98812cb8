//! What becomes of each destination of a service that is there and desired.

use std::collections::HashMap;

use super::present::Held;
use super::{Cause, Oversight, Policy, Surplus};
use crate::destination::{Destination, DestinationKey};
use crate::service::ServiceKey;

/// Destinations up to which comparing each with each beats hashing.
const FEW: usize = 24;

/// What becomes of a destination.
#[derive(Debug)]
pub(super) enum Fate<'a> {
    /// Nothing; it is as desired, or as it is allowed to be.
    Stays,
    /// It drains already and has connections left.
    Drains,
    /// It is not there, and that is left so.
    Missed,
    /// It is added, with that weight.
    Added(&'a Destination, u32),
    /// It gets these settings, with that weight.
    Set(&'a Destination, u32),
    /// It gets weight 0.
    Quieted,
    /// It is removed.
    Removed(Cause),
}

/// A destination and what becomes of it.
#[derive(Debug)]
pub(super) struct Verdict<'a> {
    pub(super) key: DestinationKey,
    pub(super) held: Option<Held<'a>>,
    /// Where it stands in the kernel's list, the oldest at 0.
    pub(super) place: Option<usize>,
    pub(super) fate: Fate<'a>,
    /// Somebody else brought about that it differs.
    pub(super) is_drift: bool,
}

impl Verdict<'_> {
    /// Whether new connections may go there before the plan.
    pub(super) fn was_usable(&self) -> bool {
        self.held.is_some_and(|held| held.destination.weight() > 0)
    }

    /// Whether its weight rises.
    pub(super) fn rises(&self) -> bool {
        match self.fate {
            Fate::Set(_, weight) => self
                .held
                .is_some_and(|held| weight > held.destination.weight()),
            _ => false,
        }
    }

    /// Whether it is on its way out.
    pub(super) const fn is_draining(&self) -> bool {
        matches!(
            self.fate,
            Fate::Drains | Fate::Quieted | Fate::Removed(Cause::Drained | Cause::DrainLimit { .. })
        )
    }

    /// Whether new connections may go there after the plan.
    pub(super) fn is_usable(&self) -> bool {
        match self.fate {
            Fate::Stays => self.was_usable(),
            Fate::Added(_, weight) | Fate::Set(_, weight) => weight > 0,
            Fate::Drains | Fate::Quieted | Fate::Missed | Fate::Removed(_) => false,
        }
    }
}

/// Decides for the destinations of one service.
#[derive(Debug)]
pub(super) struct Judge<'a, O> {
    pub(super) service: ServiceKey,
    pub(super) policy: &'a Policy,
    pub(super) oversight: &'a O,
}

impl<O: Oversight> Judge<'_, O> {
    /// The desired destinations in their order; and those that are surplus, oldest first.
    pub(super) fn verdicts<'h>(
        &self,
        held: &[Held<'h>],
        wanted: &'h [Destination],
        surplus: Surplus,
    ) -> (Vec<Verdict<'h>>, Vec<Verdict<'h>>) {
        let lookup = Lookup::new(held);
        let mut is_wanted = vec![false; held.len()];
        let mut desired = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let place = lookup.first(wanted.key());
            if let Some(seen) = place.and_then(|place| is_wanted.get_mut(place)) {
                *seen = true;
            }
            let held = place.and_then(|place| held.get(place)).copied();
            let verdict = self.of_desired(held, wanted);
            desired.push(Verdict { place, ..verdict });
        }
        let unwanted = held.iter().zip(is_wanted).enumerate();
        let unwanted = unwanted.filter(|(place, (held, is_wanted))| {
            // What a torn dump repeats is the same destination.
            !is_wanted && lookup.first(held.destination.key()) == Some(*place)
        });
        let surplus = unwanted.map(|(place, (held, _))| Verdict {
            place: Some(place),
            ..self.of_surplus(*held, surplus)
        });
        (desired, surplus.collect())
    }

    fn of_desired<'h>(&self, held: Option<Held<'h>>, wanted: &'h Destination) -> Verdict<'h> {
        let key = wanted.key();
        let entry = (self.service, Some(key));
        let weight = self.oversight.weight(&self.service, &key);
        let weight = weight.unwrap_or_else(|| wanted.weight());
        let differs = held.is_none_or(|held| {
            let present = held.destination;
            present.weight() != weight || !wanted.same_but_weight(present)
        });
        let is_drift = differs && self.oversight.is_drift(&entry);
        let is_left = is_drift && self.oversight.leaves_drift();
        let fate = match held {
            None if is_left => Fate::Missed,
            None => Fate::Added(wanted, weight),
            Some(_) if is_left || !differs => Fate::Stays,
            Some(_) => Fate::Set(wanted, weight),
        };
        Verdict {
            key,
            held,
            place: None,
            fate,
            is_drift,
        }
    }

    /// Of a destination nobody desires, under that policy.
    fn of_surplus<'h>(&self, held: Held<'h>, surplus: Surplus) -> Verdict<'h> {
        let key = held.destination.key();
        let surplus = self
            .oversight
            .surplus(&self.service, &key)
            .unwrap_or(surplus);
        let may_go =
            surplus != Surplus::Keep && self.oversight.may_remove_destination(&self.service, &key);
        let is_drift = may_go && self.oversight.is_drift(&(self.service, Some(key)));
        let fate = if !may_go || (is_drift && self.oversight.leaves_drift()) {
            Fate::Stays
        } else if surplus == Surplus::Drain && self.policy.drain.applies_to(&self.service) {
            self.of_draining(key, held)
        } else {
            Fate::Removed(Cause::Surplus)
        };
        Verdict {
            key,
            held: Some(held),
            place: None,
            fate,
            is_drift,
        }
    }

    /// A new connection may come in after the look, so a destination is removed for lack of
    /// connections only when it could not get any.
    fn of_draining(&self, key: DestinationKey, held: Held<'_>) -> Fate<'static> {
        let drain = &self.policy.drain;
        let mut connections = u64::from(held.active);
        if drain.inactive {
            connections = held.connections();
        }
        if drain.persistent {
            connections = connections.saturating_add(held.templates.into());
        }
        let is_quiet = held.destination.weight() == 0;
        if is_quiet && connections == 0 {
            Fate::Removed(Cause::Drained)
        } else if self.oversight.is_overdue(&self.service, &key) {
            // All of them are cut off, whichever were waited for.
            let connections = held.connections();
            Fate::Removed(Cause::DrainLimit { connections })
        } else if is_quiet {
            Fate::Drains
        } else {
            Fate::Quieted
        }
    }
}

/// Finds destinations by key.
struct Lookup<'a, 'h> {
    held: &'a [Held<'h>],
    // Made only for long lists.
    by_key: Option<HashMap<DestinationKey, usize>>,
}

impl<'a, 'h> Lookup<'a, 'h> {
    fn new(held: &'a [Held<'h>]) -> Self {
        let by_key = (held.len() > FEW).then(|| {
            let mut by_key = HashMap::with_capacity(held.len());
            for (index, held) in held.iter().enumerate() {
                by_key.entry(held.destination.key()).or_insert(index);
            }
            by_key
        });
        Self { held, by_key }
    }

    /// The first place of that key.
    fn first(&self, key: DestinationKey) -> Option<usize> {
        match &self.by_key {
            Some(by_key) => by_key.get(&key).copied(),
            None => {
                let mut held = self.held.iter();
                held.position(|held| held.destination.key() == key)
            }
        }
    }
}

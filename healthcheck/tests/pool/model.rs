//! Who counts how much, and whether there is a quorum: from the rules, without any cleverness.

use core::time::Duration;
use std::collections::BTreeMap;

use lvs_healthcheck::aggregate::{Desired, UnknownAs};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::Step;

use super::input::{Configured, Operation, Rules, Subject};

/// What is known of a configured destination.
#[derive(Clone, Debug)]
struct Known {
    configured: u32,
    operator: Option<u32>,
    unknown: UnknownAs,
    adopted: Option<Desired>,
    grace: Duration,
    health: Health,
    hint: Option<u32>,
    no_new: bool,
    is_voted_out: bool,
}

impl Known {
    fn new(from: &Configured, grace: Duration, is_found: bool) -> Self {
        let found = Some(from.adopted).filter(|found| is_found && *found != Desired::Absent);
        Self {
            configured: from.weight,
            operator: None,
            unknown: from.unknown,
            adopted: found,
            grace,
            health: Health::Unknown,
            hint: None,
            no_new: false,
            is_voted_out: false,
        }
    }

    /// Its weight if it is healthy.
    fn weight(&self, now: Duration) -> Option<u32> {
        if self.is_voted_out {
            return None;
        }
        let is_up = match (self.health, self.adopted, self.unknown) {
            (Health::Unknown, Some(Desired::Present { weight }), _) => {
                return (weight > 0).then_some(weight);
            }
            (Health::Unknown, Some(_), _) => false,
            (Health::Up, ..) | (Health::Unknown, None, UnknownAs::Up) => true,
            (Health::Unknown, None, UnknownAs::Hold) => now >= self.grace,
            _ => false,
        };
        let base = self.operator.unwrap_or(self.configured);
        let weight = match self.hint {
            _ if self.no_new || base == 0 => 0,
            Some(hint) => hint,
            None => base,
        };
        is_up.then_some(weight)
    }
}

/// The model.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    rules: Rules,
    known: BTreeMap<u8, Known>,
    /// Those that left the configuration, and may still be in the table.
    leaving: BTreeMap<u8, Known>,
    ejected: Vec<u8>,
    has_quorum: bool,
    is_suspended: bool,
    is_stopped: bool,
    now: Duration,
}

impl Model {
    pub(crate) fn new(rules: &Rules, destinations: &[Configured], now: Duration) -> Self {
        let grace = now + rules.grace;
        let known = destinations
            .iter()
            .map(|from| (from.name, Known::new(from, grace, true)));
        let mut model = Self {
            rules: rules.clone(),
            known: known.collect(),
            leaving: BTreeMap::new(),
            ejected: Vec::new(),
            has_quorum: false,
            is_suspended: false,
            is_stopped: false,
            now,
        };
        model.has_quorum = model.weight() >= rules.quorum + rules.hysteresis;
        model
    }

    /// Whether somebody could serve, ejected or not.
    pub(crate) fn is_usable(&self) -> bool {
        let mut weights = self.known.values().map(|known| known.weight(self.now));
        weights.any(|weight| weight > Some(0))
    }

    fn total(&self) -> usize {
        let counts = |known: &&Known| !known.is_voted_out;
        self.known.values().filter(counts).count()
    }

    fn healthy(&self) -> BTreeMap<u8, u32> {
        let weight = |(name, known): (&u8, &Known)| Some((*name, known.weight(self.now)?));
        let sound: BTreeMap<u8, u32> = self.known.iter().filter_map(weight).collect();
        let limit = match self.rules.eject_limit {
            0 => 0,
            percent => (self.total() * usize::from(percent) / 100).max(1),
        };
        let ejected: Vec<u8> = self
            .ejected
            .iter()
            .copied()
            .filter(|name| sound.contains_key(name))
            .take(limit)
            .collect();
        let mut healthy = sound.clone();
        healthy.retain(|name, _| !ejected.contains(name));
        match healthy.values().any(|weight| *weight > 0) {
            true => healthy,
            false => sound,
        }
    }

    fn weight(&self) -> u64 {
        self.healthy().values().copied().map(u64::from).sum()
    }

    fn judge(&mut self) {
        if self.is_stopped {
            return;
        }
        let Rules {
            quorum, hysteresis, ..
        } = self.rules;
        let weight = self.weight();
        if !self.has_quorum && weight >= quorum + hysteresis {
            self.has_quorum = true;
        } else if self.has_quorum && (weight == 0 || weight < quorum - hysteresis) {
            self.has_quorum = false;
        }
    }

    /// Time passes; each end of a grace counts on its own.
    pub(crate) fn pass(&mut self, now: Duration) {
        let mut times: Vec<_> = self.known.values().map(|known| known.grace).collect();
        times.retain(|time| self.now < *time && *time < now);
        times.sort_unstable();
        for time in times.into_iter().chain([now]) {
            self.now = time;
            self.judge();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// A destination that enters the configuration or stays in it.
    fn admit(&mut self, from: &Configured, former: Option<Known>) {
        let known = match former {
            Some(former) => Known {
                configured: from.weight,
                ..former
            },
            None => Known::new(from, self.now + self.rules.grace, false),
        };
        self.known.insert(from.name, known);
    }

    /// An input that is accepted; `pool` says what is still in the table, which is not modelled.
    pub(crate) fn operate(
        &mut self,
        operation: &Operation,
        pool: &Subject,
        rules: &Rules,
        now: Duration,
    ) {
        assert_eq!(self.now, now);
        self.rules = rules.clone();
        // One that leaves because it was the sorry server has no checks.
        let has_checks = |name: &u8| {
            let steps = pool.explain(name).map_or(Vec::new(), |why| why.steps);
            steps.iter().any(|step| matches!(step, Step::Check { .. }))
        };
        self.leaving
            .retain(|name, _| pool.is_leaving(name) && has_checks(name));
        match operation {
            Operation::Add(from) if !self.known.contains_key(&from.name) => {
                let former = self.leaving.remove(&from.name);
                self.admit(from, former);
            }
            Operation::Remove(name) => {
                if let Some(known) = self.known.remove(name) {
                    self.ejected.retain(|other| other != name);
                    self.leaving.insert(*name, known);
                }
            }
            Operation::Replace(_, destinations) => {
                let mut old = core::mem::take(&mut self.known);
                for from in destinations {
                    let former = old.remove(&from.name);
                    let former = former.or_else(|| self.leaving.remove(&from.name));
                    self.admit(from, former);
                }
                self.ejected.retain(|name| !old.contains_key(name));
                self.leaving.extend(old);
            }
            Operation::Says {
                name,
                health,
                hint,
                no_new,
            } if !self.is_suspended && !self.is_stopped => {
                if let Some(known) = self.known.get_mut(name) {
                    known.health = *health;
                    known.hint = *hint;
                    known.no_new = *no_new;
                    known.adopted = None;
                }
            }
            Operation::Override(name, weight) => {
                if let Some(known) = self.known.get_mut(name) {
                    known.operator = *weight;
                }
            }
            Operation::Vote(name, vote) => {
                if let Some(known) = self.known.get_mut(name) {
                    known.is_voted_out = vote.is_some();
                }
            }
            Operation::Eject(name)
                if self.known.contains_key(name) && !self.ejected.contains(name) =>
            {
                self.ejected.push(*name);
            }
            Operation::Readmit(name) => self.ejected.retain(|other| other != name),
            Operation::Resume(true) if self.is_suspended => {
                for (name, known) in self.known.iter_mut().chain(&mut self.leaving) {
                    known.health = Health::Unknown;
                    known.hint = None;
                    known.no_new = false;
                    known.adopted = pool.entry(name);
                }
            }
            _ => {}
        }
        match operation {
            Operation::Suspend => self.is_suspended = true,
            Operation::Resume(_) => self.is_suspended = false,
            Operation::Stop(_) => self.is_stopped = true,
            _ => {}
        }
        self.judge();
    }

    /// Compares what can be seen.
    pub(crate) fn compare(&self, pool: &Subject) {
        let status = pool.status();
        let healthy = self.healthy();
        assert_eq!(status.total, self.total());
        assert_eq!(status.healthy, healthy.len());
        assert_eq!(status.weight, self.weight());
        assert_eq!(status.has_quorum, self.has_quorum, "{status:?}");
        assert_eq!(status.is_suspended, self.is_suspended);
    }
}

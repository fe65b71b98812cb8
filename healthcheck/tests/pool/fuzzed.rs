//! Any history of a pool, beside a simple model. The fuzz target `check_pool` runs the same
//! function.
//!
//! Four pools live through the same history: one settles after each input; one only now and then;
//! one is told everything twice; one was given its destinations in the opposite order. They never
//! differ, and the steps each of them gives lead where they should.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use lvs_healthcheck::aggregate::Desired;
use lvs_healthcheck::pool::{Batch, PoolEvent, Step};

use super::input::{Input, NAMES, Operation, Rules, SORRY, Subject};
use super::model::Model;

/// Inputs of one run; the rest of the bytes is left alone.
const STEPS: usize = 300;

/// Carries out what the bytes say.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let rules = input.rules();
    let mut destinations = input.destinations();
    let mut now = Duration::from_secs(100);
    let pairs = destinations.iter().map(|configured| configured.pair());
    let Ok(pool) = Subject::new(now, rules.settings.clone(), pairs) else {
        return;
    };
    let mut model = Model::new(&rules, &destinations, now);
    destinations.reverse();
    let pairs = destinations.iter().map(|configured| configured.pair());
    let reversed = Subject::new(now, rules.settings.clone(), pairs);
    let mut singly = Watched::new(pool.clone());
    let mut seldom = Watched::new(pool.clone());
    let mut twice = Watched::new(pool);
    let mut reversed = Watched::new(reversed.unwrap());
    let mut rules = rules;
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        now += input.pause();
        let mut operation = input.operation();
        // Time alone is an input of the one that settles each time, and not of the one that does
        // not; the model needs it first, to know who is still in the table.
        model.pass(now);
        singly.settle(now, &rules);
        let before = rules.clone();
        accept(&mut operation, &singly.pool, &mut rules);
        model.operate(&operation, &singly.pool, &rules, now);
        for (watched, is_reversed) in [
            (&mut singly, false),
            (&mut seldom, false),
            (&mut reversed, true),
        ] {
            operation.apply(&mut watched.pool, now, is_reversed);
        }
        for _ in 0..2 {
            operation.apply(&mut twice.pool, now, false);
        }
        let swaps = Rules {
            removes_first: before.removes_first || rules.removes_first,
            ..rules.clone()
        };
        singly.settle(now, &swaps);
        twice.settle(now, &swaps);
        reversed.settle(now, &swaps);
        seldom.removed_first |= swaps.removes_first;
        if input.byte() % 4 == 0 {
            seldom.settle(now, &rules);
        }
        model.compare(&singly.pool);
        for other in [&seldom, &twice, &reversed] {
            compare(&singly.pool, &other.pool);
        }
        check_not_empty(&singly.pool, &model);
    }
    singly.settle(now, &rules);
    seldom.settle(now, &rules);
    assert_eq!(seldom.table, singly.table);
}

/// Makes an input that is refused one of nothing, after seeing that the pool refuses it.
fn accept(operation: &mut Operation, pool: &Subject, rules: &mut Rules) {
    let mut trial = pool.clone();
    let accepted = match operation {
        Operation::Replace(next, destinations) => {
            let pairs = destinations.iter().map(|configured| configured.pair());
            trial
                .replace(Duration::ZERO, next.settings.clone(), pairs)
                .map(|()| next.clone())
        }
        Operation::Settings(next) => trial
            .set_settings(Duration::ZERO, next.settings.clone())
            .map(|()| next.clone()),
        // Then the model does not see which part of an entry is the real server's.
        Operation::Resume(forget) if rules.shares_host => {
            *forget = false;
            return;
        }
        _ => return,
    };
    match accepted {
        Ok(next) => *rules = next,
        Err(_) => {
            *operation = Operation::Nothing;
        }
    }
}

/// A pool, the table its steps lead to, and the drains that go on.
struct Watched {
    pool: Subject,
    table: BTreeMap<u8, u32>,
    draining: BTreeSet<u8>,
    removed_first: bool,
}

impl Watched {
    fn new(pool: Subject) -> Self {
        // What was found is in the table before the first step.
        let keys = (0..NAMES).chain([SORRY, SORRY + 1]);
        let mut found = pool.clone();
        let mut batch = Batch::new();
        found.settle(Duration::ZERO, &mut batch);
        let mut table: BTreeMap<u8, u32> = keys
            .filter_map(|key| match pool.entry(&key)? {
                Desired::Present { weight } => Some((key, weight)),
                _ => None,
            })
            .collect();
        for change in batch.changes.iter().rev() {
            match change.from {
                Desired::Present { weight } => table.insert(change.destination, weight),
                _ => table.remove(&change.destination),
            };
        }
        Self {
            pool,
            table,
            draining: BTreeSet::new(),
            removed_first: false,
        }
    }

    fn sum(&self) -> u64 {
        self.table.values().copied().map(u64::from).sum()
    }

    /// Carries out the steps of a batch.
    fn settle(&mut self, now: Duration, rules: &Rules) {
        let mut batch = Batch::new();
        self.pool.settle(now, &mut batch);
        let before = self.sum();
        let mut least = before;
        for change in &batch.changes {
            let held = self.table.get(&change.destination).copied();
            let held = held.map_or(Desired::Absent, |weight| Desired::Present { weight });
            assert_eq!(change.from, held, "{change}");
            assert_ne!(change.from, change.to, "{change}");
            match change.to {
                Desired::Present { weight } => self.table.insert(change.destination, weight),
                _ => self.table.remove(&change.destination),
            };
            least = least.min(self.sum());
        }
        let table: BTreeMap<u8, u32> = self.pool.table().map(|(key, w)| (*key, w)).collect();
        assert_eq!(self.table, table);
        let removes_first = rules.removes_first || core::mem::take(&mut self.removed_first);
        if before > 0 && self.sum() > 0 && !removes_first {
            assert!(least > 0, "empty for a moment: {:?}", batch.changes);
        }
        for event in &batch.events {
            match event {
                PoolEvent::DrainStarted { destination, .. } => {
                    self.draining.insert(*destination);
                }
                PoolEvent::DrainDone { destination }
                | PoolEvent::DrainTimedOut { destination, .. }
                | PoolEvent::DrainCancelled { destination } => {
                    self.draining.remove(destination);
                }
                _ => {}
            }
        }
        if let Some(next) = self.pool.next_deadline() {
            assert!(next > now, "{next:?} at {now:?}");
        }
        let mut again = Batch::new();
        self.pool.settle(now, &mut again);
        assert!(again.is_empty(), "{again:?}");
        for (key, weight) in &self.table {
            let explanation = self.pool.explain(key).unwrap();
            let entry = Desired::Present { weight: *weight };
            let last = explanation.steps.last();
            let is_entry = matches!(last, Some(Step::Entry { entry: told, .. }) if *told == entry);
            assert!(is_entry, "{explanation}");
        }
        for key in &self.draining {
            // As the sorry server it may have a weight all the same.
            let steps = self.pool.explain(key).map_or(Vec::new(), |why| why.steps);
            let is_sorry = steps.iter().any(|step| matches!(step, Step::Sorry { .. }));
            let weight = self.table.get(key).copied().unwrap_or(0);
            assert!(is_sorry || weight == 0, "{key}");
        }
    }
}

/// Two pools that cannot be told apart, but for what was told already.
fn compare(one: &Subject, other: &Subject) {
    assert_eq!(one.status(), other.status());
    assert_eq!(one.next_deadline(), other.next_deadline());
    for key in (0..NAMES).chain([SORRY, SORRY + 1]) {
        let entry = |pool: &Subject| pool.entry(&key).unwrap_or(Desired::Absent);
        assert_eq!(entry(one), entry(other), "{key}");
        if entry(one) != Desired::Absent {
            assert_eq!(one.explain(&key), other.explain(&key));
        }
    }
}

/// The table is empty only if the pool has a good reason.
fn check_not_empty(pool: &Subject, model: &Model) {
    let status = pool.status();
    let sum: u64 = pool.table().map(|(_, weight)| u64::from(weight)).sum();
    if model.is_usable() && status.is_offered {
        assert!(sum > 0, "{status:?}");
    }
    if status.needs_sorry && !model.is_stopped() {
        assert!(sum > 0, "{status:?}");
    }
}

//! What runs, and who wants to know: one entry for each probe, one subscriber for each check.
//!
//! Checks with identical probes share an entry. Each judges every outcome by its own policy; the
//! next attempt comes when the first of them wants one.

use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;

use super::running::Running;
use crate::Timestamp;
use crate::check::CheckId;
use crate::policy::{Machine, Policy};
use crate::probe::Probe;

/// A probe that runs.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name in the timetable. Checks have others.
    pub(super) id: CheckId,
    pub(super) probe: Arc<dyn Probe>,
    /// Nobody: all were removed, but its command is not gone yet.
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) attempts: u64,
    pub(super) running: Option<Box<Running>>,
    /// Something happened that the running attempt may have missed: the next one starts at once.
    pub(super) hurried: bool,
    /// Where it is found by checks with the same probe.
    pub(super) key: Option<u64>,
}

/// A check and where it stands.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: CheckId,
    pub(super) machine: Machine,
    pub(super) attempts: u64,
    /// When it wants the next attempt.
    pub(super) due: Timestamp,
    /// Whether it was there when the running attempt began.
    pub(super) takes_part: bool,
    /// How long a report from outside is good for, if it lives on those.
    pub(super) ttl: Option<Duration>,
}

impl Subscriber {
    /// When it wants its next attempt after one that started and ended then.
    pub(super) fn next_start(
        &self,
        started: Timestamp,
        ended: Timestamp,
        draw: &mut dyn FnMut() -> u64,
    ) -> Timestamp {
        match self.ttl {
            Some(ttl) => ended.saturating_add(ttl),
            None => self.machine.next_start(started, ended, draw),
        }
    }

    /// Whether it takes part in attempts at all.
    pub(super) const fn is_asleep(&self) -> bool {
        self.machine.is_suspended()
    }
}

impl Entry {
    pub(super) fn subscriber(&mut self, check: CheckId) -> Option<&mut Subscriber> {
        self.subscribers.iter_mut().find(|this| this.id == check)
    }

    /// When the first of the checks wants an attempt (never: the largest time), whether it is in a
    /// hurry, and what is late.
    pub(super) fn plan(&self) -> (Timestamp, bool, Duration) {
        let of = |this: &Subscriber| {
            let machine = &this.machine;
            let interval = machine.policy().interval();
            (this.due, machine.is_transitional(), interval)
        };
        let none = (Timestamp::MAX, false, Duration::MAX);
        let awake = self.subscribers.iter().filter(|this| !this.is_asleep());
        awake.map(of).fold(none, |all, this| {
            (all.0.min(this.0), all.1 || this.1, all.2.min(this.2))
        })
    }
}

/// Which check is served by which entry.
#[derive(Debug, Default)]
pub(super) struct Checks {
    places: Vec<(u32, Option<u32>)>,
    free: Vec<u32>,
}

impl Checks {
    /// A name for a check; `None` when there are 2³⁰ of them.
    pub(super) fn add(&mut self) -> Option<CheckId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.places.len()).ok();
                let slot = slot.filter(|slot| *slot < 1 << 30)?;
                self.places.push((u32::MAX, None));
                slot
            }
        };
        let place = self.places.get_mut(slot as usize)?;
        place.0 = place.0.wrapping_add(1);
        let generation = place.0;
        Some(CheckId { slot, generation })
    }

    pub(super) fn set(&mut self, check: CheckId, entry: Option<u32>) {
        let Some(place) = self.places.get_mut(check.slot as usize) else {
            return;
        };
        place.1 = entry;
        if entry.is_none() {
            self.free.push(check.slot);
        }
    }

    /// The slot of the entry that serves a check.
    pub(super) fn entry_of(&self, check: CheckId) -> Option<usize> {
        let (generation, entry) = self.places.get(check.slot as usize)?;
        let entry = entry.filter(|_| *generation == check.generation)?;
        Some(entry as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len().saturating_sub(self.free.len())
    }
}

/// Finds the entry of a probe.
#[derive(Debug, Default)]
pub(super) struct Identical {
    hasher: RandomState,
    slots: HashMap<u64, u32>,
}

impl Identical {
    /// Where to look for a probe whose attempts have as much time as this policy gives; `None` if
    /// it is not to be shared.
    pub(super) fn key(&self, probe: &dyn Probe, policy: &Policy) -> Option<u64> {
        let identity = probe.identity()?;
        Some(self.hasher.hash_one((identity, time_of(policy))))
    }

    /// The entry that runs the same probe.
    pub(super) fn find(
        &self,
        key: u64,
        probe: &dyn Probe,
        policy: &Policy,
        entries: &[Option<Entry>],
    ) -> Option<u32> {
        let slot = *self.slots.get(&key)?;
        let entry = entries.get(slot as usize)?.as_ref()?;
        let other = entry.subscribers.first()?.machine.policy();
        let same = entry.probe.identity() == probe.identity() && time_of(other) == time_of(policy);
        same.then_some(slot)
    }

    /// Lets an entry be found, unless there is another one.
    pub(super) fn insert(&mut self, key: u64, slot: u32) -> bool {
        *self.slots.entry(key).or_insert(slot) == slot
    }

    pub(super) fn remove(&mut self, key: Option<u64>) {
        if let Some(key) = key {
            self.slots.remove(&key);
        }
    }
}

/// The limits of time an attempt has.
pub(super) fn time_of(policy: &Policy) -> (Duration, Option<Duration>) {
    (policy.timeout(), policy.connect_timeout())
}

//! Time, and from entries that changed to a batch in the right order.

use super::event::{Batch, Cause, Change};
use super::settings::Swap;
use super::{Pool, larger};
use crate::Timestamp;
use crate::aggregate::Desired;

impl<D: Clone + Ord, C: PartialEq> Pool<D, C> {
    /// Lets time pass and gathers what inputs and time came to since the last batch; what was in
    /// `batch` before is dropped. Without anything new the batch is empty.
    pub fn settle(&mut self, now: Timestamp, batch: &mut Batch<D>) {
        self.advance(now);
        batch.changes.clear();
        batch.events.clear();
        batch.events.append(&mut self.events);

        let mut dirty = core::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        let mut is_anybody_gone = false;
        for slot in dirty.drain(..) {
            let Some(member) = self.members.get_mut(slot) else {
                continue;
            };
            member.is_dirty = false;
            is_anybody_gone |= member.is_gone();
            let key = member.key.clone();
            self.tell(key, &mut batch.changes);
        }
        self.dirty = dirty;

        let (mut swapped, mut removes_first) = (false, false);
        if let (Some(settings), Some(sorry)) = (&self.settings.sorry, &mut self.sorry) {
            swapped = sorry.is_needed != sorry.was_needed;
            removes_first = swapped && settings.swap == Swap::RemoveFirst;
            sorry.was_needed = sorry.is_needed;
            if core::mem::take(&mut sorry.is_dirty) {
                let key = settings.destination.clone();
                self.tell(key, &mut batch.changes);
            }
        }
        if is_anybody_gone {
            self.drop_gone();
        }
        if swapped && !removes_first {
            quiesce_before_removal(&mut batch.changes);
        }
        batch
            .changes
            .sort_by_key(|change| rank(change, removes_first));
    }

    /// The next time something happens without input: then [`settle`](Self::settle) is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let member = self.deadlines.first().map(|(time, _)| *time);
        let sorry = self.sorry.as_ref().and_then(|sorry| sorry.timer);
        let ready = (!self.is_ready).then_some(self.ready_at);
        [member, sorry, ready].into_iter().flatten().min()
    }

    /// Lets time pass: everything that was due happens in its order, as if at its own time, so
    /// that it does not matter how late this is called.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(time) = self.next_deadline().filter(|time| *time <= now) {
            self.now = self.now.max(time);
            let mut slots = Vec::new();
            while self
                .deadlines
                .first()
                .is_some_and(|(time, _)| *time <= self.now)
            {
                let Some((_, slot)) = self.deadlines.pop_first() else {
                    break;
                };
                if let Some(member) = self.members.get_mut(slot) {
                    member.timer = None;
                }
                slots.push(slot);
            }
            if !slots.is_empty() {
                self.touch(&slots);
            }
            let timer = self.sorry.as_ref().and_then(|sorry| sorry.timer);
            if timer.is_some_and(|time| time <= self.now) {
                self.pursue_sorry();
            }
            self.check_ready();
        }
        self.now = self.now.max(now);
    }

    /// Notes a change if the entry of a destination is other than what was told.
    fn tell(&mut self, destination: D, changes: &mut Vec<Change<D>>) {
        let to = self.entry(&destination).unwrap_or(Desired::Absent);
        let from = self.told.get(&destination).copied();
        let from = from.unwrap_or(Desired::Absent);
        if from == to {
            return;
        }
        match to {
            Desired::Absent => self.told.remove(&destination),
            Desired::Present { .. } => self.told.insert(destination.clone(), to),
        };
        let cause = self.cause(&destination);
        changes.push(Change {
            destination,
            from,
            to,
            cause,
        });
    }

    /// Why a destination has its entry.
    pub(super) fn cause(&self, destination: &D) -> Cause {
        let slot = self.index.get(destination).copied();
        let member = slot
            .and_then(|slot| self.members.get(slot))
            .map(|member| &member.entry);
        match (member, self.sorry_entry(destination)) {
            (Some(member), Some(sorry)) if larger(member.now, sorry.now) != member.now => {
                sorry.cause
            }
            (Some(member), _) => member.cause,
            (None, Some(sorry)) => sorry.cause,
            (None, None) => Cause::NotConfigured,
        }
    }

    /// Forgets destinations that left the configuration and the table.
    fn drop_gone(&mut self) {
        self.members.retain(|member| !member.is_gone());
        self.reindex();
    }

    /// Brings places up to date after destinations moved.
    pub(super) fn reindex(&mut self) {
        self.index.clear();
        self.deadlines.clear();
        self.dirty.clear();
        for (slot, member) in self.members.iter().enumerate() {
            self.index.insert(member.key.clone(), slot);
            if let Some(timer) = member.timer {
                self.deadlines.insert((timer, slot));
            }
            if member.is_dirty {
                self.dirty.push(slot);
            }
        }
    }
}

/// While servers are swapped, all that leave first get no new connections, then go.
fn quiesce_before_removal<D: Clone>(changes: &mut Vec<Change<D>>) {
    let zero = Desired::Present { weight: 0 };
    let mut removals = Vec::new();
    for change in changes.iter_mut() {
        let has_weight = matches!(change.from, Desired::Present { weight: 1.. });
        if change.to == Desired::Absent && has_weight {
            removals.push(Change {
                from: zero,
                ..change.clone()
            });
            change.to = zero;
        }
    }
    changes.append(&mut removals);
}

/// Place in a batch: what adds capacity, what takes some, what removes; or the other way round.
fn rank<D>(change: &Change<D>, removes_first: bool) -> u8 {
    let weight = |desired| match desired {
        Desired::Present { weight } => weight,
        Desired::Absent => 0,
    };
    let raises = weight(change.to) > weight(change.from) || change.from == Desired::Absent;
    match (raises, change.to) {
        (true, _) if removes_first => 3,
        (true, _) => 0,
        (false, Desired::Present { .. }) => 1,
        (false, Desired::Absent) => 2,
    }
}

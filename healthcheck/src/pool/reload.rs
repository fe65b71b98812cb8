//! New pools, and new configurations by difference.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::decide::{Decisions, Sums, is_below};
use super::entry::{Entry, Goal};
use super::event::{Cause, PoolEvent};
use super::member::Member;
use super::quorum::Quorum;
use super::settings::{Guard, Settings, Sorry};
use super::{LastResort, Pool};
use crate::Timestamp;
use crate::aggregate::{Aggregate, Desired, MAX_WEIGHT, Reason};
use crate::error::Invalid;

impl<D: Clone + Ord, C: PartialEq> Pool<D, C> {
    /// A pool with these destinations. What the kernel's table holds already is
    /// [`Aggregate::with_adopted`] (and [`Sorry::with_adopted`]): such a destination stays as it is
    /// until its checks have a verdict. Only here: later the pool knows what it told. Destinations that are not in the table are added at once, after the
    /// [grace](Settings::with_grace), or when their checks say up, as the
    /// [`UnknownAs`](crate::aggregate::UnknownAs) of their checks says.
    ///
    /// # Errors
    ///
    /// A setting out of range; a quorum above the sum of all weights; a destination named twice.
    pub fn new(
        now: Timestamp,
        settings: Settings<D>,
        destinations: impl IntoIterator<Item = (D, Aggregate<C>)>,
    ) -> Result<Self, Invalid> {
        let destinations: Vec<_> = destinations.into_iter().collect();
        check(&settings, &destinations)?;
        let quorum = Quorum::start(0, settings.quorum, settings.hysteresis);
        let mut pool = Self {
            ready_at: now.saturating_add(settings.grace),
            settings,
            members: Vec::new(),
            index: BTreeMap::new(),
            sorry: None,
            ejected: Vec::new(),
            ejections_moved: false,
            sums: Sums::default(),
            decisions: Decisions {
                quorum,
                is_offered: false,
                is_guarded: false,
                is_replaced: false,
            },
            now,
            deadlines: BTreeSet::new(),
            is_started: false,
            is_ready: false,
            is_suspended: false,
            stopped: None,
            told: BTreeMap::new(),
            dirty: Vec::new(),
            events: Vec::new(),
        };
        let grace = pool.settings.grace;
        for (key, aggregate) in destinations {
            let found = aggregate.adopted();
            let mut member = pool.admit(key, aggregate, None, grace);
            if found != Desired::Absent {
                pool.told.insert(member.key.clone(), found);
                member.adopted = Some(found);
                member.entry = Entry::new(found, Cause::Own(Reason::Adopted));
                let weight = member.entry.weight();
                pool.sums.serving = pool.sums.serving.saturating_add(weight.into());
            }
            pool.members.push(member);
        }
        // Nobody is new at the start.
        pool.events.clear();
        pool.reindex();
        pool.add_sorry();
        if let (Some(settings), Some(sorry)) = (&pool.settings.sorry, &mut pool.sorry) {
            sorry.entry = Entry::new(settings.adopted, Cause::Own(Reason::Adopted));
            let key = settings.destination.clone();
            if let Some(found @ Desired::Present { .. }) = pool.entry(&key) {
                pool.told.insert(key, found);
            }
        }
        pool.start();
        Ok(pool)
    }

    /// Decides for the first time.
    fn start(&mut self) {
        let mut sums = Sums::default();
        for member in &self.members {
            sums.add(&member.look(self.now));
        }
        let settings = &self.settings;
        self.decisions.quorum = Quorum::start(sums.weight, settings.quorum, settings.hysteresis);
        let high = settings.watermarks.map_or(0, |(_, high)| high);
        self.decisions.is_offered = !is_below(sums.healthy, sums.eligible, high);
        self.touch_all();
        self.is_started = true;
    }

    /// Takes over a new configuration by difference:
    ///
    /// - A destination that is in both keeps what is known of it. Checks are told apart by name:
    ///   those of the same name go on, new ones count as what the destination was until their first
    ///   verdict. So does one that is draining because an earlier configuration left it out, and
    ///   the drain is over.
    /// - A new one starts as in [`new`](Self::new).
    /// - One that is left out [leaves](Settings::with_leaving).
    ///
    /// Overrides and ejections stay; whatever is not touched by the difference gives no change.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); then everything stays as it was.
    pub fn replace(
        &mut self,
        now: Timestamp,
        settings: Settings<D>,
        destinations: impl IntoIterator<Item = (D, Aggregate<C>)>,
    ) -> Result<(), Invalid> {
        let destinations: Vec<_> = destinations.into_iter().collect();
        check(&settings, &destinations)?;
        self.advance(now);
        let members = core::mem::take(&mut self.members).into_iter();
        let order: Vec<D> = members
            .as_slice()
            .iter()
            .map(|member| member.key.clone())
            .collect();
        let mut old: BTreeMap<D, Member<D, C>> =
            members.map(|member| (member.key.clone(), member)).collect();
        for (key, aggregate) in destinations {
            let former = old.remove(&key);
            let member = self.admit(key, aggregate, former, settings.grace);
            self.members.push(member);
        }
        for key in order {
            if let Some(member) = old.remove(&key) {
                self.members.push(member);
                self.retire(self.members.len().saturating_sub(1));
            }
        }
        self.change_settings(settings);
        Ok(())
    }

    /// Replaces only the settings.
    ///
    /// # Errors
    ///
    /// A setting out of range; a quorum above the sum of all weights.
    pub fn set_settings(&mut self, now: Timestamp, settings: Settings<D>) -> Result<(), Invalid> {
        settings.validate()?;
        let weights = self.members.iter().filter(|member| !member.is_leaving);
        check_quorum(&settings, weights.map(|member| member.aggregate.base()))?;
        self.advance(now);
        self.change_settings(settings);
        Ok(())
    }

    /// Adds one destination, as [`replace`](Self::replace) would. Says whether it was missing.
    pub fn add(&mut self, now: Timestamp, destination: D, aggregate: Aggregate<C>) -> bool {
        self.advance(now);
        if self.configured(&destination).is_some() {
            return false;
        }
        let grace = self.settings.grace;
        let (slot, former) = match self.index.get(&destination).copied() {
            Some(slot) => (slot, Some(self.members.remove(slot))),
            None => (self.members.len(), None),
        };
        let member = self.admit(destination.clone(), aggregate, former, grace);
        self.members.insert(slot, member);
        self.index.insert(destination, slot);
        self.touch(&[slot]);
        true
    }

    /// Takes one destination out of the configuration: it [leaves](Settings::with_leaving). Says
    /// whether it was configured.
    pub fn remove(&mut self, now: Timestamp, destination: &D) -> bool {
        self.advance(now);
        let Some(slot) = self.configured(destination) else {
            return false;
        };
        self.retire(slot);
        self.touch(&[slot]);
        true
    }

    /// A destination that enters the configuration, or stays in it.
    fn admit(
        &mut self,
        key: D,
        mut aggregate: Aggregate<C>,
        former: Option<Member<D, C>>,
        grace: Duration,
    ) -> Member<D, C> {
        let destination = key.clone();
        match former {
            // One that has left the table is forgotten, whether or not that was told already.
            Some(mut member) if !member.is_gone() => {
                if member.is_leaving {
                    self.events.push(PoolEvent::Added { destination });
                    member.is_leaving = false;
                    member.view = None;
                }
                if core::mem::take(&mut member.was_sorry) {
                    member.grace = self.now.saturating_add(grace);
                    member.adopted = None;
                } else {
                    aggregate.carry(&member.aggregate);
                }
                member.aggregate = aggregate;
                member
            }
            former => {
                self.events.push(PoolEvent::Added { destination });
                let grace = self.now.saturating_add(grace);
                let mut member = Member::new(key, aggregate, grace);
                member.is_dirty = former.is_some_and(|former| former.is_dirty);
                member
            }
        }
    }

    /// Lets a destination leave the configuration.
    fn retire(&mut self, slot: usize) {
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        if core::mem::replace(&mut member.is_leaving, true) {
            return;
        }
        member.is_ejected = false;
        member.frozen = None;
        let destination = member.key.clone();
        self.ejected.retain(|key| *key != destination);
        self.ejections_moved = true;
        self.events.push(PoolEvent::Removed { destination });
    }

    /// Takes over settings, and the sorry server with them.
    fn change_settings(&mut self, settings: Settings<D>) {
        let former = core::mem::replace(&mut self.settings, settings);
        let key = self.settings.sorry.as_ref().map(|sorry| &sorry.destination);
        let is_same = key == former.sorry.as_ref().map(|sorry| &sorry.destination);
        if let (false, Some(old), Some(last)) =
            (is_same, former.sorry, self.sorry.take_if(|_| !is_same))
        {
            self.retire_sorry(old, last);
        }
        if !matches!(self.settings.guard, Some((_, Guard::Freeze))) {
            for member in &mut self.members {
                member.frozen = None;
            }
        }
        self.reindex();
        if !is_same {
            self.add_sorry();
        }
        self.touch_all();
    }

    /// A sorry server that is configured.
    fn add_sorry(&mut self) {
        self.sorry = self.settings.sorry.as_ref().map(|_| LastResort::new());
    }

    /// A former sorry server leaves as any destination does.
    fn retire_sorry(&mut self, old: Sorry<D>, mut last: LastResort) {
        let destination = old.destination;
        if last.is_needed {
            self.events.push(PoolEvent::SorryOff {
                destination: destination.clone(),
            });
        }
        let mut place = self
            .members
            .iter_mut()
            .find(|member| member.key == destination);
        if let Some(member) = place.as_mut().filter(|member| !member.is_gone()) {
            member.is_dirty = true;
            last.entry
                .pursue(self.now, Goal::Stay, &destination, &mut self.events);
            return;
        }
        let aggregate = Aggregate::new(0).with_removal(old.removal);
        let mut member = Member::new(destination, aggregate, self.now);
        member.is_leaving = true;
        member.was_sorry = true;
        member.entry = last.entry;
        member.is_dirty = true;
        let weight = member.entry.weight();
        self.sums.serving = self.sums.serving.saturating_add(weight.into());
        match place {
            Some(place) => {
                // What of it is in the sums yet has to leave them.
                member.view = place.view;
                *place = member;
            }
            None => self.members.push(member),
        }
    }
}

/// What [`Pool::new`] and [`Pool::replace`] refuse.
fn check<D: Ord, C: PartialEq>(
    settings: &Settings<D>,
    destinations: &[(D, Aggregate<C>)],
) -> Result<(), Invalid> {
    settings.validate()?;
    let mut seen = BTreeSet::new();
    for (place, (key, _)) in destinations.iter().enumerate() {
        if !seen.insert(key) {
            let value = format!("number {} again", place.saturating_add(1));
            return Err(Invalid::new("destination", value, "each only once"));
        }
    }
    let weights = destinations.iter().map(|(_, aggregate)| aggregate.base());
    check_quorum(settings, weights)
}

/// A quorum that the configured weights cannot reach is a mistake; without any weight there is
/// nothing to reach.
fn check_quorum<D>(
    settings: &Settings<D>,
    weights: impl Iterator<Item = u32>,
) -> Result<(), Invalid> {
    let sum: u64 = weights
        .map(|weight| u64::from(weight.min(MAX_WEIGHT)))
        .sum();
    if sum > 0 && settings.quorum > sum {
        let limit = "at most the sum of the weights of all destinations";
        return Err(Invalid::new("quorum", settings.quorum.to_string(), limit));
    }
    Ok(())
}

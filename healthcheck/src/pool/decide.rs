//! From what is known of the destinations to the entries of the table.
//!
//! Sums are kept up to date by the difference each destination makes, so that an outcome costs the
//! same in a pool of ten and of ten thousand. Only when a decision about the service as a whole is
//! another (sorry server, guard, watermarks) all destinations are gone through.

use super::entry::{Drainage, Goal};
use super::event::{PoolEvent, Reason};
use super::member::{Member, State, View};
use super::quorum::Quorum;
use super::settings::{Guard, Leaving, OnLimit, OnLowQuorum};
use super::{Pool, Shutdown};
use crate::aggregate::{Desired, Removal};

/// What the views of all destinations come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sums {
    pub(super) eligible: usize,
    pub(super) judged: usize,
    pub(super) healthy: usize,
    pub(super) undecided: usize,
    /// Weights of healthy destinations.
    pub(super) weight: u64,
    /// Weights of sound destinations, ejected or not.
    pub(super) sound_weight: u64,
    /// Weights in the table.
    pub(super) serving: u64,
}

impl Sums {
    pub(super) fn add(&mut self, view: &View) {
        self.eligible = self.eligible.saturating_add(view.is_eligible.into());
        self.judged = self.judged.saturating_add(view.is_judged.into());
        self.healthy = self.healthy.saturating_add(view.is_healthy.into());
        self.undecided = self.undecided.saturating_add(view.is_undecided.into());
        self.weight = self.weight.saturating_add(view.weight().into());
        self.sound_weight = self.sound_weight.saturating_add(view.sound_weight.into());
    }

    fn subtract(&mut self, view: &View) {
        self.eligible = self.eligible.saturating_sub(view.is_eligible.into());
        self.judged = self.judged.saturating_sub(view.is_judged.into());
        self.healthy = self.healthy.saturating_sub(view.is_healthy.into());
        self.undecided = self.undecided.saturating_sub(view.is_undecided.into());
        self.weight = self.weight.saturating_sub(view.weight().into());
        self.sound_weight = self.sound_weight.saturating_sub(view.sound_weight.into());
    }
}

/// Decisions about the service as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Decisions {
    pub(super) quorum: Quorum,
    pub(super) is_offered: bool,
    pub(super) is_guarded: bool,
    /// Whether the real servers left for the sorry server.
    pub(super) is_replaced: bool,
}

impl<D: Clone + Ord, C: PartialEq> Pool<D, C> {
    /// Draws the conclusions of a change to one destination.
    pub(super) fn touch(&mut self, slot: usize) {
        let mut failed = Vec::new();
        self.review(slot, &mut failed);
        let moved = self.limit_ejections(&mut failed);
        let all = self.decide();
        self.freeze(&failed);
        if all {
            self.pursue_all();
        } else {
            for moved in moved {
                self.pursue(moved);
            }
            self.pursue(slot);
            self.last_resort();
        }
        self.check_ready();
    }

    /// Draws the conclusions of a change to all of them.
    pub(super) fn touch_all(&mut self) {
        let mut failed = Vec::new();
        for slot in 0..self.members.len() {
            self.review(slot, &mut failed);
        }
        self.limit_ejections(&mut failed);
        self.decide();
        self.freeze(&failed);
        self.pursue_all();
        self.check_ready();
    }

    fn pursue_all(&mut self) {
        for slot in 0..self.members.len() {
            self.pursue(slot);
        }
        self.last_resort();
        self.pursue_sorry();
    }

    /// Brings the sums up to date with a destination; adds it to `failed` if it failed just now.
    fn review(&mut self, slot: usize, failed: &mut Vec<usize>) {
        let now = self.now;
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        let view = member.look(now);
        if !view.is_undecided {
            member.adopted = None;
        }
        if view.is_healthy {
            member.frozen = None;
        }
        let before = member.view.replace(view);
        if let Some(before) = &before {
            self.sums.subtract(before);
        }
        self.sums.add(&view);
        if self.stopped.is_some() || member.is_leaving {
            return;
        }
        let was_healthy = match before {
            Some(before) => before.is_healthy,
            None if self.settings.initial_events => !view.is_healthy,
            None => return,
        };
        let destination = member.key.clone();
        match (was_healthy, view.is_healthy) {
            (false, true) => self.events.push(PoolEvent::Up { destination }),
            (true, false) => {
                let reason = member.why_unhealthy(now);
                let is_new = before.is_none();
                self.events.push(PoolEvent::Down {
                    destination,
                    reason,
                });
                if !is_new && view.is_eligible {
                    failed.push(slot);
                }
            }
            _ => {}
        }
    }

    /// Decides which ejections count: the oldest, as many as the limit allows, and none if they
    /// would leave nobody with a weight. Returns whose are other than before.
    fn limit_ejections(&mut self, failed: &mut Vec<usize>) -> Vec<usize> {
        if self.ejected.is_empty() {
            return Vec::new();
        }
        let slots: Vec<usize> = self
            .ejected
            .iter()
            .filter_map(|key| self.index.get(key).copied())
            .collect();
        let sound = |slot: usize| {
            let view = self.members.get(slot).and_then(|member| member.view);
            view.filter(|view| view.is_sound)
        };
        let limit = match self.settings.eject_limit {
            0 => 0,
            percent => {
                let share = self.sums.eligible.saturating_mul(percent.into()) / 100;
                share.max(1)
            }
        };
        let mut chosen: Vec<usize> = slots
            .iter()
            .copied()
            .filter(|slot| sound(*slot).is_some())
            .take(limit)
            .collect();
        let lost = chosen.iter().filter_map(|slot| sound(*slot));
        let lost: u64 = lost.map(|view| u64::from(view.sound_weight)).sum();
        if lost >= self.sums.sound_weight {
            chosen.clear();
        }
        let mut moved = Vec::new();
        for slot in slots {
            let is_ejected = chosen.contains(&slot);
            if let Some(member) = self.members.get_mut(slot)
                && member.is_ejected != is_ejected
            {
                member.is_ejected = is_ejected;
                moved.push(slot);
            }
        }
        for slot in &moved {
            self.review(*slot, failed);
        }
        moved
    }

    /// Decides about the service; whether that touches all destinations.
    fn decide(&mut self) -> bool {
        if self.stopped.is_some() {
            return false;
        }
        let Sums {
            healthy,
            eligible,
            judged,
            weight,
            ..
        } = self.sums;
        let settings = &self.settings;
        let before = self.decisions;
        let decisions = &mut self.decisions;
        let events = &mut self.events;

        if let Some((percent, guard)) = settings.guard {
            decisions.is_guarded = is_below(healthy, judged, percent);
            match (before.is_guarded, decisions.is_guarded) {
                (false, true) => events.push(PoolEvent::GuardOn {
                    guard,
                    healthy,
                    total: judged,
                }),
                (true, false) => events.push(PoolEvent::GuardOff),
                _ => {}
            }
        } else {
            decisions.is_guarded = false;
        }

        let (quorum, hysteresis) = (settings.quorum, settings.hysteresis);
        let tells = settings.initial_events && !self.is_started;
        if decisions.quorum.update(weight, quorum, hysteresis) || tells {
            events.push(match decisions.quorum.is_up {
                true => PoolEvent::QuorumUp { weight, quorum },
                false => PoolEvent::QuorumDown { weight, quorum },
            });
        }

        let total = eligible;
        decisions.is_offered = match settings.watermarks {
            None => true,
            Some((low, _)) if before.is_offered => !is_below(healthy, total, low),
            Some((_, high)) => !is_below(healthy, total, high),
        };
        match (before.is_offered, decisions.is_offered) {
            (true, false) => events.push(PoolEvent::Withdrawn { healthy, total }),
            (false, true) => events.push(PoolEvent::Offered { healthy, total }),
            _ => {}
        }

        let mut sorry_changed = false;
        decisions.is_replaced = false;
        if let (Some(sorry), Some(last)) = (&settings.sorry, &mut self.sorry) {
            let is_low = !decisions.quorum.is_up || !decisions.is_offered;
            let on_low = sorry.on_low_quorum;
            if on_low != OnLowQuorum::OnlyWhenEmpty {
                sorry_changed = last.switch(is_low, &sorry.destination, events);
            }
            decisions.is_replaced = on_low == OnLowQuorum::Replace && last.is_needed;
        }
        if before.is_guarded && !decisions.is_guarded {
            for member in &mut self.members {
                member.frozen = None;
            }
        }
        sorry_changed
            || before.is_replaced != self.decisions.is_replaced
            || before.is_guarded != self.decisions.is_guarded
            || before.is_offered != self.decisions.is_offered
    }

    /// Lets those who failed keep their weight if the guard says so.
    fn freeze(&mut self, failed: &[usize]) {
        let freezes = matches!(self.settings.guard, Some((_, Guard::Freeze)));
        if !freezes || !self.decisions.is_guarded {
            return;
        }
        for slot in failed {
            if let Some(member) = self.members.get_mut(*slot)
                && member.entry.weight() > 0
            {
                member.frozen = Some(member.entry.weight());
            }
        }
    }

    /// Brings the sorry server in when nobody else has any weight.
    fn last_resort(&mut self) {
        let (Some(sorry), Some(last)) = (&self.settings.sorry, &mut self.sorry) else {
            return;
        };
        if sorry.on_low_quorum != OnLowQuorum::OnlyWhenEmpty || self.stopped.is_some() {
            return;
        }
        let is_empty = self.sums.serving == 0;
        if last.switch(is_empty, &sorry.destination, &mut self.events) {
            self.pursue_sorry();
        }
    }

    /// Tells once that everybody has a verdict.
    pub(super) fn check_ready(&mut self) {
        if !self.is_ready && (self.sums.undecided == 0 || self.ready_at <= self.now) {
            self.is_ready = true;
            self.events.push(PoolEvent::Ready);
        }
    }

    /// Brings the entry of a destination up to date.
    fn pursue(&mut self, slot: usize) {
        let now = self.now;
        let Some(goal) = self.members.get(slot).map(|member| self.goal(member)) else {
            return;
        };
        let Some(member) = self.members.get_mut(slot) else {
            return;
        };
        let before = member.entry.now;
        let weight = member.entry.weight();
        member
            .entry
            .pursue(now, goal, &member.key, &mut self.events);
        self.sums.serving = self.sums.serving.saturating_sub(weight.into());
        self.sums.serving = self
            .sums
            .serving
            .saturating_add(member.entry.weight().into());
        let is_gone = member.is_leaving && member.entry.now == Desired::Absent;
        if (member.entry.now != before || is_gone) && !member.is_dirty {
            member.is_dirty = true;
            self.dirty.push(slot);
        }
        let timer = member.next_deadline(now);
        if timer != member.timer {
            if let Some(timer) = member.timer {
                self.deadlines.remove(&(timer, slot));
            }
            if let Some(timer) = timer {
                self.deadlines.insert((timer, slot));
            }
            member.timer = timer;
        }
    }

    /// Brings the entry of the sorry server up to date.
    pub(super) fn pursue_sorry(&mut self) {
        let now = self.now;
        let (Some(settings), Some(sorry)) = (&self.settings.sorry, &mut self.sorry) else {
            return;
        };
        let goal = match (self.stopped, settings.removal) {
            (Some(how), _) => how.goal(sorry.entry.now, &self.settings),
            _ if sorry.is_needed => Goal::Serve(settings.weight, Reason::SorryNeeded),
            (None, removal) => away(removal, Reason::SorryIdle, OnLimit::Delete),
        };
        sorry
            .entry
            .pursue(now, goal, &settings.destination, &mut self.events);
        sorry.is_dirty = true;
        sorry.timer = sorry.entry.drain.and_then(|drain| drain.deadline());
    }

    /// What the entry of a destination is to become: the pipeline of weights.
    pub(super) fn goal(&self, member: &Member<D, C>) -> Goal {
        let settings = &self.settings;
        let removal = member.aggregate.removal();
        let on_limit = settings.drain.on_limit;
        if let Some(how) = self.stopped {
            return how.goal(member.entry.now, settings);
        }
        if member.is_leaving {
            let limit = match (settings.leaving, removal) {
                (Leaving::Delete, _) | (Leaving::ByRemoval, Removal::Remove) => {
                    return Goal::Gone(Reason::NotConfigured);
                }
                (Leaving::ByRemoval, Removal::DrainThenRemove { limit }) => limit,
                (Leaving::ByRemoval, Removal::Inhibit) | (Leaving::Drain, _) => {
                    settings.drain.limit
                }
            };
            return Goal::Drain(Drainage {
                reason: Reason::NotConfigured,
                limit,
                on_limit,
                stays: false,
            });
        }
        let away = |reason| away(removal, reason, on_limit);
        if !self.decisions.is_offered {
            return away(Reason::Withdrawn);
        }
        if self.decisions.is_replaced {
            return away(Reason::Replaced);
        }
        let unless_guarded = |reason| match (settings.guard, member.frozen) {
            (Some((_, Guard::FailOpen)), _) if self.decisions.is_guarded => {
                Goal::Serve(member.aggregate.weight(), Reason::FailOpen)
            }
            (_, Some(weight)) => Goal::Serve(weight, Reason::Frozen),
            _ => away(reason),
        };
        match member.state(self.now) {
            State::Adopted(Desired::Present { weight }) => Goal::Serve(weight, Reason::Adopted),
            State::Adopted(Desired::Absent) => Goal::Gone(Reason::Adopted),
            State::Waiting => Goal::Gone(Reason::Waiting),
            State::NotYetUp => away(Reason::Waiting),
            State::Down => unless_guarded(Reason::Failed),
            State::Up if member.is_ejected => unless_guarded(Reason::Ejected),
            State::Up => match member.aggregate.asks_no_new() {
                true => Goal::Serve(0, Reason::NoNew),
                false => Goal::Serve(member.aggregate.weight(), Reason::Healthy),
            },
        }
    }
}

impl<D, C: PartialEq> Member<D, C> {
    fn why_unhealthy(&self, now: crate::Timestamp) -> Reason {
        match self.state(now) {
            State::Up => Reason::Ejected,
            State::Down => Reason::Failed,
            State::Adopted(_) => Reason::Adopted,
            State::NotYetUp | State::Waiting => Reason::Waiting,
        }
    }
}

impl Shutdown {
    fn goal<D>(self, now: Desired, settings: &super::Settings<D>) -> Goal {
        match self {
            Self::Remove => Goal::Gone(Reason::Stopped),
            Self::Zero if now != Desired::Absent => Goal::Serve(0, Reason::Stopped),
            Self::Leave | Self::Zero => Goal::Stay,
            Self::Drain => Goal::Drain(Drainage {
                reason: Reason::Stopped,
                limit: settings.drain.limit,
                on_limit: settings.drain.on_limit,
                stays: false,
            }),
        }
    }
}

/// Out of service, the way the destination is configured to go.
const fn away(removal: Removal, reason: Reason, on_limit: OnLimit) -> Goal {
    match removal {
        Removal::Remove => Goal::Gone(reason),
        Removal::Inhibit => Goal::Serve(0, reason),
        Removal::DrainThenRemove { limit } => Goal::Drain(Drainage {
            reason,
            limit,
            on_limit,
            stays: false,
        }),
    }
}

/// Whether so many of a total are less than so many percent.
pub(super) fn is_below(count: usize, total: usize, percent: u8) -> bool {
    count.saturating_mul(100) < total.saturating_mul(percent.into())
}

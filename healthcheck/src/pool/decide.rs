//! From what is known of the destinations to the entries of the table.
//!
//! Sums are kept up to date by the difference each destination makes, so that an outcome costs the
//! same in a pool of ten and of ten thousand. Only when a decision about the service as a whole is
//! another (sorry server, guard, watermarks) all destinations are gone through.

use super::entry::{Drainage, Goal};
use super::event::{Cause, PoolEvent};
use super::member::{Member, State, View};
use super::quorum::Quorum;
use super::settings::{Guard, Leaving, OnLimit, OnLowQuorum};
use super::{Pool, Shutdown};
use crate::aggregate::{Desired, Reason, Removal};
use crate::outcome::AdminHint;

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
    /// Draws the conclusions of changes to some destinations, as of one change.
    pub(super) fn touch(&mut self, slots: &[usize]) {
        let mut failed = Vec::new();
        for slot in slots {
            self.review(*slot, &mut failed);
        }
        let moved = self.limit_ejections(&mut failed);
        let all = self.decide();
        self.freeze(&failed);
        if all {
            self.pursue_all();
        } else {
            for slot in moved.iter().chain(slots) {
                self.pursue(*slot);
            }
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
        self.ejections_moved = true;
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
        member.aggregate.tick(now);
        let view = member.look(now);
        if !view.is_undecided && !member.is_leaving {
            member.adopted = None;
        }
        if view.is_healthy {
            member.frozen = None;
        }
        let before = member.view.replace(view);
        let of = |view: &View| (view.is_sound, view.is_eligible, view.sound_weight);
        self.ejections_moved |= before.as_ref().map(of) != Some(of(&view));
        if let Some(before) = &before {
            self.sums.subtract(before);
        }
        self.sums.add(&view);
        if self.stopped.is_some() || member.is_leaving {
            return;
        }
        let before = match before {
            Some(before) => before,
            // How it is at the start is told if asked for; but it has not failed.
            None if self.settings.initial_events => View {
                is_up: !view.is_up,
                is_healthy: false,
                vote: AdminHint::Ready,
                ..view
            },
            None => return,
        };
        let destination = || member.key.clone();
        if before.vote != view.vote {
            self.events.push(PoolEvent::Voted {
                destination: destination(),
                from: before.vote,
                to: view.vote,
            });
        }
        // A first verdict against it is told, although it was not up before; unless that was told.
        let is_refused = before.is_undecided && !view.is_undecided && !view.is_up;
        let was_up = before.is_up || (is_refused && !self.settings.initial_events);
        match (was_up, view.is_up) {
            (false, true) => self.events.push(PoolEvent::Up {
                destination: destination(),
            }),
            (true, false) => self.events.push(PoolEvent::Down {
                destination: destination(),
                cause: member.why_down(now),
            }),
            _ => {}
        }
        if before.is_healthy && !view.is_healthy && view.is_eligible {
            failed.push(slot);
        }
    }

    /// Decides which ejections count: the oldest, as many as the limit allows, and none if they
    /// would leave nobody with a weight. Returns whose are other than before.
    fn limit_ejections(&mut self, failed: &mut Vec<usize>) -> Vec<usize> {
        // Most reports change nothing here, however many are ejected.
        if !core::mem::take(&mut self.ejections_moved) || self.ejected.is_empty() {
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
        let views: Vec<_> = slots.iter().map(|slot| sound(*slot)).collect();
        let lost = views.iter().flatten().take(limit);
        let lost: u64 = lost.map(|view| u64::from(view.sound_weight)).sum();
        let mut left = if lost >= self.sums.sound_weight {
            0
        } else {
            limit
        };
        let mut moved = Vec::new();
        for (slot, view) in slots.into_iter().zip(views) {
            let is_ejected = view.is_some() && left > 0;
            left = left.saturating_sub(is_ejected.into());
            let member = self.members.get_mut(slot);
            if let Some(member) = member.filter(|member| member.is_ejected != is_ejected) {
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
        let is_changed = decisions.quorum.update(weight, quorum, hysteresis);
        // Before the start there was none.
        let is_told = !self.is_started && (decisions.quorum.is_up || settings.initial_events);
        if is_changed || is_told {
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
            let member = self.members.get_mut(*slot);
            if let Some(member) = member.filter(|member| member.entry.weight() > 0) {
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
        if (member.entry.now != before || member.is_gone()) && !member.is_dirty {
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
            _ if sorry.is_needed => Goal::Serve(settings.weight, Cause::SorryNeeded),
            (None, removal) => away(removal, Cause::SorryIdle, OnLimit::Delete),
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
        // Only the telling is left.
        if member.is_gone() {
            return Goal::Gone(member.entry.cause);
        }
        if let Some(how) = self.stopped {
            return how.goal(member.entry.now, settings);
        }
        if member.is_leaving {
            let limit = match (settings.leaving, removal) {
                (Leaving::Delete, _) | (Leaving::ByRemoval, Removal::Remove) => {
                    return Goal::Gone(Cause::NotConfigured);
                }
                (Leaving::ByRemoval, Removal::DrainThenRemove { limit }) => limit,
                (Leaving::ByRemoval, Removal::Inhibit) | (Leaving::Drain, _) => {
                    settings.drain.limit
                }
            };
            return Goal::Drain(Drainage {
                cause: Cause::NotConfigured,
                limit,
                on_limit,
                stays: false,
            });
        }
        let away = |cause| away(removal, cause, on_limit);
        if !self.decisions.is_offered {
            return away(Cause::Withdrawn);
        }
        match member.aggregate.admin() {
            AdminHint::Maint => return away(Cause::Own(Reason::Maint)),
            AdminHint::Drain => {
                return Goal::Drain(Drainage {
                    cause: Cause::Own(Reason::Drain),
                    limit: settings.drain.limit,
                    on_limit,
                    stays: !settings.drain.remove_voted,
                });
            }
            AdminHint::Ready => {}
        }
        if self.decisions.is_replaced {
            return away(Cause::Replaced);
        }
        let aggregate = &member.aggregate;
        let unless_guarded = |cause| match (settings.guard, member.frozen) {
            (Some((_, Guard::FailOpen)), _) if self.decisions.is_guarded => {
                Goal::Serve(aggregate.kernel_weight(), Cause::FailOpen)
            }
            (_, Some(weight)) => Goal::Serve(weight, Cause::Frozen),
            _ => away(cause),
        };
        let cause = match member.state(self.now) {
            State::Adopted(Desired::Present { weight }) => {
                return Goal::Serve(weight, Cause::Own(Reason::Adopted));
            }
            State::Adopted(Desired::Absent) => return Goal::Gone(Cause::Own(Reason::Adopted)),
            State::Waiting => return Goal::Gone(Cause::Waiting),
            State::NotYetUp => return away(Cause::Waiting),
            State::Down => return unless_guarded(Cause::Own(aggregate.health_reason())),
            State::Up | State::Unjudged if member.is_ejected => {
                return unless_guarded(Cause::Ejected);
            }
            State::Up => Cause::Own(aggregate.reason()),
            State::Unjudged => Cause::Unjudged,
        };
        Goal::Serve(aggregate.kernel_weight(), cause)
    }
}

impl Shutdown {
    fn goal<D>(self, now: Desired, settings: &super::Settings<D>) -> Goal {
        match self {
            Self::Remove => Goal::Gone(Cause::Stopped),
            Self::Zero if now != Desired::Absent => Goal::Serve(0, Cause::Stopped),
            Self::Leave | Self::Zero => Goal::Stay,
            Self::Drain => Goal::Drain(Drainage {
                cause: Cause::Stopped,
                limit: settings.drain.limit,
                on_limit: settings.drain.on_limit,
                stays: false,
            }),
        }
    }
}

/// Out of service, the way the destination is configured to go.
const fn away(removal: Removal, cause: Cause, on_limit: OnLimit) -> Goal {
    match removal {
        Removal::Remove => Goal::Gone(cause),
        Removal::Inhibit => Goal::Serve(0, cause),
        Removal::DrainThenRemove { limit } => Goal::Drain(Drainage {
            cause,
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

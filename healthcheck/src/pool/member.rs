//! One destination of a pool: what is known of it, and what that makes of it.

use super::entry::Entry;
use super::event::Cause;
use crate::Timestamp;
use crate::aggregate::{Aggregate, Desired, Reason, Standing};
use crate::outcome::AdminHint;

/// What is known of a destination's health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Up,
    /// There was no verdict in time.
    Unjudged,
    Down,
    /// Down only because there is no verdict yet.
    NotYetUp,
    /// It stays as it was found until there is a verdict.
    Adopted(Desired),
    /// It is not there, and waits for a verdict.
    Waiting,
}

/// What counts of a destination in the sums of its pool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct View {
    /// It is configured, and nobody voted it out.
    pub(super) is_eligible: bool,
    /// Eligible, and there is a verdict, or it counts as up without.
    pub(super) is_judged: bool,
    /// The strongest vote.
    pub(super) vote: AdminHint,
    /// Healthy, whatever the votes, and not ejected.
    pub(super) is_up: bool,
    /// Eligible, and healthy but for ejections.
    pub(super) is_sound: bool,
    /// Its weight while it is sound.
    pub(super) sound_weight: u32,
    /// Sound, and not ejected.
    pub(super) is_healthy: bool,
    /// Configured, without a verdict.
    pub(super) is_undecided: bool,
}

impl View {
    /// Of one that does not count.
    const NONE: Self = Self {
        is_eligible: false,
        is_judged: false,
        vote: AdminHint::Ready,
        is_up: false,
        is_sound: false,
        sound_weight: 0,
        is_healthy: false,
        is_undecided: false,
    };

    /// What it adds to the quorum.
    pub(super) const fn weight(&self) -> u32 {
        if self.is_healthy {
            self.sound_weight
        } else {
            0
        }
    }
}

/// A destination.
#[derive(Clone, Debug)]
pub(super) struct Member<D, C> {
    pub(super) key: D,
    pub(super) aggregate: Aggregate<C>,
    /// How it was found, until there is a verdict.
    pub(super) adopted: Option<Desired>,
    /// Until when it waits for a verdict.
    pub(super) grace: Timestamp,
    pub(super) is_leaving: bool,
    /// Whether it is here only to leave, because it was the sorry server.
    pub(super) was_sorry: bool,
    /// Whether it is ejected, and that is acted upon.
    pub(super) is_ejected: bool,
    /// The weight it keeps although it is down.
    pub(super) frozen: Option<u32>,
    /// What of it is in the sums; `None` for one that is new.
    pub(super) view: Option<View>,
    pub(super) entry: Entry,
    pub(super) timer: Option<Timestamp>,
    pub(super) is_dirty: bool,
}

impl<D, C: PartialEq> Member<D, C> {
    pub(super) fn new(key: D, aggregate: Aggregate<C>, grace: Timestamp) -> Self {
        Self {
            key,
            adopted: None,
            grace,
            is_leaving: false,
            was_sorry: false,
            is_ejected: false,
            frozen: None,
            view: None,
            entry: Entry::new(Desired::Absent, Cause::Waiting),
            timer: None,
            is_dirty: false,
            aggregate,
        }
    }

    /// Whether it left both configuration and table, and is to be forgotten.
    pub(super) fn is_gone(&self) -> bool {
        self.is_leaving && self.entry.now == Desired::Absent
    }

    /// What is known of its health.
    pub(super) fn state(&self, now: Timestamp) -> State {
        let is_undecided = self.aggregate.is_undecided();
        if let Some(adopted) = self.adopted.filter(|_| is_undecided) {
            return State::Adopted(adopted);
        }
        match self.aggregate.standing() {
            Standing::Up => State::Up,
            Standing::Down if is_undecided => State::NotYetUp,
            Standing::Down => State::Down,
            Standing::Hold if now < self.grace => State::Waiting,
            Standing::Hold => State::Unjudged,
        }
    }

    /// Why it is not up, votes left aside.
    pub(super) fn why_down(&self, now: Timestamp) -> Cause {
        match self.state(now) {
            State::Up | State::Unjudged => Cause::Ejected,
            State::Down => Cause::Own(self.aggregate.health_reason()),
            State::Adopted(_) => Cause::Own(Reason::Adopted),
            State::NotYetUp | State::Waiting => Cause::Waiting,
        }
    }

    /// What counts of it.
    pub(super) fn look(&self, now: Timestamp) -> View {
        if self.is_leaving {
            return View::NONE;
        }
        let aggregate = &self.aggregate;
        let (is_up, is_judged, weight) = match self.state(now) {
            State::Up | State::Unjudged => (true, true, aggregate.weight()),
            // What was found is in the kernel's terms.
            State::Adopted(Desired::Present { weight }) => {
                let weight = weight.div_ceil(aggregate.scale().max(1));
                (weight > 0, true, weight)
            }
            State::Adopted(Desired::Absent) | State::Down => (false, true, 0),
            State::NotYetUp | State::Waiting => (false, false, 0),
        };
        let vote = aggregate.admin();
        let is_eligible = vote == AdminHint::Ready;
        let is_sound = is_up && is_eligible;
        View {
            is_eligible,
            is_judged: is_judged && is_eligible,
            vote,
            is_up: is_up && !self.is_ejected,
            is_sound,
            sound_weight: if is_sound { weight } else { 0 },
            is_healthy: is_sound && !self.is_ejected,
            is_undecided: aggregate.is_undecided(),
        }
    }

    /// The next time at which something about it changes by itself.
    pub(super) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let drain = self.entry.drain.and_then(|drain| drain.deadline());
        let is_waiting = !self.is_leaving && now < self.grace;
        let grace = (is_waiting && self.state(now) == State::Waiting).then_some(self.grace);
        let own = self.aggregate.next_deadline();
        let own = own.filter(|_| !self.is_leaving);
        [drain, grace, own].into_iter().flatten().min()
    }
}

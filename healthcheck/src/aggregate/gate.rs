//! Health over time: damping, least times up and down, and since when a destination is back.

use core::time::Duration;

use super::Standing;
use super::damping::{Damper, Damping};
use super::desired::Reason;
use crate::Timestamp;

/// What checks say, slowed down.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) damping: Option<Damping>,
    pub(super) min_up: Duration,
    pub(super) min_down: Duration,
    damper: Damper,
    /// What the checks say.
    checked: Standing,
    /// Whether they say so of their own knowledge, and not because [`UnknownAs::Down`](super::UnknownAs::Down).
    proven: bool,
    /// What comes of it.
    shown: Standing,
    /// Since when, if it began with something the checks said.
    since: Option<Timestamp>,
    /// Whether it was down and has not been up since.
    failed: bool,
    /// When it came back after that.
    back_since: Option<Timestamp>,
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self {
            damping: None,
            min_up: Duration::ZERO,
            min_down: Duration::ZERO,
            damper: Damper::new(),
            checked: Standing::Up,
            proven: false,
            shown: Standing::Up,
            since: None,
            failed: false,
            back_since: None,
        }
    }

    /// Goes on from another's past with its own settings.
    pub(super) fn carry(&mut self, old: &Self) {
        *self = Self {
            damping: self.damping,
            min_up: self.min_up,
            min_down: self.min_down,
            ..old.clone()
        };
    }

    /// Takes what the checks say now.
    pub(super) fn step(&mut self, now: Timestamp, checked: Standing, proven: bool) {
        let went_down = self.checked == Standing::Up && checked == Standing::Down && proven;
        if let (true, Some(damping)) = (went_down, &self.damping) {
            self.damper.on_down(damping, now);
        }
        self.checked = checked;
        self.proven = proven;
        self.failed |= checked == Standing::Down && proven;
        let wanted = match checked {
            Standing::Up if self.is_suppressed(now) => Standing::Down,
            other => other,
        };
        if wanted == self.shown {
            if self.failed && self.shown == Standing::Down {
                self.since = self.since.or(Some(now));
            }
            return;
        }
        if self.held_until().is_some_and(|until| now < until) && !self.is_suppressed(now) {
            return;
        }
        self.shown = wanted;
        self.since = (wanted == Standing::Up || self.failed).then_some(now);
        self.back_since = None;
        if wanted == Standing::Up {
            self.back_since = core::mem::take(&mut self.failed).then_some(now);
        }
    }

    /// When what is shown may change, if the checks want another.
    fn held_until(&self) -> Option<Timestamp> {
        let least = match (self.shown, self.checked) {
            (Standing::Up, Standing::Down) => self.min_up,
            (Standing::Down, Standing::Up) => self.min_down,
            _ => return None,
        };
        Some(self.since?.saturating_add(least))
    }

    /// Whether it is out for having been down too often.
    pub(super) fn is_suppressed(&self, now: Timestamp) -> bool {
        self.damping.is_some() && self.damper.is_suppressed(now)
    }

    /// When it may change although no check says anything new.
    pub(super) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let damping = self.damping.and_then(|_| self.damper.until(now));
        let held = self.held_until().filter(|until| now < *until);
        // Suppressed only matters to who would be up.
        let damping = damping.filter(|_| self.checked == Standing::Up);
        damping.max(held)
    }

    /// What comes of it, and why.
    pub(super) fn shown(&self, now: Timestamp) -> (Standing, Reason) {
        let reason = match (self.shown, self.checked) {
            (Standing::Up, Standing::Up) => Reason::Up,
            (Standing::Up, _) => Reason::MinUpTime,
            (Standing::Hold, _) => Reason::Adopted,
            (Standing::Down, Standing::Up) if self.is_suppressed(now) => Reason::Suppressed,
            (Standing::Down, Standing::Up) => Reason::MinDownTime,
            (Standing::Down, _) if self.proven => Reason::Down,
            (Standing::Down, _) => Reason::Unknown,
        };
        (self.shown, reason)
    }

    /// The penalty for going down, 0 without damping.
    pub(super) fn penalty(&self, now: Timestamp) -> f64 {
        self.damping
            .map_or(0.0, |damping| self.damper.penalty(&damping, now))
    }

    /// When it came back after having been down.
    pub(super) const fn back_since(&self) -> Option<Timestamp> {
        self.back_since
    }
}

//! The rise and fall machine of one check.

use core::time::Duration;

use super::delay::{first_wait, jittered, next_start};
use super::{Health, Initial, OnLocalError, Policy};
use crate::Timestamp;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Verdict, WeightHint};

/// Health went from one to another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct HealthChange {
    /// What it was.
    pub from: Health,
    /// What it is.
    pub to: Health,
}

/// What one outcome led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// What the outcome counted as, after
    /// [`with_on_local_error`](Policy::with_on_local_error) was applied.
    pub verdict: Verdict,
    /// The health now.
    pub health: Health,
    /// How it changed, if it did.
    pub change: Option<HealthChange>,
    /// The weight hint in force now. A failure removes it, a success replaces or removes it.
    pub hint: Option<WeightHint>,
    /// Whether the destination asks for no new connections.
    pub no_new: bool,
    /// Whether `hint` or `no_new` is another than before.
    pub hint_changed: bool,
    /// Errors of this host in a row, including this one.
    pub local_errors: u32,
    /// Whether this is worth a line in a log: health changed, a failure while
    /// [`with_log_all_failures`](Policy::with_log_all_failures) is on, or the 1st, 2nd, 4th,
    /// 8th … local error in a row.
    pub log: bool,
    /// Time until the next attempt, without jitter.
    pub delay: Duration,
}

/// The state of one check.
#[derive(Clone, Debug)]
pub struct Machine {
    policy: Policy,
    /// The counter, 0 to `rise + fall - 1`; up while at least `rise`.
    h: u32,
    /// Whether an attempt has said anything yet.
    judged: bool,
    /// Whether an attempt has found it up; until then `rise_first` applies.
    proven: bool,
    /// Successes in a row while not proven.
    first_successes: u16,
    local_errors: u32,
    hint: Option<WeightHint>,
    no_new: bool,
    delay: Duration,
}

impl Machine {
    /// A check nothing is known about yet.
    ///
    /// # Errors
    ///
    /// A setting of the policy is out of range.
    pub fn new(policy: Policy) -> Result<Self, Invalid> {
        policy.validate()?;
        let rise = u32::from(policy.rise);
        let h = match policy.initial {
            Initial::FullyUp => policy.highest(),
            Initial::Up1 | Initial::Keep { up: true } => rise,
            Initial::Down1 => rise.saturating_sub(1),
            Initial::FullyDown | Initial::Keep { up: false } => 0,
        };
        let delay = policy.interval;
        Ok(Self {
            policy,
            h,
            judged: false,
            proven: false,
            first_successes: 0,
            local_errors: 0,
            hint: None,
            no_new: false,
            delay,
        })
    }

    /// Replaces the policy and keeps the health: what was up stays up, settled if it was settled.
    ///
    /// # Errors
    ///
    /// A setting of the new policy is out of range; then nothing has changed.
    pub fn set_policy(&mut self, policy: Policy) -> Result<(), Invalid> {
        policy.validate()?;
        let rise = u32::from(policy.rise);
        self.h = if !self.is_up() {
            self.h.min(rise.saturating_sub(1))
        } else if self.h == self.policy.highest() {
            policy.highest()
        } else {
            let above = self.h.saturating_sub(u32::from(self.policy.rise));
            rise.saturating_add(above).min(policy.highest())
        };
        self.policy = policy;
        self.delay = self.delay();
        Ok(())
    }

    /// The settings in force.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The health; [`Health::Unknown`] until an attempt has said something.
    #[must_use]
    pub fn health(&self) -> Health {
        match (self.judged, self.is_up()) {
            (false, _) => Health::Unknown,
            (true, true) => Health::Up,
            (true, false) => Health::Down,
        }
    }

    /// Whether the last outcomes point to another health than the present one, or none has come:
    /// such a check goes first when attempts have to wait for each other.
    #[must_use]
    pub fn is_transitional(&self) -> bool {
        !self.judged || (self.h > 0 && self.h < self.policy.highest())
    }

    /// Judges one outcome.
    pub fn on_outcome(&mut self, outcome: &Outcome) -> Decision {
        let before = self.health();
        let hint_before = (self.hint, self.no_new);
        let verdict = self.effective_verdict(outcome);
        self.count(verdict);
        match verdict {
            Verdict::Pass | Verdict::PassNoNew => {
                self.hint = outcome.weight;
                self.no_new = verdict == Verdict::PassNoNew;
            }
            Verdict::Fail | Verdict::FailNow => {
                self.hint = None;
                self.no_new = false;
            }
            Verdict::Neutral => self.hint = outcome.weight.or(self.hint),
        }
        self.delay = if verdict == Verdict::Neutral {
            self.policy.interval
        } else {
            self.delay()
        };
        let health = self.health();
        let change = (health != before).then_some(HealthChange {
            from: before,
            to: health,
        });
        Decision {
            verdict,
            health,
            change,
            hint: self.hint,
            no_new: self.no_new,
            hint_changed: hint_before != (self.hint, self.no_new),
            local_errors: self.local_errors,
            log: change.is_some()
                || self.local_errors.is_power_of_two()
                || (verdict.is_fail() && self.policy.log_all_failures),
            delay: self.delay,
        }
    }

    /// When the first attempt starts.
    ///
    /// `key` names the check for [`Spread::Hash`](super::Spread::Hash); `draw` gives evenly
    /// distributed random numbers.
    pub fn first_start(
        &self,
        now: Timestamp,
        key: &str,
        draw: &mut dyn FnMut() -> u64,
    ) -> Timestamp {
        now.saturating_add(first_wait(&self.policy, key, draw))
    }

    /// When the next attempt starts, given when the last one started and ended.
    pub fn next_start(
        &self,
        started: Timestamp,
        ended: Timestamp,
        draw: &mut dyn FnMut() -> u64,
    ) -> Timestamp {
        next_start(
            self.policy.base,
            started,
            ended,
            jittered(&self.policy, self.delay, draw),
        )
    }

    fn is_up(&self) -> bool {
        self.h >= u32::from(self.policy.rise)
    }

    /// The outcome's verdict, unless it is a local error that counts as a failure.
    fn effective_verdict(&mut self, outcome: &Outcome) -> Verdict {
        if outcome.verdict != Verdict::Neutral {
            self.local_errors = 0;
            return outcome.verdict;
        }
        if !outcome.code.is_local() {
            return Verdict::Neutral;
        }
        self.local_errors = self.local_errors.saturating_add(1);
        let rule = match outcome.code {
            Code::LocalNoRoute => self.policy.on_no_route,
            _ => self.policy.on_local_error,
        };
        match rule {
            OnLocalError::Ignore => Verdict::Neutral,
            OnLocalError::Fail => Verdict::Fail,
            OnLocalError::FailAfter(count) if self.local_errors >= count => Verdict::Fail,
            OnLocalError::FailAfter(_) => Verdict::Neutral,
        }
    }

    /// Moves the counter.
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Neutral => return,
            Verdict::Pass | Verdict::PassNoNew => self.rise(),
            Verdict::Fail => {
                self.h = self.h.saturating_sub(1);
                if !self.is_up() {
                    self.h = 0;
                }
                self.first_successes = 0;
            }
            Verdict::FailNow => {
                self.h = 0;
                self.first_successes = 0;
            }
        }
        self.judged = true;
    }

    fn rise(&mut self) {
        let rise = u32::from(self.policy.rise);
        let mut h = self.h.saturating_add(1).min(self.policy.highest());
        if let (false, false, Some(first)) = (self.proven, self.is_up(), self.policy.rise_first) {
            self.first_successes = self.first_successes.saturating_add(1);
            h = if self.first_successes >= first {
                rise
            } else {
                h.min(rise.saturating_sub(1))
            };
        }
        if h >= rise {
            h = self.policy.highest();
            self.proven = true;
        }
        self.h = h;
    }

    /// Time until the next attempt, from the counter.
    fn delay(&self) -> Duration {
        let policy = &self.policy;
        let special = if self.h == policy.highest() {
            None
        } else if self.is_up() {
            policy.fast
        } else if self.h > 0 {
            policy.rising
        } else {
            policy.down
        };
        special.unwrap_or(policy.interval)
    }
}

#[cfg(test)]
mod tests;

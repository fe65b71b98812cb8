//! The rise and fall machine of one check.

use core::time::Duration;

use super::delay::{first_wait, jittered, next_start};
use super::{Health, Initial, Observation, OnError, OnLocalError, Policy};
use crate::Timestamp;
use crate::error::Invalid;
use crate::outcome::{AdminHint, Code, Outcome, Verdict, WeightHint};

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
    /// What the check asks for apart from health: the last vote an outcome carried. Neither
    /// successes nor failures touch it.
    pub admin: Option<AdminHint>,
    /// Whether `hint`, `no_new` or `admin` is another than before.
    pub hint_changed: bool,
    /// Where the counter is, 0 to [`Policy::highest`]; up from `rise` on.
    pub counter: u32,
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
    /// Failures in a row while undecided.
    first_failures: u16,
    local_errors: u32,
    /// Errors of real traffic in a row.
    traffic_errors: u32,
    /// Whether real traffic asks for the next attempt at the fast interval.
    hurried: bool,
    /// Whether the virtual service has traffic.
    traffic: bool,
    suspended: bool,
    hint: Option<WeightHint>,
    no_new: bool,
    admin: Option<AdminHint>,
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
        let mut machine = Self {
            h: first_counter(&policy),
            policy,
            judged: false,
            proven: false,
            first_successes: 0,
            first_failures: 0,
            local_errors: 0,
            traffic_errors: 0,
            hurried: false,
            traffic: true,
            suspended: false,
            hint: None,
            no_new: false,
            admin: None,
            delay: Duration::ZERO,
        };
        machine.delay = machine.delay();
        Ok(machine)
    }

    /// Replaces the policy and keeps the health: what was up stays up, settled if it was settled.
    /// Before the first verdict it starts as the new policy says.
    ///
    /// # Errors
    ///
    /// A setting of the new policy is out of range; then nothing has changed.
    pub fn set_policy(&mut self, policy: Policy) -> Result<(), Invalid> {
        policy.validate()?;
        let rise = u32::from(policy.rise);
        self.h = if !self.judged {
            (self.first_successes, self.first_failures) = (0, 0);
            first_counter(&policy)
        } else if !self.is_up() {
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

    /// Where the counter is, 0 to [`Policy::highest`]; up from `rise` on.
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.h
    }

    /// What the check asks for apart from health: the last vote an outcome carried.
    #[must_use]
    pub const fn admin(&self) -> Option<AdminHint> {
        self.admin
    }

    /// Judges one outcome.
    ///
    /// While [suspended](Self::suspend) it counts as neutral, whatever it says.
    pub fn on_outcome(&mut self, outcome: &Outcome) -> Decision {
        let before = self.before();
        if self.suspended {
            return self.decided(Verdict::Neutral, before, false);
        }
        self.hurried = false;
        let local = outcome.verdict == Verdict::Neutral && outcome.code.is_local();
        let verdict = self.effective_verdict(outcome);
        self.apply(verdict, outcome.weight);
        self.admin = outcome.admin.or(self.admin);
        self.delay = if local && verdict == Verdict::Neutral {
            self.idle().unwrap_or(self.policy.interval)
        } else {
            self.delay()
        };
        let log = local && self.local_errors.is_power_of_two();
        self.decided(verdict, before, log)
    }

    /// Judges what happened to real traffic, if the policy
    /// [wants it](Policy::with_passive); otherwise, or as long as there are not enough errors in a
    /// row, nothing happens.
    ///
    /// If something happened, the next attempt is to come within [`Decision::delay`] from now.
    pub fn observe(&mut self, observation: Observation) -> Option<Decision> {
        let passive = self.policy.passive.filter(|_| !self.suspended)?;
        if observation.is_good(passive.observe)? {
            self.traffic_errors = 0;
            return None;
        }
        self.traffic_errors = self.traffic_errors.saturating_add(1);
        if self.traffic_errors < passive.error_limit {
            return None;
        }
        self.traffic_errors = 0;
        let before = self.before();
        let rise = u32::from(self.policy.rise);
        let verdict = match passive.on_error {
            OnError::FastInterval => Verdict::Neutral,
            OnError::SuddenDeath if self.h > rise => {
                // The failure then takes the last step but one.
                self.h = rise.saturating_add(1);
                Verdict::Fail
            }
            OnError::FailCheck | OnError::SuddenDeath => Verdict::Fail,
            OnError::MarkDown => Verdict::FailNow,
        };
        self.apply(verdict, None);
        self.hurried = true;
        self.delay = self.delay();
        Some(self.decided(verdict, before, false))
    }

    /// Says whether the virtual service has traffic; it has until told otherwise.
    ///
    /// Without traffic the [idle interval](Policy::with_idle_interval) applies, if there is one.
    /// Returns whether the delay has changed, so that the next attempt is worth planning anew.
    pub fn set_traffic(&mut self, traffic: bool) -> bool {
        self.traffic = traffic;
        let before = core::mem::take(&mut self.delay);
        self.delay = self.delay();
        before != self.delay
    }

    /// Stops judging: until [`resume`](Self::resume) every outcome is neutral, also one of an
    /// attempt that is running. Health, counter, hints and votes stay as they are.
    ///
    /// For a standby that checks nothing; keepalived's `ha_suspend`.
    pub fn suspend(&mut self) {
        self.suspended = true;
    }

    /// Goes on where [`suspend`](Self::suspend) stopped; errors in a row from before are forgotten.
    pub fn resume(&mut self) {
        self.suspended = false;
        self.local_errors = 0;
        self.traffic_errors = 0;
    }

    /// Whether it is suspended.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.suspended
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

    /// What a decision compares with.
    fn before(&self) -> (Health, Contribution) {
        (self.health(), self.contribution())
    }

    fn contribution(&self) -> Contribution {
        (self.hint, self.no_new, self.admin)
    }

    fn decided(
        &self,
        verdict: Verdict,
        (from, contribution): (Health, Contribution),
        log: bool,
    ) -> Decision {
        let to = self.health();
        let change = (from != to).then_some(HealthChange { from, to });
        Decision {
            verdict,
            health: to,
            change,
            hint: self.hint,
            no_new: self.no_new,
            admin: self.admin,
            hint_changed: contribution != self.contribution(),
            counter: self.h,
            local_errors: self.local_errors,
            log: log || change.is_some() || (verdict.is_fail() && self.policy.log_all_failures),
            delay: self.delay,
        }
    }

    /// Moves the counter and takes over the hint.
    fn apply(&mut self, verdict: Verdict, weight: Option<WeightHint>) {
        self.count(verdict);
        match verdict {
            Verdict::Pass | Verdict::PassNoNew => {
                self.hint = weight;
                self.no_new = verdict == Verdict::PassNoNew;
            }
            Verdict::Fail | Verdict::FailNow => {
                self.hint = None;
                self.no_new = false;
            }
            Verdict::Neutral => self.hint = weight.or(self.hint),
        }
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
        let undecided = !self.judged && self.policy.initial == Initial::Undecided;
        match verdict {
            Verdict::Neutral => {}
            _ if undecided => self.count_undecided(verdict),
            Verdict::Pass | Verdict::PassNoNew => {
                self.rise();
                self.judged = true;
            }
            Verdict::Fail => {
                self.h = self.h.saturating_sub(1);
                self.fell(self.is_up());
            }
            Verdict::FailNow => self.fell(false),
        }
    }

    /// After a failure.
    fn fell(&mut self, still_up: bool) {
        if !still_up {
            self.h = 0;
        }
        self.first_successes = 0;
        self.judged = true;
    }

    /// Waits for as many of one kind in a row as it takes.
    fn count_undecided(&mut self, verdict: Verdict) {
        if verdict.is_pass() {
            self.first_failures = 0;
            self.first_successes = self.first_successes.saturating_add(1);
            let needed = self.policy.rise_first.unwrap_or(self.policy.rise);
            if self.first_successes >= needed {
                self.h = self.policy.highest();
                self.judged = true;
                self.proven = true;
            }
        } else {
            self.first_successes = 0;
            self.first_failures = self.first_failures.saturating_add(1);
            if verdict == Verdict::FailNow || self.first_failures >= self.policy.fall {
                self.fell(false);
            }
        }
    }

    fn rise(&mut self) {
        let rise = u32::from(self.policy.rise);
        let mut h = self.h.saturating_add(1).min(self.policy.highest());
        if !self.proven && !self.is_up() {
            self.first_successes = self.first_successes.saturating_add(1);
            match self.policy.rise_first {
                Some(first) if self.first_successes >= first => h = rise,
                Some(_) => h = h.min(rise.saturating_sub(1)),
                None => {}
            }
        }
        if h >= rise {
            h = self.policy.highest();
            self.proven = true;
        }
        self.h = h;
    }

    /// Time until the next attempt; the conditions of the table of delays, in their order of
    /// precedence.
    fn delay(&self) -> Duration {
        let policy = &self.policy;
        let special = if let Some(idle) = self.idle() {
            Some(idle)
        } else if self.hurried || !self.judged {
            policy.fast
        } else if self.h == policy.highest() {
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

    /// The idle interval, if it applies.
    fn idle(&self) -> Option<Duration> {
        let (idle, idle_up) = (self.policy.idle, self.policy.idle_up);
        match (self.traffic, self.health()) {
            (true, _) => None,
            (false, Health::Up) => idle_up.or(idle),
            (false, _) => idle,
        }
    }
}

/// What a check says besides its health.
type Contribution = (Option<WeightHint>, bool, Option<AdminHint>);

/// Where the counter starts.
fn first_counter(policy: &Policy) -> u32 {
    let rise = u32::from(policy.rise);
    match policy.initial {
        Initial::FullyUp => policy.highest(),
        Initial::Up1 | Initial::Keep { up: true } => rise,
        Initial::Down1 => rise.saturating_sub(1),
        Initial::FullyDown | Initial::Undecided | Initial::Keep { up: false } => 0,
    }
}

#[cfg(test)]
mod tests;

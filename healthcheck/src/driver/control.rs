//! Whether a driver would take a check, and what a caller tells it of one that is there: another policy, what happened to real
//! traffic, what somebody else found out, and when not to judge.

use core::fmt;
use core::time::Duration;

use super::entry::{Subscriber, time_of};
use super::{Driver, draw, spawn};
use crate::Timestamp;
use crate::check::{Check, CheckEvent, CheckId, Report, Source};
use crate::error::{Error, Invalid};
use crate::outcome::Outcome;
use crate::policy::{Health, Machine, Observation, Policy};
use crate::probe::Resource;

impl Driver {
    /// Says whether [`add`](Self::add) would take this check, without adding it.
    ///
    /// # Errors
    ///
    /// As those of [`add`](Self::add), but for their number.
    pub fn validate(&self, check: &Check) -> Result<(), Error> {
        self.examine(check).map(drop)
    }

    /// What judges a check, if it can be run here.
    pub(super) fn examine(&self, check: &Check) -> Result<Machine, Error> {
        check.probe.validate()?;
        let machine = Machine::new(check.policy.clone())?;
        let resource = check.probe.resource();
        if resource == Resource::Process && spawn::child_status_is_lost() {
            return Err(Error::ChildStatusLost);
        }
        if resource == Resource::Task && !self.has_runtime() {
            return Err(Error::NoRuntime);
        }
        Ok(machine)
    }

    /// Replaces a check's policy and keeps its health. The next attempt comes as planned, or
    /// earlier if the new policy wants it earlier. One that shares attempts and gets another time for
    /// them leaves the others, and an attempt that is running.
    ///
    /// # Errors
    ///
    /// There is no such check, or a setting is out of range; then nothing has changed.
    pub fn set_policy(&mut self, check: CheckId, policy: Policy) -> Result<(), Error> {
        let now = self.now();
        let mut random = self.random;
        let slot = self.slot_of(check)?;
        let entry = self.entry_at(slot).ok_or(Error::UnknownCheck(check))?;
        let (runs, alone) = (entry.running.is_some(), entry.subscribers.len() == 1);
        let (probe, key) = (entry.probe.clone(), entry.key);
        let subscriber = entry.subscriber(check).ok_or(Error::UnknownCheck(check))?;
        let before = time_of(subscriber.machine.policy());
        subscriber.machine.set_policy(policy.clone())?;
        if !(runs && subscriber.takes_part) {
            let next = subscriber.next_start(now, now, &mut || draw(&mut random));
            subscriber.due = subscriber.due.min(next);
        }
        self.random = random;
        if key.is_none() || before == time_of(&policy) {
            self.replan(slot);
        } else if alone {
            self.identical.remove(key);
            let key = self.identical.key(&*probe, &policy);
            let key = key.filter(|key| self.identical.insert(*key, slot));
            if let Some(entry) = self.entry_at(slot) {
                entry.key = key;
            }
            self.replan(slot);
        } else {
            // The others keep their time, so it goes where attempts have as much as it wants.
            let to = self.place(&probe, &policy, false)?;
            if let Some(mut subscriber) = self.unsubscribe(slot, check) {
                if runs && subscriber.takes_part {
                    subscriber.due = now;
                    subscriber.takes_part = false;
                }
                self.checks.set(check, Some(to));
                if let Some(entry) = self.entry_at(to) {
                    entry.subscribers.push(subscriber);
                }
            }
            self.replan(to);
        }
        self.arm()
    }

    /// Says what happened to real traffic of a check's target, for policies that
    /// [want to know](Policy::with_passive).
    ///
    /// What comes of it is the next event of [`poll`](Self::poll): a [`Report`] from
    /// [`Source::Traffic`], with an outcome that stands for the errors. Most observations change
    /// nothing, and nothing is reported of them. After too many errors the next attempt comes after
    /// the fast interval at the latest.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lvs_healthcheck::policy::{Observation, Observe, OnError, Passive, Policy};
    /// use lvs_healthcheck::{Check, CheckEvent, Config, Driver, Health, Target, TcpProbe};
    ///
    /// let passive = Passive::new(Observe::Layer4).with_error_limit(2).with_on_error(OnError::MarkDown);
    /// let probe = TcpProbe::new(Target::new("127.0.0.1:9".parse()?));
    /// let mut driver = Driver::new(Config::default())?;
    /// let policy = Policy::default().with_interval(Duration::from_secs(600)).with_passive(passive);
    /// let check = driver.add(Check::new(probe, policy))?;
    ///
    /// driver.observe(check, Observation::ConnectFailed)?;
    /// driver.observe(check, Observation::ConnectFailed)?;
    /// let mut events = Vec::new();
    /// driver.poll(Some(Duration::ZERO), &mut events)?;
    /// let Some(CheckEvent::Completed(report)) = events.first() else { panic!("nothing") };
    /// assert_eq!(report.health, Health::Down);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such check.
    pub fn observe(&mut self, check: CheckId, observation: Observation) -> Result<(), Error> {
        let now = self.now();
        let slot = self.slot_of(check)?;
        let subscriber = self.subscriber(slot, check)?;
        let Some(decision) = subscriber.machine.observe(observation) else {
            return Ok(());
        };
        subscriber.due = subscriber.due.min(now.saturating_add(decision.delay));
        let mut outcome = observation.outcome();
        outcome.verdict = decision.verdict;
        let report = Report::new(
            (check, subscriber.attempts),
            Source::Traffic,
            (now, now),
            outcome,
            &decision,
        );
        self.told.push(CheckEvent::Completed(report));
        self.replan(slot);
        self.arm()
    }

    /// Judges an outcome that somebody else found out, of a check whose probe
    /// [waits for such](crate::probe::PushProbe). What comes of it is the next event of
    /// [`poll`](Self::poll): a [`Report`] from [`Source::Reporter`].
    ///
    /// # Errors
    ///
    /// There is no such check, or its probe finds out by itself.
    pub fn report(&mut self, check: CheckId, outcome: Outcome) -> Result<(), Error> {
        let now = self.now();
        let slot = self.slot_of(check)?;
        let subscriber = self.subscriber(slot, check)?;
        let Some(ttl) = subscriber.ttl else {
            let limit = "must be one that waits for reports, see PushProbe";
            return Err(Invalid::new("check", check.to_string(), limit).into());
        };
        let decision = subscriber.machine.on_outcome(&outcome);
        subscriber.due = now.saturating_add(ttl);
        let report = Report::new(
            (check, subscriber.attempts),
            Source::Reporter,
            (now, now),
            outcome,
            &decision,
        );
        self.told.push(CheckEvent::Completed(report));
        self.replan(slot);
        self.arm()
    }

    /// Says whether a check's virtual service has traffic; it has until told otherwise. Without it
    /// the [idle interval](Policy::with_idle_interval) applies, if there is one.
    ///
    /// # Errors
    ///
    /// There is no such check.
    pub fn set_traffic(&mut self, check: CheckId, traffic: bool) -> Result<(), Error> {
        let now = self.now();
        let mut random = self.random;
        let slot = self.slot_of(check)?;
        let subscriber = self.subscriber(slot, check)?;
        if subscriber.machine.set_traffic(traffic) {
            let next = subscriber.next_start(now, now, &mut || draw(&mut random));
            subscriber.due = subscriber.due.min(next);
        }
        self.random = random;
        self.replan(slot);
        self.arm()
    }

    /// Stops a check until it is [resumed](Self::resume): no attempt begins, and the outcome of one
    /// that is running is neutral. Health, hints and votes stay as they are. Checks that share its
    /// attempts go on.
    ///
    /// For a standby that checks nothing; keepalived's `ha_suspend`.
    ///
    /// # Errors
    ///
    /// There is no such check.
    pub fn suspend(&mut self, check: CheckId) -> Result<(), Error> {
        let slot = self.slot_of(check)?;
        self.subscriber(slot, check)?.machine.suspend();
        self.replan(slot);
        self.arm()
    }

    /// Goes on with a check that was [suspended](Self::suspend), at the times it would have had
    /// attempts without that, so that many of them do not start at once. Nothing happens if it was
    /// not suspended.
    ///
    /// # Errors
    ///
    /// There is no such check.
    pub fn resume(&mut self, check: CheckId) -> Result<(), Error> {
        let now = self.now();
        let slot = self.slot_of(check)?;
        self.subscriber(slot, check)?.resume(now);
        self.replan(slot);
        self.arm()
    }

    /// [Suspends](Self::suspend) every check there is.
    ///
    /// # Errors
    ///
    /// The operating system refuses to set the timer.
    pub fn suspend_all(&mut self) -> Result<(), Error> {
        self.for_all(|subscriber| subscriber.machine.suspend())
    }

    /// [Resumes](Self::resume) every check there is.
    ///
    /// # Errors
    ///
    /// The operating system refuses to set the timer.
    pub fn resume_all(&mut self) -> Result<(), Error> {
        let now = self.now();
        self.for_all(|subscriber| subscriber.resume(now))
    }

    fn for_all(&mut self, change: impl Fn(&mut Subscriber)) -> Result<(), Error> {
        for slot in 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX) {
            if let Some(entry) = self.entry_at(slot) {
                entry.subscribers.iter_mut().for_each(&change);
                self.replan(slot);
            }
        }
        self.arm()
    }

    /// Whether a check is [suspended](Self::suspend); not if there is no such check.
    #[must_use]
    pub fn is_suspended(&self, check: CheckId) -> bool {
        self.looked_up(check).is_some_and(Subscriber::is_asleep)
    }

    /// A check's health now; `None` if there is no such check.
    #[must_use]
    pub fn health(&self, check: CheckId) -> Option<Health> {
        Some(self.looked_up(check)?.machine.health())
    }

    /// What is worth a line in a log about attempts that started late by more than their interval
    /// because of a limit: at most once a minute, and nothing while there are none.
    pub fn overload(&mut self) -> Option<Overload> {
        let (now, load) = (self.now(), self.timetable.load());
        self.overloads.tell(now, load.late_total, load.latest)
    }

    fn looked_up(&self, check: CheckId) -> Option<&Subscriber> {
        let entry = self.entries.get(self.checks.entry_of(check)?)?.as_ref()?;
        entry.subscribers.iter().find(|this| this.id == check)
    }

    fn subscriber(&mut self, slot: u32, check: CheckId) -> Result<&mut Subscriber, Error> {
        let entry = self.entry_at(slot).ok_or(Error::UnknownCheck(check))?;
        entry.subscriber(check).ok_or(Error::UnknownCheck(check))
    }
}

/// Attempts are late; see [`Driver::overload`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Overload {
    /// Attempts that started late by more than their interval since this was last told.
    pub late: u64,
    /// The longest an attempt was late so far.
    pub latest: Duration,
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} attempts started late by more than their interval, the latest so far by {:?}",
            self.late, self.latest
        )
    }
}

/// What was told of late attempts.
#[derive(Debug, Default)]
pub(super) struct Overloads {
    told: u64,
    /// When to tell again at the earliest.
    next: Timestamp,
}

impl Overloads {
    /// How often it is told at most.
    const INTERVAL: Duration = Duration::from_secs(60);

    fn tell(&mut self, now: Timestamp, total: u64, latest: Duration) -> Option<Overload> {
        let late = total.saturating_sub(self.told);
        if late == 0 || now < self.next {
            return None;
        }
        self.told = total;
        self.next = now.saturating_add(Self::INTERVAL);
        Some(Overload { late, latest })
    }
}

impl Subscriber {
    /// Goes on after a suspension.
    fn resume(&mut self, now: Timestamp) {
        if !self.is_asleep() {
            return;
        }
        self.machine.resume();
        self.due = match self.ttl {
            Some(ttl) => now.saturating_add(ttl),
            None => next_of(self.due, self.machine.policy().interval(), now),
        };
    }
}

/// The first of a row of times that has not passed.
fn next_of(first: Timestamp, interval: Duration, now: Timestamp) -> Timestamp {
    let late = now.saturating_sub(first).as_nanos();
    let steps = late.div_ceil(interval.as_nanos().max(1));
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    first
        .saturating_add(interval.saturating_mul(steps))
        .max(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_attempts_are_told_once_a_minute() {
        let at = Duration::from_secs;
        let mut overloads = Overloads::default();
        assert_eq!(overloads.tell(at(100), 0, at(0)), None);
        let told = overloads.tell(at(101), 3, at(2)).unwrap();
        assert_eq!(
            told.to_string(),
            "3 attempts started late by more than their interval, the latest so far by 2s"
        );
        assert_eq!(overloads.tell(at(160), 7, at(2)), None);
        let told = overloads.tell(at(161), 8, at(9)).unwrap();
        assert_eq!((told.late, told.latest), (5, at(9)));
        assert_eq!(overloads.tell(at(300), 8, at(9)), None, "none since");
    }

    #[test]
    fn suspended_checks_go_on_where_they_would_have_been() {
        let second = Duration::from_secs(1);
        for (first, now, next) in [(3, 3, 3), (3, 2, 3), (3, 4, 8), (3, 8, 8), (3, 61, 63)] {
            let at = next_of(first * second, 5 * second, now * second);
            assert_eq!(at, next * second, "{first} {now}");
        }
        assert_eq!(next_of(Duration::ZERO, Duration::ZERO, second), second);
    }
}

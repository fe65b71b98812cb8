//! The director's shell: one loop over checks, kernel and signals, on the caller's thread.

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::os::fd::AsFd as _;

use lvs_healthcheck::{CheckEvent, CheckId, Driver};
use lvs_ipvs::{
    Client, Drain, LedgerFile, Outcome, Plan, Policy, Reconciler, Scope, Surplus, Table, Timestamp,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::director::{Director, Finding, Notice};
use crate::pool::CheckNumber;
use crate::setup::Setup;
use crate::signals::{Signal, Signals};

/// The longest wait before a table that could not be read or written is looked at again.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Looks after which a withdrawal gives up.
const WITHDRAWAL_LOOKS: u32 = 3;

/// What ends the director; what goes wrong with single entries of the table, or with a table that
/// could be read before, is reported and tried again.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The kernel's table cannot be read or written.
    #[error(transparent)]
    Ipvs(#[from] lvs_ipvs::Error),
    /// A check cannot be run.
    #[error(transparent)]
    Check(#[from] lvs_healthcheck::Error),
    /// Waiting failed.
    #[error("cannot wait for events: {0}")]
    Wait(#[from] Errno),
}

/// Something the director did or found; `Display` of its parts is a line for people.
#[non_exhaustive]
#[derive(Debug)]
pub enum Happening<'a> {
    /// About checks and servers.
    Notice(&'a Notice),
    /// Services that were in the table already and are kept in order from now on.
    Adopted(lvs_ipvs::ServiceKey),
    /// A change to the table, whether somebody else made it necessary, and what became of it.
    Change {
        /// The change.
        change: &'a lvs_ipvs::Change,
        /// Whether it undoes what somebody else did.
        drift: bool,
        /// What became of it.
        outcome: &'a Outcome,
    },
    /// The changes of one look are through.
    Applied,
    /// The table could not be read or written as a whole; that is tried again.
    LookFailed(&'a lvs_ipvs::Error),
    /// A signal that is not acted upon yet.
    SignalIgnored(&'static str),
}

/// A line for people; empty for [`Happening::Applied`].
impl fmt::Display for Happening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notice(notice) => notice.fmt(f),
            Self::Adopted(key) => write!(f, "adopted {key}, which was there already"),
            Self::Change {
                change,
                drift,
                outcome,
            } => {
                let word = if *drift { "repair " } else { "table  " };
                match outcome {
                    Outcome::Done => write!(f, "{word} {change}"),
                    failed => {
                        let kind = lvs_ipvs::RequestKind::of_change(change);
                        match (*failed).clone().into_result(kind) {
                            Ok(()) => write!(f, "{word} {change}"),
                            Err(error) => write!(f, "{word} {change}\nfailed  {error}"),
                        }
                    }
                }
            }
            Self::Applied => Ok(()),
            Self::LookFailed(error) => write!(f, "failed  {error}; the table is looked at again"),
            Self::SignalIgnored(name) => write!(f, "signal  {name} is not acted upon yet"),
        }
    }
}

/// Why [`Runner::run_until`] returned.
#[expect(clippy::exhaustive_enums, reason = "time or signal")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// The time has come.
    Time,
    /// SIGTERM or SIGINT.
    Asked,
}

/// Runs a director: checks through a driver, the table through a client.
#[derive(Debug)]
pub struct Runner {
    director: Director,
    driver: Driver,
    client: Client,
    reconciler: Reconciler,
    /// What is ours, on disk.
    ledger: Option<LedgerFile>,
    /// Nothing is desired any more, whatever the checks say.
    is_leaving: bool,
    /// Whether the table could be read once: then that it cannot be is a passing trouble.
    has_read: bool,
    /// Looks in a row that failed.
    failed_looks: u32,
    /// Not before this is the next look, after one that failed.
    retry: Option<Timestamp>,
    numbers: HashMap<CheckId, CheckNumber>,
    signals: Signals,
    events: Vec<CheckEvent>,
    notices: Vec<Notice>,
    stats: RunStats,
}

/// What a run came to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RunStats {
    /// Attempts of checks.
    pub attempts: u64,
    /// Changes of the table that were done.
    pub changes: u64,
    /// Changes of the table that were refused, or of which nobody knows.
    pub failures: u64,
}

impl Runner {
    /// Takes over a setup: sets timeouts, gives the checks to the driver. The table is first
    /// touched by [`run_until`](Self::run_until).
    ///
    /// # Errors
    ///
    /// The kernel refuses the timeouts, or a check cannot be run.
    pub fn new(
        setup: Setup,
        mut client: Client,
        mut driver: Driver,
        signals: Signals,
    ) -> Result<Self, RunError> {
        if setup.timeouts != lvs_ipvs::Timeouts::default() {
            client.set_timeouts(setup.timeouts)?;
        }
        let director = Director::new(setup.pools, &setup.checks);
        let mut numbers = HashMap::new();
        for (number, planned) in setup.checks.into_iter().enumerate() {
            numbers.insert(driver.add(planned.check)?, CheckNumber(number));
        }
        // What is ours is what the configuration names; the reconciler removes nothing else.
        let mut runner = Self {
            director,
            driver,
            client,
            reconciler: Reconciler::new(Policy::new(Scope::all())),
            ledger: None,
            is_leaving: false,
            has_read: false,
            failed_looks: 0,
            retry: None,
            numbers,
            signals,
            events: Vec::new(),
            notices: Vec::new(),
            stats: RunStats::default(),
        };
        runner.desire();
        Ok(runner)
    }

    /// Lets what is not configured any more, and at the [end](Self::drain) everything, finish its
    /// connections for at most that long. Servers that failed are still removed at once.
    #[must_use]
    pub fn with_drain(mut self, limit: Duration) -> Self {
        let policy = self.reconciler.policy().clone();
        let policy = policy
            .with_surplus_services(Surplus::Drain)
            .with_surplus_destinations(Surplus::Drain)
            .with_drain(Drain::new().with_limit(Some(limit)));
        self.reconciler.set_policy(policy);
        self
    }

    /// Keeps in that file what is ours, so that the next run knows what one that was killed left
    /// behind: what of it is not configured any more is removed.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is no ledger.
    pub fn with_ledger(mut self, mut file: LedgerFile) -> Result<Self, RunError> {
        self.reconciler = self.reconciler.with_ledger(file.load()?);
        self.ledger = Some(file);
        Ok(self)
    }

    /// What should be in the table is another now. Servers that failed are no loss; others that are
    /// surplus are treated as the policy says.
    fn desire(&mut self) {
        if self.is_leaving {
            return;
        }
        self.reconciler.set_desired(self.director.desired());
        for pool in self.director.pools() {
            for (service, destination) in pool.failed() {
                let at_once = Some(Surplus::Delete);
                self.reconciler.set_surplus(service, destination, at_once);
            }
        }
    }

    /// Now, on the clock of this runner.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.driver.now()
    }

    /// The core.
    #[must_use]
    pub const fn director(&self) -> &Director {
        &self.director
    }

    /// What was done so far.
    #[must_use]
    pub const fn stats(&self) -> RunStats {
        self.stats
    }

    /// The kernel's table as it is.
    ///
    /// # Errors
    ///
    /// The table cannot be read.
    pub fn table(&mut self) -> Result<Table, RunError> {
        Ok(self.client.snapshot()?.table())
    }

    /// Replaces the configured weight of a server; see [`Director::set_weight`].
    pub fn set_weight(&mut self, pool: usize, server: usize, weight: u32) {
        if self
            .director
            .set_weight(pool, server, weight, &mut self.notices)
        {
            self.desire();
        }
    }

    /// Runs until that time (`None`: until told to stop), telling `report` what happens.
    ///
    /// # Errors
    ///
    /// The table cannot be read for the first time, or waiting failed. Refused changes are
    /// reported and tried again, and so are later looks that fail.
    pub fn run_until(
        &mut self,
        end: Option<Timestamp>,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<Stop, RunError> {
        loop {
            for notice in self.notices.drain(..) {
                report(&Happening::Notice(&notice));
            }
            let now = self.now();
            if self.next_look().is_some_and(|look| look <= now) {
                self.look(report)?;
            }
            let now = self.now();
            if end.is_some_and(|end| end <= now) {
                return Ok(Stop::Time);
            }
            let next = [end, self.next_look()].into_iter().flatten().min();
            self.wait(next.map(|next| next.saturating_sub(now)))?;
            if let Some(stop) = self.take_signals(report)? {
                return Ok(stop);
            }
            self.run_checks()?;
        }
    }

    /// Waits for checks or signals.
    fn wait(&self, time: Option<Duration>) -> Result<(), RunError> {
        // Rounded up: a wait cut short would only be repeated.
        let timeout = time.map_or(PollTimeout::NONE, |time| {
            let millis = time.as_micros().div_ceil(1000);
            i32::try_from(millis)
                .ok()
                .and_then(|millis| PollTimeout::try_from(millis).ok())
                .unwrap_or(PollTimeout::MAX)
        });
        let mut descriptors = [
            PollFd::new(self.driver.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn take_signals(
        &mut self,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<Option<Stop>, RunError> {
        while let Some(signal) = self.signals.take()? {
            match signal {
                Signal::Stop => return Ok(Some(Stop::Asked)),
                Signal::Ignored(name) => report(&Happening::SignalIgnored(name)),
            }
        }
        Ok(None)
    }

    /// Does what is ready; everything that came together becomes one change of the table.
    fn run_checks(&mut self) -> Result<(), RunError> {
        self.driver.poll(Some(Duration::ZERO), &mut self.events)?;
        let mut changed = false;
        for event in self.events.drain(..) {
            let CheckEvent::Completed(completed) = event else {
                continue;
            };
            self.stats.attempts += 1;
            if let Some(number) = self.numbers.get(&completed.check) {
                let finding = Finding::from(&completed);
                changed |= self.director.update(*number, &finding, &mut self.notices);
            }
        }
        if changed {
            self.desire();
        }
        Ok(())
    }

    fn next_look(&self) -> Option<Timestamp> {
        let look = self.reconciler.next_look()?;
        Some(self.retry.map_or(look, |retry| retry.max(look)))
    }

    /// Looks at the table and puts it in order. What fails the first time is a reason to end;
    /// later the kernel goes on with the table it has, and the next look may succeed.
    fn look(&mut self, report: &mut dyn FnMut(&Happening<'_>)) -> Result<(), RunError> {
        match self.reconcile(report) {
            Ok(()) => {
                self.failed_looks = 0;
                self.retry = None;
            }
            Err(error) if self.has_read => {
                let wait = Duration::from_secs(1 << self.failed_looks.min(5)).min(LONGEST_RETRY);
                self.retry = Some(self.now().saturating_add(wait));
                self.failed_looks = self.failed_looks.saturating_add(1);
                report(&Happening::LookFailed(&error));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn reconcile(&mut self, report: &mut dyn FnMut(&Happening<'_>)) -> Result<(), lvs_ipvs::Error> {
        let snapshot = self.client.snapshot()?;
        self.has_read = true;
        let (plan, _) = self.reconciler.step(self.now(), &snapshot);
        // Before anything is created, so that there is no moment at which nobody knows whose it is.
        self.store_ledger()?;
        for key in self.reconciler.adopted() {
            report(&Happening::Adopted(*key));
        }
        self.apply(&plan, report)
    }

    fn apply(
        &mut self,
        plan: &Plan,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<(), lvs_ipvs::Error> {
        let outcomes = self.client.apply(plan)?;
        for (step, (change, outcome)) in plan.steps().iter().zip(outcomes.entries()) {
            self.reconciler.record(change, outcome);
            match outcome {
                Outcome::Done => self.stats.changes += 1,
                _ => self.stats.failures += 1,
            }
            report(&Happening::Change {
                change,
                drift: step.drift,
                outcome,
            });
        }
        if !plan.is_empty() {
            report(&Happening::Applied);
        }
        self.store_ledger()
    }

    fn store_ledger(&mut self) -> Result<(), lvs_ipvs::Error> {
        match &mut self.ledger {
            Some(file) => file.store(self.reconciler.ledger()),
            None => Ok(()),
        }
    }

    fn owns_nothing(&self) -> bool {
        self.reconciler.ledger().services().len() == 0
    }

    /// Lets everything that is ours drain, until nothing is left or a signal says to stop:
    /// [`withdraw`](Self::withdraw) then removes the rest.
    ///
    /// # Errors
    ///
    /// As [`run_until`](Self::run_until).
    pub fn drain(&mut self, report: &mut dyn FnMut(&Happening<'_>)) -> Result<(), RunError> {
        self.is_leaving = true;
        self.reconciler.set_desired(Table::new());
        while !self.owns_nothing() {
            let now = self.now();
            let next = self.next_look();
            if next.is_none_or(|look| look > now) {
                self.wait(next.map(|next| next.saturating_sub(now)))?;
                if self.take_signals(report)?.is_some() {
                    break;
                }
                self.run_checks()?;
            } else {
                self.look(report)?;
            }
        }
        Ok(())
    }

    /// Removes from the table what this run put there or took over.
    ///
    /// What is not known to be gone is looked at twice more.
    ///
    /// # Errors
    ///
    /// The table cannot be read.
    pub fn withdraw(&mut self, report: &mut dyn FnMut(&Happening<'_>)) -> Result<(), RunError> {
        for _ in 1..WITHDRAWAL_LOOKS {
            match self.withdraw_once(report) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => report(&Happening::LookFailed(&error)),
            }
        }
        self.withdraw_once(report)?;
        Ok(())
    }

    /// Returns whether nothing of ours is left.
    fn withdraw_once(
        &mut self,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<bool, lvs_ipvs::Error> {
        if self.owns_nothing() {
            return Ok(true);
        }
        let snapshot = self.client.snapshot()?;
        let plan = self.reconciler.withdraw(&snapshot);
        self.apply(&plan, report)?;
        Ok(plan.is_empty() || self.owns_nothing())
    }
}

#[cfg(test)]
mod tests;

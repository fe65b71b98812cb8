//! The kernel's table: read, put in order, and left in the end.

use core::time::Duration;

use lvs_ipvs::{Outcome, Plan, Reason, Snapshot, Timestamp};

use super::{Happening, RunError, Runner};

/// Between counts of the connections of what drains: where few services drain, where many do.
pub(super) const COUNT_INTERVAL: Duration = Duration::from_secs(1);
const BUSY_COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Draining services that are few.
const FEW_DRAINING: usize = 100;

/// The longest wait before a table that could not be read or written is looked at again.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Looks after which a withdrawal gives up.
const WITHDRAWAL_LOOKS: u32 = 3;

/// What came of a look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Look {
    /// There was nothing to do, and nothing in doubt.
    InOrder,
    /// There was.
    Changed,
    /// All that there was to do the kernel refuses for what it is: a scheduler that it does not
    /// have, say. Everything else is in order.
    Refused,
    /// It failed, or some of what was to be done did: soon again.
    Failed,
}

impl Runner {
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        // Who waits for the table wants to know that it is in order, not that it should be.
        let awaited = self.inbox.next_look();
        let looks = [self.reconciler.next_look(), self.count, awaited];
        let look = looks.into_iter().flatten().min()?;
        Some(self.retry.map_or(look, |retry| retry.max(look)))
    }

    /// Looks at the table and puts it in order. When that fails the kernel goes on with the table it
    /// has, and the next look may succeed.
    pub(super) fn look(&mut self, report: &mut dyn FnMut(&Happening<'_>)) -> Look {
        match self.reconcile(report) {
            Ok(look) => {
                self.failed_looks = 0;
                self.retry = None;
                look
            }
            Err(error) => {
                let wait = Duration::from_secs(1 << self.failed_looks.min(5)).min(LONGEST_RETRY);
                self.retry = Some(self.now().saturating_add(wait));
                self.failed_looks = self.failed_looks.saturating_add(1);
                report(&Happening::LookFailed(&error));
                Look::Failed
            }
        }
    }

    fn reconcile(
        &mut self,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<Look, lvs_ipvs::Error> {
        let snapshot = self.client.snapshot()?;
        self.count_connections(&snapshot);
        let (plan, _) = self.reconciler.step(self.now(), &snapshot);
        // Before anything is created, so that there is no moment at which nobody knows whose it is.
        self.store_ledger()?;
        for key in self.reconciler.adopted() {
            report(&Happening::Adopted(*key));
        }
        let failures = self.stats.failures;
        let refused = self.apply(&plan, report)?;
        Ok(match plan.is_empty() {
            true if snapshot.agreed => Look::InOrder,
            false if self.stats.failures == failures => Look::Changed,
            false if snapshot.agreed && refused == plan.steps().len() => Look::Refused,
            _ => Look::Failed,
        })
    }

    fn count_connections(&mut self, snapshot: &Snapshot) {
        if self.director.is_draining() {
            let now = self.now();
            self.director.observe(now, snapshot);
            let draining = self.director.draining().take(FEW_DRAINING + 1).count();
            let interval = match draining > FEW_DRAINING {
                true => BUSY_COUNT_INTERVAL,
                false => COUNT_INTERVAL,
            };
            self.count = Some(now.saturating_add(interval));
        }
    }

    /// Returns how many changes the kernel would refuse again.
    fn apply(
        &mut self,
        plan: &Plan,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<usize, lvs_ipvs::Error> {
        let outcomes = self.client.apply(plan)?;
        let mut refused = 0;
        for (step, (change, outcome)) in plan.steps().iter().zip(outcomes.entries()) {
            self.reconciler.record(change, outcome);
            match outcome {
                Outcome::Done => self.stats.changes += 1,
                _ => self.stats.failures += 1,
            }
            refused += usize::from(is_refused(outcome));
            report(&Happening::Change {
                change,
                drift: step.drift,
                outcome,
            });
        }
        if !plan.is_empty() {
            report(&Happening::Applied);
        }
        self.store_ledger()?;
        Ok(refused)
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

/// Whether that would be the answer again, whenever it is asked.
fn is_refused(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Rejected(rejected) => !matches!(
            rejected.reason,
            Reason::OutOfMemory | Reason::Busy | Reason::NotPermitted
        ),
        Outcome::Invalid(_) => true,
        _ => false,
    }
}

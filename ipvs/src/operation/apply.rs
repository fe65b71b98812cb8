//! Applying a plan: its steps in order, many at a time, with two exceptions.
//!
//! A step that would take the last usable destination from a service waits until one of those
//! that take over is known to be in place, and is left out when none is; a destination of a
//! service that must be ours waits until that is created. A step refused because
//! somebody else changed the table meanwhile is repaired once: what exists is set, what is gone
//! is added (see [`Plan::repair`]).

use std::collections::HashMap;

use super::{Operation, Step};
use crate::batch::Report;
use crate::error::{Error, NotSentCause, UnknownCause};
use crate::plan::{Plan, Repair};
use crate::session::{Event, Outcome, RequestId, Session};

/// Sends the steps of a plan; the report has an entry for each.
///
/// A step that was left out is [`NotSentCause::Withheld`].
#[derive(Debug)]
pub struct ApplyPlan {
    plan: Plan,
    outcomes: Vec<Option<Outcome>>,
    // The first step not yet looked at.
    next: usize,
    open: HashMap<RequestId, Attempt>,
    validate: bool,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    step: usize,
    is_repair: bool,
}

impl ApplyPlan {
    /// Prepares that plan; with `validate`, changes whose arguments cannot be right are not
    /// sent but reported as [`Outcome::Invalid`].
    #[must_use]
    pub fn new(plan: Plan, validate: bool) -> Self {
        let outcomes = vec![None; plan.len()];
        Self {
            plan,
            outcomes,
            next: 0,
            open: HashMap::new(),
            validate,
        }
    }

    /// Sends steps up to the first one that has to wait.
    fn advance(&mut self, session: &mut Session) {
        while let Some(step) = self.plan.steps().get(self.next) {
            let index = self.next;
            let done =
                |earlier: usize| matches!(self.outcomes.get(earlier), Some(Some(Outcome::Done)));
            let change = &step.change;
            if !self.plan.permits(index, done) {
                if !self.open.is_empty() {
                    return;
                }
                self.set(index, Outcome::NotSent(NotSentCause::Withheld));
            } else if let Some(error) = self.validate.then(|| change.validate().err()).flatten() {
                self.set(index, Outcome::Invalid(error));
            } else {
                let request = session.submit(change.clone());
                self.open.insert(
                    request,
                    Attempt {
                        step: index,
                        is_repair: false,
                    },
                );
            }
            self.next += 1;
        }
    }

    fn set(&mut self, step: usize, outcome: Outcome) {
        if let Some(slot) = self.outcomes.get_mut(step) {
            *slot = Some(outcome);
        }
    }

    /// Takes note of an outcome, or sends the repair of what was refused.
    fn complete(&mut self, session: &mut Session, attempt: Attempt, outcome: Outcome) {
        let reason = match &outcome {
            Outcome::Rejected(rejected) if !attempt.is_repair => Some(rejected.reason),
            _ => None,
        };
        let repair = reason.and_then(|reason| self.plan.repair(attempt.step, reason));
        match repair {
            Some(Repair::Instead(change)) => {
                let request = session.submit(change);
                self.open.insert(
                    request,
                    Attempt {
                        is_repair: true,
                        ..attempt
                    },
                );
            }
            Some(Repair::Satisfied) => self.set(attempt.step, Outcome::Done),
            None => self.set(attempt.step, outcome),
        }
    }

    fn finished(&mut self) -> Step<Report> {
        if !self.open.is_empty() || self.next < self.outcomes.len() {
            return Step::Continue;
        }
        let outcomes = core::mem::take(&mut self.outcomes).into_iter();
        let outcomes =
            outcomes.map(|outcome| outcome.unwrap_or(Outcome::Unknown(UnknownCause::Unanswered)));
        let changes = self.plan.changes().cloned();
        Step::Done(Report::new(changes.zip(outcomes).collect()))
    }
}

impl Operation for ApplyPlan {
    type Output = Report;

    fn start(&mut self, session: &mut Session) -> Step<Report> {
        self.advance(session);
        self.finished()
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Report>, Error> {
        let Event::Completed { request, outcome } = event else {
            return Ok(Step::Continue);
        };
        if let Some(attempt) = self.open.remove(&request) {
            self.complete(session, attempt, outcome);
        }
        self.advance(session);
        Ok(self.finished())
    }
}

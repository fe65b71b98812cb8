//! Changes: one, or many with an outcome for each.

use super::{Operation, Step};
use crate::error::{Error, RequestKind, UnknownCause};
use crate::request::{Change, Query};
use crate::session::{Event, Outcome, RequestId, Session};

/// One change; refusal is an error.
#[derive(Debug)]
pub struct ChangeOne {
    change: Option<Change>,
    kind: RequestKind,
}

impl ChangeOne {
    /// Prepares that change.
    #[must_use]
    pub const fn new(change: Change) -> Self {
        Self {
            kind: RequestKind::of_change(&change),
            change: Some(change),
        }
    }
}

impl Operation for ChangeOne {
    type Output = ();

    fn start(&mut self, session: &mut Session) -> Step<()> {
        if let Some(change) = self.change.take() {
            session.submit(change);
        }
        Step::Continue
    }

    fn step(&mut self, _session: &mut Session, event: Event<'_>) -> Result<Step<()>, Error> {
        match event {
            Event::Completed { outcome, .. } => outcome.into_result(self.kind).map(Step::Done),
            Event::Reply { .. } => Ok(Step::Continue),
        }
    }
}

/// Many changes, in order; what becomes of one does not stop the others.
#[derive(Debug)]
pub struct ApplyChanges {
    changes: Vec<Change>,
    first: Option<RequestId>,
    outcomes: Vec<Outcome>,
    missing: usize,
    stops_daemon: bool,
}

impl ApplyChanges {
    /// Prepares those changes.
    #[must_use]
    pub fn new(changes: Vec<Change>) -> Self {
        let missing = changes.len();
        let stops_daemon = changes
            .iter()
            .any(|change| matches!(change, Change::StopDaemon(_)));
        // A change without an answer keeps this; it cannot happen while the session runs.
        let outcomes = vec![Outcome::Unknown(UnknownCause::Unanswered); missing];
        Self {
            changes,
            first: None,
            outcomes,
            missing,
            stops_daemon,
        }
    }

    fn finished(&mut self) -> Step<Vec<Outcome>> {
        match self.missing {
            0 => Step::Done(core::mem::take(&mut self.outcomes)),
            _ => Step::Continue,
        }
    }
}

impl Operation for ApplyChanges {
    type Output = Vec<Outcome>;

    fn start(&mut self, session: &mut Session) -> Step<Vec<Outcome>> {
        for change in self.changes.drain(..) {
            let id = session.submit(change);
            self.first.get_or_insert(id);
        }
        if self.stops_daemon {
            // The kernel may leave stopping a daemon unanswered (see `StopDaemon`); the answer to
            // a later request shows it.
            session.submit(Query::Info);
        }
        self.finished()
    }

    fn step(
        &mut self,
        _session: &mut Session,
        event: Event<'_>,
    ) -> Result<Step<Vec<Outcome>>, Error> {
        if let (Event::Completed { request, outcome }, Some(first)) = (event, self.first) {
            if let Some(slot) = self.outcomes.get_mut(request.since(first)) {
                *slot = outcome;
                self.missing = self.missing.saturating_sub(1);
            }
        }
        Ok(self.finished())
    }
}

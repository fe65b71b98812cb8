//! Changes: one, or many with an outcome for each.

use super::{Operation, Step};
use crate::batch::Report;
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
    outcomes: Vec<Outcome>,
    // The changes that were sent, by place: request ids count up with them.
    sent: Vec<usize>,
    first: Option<RequestId>,
    missing: usize,
    validate: bool,
}

impl ApplyChanges {
    /// Prepares those changes; with `validate`, those whose arguments cannot be right are not
    /// sent but reported as [`Outcome::Invalid`].
    #[must_use]
    pub const fn new(changes: Vec<Change>, validate: bool) -> Self {
        Self {
            changes,
            outcomes: Vec::new(),
            sent: Vec::new(),
            first: None,
            missing: 0,
            validate,
        }
    }

    fn finished(&mut self) -> Step<Report> {
        if self.missing > 0 {
            return Step::Continue;
        }
        let changes = core::mem::take(&mut self.changes).into_iter();
        let outcomes = core::mem::take(&mut self.outcomes);
        Step::Done(Report::new(changes.zip(outcomes).collect()))
    }
}

impl Operation for ApplyChanges {
    type Output = Report;

    fn start(&mut self, session: &mut Session) -> Step<Report> {
        let mut stops_daemon = false;
        for (place, change) in self.changes.iter().enumerate() {
            if let Some(error) = self.validate.then(|| change.validate().err()).flatten() {
                self.outcomes.push(Outcome::Invalid(error));
                continue;
            }
            // Without an answer it keeps this; it cannot happen while the session runs.
            let open = Outcome::Unknown(UnknownCause::Unanswered);
            self.outcomes.push(open);
            self.sent.push(place);
            let id = session.submit(change.clone());
            self.first.get_or_insert(id);
            stops_daemon |= matches!(change, Change::StopDaemon(_));
        }
        self.missing = self.sent.len();
        if stops_daemon {
            // The kernel may leave stopping a daemon unanswered (see `StopDaemon`); the answer to
            // a later request shows it.
            session.submit(Query::Info);
        }
        self.finished()
    }

    fn step(&mut self, _session: &mut Session, event: Event<'_>) -> Result<Step<Report>, Error> {
        if let (Event::Completed { request, outcome }, Some(first)) = (event, self.first) {
            let place = self.sent.get(request.since(first));
            if let Some(slot) = place.and_then(|place| self.outcomes.get_mut(*place)) {
                *slot = outcome;
                self.missing = self.missing.saturating_sub(1);
            }
        }
        Ok(self.finished())
    }
}

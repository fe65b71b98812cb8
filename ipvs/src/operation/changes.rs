//! Changes: one, or many with an outcome for each.

use super::{Operation, Step};
use crate::batch::Report;
use crate::error::{Error, NotSentCause, RequestKind, UnknownCause};
use crate::request::{Change, Query};
use crate::session::{Event, Outcome, RequestId, Session, WINDOW};

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

/// Changes handed to the session ahead of their answers: what may be under way, and as many
/// again, so that the next datagram is always full.
const AHEAD: usize = 2 * WINDOW;

/// Many changes, in order; what becomes of one does not stop the others.
#[derive(Debug)]
pub struct ApplyChanges {
    // An entry without an answer keeps what it starts with; it cannot happen while the session
    // runs.
    entries: Vec<(Change, Outcome)>,
    // The first that was not looked at yet.
    next: usize,
    // The changes that were sent, by place: request ids count up with them.
    sent: Vec<usize>,
    first: Option<RequestId>,
    answered: usize,
    validate: bool,
    stops_daemon: bool,
    // Why the rest is not sent any more.
    stopped: Option<NotSentCause>,
}

impl ApplyChanges {
    /// Prepares those changes; with `validate`, those whose arguments cannot be right are not
    /// sent but reported as [`Outcome::Invalid`].
    #[must_use]
    pub fn new(changes: impl IntoIterator<Item = Change>, validate: bool) -> Self {
        let open = Outcome::Unknown(UnknownCause::Unanswered);
        let changes = changes.into_iter();
        Self {
            entries: changes.map(|change| (change, open.clone())).collect(),
            next: 0,
            sent: Vec::new(),
            first: None,
            answered: 0,
            validate,
            stops_daemon: false,
            stopped: None,
        }
    }

    /// Hands over as many changes as may be under way.
    fn advance(&mut self, session: &mut Session) {
        if let Some(cause) = self.stopped {
            let rest = self.entries.iter_mut().skip(self.next);
            rest.for_each(|(_, outcome)| *outcome = Outcome::NotSent(cause));
            self.next = self.entries.len();
            return;
        }
        while self.sent.len().saturating_sub(self.answered) < AHEAD {
            let Some((change, outcome)) = self.entries.get_mut(self.next) else {
                break;
            };
            self.next += 1;
            if let Some(error) = self.validate.then(|| change.validate().err()).flatten() {
                *outcome = Outcome::Invalid(error);
                continue;
            }
            self.sent.push(self.next - 1);
            self.stops_daemon |= matches!(change, Change::StopDaemon(_));
            let id = session.submit(change.clone());
            self.first.get_or_insert(id);
        }
        if self.stops_daemon && self.next == self.entries.len() {
            // The kernel may leave stopping a daemon unanswered (see `StopDaemon`); the answer to
            // a later request shows it.
            session.submit(Query::Info);
            self.stops_daemon = false;
        }
    }

    fn finished(&mut self) -> Step<Report> {
        if self.next < self.entries.len() || self.answered < self.sent.len() {
            return Step::Continue;
        }
        Step::Done(Report::new(core::mem::take(&mut self.entries)))
    }
}

impl Operation for ApplyChanges {
    type Output = Report;

    fn start(&mut self, session: &mut Session) -> Step<Report> {
        self.advance(session);
        self.finished()
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Report>, Error> {
        if let (Event::Completed { request, outcome }, Some(first)) = (event, self.first) {
            self.stopped = self.stopped.or_else(|| stops(&outcome));
            let place = self.sent.get(request.since(first));
            if let Some((_, slot)) = place.and_then(|place| self.entries.get_mut(*place)) {
                *slot = outcome;
                self.answered += 1;
            }
        }
        self.advance(session);
        Ok(self.finished())
    }
}

/// Why a session sends nothing any more after that outcome; it goes on after most.
const fn stops(outcome: &Outcome) -> Option<NotSentCause> {
    match *outcome {
        Outcome::NotSent(cause) => Some(cause),
        Outcome::Unknown(UnknownCause::TimedOut) => Some(NotSentCause::TimedOutBefore),
        Outcome::Unknown(UnknownCause::ConnectionFailed { errno }) => {
            Some(NotSentCause::ConnectionFailed { errno })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::wire::FamilyId;

    /// Sends what there is to send and takes every event.
    fn run(operation: &mut ApplyChanges, session: &mut Session) -> Option<Report> {
        while session.poll_transmit(&mut BytesMut::new()) {}
        while let Some(event) = session.poll_event() {
            if let Step::Done(report) = operation.step(session, event).unwrap() {
                return Some(report);
            }
        }
        None
    }

    fn started() -> (ApplyChanges, Session) {
        let mut session = Session::new(FamilyId::new(28));
        let mut operation = ApplyChanges::new(vec![Change::Flush; 1000], true);
        assert!(matches!(operation.start(&mut session), Step::Continue));
        assert!(run(&mut operation, &mut session).is_none());
        assert_eq!(session.in_flight(), WINDOW);
        (operation, session)
    }

    fn outcomes(report: &Report) -> Vec<&Outcome> {
        report.entries().map(|(_, outcome)| outcome).collect()
    }

    #[test]
    fn after_a_time_out_nothing_more_is_sent() {
        let (mut operation, mut session) = started();
        session.timed_out();
        let report = run(&mut operation, &mut session).unwrap();
        assert_eq!(session.in_flight(), 0);
        assert!(!session.poll_transmit(&mut BytesMut::new()));
        let outcomes = outcomes(&report);
        let (sent, rest) = outcomes.split_at(WINDOW);
        let timed_out = Outcome::Unknown(UnknownCause::TimedOut);
        assert!(sent.iter().all(|outcome| **outcome == timed_out));
        let not_sent = Outcome::NotSent(NotSentCause::TimedOutBefore);
        assert_eq!(rest.len(), 1000 - WINDOW);
        assert!(rest.iter().all(|outcome| **outcome == not_sent));
    }

    #[test]
    fn after_a_failure_to_send_nothing_more_is_sent() {
        let mut session = Session::new(FamilyId::new(28));
        let mut operation = ApplyChanges::new(vec![Change::Flush; 1000], true);
        assert!(matches!(operation.start(&mut session), Step::Continue));
        assert!(session.poll_transmit(&mut BytesMut::new()));
        session.send_failed(0, 105);
        let report = run(&mut operation, &mut session).unwrap();
        let not_sent = Outcome::NotSent(NotSentCause::SendFailed { errno: 105 });
        assert!(
            outcomes(&report)
                .iter()
                .all(|outcome| **outcome == not_sent)
        );
    }

    #[test]
    fn after_an_overrun_the_rest_is_sent() {
        let (mut operation, mut session) = started();
        session.overrun();
        session.drained();
        assert_eq!(session.in_flight(), 0);
        assert!(run(&mut operation, &mut session).is_none());
        assert!(session.in_flight() > 0);
    }
}

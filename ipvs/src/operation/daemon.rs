//! Stopping a sync daemon, which the kernel does not always acknowledge.
//!
//! A daemon stopped before its thread first ran makes the kernel end the request with `EINTR`,
//! the one error that netlink never answers (seen on 6.1.176 and 7.2.7: stop right after start).
//! The kernel handles requests in order, so a look at the daemons right behind the request tells
//! what became of it.

use super::{Operation, Step};
use crate::daemon::DaemonRole;
use crate::error::{Error, RequestKind, UnknownCause};
use crate::request::{Change, Query};
use crate::session::{Event, Outcome, Reply, RequestId, Session};

/// Stops the sync daemon of a role; refusal is an error.
#[derive(Debug)]
pub struct StopDaemon {
    role: DaemonRole,
    stop: Option<RequestId>,
    outcome: Option<Outcome>,
    still_runs: bool,
}

impl StopDaemon {
    /// Prepares to stop that role.
    #[must_use]
    pub const fn new(role: DaemonRole) -> Self {
        Self {
            role,
            stop: None,
            outcome: None,
            still_runs: false,
        }
    }
}

impl Operation for StopDaemon {
    type Output = ();

    fn start(&mut self, session: &mut Session) -> Step<()> {
        self.stop = Some(session.submit(Change::StopDaemon(self.role)));
        session.submit(Query::Daemons);
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<()>, Error> {
        match event {
            Event::Reply {
                reply: Reply::Daemon(daemon),
                ..
            } => {
                self.still_runs |= daemon.role == self.role;
                Ok(Step::Continue)
            }
            Event::Reply { .. } => Ok(Step::Continue),
            Event::Completed { request, outcome } if Some(request) == self.stop => {
                self.outcome = Some(outcome);
                Ok(Step::Continue)
            }
            Event::Completed {
                outcome: looked, ..
            } => {
                if let (None, Some(stop)) = (&self.outcome, self.stop) {
                    session.forget(stop);
                }
                let outcome = match (self.outcome.take(), looked) {
                    (Some(outcome), _) => outcome,
                    (None, Outcome::Done) if !self.still_runs => Outcome::Done,
                    (None, Outcome::Unknown(cause)) => Outcome::Unknown(cause),
                    (None, _) => Outcome::Unknown(UnknownCause::Unanswered),
                };
                outcome
                    .into_result(RequestKind::StopDaemon(self.role))
                    .map(Step::Done)
            }
        }
    }
}

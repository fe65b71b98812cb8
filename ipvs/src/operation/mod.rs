//! Operations of one or more steps, without the socket.
//!
//! An operation submits requests to a [`Session`] and is fed the session's events until it is
//! done. Clients only carry bytes and time, so a blocking and an asynchronous client cannot
//! disagree on what an operation does.

mod apply;
mod changes;
mod collect;
mod daemon;
mod ensure;
mod ensure_daemon;
mod list;
mod snapshot;
mod update;

pub use apply::ApplyPlan;
pub use changes::{ApplyChanges, ChangeOne};
pub use collect::{Collect, GetOne};
pub(crate) use collect::{visit_destinations, visit_services};
pub use daemon::StopDaemon;
pub use ensure::{Ensure, Ensured};
pub use ensure_daemon::{EnsureDaemon, EnsureNoDaemon};
pub use list::{List, ListDestinations};
pub use snapshot::{TakeSnapshot, VisitTable};
pub use update::{UpdateDestination, UpdateService};

use crate::error::Error;
use crate::session::{Event, Session};

/// Something to be done over a session.
pub trait Operation {
    /// What comes of it.
    type Output;

    /// Submits the first requests. Called once, before anything else. An operation that has
    /// nothing to ask is done here.
    fn start(&mut self, session: &mut Session) -> Step<Self::Output>;

    /// Takes the next event of the session. Events of requests that are not of this operation
    /// do not occur: a session runs one operation at a time.
    ///
    /// # Errors
    ///
    /// Whatever ends the operation early; the caller then abandons its requests.
    fn step(
        &mut self,
        session: &mut Session,
        event: Event<'_>,
    ) -> Result<Step<Self::Output>, Error>;
}

/// Whether an operation is done.
#[expect(clippy::exhaustive_enums, reason = "done or not")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step<T> {
    /// More events are needed.
    Continue,
    /// Done.
    Done(T),
}

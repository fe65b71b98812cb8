//! Making sure that something is there as described, or not there, whatever was before.

use super::{Operation, Step};
use crate::destination::{Destination, DestinationKey};
use crate::error::{Error, RequestKind};
use crate::plan::Repair;
use crate::request::Change;
use crate::service::{ServiceKey, VirtualService};
use crate::session::{Event, Outcome, Session};

/// What it took to make sure of something.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ensured {
    /// It was not there and was added.
    Added,
    /// It was there and got the settings described, whether they differed or not. A sync daemon
    /// was stopped and started.
    Replaced,
    /// It was there and was removed.
    Removed,
    /// Nothing was to be done.
    Unchanged,
}

/// Requests at most: add, set, and each once more. Who needs more fights with somebody else over
/// the same entry.
const MOST_REQUESTS: u32 = 4;

/// Makes sure that a service or a destination is there as described, or not there.
///
/// What is to be there is added, and set if it exists already; what is to be gone is removed, and
/// missing is fine. Somebody else who adds or removes the same entry in between is met by trying
/// the other request, four requests in all.
#[derive(Debug)]
pub struct Ensure {
    change: Change,
    requests: u32,
}

impl Ensure {
    const fn new(change: Change) -> Self {
        Self {
            change,
            requests: 1,
        }
    }

    /// Makes sure that the service is there with all these settings. Destinations stay.
    #[must_use]
    pub fn service(service: &VirtualService) -> Self {
        Self::new(Change::AddService(service.clone()))
    }

    /// Makes sure that there is no such service.
    #[must_use]
    pub const fn no_service(key: ServiceKey) -> Self {
        Self::new(Change::RemoveService(key))
    }

    /// Makes sure that the service, which must be there, has the destination with all these
    /// settings.
    #[must_use]
    pub fn destination(service: ServiceKey, destination: &Destination) -> Self {
        Self::new(Change::AddDestination(service, destination.clone()))
    }

    /// Makes sure that there is no such destination, be it for want of the service.
    #[must_use]
    pub const fn no_destination(service: ServiceKey, key: DestinationKey) -> Self {
        Self::new(Change::RemoveDestination(service, key))
    }

    /// The change that is sent next, or was sent last: whose arguments to check before.
    #[must_use]
    pub const fn change(&self) -> &Change {
        &self.change
    }
}

impl Operation for Ensure {
    type Output = Ensured;

    fn start(&mut self, session: &mut Session) -> Step<Ensured> {
        session.submit(self.change.clone());
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Ensured>, Error> {
        let Event::Completed { outcome, .. } = event else {
            return Ok(Step::Continue);
        };
        let repair = match &outcome {
            Outcome::Rejected(rejected) if self.requests < MOST_REQUESTS => {
                self.change.repair(rejected.reason)
            }
            _ => None,
        };
        match repair {
            Some(Repair::Instead(change)) => {
                session.submit(change.clone());
                self.change = change;
                self.requests += 1;
                Ok(Step::Continue)
            }
            Some(Repair::Satisfied) => Ok(Step::Done(Ensured::Unchanged)),
            None => {
                outcome.into_result(RequestKind::of_change(&self.change))?;
                Ok(Step::Done(match self.change {
                    Change::AddService(_) | Change::AddDestination(..) => Ensured::Added,
                    Change::RemoveService(_) | Change::RemoveDestination(..) => Ensured::Removed,
                    _ => Ensured::Replaced,
                }))
            }
        }
    }
}

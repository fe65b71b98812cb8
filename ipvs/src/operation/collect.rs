//! Queries: the one answer, or all messages of a dump.

use super::{Operation, Step};
use crate::config::Timeouts;
use crate::error::{Error, RequestKind, UnknownCause};
use crate::info::Info;
use crate::request::Query;
use crate::service::{ServiceEntry, ServiceKey};
use crate::session::{Event, Reply, Session};
use crate::wire::{DestinationView, FamilyInfo, ServiceView};

/// A query with one answer. None at all is [`UnknownCause::Unanswered`].
#[derive(Debug)]
pub struct GetOne<T> {
    query: Query,
    read: fn(&Reply<'_>) -> Option<T>,
    answer: Option<T>,
}

impl<T> GetOne<T> {
    /// Prepares that query; `read` takes the value out of the reply.
    #[must_use]
    pub const fn new(query: Query, read: fn(&Reply<'_>) -> Option<T>) -> Self {
        Self {
            query,
            read,
            answer: None,
        }
    }
}

impl<T> Operation for GetOne<T> {
    type Output = T;

    fn start(&mut self, session: &mut Session) -> Step<T> {
        session.submit(self.query);
        Step::Continue
    }

    fn step(&mut self, _session: &mut Session, event: Event<'_>) -> Result<Step<T>, Error> {
        match event {
            Event::Reply { reply, .. } => {
                self.answer = (self.read)(&reply);
                Ok(Step::Continue)
            }
            Event::Completed { outcome, .. } => {
                let request = RequestKind::Read(self.query);
                outcome.into_result(request)?;
                let cause = UnknownCause::Unanswered;
                let answer = self.answer.take();
                answer
                    .map(Step::Done)
                    .ok_or(Error::UnknownOutcome { request, cause })
            }
        }
    }
}

impl GetOne<ServiceEntry> {
    /// Reads a service.
    #[must_use]
    pub const fn service(key: ServiceKey) -> Self {
        Self::new(Query::Service(key), |reply| match reply {
            Reply::Service(service) => Some(service.to_entry()),
            _ => None,
        })
    }
}

impl GetOne<Timeouts> {
    /// Reads the timeouts.
    #[must_use]
    pub const fn timeouts() -> Self {
        Self::new(Query::Timeouts, |reply| match reply {
            Reply::Timeouts(timeouts) => Some(*timeouts),
            _ => None,
        })
    }
}

impl GetOne<Info> {
    /// Reads version and connection table size.
    #[must_use]
    pub const fn info() -> Self {
        Self::new(Query::Info, |reply| match reply {
            Reply::Info(info) => Some(*info),
            _ => None,
        })
    }
}

impl GetOne<FamilyInfo> {
    /// Asks for the generic netlink family.
    #[must_use]
    pub const fn family() -> Self {
        Self::new(Query::Family, |reply| match reply {
            Reply::Family(family) => Some(*family),
            _ => None,
        })
    }
}

/// A dump, each message given to a function as it comes, borrowed.
pub struct Collect<F> {
    query: Query,
    visit: F,
}

impl<F: FnMut(&Reply<'_>)> Collect<F> {
    /// Prepares that query.
    #[must_use]
    pub const fn new(query: Query, visit: F) -> Self {
        Self { query, visit }
    }
}

/// Visits all services.
pub(crate) fn visit_services(
    mut visit: impl FnMut(&ServiceView<'_>),
) -> Collect<impl FnMut(&Reply<'_>)> {
    Collect::new(Query::Services, move |reply| {
        if let Reply::Service(service) = reply {
            visit(service);
        }
    })
}

/// Visits the destinations of a service.
pub(crate) fn visit_destinations(
    service: ServiceKey,
    mut visit: impl FnMut(&DestinationView<'_>),
) -> Collect<impl FnMut(&Reply<'_>)> {
    Collect::new(Query::Destinations(service), move |reply| {
        if let Reply::Destination(destination) = reply {
            visit(destination);
        }
    })
}

impl<F> core::fmt::Debug for Collect<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Collect")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

impl<F: FnMut(&Reply<'_>)> Operation for Collect<F> {
    type Output = ();

    fn start(&mut self, session: &mut Session) -> Step<Self::Output> {
        session.submit(self.query);
        Step::Continue
    }

    fn step(&mut self, _session: &mut Session, event: Event<'_>) -> Result<Step<()>, Error> {
        match event {
            Event::Reply { reply, .. } => {
                (self.visit)(&reply);
                Ok(Step::Continue)
            }
            Event::Completed { outcome, .. } => outcome
                .into_result(RequestKind::Read(self.query))
                .map(Step::Done),
        }
    }
}

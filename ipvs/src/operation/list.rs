//! Lists: all entries of a dump, kept.

use super::{Operation, Step};
use crate::daemon::SyncDaemon;
use crate::destination::DestinationEntry;
use crate::error::{Error, RequestKind};
use crate::request::Query;
use crate::service::{ServiceEntry, ServiceKey};
use crate::session::{Event, Reply, RequestId, Session};

/// Reads all entries of a dump.
#[derive(Debug)]
pub struct List<T> {
    query: Query,
    read: fn(&Reply<'_>) -> Option<T>,
    entries: Vec<T>,
}

impl List<ServiceEntry> {
    /// Reads all services.
    #[must_use]
    pub const fn services() -> Self {
        Self {
            query: Query::Services,
            read: |reply| match reply {
                Reply::Service(service) => Some(service.to_entry()),
                _ => None,
            },
            entries: Vec::new(),
        }
    }
}

impl List<SyncDaemon> {
    /// Reads the running sync daemons.
    #[must_use]
    pub const fn daemons() -> Self {
        Self {
            query: Query::Daemons,
            read: |reply| match reply {
                Reply::Daemon(daemon) => Some(*daemon),
                _ => None,
            },
            entries: Vec::new(),
        }
    }
}

impl<T> Operation for List<T> {
    type Output = Vec<T>;

    fn start(&mut self, session: &mut Session) -> Step<Vec<T>> {
        session.submit(self.query);
        Step::Continue
    }

    fn step(&mut self, _session: &mut Session, event: Event<'_>) -> Result<Step<Vec<T>>, Error> {
        match event {
            Event::Reply { reply, .. } => {
                self.entries.extend((self.read)(&reply));
                Ok(Step::Continue)
            }
            Event::Completed { outcome, .. } => {
                outcome.into_result(RequestKind::Read(self.query))?;
                Ok(Step::Done(core::mem::take(&mut self.entries)))
            }
        }
    }
}

/// Reads the destinations of a service, and when there are none the service: the kernel answers
/// for a missing service as for an empty one.
#[derive(Debug)]
pub struct ListDestinations {
    service: ServiceKey,
    entries: Vec<DestinationEntry>,
    // The query for the service, once it was sent.
    look: Option<RequestId>,
}

impl ListDestinations {
    /// Prepares that query.
    #[must_use]
    pub const fn new(service: ServiceKey) -> Self {
        Self {
            service,
            entries: Vec::new(),
            look: None,
        }
    }
}

impl Operation for ListDestinations {
    type Output = Vec<DestinationEntry>;

    fn start(&mut self, session: &mut Session) -> Step<Self::Output> {
        session.submit(Query::Destinations(self.service));
        Step::Continue
    }

    fn step(
        &mut self,
        session: &mut Session,
        event: Event<'_>,
    ) -> Result<Step<Self::Output>, Error> {
        match event {
            Event::Reply {
                reply: Reply::Destination(destination),
                ..
            } => {
                self.entries.push(destination.to_entry());
                Ok(Step::Continue)
            }
            Event::Reply { .. } => Ok(Step::Continue),
            Event::Completed { request, outcome } => {
                let looked = self.look == Some(request);
                let query = match looked {
                    true => Query::Service(self.service),
                    false => Query::Destinations(self.service),
                };
                outcome.into_result(RequestKind::Read(query))?;
                if self.entries.is_empty() && !looked {
                    self.look = Some(session.submit(Query::Service(self.service)));
                    return Ok(Step::Continue);
                }
                Ok(Step::Done(core::mem::take(&mut self.entries)))
            }
        }
    }
}

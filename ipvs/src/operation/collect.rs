//! Queries: the one answer, or all messages of a dump.

use super::{Operation, Step};
use crate::error::{Error, RequestKind};
use crate::request::Query;
use crate::session::{Event, Reply, Session};

/// A query with one answer.
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
    type Output = Option<T>;

    fn start(&mut self, session: &mut Session) -> Step<Self::Output> {
        session.submit(self.query);
        Step::Continue
    }

    fn step(&mut self, _session: &mut Session, event: Event<'_>) -> Result<Step<Option<T>>, Error> {
        match event {
            Event::Reply { reply, .. } => {
                self.answer = (self.read)(&reply);
                Ok(Step::Continue)
            }
            Event::Completed { outcome, .. } => {
                outcome.into_result(RequestKind::Read(self.query))?;
                Ok(Step::Done(self.answer.take()))
            }
        }
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

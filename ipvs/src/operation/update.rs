//! Changing some settings and keeping the others: read, modify, write.
//!
//! The kernel replaces all settings at once, so whoever wants to change one sends the others back
//! as they were, attributes this crate has no name for included. There is no lock in the kernel:
//! what somebody else changes between the reading and the writing is overwritten.

use core::fmt;

use nix::libc::ENOENT;

use super::{Ensured, GetOne, ListDestinations, Operation, Step};
use crate::destination::{Destination, DestinationKey};
use crate::error::{Error, Reason, Rejected, RequestKind};
use crate::request::Change;
use crate::service::{ServiceEntry, ServiceKey, VirtualService};
use crate::session::{Event, Session};

/// Reads a service, lets a function modify its settings and writes them back.
///
/// Nothing is sent when they stay as they are. The key cannot change.
pub struct UpdateService<F> {
    read: GetOne<ServiceEntry>,
    write: Write<F>,
    validate: bool,
}

impl<F: FnOnce(VirtualService) -> VirtualService> UpdateService<F> {
    /// Prepares to read that service; with `validate`, settings that cannot be right are not
    /// sent.
    #[must_use]
    pub const fn new(service: ServiceKey, modify: F, validate: bool) -> Self {
        Self {
            read: GetOne::service(service),
            write: Write::Not(Some(modify)),
            validate,
        }
    }
}

impl<F: FnOnce(VirtualService) -> VirtualService> Operation for UpdateService<F> {
    type Output = Ensured;

    fn start(&mut self, session: &mut Session) -> Step<Ensured> {
        // It asks something, so it is not done yet.
        let _ = self.read.start(session);
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Ensured>, Error> {
        if let Write::Sent(request) = self.write {
            return written(request, event);
        }
        let Step::Done(ServiceEntry { service, .. }) = self.read.step(session, event)? else {
            return Ok(Step::Continue);
        };
        let Some(modify) = self.write.take() else {
            return Ok(Step::Continue);
        };
        let mut modified = modify(service.clone());
        modified.key = service.key;
        if modified == service {
            return Ok(Step::Done(Ensured::Unchanged));
        }
        let change = Change::SetService(modified);
        self.write = Write::Sent(write(session, change, self.validate)?);
        Ok(Step::Continue)
    }
}

impl<F> fmt::Debug for UpdateService<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateService")
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

/// Reads a destination, lets a function modify its settings and writes them back.
///
/// Nothing is sent when they stay as they are. The key cannot change. The kernel can only read
/// all destinations of a service, so that is what it costs.
pub struct UpdateDestination<F> {
    service: ServiceKey,
    key: DestinationKey,
    read: ListDestinations,
    write: Write<F>,
    validate: bool,
}

impl<F: FnOnce(Destination) -> Destination> UpdateDestination<F> {
    /// Prepares to read that destination; with `validate`, settings that cannot be right are not
    /// sent.
    #[must_use]
    pub const fn new(service: ServiceKey, key: DestinationKey, modify: F, validate: bool) -> Self {
        Self {
            service,
            key,
            read: ListDestinations::new(service),
            write: Write::Not(Some(modify)),
            validate,
        }
    }
}

impl<F: FnOnce(Destination) -> Destination> Operation for UpdateDestination<F> {
    type Output = Ensured;

    fn start(&mut self, session: &mut Session) -> Step<Ensured> {
        // It asks something, so it is not done yet.
        let _ = self.read.start(session);
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Ensured>, Error> {
        if let Write::Sent(request) = self.write {
            return written(request, event);
        }
        let Step::Done(entries) = self.read.step(session, event)? else {
            return Ok(Step::Continue);
        };
        let Some(modify) = self.write.take() else {
            return Ok(Step::Continue);
        };
        let mut found = entries.into_iter().map(|entry| entry.destination);
        let Some(destination) = found.find(|destination| destination.key() == self.key) else {
            // What the kernel answers to the change; there are no settings to send it with.
            return Err(Error::Rejected(Rejected {
                reason: Reason::NoSuchDestination,
                errno: ENOENT,
                request: RequestKind::SetDestination(self.service, self.key),
                ext_ack: None,
            }));
        };
        let mut modified = modify(destination.clone());
        modified.key = destination.key;
        if modified == destination {
            return Ok(Step::Done(Ensured::Unchanged));
        }
        let change = Change::SetDestination(self.service, modified);
        self.write = Write::Sent(write(session, change, self.validate)?);
        Ok(Step::Continue)
    }
}

impl<F> fmt::Debug for UpdateDestination<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateDestination")
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

/// Whether the settings were sent.
enum Write<F> {
    /// No: the function is to be called, once.
    Not(Option<F>),
    /// Yes.
    Sent(RequestKind),
}

impl<F> Write<F> {
    const fn take(&mut self) -> Option<F> {
        match self {
            Self::Not(modify) => modify.take(),
            Self::Sent(_) => None,
        }
    }
}

fn write(session: &mut Session, change: Change, validate: bool) -> Result<RequestKind, Error> {
    let request = RequestKind::of_change(&change);
    if validate {
        let checked = change.validate();
        checked.map_err(|error| Error::Invalid { request, error })?;
    }
    session.submit(change);
    Ok(request)
}

fn written(request: RequestKind, event: Event<'_>) -> Result<Step<Ensured>, Error> {
    match event {
        Event::Reply { .. } => Ok(Step::Continue),
        Event::Completed { outcome, .. } => {
            outcome.into_result(request)?;
            Ok(Step::Done(Ensured::Replaced))
        }
    }
}

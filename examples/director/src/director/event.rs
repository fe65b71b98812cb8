//! What the director tells: events, in one order, with numbers.

use core::fmt;
use std::sync::Arc;

use lvs_healthcheck::Outcome;
use lvs_healthcheck::aggregate::Desired;
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{Change, PoolEvent, Shutdown};
use lvs_ipvs::Timestamp;

use super::{CheckNumber, Role, ServerKey};

/// Something that happened; `Display` is a line for people, without number and time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Its number, from 1 and without gaps: the order of all events of a director.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// Kinds of [events](Event).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A check changed its mind, or failed in a way worth telling.
    Check {
        /// Which.
        check: CheckNumber,
        /// What it is called.
        name: Arc<str>,
        /// The services it belongs to.
        service: Arc<str>,
        /// How its health changed; `None` when only its outcome is worth telling.
        change: Option<(Health, Health)>,
        /// Whether it is this host, and not the server, that has a problem.
        is_local: bool,
        /// What it found out.
        outcome: Outcome,
    },
    /// What the table is to hold for a server is another.
    Server {
        /// The services the server belongs to.
        service: Arc<str>,
        /// From what to what, and why.
        change: Change<ServerKey>,
    },
    /// A decision about a service or one of its servers: up and down, quorum, sorry server, drains.
    Service {
        /// Which services.
        service: Arc<str>,
        /// What was decided.
        event: PoolEvent<ServerKey>,
    },
    /// Every server had a verdict, or time for one.
    Ready,
    /// The role is another.
    Role(Role),
    /// A new configuration is taken over.
    Reloaded {
        /// Services that are new.
        added: usize,
        /// Services that left.
        removed: usize,
    },
    /// The director comes to its end.
    Stopping(Shutdown),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check {
                name,
                service,
                change,
                outcome,
                ..
            } => {
                write!(f, "check   {name} of {service}: ")?;
                if let Some((from, to)) = change {
                    write!(f, "{from} to {to}: ")?;
                }
                outcome.fmt(f)
            }
            Self::Server { service, change } => {
                let Change {
                    destination,
                    from,
                    to,
                    cause,
                    ..
                } = change;
                let (from, to) = (Place(*from), Place(*to));
                write!(
                    f,
                    "server  {destination} of {service}: {from} to {to} ({cause})"
                )
            }
            Self::Service { service, event } => write!(f, "service {service}: {event}"),
            Self::Ready => f.write_str("ready"),
            Self::Role(role) => write!(f, "role    {role}"),
            Self::Reloaded { added, removed } => {
                write!(f, "reload  done: {added} services new, {removed} gone")
            }
            Self::Stopping(how) => {
                f.write_str("stop    ")?;
                f.write_str(match how {
                    Shutdown::Leave => "the table stays as it is",
                    Shutdown::Drain => "connections may finish",
                    Shutdown::Zero => "no new connections",
                    _ => "what is ours is removed",
                })
            }
        }
    }
}

/// A place in the table: a weight, or none.
struct Place(Desired);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Desired::Present { weight } => write!(f, "weight {weight}"),
            // Whatever else comes to be desired, it is not an entry.
            _ => f.write_str("out"),
        }
    }
}

/// What one turn came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// What happened, in its order.
    pub events: Vec<Event>,
    /// Whether the [desired table](super::Director::desired) is another.
    pub is_table_changed: bool,
}

impl Batch {
    /// Nothing happened.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            events: Vec::new(),
            is_table_changed: false,
        }
    }
}

/// Events, and the number of the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    waiting: Vec<Event>,
    last: u64,
}

impl Events {
    pub(super) fn push(&mut self, at: Timestamp, kind: EventKind) {
        self.last = self.last.saturating_add(1);
        let number = self.last;
        self.waiting.push(Event { number, at, kind });
    }

    pub(super) fn append_to(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.waiting);
    }
}

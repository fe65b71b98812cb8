//! From events to what is told of them. Pure.

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

use lvs_healthcheck::Command;
use lvs_healthcheck::pool::PoolEvent;
use lvs_ipvs::{Protocol, ServiceKey};

use crate::director::{Event, EventKind, ServerKey};
use crate::keepalived::VirtualAddress;
use crate::setup::{PlannedPool, Setup};

/// Something that others are told; `Display` is the line for pipes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// The number of the event.
    pub number: u64,
    /// The services it is about; what is told of them is told in order.
    pub service: Arc<str>,
    /// The virtual server or real server, as pipes have it: `VS [192.0.2.1]:tcp:80`.
    pub subject: String,
    /// Whether it is up now.
    pub is_up: bool,
}

impl Notice {
    /// keepalived's word for what it is now.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        word(self.is_up)
    }
}

const fn word(is_up: bool) -> &'static str {
    if is_up { "UP" } else { "DOWN" }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.state())
    }
}

/// Commands for both ways.
#[derive(Clone, Debug, Default)]
struct Commands {
    up: Option<Command>,
    down: Option<Command>,
}

impl Commands {
    fn of(&self, is_up: bool) -> Option<&Command> {
        match is_up {
            true => self.up.as_ref(),
            false => self.down.as_ref(),
        }
    }
}

/// What is known of the services of a pool.
#[derive(Clone, Debug)]
struct Entry {
    /// How lines call it.
    name: String,
    /// How lines call its protocol.
    protocol: &'static str,
    quorum: Commands,
    servers: HashMap<ServerKey, Commands>,
}

impl Entry {
    fn new(pool: &PlannedPool) -> Self {
        let protocol = match pool.services.first().map(|service| service.key()) {
            Some(ServiceKey::Address { protocol, .. }) => match protocol {
                Protocol::TCP => "tcp",
                Protocol::UDP => "udp",
                Protocol::SCTP => "sctp",
                _ => "?",
            },
            _ => "none",
        };
        let name = match &pool.address {
            VirtualAddress::Socket(at) => format!("[{}]:{protocol}:{}", at.ip(), at.port()),
            VirtualAddress::Fwmark(mark) => format!("FWM {mark}"),
            VirtualAddress::Group(name) => format!("[{name}]:0"),
        };
        let servers = pool.servers.iter().map(|server| {
            let commands = Commands {
                up: server.notify_up.clone(),
                down: server.notify_down.clone(),
            };
            (server.destination.key(), commands)
        });
        Self {
            name,
            protocol,
            quorum: Commands {
                up: pool.quorum_up.clone(),
                down: pool.quorum_down.clone(),
            },
            servers: servers.collect(),
        }
    }
}

/// Who is told of what.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: HashMap<Arc<str>, Entry>,
    /// Those of the configuration before: what leaves is told of, too.
    former: HashMap<Arc<str>, Entry>,
}

impl Book {
    /// As a configuration says.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let mut book = Self::default();
        book.follow(setup);
        book
    }

    /// Goes on with another one. What is not in it any more is still told of until the next.
    pub fn follow(&mut self, setup: &Setup) {
        let pools = setup.pools.iter();
        let entries = pools.map(|pool| (pool.name().into(), Entry::new(pool)));
        self.former = core::mem::replace(&mut self.entries, entries.collect());
    }

    /// What is told of an event, and the command that is run then.
    #[must_use]
    pub fn notice(&self, event: &Event) -> Option<(Notice, Option<Command>)> {
        let EventKind::Service {
            service,
            event: decision,
        } = &event.kind
        else {
            return None;
        };
        let entries = [self.entries.get(service), self.former.get(service)];
        let mut entries = entries.into_iter().flatten();
        let (subject, is_up, command) = match decision {
            PoolEvent::Up { destination } => server(entries, destination, true)?,
            PoolEvent::Down { destination, .. } => server(entries, destination, false)?,
            PoolEvent::QuorumUp { .. } => quorum(entries.next()?, true),
            PoolEvent::QuorumDown { .. } => quorum(entries.next()?, false),
            _ => return None,
        };
        let command = command.map(|command| {
            command
                .with_variable("LVS_EVENT", &event.number.to_string())
                .with_variable("LVS_SUBJECT", &subject)
                .with_variable("LVS_FROM", word(!is_up))
                .with_variable("LVS_STATE", word(is_up))
        });
        let notice = Notice {
            number: event.number,
            service: Arc::clone(service),
            subject,
            is_up,
        };
        Some((notice, command))
    }
}

fn server<'a>(
    mut entries: impl Iterator<Item = &'a Entry>,
    key: &ServerKey,
    is_up: bool,
) -> Option<(String, bool, Option<Command>)> {
    let (entry, commands) =
        entries.find_map(|entry| entry.servers.get(key).map(|commands| (entry, commands)))?;
    let Entry { name, protocol, .. } = entry;
    let subject = format!("RS [{}]:{protocol}:{} {name}", key.address, key.port);
    Some((subject, is_up, commands.of(is_up).cloned()))
}

fn quorum(entry: &Entry, is_up: bool) -> (String, bool, Option<Command>) {
    let subject = format!("VS {}", entry.name);
    (subject, is_up, entry.quorum.of(is_up).cloned())
}

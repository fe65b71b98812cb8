//! Persistence: what a service remembers of its clients (scheduler specification, section 1.6).
//!
//! A *template* says where the next connection of a client, or of a network of clients, goes. It is
//! made with the first connection and lives until no connection was made through it for the timeout;
//! as long as connections that were made through it live, it is prolonged by 60 s each time its timer
//! fires, and from then on its timer is one of 60 s (seen with 6.1.176 and 7.2.7).
//!
//! All of a service's connections share its templates. That holds for mark services, too: whatever
//! address, port or protocol a marked packet has, its client has one template.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::arena::{Arena, Key};
use crate::context::Timestamp;
use crate::virtual_service::DestinationId;

/// By how much a template is prolonged that has connections when its timer fires.
const PROLONGATION: Duration = Duration::from_secs(60);

/// Persistence of a service: for how long, and for which clients together.
///
/// ```
/// use lvs_schedulers::{
///     Algorithm, Context, Destination, Flow, Persistence, PersistenceMask, Semantics, VirtualService,
/// };
/// use std::time::Duration;
///
/// // All clients of a /24 go to the same server until none came for five minutes.
/// let mask = PersistenceMask::Inet([255, 255, 255, 0].into());
/// let persistence = Persistence::new(Duration::from_secs(300)).with_mask(mask);
/// let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1)
///     .with_persistence(persistence);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?))?;
///
/// let mut connect = |client: &str, seconds| {
///     let flow = Flow::tcp(client.parse().unwrap(), "192.0.2.1:80".parse().unwrap());
///     let mut context = Context::new(Duration::from_secs(seconds));
///     let connection = service.connect(&flow, &mut context).unwrap();
///     let destination = service.destination_of(connection).unwrap().id();
///     service.expire(connection);
///     destination
/// };
/// assert_eq!(connect("198.51.100.1:1000", 0), b);
/// assert_eq!(connect("198.51.100.2:1000", 200), b, "the same network");
/// assert_eq!(connect("203.0.113.1:1000", 200), a, "another one");
/// assert_eq!(connect("198.51.100.3:1000", 499), b, "the timer was restarted");
/// assert_eq!(connect("198.51.100.3:1000", 799), b, "rr goes on: forgotten, and its turn again");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Persistence {
    timeout: Duration,
    mask: PersistenceMask,
}

impl Persistence {
    /// The timeout of `ipvsadm -p` without a number: 360 s.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(360);

    /// Persistence of each client by itself. The kernel takes whole seconds.
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            mask: PersistenceMask::Client,
        }
    }

    /// Sets which clients share a template.
    pub const fn with_mask(mut self, mask: PersistenceMask) -> Self {
        self.mask = mask;
        self
    }

    /// How long a template lives after the last connection was made through it.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Which clients share a template.
    pub const fn mask(&self) -> PersistenceMask {
        self.mask
    }
}

impl Default for Persistence {
    fn default() -> Self {
        Self::new(Self::DEFAULT_TIMEOUT)
    }
}

/// Which clients share a template.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum PersistenceMask {
    /// Each client has its own.
    #[default]
    Client,
    /// Those whose IPv4 addresses are equal under this mask; IPv6 clients each have their own.
    Inet(Ipv4Addr),
    /// Those whose IPv6 addresses have that many leading bits in common, 0 to 128 (more counts as
    /// 128); IPv4 clients each have their own.
    Inet6(u8),
}

impl PersistenceMask {
    /// The address under which the client is remembered.
    ///
    /// ```
    /// use lvs_schedulers::PersistenceMask;
    ///
    /// let client = "2001:db8:1:2::7".parse().unwrap();
    /// assert_eq!(PersistenceMask::Inet6(48).apply(client).to_string(), "2001:db8:1::");
    /// ```
    pub fn apply(self, client: IpAddr) -> IpAddr {
        match (self, client) {
            (Self::Inet(mask), IpAddr::V4(client)) => {
                Ipv4Addr::from_bits(client.to_bits() & mask.to_bits()).into()
            }
            (Self::Inet6(length), IpAddr::V6(client)) => {
                let beyond = u128::MAX.checked_shr(length.into()).unwrap_or_default();
                Ipv6Addr::from_bits(client.to_bits() & !beyond).into()
            }
            _ => client,
        }
    }
}

/// What a service remembers of a client.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Template {
    /// Where its connections go.
    pub destination: DestinationId,
    /// For how long a connection made through it restarts its timer: the service's timeout when it
    /// was made; 60 s once it was prolonged.
    pub timeout: Duration,
    /// When its timer fires.
    pub due: Timestamp,
    /// How many of its connections live.
    pub connections: u32,
    /// Whether one of them was established; of UDP, whether the server answered one.
    pub is_assured: bool,
}

/// The templates of a service.
#[derive(Debug)]
pub(crate) struct Templates {
    all: Arena<Held>,
    /// Those that are honoured, by masked client.
    by_client: BTreeMap<IpAddr, Key>,
    timers: BTreeSet<(Timestamp, Key)>,
}

#[derive(Debug)]
struct Held {
    template: Template,
    /// `None` once it is not honoured any more.
    client: Option<IpAddr>,
}

impl Templates {
    pub(crate) const fn new() -> Self {
        Self {
            all: Arena::new(),
            by_client: BTreeMap::new(),
            timers: BTreeSet::new(),
        }
    }

    /// How many clients are remembered.
    pub(crate) fn len(&self) -> usize {
        self.by_client.len()
    }

    pub(crate) fn find(&self, client: IpAddr) -> Option<(Key, &Template)> {
        let key = *self.by_client.get(&client)?;
        Some((key, &self.all.get(key)?.template))
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Template> {
        Some(&self.all.get(key)?.template)
    }

    /// Remembers a client, in place of what was remembered of it. The timer runs.
    pub(crate) fn insert(&mut self, client: IpAddr, template: Template) -> Key {
        self.invalidate(client);
        let key = self.all.insert(Held {
            template,
            client: Some(client),
        });
        self.by_client.insert(client, key);
        self.timers.insert((template.due, key));
        key
    }

    /// The client is remembered no more; the template lives on, useless, until its timer fires.
    pub(crate) fn invalidate(&mut self, client: IpAddr) {
        let key = self.by_client.remove(&client);
        if let Some(held) = key.and_then(|key| self.all.get_mut(key)) {
            held.client = None;
        }
    }

    /// A connection was made through it: one more to count, and the timer starts again.
    pub(crate) fn bind(&mut self, key: Key, now: Timestamp) {
        if let Some(held) = self.all.get_mut(key) {
            let template = &mut held.template;
            template.connections = template.connections.saturating_add(1);
            self.timers.remove(&(template.due, key));
            template.due = now.saturating_add(template.timeout);
            self.timers.insert((template.due, key));
        }
    }

    /// One of its connections is gone.
    pub(crate) fn unbind(&mut self, key: Key) {
        if let Some(held) = self.all.get_mut(key) {
            held.template.connections = held.template.connections.saturating_sub(1);
        }
    }

    pub(crate) fn assure(&mut self, key: Key) {
        if let Some(held) = self.all.get_mut(key) {
            held.template.is_assured = true;
        }
    }

    /// When the next timer fires.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        Some(self.timers.first()?.0)
    }

    /// The first timer fires, not after `now`: its template is prolonged beyond `now` if it has
    /// connections, otherwise it is gone and returned.
    pub(crate) fn fire(&mut self, now: Timestamp) -> Option<Template> {
        let (due, key) = *self.timers.first()?;
        if due > now {
            return None;
        }
        self.timers.pop_first();
        let held = self.all.get_mut(key)?;
        if held.template.connections == 0 {
            let held = self.all.remove(key)?;
            if let Some(client) = held.client {
                self.by_client.remove(&client);
            }
            return Some(held.template);
        }
        // In one step, however many times it fired: what it waits for did not happen meanwhile.
        let behind = now.saturating_sub(due).as_secs() / PROLONGATION.as_secs();
        let steps = Duration::from_secs(PROLONGATION.as_secs().saturating_mul(behind + 1));
        held.template.timeout = PROLONGATION;
        held.template.due = due.saturating_add(steps);
        self.timers.insert((held.template.due, key));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_cut_clients_of_their_own_family() {
        let apply = |mask: PersistenceMask, client: &str| {
            std::string::ToString::to_string(&mask.apply(client.parse().unwrap()))
        };
        let inet = |a, b, c, d| PersistenceMask::Inet([a, b, c, d].into());
        for (mask, client, expected) in [
            (PersistenceMask::Client, "198.51.100.7", "198.51.100.7"),
            (PersistenceMask::Client, "2001:db8::1", "2001:db8::1"),
            (inet(255, 255, 255, 0), "198.51.100.7", "198.51.100.0"),
            (inet(255, 255, 255, 0), "2001:db8::1", "2001:db8::1"),
            (inet(255, 0, 255, 0), "198.51.100.7", "198.0.100.0"),
            (inet(0, 0, 0, 0), "198.51.100.7", "0.0.0.0"),
            (PersistenceMask::Inet6(0), "2001:db8::1", "::"),
            (
                PersistenceMask::Inet6(33),
                "2001:db8:ffff::1",
                "2001:db8:8000::",
            ),
            (PersistenceMask::Inet6(127), "2001:db8::3", "2001:db8::2"),
            (PersistenceMask::Inet6(128), "2001:db8::3", "2001:db8::3"),
            (PersistenceMask::Inet6(200), "2001:db8::3", "2001:db8::3"),
            (PersistenceMask::Inet6(48), "198.51.100.7", "198.51.100.7"),
        ] {
            assert_eq!(apply(mask, client), expected, "{mask:?} {client}");
        }
    }
}

//! A virtual service: its destinations in the kernel's order, their connections, their thresholds.
//!
//! The service is driven by explicit events: destinations are added, edited and removed as an
//! administrator would, connections are bound by [`connect`](VirtualService::connect) and leave by
//! [`expire`](VirtualService::expire). Every change of the list reaches the scheduler through the
//! hook the kernel calls for it.
//!
//! A removed destination whose connections go on is kept aside (the kernel's trash) until the last
//! of them has expired. Adding its address again before that brings it back with its connections,
//! as the newest of the list.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::arena::{Arena, Key};
use crate::context::{Context, Removed, Timestamp};
use crate::destination::{Destination, DestinationEntry};
use crate::error::Error;
use crate::flags::SchedulerFlags;
use crate::flow::{Flow, Protocol};
use crate::scheduler::{Algorithm, Scheduler};
use crate::semantics::Semantics;

/// Names a destination of one service. Valid until the destination was removed and its last
/// connection has expired; never used for another one after that.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DestinationId(Key);

/// Names a connection of one service. Valid until the connection expires.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(Key);

/// A virtual service: a scheduler, destinations and their connections.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
/// // Takes no new connections from the second on, until it has fewer than two again.
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?).with_thresholds(2, 0))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
///
/// let first = service.connect(&flow, &mut context).ok_or("refused")?;
/// service.connect(&flow, &mut context).ok_or("refused")?;
/// assert!(service.connect(&flow, &mut context).is_none(), "overloaded");
///
/// service.expire(first);
/// assert!(service.connect(&flow, &mut context).is_some());
/// assert_eq!(service.destination(a).map(|d| d.active()), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VirtualService {
    scheduler: Box<dyn Scheduler<DestinationEntry>>,
    semantics: Semantics,
    flags: SchedulerFlags,
    now: Timestamp,
    /// In the order of addition: the kernel's list from its end to its head.
    list: Vec<DestinationEntry>,
    places: Arena<Place>,
    connections: Arena<Connection>,
}

/// Where the entry of a destination is.
#[derive(Debug)]
enum Place {
    Listed(usize),
    Trashed(DestinationEntry),
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    destination: DestinationId,
    active: bool,
}

impl VirtualService {
    /// A service without destinations, scheduled by one of the kernel's algorithms.
    pub fn new(algorithm: Algorithm, semantics: Semantics) -> Self {
        Self::with_scheduler(algorithm.scheduler(semantics), semantics)
    }

    /// A service without destinations, with a scheduler that may be the caller's own.
    pub fn with_scheduler(
        scheduler: Box<dyn Scheduler<DestinationEntry>>,
        semantics: Semantics,
    ) -> Self {
        let mut service = Self {
            scheduler,
            semantics,
            flags: SchedulerFlags::NONE,
            now: Timestamp::ZERO,
            list: Vec::new(),
            places: Arena::new(),
            connections: Arena::new(),
        };
        service.scheduler.bind(&service.list, service.now);
        service
    }

    /// The same service with these scheduler flags.
    #[must_use]
    pub fn with_flags(mut self, flags: SchedulerFlags) -> Self {
        self.set_flags(flags);
        self
    }

    /// Replaces the scheduler flags, as an edit of the service does.
    pub fn set_flags(&mut self, flags: SchedulerFlags) {
        self.flags = flags;
        self.scheduler.set_flags(flags);
    }

    /// The scheduler flags in force.
    pub const fn flags(&self) -> SchedulerFlags {
        self.flags
    }

    /// The name of the scheduler in force.
    pub fn scheduler_name(&self) -> &str {
        self.scheduler.name()
    }

    /// The kernel behaviours in force.
    pub const fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// Replaces the scheduler and binds the new one to the present list.
    ///
    /// The kernel does this only if the name differs; the same name again changes nothing there.
    pub fn set_scheduler(&mut self, scheduler: Box<dyn Scheduler<DestinationEntry>>) {
        self.scheduler = scheduler;
        self.scheduler.set_flags(self.flags);
        self.scheduler.bind(&self.list, self.now);
    }

    /// Adds a destination as the newest of the list. A removed one of the same address that still
    /// has connections comes back with them, under its former name.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if the address is in the list; [`Error::Weight`] and
    /// [`Error::Thresholds`] as the kernel refuses them.
    pub fn add(&mut self, destination: Destination) -> Result<DestinationId, Error> {
        destination.validate()?;
        let address = destination.address();
        if self.position(address).is_some() {
            return Err(Error::Exists { address });
        }
        let index = self.list.len();
        let entry = match self.restore(address, index) {
            Some(mut entry) => {
                entry.restore(destination, self.semantics.threshold_edits);
                entry
            }
            None => {
                let key = self.places.insert(Place::Listed(index));
                DestinationEntry::new(DestinationId(key), destination)
            }
        };
        let id = entry.id();
        self.list.push(entry);
        self.scheduler.added(&self.list, index);
        Ok(id)
    }

    /// Replaces weight and thresholds of the destination with this address. Its connections and
    /// its place in the list stay; thresholds act as [`Semantics::threshold_edits`] says.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the address is not in the list; [`Error::Weight`] and
    /// [`Error::Thresholds`] as the kernel refuses them.
    pub fn edit(&mut self, destination: Destination) -> Result<DestinationId, Error> {
        destination.validate()?;
        let address = destination.address();
        let (index, entry) = self
            .list
            .iter_mut()
            .enumerate()
            .find(|(_, entry)| entry.address() == address)
            .ok_or(Error::NotFound { address })?;
        let id = entry.id();
        entry.update(destination, self.semantics.threshold_edits);
        self.scheduler.edited(&self.list, index);
        Ok(id)
    }

    /// Takes the destination with this address out of the list. Its connections go on until they
    /// [expire](Self::expire).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the address is not in the list.
    pub fn remove(&mut self, address: SocketAddr) -> Result<(), Error> {
        let index = self.position(address).ok_or(Error::NotFound { address })?;
        let mut entry = self.list.remove(index);
        entry.set_available(false);
        for (index, entry) in self.list.iter().enumerate().skip(index) {
            if let Some(place) = self.places.get_mut(entry.id().0) {
                *place = Place::Listed(index);
            }
        }
        if entry.total() == 0 {
            self.places.remove(entry.id().0);
        } else if let Some(place) = self.places.get_mut(entry.id().0) {
            *place = Place::Trashed(entry);
        }
        self.scheduler.removed(&self.list, index);
        Ok(())
    }

    /// The destinations of the list in the kernel's order: the one added last comes first.
    pub fn destinations(&self) -> impl DoubleEndedIterator<Item = &DestinationEntry> {
        self.list.iter().rev()
    }

    /// The destination named `id`, in the list or removed with connections left.
    pub fn destination(&self, id: DestinationId) -> Option<&DestinationEntry> {
        match self.places.get(id.0)? {
            Place::Listed(index) => self.list.get(*index),
            Place::Trashed(entry) => Some(entry),
        }
    }

    /// The destination of the list with this address.
    pub fn destination_at(&self, address: SocketAddr) -> Option<&DestinationEntry> {
        self.list.get(self.position(address)?)
    }

    /// Asks the scheduler without counting a connection. `None`: the kernel would drop the packet
    /// and answer port unreachable.
    #[inline]
    pub fn schedule(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<DestinationId> {
        let index = self.pick(flow, context)?;
        self.list.get(index).map(DestinationEntry::id)
    }

    /// Asks the scheduler where the connection that `flow` starts goes, and counts it there: TCP as
    /// active, for its SYN makes it so before the next packet is scheduled, others as inactive.
    pub fn connect(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<ConnectionId> {
        let index = self.pick(flow, context)?;
        let entry = self.list.get_mut(index)?;
        let active = flow.protocol() == Protocol::Tcp;
        entry.bind(active);
        Some(ConnectionId(self.connections.insert(Connection {
            destination: entry.id(),
            active,
        })))
    }

    /// The destination of a connection; it may have been removed since.
    pub fn destination_of(&self, connection: ConnectionId) -> Option<&DestinationEntry> {
        self.destination(self.connections.get(connection.0)?.destination)
    }

    /// Both sides have closed the connection: it stays, but counts as inactive. Returns whether the
    /// connection exists.
    pub fn close(&mut self, connection: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(connection.0) else {
            return false;
        };
        let destination = connection.destination;
        let was_active = core::mem::replace(&mut connection.active, false);
        match self.entry_mut(destination) {
            Some(entry) if was_active => entry.deactivate(),
            _ => {}
        }
        true
    }

    /// The connection leaves the table and is counted no more. Returns whether it existed.
    pub fn expire(&mut self, connection: ConnectionId) -> bool {
        let Some(connection) = self.connections.remove(connection.0) else {
            return false;
        };
        if let Some(entry) = self.entry_mut(connection.destination) {
            entry.unbind(connection.active);
            if !entry.is_available() && entry.total() == 0 {
                self.places.remove(connection.destination.0);
            }
        }
        true
    }

    /// Number of connections, those of removed destinations included.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    #[inline]
    fn pick(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        // Only when destinations were removed is there anything to tell of them.
        if context.now() != self.now || context.is_traced() || self.places.len() > self.list.len() {
            return self.pick_with_extras(flow, context);
        }
        self.scheduler.pick(&self.list, flow, context)
    }

    /// A pick at another time than the last one, one that is explained, or one that may ask for
    /// removed destinations. Most picks need not pay for any of it.
    #[cold]
    #[inline(never)]
    fn pick_with_extras(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        self.now = self.now.max(context.now());
        if let Some(explanation) = context.trace() {
            explanation.clear();
        }
        let places = &self.places;
        let removed = |address| removed(places, address);
        let mut lent = context.lend().with_removed(&removed);
        let pick = self.scheduler.pick(&self.list, flow, &mut lent);
        if let Some(explanation) = context.trace() {
            explanation.conclude(self.scheduler.name(), pick);
            explanation.name(self.list.iter().map(DestinationEntry::address));
        }
        pick
    }

    fn position(&self, address: SocketAddr) -> Option<usize> {
        self.list
            .iter()
            .position(|entry| entry.address() == address)
    }

    /// Takes a removed destination out of the trash, to be listed at `index`.
    fn restore(&mut self, address: SocketAddr, index: usize) -> Option<DestinationEntry> {
        let place = self
            .places
            .values_mut()
            .find(|place| matches!(place, Place::Trashed(entry) if entry.address() == address))?;
        match core::mem::replace(place, Place::Listed(index)) {
            Place::Trashed(entry) => Some(entry),
            Place::Listed(_) => None,
        }
    }

    fn entry_mut(&mut self, id: DestinationId) -> Option<&mut DestinationEntry> {
        match self.places.get_mut(id.0)? {
            Place::Listed(index) => self.list.get_mut(*index),
            Place::Trashed(entry) => Some(entry),
        }
    }
}

/// What the removed destination with this address is like, for the scheduler.
fn removed(places: &Arena<Place>, address: SocketAddr) -> Option<Removed> {
    places.values().find_map(|place| match place {
        Place::Trashed(entry) if entry.address() == address => Some(Removed::new(
            entry.weight(),
            entry.active(),
            entry.inactive(),
        )),
        _ => None,
    })
}

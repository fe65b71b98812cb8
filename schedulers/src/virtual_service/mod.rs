//! A virtual service: its destinations in the kernel's order, their connections, their thresholds.
//!
//! The service is driven by explicit events: destinations are added, edited and removed as an
//! administrator would, connections are begun by [`connect`](VirtualService::connect), go on by
//! [`packet`](VirtualService::packet) and leave by [`expire`](VirtualService::expire). Every change of
//! the list reaches the scheduler through the hook the kernel calls for it.
//!
//! # Time
//!
//! The service's clock is the latest time it was told, by [`advance`](VirtualService::advance) or in a
//! [`Context`]; it never goes back. What the kernel does by timers to templates and to removed
//! destinations has happened whenever a call returns. Connections leave only when they are told to:
//! one by one, or with [`expire_due`](VirtualService::expire_due) by their own timers.
//!
//! # What a packet goes through
//!
//! 1. A client's port 20 is never scheduled (active FTP opens data connections from there).
//! 2. With [persistence](VirtualService::with_persistence), a template that is honoured decides.
//! 3. Otherwise the scheduler does, and a template remembers it.
//! 4. The connection is counted by its first packet (TCP: SYN, SCTP: INIT), then by each that follows.
//!
//! Rules about *existing* connections of other state (`conn_reuse_mode`, `expire_nodest_conn`) are the
//! caller's, who knows which packet belongs to which connection.

mod accounting;
mod list;
mod trash;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::arena::{Arena, Key};
use crate::connection::Connection;
use crate::context::{Context, Timestamp};
use crate::destination::DestinationEntry;
use crate::explanation::Step;
use crate::flags::SchedulerFlags;
use crate::flow::Flow;
use crate::persistence::{Persistence, Templates};
use crate::scheduler::{Algorithm, Scheduler};
use crate::semantics::Semantics;
use crate::settings::Settings;
use trash::{Place, Trash};

/// Names a destination of one service. Valid as long as the kernel keeps the destination: until some
/// minutes after it was removed (see [`VirtualService::remove`]). Never used for another one after
/// that.
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
    settings: Settings,
    persistence: Option<Persistence>,
    one_packet: bool,
    now: Timestamp,
    /// When the first timer of a template or of the trash fires; the end of time if there is none.
    next_timer: Timestamp,
    /// In the order of addition: the kernel's list from its end to its head.
    list: Vec<DestinationEntry>,
    places: Arena<Place>,
    trash: Trash,
    connections: Arena<Connection>,
    /// The connection of the last packet of a one-packet service, counted no more.
    passing: Option<ConnectionId>,
    templates: Templates,
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
            settings: Settings::DEFAULT,
            persistence: None,
            one_packet: false,
            now: Timestamp::ZERO,
            next_timer: Timestamp::MAX,
            list: Vec::new(),
            places: Arena::new(),
            trash: Trash::new(),
            connections: Arena::new(),
            passing: None,
            templates: Templates::new(),
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

    /// The same service with persistence.
    #[must_use]
    pub const fn with_persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = Some(persistence);
        self
    }

    /// Sets or ends persistence, as an edit of the service does. Templates that exist keep their
    /// timeout; they are of no use under another mask.
    pub const fn set_persistence(&mut self, persistence: Option<Persistence>) {
        self.persistence = persistence;
    }

    /// Persistence in force.
    pub const fn persistence(&self) -> Option<Persistence> {
        self.persistence
    }

    /// The same service, where each UDP datagram is scheduled for itself. Other protocols are not
    /// affected: only services by firewall mark can have both.
    ///
    /// ```
    /// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
    ///
    /// let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1).with_one_packet();
    /// service.add(Destination::new("10.2.1.1:53".parse()?))?;
    /// let flow = Flow::udp("192.0.2.7:5353".parse()?, "192.0.2.1:53".parse()?);
    /// let datagram = service.connect(&flow, &mut Context::new(Default::default()));
    /// // Readable until the next one, counted by nobody any more.
    /// let destination = datagram.and_then(|it| service.destination_of(it)).ok_or("refused")?;
    /// assert_eq!(destination.total(), 0);
    /// assert_eq!(service.connections(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_one_packet(mut self) -> Self {
        self.one_packet = true;
        self
    }

    /// Sets whether each UDP datagram is scheduled for itself, as an edit of the service does; it
    /// applies to connections from now on.
    pub const fn set_one_packet(&mut self, one_packet: bool) {
        self.one_packet = one_packet;
    }

    /// Whether each UDP datagram is scheduled for itself.
    pub const fn is_one_packet(&self) -> bool {
        self.one_packet
    }

    /// The same service with what holds for all connections of its network namespace.
    #[must_use]
    pub const fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets what holds for all connections of the network namespace; it applies to packets from now
    /// on.
    pub const fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What holds for all connections of the network namespace.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The latest time the service was told.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// It is `now`: what timers do to templates, removed destinations and the scheduler's caches
    /// happens. A time that is past changes nothing.
    pub fn advance(&mut self, now: Timestamp) {
        self.reach(now);
        self.scheduler.advance(self.now);
    }

    /// When something happens next by a timer: of a connection, a template or a removed destination.
    /// Schedulers' caches are not asked. Takes time in proportion to the connections.
    pub fn next_due(&self) -> Option<Timestamp> {
        let counted = self.connections.iter().filter(|&(key, _)| {
            // One that was a single packet is gone, only still readable.
            self.passing != Some(ConnectionId(key))
        });
        let connections = counted.map(|(_, connection)| connection.due()).min();
        let timers = (self.next_timer < Timestamp::MAX).then_some(self.next_timer);
        connections.into_iter().chain(timers).min()
    }

    /// Asks the scheduler without counting a connection and without looking at templates. `None`: the
    /// kernel would drop the packet and answer port unreachable, or does not schedule it.
    #[inline]
    pub fn schedule(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<DestinationId> {
        self.reach(context.now());
        let index = self.pick(flow, context)?;
        self.list.get(index).map(DestinationEntry::id)
    }

    #[inline]
    fn pick(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        if context.is_traced() || !self.trash.is_empty() || is_left_alone(flow) {
            return self.pick_with_extras(flow, context);
        }
        self.scheduler.pick(&self.list, flow, context)
    }

    /// A pick that is explained, one that may ask for removed destinations, or none. Most picks need
    /// not pay for any of it.
    #[cold]
    #[inline(never)]
    fn pick_with_extras(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        if let Some(explanation) = context.trace() {
            explanation.clear();
        }
        let pick = if is_left_alone(flow) {
            context.explain(|| Step::Note("source port 20 is never scheduled".into()));
            None
        } else {
            let places = &self.places;
            let removed = |address| trash::removed(places, address);
            let mut lent = context.lend().with_removed(&removed);
            self.scheduler.pick(&self.list, flow, &mut lent)
        };
        // A scheduler of the caller's own may answer anything.
        let pick = pick.filter(|&index| index < self.list.len());
        if let Some(explanation) = context.trace() {
            explanation.conclude(self.scheduler.name(), pick);
            explanation.name(self.list.iter().map(DestinationEntry::address));
        }
        pick
    }

    /// Moves the clock, and lets timers fire that are due.
    #[inline]
    fn reach(&mut self, now: Timestamp) {
        // Whatever was due at this time has happened.
        if now != self.now {
            self.move_clock(now);
        }
    }

    #[cold]
    fn move_clock(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.now >= self.next_timer {
            self.fire_timers();
        }
    }

    /// Templates expire or are prolonged, the trash is looked at: in the order of their times.
    fn fire_timers(&mut self) {
        loop {
            let template = self.templates.next_due().unwrap_or(Timestamp::MAX);
            let trash = self.trash.next_look().unwrap_or(Timestamp::MAX);
            self.next_timer = template.min(trash);
            if self.next_timer > self.now || self.next_timer == Timestamp::MAX {
                return;
            }
            if template <= trash {
                let rule = self.semantics.template_thresholds;
                let gone = self.templates.fire(self.now);
                if let Some(entry) = gone.and_then(|gone| self.entry_mut(gone.destination)) {
                    entry.unbind_template(rule);
                }
            } else {
                self.look_at_trash(trash, template);
            }
        }
    }
}

/// Whether nobody is asked for a flow: in active FTP, the client is the server of what comes from port
/// 20.
const fn is_left_alone(flow: &Flow) -> bool {
    flow.client().port() == 20
}

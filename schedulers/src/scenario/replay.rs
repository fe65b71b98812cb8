//! Plays a scenario back, at once or event by event.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::context::{Context, Timestamp};
use crate::destination::{Destination, DestinationEntry};
use crate::explanation::Explanation;
use crate::flow::{Flow, Protocol};
use crate::generator::Generator;
use crate::scenario::checks::State;
use crate::scenario::error::ScenarioError;
use crate::scenario::event::{Change, Event};
use crate::scenario::{Scenario, Target};
use crate::scheduler::Scheduler;
use crate::virtual_service::{ConnectionId, DestinationId, VirtualService};

/// What came of a whole scenario. Displayed as the result document, `{"picks":[0,1,null]}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replay {
    picks: Vec<Option<u32>>,
}

impl Replay {
    pub(super) const fn new(picks: Vec<Option<u32>>) -> Self {
        Self { picks }
    }

    /// For each flow the id of the server it went to, `None` where nothing was picked.
    pub fn picks(&self) -> &[Option<u32>] {
        &self.picks
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"picks\":[")?;
        for (index, pick) in self.picks.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match pick {
                Some(id) => write!(f, "{id}")?,
                None => f.write_str("null")?,
            }
        }
        f.write_str("]}")
    }
}

/// What came of one event.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A flow went to the server of this id.
    Picked(u32),
    /// A flow got no server: the kernel drops the packet and answers port unreachable.
    Refused,
    /// The event was no flow.
    Done,
}

impl Outcome {
    /// The entry of this event in the [list of picks](Replay::picks), if it has one.
    pub const fn pick(self) -> Option<Option<u32>> {
        match self {
            Self::Picked(id) => Some(Some(id)),
            Self::Refused => Some(None),
            Self::Done => None,
        }
    }
}

/// Plays events back one at a time and shows the service in between.
///
/// It starts as its scenario does, before the first event; which events then happen is up to the
/// caller.
///
/// ```
/// use lvs_schedulers::Explanation;
/// use lvs_schedulers::scenario::{Event, Outcome, Scenario};
///
/// let scenario: Scenario = r#"{
///   "scheduler": "lc",
///   "virtual": "10.1.0.100:80",
///   "servers": [
///     {"id": 7, "address": "10.2.1.1:80", "weight": 1},
///     {"id": 8, "address": "10.2.1.2:80", "weight": 1}
///   ]
/// }"#.parse()?;
/// let mut replayer = scenario.replayer();
/// let event = Event::flow(([10, 1, 1, 1], 1000).into());
/// assert_eq!(replayer.step(&event)?, Outcome::Picked(8));
/// assert_eq!(replayer.server(8).map(|entry| entry.active()), Some(1));
///
/// let mut why = Explanation::new();
/// assert_eq!(replayer.step_explained(&event, &mut why)?, Outcome::Picked(7));
/// assert!(why.to_string().starts_with("lc picks 10.2.1.1:80"));
/// # Ok::<(), lvs_schedulers::scenario::ScenarioError>(())
/// ```
#[derive(Debug)]
pub struct Replayer {
    service: VirtualService,
    protocol: Protocol,
    target: Target,
    state: State,
    events: usize,
    now: Timestamp,
    draw: Generator,
    /// The destinations by server id, and the other way round.
    destinations: BTreeMap<u32, DestinationId>,
    ids: BTreeMap<DestinationId, u32>,
    /// The connection of each flow; `None` where nothing was picked or it has expired.
    connections: Vec<Option<ConnectionId>>,
}

impl Replayer {
    pub(super) fn new(
        scenario: &Scenario,
        scheduler: Box<dyn Scheduler<DestinationEntry>>,
    ) -> Self {
        let settings = &scenario.settings;
        let mut service = VirtualService::with_scheduler(scheduler, settings.semantics)
            .with_flags(settings.flags);
        if let Some(persistence) = settings.persistence {
            service = service.with_persistence(persistence);
        }
        let mut replayer = Self {
            service,
            protocol: settings.protocol,
            target: settings.target,
            state: scenario.start.clone(),
            events: 0,
            now: Timestamp::ZERO,
            draw: Generator::new(settings.seed),
            destinations: BTreeMap::new(),
            ids: BTreeMap::new(),
            connections: Vec::new(),
        };
        let servers = scenario.servers.iter();
        let added = replayer
            .service
            .add_all(servers.clone().map(|it| *it.destination()));
        debug_assert!(added.is_ok(), "{added:?}");
        for (server, destination) in servers.zip(added.unwrap_or_default()) {
            replayer.name(server.id(), destination);
        }
        replayer
    }

    /// Lets the next event happen.
    ///
    /// # Errors
    ///
    /// As for [`Scenario::push`]: the event contradicts those before. Nothing has happened then.
    pub fn step(&mut self, event: &Event) -> Result<Outcome, ScenarioError> {
        self.state.apply(event, self.events)?;
        self.events += 1;
        Ok(self.carry_out(event, None))
    }

    /// Like [`step`](Self::step), with an account of the pick if the event is a flow.
    ///
    /// # Errors
    ///
    /// As for [`step`](Self::step).
    pub fn step_explained(
        &mut self,
        event: &Event,
        why: &mut Explanation,
    ) -> Result<Outcome, ScenarioError> {
        self.state.apply(event, self.events)?;
        self.events += 1;
        Ok(self.carry_out(event, Some(why)))
    }

    /// The service as it is now.
    pub const fn service(&self) -> &VirtualService {
        &self.service
    }

    /// Virtual time: 0 at the beginning.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The server of that id: present, or removed with connections left.
    pub fn server(&self, id: u32) -> Option<&DestinationEntry> {
        self.service.destination(*self.destinations.get(&id)?)
    }

    /// The id of the server that a destination of the service is.
    pub fn id(&self, destination: DestinationId) -> Option<u32> {
        self.ids.get(&destination).copied()
    }

    /// The connection of a flow; `None` if it got no server or has expired.
    pub fn connection(&self, flow: usize) -> Option<ConnectionId> {
        self.connections.get(flow).copied().flatten()
    }

    /// Lets an event happen that has been checked.
    pub(super) fn carry_out(&mut self, event: &Event, why: Option<&mut Explanation>) -> Outcome {
        match *event {
            Event::Flow { client, to } => {
                let Some(to) = to.or(match self.target {
                    Target::Address(address) => Some(address),
                    Target::Mark(_) => None,
                }) else {
                    return Outcome::Refused;
                };
                let flow = Flow::new(self.protocol, client, to);
                return self.connect(&flow, why);
            }
            Event::Establish { flow } => {
                if let Some(connection) = self.connection(flow) {
                    self.service.establish(connection);
                }
            }
            Event::Close { flow } => {
                if let Some(connection) = self.connection(flow) {
                    self.service.close(connection);
                }
            }
            Event::Expire { flow } => {
                let connection = self.connections.get_mut(flow).and_then(Option::take);
                if let Some(connection) = connection {
                    self.service.expire(connection);
                }
            }
            Event::Add(Change { id, .. }) => {
                if let Some(destination) = self.state.destination(id) {
                    self.add(id, destination);
                }
            }
            Event::Edit(Change { id, .. }) => {
                let edited = self
                    .state
                    .destination(id)
                    .map(|destination| self.service.edit(destination));
                debug_assert!(matches!(edited, Some(Ok(_))), "{edited:?}");
            }
            Event::Remove { id } => {
                let removed = self
                    .state
                    .destination(id)
                    .map(|destination| self.service.remove(destination.address()));
                debug_assert_eq!(removed, Some(Ok(())));
            }
            Event::Advance { by } => {
                self.now = self.now.saturating_add(by);
                self.service.advance(self.now);
            }
        }
        Outcome::Done
    }

    fn connect(&mut self, flow: &Flow, why: Option<&mut Explanation>) -> Outcome {
        let draw = &mut self.draw;
        let mut draw = |highest| draw.up_to(highest);
        let mut context = Context::new(self.now).with_draw(&mut draw);
        if let Some(why) = why {
            why.clear();
            context = context.with_trace(why);
        }
        let connection = self.service.connect(flow, &mut context);
        self.connections.push(connection);
        let entry = connection.and_then(|connection| self.service.destination_of(connection));
        match entry.and_then(|entry| self.id(entry.id())) {
            Some(id) => Outcome::Picked(id),
            None => Outcome::Refused,
        }
    }

    fn add(&mut self, id: u32, destination: Destination) {
        let added = self.service.add(destination);
        debug_assert!(added.is_ok(), "{added:?}");
        if let Ok(destination) = added {
            self.name(id, destination);
        }
    }

    fn name(&mut self, id: u32, destination: DestinationId) {
        self.destinations.insert(id, destination);
        self.ids.insert(destination, id);
    }
}

//! What is measured while traffic plays: shares, spread, clients that move.

use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;

use lvs_schedulers::scenario::{Event, Outcome, Replayer, Scenario};
use lvs_schedulers::{DestinationEntry, Protocol};

use crate::sample::{Sample, Sampler, Spread};

/// What one scheduler did with the traffic.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) scheduler: String,
    pub(crate) flows: u64,
    pub(crate) refused: u64,
    /// In the order of their first appearance.
    pub(crate) servers: Vec<Load>,
    pub(crate) samples: Vec<Sample>,
    /// None if no server left.
    pub(crate) moved: Option<Moved>,
    /// The pick of each flow, if wanted.
    pub(crate) picks: Vec<Option<u32>>,
}

/// What one server got.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) id: u32,
    /// The latest address it had.
    pub(crate) address: SocketAddr,
    /// The latest weight it had.
    pub(crate) weight: u32,
    /// Flows that it got.
    pub(crate) flows: u64,
    /// Flows that its weight asks for: at each flow that went anywhere, its share of all weights.
    pub(crate) due: f64,
    /// Connections in the end.
    pub(crate) active: u32,
    pub(crate) inactive: u32,
}

/// What the leaving of servers did to clients whose own server stayed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    /// Clients of servers that stayed who came again.
    pub(crate) returned: u64,
    /// Those of them who then got another server.
    pub(crate) moved: u64,
}

impl Moved {
    /// How many of those who came again got another server, 0 to 1.
    pub(crate) fn share(self) -> Option<f64> {
        (self.returned > 0).then(|| ratio(self.moved, self.returned))
    }
}

impl Figures {
    /// Flows that got a server.
    pub(crate) const fn picked(&self) -> u64 {
        self.flows - self.refused
    }

    /// The share of the flows that a server got, 0 to 1.
    pub(crate) fn share(&self, server: &Load) -> f64 {
        ratio(server.flows, self.picked().max(1))
    }

    /// The share that its weight asks for, 0 to 1.
    pub(crate) fn share_due(&self, server: &Load) -> f64 {
        let all: f64 = self.servers.iter().map(|server| server.due).sum();
        if all > 0.0 { server.due / all } else { 0.0 }
    }

    /// How unevenly new flows were spread: of flows got over flows due, by server.
    pub(crate) fn flow_spread(&self) -> Option<Spread> {
        let due = self.servers.iter().filter(|server| server.due > 0.0);
        #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
        Spread::of(due.map(|server| server.flows as f64 / server.due))
    }

    /// How unevenly connections were spread: of connections per weight, by server, the mean over
    /// time.
    pub(crate) fn connection_spread(&self) -> Option<Spread> {
        Spread::mean(self.samples.iter().filter_map(|sample| sample.spread))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Which connections of a server are measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Counted {
    /// The active ones.
    Active,
    /// All: of UDP none is ever active.
    All,
}

impl Counted {
    pub(crate) fn of(protocol: Protocol) -> Self {
        if protocol == Protocol::Udp {
            Self::All
        } else {
            Self::Active
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active connections",
            Self::All => "connections",
        }
    }

    const fn count(self, entry: &DestinationEntry) -> u32 {
        match self {
            Self::Active => entry.active(),
            Self::All => entry.total(),
        }
    }
}

/// Plays events and takes the measures.
#[derive(Debug)]
pub(crate) struct Meter {
    replayer: Replayer,
    counted: Counted,
    figures: Figures,
    columns: HashMap<u32, usize>,
    /// Whether time is what samples are spaced by, or the number of events.
    timed: bool,
    events: u64,
    sampler: Sampler,
    /// Share of the weights by server now, and flows that got a server since that changed.
    shares: Vec<f64>,
    since: u64,
    clients: HashMap<IpAddr, Client>,
    /// How many servers have left.
    departures: u32,
    keep_picks: bool,
}

/// The last flow of a client.
#[derive(Clone, Copy, Debug)]
struct Client {
    server: u32,
    /// How many servers had left before.
    departures: u32,
}

impl Meter {
    pub(crate) fn new(base: &Scenario, replayer: Replayer, timed: bool, keep_picks: bool) -> Self {
        let mut meter = Self {
            figures: Figures {
                scheduler: replayer.service().scheduler_name().to_owned(),
                flows: 0,
                refused: 0,
                servers: Vec::new(),
                samples: Vec::new(),
                moved: None,
                picks: Vec::new(),
            },
            replayer,
            counted: Counted::of(base.protocol()),
            columns: HashMap::new(),
            timed,
            events: 0,
            sampler: Sampler::new(),
            shares: Vec::new(),
            since: 0,
            clients: HashMap::new(),
            departures: 0,
            keep_picks,
        };
        for server in base.servers() {
            meter.include(server.id());
        }
        meter.reweigh();
        meter
    }

    /// Plays the next event. One that is impossible here is passed over: it can be about a server
    /// that this run has let go.
    pub(crate) fn step(&mut self, event: &Event) {
        let ahead = if self.timed { passing(event) } else { 1 };
        let until = self.position().saturating_add(ahead);
        if self.sampler.is_due_before(until) {
            let (replayer, servers) = (&self.replayer, &self.figures.servers);
            let state = || state(replayer, servers, self.counted);
            self.sampler.until(until, state);
        }
        let Ok(outcome) = self.replayer.step(event) else {
            return;
        };
        self.events += 1;
        match *event {
            Event::Flow { client, .. } => self.flow(client.ip(), outcome),
            Event::Add(change) => {
                self.include(change.id());
                self.reweigh();
            }
            Event::Edit(_) => self.reweigh(),
            Event::Remove { .. } => {
                self.departures += 1;
                self.figures.moved.get_or_insert_default();
                self.reweigh();
            }
            _ => {}
        }
    }

    pub(crate) fn finish(mut self) -> Figures {
        self.settle();
        let at = self.position();
        let (replayer, servers) = (&self.replayer, &self.figures.servers);
        let state = || state(replayer, servers, self.counted);
        let samples = self.sampler.finish(at, state);
        let mut figures = self.figures;
        figures.samples = samples;
        for server in &mut figures.servers {
            if let Some(entry) = self.replayer.server(server.id) {
                (server.active, server.inactive) = (entry.active(), entry.inactive());
            }
        }
        figures
    }

    /// How far it has got: microseconds or events.
    fn position(&self) -> u64 {
        if self.timed {
            u64::try_from(self.replayer.now().as_micros()).unwrap_or(u64::MAX)
        } else {
            self.events
        }
    }

    fn flow(&mut self, client: IpAddr, outcome: Outcome) {
        self.figures.flows += 1;
        let pick = outcome.pick().flatten();
        if self.keep_picks {
            self.figures.picks.push(pick);
        }
        let Some(server) = pick else {
            self.figures.refused += 1;
            return;
        };
        self.since += 1;
        let column = self.columns.get(&server);
        if let Some(load) = column.and_then(|column| self.figures.servers.get_mut(*column)) {
            load.flows += 1;
        }
        let departures = self.departures;
        let before = self.clients.insert(client, Client { server, departures });
        let Some(before) = before.filter(|before| before.departures < departures) else {
            return;
        };
        let stayed = self.replayer.server(before.server);
        if stayed.is_some_and(|entry| entry.is_available()) {
            let moved = self.figures.moved.get_or_insert_default();
            moved.returned += 1;
            moved.moved += u64::from(before.server != server);
        }
    }

    /// A server is there, maybe for the first time.
    fn include(&mut self, id: u32) {
        let Some(entry) = self.replayer.server(id) else {
            return;
        };
        let servers = &mut self.figures.servers;
        let column = *self.columns.entry(id).or_insert(servers.len());
        if let Some(load) = servers.get_mut(column) {
            load.address = entry.address();
            return;
        }
        servers.push(Load {
            id,
            address: entry.address(),
            weight: entry.weight(),
            flows: 0,
            due: 0.0,
            active: 0,
            inactive: 0,
        });
    }

    /// Takes note of changed weights.
    fn reweigh(&mut self) {
        self.settle();
        let mut weights = Vec::new();
        for load in &mut self.figures.servers {
            let entry = self.replayer.server(load.id);
            let entry = entry.filter(|entry| entry.is_available());
            if let Some(entry) = entry {
                load.weight = entry.weight();
            }
            weights.push(entry.map_or(0.0, |entry| f64::from(entry.weight())));
        }
        let all: f64 = weights.iter().sum();
        if all > 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= all);
        }
        self.shares = weights;
    }

    /// Credits the flows since the last change of weights.
    fn settle(&mut self) {
        let flows = core::mem::take(&mut self.since);
        for (load, share) in self.figures.servers.iter_mut().zip(&self.shares) {
            #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
            let due = flows as f64 * share;
            load.due += due;
        }
    }
}

/// By how much an event moves time, in microseconds.
fn passing(event: &Event) -> u64 {
    match event {
        Event::Advance { by } => u64::try_from(by.as_micros()).unwrap_or(u64::MAX),
        _ => 0,
    }
}

/// Connections by server, and how unevenly they are spread.
fn state(replayer: &Replayer, servers: &[Load], counted: Counted) -> (Vec<u32>, Option<Spread>) {
    let entries = servers.iter().map(|server| replayer.server(server.id));
    let connections = entries
        .clone()
        .map(|entry| entry.map_or(0, |entry| counted.count(entry)));
    let weighted = entries
        .flatten()
        .filter(|entry| entry.is_available() && entry.weight() > 0)
        .map(|entry| f64::from(counted.count(entry)) / f64::from(entry.weight()));
    (connections.collect(), Spread::of(weighted))
}

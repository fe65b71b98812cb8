//! Scenarios at random: the same number gives the same scenario everywhere.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use lvs_schedulers::scenario::{Change, Event, Scenario, Server, Target};
use lvs_schedulers::{
    Algorithm, Destination, Persistence, PersistenceMask, Protocol, SchedulerFlags,
};

use super::addresses::Addresses;
use super::random::Random;

/// The schedulers of guest kernels: all but `twos`.
pub(crate) fn algorithms() -> Vec<Algorithm> {
    let all = Algorithm::ALL.iter().copied();
    all.filter(|algorithm| algorithm.name() != "twos").collect()
}

const MOST_SERVERS: usize = 12;

/// Names a scenario: those of one number are the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Generated {
    /// One of TCP or UDP.
    Usual(u64),
    /// One of SCTP. They are apart, since entries without an answer leave the table soon.
    Sctp(u64),
}

impl Generated {
    /// The scenario, with addresses that no scenario in another slot has.
    pub(crate) fn scenario(self, slot: usize) -> Scenario {
        let (Self::Usual(number) | Self::Sctp(number)) = self;
        let algorithms = algorithms();
        let count = u64::try_from(algorithms.len()).unwrap();
        let algorithm = algorithms[usize::try_from(number % count).unwrap()];
        Generator::new(Random::new(number), slot, self, algorithm).finish()
    }
}

/// How often each kind of event comes.
#[derive(Debug)]
struct Habits {
    establish: usize,
    close: usize,
    edit: usize,
    remove: usize,
    add: usize,
    /// How many times entries leave the table.
    expiries: usize,
    has_thresholds: bool,
}

#[derive(Debug)]
struct Generator {
    random: Random,
    addresses: Addresses,
    scenario: Scenario,
    habits: Habits,
    weights: Weights,
    port: u16,
    /// Where clients send to, if it is a service by mark.
    targets: Vec<SocketAddr>,
    present: Vec<u32>,
    removed: Vec<u32>,
    flows: usize,
}

impl Generator {
    fn new(mut random: Random, slot: usize, kind: Generated, algorithm: Algorithm) -> Self {
        let is_ipv6 = random.percent(35);
        let mut addresses = Addresses::new(slot, is_ipv6);
        if random.percent(40) {
            let networks = 1 + random.below(6);
            addresses.draw_networks(&mut random, networks);
        }
        let protocol = match kind {
            Generated::Sctp(_) => Protocol::Sctp,
            Generated::Usual(_) if random.percent(35) => Protocol::Udp,
            Generated::Usual(_) => Protocol::Tcp,
        };
        // Those that go by the address that the client sent to need several of them.
        let marks = match algorithm.name() {
            "dh" | "lblc" | "lblcr" => 85,
            _ => 25,
        };
        let is_marked = random.percent(marks);
        let targets = if is_marked {
            let count = 1 + random.below(16);
            let target = |random: &mut Random| {
                SocketAddr::new(addresses.virtual_address(random), service_port(random))
            };
            (0..count).map(|_| target(&mut random)).collect()
        } else {
            Vec::new()
        };
        let persistence = persistence(&mut random, is_ipv6);
        let target = if is_marked {
            Target::Mark(1 + u32::try_from(slot).unwrap())
        } else {
            // All ports together: only with persistence.
            let is_any = persistence.is_some() && random.percent(30);
            let port = if is_any { 0 } else { service_port(&mut random) };
            Target::Address(SocketAddr::new(
                addresses.virtual_address(&mut random),
                port,
            ))
        };
        // Servers of any port keep that of the packet, as do all where several ports persist together.
        let keeps_ports = match target {
            Target::Mark(_) => persistence.is_some() || random.percent(40),
            Target::Address(address) => address.port() == 0,
        };
        let port = match keeps_ports {
            true => 0,
            false => *random.pick(&[80, 8080, 443, 53]),
        };
        let habits = Habits::draw(&mut random, kind);
        // Those that go by a server's load are only told from simpler ones once it is above its weight.
        let weights = match algorithm.name() {
            "ovf" | "lblc" | "lblcr" if random.percent(60) => Weights::UpTo(3),
            _ => Weights::draw(&mut random),
        };
        let mut servers = Vec::new();
        for id in 0..1 + random.below(MOST_SERVERS) {
            let former = servers.last().map(|it: &Server| it.destination().address());
            let address = server_address(&mut random, &mut addresses, port, former);
            let settings = settings(&mut random, address, &weights, &habits);
            servers.push(Server::new(u32::try_from(id).unwrap(), settings));
        }
        let present = servers.iter().map(Server::id).collect();
        let mut flags = SchedulerFlags::NONE;
        if matches!(algorithm.name(), "sh" | "mh") {
            if random.percent(50) {
                flags = flags.with_fallback();
            }
            if random.percent(50) {
                flags = flags.with_port();
            }
        }
        let mut scenario = Scenario::new(algorithm, target, servers)
            .unwrap()
            .with_protocol(protocol)
            .with_flags(flags);
        if let Some(persistence) = persistence {
            scenario = scenario.with_persistence(persistence).unwrap();
        }
        Self {
            random,
            addresses,
            scenario,
            habits,
            weights,
            port,
            targets,
            present,
            removed: Vec::new(),
            flows: 0,
        }
    }

    fn finish(mut self) -> Scenario {
        let flows = 20 + self.random.below(61);
        let mut expiries: Vec<_> = (0..self.habits.expiries)
            .map(|_| 5 + self.random.below(flows))
            .collect();
        while self.flows < flows {
            let Habits {
                establish,
                close,
                edit,
                remove,
                add,
                ..
            } = self.habits;
            match self
                .random
                .weighted(&[100, establish, close, edit, remove, add])
            {
                0 => self.begin(),
                1 => self.earlier(|flow| Event::Establish { flow }),
                2 => self.earlier(|flow| Event::Close { flow }),
                3 => self.edit(),
                4 => self.remove(),
                _ => self.add(),
            }
            if expiries.contains(&self.flows) {
                expiries.retain(|at| *at != self.flows);
                for _ in 0..1 + self.random.below(self.flows) {
                    self.earlier(|flow| Event::Expire { flow });
                }
            }
        }
        self.scenario
    }

    fn push(&mut self, event: Event) {
        self.scenario.push(event).unwrap();
    }

    fn begin(&mut self) {
        let client = self.addresses.client(&mut self.random);
        let to = match &*self.targets {
            [] => None,
            targets => Some(*self.random.pick(targets)),
        };
        self.push(Event::Flow { client, to });
        self.flows += 1;
    }

    /// Something that happens to a flow that has begun: rather a late one.
    fn earlier(&mut self, event: impl FnOnce(usize) -> Event) {
        if self.flows > 0 {
            let flow = match self.random.percent(50) {
                true => self.flows - 1 - self.random.below(self.flows.min(12)),
                false => self.random.below(self.flows),
            };
            self.push(event(flow));
        }
    }

    /// Changes a server, or sets what it has again.
    fn edit(&mut self) {
        if self.present.is_empty() {
            return;
        }
        let mut change = Change::new(*self.random.pick(&self.present));
        if self.random.percent(65) {
            change = change.with_weight(self.weights.weight(&mut self.random));
        }
        if self.habits.has_thresholds && self.random.percent(60) {
            let (upper, lower) = thresholds(&mut self.random);
            change = change.with_upper(upper).with_lower(lower);
        }
        self.push(Event::Edit(change));
    }

    fn remove(&mut self) {
        if !self.present.is_empty() {
            let index = self.random.below(self.present.len());
            let id = self.present.swap_remove(index);
            self.removed.push(id);
            self.push(Event::Remove { id });
        }
    }

    /// Adds a server: one that was removed, as it was or changed, or a new one.
    fn add(&mut self) {
        let is_back = !self.removed.is_empty() && self.random.percent(75);
        let change = if is_back {
            let index = self.random.below(self.removed.len());
            let mut change = Change::new(self.removed.swap_remove(index));
            if self.random.percent(10) {
                let address = self.addresses.server(&mut self.random, self.port);
                change = change.with_address(address);
            }
            if self.random.percent(40) {
                change = change.with_weight(self.weights.weight(&mut self.random));
            }
            if self.habits.has_thresholds && self.random.percent(40) {
                let (upper, lower) = thresholds(&mut self.random);
                change = change.with_upper(upper).with_lower(lower);
            }
            change
        } else if self.present.len() < MOST_SERVERS {
            let id = u32::try_from(self.present.len() + self.removed.len()).unwrap();
            let address = server_address(&mut self.random, &mut self.addresses, self.port, None);
            let settings = settings(&mut self.random, address, &self.weights, &self.habits);
            Change::new(id)
                .with_address(address)
                .with_weight(settings.weight())
                .with_upper(settings.upper())
                .with_lower(settings.lower())
        } else {
            return;
        };
        self.present.push(change.id());
        self.push(Event::Add(change));
    }
}

impl Habits {
    fn draw(random: &mut Random, kind: Generated) -> Self {
        let is_quiet = random.percent(15);
        let mut often = |most: usize| match is_quiet {
            true => 0,
            false => random.below(most),
        };
        let (establish, close) = (often(60), often(60));
        let (edit, remove, add) = (often(25), often(12), often(12));
        let expiries = match kind {
            // Their timeouts cannot be set.
            Generated::Sctp(_) => 0,
            Generated::Usual(_) => often(3),
        };
        Self {
            establish,
            close,
            edit,
            remove,
            add,
            expiries,
            has_thresholds: random.percent(35),
        }
    }
}

/// How the weights of a scenario relate.
#[derive(Debug)]
enum Weights {
    /// All the same.
    Equal(u32),
    /// 0 to this.
    UpTo(usize),
    /// Multiples of this.
    Multiples(u32),
    /// Without common divisors.
    Coprime,
}

impl Weights {
    fn draw(random: &mut Random) -> Self {
        match random.below(5) {
            0 => Self::Equal(*random.pick(&[1, 1, 2, 7, 100, 300])),
            1 => Self::UpTo(3),
            2 => Self::UpTo(300),
            3 => Self::Multiples(*random.pick(&[2, 3, 5, 10, 25])),
            _ => Self::Coprime,
        }
    }

    fn weight(&self, random: &mut Random) -> u32 {
        if random.percent(8) {
            return 0;
        }
        let up_to = |random: &mut Random, most: usize| {
            let number = random.below(most + 1);
            u32::try_from(number).unwrap()
        };
        match *self {
            // Edited ones may differ.
            Self::Equal(weight) if random.percent(90) => weight,
            Self::Equal(_) => up_to(random, 300),
            Self::UpTo(most) => up_to(random, most),
            Self::Multiples(factor) => factor * up_to(random, 12),
            Self::Coprime => *random.pick(&[1, 2, 3, 5, 7, 11, 13, 64, 81, 125, 289]),
        }
    }
}

/// Whom the service remembers, for longer than a scenario takes.
fn persistence(random: &mut Random, is_ipv6: bool) -> Option<Persistence> {
    if !random.percent(22) {
        return None;
    }
    let timeout = 300 + u64::try_from(random.below(3000)).unwrap();
    let persistence = Persistence::new(Duration::from_secs(timeout));
    let mask = match (random.percent(60), is_ipv6) {
        (false, _) => PersistenceMask::Client,
        (true, true) => PersistenceMask::Inet6(*random.pick(&[16, 48, 64, 124, 127, 128])),
        (true, false) => {
            let mask = *random.pick(&[0, 0xffc0_0000, 0xffff_0000, 0xffff_ff00, 0xffff_fffc, !0]);
            PersistenceMask::Inet(Ipv4Addr::from_bits(mask))
        }
    };
    Some(persistence.with_mask(mask))
}

fn service_port(random: &mut Random) -> u16 {
    *random.pick(&[80, 443, 53, 8080, 65535])
}

/// A new server's address. Where the port of the packet may be kept (`port` is 0) servers differ in
/// their addresses, else some only in their ports.
fn server_address(
    random: &mut Random,
    addresses: &mut Addresses,
    port: u16,
    former: Option<SocketAddr>,
) -> SocketAddr {
    if port == 0 {
        return addresses.server(random, port);
    }
    let port = match random.percent(20) {
        true => 1 + u16::try_from(random.below(65535)).unwrap(),
        false => port,
    };
    let sibling = former.and_then(|former| addresses.sibling(former, port));
    sibling.unwrap_or_else(|| addresses.server(random, port))
}

/// Upper and lower.
fn thresholds(random: &mut Random) -> (u32, u32) {
    if random.percent(25) {
        return (0, 0);
    }
    let upper = 1 + random.below(10);
    let lower = match random.percent(50) {
        true => 0,
        false => random.below(upper + 1),
    };
    (u32::try_from(upper).unwrap(), u32::try_from(lower).unwrap())
}

fn settings(
    random: &mut Random,
    address: SocketAddr,
    weights: &Weights,
    habits: &Habits,
) -> Destination {
    let destination = Destination::new(address).with_weight(weights.weight(random));
    if habits.has_thresholds {
        let (upper, lower) = thresholds(random);
        return destination.with_thresholds(upper, lower);
    }
    destination
}

//! Which behaviours the running kernel has: found out by picks, not from its version.
//!
//! For each switch of [`Semantics`] there is a scenario whose picks depend on it. The kernel plays
//! it, the library plays it with each value, and exactly one value must give the kernel's picks.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use lvs_schedulers::scenario::{Change, Event, Scenario, Server, Target};
use lvs_schedulers::{
    AddressHash, Algorithm, CacheLimit, Destination, MhWord, Overhead, Persistence, Protocol,
    Semantics, TcpActive, TemplateThresholds, ThresholdEdits,
};

use super::addresses::Addresses;
use super::kernel::{Picks, play};
use super::random::Random;
use super::record::release;

/// Entries that the caches of lblc and lblcr never exceed where they have a hard limit.
const CACHE_LIMIT: usize = 24_576;

/// A scenario, and what it tells apart.
struct Probe {
    scenario: Scenario,
    variants: Vec<Variant>,
}

type Variant = Box<dyn Fn(&mut Semantics)>;

/// What the running kernel does: probed once.
pub(crate) fn semantics() -> Semantics {
    static FOUND: OnceLock<Semantics> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let start = Instant::now();
        let semantics = probe();
        println!("{} has {semantics:#?}", release());
        println!("probing took {:?}", start.elapsed());
        semantics
    })
}

fn probe() -> Semantics {
    // In this order: the later ones rely on what the earlier ones found.
    let probes = [
        tcp_active(),
        threshold_edits(),
        overhead(),
        address_hash(),
        sh_table(),
        mh_table(),
        cache_limit(),
    ];
    let scenarios: Vec<_> = probes.iter().map(|probe| probe.scenario.clone()).collect();
    let picks = play(&scenarios);
    let mut semantics = Semantics::LINUX_6_1;
    for (probe, picks) in probes.iter().zip(&picks) {
        semantics = probe.only(semantics, picks);
    }
    if semantics.threshold_edits == ThresholdEdits::Recompute {
        // Marks are always right there, so nobody can see who looks after them.
        semantics.template_thresholds = TemplateThresholds::Ignore;
        return semantics;
    }
    let probe = template_thresholds();
    let picks = play(core::slice::from_ref(&probe.scenario));
    probe.only(semantics, &picks[0])
}

impl Probe {
    fn new<T: Copy + 'static>(
        scenario: Scenario,
        values: impl IntoIterator<Item = T>,
        set: fn(&mut Semantics, T),
    ) -> Self {
        let variant = |value| -> Variant { Box::new(move |semantics| set(semantics, value)) };
        let variants = values.into_iter().map(variant).collect();
        Self { scenario, variants }
    }

    /// The one value that gives these picks.
    fn only(&self, semantics: Semantics, picks: &Picks) -> Semantics {
        let mut fitting = Vec::new();
        for variant in &self.variants {
            let mut semantics = semantics;
            variant(&mut semantics);
            let scenario = self.scenario.clone().with_semantics(semantics);
            if scenario.replay().picks() == picks {
                fitting.push(semantics);
            }
        }
        match *fitting {
            [semantics] => semantics,
            _ => panic!(
                "the kernel picked {picks:?} in {}\nas the library does with {fitting:#?}",
                self.scenario
            ),
        }
    }
}

/// A scenario in the making.
struct Script {
    random: Random,
    addresses: Addresses,
    scenario: Scenario,
    flows: usize,
}

impl Script {
    /// In a slot of its own, with servers of these weights.
    fn new(slot: usize, algorithm: &str, is_marked: bool, weights: &[u32]) -> Self {
        let mut random = Random::new(1);
        // IPv4 has not enough addresses for the largest of these scenarios.
        let mut addresses = Addresses::new(slot, is_marked);
        let target = match is_marked {
            true => Target::Mark(1),
            false => Target::Address(SocketAddr::new(addresses.virtual_address(&mut random), 80)),
        };
        let servers: Vec<_> = (0..)
            .zip(weights)
            .map(|(id, weight)| {
                let address = addresses.server(&mut random, 80);
                Server::new(id, Destination::new(address).with_weight(*weight))
            })
            .collect();
        let algorithm: Algorithm = algorithm.parse().unwrap();
        Self {
            scenario: Scenario::new(algorithm, target, servers).unwrap(),
            random,
            addresses,
            flows: 0,
        }
    }

    fn then(&mut self, event: Event) {
        self.scenario.push(event).unwrap();
    }

    /// A flow from anywhere.
    fn flow(&mut self) -> usize {
        let to = match self.scenario.target() {
            Target::Mark(_) => Some(self.target()),
            Target::Address(_) => None,
        };
        self.flow_to(to)
    }

    fn target(&mut self) -> SocketAddr {
        SocketAddr::new(self.addresses.virtual_address(&mut self.random), 80)
    }

    fn flow_to(&mut self, to: Option<SocketAddr>) -> usize {
        let mut client = self.addresses.client(&mut self.random);
        while client.port() == 20 {
            client = self.addresses.client(&mut self.random);
        }
        self.then(Event::Flow { client, to });
        self.flows += 1;
        self.flows - 1
    }
}

/// ovf fills a server up to its weight in active connections.
fn tcp_active() -> Probe {
    let mut script = Script::new(0, "ovf", false, &[1]);
    (0..4).for_each(|_| _ = script.flow());
    let values = [TcpActive::Established, TcpActive::FromSyn];
    Probe::new(script.scenario, values, |it, value| it.tcp_active = value)
}

/// A limit raised to less than there are connections: the mark goes, or stays.
fn threshold_edits() -> Probe {
    let mut script = Script::new(1, "rr", false, &[1]);
    for upper in [4, 2, 3] {
        let change = Change::new(0).with_upper(upper);
        script.then(Event::Edit(change));
        (0..4).for_each(|_| _ = script.flow());
    }
    let values = [ThresholdEdits::ClearOnRaise, ThresholdEdits::Recompute];
    Probe::new(script.scenario, values, |it, value| {
        it.threshold_edits = value
    })
}

/// A server whose mark an edit of its thresholds left wrong: it stays so when a template of it leaves
/// the table, or not.
fn template_thresholds() -> Probe {
    let mut script = Script::new(0, "rr", false, &[1]);
    // Longer than it takes the connections to go, or it would be prolonged.
    let timeout = Duration::from_secs(6);
    let persistent = script.scenario.with_persistence(Persistence::new(timeout));
    script.scenario = persistent.unwrap();
    script.then(Event::Edit(Change::new(0).with_upper(8)));
    let flows: Vec<_> = (0..8).map(|_| script.flow()).collect();
    // Marked until there are fewer than six, one template without connections.
    for flow in &flows[..2] {
        script.then(Event::Expire { flow: *flow });
    }
    script.then(Event::Edit(Change::new(0).with_lower(7)));
    script.then(Event::Advance { by: timeout });
    script.flow();
    let values = [TemplateThresholds::Evaluate, TemplateThresholds::Ignore];
    Probe::new(script.scenario, values, |it, value| {
        it.template_thresholds = value;
    })
}

/// One active connection against 256 inactive ones, on servers of equal weight.
fn overhead() -> Probe {
    let mut script = Script::new(2, "lc", false, &[1]);
    for _ in 0..256 {
        let flow = script.flow();
        script.then(Event::Close { flow });
    }
    let address = script.addresses.server(&mut script.random, 80);
    let change = Change::new(1).with_address(address).with_weight(1);
    script.then(Event::Add(change));
    let flow = script.flow();
    script.then(Event::Establish { flow });
    script.flow();
    let values = [Overhead::ActiveAndInactive, Overhead::ActiveAndTotal];
    Probe::new(script.scenario, values, |it, value| it.overhead = value)
}

fn address_hash() -> Probe {
    let mut script = Script::new(3, "dh", true, &[1; 7]);
    (0..40).for_each(|_| _ = script.flow());
    let values = [AddressHash::LowBits, AddressHash::HighBits];
    Probe::new(script.scenario, values, |it, value| it.address_hash = value)
}

fn sh_table() -> Probe {
    let mut script = Script::new(4, "sh", false, &[1, 3, 2, 1, 1, 2, 1]);
    (0..60).for_each(|_| _ = script.flow());
    Probe::new(script.scenario, 4..=20, |it, bits| it.sh_table_bits = bits)
}

fn mh_table() -> Probe {
    let mut script = Script::new(5, "mh", false, &[1, 3, 2, 1, 1, 2, 1]);
    (0..60).for_each(|_| _ = script.flow());
    let words = [MhWord::Bits32, MhWord::Bits64].into_iter();
    let values = words.flat_map(|word| (8..=17).map(move |index| (word, index)));
    Probe::new(script.scenario, values, |it, (word, index)| {
        it.mh_word = word;
        it.mh_table_index = index;
    })
}

/// Once the cache is as full as it gets, the same address twice: to the same server if it has found
/// a place, to the other one if not.
fn cache_limit() -> Probe {
    let mut script = Script::new(6, "lblc", true, &[1, 1]);
    script.scenario = script.scenario.with_protocol(Protocol::Udp);
    (0..CACHE_LIMIT).for_each(|_| _ = script.flow());
    let to = script.target();
    for _ in 0..2 {
        script.flow_to(Some(to));
    }
    let values = [CacheLimit::Soft, CacheLimit::Hard];
    Probe::new(script.scenario, values, |it, value| it.cache_limit = value)
}

//! Spec §9 written down once more as it reads, with plain vectors and every tick on its own, against
//! the schedulers under random operations.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use lvs_schedulers::explanation::{CacheStep, Step};
use lvs_schedulers::{
    AddressHash, Addressed, Algorithm, CacheLimit, Candidate, Context, Explanation, Flow, Lblc,
    Lblcr, Overhead, Removed, Scheduler, Semantics,
};
use proptest::prelude::*;
use proptest::sample::Index;

use super::target;
use crate::support::address;

/// A destination with everything a scheduler can see of it, set by hand.
#[derive(Clone, Copy, Debug)]
struct Server {
    name: char,
    weight: u32,
    active: u32,
    inactive: u32,
    overloaded: bool,
}

impl Candidate for Server {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    fn active(&self) -> u32 {
        self.active
    }

    fn inactive(&self) -> u32 {
        self.inactive
    }
}

impl Addressed for Server {
    fn address(&self) -> SocketAddr {
        address(self.name)
    }
}

struct Entry {
    address: Ipv4Addr,
    /// One for lblc; most recently added first.
    set: Vec<char>,
    lastuse: Duration,
    lastmod: Duration,
}

/// The model: what the kernel holds.
struct Model {
    replicates: bool,
    semantics: Semantics,
    expiration: Duration,
    /// Head first, as is every chain.
    list: Vec<Server>,
    trash: BTreeMap<char, Server>,
    buckets: Vec<Vec<Entry>>,
    entries: i64,
    counter: u32,
    rover: usize,
    next_tick: Duration,
    now: Duration,
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Model {
    fn new(replicates: bool, semantics: Semantics, expiration: Duration) -> Self {
        Self {
            replicates,
            semantics,
            expiration,
            list: Vec::new(),
            trash: BTreeMap::new(),
            buckets: (0..1024).map(|_| Vec::new()).collect(),
            entries: 0,
            counter: 1,
            rover: 0,
            next_tick: secs(60),
            now: Duration::ZERO,
        }
    }

    fn cached(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    fn remembers(&self, name: char) -> bool {
        let mut entries = self.buckets.iter().flatten();
        entries.any(|entry| entry.set.contains(&name))
    }

    fn bucket(&self, address: Ipv4Addr) -> usize {
        let fold = u32::from(address);
        let hash = match self.semantics.address_hash {
            AddressHash::HighBits => fold.wrapping_mul(0x61C8_8647) >> 22,
            _ => fold.wrapping_mul(2_654_435_761) % 1024,
        };
        hash as usize
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        while self.next_tick <= self.now {
            self.tick(self.next_tick);
            self.next_tick += secs(60);
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.counter % 30 == 0 {
            for bucket in &mut self.buckets {
                let before = bucket.len();
                bucket.retain(|entry| now < entry.lastuse + self.expiration);
                self.entries -= (before - bucket.len()) as i64;
            }
            self.counter = 1;
        } else if self.entries <= 16384 {
            self.counter += 1;
        } else {
            let mut goal = ((self.entries - 16384) * 4 / 3).min(8192);
            for _ in 0..1024 {
                self.rover = (self.rover + 1) % 1024;
                let bucket = &mut self.buckets[self.rover];
                let before = bucket.len();
                bucket.retain(|entry| now < entry.lastuse + secs(360));
                self.entries -= (before - bucket.len()) as i64;
                goal -= (before - bucket.len()) as i64;
                if goal <= 0 {
                    break;
                }
            }
        }
    }

    fn overhead(&self, server: &Server) -> u64 {
        let per_active = match self.semantics.overhead {
            Overhead::ActiveAndInactive => 256,
            _ => 257,
        };
        u64::from(server.active) * per_active + u64::from(server.inactive)
    }

    fn wlc(&self) -> Option<char> {
        let mut best: Option<&Server> = None;
        for d in &self.list {
            if d.overloaded {
                continue;
            }
            let replaces = match best {
                None => d.weight > 0,
                Some(best) => {
                    self.overhead(best) * u64::from(d.weight)
                        > self.overhead(d) * u64::from(best.weight)
                }
            };
            if replaces {
                best = Some(d);
            }
        }
        best.map(|best| best.name)
    }

    /// The destination, and whether it is available.
    fn object(&self, name: char) -> (&Server, bool) {
        match self.list.iter().find(|server| server.name == name) {
            Some(server) => (server, true),
            None => (&self.trash[&name], false),
        }
    }

    fn too_busy(&self, name: char) -> bool {
        let d = self.object(name).0;
        let below_half = |x: &Server| 2 * u64::from(x.active) < u64::from(x.weight);
        d.active > d.weight && self.list.iter().any(below_half)
    }

    fn least(&self, set: &[char]) -> Option<char> {
        let mut least: Option<&Server> = None;
        for &name in set {
            let (d, available) = self.object(name);
            if d.overloaded || !available {
                continue;
            }
            let replaces = match least {
                None => d.weight > 0,
                Some(least) => {
                    self.overhead(least) * u64::from(d.weight)
                        > self.overhead(d) * u64::from(least.weight)
                }
            };
            if replaces {
                least = Some(d);
            }
        }
        least.map(|least| least.name)
    }

    fn most(&self, set: &[char]) -> Option<char> {
        let mut most: Option<&Server> = None;
        for &name in set {
            let d = self.object(name).0;
            let replaces = match most {
                None => d.weight > 0,
                Some(most) => {
                    self.overhead(most) * u64::from(d.weight)
                        < self.overhead(d) * u64::from(most.weight)
                        && d.weight > 0
                }
            };
            if replaces {
                most = Some(d);
            }
        }
        most.map(|most| most.name)
    }

    /// How many servers the cache has for an address; 0 = no entry.
    fn servers_of(&self, address: Ipv4Addr) -> u32 {
        let bucket = &self.buckets[self.bucket(address)];
        let entry = bucket.iter().find(|entry| entry.address == address);
        entry.map_or(0, |entry| entry.set.len() as u32)
    }

    fn pick(&mut self, address: Ipv4Addr) -> Option<char> {
        let now = self.now;
        let bucket = self.bucket(address);
        let place = self.buckets[bucket]
            .iter()
            .position(|entry| entry.address == address);
        let Some(place) = place else {
            let d = self.wlc()?;
            if self.semantics.cache_limit != CacheLimit::Hard || self.entries < 24576 {
                self.create(bucket, address, d);
            }
            return Some(d);
        };
        self.buckets[bucket][place].lastuse = now;
        if !self.replicates {
            let cached = self.buckets[bucket][place].set[0];
            let (d, available) = self.object(cached);
            if available && d.weight > 0 && !self.too_busy(cached) {
                return Some(cached);
            }
            let d = self.wlc()?;
            if d != cached {
                self.buckets[bucket].remove(place);
                if self.semantics.cache_limit == CacheLimit::Hard {
                    self.entries -= 1;
                }
                self.create(bucket, address, d);
            }
            return Some(d);
        }
        let set = self.buckets[bucket][place].set.clone();
        let d = self.least(&set);
        if set.len() > 1 && now > self.buckets[bucket][place].lastmod + self.expiration {
            if let Some(most) = self.most(&set) {
                let entry = &mut self.buckets[bucket][place];
                entry.set.retain(|&name| name != most);
                entry.lastmod = now;
            }
        }
        if let Some(d) = d.filter(|&d| !self.too_busy(d)) {
            return Some(d);
        }
        let d = self.wlc()?;
        let entry = &mut self.buckets[bucket][place];
        if !entry.set.contains(&d) {
            entry.set.insert(0, d);
            entry.lastmod = now;
        }
        Some(d)
    }

    fn create(&mut self, bucket: usize, address: Ipv4Addr, d: char) {
        let entry = Entry {
            address,
            set: vec![d],
            lastuse: self.now,
            lastmod: self.now,
        };
        self.buckets[bucket].insert(0, entry);
        self.entries += 1;
    }
}

/// The scheduler beside the model.
struct Both {
    model: Model,
    scheduler: Box<dyn Cached>,
    /// In the order of addition.
    list: Vec<Server>,
    clock: Duration,
}

/// Either of the schedulers.
trait Cached: Scheduler<Server> {
    fn cached(&self) -> usize;
}

impl Cached for Lblc {
    fn cached(&self) -> usize {
        self.cached()
    }
}

impl Cached for Lblcr {
    fn cached(&self) -> usize {
        self.cached()
    }
}

const NAMES: [char; 5] = ['A', 'B', 'C', 'D', 'E'];

impl Both {
    fn new(algorithm: Algorithm, semantics: Semantics, expiration: Duration) -> Self {
        let replicates = algorithm == Algorithm::Lblcr;
        let mut scheduler: Box<dyn Cached> = if replicates {
            Box::new(Lblcr::new(semantics).with_expiration(expiration))
        } else {
            Box::new(Lblc::new(semantics).with_expiration(expiration))
        };
        scheduler.bind(&[], Duration::ZERO);
        Self {
            model: Model::new(replicates, semantics, expiration),
            scheduler,
            list: Vec::new(),
            clock: Duration::ZERO,
        }
    }

    fn toggle(&mut self, name: char, weight: u32) {
        match self.list.iter().position(|server| server.name == name) {
            Some(index) => {
                let server = self.list.remove(index);
                self.model.trash.insert(name, server);
                self.scheduler.removed(&self.list, index);
            }
            None => {
                let fresh = Server {
                    name,
                    weight,
                    active: 0,
                    inactive: 0,
                    overloaded: false,
                };
                let server = self.model.trash.remove(&name).unwrap_or(fresh);
                self.list.push(Server { weight, ..server });
                self.scheduler.added(&self.list, self.list.len() - 1);
            }
        }
    }

    /// Changes a server wherever it is; removed ones keep their weight and mark.
    fn change(&mut self, changed: Server) {
        if let Some(index) = self.list.iter().position(|it| it.name == changed.name) {
            self.list[index] = changed;
            self.scheduler.edited(&self.list, index);
        } else if let Some(removed) = self.model.trash.get_mut(&changed.name) {
            removed.active = changed.active;
            removed.inactive = changed.inactive;
        }
    }

    fn pick(&mut self, number: u32, explained: bool) {
        let to = target(number);
        let IpAddr::V4(address) = to.ip() else {
            unreachable!("targets are IPv4");
        };
        self.model.list = self.list.iter().rev().copied().collect();
        self.model.advance(self.clock);
        let had = self.model.servers_of(address);

        let trash = self.model.trash.clone();
        let removed = |asked| {
            let mut found = trash.values().filter(|server| server.address() == asked);
            let server = found.next()?;
            Some(Removed::new(server.weight, server.active, server.inactive))
        };
        let flow = Flow::tcp(([192, 0, 2, 7], 40_000).into(), to);
        let mut why = Explanation::new();
        let mut context = Context::new(self.clock).with_removed(&removed);
        if explained {
            context = context.with_trace(&mut why);
        }
        let picked = self.scheduler.pick(&self.list, &flow, &mut context);
        let picked = picked.map(|index| self.list[index].name);

        assert_eq!(picked, self.model.pick(address), "{why}");
        if explained {
            let found = why.steps().iter().find_map(|step| match step {
                Step::Cache(CacheStep::Hit { servers, .. }) => Some(*servers),
                Step::Cache(CacheStep::Miss { .. }) => Some(0),
                _ => None,
            });
            assert_eq!(found, Some(had), "{why}");
        }
    }

    fn check(&mut self) {
        self.model.advance(self.clock);
        self.scheduler.advance(self.clock);
        assert_eq!(self.scheduler.cached(), self.model.cached());
        for name in NAMES {
            let refers = self.scheduler.refers_to(address(name));
            assert_eq!(refers, self.model.remembers(name), "{name}");
        }
    }

    fn run(&mut self, step: Operation) {
        match step {
            Operation::Toggle(name, weight) => self.toggle(*name.get(&NAMES), weight),
            Operation::Change(name, weight, active, inactive, overloaded) => {
                self.change(Server {
                    name: *name.get(&NAMES),
                    weight,
                    active,
                    inactive,
                    overloaded,
                });
            }
            Operation::Pick(number) => self.pick(number, true),
            Operation::Picks(first, count) => {
                (first..first + count).for_each(|number| self.pick(number, false));
            }
            Operation::Churn(number, count) => {
                for turn in 0..count {
                    let quiesced = NAMES[turn as usize % 2];
                    for server in self.list.iter_mut().filter(|it| it.name < 'C') {
                        server.weight = u32::from(server.name != quiesced);
                    }
                    self.pick(number, false);
                }
            }
            Operation::Wait(time) => self.clock += time,
            Operation::Back(time) => self.clock = self.clock.saturating_sub(time),
        }
        self.check();
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Toggle(Index, u32),
    Change(Index, u32, u32, u32, bool),
    Pick(u32),
    /// One pick for each of so many addresses.
    Picks(u32, u32),
    /// So many picks for one address, which is moved every time.
    Churn(u32, u32),
    Wait(Duration),
    /// The caller's clock steps back.
    Back(Duration),
}

fn few() -> impl Strategy<Value = Operation> {
    let time = prop_oneof![
        4 => (0_u64..200).prop_map(secs),
        2 => (300_u64..400).prop_map(secs),
        2 => (1_700_u64..1_900).prop_map(secs),
        1 => (3_000_u64..200_000).prop_map(secs),
        1 => (0_u64..2_000_000).prop_map(Duration::from_millis),
    ];
    let load = || prop_oneof![4 => 0_u32..6, 1 => 0_u32..600];
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), 0_u32..5).prop_map(|(i, w)| Operation::Toggle(i, w)),
        6 => (index(), 0_u32..5, load(), load(), prop::bool::weighted(0.2))
            .prop_map(|(i, w, a, n, o)| Operation::Change(i, w, a, n, o)),
        16 => (0_u32..8).prop_map(Operation::Pick),
        1 => (0_u32..8, 1_u32..40).prop_map(|(n, c)| Operation::Picks(n, c)),
        5 => time.prop_map(Operation::Wait),
        1 => (0_u64..100).prop_map(|s| Operation::Back(secs(s))),
    ]
}

fn many() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (0_u32..40_000, 1_000_u32..9_000).prop_map(|(n, c)| Operation::Picks(n, c)),
        1 => (0_u32..8, 1_000_u32..9_000).prop_map(|(n, c)| Operation::Churn(n, c)),
        2 => few(),
        2 => (0_u64..400).prop_map(|s| Operation::Wait(secs(s))),
    ]
}

fn semantics() -> impl Strategy<Value = Semantics> {
    let hash = prop_oneof![Just(AddressHash::HighBits), Just(AddressHash::LowBits)];
    let presets = prop_oneof![Just(Semantics::LINUX_6_1), Just(Semantics::LINUX_7_2)];
    (presets, hash).prop_map(|(mut semantics, hash)| {
        semantics.address_hash = hash;
        semantics
    })
}

fn both() -> impl Strategy<Value = (Algorithm, Semantics, Duration)> {
    let expiration = prop_oneof![
        Just(secs(86_400)),
        Just(Duration::ZERO),
        (1_u64..5_000).prop_map(secs)
    ];
    let algorithm = prop_oneof![Just(Algorithm::Lblc), Just(Algorithm::Lblcr)];
    (algorithm, semantics(), expiration)
}

proptest! {
    /// Few addresses, much happening to servers and time: picks, hits, the size of the sets and of
    /// the cache, and who is remembered are those of the model.
    #[test]
    fn spec_9_schedulers_do_what_the_model_does(
        (algorithm, semantics, expiration) in both(),
        weights in prop::collection::vec(0_u32..5, 0..5),
        operations in prop::collection::vec(few(), 1..150),
    ) {
        let mut both = Both::new(algorithm, semantics, expiration);
        for (name, weight) in NAMES.into_iter().zip(weights) {
            both.toggle(name, weight);
        }
        for operation in operations {
            both.run(operation);
        }
    }
}

proptest! {
    /// The caller forgets all hooks: what is picked is in the list and takes connections, whatever
    /// was remembered.
    #[test]
    fn without_hooks_picks_are_in_the_list(
        algorithm in prop_oneof![Just(Algorithm::Lblc), Just(Algorithm::Lblcr)],
        picks in prop::collection::vec(
            (prop::sample::subsequence(&NAMES[..], 0..=5), any::<bool>(), 0_u32..4, 0_u32..3),
            1..60,
        ),
    ) {
        let mut scheduler = algorithm.scheduler(Semantics::LINUX_6_1);
        for (names, is_reversed, number, weight) in picks {
            let mut list: Vec<_> = names
                .into_iter()
                .map(|name| Server { name, weight, active: 1, inactive: 0, overloaded: false })
                .collect();
            if is_reversed {
                list.reverse();
            }
            let flow = Flow::tcp(([192, 0, 2, 7], 40_000).into(), target(number));
            let picked = scheduler.pick(&list, &flow, &mut Context::new(Duration::ZERO));
            let is_any = weight > 0 && !list.is_empty();
            prop_assert_eq!(picked.is_some(), is_any);
            prop_assert!(picked.is_none_or(|index| index < list.len()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    /// Addresses by the thousand: collections that make room, the hard limit, and the count that is
    /// too high.
    #[test]
    fn spec_9_1_full_caches_do_what_the_model_does(
        (algorithm, semantics, expiration) in both(),
        operations in prop::collection::vec(many(), 4..16),
        asked in prop::collection::vec(0_u32..50_000, 40),
    ) {
        let mut both = Both::new(algorithm, semantics, expiration);
        both.toggle('A', 3);
        both.toggle('B', 2);
        for operation in operations {
            both.run(operation);
        }
        for number in asked {
            both.pick(number, true);
        }
        both.check();
    }
}

//! Random operations on a service against plain maps: the counts are those of the connections alive,
//! nothing is lost, nothing panics, whatever the order and the time.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use lvs_schedulers::{
    Algorithm, Column, ConnectionId, ConnectionState, Context, Destination, DestinationId,
    Direction, Flow, Forwarding, Packet, Persistence, PersistenceMask, Protocol, SctpChunk,
    Semantics, Settings, Synced, TcpActive, TcpFlags, TcpState, VirtualService,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{self, address};

const NAMES: [char; 4] = ['A', 'B', 'C', 'D'];

#[derive(Clone, Debug)]
enum Step {
    Add(Index, u32, u32, bool),
    Edit(Index, u32, u32),
    Remove(Index),
    Connect(Protocol, u8, bool),
    Packet(Index, bool, u8),
    Establish(Index),
    Close(Index),
    Expire(Index),
    Adopt(Index, usize, bool),
    Synchronise(Index, usize, bool),
    Advance(u64),
    ExpireDue(u64),
    Settings(bool, bool),
    Persistence(Option<u16>),
    Rebind(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let seconds = || prop_oneof![4 => 0_u64..5, 4 => 5_u64..200, 1 => 200_u64..200_000];
    let protocol = prop::sample::select(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp][..]);
    let state = || 0..TcpState::ALL.len();
    prop_oneof![
        4 => (index(), 0_u32..3, 0_u32..5, any::<bool>())
            .prop_map(|(i, w, u, o)| Step::Add(i, w, u, o)),
        2 => (index(), 0_u32..3, 0_u32..5).prop_map(|(i, w, u)| Step::Edit(i, w, u)),
        2 => index().prop_map(Step::Remove),
        14 => (protocol, any::<u8>(), prop::bool::weighted(0.05))
            .prop_map(|(p, c, ftp)| Step::Connect(p, c, ftp)),
        12 => (index(), any::<bool>(), any::<u8>()).prop_map(|(i, d, b)| Step::Packet(i, d, b)),
        2 => index().prop_map(Step::Establish),
        3 => index().prop_map(Step::Close),
        3 => index().prop_map(Step::Expire),
        1 => (index(), state(), any::<bool>()).prop_map(|(i, s, a)| Step::Adopt(i, s, a)),
        1 => (index(), state(), any::<bool>()).prop_map(|(i, s, a)| Step::Synchronise(i, s, a)),
        4 => seconds().prop_map(Step::Advance),
        2 => seconds().prop_map(Step::ExpireDue),
        1 => any::<(bool, bool)>().prop_map(|(s, q)| Step::Settings(s, q)),
        1 => any::<Option<u16>>().prop_map(Step::Persistence),
        1 => index().prop_map(Step::Rebind),
    ]
}

/// What is known of a connection, by rules of its own: the tables' cells alone are shared.
#[derive(Clone, Copy, Debug)]
struct Known {
    destination: DestinationId,
    state: ConnectionState,
    is_active: bool,
    is_one_way: bool,
    due: Duration,
}

/// A service and what is known of it.
struct World {
    service: VirtualService,
    now: Duration,
    settings: Settings,
    rule: TcpActive,
    alive: BTreeMap<ConnectionId, Known>,
    present: BTreeSet<char>,
    /// Every destination that ever was.
    seen: BTreeSet<DestinationId>,
}

impl World {
    fn context(&self) -> Context<'static> {
        Context::new(self.now)
    }

    fn nth(&self, index: Index) -> Option<ConnectionId> {
        let ids: Vec<_> = self.alive.keys().copied().collect();
        (!ids.is_empty()).then(|| *index.get(&ids))
    }

    fn pass(&mut self, id: ConnectionId, direction: Direction, packet: Packet) {
        let (now, settings, rule) = (self.now, self.settings, self.rule);
        let known = self.alive.get_mut(&id).unwrap();
        let destination = self.service.destination(known.destination).unwrap();
        let column = match (direction, known.is_one_way) {
            (Direction::In, _) if !destination.is_available() => return,
            (Direction::Out, true) => return,
            (Direction::Out, false) => Column::Out,
            (Direction::In, true) => Column::OneWay,
            (Direction::In, false) => Column::In,
        };
        let Some(state) = known.state.after(column, packet, &settings) else {
            return;
        };
        if state != known.state {
            known.is_active = state.is_active(rule);
        }
        known.state = state;
        known.due = now + state.timeout(&settings);
    }

    fn connect(&mut self, protocol: Protocol, client: u8, ftp: bool) -> Result<(), TestCaseError> {
        let port = if ftp { 20 } else { 1000 };
        let client = SocketAddr::from(([198, 51, 100, client], port));
        let flow = Flow::new(protocol, client, ([192, 0, 2, 1], 80).into());
        let Some(id) = self.service.connect(&flow, &mut self.context()) else {
            return Ok(());
        };
        prop_assert!(!ftp);
        prop_assert!(!self.alive.contains_key(&id));
        let entry = self.service.destination_of(id).unwrap();
        prop_assert!(entry.is_available());
        let known = Known {
            destination: entry.id(),
            state: ConnectionState::initial(protocol),
            is_active: false,
            is_one_way: entry.destination().forwarding().is_one_way(),
            due: Duration::ZERO,
        };
        self.alive.insert(id, known);
        let first = match protocol {
            Protocol::Tcp => TcpFlags::SYN.into(),
            Protocol::Sctp => SctpChunk::Init.into(),
            _ => Packet::Udp,
        };
        self.pass(id, Direction::In, first);
        Ok(())
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Add(i, weight, upper, one_way) => {
                let name = *i.get(&NAMES);
                let forwarding = [Forwarding::Masquerade, Forwarding::Tunnel][usize::from(one_way)];
                let destination = Destination::new(address(name))
                    .with_weight(weight)
                    .with_thresholds(upper, 0)
                    .with_forwarding(forwarding);
                let added = self.service.add(destination);
                prop_assert_eq!(added.is_ok(), !self.present.contains(&name));
                if let Ok(id) = added {
                    self.present.insert(name);
                    self.seen.insert(id);
                }
            }
            Step::Edit(i, weight, upper) => {
                let name = *i.get(&NAMES);
                let destination = Destination::new(address(name))
                    .with_weight(weight)
                    .with_thresholds(upper, 0);
                let edited = self.service.edit(destination);
                prop_assert_eq!(edited.is_ok(), self.present.contains(&name));
            }
            Step::Remove(i) => {
                let name = *i.get(&NAMES);
                let removed = self.service.remove(address(name));
                prop_assert_eq!(removed.is_ok(), self.present.remove(&name));
            }
            Step::Connect(protocol, client, ftp) => self.connect(protocol, client, ftp)?,
            Step::Packet(i, out, bits) => {
                if let Some(id) = self.nth(i) {
                    let direction = [Direction::In, Direction::Out][usize::from(out)];
                    let packet = match bits % 7 {
                        0 => Packet::Udp,
                        1..=3 => TcpFlags::from_bits(bits / 7).into(),
                        _ => SctpChunk::from(bits / 7 % 16).into(),
                    };
                    let mut context = self.context();
                    let state = self.service.packet(id, direction, packet, &mut context);
                    self.pass(id, direction, packet);
                    prop_assert!(state.is_none_or(|state| state == self.alive[&id].state));
                }
            }
            Step::Establish(i) | Step::Close(i) => {
                if let Some(id) = self.nth(i) {
                    let done = match step {
                        Step::Close(_) => self.service.close(id),
                        _ => self.service.establish(id),
                    };
                    prop_assert!(done);
                    let known = self.alive.get_mut(&id).unwrap();
                    known.state = self.service.state_of(id).unwrap();
                    known.is_active = self.service.is_active(id).unwrap();
                    known.due = self.service.due_of(id).unwrap();
                }
            }
            Step::Expire(i) => {
                if let Some(id) = self.nth(i) {
                    prop_assert!(self.service.expire(id));
                    prop_assert!(!self.service.expire(id));
                    self.alive.remove(&id);
                }
            }
            Step::Adopt(i, state, is_active) => {
                let name = *i.get(&NAMES);
                let state = ConnectionState::Tcp(TcpState::ALL[state]);
                let timeout = Duration::from_secs(50);
                let report = Synced {
                    state,
                    is_active,
                    timeout,
                };
                let adopted = self.service.adopt(address(name), report);
                prop_assert_eq!(adopted.is_some(), self.present.contains(&name));
                if let Some(id) = adopted {
                    let entry = self.service.destination_of(id).unwrap();
                    let known = Known {
                        destination: entry.id(),
                        state,
                        is_active,
                        is_one_way: entry.destination().forwarding().is_one_way(),
                        due: self.now + timeout,
                    };
                    self.alive.insert(id, known);
                }
            }
            Step::Synchronise(i, state, is_active) => {
                if let Some(id) = self.nth(i) {
                    let state = ConnectionState::Tcp(TcpState::ALL[state]);
                    let timeout = Duration::from_secs(70);
                    let report = Synced {
                        state,
                        is_active,
                        timeout,
                    };
                    prop_assert!(self.service.synchronise(id, report));
                    let known = self.alive.get_mut(&id).unwrap();
                    (known.state, known.is_active) = (state, is_active);
                    known.due = self.now + timeout;
                }
            }
            Step::Advance(seconds) => {
                self.now += Duration::from_secs(seconds);
                self.service.advance(self.now);
            }
            Step::ExpireDue(seconds) => {
                self.now += Duration::from_secs(seconds);
                let expired = self.service.expire_due(self.now);
                let mut dues = Vec::new();
                for id in expired {
                    dues.push(self.alive.remove(&id).unwrap().due);
                }
                prop_assert!(dues.is_sorted());
                prop_assert!(dues.iter().all(|due| *due <= self.now));
                prop_assert!(self.alive.values().all(|known| known.due > self.now));
            }
            Step::Settings(secure, quiescent) => {
                self.settings.secure_tcp = secure;
                self.settings.expire_quiescent_template = quiescent;
                self.service.set_settings(self.settings);
            }
            Step::Persistence(timeout) => {
                let persistence = timeout.map(|timeout| {
                    let mask = PersistenceMask::Inet([255, 255, 255, 240].into());
                    Persistence::new(Duration::from_secs(timeout.into())).with_mask(mask)
                });
                self.service.set_persistence(persistence);
            }
            Step::Rebind(i) => {
                let algorithm = *i.get(Algorithm::ALL);
                let scheduler = algorithm.scheduler(self.service.semantics());
                self.service.set_scheduler(scheduler);
            }
        }
        Ok(())
    }

    /// Counts, list, states; and that whatever is referred to is kept.
    fn check(&self) -> Result<(), TestCaseError> {
        let service = &self.service;
        prop_assert_eq!(service.now(), self.now);
        prop_assert_eq!(service.connections(), self.alive.len());
        let listed: BTreeSet<_> = service.destinations().map(support::name).collect();
        prop_assert!(listed == self.present);
        for (id, known) in &self.alive {
            prop_assert_eq!(service.state_of(*id), Some(known.state));
            prop_assert_eq!(service.is_active(*id), Some(known.is_active));
            prop_assert_eq!(service.due_of(*id), Some(known.due));
            prop_assert_eq!(
                service.destination_of(*id).map(|it| it.id()),
                Some(known.destination)
            );
        }
        for id in &self.seen {
            let count = |is_active| {
                let alive = self.alive.values();
                alive
                    .filter(|it| (it.destination, it.is_active) == (*id, is_active))
                    .count()
            };
            let expected = (count(true), count(false));
            let Some(entry) = service.destination(*id) else {
                prop_assert_eq!(expected, (0, 0), "forgotten with connections");
                continue;
            };
            prop_assert_eq!(
                (entry.active() as usize, entry.inactive() as usize),
                expected
            );
            prop_assert_eq!(entry.total() as usize, expected.0 + expected.1);
        }
        if let Some(due) = service.next_due() {
            let first = self.alive.values().map(|it| it.due).min();
            prop_assert!(first.is_none_or(|first| due <= first));
        } else {
            prop_assert!(self.alive.is_empty());
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn counts_are_those_of_the_connections_alive(
        semantics in prop::sample::select(&[Semantics::LINUX_6_1, Semantics::LINUX_7_2][..]),
        old_active in any::<bool>(),
        algorithm in prop::sample::select(Algorithm::ALL),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut semantics = semantics;
        if old_active {
            semantics.tcp_active = TcpActive::Established;
        }
        let mut world = World {
            service: VirtualService::new(algorithm, semantics),
            now: Duration::ZERO,
            settings: Settings::default(),
            rule: semantics.tcp_active,
            alive: BTreeMap::new(),
            present: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        for step in &steps {
            world.take(step)?;
            world.check()?;
        }

        // In the end all of it goes: connections, templates, removed destinations.
        world.service.expire_due(world.now + Duration::from_secs(1000));
        prop_assert_eq!(world.service.connections(), 0);
        for name in &world.present {
            world.service.remove(address(*name)).unwrap();
        }
        // Beyond any timeout of a template and the expiration of caches.
        let mut now = world.service.now();
        for _ in 0..4 {
            now += Duration::from_secs(100_000);
            world.service.advance(now);
        }
        prop_assert_eq!(world.service.templates(), 0);
        prop_assert_eq!(world.service.next_due(), None);
        for id in &world.seen {
            prop_assert!(world.service.destination(*id).is_none());
        }
    }

    /// A leap of time does to templates and the trash what small steps do.
    #[test]
    fn leaps_and_small_steps_of_time_agree(
        clients in prop::collection::vec((0_u8..6, 0_u64..90, any::<bool>()), 1..20),
        timeout in 1_u64..200,
        rest in 0_u64..2000,
        small in 1_u64..50,
    ) {
        let run = |step: Option<u64>| {
            let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1)
                .with_persistence(Persistence::new(Duration::from_secs(timeout)));
            let ids = NAMES.map(|name| service.add(Destination::new(address(name))).unwrap());
            let mut now = 0;
            let reach = |service: &mut VirtualService, from: u64, to: u64| {
                let mut at = from;
                while let Some(step) = step.filter(|step| at + step < to) {
                    at += step;
                    service.advance(Duration::from_secs(at));
                }
                service.advance(Duration::from_secs(to));
            };
            let mut picks = Vec::new();
            for (number, &(client, wait, ends)) in clients.iter().enumerate() {
                reach(&mut service, now, now + wait);
                now += wait;
                if number == clients.len() / 2 {
                    service.remove(address('A')).unwrap();
                }
                let client = ([198, 51, 100, client], 1000).into();
                let flow = Flow::tcp(client, ([192, 0, 2, 1], 80).into());
                let mut context = Context::new(Duration::from_secs(now));
                let id = service.connect(&flow, &mut context).unwrap();
                picks.push(service.destination_of(id).map(support::name));
                if ends {
                    service.expire(id);
                }
            }
            reach(&mut service, now, now + rest);
            let templates = ids.map(|id| service.destination(id).map(|it| it.templates()));
            (picks, templates, service.templates(), service.next_due())
        };
        prop_assert_eq!(run(None), run(Some(small)));
    }
}

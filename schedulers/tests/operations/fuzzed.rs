//! Any operations on two services, one of which explains each pick, beside the rules as the
//! specification words them. The fuzz target `scheduler_ops` runs the same function.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use lvs_schedulers::{
    Algorithm, ConnectionId, Context, Destination, DestinationId, Direction, Explanation, Flow,
    Forwarding, Packet, Persistence, PersistenceMask, Protocol, SchedulerFlags, SctpChunk,
    Semantics, TcpFlags, VirtualService,
};

use super::literal::{Literal, Seen};

/// Steps of one run; the rest of the bytes is left alone.
const STEPS: usize = 400;

/// Carries out what the bytes say.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut pair = Pair::new(&mut input);
    for _ in 0..STEPS {
        if input.0.is_empty() {
            break;
        }
        pair.operate(&mut input);
        pair.check_counts();
    }
    // What is left over of their states is equal if they go on alike.
    for port in 0..8 {
        let flow = Flow::tcp(client(port), virtual_address(port));
        pair.schedule(&flow, true, Duration::ZERO);
    }
}

/// Bytes that decide; zeros once they are used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }
}

fn server(number: usize) -> SocketAddr {
    let host = u8::try_from(number).unwrap();
    if number % 4 == 3 {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()], 80))
    } else {
        SocketAddr::from(([10, 2, 1, host], 80))
    }
}

fn client(number: u8) -> SocketAddr {
    // One of them is 20, from which nothing is scheduled.
    SocketAddr::from(([192, 0, 2, number % 16], 16 + u16::from(number / 16)))
}

fn virtual_address(number: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, number], 80))
}

struct Pair {
    plain: VirtualService,
    traced: VirtualService,
    algorithm: Algorithm,
    /// What the algorithm would do, as long as it is known.
    literal: Option<Literal<DestinationId>>,
    open: BTreeMap<ConnectionId, DestinationId>,
    is_one_packet: bool,
    now: Duration,
    draws: u32,
}

impl Pair {
    fn new(input: &mut Input<'_>) -> Self {
        let mut semantics = input.of(&[
            Semantics::LINUX_6_1,
            Semantics::LINUX_6_12,
            Semantics::LINUX_7_2,
        ]);
        semantics.mh_table_index = input.of(&[8, 12]);
        semantics.sh_table_bits = input.of(&[8, 4]);
        let algorithm = input.of(Algorithm::ALL);
        let is_one_packet = input.byte() == 255;
        let make = || {
            let service = VirtualService::new(algorithm, semantics);
            if is_one_packet {
                service.with_one_packet()
            } else {
                service
            }
        };
        Self {
            plain: make(),
            traced: make(),
            algorithm,
            literal: Literal::bound(algorithm.name(), &[]),
            open: BTreeMap::new(),
            is_one_packet,
            now: Duration::ZERO,
            draws: 0,
        }
    }

    /// The same call to both, with the same answer.
    fn both<T: PartialEq + core::fmt::Debug>(
        &mut self,
        call: impl Fn(&mut VirtualService) -> T,
    ) -> T {
        let answer = call(&mut self.plain);
        assert_eq!(call(&mut self.traced), answer);
        answer
    }

    fn list(&self) -> Vec<Seen<DestinationId>> {
        let entries = self.plain.destinations();
        let seen = entries.map(|entry| Seen {
            id: entry.id(),
            weight: entry.weight(),
            overloaded: entry.is_overloaded(),
            active: entry.active(),
            inactive: entry.inactive(),
        });
        seen.collect()
    }

    fn operate(&mut self, input: &mut Input<'_>) {
        match input.below(20) {
            0..=2 => self.add(input),
            3 => self.edit(input),
            4 => self.remove(input),
            5 => self.rebind(input),
            6 => {
                let flags = input.of(&[
                    SchedulerFlags::NONE,
                    SchedulerFlags::NONE.with_fallback(),
                    SchedulerFlags::NONE.with_port(),
                    SchedulerFlags::NONE.with_fallback().with_port(),
                ]);
                self.both(|service| service.set_flags(flags));
            }
            7 => {
                let timeout = Duration::from_secs(input.of(&[0, 1, 60, 360]));
                let mask = input.of(&[
                    PersistenceMask::Client,
                    PersistenceMask::Inet([255, 255, 255, 248].into()),
                    PersistenceMask::Inet6(64),
                ]);
                let persistence = input
                    .flag()
                    .then(|| Persistence::new(timeout).with_mask(mask));
                self.both(|service| service.set_persistence(persistence));
            }
            8..=10 => {
                let (flow, draws, back) = self.flow(input);
                self.schedule(&flow, draws, back);
            }
            11..=13 => {
                let (flow, draws, back) = self.flow(input);
                self.connect(&flow, draws, back);
            }
            14 => self.packet(input),
            15 => self.end(input),
            16 => {
                self.pass_time(input);
                let now = self.now;
                self.both(|service| service.advance(now));
            }
            17 => {
                self.pass_time(input);
                let now = self.now;
                for gone in self.both(|service| service.expire_due(now)) {
                    assert!(self.open.remove(&gone).is_some());
                }
            }
            18 => {
                let (secure, quiescent) = (input.flag(), input.flag());
                let mut settings = *self.plain.settings();
                settings.secure_tcp = secure;
                settings.expire_quiescent_template = quiescent;
                self.both(|service| service.set_settings(settings));
            }
            _ => self.pass_time(input),
        }
    }

    fn destination(input: &mut Input<'_>) -> Destination {
        const WEIGHTS: [u32; 10] = [0, 1, 2, 3, 4, 6, 12, 300, 1, Destination::MAX_WEIGHT];
        let address = server(input.below(6));
        let weight = input.of(&WEIGHTS);
        let upper = input.of(&[0, 0, 0, 1, 2, 4, 7, u32::MAX]);
        let lower = input.of(&[0, 0, 1, 2]).min(upper);
        let forwarding = input.of(&[Forwarding::Masquerade, Forwarding::DirectRoute]);
        Destination::new(address)
            .with_weight(weight)
            .with_thresholds(upper, lower)
            .with_forwarding(forwarding)
    }

    fn add(&mut self, input: &mut Input<'_>) {
        let destination = Self::destination(input);
        let is_listed = self.plain.destination_at(destination.address()).is_some();
        let added = self.both(|service| service.add(destination));
        assert_eq!(added.is_ok(), !is_listed);
        if let Ok(id) = added {
            let list = self.list();
            assert_eq!(list.first().map(|d| d.id), Some(id), "newest first");
            self.change(|literal| literal.changed(&list));
        }
    }

    fn edit(&mut self, input: &mut Input<'_>) {
        let destination = Self::destination(input);
        let is_listed = self.plain.destination_at(destination.address()).is_some();
        let edited = self.both(|service| service.edit(destination));
        assert_eq!(edited.is_ok(), is_listed);
        if is_listed {
            let list = self.list();
            self.change(|literal| literal.changed(&list));
        }
    }

    fn remove(&mut self, input: &mut Input<'_>) {
        let address = server(input.below(6));
        let former = self.list();
        let id = self.plain.destination_at(address).map(|entry| entry.id());
        let removed = self.both(|service| service.remove(address));
        assert_eq!(removed.is_ok(), id.is_some());
        if let Some(id) = id {
            let list = self.list();
            self.change(|literal| literal.removed(id, &former, &list));
        }
    }

    fn rebind(&mut self, input: &mut Input<'_>) {
        self.algorithm = input.of(Algorithm::ALL);
        let (algorithm, semantics) = (self.algorithm, self.plain.semantics());
        self.both(|service| service.set_scheduler(algorithm.scheduler(semantics)));
        assert_eq!(self.plain.scheduler_name(), algorithm.name());
        self.literal = Literal::bound(algorithm.name(), &self.list());
        self.change(|_| {});
    }

    /// Tells the literal rule of a change; one that would take too long is given up.
    fn change(&mut self, change: impl FnOnce(&mut Literal<DestinationId>)) {
        if let Some(literal) = &mut self.literal {
            change(literal);
            if !literal.is_quick() {
                self.literal = None;
            }
        }
    }

    fn flow(&self, input: &mut Input<'_>) -> (Flow, bool, Duration) {
        let protocol = input.of(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
        let (client, to) = (client(input.byte()), virtual_address(input.byte() % 4));
        let kind = input.byte();
        // Now and then a packet comes with a time that is past.
        let back = Duration::from_secs(if kind >= 0xf0 { 100 } else { 0 });
        (Flow::new(protocol, client, to), kind % 4 > 0, back)
    }

    /// Lets both pick; what is drawn comes from outside if `draws`.
    fn pick<T: PartialEq + core::fmt::Debug>(
        &mut self,
        (draws, back): (bool, Duration),
        call: impl Fn(&mut VirtualService, &mut Context<'_>) -> T,
    ) -> (T, Explanation, Vec<u32>) {
        let now = self.now.saturating_sub(back);
        let (mut source, mut drawn) = (Draws(self.draws), Vec::new());
        let mut draw = |highest| source.record(highest, &mut drawn);
        let mut context = Context::new(now);
        if draws {
            context = context.with_draw(&mut draw);
        }
        let picked = call(&mut self.plain, &mut context);

        let (mut again, mut drawn_again) = (Draws(self.draws), Vec::new());
        let mut draw = |highest| again.record(highest, &mut drawn_again);
        let mut why = Explanation::new();
        let mut context = Context::new(now).with_trace(&mut why);
        if draws {
            context = context.with_draw(&mut draw);
        }
        assert_eq!(call(&mut self.traced, &mut context), picked, "traced");
        assert_eq!(drawn, drawn_again);
        self.draws = source.0;
        (picked, why, drawn)
    }

    fn schedule(&mut self, flow: &Flow, draws: bool, back: Duration) {
        let call = |service: &mut VirtualService, context: &mut Context<'_>| {
            service.schedule(flow, context)
        };
        let (picked, why, drawn) = self.pick((draws, back), call);
        self.check_explanation(picked, &why);
        let list = self.list();
        self.check_pick(flow, &list, picked, draws.then_some(&drawn));
    }

    fn connect(&mut self, flow: &Flow, draws: bool, back: Duration) {
        // A pick is judged by the counts before it.
        let now = self.now;
        self.both(|service| service.advance(now));
        let list = self.list();
        let call = |service: &mut VirtualService, context: &mut Context<'_>| {
            service.connect(flow, context)
        };
        let (connection, why, drawn) = self.pick((draws, back), call);
        let picked = connection.map(|connection| {
            let entry = self
                .plain
                .destination_of(connection)
                .expect("counted there");
            assert!(entry.is_available());
            entry.id()
        });
        self.check_explanation(picked, &why);
        if why.scheduler() != "template" {
            self.check_pick(flow, &list, picked, draws.then_some(&drawn));
        }
        if let (Some(connection), Some(id)) = (connection, picked) {
            let is_passing = self.is_one_packet && flow.protocol() == Protocol::Udp;
            if !is_passing {
                assert_eq!(self.open.insert(connection, id), None);
            }
        }
    }

    fn check_pick(
        &mut self,
        flow: &Flow,
        list: &[Seen<DestinationId>],
        picked: Option<DestinationId>,
        drawn: Option<&Vec<u32>>,
    ) {
        let algorithm = self.algorithm;
        let found = picked.map(|id| list.iter().find(|d| d.id == id).expect("removed"));
        if let Some(d) = found {
            assert!(d.weight > 0, "{algorithm}: {d:?}");
            // Only a server in lblc's cache may be.
            assert!(
                !d.overloaded || algorithm == Algorithm::Lblc,
                "{algorithm}: {d:?}"
            );
        }
        if flow.client().port() == 20 {
            assert_eq!(picked, None);
            return;
        }
        if matches!(algorithm, Algorithm::Lblc | Algorithm::Lblcr) {
            let somebody = list.iter().any(Seen::is_eligible);
            assert!(picked.is_some() || !somebody, "{algorithm}: {list:?}");
        }
        match (&mut self.literal, drawn) {
            // What it draws by itself is not known here.
            (None, _) | (Some(Literal::Twos), None) => {}
            (Some(literal), drawn) => {
                let drawn = drawn.map_or(&[][..], Vec::as_slice);
                let expected = literal.pick(list, self.plain.semantics(), drawn);
                assert_eq!(picked, expected, "{algorithm}: {list:?}");
            }
        }
    }

    fn check_explanation(&self, picked: Option<DestinationId>, why: &Explanation) {
        if why.scheduler() != "template" {
            assert_eq!(why.scheduler(), self.algorithm.name());
        }
        let address = why
            .outcome()
            .map(|index| why.address(index).expect("named"));
        let entry = address.map(|address| self.plain.destination_at(address).expect("listed"));
        assert_eq!(entry.map(|entry| entry.id()), picked, "explained");
        let text = why.to_string();
        assert_eq!(text.lines().count(), why.steps().len() + 1, "{text}");
        let outcome = address.map_or_else(|| String::from("nobody"), |address| address.to_string());
        let first = format!("{} picks {outcome}\n", why.scheduler());
        assert!(text.starts_with(&first), "{text}");
    }

    fn connection(&self, input: &mut Input<'_>) -> Option<ConnectionId> {
        let number = usize::from(input.byte());
        let count = self.open.len();
        self.open.keys().nth(number.checked_rem(count)?).copied()
    }

    fn packet(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.connection(input) else {
            return;
        };
        let direction = input.of(&[Direction::In, Direction::Out]);
        let what = input.byte();
        let packet = match input.below(3) {
            0 => Packet::Tcp(TcpFlags::from_bits(what)),
            1 => Packet::Udp,
            _ => Packet::Sctp(SctpChunk::from(what)),
        };
        let now = self.now;
        self.both(|service| service.packet(connection, direction, packet, &mut Context::new(now)));
    }

    fn end(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.connection(input) else {
            return;
        };
        match input.below(3) {
            0 => assert!(self.both(|service| service.establish(connection))),
            1 => assert!(self.both(|service| service.close(connection))),
            _ => {
                assert!(self.both(|service| service.expire(connection)));
                assert!(!self.both(|service| service.expire(connection)));
                self.open.remove(&connection);
            }
        }
    }

    fn pass_time(&mut self, input: &mut Input<'_>) {
        const STEPS: [u64; 12] = [
            0,
            1,
            10,
            59,
            60,
            61,
            120,
            360,
            1_800,
            86_400,
            1 << 32,
            u64::MAX,
        ];
        let step = Duration::from_secs(input.of(&STEPS));
        self.now = self.now.saturating_add(step);
    }

    /// The counts of each destination are those of the open connections.
    fn check_counts(&self) {
        assert_eq!(self.plain.connections(), self.open.len());
        let mut counts: BTreeMap<DestinationId, (u32, u32)> = BTreeMap::new();
        for (&connection, &id) in &self.open {
            let (active, inactive) = counts.entry(id).or_default();
            match self.plain.is_active(connection).expect("open") {
                true => *active += 1,
                false => *inactive += 1,
            }
        }
        for entry in self.plain.destinations() {
            let expected = counts.get(&entry.id()).copied().unwrap_or_default();
            assert_eq!((entry.active(), entry.inactive()), expected, "{entry:?}");
            assert!(entry.is_available());
        }
    }
}

/// Numbers for twos.
struct Draws(u32);

impl Draws {
    fn record(&mut self, highest: u32, drawn: &mut Vec<u32>) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = self.0.rotate_right(8);
        let draw = highest
            .checked_add(1)
            .map_or(number, |count| number % count);
        drawn.push(draw);
        draw
    }
}

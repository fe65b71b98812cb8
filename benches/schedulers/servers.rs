//! What the picks choose from, and who asks.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use lvs_schedulers::{
    Algorithm, Context, Destination, DestinationEntry, Flow, Scheduler, Semantics, VirtualService,
};

pub(crate) const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

#[derive(Clone, Copy)]
pub(crate) enum Weights {
    /// All 1.
    Uniform,
    /// 1 to 5, repeating.
    OneToFive,
    /// The heaviest has as much as there are servers, the second a half, the third a third,
    /// scattered over the list.
    Zipf,
}

impl Weights {
    pub(crate) const ALL: [Self; 3] = [Self::Uniform, Self::OneToFive, Self::Zipf];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Uniform => "uniform weights",
            Self::OneToFive => "weights 1 to 5",
            Self::Zipf => "zipf weights",
        }
    }

    /// The weights of that many servers.
    pub(crate) fn of(self, servers: u32) -> impl Iterator<Item = u32> {
        // Steps of a prime that divides none of the sizes reach every rank once.
        let rank = move |number: u32| (number * 7_919) % servers + 1;
        (0..servers).map(move |number| match self {
            Self::Uniform => 1,
            Self::OneToFive => number % 5 + 1,
            Self::Zipf => servers / rank(number),
        })
    }
}

pub(crate) fn address(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from((10 << 24) + number), 80))
}

/// Connects to the server whose number is next: 1 to 8 times each.
#[derive(Debug)]
struct Plan {
    number: u32,
    left: u32,
}

impl Scheduler<DestinationEntry> for Plan {
    fn name(&self) -> &str {
        "plan"
    }

    fn pick(&mut self, _: &[DestinationEntry], _: &Flow, _: &mut Context<'_>) -> Option<usize> {
        while self.left == 0 {
            self.number += 1;
            self.left = 1 + (self.number.wrapping_mul(2_654_435_761) >> 29);
        }
        self.left -= 1;
        usize::try_from(self.number).ok()
    }
}

pub(crate) fn service(algorithm: Algorithm, weights: Weights, servers: u32) -> VirtualService {
    let mut semantics = Semantics::LINUX_6_1;
    // 4,093 slots are too few for 10,000 servers.
    semantics.mh_table_index = if servers < 4_093 { 12 } else { 17 };
    let plan = Plan { number: 0, left: 1 };
    let mut service = VirtualService::with_scheduler(Box::new(plan), semantics);
    let plan = (0..).zip(weights.of(servers));
    // The addresses differ, so none is refused.
    let _ = service.add_all(
        plan.map(|(number, weight)| Destination::new(address(number)).with_weight(weight)),
    );
    let mut clients = Clients::default();
    let mut context = Context::new(Duration::ZERO);
    while service.connect(clients.next(), &mut context).is_some() {}
    service.set_scheduler(algorithm.scheduler(semantics));
    service
}

/// How many clients there are. Each has an address of its own and asks one of 256 virtual addresses.
const CLIENTS: u32 = 4_096;

/// The clients in turn, made beforehand.
pub(crate) struct Clients {
    flows: Box<[Flow]>,
    next: usize,
}

impl Default for Clients {
    fn default() -> Self {
        let flow = |[a, b, c, d, e, f]: [u8; 6]| {
            Flow::tcp(
                SocketAddr::from(([a, b, c, d], u16::from_be_bytes([e, f]))),
                SocketAddr::from(([192, 0, 2, a], 80)),
            )
        };
        let flows = (0..CLIENTS).map(key).map(flow).collect();
        Self { flows, next: 0 }
    }
}

impl Clients {
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder, so always there")]
    pub(crate) fn next(&mut self) -> &Flow {
        let flow = &self.flows[self.next % CLIENTS as usize];
        self.next += 1;
        flow
    }
}

/// The same as peers want them: address and port.
pub(crate) struct Keys {
    keys: Box<[[u8; 6]]>,
    next: usize,
}

impl Default for Keys {
    fn default() -> Self {
        let keys = (0..CLIENTS).map(key).collect();
        Self { keys, next: 0 }
    }
}

impl Keys {
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder, so always there")]
    pub(crate) fn next(&mut self) -> &[u8; 6] {
        let key = &self.keys[self.next % CLIENTS as usize];
        self.next += 1;
        key
    }
}

fn key(number: u32) -> [u8; 6] {
    // An odd factor: all numbers come once, in no order.
    let [a, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
    [a, b, c, d, b, d]
}

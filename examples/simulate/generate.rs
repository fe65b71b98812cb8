//! Made-up traffic: flows that arrive, last and end in virtual time.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::BinaryHeap;

use lvs_schedulers::Protocol;
use lvs_schedulers::scenario::Event;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp, Pareto, Zipf};

use crate::arguments::{self, Load};

/// An endless-looking stream of events that ends with the arrival of the last flow.
///
/// The random numbers are ChaCha8's, the same on every machine; each kind of number has a stream of
/// its own, so that other durations do not change who comes when.
#[derive(Debug)]
pub(crate) struct Generator {
    protocol: Protocol,
    ipv6: bool,
    by_mark: bool,
    arrivals: Stream<Exp<f64>>,
    durations: Stream<Durations>,
    clients: Stream<Zipf<f64>>,
    destinations: Stream<Zipf<f64>>,
    linger: u64,
    flows: usize,
    begun: usize,
    /// Virtual time in microseconds: of the events so far, and of the next arrival.
    now: u64,
    arrival: u64,
    /// What happens to flows later, the earliest first.
    later: BinaryHeap<Reverse<(u64, Later)>>,
    establish: Option<usize>,
}

/// What happens to a flow after it began; of what happens at the same time, this is the order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Later {
    Close(usize),
    Expire(usize),
}

/// Samples of one distribution with random numbers of its own.
#[derive(Debug)]
struct Stream<D> {
    distribution: D,
    random: ChaCha8Rng,
}

impl<D: Distribution<f64>> Stream<D> {
    fn new(distribution: D, seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self {
            distribution,
            random,
        }
    }

    fn next(&mut self) -> f64 {
        self.distribution.sample(&mut self.random)
    }
}

#[derive(Debug)]
enum Durations {
    Exponential(Exp<f64>),
    Pareto(Pareto<f64>),
}

impl Distribution<f64> for Durations {
    fn sample<R: rand::Rng + ?Sized>(&self, random: &mut R) -> f64 {
        match self {
            Self::Exponential(exponential) => exponential.sample(random),
            Self::Pareto(pareto) => pareto.sample(random),
        }
    }
}

impl Generator {
    /// Traffic of this kind for a service of this protocol, family and way to be reached.
    pub(crate) fn new(
        load: &Load,
        protocol: Protocol,
        ipv6: bool,
        by_mark: bool,
    ) -> Result<Self, String> {
        let text = |error: &dyn core::fmt::Display| error.to_string();
        let durations = match load.duration {
            arguments::Duration::Exponential => {
                let exponential = Exp::new(1.0 / load.mean).map_err(|error| text(&error))?;
                Durations::Exponential(exponential)
            }
            arguments::Duration::Pareto => {
                // The mean is scale × shape / (shape - 1).
                let scale = load.mean * (load.shape - 1.0) / load.shape;
                let pareto = Pareto::new(scale, load.shape).map_err(|error| text(&error))?;
                Durations::Pareto(pareto)
            }
        };
        let zipf =
            |number: u32, skew| Zipf::new(f64::from(number), skew).map_err(|error| text(&error));
        let arrivals = Exp::new(load.rate).map_err(|error| text(&error))?;
        let mut generator = Self {
            protocol,
            ipv6,
            by_mark,
            arrivals: Stream::new(arrivals, load.seed, 0),
            durations: Stream::new(durations, load.seed, 1),
            clients: Stream::new(zipf(load.clients, load.client_skew)?, load.seed, 2),
            destinations: Stream::new(
                zipf(load.destinations, load.destination_skew)?,
                load.seed,
                3,
            ),
            linger: microseconds(load.linger),
            flows: usize::try_from(load.flows).map_err(|error| text(&error))?,
            begun: 0,
            now: 0,
            arrival: 0,
            later: BinaryHeap::new(),
            establish: None,
        };
        generator.arrival = microseconds(generator.arrivals.next());
        Ok(generator)
    }

    /// Lets time pass until then, if it is later than now.
    fn advance(&mut self, until: u64) -> Option<Event> {
        let limit = u64::try_from(Event::MAX_ADVANCE.as_micros()).unwrap_or(u64::MAX);
        let by = until.saturating_sub(self.now).min(limit);
        self.now += by;
        (by > 0).then(|| Event::Advance {
            by: Duration::from_micros(by),
        })
    }

    fn begin(&mut self) -> Event {
        let flow = self.begun;
        self.begun += 1;
        // UDP has no handshake, and nobody says that it is over.
        let connection = self.protocol != Protocol::Udp;
        if connection {
            self.establish = Some(flow);
        }
        let end = self.now.saturating_add(microseconds(self.durations.next()));
        if connection && self.linger > 0 {
            self.later.push(Reverse((end, Later::Close(flow))));
        }
        let gone = end.saturating_add(self.linger);
        self.later.push(Reverse((gone, Later::Expire(flow))));
        let pause = microseconds(self.arrivals.next());
        self.arrival = self.arrival.saturating_add(pause);

        // Each client counts up its ports, as they all do together here.
        let port = 1024 + u16::try_from(flow % 60_000).unwrap_or(0);
        let client = SocketAddr::new(self.client(), port);
        if !self.by_mark {
            return Event::flow(client);
        }
        let number = index(self.destinations.next());
        let address: IpAddr = if self.ipv6 {
            Ipv6Addr::from_bits(0x2001_0db8_00de_u128 << 80 | u128::from(number)).into()
        } else {
            // Out of 198.18.0.0/15, which is set aside for benchmarks (RFC 2544).
            Ipv4Addr::from_bits(0xc612_0000 + number).into()
        };
        Event::flow_to(client, SocketAddr::new(address, 80))
    }

    fn client(&mut self) -> IpAddr {
        let number = index(self.clients.next());
        if self.ipv6 {
            Ipv6Addr::from_bits(0x2001_0db8_00c1_u128 << 80 | u128::from(number)).into()
        } else {
            Ipv4Addr::from_bits(0x0a80_0000 + number).into()
        }
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if let Some(flow) = self.establish.take() {
            return Some(Event::Establish { flow });
        }
        if self.begun == self.flows {
            return None;
        }
        if let Some(&Reverse((time, later))) = self.later.peek()
            && time <= self.arrival
        {
            let passing = self.advance(time);
            if passing.is_some() {
                return passing;
            }
            self.later.pop();
            return Some(match later {
                Later::Close(flow) => Event::Close { flow },
                Later::Expire(flow) => Event::Expire { flow },
            });
        }
        let passing = self.advance(self.arrival);
        if passing.is_some() {
            return passing;
        }
        Some(self.begin())
    }
}

/// Seconds as whole microseconds, the finest time of a scenario.
fn microseconds(seconds: f64) -> u64 {
    // Bounded by far: 10 years.
    let longest = Duration::from_secs(315_360_000);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(longest);
    u64::try_from(time.min(longest).as_micros()).unwrap_or(u64::MAX)
}

/// The index of a Zipf sample: whole numbers from 1 on.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 1 to a number that fits"
)]
fn index(sample: f64) -> u32 {
    (sample as u32).saturating_sub(1)
}

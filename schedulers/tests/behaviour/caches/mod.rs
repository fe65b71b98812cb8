//! lblc and lblcr: what the cache remembers, for how long, and when it is overruled.

mod ageing;
mod examples;
mod model;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use lvs_schedulers::{
    Algorithm, ConnectionId, Context, Destination, DestinationEntry, Explanation, Flow, Protocol,
    Scheduler, Semantics, VirtualService,
};

use crate::support::{address, name};

/// The address with this number that clients send to.
fn target(number: u32) -> SocketAddr {
    let first = u32::from(Ipv4Addr::new(203, 0, 0, 0));
    (IpAddr::V4(Ipv4Addr::from(first + number)), 80).into()
}

/// A service whose clients send to many addresses, with its clock.
struct Caches {
    service: VirtualService,
    protocol: Protocol,
    now: Duration,
    connections: Vec<ConnectionId>,
}

impl Caches {
    fn new(algorithm: Algorithm, weights: &[u32]) -> Self {
        let semantics = Semantics::LINUX_6_1;
        Self::with(algorithm.scheduler(semantics), semantics, weights)
    }

    fn with(
        scheduler: Box<dyn Scheduler<DestinationEntry>>,
        semantics: Semantics,
        weights: &[u32],
    ) -> Self {
        let mut caches = Self {
            service: VirtualService::with_scheduler(scheduler, semantics),
            protocol: Protocol::Tcp,
            now: Duration::ZERO,
            connections: Vec::new(),
        };
        for (name, &weight) in ('A'..).zip(weights) {
            caches.add(name, weight);
        }
        caches
    }

    fn add(&mut self, name: char, weight: u32) {
        let destination = Destination::new(address(name)).with_weight(weight);
        self.service.add(destination).unwrap();
    }

    fn edit(&mut self, name: char, weight: u32) {
        let destination = Destination::new(address(name)).with_weight(weight);
        self.service.edit(destination).unwrap();
    }

    /// Sets thresholds: overloaded from `upper` connections on.
    fn limit(&mut self, name: char, weight: u32, upper: u32) {
        let destination = Destination::new(address(name)).with_weight(weight);
        let destination = destination.with_thresholds(upper, 0);
        self.service.edit(destination).unwrap();
    }

    fn remove(&mut self, name: char) {
        self.service.remove(address(name)).unwrap();
    }

    fn flow(&self, number: u32) -> Flow {
        let client = ([192, 0, 2, 7], 40_000).into();
        Flow::new(self.protocol, client, target(number))
    }

    /// The destination of a connection to a target, which stays.
    fn connect(&mut self, number: u32) -> char {
        let flow = self.flow(number);
        let mut context = Context::new(self.now);
        let Some(connection) = self.service.connect(&flow, &mut context) else {
            return '-';
        };
        self.connections.push(connection);
        name(self.service.destination_of(connection).unwrap())
    }

    /// The destinations of so many connections to one target.
    fn connects(&mut self, number: u32, count: usize) -> String {
        (0..count).map(|_| self.connect(number)).collect()
    }

    /// The destination of a packet to a target, without a connection.
    fn pick(&mut self, number: u32) -> char {
        let flow = self.flow(number);
        let mut context = Context::new(self.now);
        match self.service.schedule(&flow, &mut context) {
            Some(id) => name(self.service.destination(id).unwrap()),
            None => '-',
        }
    }

    /// The account of such a pick, without the headline, with letters for the servers.
    fn explain(&mut self, number: u32) -> Vec<String> {
        let flow = self.flow(number);
        let mut why = Explanation::new();
        let mut context = Context::new(self.now).with_trace(&mut why);
        self.service.schedule(&flow, &mut context);
        let mut text = why.to_string();
        for name in 'A'..='E' {
            text = text.replace(&address(name).to_string(), &name.to_string());
        }
        let lines = text.lines().skip(1);
        lines.map(|line| line.trim_start().to_owned()).collect()
    }

    fn wait(&mut self, secs: u64) {
        self.now += Duration::from_secs(secs);
    }

    /// All connections leave.
    fn hang_up(&mut self) {
        for connection in self.connections.drain(..) {
            assert!(self.service.expire(connection));
        }
    }
}

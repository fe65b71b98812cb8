//! A service whose destinations are called A, B, C, …

use core::net::SocketAddr;
use core::time::Duration;

use lvs_schedulers::{
    Algorithm, ConnectionId, Context, Destination, DestinationEntry, Flow, Semantics,
    VirtualService,
};

pub(crate) struct Run {
    pub(crate) service: VirtualService,
    pub(crate) connections: Vec<ConnectionId>,
}

pub(crate) fn address(name: char) -> SocketAddr {
    let number = u16::try_from(u32::from(name)).unwrap();
    SocketAddr::from(([10, 2, 1, 1], number))
}

pub(crate) fn name(entry: &DestinationEntry) -> char {
    char::from_u32(entry.address().port().into()).unwrap()
}

pub(crate) fn flow() -> Flow {
    Flow::tcp(([192, 0, 2, 7], 40000).into(), ([192, 0, 2, 1], 80).into())
}

pub(crate) fn udp() -> Flow {
    Flow::udp(flow().client(), flow().virtual_address())
}

impl Run {
    pub(crate) fn new(algorithm: Algorithm, weights: &[u32]) -> Self {
        Self::with_semantics(algorithm, Semantics::LINUX_6_1, weights)
    }

    pub(crate) fn with_semantics(
        algorithm: Algorithm,
        semantics: Semantics,
        weights: &[u32],
    ) -> Self {
        let service = VirtualService::new(algorithm, semantics);
        let mut run = Self {
            service,
            connections: Vec::new(),
        };
        for (name, &weight) in ('A'..).zip(weights) {
            run.add(name, weight);
        }
        run
    }

    pub(crate) fn add(&mut self, name: char, weight: u32) {
        self.service
            .add(Destination::new(address(name)).with_weight(weight))
            .unwrap();
    }

    pub(crate) fn edit(&mut self, name: char, weight: u32) {
        self.service
            .edit(Destination::new(address(name)).with_weight(weight))
            .unwrap();
    }

    pub(crate) fn limit(&mut self, name: char, weight: u32, upper: u32, lower: u32) {
        let destination = Destination::new(address(name)).with_weight(weight);
        self.service
            .edit(destination.with_thresholds(upper, lower))
            .unwrap();
    }

    pub(crate) fn remove(&mut self, name: char) {
        self.service.remove(address(name)).unwrap();
    }

    pub(crate) fn entry(&self, name: char) -> &DestinationEntry {
        self.service.destination_at(address(name)).unwrap()
    }

    pub(crate) fn pick(&mut self) -> Option<char> {
        let id = self
            .service
            .schedule(&flow(), &mut Context::new(Duration::ZERO))?;
        self.service.destination(id).map(name)
    }

    /// The names of the next picks; `-` for none.
    pub(crate) fn picks(&mut self, count: usize) -> String {
        (0..count).map(|_| self.pick().unwrap_or('-')).collect()
    }

    pub(crate) fn connect(&mut self) -> Option<char> {
        self.connect_with(&flow())
    }

    pub(crate) fn connect_with(&mut self, flow: &Flow) -> Option<char> {
        let connection = self
            .service
            .connect(flow, &mut Context::new(Duration::ZERO))?;
        self.connections.push(connection);
        self.service.destination_of(connection).map(name)
    }

    /// The names of where the next connections go, each of which stays; `-` for none.
    pub(crate) fn connects(&mut self, flow: &Flow, count: usize) -> String {
        (0..count)
            .map(|_| self.connect_with(flow).unwrap_or('-'))
            .collect()
    }

    /// Lets the oldest connection expire.
    pub(crate) fn expire_oldest(&mut self) {
        let connection = self.connections.remove(0);
        assert!(self.service.expire(connection));
    }
}

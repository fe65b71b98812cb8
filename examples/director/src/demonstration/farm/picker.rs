//! What one director's kernel would pick: the demonstration's service of its table.

use core::net::SocketAddr;
use std::collections::HashMap;

use lvs_schedulers::{
    Algorithm, ConnectionId, Context, Destination, Error, Flow, Semantics, Timestamp,
    VirtualService,
};
use lvs_vrrp::sim::Random;

/// A virtual service with its scheduler and the connections that it counts.
#[derive(Debug)]
pub(super) struct Picker {
    service: VirtualService,
    algorithm: Algorithm,
    semantics: Semantics,
    /// For `twos`; nobody gains anything by guessing it.
    random: Random,
    /// Grows whenever everything is forgotten.
    life: u32,
}

/// A connection in the account of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    connection: ConnectionId,
    life: u32,
}

impl Picker {
    pub(super) fn new(algorithm: Algorithm, semantics: Semantics) -> Self {
        Self {
            service: VirtualService::new(algorithm, semantics),
            algorithm,
            semantics,
            random: Random::new(0),
            life: 0,
        }
    }

    /// The power is off: no destinations, and nobody counts what is open.
    pub(super) fn clear(&mut self) {
        self.service = VirtualService::new(self.algorithm, self.semantics);
        self.life += 1;
    }

    /// Another scheduler starts on the destinations there are; the same one goes on.
    pub(super) fn set_algorithm(&mut self, algorithm: Algorithm) {
        if algorithm != self.algorithm {
            self.algorithm = algorithm;
            self.service
                .set_scheduler(algorithm.scheduler(self.semantics));
        }
    }

    /// Changes the destinations by the difference.
    pub(super) fn set_destinations(&mut self, wanted: &[(SocketAddr, u32)]) -> Result<(), Error> {
        let mut weights = HashMap::with_capacity(wanted.len());
        for &(address, value) in wanted {
            let limit = Destination::MAX_WEIGHT;
            if value > limit {
                return Err(Error::Weight {
                    address,
                    value,
                    limit,
                });
            }
            if weights.insert(address, value).is_some() {
                return Err(Error::Exists { address });
            }
        }

        let service = &mut self.service;
        let present: Vec<_> = service
            .destinations()
            .map(|entry| *entry.destination())
            .collect();
        for destination in present {
            let address = destination.address();
            match weights.get(&address) {
                None => service.remove(address)?,
                // An edit, even one without effect, would make the scheduler start over.
                Some(&weight) if weight != destination.weight() => {
                    service.edit(destination.with_weight(weight))?;
                }
                Some(_) => {}
            }
        }
        for &(address, weight) in wanted {
            if service.destination_at(address).is_none() {
                service.add(Destination::new(address).with_weight(weight))?;
            }
        }
        Ok(())
    }

    /// Asks the scheduler, and counts the connection.
    pub(super) fn pick(&mut self, now: Timestamp, flow: &Flow) -> Option<(SocketAddr, Counted)> {
        let random = &mut self.random;
        let mut draw = |highest: u32| {
            let number = random.below(u64::from(highest) + 1);
            u32::try_from(number).unwrap_or(highest)
        };
        let mut context = Context::new(now).with_draw(&mut draw);
        let connection = self.service.connect(flow, &mut context)?;
        let address = self.service.destination_of(connection)?.address();
        let life = self.life;
        Some((address, Counted { connection, life }))
    }

    /// The server has accepted: the connection is an active one.
    pub(super) fn establish(&mut self, counted: Counted) {
        if counted.life == self.life {
            self.service.establish(counted.connection);
        }
    }

    /// The connection is over.
    pub(super) fn expire(&mut self, counted: Counted) {
        if counted.life == self.life {
            self.service.expire(counted.connection);
        }
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Address, weight and connections of each destination, in the order in which they were added.
    pub(super) fn destinations(&self) -> impl Iterator<Item = (SocketAddr, u32, u32)> + '_ {
        let entries = self.service.destinations().rev();
        entries.map(|entry| (entry.address(), entry.weight(), entry.total()))
    }
}

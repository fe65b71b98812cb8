//! What the forwarder counts.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;

use lvs_schedulers::Algorithm;

/// The forwarder's figures at one moment.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Connections accepted from clients.
    pub accepted: u64,
    /// Connections that are open now, those still waiting for their server included.
    pub open: u64,
    /// The most connections open at one time.
    pub peak_open: u64,
    /// Connections that both sides ended in order.
    pub completed: u64,
    /// Connections that one side broke off; the other side was reset.
    pub broken: u64,
    /// Clients reset because no destination could be picked.
    pub no_destination: u64,
    /// Clients reset because the picked destination refused the connection. As with IPVS nobody else
    /// is tried.
    pub refused: u64,
    /// Clients reset because the picked destination did not answer in time.
    pub unanswered: u64,
    /// Times a connection could not be accepted or made for lack of descriptors or memory.
    pub exhausted: u64,
    /// Bytes carried from clients to servers.
    pub bytes_to_servers: u64,
    /// Bytes carried from servers to clients.
    pub bytes_to_clients: u64,
    /// Bytes read from one side and not yet written to the other; at most twice
    /// [`BUFFER_BYTES`](Self::BUFFER_BYTES) per open connection.
    pub buffered_bytes: u64,
    /// The most bytes buffered at one time.
    pub peak_buffered_bytes: u64,
    /// Clients of the demonstration's own that had an answer.
    pub clients_answered: u64,
    /// Those that had none.
    pub clients_failed: u64,
    /// Connections that wait because no director is Active.
    pub waiting: u64,
    /// Which director is Active, from 0.
    pub active: Option<usize>,
    /// Its scheduler.
    pub algorithm: Option<Algorithm>,
    /// Its destinations, in the order in which they were added.
    pub destinations: Vec<DestinationStats>,
    /// Connections for which each server was picked since the start, by whichever director.
    pub picked: HashMap<SocketAddr, u64>,
}

impl Stats {
    /// Size of the buffer that each direction of a connection has.
    pub const BUFFER_BYTES: usize = 16 * 1024;
}

/// One destination's share.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DestinationStats {
    /// Address and port of the server.
    pub address: SocketAddr,
    /// The weight in force.
    pub weight: u32,
    /// Connections it has now.
    pub open: u32,
    /// Connections it was picked for since the start, by whichever director.
    pub picked: u64,
}

/// A number that many connections change.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn increment(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, amount: usize) {
        self.0.fetch_add(amount as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, and the highest it has been.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    now: AtomicU64,
    peak: AtomicU64,
}

impl Gauge {
    /// Adds `amount` until the returned value is dropped.
    pub(super) fn hold(&self, amount: usize) -> Held<'_> {
        let amount = amount as u64;
        let now = self.now.fetch_add(amount, Ordering::Relaxed) + amount;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Held {
            gauge: self,
            amount,
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

/// Part of a [`Gauge`].
#[derive(Debug)]
pub(super) struct Held<'a> {
    gauge: &'a Gauge,
    amount: u64,
}

impl Held<'_> {
    /// Gives back `amount`, at most what is held.
    pub(super) fn release(&mut self, amount: usize) {
        let amount = (amount as u64).min(self.amount);
        self.amount -= amount;
        self.gauge.now.fetch_sub(amount, Ordering::Relaxed);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.gauge.now.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

/// What the connections of one forwarder count together.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: Counter,
    pub(super) clients_answered: Counter,
    pub(super) clients_failed: Counter,
    pub(super) open: Gauge,
    pub(super) waiting: Gauge,
    pub(super) completed: Counter,
    pub(super) broken: Counter,
    pub(super) no_destination: Counter,
    pub(super) refused: Counter,
    pub(super) unanswered: Counter,
    pub(super) exhausted: Counter,
    pub(super) bytes_to_servers: Counter,
    pub(super) bytes_to_clients: Counter,
    pub(super) buffered: Gauge,
}

impl Counters {
    pub(super) fn read(
        &self,
        active: Option<usize>,
        algorithm: Option<Algorithm>,
        destinations: Vec<DestinationStats>,
        picked: HashMap<SocketAddr, u64>,
    ) -> Stats {
        Stats {
            accepted: self.accepted.get(),
            open: self.open.get(),
            peak_open: self.open.peak(),
            completed: self.completed.get(),
            broken: self.broken.get(),
            no_destination: self.no_destination.get(),
            refused: self.refused.get(),
            unanswered: self.unanswered.get(),
            exhausted: self.exhausted.get(),
            bytes_to_servers: self.bytes_to_servers.get(),
            bytes_to_clients: self.bytes_to_clients.get(),
            buffered_bytes: self.buffered.get(),
            peak_buffered_bytes: self.buffered.peak(),
            clients_answered: self.clients_answered.get(),
            clients_failed: self.clients_failed.get(),
            waiting: self.waiting.get(),
            active,
            algorithm,
            destinations,
            picked,
        }
    }
}

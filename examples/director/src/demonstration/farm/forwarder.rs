//! The TCP forwarder: accepts connections and carries each to the destination the scheduler picks.
//!
//! It stands in for the kernel's IPVS, so it does what that would do where the two can be compared:
//! the scheduler's state outlives changes of the destinations, a destination that refuses is not
//! replaced by another one, and a connection counts for its destination until it ends. All
//! connections are tasks of one event loop, none has a thread.
//!
//! Several directors may stand ready, each with a table of its own. Connections go where the table of
//! the one says that is Active; while none is, they wait, as a client does whose packets nobody
//! answers. Those that are open go on, as with connections that a sync daemon has told the other
//! directors of.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lvs_schedulers::{Algorithm, Error, Flow, Timestamp};
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::listen::listen;
use super::picker::{Counted, Picker};
use super::pump::{carry, reset};
use super::stats::{Counters, DestinationStats, Stats};
use super::{Config, FarmError};

/// How long to wait before accepting again when the process has no descriptor left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// A bound forwarder that [runs](Self::run) on the event loop.
#[derive(Debug)]
pub(super) struct Forwarder {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// Reads and changes a forwarder from any thread.
#[derive(Clone, Debug)]
pub(super) struct ForwarderHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    connect_timeout: Duration,
    /// One for each director. Held for moments only, never across an await.
    pickers: Vec<Mutex<Picker>>,
    /// Which director is Active.
    active: watch::Sender<Option<usize>>,
    /// How often each server was picked, by whichever director.
    picked: Mutex<HashMap<SocketAddr, u64>>,
    counters: Arc<Counters>,
}

impl Forwarder {
    /// Binds the address; to be called on the event loop.
    pub(super) fn bind(config: &Config) -> Result<Self, FarmError> {
        let bound = listen(config.listen)
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        let (listener, address) = bound.map_err(|source| FarmError::Bind {
            role: "the forwarder".into(),
            address: config.listen,
            source,
        })?;
        let picker = |_| Mutex::new(Picker::new(config.algorithm, config.semantics));
        let shared = Shared {
            address,
            connect_timeout: config.connect_timeout,
            pickers: (0..config.directors).map(picker).collect(),
            active: watch::Sender::new((config.directors == 1).then_some(0)),
            picked: Mutex::default(),
            counters: Arc::default(),
        };
        Ok(Self {
            listener,
            shared: Arc::new(shared),
        })
    }

    pub(super) fn handle(&self) -> ForwarderHandle {
        ForwarderHandle(Arc::clone(&self.shared))
    }

    /// Accepts for ever; each connection becomes a task.
    pub(super) async fn run(self) {
        loop {
            match self.listener.accept().await {
                Ok((client, peer)) => {
                    tokio::spawn(forward(client, peer, Arc::clone(&self.shared)));
                }
                Err(error) if is_exhausted(&error) => {
                    self.shared.counters.exhausted.increment();
                    sleep(EXHAUSTED_PAUSE).await;
                }
                // The client was gone before its connection was accepted.
                Err(_) => {}
            }
        }
    }
}

impl ForwarderHandle {
    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Makes scheduler (`None`: the one in force) and destinations those of a director's table.
    pub(super) fn set_table(
        &self,
        director: usize,
        algorithm: Option<Algorithm>,
        wanted: &[(SocketAddr, u32)],
    ) -> Result<(), Error> {
        let Some(mut picker) = self.0.picker(director) else {
            return Ok(());
        };
        picker.set_destinations(wanted)?;
        if let Some(algorithm) = algorithm {
            picker.set_algorithm(algorithm);
        }
        Ok(())
    }

    /// Destinations of a director's table, with their weights.
    pub(super) fn destinations(&self, director: usize) -> Vec<(SocketAddr, u32)> {
        let picker = self.0.picker(director);
        picker.map_or_else(Vec::new, |picker| {
            let entries = picker.destinations();
            entries
                .map(|(address, weight, _)| (address, weight))
                .collect()
        })
    }

    pub(super) fn clear_table(&self, director: usize) {
        if let Some(mut picker) = self.0.picker(director) {
            picker.clear();
        }
    }

    pub(super) fn set_active(&self, director: Option<usize>) {
        self.0.active.send_if_modified(|active| {
            let is_other = *active != director;
            *active = director;
            is_other
        });
    }

    pub(super) fn stats(&self) -> Stats {
        let active = *self.0.active.borrow();
        let picked = lock(&self.0.picked).clone();
        let picker = active.and_then(|active| self.0.picker(active));
        let destinations = picker.as_ref().map_or_else(Vec::new, |picker| {
            let entries = picker.destinations();
            entries
                .map(|(address, weight, open)| DestinationStats {
                    address,
                    weight,
                    open,
                    picked: picked.get(&address).copied().unwrap_or_default(),
                })
                .collect()
        });
        let algorithm = picker.map(|picker| picker.algorithm());
        self.0
            .counters
            .read(active, algorithm, destinations, picked)
    }
}

/// Nothing that runs under these locks panics, and what they protect is whole between calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn picker(&self, director: usize) -> Option<MutexGuard<'_, Picker>> {
        self.pickers.get(director).map(lock)
    }

    /// Waits until a director is Active, and returns which one.
    async fn active(&self) -> Option<usize> {
        let _waiting = self.counters.waiting.hold(1);
        let mut active = self.active.subscribe();
        let found = active.wait_for(Option::is_some).await;
        found.ok().and_then(|active| *active)
    }

    /// Asks a director's scheduler, and counts the connection until the returned value is dropped.
    fn pick(&self, director: usize, client: SocketAddr) -> Option<(SocketAddr, Account<'_>)> {
        let mut picker = self.picker(director)?;
        let flow = Flow::tcp(client, self.address);
        let (address, counted) = picker.pick(since_boot(), &flow)?;
        *lock(&self.picked).entry(address).or_default() += 1;
        let account = Account {
            shared: self,
            director,
            counted,
        };
        Some((address, account))
    }
}

/// A connection in a director's account.
struct Account<'a> {
    shared: &'a Shared,
    director: usize,
    counted: Counted,
}

impl Account<'_> {
    fn establish(&self) {
        if let Some(mut picker) = self.shared.picker(self.director) {
            picker.establish(self.counted);
        }
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        if let Some(mut picker) = self.shared.picker(self.director) {
            picker.expire(self.counted);
        }
    }
}

/// Carries one client's connection from its first pick to its end.
async fn forward(client: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let counters = &shared.counters;
    counters.accepted.increment();
    let _open = counters.open.hold(1);

    let director = shared.active().await;
    let picked = director.and_then(|director| shared.pick(director, peer));
    let Some((address, account)) = picked else {
        counters.no_destination.increment();
        return reset(&client);
    };
    let server = match timeout(shared.connect_timeout, TcpStream::connect(address)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => {
            let exhausted = is_exhausted(&error);
            let counter = if exhausted {
                &counters.exhausted
            } else {
                &counters.refused
            };
            counter.increment();
            return reset(&client);
        }
        Err(_) => {
            counters.unanswered.increment();
            return reset(&client);
        }
    };
    account.establish();
    // What arrives is passed on at once; a failure costs only delay.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let in_order = carry(client, server, counters).await;
    let counter = if in_order {
        &counters.completed
    } else {
        &counters.broken
    };
    counter.increment();
}

/// Whether the process or the system has run out of descriptors or memory.
fn is_exhausted(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}

fn since_boot() -> Timestamp {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

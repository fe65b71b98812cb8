//! The TCP forwarder: accepts connections and carries each to the destination the scheduler picks.
//!
//! It stands in for the kernel's IPVS, so it does what that would do where the two can be compared:
//! the scheduler's state outlives changes of the destinations, a destination that refuses is not
//! replaced by another one, and a connection counts for its destination until it ends. All
//! connections are tasks of one event loop, none has a thread.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lvs_schedulers::{ConnectionId, Context, Destination, Error, Flow, Timestamp, VirtualService};
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::listen::listen;
use super::pump::{carry, reset};
use super::stats::{Counters, DestinationStats, Stats};
use super::{Config, DemoError};

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
    picker: Mutex<Picker>,
    counters: Counters,
}

/// Who is picked. Held for moments only, never across an await.
#[derive(Debug)]
struct Picker {
    service: VirtualService,
    picked: HashMap<SocketAddr, u64>,
}

impl Forwarder {
    /// Binds the address; to be called on the event loop.
    pub(super) fn bind(config: &Config) -> Result<Self, DemoError> {
        let bound = listen(config.listen)
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        let (listener, address) = bound.map_err(|source| DemoError::Bind {
            role: "the forwarder".into(),
            address: config.listen,
            source,
        })?;
        let service = VirtualService::new(config.algorithm, config.semantics);
        let shared = Shared {
            address,
            connect_timeout: config.connect_timeout,
            picker: Mutex::new(Picker {
                service,
                picked: HashMap::new(),
            }),
            counters: Counters::default(),
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
    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(super) fn set_destinations(&self, wanted: &[(SocketAddr, u32)]) -> Result<(), Error> {
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

        let mut picker = self.0.picker();
        let Picker { service, picked } = &mut *picker;
        let present: Vec<_> = service
            .destinations()
            .map(|entry| *entry.destination())
            .collect();
        for destination in present {
            let address = destination.address();
            match weights.get(&address) {
                None => {
                    service.remove(address)?;
                    picked.remove(&address);
                }
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

    pub(super) fn stats(&self) -> Stats {
        let destinations = {
            let picker = self.0.picker();
            let entries = picker.service.destinations().rev();
            entries
                .map(|entry| DestinationStats {
                    address: entry.address(),
                    weight: entry.weight(),
                    open: entry.total(),
                    picked: picker
                        .picked
                        .get(&entry.address())
                        .copied()
                        .unwrap_or_default(),
                })
                .collect()
        };
        self.0.counters.read(destinations)
    }
}

impl Shared {
    fn picker(&self) -> MutexGuard<'_, Picker> {
        // Nothing that runs under the lock panics, and its state is whole between calls.
        self.picker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the scheduler, and counts the connection until the returned value is dropped.
    fn pick(&self, client: SocketAddr) -> Option<(SocketAddr, Counted<'_>)> {
        let mut picker = self.picker();
        let mut context = Context::new(since_boot());
        let flow = Flow::tcp(client, self.address);
        let connection = picker.service.connect(&flow, &mut context)?;
        let address = picker.service.destination_of(connection)?.address();
        *picker.picked.entry(address).or_default() += 1;
        Some((
            address,
            Counted {
                shared: self,
                connection,
            },
        ))
    }
}

/// A connection in the scheduler's account.
struct Counted<'a> {
    shared: &'a Shared,
    connection: ConnectionId,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shared.picker().service.expire(self.connection);
    }
}

/// Carries one client's connection from its first pick to its end.
async fn forward(client: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let counters = &shared.counters;
    counters.accepted.increment();
    let _open = counters.open.hold(1);

    let Some((address, _counted)) = shared.pick(peer) else {
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

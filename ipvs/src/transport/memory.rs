//! A kernel in memory: it answers the bytes of requests with the bytes the real kernel would
//! answer, so that programs can be tried and tested without privilege and without IPVS.
//!
//! [`MemoryKernel`] is the kernel, [`MemorySocket`] a socket to it; any number of sockets share
//! one table. It speaks the generic netlink family `IPVS` and as much of `nlctrl` as finds it
//! (everything but `CTRL_CMD_GETPOLICY`), with the kernel's errors, the order of its checks, and
//! its quirks: see [`Generation`] for what differs between kernels. It is a second, independent
//! reading of the protocol, held to real kernels by the tests of this crate.
//!
//! What it does not have is traffic. Connections and statistics are what
//! [`set_connections`](MemoryKernel::set_connections) and
//! [`set_stats`](MemoryKernel::set_stats) say. Time stands still until
//! [`advance`](MemoryKernel::advance); receives never wait, so a time-out is immediate. What
//! goes wrong between a program and its kernel is a [`Fault`].
//!
//! Nor has it a real kernel's accidents. Services come in another order, where none may be relied
//! on. Stopping a sync daemon is always acknowledged; a real one that is stopped before its
//! thread ever ran stops without an answer (seen on 6.1.176), which [`Fault::LoseReplies`] can
//! play.
//!
//! ```
//! use lvs_ipvs::{Generation, Interface, MemoryKernel};
//!
//! let kernel = MemoryKernel::new(Generation::LINUX_7_2);
//! kernel.set_interfaces([Interface::loopback(), Interface::new("eth0")]);
//! let socket = kernel.socket();
//! let another = kernel.socket();
//! # drop((socket, another));
//! ```

mod control;
mod daemons;
mod destinations;
mod dump;
mod faults;
mod generation;
mod netlink;
mod network;
mod policy;
mod queue;
mod requests;
mod services;
mod state;
mod stats;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use nix::libc::{EMSGSIZE, ENODATA};

use super::{Received, Transport, sealed};
use crate::destination::DestinationKey;
use crate::service::ServiceKey;
use crate::stats::Stats;
use destinations::Connections;
use state::State;

pub use faults::Fault;
pub use generation::Generation;
pub use network::Interface;

/// An error number, positive.
type Errno = i32;

/// What runs between two batches of a dump.
type BetweenBatches = Box<dyn FnMut(&MemoryKernel, u32) + Send>;

/// The largest datagram a socket sends: the kernel's default send buffer less 32 bytes.
const LARGEST_DATAGRAM: usize = 212_992 - 32;

/// An in-memory kernel with IPVS. Clones are handles to the same kernel.
///
/// The module documentation says what it does and does not.
#[derive(Clone)]
pub struct MemoryKernel {
    state: Arc<Mutex<State>>,
}

impl MemoryKernel {
    /// A kernel of that generation: no services, default timeouts, one interface `lo` with
    /// 127.0.0.1/8 and ::1.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(generation))),
        }
    }

    /// Takes the IPVS module away: its family cannot be resolved (`ENOENT`).
    #[must_use]
    pub fn without_ipvs(self) -> Self {
        self.lock().loaded = false;
        self
    }

    /// The behaviour that was asked for.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.lock().generation
    }

    /// Opens a socket. It asks for extended acknowledgements, as this crate's netlink socket
    /// does.
    #[must_use]
    pub fn socket(&self) -> MemorySocket {
        MemorySocket {
            port: self.lock().open(),
            kernel: self.clone(),
        }
    }

    /// Replaces the network interfaces: their addresses decide which addresses destinations may
    /// have, their names which sync daemons can start. Running daemons stay.
    pub fn set_interfaces(&self, interfaces: impl IntoIterator<Item = Interface>) {
        let interfaces = interfaces.into_iter().collect();
        self.lock().network = network::Network::new(interfaces);
    }

    /// Gives or takes the capability that every command of the family needs (`EPERM` without).
    pub fn set_permitted(&self, permitted: bool) {
        self.lock().permitted = permitted;
    }

    /// Sets the connection counts of a destination; `false` when there is no such destination.
    pub fn set_connections(
        &self,
        service: ServiceKey,
        destination: DestinationKey,
        active: u32,
        inactive: u32,
        persistent: u32,
    ) -> bool {
        let mut state = self.lock();
        let destination = state
            .services
            .get_mut(&service.into())
            .and_then(|service| service.destinations.get_mut(&destination.into()));
        let found = destination.map(|destination| {
            destination.connections = Connections {
                active,
                inactive,
                persistent,
            };
        });
        found.is_some()
    }

    /// Sets the statistics of a service or of one of its destinations, as they are to be
    /// reported; [`Stats::width`] is ignored. `false` when there is no such object.
    pub fn set_stats(
        &self,
        service: ServiceKey,
        destination: Option<DestinationKey>,
        stats: Stats,
    ) -> bool {
        let mut state = self.lock();
        let Some(service) = state.services.get_mut(&service.into()) else {
            return false;
        };
        let Some(key) = destination else {
            service.stats = stats;
            return true;
        };
        let destination = service.destinations.get_mut(&key.into());
        destination.map(|found| found.stats = stats).is_some()
    }

    /// Lets time pass: removed destinations are forgotten after two to three minutes without
    /// connections (`ip_vs_ctl.c`). As time may never pass here, no more than 16384 of them are
    /// remembered.
    pub fn advance(&self, by: Duration) {
        self.lock().trash.advance(by);
    }

    /// Lets something go wrong.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.inject(fault);
    }

    /// Forgets every fault that was injected and has not come yet.
    pub fn clear_faults(&self) {
        self.lock().faults = faults::Faults::default();
    }

    /// Starts to keep every datagram that is sent to this kernel, or stops and forgets them.
    ///
    /// ```
    /// use lvs_ipvs::{Client, MemoryKernel};
    ///
    /// let kernel = MemoryKernel::default();
    /// let mut ipvs = Client::with_transport(kernel.socket())?;
    /// kernel.set_recording(true);
    /// assert!(ipvs.execute([])?.is_success());
    /// assert!(kernel.take_recorded().is_empty(), "nothing to do sends nothing");
    /// ipvs.flush()?;
    /// assert_eq!(kernel.take_recorded().len(), 1);
    /// # Ok::<(), lvs_ipvs::Error>(())
    /// ```
    pub fn set_recording(&self, on: bool) {
        self.lock().recorded = on.then(Vec::new);
    }

    /// Takes the datagrams kept since recording started or since the last call, in the order
    /// they were sent by whichever socket; those that a fault refused are among them.
    #[must_use]
    pub fn take_recorded(&self) -> Vec<Vec<u8>> {
        let mut state = self.lock();
        state
            .recorded
            .as_mut()
            .map(core::mem::take)
            .unwrap_or_default()
    }

    /// Calls `hook` whenever a dump makes another batch after its first, with this kernel and
    /// the number of batches the dump made so far: what it changes makes entries skip or repeat.
    ///
    /// It runs inside the receive that read the batch before; dumps that the hook itself reads
    /// run without it. Together with [`Fault::SlowDumps`] it reaches every place of a dump. A
    /// hook that adds an entry each time makes a dump without end, as the real kernel would.
    ///
    /// Use the kernel it is given: one that it captured would keep the kernel alive for ever.
    pub fn between_batches(&self, hook: impl FnMut(&Self, u32) + Send + 'static) {
        let hook: BetweenBatches = Box::new(hook);
        let old = self.lock().between_batches.replace(hook);
        // What it captured may be a socket of this kernel, which locks it when it goes.
        drop(old);
    }

    // A panic in a test's hook or assertion must not spread to every other user of the kernel:
    // each request is handled whole or not at all.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_hook(&self, batches: u32) {
        let Some(mut hook) = self.lock().between_batches.take() else {
            return;
        };
        hook(self, batches);
        let mut state = self.lock();
        if state.between_batches.is_none() {
            state.between_batches = Some(hook);
        } else {
            // It replaced itself. Unlocked first, for what it captured.
            drop(state);
        }
    }
}

impl Default for MemoryKernel {
    /// A kernel of the default [`Generation`].
    fn default() -> Self {
        Self::new(Generation::default())
    }
}

impl fmt::Debug for MemoryKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryKernel")
            .field("services", &state.services.len())
            .field("removed_destinations", &state.trash.len())
            .field("sockets", &state.sockets.len())
            .finish_non_exhaustive()
    }
}

/// A socket to a [`MemoryKernel`].
///
/// Its receive queue is bounded as the kernel's is: who does not read loses replies and gets
/// [`Received::Overrun`].
#[derive(Debug)]
pub struct MemorySocket {
    kernel: MemoryKernel,
    port: u32,
}

impl MemorySocket {
    /// The kernel behind it.
    #[must_use]
    pub const fn kernel(&self) -> &MemoryKernel {
        &self.kernel
    }

    /// Replaces the size of the receive queue in bytes of memory (`SO_RCVBUF`). Default: 212992,
    /// of which an acknowledgement takes [`Generation::datagram_charge`].
    pub fn set_receive_buffer(&self, bytes: usize) {
        self.change(|socket| socket.queue.set_limit(bytes));
    }

    /// Turns extended acknowledgements on or off (`NETLINK_EXT_ACK`). Default: on.
    pub fn set_extended_acks(&self, on: bool) {
        self.change(|socket| socket.extended = on);
    }

    /// Leaves requests out of error acknowledgements, but for their header
    /// (`NETLINK_CAP_ACK`). Default: off.
    pub fn set_capped_acks(&self, on: bool) {
        self.change(|socket| socket.capped = on);
    }

    fn change(&self, change: impl FnOnce(&mut state::Socket)) {
        if let Some(socket) = self.kernel.lock().sockets.get_mut(&self.port) {
            change(socket);
        }
    }

    /// Makes the next batch of the dump if one runs and there is room.
    fn go_on(&self) {
        let batches = {
            let state = self.kernel.lock();
            let dump = state
                .sockets
                .get(&self.port)
                .filter(|socket| socket.queue.takes_batch())
                .and_then(|socket| socket.dump.as_ref());
            let Some(dump) = dump else { return };
            dump.batches()
        };
        self.kernel.run_hook(batches);
        let made = self.kernel.lock().next_batch(self.port);
        if made.is_err() {
            // No room for it in a small queue: the kernel says so, and goes on later.
            self.change(|socket| socket.queue.complain());
        }
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.kernel.lock().sockets.remove(&self.port);
    }
}

impl sealed::Sealed for MemorySocket {}

impl Transport for MemorySocket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let mut state = self.kernel.lock();
        if let Some(recorded) = &mut state.recorded {
            recorded.push(datagram.to_vec());
        }
        let refused = match datagram.len() {
            0 => Some(ENODATA),
            length if length > LARGEST_DATAGRAM => Some(EMSGSIZE),
            _ => None,
        };
        match state.faults.send().or(refused) {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => {
                state.handle(self.port, datagram);
                Ok(())
            }
        }
    }

    /// Never waits: [`Received::TimedOut`] comes at once when there is nothing, whatever the
    /// time-out.
    fn receive(&mut self, buffer: &mut BytesMut, _timeout: Duration) -> io::Result<Received> {
        buffer.clear();
        let popped = {
            let mut state = self.kernel.lock();
            if let Some(errno) = state.faults.receive() {
                return Err(io::Error::from_raw_os_error(errno));
            }
            let Some(socket) = state.sockets.get_mut(&self.port) else {
                return Ok(Received::TimedOut);
            };
            let popped = socket.queue.pop();
            socket.has_received |= popped.is_ok();
            popped
        };
        let received = match popped {
            Ok(datagram) => {
                buffer.extend_from_slice(&datagram);
                self.go_on();
                Received::Datagram
            }
            Err(nothing) => nothing,
        };
        self.change(|socket| socket.queue.wake());
        Ok(received)
    }

    fn set_receive_buffer(&mut self, bytes: usize) -> io::Result<()> {
        Self::set_receive_buffer(self, bytes);
        Ok(())
    }

    fn receive_buffer(&self) -> io::Result<usize> {
        let state = self.kernel.lock();
        let socket = state.sockets.get(&self.port);
        Ok(socket.map_or(0, |socket| socket.queue.limit()))
    }

    /// There is none: nothing is waited for.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

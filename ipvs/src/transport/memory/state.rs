//! The kernel behind all sockets.

use std::collections::HashMap;

use nix::libc::{EBUSY, ENOENT};

use super::control::Asked;
use super::daemons::Daemons;
use super::destinations::{Destination, Trash};
use super::dump::{Dump, Walk};
use super::faults::{Faults, ReplyFault, flip};
use super::generation::Generation;
use super::netlink::{
    AckStyle, ExtendedAck, NLM_F_ACK, NLM_F_REQUEST, Request, Requests, acknowledge,
};
use super::network::Network;
use super::queue::Queue;
use super::requests::{Answer, DumpOf};
use super::services::{Identity, Service, Services};
use super::{BetweenBatches, Errno};
use crate::stats::Stats;
use crate::wire::attributes::control;

/// Message type of the `IPVS` family. The real one depends on what was loaded before it.
pub(super) const IPVS: u16 = 28;
/// The first message type that is no control message.
const FIRST_FAMILY: u16 = 16;

/// TCP, TCP FIN, UDP, in seconds (`ip_vs_ctl.c`).
const TIMEOUTS: [u32; 3] = [900, 120, 300];

/// One socket's share.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) queue: Queue,
    pub(super) extended: bool,
    pub(super) capped: bool,
    pub(super) dump: Option<Dump>,
    /// The first batch of a dump is made before the kernel knows how much a receive takes.
    pub(super) has_received: bool,
}

/// Everything.
pub(super) struct State {
    pub(super) generation: Generation,
    /// The module is there.
    pub(super) loaded: bool,
    pub(super) permitted: bool,
    pub(super) services: Services,
    pub(super) trash: Trash,
    /// Destinations whose family is not that of their service.
    pub(super) mixed: usize,
    pub(super) daemons: Daemons,
    pub(super) timeouts: [u32; 3],
    /// The connection table was needed at least once.
    pub(super) table_used: bool,
    pub(super) network: Network,
    pub(super) faults: Faults,
    pub(super) sockets: HashMap<u32, Socket>,
    pub(super) between_batches: Option<BetweenBatches>,
    /// Datagrams that were sent, if they are to be kept.
    pub(super) recorded: Option<Vec<Vec<u8>>>,
    last_port: u32,
}

impl State {
    pub(super) fn new(generation: Generation) -> Self {
        Self {
            generation,
            loaded: true,
            permitted: true,
            services: Services::default(),
            trash: Trash::default(),
            mixed: 0,
            daemons: Daemons::default(),
            timeouts: TIMEOUTS,
            table_used: false,
            network: Network::default(),
            faults: Faults::default(),
            sockets: HashMap::new(),
            between_batches: None,
            recorded: None,
            last_port: 0,
        }
    }

    /// Opens a socket and says its port.
    pub(super) fn open(&mut self) -> u32 {
        self.last_port = self.last_port.saturating_add(1);
        let socket = Socket {
            queue: Queue::new(self.generation.datagram_charge),
            extended: true,
            capped: false,
            dump: None,
            has_received: false,
        };
        self.sockets.insert(self.last_port, socket);
        self.last_port
    }

    /// Handles a datagram of requests.
    pub(super) fn handle(&mut self, port: u32, datagram: &[u8]) {
        for request in Requests(datagram) {
            let mut ack = ExtendedAck::default();
            let errno = match self.handle_one(port, &request, &mut ack) {
                Ok(Handled::Acknowledge) => 0,
                Ok(Handled::Dumping) => continue,
                Err(errno) => errno,
            };
            if errno != 0 || request.flags & NLM_F_ACK != 0 {
                self.acknowledge(port, &request, errno, &ack);
            }
        }
    }

    fn handle_one(
        &mut self,
        port: u32,
        request: &Request<'_>,
        ack: &mut ExtendedAck,
    ) -> Result<Handled, Errno> {
        if request.flags & NLM_F_REQUEST == 0 || request.kind < FIRST_FAMILY {
            return Ok(Handled::Acknowledge);
        }
        if let Some(errno) = self.faults.request() {
            return Err(errno);
        }
        match request.kind {
            control::FAMILY => match self.control(request, ack)? {
                Asked::One(family) => {
                    let mut datagram = Vec::new();
                    let to = (request.sequence, port, false);
                    self.write_family(&mut datagram, family, to);
                    self.deliver(port, datagram, None);
                    Ok(Handled::Acknowledge)
                }
                Asked::All => {
                    self.check_idle(port)?;
                    self.check_family_dump(request, ack)?;
                    self.start(port, request, Walk::Families)
                }
            },
            IPVS if self.loaded => match self.ipvs(request, port, ack)? {
                Answer::Done => Ok(Handled::Acknowledge),
                Answer::Reply(datagram) => {
                    self.deliver(port, datagram, None);
                    Ok(Handled::Acknowledge)
                }
                Answer::Dump(of) => {
                    self.check_idle(port)?;
                    let walk = match of {
                        DumpOf::Services => Walk::Services,
                        DumpOf::Destinations => Walk::Destinations(request.attributes().to_vec()),
                        DumpOf::Daemons => Walk::Daemons,
                    };
                    self.start(port, request, walk)
                }
            },
            _ => Err(ENOENT),
        }
    }

    fn check_idle(&self, port: u32) -> Result<(), Errno> {
        match self.sockets.get(&port) {
            Some(socket) if socket.dump.is_some() => Err(EBUSY),
            _ => Ok(()),
        }
    }

    fn start(&mut self, port: u32, request: &Request<'_>, walk: Walk) -> Result<Handled, Errno> {
        if let Some(socket) = self.sockets.get_mut(&port) {
            socket.dump = Some(Dump::new(request.sequence, walk));
        }
        self.next_batch(port)?;
        Ok(Handled::Dumping)
    }

    fn acknowledge(&mut self, port: u32, request: &Request<'_>, errno: Errno, ack: &ExtendedAck) {
        let Some(socket) = self.sockets.get(&port) else {
            return;
        };
        let style = AckStyle {
            extended: socket.extended,
            capped: socket.capped,
            padding: self.generation.padding,
            describes_policies: self.generation.describes_policies,
        };
        let datagram = acknowledge(request, port, errno, ack, style);
        self.deliver(port, datagram, None);
    }

    /// Queues a datagram for a socket, with whatever is to go wrong. `room` is what the batch of
    /// a dump was given.
    pub(super) fn deliver(&mut self, port: u32, mut datagram: Vec<u8>, room: Option<usize>) {
        let Some(socket) = self.sockets.get_mut(&port) else {
            return;
        };
        let queue = &mut socket.queue;
        let mut copies = 1;
        match self.faults.reply() {
            ReplyFault::None => {}
            ReplyFault::Lose => return,
            ReplyFault::Overrun => {
                queue.overflow();
                return;
            }
            ReplyFault::Delay => queue.push_gap(),
            ReplyFault::Duplicate => copies = 2,
            ReplyFault::Truncate(length) => datagram.truncate(length),
            ReplyFault::Flip(bit) => flip(&mut datagram, bit),
        }
        for _ in 0..copies {
            match room {
                Some(room) => queue.push_batch(datagram.clone(), room),
                None => queue.push(datagram.clone()),
            }
        }
    }

    /// Puts a removed destination into the trash.
    pub(super) fn bury(&mut self, destination: Destination, service: Identity) {
        if destination.identity.family != service.family {
            self.mixed = self.mixed.saturating_sub(1);
        }
        self.trash.put(destination, service);
    }

    /// Puts the destinations of a removed service into the trash.
    pub(super) fn discard(&mut self, service: Service) {
        let identity = service.identity;
        for destination in service.destinations.into_newest_first() {
            self.bury(destination, identity);
        }
    }

    pub(super) fn flush(&mut self) {
        while let Some(service) = self.services.pop() {
            self.discard(service);
        }
    }
}

impl Service {
    /// Resets the counters of the service and its destinations.
    pub(super) fn zero(&mut self) {
        self.stats = Stats::default();
        for destination in self.destinations.iter_mut() {
            destination.stats = Stats::default();
        }
    }
}

/// Whether a request that went well is acknowledged.
#[derive(Debug)]
enum Handled {
    Acknowledge,
    /// The end of the dump stands for the acknowledgement.
    Dumping,
}

//! Dumps: batches made one after another while the program reads, by a plain index.
//!
//! Between two batches the table may change, and then entries are skipped or come twice, as on
//! the real kernel (`ip_vs_ctl.c`).

use nix::libc::ENOBUFS;

use super::Errno;
use super::daemons::{self, Daemons};
use super::netlink::{ATTRIBUTES, ExtendedAck, NLM_F_MULTI, Writer, done};
use super::policy;
use super::services::{self, Identity};
use super::state::{IPVS, State};
use crate::wire::attributes::{command, top};

/// Bytes of a batch, seen on 6.1.176: a page less bookkeeping for the first one of a socket that
/// has never received, 32 KiB less bookkeeping once it has.
const FIRST_BATCH: usize = 3776;
const BATCH: usize = 32448;

/// What is walked.
#[derive(Debug)]
pub(super) enum Walk {
    Families,
    Services,
    /// The attributes of the request: they are read again for every batch.
    Destinations(Vec<u8>),
    Daemons,
}

/// A dump in progress.
#[derive(Debug)]
pub(super) struct Dump {
    sequence: u32,
    walk: Walk,
    /// Entries that were written, or stood there, so far. For daemons: bit 0 the master, bit 1
    /// the backup.
    index: usize,
    /// Text for the end of the dump.
    message: Option<&'static str>,
    batches: u32,
}

impl Dump {
    pub(super) const fn new(sequence: u32, walk: Walk) -> Self {
        Self {
            sequence,
            walk,
            index: 0,
            message: None,
            batches: 0,
        }
    }

    /// Batches made so far.
    pub(super) const fn batches(&self) -> u32 {
        self.batches
    }
}

/// A batch as it fills.
struct Batch<'a> {
    state: &'a State,
    header: (u16, u16, u32, u32),
    datagram: Vec<u8>,
    bytes: usize,
    entries: usize,
}

impl Batch<'_> {
    /// Adds a message of the `IPVS` family; `false` when it does not fit any more.
    fn add(&mut self, command: u8, fill: impl FnOnce(&mut Writer<'_>)) -> bool {
        let header = self.header;
        let padding = self.state.generation.padding;
        self.add_with(|datagram| {
            let mut writer = Writer::family(datagram, header, (command, 1), padding);
            fill(&mut writer);
            writer.finish();
        })
    }

    fn add_with(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.entries == 0 {
            return false;
        }
        let before = self.datagram.len();
        fill(&mut self.datagram);
        if self.datagram.len() > self.bytes {
            self.datagram.truncate(before);
            return false;
        }
        self.entries = self.entries.saturating_sub(1);
        true
    }

    /// Adds entries from an index on; the index behind the last one that fitted.
    fn add_all<T>(
        &mut self,
        start: usize,
        entries: impl Iterator<Item = T>,
        mut add: impl FnMut(&mut Self, T) -> bool,
    ) -> usize {
        let mut index = 0_usize;
        for entry in entries {
            if index >= start && !add(self, entry) {
                return index;
            }
            index = index.saturating_add(1);
        }
        // Also where the list has become shorter than the index.
        index
    }
}

impl State {
    /// Makes the next batch of a socket's dump and queues it; the end of the dump when there is
    /// nothing left.
    pub(super) fn next_batch(&mut self, port: u32) -> Result<(), Errno> {
        let Some(socket) = self.sockets.get_mut(&port) else {
            return Ok(());
        };
        let bytes = if socket.has_received {
            BATCH
        } else {
            FIRST_BATCH
        };
        if !socket.queue.fits(bytes) {
            // The dump goes on when there is room again.
            return Err(ENOBUFS);
        }
        let Some(mut dump) = socket.dump.take() else {
            return Ok(());
        };
        let mut batch = Batch {
            state: self,
            header: (IPVS, NLM_F_MULTI, dump.sequence, port),
            datagram: Vec::new(),
            bytes,
            entries: self.faults.entries(),
        };
        batch.fill(&mut dump);
        let datagram = batch.datagram;
        dump.batches = dump.batches.saturating_add(1);
        if datagram.is_empty() {
            let message = self
                .sockets
                .get(&port)
                .filter(|socket| socket.extended)
                .and(dump.message);
            let end = done(dump.sequence, port, message);
            self.deliver(port, end, Some(bytes));
            return Ok(());
        }
        if let Some(socket) = self.sockets.get_mut(&port) {
            socket.dump = Some(dump);
        }
        self.deliver(port, datagram, Some(bytes));
        Ok(())
    }
}

impl Batch<'_> {
    fn fill(&mut self, dump: &mut Dump) {
        let state = self.state;
        dump.index = match &dump.walk {
            Walk::Families => {
                let (_, _, sequence, port) = self.header;
                let families = state.families().iter();
                self.add_all(dump.index, families, |batch, family| {
                    batch.add_with(|datagram| {
                        state.write_family(datagram, *family, (sequence, port, true));
                    })
                })
            }
            Walk::Services => self.add_all(dump.index, state.services.iter(), |batch, service| {
                batch.add(command::NEW_SERVICE, |writer| {
                    service.write(writer, &state.generation);
                })
            }),
            Walk::Destinations(request) => {
                let (identity, message) = asked_service(request, state);
                dump.message = message.or(dump.message);
                let Some(service) = identity.and_then(|identity| state.services.get(&identity))
                else {
                    // A missing service looks like one without destinations (`ip_vs_ctl.c`).
                    return;
                };
                let destinations = service.destinations.iter();
                self.add_all(dump.index, destinations, |batch, destination| {
                    batch.add(command::NEW_DEST, |writer| {
                        destination.write(writer, &state.generation);
                    })
                })
            }
            Walk::Daemons => self.fill_daemons(dump.index),
        };
    }

    fn fill_daemons(&mut self, done: usize) -> usize {
        let Daemons { master, backup } = &self.state.daemons;
        let mut done = done;
        for (bit, number, daemon) in [(1, daemons::MASTER, master), (2, daemons::BACKUP, backup)] {
            let Some(daemon) = daemon.as_ref().filter(|_| done & bit == 0) else {
                continue;
            };
            let generation = self.state.generation;
            let fits = self.add(command::NEW_DAEMON, |writer| {
                daemon.write(writer, number, &generation);
            });
            if !fits {
                break;
            }
            done |= bit;
        }
        done
    }
}

/// The service a dump of destinations asks for, if it can be read, and the text of the extended
/// acknowledgement.
fn asked_service(request: &[u8], state: &State) -> (Option<Identity>, Option<&'static str>) {
    let mut ack = ExtendedAck::default();
    let identity = policy::parse(request, &policy::TOP, |_| true, ATTRIBUTES, &mut ack)
        .and_then(|attributes| services::parse(attributes.get(top::SERVICE), &state.generation))
        .and_then(|nest| Identity::read(&nest, &state.generation));
    (identity.ok(), ack.message)
}

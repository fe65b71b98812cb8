//! Replies as the kernel would send them: the attributes behind the headers, appended to a buffer.

use bytes::BytesMut;

use super::attributes::{destination, info, service, stats, top};
use super::encode::{Encoder, LONGEST};
use crate::config::Timeouts;
use crate::daemon::SyncDaemon;
use crate::destination::DestinationEntry;
use crate::info::Info;
use crate::service::ServiceEntry;
use crate::stats::{CounterWidth, Stats};

/// Room for both statistics nests: their headers, ten counters of 8 bytes at most, twice.
const STATS: usize = 2 * (4 + 10 * 12);
/// Room for the three connection counts of a destination.
const CONNECTIONS: usize = 3 * 8;

/// Appends the attributes of a service reply.
pub(crate) fn append_service(buffer: &mut BytesMut, entry: &ServiceEntry) {
    let unknown = entry.service.unknown.as_bytes().len();
    append(buffer, unknown, |message| {
        message.nest(top::SERVICE, |message| {
            message.service_content(&entry.service);
            message.stats((service::STATS, service::STATS64), &entry.stats);
        });
    });
}

/// Appends the attributes of a destination reply.
pub(crate) fn append_destination(buffer: &mut BytesMut, entry: &DestinationEntry) {
    let unknown = entry.destination.unknown.as_bytes().len();
    append(buffer, unknown, |message| {
        message.nest(top::DEST, |message| {
            message.destination_content(&entry.destination);
            message.u32(destination::ACTIVE_CONNS, entry.active_connections);
            message.u32(destination::INACT_CONNS, entry.inactive_connections);
            message.u32(destination::PERSIST_CONNS, entry.persistent_connections);
            message.stats((destination::STATS, destination::STATS64), &entry.stats);
        });
    });
}

/// Appends the attributes of a daemon reply.
pub(crate) fn append_daemon(buffer: &mut BytesMut, daemon: &SyncDaemon) {
    append(buffer, 0, |message| message.daemon(daemon));
}

/// Appends the attributes of a timeout reply.
pub(crate) fn append_timeouts(buffer: &mut BytesMut, timeouts: &Timeouts) {
    append(buffer, 0, |message| message.timeouts(timeouts));
}

/// Appends the attributes of an information reply.
pub(crate) fn append_info(buffer: &mut BytesMut, value: &Info) {
    append(buffer, 0, |message| {
        message.u32(info::VERSION, value.version.number());
        message.u32(info::CONN_TAB_SIZE, value.connection_table_size);
    });
}

fn append(buffer: &mut BytesMut, unknown: usize, write: impl FnOnce(&mut Encoder<'_>)) {
    let start = buffer.len();
    let room = unknown.saturating_add(LONGEST + CONNECTIONS + STATS);
    buffer.resize(start.saturating_add(room), 0);
    let mut message = Encoder {
        room: buffer.get_mut(start..).unwrap_or_default(),
        end: 0,
    };
    write(&mut message);
    let length = message.end;
    buffer.truncate(start.saturating_add(length));
}

impl Encoder<'_> {
    /// The narrow nest, and the wide one where the counters came from a kernel that has it.
    fn stats(&mut self, (narrow, wide): (u16, u16), values: &Stats) {
        if values.width == CounterWidth::Absent {
            return;
        }
        let counters = [
            (stats::CONNS, values.connections),
            (stats::INPKTS, values.packets_in),
            (stats::OUTPKTS, values.packets_out),
        ];
        let bytes = [
            (stats::INBYTES, values.bytes_in),
            (stats::OUTBYTES, values.bytes_out),
        ];
        let rates = [
            (stats::CPS, values.rates.connections),
            (stats::INPPS, values.rates.packets_in),
            (stats::OUTPPS, values.rates.packets_out),
            (stats::INBPS, values.rates.bytes_in),
            (stats::OUTBPS, values.rates.bytes_out),
        ];
        self.nest(narrow, |message| {
            for (number, value) in counters {
                message.u32(number, low(value));
            }
            for (number, value) in bytes {
                message.long(number, value.to_ne_bytes());
            }
            for (number, value) in rates {
                message.u32(number, low(value));
            }
        });
        if values.width == CounterWidth::Bits64 {
            self.nest(wide, |message| {
                for (number, value) in counters.into_iter().chain(bytes).chain(rates) {
                    message.long(number, value.to_ne_bytes());
                }
            });
        }
    }
}

/// The low 32 bits: what the narrow nest keeps of a counter.
#[expect(clippy::cast_possible_truncation, reason = "the kernel truncates here")]
const fn low(value: u64) -> u32 {
    value as u32
}

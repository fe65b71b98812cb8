//! Requests, appended to a buffer. Lengths are filled in when a message or nest ends.

use core::net::IpAddr;

use bytes::{BufMut, BytesMut};
use netlink_packet_core::{NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};

use super::attributes::{command, control, daemon, destination, service, top};
use super::header::{GENERIC_HEADER_LEN, NETLINK_HEADER_LEN};
use crate::config::Timeouts;
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::destination::{Destination, DestinationKey};
use crate::flags::ServiceFlags;
use crate::request::{Change, Query, Request};
use crate::service::{ServiceKey, VirtualService};

/// Version of the `IPVS` family; the kernel never looks at it.
const VERSION: u8 = 1;
/// Name of the family, as it goes on the wire.
const FAMILY_NAME: &[u8] = b"IPVS\0";
/// More than the longest request without unknown attributes, so that one reservation does.
const USUAL_LENGTH: usize = 256;

/// Number of the `IPVS` generic netlink family in the running kernel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FamilyId(u16);

impl FamilyId {
    /// The family with that message type.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The message type.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Appends one request to `buffer`.
///
/// Allocates only when the buffer has to grow.
pub fn encode_request(buffer: &mut BytesMut, family: FamilyId, sequence: u32, request: &Request) {
    buffer.reserve(USUAL_LENGTH);
    let flags = request_flags(request);
    let (kind, command) = match request {
        Request::Change(change) => (family.0, change_command(change)),
        Request::Query(Query::Family) => (control::FAMILY, control::CMD_GETFAMILY),
        Request::Query(query) => (family.0, query_command(query)),
    };
    let message = Encoder::begin(buffer, kind, flags, sequence, command);
    match request {
        Request::Change(change) => encode_change(message, change),
        Request::Query(query) => encode_query(message, query),
    }
}

/// Flags of a request: everything is acknowledged except dumps, which have an end mark.
const fn request_flags(request: &Request) -> u16 {
    match request {
        Request::Query(query) if query.is_dump() => NLM_F_REQUEST | NLM_F_DUMP,
        _ => NLM_F_REQUEST | NLM_F_ACK,
    }
}

const fn change_command(change: &Change) -> u8 {
    match change {
        Change::AddService(_) => command::NEW_SERVICE,
        Change::SetService(_) => command::SET_SERVICE,
        Change::RemoveService(_) => command::DEL_SERVICE,
        Change::AddDestination(..) => command::NEW_DEST,
        Change::SetDestination(..) => command::SET_DEST,
        Change::RemoveDestination(..) => command::DEL_DEST,
        Change::StartDaemon(_) => command::NEW_DAEMON,
        Change::StopDaemon(_) => command::DEL_DAEMON,
        Change::SetTimeouts(_) => command::SET_CONFIG,
        Change::Zero(_) => command::ZERO,
        Change::Flush => command::FLUSH,
    }
}

const fn query_command(query: &Query) -> u8 {
    match query {
        Query::Service(_) | Query::Services => command::GET_SERVICE,
        Query::Destinations(_) => command::GET_DEST,
        Query::Daemons => command::GET_DAEMON,
        Query::Timeouts => command::GET_CONFIG,
        Query::Info => command::GET_INFO,
        Query::Family => control::CMD_GETFAMILY,
    }
}

fn encode_change(mut message: Encoder<'_>, change: &Change) {
    match change {
        Change::AddService(service) | Change::SetService(service) => message.service(service),
        Change::RemoveService(key) | Change::Zero(Some(key)) => message.service_key(key),
        Change::AddDestination(key, destination) | Change::SetDestination(key, destination) => {
            message.service_key(key);
            message.destination(destination);
        }
        Change::RemoveDestination(service, key) => {
            message.service_key(service);
            message.nest(top::DEST, |message| message.destination_key(key));
        }
        Change::StartDaemon(daemon) => message.daemon(daemon),
        Change::StopDaemon(role) => message.daemon_role(*role),
        Change::SetTimeouts(timeouts) => message.timeouts(timeouts),
        Change::Zero(None) | Change::Flush => {}
    }
    message.end();
}

fn encode_query(mut message: Encoder<'_>, query: &Query) {
    match query {
        Query::Service(key) | Query::Destinations(key) => message.service_key(key),
        Query::Family => message.bytes(control::FAMILY_NAME, FAMILY_NAME),
        Query::Services | Query::Daemons | Query::Timeouts | Query::Info => {}
    }
    message.end();
}

/// Appends one message.
struct Encoder<'b> {
    buffer: &'b mut BytesMut,
    start: usize,
}

impl<'b> Encoder<'b> {
    fn begin(buffer: &'b mut BytesMut, kind: u16, flags: u16, sequence: u32, command: u8) -> Self {
        let start = buffer.len();
        let mut header = [0; NETLINK_HEADER_LEN + GENERIC_HEADER_LEN];
        {
            // Length and port stay 0: the one is filled in at the end, the other by the kernel.
            let mut header = header.as_mut_slice();
            header.put_u32_ne(0);
            header.put_u16_ne(kind);
            header.put_u16_ne(flags);
            header.put_u32_ne(sequence);
            header.put_u32_ne(0);
            header.put_u8(command);
            header.put_u8(VERSION);
        }
        buffer.put_slice(&header);
        Self { buffer, start }
    }

    fn end(self) {
        let length = self.buffer.len().saturating_sub(self.start);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Some(field) = self
            .buffer
            .get_mut(self.start..)
            .and_then(<[u8]>::first_chunk_mut)
        {
            *field = length.to_ne_bytes();
        }
    }

    /// An attribute of a size known at compile time, so that it is written in one piece.
    #[inline]
    fn fixed<const N: usize>(&mut self, number: u16, value: [u8; N]) {
        let mut attribute = [0; 20];
        let length = 4 + N;
        let [a, b] = u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes();
        let [c, d] = number.to_ne_bytes();
        if let Some((header, rest)) = attribute.split_first_chunk_mut() {
            *header = [a, b, c, d];
            if let Some(payload) = rest.first_chunk_mut() {
                *payload = value;
            }
        }
        // `N` is at most 16: the longest fixed attribute is an address.
        self.buffer.put_slice(
            attribute
                .get(..length.next_multiple_of(4))
                .unwrap_or_default(),
        );
    }

    fn u8(&mut self, number: u16, value: u8) {
        self.fixed(number, [value]);
    }

    fn u16(&mut self, number: u16, value: u16) {
        self.fixed(number, value.to_ne_bytes());
    }

    fn u16_network(&mut self, number: u16, value: u16) {
        self.fixed(number, value.to_be_bytes());
    }

    fn u32(&mut self, number: u16, value: u32) {
        self.fixed(number, value.to_ne_bytes());
    }

    fn address(&mut self, number: u16, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.fixed(number, address.octets()),
            IpAddr::V6(address) => self.fixed(number, address.octets()),
        }
    }

    fn bytes(&mut self, number: u16, value: &[u8]) {
        let length = value.len().saturating_add(4);
        self.buffer
            .put_u16_ne(u16::try_from(length).unwrap_or(u16::MAX));
        self.buffer.put_u16_ne(number);
        self.buffer.put_slice(value);
        self.buffer
            .put_bytes(0, length.next_multiple_of(4).saturating_sub(length));
    }

    /// Text, ended by the NUL that the kernel insists on.
    fn text(&mut self, number: u16, value: &[u8]) {
        let mut terminated = [0; 20];
        let length = value.len().saturating_add(1);
        if let Some(target) = terminated.get_mut(..value.len()) {
            target.copy_from_slice(value);
        }
        // Names have at most 16 bytes.
        self.bytes(number, terminated.get(..length).unwrap_or_default());
    }

    fn nest(&mut self, number: u16, content: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.buffer.put_u16_ne(0);
        self.buffer.put_u16_ne(number | NLA_F_NESTED);
        content(self);
        let length = self.buffer.len().saturating_sub(start);
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(field) = self
            .buffer
            .get_mut(start..)
            .and_then(<[u8]>::first_chunk_mut)
        {
            *field = length.to_ne_bytes();
        }
    }

    fn service(&mut self, service: &VirtualService) {
        self.nest(top::SERVICE, |message| {
            message.service_identity(&service.key);
            message.text(service::SCHED_NAME, service.scheduler.name().as_bytes());
            if let Some(engine) = &service.engine {
                message.text(service::PE_NAME, engine.as_bytes());
            }
            let flags = (service.flags - ServiceFlags::HASHED).bits();
            // A full mask: replace every flag.
            let value = u64::from(flags) | u64::from(u32::MAX) << 32;
            #[cfg(target_endian = "big")]
            let value = value.rotate_left(32);
            message.fixed(service::FLAGS, value.to_ne_bytes());
            message.u32(service::TIMEOUT, service.timeout_secs);
            message.fixed(service::NETMASK, service.mask.to_attribute());
            message.buffer.put_slice(service.unknown.as_bytes());
        });
    }

    fn service_key(&mut self, key: &ServiceKey) {
        self.nest(top::SERVICE, |message| message.service_identity(key));
    }

    fn service_identity(&mut self, key: &ServiceKey) {
        self.u16(service::AF, key.family().number());
        match *key {
            ServiceKey::Address {
                protocol,
                address,
                port,
            } => {
                self.u16(service::PROTOCOL, protocol.number());
                self.address(service::ADDR, address);
                self.u16_network(service::PORT, port);
            }
            ServiceKey::FirewallMark { mark, .. } => self.u32(service::FWMARK, mark),
        }
    }

    fn destination(&mut self, destination: &Destination) {
        self.nest(top::DEST, |message| {
            message.destination_key(&destination.key);
            message.u32(destination::FWD_METHOD, destination.forwarding.number());
            message.u32(destination::WEIGHT, destination.weight);
            message.u32(destination::U_THRESH, destination.upper_threshold);
            message.u32(destination::L_THRESH, destination.lower_threshold);
            let tunnel = destination.encapsulation;
            message.u8(destination::TUN_TYPE, tunnel.tunnel_type.number());
            message.u16_network(destination::TUN_PORT, tunnel.port);
            message.u16(destination::TUN_FLAGS, tunnel.flags.bits());
            message.buffer.put_slice(destination.unknown.as_bytes());
        });
    }

    fn destination_key(&mut self, key: &DestinationKey) {
        self.address(destination::ADDR, key.address);
        self.u16_network(destination::PORT, key.port);
        self.u16(destination::ADDR_FAMILY, key.family().number());
    }

    fn daemon(&mut self, daemon: &SyncDaemon) {
        self.nest(top::DAEMON, |message| {
            message.u32(daemon::STATE, daemon.role.number());
            message.text(daemon::MCAST_IFN, daemon.interface.as_bytes());
            message.u32(daemon::SYNC_ID, daemon.sync_id);
            if let Some(length) = daemon.max_length {
                message.u16(daemon::SYNC_MAXLEN, length);
            }
            match daemon.group {
                Some(group @ IpAddr::V4(_)) => message.address(daemon::MCAST_GROUP, group),
                Some(group @ IpAddr::V6(_)) => message.address(daemon::MCAST_GROUP6, group),
                None => {}
            }
            if let Some(port) = daemon.port {
                message.u16(daemon::MCAST_PORT, port);
            }
            if let Some(ttl) = daemon.ttl {
                message.u8(daemon::MCAST_TTL, ttl);
            }
        });
    }

    fn daemon_role(&mut self, role: DaemonRole) {
        self.nest(top::DAEMON, |message| {
            message.u32(daemon::STATE, role.number())
        });
    }

    fn timeouts(&mut self, timeouts: &Timeouts) {
        for (number, value) in [
            (top::TIMEOUT_TCP, timeouts.tcp_secs),
            (top::TIMEOUT_TCP_FIN, timeouts.tcp_fin_secs),
            (top::TIMEOUT_UDP, timeouts.udp_secs),
        ] {
            if let Some(seconds) = value {
                self.u32(number, seconds);
            }
        }
    }
}

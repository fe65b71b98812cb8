//! Requests, appended to a buffer. Lengths are filled in when a message or nest ends.

use core::net::IpAddr;

use bytes::BytesMut;
use netlink_packet_core::{NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};

use super::attributes::{command, control, daemon, destination, service, top};
use super::header::Header;
use crate::config::Timeouts;
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::destination::{Destination, DestinationKey};
use crate::flags::ServiceFlags;
use crate::request::{Change, Query, Request};
use crate::service::{ServiceKey, VirtualService};
use crate::unknown::UnknownAttributes;

/// Version of the `IPVS` family; the kernel never looks at it.
pub(crate) const VERSION: u8 = 1;
/// Name of the family.
const FAMILY_NAME: &[u8] = b"IPVS";
/// Room for the longest request without unknown attributes: `NEW_DEST` of an IPv6 service takes
/// 164 bytes.
pub(super) const LONGEST: usize = 192;

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
    let message_type = match request {
        Request::Query(Query::Family) => control::FAMILY,
        _ => family.0,
    };
    let header = Header {
        message_type,
        flags: request_flags(request),
        sequence,
        port: 0,
    };
    let start = buffer.len();
    let room = LONGEST.saturating_add(unknown_of(request).as_bytes().len());
    buffer.resize(start.saturating_add(room), 0);
    let mut message = Encoder {
        room: buffer.get_mut(start..).unwrap_or_default(),
        end: 0,
    };
    message.header(header, request_command(request));
    match request {
        Request::Change(change) => message.change(change),
        Request::Query(query) => message.query(query),
    }
    let length = message.finish();
    buffer.truncate(start.saturating_add(length));
}

/// The attributes of a newer kernel that a change sends back.
const fn unknown_of(request: &Request) -> &UnknownAttributes {
    const NONE: &UnknownAttributes = &UnknownAttributes::none();
    match request {
        Request::Change(Change::AddService(service) | Change::SetService(service)) => {
            &service.unknown
        }
        Request::Change(
            Change::AddDestination(_, destination) | Change::SetDestination(_, destination),
        ) => &destination.unknown,
        _ => NONE,
    }
}

/// Flags of a request: everything is acknowledged except dumps, which have an end mark.
pub(crate) const fn request_flags(request: &Request) -> u16 {
    match request {
        Request::Query(query) if query.is_dump() => NLM_F_REQUEST | NLM_F_DUMP,
        _ => NLM_F_REQUEST | NLM_F_ACK,
    }
}

pub(crate) const fn request_command(request: &Request) -> u8 {
    match request {
        Request::Change(change) => change_command(change),
        Request::Query(query) => query_command(query),
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

/// Writes one message into room made for it.
///
/// The room is zeroes and made once, for the longest request; afterwards each attribute is a
/// bounds check and a store of known size.
pub(super) struct Encoder<'b> {
    pub(super) room: &'b mut [u8],
    pub(super) end: usize,
}

impl Encoder<'_> {
    /// Both headers; the length is filled in at the end, the port by the kernel.
    fn header(&mut self, header: Header, command: u8) {
        let [t0, t1] = header.message_type.to_ne_bytes();
        let [f0, f1] = header.flags.to_ne_bytes();
        let [s0, s1, s2, s3] = header.sequence.to_ne_bytes();
        self.put([
            0, 0, 0, 0, t0, t1, f0, f1, s0, s1, s2, s3, 0, 0, 0, 0, command, VERSION, 0, 0,
        ]);
    }

    /// Fills in the length and returns it.
    fn finish(self) -> usize {
        let length = u32::try_from(self.end).unwrap_or(u32::MAX);
        if let Some(field) = self.room.first_chunk_mut() {
            *field = length.to_ne_bytes();
        }
        self.end
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let room = self.room.get_mut(self.end..);
        if let Some(room) = room.and_then(<[u8]>::first_chunk_mut) {
            *room = bytes;
            self.end = self.end.saturating_add(N);
        }
    }

    fn put_slice(&mut self, bytes: &[u8]) {
        let end = self.end.saturating_add(bytes.len());
        if let Some(room) = self.room.get_mut(self.end..end) {
            room.copy_from_slice(bytes);
            self.end = end;
        }
    }

    #[inline]
    fn attribute_header(&mut self, number: u16, length: usize) {
        let [a, b] = u16::try_from(length.saturating_add(4))
            .unwrap_or(u16::MAX)
            .to_ne_bytes();
        let [c, d] = number.to_ne_bytes();
        self.put([a, b, c, d]);
    }

    /// Skips to the next multiple of four; the room is zeroes.
    #[inline]
    fn pad(&mut self, length: usize) {
        let padding = length.next_multiple_of(4).saturating_sub(length);
        self.end = self.end.saturating_add(padding);
    }

    /// An attribute of at most four bytes with its padding, in one store.
    #[inline]
    fn word(&mut self, number: u16, length: u16, [e, f, g, h]: [u8; 4]) {
        let [a, b] = length.saturating_add(4).to_ne_bytes();
        let [c, d] = number.to_ne_bytes();
        self.put([a, b, c, d, e, f, g, h]);
    }

    fn u8(&mut self, number: u16, value: u8) {
        self.word(number, 1, [value, 0, 0, 0]);
    }

    fn u16(&mut self, number: u16, value: u16) {
        let [a, b] = value.to_ne_bytes();
        self.word(number, 2, [a, b, 0, 0]);
    }

    fn u16_network(&mut self, number: u16, value: u16) {
        self.u16(number, value.to_be());
    }

    pub(super) fn u32(&mut self, number: u16, value: u32) {
        self.word(number, 4, value.to_ne_bytes());
    }

    fn address(&mut self, number: u16, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.word(number, 4, address.octets()),
            IpAddr::V6(address) => self.long(number, address.octets()),
        }
    }

    /// An attribute of a size known at compile time that needs no padding.
    #[inline]
    pub(super) fn long<const N: usize>(&mut self, number: u16, value: [u8; N]) {
        self.attribute_header(number, N);
        self.put(value);
    }

    /// Text, ended by the NUL that the kernel insists on.
    fn text(&mut self, number: u16, value: &[u8]) {
        let length = value.len().saturating_add(1);
        self.attribute_header(number, length);
        self.put_slice(value);
        // The room is zeroes: the NUL is there.
        self.end = self.end.saturating_add(1);
        self.pad(length);
    }

    #[inline]
    pub(super) fn nest(&mut self, number: u16, content: impl FnOnce(&mut Self)) {
        let start = self.end;
        self.attribute_header(number | NLA_F_NESTED, 0);
        content(self);
        let length = u16::try_from(self.end.saturating_sub(start)).unwrap_or(u16::MAX);
        if let Some(field) = self.room.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            *field = length.to_ne_bytes();
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::AddService(service) | Change::SetService(service) => self.service(service),
            Change::RemoveService(key) | Change::Zero(Some(key)) => self.service_key(key),
            Change::AddDestination(key, destination) | Change::SetDestination(key, destination) => {
                self.service_key(key);
                self.destination(destination);
            }
            Change::RemoveDestination(service, key) => {
                self.service_key(service);
                self.nest(top::DEST, |message| message.destination_key(key));
            }
            Change::StartDaemon(daemon) => self.daemon(daemon),
            Change::StopDaemon(role) => self.daemon_role(*role),
            Change::SetTimeouts(timeouts) => self.timeouts(timeouts),
            Change::Zero(None) | Change::Flush => {}
        }
    }

    fn query(&mut self, query: &Query) {
        match query {
            Query::Service(key) | Query::Destinations(key) => self.service_key(key),
            Query::Family => self.text(control::FAMILY_NAME, FAMILY_NAME),
            Query::Services | Query::Daemons | Query::Timeouts | Query::Info => {}
        }
    }

    fn service(&mut self, service: &VirtualService) {
        self.nest(top::SERVICE, |message| message.service_content(service));
    }

    #[inline]
    pub(super) fn service_content(&mut self, service: &VirtualService) {
        self.service_identity(&service.key);
        self.text(service::SCHED_NAME, service.scheduler.name().as_bytes());
        if let Some(engine) = &service.engine {
            self.text(service::PE_NAME, engine.as_bytes());
        }
        let flags = (service.flags - ServiceFlags::HASHED).bits();
        // A full mask: replace every flag.
        let value = u64::from(flags) | u64::from(u32::MAX) << 32;
        #[cfg(target_endian = "big")]
        let value = value.rotate_left(32);
        self.long(service::FLAGS, value.to_ne_bytes());
        self.u32(service::TIMEOUT, service.timeout_secs);
        self.word(service::NETMASK, 4, service.mask.to_attribute());
        self.put_slice(service.unknown.as_bytes());
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
            message.destination_content(destination);
        });
    }

    #[inline]
    pub(super) fn destination_content(&mut self, destination: &Destination) {
        self.destination_key(&destination.key);
        self.u32(destination::FWD_METHOD, destination.forwarding.number());
        self.u32(destination::WEIGHT, destination.weight);
        self.u32(destination::U_THRESH, destination.upper_threshold);
        self.u32(destination::L_THRESH, destination.lower_threshold);
        let tunnel = destination.encapsulation;
        self.u8(destination::TUN_TYPE, tunnel.tunnel_type.number());
        self.u16_network(destination::TUN_PORT, tunnel.port);
        self.u16(destination::TUN_FLAGS, tunnel.flags.bits());
        self.put_slice(destination.unknown.as_bytes());
    }

    fn destination_key(&mut self, key: &DestinationKey) {
        self.address(destination::ADDR, key.address);
        self.u16_network(destination::PORT, key.port);
        self.u16(destination::ADDR_FAMILY, key.family().number());
    }

    pub(super) fn daemon(&mut self, daemon: &SyncDaemon) {
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

    pub(super) fn timeouts(&mut self, timeouts: &Timeouts) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Encapsulation, EngineName, InterfaceName, Persistence, Scheduler, TunnelFlags,
        UnknownAttributes,
    };

    fn encoded(request: impl Into<Request>) -> BytesMut {
        let mut buffer = BytesMut::new();
        encode_request(&mut buffer, FamilyId(28), 1, &request.into());
        buffer
    }

    #[test]
    fn there_is_room_for_the_longest_request() {
        let address = "[2001:db8::1]:80".parse().unwrap();
        let name = Scheduler::Other(match "fifteen-letters".parse().unwrap() {
            Scheduler::Other(other) => other,
            known => panic!("{known}"),
        });
        let service = VirtualService::tcp(address)
            .with_scheduler(name)
            .with_persistence(
                Persistence::new(1).with_engine(EngineName::new("sixteen-letters!").unwrap()),
            );
        let destination = Destination::tunnel(address)
            .with_encapsulation(Encapsulation::gue(1).with_flags(TunnelFlags::CHECKSUM));
        let daemon = SyncDaemon::new(
            DaemonRole::Active,
            InterfaceName::new("fifteen-letters").unwrap(),
            1,
        )
        .with_group("ff02::1".parse().unwrap())
        .with_port(1)
        .with_max_length(1)
        .with_ttl(1);
        let key = service.key();
        let longest = encoded(Change::AddDestination(key, destination)).len();
        assert_eq!(longest, 164);
        assert!(longest < LONGEST);
        assert_eq!(encoded(Change::AddService(service)).len(), 140);
        assert_eq!(encoded(Change::StartDaemon(daemon)).len(), 104);
    }

    #[test]
    fn unknown_attributes_make_their_own_room() {
        let mut unknown = UnknownAttributes::none();
        for _ in 0..1000 {
            unknown.push(&[8, 0, 99, 0, 1, 2, 3, 4]);
        }
        let service = VirtualService::udp("192.0.2.1:53".parse().unwrap());
        let plain = encoded(Change::AddService(service.clone())).len();
        let grown = encoded(Change::AddService(service.with_unknown(unknown))).len();
        assert_eq!(grown, plain + 8000);
    }

    #[test]
    fn requests_are_appended_and_every_byte_written() {
        let request = Change::Flush.into();
        let mut buffer = BytesMut::from(&[0xa5; 64][..]);
        encode_request(&mut buffer, FamilyId(28), 1, &request);
        encode_request(&mut buffer, FamilyId(28), 1, &request);
        assert_eq!(buffer[..64], [0xa5; 64]);
        assert_eq!(buffer[64..84], buffer[84..]);
    }
}

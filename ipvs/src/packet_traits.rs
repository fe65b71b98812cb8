//! Our messages within the rust-netlink family of crates (feature `netlink-packet`).
//!
//! The types here implement [`Emitable`], [`ParseableParametrized`] and [`GenlFamily`], so IPVS
//! travels as a [`GenlMessage`] over whatever carries those: `genetlink` resolves the family and
//! sends, `netlink-proto` or a plain `netlink-sys` socket carry the bytes. The bytes are those of
//! [`wire`]; there is no second codec.
//!
//! | Type | Sent as | Read as |
//! |---|---|---|
//! | [`IpvsMessage`] | request or reply | reply |
//! | [`RequestMessage`] | request | request |
//!
//! Two types, since the kernel uses the same commands both ways (`NEW_SERVICE` adds a service and
//! answers a question for one) and a generic netlink header does not tell the direction.
//!
//! A program that only wants to administer IPVS is better off with [`Client`](crate::Client),
//! which batches requests, pairs them with answers and says what an error number means.
//!
//! ```
//! use lvs_ipvs::packet_traits::IpvsMessage;
//! use lvs_ipvs::{Change, VirtualService};
//!
//! let add = Change::AddService(VirtualService::tcp("192.0.2.10:80".parse()?));
//! let mut message = IpvsMessage::request(add);
//!
//! // genetlink: handle.request(message).await, and a stream of replies comes back.
//! // By hand: the family number as resolved, then bytes for the socket.
//! if let netlink_packet_core::NetlinkPayload::InnerMessage(inner) = &mut message.payload {
//!     inner.set_resolved_family_id(28);
//! }
//! message.header.sequence_number = 1;
//! message.finalize();
//! let mut bytes = vec![0; message.buffer_len()];
//! message.serialize(&mut bytes);
//! assert_eq!(bytes.len(), 92);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bytes::BytesMut;
use netlink_packet_core::{DecodeError, Emitable, NetlinkMessage, ParseableParametrized};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

use crate::config::Timeouts;
use crate::daemon::SyncDaemon;
use crate::destination::DestinationEntry;
use crate::info::Info;
use crate::request::{Query, Request};
use crate::service::ServiceEntry;
use crate::wire::attributes::{command, control};
use crate::wire::{
    self, ATTRIBUTES_OFFSET, DestinationView, FamilyId, ServiceView, read_daemon, read_info,
    read_request, read_timeouts,
};

/// Name of the family, which the kernel gives a number.
const FAMILY_NAME: &str = "IPVS";

/// A message of the `IPVS` family: goes out as a request and comes back as a reply.
///
/// # Reading
///
/// Commands that replies have are read as replies: `NEW_SERVICE`, `NEW_DEST`, `NEW_DAEMON`,
/// `SET_CONFIG`, `SET_INFO`. The others are read as requests. A destination of a kernel before
/// 3.18 does not say of which family its address is and cannot be read here;
/// [`DestinationView::read`] can be told.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IpvsMessage {
    /// A request.
    ///
    /// [`Query::Family`] is for the controller of generic netlink, and sent to it; the answer is
    /// no message of this family (`netlink_packet_generic::ctrl` reads it).
    Request(Request),
    /// A service with its counters.
    Service(ServiceEntry),
    /// A destination with its counters.
    Destination(DestinationEntry),
    /// A running sync daemon.
    Daemon(SyncDaemon),
    /// The timeouts.
    Timeouts(Timeouts),
    /// Version and table size.
    Info(Info),
}

impl IpvsMessage {
    /// A request as a whole netlink message, with the flags it needs: `NLM_F_DUMP` where the
    /// answer is a dump, else `NLM_F_ACK`.
    ///
    /// Its arguments are not checked; see [`Change::validate`](crate::Change::validate).
    pub fn request(request: impl Into<Request>) -> NetlinkMessage<GenlMessage<Self>> {
        let request = request.into();
        let flags = wire::request_flags(&request);
        let mut message = NetlinkMessage::from(GenlMessage::from_payload(Self::Request(request)));
        message.header.flags = flags;
        message
    }

    fn attributes(&self) -> BytesMut {
        let mut buffer = BytesMut::new();
        match self {
            Self::Request(request) => return request_attributes(request),
            Self::Service(entry) => wire::append_service(&mut buffer, entry),
            Self::Destination(entry) => wire::append_destination(&mut buffer, entry),
            Self::Daemon(daemon) => wire::append_daemon(&mut buffer, daemon),
            Self::Timeouts(timeouts) => wire::append_timeouts(&mut buffer, timeouts),
            Self::Info(info) => wire::append_info(&mut buffer, info),
        }
        buffer
    }
}

impl From<Request> for IpvsMessage {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

/// A request of the `IPVS` family, sent and read as one: for tools that look at what other
/// programs ask for, and for stand-ins of the kernel.
#[expect(clippy::exhaustive_structs, reason = "nothing but the request")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestMessage(
    /// The request.
    pub Request,
);

impl From<Request> for RequestMessage {
    fn from(request: Request) -> Self {
        Self(request)
    }
}

/// The attributes of a request, as a client sends them.
fn request_attributes(request: &Request) -> BytesMut {
    let mut buffer = BytesMut::new();
    // Family and sequence number stand in headers that the caller writes.
    wire::encode_request(&mut buffer, FamilyId::new(0), 0, request);
    buffer.split_off(ATTRIBUTES_OFFSET.min(buffer.len()))
}

/// The controller's number for what is not of this family, else 0: as the kernel assigns it.
const fn request_family(request: &Request) -> u16 {
    match request {
        Request::Query(Query::Family) => control::FAMILY,
        _ => 0,
    }
}

/// Errors of the family's crates are text.
fn decode_error(error: crate::DecodeError) -> DecodeError {
    error.to_string().into()
}

impl GenlFamily for IpvsMessage {
    fn family_name() -> &'static str {
        FAMILY_NAME
    }

    fn family_id(&self) -> u16 {
        match self {
            Self::Request(request) => request_family(request),
            _ => 0,
        }
    }

    fn command(&self) -> u8 {
        match self {
            Self::Request(request) => wire::request_command(request),
            Self::Service(_) => command::NEW_SERVICE,
            Self::Destination(_) => command::NEW_DEST,
            Self::Daemon(_) => command::NEW_DAEMON,
            Self::Timeouts(_) => command::SET_CONFIG,
            Self::Info(_) => command::SET_INFO,
        }
    }

    fn version(&self) -> u8 {
        wire::VERSION
    }
}

/// Encodes twice, once for the length; a buffer that is too small is left as it is.
impl Emitable for IpvsMessage {
    fn buffer_len(&self) -> usize {
        self.attributes().len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        emit(&self.attributes(), buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for IpvsMessage {
    fn parse_with_param(attributes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        let offset = ATTRIBUTES_OFFSET;
        match header.cmd {
            command::NEW_SERVICE => ServiceView::read(attributes, offset)
                .map(|service| Self::Service(service.to_entry())),
            command::NEW_DEST => DestinationView::read_by_own_family(attributes, offset)
                .map(|destination| Self::Destination(destination.to_entry())),
            command::NEW_DAEMON => read_daemon(attributes, offset).map(Self::Daemon),
            command::SET_CONFIG => read_timeouts(attributes, offset).map(Self::Timeouts),
            command::SET_INFO => read_info(attributes, offset).map(Self::Info),
            other => read_request(other, attributes, offset).map(Self::Request),
        }
        .map_err(decode_error)
    }
}

impl GenlFamily for RequestMessage {
    fn family_name() -> &'static str {
        FAMILY_NAME
    }

    fn family_id(&self) -> u16 {
        request_family(&self.0)
    }

    fn command(&self) -> u8 {
        wire::request_command(&self.0)
    }

    fn version(&self) -> u8 {
        wire::VERSION
    }
}

/// Encodes twice, once for the length; a buffer that is too small is left as it is.
impl Emitable for RequestMessage {
    fn buffer_len(&self) -> usize {
        request_attributes(&self.0).len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        emit(&request_attributes(&self.0), buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for RequestMessage {
    fn parse_with_param(attributes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        read_request(header.cmd, attributes, ATTRIBUTES_OFFSET)
            .map(Self)
            .map_err(decode_error)
    }
}

fn emit(attributes: &[u8], buffer: &mut [u8]) {
    if let Some(room) = buffer.get_mut(..attributes.len()) {
        room.copy_from_slice(attributes);
    }
}

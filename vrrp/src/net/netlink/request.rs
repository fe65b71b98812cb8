//! Requests, as bytes.

use alloc::vec::Vec;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;

/// Something to be asked of the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Request {
    message: RouteNetlinkMessage,
    flags: u16,
}

impl Request {
    /// A request with these flags, which asks for an acknowledgement unless it is a listing.
    pub(crate) fn new(message: RouteNetlinkMessage, flags: u16) -> Self {
        let is_listing = flags & NLM_F_DUMP == NLM_F_DUMP;
        let ack = if is_listing { 0 } else { NLM_F_ACK };
        Self {
            message,
            flags: flags | NLM_F_REQUEST | ack,
        }
    }

    /// Appends the bytes of the request.
    pub(super) fn emit(&self, sequence: u32, datagram: &mut Vec<u8>) {
        let mut header = NetlinkHeader::default();
        header.flags = self.flags;
        header.sequence_number = sequence;
        let payload = NetlinkPayload::from(self.message.clone());
        let mut message = NetlinkMessage::new(header, payload);
        message.finalize();
        let start = datagram.len();
        let length = message.buffer_len().next_multiple_of(4);
        datagram.resize(start.saturating_add(length), 0);
        if let Some(place) = datagram.get_mut(start..) {
            message.serialize(place);
        }
    }
}

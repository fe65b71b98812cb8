//! Requests, as bytes.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;

/// Where a message has its sequence number: netlink(7).
const SEQUENCE: Range<usize> = 8..12;

/// What can be asked: rtnetlink(7). Of all that `netlink-packet-route` can write these are the few
/// that are needed, so that no program has to carry the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RequestMessage {
    NewLink(LinkMessage),
    DelLink(LinkMessage),
    GetLink(LinkMessage),
    SetLink(LinkMessage),
    NewAddress(AddressMessage),
    DelAddress(AddressMessage),
    GetAddress(AddressMessage),
}

impl RequestMessage {
    /// Its number in linux/rtnetlink.h.
    const fn kind(&self) -> u16 {
        match self {
            Self::NewLink(_) => 16,
            Self::DelLink(_) => 17,
            Self::GetLink(_) => 18,
            Self::SetLink(_) => 19,
            Self::NewAddress(_) => 20,
            Self::DelAddress(_) => 21,
            Self::GetAddress(_) => 22,
        }
    }

    fn payload(&self) -> &dyn Emitable {
        match self {
            Self::NewLink(link)
            | Self::DelLink(link)
            | Self::GetLink(link)
            | Self::SetLink(link) => link,
            Self::NewAddress(address) | Self::DelAddress(address) | Self::GetAddress(address) => {
                address
            }
        }
    }
}

/// Something to be asked of the kernel: the bytes, which are a tenth of the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A request with these flags, which asks for an acknowledgement unless it is a listing.
    pub(crate) fn new(message: &RequestMessage, flags: u16) -> Self {
        let is_listing = flags & NLM_F_DUMP == NLM_F_DUMP;
        let ack = if is_listing { 0 } else { NLM_F_ACK };
        let payload = message.payload();
        let mut header = NetlinkHeader::default();
        let start = header.buffer_len();
        let length = start.saturating_add(payload.buffer_len());
        header.message_type = message.kind();
        header.flags = flags | NLM_F_REQUEST | ack;
        // A few hundred bytes.
        header.length = u32::try_from(length).unwrap_or(u32::MAX);
        let mut bytes = vec![0; length.next_multiple_of(4)];
        header.emit(&mut bytes);
        if let Some(place) = bytes.get_mut(start..length) {
            payload.emit(place);
        }
        Self(bytes)
    }

    /// Appends the bytes of the request.
    pub(crate) fn emit(&self, sequence: u32, datagram: &mut Vec<u8>) {
        let start = datagram.len();
        datagram.extend_from_slice(&self.0);
        let message = datagram.get_mut(start..);
        if let Some(place) = message.and_then(|message| message.get_mut(SEQUENCE)) {
            place.copy_from_slice(&sequence.to_ne_bytes());
        }
    }
}

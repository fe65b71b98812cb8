//! Reading what the kernel sends: messages of a datagram, answers, attributes.
//!
//! Only what is needed is read, attribute by attribute, so that one that a newer kernel writes
//! differently takes nothing else with it.

use alloc::string::String;

use netlink_packet_core::{
    NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer, NlaBuffer, NlasIterator,
};

use super::error::NetlinkCause;

/// `NLM_F_DUMP_INTR`: the listing was disturbed by a change. `netlink(7)`
const INTERRUPTED: u16 = 0x10;
/// `NLM_F_CAPPED`: an error does not carry the request.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow an acknowledgement.
const HAS_ATTRIBUTES: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`: what the kernel says about the error.
const TEXT: u16 = 1;
/// Bytes of the header of a message.
const HEADER: usize = 16;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// What a message is to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    /// It is done, or the listing is complete.
    Done,
    /// It is not.
    Failed(NetlinkCause),
    /// An entry of a listing, or a notification.
    Data,
    /// Nothing.
    Noise,
}

impl Message<'_> {
    /// Whether this listing has to be repeated.
    pub(crate) const fn is_interrupted(&self) -> bool {
        self.flags & INTERRUPTED != 0
    }

    pub(crate) fn reply(&self) -> Reply {
        match self.kind {
            NLMSG_NOOP => Reply::Noise,
            NLMSG_OVERRUN => Reply::Failed(NetlinkCause::Unknown),
            NLMSG_DONE | NLMSG_ERROR => {
                // Older kernels end some listings without a code.
                let is_bare_end = self.kind == NLMSG_DONE && self.payload.is_empty();
                match self.payload.first_chunk() {
                    None if is_bare_end => Reply::Done,
                    None => Reply::Failed(NetlinkCause::Malformed),
                    Some(code) => match i32::from_ne_bytes(*code).checked_neg() {
                        Some(0) => Reply::Done,
                        Some(errno @ 1..) => Reply::Failed(NetlinkCause::Refused {
                            errno,
                            text: self.text(),
                        }),
                        _ => Reply::Failed(NetlinkCause::Malformed),
                    },
                }
            }
            _ => Reply::Data,
        }
    }

    /// What the kernel says about an error.
    fn text(&self) -> Option<String> {
        if self.flags & HAS_ATTRIBUTES == 0 {
            return None;
        }
        let request = self.payload.get(4..)?;
        let carried = if self.kind == NLMSG_DONE {
            0
        } else if self.flags & CAPPED != 0 {
            HEADER
        } else {
            let length = u32::from_ne_bytes(*request.first_chunk()?);
            usize::try_from(length).ok()?.checked_next_multiple_of(4)?
        };
        let attributes = request.get(carried..)?;
        attributes_of(attributes)
            .find_map(|attribute| (attribute.kind() == TEXT).then(|| text(attribute.value())))
    }
}

/// The messages of a datagram; ends with an error where one does not fit it.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, NetlinkCause>> {
    let mut rest = datagram;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Ok(buffer) = NetlinkBuffer::new_checked(rest) else {
            rest = &[];
            return Some(Err(NetlinkCause::Malformed));
        };
        let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
        let message = Message {
            kind: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            payload: rest.get(HEADER..length).unwrap_or_default(),
        };
        let next = length.checked_next_multiple_of(4);
        rest = next.and_then(|next| rest.get(next..)).unwrap_or_default();
        Some(Ok(message))
    })
}

/// Attributes, up to the first that does not fit.
pub(crate) fn attributes_of(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// A text that the kernel ends with a zero byte.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    let value = end.and_then(|end| value.get(..end)).unwrap_or(value);
    String::from_utf8_lossy(value).into_owned()
}

/// A number in the machine's byte order.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

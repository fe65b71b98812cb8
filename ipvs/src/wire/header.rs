//! Netlink and generic netlink headers: a datagram is a sequence of messages.

use netlink_packet_core::{
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer,
};

use super::attributes::{self, Nest};
use super::reader::Attributes;
use crate::error::{DecodeError, DecodeProblem};

/// Length of the netlink header.
pub(super) const NETLINK_HEADER_LEN: usize = 16;
/// Length of the generic netlink header.
pub(super) const GENERIC_HEADER_LEN: usize = 4;
/// Where attributes start in a message.
pub(crate) const ATTRIBUTES_OFFSET: usize = NETLINK_HEADER_LEN + GENERIC_HEADER_LEN;

/// The messages of one datagram.
///
/// Ends after the first message whose length cannot be true.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Messages<'a> {
    /// Reads that datagram.
    #[must_use]
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self {
            rest: datagram,
            offset: 0,
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.offset;
        let error = Some(Err(DecodeError::new(
            None,
            offset,
            DecodeProblem::Truncated,
        )));
        let bytes = core::mem::take(&mut self.rest);
        let Ok(buffer) = NetlinkBuffer::new_checked(bytes) else {
            return error;
        };
        let Ok(length) = usize::try_from(buffer.length()) else {
            return error;
        };
        let Some(whole) = bytes.get(..length) else {
            return error;
        };
        // The last message of a datagram may lack its padding.
        let step = length.next_multiple_of(4);
        self.rest = bytes.get(step..).unwrap_or_default();
        self.offset = offset.saturating_add(step);
        let header = Header {
            message_type: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            port: buffer.port_number(),
        };
        Some(Ok(Message {
            header,
            whole,
            offset,
        }))
    }
}

/// The netlink header of a message, without its length.
#[expect(clippy::exhaustive_structs, reason = "struct nlmsghdr")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Header {
    /// Family id, or one of the control types below 16.
    pub message_type: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// Sequence number of the request.
    pub sequence: u32,
    /// Port of the socket the message is for.
    pub port: u32,
}

/// A netlink message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: Header,
    whole: &'a [u8],
    offset: usize,
}

impl<'a> Message<'a> {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Offset of the message within its datagram.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What the message carries.
    ///
    /// # Errors
    ///
    /// The message is too short for what its type promises.
    pub fn body(&self) -> Result<Body<'a>, DecodeError> {
        let truncated = || DecodeError::new(None, self.whole.len(), DecodeProblem::Truncated);
        let payload = self.whole.get(NETLINK_HEADER_LEN..).ok_or_else(truncated)?;
        match self.header.message_type {
            NLMSG_NOOP => Ok(Body::Nothing),
            NLMSG_OVERRUN => Ok(Body::Overrun),
            NLMSG_DONE => {
                // The kernel sends a status; a bare end mark means success.
                let code = payload.first_chunk().copied().map_or(0, i32::from_ne_bytes);
                Ok(Body::Done(Acknowledgement {
                    code,
                    rest: &[],
                    rest_offset: 0,
                }))
            }
            NLMSG_ERROR => {
                let (code, original) = payload.split_first_chunk().ok_or_else(truncated)?;
                let code = i32::from_ne_bytes(*code);
                let (rest, rest_offset) = self.behind_original(original);
                Ok(Body::Acknowledgement(Acknowledgement {
                    code,
                    rest,
                    rest_offset,
                }))
            }
            // Other control types below 16 have no meaning here.
            kind if kind < attributes::control::FAMILY => Ok(Body::Nothing),
            _ => {
                let (header, attributes) = payload
                    .split_first_chunk::<GENERIC_HEADER_LEN>()
                    .ok_or_else(truncated)?;
                let [command, ..] = *header;
                Ok(Body::Generic {
                    command,
                    attributes,
                })
            }
        }
    }

    /// Where the attributes of an extended acknowledgement start: behind the copy of the
    /// request, which is only a header when the message says so.
    fn behind_original(&self, original: &'a [u8]) -> (&'a [u8], usize) {
        if self.header.flags & NLM_F_ACK_TLVS == 0 {
            return (&[], 0);
        }
        let copied = if self.header.flags & NLM_F_CAPPED != 0 {
            Some(NETLINK_HEADER_LEN)
        } else {
            let length = original.first_chunk().copied().map(u32::from_ne_bytes);
            length.and_then(|length| usize::try_from(length).ok())
        };
        // A copy shorter than its own header is none.
        let rest = copied
            .filter(|length| *length >= NETLINK_HEADER_LEN)
            .and_then(|length| length.checked_next_multiple_of(4))
            .and_then(|length| original.get(length..))
            .unwrap_or_default();
        (rest, self.whole.len().saturating_sub(rest.len()))
    }
}

/// What a message carries.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Nothing of use.
    Nothing,
    /// The kernel lost replies (`NLMSG_OVERRUN`; today's kernels report it by `ENOBUFS`).
    Overrun,
    /// The end of a dump with its status.
    Done(Acknowledgement<'a>),
    /// The answer to a request: code 0, or an error.
    Acknowledgement(Acknowledgement<'a>),
    /// A message of a generic netlink family.
    Generic {
        /// Command of the generic netlink header.
        command: u8,
        /// Attributes behind it.
        attributes: &'a [u8],
    },
}

/// An acknowledgement: what became of a request.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement<'a> {
    code: i32,
    rest: &'a [u8],
    rest_offset: usize,
}

impl<'a> Acknowledgement<'a> {
    /// `None` for success, else the errno (positive).
    #[must_use]
    pub const fn errno(&self) -> Option<i32> {
        match self.code {
            0 => None,
            // The kernel sends errors as negative numbers. A positive one is no success either.
            code => Some(code.saturating_abs()),
        }
    }

    /// The text and the offset of an extended acknowledgement, as far as they are there.
    ///
    /// What cannot be read is left out: the code counts, the text explains.
    #[must_use]
    pub fn extended(&self) -> (Option<&'a str>, Option<u32>) {
        let (mut text, mut offset) = (None, None);
        for attribute in Attributes::new(self.rest, Nest::ExtAck, self.rest_offset).flatten() {
            match attribute.number {
                attributes::ext_ack::MSG => {
                    let bytes = attribute.value.split(|byte| *byte == 0).next();
                    text = bytes.and_then(|bytes| core::str::from_utf8(bytes).ok());
                }
                attributes::ext_ack::OFFS => offset = attribute.u32().ok(),
                _ => {}
            }
        }
        (text, offset)
    }
}

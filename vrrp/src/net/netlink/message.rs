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

// The captures are of a little-endian machine.
#[cfg(target_endian = "little")]
#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::net::links::InterfaceAddress;
    use crate::net::netlink::link::LinkRecord;
    use alloc::vec::Vec;
    use nix::errno::Errno;
    use proptest::prelude::*;
    use std::string::ToString;

    /// The bytes of a capture: lines of hexadecimal digits under a comment.
    pub(crate) fn capture(text: &str) -> Vec<u8> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let digits: Vec<u8> = lines.flat_map(str::bytes).collect();
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        let bytes = digits.chunks_exact(2);
        bytes
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect()
    }

    fn all(datagram: &[u8]) -> Vec<Message<'_>> {
        messages(datagram).map(Result::unwrap).collect()
    }

    #[test]
    fn a_refusal_says_why() {
        let bytes = capture(include_str!("../../../tests/data/rtnetlink/refused.hex"));
        let [message] = all(&bytes)[..] else {
            panic!("{bytes:?}");
        };
        assert_eq!(message.sequence, 7);
        let text = Some("ipv4: Invalid prefix length".to_string());
        let errno = Errno::EINVAL as i32;
        let refused = NetlinkCause::Refused { errno, text };
        assert_eq!(message.reply(), Reply::Failed(refused));
        // Cut off anywhere it is shorter, or nothing.
        for length in 0..bytes.len() {
            assert!(messages(&bytes[..length]).all(|message| message.is_err()));
            let mut shorter = bytes[..length].to_vec();
            if let Some(field) = shorter.first_chunk_mut::<4>() {
                *field = u32::try_from(length).unwrap().to_ne_bytes();
            }
            for message in messages(&shorter) {
                let reply = message.map(|message| message.reply());
                assert!(matches!(reply, Ok(Reply::Failed(_)) | Err(_)), "{reply:?}");
            }
        }
    }

    #[test]
    fn an_error_that_carries_the_request_is_read_behind_it() {
        let bytes = capture(include_str!("../../../tests/data/rtnetlink/refused.hex"));
        // As the kernel answers where NETLINK_CAP_ACK is off: header and body of the request.
        let mut longer = bytes[..36].to_vec();
        longer[6..8].copy_from_slice(&HAS_ATTRIBUTES.to_ne_bytes());
        longer.extend([0xa5; 16]);
        longer.extend(&bytes[36..]);
        let length = u32::try_from(longer.len()).unwrap();
        longer[..4].copy_from_slice(&length.to_ne_bytes());
        let request = 32_u32;
        longer[20..24].copy_from_slice(&request.to_ne_bytes());
        assert_eq!(all(&longer)[0].reply(), all(&bytes)[0].reply());
    }

    #[test]
    fn the_end_of_a_listing_is_no_entry() {
        let bytes = capture(include_str!(
            "../../../tests/data/rtnetlink/addresses-ipv4.hex"
        ));
        let messages = all(&bytes);
        let replies: Vec<Reply> = messages.iter().map(Message::reply).collect();
        assert_eq!(replies, [Reply::Data, Reply::Done]);
        let mut disturbed = bytes;
        disturbed[6] |= 0x10;
        assert!(all(&disturbed)[0].is_interrupted());
        assert!(!all(&disturbed)[1].is_interrupted());
    }

    proptest! {
        /// Whatever comes, it is read or not, and nothing panics or goes on for ever.
        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for valid in [false, true] {
                if valid {
                    // Otherwise hardly anything is behind the first header.
                    let length = u32::try_from(bytes.len()).unwrap();
                    if let Some(field) = bytes.first_chunk_mut() {
                        *field = length.to_ne_bytes();
                    }
                }
                let mut count = 0;
                for message in messages(&bytes).flatten() {
                    let _ = (message.reply(), message.is_interrupted());
                    let _ = InterfaceAddress::read(message.payload);
                    let _ = LinkRecord::read(message.payload);
                    count += 1;
                }
                prop_assert!(count <= bytes.len() / HEADER);
                let _ = (InterfaceAddress::read(&bytes), LinkRecord::read(&bytes));
                prop_assert!(attributes_of(&bytes).count() <= bytes.len() / 4);
            }
        }

        /// One byte of what a kernel has sent is another one.
        #[test]
        fn damaged_captures_are_read_without_panic(place in any::<prop::sample::Index>(), value: u8) {
            for text in [
                include_str!("../../../tests/data/rtnetlink/addresses-ipv4.hex"),
                include_str!("../../../tests/data/rtnetlink/addresses-ipv6.hex"),
                include_str!("../../../tests/data/rtnetlink/link.hex"),
                include_str!("../../../tests/data/rtnetlink/refused.hex"),
            ] {
                let mut bytes = capture(text);
                let place = place.index(bytes.len());
                bytes[place] = value;
                for message in messages(&bytes).flatten() {
                    let _ = message.reply();
                    let _ = InterfaceAddress::read(message.payload);
                    let _ = LinkRecord::read(message.payload);
                }
            }
        }
    }
}

//! Any datagram, read as messages and acknowledgements.

use lvs_ipvs::wire::{Acknowledgement, Body, Messages};
use lvs_ipvs::{DecodeError, DecodeProblem};

/// Reads every message and what it carries; all of it lies within the datagram.
pub(crate) fn check(datagram: &[u8]) {
    let mut end = 0;
    let mut messages = Messages::new(datagram);
    while let Some(message) = messages.next() {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                assert_eq!(error.offset(), end);
                look_at(error, datagram);
                assert!(messages.next().is_none(), "nothing is known of the rest");
                return;
            }
        };
        assert_eq!(message.offset(), end);
        let rest = &datagram[end..];
        let length = u32::from_ne_bytes(rest[..4].try_into().expect("four bytes"));
        let length = usize::try_from(length).expect("not beyond the datagram");
        assert!((16..=rest.len()).contains(&length));
        let header = message.header();
        assert_eq!(header.message_type.to_ne_bytes(), rest[4..6]);
        assert_eq!(header.flags.to_ne_bytes(), rest[6..8]);
        assert_eq!(header.sequence.to_ne_bytes(), rest[8..12]);
        assert_eq!(header.port.to_ne_bytes(), rest[12..16]);
        end += length.next_multiple_of(4);
        match message.body() {
            Err(error) => look_at(error, &rest[..length]),
            Ok(Body::Done(acknowledgement)) => {
                assert_eq!(header.message_type, 3);
                acknowledged(&acknowledgement, &rest[16..length]);
            }
            Ok(Body::Acknowledgement(acknowledgement)) => {
                assert_eq!(header.message_type, 2);
                acknowledged(&acknowledgement, &rest[16..length]);
            }
            Ok(Body::Generic {
                command,
                attributes,
            }) => {
                assert!(header.message_type >= 16);
                assert_eq!(command, rest[16]);
                assert_eq!(attributes, &rest[20..length]);
            }
            Ok(_) => assert!(header.message_type < 16),
        }
    }
    assert!(end >= datagram.len(), "all of it was read");
}

fn acknowledged(acknowledgement: &Acknowledgement<'_>, payload: &[u8]) {
    if let Some(errno) = acknowledgement.errno() {
        assert!(errno > 0, "{errno}");
    }
    let (text, offset) = acknowledgement.extended();
    if let Some(text) = text {
        assert!(!text.contains('\0'));
        let mut windows = payload.windows(text.len().max(1));
        assert!(text.is_empty() || windows.any(|window| window == text.as_bytes()));
    }
    if text.is_some() || offset.is_some() {
        // Code, header of the request, header of the attribute.
        assert!(payload.len() >= 4 + 16 + 4);
    }
}

/// A header that makes no sense: where, and that its length is to blame.
fn look_at(error: DecodeError, bytes: &[u8]) {
    assert!(error.offset() <= bytes.len(), "{error}");
    assert_eq!(error.attribute(), None);
    assert_eq!(error.problem(), DecodeProblem::Truncated);
    assert!(error.to_string().contains("header at byte"));
}

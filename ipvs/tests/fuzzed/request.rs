//! A command and any bytes as the attributes of a request.

use bytes::BytesMut;
use lvs_ipvs::wire::attributes::command;
use lvs_ipvs::wire::{Body, FamilyId, Messages, encode_request, read_request};

/// Where attributes start within a message.
const OFFSET: usize = 20;

/// Reads the bytes; what is read is the same after it was written again.
pub(crate) fn check(bytes: &[u8]) {
    let Some((asked, attributes)) = bytes.split_first() else {
        return;
    };
    let request = match read_request(*asked, attributes, OFFSET) {
        Ok(request) => request,
        Err(error) => {
            let Some(attribute) = error.attribute() else {
                let known = command::NEW_SERVICE..=command::FLUSH;
                assert!(!known.contains(asked) || *asked == command::SET_INFO);
                return;
            };
            assert!(error.offset() >= OFFSET, "{error}");
            assert!(error.offset() <= OFFSET + attributes.len(), "{error}");
            assert!(error.to_string().contains(&attribute.to_string()));
            return;
        }
    };
    let mut datagram = BytesMut::new();
    encode_request(&mut datagram, FamilyId::new(28), 1, &request);
    let mut messages = Messages::new(&datagram);
    let message = messages.next().expect("a message").expect("whole");
    assert!(messages.next().is_none());
    let Ok(Body::Generic {
        command,
        attributes,
    }) = message.body()
    else {
        panic!("{request:?}");
    };
    assert_eq!(command, *asked);
    assert_eq!(read_request(command, attributes, OFFSET), Ok(request));
}

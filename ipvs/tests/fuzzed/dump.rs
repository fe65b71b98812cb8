//! Any bytes as the attributes of a reply of the `IPVS` family.

use bytes::BytesMut;
use lvs_ipvs::wire::{
    Body, DestinationView, FamilyId, Messages, ServiceView, encode_request, read_daemon, read_info,
    read_timeouts,
};
use lvs_ipvs::{Change, DecodeError, DecodeProblem, Family, ServiceKey};

/// Where attributes start within a message.
const OFFSET: usize = 20;

/// Reads the bytes as every kind of reply. What is read is the same after it was sent back.
pub(crate) fn check(attributes: &[u8]) {
    service(attributes);
    destination(attributes, Family::Inet);
    destination(attributes, Family::Inet6);
    if let Some(daemon) = readable(read_daemon(attributes, OFFSET), attributes) {
        let (again, command) = encoded(Change::StartDaemon(daemon));
        assert_eq!(command, 9);
        assert_eq!(read_daemon(&again, OFFSET), Ok(daemon));
    }
    if let Some(timeouts) = readable(read_timeouts(attributes, OFFSET), attributes) {
        let (again, command) = encoded(Change::SetTimeouts(timeouts));
        assert_eq!(command, 12);
        assert_eq!(read_timeouts(&again, OFFSET), Ok(timeouts));
    }
    if let Some(info) = readable(read_info(attributes, OFFSET), attributes) {
        assert!(!info.version.to_string().is_empty());
    }
}

fn service(attributes: &[u8]) {
    let Some(view) = readable(ServiceView::read(attributes, OFFSET), attributes) else {
        return;
    };
    let entry = view.to_entry();
    assert_eq!(
        (view.key(), view.scheduler(), *view.stats()),
        (entry.service.key(), entry.service.scheduler(), entry.stats)
    );
    let unknown = entry.service.unknown().as_bytes().len();
    assert!(unknown <= attributes.len().next_multiple_of(4));
    for (change, expected) in [
        (Change::AddService(entry.service.clone()), 1),
        (Change::SetService(entry.service.clone()), 2),
    ] {
        let (again, command) = encoded(change);
        assert_eq!(command, expected);
        let again = ServiceView::read(&again, OFFSET).expect("own bytes can be read");
        assert_eq!(again.to_entry().service, entry.service);
    }
    let (_, command) = encoded(Change::RemoveService(view.key()));
    assert_eq!(command, 3);
}

fn destination(attributes: &[u8], family: Family) {
    let view = DestinationView::read(attributes, family, OFFSET);
    let Some(view) = readable(view, attributes) else {
        return;
    };
    let entry = view.to_entry();
    assert_eq!(
        (view.key(), view.weight(), *view.stats()),
        (
            entry.destination.key(),
            entry.destination.weight(),
            entry.stats
        )
    );
    assert!(view.connections() >= entry.active_connections.into());
    let unknown = entry.destination.unknown().as_bytes().len();
    assert!(unknown <= attributes.len().next_multiple_of(4));
    let service = ServiceKey::firewall_mark(family, 7);
    for (change, expected) in [
        (
            Change::AddDestination(service, entry.destination.clone()),
            5,
        ),
        (
            Change::SetDestination(service, entry.destination.clone()),
            6,
        ),
    ] {
        let (again, command) = encoded(change);
        assert_eq!(command, expected);
        // The request names the family, so that of the service does not matter.
        for family in [Family::Inet, Family::Inet6] {
            let again = DestinationView::read(&again, family, OFFSET);
            let again = again.expect("own bytes can be read").to_entry();
            assert_eq!(again.destination, entry.destination);
        }
    }
    let (_, command) = encoded(Change::RemoveDestination(service, view.key()));
    assert_eq!(command, 7);
}

/// What was read; an error is looked at and dropped.
fn readable<T>(read: Result<T, DecodeError>, attributes: &[u8]) -> Option<T> {
    read.map_err(|error| look_at(error, attributes)).ok()
}

/// An error says where and what, and does not point outside of what was read.
fn look_at(error: DecodeError, attributes: &[u8]) {
    assert!(error.offset() >= OFFSET, "{error}");
    assert!(error.offset() <= OFFSET + attributes.len(), "{error}");
    let attribute = error.attribute().expect("there are only attributes");
    let text = error.to_string();
    assert!(text.contains(&attribute.to_string()), "{text}");
    match error.problem() {
        DecodeProblem::Short { length, expected } => assert!(length < expected, "{text}"),
        DecodeProblem::Long { length, limit } => {
            assert!(limit < length && length <= attributes.len(), "{text}");
        }
        DecodeProblem::Truncated => assert!(error.offset() < OFFSET + attributes.len(), "{text}"),
        _ => {}
    }
}

/// Attributes and command of a request, which is one whole message.
fn encoded(change: Change) -> (Vec<u8>, u8) {
    // Neither may fail, whatever stands in it.
    let _refused = change.validate();
    assert!(change.to_string().starts_with("ipvsadm -"));
    // What was in the buffer before stays, what is appended does not depend on it.
    let mut buffer = BytesMut::from(&[0xa5; 3][..]);
    encode_request(&mut buffer, FamilyId::new(28), 7, &change.into());
    assert!(buffer.starts_with(&[0xa5; 3]));
    let mut messages = Messages::new(&buffer[3..]);
    let message = messages.next().expect("a message").expect("a whole one");
    assert!(messages.next().is_none());
    assert_eq!(
        (message.header().message_type, message.header().sequence),
        (28, 7)
    );
    match message.body() {
        Ok(Body::Generic {
            command,
            attributes,
        }) => (attributes.to_vec(), command),
        other => panic!("{other:?}"),
    }
}

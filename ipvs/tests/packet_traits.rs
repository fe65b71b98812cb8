//! The traits of the rust-netlink family: the bytes of our own client, values read back, and
//! errors for bytes that make no sense.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod operations;

use core::fmt::Debug;
use core::time::Duration;

use bytes::BytesMut;
use lvs_ipvs::packet_traits::{IpvsMessage, RequestMessage};
use lvs_ipvs::session::Session;
use lvs_ipvs::transport::{Received, Transport};
use lvs_ipvs::wire::{Body, FamilyId, Messages};
use lvs_ipvs::{
    Change, Client, DaemonRole, Destination, Family, MemoryKernel, Persistence, Query, Request,
    Scheduler, ServiceKey, SyncDaemon, Timeouts, VirtualService,
};
use netlink_packet_core::{
    Emitable, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, ParseableParametrized,
};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use operations::{Operation, malformed};
use proptest::collection::vec;
use proptest::prelude::*;

const FAMILY: u16 = 28;

/// What a client sends first for that request.
fn sent_by_a_client(request: Request) -> BytesMut {
    let mut session = Session::new(FamilyId::new(FAMILY));
    session.submit(request);
    let mut datagram = BytesMut::new();
    assert!(session.poll_transmit(&mut datagram));
    datagram
}

/// The message as `genetlink` sends it: family resolved unless it is fixed, number, length.
fn serialized(mut message: NetlinkMessage<GenlMessage<IpvsMessage>>) -> Vec<u8> {
    if let NetlinkPayload::InnerMessage(inner) = &mut message.payload {
        inner.set_resolved_family_id(FAMILY);
    }
    message.header.sequence_number = 1;
    message.finalize();
    let mut bytes = vec![0xa5; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn deserialized<F>(bytes: &[u8]) -> F
where
    F: ParseableParametrized<[u8], GenlHeader> + Debug,
    GenlMessage<F>: NetlinkDeserializable,
{
    let message = NetlinkMessage::<GenlMessage<F>>::deserialize(bytes).unwrap();
    match message.payload {
        NetlinkPayload::InnerMessage(inner) => inner.into_parts().1,
        other => panic!("{other:?}"),
    }
}

fn emitted(message: &(impl Emitable + GenlFamily)) -> (GenlHeader, Vec<u8>) {
    let header = GenlHeader {
        cmd: message.command(),
        version: message.version(),
    };
    let mut attributes = vec![0xa5; message.buffer_len()];
    message.emit(&mut attributes);
    (header, attributes)
}

/// What is read is emitted and read again as the same.
fn assert_round_trip<F>(value: &F)
where
    F: Emitable + GenlFamily + ParseableParametrized<[u8], GenlHeader> + Debug + PartialEq,
{
    let (header, attributes) = emitted(value);
    assert_eq!(F::parse_with_param(&attributes, header).unwrap(), *value);
}

/// One request of every kind.
fn requests() -> Vec<Request> {
    let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap())
        .with_scheduler(Scheduler::Sh)
        .with_persistence(Persistence::new(300));
    let six = VirtualService::udp("[2001:db8::1]:53".parse().unwrap());
    let mark = ServiceKey::firewall_mark(Family::Inet6, 7);
    let server = Destination::masquerade("10.0.0.11:80".parse().unwrap()).with_weight(3);
    let key = service.key();
    let daemon = SyncDaemon::new(DaemonRole::Backup, "eth0".parse().unwrap(), 3).with_ttl(2);
    let timeouts = Timeouts {
        tcp_secs: Some(60),
        ..Timeouts::default()
    };
    vec![
        Change::AddService(service.clone()).into(),
        Change::SetService(six).into(),
        Change::RemoveService(mark).into(),
        Change::AddDestination(key, server.clone()).into(),
        Change::SetDestination(key, server.clone()).into(),
        Change::RemoveDestination(key, server.key()).into(),
        Change::StartDaemon(daemon).into(),
        Change::StopDaemon(DaemonRole::Active).into(),
        Change::SetTimeouts(timeouts).into(),
        Change::Zero(None).into(),
        Change::Zero(Some(mark)).into(),
        Change::Flush.into(),
        Query::Service(key).into(),
        Query::Services.into(),
        Query::Destinations(mark).into(),
        Query::Daemons.into(),
        Query::Timeouts.into(),
        Query::Info.into(),
    ]
}

#[test]
fn every_request_has_the_bytes_of_a_client_and_reads_back() {
    for request in requests() {
        let bytes = serialized(IpvsMessage::request(request.clone()));
        assert_eq!(bytes, sent_by_a_client(request.clone()), "{request:?}");
        let read: RequestMessage = deserialized(&bytes);
        assert_eq!(read.0, request);
        assert_round_trip(&read);
    }
}

#[test]
fn the_question_for_the_family_goes_to_the_controller() {
    let bytes = serialized(IpvsMessage::request(Query::Family));
    assert_eq!(bytes, sent_by_a_client(Query::Family.into()));
}

#[test]
fn both_types_name_the_family() {
    assert_eq!(IpvsMessage::family_name(), "IPVS");
    assert_eq!(RequestMessage::family_name(), "IPVS");
    for request in requests() {
        assert_eq!(IpvsMessage::from(request.clone()).family_id(), 0);
        assert_eq!(RequestMessage::from(request).family_id(), 0);
    }
}

/// Sends a request as our message and reads every answer as one.
fn ask(socket: &mut impl Transport, request: Request) -> Vec<IpvsMessage> {
    let mut message = IpvsMessage::request(request);
    if let NetlinkPayload::InnerMessage(inner) = &mut message.payload {
        inner.set_resolved_family_id(FAMILY);
    }
    message.header.sequence_number = 9;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes).unwrap();
    let mut answers = Vec::new();
    let mut datagram = BytesMut::new();
    while socket.receive(&mut datagram, Duration::ZERO).unwrap() == Received::Datagram {
        for message in Messages::new(&datagram) {
            let message = message.unwrap();
            let Body::Generic { .. } = message.body().unwrap() else {
                continue;
            };
            answers.push(deserialized(&datagram[message.offset()..]));
        }
    }
    answers
}

/// What a client reads from the kernel in memory is read as messages too, and sent back as the
/// same.
#[test]
fn answers_are_those_a_client_gets() {
    let kernel = MemoryKernel::default();
    let mut client = Client::with_transport(kernel.socket()).unwrap();
    for number in 1..=40_u8 {
        let service = VirtualService::tcp(([192, 0, 2, number], 80).into())
            .with_persistence(Persistence::new(number.into()));
        client.add_service(&service).unwrap();
        let server = Destination::masquerade(([10, 0, 0, number], 80).into());
        client.add_destination(service.key(), &server).unwrap();
    }
    client
        .add_service(&VirtualService::firewall_mark(Family::Inet6, 7))
        .unwrap();
    let key = ServiceKey::tcp("192.0.2.7:80".parse().unwrap());
    let mut socket = kernel.socket();
    let services: Vec<_> = client.services().unwrap();
    assert_eq!(services.len(), 41);
    let services: Vec<_> = services.into_iter().map(IpvsMessage::Service).collect();
    let destinations = client.destinations(key).unwrap();
    let destinations: Vec<_> = destinations
        .into_iter()
        .map(IpvsMessage::Destination)
        .collect();
    assert_eq!(destinations.len(), 1);
    let expected = [
        (Query::Services, services),
        (Query::Destinations(key), destinations),
        (
            Query::Service(key),
            vec![IpvsMessage::Service(client.service(key).unwrap())],
        ),
        (
            Query::Timeouts,
            vec![IpvsMessage::Timeouts(client.timeouts().unwrap())],
        ),
        (Query::Info, vec![IpvsMessage::Info(client.info().unwrap())]),
    ];
    for (query, expected) in expected {
        let answers = ask(&mut socket, query.into());
        assert_eq!(answers, expected, "{query:?}");
        answers.iter().for_each(assert_round_trip);
    }
}

/// Replies recorded from real kernels (see the files for how), with daemons and tunnels.
#[test]
fn recorded_replies_are_read_and_sent_back_the_same() {
    let mut kinds = [0; 5];
    for text in [
        include_str!("data/linux-6.1.176.txt"),
        include_str!("data/linux-7.2.7.txt"),
    ] {
        let datagrams = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| !name.starts_with("request-") && !name.starts_with("family"));
        for (name, hex) in datagrams {
            let digits = hex.as_bytes().chunks(2);
            let datagram: Vec<_> = digits
                .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            for message in Messages::new(&datagram) {
                let message = message.unwrap();
                let Body::Generic { .. } = message.body().unwrap() else {
                    continue;
                };
                let value: IpvsMessage = deserialized(&datagram[message.offset()..]);
                let kind = match value {
                    IpvsMessage::Service(_) => 0,
                    IpvsMessage::Destination(_) => 1,
                    IpvsMessage::Daemon(_) => 2,
                    IpvsMessage::Timeouts(_) => 3,
                    IpvsMessage::Info(_) => 4,
                    ref other => panic!("{name}: {other:?}"),
                };
                kinds[kind] += 1;
                assert_round_trip(&value);
            }
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

fn error_of(attributes: &[u8], cmd: u8) -> String {
    let header = GenlHeader { cmd, version: 1 };
    IpvsMessage::parse_with_param(attributes, header)
        .unwrap_err()
        .to_string()
}

#[test]
fn errors_name_what_is_wrong() {
    assert_eq!(error_of(&[], 99), "header at byte 16: unexpected value 99");
    assert_eq!(error_of(&[], 1), "attribute SERVICE at byte 20: missing");
    // A destination of a kernel before 3.18, which has no ADDR_FAMILY.
    let server = Destination::masquerade("10.0.0.1:80".parse().unwrap());
    let add = Change::AddDestination(ServiceKey::firewall_mark(Family::Inet, 7), server);
    let (header, mut attributes) = emitted(&IpvsMessage::from(Request::from(add)));
    let family = attributes
        .windows(4)
        .rposition(|window| window == [6, 0, 11, 0]) // length, ADDR_FAMILY
        .unwrap();
    attributes[family + 2] = 77;
    assert_eq!(
        error_of(&attributes, header.cmd),
        "attribute DEST.ADDR_FAMILY at byte 40: missing"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_request_has_the_bytes_of_a_client_and_reads_back(sequence in operations::sequences()) {
        for operation in sequence {
            let name = operation.name();
            let Operation::Request(request) = operation else {
                continue;
            };
            let bytes = serialized(IpvsMessage::request(request.clone()));
            prop_assert_eq!(&bytes, &sent_by_a_client(request.clone()), "{}", name);
            let read: RequestMessage = deserialized(&bytes);
            prop_assert_eq!(read.0, request);
        }
    }

    /// Requests with some bytes changed, as either type: an error, or a value that stays the same
    /// when it is sent back.
    #[test]
    fn malformed_messages_never_panic(sequence in operations::sequences()) {
        for operation in sequence {
            let Operation::Malformed(request, mutation) = operation else {
                continue;
            };
            let datagram = malformed::encode(FamilyId::new(FAMILY), 1, &request, &mutation);
            if let Ok(message) = NetlinkMessage::<GenlMessage<IpvsMessage>>::deserialize(&datagram) {
                if let NetlinkPayload::InnerMessage(inner) = message.payload {
                    assert_round_trip(&inner.payload);
                }
            }
            if let Ok(message) = NetlinkMessage::<GenlMessage<RequestMessage>>::deserialize(&datagram) {
                if let NetlinkPayload::InnerMessage(inner) = message.payload {
                    assert_round_trip(&inner.payload);
                }
            }
        }
    }

    /// Attributes of random numbers, lengths and contents, nested to two levels.
    #[test]
    fn random_attributes_never_panic(
        cmd in 0..=20_u8,
        nests in vec((0..=7_u16, vec((0..=17_u16, vec(any::<u8>(), 0..20)), 0..12)), 0..3),
        cut in proptest::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let mut bytes = Vec::new();
        for (number, attributes) in nests {
            let start = bytes.len();
            bytes.extend_from_slice(&[0, 0]);
            bytes.extend_from_slice(&number.to_ne_bytes());
            for (number, value) in attributes {
                let length = u16::try_from(value.len() + 4).unwrap();
                bytes.extend_from_slice(&length.to_ne_bytes());
                bytes.extend_from_slice(&number.to_ne_bytes());
                bytes.extend_from_slice(&value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            let length = u16::try_from(bytes.len() - start).unwrap();
            bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let header = GenlHeader { cmd, version: 1 };
        if let Ok(value) = IpvsMessage::parse_with_param(&bytes, header) {
            assert_round_trip(&value);
        }
        if let Ok(value) = RequestMessage::parse_with_param(&bytes, header) {
            assert_round_trip(&value);
        }
    }
}

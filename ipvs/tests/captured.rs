//! Messages recorded from real kernels: read, written, cut short and corrupted.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use bytes::BytesMut;
use lvs_ipvs::session::{Event, Reply, Session};
use lvs_ipvs::wire::{FamilyId, Messages, encode_request};
use lvs_ipvs::{
    Change, CounterWidth, DaemonRole, DecodeError, Destination, DestinationEntry, Encapsulation,
    EngineName, Family, Outcome, Persistence, PersistenceMask, Query, Reason, Request, Scheduler,
    ServiceEntry, ServiceFlags, ServiceKey, SyncDaemon, Timeouts, TunnelFlags, UnknownCause,
    VirtualService,
};

const RECORDINGS: [(&str, &str); 2] = [
    ("6.1.176", include_str!("data/linux-6.1.176.txt")),
    ("7.2.7", include_str!("data/linux-7.2.7.txt")),
];

type Recording = BTreeMap<String, Vec<u8>>;

fn recordings() -> impl Iterator<Item = (&'static str, Recording)> {
    RECORDINGS.iter().map(|(release, text)| {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let recording = lines.map(|line| {
            let (name, hex) = line.split_once(' ').unwrap();
            let digits = hex.as_bytes().chunks(2);
            let bytes = digits
                .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap());
            (name.to_owned(), bytes.collect())
        });
        (*release, recording.collect())
    })
}

/// The answer to a request, given the sequence number of a session's first request.
fn answer(recording: &Recording, name: &str) -> Vec<Vec<u8>> {
    (0..)
        .map_while(|index| recording.get(&format!("{name}.{index}")))
        .map(|datagram| {
            let mut datagram = datagram.clone();
            let mut start = 0;
            while start < datagram.len() {
                datagram[start + 8..start + 12].copy_from_slice(&1_u32.to_ne_bytes());
                let length = u32::from_ne_bytes(datagram[start..start + 4].try_into().unwrap());
                start += usize::try_from(length).unwrap().next_multiple_of(4);
            }
            datagram
        })
        .collect()
}

#[derive(Debug, Default, PartialEq)]
struct Answer {
    services: Vec<ServiceEntry>,
    destinations: Vec<DestinationEntry>,
    daemons: Vec<SyncDaemon>,
    timeouts: Option<Timeouts>,
    info: Option<(String, u32)>,
    family: Option<u16>,
    outcome: Option<Outcome>,
}

/// Runs one request through a session that gets those datagrams.
fn converse(request: Request, datagrams: &[Vec<u8>]) -> Answer {
    // Each kernel has its own number for the family; errors come from number 2.
    let number = datagrams.first().and_then(|datagram| datagram.get(4..6));
    let number = number.map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    let mut session = Session::new(FamilyId::new(number));
    session.submit(request);
    assert!(session.poll_transmit(&mut BytesMut::new()));
    let mut answer = Answer::default();
    for datagram in datagrams {
        let mut messages = Messages::new(datagram);
        while let Some(event) = session.handle(&mut messages) {
            match event {
                Event::Reply {
                    reply: Reply::Service(service),
                    ..
                } => {
                    answer.services.push(service.to_entry());
                }
                Event::Reply {
                    reply: Reply::Destination(destination),
                    ..
                } => {
                    answer.destinations.push(destination.to_entry());
                }
                Event::Reply {
                    reply: Reply::Daemon(daemon),
                    ..
                } => answer.daemons.push(daemon),
                Event::Reply {
                    reply: Reply::Timeouts(timeouts),
                    ..
                } => {
                    answer.timeouts = Some(timeouts);
                }
                Event::Reply {
                    reply: Reply::Info(info),
                    ..
                } => {
                    answer.info = Some((info.version.to_string(), info.connection_table_size));
                }
                Event::Reply {
                    reply: Reply::Family(family),
                    ..
                } => {
                    answer.family = Some(family.id.number());
                }
                Event::Completed { outcome, .. } => answer.outcome = Some(outcome),
                other => panic!("{other:?}"),
            }
        }
    }
    answer
}

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
        .with_scheduler(Scheduler::Sh)
        .with_flags(ServiceFlags::SH_FALLBACK | ServiceFlags::SH_PORT)
        .with_persistence(
            Persistence::new(300).with_mask(PersistenceMask::Inet([255, 255, 255, 0].into())),
        )
}

fn six() -> VirtualService {
    VirtualService::udp("[2001:db8::10]:53".parse().unwrap())
        .with_scheduler(Scheduler::Rr)
        .with_one_packet()
}

fn mark() -> VirtualService {
    VirtualService::firewall_mark(Family::Inet6, 7)
        .with_persistence(Persistence::new(60).with_mask(PersistenceMask::Inet6(64)))
}

fn sip() -> VirtualService {
    VirtualService::udp("192.0.2.10:5060".parse().unwrap())
        .with_scheduler(Scheduler::Rr)
        .with_persistence(Persistence::new(60).with_engine(EngineName::new("sip").unwrap()))
}

/// Newest first, as the kernel lists them.
fn destinations_of_web() -> Vec<Destination> {
    vec![
        Destination::tunnel("[2001:db8:1::1]:80".parse().unwrap()),
        Destination::tunnel("10.0.0.13:80".parse().unwrap())
            .with_encapsulation(Encapsulation::gue(6080).with_flags(TunnelFlags::CHECKSUM)),
        Destination::direct_route("10.0.0.12:80".parse().unwrap()).with_weight(0),
        Destination::masquerade("10.0.0.11:8080".parse().unwrap())
            .with_weight(3)
            .with_thresholds(75, 100),
    ]
}

#[test]
fn services_are_read_as_they_were_made() {
    for (release, recording) in recordings() {
        let read = converse(Query::Services.into(), &answer(&recording, "services"));
        assert_eq!(read.outcome, Some(Outcome::Done), "{release}");
        assert!(
            read.services
                .iter()
                .all(|entry| entry.stats.width == CounterWidth::Bits64)
        );
        assert_eq!(read.services.len(), 4, "{release}");
        for service in [web(), six(), mark(), sip()] {
            let found = read
                .services
                .iter()
                .find(|entry| entry.service.key() == service.key());
            assert_eq!(found.unwrap().service, service, "{release}");
        }
        let read = converse(
            Query::Service(web().key()).into(),
            &answer(&recording, "service-web"),
        );
        assert_eq!(read.services[0].service, web(), "{release}");
        assert_eq!(read.outcome, Some(Outcome::Done));
    }
}

#[test]
fn destinations_are_read_as_they_were_made() {
    for (release, recording) in recordings() {
        for (query, name, expected) in [
            (web().key(), "destinations-web", destinations_of_web()),
            (
                six().key(),
                "destinations-six",
                vec![Destination::masquerade(
                    "[2001:db8:1::2]:53".parse().unwrap(),
                )],
            ),
        ] {
            let read = converse(Query::Destinations(query).into(), &answer(&recording, name));
            let settings: Vec<_> = read
                .destinations
                .iter()
                .map(|entry| entry.destination.clone())
                .collect();
            assert_eq!(settings, expected, "{release} {name}");
            assert_eq!(read.outcome, Some(Outcome::Done));
        }
    }
}

#[test]
fn daemons_timeouts_info_and_family_are_read() {
    for (release, recording) in recordings() {
        let read = converse(Query::Daemons.into(), &answer(&recording, "daemons"));
        let [active, backup] = read.daemons[..] else {
            panic!("{:?}", read.daemons)
        };
        assert_eq!(
            (active.role, active.sync_id),
            (DaemonRole::Active, 7),
            "{release}"
        );
        assert_eq!(active.interface.as_str(), "d0");
        assert_eq!(active.group, Some("224.0.0.81".parse().unwrap()));
        assert_eq!(
            (active.port, active.ttl, active.max_length),
            (Some(8848), Some(1), Some(1472))
        );
        assert_eq!((backup.role, backup.sync_id), (DaemonRole::Backup, 8));
        assert_eq!(backup.group, Some("ff02::77".parse().unwrap()));
        assert_eq!((backup.port, backup.ttl), (Some(9000), Some(3)));

        let read = converse(Query::Timeouts.into(), &answer(&recording, "timeouts"));
        let timeouts = Timeouts {
            tcp_secs: Some(900),
            tcp_fin_secs: Some(120),
            udp_secs: Some(300),
        };
        assert_eq!(read.timeouts, Some(timeouts));

        let read = converse(Query::Info.into(), &answer(&recording, "info"));
        let (version, size) = read.info.unwrap();
        assert_eq!(version, "1.2.1");
        // A constant up to Linux 7.0, the present size later.
        assert_eq!(size, if release == "6.1.176" { 4096 } else { 256 });

        let read = converse(Query::Family.into(), &[family(&recording)]);
        assert!(read.family.is_some_and(|id| id > 16));
        assert_eq!(
            read.outcome, None,
            "the acknowledgement is not in the recording"
        );
    }
}

fn family(recording: &Recording) -> Vec<u8> {
    let mut recording = recording.clone();
    let datagram = recording.remove("family").unwrap();
    recording.insert("family.0".to_owned(), datagram);
    answer(&recording, "family").remove(0)
}

#[test]
fn refusals_are_resolved_and_the_kernels_words_kept() {
    for (release, recording) in recordings() {
        let missing = ServiceKey::tcp("192.0.2.99:1".parse().unwrap());
        for (request, name, reason, errno) in [
            (
                Query::Service(missing).into(),
                "missing-service",
                Reason::NoSuchService,
                3,
            ),
            (
                Change::AddService(web()).into(),
                "exists",
                Reason::ServiceExists,
                17,
            ),
            (
                Change::SetTimeouts(Timeouts {
                    tcp_secs: Some(u32::MAX),
                    ..Timeouts::default()
                })
                .into(),
                "timeout-range",
                Reason::TimeoutTooLong,
                22,
            ),
        ] {
            let read = converse(request, &answer(&recording, name));
            let Some(Outcome::Rejected(rejected)) = read.outcome else {
                panic!("{release} {name}: {read:?}")
            };
            assert_eq!(
                (rejected.reason, rejected.errno),
                (reason, errno),
                "{release} {name}"
            );
        }
        let read = converse(Change::Zero(None).into(), &answer(&recording, "ack"));
        assert_eq!(read.outcome, Some(Outcome::Done));
    }
}

#[test]
fn requests_are_the_bytes_the_kernels_took() {
    let requests: [(&str, Request); 11] = [
        ("services", Query::Services.into()),
        ("destinations-web", Query::Destinations(web().key()).into()),
        ("destinations-six", Query::Destinations(six().key()).into()),
        ("service-web", Query::Service(web().key()).into()),
        ("timeouts", Query::Timeouts.into()),
        ("info", Query::Info.into()),
        (
            "missing-service",
            Query::Service(ServiceKey::tcp("192.0.2.99:1".parse().unwrap())).into(),
        ),
        ("exists", Change::AddService(web()).into()),
        (
            "timeout-range",
            Change::SetTimeouts(Timeouts {
                tcp_secs: Some(u32::MAX),
                ..Timeouts::default()
            })
            .into(),
        ),
        ("ack", Change::Zero(None).into()),
        ("daemons", Query::Daemons.into()),
    ];
    for (release, recording) in recordings() {
        for (index, (name, request)) in requests.iter().enumerate() {
            let expected = &recording[&format!("request-{name}")];
            let family = u16::from_ne_bytes([expected[4], expected[5]]);
            let sequence = u32::try_from(index + 1).unwrap();
            let mut buffer = BytesMut::new();
            encode_request(&mut buffer, FamilyId::new(family), sequence, request);
            assert_eq!(buffer, expected[..], "{release} {name}");
        }
    }
}

/// Every query with its recorded answer.
fn conversations() -> Vec<(Query, Vec<Vec<u8>>)> {
    recordings()
        .flat_map(|(_, recording)| {
            let mut conversations: Vec<_> = [
                (Query::Services, "services"),
                (Query::Destinations(web().key()), "destinations-web"),
                (Query::Service(web().key()), "service-web"),
                (Query::Daemons, "daemons"),
                (Query::Timeouts, "timeouts"),
                (Query::Info, "info"),
            ]
            .into_iter()
            .map(|(query, name)| (query, answer(&recording, name)))
            .collect();
            conversations.push((Query::Family, vec![family(&recording)]));
            conversations
        })
        .collect()
}

/// The error of a reading that ended in one.
fn unreadable(read: &Answer) -> Option<DecodeError> {
    match read.outcome {
        Some(Outcome::Unknown(UnknownCause::Unreadable(error))) => Some(error),
        _ => None,
    }
}

#[test]
fn messages_cut_anywhere_are_errors_with_an_offset_or_keep_what_is_whole() {
    let mut errors = 0;
    for (query, datagrams) in conversations() {
        let whole = converse(query.into(), &datagrams);
        let first = &datagrams[0];
        for length in 0..first.len() {
            let mut cut = datagrams.clone();
            cut[0].truncate(length);
            let read = converse(query.into(), &cut);
            if let Some(error) = unreadable(&read) {
                assert!(error.offset() <= length, "{query:?} {length}: {error}");
                errors += 1;
            }
            // Nothing is invented: what was read is a part of what was there.
            assert!(
                read.services
                    .iter()
                    .all(|entry| whole.services.contains(entry))
            );
            assert!(
                read.destinations
                    .iter()
                    .all(|entry| whole.destinations.contains(entry))
            );
            assert!(
                read.daemons
                    .iter()
                    .all(|daemon| whole.daemons.contains(daemon))
            );
        }
    }
    assert!(errors > 1000, "{errors}");
}

#[test]
fn flipped_bits_never_panic_and_errors_name_the_attribute() {
    let mut named = 0;
    for (query, datagrams) in conversations() {
        for position in 0..datagrams[0].len() {
            for bit in 0..8 {
                let mut flipped = datagrams.clone();
                flipped[0][position] ^= 1 << bit;
                let read = converse(query.into(), &flipped);
                if let Some(error) = unreadable(&read) {
                    assert!(error.offset() <= flipped[0].len());
                    if let Some(attribute) = error.attribute() {
                        assert!(
                            error.to_string().contains(&attribute.to_string()),
                            "{error}"
                        );
                        named += 1;
                    }
                }
            }
        }
    }
    assert!(named > 1000, "{named}");
}

#[test]
fn a_short_weight_is_named_with_its_place() {
    let (_, recording) = recordings().next().unwrap();
    let mut datagrams = answer(&recording, "destinations-web");
    // The first WEIGHT attribute: 8 bytes long, type 4, in the DEST nest.
    let weight = [8, 0, 4, 0];
    let place = datagrams[0]
        .windows(4)
        .position(|window| window == weight)
        .unwrap();
    // Shrunk to two bytes of payload, padding as it was.
    datagrams[0][place] = 6;
    let read = converse(Query::Destinations(web().key()).into(), &datagrams);
    let error = unreadable(&read).unwrap();
    assert_eq!(
        error.to_string(),
        format!("attribute DEST.WEIGHT at byte {place}: 2 bytes, expected 4")
    );
}

#[test]
fn attributes_of_a_newer_kernel_are_kept_and_sent_back() {
    let (_, recording) = recordings().next().unwrap();
    let mut datagrams = answer(&recording, "service-web");
    // A service attribute number 77 with five bytes, appended to message and nest.
    let attribute = [9, 0, 77, 0, 1, 2, 3, 4, 5, 0, 0, 0];
    datagrams[0].extend_from_slice(&attribute);
    for (place, grown) in [(0, datagrams[0].len()), (20, datagrams[0].len() - 20)] {
        let grown = u16::try_from(grown).unwrap();
        datagrams[0][place..place + 2].copy_from_slice(&grown.to_ne_bytes());
    }
    let read = converse(Query::Service(web().key()).into(), &datagrams);
    let service = read.services[0].service.clone();
    assert_eq!(service.unknown().as_bytes(), attribute);
    assert!(service.same_settings(&web()));

    let mut buffer = BytesMut::new();
    let set = Change::SetService(service).into();
    encode_request(&mut buffer, FamilyId::new(28), 1, &set);
    assert!(
        buffer
            .windows(attribute.len())
            .any(|window| window == attribute)
    );
}

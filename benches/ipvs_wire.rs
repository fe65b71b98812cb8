//! Encoding requests and decoding dumps of IPVS: `cargo bench -p benches --bench ipvs_wire`.
//!
//! In the same run: for encoding, the floor of copying the finished bytes; for decoding, a walk
//! with netlink-packet-core over every attribute that looks at nothing.

use core::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_ipvs::wire::attributes::{destination, top};
use lvs_ipvs::wire::{Body, DestinationView, FamilyId, Messages, ServiceView, encode_request};
use lvs_ipvs::{Change, Destination, Family, Request, Scheduler, VirtualService};
use netlink_packet_core::NlasIterator;

const FAMILY: FamilyId = FamilyId::new(28);

/// A datagram of a dump recorded from Linux 6.1.176.
fn recorded(name: &str) -> Vec<u8> {
    let recording = include_str!("../ipvs/tests/data/linux-6.1.176.txt");
    let line = recording.lines().find_map(|line| line.strip_prefix(name));
    let digits = line.unwrap_or_default().trim().as_bytes().chunks(2);
    let digits = digits.map(|pair| core::str::from_utf8(pair).unwrap_or_default());
    digits
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}

/// The attributes of each message.
fn attributes(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    Messages::new(datagram)
        .flatten()
        .filter_map(|message| match message.body() {
            Ok(Body::Generic { attributes, .. }) => Some(attributes),
            _ => None,
        })
}

/// Visits every attribute of a destination message and looks at none; nests are entered.
fn walk(bytes: &[u8], nests: &[&[u16]]) -> usize {
    let mut count = 0;
    for attribute in NlasIterator::new(bytes).flatten() {
        count += 1;
        if let Some((numbers, deeper)) = nests.split_first()
            && numbers.contains(&attribute.kind())
        {
            count += walk(attribute.value(), deeper);
        }
    }
    count
}

fn encode(criterion: &mut Criterion) {
    let service = VirtualService::tcp(([192, 0, 2, 10], 80).into()).with_scheduler(Scheduler::Wrr);
    let destination = Destination::masquerade(([10, 0, 0, 1], 80).into());
    let key = service.key();
    let mut group = criterion.benchmark_group("encode");
    for (name, request) in [
        ("NEW_SERVICE", Request::from(Change::AddService(service))),
        (
            "NEW_DEST",
            Request::from(Change::AddDestination(key, destination)),
        ),
    ] {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        encode_request(&mut buffer, FAMILY, 1, &request);
        let finished = buffer.to_vec();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                buffer.clear();
                encode_request(&mut buffer, FAMILY, 1, black_box(&request));
                black_box(&buffer);
            });
        });
        group.bench_function(format!("{name}, floor: copy"), |bencher| {
            bencher.iter(|| {
                buffer.clear();
                buffer.extend_from_slice(black_box(&finished));
                black_box(&buffer);
            });
        });
    }
}

fn decode(criterion: &mut Criterion) {
    let destinations = recorded("destinations-web.0");
    let services = recorded("services.0");
    let mut group = criterion.benchmark_group("decode a dump of four");
    group.throughput(Throughput::Elements(4));
    group.bench_function("destinations, borrowed", |bencher| {
        bencher.iter(|| {
            for attributes in attributes(black_box(&destinations)) {
                let _ = black_box(DestinationView::read(attributes, Family::Inet, 20));
            }
        });
    });
    group.bench_function("destinations, values", |bencher| {
        bencher.iter(|| {
            for attributes in attributes(black_box(&destinations)) {
                let view = DestinationView::read(attributes, Family::Inet, 20);
                let _ = black_box(view.map(|view| view.to_entry()));
            }
        });
    });
    group.bench_function(
        "destinations, peer: walk of netlink-packet-core",
        |bencher| {
            bencher.iter(|| {
                for attributes in attributes(black_box(&destinations)) {
                    black_box(walk(attributes, &[&[top::DEST], &[destination::STATS64]]));
                }
            });
        },
    );
    group.bench_function("services, borrowed", |bencher| {
        bencher.iter(|| {
            for attributes in attributes(black_box(&services)) {
                let _ = black_box(ServiceView::read(attributes, 20));
            }
        });
    });
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);

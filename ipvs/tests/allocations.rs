//! In steady state nothing is allocated: not for a request, not for an entry of a dump.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use allocation_counter::measure;
use bytes::BytesMut;
use lvs_ipvs::procfs::Connections;
use lvs_ipvs::wire::{DestinationView, FamilyId, Messages, ServiceView, encode_request};
use lvs_ipvs::{Change, Destination, Family, Persistence, Query, Request, VirtualService};

fn recorded(name: &str) -> Vec<u8> {
    let recording = include_str!("data/linux-6.1.176.txt");
    let line = recording
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    let digits = line.trim().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The attributes of each message of a datagram.
fn attributes(datagram: &[u8]) -> Vec<&[u8]> {
    Messages::new(datagram)
        .map(|message| match message.unwrap().body().unwrap() {
            lvs_ipvs::wire::Body::Generic { attributes, .. } => attributes,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn encoding_a_request_allocates_nothing() {
    let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap())
        .with_persistence(Persistence::new(300));
    let destination = Destination::masquerade("10.0.0.1:80".parse().unwrap());
    let requests: [Request; 4] = [
        Change::AddDestination(service.key(), destination).into(),
        Change::RemoveService(service.key()).into(),
        Query::Services.into(),
        Change::AddService(service).into(),
    ];
    let mut buffer = BytesMut::with_capacity(4096);
    let count = measure(|| {
        for (sequence, request) in (0..).zip(&requests) {
            encode_request(&mut buffer, FamilyId::new(28), sequence, request);
        }
    });
    assert_eq!(count.count_total, 0);
    assert!(buffer.len() > 300);
}

#[test]
fn decoding_an_entry_allocates_nothing() {
    let destinations = recorded("destinations-web.0");
    let services = recorded("services.0");
    let (destinations, services) = (attributes(&destinations), attributes(&services));
    let mut weights = 0;
    let count = measure(|| {
        for attributes in &destinations {
            let view = DestinationView::read(attributes, Family::Inet, 20).unwrap();
            weights += view.weight();
            // The value too: it allocates only for attributes of a newer kernel.
            weights += view.to_entry().destination.weight();
        }
        for attributes in &services {
            let view = ServiceView::read(attributes, 20).unwrap();
            weights += u32::from(view.to_entry().service.key() == view.key());
        }
    });
    assert_eq!(count.count_total, 0);
    assert_eq!(weights, 2 * (1 + 1 + 3) + 4);
}

#[test]
fn reading_a_row_of_a_file_allocates_nothing() {
    let text = include_str!("data/procfs-6.1.176/ip_vs_conn");
    // The first row makes the buffer, for the longest line there is.
    let long = format!("{}\n{text}", "x".repeat(1024));
    let mut long_first = Connections::new(long.as_bytes());
    long_first.next_row().unwrap().unwrap_err();
    let (mut active, mut owned) = (0, 0);
    let count = measure(|| {
        // The captions are not on the first line there.
        long_first.next_row().unwrap().unwrap_err();
    });
    assert!(count.count_total > 0, "an error has its text");
    let count = measure(|| {
        while let Some(row) = long_first.next_row() {
            let row = row.unwrap();
            active += u32::from(row.connection.state.is_active());
            // Nor does the value, but for an engine's data.
            if row.connection.engine.is_none() {
                owned += u32::from(row.to_connection().is_template());
            }
        }
    });
    assert_eq!(count.count_total, 0);
    assert_eq!((active, owned), (5, 6));
}

//! Frames built and checked by other programs, both ways: parsed, they give the listed value or the
//! listed reason; the value, written again, gives the frame.
//!
//! The vectors are in `tests/data/vrrp-vectors.json`: complete Ethernet frames without check
//! sequence, built with Scapy 2.8.0, checked with tshark 4.0.17, tcpdump 4.99.3 and OpenSSL.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod announcements;
mod emitted;
mod received;
mod vector;

/// Each vector is used in every direction it allows: none is left out by mistake.
#[test]
fn every_vector_is_used_both_ways() {
    let vectors = vector::all();
    assert_eq!(vectors.len(), 55);
    let used = [
        received::accepted().len() + received::rejected().len(),
        announcements::both_ways().len(),
    ];
    assert_eq!(used.iter().sum::<usize>(), vectors.len());
    let counts = emitted::counts();
    println!("emitted: {counts:?}");
    assert_eq!(
        counts.values().sum::<usize>() + announcements::both_ways().len(),
        55
    );
}

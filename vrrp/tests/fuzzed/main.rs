//! What the fuzz targets check, run quickly on the vectors with a few random changes and on random
//! bytes; `fuzz/` runs the same functions on whatever a fuzzer makes of them.
//!
//! Each crash that fuzzing finds becomes a test with a name of its own here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod node;
mod packet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The messages of the vectors, and their frames.
fn recorded() -> Vec<Vec<u8>> {
    let data = include_str!("../data/vrrp-vectors.json");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let vectors = data["vectors"].as_array().unwrap().iter();
    let texts = vectors.flat_map(|vector| [vector["message"].as_str(), vector["frame"].as_str()]);
    let bytes = |hex: &str| -> Vec<u8> {
        let places = (0..hex.len()).step_by(2);
        places
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    texts.flatten().map(bytes).collect()
}

/// One of them with a few bytes changed, or cut off.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), any::<u8>(), 0..4_u8);
    (select(recorded()), vec(change, 0..4)).prop_map(|(mut bytes, changes)| {
        for (place, value, what) in changes {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match what {
                0 => bytes.truncate(place),
                1 => bytes.push(value),
                _ => bytes[place] = value,
            }
        }
        bytes
    })
}

proptest! {
    /// `VRRP-203`, `VRRP-218`, `VRRP-219`
    #[test]
    fn changed_vectors_are_read_or_rejected(bytes in changed()) {
        packet::v2(&bytes);
        packet::v3_over_ipv4(&bytes);
        packet::v3_over_ipv6(&bytes);
    }

    /// `VRRP-219`
    #[test]
    fn random_bytes_are_read_or_rejected(bytes in vec(any::<u8>(), 0..200)) {
        packet::v2(&bytes);
        packet::v3_over_ipv4(&bytes);
        packet::v3_over_ipv6(&bytes);
    }
}

proptest! {
    /// `VRRP-206`, `VRRP-214`: invariants of a node over arbitrary packets, ticks, results of jobs,
    /// links, trackers, guards and configurations.
    #[test]
    fn a_node_keeps_its_promises(script in vec(any::<u8>(), 0..600)) {
        node::node(&script);
    }
}

#[test]
fn vectors_as_they_are_pass() {
    for bytes in recorded() {
        packet::v2(&bytes);
        packet::v3_over_ipv4(&bytes);
        packet::v3_over_ipv6(&bytes);
    }
}

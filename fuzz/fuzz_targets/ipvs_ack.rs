//! Any datagram, read as messages and acknowledgements.
//!
//! Try: `cargo +nightly fuzz run ipvs_ack`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/acknowledgement.rs"]
mod acknowledgement;

libfuzzer_sys::fuzz_target!(|data: &[u8]| acknowledgement::check(data));

//! Any answers to questions of NTP, RADIUS, SIP, SNMP and QUIC.
//!
//! Try: `cargo +nightly fuzz run check_exchanges`. `healthcheck/tests/parsers/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/parsers/exchanges.rs"]
mod exchanges;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exchanges::check(data));

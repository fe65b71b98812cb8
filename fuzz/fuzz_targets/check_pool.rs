//! Any history of a pool of destinations, beside a simple model.
//!
//! Try: `cargo +nightly fuzz run check_pool`. `healthcheck/tests/pool/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/pool/fuzzed.rs"]
mod fuzzed;
#[path = "../../healthcheck/tests/pool/input.rs"]
mod input;
#[path = "../../healthcheck/tests/pool/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::check(data));

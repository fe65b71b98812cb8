//! A command and any bytes as the attributes of a request.
//!
//! Try: `cargo +nightly fuzz run ipvs_request`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/request.rs"]
mod request;

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::check(data));

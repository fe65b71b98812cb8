//! Any order of requests, answers, garbage and failures in a session.
//!
//! Try: `cargo +nightly fuzz run session`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/session.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| session::check(data));

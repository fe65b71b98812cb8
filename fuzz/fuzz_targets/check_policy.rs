//! Any outcomes, real traffic, votes, new policies and times, beside the rules of the
//! specification, and a destination that is fed by them.
//!
//! Try: `cargo +nightly fuzz run check_policy`. `healthcheck/tests/policy/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/policy/fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::check(data));

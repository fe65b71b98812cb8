//! Any text as a scenario: read, written, read again, played back.
//!
//! Try: `cargo +nightly fuzz run scenario`. `schedulers/tests/scenario/` runs the same function.

#![no_main]

#[path = "../../schedulers/tests/scenario/fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|text: &str| fuzzed::check(text));

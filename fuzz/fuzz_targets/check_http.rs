//! Any reply of a web server: judged the same however it is cut.
//!
//! Try: `cargo +nightly fuzz run check_http`. `healthcheck/tests/http/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/http/fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::check(data));

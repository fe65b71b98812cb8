//! Any script of sending and expecting, with any server.
//!
//! Try: `cargo +nightly fuzz run check_expect`. `healthcheck/tests/parsers/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/parsers/expect.rs"]
mod expect;
#[path = "../../healthcheck/tests/parsers/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| expect::check(data));

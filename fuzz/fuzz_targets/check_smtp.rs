//! Any mail server.
//!
//! Try: `cargo +nightly fuzz run check_smtp`. `healthcheck/tests/parsers/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/parsers/smtp.rs"]
mod smtp;
#[path = "../../healthcheck/tests/parsers/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtp::check(data));

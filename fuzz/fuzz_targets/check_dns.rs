//! Any answers of a name server, over UDP and TCP.
//!
//! Try: `cargo +nightly fuzz run check_dns`. `healthcheck/tests/parsers/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/parsers/dns.rs"]
mod dns;
#[path = "../../healthcheck/tests/parsers/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns::check(data));

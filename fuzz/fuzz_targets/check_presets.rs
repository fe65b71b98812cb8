//! The beginnings of sessions with MySQL, PostgreSQL and LDAP, with any server.
//!
//! Try: `cargo +nightly fuzz run check_presets`. `healthcheck/tests/parsers/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/parsers/presets.rs"]
mod presets;
#[path = "../../healthcheck/tests/parsers/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| presets::check(data));

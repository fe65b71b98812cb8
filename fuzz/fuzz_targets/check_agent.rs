//! Any line of an agent.
//!
//! Try: `cargo +nightly fuzz run check_agent`. `healthcheck/tests/parsers/` runs the same function.

#![no_main]

#[path = "../../healthcheck/tests/parsers/agent.rs"]
mod agent;
#[path = "../../healthcheck/tests/parsers/talk.rs"]
mod talk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| agent::check(data));

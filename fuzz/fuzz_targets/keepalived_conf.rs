//! Any text as a keepalived.conf that may include itself.
//!
//! Try: `cargo +nightly fuzz run keepalived_conf -- -dict=fuzz/keepalived_conf.dict`.
//! `examples/director/tests/keepalived_property.rs` runs the same function.

#![no_main]

#[path = "../../examples/director/tests/reading/mod.rs"]
mod reading;

libfuzzer_sys::fuzz_target!(|text: &str| {
    reading::check(text);
});

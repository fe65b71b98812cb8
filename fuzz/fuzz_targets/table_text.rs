//! Any text as the rules of a table and as changes.
//!
//! Try: `cargo +nightly fuzz run table_text`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/table_text.rs"]
mod table_text;

libfuzzer_sys::fuzz_target!(|text: &str| table_text::check(text));

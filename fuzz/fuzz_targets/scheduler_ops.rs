//! Any operations on virtual services with any scheduler, beside the rules of the specification.
//!
//! Try: `cargo +nightly fuzz run scheduler_ops`. `schedulers/tests/operations/` runs the same function.

#![no_main]

#[path = "../../schedulers/tests/operations/fuzzed.rs"]
mod fuzzed;
#[path = "../../schedulers/tests/operations/literal.rs"]
mod literal;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::check(data));

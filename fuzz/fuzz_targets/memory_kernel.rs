//! Any datagrams from several sockets to the kernel in memory.
//!
//! Try: `cargo +nightly fuzz run memory_kernel`. `ipvs/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../ipvs/tests/fuzzed/memory_kernel.rs"]
mod memory_kernel;

libfuzzer_sys::fuzz_target!(|data: &[u8]| memory_kernel::check(data));

//! A node under any script of packets, ticks, job results, links, guards and configurations.
//!
//! Try: `cargo +nightly fuzz run vrrp_node`. `vrrp/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../vrrp/tests/fuzzed/node.rs"]
mod node;

libfuzzer_sys::fuzz_target!(|data: &[u8]| node::node(data));

//! Any bytes as a VRRPv3 message over IPv6, up the receive ladder and written again.
//!
//! Try: `cargo +nightly fuzz run vrrp_v3_v6`. `vrrp/tests/fuzzed/` runs the same function.

#![no_main]

#[path = "../../vrrp/tests/fuzzed/packet.rs"]
#[expect(dead_code, reason = "one function for each target")]
mod packet;

libfuzzer_sys::fuzz_target!(|data: &[u8]| packet::v3_over_ipv6(data));

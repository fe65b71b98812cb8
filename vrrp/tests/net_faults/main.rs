//! Faults that two drivers meet together, and for how long both hold the address.

#![cfg(all(feature = "tokio", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "what was measured is printed")]

#[path = "../network/mod.rs"]
mod network;
#[path = "../net_driver/process.rs"]
mod process;
#[expect(dead_code, reason = "each test program uses a part")]
#[path = "../net_driver/running.rs"]
mod running;

mod cut;
mod device;
mod killed;
mod overrun;
mod pair;
mod still;

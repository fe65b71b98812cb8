//! Drivers in network namespaces: two of ours share addresses.

#![cfg(all(feature = "tokio", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "what was measured is printed")]

#[path = "../network/mod.rs"]
mod network;

mod events;
mod faults;
mod hooks;
mod operations;
mod process;
mod ready;
mod removed;
mod running;
mod several;
mod takeover;

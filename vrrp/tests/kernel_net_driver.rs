//! Drivers with virtual MACs, in the kernel of the guest: not every machine has macvlan.

#![cfg(all(feature = "tokio", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "what was measured is printed")]

#[path = "net_driver/clock.rs"]
mod clock;
mod network;
#[path = "net_driver/process.rs"]
mod process;
#[path = "net_driver/virtual_mac.rs"]
mod virtual_mac;

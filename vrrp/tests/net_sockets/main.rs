//! Sockets between two network namespaces.

#![cfg(all(feature = "net", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../network/mod.rs"]
mod network;

mod packets;
mod privilege;

//! What a virtual router owes its neighbours (spec §2.9), as they see it: drivers with virtual MACs
//! in network namespaces, and a client that asks, and hears every frame of the segment.

#![cfg(all(feature = "net", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../network/mod.rs"]
mod network;
#[expect(dead_code, reason = "each test program uses a part")]
#[path = "../net_driver/running.rs"]
mod running;

mod accepting;
mod answers;
mod asking;
mod forwarding;
mod observer;
mod scene;

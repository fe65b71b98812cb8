//! Dialogues with real servers from Debian's packages, and with ones that misbehave, on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod agents;
mod checking;
mod databases;
#[path = "../support/first.rs"]
mod first;
#[cfg(feature = "dns")]
#[path = "../support/lateness.rs"]
mod lateness;
mod mail;
#[cfg(feature = "dns")]
mod names;
mod redis;
mod server;

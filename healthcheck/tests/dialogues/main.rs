//! Dialogues with real servers from Debian's packages, and with ones that misbehave, on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests, and figures"
)]

mod agents;
mod checking;
mod databases;
mod mail;
mod misbehaving;
#[cfg(feature = "dns")]
mod names;
mod redis;
mod server;

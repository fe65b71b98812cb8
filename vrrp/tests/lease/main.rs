//! The lease: each rule of arbitration, majorities, claims, policies, and simulated networks of
//! holders and stores with clocks of their own.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod arbitrary;
mod claims;
mod config;
mod guarded;
mod majority;
mod network;
mod rig;
mod rules;
mod schedules;
mod stores;
mod unreachable;

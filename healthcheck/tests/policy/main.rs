//! The policy against models that are written differently, over every string of verdicts, and row
//! by row against the tables of its specification.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod counter;
mod delays;
mod explore;
mod fuzzed;
mod haproxy;
mod inputs;
mod keepalived;
mod presets;

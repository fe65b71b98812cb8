//! Aggregates against the tables of their specification, and invariants under random inputs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conflicts;
mod pipeline;
mod random;
mod time;

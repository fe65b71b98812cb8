//! Pools: the tables of the rules row by row, and random histories beside simple models.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod conflict;
mod cost;
mod drain;
mod fuzzed;
mod guard;
mod input;
mod model;
mod properties;
mod quorum;
mod reload;
mod rig;
mod sorry;

//! The reconciler on a real kernel: among others who change the table, and with live connections.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_reconcile-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[path = "../reconcile_memory/arena.rs"]
mod arena;
#[path = "../reconcile_memory/courier.rs"]
mod courier;
mod download;
mod drain;
#[path = "../plan_properties/draining.rs"]
mod draining;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/expectation.rs"]
mod expectation;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/generate.rs"]
mod generate;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/model.rs"]
mod model;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../network/mod.rs"]
mod network;
mod order;
mod random;
#[path = "../plan_properties/settled.rs"]
mod settled;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/setup.rs"]
mod setup;

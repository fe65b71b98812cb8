//! Virtual routers of this project and of others on one network: who is Active, who holds the
//! address, and what a client believes.
//!
//! Each test makes a network of namespaces of its own ([`lab`]), starts two routers in it, and looks
//! at who holds the virtual address ([`holding`]), at the client's cache ([`neighbours`]) and at the
//! counters of both.

#![cfg(target_os = "linux")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and prints what it measured"
)]

mod cells;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../example/mod.rs"]
mod example;
mod frr;
mod holding;
mod host;
mod keepalived;
mod lab;
mod matrix;
mod neighbours;
mod program;
mod replay;
mod router;
mod scene;
mod settings;
mod vrrpd;

//! The director beside Debian's keepalived: the same file, the same failures, and then the same IPVS
//! table, the same VRRP states and the same addresses.
//!
//! Each side has a network of its own with real servers of its own ([`pair`]); the failures are
//! scripted, and after each one both sides have to settle on what is written here. What is compared:
//! all of `ipvsadm -S -n`, the addresses of the interface, and what is told of virtual routers, services and servers.
//!
//! Differences that are meant, and their rules (both sides are compared where they have settled):
//!
//! - What changes a pool does so in one step, and no pool is empty on the way: keepalived removes the
//!   real servers after it has added a sorry server, and adds them one by one (healthcheck §3.3).
//! - Scripts and lines of one service are run and written in order, one after the other; keepalived
//!   runs scripts beside each other (healthcheck §3.11).
//! - A table that others change is repaired; keepalived trusts its memory (ipvs-netlink §3.6).
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_side_by_side-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../../ipvs/tests/network/mod.rs"]
mod network;
mod pair;
mod pipe;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../program/mod.rs"]
mod program;
mod scenarios;
mod servers;

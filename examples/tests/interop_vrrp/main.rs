//! Virtual routers of this project and of others on one network: who is Active, who holds the
//! address, and what a client believes.
//!
//! Each test makes a network of namespaces of its own ([`lab`]), starts two routers in it, and looks
//! at who holds the virtual address ([`holding`]), at the client's cache ([`neighbours`]) and at the
//! counters of both. What the tests do is in [`cells`], with whom and how in [`matrix`]; recorded
//! advertisements are in [`replay`].
//!
//! For how long both routers hold the address, and for how long nobody does, is printed by each test
//! (`--show-output`). Both hold it
//!
//! * after one was killed: as long as the kernel keeps what it left, which is the lifetime of ours,
//!   and without end with the peers, so that the test takes them off the network;
//! * while what one sends does not arrive, and until the next advertisement that does;
//! * when a better router returns: keepalived and FRR install the address at once, so that both hold it
//!   until the first advertisement is heard, and the address removed; ours waits 5 ms for that, from
//!   when the advertisement has left, and nobody holds what another does unless the other takes longer.
//!   When each word left is taken from the wire ([`tap`]), and ours has the same 5 ms to remove the
//!   address, or what it was held up ([`stall`]);
//! * with different passwords.
//!
//! # Cells that are not there
//!
//! | Peer | What it cannot do | Instead |
//! |---|---|---|
//! | both | VRRPv2 with IPv6, which no standard has | |
//! | both | the checksum of VRRPv3 over IPv4 without pseudo-header: they refuse it | [`replay`] |
//! | both | VRRPv2 with less than a second from one advertisement to the next | cells with one second |
//! | keepalived 2.2.7 | unicast over IPv6 with a hop limit of 255: it sends 64 | we are set to bear 64 |
//! | FRR 8.4.4 | authentication, of either kind | keepalived only |
//! | FRR 8.4.4 | unicast | keepalived only |
//! | FRR 8.4.4 | the MAC of the interface: it needs a device with the virtual one | it has that in each cell |
//! | FRR 8.4.4 | announcements after both were Active | who was mute is the same, but not what the client has then |
//! | FRR 8.4.4 | counters of what it refuses, and of priority 0 | ours |
//! | FRR 8.4.4 | a skew time of less than a hundredth of a second, or parts of it | take-overs up to 10 ms early |

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
#[path = "../../../vrrp/tests/network/stall.rs"]
mod stall;
mod tap;
mod vrrpd;

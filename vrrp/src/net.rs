//! Virtual routers on Linux: raw sockets, addresses, announcements, and a driver that runs a
//! [`Node`](crate::node::Node) (feature `net`).
//!
//! # Privilege
//!
//! Raw sockets need CAP_NET_RAW, addresses and devices CAP_NET_ADMIN; where one is missing the
//! [`NetError`] names it.

pub mod clock;
mod error;

pub use error::{NetError, Operation};

//! Virtual routers on Linux: raw sockets, addresses, announcements, and a driver that runs a
//! [`Node`](crate::node::Node) (feature `net`).
//!
//! | Part | Does |
//! |---|---|
//! | [`Receiver`] | hears the advertisements of one interface and family, many per system call |
//! | [`Sender`] | sends packets from one device, many per system call |
//! | [`FrameSender`] | sends announcements as frames from one device |
//! | [`addresses`] | virtual addresses in the kernel: installed, renewed, removed |
//! | [`macvlan`] | devices with virtual MAC addresses |
//! | [`links`] | what interfaces there are, and what changes |
//! | [`sysctl`] | kernel settings that are in the way |
//!
//! # Privilege
//!
//! Raw sockets need CAP_NET_RAW, addresses and devices CAP_NET_ADMIN; where one is missing the
//! [`NetError`] names it.

pub mod addresses;
mod announce;
pub mod clock;
mod config;
mod driver;
mod error;
mod executor;
pub mod links;
pub mod macvlan;
mod netlink;
mod receive;
mod send;
pub mod sysctl;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "tokio")]
mod watched;

pub use announce::FrameSender;
pub use config::{AddressSetup, DriverConfig, DriverError, Lifetime, RouterSetup, VirtualMacSetup};
pub use driver::{
    Driver, DriverEvent, DriverEventKind, EventStream, Handle, RouterSnapshot, Snapshot,
};
pub use error::{NetError, Operation};
pub use executor::Hooks;
pub use receive::{Carrier, ReceiveBuffer, Receiver};
pub use send::{SendBatch, Sender};
#[cfg(feature = "tokio")]
pub use tokio::AsyncDriver;

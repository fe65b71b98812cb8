//! Virtual routers on Linux: raw sockets, addresses, announcements, and a driver that runs a
//! [`Node`](crate::node::Node) (feature `net`).
//!
//! # First minute
//!
//! A virtual router with 192.0.2.1, on the interface eth0:
//!
//! ```no_run
//! use lvs_vrrp::event::ShutdownMode;
//! use lvs_vrrp::net::{AddressSetup, Driver, DriverConfig, RouterSetup};
//! use lvs_vrrp::node::RouterId;
//! use lvs_vrrp::{AddressList, RouterConfig, Vrid};
//!
//! let address = "192.0.2.1".parse()?;
//! let router = RouterConfig::new(Vrid::try_from(51)?, AddressList::new([address])?);
//! let setup = RouterSetup::new("eth0", router)
//!     .with_address(address, AddressSetup::new().with_prefix_len(24));
//! let mut driver = Driver::new(DriverConfig::new().with_router(RouterId::new(1), setup))?;
//! driver.on_event(|event| println!("{:?}", event.kind));
//!
//! let handle = driver.handle();
//! std::thread::spawn(move || {
//!     std::thread::sleep(std::time::Duration::from_secs(60));
//!     // It resigns, and removes its address.
//!     handle.shutdown(ShutdownMode::Graceful)
//! });
//! driver.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | Part | Does |
//! |---|---|
//! | [`Driver`] | runs virtual routers on the calling thread; `AsyncDriver` does on a task of tokio |
//! | [`DriverConfig`] | what it runs: interfaces by name, virtual MACs, how addresses are installed |
//! | [`Handle`] | tells it something from other threads: stop, reload, trackers, guards, snapshots |
//! | [`Hooks`] | what a program does before addresses come and after they are gone (OP-1) |
//! | [`EventStream`], [`DriverEvent`] | what happens: one stream, in order, numbered; `AsyncEventStream` is for tasks |
//! | [`Receiver`] | hears the advertisements of one interface and family, many per system call |
//! | [`Sender`] | sends packets from one device, many per system call |
//! | [`FrameSender`] | sends announcements as frames from one device |
//! | [`addresses`] | virtual addresses in the kernel: installed, renewed, removed |
//! | [`macvlan`] | devices with virtual MAC addresses |
//! | [`links`] | what interfaces there are, and what changes |
//! | [`sysctl`] | kernel settings that are in the way |
//!
//! # When two have an address
//!
//! | After | Both have it |
//! |---|---|
//! | a resignation, a preemption, a link that goes down | not at all, if removing them takes less than the [5 ms](DriverConfig::with_gap) for which who takes over from a living router waits with its own; otherwise for what it takes longer, as where others configure the network |
//! | a process that was killed, or hangs | until their [lifetime](Lifetime) ends: the kernel removes them |
//! | a process that stood still | until it wakes up: it hears what came in, and gives way (OP-5) |
//! | a cut link | while it is cut: a [lease](mod@crate::lease) is the remedy |
//!
//! # Accept mode
//!
//! An address that is installed accepts packets. RFC 9568 by default wants those of who is no owner
//! not to (accept mode off): that takes a packet filter, which is the program's:
//! [`Hooks::data_plane`] has the rules. Who balances load wants them accepted, and no filter.
//!
//! # Threads
//!
//! | Thread | Does |
//! |---|---|
//! | the one that calls [`Driver::run`] | advertisements, their receipt, announcements, timers, notifications of links; opens sockets when interfaces appear or the configuration changes, which waits while others configure the network |
//! | `vrrp-addresses` | requests to the kernel about addresses and devices, which wait while others configure the network |
//! | `vrrp-links` | lists links and addresses when notifications of them were lost |
//! | `vrrp-hooks` | the program's [`Hooks`], if there are any |
//!
//! # Privilege
//!
//! Raw sockets need CAP_NET_RAW, addresses and devices CAP_NET_ADMIN; where one is missing the
//! [`NetError`] names it.

pub mod addresses;
mod announce;
mod claim;
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
pub use tokio::{AsyncDriver, AsyncEventStream};

//! Typed bindings for IPVS, the layer-4 load balancer in the Linux kernel.
//!
//! A program that embeds this crate can do what `ipvsadm` does, without running it: add, change,
//! remove and read virtual services and their destinations, zero counters, set timeouts, run the
//! connection synchronisation daemon. It speaks the kernel's generic netlink protocol, sends
//! many requests in one system call and reports an outcome for each.
//!
//! # The first minute
//!
//! The example needs neither privilege nor IPVS: it talks to a kernel in memory (feature
//! `memory`) that answers the same bytes. [`Client::connect`] in place of `Client::in_memory`
//! makes it the running kernel's table.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use lvs_ipvs::{Client, Destination, Scheduler, VirtualService};
//!
//! let mut ipvs = Client::in_memory()?; // Client::connect()? for the real one
//!
//! let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap()).with_scheduler(Scheduler::Wrr);
//! ipvs.add_service(&web)?;
//! for host in ["10.0.0.11:80", "10.0.0.12:80"] {
//!     let server = Destination::masquerade(host.parse().unwrap()).with_weight(3);
//!     ipvs.add_destination(web.key(), &server)?;
//! }
//!
//! for entry in ipvs.destinations(web.key())? {
//!     println!("{} has {} connections", entry.destination.key(), entry.active_connections);
//! }
//! # }
//! # Ok::<(), lvs_ipvs::Error>(())
//! ```
//!
//! # Should you use it?
//!
//! Yes, if your program decides where connections go and Linux should carry them: at the speed
//! of the kernel, with NAT, direct routing or tunnels, for TCP, UDP and SCTP, over IPv4 and IPv6.
//!
//! No, if you want HTTP routing, TLS or retries (use a proxy), another data plane than IPVS, or
//! only a command line: then `ipvsadm` and keepalived are there. And no in a rootless container:
//! over netlink the kernel wants `CAP_NET_ADMIN` in the *initial* user namespace.
//!
//! # What is where
//!
//! | You want to | Look at |
//! |---|---|
//! | program the kernel | [`Client`]; in an asynchronous program `tokio::Client` (feature `tokio`) |
//! | describe a service or a real server | [`VirtualService`], [`Destination`], [`Persistence`] |
//! | make sure of something whatever was before, or change one setting | [`Client::ensure_service`], [`Client::update_service`] and their like |
//! | send many changes together | [`Client::execute`], [`Report`] |
//! | read everything | [`Client::snapshot`], [`Client::for_each_with_destinations`], [`Snapshot`] |
//! | say what should be, and let differences be found | [`Table`], [`Plan`], [`Reconciler`] |
//! | see who is connected to which server | [`procfs::Connections`] |
//! | read and write rules as `ipvsadm` does | [`text`] |
//! | read and set what the kernel lets one tune | [`sysctl`] |
//! | do all that in another network namespace | [`Namespace`] |
//! | test without a kernel | `MemoryKernel` (feature `memory`) |
//! | know what went wrong | [`Error`], [`Reason`], [`ValidationError`] |
//! | put your own I/O around the protocol | [`session`], [`operation`], [`wire`] |
//!
//! # Features
//!
//! | Feature | Default | Adds | Pulls in |
//! |---|---|---|---|
//! | `neli` | yes | opens sockets with the neli crate, and with it the kernel's own words in errors (extended acknowledgements) | neli |
//! | `memory` | no | `MemoryKernel`, the kernel in memory with switchable generations and faults | nothing |
//! | `netlink-packet` | no | `packet_traits`: requests and replies as messages of the rust-netlink crates (genetlink, netlink-proto) | netlink-packet-generic |
//! | `tokio` | no | `tokio::Client`, the asynchronous client with the same methods and a say on cancellation | tokio (`net`, `rt`, `time`) |
//!
//! Without features the crate opens its sockets itself. No feature changes what another does.
//!
//! # What you can rely on
//!
//! - *Nothing panics* on what the kernel or a caller says: malformed messages are errors that
//!   name attribute and offset, wrong arguments errors that name field, value and limit. Fuzz
//!   targets and recorded messages with every bit flipped stand behind that.
//! - *Nothing is hidden*: no threads, no global state, no retries but those that say so
//!   ([`Client::snapshot`], [`Client::apply`], [`Client::ensure_service`] and its like).
//!   [`Namespace`] alone uses threads, which have ended when its methods return.
//! - *Nothing is guessed*: an answer lost to an overrun of the socket or a time-out is reported
//!   as an unknown outcome, and the client can be used on.
//! - *Nothing is allocated* for a request encoded, an entry decoded or a row of `/proc/net` read
//!   in steady state.
//! - *Nothing is dropped*: attributes of newer kernels are kept and sent back; unknown
//!   schedulers, flags and tunnel types are values.
//!
//! # What the kernel does not offer
//!
//! There are no notifications, so watching means polling. Dumps are not consistent: while
//! somebody else changes the table entries can be skipped or repeated, unmarked;
//! [`Client::snapshot`] reads until two readings agree. A batch is not a transaction. Counters
//! are up to 2 s old.
//!
//! # Platforms
//!
//! Linux only. The protocol is that of Linux 2.6.28 and later; behaviour is tested against a 6.1
//! kernel, and messages recorded from 6.1 and 7.2 are read.

mod address;
mod batch;
mod client;
mod config;
mod daemon;
mod destination;
mod error;
mod flags;
mod forwarding;
mod info;
mod invalid;
mod name;
mod namespace;
pub mod operation;
#[cfg(feature = "netlink-packet")]
pub mod packet_traits;
mod persistence;
mod plan;
pub mod procfs;
mod reconcile;
mod request;
mod scheduler;
mod service;
pub mod session;
mod snapshot;
mod stats;
pub mod sysctl;
mod table;
pub mod text;
#[cfg(feature = "tokio")]
pub mod tokio;
pub mod transport;
mod unknown;
pub mod validate;
pub mod wire;

pub use address::Family;
pub use batch::Report;
pub use client::{Client, Options};
pub use config::Timeouts;
pub use daemon::{DaemonRole, SyncDaemon};
pub use destination::{Destination, DestinationEntry, DestinationKey};
pub use error::{
    DecodeError, DecodeProblem, Error, ExtAck, NotSentCause, Reason, Rejected, RequestKind,
    UnknownCause,
};
pub use flags::{ServiceFlags, TunnelFlags};
pub use forwarding::{Encapsulation, Forwarding, TunnelType};
pub use info::{Info, IpvsVersion};
pub use invalid::{InvalidValue, ValidationError};
pub use name::{EngineName, InterfaceName, Name, SchedulerName};
pub use namespace::Namespace;
#[doc(inline)]
pub use operation::Ensured;
pub use persistence::{Persistence, PersistenceMask};
pub use plan::{
    Actual, Cause, Desired, DestinationOrder, Drain, OutOfOrder, Plan, PlanStep, Policy, Previous,
    Repair, Scope, Surplus,
};
pub use reconcile::{Adoption, Draining, Drift, Ledger, LedgerError, LedgerFile, Reconciler};
pub use request::{Change, Query, Request};
pub use scheduler::{OtherScheduler, Scheduler};
pub use service::{Protocol, ServiceEntry, ServiceKey, VirtualService};
#[doc(inline)]
pub use session::Outcome;
pub use snapshot::{Snapshot, SnapshotService};
pub use stats::{CounterWidth, Rates, Stats};
pub use table::{Table, TableService};
#[cfg(feature = "memory")]
pub use transport::memory::{Fault, Generation, Interface, MemoryKernel, MemorySocket};
pub use unknown::UnknownAttributes;

/// Time since boot on a clock that goes on while the machine sleeps (`CLOCK_BOOTTIME`).
///
/// What needs the time takes it as an argument; nothing in this crate's core reads a clock.
pub type Timestamp = core::time::Duration;

/// The README's example, so that it stays true.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../README.md")]
struct Readme;

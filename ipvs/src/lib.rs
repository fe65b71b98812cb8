//! Typed bindings for IPVS, the layer-4 load balancer of the Linux kernel.

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
mod name;
mod namespace;
pub mod operation;
mod persistence;
mod plan;
mod reconcile;
mod request;
mod scheduler;
mod service;
pub mod session;
mod snapshot;
mod stats;
mod table;
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
    DecodeError, DecodeProblem, Error, ExtAck, Reason, Rejected, RequestKind, UnknownCause,
};
pub use flags::{ServiceFlags, TunnelFlags};
pub use forwarding::{Encapsulation, Forwarding, TunnelType};
pub use info::{Info, IpvsVersion};
pub use name::{EngineName, InterfaceName, Name, SchedulerName};
pub use namespace::Namespace;
pub use persistence::{Persistence, PersistenceMask};
pub use plan::{Actual, Cause, Desired, Plan, PlanStep, Policy, Previous, Repair, Scope, Surplus};
pub use reconcile::Reconciler;
pub use request::{Change, Query, Request};
pub use scheduler::{OtherScheduler, Scheduler};
pub use service::{Protocol, ServiceEntry, ServiceKey, VirtualService};
pub use session::Outcome;
pub use snapshot::{Snapshot, SnapshotService};
pub use stats::{CounterWidth, Rates, Stats};
pub use table::{Table, TableService};
#[cfg(feature = "memory")]
pub use transport::memory::{Fault, Generation, Interface, MemoryKernel, MemorySocket};
pub use unknown::UnknownAttributes;
pub use validate::ValidationError;

/// Time since boot on a clock that goes on while the machine sleeps (`CLOCK_BOOTTIME`).
///
/// What needs the time takes it as an argument; nothing in this crate's core reads a clock.
pub type Timestamp = core::time::Duration;

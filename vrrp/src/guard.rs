//! The guard: a second condition for being Active, as a lease that only one router can hold.
//!
//! A [`Node`](crate::Node) and a [`Lease`](crate::Lease) have nothing to decide between them; what
//! one says the other is told:
//!
//! | What is said | What follows |
//! |---|---|
//! | [`JobKind::AcquireGuard`](crate::job::JobKind::AcquireGuard) | [`Lease::request`](crate::Lease::request) with its rank |
//! | [`JobKind::ReleaseGuard`](crate::job::JobKind::ReleaseGuard) | [`Lease::withdraw`](crate::Lease::withdraw) |
//! | [`LeaseEvent::Status`](crate::lease::LeaseEvent::Status) | [`Node::set_guard`](crate::Node::set_guard) |
//! | [`LeaseEvent::Yield`](crate::lease::LeaseEvent::Yield) | [`Node::yield_group`](crate::Node::yield_group) |
//! | [`Node::is_group_clear`](crate::Node::is_group_clear), after each step | [`Lease::addresses_gone`](crate::Lease::addresses_gone) |
//! | [`Node::group_rank`](crate::Node::group_rank), after each step | [`Lease::set_rank`](crate::Lease::set_rank) |
//!
//! ```
//! use core::time::Duration;
//! use lvs_vrrp::group::{GroupConfig, GroupId};
//! use lvs_vrrp::job::{JobKind, JobResult};
//! use lvs_vrrp::lease::{HolderId, LeaseEvent, MemoryStore};
//! use lvs_vrrp::node::{InterfaceConfig, NodeConfig, NodeRouter, RouterId};
//! use lvs_vrrp::{AddressList, InterfaceIndex, Lease, LeaseConfig, MacAddress, Node, RouterConfig};
//! use lvs_vrrp::{State, Timestamp, Vrid};
//!
//! /// Until neither has anything more to say.
//! fn step(now: Timestamp, node: &mut Node, group: GroupId, lease: &mut Lease, store: &mut MemoryStore) {
//!     node.tick(now);
//!     lease.tick(now);
//!     loop {
//!         while let Some(job) = node.poll_job() {
//!             match job.kind {
//!                 JobKind::AcquireGuard { rank, .. } => lease.request(now, rank),
//!                 JobKind::ReleaseGuard { .. } => lease.withdraw(now),
//!                 _ => {} // send, install, remove, …
//!             }
//!             node.complete(now, job.id, JobResult::Done);
//!         }
//!         if let Some(rank) = node.group_rank(group) {
//!             lease.set_rank(rank);
//!         }
//!         if node.is_group_clear(group) {
//!             lease.addresses_gone(now);
//!         }
//!         match lease.poll_event() {
//!             Some(LeaseEvent::Status(status)) => node.set_guard(now, group, status),
//!             Some(LeaseEvent::Yield(_)) => node.yield_group(now, group),
//!             Some(_) => {} // for the log
//!             None => break,
//!         }
//!     }
//!     while let Some(job) = lease.poll_job() {
//!         // Over the network this takes a while, and goes on here when the answer comes.
//!         lease.answer(now, job.id, store.handle(now, &job.request));
//!     }
//! }
//!
//! let (lan, id, group) = (InterfaceIndex::new(2), RouterId::new(1), GroupId::new(1));
//! let mac = MacAddress::new([2, 0, 0, 0, 0, 1]);
//! let router = RouterConfig::new(Vrid::try_from(51)?, AddressList::new(["192.0.2.1".parse()?])?);
//! let timing = [300, 700].map(Duration::from_millis);
//! let config = LeaseConfig::new(Duration::from_secs(10), timing[0], timing[1])?;
//! let guarded = GroupConfig::new([id]).with_guard(config.request_timeout());
//! let mut node = Node::new(
//!     NodeConfig::new()
//!         .with_interface(lan, InterfaceConfig::new(mac).up(["192.0.2.9".parse()?]))
//!         .with_router(id, NodeRouter::new(lan, router))
//!         .with_group(group, guarded),
//! )?;
//! let mut lease = Lease::new(config, HolderId::new(0x5eed));
//! let mut store = MemoryStore::new();
//!
//! let mut now = Duration::from_secs(60);
//! while now < Duration::from_secs(90) {
//!     step(now, &mut node, group, &mut lease, &mut store);
//!     let deadlines = [node.next_deadline(), lease.next_deadline()];
//!     now = deadlines.into_iter().flatten().min().unwrap().max(now);
//! }
//! assert_eq!(node.state(id), Some(State::Active));
//! assert_eq!(store.holder(), Some(HolderId::new(0x5eed)));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::timer::Timestamp;

/// Whether this router may be Active, as whoever arbitrates says.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum GuardStatus {
    /// It may, until then: at that time it must have begun to stop.
    Held {
        /// From when on it may not, unless it is told otherwise before.
        until: Timestamp,
        /// Which grant this is: a number that grows with each holder, for whoever checks it.
        epoch: u64,
    },
    /// Nobody holds the guard.
    Free,
    /// Another router holds it.
    HeldByOther,
    /// The arbiter cannot be asked. This never lets a router become Active (`VRRP-217`).
    #[default]
    Unknown,
}

impl GuardStatus {
    /// Whether it is held now.
    #[must_use]
    pub fn is_held_at(self, now: Timestamp) -> bool {
        matches!(self, Self::Held { until, .. } if now < until)
    }
}

//! What a [`Node`](crate::node::Node) wants done, and how it is told whether that happened.
//!
//! Every job has an id, and its result goes into [`Node::complete`](crate::node::Node::complete).
//! Address work waits for it; for most others a failure is reported.
//!
//! | Job | While it takes long | If it fails |
//! |---|---|---|
//! | send | others go on | reported |
//! | prepare | the addresses wait; advertisements and everybody else go on | steps down, tries again later |
//! | install, change | announcements and the notification wait | steps down, removes what may be there, tries again later |
//! | establish | the notification waits; if it stops meanwhile, addresses are removed at once, settling waits | reported; goes on, as the addresses are served |
//! | remove | resignation, guard and notification wait; reported as a breach after a time | a breach: reported, tried again; the guard is kept |
//! | settle | guard and notification wait | reported; goes on, as the addresses are gone |
//! | data plane, announce, acquire, release | nothing waits | reported |
//! | notify | nothing waits | nothing: there is nobody else to be told |
//!
//! A job that is never answered holds back what waits for it for ever: a node sets no time limit to
//! jobs, as only whoever does them knows whether they are still under way. For Establish that means:
//! when the router stops, its addresses are removed and it resigns, but Settle does not come, the
//! guard is not given back, the router is not told as Backup, gets no addresses when it is
//! Active again, and [`Node::is_idle`](crate::node::Node::is_idle) stays false, until there is an
//! answer. Whoever may wait for others in there, as for a command, limits that time and answers
//! [`Failed`](JobResult::Failed) after it: then everything goes on.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use crate::address::InterfaceIndex;
use crate::codec::ArpOperation;
use crate::event::DataPlane;
use crate::group::GroupId;
use crate::interval::Interval;
use crate::node::{Report, RouterId};
use crate::priority::{Priority, Rank};
use crate::version::Version;

/// Which job a result is for. Numbers grow and are never used twice by a node.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobId(pub(crate) u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Something to be done by whoever drives a node.
#[expect(clippy::exhaustive_structs, reason = "an id and what it is for")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// For [`Node::complete`](crate::node::Node::complete).
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
}

/// What is to be done.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobKind {
    /// Send an advertisement, to each of
    /// [`Node::destinations`](crate::node::Node::destinations); build it at that moment with
    /// [`Node::emit_packet`](crate::node::Node::emit_packet).
    Send(SendJob),
    /// Make everything ready that must be there before the addresses are, such as the IPVS table
    /// (OP-1).
    Prepare {
        /// The router.
        router: RouterId,
    },
    /// Install these addresses, which are not there yet. Those that are there anyway are no failure.
    InstallAddresses {
        /// The router.
        router: RouterId,
        /// Where.
        interface: InterfaceIndex,
        /// The difference to what is installed.
        addresses: Vec<IpAddr>,
    },
    /// Install some and remove others, as the configuration changed.
    ChangeAddresses {
        /// The router.
        router: RouterId,
        /// Where.
        interface: InterfaceIndex,
        /// To be installed first.
        install: Vec<IpAddr>,
        /// To be removed then.
        remove: Vec<IpAddr>,
    },
    /// Remove these addresses, of which all, some or none are there. Those that are gone anyway are
    /// no failure.
    RemoveAddresses {
        /// The router.
        router: RouterId,
        /// Where.
        interface: InterfaceIndex,
        /// What was installed, or may have been.
        addresses: Vec<IpAddr>,
    },
    /// Do what follows a take-over before it counts as done, such as making the sync daemon *master*
    /// (OP-1): the addresses are there, and all frames of the first round of announcements were
    /// handed out. The notification that the router is Active comes after. It has to be answered some
    /// day, whatever becomes of the router: neither Settle nor the guard's release come before that.
    Establish {
        /// The router.
        router: RouterId,
    },
    /// Undo what was prepared and established, as the addresses are gone (OP-1): the sync daemon
    /// stops being *master* and becomes *backup* again. Comes also if either was never done, or
    /// failed; never while one of them is under way.
    Settle {
        /// The router.
        router: RouterId,
    },
    /// Make the data plane behave like this.
    DataPlane {
        /// The router.
        router: RouterId,
        /// The behaviour.
        plane: DataPlane,
    },
    /// Send one frame of announcement; build it with
    /// [`Node::emit_announcement`](crate::node::Node::emit_announcement).
    Announce(Announcement),
    /// Ask the arbiter for the guard of this group; the answer goes into
    /// [`Node::set_guard`](crate::node::Node::set_guard).
    AcquireGuard {
        /// The group.
        group: GroupId,
        /// What it claims the guard with, as of this moment:
        /// [`Node::group_rank`](crate::node::Node::group_rank).
        rank: Rank,
    },
    /// Give the guard of this group back.
    ReleaseGuard {
        /// The group.
        group: GroupId,
    },
    /// Tell whoever wants to know.
    Notify(Report),
}

/// An advertisement to be sent; the packet is built when it is sent, never before (`VRRP-102`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SendJob {
    pub(crate) key: usize,
    pub(crate) router: RouterId,
    pub(crate) interface: InterfaceIndex,
    pub(crate) priority: Priority,
    pub(crate) interval: Interval,
    pub(crate) version: Version,
}

impl SendJob {
    /// The router that advertises.
    #[must_use]
    pub const fn router(&self) -> RouterId {
        self.router
    }

    /// Where it is sent.
    #[must_use]
    pub const fn interface(&self) -> InterfaceIndex {
        self.interface
    }

    /// Its priority; 0 resigns.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Its interval.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }
}

/// One frame of gratuitous ARP, or one unsolicited neighbour advertisement.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Announcement {
    pub(crate) key: usize,
    pub(crate) router: RouterId,
    pub(crate) interface: InterfaceIndex,
    pub(crate) address: IpAddr,
    pub(crate) operation: ArpOperation,
    /// It is the address from which the router advertises, not a virtual one.
    pub(crate) is_source: bool,
    /// The last frame of a round.
    pub(crate) ends_round: bool,
}

impl Announcement {
    /// The router whose address it is.
    #[must_use]
    pub const fn router(&self) -> RouterId {
        self.router
    }

    /// Where it is sent.
    #[must_use]
    pub const fn interface(&self) -> InterfaceIndex {
        self.interface
    }

    /// The address announced.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether it is the address from which a router with unicast peers advertises, announced with
    /// the interface's own MAC when the router starts, and not a virtual address.
    #[must_use]
    pub const fn is_source(&self) -> bool {
        self.is_source
    }
}

/// Whether a job was done.
#[expect(clippy::exhaustive_enums, reason = "it was, or it was not")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum JobResult {
    /// It is done, whole.
    Done,
    /// It is not, or not wholly, or nobody knows.
    Failed,
}

//! What a virtual router is told, and what it wants done.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::guard::GuardStatus;
use crate::interval::Interval;
use crate::priority::{Priority, Rank};
use crate::receive::{Accepted, Versions};
use crate::timer::Timestamp;
use crate::version::Version;

/// Something that happened to a virtual router.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// It is to run: interface, source address and virtual addresses are there. It leaves
    /// [`State::Initialize`], and nothing else does (`VRRP-052`).
    Startup,
    /// It is to stop.
    Shutdown(ShutdownMode),
    /// It cannot run: it goes to [`State::Initialize`] for this reason, until
    /// [`Startup`](Self::Startup).
    Fault(InitReason),
    /// An advertisement passed the receive ladder.
    Advert(HeardAdvert),
    /// Time has passed. Early or twice it does nothing (`VRRP-206`).
    Tick,
    /// What trackers add to the base priority, in sum, has changed. The effective priority is
    /// [`RouterConfig::effective_priority`](crate::config::RouterConfig::effective_priority).
    Contribution(i64),
    /// The address from which it advertises is now this, or is gone: the latter is a
    /// [`Fault`](Self::Fault) of [`InitReason::NoSource`].
    Source(Option<IpAddr>),
    /// What the arbiter says has changed.
    Guard(GuardStatus),
    /// It is to give way though nobody won an election against it: another member of its group did,
    /// or somebody with a better claim waits for the guard.
    Yield,
    /// The process was stopped for long, and the clock may not show it: the snapshot of a virtual
    /// machine was resumed, say. Pauses that the clock shows need no such event.
    Stalled,
}

/// An advertisement as the state machine sees it.
#[expect(
    clippy::exhaustive_structs,
    reason = "what the tables of the RFCs look at; made by callers"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct HeardAdvert {
    /// When it was received; the deadlines count from here (`VRRP-207`).
    pub received_at: Timestamp,
    /// Where it came from.
    pub source: IpAddr,
    /// Its priority.
    pub priority: Priority,
    /// Its interval.
    pub interval: Interval,
    /// Its version.
    pub version: Version,
}

impl From<&Accepted<'_>> for HeardAdvert {
    fn from(accepted: &Accepted<'_>) -> Self {
        Self {
            received_at: accepted.received_at,
            source: accepted.source,
            priority: accepted.advertisement.priority,
            interval: accepted.advertisement.interval,
            version: accepted.advertisement.version,
        }
    }
}

/// How a virtual router stops. One that is Backup says nothing in any mode.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ShutdownMode {
    /// It resigns, then removes its addresses: the order of the RFCs. With a guard it is
    /// [`ReleaseFirst`](Self::ReleaseFirst).
    #[default]
    Graceful,
    /// It removes its addresses, then resigns.
    ReleaseFirst,
    /// It leaves addresses and neighbours as they are, and says nothing: another process goes on
    /// here with [`VirtualRouter::resume`](crate::machine::VirtualRouter::resume), or
    /// [`Node::resume`](crate::node::Node::resume), before the Backups time out. A guard is not
    /// released.
    Handover,
    /// It removes its addresses and says nothing: the Backups have to time out.
    Abrupt,
}

/// State of a virtual router. RFC 9568 §6.3; the Active was called master before.
#[expect(clippy::exhaustive_enums, reason = "the RFCs have these three")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum State {
    /// It does not run; the reason is an [`InitReason`].
    #[default]
    Initialize,
    /// It waits for the silence of the Active.
    Backup,
    /// It forwards, answers for the virtual addresses and advertises.
    Active,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
        })
    }
}

/// Why a virtual router does not run.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum InitReason {
    /// It was not started yet.
    #[default]
    NotStarted,
    /// It was shut down.
    Shutdown,
    /// Another process went on with it.
    HandedOver,
    /// The interface is down.
    InterfaceDown,
    /// There is no address from which it can advertise (`VRRP-007`).
    NoSource,
    /// There is no virtual address.
    NoVirtualAddresses,
    /// A tracker without weight has failed.
    Tracker,
    /// Another member of its group cannot run.
    Group,
    /// Its addresses could not be prepared or installed.
    AddressWork,
}

/// Something to be done, in the order in which actions come.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send this advertisement, made from the configuration of this moment.
    SendAdvert(SendAdvert),
    /// Install all virtual addresses, those not advertised too.
    InstallAddresses,
    /// Make the installed addresses those of the new configuration, by the difference.
    ChangeAddresses,
    /// Remove all virtual addresses. Reporting the transition and releasing the guard, which
    /// follow, wait until this is done.
    RemoveAddresses,
    /// Announce addresses: gratuitous ARP, unsolicited neighbour advertisements.
    Announce(Announce),
    /// Send no more of the announcements that are still to come.
    CancelAnnouncements,
    /// Make the data plane behave like this.
    DataPlane(DataPlane),
    /// Get the guard: until it is granted, or [`ReleaseGuard`](Self::ReleaseGuard). It comes again
    /// while there is no answer.
    RequestGuard,
    /// Give the guard back, and ask no more for it.
    ReleaseGuard,
    /// Tell whoever wants to know.
    Notify(Notification),
}

/// An advertisement to be sent.
#[expect(clippy::exhaustive_structs, reason = "what the machine decides of it")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SendAdvert {
    /// Its priority; 0 to resign.
    pub priority: Priority,
    /// Its interval; VRRPv2 says it in seconds, rounded up.
    pub interval: Interval,
    /// One advertisement of this version, or one of each.
    pub versions: Versions,
}

/// Which announcements are to be made, and why.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Announce {
    /// All addresses: the router became Active.
    BecameActive,
    /// All addresses, again: another router advertised too, and neighbours may have learned it.
    LosingAdvert,
    /// All addresses, again: the router was silent for long, and another may have been Active.
    AfterStall,
    /// The addresses that were added by a change of the configuration.
    Added,
}

/// How the data plane treats the virtual addresses. RFC 9568 §6.4.2, §6.4.3.
///
/// Whatever it says, neighbour solicitations and advertisements are never dropped (`VRRP-047`).
#[expect(clippy::exhaustive_structs, reason = "the switches the RFCs name")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct DataPlane {
    /// Answer ARP requests and neighbour solicitations for them with the virtual MAC, be a member of
    /// their solicited-node groups, forward what comes to the virtual MAC. Otherwise none of these.
    pub serves: bool,
    /// Accept packets to them.
    pub accepts: bool,
    /// Send router advertisements (IPv6).
    pub router_advertisements: bool,
}

/// What a virtual router reports.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notification {
    /// It is in another state.
    Transition(Transition),
    /// Its effective priority is another.
    Priority {
        /// Until now.
        from: Priority,
        /// From now on.
        to: Priority,
    },
    /// While Active it heard an advertisement that loses: there were two Active routers.
    LosingAdvert(Rank),
    /// While Active it heard its own address and priority: another router has our address, or our
    /// packet came back (`VRRP-209`).
    DuplicatePrimaryAddress(IpAddr),
    /// It owns the addresses, and so says another router (`VRRP-128`).
    OwnerConflict(IpAddr),
    /// It became Active and heard a better advertisement within an interval: intervals are too short
    /// for the queues on the way. RFC 9568 §2.5 (`VRRP-137`).
    Flap(Rank),
    /// It adopted an interval more than ten times its own: it would wait long for the next failure.
    LongInterval(Interval),
    /// Between two of its advertisements passed so much time that another may have taken over.
    Stalled {
        /// How much; zero where only the caller knows.
        gap: Duration,
    },
    /// It was to become Active too often, and waits ([`PromotionLimit`](crate::profile::PromotionLimit)).
    PromotionRefused,
    /// It did not believe a resignation of somebody who was not Active.
    ResignationIgnored(IpAddr),
    /// It speaks both versions and the Active sends only VRRPv3: routers of VRRPv2 do not hear it
    /// (`VRRP-135`).
    ActiveWithoutV2(IpAddr),
    /// It speaks both versions, at an interval below a second, and a router of VRRPv2 alone has a
    /// higher priority. RFC 9568 §8.4.2.1.1 (`VRRP-136`).
    V2AboveFastV3(Rank),
}

/// A change of state.
#[expect(
    clippy::exhaustive_structs,
    reason = "what RFC 8347 wants to know of a transition"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Transition {
    /// The state left.
    pub from: State,
    /// The state entered.
    pub to: State,
    /// What led to it.
    pub event: LastEvent,
    /// Why it is Active, if that is the state entered.
    pub reason: NewActiveReason,
    /// The effective priority.
    pub priority: Priority,
}

/// Why a router became Active the last time: `new-master-reason` of RFC 8347 (`VRRP-142`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum NewActiveReason {
    /// It never was: `not-master`.
    #[default]
    NotActive,
    /// It owns the addresses, or the Active resigned: `priority`.
    Priority,
    /// It preempted a router of lower priority: `preempted`.
    Preempted,
    /// The Active was silent: `master-no-response`.
    NoResponse,
}

/// The last event that changed the state: `last-event` of RFC 8347, and ours.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LastEvent {
    /// None yet.
    #[default]
    None,
    /// It was started.
    Startup,
    /// It was shut down.
    Shutdown,
    /// While Active it heard a router of higher rank.
    HigherPriorityBackup,
    /// The Active was silent, or has resigned.
    ActiveTimeout,
    /// The interface came up.
    InterfaceUp,
    /// The interface went down.
    InterfaceDown,
    /// The address to advertise from has gone.
    NoPrimaryAddress,
    /// There is an address to advertise from.
    PrimaryAddress,
    /// The virtual addresses have gone.
    NoVirtualAddresses,
    /// There are virtual addresses.
    VirtualAddresses,
    /// The preempt hold against an Active of lower priority has ended.
    PreemptHoldTimeout,
    /// An Active of lower priority was preempted.
    LowerPriorityActive,
    /// The owner of the addresses preempted.
    OwnerPreempt,
    /// Ours: a tracker failed or recovered.
    Tracker,
    /// Ours: its group failed or recovered.
    Group,
    /// Ours: its addresses could not be prepared or installed.
    AddressWork,
    /// Ours: it gave way with its group, or to a better claim ([`Event::Yield`]).
    Yielded,
    /// Ours: the guard was lost.
    GuardLost,
    /// Ours: it stepped down after a pause.
    Stalled,
    /// Ours: it handed over since its priority fell.
    FastHandover,
    /// Ours: another process goes on, or this one did.
    Handover,
}

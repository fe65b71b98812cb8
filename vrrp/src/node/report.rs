//! What a node tells whoever wants to know: one stream, in order, numbered, of bounded length.

use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;

use super::RouterId;
use crate::address::{Family, InterfaceIndex};
use crate::event::{Notification, Transition};
use crate::receive::{Observation, Reason};
use crate::timer::Timestamp;
use crate::vrid::Vrid;

/// Something that was to be told (`VRRP-140`).
#[expect(clippy::exhaustive_structs, reason = "when, of what, and what")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Report {
    /// Grows by one with each report; where some are missing, they were merged or dropped.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Of what.
    pub subject: Subject,
    /// What.
    pub kind: ReportKind,
}

/// What a report is about.
#[expect(clippy::exhaustive_structs, reason = "the key of a virtual router")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Subject {
    /// The virtual router, if it is one of ours.
    pub router: Option<RouterId>,
    /// The interface.
    pub interface: InterfaceIndex,
    /// The family.
    pub family: Family,
    /// The virtual router id, if it is known: of a packet that was dropped for something else, the one
    /// it names, as far as that can be read.
    pub vrid: Option<Vrid>,
}

/// What is reported.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReportKind {
    /// A virtual router says so. Transitions come when all that belongs to them is done: to Active
    /// when the addresses are there and established, from Active when they are gone and settled. One
    /// to Active whose addresses never came is not told, but goes into the next one.
    ///
    /// Transitions and priorities are told always; others at first sight, then as often as drops.
    Router(Notification),
    /// The same again, and not for the first time since the last report.
    Repeated {
        /// The last.
        notification: Notification,
        /// How many more there were since the last report.
        suppressed: u64,
    },
    /// A packet was dropped: at first sight, then once per
    /// [`report_interval`](super::Settings::report_interval), with the next one or when that is over
    /// (`VRRP-094`).
    Rejected {
        /// Why.
        reason: Reason,
        /// From where, if that could be read.
        source: Option<IpAddr>,
        /// How many more there were since the last report.
        suppressed: u64,
    },
    /// Something odd about a packet that was not dropped for it, as often.
    Observed {
        /// What.
        observation: Observation,
        /// From where.
        source: IpAddr,
        /// How many more there were since the last report.
        suppressed: u64,
    },
    /// An advertisement was right, and one too many ([`FloodLimit`](super::FloodLimit)); as often.
    Flooded {
        /// How many more there were since the last report.
        suppressed: u64,
    },
    /// An advertisement could not be sent; as often.
    SendFailed {
        /// How many more there were since the last report.
        suppressed: u64,
    },
    /// What must be there before the addresses could not be prepared: it steps down.
    PrepareFailed,
    /// Addresses could not be installed: it steps down.
    InstallFailed,
    /// Addresses that were there are gone and could not be brought back: it steps down.
    AddressesLost,
    /// A breach: addresses could not be removed, and may still be answered for.
    RemoveFailed,
    /// A breach: removing addresses takes longer than it may.
    RemoveLate,
    /// What follows a take-over could not be done; the addresses are there, and it goes on.
    EstablishFailed,
    /// What was prepared could not be undone; the addresses are gone.
    SettleFailed,
    /// A job that nothing waits for failed; as often.
    JobFailed {
        /// Which.
        job: OtherJob,
        /// How many more there were since the last report.
        suppressed: u64,
    },
}

/// A job that nothing waits for, but for advertisements.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OtherJob {
    /// [`JobKind::DataPlane`](crate::job::JobKind::DataPlane)
    DataPlane,
    /// [`JobKind::Announce`](crate::job::JobKind::Announce)
    Announce,
    /// [`JobKind::AcquireGuard`](crate::job::JobKind::AcquireGuard); reported of a member of the group.
    AcquireGuard,
    /// [`JobKind::ReleaseGuard`](crate::job::JobKind::ReleaseGuard); reported of a member of the group.
    ReleaseGuard,
}

impl ReportKind {
    /// The same, with this number of those that were not reported; others have none.
    pub(super) const fn with_suppressed(mut self, count: u64) -> Self {
        match &mut self {
            Self::Router(notification) if count > 0 => {
                return Self::Repeated {
                    notification: *notification,
                    suppressed: count,
                };
            }
            Self::Repeated { suppressed, .. }
            | Self::Rejected { suppressed, .. }
            | Self::Observed { suppressed, .. }
            | Self::Flooded { suppressed }
            | Self::SendFailed { suppressed }
            | Self::JobFailed { suppressed, .. } => *suppressed = count,
            _ => {}
        }
        self
    }

    const fn transition(&mut self) -> Option<&mut Transition> {
        match self {
            Self::Router(Notification::Transition(transition)) => Some(transition),
            _ => None,
        }
    }

    const fn is_transition(&self) -> bool {
        matches!(self, Self::Router(Notification::Transition(_)))
    }
}

/// Reports that nobody has fetched yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    queue: VecDeque<Report>,
    sequence: u64,
}

impl Reports {
    pub(super) fn push(&mut self, at: Timestamp, subject: Subject, kind: ReportKind, limit: usize) {
        self.sequence = self.sequence.saturating_add(1);
        self.queue.push_back(Report {
            sequence: self.sequence,
            at,
            subject,
            kind,
        });
        if self.queue.len() > limit {
            self.make_room();
        }
    }

    pub(super) fn pop(&mut self) -> Option<Report> {
        self.queue.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Drops the oldest that is not the last transition of its router. A transition that is dropped
    /// goes into the next one of its router, which then leads from where the first began.
    fn make_room(&mut self) {
        let mut last = BTreeMap::new();
        for report in self
            .queue
            .iter()
            .filter(|report| report.kind.is_transition())
        {
            last.insert(report.subject, report.sequence);
        }
        let dispensable = self.queue.iter().position(|report| {
            !report.kind.is_transition() || last.get(&report.subject) != Some(&report.sequence)
        });
        let Some(mut dropped) = dispensable.and_then(|place| self.queue.remove(place)) else {
            return;
        };
        let Some(from) = dropped.kind.transition().map(|transition| transition.from) else {
            return;
        };
        let next = self.queue.iter_mut().find(|report| {
            report.subject == dropped.subject
                && report.sequence > dropped.sequence
                && report.kind.is_transition()
        });
        if let Some(transition) = next.and_then(|report| report.kind.transition()) {
            transition.from = from;
        }
    }
}

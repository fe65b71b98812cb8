//! What a host has to offer to be on a simulated network.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use super::work::{Step, Work};
use crate::address::Family;
use crate::event::{Notification, ShutdownMode};
use crate::job::JobResult;
use crate::lease::{JobId, LeaseAnswer, LeaseJob};
use crate::node::ReportKind;
use crate::timer::Timestamp;
use crate::vrid::Vrid;

/// Something that runs virtual routers: one process on one host.
///
/// All times are those of its own clock. What it wants done goes into the [`Effects`], in order.
/// [`RouterHost`](super::RouterHost) is one; your program's own event loop can be another.
pub trait Host {
    /// The process starts, for the first time or after [`crash`](Self::crash).
    fn start(&mut self, now: Timestamp, out: &mut Effects);

    /// The process is told to stop.
    fn stop(&mut self, now: Timestamp, mode: ShutdownMode, out: &mut Effects);

    /// The process is gone, and everything it knew.
    fn crash(&mut self);

    /// A packet, from its IP header on, was received then; now is later if the process was paused.
    fn receive(&mut self, now: Timestamp, received_at: Timestamp, packet: &[u8], out: &mut Effects);

    /// Time has passed.
    fn tick(&mut self, now: Timestamp, out: &mut Effects);

    /// When [`tick`](Self::tick) is due.
    fn next_deadline(&self) -> Option<Timestamp>;

    /// The [work](Effect::Work) that was begun first of what is left for this router is over.
    fn worked(
        &mut self,
        now: Timestamp,
        router: RouterKey,
        step: Step,
        result: JobResult,
        out: &mut Effects,
    );

    /// A store of leases has answered.
    fn answered(
        &mut self,
        now: Timestamp,
        router: RouterKey,
        id: JobId,
        answer: LeaseAnswer,
        out: &mut Effects,
    );
}

/// Which virtual router of the network it is.
#[expect(clippy::exhaustive_structs, reason = "what identifies one on a link")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RouterKey {
    /// The family.
    pub family: Family,
    /// The id.
    pub vrid: Vrid,
}

impl fmt::Display for RouterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        };
        write!(f, "{family} {}", self.vrid.get())
    }
}

/// What a host wants done.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send this packet, from its IP header on, to all other hosts.
    Send(Vec<u8>),
    /// Do a step of address work, and tell when it is over. Steps of one router come one after the
    /// other; kernels do them while the process is paused, too.
    Work(RouterKey, Work),
    /// Give addresses another lifetime (OP-4), at once: [the longest](crate::lease::address_lifetime)
    /// with which they are gone by that time of the host's clock. Those that are gone already come
    /// back.
    Extend {
        /// Whose.
        router: RouterKey,
        /// Which.
        addresses: Vec<IpAddr>,
        /// By when they have to be gone.
        gone_by: Timestamp,
    },
    /// Remove, at once, all addresses that a process before left.
    RemoveLeftovers,
    /// Announce the addresses.
    Announce(RouterKey),
    /// Ask a store of leases.
    Ask(RouterKey, LeaseJob),
    /// Tell the user.
    Report(RouterKey, Notification),
    /// Tell the user that a lease ended, since then, before the addresses were gone.
    Breach(RouterKey, Timestamp),
    /// Tell the user that address work failed, or takes too long.
    Trouble(RouterKey, ReportKind),
}

/// What a host wants done, in order.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    list: VecDeque<Effect>,
}

impl Effects {
    /// Adds one.
    pub fn push(&mut self, effect: Effect) {
        self.list.push_back(effect);
    }

    /// Takes the first.
    pub fn pop(&mut self) -> Option<Effect> {
        self.list.pop_front()
    }
}

//! What a host has to offer to be on a simulated network.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use crate::address::Family;
use crate::event::{Notification, ShutdownMode};
use crate::lease::{JobId, LeaseAnswer, LeaseJob};
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

    /// The addresses are gone, which [`Effect::Remove`] asked for.
    fn removed(&mut self, now: Timestamp, router: RouterKey, out: &mut Effects);

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
    /// Install the addresses.
    Install(RouterKey),
    /// Let the kernel remove the addresses at this time of the host's clock, if they are still there
    /// then: their valid lifetime (OP-4).
    Expire(RouterKey, Timestamp),
    /// Remove the addresses, and tell when they are gone.
    Remove(RouterKey),
    /// Announce the addresses.
    Announce(RouterKey),
    /// Ask a store of leases.
    Ask(RouterKey, LeaseJob),
    /// Tell the user.
    Report(RouterKey, Notification),
    /// Tell the user that a lease ended, since then, before the addresses were gone.
    Breach(RouterKey, Timestamp),
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

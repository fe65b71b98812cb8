//! One heap of deadlines for all that waits.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Node;
use crate::address::InterfaceIndex;
use crate::event::State;
use crate::timer::{NEVER, Timestamp};

/// Who waits.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Wake {
    Router(usize),
    Interface(InterfaceIndex),
}

/// The heap. Whoever waits remembers the time it is in here with; other entries are stale.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakes {
    heap: BinaryHeap<Reverse<(Timestamp, Wake)>>,
}

impl Wakes {
    /// Makes sure that it is woken at the deadline, or before: a later deadline is found out when
    /// the earlier one comes, so that re-arming a timer costs nothing.
    pub(super) fn schedule(&mut self, wake: Wake, scheduled: &mut Timestamp, deadline: Timestamp) {
        if deadline != NEVER && deadline < *scheduled {
            *scheduled = deadline;
            self.heap.push(Reverse((deadline, wake)));
        }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.first().map(|(deadline, _)| deadline)
    }

    pub(super) fn first(&self) -> Option<(Timestamp, Wake)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Drops the first.
    pub(super) fn pop(&mut self) {
        self.heap.pop();
    }

    /// Those whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp, due: &mut Vec<(Timestamp, Wake)>) {
        while let Some(Reverse(entry)) = self.heap.peek().copied() {
            if entry.0 > now {
                break;
            }
            self.heap.pop();
            due.push(entry);
        }
    }
}

impl Node {
    /// When the router whose time comes first takes over, if it is a Backup that hears nothing until
    /// then: so that whoever drives the node can be awake. `None` if another router's time comes
    /// before; ask again then.
    #[must_use]
    pub fn next_take_over(&self) -> Option<Timestamp> {
        let (_, wake) = self.wakes.first()?;
        let Wake::Router(key) = wake else {
            return None;
        };
        let router = self.router(key)?;
        let at = router.machine.next_deadline()?;
        (router.machine.state() == State::Backup).then_some(at)
    }
}

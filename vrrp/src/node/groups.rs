//! Members of a group change together: all or nothing, through the guard of their machines.

use alloc::vec::Vec;

use super::{Node, Router};
use crate::event::{Event, InitReason, State};
use crate::group::{Group, GroupId};
use crate::guard::GuardStatus;
use crate::priority::Rank;
use crate::timer::Timestamp;

impl Node {
    /// The arbiter says this of the guard of a group. For a group without guard it does nothing.
    pub fn set_guard(&mut self, now: Timestamp, group: GroupId, status: GuardStatus) {
        self.begin(now);
        let now = self.now;
        let known = self.groups.get_mut(&group);
        if let Some(state) = known.filter(|state| state.config.guard.is_some()) {
            state.status = status;
            // Whoever holds it gives it back one day, however it came to that. One that was asked for
            // and is another's may come still: whoever asked has to say when it is not wanted any more.
            state.is_requested |= matches!(status, GuardStatus::Held { .. });
            for key in self.members(group) {
                // A grant makes a Backup Active, so that is for all of them at once.
                if self.is_active(key) || self.is_handed_over(key) || !status.is_held_at(now) {
                    self.feed(key, Event::Guard(status));
                }
            }
            self.dirty.push(super::Scope::Group(group));
        }
        self.settle();
    }

    /// Gives way to somebody with a better claim to the guard of this group, as
    /// [`LeaseEvent::Yield`](crate::lease::LeaseEvent::Yield) says (spec 4.3): all members stop
    /// being Active, addresses are removed, then they resign and the guard is released. A group that
    /// asks for the guard asks no more; one that does neither notices nothing.
    ///
    /// Its members are Backup then, and want the guard again when they have heard nobody for a down
    /// interval.
    pub fn yield_group(&mut self, now: Timestamp, group: GroupId) {
        self.begin(now);
        for key in self.members(group) {
            self.feed(key, Event::Yield);
        }
        self.dirty.push(super::Scope::Group(group));
        self.settle();
    }

    /// With what a group claims its guard: the effective priority of its first member and the
    /// address from which that one advertises; `None` while it does not run. For
    /// [`Lease::set_rank`](crate::lease::Lease::set_rank), as it may change while the group waits.
    #[must_use]
    pub fn group_rank(&self, group: GroupId) -> Option<Rank> {
        let first = self.groups.get(&group)?.config.members.first()?;
        let machine = self.machine(*first)?;
        if machine.state() == State::Initialize {
            return None;
        }
        Some(Rank::new(machine.effective_priority(), machine.source()?))
    }

    /// Whether no address of a group is there and what belongs to them is undone, of members and of
    /// those that left it: for [`Lease::addresses_gone`](crate::lease::Lease::addresses_gone).
    #[must_use]
    pub fn is_group_clear(&self, group: GroupId) -> bool {
        let ties = self.ties.get(&group).into_iter().flatten();
        let mut routers = ties.filter_map(|key| self.router(*key));
        routers.all(|router| {
            let is_member = router.group == Some(group) || router.former_group == Some(group);
            !is_member || (router.work.is_settled() && !router.work.serves)
        })
    }

    /// A router belongs to a group from now on.
    pub(super) fn tie(&mut self, key: usize, group: Option<GroupId>) {
        if let Some(group) = group {
            self.ties.entry(group).or_default().insert(key);
        }
    }

    /// Forgets who was in a group long ago.
    pub(super) fn rebuild_ties(&mut self) {
        self.ties.clear();
        for (key, router) in self.routers.iter() {
            for group in [router.group, router.former_group].into_iter().flatten() {
                self.ties.entry(group).or_default().insert(key);
            }
        }
    }

    /// It does not any more, nor is anything left of it.
    pub(super) fn untie(&mut self, key: usize, group: GroupId) {
        if let Some(ties) = self.ties.get_mut(&group) {
            ties.remove(&key);
            if ties.is_empty() {
                self.ties.remove(&group);
            }
        }
    }

    /// The members of a group.
    pub(super) fn ties_of(&self, group: GroupId) -> impl Iterator<Item = usize> {
        let ties = self.ties.get(&group).into_iter().flatten().copied();
        ties.filter(move |key| {
            let router = self.router(*key);
            router.is_some_and(|router| router.group == Some(group) && !router.is_leaving)
        })
    }

    pub(super) fn members(&self, group: GroupId) -> Vec<usize> {
        self.ties_of(group).collect()
    }

    /// A member wants to be Active.
    pub(super) fn ask_group(&mut self, key: usize) {
        let group = self.router(key).and_then(|router| router.group);
        if let Some(group) = group.and_then(|group| self.groups.get_mut(&group)) {
            group.asks = true;
        }
        self.mark(key);
    }

    pub(super) fn settle_group(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.is_marked = false;
        }
        let keys = self.members(id);
        let faults: Vec<_> = keys.iter().map(|&key| self.own_fault(key)).collect();
        let is_faulty = faults.iter().any(Option::is_some);
        for (&key, fault) in keys.iter().zip(faults) {
            let of_others = is_faulty.then_some(InitReason::Group);
            self.align(key, fault.or(of_others));
        }
        self.equalise(id, &keys);
        self.grant(id, &keys);
        self.equalise(id, &keys);
        self.give_back(id, &keys);
        let is_over = |group: &Group| group.is_dissolved && !group.is_requested;
        if self.groups.get(&id).is_some_and(is_over) {
            self.groups.remove(&id);
        }
    }

    /// Where some are Active and some are not, those that join may become it; otherwise the others
    /// stop too.
    fn equalise(&mut self, id: GroupId, keys: &[usize]) {
        let laggards: Vec<usize> = keys
            .iter()
            .copied()
            .filter(|&key| !self.is_active(key))
            .collect();
        if laggards.is_empty() || laggards.len() == keys.len() {
            return;
        }
        let Some(grant) = self.groups.get(&id).map(Group::grant) else {
            return;
        };
        if laggards.iter().all(|&key| self.would_promote(key, grant)) {
            for key in laggards {
                self.feed(key, Event::Guard(grant));
            }
            return;
        }
        for &key in keys {
            if self.is_active(key) {
                self.feed(key, Event::Yield);
            }
        }
    }

    /// If every member wants to be Active, the group is granted it, or asks the arbiter.
    fn grant(&mut self, id: GroupId, keys: &[usize]) {
        let now = self.now;
        let want = |router: &Router| {
            router.machine.state() == State::Backup && router.machine.wants_guard()
        };
        if !keys.iter().all(|&key| self.router(key).is_some_and(want)) {
            return;
        }
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let grant = group.grant();
        if grant.is_held_at(now) {
            if keys.iter().all(|&key| self.would_promote(key, grant)) {
                for &key in keys {
                    self.feed(key, Event::Guard(grant));
                }
            }
            return;
        }
        if core::mem::take(&mut group.asks) && !self.is_releasing(keys) {
            let Some(rank) = self.group_rank(id) else {
                return;
            };
            if let Some(group) = self.groups.get_mut(&id) {
                group.is_requested = true;
            }
            self.queue_acquire(place(keys), id, rank);
        }
    }

    /// The guard goes back when nobody needs it and no address is left.
    fn give_back(&mut self, id: GroupId, keys: &[usize]) {
        let want = |router: &Router| match router.machine.state() {
            State::Active => true,
            State::Backup => router.machine.wants_guard(),
            State::Initialize => false,
        };
        let is_needed = !keys.is_empty() && keys.iter().all(|&k| self.router(k).is_some_and(want));
        let is_clear = self.is_group_clear(id);
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        // A group that has no guard any more does not need it, whatever its members do.
        let has_guard = group.config.guard.is_some();
        if has_guard && (is_needed || !is_clear) {
            return;
        }
        if group.is_requested {
            group.is_requested = false;
            group.status = GuardStatus::Unknown;
            self.queue_release(place(keys), id);
        }
    }

    fn is_handed_over(&self, key: usize) -> bool {
        self.router(key)
            .is_some_and(|router| router.machine.is_handed_over())
    }

    fn is_releasing(&self, keys: &[usize]) -> bool {
        let mut routers = keys.iter().filter_map(|&key| self.router(key));
        routers.any(Router::is_releasing)
    }

    /// Whether a member would be Active with this grant. Asked before, so that none becomes it
    /// without the others.
    fn would_promote(&self, key: usize, grant: GuardStatus) -> bool {
        let Some(router) = self.router(key) else {
            return false;
        };
        let mut probe = router.machine.clone();
        let _ = probe.handle(self.now, Event::Guard(grant));
        probe.state() == State::Active
    }
}

/// Which router a failed request is reported of.
fn place(keys: &[usize]) -> usize {
    keys.first().copied().unwrap_or(usize::MAX)
}

//! A new configuration, by the difference to the old one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Interface, Node, NodeConfig, NodeError, Router, RouterId, Scope, Slots, Wake};
use crate::announce::{Announcer, Topic};
use crate::event::{Event, ShutdownMode, State};
use crate::group::{Group, GroupId};
use crate::guard::GuardStatus;
use crate::machine::VirtualRouter;
use crate::timer::{NEVER, Timestamp};
use crate::track::TrackerStatus;

impl Node {
    /// Goes on with another configuration. Whatever is as it was is not touched: it keeps its state,
    /// its deadlines and what it learned, and sends nothing (`VRRP-215`).
    ///
    /// Routers are known by their [`RouterId`]; one with another interface, family or virtual router
    /// id is another one. Those that are gone shut down gracefully. What was told of interfaces and
    /// trackers that stay is kept: [`link`](Self::link) and [`set_tracker`](Self::set_tracker) are
    /// newer. A member added to a group that is Active becomes Active at once; routers that are all
    /// Active and become a group stay so, if that has no guard.
    ///
    /// # Errors
    ///
    /// What [`NodeConfig::validate`] finds. Nothing has changed then.
    pub fn reconfigure(&mut self, now: Timestamp, config: NodeConfig) -> Result<(), NodeError> {
        self.begin(now);
        if config == self.config {
            return Ok(());
        }
        config.validate()?;
        self.adopt(config)?;
        self.settle();
        Ok(())
    }

    /// The configuration was found valid.
    pub(super) fn adopt(&mut self, mut config: NodeConfig) -> Result<(), NodeError> {
        for (tracker, status) in &mut config.trackers {
            let known = self.config.trackers.get(tracker).copied();
            if let Some(known) = known.filter(|known| *known != TrackerStatus::Unknown) {
                *status = known;
            }
        }
        self.dismiss(&config);
        self.config = config;
        self.adopt_interfaces();
        self.adopt_groups();
        self.adopt_routers()?;
        self.rebuild_slots();
        self.rebuild_followers();
        self.find_all_real();
        self.rebuild_ties();
        self.mark_all();
        let groups = self.groups.keys().copied();
        self.dirty.extend(groups.map(Scope::Group));
        Ok(())
    }

    /// Routers that are not there any more, or are others now.
    fn dismiss(&mut self, config: &NodeConfig) {
        for key in self.keys() {
            let Some(router) = self.router(key).filter(|router| !router.is_leaving) else {
                continue;
            };
            let (old, new) = (&router.setup, config.routers.get(&router.id));
            let stays = new.is_some_and(|new| {
                (new.interface, new.config.family(), new.config.vrid())
                    == (old.interface, old.config.family(), old.config.vrid())
            });
            if !stays {
                self.feed(key, Event::Shutdown(ShutdownMode::Graceful));
                self.routers.dismiss(key);
            }
        }
    }

    fn adopt_interfaces(&mut self) {
        let configured = &self.config.interfaces;
        self.interfaces
            .retain(|index, _| configured.contains_key(index));
        let settles_at = self.now.saturating_add(self.config.settings.link_settle);
        for (&index, config) in configured {
            self.interfaces.entry(index).or_insert_with(|| Interface {
                is_up: config.is_up,
                addresses: config.addresses.clone(),
                real: Vec::new(),
                placed: BTreeSet::new(),
                rumour: None,
                settles_at,
                announcer: Announcer::default(),
                slots: Slots::default(),
                routers: Vec::new(),
                scheduled: NEVER,
            });
            self.touched.push(Wake::Interface(index));
        }
    }

    fn adopt_groups(&mut self) {
        let mut old = core::mem::take(&mut self.groups);
        let mut groups = BTreeMap::new();
        for (&id, config) in &self.config.groups {
            let group = match old.remove(&id) {
                Some(mut group) => {
                    group.config = config.clone();
                    group.is_dissolved = false;
                    group
                }
                None => Group::new(config.clone()),
            };
            groups.insert(id, group);
        }
        self.groups = groups;
        for (id, mut group) in old {
            if group.is_requested {
                group.is_dissolved = true;
                self.groups.insert(id, group);
            }
        }
    }

    fn adopt_routers(&mut self) -> Result<(), NodeError> {
        let ids: Vec<RouterId> = self.config.routers.keys().copied().collect();
        let is_new = |id: &&RouterId| self.routers.key_of(**id).is_none();
        let more = ids.iter().filter(is_new).count();
        self.routers.reserve(more);
        let groups = self.config.groups_of_routers();
        for id in ids {
            let Some(setup) = self.config.routers.get(&id).cloned() else {
                continue;
            };
            let group = groups.get(&id).copied();
            let config = self.config.machine_config(&setup, group);
            let known = self.routers.key_of(id);
            let failed = |source| NodeError::Router { router: id, source };
            let Some(key) = known else {
                let machine = VirtualRouter::new(config).map_err(failed)?;
                let router = Router::new(id, setup, group, machine, self.now);
                let key = self.routers.insert(router);
                self.change_rounds(key);
                self.tie(key, group);
                self.delay_start(key, group);
                self.touched.push(Wake::Router(key));
                continue;
            };
            self.join(key, id, group);
            let now = self.now;
            let Some(router) = self.router_mut(key) else {
                continue;
            };
            let policy = setup.config.switches().tx_checksum;
            if router.setup.config.switches().tx_checksum != policy {
                router.follower = crate::checksum::FormFollower::new(policy);
            }
            router.setup = setup;
            router.work.doubt();
            let before = router.machine.state();
            let actions = router.machine.reconfigure(now, &config).map_err(failed)?;
            self.change_rounds(key);
            if !actions.is_empty() {
                self.perform(key, before, &actions);
            }
            self.touched.push(Wake::Router(key));
        }
        Ok(())
    }

    /// New routers are spread too, but for those that join a group at work.
    fn delay_start(&mut self, key: usize, group: Option<GroupId>) {
        if self.started.is_none() {
            return;
        }
        let joins = group.is_some_and(|group| self.ties_of(group).any(|other| other != key));
        if joins {
            return;
        }
        let spread = self.spread(key);
        if let Some(router) = self.router_mut(key) {
            router.start_at = router.start_at.saturating_add(spread);
        }
    }

    /// A router that stays may be in another group. One that is Active brings that along, if the
    /// others are it too and no arbiter has to be asked.
    fn join(&mut self, key: usize, id: RouterId, group: Option<GroupId>) {
        let Some(router) = self.router(key).filter(|router| router.group != group) else {
            return;
        };
        let state = router.machine.state();
        let grant = group
            .and_then(|group| self.groups.get(&group))
            .map(Group::grant);
        let mates = group.and_then(|group| self.config.groups.get(&group));
        let are_active = mates.is_some_and(|group| {
            group.members.iter().all(|member| {
                *member == id
                    || self
                        .state(*member)
                        .is_none_or(|state| state == State::Active)
            })
        });
        let now = self.now;
        self.tie(key, group);
        let Some(router) = self.router_mut(key) else {
            return;
        };
        if state != State::Active && !router.work.is_settled() {
            router.former_group = router.group;
        }
        router.group = group;
        let brings_it = state == State::Active && are_active;
        if let Some(grant @ GuardStatus::Held { .. }) = grant.filter(|_| brings_it) {
            let actions = router.machine.handle(now, Event::Guard(grant));
            self.perform(key, state, &actions);
        }
    }

    /// Routers whose time to go has come.
    pub(super) fn forget_departed(&mut self, key: usize) {
        let is_done = |router: &&Router| {
            let is_idle = router.work.is_clear() && router.pending.is_empty();
            router.is_leaving && is_idle && router.awaited == 0
        };
        if self.router(key).filter(is_done).is_none() {
            return;
        }
        if let Some(router) = self.routers.remove(key) {
            for group in [router.group, router.former_group].into_iter().flatten() {
                self.untie(key, group);
            }
            if let Some(interface) = self.interfaces.get_mut(&router.setup.interface) {
                interface.announcer.cancel(Topic::Addresses(key));
                interface.announcer.cancel(Topic::Source(key));
            }
        }
    }

    pub(super) fn rebuild_slots(&mut self) {
        for interface in self.interfaces.values_mut() {
            interface.slots = Slots::default();
            interface.routers.clear();
        }
        for (key, router) in self.routers.iter_mut() {
            if router.is_leaving {
                continue;
            }
            if let Some(interface) = self.interfaces.get_mut(&router.setup.interface) {
                router.next_in_slot = interface.slots.insert(key, router);
                interface.routers.push(key);
            }
        }
    }

    fn rebuild_followers(&mut self) {
        self.followers.clear();
        let routers = self.routers.iter().filter(|(_, router)| !router.is_leaving);
        let routers = routers.flat_map(|(key, router)| {
            let tracks = router.setup.tracks.iter();
            tracks.map(move |track| (track.tracker(), Scope::Router(key)))
        });
        let groups = self.config.groups.iter().flat_map(|(id, group)| {
            let tracks = group.tracks.iter();
            tracks.map(|track| (track.tracker(), Scope::Group(*id)))
        });
        for (tracker, scope) in routers.chain(groups) {
            self.followers.entry(tracker).or_default().push(scope);
        }
    }
}

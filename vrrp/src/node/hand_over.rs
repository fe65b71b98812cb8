//! Going on where another process of this host stopped (spec 3.7, `Handover`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::{Node, NodeConfig, NodeError, RouterId};
use crate::event::{Event, InitReason, State};
use crate::group::GroupId;
use crate::guard::GuardStatus;
use crate::timer::Timestamp;

/// What a process that was shut down with [`ShutdownMode::Handover`](crate::event::ShutdownMode)
/// leaves to its successor.
#[expect(
    clippy::exhaustive_structs,
    reason = "what one process tells the next, which may be of another version"
)]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HandOver {
    /// When it stopped, on the clock that both processes read.
    pub at: Timestamp,
    /// The routers that were Active.
    pub routers: BTreeMap<RouterId, HandedRouter>,
    /// The guards that it held and has not given back.
    pub guards: BTreeMap<GroupId, GuardStatus>,
}

/// A router that was Active when its process stopped.
#[expect(clippy::exhaustive_structs, reason = "as the hand-over it is part of")]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HandedRouter {
    /// The addresses that are there; none if it was still preparing.
    pub addresses: Vec<IpAddr>,
    /// The last sequence number of an authentication header, if it has one: receivers drop lower ones.
    pub sequence: Option<u32>,
}

impl Node {
    /// What is left to a successor, once the node [is idle](Self::is_idle) after it was shut down
    /// with [`ShutdownMode::Handover`](crate::event::ShutdownMode::Handover). Addresses that it does
    /// not name are not there, or nobody knows: whoever starts removes such leftovers first (OP-4).
    ///
    /// A guard is not released; the successor holds it on with the same holder, or asks anew.
    #[must_use]
    pub fn hand_over(&self) -> HandOver {
        let mut left = HandOver {
            at: self.now,
            ..HandOver::default()
        };
        for (_, router) in self.routers.iter() {
            let machine = &router.machine;
            let is_handed = machine.init_reason() == Some(InitReason::HandedOver);
            if !is_handed || !router.work.is_frozen() {
                continue;
            }
            left.at = left.at.min(machine.since());
            let handed = HandedRouter {
                addresses: router.work.installed().to_vec(),
                sequence: router.sequence,
            };
            left.routers.insert(router.id, handed);
        }
        for (id, group) in &self.groups {
            let is_held = matches!(group.status, GuardStatus::Held { .. });
            if group.config.guard.is_some() && group.is_requested && is_held {
                left.guards.insert(*id, group.status);
            }
        }
        left
    }

    /// A node that begins now and goes on where its predecessor stopped. Routers that were Active are
    /// it at once, advertise and announce; their addresses stay, or change by the difference to the
    /// configuration. Nothing is prepared, as that was done and is there; what follows a take-over is
    /// [established](crate::job::JobKind::Establish) again, before the notification.
    ///
    /// A router goes on only where that is safe; otherwise the addresses are removed and settled, and
    /// it starts as any other:
    ///
    /// * it could run: its interface is up with an address to advertise from, trackers are known and
    ///   let it run. Start delays are not waited for, nor do interfaces settle;
    /// * no other can have become Active: since the predecessor stopped, an interval less than a down
    ///   interval has not passed;
    /// * all members of its group go on too, and the guard of the group is held still.
    ///
    /// Addresses of routers that are not configured any more are the caller's to remove. Routers that
    /// were not Active, or are new, start as with [`new`](Self::new).
    ///
    /// ```
    /// use core::time::Duration;
    /// use lvs_vrrp::event::{ShutdownMode, State};
    /// use lvs_vrrp::job::{JobKind, JobResult};
    /// use lvs_vrrp::node::{InterfaceConfig, Node, NodeConfig, NodeRouter, RouterId};
    /// use lvs_vrrp::{AddressList, InterfaceIndex, MacAddress, RouterConfig, Timestamp, Vrid};
    ///
    /// /// Does what there is to do; says whether addresses were touched.
    /// fn work(now: Timestamp, node: &mut Node) -> bool {
    ///     let mut is_touched = false;
    ///     while let Some(job) = node.poll_job() {
    ///         is_touched |= matches!(
    ///             job.kind,
    ///             JobKind::InstallAddresses { .. } | JobKind::RemoveAddresses { .. }
    ///         );
    ///         node.complete(now, job.id, JobResult::Done);
    ///     }
    ///     is_touched
    /// }
    ///
    /// let (lan, id) = (InterfaceIndex::new(2), RouterId::new(1));
    /// let mac = MacAddress::new([2, 0, 0, 0, 0, 1]);
    /// let router = RouterConfig::new(Vrid::try_from(51)?, AddressList::new(["192.0.2.1".parse()?])?);
    /// let config = NodeConfig::new()
    ///     .with_interface(lan, InterfaceConfig::new(mac).up(["192.0.2.9".parse()?]))
    ///     .with_router(id, NodeRouter::new(lan, router));
    /// let mut old = Node::new(config.clone())?;
    /// let mut now = Duration::from_secs(60);
    /// while old.state(id) != Some(State::Active) {
    ///     old.tick(now);
    ///     now = now.max(old.next_deadline().unwrap());
    /// }
    /// assert!(work(now, &mut old));
    ///
    /// old.shutdown(now, ShutdownMode::Handover);
    /// assert!(!work(now, &mut old) && old.is_idle());
    /// let left = old.hand_over();
    ///
    /// now += Duration::from_millis(800);
    /// let mut new = Node::resume(config, now, &left)?;
    /// assert_eq!(new.state(id), Some(State::Active));
    /// assert!(!work(now, &mut new));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What [`NodeConfig::validate`] finds.
    pub fn resume(config: NodeConfig, now: Timestamp, left: &HandOver) -> Result<Self, NodeError> {
        let mut node = Self::new(config)?;
        node.begin(now);
        for (id, status) in &left.guards {
            let group = node.groups.get_mut(id);
            if let Some(group) = group.filter(|group| group.config.guard.is_some()) {
                group.status = *status;
                group.is_requested = matches!(status, GuardStatus::Held { .. });
            }
        }
        for (id, handed) in &left.routers {
            let Some(key) = node.routers.key_of(*id) else {
                continue;
            };
            if let Some(index) = node.router(key).map(|router| router.setup.interface) {
                node.holders.take(key, index, &handed.addresses);
                node.place(key, &handed.addresses);
            }
        }
        node.find_all_real();
        let mut keys = Vec::new();
        for (id, handed) in &left.routers {
            keys.extend(node.adopt_handed(*id, handed));
        }
        let is_safe = |key: &usize| node.is_safe_to_resume(*key, left.at);
        let safe: Vec<usize> = keys.iter().copied().filter(is_safe).collect();
        for &key in &keys {
            let group = node.router(key).and_then(|router| router.group);
            let grant = match group {
                Some(group) if !node.members(group).iter().all(|key| safe.contains(key)) => None,
                Some(group) => node.groups.get(&group).map(super::Group::grant),
                None => Some(GuardStatus::Unknown),
            };
            let is_granted = grant.is_some_and(|grant| group.is_none() || grant.is_held_at(now));
            let router = node
                .router_mut(key)
                .filter(|_| is_granted && safe.contains(&key));
            if let (Some(router), Some(grant)) = (router, grant) {
                let actions = router.machine.resume_with(now, grant);
                node.perform(key, State::Initialize, &actions);
                node.announce_source(key);
            } else {
                node.continue_work(key);
            }
        }
        node.settle();
        Ok(node)
    }

    /// The addresses are there, whatever becomes of the router; it need not wait to start.
    fn adopt_handed(&mut self, id: RouterId, handed: &HandedRouter) -> Option<usize> {
        let now = self.now;
        let key = self.routers.key_of(id)?;
        // Before, as from then on there is something to be removed if it is not Active.
        if let Some(sum) = self.contribution(key) {
            self.feed(key, Event::Contribution(sum));
            self.router_mut(key)?.contribution = sum;
        }
        if let Ok(source) = self.source(key) {
            self.feed(key, Event::Source(Some(source)));
        }
        let router = self.router_mut(key)?;
        router.start_at = now;
        router.sequence = handed.sequence;
        router.work.adopt(handed.addresses.clone());
        let index = router.setup.interface;
        if let Some(interface) = self.interfaces.get_mut(&index) {
            interface.settles_at = now;
        }
        Some(key)
    }

    fn is_safe_to_resume(&self, key: usize, stopped_at: Timestamp) -> bool {
        let Some(router) = self.router(key) else {
            return false;
        };
        // The predecessor may have advertised an interval before it stopped.
        let interval = router.machine.config().interval().as_duration();
        let silence = self.now.saturating_sub(stopped_at).saturating_add(interval);
        let is_recent = stopped_at <= self.now && silence < router.machine.stall_threshold();
        is_recent && self.own_fault(key).is_none()
    }
}

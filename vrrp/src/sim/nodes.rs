//! A host that runs a node.

use alloc::vec::Vec;

use super::host::{Effect, Effects, Host, RouterKey};
use crate::address::InterfaceIndex;
use crate::event::ShutdownMode;
use crate::group::GroupId;
use crate::guard::GuardStatus;
use crate::job::{Job, JobId as NodeJobId, JobKind, JobResult};
use crate::lease::{HolderId, JobId, Lease, LeaseAnswer, LeaseConfig, LeaseEvent};
use crate::node::{Node, NodeConfig, NodeError, ReportKind, RouterId};
use crate::priority::Rank;
use crate::receive::Meta;
use crate::timer::Timestamp;

/// A [`Node`] on a simulated network. All its interfaces are on that one network; what it receives
/// comes in at the interface given.
///
/// Its jobs are done at once, but for the removal of addresses, which takes as long as the network
/// says.
#[derive(Clone, Debug)]
pub struct NodeHost {
    config: NodeConfig,
    interface: InterfaceIndex,
    node: Node,
    is_running: bool,
    starts: u64,
    /// Jobs that wait for the kernel.
    removals: Vec<(RouterKey, NodeJobId)>,
    installed: Vec<RouterKey>,
    guard: Option<GroupGuard>,
}

/// The guard of a group, as a lease.
#[derive(Clone, Debug)]
struct GroupGuard {
    group: GroupId,
    /// Whose rank decides.
    router: RouterId,
    key: RouterKey,
    config: LeaseConfig,
    holder: u64,
    lease: Lease,
}

impl NodeHost {
    /// A host that runs a node of this configuration.
    ///
    /// # Errors
    ///
    /// What [`NodeConfig::validate`] finds.
    pub fn new(config: NodeConfig, interface: InterfaceIndex) -> Result<Self, NodeError> {
        let node = Node::new(config.clone())?;
        Ok(Self {
            config,
            interface,
            node,
            is_running: false,
            starts: 0,
            removals: Vec::new(),
            installed: Vec::new(),
            guard: None,
        })
    }

    /// Gives a group, which was configured with a guard, a lease as that. This router's rank is told
    /// to the stores. The number of the holder is another one for each host.
    #[must_use]
    pub fn with_lease(
        mut self,
        group: GroupId,
        router: RouterId,
        config: LeaseConfig,
        holder: u64,
    ) -> Self {
        self.guard = self.key(router).map(|key| GroupGuard {
            group,
            router,
            key,
            config,
            holder,
            lease: Lease::new(config, holder_id(holder, 0)),
        });
        self
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The node, to be told something; see [`Lan::with`](super::Lan::with).
    pub fn act(
        &mut self,
        now: Timestamp,
        act: impl FnOnce(&mut Node, Timestamp),
        out: &mut Effects,
    ) {
        act(&mut self.node, now);
        self.work(now, out);
    }

    fn key(&self, router: RouterId) -> Option<RouterKey> {
        let config = self.node.machine(router)?.config();
        Some(RouterKey {
            family: config.family(),
            vrid: config.vrid(),
        })
    }

    fn forget(&mut self) {
        if let Ok(node) = Node::new(self.config.clone()) {
            self.node = node;
        }
        self.removals.clear();
        self.installed.clear();
        if let Some(guard) = &mut self.guard {
            let holder = holder_id(guard.holder, self.starts);
            guard.lease = Lease::new(guard.config, holder);
        }
    }

    /// Until neither node nor lease have anything more to say.
    fn work(&mut self, now: Timestamp, out: &mut Effects) {
        loop {
            while let Some(job) = self.node.poll_job() {
                self.perform(now, job, out);
            }
            let Some(guard) = &mut self.guard else {
                return;
            };
            if self.installed.is_empty() {
                guard.lease.addresses_gone(now);
            }
            match guard.lease.poll_event() {
                Some(LeaseEvent::Status(status)) => self.node.set_guard(now, guard.group, status),
                Some(LeaseEvent::Yield(_)) => self.node.yield_group(now, guard.group),
                Some(LeaseEvent::Breach { since }) => out.push(Effect::Breach(guard.key, since)),
                Some(_) => {}
                None => break,
            }
        }
        if let Some(guard) = &mut self.guard {
            while let Some(job) = guard.lease.poll_job() {
                out.push(Effect::Ask(guard.key, job));
            }
        }
    }

    fn perform(&mut self, now: Timestamp, job: Job, out: &mut Effects) {
        match job.kind {
            JobKind::Send(send) => {
                for destination in self.node.destinations(&send) {
                    let mut packet = [0; 1500];
                    let length = self.node.emit_packet(now, &send, destination, &mut packet);
                    if let Some(bytes) = length.ok().and_then(|length| packet.get(..length)) {
                        out.push(Effect::Send(bytes.to_vec()));
                    }
                }
            }
            JobKind::InstallAddresses { router, .. } => {
                if let Some(key) = self.key(router) {
                    self.installed.push(key);
                    out.push(Effect::Install(key));
                }
            }
            JobKind::RemoveAddresses { router, .. } => {
                if let Some(key) = self.key(router) {
                    self.removals.push((key, job.id));
                    out.push(Effect::Remove(key));
                    return;
                }
            }
            JobKind::Announce(announcement) => {
                if let Some(key) = self.key(announcement.router()) {
                    out.push(Effect::Announce(key));
                }
            }
            JobKind::AcquireGuard { .. } => self.request(now),
            JobKind::ReleaseGuard { .. } => {
                if let Some(guard) = &mut self.guard {
                    guard.lease.withdraw(now);
                }
            }
            JobKind::Notify(report) => {
                let key = report.subject.router.and_then(|router| self.key(router));
                if let (Some(key), ReportKind::Router(notification)) = (key, report.kind) {
                    out.push(Effect::Report(key, notification));
                }
            }
            _ => {}
        }
        self.node.complete(now, job.id, JobResult::Done);
    }

    fn request(&mut self, now: Timestamp) {
        let Some(guard) = &mut self.guard else {
            return;
        };
        let machine = self.node.machine(guard.router);
        let source = machine.and_then(|machine| machine.source());
        if let (Some(machine), Some(source)) = (machine, source) {
            let rank = Rank::new(machine.effective_priority(), source);
            guard.lease.request(now, rank);
            // It may be held still: the node has to be told again.
            if let status @ GuardStatus::Held { .. } = guard.lease.status() {
                self.node.set_guard(now, guard.group, status);
            }
        }
    }
}

impl Host for NodeHost {
    fn start(&mut self, now: Timestamp, out: &mut Effects) {
        self.starts = self.starts.saturating_add(1);
        self.forget();
        self.is_running = true;
        self.tick(now, out);
    }

    fn stop(&mut self, now: Timestamp, mode: ShutdownMode, out: &mut Effects) {
        self.node.shutdown(now, mode);
        self.work(now, out);
    }

    fn crash(&mut self) {
        self.is_running = false;
        self.forget();
    }

    fn receive(
        &mut self,
        now: Timestamp,
        received_at: Timestamp,
        packet: &[u8],
        out: &mut Effects,
    ) {
        let meta = if packet.first().is_some_and(|first| first >> 4 == 6) {
            Meta::ipv6(self.interface, received_at)
        } else {
            Meta::ipv4(self.interface, received_at)
        };
        self.node.receive(now, &meta, packet);
        self.work(now, out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Effects) {
        if let Some(guard) = &mut self.guard {
            guard.lease.tick(now);
        }
        self.node.tick(now);
        self.work(now, out);
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let lease = self.guard.as_ref();
        let lease = lease.and_then(|guard| guard.lease.next_deadline());
        let node = self.node.next_deadline();
        let earliest = node.into_iter().chain(lease).min();
        earliest.filter(|_| self.is_running)
    }

    fn removed(&mut self, now: Timestamp, router: RouterKey, out: &mut Effects) {
        self.installed.retain(|key| *key != router);
        let place = self.removals.iter().position(|(key, _)| *key == router);
        if let Some(place) = place {
            let (_, id) = self.removals.swap_remove(place);
            self.node.complete(now, id, JobResult::Done);
        }
        self.work(now, out);
    }

    fn answered(
        &mut self,
        now: Timestamp,
        _: RouterKey,
        id: JobId,
        answer: LeaseAnswer,
        out: &mut Effects,
    ) {
        if let Some(guard) = &mut self.guard {
            guard.lease.answer(now, id, answer);
        }
        self.work(now, out);
    }
}

fn holder_id(holder: u64, starts: u64) -> HolderId {
    HolderId::new(u128::from(holder) << 64 | u128::from(starts))
}

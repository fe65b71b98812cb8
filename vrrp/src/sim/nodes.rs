//! A host that runs a node.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::host::{Effect, Effects, Host, RouterKey};
use super::work::{Step, Work};
use crate::address::InterfaceIndex;
use crate::event::ShutdownMode;
use crate::group::GroupId;
use crate::guard::GuardStatus;
use crate::job::{Job, JobId as NodeJobId, JobKind, JobResult};
use crate::lease::{HolderId, JobId, KERNEL_LAG, Lease, LeaseAnswer, LeaseConfig, LeaseEvent};
use crate::node::{Node, NodeConfig, NodeError, ReportKind, RouterId};
use crate::priority::Rank;
use crate::receive::Meta;
use crate::timer::{NEVER, Timestamp};

/// A [`Node`] on a simulated network. All its interfaces are on that one network; what it receives
/// comes in at the interface given.
///
/// Its address work takes as long as the [network says](super::Lan::set_pace), and fails where it says
/// so; its other jobs are done at once.
#[derive(Clone, Debug)]
pub struct NodeHost {
    config: NodeConfig,
    interface: InterfaceIndex,
    node: Node,
    is_running: bool,
    starts: u64,
    /// Jobs that wait for the kernel.
    awaited: Vec<(RouterKey, Step, NodeJobId)>,
    tenures: Vec<Tenure>,
    /// Of routers that had work to be done.
    keys: BTreeMap<RouterId, RouterKey>,
    lifetime: Option<Duration>,
    /// When the lifetime of addresses is set again.
    extend_at: Timestamp,
    /// For which end of the lease it was set last.
    extended_for: Option<Timestamp>,
    guard: Option<GroupGuard>,
}

/// Addresses that are there, or may be.
#[derive(Clone, Debug)]
struct Tenure {
    key: RouterKey,
    addresses: Vec<IpAddr>,
    /// Those that a change removes.
    leaving: Vec<IpAddr>,
    /// They are there and are to stay.
    is_kept: bool,
}

/// The guard of a group, as a lease.
#[derive(Clone, Debug)]
struct GroupGuard {
    group: GroupId,
    /// Of which router it is told.
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
            awaited: Vec::new(),
            tenures: Vec::new(),
            keys: BTreeMap::new(),
            lifetime: None,
            extend_at: NEVER,
            extended_for: None,
            guard: None,
        })
    }

    /// Gives a group, which was configured with a guard, a lease as that. What the lease tells is told
    /// of this router. The number of the holder is another one for each host.
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
            key,
            config,
            holder,
            lease: Lease::new(config, holder_id(holder, 0)),
        });
        self
    }

    /// Gives addresses a lifetime of whole seconds, at least one, that the process sets again at each
    /// third of it (OP-4): the kernel removes them when it does not. With a lease it is made shorter
    /// so that they are gone [before that ends](Lease::address_lifetime). At first they stay for ever.
    #[must_use]
    pub const fn with_address_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The lease, if there is one.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.guard.as_ref().map(|guard| &guard.lease)
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
        let Some(machine) = self.node.machine(router) else {
            // One that leaves is configured no longer.
            return self.keys.get(&router).copied();
        };
        let config = machine.config();
        Some(RouterKey {
            family: config.family(),
            vrid: config.vrid(),
        })
    }

    fn forget(&mut self) {
        if let Ok(node) = Node::new(self.config.clone()) {
            self.node = node;
        }
        self.awaited.clear();
        self.tenures.clear();
        self.keys.clear();
        self.extend_at = NEVER;
        self.extended_for = None;
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
            if let Some(rank) = self.node.group_rank(guard.group) {
                guard.lease.set_rank(rank);
            }
            if self.node.is_group_clear(guard.group) {
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
            JobKind::Prepare { router } => {
                return self.begin(now, job.id, router, Work::Prepare, out);
            }
            JobKind::Settle { router } => {
                return self.begin(now, job.id, router, Work::Settle, out);
            }
            JobKind::InstallAddresses {
                router, addresses, ..
            } => {
                let gone_by = self.gone_by(now);
                let work = Work::Install {
                    addresses,
                    remove: Vec::new(),
                    gone_by,
                };
                return self.begin(now, job.id, router, work, out);
            }
            JobKind::ChangeAddresses {
                router,
                install,
                remove,
                ..
            } => {
                let gone_by = self.gone_by(now);
                let work = Work::Install {
                    addresses: install,
                    remove,
                    gone_by,
                };
                return self.begin(now, job.id, router, work, out);
            }
            JobKind::RemoveAddresses {
                router, addresses, ..
            } => return self.begin(now, job.id, router, Work::Remove(addresses), out),
            JobKind::Announce(announcement) => {
                if let Some(key) = self.key(announcement.router()) {
                    out.push(Effect::Announce(key));
                }
            }
            JobKind::AcquireGuard { rank, .. } => self.request(now, rank),
            JobKind::ReleaseGuard { .. } => {
                if let Some(guard) = &mut self.guard {
                    guard.lease.withdraw(now);
                }
            }
            JobKind::Notify(report) => {
                let key = report.subject.router.and_then(|router| self.key(router));
                match (key, report.kind) {
                    (Some(key), ReportKind::Router(notification)) => {
                        out.push(Effect::Report(key, notification));
                    }
                    (
                        Some(key),
                        trouble @ (ReportKind::PrepareFailed
                        | ReportKind::InstallFailed
                        | ReportKind::RemoveFailed
                        | ReportKind::RemoveLate
                        | ReportKind::SettleFailed),
                    ) => out.push(Effect::Trouble(key, trouble)),
                    _ => {}
                }
            }
            _ => {}
        }
        self.node.complete(now, job.id, JobResult::Done);
    }

    fn begin(
        &mut self,
        now: Timestamp,
        id: NodeJobId,
        router: RouterId,
        work: Work,
        out: &mut Effects,
    ) {
        let Some(key) = self.key(router) else {
            self.node.complete(now, id, JobResult::Failed);
            return;
        };
        self.keys.insert(router, key);
        let is_known = self.tenures.iter().any(|tenure| tenure.key == key);
        if !is_known && work.step() == Step::Install {
            self.tenures.push(Tenure {
                key,
                addresses: Vec::new(),
                leaving: Vec::new(),
                is_kept: false,
            });
        }
        if let Some(tenure) = self.tenures.iter_mut().find(|tenure| tenure.key == key) {
            match &work {
                Work::Install {
                    addresses, remove, ..
                } => {
                    tenure.is_kept = false;
                    tenure.addresses.extend(addresses);
                    tenure.leaving.clone_from(remove);
                }
                Work::Remove(_) => tenure.is_kept = false,
                Work::Prepare | Work::Settle => {}
            }
        }
        self.awaited.push((key, work.step(), id));
        out.push(Effect::Work(key, work));
    }

    /// The kernel tells the process what it did, virtual addresses among the others and before them.
    fn tell_addresses(&mut self, now: Timestamp, router: RouterKey, step: Step) {
        let Some(tenure) = self.tenures.iter().find(|tenure| tenure.key == router) else {
            return;
        };
        let (there, gone) = match step {
            Step::Install => (&tenure.addresses[..], &tenure.leaving[..]),
            Step::Remove => (&[][..], &tenure.addresses[..]),
            _ => return,
        };
        let Some((is_up, told)) = self.node.told(self.interface) else {
            return;
        };
        let others = told.iter().filter(|address| !there.contains(address));
        let mut addresses: Vec<IpAddr> = there.iter().chain(others).copied().collect();
        addresses.retain(|address| !gone.contains(address));
        self.node.link(now, self.interface, is_up, &addresses);
    }

    /// The addresses are there, and their lifetime is set again from now on.
    fn keep(&mut self, now: Timestamp, router: RouterKey) {
        let Some(tenure) = self.tenures.iter_mut().find(|tenure| tenure.key == router) else {
            return;
        };
        let leaving = core::mem::take(&mut tenure.leaving);
        tenure
            .addresses
            .retain(|address| !leaving.contains(address));
        tenure.is_kept = true;
        if let Some(lifetime) = self.lifetime {
            let third = lifetime.checked_div(3).unwrap_or_default();
            self.extend_at = self.extend_at.min(now.saturating_add(third));
        }
    }

    /// By when the kernel has to remove addresses whose lifetime is set now.
    fn gone_by(&self, now: Timestamp) -> Option<Timestamp> {
        let own = now
            .saturating_add(self.lifetime?)
            .saturating_add(KERNEL_LAG);
        let Some(guard) = &self.guard else {
            return Some(own);
        };
        // Without a lease at once: nothing is installed.
        Some(guard.lease.gone_by(now).unwrap_or(now).min(own))
    }

    /// Sets the lifetime of addresses again, if it is time or the lease was renewed.
    fn extend(&mut self, now: Timestamp, out: &mut Effects) {
        let (Some(lifetime), Some(gone_by)) = (self.lifetime, self.gone_by(now)) else {
            return;
        };
        let lease = self.guard.as_ref().map(|guard| &guard.lease);
        let end = lease.and_then(|lease| lease.gone_by(now));
        let is_renewed = end.is_some() && end != self.extended_for;
        let is_lost = lease.is_some() && end.is_none();
        if !is_lost && !is_renewed && self.extend_at > now {
            return;
        }
        self.extended_for = end;
        self.extend_at = NEVER;
        if is_lost {
            return;
        }
        for tenure in self.tenures.iter().filter(|tenure| tenure.is_kept) {
            self.extend_at = now.saturating_add(lifetime.checked_div(3).unwrap_or_default());
            out.push(Effect::Extend {
                router: tenure.key,
                addresses: tenure.addresses.clone(),
                gone_by,
            });
        }
    }

    fn request(&mut self, now: Timestamp, rank: Rank) {
        if let Some(guard) = &mut self.guard {
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
        out.push(Effect::RemoveLeftovers);
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
        self.extend(now, out);
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let lease = self.guard.as_ref();
        let lease = lease.and_then(|guard| guard.lease.next_deadline());
        let extend = Some(self.extend_at).filter(|at| *at != NEVER);
        let node = self.node.next_deadline();
        let earliest = node.into_iter().chain(lease).chain(extend).min();
        earliest.filter(|_| self.is_running)
    }

    fn worked(
        &mut self,
        now: Timestamp,
        router: RouterKey,
        step: Step,
        result: JobResult,
        out: &mut Effects,
    ) {
        let is_it =
            |(key, other, _): &(RouterKey, Step, NodeJobId)| (*key, *other) == (router, step);
        let Some(place) = self.awaited.iter().position(is_it) else {
            return;
        };
        let (.., id) = self.awaited.remove(place);
        if result == JobResult::Done {
            self.tell_addresses(now, router, step);
        }
        match (step, result) {
            (Step::Install, JobResult::Done) => self.keep(now, router),
            (Step::Remove, JobResult::Done) => self.tenures.retain(|tenure| tenure.key != router),
            _ => {}
        }
        self.node.complete(now, id, result);
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
        self.extend(now, out);
    }
}

fn holder_id(holder: u64, starts: u64) -> HolderId {
    HolderId::new(u128::from(holder) << 64 | u128::from(starts))
}

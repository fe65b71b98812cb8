//! What the node wants done: advertisements first, many per system call; the rest after them. Addresses
//! are installed meanwhile if the thread that does so is awake, which costs the advertisements nothing.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};

use super::engine::Engine;
use super::event::DriverEventKind;
use crate::address::{Family, InterfaceIndex, MacAddress};
use crate::codec::{GratuitousArp, ethernet_header};
use crate::event::{NewActiveReason, State};
use crate::group::GroupId;
use crate::job::{Announcement, Job, JobId, JobKind, JobResult, SendJob};
use crate::net::addresses::VirtualAddress;
use crate::net::config::{Mouth, Resolved};
use crate::net::executor::{AddressJob, AddressTask, HookCall};
use crate::net::links::Link;
use crate::net::{NetError, SendBatch, clock};
use crate::node::{EmitError, RouterId};
use crate::timer::Timestamp;

/// The longest packet: 255 addresses of IPv6, headers, and what an authentication header adds.
const LONGEST_PACKET: usize = 4608;
/// The longest frame of an announcement.
const LONGEST_FRAME: usize = 128;

/// What leaves together; emptied in each step, with the room kept.
#[derive(Debug, Default)]
pub(super) struct Batches {
    adverts: BTreeMap<(Mouth, Family), Outgoing>,
    frames: BTreeMap<InterfaceIndex, Outgoing>,
    addresses: Vec<AddressJob>,
    /// What waits for the addresses to be gone elsewhere, from when the advertisements have left.
    waiting: Vec<(RouterId, AddressJob)>,
    /// They were taken from the node already.
    taken: Vec<Job>,
}

impl Batches {
    /// It may begin while advertisements are sent, by a thread that is awake: as resignations come
    /// first, nothing is to be removed.
    fn installs_only(&self) -> bool {
        let mut jobs = self.addresses.iter();
        !self.addresses.is_empty() && jobs.all(|job| job.remove.is_empty())
    }
}

/// Which address of which router, on the interface that the router is on; where the address itself is
/// may be elsewhere.
pub(super) type Place = (RouterId, InterfaceIndex, IpAddr);

/// How and where an address was installed.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) address: VirtualAddress,
    /// Nobody has wanted it to be removed since.
    pub(super) is_wanted: bool,
}

/// Packets of one socket, and of each which job it is of.
#[derive(Debug, Default)]
struct Outgoing {
    batch: SendBatch,
    jobs: Vec<JobId>,
}

impl Outgoing {
    fn clear(&mut self) {
        self.batch.clear();
        self.jobs.clear();
    }
}

impl Engine {
    /// Does all there is to do; what is done at once may lead to more.
    pub(super) fn perform_jobs(&mut self) {
        let mut batches = core::mem::take(&mut self.batches);
        loop {
            let mut is_done = true;
            for job in core::mem::take(&mut batches.taken) {
                is_done = false;
                self.begin(job, &mut batches);
            }
            while let Some(job) = self.node.poll_job() {
                is_done = false;
                self.begin(job, &mut batches);
            }
            if is_done {
                break;
            }
            if batches.installs_only() && self.expecting.is_awake(clock::now()) {
                self.post_addresses(&mut batches);
            }
            self.send_adverts(&mut batches);
            self.delay(&mut batches.waiting);
            self.post_addresses(&mut batches);
            self.send_frames(&mut batches);
        }
        self.batches = batches;
    }

    /// Gives the thread of the addresses what it is to change.
    fn post_addresses(&mut self, batches: &mut Batches) {
        if !batches.addresses.is_empty() {
            let jobs = core::mem::take(&mut batches.addresses);
            self.jobs_out = self.jobs_out.saturating_add(jobs.len());
            self.post(AddressTask::Change(jobs));
        }
    }

    /// What routers have to say that were there before, and are not now, leaves at once: their
    /// sockets are still open, and those of new ones not yet. All else has its turn.
    pub(super) fn say_farewell(&mut self, before: &Resolved) {
        let mut batches = core::mem::take(&mut self.batches);
        while let Some(job) = self.node.poll_job() {
            match &job.kind {
                JobKind::Send(send) if !self.resolved.is_on(send.router(), send.interface()) => {
                    let mouth = mouth_of(before, send);
                    self.write_advert(job.id, send, mouth, &mut batches);
                }
                _ => batches.taken.push(job),
            }
        }
        self.send_adverts(&mut batches);
        self.batches = batches;
    }

    fn begin(&mut self, job: Job, batches: &mut Batches) {
        let id = job.id;
        match job.kind {
            JobKind::Send(send) => {
                let mouth = mouth_of(&self.resolved, &send);
                self.write_advert(id, &send, mouth, batches);
            }
            JobKind::Announce(announcement) => self.write_frame(id, &announcement, batches),
            JobKind::InstallAddresses {
                router,
                interface,
                addresses,
            } => {
                let mut job = self.change_addresses(id, (router, interface), &addresses, &[]);
                let wanted = Arc::new(AtomicBool::new(true));
                job.wanted = Some(Arc::clone(&wanted));
                self.installing.push((router, wanted));
                if self.takes_from_the_living(router) {
                    batches.waiting.push((router, job));
                } else {
                    batches.addresses.push(job);
                }
            }
            JobKind::ChangeAddresses {
                router,
                interface,
                install,
                remove,
            } => {
                let job = self.change_addresses(id, (router, interface), &install, &remove);
                batches.addresses.push(job);
            }
            JobKind::RemoveAddresses {
                router,
                interface,
                addresses,
            } => {
                let job = self.change_addresses(id, (router, interface), &[], &addresses);
                batches.addresses.push(job);
            }
            JobKind::Prepare { router } => self.call(id, HookCall::Prepare(router)),
            JobKind::Establish { router } => self.call(id, HookCall::Establish(router)),
            JobKind::Settle { router } => self.call(id, HookCall::Settle(router)),
            JobKind::DataPlane { router, plane } => {
                self.call(id, HookCall::DataPlane(router, plane));
            }
            JobKind::AcquireGuard { group, rank } => {
                self.call(id, HookCall::AcquireGuard(group, rank));
            }
            JobKind::ReleaseGuard { group } => self.call(id, HookCall::ReleaseGuard(group)),
            JobKind::Notify(report) => {
                self.tell(DriverEventKind::Report(report));
                self.complete(id, JobResult::Done);
            }
        }
    }

    fn complete(&mut self, id: JobId, result: JobResult) {
        self.node.complete(clock::now(), id, result);
    }

    fn write_advert(&mut self, id: JobId, send: &SendJob, mouth: Mouth, batches: &mut Batches) {
        let now = clock::now();
        let (mut is_pending, mut is_broken) = (false, false);
        for destination in self.node.destinations(send) {
            let is_frame = sends_frames(mouth, Family::of(destination));
            let header = self.frame_header(mouth.device, destination);
            if is_frame && header.is_none() {
                is_broken = true;
                continue;
            }
            let header = header.filter(|_| is_frame);
            let mouth = (mouth, Family::of(destination));
            let outgoing = batches.adverts.entry(mouth).or_default();
            let node = &mut self.node;
            let written = outgoing.batch.push(destination, LONGEST_PACKET, |buffer| {
                let Some(header) = header else {
                    return node.emit_packet(now, send, destination, buffer);
                };
                let (start, rest) = buffer.split_at_mut(header.len());
                start.copy_from_slice(&header);
                let length = node.emit_packet(now, send, destination, rest)?;
                Ok(length.saturating_add(header.len()))
            });
            match written {
                Ok(()) => {
                    outgoing.jobs.push(id);
                    is_pending = true;
                }
                Err(EmitError::Withdrawn) => {}
                Err(_) => is_broken = true,
            }
        }
        // Otherwise the job is over when its packets have left; what was told first counts.
        if is_broken {
            self.complete(id, JobResult::Failed);
        } else if !is_pending {
            self.complete(id, JobResult::Done);
        }
    }

    /// What comes before such a packet. The device may be gone.
    fn frame_header(&self, device: InterfaceIndex, destination: IpAddr) -> Option<[u8; 14]> {
        let source = self.monitor.links().get(device)?.mac?;
        let destination = MacAddress::of_group(destination)?;
        Some(ethernet_header(destination, source, Family::Ipv6))
    }

    fn send_adverts(&mut self, batches: &mut Batches) {
        for (&(mouth, family), outgoing) in &mut batches.adverts {
            if outgoing.batch.is_empty() {
                continue;
            }
            let mut failures = Vec::new();
            let mut each = |place, result: Result<(), NetError>| {
                failures.extend(result.err().map(|error| (place, Some(error))));
            };
            let device = mouth.device;
            let is_sent = if sends_frames(mouth, family) {
                let sender = self.sockets.frames(device);
                sender.map(|sender| sender.send(&outgoing.batch, &mut each))
            } else {
                let sender = self.sockets.sender(device, family);
                sender.map(|sender| sender.send(&outgoing.batch, &mut each))
            };
            if is_sent.is_none() {
                failures.extend((0..outgoing.jobs.len()).map(|place| (place, None)));
            }
            self.finish(&outgoing.jobs, failures);
            outgoing.clear();
        }
    }

    fn write_frame(&mut self, id: JobId, announcement: &Announcement, batches: &mut Batches) {
        let device = self.face(announcement);
        let outgoing = batches.frames.entry(device).or_default();
        let node = &self.node;
        let has_own_mac = self.devices.contains_key(&announcement.router());
        let is_elsewhere = device != announcement.interface() && !has_own_mac;
        let other = self.monitor.links().get(device).and_then(|link| link.mac);
        let other = other.filter(|_| is_elsewhere);
        let address = announcement.address();
        let written = outgoing.batch.push(address, LONGEST_FRAME, |buffer| {
            let length = node.emit_announcement(announcement, buffer)?;
            match (other, address) {
                // On another interface the address has that one's MAC.
                (Some(mac), IpAddr::V4(address)) => {
                    Ok(GratuitousArp::new(address, mac).emit_frame(buffer)?)
                }
                (Some(mac), IpAddr::V6(address)) => {
                    Ok(crate::codec::UnsolicitedNa::new(address, mac).emit_frame(buffer)?)
                }
                (None, _) => Ok::<usize, EmitError>(length),
            }
        });
        match written {
            Ok(()) => outgoing.jobs.push(id),
            Err(EmitError::Withdrawn) => self.complete(id, JobResult::Done),
            Err(_) => self.complete(id, JobResult::Failed),
        }
    }

    /// Where an address is announced: where it is, or on the interface of its router where neighbours
    /// would not ask there for it (OP-6).
    fn face(&self, announcement: &Announcement) -> InterfaceIndex {
        let here = announcement.interface();
        if announcement.is_source() {
            return here;
        }
        let (router, address) = (announcement.router(), announcement.address());
        let device = self.resolved.key(router, address);
        let device = device.map_or(here, |key| key.interface);
        let link = self.monitor.links().get(device);
        if link.is_some_and(Link::is_asked) {
            device
        } else {
            here
        }
    }

    fn send_frames(&mut self, batches: &mut Batches) {
        for (&device, outgoing) in &mut batches.frames {
            if outgoing.batch.is_empty() {
                continue;
            }
            let mut failures = Vec::new();
            match self.sockets.frames(device) {
                Some(sender) => sender.send(&outgoing.batch, |place, result| {
                    failures.extend(result.err().map(|error| (place, Some(error))));
                }),
                None => failures.extend((0..outgoing.jobs.len()).map(|place| (place, None))),
            }
            self.finish(&outgoing.jobs, failures);
            outgoing.clear();
        }
    }

    /// Of each packet there is one job, and jobs may have several packets.
    fn finish(&mut self, jobs: &[JobId], failures: Vec<(usize, Option<NetError>)>) {
        let mut failed = Vec::new();
        // One of them tells what is the matter with all.
        let mut first = None;
        for (place, error) in failures {
            failed.extend(jobs.get(place));
            first = first.or(error);
        }
        if let Some(error) = first {
            self.tell(DriverEventKind::Failed(Arc::new(error)));
        }
        for id in jobs {
            let result = if failed.contains(id) {
                JobResult::Failed
            } else {
                JobResult::Done
            };
            self.complete(*id, result);
        }
    }

    fn change_addresses(
        &mut self,
        id: JobId,
        (router, interface): (RouterId, InterfaceIndex),
        install: &[IpAddr],
        remove: &[IpAddr],
    ) -> AddressJob {
        let mut job = AddressJob {
            id: Some(id),
            install: Vec::new(),
            remove: Vec::new(),
            wanted: None,
        };
        for address in install {
            if let Some(setup) = self.resolved.addresses.get(&(router, *address)) {
                let gone_by = self.gone_by(router);
                job.install.push(setup.clone().with_gone_by(gone_by));
                let placed = Placed {
                    address: setup.clone(),
                    is_wanted: true,
                };
                self.placed.insert((router, interface, *address), placed);
            }
        }
        for address in remove {
            // It stays known until it is gone: removing may have to be tried again.
            if let Some(placed) = self.placed.get_mut(&(router, interface, *address)) {
                placed.is_wanted = false;
                job.remove.push(placed.address.key());
            }
        }
        job
    }

    /// Whether an Active that is alive has the addresses until it hears of this router.
    fn takes_from_the_living(&self, router: RouterId) -> bool {
        let machine = self.node.machine(router);
        let reason = machine.map(|machine| machine.new_active_reason());
        let is_alive = matches!(
            reason,
            Some(NewActiveReason::Preempted | NewActiveReason::Priority)
        );
        is_alive && !self.config.gap.is_zero()
    }

    /// What was said has left, however long this process was held up before: from now on the other
    /// has time to remove the addresses.
    fn delay(&mut self, waiting: &mut Vec<(RouterId, AddressJob)>) {
        if waiting.is_empty() {
            return;
        }
        let due = clock::now().saturating_add(self.config.gap);
        self.jobs_out = self.jobs_out.saturating_add(waiting.len());
        let waiting = waiting.drain(..);
        self.delayed
            .extend(waiting.map(|(router, job)| (due, router, job)));
    }

    /// When the addresses of a router have to be gone, whatever becomes of this process.
    pub(super) fn gone_by(&self, router: RouterId) -> Option<Timestamp> {
        let group = self.config.guarded_group(router)?;
        self.guarded_until.get(&group).copied()
    }

    /// The guard of a group is held until then.
    pub(super) fn bound_addresses(&mut self, group: GroupId, until: Timestamp) {
        self.guarded_until.insert(group, until);
        let placed = self.placed.iter().filter(|((router, _, _), placed)| {
            placed.is_wanted && self.config.guarded_group(*router) == Some(group)
        });
        let bounds: Vec<_> = placed
            .map(|(_, placed)| (placed.address.key(), until))
            .collect();
        if !bounds.is_empty() {
            self.post(AddressTask::Bound(bounds));
        }
    }

    fn is_active(&self, router: RouterId) -> bool {
        let machine = self.node.machine(router);
        machine.is_some_and(|machine| machine.state() == State::Active)
    }

    /// What is to be installed for a router that is not Active any more is not begun.
    pub(super) fn drop_unwanted(&mut self) {
        let mut installing = core::mem::take(&mut self.installing);
        installing.retain(|(router, wanted)| {
            wanted.store(self.is_active(*router), Ordering::Release);
            // Otherwise the job is over.
            Arc::strong_count(wanted) > 1
        });
        self.installing = installing;
        let delayed = core::mem::take(&mut self.delayed);
        for (due, router, job) in delayed {
            if self.is_active(router) {
                self.delayed.push_back((due, router, job));
            } else {
                self.skip(job);
            }
        }
    }

    /// Nobody wanted this to be installed, and it was not.
    pub(super) fn skipped(&mut self, job: AddressJob) {
        let mut installing = self.installing.iter();
        let is_same = |wanted: &Arc<AtomicBool>| job.wanted.iter().any(|w| Arc::ptr_eq(w, wanted));
        let router = installing.find(|(_, wanted)| is_same(wanted));
        if let Some((_, wanted)) = router.filter(|(router, _)| self.is_active(*router)) {
            // It has become Active again meanwhile.
            wanted.store(true, Ordering::Release);
            self.post(AddressTask::Change([job].into()));
        } else {
            self.skip(job);
        }
    }

    /// It is taken for done: its router goes on to remove what is not there.
    fn skip(&mut self, job: AddressJob) {
        self.jobs_out = self.jobs_out.saturating_sub(1);
        if let Some(id) = job.id {
            self.complete(id, JobResult::Done);
        }
    }

    /// Those that have waited long enough.
    pub(super) fn install_delayed(&mut self, now: Timestamp) {
        let mut due = Vec::new();
        while self.delayed.front().is_some_and(|(at, _, _)| *at <= now) {
            due.extend(self.delayed.pop_front().map(|(_, _, job)| job));
        }
        if !due.is_empty() {
            self.post(AddressTask::Change(due));
        }
    }

    fn call(&mut self, id: JobId, call: HookCall) {
        match &self.hooks {
            Some(hooks) => {
                self.jobs_out = self.jobs_out.saturating_add(1);
                // The thread goes only after the driver, or tells of its end.
                if hooks.send((id, call)).is_err() {
                    self.jobs_out = self.jobs_out.saturating_sub(1);
                    self.complete(id, JobResult::Failed);
                }
            }
            None => self.complete(id, JobResult::Done),
        }
    }
}

fn mouth_of(resolved: &Resolved, send: &SendJob) -> Mouth {
    let mouth = resolved.mouths.get(&(send.router(), send.interface()));
    mouth
        .copied()
        .unwrap_or_else(|| Mouth::of(send.interface()))
}

/// Whether packets leave as whole frames: IPv6 from a device with a virtual MAC. A raw socket sends
/// none while the device has no address: before the first virtual address is there and after the last
/// one is gone.
fn sends_frames(mouth: Mouth, family: Family) -> bool {
    family == Family::Ipv6 && mouth.is_macvlan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::addresses::AddressKey;

    #[test]
    fn what_removes_something_waits_for_what_is_said_first() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let new = VirtualAddress::new(InterfaceIndex::new(2), address);
        let job = |install: &[VirtualAddress], remove: &[AddressKey]| AddressJob {
            id: None,
            install: install.into(),
            remove: remove.into(),
            wanted: None,
        };
        let mut batches = Batches::default();
        assert!(!batches.installs_only());
        let key = new.key();
        batches.addresses.push(job(&[new], &[]));
        assert!(batches.installs_only());
        batches.addresses.push(job(&[], &[key]));
        assert!(!batches.installs_only());
    }
}

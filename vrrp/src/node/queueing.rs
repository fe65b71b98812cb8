//! Jobs that nothing waits for are put into their queues: the newest of a kind counts, however slow
//! the driver is.

use super::awaited::Purpose;
use super::{Node, Queued, Wake};
use crate::event::{DataPlane, SendAdvert};
use crate::group::GroupId;
use crate::job::{Job, JobId, JobKind, SendJob};
use crate::priority::Rank;
use crate::receive::Versions;
use crate::version::Version;

/// So many results are awaited beside those of address work; older ones do not count any more.
const MAX_AWAITED: usize = 1024;

impl Node {
    pub(super) fn queue_advert(&mut self, key: usize, send: SendAdvert) {
        let versions: &[Version] = match send.versions {
            Versions::Only(Version::V2) => &[Version::V2],
            Versions::Only(Version::V3) => &[Version::V3],
            Versions::Dual => &[Version::V2, Version::V3],
        };
        for &version in versions {
            let job = self.new_id();
            let Some(router) = self.router_mut(key) else {
                return;
            };
            let kind = JobKind::Send(SendJob {
                key,
                router: router.id,
                interface: router.setup.interface,
                priority: send.priority,
                interval: send.interval,
                version,
            });
            // A driver that fell behind sends the newest only, and a resignation once.
            let queued = router.queued.of_mut(version);
            let old = queued.advert.replace(job);
            let resignation = if send.priority.is_resign() {
                queued.advert = None;
                queued.resignation.replace(job)
            } else {
                None
            };
            self.withdraw(old);
            self.withdraw(resignation);
            self.sends.push(Job { id: job, kind });
            self.await_result(job, key, Purpose::Send);
        }
    }

    /// What a router said as Active and is still here must not be sent any more.
    pub(super) fn withdraw_sends(&mut self, key: usize) {
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let [v2, v3] = &mut router.queued.sends;
        let adverts = [v2.advert.take(), v3.advert.take()];
        for advert in adverts {
            self.withdraw(advert);
        }
    }

    fn withdraw(&mut self, send: Option<JobId>) {
        if let Some(id) = send.filter(|id| self.sends.take_back(*id)) {
            self.forget_result(&id);
        }
    }

    pub(super) fn queue_plane(&mut self, key: usize, plane: DataPlane) {
        let Some(router) = self.router(key) else {
            return;
        };
        let (id, old) = (router.id, router.queued.plane);
        self.take_back(old);
        let job = self.queue(key, JobKind::DataPlane { router: id, plane });
        if let Some(router) = self.router_mut(key) {
            router.queued.plane = Some(job);
        }
    }

    /// A request that nobody has seen yet is replaced: the newest rank counts.
    pub(super) fn queue_acquire(&mut self, key: usize, group: GroupId, rank: Rank) {
        let old = self.groups.get(&group).and_then(|group| group.acquire_job);
        self.take_back(old);
        let job = self.queue(key, JobKind::AcquireGuard { group, rank });
        if let Some(group) = self.groups.get_mut(&group) {
            group.acquire_job = Some(job);
        }
    }

    /// Giving back makes a request void that nobody has seen yet.
    pub(super) fn queue_release(&mut self, key: usize, group: GroupId) {
        let Some(state) = self.groups.get(&group) else {
            return;
        };
        let (acquire, release) = (state.acquire_job, state.release_job);
        self.take_back(acquire);
        if release.is_some_and(|id| self.jobs.contains(id)) {
            return;
        }
        let job = self.queue(key, JobKind::ReleaseGuard { group });
        if let Some(group) = self.groups.get_mut(&group) {
            group.release_job = Some(job);
        }
    }

    fn take_back(&mut self, job: Option<JobId>) {
        if let Some(id) = job.filter(|id| self.jobs.take_back(*id)) {
            self.forget_result(&id);
        }
    }

    fn queue(&mut self, key: usize, kind: JobKind) -> JobId {
        let id = self.new_id();
        self.await_result(id, key, Purpose::of(&kind));
        self.jobs.push(Job { id, kind });
        id
    }

    pub(super) fn await_result(&mut self, id: JobId, key: usize, purpose: Purpose) {
        self.expect_result(id, key, purpose);
        if self.awaited.len() > MAX_AWAITED.saturating_add(self.routers.len()) {
            self.forget_results();
        }
    }

    /// The result of a job is awaited, and its router stays until then.
    pub(super) fn expect_result(&mut self, id: JobId, key: usize, purpose: Purpose) {
        self.awaited.insert(id, key, purpose);
        if let Some(router) = self.router_mut(key) {
            router.awaited = router.awaited.saturating_add(1);
        }
    }

    /// The router of a job whose result is not awaited any more, and what it was.
    pub(super) fn forget_result(&mut self, id: &JobId) -> Option<(usize, Purpose)> {
        let (key, purpose) = self.awaited.remove(id)?;
        if let Some(router) = self.router_mut(key) {
            router.awaited = router.awaited.saturating_sub(1);
        }
        self.touched.push(Wake::Router(key));
        Some((key, purpose))
    }

    /// The oldest half of the results that nothing waits for.
    fn forget_results(&mut self) {
        let Self {
            routers,
            awaited,
            touched,
            ..
        } = self;
        let mut left = MAX_AWAITED / 2;
        awaited.retain(|id, key| {
            if left == 0 {
                return true;
            }
            if let Some(router) = routers.get_mut(*key) {
                if router.work.job == Some(*id) || router.work.establishes_by(*id) {
                    return true;
                }
                router.awaited = router.awaited.saturating_sub(1);
                touched.push(Wake::Router(*key));
            }
            left = left.saturating_sub(1);
            false
        });
    }
}

impl Queued {
    const fn of_mut(&mut self, version: Version) -> &mut super::QueuedSends {
        let [v2, v3] = &mut self.sends;
        match version {
            Version::V2 => v2,
            Version::V3 => v3,
        }
    }
}

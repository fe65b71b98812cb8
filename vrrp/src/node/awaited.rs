//! The jobs handed out whose results count.

use alloc::collections::VecDeque;

use super::{OtherJob, ReportKind};
use crate::job::{JobId, JobKind};

/// What a failure is reported as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// By whoever waits for it.
    Work,
    Send,
    Other(OtherJob),
}

impl Purpose {
    pub(super) const fn of(kind: &JobKind) -> Self {
        match kind {
            JobKind::Send(_) => Self::Send,
            JobKind::DataPlane { .. } => Self::Other(OtherJob::DataPlane),
            JobKind::Announce(_) => Self::Other(OtherJob::Announce),
            JobKind::AcquireGuard { .. } => Self::Other(OtherJob::AcquireGuard),
            JobKind::ReleaseGuard { .. } => Self::Other(OtherJob::ReleaseGuard),
            _ => Self::Work,
        }
    }

    /// The report of a failure, and what it is limited by.
    pub(super) const fn failure(self) -> Option<(&'static str, ReportKind)> {
        let suppressed = 0;
        let (token, job) = match self {
            Self::Work => return None,
            Self::Send => return Some(("send-failed", ReportKind::SendFailed { suppressed })),
            Self::Other(job @ OtherJob::DataPlane) => ("data-plane-failed", job),
            Self::Other(job @ OtherJob::Announce) => ("announce-failed", job),
            Self::Other(job @ OtherJob::AcquireGuard) => ("acquire-failed", job),
            Self::Other(job @ OtherJob::ReleaseGuard) => ("release-failed", job),
        };
        Some((token, ReportKind::JobFailed { job, suppressed }))
    }
}

/// Which router each is for, and what it is. Ids grow, so a queue in their order does without an allocation for each
/// advertisement.
#[derive(Clone, Debug, Default)]
pub(super) struct Awaited {
    jobs: VecDeque<(JobId, usize, Purpose)>,
}

impl Awaited {
    pub(super) fn insert(&mut self, id: JobId, key: usize, purpose: Purpose) {
        let place = self.jobs.partition_point(|(other, ..)| *other < id);
        self.jobs.insert(place, (id, key, purpose));
    }

    /// The router of a job, which is not awaited any more, and what it was.
    pub(super) fn remove(&mut self, id: &JobId) -> Option<(usize, Purpose)> {
        let place = self.jobs.binary_search_by_key(id, |(other, ..)| *other);
        let (_, key, purpose) = self.jobs.remove(place.ok()?)?;
        Some((key, purpose))
    }

    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&JobId, &usize) -> bool) {
        self.jobs.retain(|(id, key, _)| keeps(id, key));
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }
}

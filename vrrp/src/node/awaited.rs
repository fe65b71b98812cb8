//! The jobs handed out whose results count.

use alloc::collections::VecDeque;

use crate::job::JobId;

/// Which router each is for. Ids grow, so a queue in their order does without an allocation for each
/// advertisement.
#[derive(Clone, Debug, Default)]
pub(super) struct Awaited {
    jobs: VecDeque<(JobId, usize)>,
}

impl Awaited {
    pub(super) fn insert(&mut self, id: JobId, key: usize) {
        let place = self.jobs.partition_point(|(other, _)| *other < id);
        self.jobs.insert(place, (id, key));
    }

    /// The router of a job, which is not awaited any more.
    pub(super) fn remove(&mut self, id: &JobId) -> Option<usize> {
        let place = self.jobs.binary_search_by_key(id, |(other, _)| *other);
        let (_, key) = self.jobs.remove(place.ok()?)?;
        Some(key)
    }

    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&JobId, &usize) -> bool) {
        self.jobs.retain(|(id, key)| keeps(id, key));
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }
}

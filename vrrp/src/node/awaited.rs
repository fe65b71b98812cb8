//! The jobs handed out whose results count.

use alloc::collections::VecDeque;

use crate::job::JobId;

/// Which router each is for, and whether it sends an advertisement. Ids grow, so a queue in their order does without an allocation for each
/// advertisement.
#[derive(Clone, Debug, Default)]
pub(super) struct Awaited {
    jobs: VecDeque<(JobId, usize, bool)>,
}

impl Awaited {
    pub(super) fn insert(&mut self, id: JobId, key: usize, is_send: bool) {
        let place = self.jobs.partition_point(|(other, ..)| *other < id);
        self.jobs.insert(place, (id, key, is_send));
    }

    /// The router of a job, which is not awaited any more, and whether it sends.
    pub(super) fn remove(&mut self, id: &JobId) -> Option<(usize, bool)> {
        let place = self.jobs.binary_search_by_key(id, |(other, ..)| *other);
        let (_, key, is_send) = self.jobs.remove(place.ok()?)?;
        Some((key, is_send))
    }

    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&JobId, &usize) -> bool) {
        self.jobs.retain(|(id, key, _)| keeps(id, key));
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }
}

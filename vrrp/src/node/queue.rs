//! Jobs that wait to be fetched, in order.

use alloc::collections::VecDeque;

use crate::job::{Job, JobId, JobKind};

/// A queue from which any job can be taken back: that leaves a gap, and gaps are closed when there
/// are more of them than jobs. Ids grow, so a job is found by its id.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    jobs: VecDeque<(JobId, Option<JobKind>)>,
    gaps: usize,
}

impl Queue {
    pub(super) fn push(&mut self, job: Job) {
        self.jobs.push_back((job.id, Some(job.kind)));
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        loop {
            let (id, kind) = self.jobs.pop_front()?;
            if let Some(kind) = kind {
                return Some(Job { id, kind });
            }
            self.gaps = self.gaps.saturating_sub(1);
        }
    }

    fn place(&self, id: JobId) -> Option<usize> {
        self.jobs.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    pub(super) fn contains(&self, id: JobId) -> bool {
        let job = self.place(id).and_then(|place| self.jobs.get(place));
        job.is_some_and(|(_, kind)| kind.is_some())
    }

    /// Takes a job back; says whether it was still there.
    pub(super) fn take_back(&mut self, id: JobId) -> bool {
        let place = self.place(id);
        let job = place.and_then(|place| self.jobs.get_mut(place));
        if job.and_then(|(_, kind)| kind.take()).is_none() {
            return false;
        }
        self.gaps = self.gaps.saturating_add(1);
        if self.gaps > self.jobs.len() / 2 {
            self.jobs.retain(|(_, kind)| kind.is_some());
            self.gaps = 0;
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gaps == self.jobs.len()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::group::GroupId;

    fn job(number: u64) -> Job {
        let kind = JobKind::ReleaseGuard {
            group: GroupId::new(1),
        };
        Job {
            id: JobId(number),
            kind,
        }
    }

    #[test]
    fn what_is_taken_back_is_never_fetched_and_takes_no_room() {
        let mut queue = Queue::default();
        for number in 1..=1000 {
            queue.push(job(number));
            if number % 10 != 0 {
                assert!(queue.contains(JobId(number)));
                assert!(queue.take_back(JobId(number)));
                assert!(!queue.take_back(JobId(number)));
                assert!(!queue.contains(JobId(number)));
            }
        }
        assert!(queue.jobs.len() <= 201, "{}", queue.jobs.len());
        let fetched = core::iter::from_fn(|| queue.pop()).map(|job| job.id.0);
        assert!(fetched.eq((1..=100).map(|tens| tens * 10)));
        assert!(queue.is_empty());
        queue.push(job(2000));
        queue.push(job(2001));
        assert!(queue.take_back(JobId(2000)));
        assert!(!queue.is_empty());
        let left: Vec<_> = core::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(left, [job(2001)]);
        assert_eq!(queue.gaps, 0);
    }
}

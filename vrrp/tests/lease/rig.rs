//! A lease with its stores beside it, for tests that say when what is answered.

use core::time::Duration;

use lvs_vrrp::lease::{
    HolderId, Lease, LeaseAnswer, LeaseConfig, LeaseEvent, LeaseJob, LeaseRequest, MemoryStore,
};
use lvs_vrrp::{GuardStatus, Priority, Rank, Timestamp};

/// A point of time, or a span, in milliseconds.
pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One nanosecond.
pub(crate) const TICK: Duration = Duration::from_nanos(1);

/// The example of §4.2: H = 8.99 s, P = 2.9 s, timeout 1.4 s.
pub(crate) fn config() -> LeaseConfig {
    LeaseConfig::new(ms(10_000), ms(300), ms(700)).unwrap()
}

pub(crate) fn rank(priority: u8) -> Rank {
    Rank::new(Priority::new(priority), "192.0.2.9".parse().unwrap())
}

pub(crate) fn lease(config: LeaseConfig) -> Lease {
    Lease::new(config, HolderId::new(1))
}

pub(crate) fn events(lease: &mut Lease) -> Vec<LeaseEvent> {
    core::iter::from_fn(|| lease.poll_event()).collect()
}

pub(crate) fn jobs(lease: &mut Lease) -> Vec<LeaseJob> {
    core::iter::from_fn(|| lease.poll_job()).collect()
}

/// Lets stores answer all jobs at once, jobs that follow from the answers too. A store that is None
/// does not answer.
pub(crate) fn serve(lease: &mut Lease, now: Timestamp, stores: &mut [Option<MemoryStore>]) {
    while let Some(job) = lease.poll_job() {
        if let Some(store) = &mut stores[usize::from(job.id.store())] {
            let answer = store.handle(now, &job.request);
            lease.answer(now, job.id, answer);
        }
    }
}

/// Goes from deadline to deadline until a time, with stores that answer at once.
pub(crate) fn run(lease: &mut Lease, until: Timestamp, stores: &mut [Option<MemoryStore>]) {
    serve(lease, Timestamp::ZERO, stores);
    while let Some(now) = lease.next_deadline().filter(|now| *now <= until) {
        lease.tick(now);
        assert!(
            lease.next_deadline().is_none_or(|next| next > now) || !is_served(lease),
            "a deadline stays at {now:?}"
        );
        serve(lease, now, stores);
    }
    lease.tick(until);
    serve(lease, until, stores);
}

/// Whether nothing is left to be taken.
fn is_served(lease: &Lease) -> bool {
    lease.clone().poll_job().is_none()
}

pub(crate) fn is_held(lease: &Lease) -> bool {
    matches!(lease.status(), GuardStatus::Held { .. })
}

pub(crate) const fn granted(epoch: u64) -> LeaseAnswer {
    LeaseAnswer::Granted {
        epoch,
        vacated: true,
    }
}

pub(crate) const fn refused(by: u128, epoch: u64) -> LeaseAnswer {
    LeaseAnswer::Refused {
        holder: Some(HolderId::new(by)),
        epoch,
    }
}

/// A lease that was requested, and granted at once by its one store.
pub(crate) fn holding(config: LeaseConfig, now: Timestamp) -> Lease {
    let mut lease = lease(config);
    lease.request(now, rank(100));
    let job = lease.poll_job().unwrap();
    lease.answer(now, job.id, granted(1));
    assert!(is_held(&lease));
    assert_eq!(events(&mut lease).len(), 1);
    lease
}

/// What is asked, in a word.
pub(crate) fn verb(job: &LeaseJob) -> &'static str {
    match job.request {
        LeaseRequest::Acquire { .. } => "acquire",
        LeaseRequest::Renew { .. } => "renew",
        LeaseRequest::Release { .. } => "release",
        LeaseRequest::WriteClaim { .. } => "write claim",
        LeaseRequest::ReadClaims { .. } => "read claims",
        _ => "?",
    }
}

pub(crate) fn verbs(lease: &mut Lease) -> Vec<&'static str> {
    jobs(lease).iter().map(verb).collect()
}

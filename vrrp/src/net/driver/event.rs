//! What a driver tells: one stream, in order, numbered.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::task::Waker;
#[cfg(feature = "tokio")]
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::address::InterfaceIndex;
use crate::event::Notification;
use crate::net::NetError;
use crate::net::addresses::AddressKey;
use crate::net::config::DriverError;
use crate::net::links::InterfaceAddress;
use crate::net::macvlan::Leftover;
use crate::node::{Report, ReportKind, Subject};
use crate::timer::Timestamp;

/// Something that happened.
#[expect(clippy::exhaustive_structs, reason = "which, when, and what")]
#[derive(Clone, Debug)]
pub struct DriverEvent {
    /// Grows by one with each event; where some are missing, they were dropped.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub kind: DriverEventKind,
}

/// What happened.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum DriverEventKind {
    /// The node reports it; its own sequence number counts reports only.
    Report(Report),
    /// An interface of the configuration is there now, or another has its name.
    InterfaceFound {
        /// Its name.
        name: String,
        /// Its index.
        index: InterfaceIndex,
    },
    /// An interface of the configuration is not there.
    InterfaceMissing {
        /// Its name.
        name: String,
    },
    /// So much happened to links that some of it was lost; all was read again.
    LinksReread,
    /// The configuration does not fit the interfaces as they are now: all goes on as it was.
    Refused(Arc<DriverError>),
    /// An address that an earlier process had left behind was removed.
    LeftoverRemoved(InterfaceAddress),
    /// A device with a virtual MAC that an earlier process had left behind was deleted.
    DeviceDeleted(Leftover),
    /// Somebody had removed this virtual address, and it is there again: at once, if the kernel lets
    /// us. Otherwise it is tried five times more within 1.6 s, ever more rarely; of the failures the
    /// first, the second, the fourth and the last are told as [`Failed`](Self::Failed). Then its router
    /// gives way, and reports [`AddressesLost`](crate::node::ReportKind::AddressesLost).
    AddressRestored(AddressKey),
    /// A hook of the program panicked, and said this. It counts as failed.
    HookPanicked(String),
    /// The system refused something. What that means to a virtual router is a report of its own.
    Failed(Arc<NetError>),
}

impl DriverEvent {
    fn transition(&self) -> Option<Subject> {
        match &self.kind {
            DriverEventKind::Report(report) => match report.kind {
                ReportKind::Router(Notification::Transition(_)) => Some(report.subject),
                _ => None,
            },
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<DriverEvent>,
    /// Which of them is the last transition of each router.
    last: BTreeMap<Subject, u64>,
    /// How many went because nobody took them.
    dropped: u64,
    /// Tasks that wait for the next.
    tasks: Vec<Waker>,
    has_ended: bool,
}

impl Queue {
    fn push(&mut self, event: DriverEvent, capacity: usize) {
        if let Some(subject) = event.transition() {
            self.last.insert(subject, event.sequence);
        }
        self.events.push_back(event);
        if self.events.len() > capacity {
            self.make_room();
        }
    }

    fn pop(&mut self) -> Option<DriverEvent> {
        let event = self.events.pop_front()?;
        if let Some(subject) = event.transition() {
            if self.last.get(&subject) == Some(&event.sequence) {
                self.last.remove(&subject);
            }
        }
        Some(event)
    }

    /// Drops the oldest that is not the last transition of its router. Where each is, it grows: there
    /// are no more of these than routers.
    fn make_room(&mut self) {
        let last = &self.last;
        let dispensable = self.events.iter().position(|event| {
            let last = event.transition().and_then(|subject| last.get(&subject));
            last != Some(&event.sequence)
        });
        if let Some(place) = dispensable {
            self.events.remove(place);
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

/// What a stream and its driver share.
#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    condition: Condvar,
    capacity: usize,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        // Nothing in here panics half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's end of a stream.
#[derive(Debug)]
pub(super) struct Feed(Weak<Shared>);

impl Feed {
    /// Says whether somebody may take it.
    pub(super) fn push(&self, event: &DriverEvent) -> bool {
        let Some(shared) = self.0.upgrade() else {
            return false;
        };
        let mut queue = shared.lock();
        queue.push(event.clone(), shared.capacity);
        let tasks = core::mem::take(&mut queue.tasks);
        drop(queue);
        shared.condition.notify_one();
        tasks.into_iter().for_each(Waker::wake);
        true
    }

    pub(super) fn end(&self) {
        if let Some(shared) = self.0.upgrade() {
            let mut queue = shared.lock();
            queue.has_ended = true;
            let tasks = core::mem::take(&mut queue.tasks);
            drop(queue);
            shared.condition.notify_all();
            tasks.into_iter().for_each(Waker::wake);
        }
    }
}

/// The events of a driver, to be taken on whatever thread.
///
/// It holds a limited number. When nobody takes them the oldest go, but never the last transition of
/// a virtual router. When it and its clones are dropped the driver forgets it.
#[derive(Clone, Debug)]
pub struct EventStream {
    shared: Arc<Shared>,
}

impl EventStream {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                condition: Condvar::new(),
                capacity: capacity.max(1),
            }),
        }
    }

    pub(super) fn feed(&self) -> Feed {
        Feed(Arc::downgrade(&self.shared))
    }

    /// The next event, if there is one.
    #[must_use]
    pub fn try_next(&self) -> Option<DriverEvent> {
        self.shared.lock().pop()
    }

    /// The next event; `None` when the driver has ended.
    ///
    /// # Blocking
    ///
    /// Until there is one.
    #[must_use]
    pub fn next(&self) -> Option<DriverEvent> {
        self.take(None)
    }

    /// The next event; `None` when the driver has ended or this time is over.
    ///
    /// # Blocking
    ///
    /// So long.
    #[must_use]
    pub fn next_within(&self, timeout: Duration) -> Option<DriverEvent> {
        self.take(Instant::now().checked_add(timeout))
    }

    /// How many were dropped so far because nobody took them. Where they were is seen from the
    /// [numbers](DriverEvent::sequence) of those that are left.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// The next event; ready without one when the driver has ended. Until then the task is woken for
    /// each event, whether or not somebody else was quicker.
    #[cfg(feature = "tokio")]
    pub(in crate::net) fn poll(&self, task: &Context<'_>) -> Poll<Option<DriverEvent>> {
        let mut queue = self.shared.lock();
        if let Some(event) = queue.pop() {
            return Poll::Ready(Some(event));
        }
        if queue.has_ended {
            return Poll::Ready(None);
        }
        let waker = task.waker();
        if !queue.tasks.iter().any(|known| known.will_wake(waker)) {
            queue.tasks.push(waker.clone());
        }
        Poll::Pending
    }

    fn take(&self, until: Option<Instant>) -> Option<DriverEvent> {
        let mut queue = self.shared.lock();
        loop {
            if let Some(event) = queue.pop() {
                return Some(event);
            }
            if queue.has_ended {
                return None;
            }
            let condition = &self.shared.condition;
            queue = match until {
                None => condition
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.checked_duration_since(Instant::now())?;
                    let waited = condition.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Priority;
    use crate::address::Family;
    use crate::event::{LastEvent, NewActiveReason, State, Transition};
    use crate::node::RouterId;

    /// What happens to routers 1 and 2, and something else.
    fn transition(sequence: u64, router: u32) -> DriverEvent {
        let subject = Subject {
            router: Some(RouterId::new(router)),
            interface: InterfaceIndex::new(2),
            family: Family::Ipv4,
            vrid: None,
        };
        let kind = ReportKind::Router(Notification::Transition(Transition {
            from: State::Backup,
            to: State::Active,
            event: LastEvent::default(),
            reason: NewActiveReason::default(),
            priority: Priority::new(100),
        }));
        let at = Timestamp::default();
        let report = Report {
            sequence,
            at,
            subject,
            kind,
        };
        event(sequence, DriverEventKind::Report(report))
    }

    #[test]
    fn the_last_transitions_of_routers_are_kept() {
        let stream = EventStream::new(2);
        let feed = stream.feed();
        let push = |event| assert!(feed.push(&event));
        let taken = || core::iter::from_fn(|| stream.try_next()).map(|event| event.sequence);
        push(transition(1, 1));
        push(transition(2, 2));
        push(transition(3, 1));
        push(event(4, DriverEventKind::LinksReread));
        push(event(5, DriverEventKind::LinksReread));
        assert_eq!(taken().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(stream.dropped(), 3);
        // What was taken is not kept for its sake.
        push(transition(6, 1));
        push(event(7, DriverEventKind::LinksReread));
        assert_eq!(taken().collect::<Vec<_>>(), [6, 7]);
        push(transition(8, 1));
        push(transition(9, 2));
        push(transition(10, 3));
        assert_eq!(taken().collect::<Vec<_>>(), [8, 9, 10]);
        assert!(stream.shared.lock().last.is_empty());
    }

    fn event(sequence: u64, kind: DriverEventKind) -> DriverEvent {
        let at = Timestamp::default();
        DriverEvent { sequence, at, kind }
    }

    /// Whoever waits is woken, takes the same as others would, and has taken nothing if it gives up.
    #[cfg(feature = "tokio")]
    #[test]
    fn tasks_are_woken_and_see_what_is_left() {
        use alloc::task::Wake;
        use core::sync::atomic::{AtomicU32, Ordering};

        #[derive(Default)]
        struct Count(AtomicU32);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let woken = || Arc::new(Count::default());
        let times = |count: &Count| count.0.load(Ordering::Relaxed);
        let (first, second) = (woken(), woken());
        let stream = EventStream::new(2);
        let feed = stream.feed();
        let poll = |count: &Arc<Count>| {
            let waker = Waker::from(Arc::clone(count));
            let polled = stream.poll(&Context::from_waker(&waker));
            polled.map(|event| event.map(|event| event.sequence))
        };
        for _ in 0..3 {
            assert_eq!(poll(&first), Poll::Pending);
        }
        assert_eq!(poll(&second), Poll::Pending);
        assert_eq!(stream.shared.lock().tasks.len(), 2);
        for number in 1..=3 {
            feed.push(&event(number, DriverEventKind::LinksReread));
        }
        assert_eq!((times(&first), times(&second)), (1, 1));
        assert_eq!(stream.dropped(), 1);
        assert_eq!(poll(&second), Poll::Ready(Some(2)));
        assert_eq!(poll(&first), Poll::Ready(Some(3)));
        assert_eq!(poll(&first), Poll::Pending);
        feed.end();
        assert_eq!((times(&first), times(&second)), (2, 1));
        assert_eq!(poll(&first), Poll::Ready(None));
    }

    #[test]
    fn a_stream_that_was_dropped_is_forgotten() {
        let stream = EventStream::new(2);
        let (feed, clone) = (stream.feed(), stream.clone());
        drop(stream);
        assert!(feed.push(&event(1, DriverEventKind::LinksReread)));
        drop(clone);
        assert!(!feed.push(&event(2, DriverEventKind::LinksReread)));
    }
}

//! When which attempt starts, for very many checks: due times, deadlines, limits.
//!
//! Pure: the driver tells it the time, and asks what may start and what has run out of time. Due
//! times live in a timing wheel of 10 ms resolution, so that setting and taking back take constant
//! time; what is due but held up by a limit waits in a queue, checks in a transitional state
//! first, then the longest waiting.
//!
//! ```
//! use std::time::Duration;
//! use lvs_healthcheck::probe::Resource;
//! use lvs_healthcheck::timetable::{Limits, Timetable};
//!
//! let mut timetable = Timetable::new(Limits::default())?;
//! let second = Duration::from_secs(1);
//! let check = timetable.add(Resource::Socket, None).unwrap();
//! timetable.schedule(check, 5 * second, false, second);
//! assert!(timetable.next_wakeup() <= Some(5 * second)); // it may look once or twice before
//!
//! timetable.advance(5 * second);
//! assert_eq!(timetable.start_next(5 * second), Some(check));
//! timetable.set_deadline(check, 8 * second);
//! timetable.advance(9 * second);
//! assert_eq!(timetable.expire_next(), Some(check));
//! timetable.finish(check);
//! # Ok::<_, lvs_healthcheck::Invalid>(())
//! ```

mod hosts;
mod limits;
mod wheel;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use self::hosts::Hosts;
use self::limits::Bucket;
pub use self::limits::Limits;
use self::wheel::{Wheel, nanos};
use crate::Timestamp;
use crate::check::CheckId;
use crate::error::Invalid;
use crate::probe::Resource;

/// Place in a queue: transitional first, then by due time in nanoseconds, then by slot; in one number,
/// because comparing them is what queues do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Turn(u128);

impl Turn {
    fn new(settled: bool, due: u64, slot: u32) -> Self {
        Self((u128::from(settled) << 96) | (u128::from(due) << 32) | u128::from(slot))
    }

    /// In nanoseconds.
    const fn due(self) -> u64 {
        (self.0 >> 32) as u64
    }

    const fn slot(self) -> u32 {
        self.0 as u32
    }
}

/// Where a check is between two attempts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Nothing planned.
    Idle,
    /// Waiting for its time.
    Planned,
    /// Due, waiting for its turn.
    Due,
    /// Due, waiting for other attempts at the same host to end.
    Parked,
    /// Started and not finished.
    Running,
}

/// Two of them fit into a cache line: with very many checks, fetching these is what costs.
#[derive(Debug)]
struct Entry {
    /// In nanoseconds, as all that follows.
    due: u64,
    late_after: u64,
    generation: u32,
    /// Its number.
    host: Option<u32>,
    resource: Resource,
    stage: Stage,
    settled: bool,
    used: bool,
}

impl Entry {
    fn turn(&self, slot: u32) -> Turn {
        Turn::new(self.settled, self.due, slot)
    }
}

/// How busy a [`Timetable`] is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// Checks there are.
    pub checks: usize,
    /// Attempts started and not finished.
    pub in_flight: u32,
    /// Those of them that are external commands.
    pub processes: u32,
    /// Those of them that are functions on a thread.
    pub threads: u32,
    /// Those of them that are tasks of the driver's runtime.
    pub tasks: u32,
    /// Attempts that are due and wait because of a limit.
    pub waiting: usize,
    /// Attempts so far that started later than their due time by more than their interval.
    pub late_total: u64,
    /// The longest an attempt was late so far.
    pub latest: Duration,
    /// How many attempts so far started how late: the first number counts those up to the first of
    /// [`LAG_BOUNDS`](Self::LAG_BOUNDS), and so on; the last one those beyond all bounds.
    pub lag: [u64; 9],
}

impl Load {
    /// Where the ranges of [`lag`](Self::lag) end.
    pub const LAG_BOUNDS: [Duration; 8] = [
        Duration::from_millis(10),
        Duration::from_millis(20),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(200),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_secs(5),
    ];
}

/// Due times and limits of many checks.
#[derive(Debug)]
pub struct Timetable {
    limits: Limits,
    /// In nanoseconds.
    start_slack: u64,
    entries: Vec<Entry>,
    free: Vec<u32>,
    wheel: Wheel,
    sockets: BTreeSet<Turn>,
    processes: BTreeSet<Turn>,
    threads: BTreeSet<Turn>,
    tasks: BTreeSet<Turn>,
    hosts: Hosts,
    expired: VecDeque<CheckId>,
    starts: Bucket,
    forks: Bucket,
    /// Timers that have just fired.
    fired: Vec<u32>,
    /// Attempts that have just come due.
    due: Vec<(Resource, Turn)>,
    now: Timestamp,
    load: Load,
    /// External commands whose attempts are over, but which are not gone.
    outliving: u32,
}

impl Timetable {
    /// An empty timetable.
    ///
    /// # Errors
    ///
    /// A limit is 0.
    pub fn new(limits: Limits) -> Result<Self, Invalid> {
        limits.validate()?;
        Ok(Self {
            starts: Bucket::new(limits.start_rate),
            forks: Bucket::new(limits.fork_rate),
            limits,
            start_slack: nanos(Self::MIN_START_SLACK),
            entries: Vec::new(),
            free: Vec::new(),
            wheel: Wheel::new(),
            sockets: BTreeSet::new(),
            processes: BTreeSet::new(),
            threads: BTreeSet::new(),
            tasks: BTreeSet::new(),
            hosts: Hosts::default(),
            expired: VecDeque::new(),
            fired: Vec::new(),
            due: Vec::new(),
            now: Timestamp::ZERO,
            load: Load::default(),
            outliving: 0,
        })
    }

    /// The least and default slack: the resolution of the wheel.
    pub const MIN_START_SLACK: Duration = Duration::from_millis(10);

    /// Gathers starts: each comes up to so much after it is due, together with others, so that one
    /// wake-up serves them all. Deadlines are not gathered. Holds for what is scheduled from now on.
    ///
    /// # Errors
    ///
    /// Not from 10 ms, the default, to 1 s.
    pub fn set_start_slack(&mut self, slack: Duration) -> Result<(), Invalid> {
        if slack < Self::MIN_START_SLACK || slack > Duration::from_secs(1) {
            let value = format!("{slack:?}");
            return Err(Invalid::new("start_slack", value, "must be 10 ms to 1 s"));
        }
        // The wheel rounds up by itself, so whole ticks have to be left for that.
        let tick = nanos(Self::MIN_START_SLACK);
        self.start_slack = (nanos(slack) / tick).max(1).saturating_mul(tick);
        Ok(())
    }

    /// The end of the slack in which a start is due.
    fn gathered(&self, due: Timestamp) -> Timestamp {
        let slack = self.start_slack;
        let end = nanos(due).div_ceil(slack).checked_mul(slack);
        end.map_or(due, Duration::from_nanos)
    }

    /// Adds a check with nothing planned. `None` when there are 2³⁰ of them.
    pub fn add(&mut self, resource: Resource, host: Option<IpAddr>) -> Option<CheckId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => u32::try_from(self.entries.len())
                .ok()
                .filter(|slot| *slot < 1 << 30)?,
        };
        let generation = match self.entries.get_mut(slot as usize) {
            Some(entry) => {
                entry.generation = entry.generation.wrapping_add(1);
                entry.generation
            }
            None => 0,
        };
        let entry = Entry {
            generation,
            used: true,
            resource,
            host: host.and_then(|address| self.hosts.enter(address)),
            stage: Stage::Idle,
            settled: false,
            due: 0,
            late_after: u64::MAX,
        };
        match self.entries.get_mut(slot as usize) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        self.load.checks = self.load.checks.saturating_add(1);
        Some(CheckId { slot, generation })
    }

    /// Removes a check; a running attempt counts as finished. Says whether there was one.
    pub fn remove(&mut self, check: CheckId) -> bool {
        if self.entry(check).is_none() {
            return false;
        }
        self.finish(check);
        self.unplan(check);
        let host = self.entry_mut(check).and_then(|entry| {
            entry.used = false;
            entry.host.take()
        });
        if let Some(host) = host {
            self.hosts.leave(host);
        }
        self.free.push(check.slot);
        self.load.checks = self.load.checks.saturating_sub(1);
        true
    }

    /// Plans the next attempt, instead of one planned before. `transitional` lets it go first when
    /// attempts have to wait; one that starts more than `late_after` after `due` counts as late.
    /// Nothing happens while an attempt is running.
    pub fn schedule(
        &mut self,
        check: CheckId,
        due: Timestamp,
        transitional: bool,
        late_after: Duration,
    ) {
        if self
            .entry(check)
            .is_none_or(|entry| entry.stage == Stage::Running)
        {
            return;
        }
        self.unplan(check);
        if let Some(entry) = self.entry_mut(check) {
            entry.stage = Stage::Planned;
            entry.settled = !transitional;
            entry.due = nanos(due);
            entry.late_after = nanos(late_after);
            let at = self.gathered(due);
            self.wheel.insert(start_timer(check.slot), at);
        }
    }

    /// How many external commands have outlived their attempts and are not gone yet, however much they
    /// were killed: they count towards the [limit](Limits::with_max_processes).
    pub fn set_outliving(&mut self, processes: usize) {
        self.outliving = u32::try_from(processes).unwrap_or(u32::MAX);
    }

    /// Whether another external command may run.
    const fn has_process(&self) -> bool {
        self.load.processes.saturating_add(self.outliving) < self.limits.max_processes
    }

    /// Takes back a planned attempt. Nothing happens while one is running.
    pub fn unschedule(&mut self, check: CheckId) {
        self.unplan(check);
    }

    /// Sets the deadline of a running attempt, instead of the one set before.
    pub fn set_deadline(&mut self, check: CheckId, deadline: Timestamp) {
        if self
            .entry(check)
            .is_some_and(|entry| entry.stage == Stage::Running)
        {
            self.wheel.insert(deadline_timer(check.slot), deadline);
        }
    }

    /// Ends a running attempt and gives back what it occupied.
    pub fn finish(&mut self, check: CheckId) {
        let Some(entry) = self
            .entry_mut(check)
            .filter(|entry| entry.stage == Stage::Running)
        else {
            return;
        };
        entry.stage = Stage::Idle;
        let (resource, host) = (entry.resource, entry.host);
        self.wheel.cancel(deadline_timer(check.slot));
        self.load.in_flight = self.load.in_flight.saturating_sub(1);
        match resource {
            Resource::Socket => {}
            Resource::Process => self.load.processes = self.load.processes.saturating_sub(1),
            Resource::Thread => self.load.threads = self.load.threads.saturating_sub(1),
            Resource::Task => self.load.tasks = self.load.tasks.saturating_sub(1),
        }
        let next = host.and_then(|host| self.hosts.finish(host));
        if let Some(turn) = next {
            self.enqueue(turn);
        }
    }

    /// Takes note of the time. Earlier than before is as if no time had passed.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let mut fired = core::mem::take(&mut self.fired);
        self.wheel.advance(self.now, |timer| fired.push(timer));
        for timer in fired.drain(..) {
            let (slot, is_start) = (timer >> 1, timer & 1 == 0);
            let Some(entry) = self.entries.get_mut(slot as usize) else {
                continue;
            };
            if is_start {
                entry.stage = Stage::Due;
                self.due.push((entry.resource, entry.turn(slot)));
            } else {
                self.expired.push_back(CheckId {
                    slot,
                    generation: entry.generation,
                });
            }
        }
        // Not in the same loop: so the processor fetches many entries at a time.
        let mut due = core::mem::take(&mut self.due);
        for (resource, turn) in due.drain(..) {
            self.queue(resource).insert(turn);
        }
        self.due = due;
        self.fired = fired;
    }

    /// The next attempt that may start now, counted as running from now on.
    pub fn start_next(&mut self, now: Timestamp) -> Option<CheckId> {
        self.now = self.now.max(now);
        while self.load.in_flight < self.limits.max_in_flight && self.starts.is_free(self.now) {
            let (resource, turn) = self.first_turn()?;
            let slot = turn.slot();
            self.queue(resource).pop_first();
            let entry = self.entries.get_mut(slot as usize)?;
            if let Some(host) = entry.host {
                if !self.hosts.start(host, self.limits.max_in_flight_per_host) {
                    self.hosts.park(host, turn);
                    entry.stage = Stage::Parked;
                    continue;
                }
            }
            entry.stage = Stage::Running;
            self.starts.take(self.now);
            self.load.in_flight = self.load.in_flight.saturating_add(1);
            match entry.resource {
                Resource::Socket => {}
                Resource::Process => {
                    self.forks.take(self.now);
                    self.load.processes = self.load.processes.saturating_add(1);
                }
                Resource::Thread => self.load.threads = self.load.threads.saturating_add(1),
                Resource::Task => self.load.tasks = self.load.tasks.saturating_add(1),
            }
            let late_nanos = nanos(self.now).saturating_sub(turn.due());
            let late = Duration::from_nanos(late_nanos);
            self.load.latest = self.load.latest.max(late);
            let range = Load::LAG_BOUNDS.iter().take_while(|end| late > **end);
            if let Some(count) = self.load.lag.get_mut(range.count()) {
                *count = count.saturating_add(1);
            }
            if late_nanos > entry.late_after {
                self.load.late_total = self.load.late_total.saturating_add(1);
            }
            return Some(CheckId {
                slot,
                generation: entry.generation,
            });
        }
        None
    }

    /// The next running attempt whose deadline has passed.
    pub fn expire_next(&mut self) -> Option<CheckId> {
        while let Some(check) = self.expired.pop_front() {
            // It may have finished meanwhile.
            let stage = self.entry(check).map(|entry| entry.stage);
            if stage == Some(Stage::Running) {
                return Some(check);
            }
        }
        None
    }

    /// When to [`advance`](Self::advance) next, if nothing else happens before. May be in the
    /// past: then at once.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        if !self.expired.is_empty() {
            return Some(self.now);
        }
        let room = self.load.in_flight < self.limits.max_in_flight;
        let socket = self
            .sockets
            .first()
            .filter(|_| room)
            .map(|_| self.starts.free_at(self.now));
        let process = self
            .processes
            .first()
            .filter(|_| room && self.has_process())
            .map(|_| {
                self.starts
                    .free_at(self.now)
                    .max(self.forks.free_at(self.now))
            });
        let thread = self
            .threads
            .first()
            .filter(|_| room && self.load.threads < self.limits.max_threads)
            .map(|_| self.starts.free_at(self.now));
        let task = self
            .tasks
            .first()
            .filter(|_| room && self.load.tasks < self.limits.max_tasks)
            .map(|_| self.starts.free_at(self.now));
        [self.wheel.next(), socket, process, thread, task]
            .into_iter()
            .flatten()
            .min()
    }

    /// How busy it is.
    #[must_use]
    pub fn load(&self) -> Load {
        let queued = [&self.sockets, &self.processes, &self.threads, &self.tasks];
        let queued: usize = queued.into_iter().map(BTreeSet::len).sum();
        Load {
            waiting: queued.saturating_add(self.hosts.parked()),
            ..self.load
        }
    }

    fn entry(&self, check: CheckId) -> Option<&Entry> {
        let entry = self.entries.get(check.slot as usize)?;
        (entry.used && entry.generation == check.generation).then_some(entry)
    }

    fn entry_mut(&mut self, check: CheckId) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(check.slot as usize)?;
        (entry.used && entry.generation == check.generation).then_some(entry)
    }

    /// The first in the queues of which more may start, and what it occupies.
    fn first_turn(&self) -> Option<(Resource, Turn)> {
        let mut found: Option<(Resource, Turn)> = None;
        for (resource, queue) in [
            (Resource::Socket, &self.sockets),
            (Resource::Process, &self.processes),
            (Resource::Thread, &self.threads),
            (Resource::Task, &self.tasks),
        ] {
            let Some(turn) = queue.first() else { continue };
            let is_free = match resource {
                Resource::Socket => true,
                Resource::Process => self.has_process() && self.forks.is_free(self.now),
                Resource::Thread => self.load.threads < self.limits.max_threads,
                Resource::Task => self.load.tasks < self.limits.max_tasks,
            };
            if is_free && found.is_none_or(|(_, first)| *turn < first) {
                found = Some((resource, *turn));
            }
        }
        found
    }

    /// Where due attempts that occupy this wait.
    const fn queue(&mut self, resource: Resource) -> &mut BTreeSet<Turn> {
        match resource {
            Resource::Socket => &mut self.sockets,
            Resource::Process => &mut self.processes,
            Resource::Thread => &mut self.threads,
            Resource::Task => &mut self.tasks,
        }
    }

    /// Puts a due attempt into its queue.
    fn enqueue(&mut self, turn: Turn) {
        let Some(entry) = self.entries.get_mut(turn.slot() as usize) else {
            return;
        };
        entry.stage = Stage::Due;
        let resource = entry.resource;
        self.queue(resource).insert(turn);
    }

    /// Takes a planned attempt back.
    fn unplan(&mut self, check: CheckId) {
        let Some(entry) = self.entry_mut(check) else {
            return;
        };
        let (turn, host, stage) = (entry.turn(check.slot), entry.host, entry.stage);
        if stage == Stage::Running {
            return;
        }
        entry.stage = Stage::Idle;
        let resource = entry.resource;
        match stage {
            Stage::Planned => {
                self.wheel.cancel(start_timer(check.slot));
            }
            Stage::Due => {
                self.queue(resource).remove(&turn);
            }
            Stage::Idle | Stage::Parked | Stage::Running => {}
        }
        let Some(host) = host else { return };
        if stage == Stage::Parked {
            self.hosts.take_back(host, turn);
        } else if stage == Stage::Due {
            // It may have got its turn from an attempt that ended; pass that on.
            if let Some(turn) = self.hosts.next(host) {
                self.enqueue(turn);
            }
        }
    }
}

/// The wheel's number for a check's next start.
const fn start_timer(slot: u32) -> u32 {
    slot << 1
}

/// The wheel's number for a running attempt's deadline.
const fn deadline_timer(slot: u32) -> u32 {
    (slot << 1) | 1
}

#[cfg(test)]
mod tests;

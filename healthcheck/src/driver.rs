//! The blocking shell: one event loop over epoll and one timer, on the caller's thread.
//!
//! It performs what [engines](crate::probe) ask for, tells them what happened, passes outcomes
//! through the [policy](crate::policy) and plans the next attempts in the
//! [timetable](crate::timetable).

mod channel;
mod child;
mod config;
mod control;
mod datagram;
mod entry;
mod local;
mod processes;
mod run;
mod running;
mod script_security;
mod socket;
mod spawn;
mod stream;
#[cfg(feature = "tokio")]
mod task;
mod user;
mod watch;
mod worker;

use alloc::collections::VecDeque;
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno as Number;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use self::channel::Channel;
pub use self::child::Child;
pub use self::config::Config;
pub use self::control::Overload;
use self::control::Overloads;
use self::entry::{Checks, Entry, Identical, Subscriber};
pub use self::local::local_addresses;
use self::running::Token;
pub use self::script_security::check_script_security;
pub use self::user::lookup_user;
use self::watch::Watches;
use self::worker::Workers;
use crate::Timestamp;
use crate::check::{Check, CheckEvent, CheckId};
use crate::error::{Error, Invalid};
use crate::policy::Policy;
use crate::probe::{Event, Probe};
use crate::timetable::{Load, Timetable};

/// How many ready descriptors one system call hands over.
const BATCH: usize = 256;

/// How many ready descriptors are heard before time is looked at, even if there are more.
const ROUND: usize = 1 << 17;

/// How many bytes are received at once: as many as a datagram can have.
const BUFFER: usize = 64 * 1024;

/// How long dropping a driver waits for the commands it has just killed.
const DROP_PATIENCE: Duration = Duration::from_millis(50);

/// Runs checks, on the thread that calls [`poll`](Driver::poll) and nowhere else.
///
/// Sockets are opened, and commands started, in the network namespace of that thread, unless the
/// [target](crate::Target::with_namespace) names another. Starting a command waits until the kernel
/// has loaded its program (or failed to), going to another namespace until a thread has been there;
/// nothing else blocks.
///
/// It can be part of another event loop: its [`AsFd`] descriptor is readable when there is
/// something to do, then call `poll` with a time limit of zero.
///
/// Dropping it closes everything and kills (SIGKILL) the process groups of commands that are
/// running, waiting up to 50 ms to reap them; a command that the kernel cannot end in that time
/// remains as a zombie until this process ends. No outcome is reported for attempts that were
/// running.
#[derive(Debug)]
pub struct Driver {
    /// Shared with the runtime that waits for it, if one does.
    epoll: Arc<Epoll>,
    timer: TimerFd,
    /// What the timer is set to.
    armed: Option<Timestamp>,
    ready: Vec<EpollEvent>,
    timetable: Timetable,
    entries: Vec<Option<Entry>>,
    checks: Checks,
    identical: Identical,
    /// Commands whose probe has lost interest in them, by the number of their attempt.
    orphans: HashMap<u32, Child>,
    /// Threads for functions that may block.
    workers: Workers,
    /// Files that checks want to know about, once there was one.
    watches: Option<Watches>,
    /// Whether the last look at the descriptors found none ready.
    idle: bool,
    /// What came of what the caller told, for the next time it asks.
    told: Vec<CheckEvent>,
    overloads: Overloads,
    /// Sockets that have more than their turn was long enough for.
    again: VecDeque<Token>,
    /// Where bytes are received.
    buffer: Vec<u8>,
    /// The connections that were begun in this turn, while it is one in which they are gathered.
    begun: Option<Vec<Token>>,
    /// The sockets of attempts that ended in this turn. Closed one after the other they wake up a
    /// server's program once instead of each time.
    closing: Vec<Channel>,
    /// Counts how often was looked at what is ready.
    round: u64,
    serial: u32,
    random: u64,
    /// Numbers nobody can guess, fetched many at a time.
    secrets: Vec<u64>,
    /// Whether everything random has to be repeatable.
    seeded: bool,
    last: Timestamp,
    /// The time as it was read for several things done in a row, and for how many more it will do.
    shared: (Timestamp, u32),
}

impl Driver {
    /// Opens the driver's epoll and timer descriptors.
    ///
    /// # Errors
    ///
    /// A limit is 0, or the operating system refuses a descriptor.
    pub fn new(config: Config) -> Result<Self, Error> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|errno| Error::io("epoll_create1", errno))?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)
            .map_err(|errno| Error::io("timerfd_create", errno))?;
        // Told once for each time it is set, so it needs no reading.
        let told_once = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll
            .add(&timer, EpollEvent::new(told_once, Token::TIMER))
            .map_err(|errno| Error::io("epoll_ctl", errno))?;
        let seeded = config.is_seeded();
        let start_slack = config.start_slack();
        let (random, limits) = config.into_parts();
        let workers =
            Workers::new(limits.max_threads).map_err(|error| Error::io("eventfd", error))?;
        epoll
            .add(
                &workers,
                EpollEvent::new(EpollFlags::EPOLLIN, Token::WORKERS),
            )
            .map_err(|errno| Error::io("epoll_ctl", errno))?;
        let mut timetable = Timetable::new(limits)?;
        if let Some(slack) = start_slack {
            timetable.set_start_slack(slack)?;
        }
        let mut driver = Self {
            epoll: Arc::new(epoll),
            timer,
            armed: None,
            ready: vec![EpollEvent::empty(); BATCH],
            timetable,
            entries: Vec::new(),
            checks: Checks::default(),
            identical: Identical::default(),
            orphans: HashMap::new(),
            workers,
            watches: None,
            idle: false,
            told: Vec::new(),
            overloads: Overloads::default(),
            again: VecDeque::new(),
            buffer: vec![0; BUFFER],
            begun: None,
            closing: Vec::new(),
            round: 0,
            serial: 0,
            random,
            secrets: Vec::new(),
            seeded,
            last: Timestamp::ZERO,
            shared: (Timestamp::ZERO, 0),
        };
        // Its time begins now, not when the machine was started.
        driver.last = driver.now();
        driver.timetable.advance(driver.last);
        Ok(driver)
    }

    /// Adds a check; its first attempt starts as its policy's
    /// [`Spread`](crate::policy::Spread) says.
    ///
    /// Checks whose probes are [identical](crate::probe::Identity) and whose policies give an attempt
    /// the same time (`timeout`, `connect_timeout`) share their attempts, unless they are
    /// [exclusive](Check::exclusive): one runs when the first of them wants one, so at the shortest
    /// of their intervals, and each judges the outcome by itself. One that is added while an attempt
    /// is running takes part from the next one on.
    ///
    /// # Errors
    ///
    /// A setting of probe or policy is out of range; it is a command, and this process throws
    /// exit codes away; it is a task, and there is no runtime; or there are 2³⁰ checks.
    pub fn add(&mut self, check: Check) -> Result<CheckId, Error> {
        let machine = self.examine(&check)?;
        let slot = self.place(&check.probe, &check.policy, check.exclusive)?;
        let id = self.checks.add().ok_or_else(too_many)?;
        self.checks.set(id, Some(slot));
        let now = self.now();
        let key = if check.key.is_empty() {
            id.to_string().into()
        } else {
            check.key
        };
        let ttl = check.probe.time_to_live();
        let due = match ttl {
            Some(ttl) => now.saturating_add(ttl),
            None => machine.first_start(now, &key, &mut || draw(&mut self.random)),
        };
        if let Some(entry) = self.entry_at(slot) {
            entry.subscribers.push(Subscriber {
                id,
                machine,
                attempts: 0,
                due,
                takes_part: false,
                ttl,
            });
        }
        self.replan(slot);
        if let Err(error) = self.arm() {
            // Whoever gets no number could not remove it.
            let _ = self.remove(id);
            return Err(error);
        }
        Ok(id)
    }

    /// The entry for a probe: the one that runs the same probe already, or a new one.
    fn place(
        &mut self,
        probe: &Arc<dyn Probe>,
        policy: &Policy,
        exclusive: bool,
    ) -> Result<u32, Error> {
        let key = if exclusive {
            None
        } else {
            self.identical.key(&**probe, policy)
        };
        if let Some(key) = key {
            let found = self.identical.find(key, &**probe, policy, &self.entries);
            if let Some(slot) = found {
                return Ok(slot);
            }
        }
        let id = self.timetable.add(probe.resource(), probe.host());
        let id = id.ok_or_else(too_many)?;
        let key = key.filter(|key| self.identical.insert(*key, id.slot));
        let entry = Entry {
            id,
            probe: probe.clone(),
            subscribers: Vec::with_capacity(1),
            attempts: 0,
            running: None,
            hurried: false,
            key,
        };
        let index = id.slot as usize;
        if index >= self.entries.len() {
            self.entries.resize_with(index.saturating_add(1), || None);
        }
        if let Some(place) = self.entries.get_mut(index) {
            *place = Some(entry);
        }
        let paths = probe.watches();
        if !paths.is_empty() {
            // Without watching, as when the user has too many watches, the interval remains.
            let _ = self.watch(id, &paths);
        }
        Ok(id.slot)
    }

    /// Plans the next attempt for whoever wants it first.
    fn replan(&mut self, slot: u32) {
        if let Some(Some(entry)) = self.entries.get(slot as usize) {
            match entry.plan() {
                (Timestamp::MAX, ..) => self.timetable.unschedule(entry.id),
                (due, transitional, late_after) => {
                    self.timetable
                        .schedule(entry.id, due, transitional, late_after);
                }
            }
        }
    }

    /// Removes a check. A running attempt is cancelled and reports nothing any more; a command is
    /// asked to end, then killed, as if its time were up.
    ///
    /// # Errors
    ///
    /// There is no such check.
    pub fn remove(&mut self, check: CheckId) -> Result<(), Error> {
        let slot = self.slot_of(check)?;
        self.checks.set(check, None);
        self.unsubscribe(slot, check);
        self.arm()
    }

    /// Takes a check from its entry, which ends with the last of them.
    fn unsubscribe(&mut self, slot: u32, check: CheckId) -> Option<Subscriber> {
        let entry = self.entry_at(slot)?;
        let at = entry
            .subscribers
            .iter()
            .position(|subscriber| subscriber.id == check)?;
        let subscriber = entry.subscribers.swap_remove(at);
        if !entry.subscribers.is_empty() {
            self.replan(slot);
            return Some(subscriber);
        }
        let (id, key) = (entry.id, entry.key.take());
        if let Some(running) = &mut entry.running {
            running.cancelled = true;
            self.tell(id, Event::Cancel, &mut Vec::new());
            self.close_unless_child(id);
            self.closing.clear();
        } else {
            self.forget(id);
        }
        self.identical.remove(key);
        Some(subscriber)
    }

    /// When a check's next attempt is planned, on the clock of [`now`](Self::now); it may start
    /// later when attempts have to wait for each other. `None` while one is running, while the check
    /// is suspended, and if there is no such check.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lvs_healthcheck::policy::{Policy, Spread};
    /// use lvs_healthcheck::{Check, CheckEvent, Config, Driver, Target, TcpProbe};
    ///
    /// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let probe = TcpProbe::new(Target::new(server.local_addr()?));
    /// let second = Duration::from_secs(1);
    /// let policy = Policy::default().with_interval(second).with_jitter_percent(0);
    ///
    /// let mut driver = Driver::new(Config::default())?;
    /// let check = driver.add(Check::new(probe, policy.with_spread(Spread::None)))?;
    /// assert!(driver.next_attempt(check).is_some_and(|at| at <= driver.now()));
    ///
    /// let mut events = Vec::new();
    /// driver.poll(Some(5 * second), &mut events)?;
    /// let Some(CheckEvent::Completed(report)) = events.first() else { panic!("no outcome") };
    /// assert_eq!(driver.next_attempt(check), Some(report.started + second));
    ///
    /// driver.remove(check)?;
    /// assert_eq!(driver.next_attempt(check), None);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn next_attempt(&self, check: CheckId) -> Option<Timestamp> {
        let entry = self.entries.get(self.checks.entry_of(check)?)?.as_ref()?;
        let due = entry.running.is_none().then(|| entry.plan().0);
        due.filter(|due| *due != Timestamp::MAX)
    }

    /// How busy the driver is.
    #[must_use]
    pub fn load(&self) -> Load {
        let load = self.timetable.load();
        Load {
            checks: self.checks.len(),
            ..load
        }
    }

    /// Now, on the clock of all times in events.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // The call cannot fail on any Linux that has timers on this clock; were it to, time
        // standing still is the harmless answer.
        let now = nix::time::ClockId::CLOCK_BOOTTIME.now().map(Duration::from);
        now.unwrap_or_default().max(self.last)
    }

    /// Works until there is at least one event or the time is over, and appends the events.
    ///
    /// `None` means no limit, zero means that only what is ready now is done. Returns early,
    /// possibly without events, when a signal handler has run. All events that were ready come
    /// together, so that a caller can act on them as one change.
    ///
    /// # Errors
    ///
    /// The operating system refuses to wait or to set the timer; failing checks are no errors.
    /// Events that had happened are appended also then.
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<CheckEvent>,
    ) -> Result<(), Error> {
        self.arm()?;
        let now = self.now();
        let end = timeout.map(|timeout| now.saturating_add(timeout));
        let before = events.len();
        events.append(&mut self.told);
        // What has become ready counts before what has run out of time meanwhile.
        let mut wait = match self.armed {
            Some(armed) if armed > now => self.patience(end, now),
            _ => EpollTimeout::ZERO,
        };
        loop {
            match self.wait(wait, events) {
                Ok(count) => self.idle = count == 0,
                Err(Number::EINTR) => {
                    self.idle = false;
                    return Ok(());
                }
                Err(errno) => return Err(Error::io("epoll_wait", errno)),
            }
            self.shared.1 = 0;
            for token in core::mem::take(&mut self.again) {
                self.hear(token, events);
            }
            self.closing.clear();
            self.on_time(events);
            self.arm()?;
            if events.len() > before {
                return Ok(());
            }
            let now = self.now();
            if end.is_some_and(|end| end <= now) {
                return Ok(());
            }
            wait = self.patience(end, now);
        }
    }

    /// How long to wait for descriptors.
    fn patience(&self, end: Option<Timestamp>, now: Timestamp) -> EpollTimeout {
        match end {
            _ if !self.again.is_empty() => EpollTimeout::ZERO,
            Some(end) => milliseconds(end.saturating_sub(now)),
            None => EpollTimeout::NONE,
        }
    }

    /// What the runtime waits for.
    #[cfg(feature = "tokio")]
    pub(crate) fn epoll(&self) -> Arc<Epoll> {
        self.epoll.clone()
    }

    /// Runs tasks there.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_runtime(&mut self, runtime: ::tokio::runtime::Handle) {
        self.workers.set_runtime(runtime);
    }

    /// Whether tasks can be run.
    const fn has_runtime(&self) -> bool {
        #[cfg(feature = "tokio")]
        let has = self.workers.runtime().is_some();
        #[cfg(not(feature = "tokio"))]
        let has = false;
        has
    }

    /// Whether the last [`poll`](Self::poll) found no descriptor ready, so that one has to become
    /// ready before there is more to do.
    #[cfg(feature = "tokio")]
    pub(crate) const fn found_nothing(&self) -> bool {
        self.idle
    }

    /// Waits, then hears all that is ready, however much that is: after a stall, answers must not
    /// be taken for late because one system call does not hand over all of them. Says how many
    /// descriptors were ready.
    fn wait(&mut self, wait: EpollTimeout, events: &mut Vec<CheckEvent>) -> Result<usize, Number> {
        self.round = self.round.wrapping_add(1);
        let mut ready = core::mem::take(&mut self.ready);
        let mut total = 0_usize;
        let mut wait = wait;
        let result = loop {
            let count = match self.epoll.wait(&mut ready, wait) {
                Ok(count) => count,
                // What was heard before is not lost.
                Err(Number::EINTR) if total > 0 => break Ok(total),
                Err(errno) => break Err(errno),
            };
            self.shared.1 = 0;
            for event in ready.iter().take(count) {
                self.on_ready(*event, events);
            }
            self.closing.clear();
            total = total.saturating_add(count);
            if count < ready.len() || total >= ROUND {
                break Ok(total);
            }
            wait = EpollTimeout::ZERO;
        };
        self.ready = ready;
        result
    }

    /// Ends what has run out of time and starts what is due.
    fn on_time(&mut self, events: &mut Vec<CheckEvent>) {
        self.last = self.now();
        self.timetable.advance(self.last);
        while let Some(check) = self.timetable.expire_next() {
            self.on_deadline(check, events);
        }
        self.closing.clear();
        self.begun = Some(Vec::new());
        self.shared.1 = 0;
        while let Some(check) = self.timetable.start_next(self.last) {
            self.start(check, events);
        }
        self.look_at_begun(events);
        self.closing.clear();
    }

    /// Sets the timer to what the timetable waits for.
    fn arm(&mut self) -> Result<(), Error> {
        let next = if self.again.is_empty() && self.told.is_empty() {
            self.timetable.next_wakeup()
        } else {
            Some(self.last)
        };
        if next == self.armed {
            return Ok(());
        }
        let set = match next {
            // Zero would stop the timer.
            Some(next) => self.timer.set(
                Expiration::OneShot(TimeSpec::from_duration(next.max(Duration::from_nanos(1)))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            ),
            None => self.timer.unset(),
        };
        set.map_err(|errno| Error::io("timerfd_settime", errno))?;
        self.armed = next;
        Ok(())
    }

    /// Watches the files of a check. What cannot be watched is read at every interval.
    fn watch(&mut self, check: CheckId, paths: &[PathBuf]) -> io::Result<()> {
        let watches = match &mut self.watches {
            Some(watches) => watches,
            None => {
                let watches = Watches::new()?;
                let event = EpollEvent::new(EpollFlags::EPOLLIN, Token::WATCHES);
                self.epoll.add(&watches, event)?;
                self.watches.insert(watches)
            }
        };
        for path in paths {
            watches.add(path, check);
        }
        Ok(())
    }

    /// Forgets a check that has nothing running.
    fn forget(&mut self, check: CheckId) {
        self.timetable.remove(check);
        if let Some(watches) = &mut self.watches {
            watches.remove(check);
        }
        if let Some(place) = self.entries.get_mut(check.slot as usize) {
            *place = None;
        }
    }

    fn entry_at(&mut self, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// Where the entry is that serves a check.
    fn slot_of(&self, check: CheckId) -> Result<u32, Error> {
        let slot = self.checks.entry_of(check);
        slot.and_then(|slot| u32::try_from(slot).ok())
            .ok_or(Error::UnknownCheck(check))
    }
}

impl AsFd for Driver {
    /// Readable when [`poll`](Driver::poll) has something to do. Only for waiting; do not read
    /// from it or change it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let running = self
            .entries
            .iter_mut()
            .flatten()
            .filter_map(|entry| entry.running.take());
        let mut children: Vec<Child> = running.filter_map(|running| running.into_child()).collect();
        children.extend(self.orphans.drain().map(|(_, child)| child));
        for child in &mut children {
            child.kill();
        }
        let end = self.now().saturating_add(DROP_PATIENCE);
        for child in &mut children {
            child.reap_within(end.saturating_sub(self.now()));
        }
    }
}

fn too_many() -> Error {
    Invalid::new("checks", "2^30", "there cannot be more in one driver").into()
}

/// Rounded up, so that a wait is never cut short and then repeated in vain.
fn milliseconds(time: Duration) -> EpollTimeout {
    let millis = time.as_nanos().div_ceil(1_000_000);
    i32::try_from(millis)
        .ok()
        .and_then(|millis| EpollTimeout::try_from(millis).ok())
        .unwrap_or(
            // 2³¹ ms are 24 days; the loop waits again.
            EpollTimeout::MAX,
        )
}

/// The next of a sequence of evenly distributed numbers (SplitMix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Machine;

    #[test]
    fn waits_are_rounded_up_and_bounded() {
        assert_eq!(milliseconds(Duration::ZERO), EpollTimeout::ZERO);
        assert_eq!(
            milliseconds(Duration::from_nanos(1)),
            EpollTimeout::try_from(1).unwrap()
        );
        assert_eq!(milliseconds(Duration::MAX), EpollTimeout::MAX);
    }

    #[test]
    fn draws_are_spread_over_the_range() {
        let mut state = 7;
        let high = (0..1000).filter(|_| draw(&mut state) >= 1 << 63).count();
        assert!((400..600).contains(&high), "{high}");
    }

    #[test]
    fn driver_can_move_to_another_thread() {
        fn assert_send<T: Send>() {}
        fn assert_both<T: Send + Sync>() {}
        assert_send::<Driver>();
        assert_both::<Check>();
        assert_both::<Config>();
        assert_both::<CheckEvent>();
        assert_both::<Error>();
        assert_both::<Machine>();
        assert_both::<Timetable>();
    }
}

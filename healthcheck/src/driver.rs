//! The blocking shell: one event loop over epoll and one timer, on the caller's thread.
//!
//! It performs what [engines](crate::probe) ask for, tells them what happened, passes outcomes
//! through the [policy](crate::policy) and plans the next attempts in the
//! [timetable](crate::timetable).

mod channel;
mod child;
mod config;
mod datagram;
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

pub use self::child::Child;
pub use self::config::Config;
use self::running::{Running, Token};
pub use self::script_security::check_script_security;
pub use self::user::lookup_user;
use self::watch::Watches;
use self::worker::Workers;
use crate::Timestamp;
use crate::check::{Check, CheckEvent, CheckId};
use crate::error::{Error, Invalid};
use crate::policy::{Health, Machine, Policy};
use crate::probe::{Event, Resource};
use crate::timetable::{Load, Timetable};

/// How many ready descriptors one system call hands over.
const BATCH: usize = 256;

/// How many bytes are received at once: as many as a datagram can have.
const BUFFER: usize = 64 * 1024;

/// How long dropping a driver waits for the commands it has just killed.
const DROP_PATIENCE: Duration = Duration::from_millis(50);

/// One check and where it stands.
#[derive(Debug)]
struct Entry {
    id: CheckId,
    check: Check,
    machine: Machine,
    attempts: u64,
    running: Option<Box<Running>>,
    /// When the next attempt is planned.
    due: Timestamp,
    /// Something happened that the running attempt may have missed: the next one starts at once.
    hurried: bool,
    /// Removed by the user, but its command is not gone yet.
    removed: bool,
}

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
    /// Commands whose probe has lost interest in them, by the number of their attempt.
    orphans: HashMap<u32, Child>,
    /// Threads for functions that may block.
    workers: Workers,
    /// Files that checks want to know about, once there was one.
    watches: Option<Watches>,
    /// Whether the last look at the descriptors found none ready.
    idle: bool,
    /// Sockets that have more than their turn was long enough for.
    again: VecDeque<Token>,
    /// Where bytes are received.
    buffer: Vec<u8>,
    serial: u32,
    random: u64,
    /// Whether everything random has to be repeatable.
    seeded: bool,
    last: Timestamp,
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
        epoll
            .add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, Token::TIMER))
            .map_err(|errno| Error::io("epoll_ctl", errno))?;
        let seeded = config.is_seeded();
        let (random, limits) = config.into_parts();
        let workers =
            Workers::new(limits.max_threads).map_err(|error| Error::io("eventfd", error))?;
        epoll
            .add(
                &workers,
                EpollEvent::new(EpollFlags::EPOLLIN, Token::WORKERS),
            )
            .map_err(|errno| Error::io("epoll_ctl", errno))?;
        Ok(Self {
            epoll: Arc::new(epoll),
            timer,
            armed: None,
            ready: vec![EpollEvent::empty(); BATCH],
            timetable: Timetable::new(limits)?,
            entries: Vec::new(),
            orphans: HashMap::new(),
            workers,
            watches: None,
            idle: false,
            again: VecDeque::new(),
            buffer: vec![0; BUFFER],
            serial: 0,
            random,
            seeded,
            last: Timestamp::ZERO,
        })
    }

    /// Adds a check; its first attempt starts as its policy's
    /// [`Spread`](crate::policy::Spread) says.
    ///
    /// # Errors
    ///
    /// A setting of probe or policy is out of range; it is a command, and this process throws
    /// exit codes away; it is a task, and there is no runtime; or there are 2³⁰ checks.
    pub fn add(&mut self, check: Check) -> Result<CheckId, Error> {
        check.probe.validate()?;
        let machine = Machine::new(check.policy.clone())?;
        let resource = check.probe.resource();
        if resource == Resource::Process && spawn::child_status_is_lost() {
            return Err(Error::ChildStatusLost);
        }
        if resource == Resource::Task && !self.has_runtime() {
            return Err(Error::NoRuntime);
        }
        let id = self
            .timetable
            .add(resource, check.probe.host())
            .ok_or_else(|| Invalid::new("checks", "2^30", "there cannot be more in one driver"))?;
        let now = self.now();
        let key = if check.key.is_empty() {
            id.to_string().into()
        } else {
            check.key.clone()
        };
        let due = machine.first_start(now, &key, &mut || draw(&mut self.random));
        let late_after = machine.policy().interval();
        let paths = check.probe.watches();
        let entry = Entry {
            id,
            check,
            machine,
            attempts: 0,
            running: None,
            due,
            hurried: false,
            removed: false,
        };
        let slot = id.slot as usize;
        if slot >= self.entries.len() {
            self.entries.resize_with(slot.saturating_add(1), || None);
        }
        if let Some(place) = self.entries.get_mut(slot) {
            *place = Some(entry);
        }
        self.timetable.schedule(id, due, true, late_after);
        if !paths.is_empty() {
            // Without watching, as when the user has too many watches, the interval remains.
            let _ = self.watch(id, &paths);
        }
        self.arm()?;
        Ok(id)
    }

    /// Removes a check. A running attempt is cancelled and reports nothing any more; a command is
    /// asked to end, then killed, as if its time were up.
    ///
    /// # Errors
    ///
    /// There is no such check.
    pub fn remove(&mut self, check: CheckId) -> Result<(), Error> {
        let entry = self.entry_mut(check)?;
        entry.removed = true;
        if let Some(running) = &mut entry.running {
            running.cancelled = true;
            self.tell(check, Event::Cancel, &mut Vec::new());
            self.close_unless_child(check);
        } else {
            self.forget(check);
        }
        self.arm()
    }

    /// Replaces a check's policy and keeps its health. The next attempt comes as planned, or
    /// earlier if the new policy wants it earlier.
    ///
    /// # Errors
    ///
    /// There is no such check, or a setting is out of range; then nothing has changed.
    pub fn set_policy(&mut self, check: CheckId, policy: Policy) -> Result<(), Error> {
        let now = self.now();
        let mut random = self.random;
        let entry = self.entry_mut(check)?;
        entry.machine.set_policy(policy)?;
        if entry.running.is_none() {
            let next = entry
                .machine
                .next_start(now, now, &mut || draw(&mut random));
            entry.due = entry.due.min(next);
            let (due, transitional) = (entry.due, entry.machine.is_transitional());
            let late_after = entry.machine.policy().interval();
            self.timetable
                .schedule(check, due, transitional, late_after);
        }
        self.random = random;
        self.arm()
    }

    /// A check's health now; `None` if there is no such check.
    #[must_use]
    pub fn health(&self, check: CheckId) -> Option<Health> {
        let entry = self.entries.get(check.slot as usize)?.as_ref()?;
        (entry.id == check && !entry.removed).then(|| entry.machine.health())
    }

    /// When a check's next attempt is planned, on the clock of [`now`](Self::now); it may start
    /// later when attempts have to wait for each other. `None` while one is running, and if there
    /// is no such check.
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
        let entry = self.entries.get(check.slot as usize)?.as_ref()?;
        let waits = entry.id == check && !entry.removed && entry.running.is_none();
        waits.then_some(entry.due)
    }

    /// How busy the driver is.
    #[must_use]
    pub fn load(&self) -> Load {
        self.timetable.load()
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
        let end = timeout.map(|timeout| self.now().saturating_add(timeout));
        let before = events.len();
        // What has become ready counts before what has run out of time meanwhile.
        let mut wait = EpollTimeout::ZERO;
        loop {
            let mut ready = core::mem::take(&mut self.ready);
            let count = match self.epoll.wait(&mut ready, wait) {
                Ok(count) => count,
                Err(Number::EINTR) => {
                    self.idle = false;
                    self.ready = ready;
                    return Ok(());
                }
                Err(errno) => {
                    self.ready = ready;
                    return Err(Error::io("epoll_wait", errno));
                }
            };
            self.idle = count == 0;
            for event in ready.iter().take(count) {
                self.on_ready(*event, events);
            }
            for token in core::mem::take(&mut self.again) {
                self.hear(token, events);
            }
            self.ready = ready;
            self.on_time(events);
            self.arm()?;
            let now = self.now();
            if events.len() > before || end.is_some_and(|end| end <= now) {
                return Ok(());
            }
            wait = match end {
                _ if !self.again.is_empty() => EpollTimeout::ZERO,
                Some(end) => milliseconds(end.saturating_sub(now)),
                None => EpollTimeout::NONE,
            };
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

    /// Ends what has run out of time and starts what is due.
    fn on_time(&mut self, events: &mut Vec<CheckEvent>) {
        self.last = self.now();
        self.timetable.advance(self.last);
        while let Some(check) = self.timetable.expire_next() {
            self.on_deadline(check, events);
        }
        while let Some(check) = self.timetable.start_next(self.last) {
            self.start(check, events);
        }
    }

    /// Sets the timer to what the timetable waits for.
    fn arm(&mut self) -> Result<(), Error> {
        let next = if self.again.is_empty() {
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
            let _ = watches.add(path, check);
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

    /// A check the user has not removed.
    fn entry_mut(&mut self, check: CheckId) -> Result<&mut Entry, Error> {
        self.entries
            .get_mut(check.slot as usize)
            .and_then(Option::as_mut)
            .filter(|entry| entry.id == check && !entry.removed)
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

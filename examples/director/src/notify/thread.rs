//! The thread that runs commands.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use lvs_healthcheck::Command;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::fifo::{Fifos, Half};
use super::notice::{Book, Notice};
use super::queue::{Progress, Queues};
use super::run::Ended;
use crate::director::Event;
use crate::setup::Setup;

/// So much may wait for the thread, and from it; then it is left out.
const CAPACITY: usize = 4096;

/// A command of a virtual server that takes longer is killed.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// What was killed at the end gets so much time to be gone.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What became of notices; `Display` is a line for people.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NotifyEvent {
    /// A command was started.
    Started {
        /// What it tells of.
        notice: Notice,
        /// The command.
        command: String,
    },
    /// A command has ended.
    Ended {
        /// What it told of.
        notice: Notice,
        /// The command.
        command: String,
        /// How it ended.
        ended: Ended,
    },
    /// The commands of so many notices were left out, because too many came at once.
    LeftOut(u64),
}

impl fmt::Display for NotifyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { notice, command } => write!(f, "notify  {notice}: {command}"),
            Self::Ended {
                notice,
                command,
                ended,
            } => write!(f, "notify  {notice}: {command}: {ended}"),
            Self::LeftOut(count) => {
                write!(f, "notify  {count} left out, because too many came at once")
            }
        }
    }
}

/// What goes to the thread, and comes from it.
#[derive(Debug, Default)]
struct Mail {
    notices: VecDeque<(Notice, Command)>,
    left_out: u64,
    end: Option<End>,
    events: VecDeque<NotifyEvent>,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// When nothing is left to be done, or at this time.
    By(Instant),
    Now,
}

#[derive(Debug)]
struct Shared {
    mail: Mutex<Mail>,
    /// Wakes the thread.
    wake: EventFd,
    /// Readable while there are events.
    told: EventFd,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        // Nothing panics while it is held.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells others, by a thread of its own. Dropped, it kills what runs, without waiting.
#[derive(Debug)]
pub struct Notifications {
    book: Book,
    fifos: Fifos,
    /// `child_wait_time`
    wait: Duration,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Notifications {
    /// Starts the thread, and claims the FIFOs of the configuration.
    ///
    /// # Errors
    ///
    /// The system has no thread or no descriptor for it.
    pub fn start(setup: &Setup, fifos: Fifos) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let eventfd = || EventFd::from_flags(flags).map_err(io::Error::from);
        let shared = Arc::new(Shared {
            mail: Mutex::default(),
            wake: eventfd()?,
            told: eventfd()?,
        });
        fifos.claim(Half::Servers, setup.fifos());
        let worker = Worker {
            shared: Arc::clone(&shared),
            queues: Queues::new(NOTIFY_TIMEOUT),
            begin: Instant::now(),
        };
        let thread = thread::Builder::new().name("notify".into());
        Ok(Self {
            book: Book::new(setup),
            fifos,
            wait: setup.child_wait(),
            shared,
            thread: Some(thread.spawn(move || worker.run())?),
        })
    }

    /// Tells of an event, if that is something to be told. Never waits.
    pub fn tell(&self, event: &Event) {
        let Some((notice, command)) = self.book.notice(event) else {
            return;
        };
        self.fifos.write(Half::Servers, &notice.to_string());
        let Some(command) = command else {
            return;
        };
        let mut mail = self.shared.lock();
        if mail.notices.len() < CAPACITY {
            mail.notices.push_back((notice, command));
        } else {
            mail.left_out = mail.left_out.saturating_add(1);
        }
        drop(mail);
        self.wake();
    }

    /// Goes on with another configuration; what waits still waits.
    pub fn follow(&mut self, setup: &Setup) {
        self.book.follow(setup);
        self.wait = setup.child_wait();
        self.fifos.claim(Half::Servers, setup.fifos());
    }

    /// How long commands may go on once nothing more comes.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// What became of notices since the last time.
    pub fn events(&self) -> VecDeque<NotifyEvent> {
        let events = core::mem::take(&mut self.shared.lock().events);
        if !events.is_empty() {
            // What came meanwhile is taken the next time, for which there must be a reason.
            let _ = self.shared.told.read();
            if !self.shared.lock().events.is_empty() {
                let _ = self.shared.told.write(1);
            }
        }
        events
    }

    /// Lets what waits be told for so long, kills what is left, and gives what became of it all.
    pub fn finish(mut self, limit: Duration) -> VecDeque<NotifyEvent> {
        let now = Instant::now();
        let by = now.checked_add(limit).unwrap_or(now);
        self.shared.lock().end = Some(End::By(by));
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did there would be nothing left to wait for.
            let _ = thread.join();
        }
        self.events()
    }

    fn wake(&self) {
        // It fails only when the counter is at its end; then the thread is awake.
        let _ = self.shared.wake.write(1);
    }
}

/// Readable while there are [events](Notifications::events).
impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.told.as_fd()
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.shared.lock().end = Some(End::Now);
            self.wake();
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    queues: Queues<Arc<str>, Notice>,
    begin: Instant,
}

impl Worker {
    fn run(mut self) {
        loop {
            let end = self.take();
            self.step();
            match end {
                Some(End::By(limit)) if !self.queues.is_idle() && Instant::now() < limit => {
                    self.wait(Some(limit));
                }
                Some(_) => return self.end(),
                None => self.wait(None),
            }
        }
    }

    /// Takes what there is to be told.
    fn take(&mut self) -> Option<End> {
        let mut mail = self.shared.lock();
        let notices = core::mem::take(&mut mail.notices);
        let end = mail.end;
        let left_out = core::mem::take(&mut mail.left_out);
        drop(mail);
        for (notice, command) in notices {
            let service = Arc::clone(&notice.service);
            self.queues.push(service, notice, command);
        }
        let left_out = (left_out > 0).then_some(NotifyEvent::LeftOut(left_out));
        self.say(left_out.into_iter());
        end
    }

    fn step(&mut self) {
        let progress = self.queues.step(self.begin.elapsed()).into_iter();
        let progress = progress.map(|progress| match progress {
            Progress::Started(notice, command) => NotifyEvent::Started { notice, command },
            Progress::Ended(notice, command, ended) => NotifyEvent::Ended {
                notice,
                command,
                ended,
            },
        });
        self.say(progress);
    }

    fn say(&self, events: impl Iterator<Item = NotifyEvent>) {
        let mut events = events.peekable();
        if events.peek().is_none() {
            return;
        }
        let mut mail = self.shared.lock();
        mail.events.extend(events);
        while mail.events.len() > CAPACITY {
            // Nobody listens.
            mail.events.pop_front();
        }
        drop(mail);
        let _ = self.shared.told.write(1);
    }

    /// Kills what runs, and waits a moment for it, so that there is no zombie.
    fn end(mut self) {
        self.queues.kill();
        let limit = Instant::now().checked_add(LAST_WAIT);
        loop {
            self.step();
            if self.queues.is_idle() || limit.is_none_or(|limit| limit <= Instant::now()) {
                break;
            }
            self.wait(limit);
        }
    }

    fn wait(&self, limit: Option<Instant>) {
        let due = self.queues.next_deadline();
        let due = due.map(|due| due.saturating_sub(self.begin.elapsed()));
        let limit = limit.map(|limit| limit.saturating_duration_since(Instant::now()));
        let timeout = [due, limit].into_iter().flatten().min().map(|left| {
            let millis = left.as_micros().div_ceil(1_000);
            PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
        });
        let wake = PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN);
        let others = self
            .queues
            .descriptors()
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        let mut descriptors: Vec<_> = core::iter::once(wake).chain(others).collect();
        // Whatever it says, the next look shows what there is to do.
        let _ = poll(&mut descriptors, timeout.unwrap_or(PollTimeout::NONE));
        // It does not block: nothing there is nothing to take.
        let _ = self.shared.wake.read();
    }
}

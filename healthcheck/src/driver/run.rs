//! Running attempts: what engines ask for is done, what happens is told to them.

use alloc::collections::VecDeque;

use nix::errno::Errno as Number;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::unistd::read;

use super::child::Child;
use super::connection::{Connection, Failure};
use super::{DROP_PATIENCE, Driver, Entry, draw};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::check::{CheckEvent, CheckId, Report};
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::command::Command;
use crate::probe::{Action, ChildStatus, CloseMode, Engine, Event, Operation, Step};
use crate::target::Target;

/// An engine that keeps asking for what fails at once is stopped after this many steps.
const MAX_STEPS: u32 = 64;

/// How much of a command's output is read before others get their turn.
const OUTPUT_TURN: usize = 64 * 1024;

/// What a ready descriptor belongs to, packed into epoll's 64 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token {
    slot: u32,
    /// The attempt, so that what was ready before it ended is not taken for the next one's.
    serial: u32,
    kind: u64,
}

impl Token {
    /// The driver's timer; no attempt has it, because slots stay below 2³⁰.
    pub(super) const TIMER: u64 = u64::MAX;

    const SOCKET: u64 = 0;
    const PROCESS: u64 = 1;
    const OUTPUT: u64 = 2;
    const ORPHAN: u64 = 3;
    const SERIALS: u32 = 1 << 30;

    fn pack(self) -> u64 {
        (u64::from(self.slot) << 32) | (u64::from(self.serial) << 2) | self.kind
    }

    fn unpack(data: u64) -> Self {
        let slot = u32::try_from(data >> 32).unwrap_or(u32::MAX);
        let serial = u32::try_from((data >> 2) & u64::from(Self::SERIALS - 1)).unwrap_or_default();
        Self {
            slot,
            serial,
            kind: data & 3,
        }
    }
}

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Running {
    attempt: Attempt,
    engine: Box<dyn Engine>,
    serial: u32,
    connection: Option<Connection>,
    child: Option<Child>,
    /// The deadline the engine asked for.
    wanted: Option<Timestamp>,
    /// When the outcome became known.
    reported: Option<Timestamp>,
    cancelled: bool,
}

impl Running {
    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// The command that still runs, if any.
    pub(super) fn into_child(self) -> Option<Child> {
        self.child.filter(|child| !child.is_reaped())
    }

    /// Opens a connection, instead of the one there is.
    fn connect(
        &mut self,
        epoll: &Epoll,
        slot: u32,
        target: &Target,
        close: CloseMode,
    ) -> Result<Option<Reply>, Failure> {
        if let Some(old) = self.connection.take() {
            // It may have been taken out already.
            let _ = epoll.delete(&old);
        }
        let (connection, done) = Connection::open(target, close)?;
        if !done {
            let token = Token {
                slot,
                serial: self.serial,
                kind: Token::SOCKET,
            };
            epoll
                .add(
                    &connection,
                    EpollEvent::new(EpollFlags::EPOLLOUT, token.pack()),
                )
                .map_err(|errno| Failure::at(Operation::Socket)(errno.into()))?;
        }
        self.connection = Some(connection);
        Ok(done.then_some(Reply::Connected))
    }

    /// Starts a command and watches its end and its output.
    fn spawn(
        &mut self,
        epoll: &Epoll,
        slot: u32,
        command: &Command,
    ) -> Result<Option<Reply>, Failure> {
        if self.child.is_some() {
            return Err(Failure::at(Operation::Spawn)(Number::EBUSY.into()));
        }
        let child = Child::spawn(command).map_err(Failure::at(Operation::Spawn))?;
        let child = self.child.insert(child);
        let event = |kind| {
            let token = Token {
                slot,
                serial: self.serial,
                kind,
            };
            EpollEvent::new(EpollFlags::EPOLLIN, token.pack())
        };
        let watched = epoll
            .add(child.process(), event(Token::PROCESS))
            .and_then(|()| {
                let output = child.output();
                output.map_or(Ok(()), |output| epoll.add(output, event(Token::OUTPUT)))
            });
        // One that cannot be watched is killed when the attempt is closed.
        watched.map_err(|errno| Failure::at(Operation::Spawn)(errno.into()))?;
        Ok(Some(Reply::Spawned))
    }

    /// When to tell the engine that time is over.
    fn deadline(&self) -> Timestamp {
        let wanted = self.wanted.unwrap_or(Timestamp::MAX);
        if self.reported.is_some() || self.cancelled {
            wanted
        } else {
            wanted.min(self.attempt.deadline)
        }
    }
}

/// What an action led to at once.
#[derive(Debug)]
enum Reply {
    Connected,
    Spawned,
    Failed(Failure),
    Lost,
}

impl Driver {
    /// Starts an attempt the timetable has let through.
    pub(super) fn start(&mut self, check: CheckId, events: &mut Vec<CheckEvent>) {
        let now = self.now();
        self.serial = self.serial.wrapping_add(1) % Token::SERIALS;
        let serial = self.serial;
        let Some(entry) = self.entry_of(check) else {
            return;
        };
        entry.attempts = entry.attempts.saturating_add(1);
        let policy = entry.machine.policy();
        let (timeout, connect_timeout) = (policy.timeout(), policy.connect_timeout());
        let health = entry.machine.health();
        let attempt = Attempt::new(entry.attempts, now, timeout, connect_timeout, health);
        let mut engine = entry.check.probe.engine(&attempt);
        let step = engine.start(now);
        entry.running = Some(Box::new(Running {
            attempt,
            engine,
            serial,
            connection: None,
            child: None,
            wanted: None,
            reported: None,
            cancelled: false,
        }));
        self.proceed(check, step, events);
    }

    /// Something is ready.
    pub(super) fn on_ready(&mut self, data: u64, events: &mut Vec<CheckEvent>) {
        if data == Token::TIMER {
            // Reading stops it from being ready; an error means that it was not.
            let _ = self.timer.wait();
            self.armed = None;
            return;
        }
        let token = Token::unpack(data);
        if token.kind == Token::ORPHAN {
            if self.orphans.get_mut(&token.serial).is_some_and(Child::reap) {
                if let Some(child) = self.orphans.remove(&token.serial) {
                    let _ = self.epoll.delete(child.process());
                }
            }
            return;
        }
        let Some(check) = self.check_of(token) else {
            return;
        };
        match token.kind {
            Token::SOCKET => self.on_socket(check, events),
            Token::PROCESS => self.on_process(check, token, events),
            _ => self.on_output(check, token, events),
        }
    }

    /// The time of an attempt is over, or the time its engine asked for has come.
    pub(super) fn on_deadline(&mut self, check: CheckId, events: &mut Vec<CheckEvent>) {
        let now = self.now();
        let Some(running) = self.running_of(check) else {
            return;
        };
        let (deadline, serial) = (running.deadline(), running.serial);
        if now < deadline {
            self.timetable.set_deadline(check, deadline);
            return;
        }
        self.tell(check, Event::Deadline, events);
        let silent = self.running_of(check).is_some_and(|running| {
            running.serial == serial
                && running.reported.is_none()
                && !running.cancelled
                && running.attempt.deadline <= now
        });
        if silent {
            self.deliver(check, Outcome::new(Code::TimeoutIo, Phase::Recv), events);
            self.close(check, events);
        }
    }

    /// Tells an engine what happened and does what it then wants.
    pub(super) fn tell(&mut self, check: CheckId, event: Event<'_>, events: &mut Vec<CheckEvent>) {
        let now = self.now();
        if let Some(running) = self.running_of(check) {
            let step = running.engine.on_event(event, now);
            self.proceed(check, step, events);
        }
    }

    /// Ends a cancelled attempt whose engine did not, unless it is waiting for its command to go.
    pub(super) fn close_unless_child(&mut self, check: CheckId) {
        let waits = |running: &mut Running| {
            running
                .child
                .as_ref()
                .is_some_and(|child| !child.is_reaped())
        };
        if self
            .running_of(check)
            .is_some_and(|running| !waits(running))
        {
            self.close(check, &mut Vec::new());
        }
    }

    fn on_socket(&mut self, check: CheckId, events: &mut Vec<CheckEvent>) {
        let Some(running) = running_in(&mut self.entries, check) else {
            return;
        };
        let Some(connection) = &running.connection else {
            return;
        };
        let reply = connection
            .finish()
            .map_or_else(Reply::Failed, |()| Reply::Connected);
        // Nothing more is waited for until the engine asks.
        let _ = self.epoll.delete(connection);
        self.tell(check, reply.event(), events);
    }

    fn on_process(&mut self, check: CheckId, token: Token, events: &mut Vec<CheckEvent>) {
        // What it wrote before it ended comes first.
        self.on_output(check, token, events);
        let Some(Running {
            child: Some(child), ..
        }) = self.current(token)
        else {
            return;
        };
        let Some(status) = child.status() else { return };
        self.tell(check, Event::ChildExit(status), events);
        // If its attempt has ended it has been reaped with it. Until then it was a zombie, so
        // signals could not go astray.
        if self.current(token).is_none() {
            return;
        }
        if let Some(Running {
            child: Some(child), ..
        }) = running_in(&mut self.entries, check)
        {
            child.reap();
            let _ = self.epoll.delete(child.process());
        }
    }

    fn on_output(&mut self, check: CheckId, token: Token, events: &mut Vec<CheckEvent>) {
        let mut buffer = [0; 4096];
        let mut left = OUTPUT_TURN;
        while left > 0 {
            if self.current(token).is_none() {
                return;
            }
            let Some(running) = running_in(&mut self.entries, check) else {
                return;
            };
            let Some(child) = &mut running.child else {
                return;
            };
            let Some(output) = child.output() else { return };
            match read(output, &mut buffer) {
                Ok(0) => {
                    // Taken out of epoll first: a copy that another child of this process holds for
                    // a moment would keep it there.
                    let _ = self.epoll.delete(output);
                    child.close_output();
                    self.tell(check, Event::ChildOutputEnd, events);
                    return;
                }
                Ok(count) => {
                    left = left.saturating_sub(count);
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.tell(check, Event::ChildOutput(bytes), events);
                }
                // Nothing more for now; a pipe has no other errors.
                Err(_) => return,
            }
        }
    }

    /// Carries out a step, and those that follow from it at once.
    fn proceed(&mut self, check: CheckId, step: Step, events: &mut Vec<CheckEvent>) {
        let mut replies = VecDeque::new();
        let mut step = step;
        for _ in 0..MAX_STEPS {
            let ends = matches!(step, Step::Done(_) | Step::End(_));
            let actions = match step {
                Step::Do(actions) | Step::End(actions) => actions,
                Step::Done(outcome) => {
                    self.deliver(check, outcome, events);
                    Vec::new()
                }
                Step::Report(outcome, actions) => {
                    self.deliver(check, outcome, events);
                    actions
                }
            };
            self.perform(check, actions, &mut replies);
            if ends {
                self.close(check, events);
                return;
            }
            let now = self.now();
            let Some(running) = self.running_of(check) else {
                return;
            };
            let Some(reply) = replies.pop_front() else {
                let deadline = running.deadline();
                self.timetable.set_deadline(check, deadline);
                return;
            };
            step = running.engine.on_event(reply.event(), now);
        }
        let outcome = Outcome::new(Code::Cancelled, Phase::Bind)
            .with_detail("the probe keeps asking for what fails");
        self.deliver(check, outcome, events);
        self.close(check, events);
    }

    /// Does what an engine asked for; after a failure, nothing more of it.
    fn perform(&mut self, check: CheckId, actions: Vec<Action>, replies: &mut VecDeque<Reply>) {
        for action in actions {
            let Some(running) = running_in(&mut self.entries, check) else {
                return;
            };
            let reply = match action {
                Action::SetDeadline(deadline) => {
                    running.wanted = Some(deadline);
                    Ok(None)
                }
                Action::Connect { target, close } => {
                    running.connect(&self.epoll, check.slot, &target, close)
                }
                Action::Spawn(command) => running.spawn(&self.epoll, check.slot, &command),
                Action::Signal(signal) => {
                    let sent = running
                        .child
                        .as_ref()
                        .is_none_or(|child| child.signal(signal));
                    Ok((!sent).then_some(Reply::Lost))
                }
            };
            match reply {
                Ok(reply) => replies.extend(reply),
                Err(failure) => {
                    replies.push_back(Reply::Failed(failure));
                    return;
                }
            }
        }
    }

    /// Judges an outcome and reports it, once per attempt and only while anybody wants it.
    fn deliver(&mut self, check: CheckId, outcome: Outcome, events: &mut Vec<CheckEvent>) {
        let now = self.now();
        let Some(entry) = self.entry_of(check) else {
            return;
        };
        let Some(running) = &mut entry.running else {
            return;
        };
        if running.cancelled || running.reported.is_some() {
            return;
        }
        running.reported = Some(now);
        let attempt = running.attempt;
        let mut outcome = outcome;
        outcome.timing.total = Some(now.saturating_sub(attempt.started));
        let decision = entry.machine.on_outcome(&outcome);
        events.push(CheckEvent::Completed(Report {
            check,
            started: attempt.started,
            at: now,
            attempt: attempt.number,
            outcome,
            health: decision.health,
            change: decision.change,
            hint: decision.hint,
            no_new: decision.no_new,
            hint_changed: decision.hint_changed,
            log: decision.log,
            local_errors: decision.local_errors,
        }));
    }

    /// Closes what an attempt holds and plans the next one.
    fn close(&mut self, check: CheckId, events: &mut Vec<CheckEvent>) {
        let unreported = self
            .running_of(check)
            .is_some_and(|running| running.reported.is_none() && !running.cancelled);
        if unreported {
            let outcome = Outcome::new(Code::Cancelled, Phase::Match)
                .with_detail("the probe ended without an outcome");
            self.deliver(check, outcome, events);
        }
        let now = self.now();
        let Some(running) = self.entry_of(check).and_then(|entry| entry.running.take()) else {
            return;
        };
        if let Some(connection) = &running.connection {
            // It may have been taken out already.
            let _ = self.epoll.delete(connection);
        }
        let (started, ended) = (running.attempt.started, running.reported.unwrap_or(now));
        if let Some(child) = running.child {
            self.release(child, running.serial);
        }
        self.timetable.finish(check);
        let mut random = self.random;
        let Some(entry) = self.entry_of(check) else {
            return;
        };
        if entry.removed {
            self.forget(check);
            return;
        }
        let machine = &entry.machine;
        let mut due = machine.next_start(started, ended, &mut || draw(&mut random));
        if due < now {
            // A command outlived its time by more than the delay: count from its real end.
            due = machine.next_start(started, now, &mut || draw(&mut random));
        }
        entry.due = due;
        let (transitional, late_after) = (machine.is_transitional(), machine.policy().interval());
        self.timetable
            .schedule(check, due, transitional, late_after);
        self.random = random;
    }

    /// Parts with a command: normally it has ended, else it is killed and reaped later.
    fn release(&mut self, mut child: Child, serial: u32) {
        for descriptor in [Some(child.process()), child.output()]
            .into_iter()
            .flatten()
        {
            // They may have been taken out already.
            let _ = self.epoll.delete(descriptor);
        }
        child.close_output();
        if child.reap() {
            return;
        }
        child.kill();
        let token = Token {
            slot: 0,
            serial,
            kind: Token::ORPHAN,
        };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token.pack());
        match self.epoll.add(child.process(), event) {
            Ok(()) => {
                self.orphans.insert(serial, child);
            }
            Err(_) => child.reap_within(DROP_PATIENCE),
        }
    }

    fn entry_of(&mut self, check: CheckId) -> Option<&mut Entry> {
        self.entries
            .get_mut(check.slot as usize)?
            .as_mut()
            .filter(|entry| entry.id == check)
    }

    fn running_of(&mut self, check: CheckId) -> Option<&mut Running> {
        self.entry_of(check)?.running.as_deref_mut()
    }

    /// The attempt a token was made for, if it is still under way.
    fn current(&mut self, token: Token) -> Option<&mut Running> {
        let entry = self.entries.get_mut(token.slot as usize)?.as_mut()?;
        entry
            .running
            .as_deref_mut()
            .filter(|running| running.serial == token.serial)
    }

    fn check_of(&mut self, token: Token) -> Option<CheckId> {
        self.current(token)?;
        Some(self.entries.get(token.slot as usize)?.as_ref()?.id)
    }
}

impl Reply {
    fn event(&self) -> Event<'_> {
        match self {
            Self::Connected => Event::Connected,
            Self::Spawned => Event::Spawned,
            Self::Failed(failure) => Event::Failed {
                operation: failure.operation,
                errno: failure.errno,
                origin: failure.origin,
                detail: &failure.detail,
            },
            Self::Lost => Event::ChildExit(ChildStatus::Lost),
        }
    }
}

/// As [`Driver::running_of`], leaving the driver's other fields free for use.
fn running_in(entries: &mut [Option<Entry>], check: CheckId) -> Option<&mut Running> {
    let entry = entries.get_mut(check.slot as usize)?.as_mut()?;
    entry.running.as_deref_mut().filter(|_| entry.id == check)
}

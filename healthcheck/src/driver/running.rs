//! An attempt under way: its engine, and the descriptors it holds.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use nix::errno::Errno as Number;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::channel::{Channel, Heard};
use super::child::Child;
use super::socket::Failure;
#[cfg(feature = "tokio")]
use super::task::Started;
use super::worker::{Workers, panicked};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::outcome::Outcome;
use crate::probe::command::Command;
use crate::probe::tls::TlsInfo;
use crate::probe::{Action, Call, ChildStatus, Engine, Event, Operation, Step, Transport};
use crate::target::Target;

/// Being late by this part of its time does an attempt no harm.
const PUNCTUAL: u32 = 10;

/// Nor does being late by this, which timers may be on a host that does other things, too.
const USUAL: Timestamp = Timestamp::from_millis(50);

/// What a ready descriptor belongs to, packed into epoll's 64 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token {
    pub(super) slot: u32,
    /// The attempt, so that what was ready before it ended is not taken for the next one's.
    pub(super) serial: u32,
    pub(super) kind: u64,
}

impl Token {
    /// The driver's timer; no attempt has it, because slots stay below 2³⁰.
    pub(super) const TIMER: u64 = u64::MAX;

    /// The threads' results.
    pub(super) const WORKERS: u64 = u64::MAX - 1;

    /// The files that are watched.
    pub(super) const WATCHES: u64 = u64::MAX - 2;

    pub(super) const SOCKET: u64 = 0;
    pub(super) const PROCESS: u64 = 1;
    pub(super) const OUTPUT: u64 = 2;
    pub(super) const ORPHAN: u64 = 3;
    pub(super) const SERIALS: u32 = 1 << 30;

    pub(super) fn pack(self) -> u64 {
        (u64::from(self.slot) << 32) | (u64::from(self.serial) << 2) | self.kind
    }

    pub(super) fn unpack(data: u64) -> Self {
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
    pub(super) attempt: Attempt,
    pub(super) engine: Box<dyn Engine>,
    slot: u32,
    pub(super) serial: u32,
    pub(super) channel: Option<Channel>,
    pub(super) child: Option<Child>,
    #[cfg(feature = "tokio")]
    task: Option<Started>,
    /// The deadline the engine asked for.
    wanted: Option<Timestamp>,
    /// When the outcome became known.
    pub(super) reported: Option<Timestamp>,
    pub(super) cancelled: bool,
    /// In which round of the driver its engine was last told of something.
    pub(super) told: u64,
}

impl Running {
    pub(super) fn new(attempt: Attempt, engine: Box<dyn Engine>, slot: u32, serial: u32) -> Self {
        Self {
            attempt,
            engine,
            slot,
            serial,
            channel: None,
            child: None,
            #[cfg(feature = "tokio")]
            task: None,
            wanted: None,
            reported: None,
            cancelled: false,
            told: 0,
        }
    }

    pub(super) fn token(&self, kind: u64) -> Token {
        Token {
            slot: self.slot,
            serial: self.serial,
            kind,
        }
    }

    /// Does what the engine asked for, and says what came of it at once.
    pub(super) fn perform(
        &mut self,
        action: Action,
        epoll: &Epoll,
        workers: &Workers,
    ) -> Result<Option<Reply>, Failure> {
        match action {
            Action::SetDeadline(deadline) => {
                self.wanted = Some(deadline);
                Ok(None)
            }
            Action::Connect { target, transport } => self.connect(epoll, &target, transport),
            Action::Send(bytes) => {
                let Some(channel) = &mut self.channel else {
                    return Err(Failure::at(Operation::Send)(Number::ENOTCONN.into()));
                };
                Ok(channel.send(bytes)?.then_some(Reply::Sent))
            }
            Action::Read => {
                if let Some(channel) = &mut self.channel {
                    channel.read();
                }
                Ok(None)
            }
            Action::HalfClose => {
                if let Some(channel) = &mut self.channel {
                    channel.half_close()?;
                }
                Ok(None)
            }
            Action::StartTls(tls) => {
                let Some(channel) = &mut self.channel else {
                    return Err(Failure::at(Operation::Send)(Number::ENOTCONN.into()));
                };
                Ok(channel.start_tls(&tls)?.map(Reply::TlsDone))
            }
            Action::Spawn(command) => self.spawn(epoll, &command),
            Action::Signal(signal) => {
                let child = self.child.as_ref();
                let sent = child.is_none_or(|child| child.signal(signal));
                Ok((!sent).then_some(Reply::Lost))
            }
            Action::Call(call) => self.call(workers, call),
            #[cfg(feature = "tokio")]
            Action::Run(task) => {
                let Some(runtime) = workers.runtime() else {
                    return Err(Failure::at(Operation::Call)(Number::EOPNOTSUPP.into()));
                };
                let back = workers.back(self.token(Token::SOCKET).pack());
                self.task = Some(Started::new(runtime, task, back));
                Ok(None)
            }
            #[cfg(feature = "tokio")]
            Action::Abort => {
                self.task = None;
                Ok(None)
            }
        }
    }

    /// Tells the engine what happened. One that panics is not asked again.
    pub(super) fn ask(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        let engine = &mut self.engine;
        guarded(|| engine.on_event(event, now)).unwrap_or_else(|outcome| {
            self.engine = Box::new(Broken);
            Step::Done(*outcome)
        })
    }

    /// The command that still runs, if any.
    pub(super) fn into_child(self) -> Option<Child> {
        self.child.filter(|child| !child.is_reaped())
    }

    /// Opens a socket, instead of the one there is.
    fn connect(
        &mut self,
        epoll: &Epoll,
        target: &Target,
        transport: Transport,
    ) -> Result<Option<Reply>, Failure> {
        if let Some(channel) = self.channel.take() {
            // The new one has the same token, so nothing may be heard of the old one.
            channel.unwatch(epoll);
        }
        let (channel, connected) = Channel::open(target, transport)?;
        self.channel = Some(channel);
        Ok(connected.then_some(Reply::Connected))
    }

    /// Hands a function to a thread.
    fn call(&self, workers: &Workers, call: Call) -> Result<Option<Reply>, Failure> {
        let number = self.token(Token::SOCKET).pack();
        let on_call = Failure::at(Operation::Call);
        let deadline = self.attempt.deadline;
        workers.call(number, call, deadline).map_err(on_call)?;
        Ok(None)
    }

    /// Whether it has a connection that is not there yet, as far as is known.
    pub(super) fn is_connecting(&self) -> bool {
        self.channel.as_ref().is_some_and(Channel::is_connecting)
    }

    /// Watches the socket if the attempt has one and goes on.
    pub(super) fn watch(&mut self, epoll: &Epoll) -> Result<(), Failure> {
        let token = self.token(Token::SOCKET).pack();
        self.channel
            .as_mut()
            .map_or(Ok(()), |channel| channel.watch(epoll, token))
    }

    /// Starts a command and watches its end and its output.
    fn spawn(&mut self, epoll: &Epoll, command: &Command) -> Result<Option<Reply>, Failure> {
        if self.child.is_some() {
            return Err(Failure::at(Operation::Spawn)(Number::EBUSY.into()));
        }
        let child = Child::spawn(command).map_err(Failure::at(Operation::Spawn))?;
        let [process, output] = [Token::PROCESS, Token::OUTPUT]
            .map(|kind| EpollEvent::new(EpollFlags::EPOLLIN, self.token(kind).pack()));
        let child = self.child.insert(child);
        let watched = epoll.add(child.process(), process).and_then(|()| {
            let pipe = child.output();
            pipe.map_or(Ok(()), |pipe| epoll.add(pipe, output))
        });
        // One that cannot be watched is killed when the attempt is closed.
        watched.map_err(|errno| Failure::at(Operation::Spawn)(errno.into()))?;
        Ok(Some(Reply::Spawned))
    }

    /// The time the engine asked for has come; it is told once.
    pub(super) fn forget_wanted(&mut self, now: Timestamp) {
        self.wanted = self.wanted.filter(|wanted| now < *wanted);
    }

    /// How late it was heard, if that is why it is not finished: the other side has spoken in time,
    /// for all we know, but this host looked only after the deadline.
    pub(super) fn held_up(&self, round: u64, now: Timestamp) -> Option<Timestamp> {
        let (attempt, late) = (&self.attempt, now.saturating_sub(self.attempt.deadline));
        let whole = attempt.deadline.saturating_sub(attempt.started);
        let unheard = self.reported.is_none() && !self.cancelled && self.channel.is_some();
        (unheard && self.told == round && late > USUAL.max(whole / PUNCTUAL)).then_some(late)
    }

    /// When to tell the engine that time is over.
    pub(super) fn deadline(&self) -> Timestamp {
        let wanted = self.wanted.unwrap_or(Timestamp::MAX);
        if self.reported.is_some() || self.cancelled {
            wanted
        } else {
            wanted.min(self.attempt.deadline)
        }
    }
}

/// What the user's code says, or the outcome of an attempt in which it panicked: that is a fault
/// here, and must not stop other checks.
pub(super) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, Box<Outcome>> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| Box::new(panicked(&*panic)))
}

/// Takes the place of an engine that panicked, in an attempt that is over.
#[derive(Debug)]
pub(super) struct Broken;

impl Engine for Broken {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(Vec::new())
    }

    fn on_event(&mut self, _event: Event<'_>, _now: Timestamp) -> Step {
        Step::End(Vec::new())
    }
}

/// What an action led to at once.
#[derive(Debug)]
pub(super) enum Reply {
    Connected,
    Sent,
    Spawned,
    TlsDone(Box<TlsInfo>),
    Failed(Failure),
    Lost,
}

impl Reply {
    pub(super) fn event(&self) -> Event<'_> {
        match self {
            Self::Connected => Event::Connected,
            Self::Sent => Event::Sent,
            Self::Spawned => Event::Spawned,
            Self::TlsDone(info) => Event::TlsDone(info),
            Self::Failed(failure) => failure.event(),
            Self::Lost => Event::ChildExit(ChildStatus::Lost),
        }
    }
}

impl Heard {
    /// As the engine is told it; the buffer is the one it was heard with.
    pub(super) fn event<'a>(&'a self, buffer: &'a [u8]) -> Event<'a> {
        match *self {
            Self::Connected => Event::Connected,
            Self::Sent => Event::Sent,
            Self::Data(count) => Event::Data(buffer.get(..count).unwrap_or_default()),
            Self::Eof { orderly } => Event::Eof { orderly },
            Self::Datagram { start, end, from } => Event::Datagram {
                bytes: buffer.get(start..end).unwrap_or_default(),
                from,
            },
            Self::Icmp(icmp) => Event::Icmp(icmp),
            Self::TlsDone(ref info) => Event::TlsDone(info),
            Self::Failed(ref failure) => failure.event(),
        }
    }
}

impl Failure {
    fn event(&self) -> Event<'_> {
        if let Some(kind) = self.tls {
            let detail = &self.detail;
            return Event::TlsFailed { kind, detail };
        }
        Event::Failed {
            operation: self.operation,
            errno: self.errno,
            origin: self.origin,
            detail: &self.detail,
        }
    }
}

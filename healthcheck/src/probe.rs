//! What a check does in one attempt: definitions ([`Probe`]) and the engines they make
//! ([`Engine`]).
//!
//! | To be asked | Probe |
//! |---|---|
//! | an open port | [`TcpProbe`](crate::TcpProbe) |
//! | a web server | [`http`] |
//! | anything, over TLS | [`tls`], with any protocol |
//! | a mail server | [`smtp`] |
//! | Redis, memcached, IMAP, POP3, FTP, MySQL, PostgreSQL, LDAP | [`preset`] |
//! | whatever talks in lines | [`expect`], or a [`Protocol`] of your own |
//! | a name server | [`dns`] |
//! | NTP, RADIUS, SIP, SNMP, QUIC | [`udp::ExchangeProbe`] with a [`preset`] |
//! | anything over UDP, a host | [`udp`], [`icmp`] |
//! | the server itself, by a small program on it | [`agent`] |
//! | a script; one written for keepalived, HAProxy or a monitoring system | [`command`] |
//! | a file, by hand or by another program | [`mod@file`] |
//! | something with a name | [`NamedProbe`] |
//! | a function of yours | [`FnProbe`] |
//! | nobody: others report | [`PushProbe`] |
//!
//! An engine does no I/O and reads no clock. It is started, is told what happened, and answers
//! with what to do next, so the same code runs under the blocking driver, under an async one, and
//! in a test that replays recorded events:
//!
//! ```
//! use std::time::Duration;
//! use lvs_healthcheck::probe::{Action, Event, Step};
//! use lvs_healthcheck::{Attempt, Code, Health, Probe, Target, TcpProbe};
//!
//! let probe = TcpProbe::new(Target::new("192.0.2.7:80".parse()?));
//! let now = Duration::from_secs(100);
//! let attempt = Attempt::new(1, now, Duration::from_secs(3), None, Health::Unknown);
//! let mut engine = probe.engine(&attempt);
//!
//! let Step::Do(actions) = engine.start(now) else { panic!("done before it began") };
//! assert!(actions.iter().any(|action| matches!(action, Action::Connect { .. })));
//! let Step::Done(outcome) = engine.on_event(Event::Connected, now) else { panic!("not done") };
//! assert_eq!(outcome.code, Code::Ok);
//! # Ok::<_, std::net::AddrParseError>(())
//! ```
//!
//! # Contract
//!
//! Between a driver and an engine:
//!
//! 1. [`Engine::start`] is called once, first; then [`Engine::on_event`] as things happen, until
//!    the engine answers [`Step::Done`] or [`Step::End`]. It is never called again after that.
//! 2. An engine reports exactly one outcome: in `Done`, or in [`Step::Report`] if something is
//!    left to clean up.
//! 3. [`Event::Deadline`] comes when the last [`Action::SetDeadline`] asked for it, and in any
//!    case at [`Attempt::deadline`] while nothing was reported. An engine that does not report
//!    then is ended by the driver with [`Code::TimeoutIo`](crate::Code::TimeoutIo).
//! 4. Bytes arrive in any fragmentation. An engine keeps at most its documented limit of them.
//! 5. Actions are performed in order. One that fails comes back as [`Event::Failed`], and the
//!    rest of its step is dropped.

mod action;
pub mod agent;
mod call;
pub mod command;
pub mod dialogue;
#[cfg(feature = "dns")]
pub mod dns;
mod errno;
mod event;
pub mod expect;
pub mod file;
#[cfg(feature = "http")]
pub mod http;
pub mod icmp;
mod icmp_error;
mod identity;
mod masked;
mod named;
#[cfg(feature = "regex")]
mod pattern;
pub mod preset;
mod push;
pub mod smtp;
#[cfg(feature = "tokio")]
mod task;
pub mod tcp;
pub mod tls;
pub mod udp;

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::path::PathBuf;

pub use self::action::{Action, CloseMode, Signal, Transport};
pub use self::call::{Call, FnProbe};
pub use self::dialogue::{Dialogue, Protocol, Turn};
pub use self::errno::{Errno, Operation, Origin};
pub use self::event::{ChildStatus, Event, IcmpError};
pub use self::identity::Identity;
pub use self::masked::{MaskedBytes, NotMaskedBytes};
pub use self::named::NamedProbe;
#[cfg(feature = "regex")]
pub use self::pattern::Pattern;
pub use self::push::PushProbe;
#[cfg(feature = "tokio")]
pub use self::task::{AsyncProbe, Task};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Detail, Outcome};
use crate::target::Target;

/// The definition of a probe: the trait to implement for a probe of one's own.
///
/// ```
/// use lvs_healthcheck::probe::{Engine, Event, Step};
/// use lvs_healthcheck::{Attempt, Code, Outcome, Phase, Probe, Timestamp};
///
/// /// Passes in the first half of every minute.
/// #[derive(Debug)]
/// struct HalfMinute;
///
/// impl Probe for HalfMinute {
///     fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
///         Box::new(Self)
///     }
/// }
///
/// impl Engine for HalfMinute {
///     fn start(&mut self, now: Timestamp) -> Step {
///         let code = if now.as_secs() % 60 < 30 { Code::Ok } else { Code::Status };
///         Step::Done(Outcome::new(code, Phase::Match))
///     }
///
///     fn on_event(&mut self, _event: Event<'_>, _now: Timestamp) -> Step {
///         Step::Done(Outcome::new(Code::Cancelled, Phase::Match))
///     }
/// }
/// ```
pub trait Probe: fmt::Debug + Send + Sync {
    /// Makes the engine for one attempt.
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine>;

    /// Checks the settings; called once, when the check is added.
    ///
    /// # Errors
    ///
    /// The first setting out of range.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// What an attempt occupies, for the limits of the
    /// [`Timetable`](crate::timetable::Timetable).
    fn resource(&self) -> Resource {
        Resource::Socket
    }

    /// The machine an attempt puts load on, if that can be told.
    fn host(&self) -> Option<IpAddr> {
        None
    }

    /// The address it asks and how, if it has one; for
    /// [warnings](crate::Check::warnings).
    fn target(&self) -> Option<&Target> {
        None
    }

    /// How long a [report from outside](crate::Driver::report) is good for, if there are such; then
    /// an attempt starts only when none has come for so long.
    fn time_to_live(&self) -> Option<Duration> {
        None
    }

    /// What makes this probe the same as another one, so that one attempt can serve the checks of
    /// both. Default: none, it is never shared.
    fn identity(&self) -> Option<Identity<'_>> {
        None
    }

    /// Files of interest: when one of them is written, replaced, made or removed, an attempt
    /// starts at once. Absolute paths; files may be missing, their directories may not.
    fn watches(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// What an attempt occupies while it runs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Resource {
    /// At most one socket.
    Socket,
    /// A child process.
    Process,
    /// One of the driver's threads for functions that may block.
    Thread,
    /// A task of the driver's runtime; only with an `AsyncDriver` (feature `tokio`).
    Task,
}

/// One attempt, as a state machine without I/O. See the [contract](crate::probe#contract).
pub trait Engine: fmt::Debug + Send {
    /// Begins.
    fn start(&mut self, now: Timestamp) -> Step;

    /// Goes on after something happened.
    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step;
}

/// What the engine wants next.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Step {
    /// Go on: do these in order (there may be none) and come back with the next event.
    Do(Vec<Action>),
    /// The outcome is known; close everything.
    Done(Outcome),
    /// The outcome is known, but something must still be brought to an end: deliver the outcome
    /// now, do these, and go on with events. The check does not start again before
    /// [`Step::End`].
    Report(Outcome, Vec<Action>),
    /// After `Report` or [`Event::Cancel`]: do these, then close everything.
    End(Vec<Action>),
}

/// The outcome of an attempt in which something failed, with what the driver adds.
pub(crate) fn failure(operation: Operation, errno: Errno, origin: Origin, detail: &str) -> Outcome {
    let mut outcome = operation.outcome(errno, origin);
    if !detail.is_empty() {
        outcome.detail = Detail::new(&format!("{}; {detail}", outcome.detail));
    }
    outcome
}

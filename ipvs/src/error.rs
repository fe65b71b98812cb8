//! Errors, by who is at fault: the caller, the kernel, the bytes, or the environment.

use core::fmt;
use std::borrow::Cow;
use std::io;

use crate::daemon::DaemonRole;
use crate::invalid::ValidationError;
use crate::name::{EngineName, InterfaceName};
use crate::procfs::MalformedLine;
use crate::request::{Change, Query, Request};
use crate::scheduler::Scheduler;
use crate::service::ServiceKey;
use crate::sysctl::SysctlError;
use crate::wire::AttributeId;

/// What can go wrong.
///
/// `Display` says everything; `source` is empty, so that nothing is told twice.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's arguments; nothing was sent.
    #[error("{request}: invalid {error}")]
    Invalid {
        /// What was asked for.
        request: RequestKind,
        /// The field that cannot be right.
        error: ValidationError,
    },
    /// The kernel refused.
    #[error("{0}")]
    Rejected(Rejected),
    /// It is not known whether the kernel did what it was asked for.
    #[error("{request}: outcome unknown: {cause}")]
    UnknownOutcome {
        /// What was asked for.
        request: RequestKind,
        /// Why it is not known.
        cause: UnknownCause,
    },
    /// The kernel has no IPVS.
    #[error(
        "this kernel has no IPVS: the module ip_vs is missing or cannot be loaded \
         (try `modprobe ip_vs`; in a container, load it on the host)"
    )]
    Unavailable,
    /// The request was not sent, so nothing was done.
    #[error("{request}: not sent: {cause}")]
    NotSent {
        /// What was asked for.
        request: RequestKind,
        /// Why it was not sent.
        cause: NotSentCause,
    },
    /// A line of a file in `/proc` does not have the form it should.
    #[error("{0}")]
    Malformed(MalformedLine),
    /// A sysctl was not read or not set.
    #[error("{0}")]
    Sysctl(SysctlError),
    /// A system call failed before anything was asked for.
    #[error("{context}: {error}")]
    Io {
        /// What was tried.
        context: Cow<'static, str>,
        /// The operating system's answer.
        error: io::Error,
    },
}

impl Error {
    pub(crate) fn io(context: impl Into<Cow<'static, str>>, error: io::Error) -> Self {
        Self::Io {
            context: context.into(),
            error,
        }
    }

    /// The reason, if the kernel refused.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Rejected(rejected) => Some(rejected.reason),
            _ => None,
        }
    }

    /// Whether a service, destination or daemon is there already.
    #[must_use]
    pub const fn is_exists(&self) -> bool {
        matches!(
            self.reason(),
            Some(Reason::ServiceExists | Reason::DestinationExists | Reason::DaemonRunning)
        )
    }

    /// Whether a service, destination or daemon is not there.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(
            self.reason(),
            Some(Reason::NoSuchService | Reason::NoSuchDestination | Reason::DaemonNotRunning)
        )
    }

    /// Whether the process lacks the privilege.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Io { error, .. } => error.kind() == io::ErrorKind::PermissionDenied,
            Self::Sysctl(error) => error
                .os_error()
                .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied),
            _ => self.reason() == Some(Reason::NotPermitted),
        }
    }

    /// Whether the kernel has no IPVS.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable)
    }

    /// Whether the same request may succeed when tried again as it is. Read first what became
    /// of it: an unknown outcome may be a success.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::UnknownOutcome { .. }
                | Self::NotSent { .. }
                | Self::Rejected(Rejected {
                    reason: Reason::OutOfMemory | Reason::Busy,
                    ..
                })
        )
    }
}

/// A request the kernel refused.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejected {
    /// What was wrong, as far as the error number tells for this kind of request.
    pub reason: Reason,
    /// The kernel's error number, positive.
    pub errno: i32,
    /// What was asked for.
    pub request: RequestKind,
    /// The kernel's own words, where it has any.
    pub ext_ack: Option<Box<ExtAck>>,
}

/// The text of an extended acknowledgement.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExtAck {
    /// The kernel's text.
    pub message: Option<String>,
    /// Offset within the request of the attribute at fault.
    pub offset: Option<u32>,
}

impl Rejected {
    /// Resolves an error number: what it means depends on what was asked for.
    ///
    /// ```
    /// use lvs_ipvs::{Change, Reason, Rejected, Request, VirtualService};
    ///
    /// let add = Change::AddService(VirtualService::tcp("192.0.2.10:80".parse()?));
    /// let rejected = Rejected::new(&Request::Change(add), 17);
    /// assert_eq!(rejected.reason, Reason::ServiceExists);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(request: &Request, errno: i32) -> Self {
        Self {
            reason: Reason::resolve(request, errno),
            errno,
            request: RequestKind::of(request),
            ext_ack: None,
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.reason)?;
        if let Reason::Other = self.reason {
            write!(f, " ({})", io::Error::from_raw_os_error(self.errno))?;
        }
        if let Some(ExtAck {
            message: Some(message),
            ..
        }) = self.ext_ack.as_deref()
        {
            write!(f, " (kernel: {message})")?;
        }
        Ok(())
    }
}

impl core::error::Error for Rejected {}

/// Why the kernel refused a request.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// `EPERM`: IPVS over netlink wants `CAP_NET_ADMIN` in the *initial* user namespace.
    NotPermitted,
    /// The service exists already.
    ServiceExists,
    /// There is no such service.
    NoSuchService,
    /// The destination exists already, perhaps with other settings.
    DestinationExists,
    /// The service exists, and has no such destination.
    NoSuchDestination,
    /// Neither built in nor loadable.
    UnknownScheduler(Scheduler),
    /// The scheduler or the persistence engine is neither built in nor loadable.
    UnknownSchedulerOrEngine(Scheduler, EngineName),
    /// The address of a destination is not one packets can be sent to, or the combination is
    /// refused.
    DestinationRefused,
    /// A negative weight, or the lower threshold above the upper one.
    OutOfRange,
    /// The kernel lacks IPv6, or its IPVS does.
    FamilyUnavailable,
    /// There is no such interface.
    NoSuchInterface(InterfaceName),
    /// The group is not multicast, or a mixed-family destination is configured.
    DaemonRefused,
    /// A daemon of that role runs already.
    DaemonRunning,
    /// No daemon of that role runs.
    DaemonNotRunning,
    /// A timeout above the kernel's limit, which depends on its `HZ`.
    TimeoutTooLong,
    /// Something about the arguments.
    InvalidArgument,
    /// The kernel does not know the command.
    Unsupported,
    /// Another dump of the same socket is not finished.
    Busy,
    /// The kernel is short of memory.
    OutOfMemory,
    /// The module is being unloaded.
    Unloading,
    /// The `IPVS` family does not exist.
    NoIpvs,
    /// Any other error number.
    Other,
}

// Error numbers are the same on every architecture Linux has IPVS on; nix's constants keep the
// names readable.
impl Reason {
    fn resolve(request: &Request, errno: i32) -> Self {
        use nix::errno::Errno;
        match Errno::from_raw(errno) {
            Errno::EPERM => Self::NotPermitted,
            Errno::EEXIST => match request {
                Request::Change(Change::AddDestination(..)) => Self::DestinationExists,
                Request::Change(Change::StartDaemon(_)) => Self::DaemonRunning,
                _ => Self::ServiceExists,
            },
            Errno::ESRCH => match request {
                Request::Change(Change::StopDaemon(_)) => Self::DaemonNotRunning,
                _ => Self::NoSuchService,
            },
            Errno::ENOENT => match request {
                Request::Query(Query::Family) => Self::NoIpvs,
                Request::Change(Change::AddService(service) | Change::SetService(service)) => {
                    match service.engine() {
                        None => Self::UnknownScheduler(service.scheduler()),
                        Some(engine) => Self::UnknownSchedulerOrEngine(service.scheduler(), engine),
                    }
                }
                Request::Change(Change::SetDestination(..) | Change::RemoveDestination(..)) => {
                    Self::NoSuchDestination
                }
                _ => Self::Other,
            },
            Errno::EINVAL => match request {
                Request::Change(Change::AddDestination(..) | Change::SetDestination(..)) => {
                    Self::DestinationRefused
                }
                Request::Change(Change::StartDaemon(_)) => Self::DaemonRefused,
                Request::Change(Change::SetTimeouts(_)) => Self::TimeoutTooLong,
                _ => Self::InvalidArgument,
            },
            Errno::ERANGE => Self::OutOfRange,
            Errno::EAFNOSUPPORT => Self::FamilyUnavailable,
            Errno::ENODEV => match request {
                Request::Change(Change::StartDaemon(daemon)) => {
                    Self::NoSuchInterface(daemon.interface)
                }
                _ => Self::Other,
            },
            Errno::EOPNOTSUPP => Self::Unsupported,
            Errno::EBUSY => Self::Busy,
            Errno::ENOMEM | Errno::ENOBUFS => Self::OutOfMemory,
            Errno::ENOPROTOOPT => Self::Unloading,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted => f.write_str(
                "not permitted: needs CAP_NET_ADMIN in the initial user namespace; being root \
                 in a user namespace (rootless container, `unshare -r`) is not enough",
            ),
            Self::ServiceExists => f.write_str("the service exists already"),
            Self::NoSuchService => f.write_str("there is no such service"),
            Self::DestinationExists => f.write_str("the destination exists already"),
            Self::NoSuchDestination => f.write_str("the service has no such destination"),
            Self::UnknownScheduler(scheduler) => write!(
                f,
                "unknown scheduler {scheduler}: the kernel has no module ip_vs_{scheduler}"
            ),
            Self::UnknownSchedulerOrEngine(scheduler, engine) => write!(
                f,
                "unknown scheduler {scheduler} or persistence engine {engine}: the kernel lacks \
                 one of the modules ip_vs_{scheduler} and ip_vs_pe_{engine}"
            ),
            Self::DestinationRefused => f.write_str(
                "refused: the address must be unicast or local by the routing tables, and a \
                 destination of the other address family needs a tunnel and no sync daemon; a \
                 GUE tunnel needs a port",
            ),
            Self::OutOfRange => f.write_str(
                "out of range: a weight above 2147483647, or a lower threshold above the upper",
            ),
            Self::FamilyUnavailable => f.write_str("the kernel's IPVS lacks this address family"),
            Self::NoSuchInterface(name) => write!(f, "there is no interface {name}"),
            Self::DaemonRefused => f.write_str(
                "refused: the group must be multicast, and no service may have a destination of \
                 the other address family",
            ),
            Self::DaemonRunning => f.write_str("a sync daemon of this role runs already"),
            Self::DaemonNotRunning => f.write_str("no sync daemon of this role runs"),
            Self::TimeoutTooLong => f.write_str(
                "a timeout is above the kernel's limit of (2^31-1)/HZ seconds: 2147483 at HZ=1000",
            ),
            Self::InvalidArgument => f.write_str("invalid argument"),
            Self::Unsupported => f.write_str("not supported by this kernel"),
            Self::Busy => f.write_str("another dump on this socket is not finished"),
            Self::OutOfMemory => f.write_str("the kernel is out of memory"),
            Self::Unloading => f.write_str("the module ip_vs is being unloaded"),
            Self::NoIpvs => f.write_str("the kernel has no IPVS"),
            Self::Other => f.write_str("rejected"),
        }
    }
}

/// What was asked for, in short: enough for an error message.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RequestKind {
    /// Add a service.
    AddService(ServiceKey),
    /// Replace the settings of a service.
    SetService(ServiceKey),
    /// Remove a service.
    RemoveService(ServiceKey),
    /// Add a destination to that service.
    AddDestination(ServiceKey, crate::DestinationKey),
    /// Replace the settings of a destination of that service.
    SetDestination(ServiceKey, crate::DestinationKey),
    /// Remove a destination of that service.
    RemoveDestination(ServiceKey, crate::DestinationKey),
    /// Start a sync daemon of that role.
    StartDaemon(DaemonRole),
    /// Stop the sync daemon of that role.
    StopDaemon(DaemonRole),
    /// Set timeouts.
    SetTimeouts,
    /// Zero the counters of that service, or all.
    Zero(Option<ServiceKey>),
    /// Remove everything.
    Flush,
    /// Read something.
    Read(Query),
}

impl RequestKind {
    /// The short form of a request.
    #[must_use]
    pub const fn of(request: &Request) -> Self {
        match request {
            Request::Query(query) => Self::Read(*query),
            Request::Change(change) => Self::of_change(change),
        }
    }

    /// The short form of a change.
    #[must_use]
    pub const fn of_change(change: &Change) -> Self {
        match change {
            Change::AddService(service) => Self::AddService(service.key()),
            Change::SetService(service) => Self::SetService(service.key()),
            Change::RemoveService(key) => Self::RemoveService(*key),
            Change::AddDestination(key, destination) => {
                Self::AddDestination(*key, destination.key())
            }
            Change::SetDestination(key, destination) => {
                Self::SetDestination(*key, destination.key())
            }
            Change::RemoveDestination(service, key) => Self::RemoveDestination(*service, *key),
            Change::StartDaemon(daemon) => Self::StartDaemon(daemon.role),
            Change::StopDaemon(role) => Self::StopDaemon(*role),
            Change::SetTimeouts(_) => Self::SetTimeouts,
            Change::Zero(key) => Self::Zero(*key),
            Change::Flush => Self::Flush,
        }
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService(key) => write!(f, "cannot add service {key}"),
            Self::SetService(key) => write!(f, "cannot change service {key}"),
            Self::RemoveService(key) => write!(f, "cannot remove service {key}"),
            Self::AddDestination(key, to) => write!(f, "cannot add destination {to} to {key}"),
            Self::SetDestination(key, of) => write!(f, "cannot change destination {of} of {key}"),
            Self::RemoveDestination(key, from) => {
                write!(f, "cannot remove destination {from} of {key}")
            }
            Self::StartDaemon(role) => write!(f, "cannot start the {role} sync daemon"),
            Self::StopDaemon(role) => write!(f, "cannot stop the {role} sync daemon"),
            Self::SetTimeouts => f.write_str("cannot set timeouts"),
            Self::Zero(None) => f.write_str("cannot zero counters"),
            Self::Zero(Some(key)) => write!(f, "cannot zero the counters of {key}"),
            Self::Flush => f.write_str("cannot remove all services"),
            Self::Read(Query::Service(key)) => write!(f, "cannot read service {key}"),
            Self::Read(Query::Services) => f.write_str("cannot read services"),
            Self::Read(Query::Destinations(key)) => {
                write!(f, "cannot read destinations of {key}")
            }
            Self::Read(Query::Daemons) => f.write_str("cannot read sync daemons"),
            Self::Read(Query::Timeouts) => f.write_str("cannot read timeouts"),
            Self::Read(Query::Info) => f.write_str("cannot read the version of IPVS"),
            Self::Read(Query::Family) => f.write_str("cannot find the netlink family IPVS"),
        }
    }
}

/// Why the outcome of a request is not known. What is not known may have been done: read the
/// table before trying again.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum UnknownCause {
    /// The socket's receive queue overflowed and the answer was among what was lost.
    Overrun,
    /// No answer came in time.
    TimedOut,
    /// The kernel handled later requests and did not answer this one.
    Unanswered,
    /// Reading from the socket failed while the answer was outstanding.
    ConnectionFailed {
        /// The operating system's error number.
        errno: i32,
    },
    /// The answer was there and could not be read.
    Unreadable(DecodeError),
}

impl fmt::Display for UnknownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overrun => f.write_str("the receive queue overflowed"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unanswered => f.write_str("the kernel did not answer"),
            Self::ConnectionFailed { errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "reading from the netlink socket failed: {error}")
            }
            Self::Unreadable(error) => write!(f, "malformed answer: {error}"),
        }
    }
}

/// Why a request was not sent.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NotSentCause {
    /// Sending failed.
    SendFailed {
        /// The operating system's error number.
        errno: i32,
    },
    /// Reading from the socket failed while earlier requests were unanswered.
    ConnectionFailed {
        /// The operating system's error number.
        errno: i32,
    },
    /// An earlier request got no answer in time.
    TimedOutBefore,
    /// It would have taken the last usable destination from a service, and none of those that
    /// were to take over is in place.
    Withheld,
}

impl fmt::Display for NotSentCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SendFailed { errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "sending to the netlink socket failed: {error}")
            }
            Self::ConnectionFailed { errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "reading from the netlink socket failed: {error}")
            }
            Self::TimedOutBefore => f.write_str("an earlier request got no answer in time"),
            Self::Withheld => f.write_str(
                "withheld: the service would have been left without a usable destination",
            ),
        }
    }
}

/// Bytes from the kernel that cannot be read: which attribute, where, and what is wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DecodeError {
    attribute: Option<AttributeId>,
    offset: usize,
    problem: DecodeProblem,
}

/// What is wrong with an attribute or a message.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DecodeProblem {
    /// Its length goes beyond what is there, or is less than a header.
    Truncated,
    /// The value is too short.
    Short {
        /// Bytes there.
        length: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// The value is too long.
    Long {
        /// Bytes there.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// An attribute that must be there is not.
    Missing,
    /// A number that leaves the rest without meaning.
    Unexpected(u64),
}

impl DecodeError {
    pub(crate) const fn new(
        attribute: Option<AttributeId>,
        offset: usize,
        problem: DecodeProblem,
    ) -> Self {
        Self {
            attribute,
            offset,
            problem,
        }
    }

    /// The attribute; `None` when it is the header of a message.
    #[must_use]
    pub const fn attribute(&self) -> Option<AttributeId> {
        self.attribute
    }

    /// Offset in bytes from the start of the message, or of the datagram when there is no
    /// attribute. For a missing attribute: where its nest starts.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn problem(&self) -> DecodeProblem {
        self.problem
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attribute {
            Some(attribute) => write!(f, "attribute {attribute} at byte {}: ", self.offset)?,
            None => write!(f, "header at byte {}: ", self.offset)?,
        }
        match self.problem {
            DecodeProblem::Truncated => f.write_str("its length does not fit the message"),
            DecodeProblem::Short { length, expected } => {
                write!(f, "{length} bytes, expected {expected}")
            }
            DecodeProblem::Long { length, limit } => {
                write!(f, "{length} bytes, at most {limit} make sense")
            }
            DecodeProblem::Missing => f.write_str("missing"),
            DecodeProblem::Unexpected(number) => write!(f, "unexpected value {number}"),
        }
    }
}

impl core::error::Error for DecodeError {}

//! What a driver tells an engine.

use core::net::{IpAddr, SocketAddr};

use super::tls::{TlsInfo, TlsKind};
use super::{Errno, Operation, Origin};
use crate::outcome::Outcome;

/// Something happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// [`Action::Connect`](super::Action::Connect) succeeded.
    Connected,
    /// An action failed, now or later.
    Failed {
        /// What was being done.
        operation: Operation,
        /// The operating system's answer.
        errno: Errno,
        /// Where the answer comes from.
        origin: Origin,
        /// More, for people; may be empty.
        detail: &'a str,
    },
    /// [`Action::StartTls`](super::Action::StartTls) succeeded.
    TlsDone(&'a TlsInfo),
    /// `StartTls` failed, or TLS broke later; nothing more can be said over this connection.
    TlsFailed {
        /// What it means.
        kind: TlsKind,
        /// What is wrong, for whoever has to mend it.
        detail: &'a str,
    },
    /// Everything asked to be sent was handed to the kernel.
    Sent,
    /// The next bytes of a stream.
    Data(&'a [u8]),
    /// A whole datagram: over UDP its payload, over ICMP the message without IP header.
    Datagram {
        /// What it contains; cut off after 64 KiB.
        bytes: &'a [u8],
        /// Who sent it.
        from: SocketAddr,
    },
    /// The peer will send nothing more on this stream.
    Eof {
        /// Whether the end is known to be the peer's: false when a TLS connection ended without
        /// `close_notify`, as it does when somebody cuts it short.
        orderly: bool,
    },
    /// An ICMP error about a datagram that was sent.
    Icmp(IcmpError),
    /// The time asked for, or that of the whole attempt, has come.
    Deadline,
    /// [`Action::Spawn`](super::Action::Spawn) succeeded.
    Spawned,
    /// Output of the child, standard output and standard error mixed as they came.
    ChildOutput(&'a [u8]),
    /// The child and all who inherited its output have closed it.
    ChildOutputEnd,
    /// The child has ended. It is still a zombie until the engine's answer was carried out, so a
    /// signal in that answer cannot reach a stranger.
    ChildExit(ChildStatus),
    /// What [`Action::Call`](super::Action::Call) called has returned, or a task has ended.
    Returned(Outcome),
    /// The check was removed: come to an end. An outcome is not wanted any more.
    Cancel,
}

/// An ICMP or ICMPv6 error that the network sent about a datagram of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct IcmpError {
    /// Its type: RFC 792 if `from` is an IPv4 address, RFC 4443 otherwise.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Who sent it: the target, a router on the way, or this host itself when nobody answers its
    /// ARP or ND requests.
    pub from: IpAddr,
    /// What the kernel made of it.
    pub errno: Errno,
    /// Whether the packet filter of this host sent it.
    pub own_filter: bool,
}

impl IcmpError {
    /// An error as a test makes it: not from this host's packet filter.
    #[must_use]
    pub const fn new(kind: u8, code: u8, from: IpAddr, errno: Errno) -> Self {
        Self {
            kind,
            code,
            from,
            errno,
            own_filter: false,
        }
    }
}

/// How a child process ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ChildStatus {
    /// It exited with this code, 0 to 255.
    Code(u8),
    /// A signal of this number ended it.
    Signal(i32),
    /// Somebody else in this process took its status away.
    Lost,
}

//! From error numbers of the operating system to outcome codes.

use core::fmt;
use std::io;

use nix::errno::Errno as Number;

use crate::outcome::{Code, Outcome, Phase, Verdict};

/// An error number of the operating system; `Display` gives the system's text for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Errno(i32);

impl Errno {
    /// Wraps a raw error number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The raw error number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The number in an I/O error; `EIO` if it has none.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(Number::EIO as i32))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Number::from_raw(self.0).desc())
    }
}

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a socket, or making it ready.
    Socket,
    /// Setting source address, port, device, mark or time to live.
    Bind,
    /// Connecting.
    Connect,
    /// Sending.
    Send,
    /// Receiving.
    Receive,
    /// Starting a command.
    Spawn,
    /// Handing a function to a thread.
    Call,
}

/// Where an error comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// The call itself: nothing was sent, so the fault is on this host unless the error says
    /// otherwise.
    Call,
    /// Later, from the network or from waiting for it.
    Network,
    /// Later, by an ICMP message this host sent to itself: its packet filter rejects the packets.
    OwnFilter,
}

impl Operation {
    /// The outcome of an attempt in which this failed.
    ///
    /// ```
    /// use lvs_healthcheck::Code;
    /// use lvs_healthcheck::probe::{Errno, Operation, Origin};
    ///
    /// let emfile = Errno::from_raw(24);
    /// assert_eq!(Operation::Socket.outcome(emfile, Origin::Call).code, Code::LocalSocket);
    /// ```
    #[must_use]
    pub fn outcome(self, errno: Errno, origin: Origin) -> Outcome {
        let number = Number::from_raw(errno.0);
        let (code, phase) = match self {
            Self::Socket => (Code::LocalSocket, Phase::Bind),
            Self::Bind => (Code::LocalBind, Phase::Bind),
            Self::Connect => (connect_code(number, origin), Phase::Connect),
            Self::Send => (exchange_code(number, origin), Phase::Send),
            Self::Receive => (exchange_code(number, origin), Phase::Recv),
            Self::Spawn => (Code::Spawn, Phase::Process),
            Self::Call => (Code::LocalSocket, Phase::Process),
        };
        let outcome = Outcome::new(code, phase).with_detail(number.desc());
        match (self, number) {
            // This host is short of something; that says nothing about the destination.
            (
                Self::Spawn,
                Number::EAGAIN | Number::ENOMEM | Number::EMFILE | Number::ENFILE | Number::ENOBUFS,
            ) => outcome.with_verdict(Verdict::Neutral),
            _ => outcome,
        }
    }
}

fn connect_code(number: Number, origin: Origin) -> Code {
    match number {
        _ if origin == Origin::OwnFilter => Code::LocalDenied,
        Number::ECONNREFUSED => Code::Refused,
        Number::ECONNRESET | Number::ECONNABORTED | Number::EPIPE => Code::Reset,
        Number::ETIMEDOUT => Code::TimeoutConnect,
        Number::EPERM | Number::EACCES if origin == Origin::Call => Code::LocalDenied,
        // No ephemeral port is left, or the fixed one is taken: found out only when connecting.
        Number::EADDRNOTAVAIL | Number::EADDRINUSE => Code::LocalBind,
        Number::ENETDOWN | Number::ENODEV => Code::LocalNoRoute,
        // EINVAL is the kernel's answer for a blackhole route.
        Number::ENETUNREACH | Number::EINVAL if origin == Origin::Call => Code::LocalNoRoute,
        Number::EMFILE
        | Number::ENFILE
        | Number::ENOBUFS
        | Number::ENOMEM
        | Number::EAGAIN
        | Number::EAFNOSUPPORT => Code::LocalSocket,
        // EHOSTUNREACH, EHOSTDOWN, ENETUNREACH, EPROTO, ENOPROTOOPT … come from ICMP, ARP or ND;
        // so does EACCES that comes later (ICMPv6 "administratively prohibited").
        _ => Code::Unreachable,
    }
}

/// Of a connection that was there already, or of a datagram.
fn exchange_code(number: Number, origin: Origin) -> Code {
    match number {
        // The peer has not acknowledged for so long that the kernel gave up.
        Number::ETIMEDOUT => Code::TimeoutIo,
        _ => connect_code(number, origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_code() {
        use Number as N;
        use Operation as O;
        let rows = [
            (O::Socket, N::EMFILE, Origin::Call, Code::LocalSocket),
            (O::Socket, N::ENFILE, Origin::Call, Code::LocalSocket),
            (O::Socket, N::ENOBUFS, Origin::Call, Code::LocalSocket),
            (O::Socket, N::ENOMEM, Origin::Call, Code::LocalSocket),
            (O::Socket, N::EAFNOSUPPORT, Origin::Call, Code::LocalSocket),
            (O::Bind, N::EADDRNOTAVAIL, Origin::Call, Code::LocalBind),
            (O::Bind, N::EADDRINUSE, Origin::Call, Code::LocalBind),
            (O::Bind, N::EACCES, Origin::Call, Code::LocalBind),
            (O::Bind, N::ENODEV, Origin::Call, Code::LocalBind),
            (O::Bind, N::EPERM, Origin::Call, Code::LocalBind),
            (O::Connect, N::EADDRNOTAVAIL, Origin::Call, Code::LocalBind),
            (O::Connect, N::EPERM, Origin::Call, Code::LocalDenied),
            (O::Connect, N::EACCES, Origin::Call, Code::LocalDenied),
            (O::Connect, N::EACCES, Origin::Network, Code::Unreachable),
            (O::Connect, N::ENETUNREACH, Origin::Call, Code::LocalNoRoute),
            (
                O::Connect,
                N::ENETUNREACH,
                Origin::Network,
                Code::Unreachable,
            ),
            (O::Connect, N::EINVAL, Origin::Call, Code::LocalNoRoute),
            (O::Connect, N::ENETDOWN, Origin::Call, Code::LocalNoRoute),
            (O::Connect, N::ENETDOWN, Origin::Network, Code::LocalNoRoute),
            (O::Connect, N::ECONNREFUSED, Origin::Network, Code::Refused),
            (O::Connect, N::ECONNREFUSED, Origin::Call, Code::Refused),
            (
                O::Connect,
                N::EHOSTUNREACH,
                Origin::Network,
                Code::Unreachable,
            ),
            (O::Connect, N::EHOSTUNREACH, Origin::Call, Code::Unreachable),
            (O::Connect, N::EHOSTDOWN, Origin::Network, Code::Unreachable),
            (O::Connect, N::ECONNRESET, Origin::Network, Code::Reset),
            (O::Connect, N::ECONNABORTED, Origin::Network, Code::Reset),
            (O::Connect, N::EPIPE, Origin::Network, Code::Reset),
            (
                O::Connect,
                N::ETIMEDOUT,
                Origin::Network,
                Code::TimeoutConnect,
            ),
            (
                O::Connect,
                N::ECONNREFUSED,
                Origin::OwnFilter,
                Code::LocalDenied,
            ),
            (
                O::Connect,
                N::EHOSTUNREACH,
                Origin::OwnFilter,
                Code::LocalDenied,
            ),
            (O::Spawn, N::ENOENT, Origin::Call, Code::Spawn),
        ];
        for (operation, number, origin, code) in rows {
            let outcome = operation.outcome(Errno(number as i32), origin);
            assert_eq!(outcome.code, code, "{operation:?} {number}");
            assert_eq!(outcome.detail.as_str(), number.desc());
            assert_eq!(
                outcome.verdict,
                code.default_verdict(),
                "{operation:?} {number}"
            );
        }
    }

    #[test]
    fn shortage_on_this_host_says_nothing_about_a_command() {
        for number in [
            Number::EAGAIN,
            Number::ENOMEM,
            Number::EMFILE,
            Number::ENFILE,
        ] {
            let outcome = Operation::Spawn.outcome(Errno(number as i32), Origin::Call);
            assert_eq!(
                (outcome.code, outcome.verdict),
                (Code::Spawn, Verdict::Neutral)
            );
        }
        for number in [
            Number::ENOENT,
            Number::EACCES,
            Number::ENOEXEC,
            Number::E2BIG,
        ] {
            let outcome = Operation::Spawn.outcome(Errno(number as i32), Origin::Call);
            assert_eq!(outcome.verdict, Verdict::Fail, "{number}");
        }
    }
}

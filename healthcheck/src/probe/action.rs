//! What an engine asks a driver to do.

use super::call::Call;
use super::command::Command;
#[cfg(feature = "tokio")]
use super::task::Task;
use super::tls::Tls;
use crate::Timestamp;
use crate::target::Target;

/// Something for the driver to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Open a socket to the target, instead of the one there is. Answered by
    /// [`Event::Connected`](super::Event::Connected) or [`Event::Failed`](super::Event::Failed).
    Connect {
        /// Where to.
        target: Target,
        /// What kind of socket.
        transport: Transport,
    },
    /// Send these bytes after those that wait already; over UDP and ICMP they are one datagram.
    /// Answered by [`Event::Sent`](super::Event::Sent) when nothing waits any more, or by
    /// `Failed`.
    Send(Vec<u8>),
    /// From now on tell what arrives, as [`Event::Data`](super::Event::Data) and
    /// [`Event::Eof`](super::Event::Eof) or as [`Event::Datagram`](super::Event::Datagram) and
    /// [`Event::Icmp`](super::Event::Icmp).
    Read,
    /// Tell the peer that nothing more will be sent, once all that waits is gone.
    HalfClose,
    /// Wrap the connection in TLS: do the handshake, and encrypt what is sent from now on.
    /// Answered by [`Event::TlsDone`](super::Event::TlsDone),
    /// [`Event::TlsFailed`](super::Event::TlsFailed) or `Failed`. What was said and has not been
    /// told is in plain text and refused.
    StartTls(Tls),
    /// Send [`Event::Deadline`](super::Event::Deadline) at this time, instead of the one asked for
    /// before.
    SetDeadline(Timestamp),
    /// Start an external command. Answered by [`Event::Spawned`](super::Event::Spawned) or
    /// `Failed`.
    Spawn(Command),
    /// Send a signal to the command's process group.
    Signal(Signal),
    /// Have something called that may take its time, elsewhere than on the driver's thread.
    /// Answered by [`Event::Returned`](super::Event::Returned) or `Failed`.
    Call(Call),
    /// Have a future run as a task of the driver's runtime (feature `tokio`). Answered by
    /// `Returned`, or `Failed` if there is no runtime.
    #[cfg(feature = "tokio")]
    Run(Task),
    /// Abort the task. `Returned` tells when nothing is left of it.
    #[cfg(feature = "tokio")]
    Abort,
}

/// A kind of socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Transport {
    /// TCP, closed in the given way. Some of this needs an option set before connecting.
    Tcp {
        /// How.
        close: CloseMode,
        /// Whether the engine sends something, or ends, as soon as it is connected. The handshake's
        /// last packet then goes with that, so there is one packet less. If nothing comes, the
        /// kernel sends it after at most 200 ms. No difference with [`CloseMode::Rst`].
        prompt: bool,
    },
    /// UDP. Errors that ICMP reports are told.
    Udp {
        /// Whether datagrams of others than the target are told, too. They come from servers with
        /// several addresses that answer from another one than they were asked on.
        from_any: bool,
    },
    /// ICMP or ICMPv6 messages, without IP header. The kernel fills in the checksum, for
    /// unprivileged sockets also the identifier.
    Icmp,
}

/// How a TCP connection is closed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CloseMode {
    /// In order: the server accepts a connection and reads an end of file.
    #[default]
    Fin,
    /// By reset: the server accepts a connection and reads an error. Leaves no `TIME_WAIT` here,
    /// but many servers log it.
    Rst,
    /// By reset before the handshake's last packet, so that the server's program never sees a
    /// connection. Best effort: it becomes `Rst` when the kernel acknowledges first.
    HalfOpen,
}

/// The signals the kill ladder uses.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// `SIGTERM`
    Term,
    /// `SIGKILL`
    Kill,
}

//! What is said over a TCP connection, apart from how the connection comes about.
//!
//! Most probes open a connection, perhaps wrap it in TLS, say something and judge the answer. The
//! first half is [`TcpProbe`](crate::TcpProbe); the second is a [`Protocol`], which makes one
//! [`Dialogue`] for each attempt. A protocol of one's own takes a few lines:
//!
//! ```
//! use lvs_healthcheck::probe::{Dialogue, Protocol, Turn};
//! use lvs_healthcheck::{Attempt, Code, Outcome, Phase, Target, TcpProbe};
//!
//! /// memcached answers `version` with its version.
//! #[derive(Debug)]
//! struct Memcached;
//!
//! impl Protocol for Memcached {
//!     fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
//!         Box::new(Self)
//!     }
//! }
//!
//! impl Dialogue for Memcached {
//!     fn opened(&mut self) -> Turn {
//!         Turn::Send(b"version\r\n".to_vec())
//!     }
//!
//!     fn data(&mut self, bytes: &[u8]) -> Turn {
//!         let code = if bytes.starts_with(b"VERSION ") { Code::Ok } else { Code::Proto };
//!         Turn::Done(Outcome::new(code, Phase::Match))
//!     }
//! }
//!
//! let probe = TcpProbe::new(Target::new("192.0.2.7:11211".parse()?)).with_protocol(Memcached);
//! # Ok::<_, std::net::AddrParseError>(())
//! ```
//!
//! (It could wait until the seven bytes are there: they may arrive one by one.)

use core::fmt;

use super::Identity;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};

/// Something that can be said over a connection. See the [module](self).
pub trait Protocol: fmt::Debug + Send + Sync {
    /// Begins a dialogue for one attempt.
    fn dialogue(&self, attempt: &Attempt) -> Box<dyn Dialogue>;

    /// Whether its dialogues say something, or are done, as soon as they are opened. The last packet
    /// of TCP's handshake then goes with that, see
    /// [`Transport::Tcp`](super::Transport::Tcp). Default: they may listen first.
    fn is_prompt(&self) -> bool {
        false
    }

    /// Checks the settings; called once, when the check is added.
    ///
    /// # Errors
    ///
    /// The first setting out of range.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// What makes this protocol the same as another one, as [`Probe::identity`](super::Probe::identity).
    /// Default: none, a probe with it is never shared.
    fn identity(&self) -> Option<Identity<'_>> {
        None
    }

    /// The name of the server for TLS, where [`Tls`](super::tls::Tls) gives none. By default the
    /// target's address is all that is known.
    fn server_name(&self) -> Option<&str> {
        None
    }

    /// The protocols to offer by ALPN (RFC 7301), the best first, where
    /// [`Tls`](super::tls::Tls::with_alpn) says nothing of them: some servers refuse who offers none.
    /// Default: none.
    fn alpn(&self) -> &'static [&'static [u8]] {
        &[]
    }

    /// All names of the server that dialogues may use, for [`validate`](super::Probe::validate).
    /// Default: the one.
    fn server_names(&self) -> Vec<&str> {
        self.server_name().into_iter().collect()
    }

    /// Has the last word on every outcome, also on those the dialogue never saw, such as a
    /// connection that was refused. By default leaves it as it is.
    #[must_use]
    fn judge(&self, outcome: Outcome) -> Outcome {
        outcome
    }
}

/// One attempt of a [`Protocol`], without I/O and without a clock.
///
/// Bytes come in any fragmentation. A dialogue keeps at most its documented limit of them.
pub trait Dialogue: fmt::Debug + Send {
    /// The name of the server for TLS of the connection that is being opened, where it is another
    /// one than that of the [protocol](Protocol::server_name). Default: it is not.
    fn server_name(&self) -> Option<&str> {
        None
    }

    /// The connection is open, or TLS was started as [`Turn::StartTls`] asked.
    fn opened(&mut self) -> Turn;

    /// The server said this.
    fn data(&mut self, bytes: &[u8]) -> Turn;

    /// The server will say nothing more. Default: it should have, [`Code::EofEarly`].
    ///
    /// A TLS connection that ends without `close_notify` is not `orderly`.
    fn eof(&mut self, orderly: bool) -> Turn {
        let detail = if orderly {
            "closed by the server"
        } else {
            "TLS connection cut off"
        };
        Turn::Done(Outcome::new(Code::EofEarly, Phase::Recv).with_detail(detail))
    }

    /// The connection broke, as after a reset, while this dialogue was going on. Default: that is the
    /// outcome.
    fn broken(&mut self, outcome: Outcome) -> Turn {
        Turn::Done(outcome)
    }

    /// Time is up while this dialogue was going on. Default: [`Code::TimeoutIo`].
    fn expired(&mut self) -> Outcome {
        Outcome::new(Code::TimeoutIo, Phase::Recv)
    }
}

/// What a dialogue does next.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Turn {
    /// Listens on.
    Listen,
    /// Says this, then listens.
    Send(Vec<u8>),
    /// Says this and that nothing more will follow, then listens.
    SendLast(Vec<u8>),
    /// Wraps the connection in TLS as [`TcpProbe::with_starttls`](crate::TcpProbe::with_starttls)
    /// says, then [`Dialogue::opened`] again: STARTTLS.
    ///
    /// What the server says in plain text after it has agreed is refused ([`Code::Proto`]), so a
    /// dialogue asks for this with the last byte of the agreement.
    StartTls,
    /// Closes the connection and opens another one to the same target, TLS included, then
    /// [`Dialogue::opened`] again.
    Reopen,
    /// Knows the outcome.
    Done(Outcome),
    /// Knows the outcome, and says this before it closes the connection.
    DoneAfter(Vec<u8>, Outcome),
}

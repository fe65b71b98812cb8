//! TCP: the handshake completes, and then perhaps something is said.
//!
//! The kernel completes handshakes for a listening socket by itself, so a hung program whose
//! accept queue is not full passes a check that says nothing. keepalived's `TCP_CHECK`.

mod engine;

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use self::engine::TcpEngine;
use super::dialogue::{Dialogue, Protocol, Turn};
use super::tls::Tls;
use super::{CloseMode, Engine, Identity, Probe};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};
use crate::target::Target;

/// Opens a TCP connection and holds the dialogue of a [`Protocol`] over it; with `()`, the
/// default, passes when the connection is open.
#[derive(Clone, Debug)]
pub struct TcpProbe<P = ()> {
    connection: Connection,
    protocol: Arc<P>,
}

/// The settings that do not depend on the protocol.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Connection {
    target: Target,
    close: CloseMode,
    idle_timeout: Option<Duration>,
    tls: Option<Tls>,
    /// Whether TLS waits until the dialogue asks for it.
    on_request: bool,
}

impl TcpProbe {
    /// Connects to the target and closes in order.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            connection: Connection {
                target,
                close: CloseMode::Fin,
                idle_timeout: None,
                tls: None,
                on_request: false,
            },
            protocol: Arc::new(()),
        }
    }
}

impl<P> TcpProbe<P> {
    /// Holds the dialogue of this protocol over the connection.
    #[must_use]
    pub fn with_protocol<Q>(self, protocol: Q) -> TcpProbe<Q> {
        TcpProbe {
            connection: self.connection,
            protocol: Arc::new(protocol),
        }
    }

    /// Closes in another way. Default [`CloseMode::Fin`].
    #[must_use]
    pub const fn with_close(mut self, close: CloseMode) -> Self {
        self.connection.close = close;
        self
    }

    /// Fails when nothing arrives from the server for this long while something is expected, even
    /// before the time of the whole attempt is over. A TLS handshake counts as one silence.
    /// Default: no such limit.
    #[must_use]
    pub const fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.connection.idle_timeout = Some(timeout);
        self
    }

    /// Speaks TLS from the beginning, and everything else within it. With the protocol `()` the
    /// handshake is all there is, and the outcome is of the phase [`Phase::Tls`].
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.connection.tls = Some(tls);
        self.connection.on_request = false;
        self
    }

    /// Speaks TLS from when the dialogue asks for it ([`Turn::StartTls`]).
    #[must_use]
    pub fn with_starttls(mut self, tls: Tls) -> Self {
        self.connection.tls = Some(tls);
        self.connection.on_request = true;
        self
    }

    /// How TLS is spoken, if it is.
    #[must_use]
    pub const fn tls(&self) -> Option<&Tls> {
        self.connection.tls.as_ref()
    }

    /// Where it connects to.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.connection.target
    }
}

impl<P: Protocol + 'static> Probe for TcpProbe<P> {
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(TcpEngine::new(
            self.connection.clone(),
            self.protocol.clone(),
            *attempt,
        ))
    }

    fn identity(&self) -> Option<Identity<'_>> {
        Some(self.protocol.identity()?.over(&self.connection))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.connection.target.validate()?;
        if self.connection.idle_timeout == Some(Duration::ZERO) {
            return Err(Invalid::new("idle_timeout", "0", "must be above 0"));
        }
        if let Some(tls) = &self.connection.tls {
            tls.validate()?;
            if tls.name().is_none() {
                let names = self.protocol.server_names();
                let mut named = names.into_iter().map(|name| tls.clone().with_name(name));
                named.try_for_each(|tls| tls.validate())?;
            }
        }
        self.protocol.validate()
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.connection.target)
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.connection.target.address().ip())
    }
}

/// Says nothing: an open connection is all it wants.
impl Protocol for () {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn is_prompt(&self) -> bool {
        true
    }

    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(())
    }
}

impl Dialogue for () {
    fn opened(&mut self) -> Turn {
        Turn::Done(Outcome::new(Code::Ok, Phase::Connect))
    }

    fn data(&mut self, _bytes: &[u8]) -> Turn {
        Turn::Listen
    }
}

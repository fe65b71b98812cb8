//! One TCP connection of a probe: what is to be sent waits here until the kernel takes it.

#[cfg(not(feature = "tls"))]
#[path = "stream/no_session.rs"]
mod session;
#[cfg(feature = "tls")]
mod session;

use core::mem::MaybeUninit;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno as Number;
use socket2::{Protocol, Socket, Type};

use self::session::Session;
use super::socket::{Failure, next_icmp, open};
use crate::probe::tls::{Tls, TlsInfo, TlsKind};
use crate::probe::{CloseMode, Operation, Origin};
use crate::target::Target;

#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    address: SocketAddr,
    close: CloseMode,
    connected: bool,
    tls: Option<Box<Session>>,
    /// Whether something was said in plain text.
    spoke: bool,
    out: Vec<u8>,
    /// How much of `out` is gone.
    gone: usize,
    /// To shut down the sending side when `out` is empty.
    half_close: bool,
}

/// What a stream has for its engine.
#[derive(Debug)]
pub(super) enum Arrived {
    /// So many bytes are in the buffer, and there may be more without epoll saying so.
    Data { count: usize, more: bool },
    /// The peer will send nothing more.
    Eof { orderly: bool },
    /// Nothing for now.
    Nothing,
    /// Nothing so far, but perhaps without epoll saying so.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody speaks TLS"))]
    More,
}

/// How far a handshake has come.
#[derive(Debug)]
pub(super) enum Shaken {
    /// This is what it led to.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody speaks TLS"))]
    Done(Box<TlsInfo>),
    /// It waits for the peer.
    Waits,
    /// It could go on at once.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody speaks TLS"))]
    More,
}

/// Why a connection does not go on.
#[derive(Debug)]
enum Trouble {
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody speaks TLS"))]
    Io(Operation, io::Error),
    Tls(TlsKind, String),
}

impl Stream {
    /// Opens a socket as the target says and begins to connect.
    pub(super) fn open(target: &Target, close: CloseMode, prompt: bool) -> Result<Self, Failure> {
        let (socket, address) = open(target, Type::STREAM, Protocol::TCP)?;
        // A PROXY header is said first, whatever follows.
        let prompt = prompt || target.proxy_header().is_some();
        if close == CloseMode::HalfOpen || (prompt && close == CloseMode::Fin) {
            // Delays the last packet of the handshake, so that the reset comes first, or it goes
            // with what comes next.
            let failure = Failure::at(Operation::Socket);
            socket.set_tcp_quickack(false).map_err(failure)?;
        }
        let connected = match socket.connect(&address.into()) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(Number::EINPROGRESS as i32) => false,
            Err(error) => return Err(Failure::at(Operation::Connect)(error)),
        };
        let mut stream = Self {
            socket,
            address,
            close,
            connected,
            tls: None,
            spoke: false,
            out: Vec::new(),
            gone: 0,
            half_close: false,
        };
        if let Some(header) = target.proxy_header() {
            // Which address and port are ours is known since connecting has begun.
            let own = stream
                .socket
                .local_addr()
                .map_err(Failure::at(Operation::Connect))?;
            let own = own.as_socket().unwrap_or(address);
            stream.out = header.encode(own, address);
            if connected {
                stream.flush_plain()?;
            }
        }
        Ok(stream)
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether connecting worked, once the socket is ready; if that is in doubt, the kernel knows.
    pub(super) fn finish_connecting(&mut self, in_doubt: bool) -> Result<(), Failure> {
        if in_doubt {
            if let Ok(Some(error)) | Err(error) = self.socket.take_error() {
                return Err(self.explain(Operation::Connect, error));
            }
        }
        self.connected = true;
        self.flush_plain().map(drop)
    }

    /// A failure of the connection, or of TLS over it.
    fn fail(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Io(operation, error) => self.explain(operation, error),
            Trouble::Tls(kind, text) => Failure::tls(kind, text),
        }
    }

    /// A failure of the connection, with what ICMP says about it.
    fn explain(&self, operation: Operation, error: io::Error) -> Failure {
        let mut failure = Failure::at(operation)(error);
        failure.origin = Origin::Network;
        if let Some(icmp) = next_icmp(&self.socket) {
            failure.detail = format!("by ICMP from {}", icmp.from);
            if icmp.own_filter {
                failure.origin = Origin::OwnFilter;
            }
        }
        failure
    }

    /// Begins a TLS handshake, or says what it led to if that is known at once.
    ///
    /// After a dialogue in plain text, what the server has said before it has heard of TLS from us
    /// is refused.
    pub(super) fn start_tls(&mut self, tls: &Tls) -> Result<Shaken, Failure> {
        let mut early = [MaybeUninit::uninit()];
        if self.spoke && matches!(self.socket.peek(&mut early), Ok(1..)) {
            let text = "the server sent more in plain text where TLS was to start";
            return Err(Failure::tls(TlsKind::Injected, text.to_owned()));
        }
        let session = Session::new(tls, self.address).map_err(|trouble| self.fail(trouble))?;
        self.tls = Some(Box::new(session));
        self.handshake()
    }

    /// Whether there is TLS, but it cannot be used yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|session| session.is_handshaking())
    }

    /// Whether it could go on if the socket took bytes.
    pub(super) fn wants_write(&self) -> bool {
        self.gone < self.out.len()
            || self
                .tls
                .as_ref()
                .is_some_and(|session| session.wants_write())
    }

    /// Goes on with the handshake.
    pub(super) fn handshake(&mut self) -> Result<Shaken, Failure> {
        if !self.flush_plain()? {
            return Ok(Shaken::Waits);
        }
        let Some(session) = &mut self.tls else {
            return Ok(Shaken::Waits);
        };
        let shaken = session.handshake(&self.socket);
        shaken.map_err(|trouble| self.fail(trouble))
    }

    /// Adds to what is to be sent.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(session) => session.send(bytes),
            None => {
                self.spoke = true;
                self.out.extend_from_slice(bytes);
            }
        }
    }

    /// Says that nothing more will be sent, once all that waits is gone.
    pub(super) fn half_close(&mut self) {
        self.half_close = true;
        if let Some(session) = &mut self.tls {
            session.half_close();
        }
    }

    /// Sends what the kernel takes. True when nothing is left.
    pub(super) fn flush(&mut self) -> Result<bool, Failure> {
        if !self.flush_plain()? {
            return Ok(false);
        }
        if let Some(session) = &mut self.tls {
            let flushed = session.flush(&self.socket);
            if !flushed.map_err(|trouble| self.fail(trouble))? {
                return Ok(false);
            }
        }
        if self.half_close {
            self.half_close = false;
            match self.socket.shutdown(Shutdown::Write) {
                // The peer was faster; reading will tell.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                other => other.map_err(|error| self.explain(Operation::Send, error))?,
            }
        }
        Ok(true)
    }

    /// Sends what is not encrypted.
    fn flush_plain(&mut self) -> Result<bool, Failure> {
        while let Some(rest) = self.out.get(self.gone..).filter(|rest| !rest.is_empty()) {
            match (&self.socket).write(rest) {
                Ok(count) => self.gone = self.gone.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(Operation::Send, error)),
            }
        }
        self.out.clear();
        self.gone = 0;
        Ok(true)
    }

    /// Reads what has arrived.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Arrived, Failure> {
        if let Some(session) = &mut self.tls {
            let arrived = session.receive(&self.socket, buffer);
            return arrived.map_err(|trouble| self.fail(trouble));
        }
        self.spoke = true;
        loop {
            return match (&self.socket).read(buffer) {
                Ok(0) => Ok(Arrived::Eof { orderly: true }),
                // Fewer bytes than fit are all there are, epoll(7).
                Ok(count) => Ok(Arrived::Data {
                    count,
                    more: count == buffer.len(),
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Arrived::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(self.explain(Operation::Receive, error)),
            };
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if matches!(self.close, CloseMode::Rst | CloseMode::HalfOpen) {
            // Cannot fail on an open socket; if it did, the connection would be closed in order.
            let _ = self.socket.set_linger(Some(Duration::ZERO));
        } else if let Some(session) = &mut self.tls {
            session.close(&self.socket);
        }
    }
}

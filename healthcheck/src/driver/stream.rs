//! One TCP connection of a probe: what is to be sent waits here until the kernel takes it.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno as Number;
use socket2::{Protocol, Socket, Type};

use super::socket::{Failure, next_icmp, open};
use crate::probe::{CloseMode, Operation, Origin};
use crate::target::Target;

#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    close: CloseMode,
    connected: bool,
    out: Vec<u8>,
    /// How much of `out` is gone.
    gone: usize,
    /// To shut down the sending side when `out` is empty.
    half_close: bool,
}

/// What a stream has for its engine.
#[derive(Debug)]
pub(super) enum Arrived {
    /// So many bytes are in the buffer.
    Data(usize),
    /// The peer will send nothing more.
    Eof { orderly: bool },
    /// Nothing for now.
    Nothing,
}

impl Stream {
    /// Opens a socket as the target says and begins to connect.
    pub(super) fn open(target: &Target, close: CloseMode) -> Result<Self, Failure> {
        let (socket, address) = open(target, Type::STREAM, Protocol::TCP)?;
        if close == CloseMode::HalfOpen {
            // Delays the last packet of the handshake, so that the reset comes first.
            let failure = Failure::at(Operation::Socket);
            socket.set_tcp_quickack(false).map_err(failure)?;
        }
        let connected = match socket.connect(&address.into()) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(Number::EINPROGRESS as i32) => false,
            Err(error) => return Err(Failure::at(Operation::Connect)(error)),
        };
        Ok(Self {
            socket,
            close,
            connected,
            out: Vec::new(),
            gone: 0,
            half_close: false,
        })
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether connecting worked, once the socket is ready.
    pub(super) fn finish_connecting(&mut self) -> Result<(), Failure> {
        let error = match self.socket.take_error() {
            Ok(None) => {
                self.connected = true;
                return Ok(());
            }
            Ok(Some(error)) | Err(error) => error,
        };
        Err(self.explain(Operation::Connect, error))
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

    /// Adds to what is to be sent.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Says that nothing more will be sent, once all that waits is gone.
    pub(super) const fn half_close(&mut self) {
        self.half_close = true;
    }

    /// Sends what the kernel takes. True when nothing is left.
    pub(super) fn flush(&mut self) -> Result<bool, Failure> {
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

    /// Reads what has arrived.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Arrived, Failure> {
        loop {
            return match (&self.socket).read(buffer) {
                Ok(0) => Ok(Arrived::Eof { orderly: true }),
                Ok(count) => Ok(Arrived::Data(count)),
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
        }
    }
}

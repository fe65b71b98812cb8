//! The socket of an attempt, and what is known of its readiness.
//!
//! Sockets are watched edge by edge: epoll tells once that something has become possible, and that
//! is remembered here until a call says that it no longer is. That saves a system call for every
//! change of mind, and an attempt that ends before it has to wait is not watched at all.

use core::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno as Number;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::datagram::{Datagrams, Received};
use super::socket::Failure;
use super::stream::{Arrived, Shaken, Stream};
use crate::probe::tls::{Tls, TlsInfo};
use crate::probe::{IcmpError, Operation, Transport};
use crate::target::Target;

#[derive(Debug)]
pub(super) struct Channel {
    socket: Socket,
    watched: bool,
    /// Whether the engine wants to know what arrives.
    reading: bool,
    readable: bool,
    writable: bool,
    /// Whether the peer is known to have said its last.
    hung_up: bool,
    /// Whether an error waits to be read.
    error: bool,
    /// Whether something waits to be sent.
    sending: bool,
    /// Whether the engine has not been told yet that what it wanted to send is gone.
    owes: bool,
    /// Whether it waits for another turn to be heard.
    queued: bool,
}

#[derive(Debug)]
enum Socket {
    Stream(Stream),
    Datagrams(Datagrams),
}

/// What a channel has for its engine.
#[derive(Debug)]
pub(super) enum Heard {
    Connected,
    Sent,
    /// So many bytes are in the buffer.
    Data(usize),
    Eof {
        orderly: bool,
    },
    Datagram {
        start: usize,
        end: usize,
        from: SocketAddr,
    },
    Icmp(IcmpError),
    TlsDone(Box<TlsInfo>),
    Failed(Failure),
}

impl Channel {
    /// Opens a socket. The flag tells whether it is connected already.
    pub(super) fn open(target: &Target, transport: Transport) -> Result<(Self, bool), Failure> {
        let socket = match transport {
            Transport::Tcp { close, prompt } => {
                Socket::Stream(Stream::open(target, close, prompt)?)
            }
            Transport::Udp { from_any } => Socket::Datagrams(Datagrams::udp(target, from_any)?),
            Transport::Icmp => Socket::Datagrams(Datagrams::icmp(target)?),
        };
        let connected = match &socket {
            Socket::Stream(stream) => stream.is_connected(),
            Socket::Datagrams(_) => true,
        };
        let channel = Self {
            socket,
            watched: false,
            reading: false,
            readable: false,
            writable: connected,
            hung_up: false,
            error: false,
            sending: false,
            owes: false,
            queued: false,
        };
        Ok((channel, connected))
    }

    /// Whether it is a connection that is not there yet, as far as is known.
    pub(super) const fn is_connecting(&self) -> bool {
        match &self.socket {
            Socket::Stream(stream) => !stream.is_connected(),
            Socket::Datagrams(_) => false,
        }
    }

    /// Has epoll tell what becomes possible, also what already is.
    pub(super) fn watch(&mut self, epoll: &Epoll, token: u64) -> Result<(), Failure> {
        if self.watched {
            return Ok(());
        }
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        let event = EpollEvent::new(flags, token);
        let added = epoll.add(self.as_fd(), event);
        added.map_err(|errno| Failure::at(Operation::Socket)(errno.into()))?;
        self.watched = true;
        Ok(())
    }

    /// Has epoll forget it, which closing alone does not as long as somebody else has a copy of the
    /// descriptor: a process that is being started by another thread of this one, for a moment.
    pub(super) fn unwatch(&self, epoll: &Epoll) {
        if self.watched {
            // It is there, so this cannot fail.
            let _ = epoll.delete(self.as_fd());
        }
    }

    /// Takes note of what epoll says.
    pub(super) fn on_ready(&mut self, flags: EpollFlags) {
        let ends = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        let last = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP;
        self.readable |= flags.intersects(EpollFlags::EPOLLIN | last | ends);
        self.writable |= flags.intersects(EpollFlags::EPOLLOUT | ends);
        self.hung_up |= flags.intersects(last);
        self.error |= flags.intersects(EpollFlags::EPOLLERR);
    }

    /// Sends as much as the kernel takes, the rest when it takes more. True when all is gone.
    pub(super) fn send(&mut self, bytes: Vec<u8>) -> Result<bool, Failure> {
        match &mut self.socket {
            Socket::Stream(stream) => stream.send(&bytes),
            Socket::Datagrams(datagrams) => datagrams.send(bytes),
        }
        let done = self.flush()?;
        self.owes = !done;
        Ok(done)
    }

    /// Closes the sending side when all is gone.
    pub(super) fn half_close(&mut self) -> Result<(), Failure> {
        if let Socket::Stream(stream) = &mut self.socket {
            stream.half_close();
            self.flush()?;
        }
        Ok(())
    }

    /// Begins a TLS handshake, or says what it led to if that is known at once.
    pub(super) fn start_tls(&mut self, tls: &Tls) -> Result<Option<Box<TlsInfo>>, Failure> {
        let Socket::Stream(stream) = &mut self.socket else {
            return Err(Failure::at(Operation::Send)(Number::EOPNOTSUPP.into()));
        };
        // What was to be sent before goes with the handshake, and nobody is told of it.
        self.sending = false;
        let shaken = stream.start_tls(tls)?;
        Ok(self.shaken(shaken))
    }

    /// Takes note of how far the handshake has come.
    fn shaken(&mut self, shaken: Shaken) -> Option<Box<TlsInfo>> {
        let done = matches!(shaken, Shaken::Done(_));
        if let Socket::Stream(stream) = &self.socket {
            let waits = stream.wants_write();
            self.writable &= !waits;
            // The last of the handshake itself, which nobody else will send.
            self.sending = done && (waits || self.owes);
            // What came with its end was read with it.
            self.readable = !matches!(shaken, Shaken::Waits);
        }
        match shaken {
            Shaken::Done(info) => Some(info),
            Shaken::Waits | Shaken::More => None,
        }
    }

    /// From now on what arrives is of interest.
    pub(super) const fn read(&mut self) {
        self.reading = true;
    }

    fn flush(&mut self) -> Result<bool, Failure> {
        let done = match &mut self.socket {
            Socket::Stream(stream) if stream.is_connected() && !stream.is_handshaking() => {
                stream.flush()?
            }
            Socket::Stream(_) => false,
            Socket::Datagrams(datagrams) => datagrams.flush()?,
        };
        self.sending = !done;
        self.writable &= done;
        Ok(done)
    }

    /// Whether it has to wait for another turn to be heard, and does not do so yet.
    pub(super) fn queue(&mut self) -> bool {
        let new = !self.queued && self.has_more();
        self.queued |= new;
        new
    }

    /// Its turn has come.
    pub(super) const fn unqueue(&mut self) {
        self.queued = false;
    }

    /// Whether [`hear`](Self::hear) may have something without epoll saying so again.
    fn has_more(&self) -> bool {
        if let Socket::Stream(stream) = &self.socket {
            if stream.is_handshaking() {
                return self.readable || (self.writable && stream.wants_write());
            }
        }
        (self.reading && self.readable) || (self.sending && self.writable)
    }

    /// The next that happened; `None` when there is nothing until epoll says more.
    pub(super) fn hear(&mut self, buffer: &mut [u8]) -> Option<Heard> {
        let heard = self.next(buffer);
        match heard {
            // The peer may still listen.
            Some(Heard::Eof { .. }) => self.reading = false,
            Some(Heard::Failed(_)) => {
                self.reading = false;
                self.sending = false;
            }
            _ => {}
        }
        heard
    }

    fn next(&mut self, buffer: &mut [u8]) -> Option<Heard> {
        if let Socket::Stream(stream) = &mut self.socket {
            if !stream.is_connected() {
                if !self.writable {
                    return None;
                }
                // Ready without an error is connected, connect(2) and tcp(7).
                let finished = stream.finish_connecting(self.error || self.hung_up);
                // A PROXY header, if the kernel did not take it at once.
                self.sending = stream.wants_write() || self.owes;
                return Some(finished.map_or_else(Heard::Failed, |()| Heard::Connected));
            }
            if stream.is_handshaking() {
                if !(self.readable || (self.writable && stream.wants_write())) {
                    return None;
                }
                return match stream.handshake() {
                    Ok(shaken) => self.shaken(shaken).map(Heard::TlsDone),
                    Err(failure) => {
                        self.readable = false;
                        Some(Heard::Failed(failure))
                    }
                };
            }
        }
        if let (Socket::Datagrams(datagrams), true) = (&self.socket, self.error) {
            if let Some(icmp) = datagrams.next_icmp() {
                return Some(Heard::Icmp(icmp));
            }
            self.error = false;
            datagrams.clear_error();
        }
        if self.sending && self.writable {
            match self.flush() {
                Ok(true) => {
                    self.owes = false;
                    return Some(Heard::Sent);
                }
                Ok(false) => {}
                Err(failure) => return Some(Heard::Failed(failure)),
            }
        }
        if !(self.reading && self.readable) {
            return None;
        }
        match &mut self.socket {
            Socket::Stream(stream) => match stream.receive(buffer) {
                Ok(Arrived::Data { count, more }) => {
                    self.readable = more || self.hung_up;
                    Some(Heard::Data(count))
                }
                Ok(Arrived::Eof { orderly }) => Some(Heard::Eof { orderly }),
                Ok(Arrived::Nothing) => {
                    self.readable = false;
                    None
                }
                Ok(Arrived::More) => None,
                Err(failure) => Some(Heard::Failed(failure)),
            },
            Socket::Datagrams(datagrams) => match datagrams.receive(buffer) {
                Ok(Some(Received::Datagram { start, end, from })) => {
                    Some(Heard::Datagram { start, end, from })
                }
                Ok(Some(Received::Icmp(icmp))) => Some(Heard::Icmp(icmp)),
                Ok(None) => {
                    self.readable = false;
                    None
                }
                Err(failure) => Some(Heard::Failed(failure)),
            },
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Stream(stream) => stream.as_fd(),
            Socket::Datagrams(datagrams) => datagrams.as_fd(),
        }
    }
}

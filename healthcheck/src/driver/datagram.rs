//! A UDP or ICMP socket of a probe.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{SockaddrStorage, recvfrom};
use socket2::{Protocol, Socket, Type};

use super::socket::{Failure, next_icmp, open};
use crate::probe::{IcmpError, Operation, Origin};
use crate::target::Target;

/// The smallest IPv4 header, RFC 791 §3.1.
const IPV4_HEADER: usize = 20;

#[derive(Debug)]
pub(super) struct Datagrams {
    socket: Socket,
    /// Where to send to, if the socket is not connected.
    to: Option<SocketAddr>,
    peer: SocketAddr,
    /// Whether what arrives begins with an IPv4 header, as it does on raw sockets.
    with_header: bool,
    out: VecDeque<Vec<u8>>,
}

impl Datagrams {
    /// Opens a UDP socket to the target; with `from_any` it hears others, too.
    pub(super) fn udp(target: &Target, from_any: bool) -> Result<Self, Failure> {
        let (socket, peer) = open(target, Type::DGRAM, Protocol::UDP)?;
        Self::new(socket, peer, from_any, false)
    }

    /// Opens an ICMP socket to the target: an unprivileged one if this process may
    /// (`net.ipv4.ping_group_range`), else a raw one (`CAP_NET_RAW`).
    pub(super) fn icmp(target: &Target) -> Result<Self, Failure> {
        let v4 = target.address().is_ipv4();
        let protocol = if v4 {
            Protocol::ICMPV4
        } else {
            Protocol::ICMPV6
        };
        let unprivileged = open(target, Type::DGRAM, protocol);
        let denied = |failure: &Failure| {
            failure.operation == Operation::Socket && failure.errno.raw() == libc::EACCES
        };
        match unprivileged {
            Err(failure) if denied(&failure) => {
                let (socket, peer) = open(target, Type::RAW, protocol)?;
                Self::new(socket, peer, false, v4)
            }
            other => {
                let (socket, peer) = other?;
                Self::new(socket, peer, false, false)
            }
        }
    }

    fn new(
        socket: Socket,
        mut peer: SocketAddr,
        from_any: bool,
        with_header: bool,
    ) -> Result<Self, Failure> {
        if with_header || socket.protocol().ok().flatten() == Some(Protocol::ICMPV6) {
            // Raw sockets take the port for a protocol number.
            peer.set_port(0);
        }
        if !from_any {
            let failure = Failure::at(Operation::Connect);
            socket.connect(&peer.into()).map_err(failure)?;
        }
        Ok(Self {
            socket,
            to: from_any.then_some(peer),
            peer,
            with_header,
            out: VecDeque::new(),
        })
    }

    /// Adds one to what is to be sent.
    pub(super) fn send(&mut self, datagram: Vec<u8>) {
        self.out.push_back(datagram);
    }

    /// Sends what the kernel takes. True when nothing is left.
    pub(super) fn flush(&mut self) -> Result<bool, Failure> {
        // An ICMP error about an earlier datagram is reported by the next call, whatever that is;
        // it is told from the queue of errors, so the call is made once more.
        let mut again = true;
        while let Some(datagram) = self.out.front() {
            let sent = match self.to {
                Some(to) => self.socket.send_to(datagram, &to.into()),
                None => self.socket.send(datagram),
            };
            match sent {
                Ok(_) => {
                    self.out.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if again => again = false,
                Err(error) => return Err(Failure::at(Operation::Send)(error)),
            }
        }
        Ok(true)
    }

    /// The next ICMP error about what was sent.
    pub(super) fn next_icmp(&self) -> Option<IcmpError> {
        next_icmp(&self.socket)
    }

    /// Forgets the error whose cause [`next_icmp`](Self::next_icmp) has told.
    pub(super) fn clear_error(&self) {
        let _ = self.socket.take_error();
    }

    /// Receives a datagram: where it starts in the buffer, where it ends, and from whom it is.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
    ) -> Result<Option<(usize, usize, SocketAddr)>, Failure> {
        let received = if self.to.is_some() {
            recvfrom::<SockaddrStorage>(self.socket.as_raw_fd(), buffer)
                .map(|(count, from)| (count, from.and_then(address_of)))
                .map_err(io::Error::from)
        } else {
            (&self.socket).read(buffer).map(|count| (count, None))
        };
        match received {
            Ok((count, from)) => {
                let start = match buffer.first() {
                    Some(first) if self.with_header => usize::from(first & 0xf)
                        .saturating_mul(4)
                        .max(IPV4_HEADER)
                        .min(count),
                    _ => 0,
                };
                Ok(Some((start, count, from.unwrap_or(self.peer))))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                let mut failure = Failure::at(Operation::Receive)(error);
                failure.origin = Origin::Network;
                Err(failure)
            }
        }
    }
}

fn address_of(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::from(core::net::SocketAddrV4::new(v4.ip(), v4.port())));
    v4.or_else(|| {
        let v6 = address.as_sockaddr_in6()?;
        Some(SocketAddr::from(core::net::SocketAddrV6::new(
            v6.ip(),
            v6.port(),
            v6.flowinfo(),
            v6.scope_id(),
        )))
    })
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

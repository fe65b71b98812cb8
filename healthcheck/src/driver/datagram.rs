//! A UDP or ICMP socket of a probe.

use alloc::collections::VecDeque;
use core::net::{IpAddr, SocketAddr};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{SockaddrStorage, recvfrom};
use socket2::{Protocol, Socket, Type};

use super::socket::{Failure, ip_of, next_icmp_if, open};
use crate::probe::{IcmpError, Operation, Origin};
use crate::target::Target;

/// The smallest IPv4 header, RFC 791 §3.1.
const IPV4_HEADER: usize = 20;

/// The header of an echo request: type, code, checksum, identifier, number.
const HEADER: usize = 8;

/// The same with the cookie of ours.
const ECHO: usize = 16;

#[derive(Debug)]
pub(super) struct Datagrams {
    socket: Socket,
    /// Whom to send to, if the socket is not connected.
    to: Option<Target>,
    peer: SocketAddr,
    /// Whether what arrives begins with an IPv4 header, as it does on raw sockets.
    with_header: bool,
    /// How what was sent last begins, on a raw socket, which is told of errors about others' packets.
    echo: Option<Vec<u8>>,
    out: VecDeque<Vec<u8>>,
}

impl Datagrams {
    /// Opens a UDP socket to the target; with `from_any` it hears others, too.
    pub(super) fn udp(target: &Target, from_any: bool) -> Result<Self, Failure> {
        let (socket, peer) = open(target, Type::DGRAM, Protocol::UDP)?;
        Self::new(socket, peer, from_any.then(|| target.clone()), false, false)
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
                Self::new(socket, peer, None, v4, true)
            }
            other => {
                let (socket, peer) = other?;
                Self::new(socket, peer, None, false, false)
            }
        }
    }

    fn new(
        socket: Socket,
        mut peer: SocketAddr,
        to: Option<Target>,
        with_header: bool,
        raw: bool,
    ) -> Result<Self, Failure> {
        if raw || socket.protocol().ok().flatten() == Some(Protocol::ICMPV6) {
            // Raw sockets take the port for a protocol number.
            peer.set_port(0);
        }
        if to.is_none() {
            let failure = Failure::at(Operation::Connect);
            socket.connect(&peer.into()).map_err(failure)?;
        }
        Ok(Self {
            socket,
            to,
            peer,
            with_header,
            echo: raw.then(Vec::new),
            out: VecDeque::new(),
        })
    }

    /// Adds one to what is to be sent.
    pub(super) fn send(&mut self, datagram: Vec<u8>) {
        if let Some(echo) = &mut self.echo {
            echo.clear();
            echo.extend(datagram.iter().take(ECHO));
        }
        self.out.push_back(datagram);
    }

    /// Sends what the kernel takes. True when nothing is left.
    pub(super) fn flush(&mut self) -> Result<bool, Failure> {
        // An ICMP error about an earlier datagram is reported by the next call, whatever that is;
        // it is told from the queue of errors, so the call is made once more.
        let mut again = true;
        while let Some(datagram) = self.out.front() {
            let sent = match self.to {
                Some(_) => self.socket.send_to(datagram, &self.peer.into()),
                None => self.socket.send(datagram),
            };
            match sent {
                Ok(_) => {
                    self.out.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if again => again = false,
                Err(error) => return Err(self.explain(error)),
            }
        }
        Ok(true)
    }

    /// Why something cannot be sent, with what ICMP says about it.
    fn explain(&self, error: io::Error) -> Failure {
        let mut failure = Failure::at(Operation::Send)(error);
        if let Some(icmp) = self.next_icmp() {
            failure.errno = icmp.errno;
            failure.detail = format!("by ICMP from {}", icmp.from);
            failure.origin = if icmp.own_filter {
                Origin::OwnFilter
            } else {
                Origin::Network
            };
        }
        failure
    }

    /// The next ICMP error about what was sent.
    pub(super) fn next_icmp(&self) -> Option<IcmpError> {
        let echo = self.echo.as_ref();
        let is_ours = |quoted: &[u8]| echo.is_none_or(|echo| is_about(echo, quoted));
        next_icmp_if(&self.socket, Some(self.peer.ip()), is_ours, || {
            self.source()
        })
    }

    /// What is sent has this source.
    fn source(&self) -> Option<IpAddr> {
        let Some(target) = &self.to else {
            return ip_of(self.socket.local_addr());
        };
        // A socket that is not connected does not know; one that is would.
        let (socket, peer) = open(target, Type::DGRAM, Protocol::UDP).ok()?;
        socket.connect(&peer.into()).ok()?;
        ip_of(socket.local_addr())
    }

    /// Forgets the error whose cause [`next_icmp`](Self::next_icmp) has told.
    pub(super) fn clear_error(&self) {
        let _ = self.socket.take_error();
    }

    /// Receives a datagram, or hears that one of ours did not arrive.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Received>, Failure> {
        // On a raw socket it may be the turn of an error about somebody else's packet.
        let mut again = self.echo.is_some();
        loop {
            let received = if self.to.is_some() {
                recvfrom::<SockaddrStorage>(self.socket.as_raw_fd(), buffer)
                    .map(|(count, from)| (count, from.and_then(address_of)))
                    .map_err(io::Error::from)
            } else {
                (&self.socket).read(buffer).map(|count| (count, None))
            };
            return match received {
                Ok((end, from)) => {
                    let start = match buffer.first() {
                        Some(first) if self.with_header => usize::from(first & 0xf)
                            .saturating_mul(4)
                            .max(IPV4_HEADER)
                            .min(end),
                        _ => 0,
                    };
                    let from = from.unwrap_or(self.peer);
                    Ok(Some(Received::Datagram { start, end, from }))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                // An error told by ICMP comes with its reasons.
                Err(error) => match self.next_icmp() {
                    Some(icmp) => Ok(Some(Received::Icmp(icmp))),
                    None if again => {
                        again = false;
                        continue;
                    }
                    None => {
                        let mut failure = Failure::at(Operation::Receive)(error);
                        failure.origin = Origin::Network;
                        Err(failure)
                    }
                },
            };
        }
    }
}

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// Where it starts in the buffer, where it ends, and from whom it is.
    Datagram {
        start: usize,
        end: usize,
        from: SocketAddr,
    },
    Icmp(IcmpError),
}

/// Whether an ICMP error quotes an echo request that begins like this: type, identifier, and as much
/// of the cookie as is quoted. The checksum is the kernel's over IPv6, the number another each time.
fn is_about(echo: &[u8], quoted: &[u8]) -> bool {
    let pairs = echo.iter().zip(quoted).enumerate();
    let mut compared = pairs.filter(|(at, _)| !matches!(at, 2 | 3 | 6 | 7));
    quoted.len() >= HEADER && compared.all(|(_, (sent, quoted))| sent == quoted)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_about_others_echo_requests_are_told_apart() {
        let echo: [u8; ECHO] = *b"\x08\0ck\x12\x34\0\x01cookie!!";
        let changed = |at: usize| {
            let mut other = echo;
            *other.get_mut(at).unwrap() ^= 1;
            other
        };
        assert!(is_about(&echo, &echo));
        for at in [2, 3, 6, 7] {
            assert!(is_about(&echo, &changed(at)), "checksum and number: {at}");
        }
        for at in [0, 4, 5, 8, 15] {
            assert!(!is_about(&echo, &changed(at)), "{at}");
        }
        assert!(is_about(&echo, b"\x08\0ck\x12\x34\0\x01"), "no more quoted");
        assert!(!is_about(&echo, b"\x08\0ck\x12\x34\0"));
    }
}

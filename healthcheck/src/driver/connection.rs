//! One TCP connection of a probe.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno as Number;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::probe::{CloseMode, Errno, Operation, Origin};
use crate::target::Target;

/// `ee_origin` of ICMP and ICMPv6 messages in the error queue, `linux/errqueue.h`.
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// ICMP type and code for a host that does not answer ARP, RFC 792 and RFC 1812 §5.2.7.1.
const HOST_UNREACHABLE: (u8, u8) = (3, 1);

/// ICMPv6 type and code for an address that does not answer ND, RFC 4443 §3.1.
const ADDRESS_UNREACHABLE: (u8, u8) = (1, 3);

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) operation: Operation,
    pub(super) errno: Errno,
    pub(super) origin: Origin,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn at(operation: Operation) -> impl Fn(io::Error) -> Self {
        move |error| Self {
            operation,
            errno: Errno::from_io(&error),
            origin: Origin::Call,
            detail: String::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    close: CloseMode,
}

impl Connection {
    /// Opens a socket as the target says and begins to connect. The flag tells whether that is
    /// already done.
    pub(super) fn open(target: &Target, close: CloseMode) -> Result<(Self, bool), Failure> {
        let (on_socket, on_bind) = (Failure::at(Operation::Socket), Failure::at(Operation::Bind));
        let address = scoped(target).map_err(&on_bind)?;
        let domain = Domain::for_address(address);
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(domain, kind, Some(Protocol::TCP)).map_err(&on_socket)?;
        bind(&socket, target).map_err(&on_bind)?;
        // Tells who answered; without it connections work all the same.
        let _ = match domain {
            Domain::IPV6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
            _ => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
        };
        if close == CloseMode::HalfOpen {
            // Delays the last packet of the handshake, so that the reset comes first.
            socket.set_tcp_quickack(false).map_err(&on_socket)?;
        }
        let connected = match socket.connect(&address.into()) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(Number::EINPROGRESS as i32) => false,
            Err(error) => return Err(Failure::at(Operation::Connect)(error)),
        };
        Ok((Self { socket, close }, connected))
    }

    /// Whether connecting worked, once the socket is ready.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let error = match self.socket.take_error() {
            Ok(None) => return Ok(()),
            Ok(Some(error)) | Err(error) => error,
        };
        let mut failure = Failure::at(Operation::Connect)(error);
        failure.origin = Origin::Network;
        if let Some(icmp) = self.icmp() {
            failure.detail = format!("by ICMP from {}", icmp.from);
            // This host's packet filter answers with the address the socket itself has. So does
            // the kernel when nobody answers its ARP or ND requests, but always with the same code.
            let (local, peer) = (
                ip_of(self.socket.local_addr()),
                ip_of(self.socket.peer_addr()),
            );
            let own = Some(icmp.from) == local && peer.is_none_or(|peer| peer != icmp.from);
            if own && !icmp.no_neighbour {
                failure.origin = Origin::OwnFilter;
            }
        }
        Err(failure)
    }

    /// The ICMP error that ended the attempt, if one did.
    fn icmp(&self) -> Option<Icmp> {
        let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        let mut data = [0; 64];
        let mut parts = [IoSliceMut::new(&mut data)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let raw = self.socket.as_raw_fd();
        let message =
            recvmsg::<SockaddrStorage>(raw, &mut parts, Some(&mut control), flags).ok()?;
        message.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, Some(from))
                if error.ee_origin == ORIGIN_ICMP =>
            {
                let from = Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr)).into();
                let no_neighbour = (error.ee_type, error.ee_code) == HOST_UNREACHABLE;
                Some(Icmp { from, no_neighbour })
            }
            ControlMessageOwned::Ipv6RecvErr(error, Some(from))
                if error.ee_origin == ORIGIN_ICMP6 =>
            {
                let from = Ipv6Addr::from(from.sin6_addr.s6_addr).into();
                let no_neighbour = (error.ee_type, error.ee_code) == ADDRESS_UNREACHABLE;
                Some(Icmp { from, no_neighbour })
            }
            _ => None,
        })
    }
}

/// What an ICMP error says.
#[derive(Debug)]
struct Icmp {
    from: IpAddr,
    /// It is of the type and code for a neighbour that does not answer.
    no_neighbour: bool,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if matches!(self.close, CloseMode::Rst | CloseMode::HalfOpen) {
            // Cannot fail on an open socket; if it did, the connection would be closed in order.
            let _ = self.socket.set_linger(Some(Duration::ZERO));
        }
    }
}

/// Applies the target's options and binds if one of them asks for it.
fn bind(socket: &Socket, target: &Target) -> io::Result<()> {
    if let Some(mark) = target.mark() {
        socket.set_mark(mark)?;
    }
    if let Some(device) = target.device() {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    if let Some(ttl) = target.ttl() {
        match target.address() {
            SocketAddr::V4(_) => socket.set_ttl_v4(ttl.into())?,
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(ttl.into())?,
        }
    }
    if target.source().is_none() && target.source_port() == 0 {
        return Ok(());
    }
    let source = target.source().unwrap_or_else(|| match target.address() {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    });
    if target.source_port() == 0 {
        // The port is then chosen when connecting, so that one port serves many targets.
        setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?;
    } else {
        socket.set_reuse_address(true)?;
    }
    let mut source = SocketAddr::new(source, target.source_port());
    if let (SocketAddr::V6(source), Some(device)) = (&mut source, target.device()) {
        if source.ip().is_unicast_link_local() {
            source.set_scope_id(if_nametoindex(device)?);
        }
    }
    socket.bind(&source.into())
}

/// The target's address, with the device as the scope of a link-local one.
fn scoped(target: &Target) -> io::Result<SocketAddr> {
    let mut address = target.address();
    if let (SocketAddr::V6(v6), Some(device)) = (&mut address, target.device()) {
        if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 {
            v6.set_scope_id(if_nametoindex(device)?);
        }
    }
    Ok(address)
}

fn ip_of(address: io::Result<socket2::SockAddr>) -> Option<IpAddr> {
    Some(address.ok()?.as_socket()?.ip())
}

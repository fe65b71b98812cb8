//! What all sockets of probes have in common: how they are opened, and what ICMP said of them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fs::OpenOptions;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use nix::errno::Errno as Number;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::probe::tls::TlsKind;
use crate::probe::{Errno, IcmpError, Operation, Origin};
use crate::target::Target;

/// `ee_origin` of ICMP and ICMPv6 messages in the error queue, `linux/errqueue.h`.
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// ICMP type and code for a host that does not answer ARP, RFC 792 and RFC 1812 §5.2.7.1.
const HOST_UNREACHABLE: (u8, u8) = (3, 1);

/// ICMPv6 type and code for an address that does not answer ND, RFC 4443 §3.1.
const ADDRESS_UNREACHABLE: (u8, u8) = (1, 3);

/// Why something asked for did not happen.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) operation: Operation,
    pub(super) errno: Errno,
    pub(super) origin: Origin,
    pub(super) detail: String,
    /// What is wrong with TLS, if that is it; `operation` and `errno` then mean nothing.
    pub(super) tls: Option<TlsKind>,
}

impl Failure {
    pub(super) fn at(operation: Operation) -> impl Fn(io::Error) -> Self {
        move |error| Self {
            operation,
            errno: Errno::from_io(&error),
            origin: Origin::Call,
            detail: String::new(),
            tls: None,
        }
    }

    /// TLS did not come about, or broke.
    pub(super) const fn tls(kind: TlsKind, detail: String) -> Self {
        Self {
            operation: Operation::Receive,
            errno: Errno::from_raw(libc::EPROTO),
            origin: Origin::Network,
            detail,
            tls: Some(kind),
        }
    }
}

/// Opens a socket with the target's options, bound if one of them asks for it, in the target's
/// network namespace, and gives the address to connect to.
pub(super) fn open(
    target: &Target,
    kind: Type,
    protocol: Protocol,
) -> Result<(Socket, SocketAddr), Failure> {
    match target.namespace() {
        Some(namespace) => within(namespace, || open_here(target, kind, protocol)),
        None => open_here(target, kind, protocol),
    }
}

/// Does something in another network namespace, on a thread that goes there and ends. What it
/// opens stays in that namespace.
///
/// The calling thread could go there itself, but if it then could not come back it would be lost
/// for its owner.
fn within<T: Send>(
    namespace: &Path,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let fail = |what: &str, error: io::Error| {
        let mut failure = Failure::at(Operation::Bind)(error);
        failure.detail = format!("{what} network namespace {}", namespace.display());
        failure
    };
    // Something else than a namespace might keep an open call waiting.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options
        .open(namespace)
        .map_err(|error| fail("opening", error))?;
    let go = move || {
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| match errno {
            Number::EPERM => fail("CAP_SYS_ADMIN is needed to enter", errno.into()),
            errno => fail("entering", errno.into()),
        })?;
        work()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, go);
        let thread = thread.map_err(Failure::at(Operation::Socket))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn open_here(
    target: &Target,
    kind: Type,
    protocol: Protocol,
) -> Result<(Socket, SocketAddr), Failure> {
    let (on_socket, on_bind) = (Failure::at(Operation::Socket), Failure::at(Operation::Bind));
    let address = scoped(target).map_err(&on_bind)?;
    let domain = Domain::for_address(address);
    let socket =
        Socket::new(domain, kind.nonblocking().cloexec(), Some(protocol)).map_err(&on_socket)?;
    mark(&socket, target)?;
    bind(&socket, target).map_err(&on_bind)?;
    // Tells who answered; without it connections work all the same.
    let _ = match domain {
        Domain::IPV6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
        _ => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
    };
    Ok((socket, address))
}

/// How much of the packet an ICMP error is about is looked at.
const QUOTED: usize = 64;

/// The next ICMP error the kernel keeps for this socket.
pub(super) fn next_icmp(socket: &Socket) -> Option<IcmpError> {
    let peer = ip_of(socket.peer_addr());
    next_icmp_if(socket, peer, |_| true, || ip_of(socket.local_addr()))
}

/// The same where several addresses may be asked, for a packet that begins like this; others are
/// dropped. What packets to the peer have as their source is told only if that is needed.
pub(super) fn next_icmp_if(
    socket: &Socket,
    peer: Option<IpAddr>,
    is_ours: impl Fn(&[u8]) -> bool,
    source: impl Fn() -> Option<IpAddr>,
) -> Option<IcmpError> {
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let raw = socket.as_raw_fd();
    loop {
        let mut data = [0; QUOTED];
        let mut parts = [IoSliceMut::new(&mut data)];
        let message =
            recvmsg::<SockaddrStorage>(raw, &mut parts, Some(&mut control), flags).ok()?;
        let length = message.bytes.min(QUOTED);
        let icmp = message.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, Some(from))
                if error.ee_origin == ORIGIN_ICMP =>
            {
                let from = Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr));
                Some((error, IpAddr::from(from), HOST_UNREACHABLE))
            }
            ControlMessageOwned::Ipv6RecvErr(error, Some(from))
                if error.ee_origin == ORIGIN_ICMP6 =>
            {
                let from = Ipv6Addr::from(from.sin6_addr.s6_addr);
                Some((error, IpAddr::from(from), ADDRESS_UNREACHABLE))
            }
            // An error of this host's own, such as a packet too big for the device.
            _ => None,
        });
        let ours = is_ours(data.get(..length).unwrap_or_default());
        let Some((error, from, no_neighbour)) = icmp.filter(|_| ours) else {
            continue;
        };
        let errno = Errno::from_raw(i32::try_from(error.ee_errno).unwrap_or(libc::EIO));
        let mut icmp = IcmpError::new(error.ee_type, error.ee_code, from, errno);
        // This host's packet filter answers with the address the socket itself has. So does
        // the kernel when nobody answers its ARP or ND requests, but always with the same code.
        let elsewhere = peer.is_none_or(|peer| peer != from);
        let filter = elsewhere && (error.ee_type, error.ee_code) != no_neighbour;
        icmp.own_filter = filter && Some(from) == source();
        return Some(icmp);
    }
}

/// Marks the packets, if the target wants it.
fn mark(socket: &Socket, target: &Target) -> Result<(), Failure> {
    let Some(mark) = target.mark() else {
        return Ok(());
    };
    socket.set_mark(mark).map_err(|error| {
        let mut failure = Failure::at(Operation::Bind)(error);
        failure.detail = format!("mark {mark} needs CAP_NET_ADMIN");
        failure
    })
}

/// Applies the target's other options and binds if one of them asks for it.
fn bind(socket: &Socket, target: &Target) -> io::Result<()> {
    if let Some(device) = target.device() {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    if let Some(ttl) = target.ttl() {
        match target.address() {
            SocketAddr::V4(_) => socket.set_ttl_v4(ttl.into())?,
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(ttl.into())?,
        }
    }
    if let Some(dscp) = target.dscp() {
        // The two bits below are for congestion, RFC 3168 §5.
        let class = u32::from(dscp) << 2;
        match target.address() {
            SocketAddr::V4(_) => socket.set_tos_v4(class)?,
            SocketAddr::V6(_) => socket.set_tclass_v6(class)?,
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

pub(super) fn ip_of(address: io::Result<socket2::SockAddr>) -> Option<IpAddr> {
    Some(address.ok()?.as_socket()?.ip())
}

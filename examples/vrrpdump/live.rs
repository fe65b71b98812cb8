//! Frames from interfaces, by a packet socket. See `packet(7)`.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::SystemTime;

use lvs_vrrp::address::{GROUP_V4, GROUP_V6};
use nix::errno::Errno;
use nix::net::if_::{if_indextoname, if_nametoindex};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket,
};
use socket2::{Domain, InterfaceIndexOrAddress, SockFilter, Socket, Type};

use crate::failure::Failure;
use crate::link::{Frame, Link};

/// The longest frame there is, with segments put together by the kernel.
const LONGEST: usize = 256 * 1024;

/// Interfaces being watched.
pub(crate) struct Live {
    socket: OwnedFd,
    signals: SignalFd,
    /// Index and name; empty for all interfaces.
    interfaces: HashMap<usize, String>,
    buffer: Vec<u8>,
    /// Members of the groups as long as they are open.
    _members: Vec<Socket>,
}

impl Live {
    /// Watches the interfaces of these names.
    pub(crate) fn new(names: &[String], is_passive: bool) -> Result<Self, Failure> {
        let mut interfaces = HashMap::new();
        let mut members = Vec::new();
        if !names.iter().any(|name| name == "any") {
            for name in names {
                let index = if_nametoindex(name.as_str())
                    .map_err(|errno| Failure::NoInterface(name.clone(), errno))?;
                let place = usize::try_from(index).unwrap_or(usize::MAX);
                interfaces.insert(place, name.clone());
                if !is_passive {
                    // An interface without addresses cannot join, and can be watched.
                    members.extend(join_v4(index).into_iter().chain(join_v6(index)));
                }
            }
        }
        let failed = |what| move |errno: Errno| Failure::Watch(what, errno.into());
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::EthAll,
        )
        .map_err(failed("open a packet socket"))?;
        let socket = Socket::from(socket);
        // Only to be woken up less: what comes through before is looked at just the same.
        socket
            .attach_filter(&filter())
            .map_err(|error| Failure::Watch("set a filter", error))?;
        let mut ends = SigSet::empty();
        ends.add(Signal::SIGINT);
        ends.add(Signal::SIGTERM);
        ends.thread_block().map_err(failed("block signals"))?;
        let signals = SignalFd::new(&ends).map_err(failed("wait for signals"))?;
        Ok(Self {
            socket: socket.into(),
            signals,
            interfaces,
            buffer: vec![0; LONGEST],
            _members: members,
        })
    }

    /// Waits for the next frame, or `None` when a signal ends it.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, Failure> {
        let (len, link, interface) = loop {
            let mut ready = [
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other.map_err(|errno| Failure::Watch("wait", errno.into()))?,
            };
            let [signal, _] = &ready;
            if signal.any().unwrap_or(false) {
                return Ok(None);
            }
            let received = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut self.buffer);
            let (len, from) = match received {
                Ok((len, Some(from))) => (len, from),
                Ok((_, None)) | Err(Errno::EAGAIN | Errno::EINTR) => continue,
                // The interface may come up again.
                Err(Errno::ENETDOWN) => continue,
                Err(errno) => return Err(Failure::Watch("receive", errno.into())),
            };
            let Some(interface) = self.name(from.ifindex()) else {
                continue;
            };
            if let Some(link) = link(&from) {
                break (len, link, interface);
            }
        };
        Ok(Some(Frame {
            time: Some(now()),
            interface: interface.into(),
            link,
            bytes: self.buffer.get(..len).unwrap_or_default(),
            original_len: len,
        }))
    }

    /// The name of an interface, if it is watched.
    fn name(&self, index: usize) -> Option<String> {
        if !self.interfaces.is_empty() {
            return self.interfaces.get(&index).cloned();
        }
        let name = u32::try_from(index)
            .ok()
            .and_then(|index| if_indextoname(index).ok());
        let name = name.and_then(|name| name.into_string().ok());
        Some(name.unwrap_or_else(|| format!("#{index}")))
    }
}

/// Since 1970.
fn now() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

/// What frames of an interface begin with; `None` for frames that are not to be seen.
fn link(from: &LinkAddr) -> Option<Link> {
    const ETHERNET: u16 = 1;
    const LOOPBACK: u16 = 772;
    // Tunnels of IPv4 and IPv6, and interfaces without link header.
    const BARE: [u16; 5] = [768, 769, 776, 519, 65534];
    const OUTGOING: u8 = 4;
    match from.hatype() {
        // Each frame comes by twice, when sent and when received.
        LOOPBACK if from.pkttype() == OUTGOING => None,
        ETHERNET | LOOPBACK => Some(Link::Ethernet),
        kind if BARE.contains(&kind) => Some(Link::Ip),
        _ => None,
    }
}

fn join_v4(index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let group: Ipv4Addr = GROUP_V4;
    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))?;
    Ok(socket)
}

fn join_v6(index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
    let group: Ipv6Addr = GROUP_V6;
    socket.join_multicast_v6(&group, index)?;
    Ok(socket)
}

/// Lets pass VRRP, authentication headers, ICMPv6, ARP and tagged frames: by the kernel's notion of
/// protocol and network header, so that it fits every link type. See `bpf(4)` of the BSDs.
fn filter() -> [SockFilter; 14] {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_BYTE: u16 = 0x30;
    const IS: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // Negative offsets: what the kernel knows besides, and from the network header on.
    const PROTOCOL: u32 = 0xffff_f000;
    const NETWORK: u32 = 0xfff0_0000;
    let op = SockFilter::new;
    [
        op(LOAD_WORD, 0, 0, PROTOCOL),
        op(IS, 4, 0, 0x0800),
        op(IS, 6, 0, 0x86dd),
        op(IS, 8, 0, 0x0806),
        op(IS, 7, 0, 0x8100),
        op(IS, 6, 7, 0x88a8),
        op(LOAD_BYTE, 0, 0, NETWORK + 9),
        op(IS, 4, 0, 112),
        op(IS, 3, 4, 51),
        op(LOAD_BYTE, 0, 0, NETWORK + 6),
        op(IS, 1, 0, 112),
        op(IS, 0, 1, 58),
        op(RETURN, 0, 0, 0x0004_0000),
        op(RETURN, 0, 0, 0),
    ]
}

//! Advertisements of one interface and family, as [`Node::receive`](crate::node::Node::receive)
//! wants them.
//!
//! A receiver is shared by all virtual routers of its interface and family, so that each packet is
//! delivered once (spec 3.8).

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn6, recvmmsg, setsockopt,
    sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::clock::Moment;
use super::{NetError, Operation};
use crate::address::{Family, InterfaceIndex};
use crate::receive::Meta;

/// The longest packet: IPv6 addresses, 255 of them, headers, and what an AH adds.
const SLOT: usize = 4608;
/// So many packets are read at once where many wait.
const SLOTS: usize = 32;
/// So many at first: mostly one waits.
const FEW: usize = 4;

/// Room for the packets of one read, to be used by one receiver after the other.
pub struct ReceiveBuffer {
    bytes: Vec<u8>,
}

impl ReceiveBuffer {
    /// Room for 32 packets.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; SLOT * SLOTS],
        }
    }
}

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for ReceiveBuffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReceiveBuffer").finish_non_exhaustive()
    }
}

/// What a receiver listens for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Carrier {
    /// Protocol 112.
    #[default]
    Plain,
    /// Protocol 51, the authentication header of VRRPv2; IPv4 only.
    AuthenticationHeader,
}

/// A raw socket that hears the advertisements of one interface and family, and nothing else:
/// raw(7), ip(7), ipv6(7).
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    name: alloc::string::String,
    interface: InterfaceIndex,
    family: Family,
}

impl Receiver {
    /// Listens on the interface of this name and index: to what is sent to its own addresses, until
    /// a [group](Self::join) is joined. A socket of IPv6 hears the groups that others on the host
    /// joined at this interface, too; the ladder drops what is not for a virtual router.
    ///
    /// # Errors
    ///
    /// Without CAP_NET_RAW, and where the interface is not there.
    pub fn open(
        name: &str,
        interface: InterfaceIndex,
        family: Family,
        carrier: Carrier,
    ) -> Result<Self, NetError> {
        let domain = match family {
            Family::Ipv4 => Domain::IPV4,
            Family::Ipv6 => Domain::IPV6,
        };
        let protocol = match carrier {
            Carrier::Plain => 112,
            Carrier::AuthenticationHeader => 51,
        };
        let failed = |operation| move |error: io::Error| NetError::new(operation, name, error);
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))
            .map_err(failed(Operation::OpenRawSocket))?;
        socket
            .bind_device(Some(name.as_bytes()))
            .map_err(failed(Operation::BindToInterface))?;
        let receiver = Self {
            socket,
            name: name.into(),
            interface,
            family,
        };
        receiver
            .configure()
            .map_err(failed(Operation::ConfigureSocket))?;
        Ok(receiver)
    }

    fn configure(&self) -> io::Result<()> {
        let socket = &self.socket;
        socket.set_nonblocking(true)?;
        setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
        match self.family {
            Family::Ipv4 => socket.set_multicast_all_v4(false)?,
            Family::Ipv6 => {
                socket.set_multicast_all_v6(false)?;
                socket.set_recv_hoplimit_v6(true)?;
                setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            }
        }
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub const fn interface(&self) -> InterfaceIndex {
        self.interface
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Hears what is sent to this group too.
    ///
    /// # Errors
    ///
    /// Where the group is of the other family, joined already, or more than the system allows (20
    /// per socket of IPv4).
    pub fn join(&self, group: IpAddr) -> Result<(), NetError> {
        let interface = self.interface.get();
        let joined = match group {
            IpAddr::V4(group) => self
                .socket
                .join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface)),
            IpAddr::V6(group) => self.socket.join_multicast_v6(&group, interface),
        };
        joined.map_err(|error| self.group_failed(group, error))
    }

    /// Does not hear this group any more.
    ///
    /// # Errors
    ///
    /// Where it was not joined.
    pub fn leave(&self, group: IpAddr) -> Result<(), NetError> {
        let interface = self.interface.get();
        let left = match group {
            IpAddr::V4(group) => self
                .socket
                .leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface)),
            IpAddr::V6(group) => self.socket.leave_multicast_v6(&group, interface),
        };
        left.map_err(|error| self.group_failed(group, error))
    }

    fn group_failed(&self, group: IpAddr, error: io::Error) -> NetError {
        let subject = alloc::format!("{group} on {}", self.name);
        NetError::new(Operation::JoinGroup, subject, error)
    }

    /// Makes room for what so many virtual routers send while nobody reads: 32 packets of each,
    /// 256 KiB at least and 8 MiB at most.
    ///
    /// # Errors
    ///
    /// Never where CAP_NET_ADMIN is there; otherwise the system's limit is used.
    pub fn make_room(&self, routers: usize) -> Result<(), NetError> {
        // A small packet takes about a kilobyte in a socket's queue.
        let bytes = routers.saturating_mul(32 << 10).clamp(256 << 10, 8 << 20);
        setsockopt(&self.socket, sockopt::RcvBufForce, &bytes)
            .or_else(|_| setsockopt(&self.socket, sockopt::RcvBuf, &bytes))
            .map_err(|error| NetError::new(Operation::ConfigureSocket, &*self.name, error))
    }

    /// Takes all packets that are there, in order, and says how many there were.
    ///
    /// What comes in while it reads may be left for the next call, so that a flood ends. Nothing is
    /// allocated for a packet.
    ///
    /// # Errors
    ///
    /// Where the system cannot read, such as when the interface has gone; what was taken before
    /// counts.
    pub fn drain(
        &self,
        buffer: &mut ReceiveBuffer,
        mut each: impl FnMut(&Meta, &[u8]),
    ) -> Result<usize, NetError> {
        let began = super::clock::now();
        let (mut total, mut slots) = (0_usize, FEW);
        loop {
            let mut last = Duration::ZERO;
            let read = self.read(buffer, slots, |meta, bytes| {
                last = meta.received_at();
                each(meta, bytes);
            });
            let read = match read {
                Ok(read) => read,
                Err(Errno::EAGAIN) => return Ok(total),
                Err(Errno::EINTR) => continue,
                Err(errno) => {
                    return Err(NetError::new(Operation::Receive, &*self.name, errno));
                }
            };
            total = total.saturating_add(read);
            if read < slots || last > began {
                return Ok(total);
            }
            slots = SLOTS;
        }
    }

    fn read(
        &self,
        buffer: &mut ReceiveBuffer,
        slots: usize,
        mut each: impl FnMut(&Meta, &[u8]),
    ) -> Result<usize, Errno> {
        let ancillary = match self.family {
            Family::Ipv4 => cmsg_space!(TimeSpec),
            Family::Ipv6 => cmsg_space!(TimeSpec, libc::in6_pktinfo, libc::c_int),
        };
        // Made for each read: the lengths in them are the kernel's afterwards.
        let mut headers: MultiHeaders<SockaddrIn6> =
            MultiHeaders::preallocate(slots, Some(ancillary));
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffer
            .bytes
            .chunks_exact_mut(SLOT)
            .take(slots)
            .map(|slot| [IoSliceMut::new(slot)])
            .collect();
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        let moment = Moment::now();
        let mut count = 0_usize;
        for message in received {
            count = count.saturating_add(1);
            let bytes = message.iovs().next().unwrap_or_default();
            if let Some(meta) = self.meta(&message, moment) {
                each(&meta, bytes);
            }
        }
        Ok(count)
    }

    /// `None` for a packet of IPv6 of which the kernel does not say how it came: never seen, as it
    /// was asked for.
    fn meta(&self, message: &RecvMsg<'_, '_, SockaddrIn6>, moment: Moment) -> Option<Meta> {
        let mut at = moment.boot();
        let (mut destination, mut hop_limit) = (None, None);
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::ScmTimestampns(wall) => {
                    at = moment.at_wall(wall.into());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => {
                    hop_limit = u8::try_from(limit).ok();
                }
                _ => {}
            }
        }
        match self.family {
            Family::Ipv4 => Some(Meta::ipv4(self.interface, at)),
            Family::Ipv6 => {
                let source = message.address.as_ref()?.ip();
                Some(Meta::ipv6_payload(
                    self.interface,
                    at,
                    source,
                    destination?,
                    hop_limit?,
                ))
            }
        }
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

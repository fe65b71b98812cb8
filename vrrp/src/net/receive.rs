//! Advertisements of one interface and family, as [`Node::receive`](crate::node::Node::receive)
//! wants them.
//!
//! A receiver is shared by all virtual routers of its interface and family, so that each packet is
//! delivered once (spec 3.8).

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
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
use super::send::is_bound_to;
use super::{NetError, Operation};
use crate::address::{Family, InterfaceIndex};
use crate::receive::Meta;
use crate::timer::Timestamp;

/// The longest packet: IPv6 addresses, 255 of them, headers, and what an AH adds.
const SLOT: usize = 4608;
/// So many packets are read at once where many wait.
const SLOTS: usize = 32;
/// So many at first: mostly one waits.
const FEW: usize = 4;
/// More than fit into the longest queue ([`Receiver::make_room`]): a packet takes at least 576 bytes
/// there, and the kernel doubles what it is asked for.
const QUEUE: usize = 1 << 15;

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
    /// All that had come before was read then.
    drained: Moment,
    truncated: u64,
}

impl Receiver {
    /// Listens on the interface of this name and index: to what is sent to its own addresses, until
    /// a [group](Self::join) is joined. A socket of IPv6 hears the groups that others on the host
    /// joined at this interface, too; the ladder drops what is not for a virtual router.
    ///
    /// It is in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// Without CAP_NET_RAW, and where the interface is not there, or has another index.
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
            .and_then(|()| is_bound_to(&socket, interface))
            .map_err(failed(Operation::BindToInterface))?;
        let receiver = Self {
            socket,
            name: name.into(),
            interface,
            family,
            drained: Moment::now(),
            truncated: 0,
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

    /// Takes all packets that are there, in order, and says how many there were: all that came before
    /// the call, however long they have waited.
    ///
    /// What comes in while it reads may be left for the next call, so that a flood ends. Nothing is
    /// allocated for a packet. The time of receipt is the kernel's; after the wall clock was set,
    /// which that is measured by, it is the time of reading.
    ///
    /// # Errors
    ///
    /// Where the system cannot read, such as when the interface has gone; what was taken before
    /// counts.
    pub fn drain(
        &mut self,
        buffer: &mut ReceiveBuffer,
        mut each: impl FnMut(&Meta, &[u8]),
    ) -> Result<usize, NetError> {
        let began = Moment::now();
        let mut draining = Draining::new(began.boot());
        loop {
            let mut last = None;
            let slots = draining.slots();
            let read = self.read(buffer, slots, |came, meta, bytes| {
                last = came;
                each(meta, bytes);
            });
            match read {
                Ok(read) if draining.goes_on(read, last) => {}
                Ok(_) | Err(Errno::EAGAIN) => {
                    self.drained = began;
                    return Ok(draining.total);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(NetError::new(Operation::Receive, &*self.name, errno));
                }
            }
        }
    }

    /// How many packets were longer than any advertisement, or came with more than was asked for, and
    /// were dropped.
    #[must_use]
    pub const fn truncated(&self) -> u64 {
        self.truncated
    }

    /// Of each packet when it came, if that is known, what is to be said of it, and its bytes.
    fn read(
        &mut self,
        buffer: &mut ReceiveBuffer,
        slots: usize,
        mut each: impl FnMut(Option<Timestamp>, &Meta, &[u8]),
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
        let cut = MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC;
        let (mut count, mut truncated) = (0_usize, self.truncated);
        for message in received {
            count = count.saturating_add(1);
            let bytes = message.iovs().next().unwrap_or_default();
            if message.flags.intersects(cut) {
                truncated = truncated.saturating_add(1);
            } else if let Some((came, meta)) = self.meta(&message, moment) {
                each(came, &meta, bytes);
            }
        }
        self.truncated = truncated;
        Ok(count)
    }

    /// `None` for a packet of IPv6 of which the kernel does not say how it came: never seen, as it
    /// was asked for.
    fn meta(
        &self,
        message: &RecvMsg<'_, '_, SockaddrIn6>,
        moment: Moment,
    ) -> Option<(Option<Timestamp>, Meta)> {
        let mut came = None;
        let (mut destination, mut hop_limit) = (None, None);
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::ScmTimestampns(wall) => {
                    came = moment.at_wall(wall.into(), self.drained);
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
        let at = came.unwrap_or_else(|| moment.boot());
        let meta = match self.family {
            Family::Ipv4 => Meta::ipv4(self.interface, at),
            Family::Ipv6 => {
                let source = message.address.as_ref()?.ip();
                Meta::ipv6_payload(self.interface, at, source, destination?, hop_limit?)
            }
        };
        Some((came, meta))
    }
}

/// How far the reading of a queue is.
#[derive(Clone, Copy, Debug)]
struct Draining {
    began: Timestamp,
    total: usize,
}

impl Draining {
    const fn new(began: Timestamp) -> Self {
        Self { began, total: 0 }
    }

    /// So many are to be read next.
    const fn slots(&self) -> usize {
        if self.total == 0 { FEW } else { SLOTS }
    }

    /// Counts what was read, the last of which came at this time, as far as that is known; whether
    /// there may be more that came before it began.
    fn goes_on(&mut self, read: usize, last: Option<Timestamp>) -> bool {
        let is_empty = read < self.slots();
        self.total = self.total.saturating_add(read);
        !is_empty && self.total < QUEUE && last.is_none_or(|last| last <= self.began)
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const BEGAN: Timestamp = Duration::from_secs(1000);

    /// How many are read of a queue in which the packets have waited for so long, if that is known.
    fn read_of(queue: usize, age: impl Fn(usize) -> Option<Duration>) -> usize {
        let mut draining = Draining::new(BEGAN);
        loop {
            let read = draining.slots().min(queue - draining.total);
            let last = (draining.total + read).checked_sub(1);
            let last = last.and_then(&age).map(|age| BEGAN - age);
            if !draining.goes_on(read, last) {
                return draining.total;
            }
        }
    }

    #[test]
    fn all_that_waited_is_read_however_old_it_is() {
        for queue in [0, 1, 4, 5, 36, 37, 660, 10_000] {
            for seconds in [0, 59, 61, 900] {
                let old = |_| Some(Duration::from_secs(seconds));
                assert_eq!(read_of(queue, old), queue, "{queue} {seconds}");
            }
            assert_eq!(read_of(queue, |_| None), queue, "{queue}, clock set");
        }
    }

    /// 100 waited; the others came while it read.
    #[test]
    fn a_flood_ends() {
        let mut draining = Draining::new(BEGAN);
        let came = |place| BEGAN + Duration::from_nanos(u64::from(place > 100));
        while draining.goes_on(draining.slots(), Some(came(draining.total))) {}
        assert!((100..200).contains(&draining.total), "{}", draining.total);
        let mut draining = Draining::new(BEGAN);
        while draining.goes_on(draining.slots(), None) {}
        assert!(draining.total < QUEUE + SLOTS, "{}", draining.total);
    }
}

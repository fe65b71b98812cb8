//! Advertisements of one device, many per system call.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;
use core::ops::Range;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, sendmmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::{NetError, Operation};
use crate::address::{Family, InterfaceIndex};

/// So many leave with one system call.
const AT_ONCE: usize = 64;
/// `IPPROTO_RAW` of raw(7): such a socket sends packets with their headers, and hears nothing.
const RAW: i32 = 255;
/// `TC_PRIO_CONTROL` of linux/pkt_sched.h: before everything else that waits.
const CONTROL: u32 = 7;

/// Packets, or frames, to be sent together.
#[derive(Debug, Default)]
pub struct SendBatch {
    bytes: Vec<u8>,
    packets: Vec<(IpAddr, Range<usize>)>,
}

impl SendBatch {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            packets: Vec::new(),
        }
    }

    /// Adds what is written, of at most so many bytes, to be sent to this destination. A frame
    /// carries its destination itself.
    ///
    /// # Errors
    ///
    /// What the writer says; nothing is added then.
    pub fn push<E>(
        &mut self,
        destination: IpAddr,
        at_most: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.resize(start.saturating_add(at_most), 0);
        let room = self.bytes.get_mut(start..).unwrap_or_default();
        let written = write(room);
        let length = written.as_ref().map_or(0, |length| (*length).min(at_most));
        let end = start.saturating_add(length);
        self.bytes.truncate(end);
        written.map(|_| self.packets.push((destination, start..end)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Forgets them, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }

    /// Sends them in order, each once, and tells of each which place it has and what became of it.
    pub(super) fn transmit<S: SockaddrLike + Copy>(
        &self,
        socket: &impl AsFd,
        address: impl Fn(IpAddr) -> Option<S>,
        mut each: impl FnMut(usize, io::Result<()>),
    ) {
        let mut next = 0_usize;
        while let Some(rest) = self.packets.get(next..).filter(|rest| !rest.is_empty()) {
            let now = rest.get(..rest.len().min(AT_ONCE)).unwrap_or_default();
            let slices: Vec<[IoSlice<'_>; 1]> = now
                .iter()
                .map(|(_, range)| {
                    let bytes = self.bytes.get(range.clone()).unwrap_or_default();
                    [IoSlice::new(bytes)]
                })
                .collect();
            let addresses: Vec<Option<S>> = now.iter().map(|(to, _)| address(*to)).collect();
            let mut headers = MultiHeaders::preallocate(now.len(), None);
            let sent = sendmmsg(
                socket.as_fd().as_raw_fd(),
                &mut headers,
                slices.iter(),
                &*addresses,
                [],
                MsgFlags::MSG_DONTWAIT,
            );
            match sent {
                Ok(sent) => {
                    for _ in sent {
                        each(next, Ok(()));
                        next = next.saturating_add(1);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    // The first of these; the others have their own luck.
                    each(next, Err(errno.into()));
                    next = next.saturating_add(1);
                }
            }
        }
    }
}

/// A raw socket that sends packets with their IP headers from one device, and hears nothing:
/// raw(7).
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    name: String,
    scope: u32,
}

impl Sender {
    /// Sends from the device of this name and index: the interface, or the macvlan that bears the
    /// virtual MAC.
    ///
    /// # Errors
    ///
    /// Without CAP_NET_RAW, and where the device is not there, or has another index.
    pub fn open(name: &str, index: u32, family: Family) -> Result<Self, NetError> {
        let domain = match family {
            Family::Ipv4 => Domain::IPV4,
            Family::Ipv6 => Domain::IPV6,
        };
        let failed = |operation| move |error: io::Error| NetError::new(operation, name, error);
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(RAW)))
            .map_err(failed(Operation::OpenRawSocket))?;
        socket
            .bind_device(Some(name.as_bytes()))
            .and_then(|()| is_bound_to(&socket, InterfaceIndex::new(index)))
            .map_err(failed(Operation::BindToInterface))?;
        configure(&socket, family).map_err(failed(Operation::ConfigureSocket))?;
        Ok(Self {
            socket,
            name: name.into(),
            scope: index,
        })
    }

    /// From which device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.name
    }

    /// Sends packets in order, each once, and tells of each which place it has in the batch and what
    /// became of it. It never waits: what finds no room has failed.
    pub fn send(&self, batch: &SendBatch, mut each: impl FnMut(usize, Result<(), NetError>)) {
        let address = |to: IpAddr| {
            let to = match to {
                IpAddr::V4(_) => SocketAddr::new(to, 0),
                IpAddr::V6(to) => core::net::SocketAddrV6::new(to, 0, 0, self.scope).into(),
            };
            Some(SockaddrStorage::from(to))
        };
        batch.transmit(&self.socket, address, |place, result| {
            each(
                place,
                result.map_err(|error| NetError::new(Operation::Send, &*self.name, error)),
            );
        });
    }
}

/// What is bound by name may have found another interface: the name is one's of the calling thread's
/// network namespace, and that may not be the one meant.
pub(super) fn is_bound_to(socket: &Socket, index: InterfaceIndex) -> io::Result<()> {
    // The option is not of one family, whatever the name says: SO_BINDTOIFINDEX, socket(7).
    match socket.device_index_v4() {
        Ok(bound) if bound.map_or(0, NonZeroU32::get) == index.get() => Ok(()),
        // Since 5.0.
        Err(error) if error.raw_os_error() == Some(Errno::ENOPROTOOPT as i32) => Ok(()),
        Ok(_) => Err(Errno::ENODEV.into()),
        Err(error) => Err(error),
    }
}

fn configure(socket: &Socket, family: Family) -> io::Result<()> {
    // Without the right to it packets wait like others.
    let _ = socket.set_priority(CONTROL);
    match family {
        Family::Ipv4 => {
            socket.set_header_included_v4(true)?;
            socket.set_multicast_loop_v4(false)?;
            // Or packets that a full queue drops count as sent.
            setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
        }
        Family::Ipv6 => {
            socket.set_header_included_v6(true)?;
            socket.set_multicast_loop_v6(false)?;
            setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
        }
    }
    Ok(())
}

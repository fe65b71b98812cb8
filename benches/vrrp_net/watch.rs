//! What can be seen of hosts: addresses that they have, and frames that reach them.

#![allow(dead_code, reason = "each bench uses a part")]

use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lvs_vrrp::net::links::LinkMonitor;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Result;
use crate::host::Host;

/// The time now, on the clock by which the kernel stamps frames.
pub(crate) fn wall() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// The virtual addresses that a host has.
#[derive(Debug)]
pub(crate) struct Addresses(LinkMonitor);

impl Addresses {
    pub(crate) fn of(host: &Host) -> Result<Self> {
        Ok(Self(host.enter(|| {
            LinkMonitor::open_with_receive_buffer(8 << 20)
        })?))
    }

    fn count(&self) -> usize {
        let all = self.0.links().iter().flat_map(|link| &link.addresses);
        all.filter(|there| matches!(there.address, IpAddr::V4(v4) if v4.octets()[..2] == [10, 77]))
            .count()
    }

    /// Waits until there are so many, and says when that was.
    pub(crate) fn wait_for(&mut self, count: usize, patience: Duration) -> Result<Duration> {
        let deadline = Instant::now() + patience;
        loop {
            let now = wall();
            let there = self.count();
            if there == count {
                return Ok(now);
            }
            if Instant::now() > deadline {
                return Err(format!("{there} addresses after {patience:?}, not {count}").into());
            }
            let mut descriptors = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            poll(&mut descriptors, PollTimeout::from(100_u8))?;
            self.0.read()?;
        }
    }
}

/// A frame that reached a host.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// When, by the kernel.
    pub(crate) at: Duration,
    /// The index of the interface.
    pub(crate) interface: usize,
    /// The packet, without what the link adds.
    pub(crate) packet: Vec<u8>,
}

/// An advertisement of VRRPv3 over IPv4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Advert {
    pub(crate) at: Duration,
    pub(crate) interface: usize,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
}

impl Frame {
    pub(crate) fn advert(&self) -> Option<Advert> {
        let header = usize::from(self.packet.first()? & 0x0f) * 4;
        if *self.packet.get(9)? != 112 {
            return None;
        }
        let &[_, vrid, priority, ..] = self.packet.get(header..)? else {
            return None;
        };
        Some(Advert {
            at: self.at,
            interface: self.interface,
            vrid,
            priority,
        })
    }

    /// The address that a gratuitous ARP packet announces.
    pub(crate) fn announced(&self) -> Option<[u8; 4]> {
        let sender = self.packet.get(14..18)?;
        let target = self.packet.get(24..28)?;
        (sender == target).then(|| sender.try_into().ok())?
    }
}

/// What is captured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Ipv4 = 0x0800,
    Arp = 0x0806,
}

/// A thread that takes all frames of a kind which reach a host: packet(7).
#[derive(Debug)]
pub(crate) struct Capture {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Frame>>>,
}

impl Capture {
    pub(crate) fn start(host: &Host, kind: Kind) -> Result<Self> {
        let protocol = Protocol::from(i32::from((kind as u16).to_be()));
        let opened = host.enter(|| Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol)));
        let socket = opened?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &(32 << 20))?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || capture(&socket, &over));
        Ok(Self { is_over, thread })
    }

    /// All that came until now.
    pub(crate) fn end(self) -> Result<Vec<Frame>> {
        self.is_over.store(true, Ordering::Relaxed);
        let joined = self.thread.join();
        Ok(joined.map_err(|_| "a capture has panicked")??)
    }
}

fn capture(socket: &Socket, is_over: &AtomicBool) -> io::Result<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut room = [0; 256];
    loop {
        let mut slices = [IoSliceMut::new(&mut room)];
        let mut ancillary = cmsg_space!(TimeSpec);
        let descriptor = socket.as_raw_fd();
        // At the end only what is there: more may come for ever.
        let ends = is_over.load(Ordering::Relaxed);
        let flags = if ends {
            MsgFlags::MSG_DONTWAIT
        } else {
            MsgFlags::empty()
        };
        let received = recvmsg::<LinkAddr>(descriptor, &mut slices, Some(&mut ancillary), flags);
        let message = match received {
            Ok(message) => message,
            Err(Errno::EAGAIN) if ends => return Ok(frames),
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
            _ => None,
        });
        let interface = message.address.map_or(0, |address| address.ifindex());
        let length = message.bytes;
        frames.push(Frame {
            at: stamp.unwrap_or_default(),
            interface,
            packet: room.get(..length).unwrap_or_default().to_vec(),
        });
    }
}

//! Where packets go in and come out: packet sockets on two interfaces.
//!
//! Frames written to the loopback interface come in there, with the mark of the socket still on
//! them. What IPVS forwards, and what the director itself answers, leaves by a dummy interface, where
//! it can be read. Hundreds of packets travel in one system call, which counts: system calls are dear
//! in the guest.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, bind,
    recvmmsg, sendmmsg, setsockopt, socket, sockopt,
};

use super::packet::{Content, Packet, Seen, read};

/// Packets in one system call.
const AT_ONCE: usize = 512;

/// Longest packet that is looked at; a port unreachable quotes one of ours.
const LONGEST: usize = 160;

/// Room for what comes out until it is read, in bytes.
const BUFFER: usize = 64 << 20;

/// The hosts that mark an end talk to each other; no client has such an address.
const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)];

/// Both ends of the director, in the network namespace of the thread that opened them.
#[derive(Debug)]
pub(crate) struct Wire {
    inside: OwnedFd,
    outside: OwnedFd,
    mark: u32,
    /// How many packets marked an end.
    ends: u16,
}

impl Wire {
    /// Writes to `inside`, reads what leaves by `outside`.
    pub(crate) fn open(inside: &str, outside: &str) -> Self {
        // Without a protocol a packet socket receives nothing.
        let inside = attach(inside, None);
        let outside = attach(outside, Some(SockProtocol::EthAll));
        setsockopt(&outside, sockopt::RcvBufForce, &BUFFER).unwrap();
        Self {
            inside,
            outside,
            mark: 0,
            ends: 0,
        }
    }

    /// Sends packets one after another, with a firewall mark (0: none).
    pub(crate) fn send(&mut self, mark: u32, packets: &[Packet]) {
        if mark != self.mark {
            setsockopt(&self.inside, sockopt::Mark, &mark).unwrap();
            self.mark = mark;
        }
        for packets in packets.chunks(AT_ONCE) {
            let frames: Vec<_> = packets.iter().map(|packet| packet.to_bytes()).collect();
            let slices: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
            let mut headers = MultiHeaders::<()>::preallocate(packets.len(), None);
            let addresses = vec![None; packets.len()];
            let flags = MsgFlags::empty();
            let inside = self.inside.as_raw_fd();
            let sent = sendmmsg(inside, &mut headers, &slices, addresses, [], flags);
            assert_eq!(sent.unwrap().count(), packets.len());
        }
    }

    /// Waits until all that was sent has been dealt with, and reads what has come out.
    ///
    /// On a busy machine the kernel leaves packets to a thread of its own; but it keeps their order.
    /// So a last one is sent, between two hosts that have nothing to do with IPVS.
    pub(crate) fn settle(&mut self, mut each: impl FnMut(Seen)) {
        self.ends = self.ends.wrapping_add(1);
        let end = Packet {
            source: SocketAddr::new(IpAddr::V4(ENDS[0]), self.ends),
            destination: SocketAddr::new(IpAddr::V4(ENDS[1]), 9),
            content: Content::Udp,
        };
        self.send(0, &[end]);
        let mut has_ended = false;
        eventually("the last packet comes out", || {
            self.receive(|seen| match seen {
                Seen::Packet(packet) if packet == end => has_ended = true,
                seen => each(seen),
            });
            has_ended
        });
    }

    /// Reads what has come out.
    pub(crate) fn receive(&self, mut each: impl FnMut(Seen)) {
        loop {
            let mut bytes = vec![[0; LONGEST]; AT_ONCE];
            let mut slices: Vec<_> = bytes
                .iter_mut()
                .map(|bytes| [IoSliceMut::new(bytes)])
                .collect();
            let mut headers = MultiHeaders::<()>::preallocate(AT_ONCE, None);
            let flags = MsgFlags::MSG_DONTWAIT;
            let outside = self.outside.as_raw_fd();
            let received = match recvmmsg(outside, &mut headers, slices.iter_mut(), flags, None) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return,
                Err(error) => panic!("reading packets: {error}"),
            };
            let mut count = 0;
            for packet in received {
                count += 1;
                packet
                    .iovs()
                    .next()
                    .and_then(read)
                    .into_iter()
                    .for_each(&mut each);
            }
            if count < AT_ONCE {
                return;
            }
        }
    }
}

/// A packet socket of one interface. A reader gets packets without their link header.
fn attach(interface: &str, protocol: Option<SockProtocol>) -> OwnedFd {
    let kind = match protocol {
        Some(_) => SockType::Datagram,
        None => SockType::Raw,
    };
    let socket = socket(
        AddressFamily::Packet,
        kind,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )
    .unwrap();
    let address = getifaddrs()
        .unwrap()
        .filter(|found| found.interface_name == interface)
        .find_map(|found| found.address?.as_link_addr().copied());
    // Its protocol is none, so that of the socket stays.
    let address: LinkAddr = address.unwrap_or_else(|| panic!("no interface {interface}"));
    bind(socket.as_raw_fd(), &address).unwrap();
    socket
}

/// Probes until it is so.
pub(crate) fn eventually(what: &str, mut probe: impl FnMut() -> bool) {
    let patience = Duration::from_secs(20);
    let start = Instant::now();
    while !probe() {
        assert!(
            start.elapsed() < patience,
            "not within {patience:?}: {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

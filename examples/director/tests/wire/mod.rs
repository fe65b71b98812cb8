//! What TCP segments go over a wire, and which of them reset.

use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::network::Host;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) segments: u64,
    /// Segments with the RST flag: from whom to whom.
    pub(crate) resets: Vec<String>,
}

/// Watches all interfaces of a host.
pub(crate) struct Wire {
    is_over: Arc<AtomicBool>,
    watcher: JoinHandle<Seen>,
}

impl Wire {
    /// Counts the segments from and to that address.
    pub(crate) fn watch(host: &Host, address: IpAddr) -> Self {
        let IpAddr::V4(address) = address else {
            panic!("an IPv4 address");
        };
        let socket = host.enter(|| {
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )
            .unwrap()
        });
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::milliseconds(100),
        )
        .unwrap();
        setsockopt(&socket, sockopt::RcvBuf, &(4 << 20)).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let watcher = thread::spawn(move || {
            let mut seen = Seen::default();
            let mut frame = [0; 2048];
            // What is there already is taken, too.
            loop {
                match recv(socket.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                    Ok(length) => seen.take(frame.get(..length).unwrap_or_default(), address),
                    Err(Errno::EAGAIN) if over.load(Ordering::Acquire) => break,
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(errno) => panic!("{errno}"),
                }
            }
            seen
        });
        Self { is_over, watcher }
    }

    /// What was seen until now.
    pub(crate) fn finish(self) -> Seen {
        self.is_over.store(true, Ordering::Release);
        self.watcher.join().unwrap()
    }
}

impl Seen {
    fn take(&mut self, frame: &[u8], address: Ipv4Addr) {
        // Ethernet, IPv4 without VLAN, TCP.
        if frame.len() < 34 || frame[12..14] != [0x08, 0x00] || frame[23] != 6 {
            return;
        }
        let at = |place: usize| {
            let octets: [u8; 4] = frame[place..place + 4].try_into().unwrap();
            Ipv4Addr::from(octets)
        };
        let (from, to) = (at(26), at(30));
        let tcp = 14 + usize::from(frame[14] & 0xf) * 4;
        let Some(flags) = frame.get(tcp + 13) else {
            return;
        };
        if from != address && to != address {
            return;
        }
        self.segments += 1;
        if flags & 0x04 != 0 {
            self.resets.push(format!("{from} to {to}"));
        }
    }
}

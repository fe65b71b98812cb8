//! What a host's programs ask of its kernel, over netlink, and what they announce: in the order in
//! which it happens, as one socket hears both.

use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::network::Host;

/// Hardware type of a device that shows netlink messages.
const ARPHRD_NETLINK: u16 = 824;

/// Something that was asked for, was done, or was announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    Asked,
    Done,
    Announced,
}

/// What was recorded: `NEW_DEST`, `DEL_DAEMON backup`, `NEWADDR 192.0.2.1`, or an address that was
/// announced.
pub(crate) type Record = Vec<(Stage, String)>;

/// Records until told to stop.
pub(crate) struct Tap {
    is_over: Arc<AtomicBool>,
    recorder: JoinHandle<Record>,
}

#[derive(Default)]
struct Recorder {
    record: Record,
    /// Requests without an answer, by family, kind and number.
    open: BTreeMap<(u16, u16, u32), String>,
}

impl Tap {
    pub(crate) fn start(host: &Host) -> Self {
        host.ip("link add tap type nlmon\nlink set tap up");
        let socket = host.enter(|| {
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )
            .unwrap()
        });
        let wait = TimeVal::milliseconds(100);
        setsockopt(&socket, sockopt::ReceiveTimeout, &wait).unwrap();
        setsockopt(&socket, sockopt::RcvBufForce, &(32 << 20)).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let recorder = thread::spawn(move || {
            let mut recorder = Recorder::default();
            let mut frame = vec![0; 1 << 20];
            // What is there already is taken, too.
            loop {
                match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame) {
                    Ok((length, Some(from))) => recorder.take(&frame[..length], &from),
                    Err(Errno::EAGAIN) if over.load(Ordering::Acquire) => break,
                    Ok((_, None)) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(errno) => panic!("{errno}"),
                }
            }
            recorder.record
        });
        Self { is_over, recorder }
    }

    /// What was recorded until now.
    pub(crate) fn finish(self) -> Record {
        self.is_over.store(true, Ordering::Release);
        self.recorder.join().unwrap()
    }
}

impl Recorder {
    fn take(&mut self, frame: &[u8], from: &LinkAddr) {
        match (from.hatype(), from.pkttype()) {
            (ARPHRD_NETLINK, _) => self.messages(frame, u16::from_be(from.protocol())),
            (libc::ARPHRD_ETHER, libc::PACKET_OUTGOING) => self.announcement(frame),
            _ => {}
        }
    }

    /// The messages of a datagram.
    fn messages(&mut self, mut datagram: &[u8], family: u16) {
        while datagram.len() >= 16 {
            let length = usize::try_from(u32_at(datagram, 0)).unwrap();
            self.message(&datagram[..length.min(datagram.len())], family);
            let next = length.next_multiple_of(4).max(16);
            datagram = datagram.get(next..).unwrap_or_default();
        }
    }

    fn message(&mut self, message: &[u8], family: u16) {
        let (kind, number) = (u16_at(message, 4), u32_at(message, 8));
        if kind == u16::try_from(libc::NLMSG_ERROR).unwrap() {
            // An error number, then the head of what it answers.
            let asked = (family, u16_at(message, 24), u32_at(message, 28));
            if let Some(what) = self.open.remove(&asked)
                && u32_at(message, 16) == 0
            {
                self.record.push((Stage::Done, what));
            }
            return;
        }
        let is_request = u16_at(message, 6) & 1 != 0;
        let what = match i32::from(family) {
            libc::NETLINK_ROUTE => address(message),
            libc::NETLINK_GENERIC => change_of_table(message),
            _ => None,
        };
        if let Some(what) = what.filter(|_| is_request) {
            self.open.insert((family, kind, number), what.clone());
            self.record.push((Stage::Asked, what));
        }
    }

    /// An ARP packet that tells of an address.
    fn announcement(&mut self, frame: &[u8]) {
        if frame.len() >= 42 && frame[12..14] == [0x08, 0x06] && frame[28..32] == frame[38..42] {
            let address = ipv4(&frame[28..32]);
            self.record.push((Stage::Announced, address.to_string()));
        }
    }
}

/// A request that adds or removes an IPv4 address.
fn address(message: &[u8]) -> Option<String> {
    let name = match u16_at(message, 4) {
        libc::RTM_NEWADDR => "NEWADDR",
        libc::RTM_DELADDR => "DELADDR",
        _ => return None,
    };
    let local = attribute(message.get(24..)?, libc::IFA_LOCAL)?;
    Some(format!("{name} {}", IpAddr::V4(ipv4(local))))
}

/// A request that changes the table or the sync daemons; no other generic netlink is about here than
/// the kernel's own.
fn change_of_table(message: &[u8]) -> Option<String> {
    const CONTROLLER: u16 = 16;
    if u16_at(message, 4) == CONTROLLER {
        return None;
    }
    let name = match *message.get(16)? {
        1 => "NEW_SERVICE",
        3 => "DEL_SERVICE",
        5 => "NEW_DEST",
        7 => "DEL_DEST",
        9 => "NEW_DAEMON",
        10 => "DEL_DAEMON",
        _ => return None,
    };
    let daemon = attribute(message.get(20..)?, 3).and_then(|daemon| attribute(daemon, 1));
    Some(match daemon.map(|state| u32_at(state, 0)) {
        Some(1) => format!("{name} active"),
        Some(_) => format!("{name} backup"),
        None => name.to_owned(),
    })
}

/// The first attribute of that kind.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while attributes.len() >= 4 {
        let length = usize::from(u16_at(attributes, 0));
        // The highest bits say how it is written.
        if u16_at(attributes, 2) & 0x3fff == wanted {
            return attributes.get(4..length);
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}

fn ipv4(bytes: &[u8]) -> Ipv4Addr {
    let octets: [u8; 4] = bytes.try_into().unwrap();
    octets.into()
}

fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_ne_bytes(bytes[place..place + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from_ne_bytes(bytes[place..place + 4].try_into().unwrap())
}

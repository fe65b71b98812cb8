//! What both routers send, as it leaves them: the wire knows when somebody said something.
//!
//! The times are those at which the kernel got the frame, whenever this program looks at it. What is
//! dropped later was sent all the same.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind,
    recvmsg, setsockopt, socket,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::holding;
use crate::host::{Host, PATIENCE};
use crate::lab::Side;
use crate::stall::be_prompt;

/// How often it looks whether it should end.
const TICK: u16 = 100;

/// `PACKET_OUTGOING` of packet(7): what the switch sends to the router.
const OUTGOING: u8 = 4;

/// An advertisement that left a router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Advertisement {
    pub(crate) at: Duration,
    pub(crate) side: Side,
    pub(crate) priority: u8,
}

/// Hears both ports of the switch.
#[derive(Debug)]
pub(crate) struct Tap {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Vec<Advertisement>>,
    more: Condvar,
    ends: AtomicBool,
}

impl Tap {
    /// Hears the ports of this switch, which have the names of the sides.
    pub(crate) fn open(switch: &Host) -> Self {
        let ports = [Side::Us, Side::Peer].map(|side| (side, port(switch, side)));
        let shared = Arc::<Shared>::default();
        let others = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            be_prompt();
            while !others.ends.load(Ordering::Relaxed) {
                let mut ready = ports
                    .each_ref()
                    .map(|(_, port)| PollFd::new(port.as_fd(), PollFlags::POLLIN));
                poll(&mut ready, PollTimeout::from(TICK)).unwrap();
                for (side, port) in &ports {
                    while let Some(frame) = receive(port) {
                        let heard = frame.advertisement(*side);
                        others.heard.lock().unwrap().extend(heard);
                    }
                }
                others.more.notify_all();
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Waits for the first one that this side sends from then on and that is as wanted.
    pub(crate) fn first(
        &self,
        side: Side,
        from: Duration,
        is_wanted: impl Fn(&Advertisement) -> bool,
    ) -> Advertisement {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.shared.heard.lock().unwrap();
        loop {
            let mut all = heard.iter().filter(|one| one.side == side);
            if let Some(found) = all.find(|one| one.at >= from && is_wanted(one)) {
                return *found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not sent by {side:?}: {heard:#?}");
            heard = self.shared.more.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// The last one that this side sent until then.
    pub(crate) fn last(&self, side: Side, until: Duration) -> Advertisement {
        let heard = self.shared.heard.lock().unwrap();
        let mut all = heard.iter().filter(|one| one.side == side);
        let found = all.rfind(|one| one.at <= until);
        *found.unwrap_or_else(|| panic!("{side:?} sent nothing: {heard:#?}"))
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the tap failed");
        }
    }
}

/// A socket that hears this port: packet(7).
fn port(switch: &Host, side: Side) -> OwnedFd {
    switch.enter(|| {
        let all = SockProtocol::EthAll;
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
        let mut addresses = getifaddrs().unwrap();
        let address = addresses.find_map(|found| {
            let link = found.address?.as_link_addr().copied();
            link.filter(|_| found.interface_name == side.name())
        });
        let address: LinkAddr = address.unwrap();
        bind(socket.as_raw_fd(), &address).unwrap();
        setsockopt(&socket, ReceiveTimestampns, &true).unwrap();
        socket
    })
}

struct Frame {
    at: Duration,
    is_outgoing: bool,
    bytes: Vec<u8>,
}

/// The next frame, if one is there.
fn receive(port: &OwnedFd) -> Option<Frame> {
    let mut buffer = [0; 2048];
    let mut ancillary = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = recvmsg::<LinkAddr>(port.as_raw_fd(), &mut parts, Some(&mut ancillary), flags);
    let message = match received {
        Ok(message) => message,
        Err(Errno::EAGAIN | Errno::EINTR) => return None,
        // The port goes when the router's namespace does.
        Err(Errno::ENETDOWN) => return None,
        Err(errno) => panic!("{errno}"),
    };
    let stamp = message.cmsgs().unwrap().find_map(|cmsg| match cmsg {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    });
    // The stamp is wall time: what counts is how long ago that was.
    let wall: Duration = clock_gettime(ClockId::CLOCK_REALTIME).unwrap().into();
    let age = wall.saturating_sub(stamp.unwrap());
    let (is_outgoing, length) = (
        message
            .address
            .is_some_and(|from| from.pkttype() == OUTGOING),
        message.bytes,
    );
    Some(Frame {
        at: holding::now().saturating_sub(age),
        is_outgoing,
        bytes: buffer[..length].to_vec(),
    })
}

impl Frame {
    fn advertisement(&self, side: Side) -> Option<Advertisement> {
        let message = message(&self.bytes)?;
        let priority = *message.get(2).filter(|_| !self.is_outgoing)?;
        let at = self.at;
        Some(Advertisement { at, side, priority })
    }
}

/// The VRRP message in a frame, if one is.
fn message(frame: &[u8]) -> Option<&[u8]> {
    let (protocol, payload) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let header = usize::from(frame.get(14)? & 0x0f) * 4;
            (*frame.get(23)?, frame.get(14 + header..)?)
        }
        [0x86, 0xdd] => (*frame.get(20)?, frame.get(54..)?),
        _ => return None,
    };
    match protocol {
        112 => Some(payload),
        // An authentication header tells its length in words of 32 bits, less two (RFC 4302 §2.2).
        51 if payload.first() == Some(&112) => {
            payload.get((usize::from(*payload.get(1)?) + 2) * 4..)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_behind_their_headers() {
        let mut frame = vec![0; 14 + 20 + 24];
        (frame[12], frame[14], frame[23]) = (8, 0x45, 112);
        frame[34..37].copy_from_slice(&[0x31, 51, 200]);
        assert_eq!(message(&frame).unwrap()[..3], [0x31, 51, 200]);
        frame[23] = 51;
        frame[34..36].copy_from_slice(&[112, 2]);
        frame[50..53].copy_from_slice(&[0x21, 51, 100]);
        assert_eq!(message(&frame).unwrap()[..3], [0x21, 51, 100]);
        frame[23] = 6;
        assert_eq!(message(&frame), None);
        let mut frame = vec![0; 14 + 40 + 8];
        (frame[12], frame[13], frame[20]) = (0x86, 0xdd, 112);
        frame[54..57].copy_from_slice(&[0x31, 51, 0]);
        assert_eq!(message(&frame).unwrap()[..3], [0x31, 51, 0]);
        assert_eq!(message(&frame[..20]), None);
    }
}

//! Routing netlink: addresses and links of the kernel.
//!
//! [`Rtnetlink`] carries out requests, many in one system call, and lists what there is. The kernel
//! does what it is asked before the call that asks returns, so nothing here waits for anything but
//! the kernel's own lock. Whatever is wrong with a request comes back as the kernel says it.

pub(crate) mod address;
mod error;
pub(crate) mod link;
pub(crate) mod message;
mod request;
mod socket;

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use std::time::Instant;

use netlink_packet_core::NLM_F_DUMP;

pub(crate) use self::error::NetlinkCause;
use self::message::{Message, Reply, messages};
pub(crate) use self::request::{Request, RequestMessage};
pub(crate) use self::socket::{NetlinkSocket, Received};
use crate::net::{NetError, Operation};

/// Requests that are unanswered at most: the answers to these fit any receive queue.
const WINDOW: usize = 64;

/// How long an answer may take that should be there at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a listing is tried that changes disturb. Each makes others wait.
const TRIES: usize = 4;

/// Whether a request was carried out.
pub(crate) type Outcome = Result<(), NetlinkCause>;

/// A connection to the kernel's routing netlink in the network namespace of the thread that opened
/// it.
///
/// # Blocking
///
/// Each call takes as long as the kernel does: microseconds an address, more while other programs
/// configure the network.
#[derive(Debug)]
pub(crate) struct Rtnetlink {
    socket: NetlinkSocket,
    // Of the last request.
    sequence: u32,
}

impl Rtnetlink {
    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// The operating system's, such as `EMFILE`.
    pub(crate) fn open() -> Result<Self, NetError> {
        let socket = NetlinkSocket::open(&[])
            .map_err(|error| NetError::new(Operation::OpenNetlinkSocket, "", error))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// How many were sent, listings among them.
    #[cfg(test)]
    pub(crate) const fn requests_sent(&self) -> u32 {
        self.sequence
    }

    /// Carries out requests in their order, each whatever becomes of the others; one outcome each.
    pub(crate) fn execute(&mut self, requests: &[Request]) -> Vec<Outcome> {
        let mut outcomes = vec![Err(NetlinkCause::Unknown); requests.len()];
        let windows = requests.chunks(WINDOW).zip(outcomes.chunks_mut(WINDOW));
        for (requests, outcomes) in windows {
            self.execute_window(requests, outcomes);
        }
        self.socket.rest();
        outcomes
    }

    fn execute_window(&mut self, requests: &[Request], outcomes: &mut [Outcome]) {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            request.emit(self.sequence, &mut datagram);
        }
        if let Err(error) = self.socket.send(&datagram) {
            outcomes.fill(Err(error.into()));
            return;
        }
        let mut missing = requests.len();
        // Those whose answer is lost stay unknown.
        let _ = self.read_until(|message| {
            let place = usize::try_from(message.sequence.wrapping_sub(first));
            let outcome = place.ok().and_then(|place| outcomes.get_mut(place));
            match (outcome, message.reply()) {
                (Some(outcome), Reply::Done) => *outcome = Ok(()),
                (Some(outcome), Reply::Failed(cause)) => *outcome = Err(cause),
                _ => return false,
            }
            missing = missing.saturating_sub(1);
            missing == 0
        });
    }

    /// Lists what there is of something: the kind and the payload of each entry, read by `decode`.
    ///
    /// It is repeated when a change disturbed it, so that what it gives was there all at once. Where
    /// changes never end it is what was seen in one of the tries: what was there all the time is among
    /// it, what came or went meanwhile may be, too, and entries are there several times.
    pub(crate) fn list<T>(
        &mut self,
        operation: Operation,
        what: &RequestMessage,
        decode: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, NetError> {
        let mut all = Vec::new();
        for _ in 0..TRIES {
            let mut entries = Vec::new();
            let listed = self.list_once(what, |message| {
                entries.extend(decode(message.kind, message.payload));
            });
            self.socket.rest();
            match listed {
                Ok(true) => return Ok(entries),
                Ok(false) => all.append(&mut entries),
                Err(cause) => return Err(cause.of(operation, "")),
            }
        }
        Ok(all)
    }

    /// `false` if it was disturbed.
    fn list_once(
        &mut self,
        what: &RequestMessage,
        mut entry: impl FnMut(&Message<'_>),
    ) -> Result<bool, NetlinkCause> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let mut datagram = Vec::new();
        Request::new(what, NLM_F_DUMP).emit(sequence, &mut datagram);
        self.socket.send(&datagram)?;
        let mut is_whole = true;
        let mut end = Ok(());
        let is_complete = self.read_until(|message| {
            if message.sequence != sequence {
                return false;
            }
            is_whole &= !message.is_interrupted();
            match message.reply() {
                Reply::Data => entry(message),
                Reply::Noise => {}
                Reply::Done => return true,
                Reply::Failed(cause) => {
                    end = Err(cause);
                    return true;
                }
            }
            false
        })?;
        end?;
        Ok(is_whole && is_complete)
    }

    /// Reads messages until one is the last; `false` if something was lost on the way.
    fn read_until(
        &mut self,
        mut is_last: impl FnMut(&Message<'_>) -> bool,
    ) -> Result<bool, NetlinkCause> {
        let start = Instant::now();
        let mut has_lost = false;
        loop {
            match self.socket.receive()? {
                Received::Datagram(length) => {
                    for message in messages(self.socket.datagram(length)) {
                        if is_last(&message?) {
                            return Ok(true);
                        }
                    }
                }
                // What fitted into the queue is still there.
                Received::Overrun => has_lost = true,
                Received::Nothing if has_lost => return Ok(false),
                Received::Nothing => {
                    let left = PATIENCE.saturating_sub(start.elapsed());
                    if left.is_zero() || !self.socket.wait(left)? {
                        return Err(NetlinkCause::Unknown);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};
    use nix::errno::Errno;

    use super::*;
    use crate::address::InterfaceIndex;

    /// Requests that nobody grants: to remove addresses of an interface that is not there.
    fn requests(count: u32) -> Vec<Request> {
        let interface = InterfaceIndex::new(0x7fff_ffff);
        let message = |n| {
            let address = IpAddr::V4(Ipv4Addr::from(n));
            RequestMessage::DelAddress(address::message(interface, address, 32))
        };
        (1..=count).map(|n| Request::new(&message(n), 0)).collect()
    }

    fn is_refused(outcome: &Outcome) -> bool {
        // Without root the first, with it the second.
        let expected = [Errno::EPERM, Errno::ENODEV];
        outcome
            .as_ref()
            .is_err_and(|cause| expected.iter().any(|errno| cause.is(*errno)))
    }

    #[test]
    fn each_request_of_many_has_an_outcome() {
        let mut netlink = Rtnetlink::open().unwrap();
        let outcomes = netlink.execute(&requests(1000));
        assert_eq!(outcomes.len(), 1000);
        assert!(outcomes.iter().all(is_refused));
        assert!(netlink.execute(&[]).is_empty());
    }

    #[test]
    fn answers_that_are_lost_leave_outcomes_unknown_and_later_ones_right() {
        let mut netlink = Rtnetlink::open().unwrap();
        netlink.socket.set_receive_buffer(1).unwrap();
        let outcomes = netlink.execute(&requests(64));
        let unknown = outcomes
            .iter()
            .filter(|outcome| **outcome == Err(NetlinkCause::Unknown))
            .count();
        let refused = outcomes
            .iter()
            .filter(|outcome| is_refused(outcome))
            .count();
        assert_eq!(unknown + refused, 64);
        assert!(unknown > 0 && refused > 0, "{unknown} {refused}");
        netlink.socket.set_receive_buffer(1 << 17).unwrap();
        assert!(netlink.execute(&requests(64)).iter().all(is_refused));
        // A listing comes in whole.
        let links = netlink.links().unwrap();
        assert!(links.iter().any(|link| link.name.as_deref() == Some("lo")));
    }
}

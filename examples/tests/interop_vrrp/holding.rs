//! Who holds a virtual address, and for how long both do or nobody does.
//!
//! One netlink socket in the namespace of the switch hears of the addresses and links of both
//! routers, so that the order of what it hears is the order of what happened: the kernel changes
//! addresses one at a time. When it happened is read from the clock when the socket is read, some
//! 0.1 ms later, and more on a busy machine.
//!
//! A router holds an address when it has it on an interface that is up and has a carrier: FRR leaves
//! it on a device that is down.

use core::fmt;
use core::mem::size_of;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage as Route;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::LinkFlags;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::time::{ClockId, clock_gettime};

use crate::host::{Host, PATIENCE};
use crate::lab::Side;
use crate::stall::be_prompt;

/// Multicast groups of rtnetlink(7): links, IPv4 addresses, IPv6 addresses.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// How often the watcher looks whether it should end.
const TICK: u16 = 100;

/// Time since boot.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap().into()
}

/// The number that the switch's namespace gives to a router's.
pub(crate) const fn namespace_id(side: Side) -> i32 {
    match side {
        Side::Us => 1,
        Side::Peer => 2,
    }
}

/// One change of who holds the address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) at: Duration,
    pub(crate) side: Side,
    pub(crate) holds: bool,
}

/// The watcher of one address.
#[derive(Debug)]
pub(crate) struct Holding {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    changes: Mutex<Vec<Change>>,
    changed: Condvar,
    ends: AtomicBool,
}

impl Holding {
    /// Watches this address; `switch` knows the namespaces of both routers by their numbers.
    pub(crate) fn watch(switch: &Host, address: IpAddr) -> Self {
        let socket = switch.enter(|| {
            let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
            socket.set_rx_buf_sz(1_u32 << 20).unwrap();
            socket.set_listen_all_namespaces(true).unwrap();
            socket.bind(&SocketAddr::new(0, GROUPS)).unwrap();
            socket
        });
        let shared = Arc::new(Shared {
            changes: Mutex::default(),
            changed: Condvar::new(),
            ends: AtomicBool::new(false),
        });
        let mut view = View::new(address);
        let others = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            be_prompt();
            while !others.ends.load(Ordering::Relaxed) {
                let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                if poll(&mut ready, PollTimeout::from(TICK)).unwrap() == 0 {
                    continue;
                }
                let new = receive(&socket, &mut view);
                if !new.is_empty() {
                    others.changes.lock().unwrap().extend(new);
                    others.changed.notify_all();
                }
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Who holds it now.
    pub(crate) fn holders(&self) -> BTreeSet<Side> {
        holders(&self.shared.changes.lock().unwrap())
    }

    /// Waits until exactly these hold it, and says since when.
    pub(crate) fn wait(&self, wanted: &[Side]) -> Duration {
        let deadline = Instant::now() + PATIENCE;
        let wanted: BTreeSet<_> = wanted.iter().copied().collect();
        let mut changes = self.shared.changes.lock().unwrap();
        while holders(&changes) != wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not held by {wanted:?}: {changes:#?}");
            changes = self.shared.changed.wait_timeout(changes, left).unwrap().0;
        }
        changes.last().map_or(Duration::ZERO, |change| change.at)
    }

    /// Waits until this one holds it, whoever else does, and says since when; what was before
    /// `from` does not count.
    pub(crate) fn first(&self, side: Side, from: Duration) -> Duration {
        self.change(side, from, true)
    }

    /// The same of when it has given it up.
    pub(crate) fn given_up(&self, side: Side, from: Duration) -> Duration {
        self.change(side, from, false)
    }

    fn change(&self, side: Side, from: Duration, holds: bool) -> Duration {
        let deadline = Instant::now() + PATIENCE;
        let mut changes = self.shared.changes.lock().unwrap();
        loop {
            let mut after = changes.iter().filter(|change| change.at >= from);
            if let Some(found) = after.find(|change| change.side == side && change.holds == holds) {
                return found.at;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{side:?} {holds}: {changes:#?}");
            changes = self.shared.changed.wait_timeout(changes, left).unwrap().0;
        }
    }

    /// What happened from then until now.
    pub(crate) fn report(&self, from: Duration) -> Report {
        Report::new(&self.shared.changes.lock().unwrap(), from, now())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the watcher of the address failed");
        }
    }
}

fn holders(changes: &[Change]) -> BTreeSet<Side> {
    let mut holders = BTreeSet::new();
    for change in changes {
        if change.holds {
            holders.insert(change.side);
        } else {
            holders.remove(&change.side);
        }
    }
    holders
}

/// Reads one datagram. Everything in it happened just now.
fn receive(socket: &Socket, view: &mut View) -> Vec<Change> {
    let mut buffer = [0; 16 << 10];
    let mut ancillary = nix::cmsg_space!([u8; 4 * size_of::<i32>()]);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    // An overrun is an error here: then the record would have holes.
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut ancillary), flags).unwrap();
    let length = message.bytes;
    let namespace = message.cmsgs().unwrap().find_map(|cmsg| match cmsg {
        ControlMessageOwned::Unknown(cmsg) => {
            Some(i32::from_ne_bytes(*cmsg.data_bytes.first_chunk()?))
        }
        _ => None,
    });
    let sides = [Side::Us, Side::Peer];
    let Some(side) = sides
        .into_iter()
        .find(|side| Some(namespace_id(*side)) == namespace)
    else {
        return Vec::new();
    };
    let at = now();
    let mut changes = Vec::new();
    let mut rest = &buffer[..length];
    while !rest.is_empty() {
        let message = NetlinkMessage::<Route>::deserialize(rest).unwrap();
        let length = usize::try_from(message.header.length).unwrap();
        if let NetlinkPayload::InnerMessage(message) = message.payload
            && let Some(holds) = view.change(side, &message)
        {
            changes.push(Change { at, side, holds });
        }
        // Messages start at multiples of four bytes.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    changes
}

/// The links of both routers, and which of them have the address.
#[derive(Debug)]
struct View {
    address: IpAddr,
    carriers: BTreeMap<(Side, u32), bool>,
    places: BTreeSet<(Side, u32)>,
}

impl View {
    const fn new(address: IpAddr) -> Self {
        Self {
            address,
            carriers: BTreeMap::new(),
            places: BTreeSet::new(),
        }
    }

    /// Whether the router holds the address now, if this message changes that.
    fn change(&mut self, side: Side, message: &Route) -> Option<bool> {
        let before = self.holds(side);
        match message {
            Route::NewLink(link) => {
                let carrier = LinkFlags::Up | LinkFlags::LowerUp;
                let is_up = link.header.flags.contains(carrier);
                self.carriers.insert((side, link.header.index), is_up);
            }
            Route::DelLink(link) => {
                self.carriers.remove(&(side, link.header.index));
                self.places.remove(&(side, link.header.index));
            }
            Route::NewAddress(address) if self.is_watched(&address.attributes) => {
                self.places.insert((side, address.header.index));
            }
            Route::DelAddress(address) if self.is_watched(&address.attributes) => {
                self.places.remove(&(side, address.header.index));
            }
            _ => {}
        }
        let after = self.holds(side);
        (before != after).then_some(after)
    }

    fn is_watched(&self, attributes: &[AddressAttribute]) -> bool {
        attributes.iter().any(|attribute| match attribute {
            AddressAttribute::Local(address) | AddressAttribute::Address(address) => {
                *address == self.address
            }
            _ => false,
        })
    }

    fn holds(&self, side: Side) -> bool {
        self.places
            .iter()
            .any(|place| place.0 == side && self.carriers.get(place) == Some(&true))
    }
}

/// For how long whom an address belonged to.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Both held it, this often.
    pub(crate) overlaps: usize,
    /// Both held it, all in all.
    pub(crate) overlap: Duration,
    /// Nobody held it, between times that somebody did.
    pub(crate) gap: Duration,
}

impl Report {
    fn new(changes: &[Change], from: Duration, to: Duration) -> Self {
        let mut report = Self {
            overlaps: 0,
            overlap: Duration::ZERO,
            gap: Duration::ZERO,
        };
        let mut was_held = false;
        for (place, change) in changes.iter().enumerate() {
            let holders = holders(&changes[..=place]);
            let begin = change.at.max(from);
            let next = changes.get(place + 1);
            let end = next.map_or(to, |next| next.at).max(from);
            let length = end.saturating_sub(begin);
            match holders.len() {
                0 if was_held && next.is_some() => report.gap += length,
                2 if end > from || change.at >= from => {
                    report.overlaps += 1;
                    report.overlap += length;
                }
                _ => {}
            }
            was_held |= !holders.is_empty();
        }
        report
    }
}

impl Report {
    /// Nobody held it together with another: outside of faults nobody may.
    pub(crate) fn is_clean(&self) {
        assert_eq!(self.overlaps, 0, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            overlaps,
            overlap,
            gap,
        } = self;
        write!(
            f,
            "held by both {overlaps} times, {overlap:?}; by nobody {gap:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(all: &[(u64, Side, bool)]) -> Vec<Change> {
        let change = |&(ms, side, holds)| Change {
            at: Duration::from_millis(ms),
            side,
            holds,
        };
        all.iter().map(change).collect()
    }

    #[test]
    fn times_of_both_and_of_nobody_are_told_apart() {
        use Side::{Peer, Us};
        let ms = Duration::from_millis;
        let all = changes(&[
            (10, Us, true),
            (20, Peer, true),
            (25, Us, false),
            (40, Peer, false),
            (47, Us, true),
            // At the same time, but first the one and then the other.
            (50, Peer, true),
            (50, Peer, false),
        ]);
        let report = Report::new(&all, ms(0), ms(60));
        assert_eq!(
            (report.overlaps, report.overlap, report.gap),
            (2, ms(5), ms(7))
        );
        let later = Report::new(&all, ms(22), ms(60));
        assert_eq!(
            (later.overlaps, later.overlap, later.gap),
            (2, ms(3), ms(7))
        );
        let last = Report::new(&all, ms(51), ms(60));
        assert_eq!((last.overlaps, last.overlap, last.gap), (0, ms(0), ms(0)));
    }
}

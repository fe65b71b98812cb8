//! Which hosts hold an address, and for how long two do.
//!
//! One netlink socket hears of the addresses of all hosts, so that the order of what it hears is the
//! order of what happened: the kernel changes addresses one at a time. When it happened is read from
//! the clock when the socket is read, at once if the machine lets it.

#![expect(clippy::print_stdout, reason = "what was measured is printed")]

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{self, Command};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use lvs_vrrp::net::clock;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

use super::Host;
use super::stall::{Meter, Probe, Stall, Times, be_prompt};

/// Multicast groups of rtnetlink(7): links, IPv4 addresses, IPv6 addresses.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Room for what others change meanwhile.
const RECEIVE_BUFFER: usize = 64 << 20;
/// How often the watcher looks at what threads do, and whether it should end.
const TICK: u16 = 100;

const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// From when to when, as far as it ended.
pub(crate) type Span = (Duration, Option<Duration>);

/// Two hosts held an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overlap {
    pub(crate) address: IpAddr,
    pub(crate) from: Duration,
    pub(crate) to: Option<Duration>,
    /// What held up who should have removed it.
    pub(crate) stall: Stall,
}

impl Overlap {
    fn length(&self) -> Duration {
        let to = self.to.unwrap_or_else(clock::now);
        to.saturating_sub(self.from)
    }

    /// It was no longer than who should have removed the address was held up: outside of faults nothing
    /// else excuses it.
    pub(crate) fn is_excused(&self) {
        let is_over = self.to.is_some();
        let is_excused = is_over && self.length() <= self.stall.sum();
        assert!(is_excused, "held by both: {self}");
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, length) = (self.address, self.length());
        write!(f, "{address} for {length:?}")?;
        match self.to {
            Some(_) => write!(f, " ({})", self.stall),
            None => f.write_str(" and still"),
        }
    }
}

/// Watches the addresses of hosts. When it is dropped it prints for how long two of them held one, and
/// unless somebody has asked for that, nobody may have, but where the machine held them up.
#[derive(Debug)]
pub(crate) struct Holding {
    shared: Arc<Shared>,
    observer: String,
    thread: Option<JoinHandle<()>>,
    is_expected: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    is_over: AtomicBool,
}

#[derive(Debug)]
struct State {
    socket: Socket,
    buffer: Vec<u8>,
    probe: Arc<Probe>,
    /// The numbers of hosts, by their names.
    hosts: Vec<String>,
    /// On which interfaces of which hosts an address is.
    places: BTreeMap<IpAddr, BTreeSet<(usize, u32)>>,
    spans: BTreeMap<(IpAddr, usize), Vec<Span>>,
    overlaps: Vec<Overlap>,
    meters: BTreeMap<IpAddr, Meter>,
    has_holes: bool,
    /// What threads had waited and run a moment ago, and when that was.
    latest: (Duration, Times),
}

impl Holding {
    /// Watches from inside of this host.
    pub(crate) fn new(observer: &Host) -> Self {
        let (socket, probe) = observer.enter(|| {
            let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).unwrap();
            socket.set_listen_all_namespaces(true).unwrap();
            socket.bind(&SocketAddr::new(0, GROUPS)).unwrap();
            (socket, Probe::open())
        });
        let descriptor = socket.as_fd().try_clone_to_owned().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                socket,
                buffer: vec![0; 32 << 10],
                probe,
                hosts: Vec::new(),
                places: BTreeMap::new(),
                spans: BTreeMap::new(),
                overlaps: Vec::new(),
                meters: BTreeMap::new(),
                has_holes: false,
                latest: (clock::now(), Times::of_all(&[process::id()])),
            }),
            is_over: AtomicBool::new(false),
        });
        let others = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            be_prompt();
            while !others.is_over.load(Ordering::Relaxed) {
                let mut ready = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
                poll(&mut ready, PollTimeout::from(TICK)).unwrap();
                let mut state = others.state.lock().unwrap();
                state.read();
                state.look();
            }
        });
        Self {
            shared,
            observer: observer.name().into(),
            thread: Some(thread),
            is_expected: AtomicBool::new(false),
        }
    }

    /// Watches this host too, from now on.
    pub(crate) fn add(&self, host: &Host) {
        let mut state = self.shared.state.lock().unwrap();
        if state.number(host).is_some() {
            return;
        }
        let number = state.hosts.len();
        state.hosts.push(host.name().into());
        let (name, observer) = (host.name(), &self.observer);
        let mut command = Command::new("ip");
        command.args(["-n", observer, "netns", "set", name, &number.to_string()]);
        super::run(&mut command, "");
    }

    /// Looks at what holds up routers from now on.
    pub(crate) fn meter(&self) -> Meter {
        meter(&self.shared.state.lock().unwrap().probe)
    }

    /// When a host held an address, until now.
    pub(crate) fn spans(&self, host: &Host, address: &str) -> Vec<Span> {
        let address = address.parse().unwrap();
        let mut state = self.shared.state.lock().unwrap();
        state.read();
        let number = state.number(host).unwrap();
        let spans = state.spans.get(&(address, number));
        spans.cloned().unwrap_or_default()
    }

    /// When two held any address until now; what to make of it is for who asks.
    pub(crate) fn overlaps(&self) -> Vec<Overlap> {
        self.is_expected.store(true, Ordering::Relaxed);
        let mut state = self.shared.state.lock().unwrap();
        state.read();
        assert!(!state.has_holes, "changes of addresses were lost");
        state.overlaps.clone()
    }

    /// For how long two held any address since then, all in all.
    pub(crate) fn overlap_since(&self, from: Duration) -> Duration {
        let overlaps = self.overlaps().into_iter();
        let since = overlaps.map(|overlap| {
            let to = overlap.to.unwrap_or_else(clock::now);
            to.saturating_sub(overlap.from.max(from))
        });
        since.sum()
    }

    /// Nobody may have held what another held until now, but where the machine held them up.
    pub(crate) fn is_clean(&self) {
        for overlap in self.overlaps() {
            overlap.is_excused();
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if thread::panicking() {
            return;
        }
        let is_expected = self.is_expected.load(Ordering::Relaxed);
        let overlaps = self.overlaps();
        let sum: Duration = overlaps.iter().map(Overlap::length).sum();
        println!("held by both {} times, {sum:?}", overlaps.len());
        for overlap in &overlaps {
            println!("held by both: {overlap}");
        }
        if !is_expected {
            self.is_clean();
        }
    }
}

impl State {
    fn number(&self, host: &Host) -> Option<usize> {
        self.hosts.iter().position(|name| name == host.name())
    }

    /// Reads what threads have waited and run, if that was not done just now.
    fn look(&mut self) {
        if clock::now() - self.latest.0 >= Duration::from_millis(u64::from(TICK)) {
            self.latest = (clock::now(), Times::of_all(&[process::id()]));
        }
    }

    /// Reads all there is. It happened just now.
    fn read(&mut self) {
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut ancillary = nix::cmsg_space!([u8; 16]);
        loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let descriptor = self.socket.as_raw_fd();
            let received = recvmsg::<()>(descriptor, &mut parts, Some(&mut ancillary), flags);
            let message = match received {
                Ok(message) => message,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOBUFS) => {
                    self.has_holes = true;
                    continue;
                }
                Err(errno) => panic!("{errno}"),
            };
            let length = message.bytes;
            let number = message.cmsgs().unwrap().find_map(|cmsg| match cmsg {
                ControlMessageOwned::Unknown(cmsg) => {
                    Some(i32::from_ne_bytes(*cmsg.data_bytes.first_chunk()?))
                }
                _ => None,
            });
            // Without a number it is the observer's own.
            if let Some(host) = number.and_then(|number| usize::try_from(number).ok()) {
                self.take(host, buffer.get(..length).unwrap());
            }
        }
        self.buffer = buffer;
    }

    /// Reads messages: netlink(7), rtnetlink(7).
    fn take(&mut self, host: usize, mut datagram: &[u8]) {
        while let Some((header, rest)) = datagram.split_first_chunk::<16>() {
            let [a, b, c, d, kind, more, ..] = *header;
            let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).unwrap();
            let message = rest.get(..length - header.len()).unwrap();
            let kind = u16::from_ne_bytes([kind, more]);
            // Of an address the family, three other things, and the index; of a link the index there, too.
            let ([family, _, _, _, index @ ..], rest) = message.split_first_chunk::<8>().unwrap();
            let place = (host, u32::from_ne_bytes(*index));
            match kind {
                RTM_NEWADDR | RTM_DELADDR => {
                    if let Some(address) = address(*family, rest) {
                        self.change(address, place, kind == RTM_NEWADDR);
                    }
                }
                RTM_DELLINK => {
                    let there = self.places.iter();
                    let there = there.filter(|(_, places)| places.contains(&place));
                    let gone: Vec<_> = there.map(|(address, _)| *address).collect();
                    for address in gone {
                        self.change(address, place, false);
                    }
                }
                _ => {}
            }
            // Messages start at multiples of four bytes.
            datagram = datagram
                .get(length.next_multiple_of(4)..)
                .unwrap_or_default();
        }
    }

    fn change(&mut self, address: IpAddr, place: (usize, u32), is_there: bool) {
        let (now, host) = (clock::now(), place.0);
        let places = self.places.entry(address).or_default();
        let holders = |places: &BTreeSet<(usize, u32)>| -> BTreeSet<usize> {
            places.iter().map(|place| place.0).collect()
        };
        let before = holders(places);
        if is_there {
            places.insert(place);
        } else {
            places.remove(&place);
        }
        let after = holders(places);
        let spans = self.spans.entry((address, host)).or_default();
        match (before.contains(&host), after.contains(&host)) {
            (false, true) => spans.push((now, None)),
            (true, false) => spans.last_mut().unwrap().1 = Some(now),
            _ => {}
        }
        if before.len() < 2 && after.len() == 2 {
            self.overlaps.push(Overlap {
                address,
                from: now,
                to: None,
                stall: Stall::default(),
            });
            // Who is held up may have been so before.
            let meter = Meter::since(self.latest.1.clone(), [process::id()].into(), &self.probe);
            self.meters.insert(address, meter);
        } else if before.len() == 2 && after.len() < 2 {
            let mut open = self.overlaps.iter_mut();
            let open = open.rfind(|overlap| overlap.address == address).unwrap();
            open.to = Some(now);
            open.stall = self.meters.remove(&address).unwrap().end();
        }
    }
}

/// For this process and all that it has started.
fn meter(probe: &Arc<Probe>) -> Meter {
    Meter::of([process::id()].into(), probe)
}

/// The address that a message is about; those of `lo` everybody has.
fn address(family: u8, mut attributes: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    while let Some((header, _)) = attributes.split_first_chunk::<4>() {
        let [a, b, c, d] = *header;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let kind = u16::from_ne_bytes([c, d]);
        let value = attributes.get(4..length)?;
        // The local one counts where the other is that of the far end.
        if kind == IFA_LOCAL || kind == IFA_ADDRESS && found.is_none() {
            found = match family {
                2 => Some(Ipv4Addr::from(*value.first_chunk()?).into()),
                _ => Some(Ipv6Addr::from(*value.first_chunk()?).into()),
            };
        }
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found.filter(|address: &IpAddr| !address.is_loopback())
}

/// For how long both held it.
pub(crate) fn overlap(one: &[Span], other: &[Span]) -> Duration {
    let mut sum = Duration::ZERO;
    for (from, to) in one {
        for (other_from, other_to) in other {
            let start = *from.max(other_from);
            let end = to
                .unwrap_or(Duration::MAX)
                .min(other_to.unwrap_or(Duration::MAX));
            if end != Duration::MAX {
                sum += end.saturating_sub(start);
            }
        }
    }
    sum
}

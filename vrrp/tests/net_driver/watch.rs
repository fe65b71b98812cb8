//! When a host held an address.

use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lvs_vrrp::net::clock;
use lvs_vrrp::net::links::{LinkMonitor, LinkTable};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::network::Host;

/// From when to when, as far as it ended.
pub(crate) type Span = (Duration, Option<Duration>);

/// Watches an address of a host.
#[derive(Debug)]
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Span>>>,
}

fn holds(links: &LinkTable, address: IpAddr) -> bool {
    let mut addresses = links.iter().flat_map(|link| &link.addresses);
    addresses.any(|there| there.address == address)
}

impl Watch {
    pub(crate) fn new(host: &Host, address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let mut monitor = host.enter(|| LinkMonitor::open().unwrap());
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut spans: Vec<Span> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let is_there = holds(monitor.links(), address);
                let open = spans.last_mut().filter(|span| span.1.is_none());
                match (open, is_there) {
                    (None, true) => spans.push((clock::now(), None)),
                    (Some(span), false) => span.1 = Some(clock::now()),
                    _ => {}
                }
                let mut descriptors = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
                poll(&mut descriptors, PollTimeout::from(20_u8)).unwrap();
                monitor.read().unwrap();
            }
            spans
        });
        Self {
            is_over,
            thread: Some(thread),
        }
    }

    /// When it was there.
    pub(crate) fn end(mut self) -> Vec<Span> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
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

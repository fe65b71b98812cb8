//! What a driver waits for: descriptors, a deadline, and being woken.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::net::{NetError, Operation};
use crate::timer::Timestamp;

/// So many descriptors are told of with one call at first; where more are ready, there is room for
/// more from then on.
const AT_ONCE: usize = 64;

/// Which descriptor is ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ready {
    /// The deadline has come.
    Timer,
    /// Somebody has left something.
    Woken,
    /// Links or addresses have changed.
    Links,
    /// The receiver of this number has packets.
    Receiver(u64),
}

impl Ready {
    const fn pack(self) -> u64 {
        match self {
            Self::Timer => 0,
            Self::Woken => 1,
            Self::Links => 2,
            Self::Receiver(number) => number.saturating_add(3),
        }
    }

    const fn unpack(data: u64) -> Self {
        match data {
            0 => Self::Timer,
            1 => Self::Woken,
            2 => Self::Links,
            more => Self::Receiver(more.saturating_sub(3)),
        }
    }
}

/// An epoll instance with a timer of `CLOCK_BOOTTIME` and an event counter: epoll(7),
/// timerfd_create(2), eventfd(2).
#[derive(Debug)]
pub(super) struct Waiting {
    epoll: Arc<Epoll>,
    timer: TimerFd,
    /// The deadline the timer is set to.
    deadline: Option<Timestamp>,
    has_fired: bool,
    wake: Arc<EventFd>,
    events: Vec<EpollEvent>,
}

impl Waiting {
    pub(super) fn new() -> Result<Self, NetError> {
        Self::open().map_err(failed)
    }

    fn open() -> Result<Self, Errno> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let wake = Arc::new(EventFd::from_flags(flags)?);
        epoll.add(&timer, event(Ready::Timer))?;
        epoll.add(&*wake, event(Ready::Woken))?;
        Ok(Self {
            epoll,
            timer,
            deadline: None,
            has_fired: false,
            wake,
            events: vec![EpollEvent::empty(); AT_ONCE],
        })
    }

    /// Wakes whoever waits.
    pub(super) fn waker(&self) -> Arc<EventFd> {
        Arc::clone(&self.wake)
    }

    /// What can be watched itself: ready when [`wait`](Self::wait) would not wait.
    #[cfg(feature = "tokio")]
    pub(super) fn epoll(&self) -> Arc<Epoll> {
        Arc::clone(&self.epoll)
    }

    pub(super) fn add(&self, descriptor: &impl AsFd, ready: Ready) -> Result<(), NetError> {
        self.epoll.add(descriptor, event(ready)).map_err(failed)
    }

    /// Sets the deadline; it costs nothing if it is the same as before.
    pub(super) fn set_deadline(&mut self, deadline: Option<Timestamp>) -> Result<(), NetError> {
        if self.deadline == deadline && !self.has_fired {
            return Ok(());
        }
        (self.deadline, self.has_fired) = (deadline, false);
        match deadline {
            Some(at) => {
                // Zero would switch it off.
                let at = TimeSpec::from(at.max(Duration::from_nanos(1)));
                self.timer.set(
                    Expiration::OneShot(at),
                    TimerSetTimeFlags::TFD_TIMER_ABSTIME,
                )
            }
            None => self.timer.unset(),
        }
        .map_err(failed)
    }

    /// Waits until something is ready, but no longer than this (`None`: for ever), and says what: all
    /// of it, or time would pass for routers whose packets have not been looked at.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> Result<(), NetError> {
        self.find(timeout, ready)?;
        for ready in &*ready {
            match ready {
                // Whatever is set next ends its being ready.
                Ready::Timer => self.has_fired = true,
                Ready::Woken => drop(self.wake.read()),
                Ready::Links | Ready::Receiver(_) => {}
            }
        }
        Ok(())
    }

    /// The receivers that have packets now. What else is ready stays so.
    pub(super) fn find_receivers(&mut self, ready: &mut Vec<Ready>) -> Result<(), NetError> {
        self.find(Some(Duration::ZERO), ready)?;
        ready.retain(|ready| matches!(ready, Ready::Receiver(_)));
        Ok(())
    }

    fn find(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<(), NetError> {
        ready.clear();
        let mut timeout = timeout.map_or(EpollTimeout::NONE, |timeout| {
            // Rounded up, or it would spin through the last millisecond.
            let timeout = timeout.saturating_add(Duration::from_nanos(999_999));
            EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::MAX)
        });
        loop {
            let room = self.events.len();
            let count = match self.epoll.wait(&mut self.events, timeout) {
                Ok(count) => count,
                // A signal, or the end of a stop: what came in meanwhile is ready, and is not told.
                Err(Errno::EINTR) => {
                    timeout = EpollTimeout::ZERO;
                    continue;
                }
                Err(errno) => return Err(failed(errno)),
            };
            if count < room {
                let found = self.events.iter().take(count);
                ready.extend(found.map(|event| Ready::unpack(event.data())));
                return Ok(());
            }
            // There may be more. What is ready is told again.
            let room = room.saturating_mul(2);
            self.events.resize(room, EpollEvent::empty());
            timeout = EpollTimeout::ZERO;
        }
    }
}

fn event(ready: Ready) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN, ready.pack())
}

fn failed(errno: Errno) -> NetError {
    NetError::new(Operation::Wait, "", errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_are_ready_all_are_told() {
        let mut waiting = Waiting::new().unwrap();
        let mut counters = Vec::new();
        for number in 0..300 {
            let counter = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
            counter.write(1).unwrap();
            waiting.add(&counter, Ready::Receiver(number)).unwrap();
            counters.push(counter);
        }
        let all: Vec<_> = (0..300).map(Ready::Receiver).collect();
        let told = |ready: &[Ready]| {
            let all = all.iter().filter(|one| ready.contains(one));
            (ready.len(), all.count())
        };
        let mut ready = Vec::new();
        waiting.wait(None, &mut ready).unwrap();
        assert_eq!(told(&ready), (300, 300));
        waiting.waker().write(1).unwrap();
        waiting.find_receivers(&mut ready).unwrap();
        assert_eq!(told(&ready), (300, 300));
        // Nobody has taken it away.
        waiting.wait(None, &mut ready).unwrap();
        assert!(ready.contains(&Ready::Woken));
        assert_eq!(told(&ready), (301, 300));
    }
}

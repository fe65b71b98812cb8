//! The thread of the scripts: advertisements never wait for one.

use core::time::Duration;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use lvs_vrrp::net::{Handle, clock};
use lvs_vrrp::node::{Report, RouterId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

use super::{PlannedFile, StartError, Tell, VrrpEvent};
use crate::vrrp::scripts::{ScriptEvent, Scripts};

/// What was killed at the end gets so much time to be gone.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// How often virtual routers that have told nothing yet are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What the thread is told.
enum Order {
    /// The driver reports this.
    Report(Report),
    /// These are about to be removed.
    Removing(Vec<RouterId>),
    /// This is about to be run.
    Expect(Arc<PlannedFile>),
    /// Go on with this.
    Follow(Arc<PlannedFile>),
    /// All are about to be stopped.
    Stopping,
    /// Another process is about to go on with all.
    HandingOver,
    /// Say what is still to be said, and end.
    End,
}

/// Tells the thread of the scripts.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    sender: Sender<Order>,
    wake: Arc<EventFd>,
}

impl core::fmt::Debug for Order {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Order")
    }
}

impl Orders {
    pub(super) fn report(&self, report: &Report) {
        self.tell(Order::Report(*report));
    }

    pub(super) fn removing(&self, routers: Vec<RouterId>) {
        self.tell(Order::Removing(routers));
    }

    pub(super) fn expect(&self, file: &Arc<PlannedFile>) {
        self.tell(Order::Expect(Arc::clone(file)));
    }

    pub(super) fn follow(&self, file: &Arc<PlannedFile>) {
        self.tell(Order::Follow(Arc::clone(file)));
    }

    pub(super) fn stopping(&self) {
        self.tell(Order::Stopping);
    }

    pub(super) fn handing_over(&self) {
        self.tell(Order::HandingOver);
    }

    pub(super) fn end(&self) {
        self.tell(Order::End);
    }

    fn tell(&self, order: Order) {
        // The thread goes only at the end.
        let _ = self.sender.send(order);
        // It fails only when the counter is at its end; then the thread is awake.
        let _ = self.wake.write(1);
    }
}

/// The thread before it runs: what it is told until then is kept.
pub(super) struct Scripting {
    orders: Orders,
    inbox: Receiver<Order>,
}

impl Scripting {
    pub(super) fn new() -> Result<Self, StartError> {
        let wake = super::eventfd()?;
        let (sender, inbox) = mpsc::channel();
        Ok(Self {
            orders: Orders { sender, wake },
            inbox,
        })
    }

    pub(super) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Runs it.
    pub(super) fn start(
        self,
        scripts: Scripts,
        handle: Handle,
        tell: Tell,
    ) -> Result<JoinHandle<()>, StartError> {
        let wake = Arc::clone(&self.orders.wake);
        let mut runner = Runner {
            scripts,
            inbox: self.inbox,
            wake,
            handle,
            tell,
            next_look: Duration::ZERO,
            until: None,
            is_killed: false,
        };
        let thread = thread::Builder::new().name("vrrp-scripts".into());
        let started = thread.spawn(move || runner.run());
        started.map_err(|error| StartError::System("start a thread", error))
    }
}

struct Runner {
    scripts: Scripts,
    inbox: Receiver<Order>,
    wake: Arc<EventFd>,
    handle: Handle,
    tell: Tell,
    /// What virtual routers that have told nothing are is asked then.
    next_look: Duration,
    /// Nothing more comes: then at the latest what still runs is killed.
    until: Option<Duration>,
    is_killed: bool,
}

impl Runner {
    fn run(&mut self) {
        loop {
            self.obey_all();
            let now = clock::now();
            for event in self.scripts.step(now) {
                if let ScriptEvent::Tracker { id, status, .. } = &event {
                    // A driver that has ended follows nothing.
                    let _ = self.handle.set_tracker(*id, *status);
                    self.next_look = now;
                }
                (self.tell)(VrrpEvent::Script(event));
            }
            if let Some(until) = self.until {
                if self.scripts.is_idle() || (self.is_killed && until <= now) {
                    self.scripts.kill();
                    return;
                }
                if until <= now {
                    self.scripts.kill();
                    self.is_killed = true;
                    self.until = Some(now.saturating_add(LAST_WAIT));
                }
            }
            self.look(now);
            self.wait(now);
        }
    }

    fn obey_all(&mut self) {
        while let Ok(order) = self.inbox.try_recv() {
            self.obey(order);
        }
    }

    /// Looks at virtual routers that have told nothing yet.
    fn look(&mut self, now: Duration) {
        if !self.scripts.wants_snapshot() || self.next_look > now {
            return;
        }
        self.next_look = now.saturating_add(LOOK);
        // A driver that has ended has told of all.
        if let Ok(snapshot) = self.handle.snapshot() {
            // What it reported before is known first.
            self.obey_all();
            self.scripts.begin(&snapshot);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Report(report) => self.scripts.report(&report),
            Order::Removing(routers) => self.scripts.expect_removal(routers),
            Order::Expect(file) => self.scripts.expect(&file.plan, &file.config),
            Order::Follow(file) => {
                // What is wrong was said when it was read.
                let _ = self.scripts.follow(&file.plan, &file.config);
            }
            Order::Stopping => self.scripts.expect_stop(),
            Order::HandingOver => self.scripts.expect_hand_over(),
            Order::End => self.until = Some(clock::now().saturating_add(self.scripts.wait())),
        }
    }

    fn wait(&self, now: Duration) {
        let look = self.scripts.wants_snapshot().then_some(self.next_look);
        let deadlines = [self.scripts.next_deadline(), self.until, look];
        let timeout = deadlines.into_iter().flatten().min().map(|deadline| {
            let left = deadline.saturating_sub(now).as_micros().div_ceil(1_000);
            PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX))
        });
        let polled = self.scripts.descriptors();
        let mut descriptors = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        let polled = polled.into_iter();
        descriptors.extend(polled.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)));
        // Whatever it says, the next look shows what there is to do.
        let _ = poll(&mut descriptors, timeout.unwrap_or(PollTimeout::NONE));
        // It does not block: nothing there is nothing to take.
        let _ = self.wake.read();
    }
}

//! A driver on a thread of this process.

use std::sync::mpsc;
use std::thread::JoinHandle;

use lvs_vrrp::State;
use lvs_vrrp::event::{Notification, ShutdownMode};
use lvs_vrrp::net::{
    Driver, DriverConfig, DriverEvent, DriverEventKind, EventStream, Handle, RouterSnapshot,
};
use lvs_vrrp::node::{HandOver, ReportKind, RouterId};

use crate::network::{Host, PATIENCE};

/// A driver in a namespace.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) handle: Handle,
    events: EventStream,
    thread: JoinHandle<HandOver>,
}

impl Running {
    pub(crate) fn start(host: &Host, config: DriverConfig) -> Self {
        Self::begin(host, move || Driver::new(config).unwrap())
    }

    /// Changes it before it runs.
    pub(crate) fn start_with(
        host: &Host,
        config: DriverConfig,
        change: impl FnOnce(&mut Driver) + Send + 'static,
    ) -> Self {
        Self::begin(host, move || {
            let mut driver = Driver::new(config).unwrap();
            change(&mut driver);
            driver
        })
    }

    pub(crate) fn resume(host: &Host, config: DriverConfig, left: HandOver) -> Self {
        Self::begin(host, move || Driver::resume(config, &left).unwrap())
    }

    pub(crate) fn begin(host: &Host, make: impl FnOnce() -> Driver + Send + 'static) -> Self {
        let (begun, begins) = mpsc::channel();
        let thread = host.spawn(move || {
            let mut driver = make();
            begun.send((driver.handle(), driver.events(1000))).unwrap();
            driver.run().unwrap();
            driver.hand_over()
        });
        let (handle, events) = begins.recv().unwrap();
        Self {
            handle,
            events,
            thread,
        }
    }

    /// Waits for an event.
    pub(crate) fn until(
        &self,
        what: &str,
        is_it: impl Fn(&DriverEventKind) -> bool,
    ) -> DriverEvent {
        let mut seen = Vec::new();
        loop {
            let event = self.events.next_within(PATIENCE);
            let event = event.unwrap_or_else(|| panic!("no {what} in {seen:#?}"));
            if is_it(&event.kind) {
                return event;
            }
            seen.push(event);
        }
    }

    /// Waits until a router has become this.
    pub(crate) fn until_state(&self, router: u32, state: State) -> DriverEvent {
        self.until(&format!("{router} {state}"), |kind| match kind {
            DriverEventKind::Report(report) => match report.kind {
                ReportKind::Router(Notification::Transition(transition)) => {
                    report.subject.router == Some(RouterId::new(router)) && transition.to == state
                }
                _ => false,
            },
            _ => false,
        })
    }

    /// How a router is now.
    pub(crate) fn router(&self, number: u32) -> RouterSnapshot {
        let snapshot = self.handle.snapshot().unwrap();
        let mut routers = snapshot.routers.into_iter();
        routers
            .find(|router| router.id == RouterId::new(number))
            .unwrap()
    }

    /// Stops it, and gives what it leaves.
    pub(crate) fn stop(self, mode: ShutdownMode) -> HandOver {
        self.handle.shutdown(mode).unwrap();
        self.thread.join().unwrap()
    }
}

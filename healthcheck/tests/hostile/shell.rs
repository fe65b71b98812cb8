//! The two ways to run checks, as one.

use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use lvs_healthcheck::timetable::{Limits, Load};
use lvs_healthcheck::{Check, CheckEvent, CheckId, Config, Driver};

/// How long one turn waits at most.
const TURN: Duration = Duration::from_millis(200);

pub(super) trait Shell {
    fn add(&mut self, check: Check) -> CheckId;
    fn remove(&mut self, check: CheckId);
    fn load(&self) -> Load;
    /// Waits for what happens, a moment at most.
    fn turn(&mut self, events: &mut Vec<CheckEvent>);
}

/// A driver that lets everything run at once, and its epoll descriptor.
pub(super) fn driver() -> (Driver, RawFd) {
    let limits = Limits::default()
        .with_max_in_flight(1000)
        .with_max_in_flight_per_host(1000)
        .with_max_processes(50)
        .with_max_threads(50)
        .with_fork_rate(10_000);
    let driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    let epoll = driver.as_fd().as_raw_fd();
    (driver, epoll)
}

impl Shell for Driver {
    fn add(&mut self, check: Check) -> CheckId {
        Self::add(self, check).unwrap()
    }

    fn remove(&mut self, check: CheckId) {
        Self::remove(self, check).unwrap();
    }

    fn load(&self) -> Load {
        Self::load(self)
    }

    fn turn(&mut self, events: &mut Vec<CheckEvent>) {
        self.poll(Some(TURN), events).unwrap();
    }
}

#[cfg(feature = "tokio")]
pub(super) struct OnTokio {
    // Before the runtime that watches it.
    driver: lvs_healthcheck::AsyncDriver,
    runtime: tokio::runtime::Runtime,
}

#[cfg(feature = "tokio")]
impl OnTokio {
    /// On a runtime of this thread only.
    pub(super) fn new(driver: Driver) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let driver = lvs_healthcheck::AsyncDriver::new(driver).unwrap();
        drop(entered);
        Self { driver, runtime }
    }
}

#[cfg(feature = "tokio")]
impl Shell for OnTokio {
    fn add(&mut self, check: Check) -> CheckId {
        self.driver.add(check).unwrap()
    }

    fn remove(&mut self, check: CheckId) {
        self.driver.remove(check).unwrap();
    }

    fn load(&self) -> Load {
        self.driver.load()
    }

    fn turn(&mut self, events: &mut Vec<CheckEvent>) {
        let Self { driver, runtime } = self;
        runtime.block_on(async {
            if let Ok(done) = tokio::time::timeout(TURN, driver.events(events)).await {
                done.unwrap();
            }
        });
    }
}

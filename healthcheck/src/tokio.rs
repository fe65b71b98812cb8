//! The driver on tokio: the same steps, with the waiting left to the runtime (feature `tokio`).

mod watched;

use alloc::collections::VecDeque;
use core::time::Duration;

use ::tokio::io::unix::AsyncFd;
use ::tokio::runtime::Handle;
use ::tokio::task::coop::consume_budget;
use ::tokio::task::yield_now;

use self::watched::Watched;
use crate::Timestamp;
use crate::check::{Check, CheckEvent, CheckId};
use crate::driver::{Driver, Overload};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::policy::{Health, Observation, Policy};
use crate::timetable::Load;

/// After a turn as long as this, other tasks of the thread get theirs.
const LONG: Duration = Duration::from_millis(1);

/// Runs checks on a task of tokio's.
///
/// It is a [`Driver`] for whose descriptor the runtime waits: the same checks give the same
/// reports. Checks make progress only while [`next`](Self::next) or [`events`](Self::events) is
/// being awaited, so what else the same task does delays them, deadlines too.
///
/// Sockets are opened on whatever thread of the runtime does the step. All of them have to be in
/// the same network namespace, unless every target [names its own](crate::Target::with_namespace).
/// As with [`Driver`], starting a command and entering another namespace keep that thread for a
/// moment.
///
/// ```
/// use std::time::Duration;
/// use lvs_healthcheck::policy::{Policy, Spread};
/// use lvs_healthcheck::{AsyncDriver, Check, CheckEvent, Config, Driver, Health, Target, TcpProbe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let probe = TcpProbe::new(Target::new(server.local_addr()?));
/// let policy = Policy::default().with_interval(Duration::from_secs(1)).with_spread(Spread::None);
///
/// let mut driver = AsyncDriver::new(Driver::new(Config::default())?)?;
/// driver.add(Check::new(probe, policy))?;
/// let CheckEvent::Completed(report) = driver.next().await? else { return Ok(()) };
/// println!("{} {}: {}", report.check, report.health, report.outcome);
/// assert_eq!(report.health, Health::Up);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncDriver {
    // Before the driver, so that the runtime forgets the descriptor first.
    watched: AsyncFd<Watched>,
    driver: Driver,
    /// What has happened and nobody has taken.
    events: VecDeque<CheckEvent>,
}

impl AsyncDriver {
    /// Lets the runtime of the caller wait for this driver, which may have checks already.
    ///
    /// # Errors
    ///
    /// The runtime cannot watch one more descriptor.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, and in one without I/O.
    pub fn new(driver: Driver) -> Result<Self, Error> {
        let watched = Watched::register(driver.epoll()).map_err(on_watch)?;
        let mut driver = driver;
        driver.set_runtime(Handle::current());
        Ok(Self {
            watched,
            driver,
            events: VecDeque::new(),
        })
    }

    /// As [`Driver::add`].
    ///
    /// # Errors
    ///
    /// As [`Driver::add`].
    pub fn add(&mut self, check: Check) -> Result<CheckId, Error> {
        self.driver.add(check)
    }

    /// As [`Driver::remove`]; what the check reported and nobody has taken is dropped.
    ///
    /// # Errors
    ///
    /// As [`Driver::remove`].
    pub fn remove(&mut self, check: CheckId) -> Result<(), Error> {
        self.events.retain(|event| {
            let CheckEvent::Completed(report) = event;
            report.check != check
        });
        self.driver.remove(check)
    }

    /// As [`Driver::set_policy`].
    ///
    /// # Errors
    ///
    /// As [`Driver::set_policy`].
    pub fn set_policy(&mut self, check: CheckId, policy: Policy) -> Result<(), Error> {
        self.driver.set_policy(check, policy)
    }

    /// As [`Driver::observe`]; what comes of it is one of the next events.
    ///
    /// # Errors
    ///
    /// As [`Driver::observe`].
    pub fn observe(&mut self, check: CheckId, observation: Observation) -> Result<(), Error> {
        self.driver.observe(check, observation)
    }

    /// As [`Driver::report`]; what comes of it is one of the next events.
    ///
    /// # Errors
    ///
    /// As [`Driver::report`].
    pub fn report(&mut self, check: CheckId, outcome: Outcome) -> Result<(), Error> {
        self.driver.report(check, outcome)
    }

    /// As [`Driver::set_traffic`].
    ///
    /// # Errors
    ///
    /// As [`Driver::set_traffic`].
    pub fn set_traffic(&mut self, check: CheckId, traffic: bool) -> Result<(), Error> {
        self.driver.set_traffic(check, traffic)
    }

    /// As [`Driver::suspend`].
    ///
    /// # Errors
    ///
    /// As [`Driver::suspend`].
    pub fn suspend(&mut self, check: CheckId) -> Result<(), Error> {
        self.driver.suspend(check)
    }

    /// As [`Driver::resume`].
    ///
    /// # Errors
    ///
    /// As [`Driver::resume`].
    pub fn resume(&mut self, check: CheckId) -> Result<(), Error> {
        self.driver.resume(check)
    }

    /// As [`Driver::suspend_all`].
    ///
    /// # Errors
    ///
    /// As [`Driver::suspend_all`].
    pub fn suspend_all(&mut self) -> Result<(), Error> {
        self.driver.suspend_all()
    }

    /// As [`Driver::resume_all`].
    ///
    /// # Errors
    ///
    /// As [`Driver::resume_all`].
    pub fn resume_all(&mut self) -> Result<(), Error> {
        self.driver.resume_all()
    }

    /// As [`Driver::is_suspended`].
    #[must_use]
    pub fn is_suspended(&self, check: CheckId) -> bool {
        self.driver.is_suspended(check)
    }

    /// As [`Driver::next_attempt`].
    #[must_use]
    pub fn next_attempt(&self, check: CheckId) -> Option<Timestamp> {
        self.driver.next_attempt(check)
    }

    /// As [`Driver::overload`].
    pub fn overload(&mut self) -> Option<Overload> {
        self.driver.overload()
    }

    /// A check's health now, after all that has happened, also what nobody has taken yet; `None` if
    /// there is no such check.
    #[must_use]
    pub fn health(&self, check: CheckId) -> Option<Health> {
        self.driver.health(check)
    }

    /// How busy the driver is.
    #[must_use]
    pub fn load(&self) -> Load {
        self.driver.load()
    }

    /// Now, on the clock of all times in events.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.driver.now()
    }

    /// Waits for the next event and takes it.
    ///
    /// # Errors
    ///
    /// The operating system refuses to wait or to set the timer; failing checks are no errors.
    /// Events that had happened come with the next calls.
    ///
    /// # Cancellation
    ///
    /// Dropped it has taken nothing: the event is the next one's. Until then checks stand still.
    pub async fn next(&mut self) -> Result<CheckEvent, Error> {
        loop {
            // A driver that is always busy must not keep the thread from other tasks.
            consume_budget().await;
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.step().await?;
        }
    }

    /// Waits until there is at least one event, and appends all there are, so that a caller can act
    /// on them as one change.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancellation
    ///
    /// Dropped it has taken nothing: the events are the next one's. Until then checks stand still.
    pub async fn events(&mut self, events: &mut Vec<CheckEvent>) -> Result<(), Error> {
        loop {
            consume_budget().await;
            if !self.events.is_empty() {
                events.extend(self.events.drain(..));
                return Ok(());
            }
            self.step().await?;
        }
    }

    /// The driver, to be run otherwise, and the events nobody has taken. Probes that are tasks go on
    /// only where the runtime has threads of its own.
    #[must_use]
    pub fn into_inner(self) -> (Driver, Vec<CheckEvent>) {
        (self.driver, self.events.into())
    }

    /// Waits until something can be done and does it. What comes of it is kept here before anybody
    /// is waited for again, so a caller that goes away loses nothing.
    async fn step(&mut self) -> Result<(), Error> {
        let mut guard = self.watched.readable().await.map_err(on_watch)?;
        let begin = self.driver.now();
        let mut events = Vec::new();
        let polled = self.driver.poll(Some(Duration::ZERO), &mut events);
        self.events.extend(events);
        // The runtime is told only of what becomes ready, so all there is has to be seen before
        // waiting.
        if self.driver.found_nothing() {
            guard.clear_ready();
        }
        if self.driver.now().saturating_sub(begin) > LONG {
            // The budget counts turns, however long they are.
            yield_now().await;
        }
        polled
    }
}

fn on_watch(source: std::io::Error) -> Error {
    Error::io("watching the driver's descriptor", source)
}

//! The director's shell: one loop over checks, kernel and signals, on the caller's thread.

mod happening;
mod look;
mod remote;

use core::time::Duration;
use std::collections::HashMap;
use std::os::fd::AsFd as _;

use lvs_healthcheck::{Check, CheckEvent, CheckId, Driver};
use lvs_ipvs::{
    Client, LedgerFile, Policy, Reconciler, Scope, ServiceKey, Table, Timeouts, Timestamp,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use self::happening::{Happening, RunError, RunStats, Stop};
use self::look::COUNT_INTERVAL;
use self::remote::Inbox;
pub use self::remote::{PoolStatus, Remote, RemoteError, Status};
use crate::director::{Batch, CheckNumber, Director, Role, ServerKey, Shutdown, StandbyTable};
use crate::notify::Notifications;
use crate::setup::Setup;
use crate::signals::{Signal, Signals};

/// Looks at the table in one turn at most: one that changes it, one that finds it in order, and as
/// many again where the first has found something drained.
const LOOKS: u32 = 4;

/// Until timeouts that the kernel has refused are set again.
const TIMEOUTS_INTERVAL: Duration = Duration::from_secs(10);

/// Runs a director: checks through a driver, the table through a client.
///
/// A program that does nothing else needs no other thread: its signals end
/// [`run_until`](Self::run_until), and say why. Others give it [`Signals::none`] and ask it through its
/// [`remote`](Self::remote).
///
/// ```
/// use director::director::Shutdown;
/// use director::keepalived::Config;
/// use director::run::{Happening, Runner, Stop};
/// use director::setup::Setup;
/// use director::signals::Signals;
/// use lvs_healthcheck::Driver;
/// use lvs_ipvs::{Client, MemoryKernel};
///
/// let read = || {
///     let text = "virtual_server 192.0.2.1 80 {\n protocol TCP\n real_server 10.0.0.1 80 {\n }\n}\n";
///     Setup::new(&Config::parse("lb.conf", text))
/// };
/// let signals = Signals::block()?;
/// let kernel = MemoryKernel::default(); // or Client::connect()
/// let client = Client::with_transport(kernel.socket())?;
/// let driver = Driver::new(lvs_healthcheck::Config::default())?;
/// let mut runner = Runner::new(&read(), client, driver, signals, None)?;
/// let mut report = |happening: &Happening<'_>| println!("{happening}");
/// # use nix::sys::signal::{Signal, raise};
/// # raise(Signal::SIGHUP)?;
/// # raise(Signal::SIGTERM)?;
/// # let mut stops = Vec::new();
/// loop {
///     let stop = runner.run_until(None, &mut report)?;
///     # stops.push(stop);
///     match stop {
///         Stop::Reload => runner.reload(&read())?, // SIGHUP
///         _ => break,                              // SIGTERM, SIGINT
///     }
/// }
/// assert_eq!(runner.table()?.len(), 1);
/// runner.stop(Shutdown::Remove, &mut report)?;
/// runner.withdraw(&mut report)?;
/// assert!(runner.table()?.is_empty());
/// # assert_eq!(stops, [Stop::Reload, Stop::Asked]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Runner {
    director: Director,
    driver: Driver,
    client: Client,
    reconciler: Reconciler,
    /// What is ours, on disk.
    ledger: Option<LedgerFile>,
    /// Looks in a row that failed.
    failed_looks: u32,
    /// Not before this is the next look, after one that failed.
    retry: Option<Timestamp>,
    /// When the connections of what drains are counted next.
    count: Option<Timestamp>,
    numbers: HashMap<CheckId, CheckNumber>,
    ids: HashMap<CheckNumber, CheckId>,
    signals: Signals,
    inbox: Inbox,
    reports: Vec<CheckEvent>,
    batch: Batch,
    stats: RunStats,
    /// Tells others.
    notifications: Option<Notifications>,
    /// Found good, and not taken over yet.
    tried: Option<Box<Setup>>,
    /// Timeouts that the kernel has not taken yet, and when they are set again.
    timeouts: Option<(Timeouts, Timestamp)>,
}

impl Runner {
    /// Takes over a setup: reads the table, sets timeouts, gives the checks to the driver. The
    /// table is first changed by [`run_until`](Self::run_until).
    ///
    /// `ledger` keeps what is ours on disk, so that the next run knows what one that was killed
    /// left behind: what of it is not configured any more leaves.
    ///
    /// # Errors
    ///
    /// The table or the ledger cannot be read, the kernel refuses the timeouts, or a check cannot
    /// be run.
    pub fn new(
        setup: &Setup,
        mut client: Client,
        driver: Driver,
        signals: Signals,
        mut ledger: Option<LedgerFile>,
    ) -> Result<Self, RunError> {
        // What is ours is what the configuration names; the reconciler removes nothing else.
        let mut reconciler = Reconciler::new(Policy::new(Scope::all()));
        if let Some(file) = &mut ledger {
            reconciler = reconciler.with_ledger(file.load()?);
        }
        let found = client.snapshot()?.table();
        let now = driver.now();
        let mut director = Director::new(now, setup, &found)?;
        for service in found.services() {
            if reconciler.ledger().contains(&service.service.key()) {
                director.retire(now, service)?;
            }
        }
        if setup.timeouts != Timeouts::default() {
            client.set_timeouts(setup.timeouts)?;
        }
        let mut runner = Self {
            director,
            driver,
            client,
            reconciler,
            ledger,
            failed_looks: 0,
            retry: None,
            count: None,
            numbers: HashMap::new(),
            ids: HashMap::new(),
            signals,
            inbox: Inbox::new()?,
            reports: Vec::new(),
            batch: Batch::new(),
            stats: RunStats::default(),
            notifications: None,
            tried: None,
            timeouts: None,
        };
        let checks: Vec<_> = runner
            .director
            .checks()
            .map(|(number, check)| (number, check.clone()))
            .collect();
        for (number, check) in checks {
            runner.add_check(number, check)?;
        }
        Ok(runner)
    }

    /// Tells others what happens; without this nobody is told.
    #[must_use]
    pub fn with_notifications(mut self, notifications: Notifications) -> Self {
        self.notifications = Some(notifications);
        self
    }

    /// Lets others be told of what happened so far, for at most `child_wait_time`; nobody is told of
    /// what comes later.
    pub fn finish_notifications(&mut self, report: &mut dyn FnMut(&Happening<'_>)) {
        if let Some(notifications) = self.notifications.take() {
            let limit = notifications.wait();
            for event in &notifications.finish(limit) {
                report(&Happening::Notify(event));
            }
        }
    }

    fn add_check(&mut self, number: CheckNumber, check: Check) -> Result<(), RunError> {
        let id = self.driver.add(check)?;
        self.numbers.insert(id, number);
        self.ids.insert(number, id);
        Ok(())
    }

    /// Takes over a new setup by difference; see [`Director::reload`]. Timeouts are set again when
    /// the setup names some: where the kernel refuses them that is told, and tried again.
    ///
    /// # Errors
    ///
    /// The setup cannot be run; then everything stays as it was.
    pub fn reload(&mut self, setup: &Setup) -> Result<(), RunError> {
        self.try_reload(setup)?;
        self.begin_reload(setup)?;
        self.director.finish_reload(self.now());
        Ok(())
    }

    /// Says whether [`reload`](Self::reload) would take this setup, without doing so.
    ///
    /// # Errors
    ///
    /// Why it cannot be run.
    pub fn try_reload(&self, setup: &Setup) -> Result<(), RunError> {
        self.director.try_reload(self.now(), setup)?;
        for planned in &setup.checks {
            self.driver.validate(&planned.check)?;
        }
        Ok(())
    }

    /// Takes over what was found good; what is not configured any more stays for now.
    fn begin_reload(&mut self, setup: &Setup) -> Result<(), RunError> {
        let changes = self.director.begin_reload(self.now(), setup)?;
        for number in changes.removed {
            if let Some(id) = self.ids.remove(&number) {
                self.numbers.remove(&id);
                self.driver.remove(id)?;
            }
        }
        for (number, policy) in changes.policies {
            if let Some(id) = self.ids.get(&number) {
                self.driver.set_policy(*id, policy)?;
            }
        }
        for (number, check) in changes.added {
            self.add_check(number, check)?;
        }
        if let Some(notifications) = &mut self.notifications {
            notifications.follow(setup);
        }
        if setup.timeouts != Timeouts::default() {
            self.timeouts = Some((setup.timeouts, self.now()));
        }
        Ok(())
    }

    /// Sets timeouts that are due. They keep nothing else from being done.
    fn set_timeouts(&mut self, report: &mut dyn FnMut(&Happening<'_>)) {
        let now = self.now();
        let Some((timeouts, _)) = self.timeouts.filter(|(_, due)| *due <= now) else {
            return;
        };
        self.timeouts = match self.client.set_timeouts(timeouts) {
            Ok(()) => None,
            Err(error) => {
                report(&Happening::TimeoutsRefused(&error));
                Some((timeouts, now.saturating_add(TIMEOUTS_INTERVAL)))
            }
        };
    }

    /// What the table holds while the director is a standby.
    pub fn set_standby_table(&mut self, table: StandbyTable) {
        self.director.set_standby_table(table);
    }

    /// Another director has the addresses, until somebody asks this one to
    /// [prepare](Remote::prepare); to be said before it runs.
    pub fn begin_standby(&mut self) {
        let now = self.now();
        self.director.set_role(now, Role::Standby);
    }

    /// Now, on the clock of this runner.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.driver.now()
    }

    /// The core.
    #[must_use]
    pub const fn director(&self) -> &Director {
        &self.director
    }

    /// What was done so far.
    #[must_use]
    pub const fn stats(&self) -> RunStats {
        self.stats
    }

    /// The kernel's table as it is.
    ///
    /// # Errors
    ///
    /// The table cannot be read.
    pub fn table(&mut self) -> Result<Table, RunError> {
        Ok(self.client.snapshot()?.table())
    }

    /// Replaces the configured weight of a server; see [`Director::set_weight`].
    pub fn set_weight(
        &mut self,
        service: &ServiceKey,
        server: &ServerKey,
        weight: Option<u32>,
    ) -> bool {
        let now = self.now();
        self.director.set_weight(now, service, server, weight)
    }

    /// Runs until that time (`None`: until told to stop), telling `report` what happens.
    ///
    /// # Errors
    ///
    /// Waiting failed. Refused changes, and looks at the table that fail, are reported and tried
    /// again.
    pub fn run_until(
        &mut self,
        end: Option<Timestamp>,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<Stop, RunError> {
        loop {
            self.turn(report);
            let now = self.now();
            if end.is_some_and(|end| end <= now) {
                return Ok(Stop::Time);
            }
            self.wait(end)?;
            match self.signals.take()? {
                Some(Signal::Stop) => return Ok(Stop::Asked),
                Some(Signal::Reload) => return Ok(Stop::Reload),
                // Shown by whoever has a view.
                Some(Signal::Show) | None => {}
            }
            self.take_requests();
            if self.inbox.take_stop() {
                return Ok(Stop::Asked);
            }
            self.run_checks()?;
        }
    }

    /// Does what is due, without waiting: everything that came together becomes one change of the
    /// table.
    fn turn(&mut self, report: &mut dyn FnMut(&Happening<'_>)) {
        self.set_timeouts(report);
        for _ in 0..LOOKS {
            self.settle(report);
            let now = self.now();
            if self.next_look().is_none_or(|look| look > now) {
                break;
            }
            let look = self.look(report);
            self.inbox.looked(self.now(), look);
        }
    }

    /// Lets the director settle, tells what it has to say and gives the reconciler the table.
    fn settle(&mut self, report: &mut dyn FnMut(&Happening<'_>)) {
        let now = self.now();
        self.director.settle(now, &mut self.batch);
        for event in &self.batch.events {
            if let Some(notifications) = &self.notifications {
                notifications.tell(event);
            }
            report(&Happening::Event(event));
        }
        for event in self.notifications.iter().flat_map(Notifications::events) {
            report(&Happening::Notify(&event));
        }
        if self.batch.is_table_changed {
            self.reconciler.set_desired(self.director.desired());
        }
        if !self.director.is_draining() {
            self.count = None;
        } else if self.count.is_none() {
            self.count = Some(now.saturating_add(COUNT_INTERVAL));
        }
    }

    /// Waits for checks, signals or requests.
    fn wait(&self, end: Option<Timestamp>) -> Result<(), RunError> {
        let timeouts = self.timeouts.map(|(_, due)| due);
        let deadlines = [
            end,
            self.next_look(),
            self.director.next_deadline(),
            timeouts,
        ];
        let next = deadlines.into_iter().flatten().min();
        let time = next.map(|next| next.saturating_sub(self.now()));
        // Rounded up: a wait cut short would only be repeated.
        let timeout = time.map_or(PollTimeout::NONE, |time| {
            let millis = time.as_micros().div_ceil(1000);
            i32::try_from(millis)
                .ok()
                .and_then(|millis| PollTimeout::try_from(millis).ok())
                .unwrap_or(PollTimeout::MAX)
        });
        let mut descriptors = vec![
            PollFd::new(self.driver.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.inbox.wake().as_fd(), PollFlags::POLLIN),
        ];
        if let Some(notifications) = &self.notifications {
            descriptors.push(PollFd::new(notifications.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Does what is ready.
    fn run_checks(&mut self) -> Result<(), RunError> {
        self.driver.poll(Some(Duration::ZERO), &mut self.reports)?;
        for event in self.reports.drain(..) {
            let CheckEvent::Completed(completed) = event else {
                continue;
            };
            self.stats.attempts += 1;
            if let Some(number) = self.numbers.get(&completed.check) {
                self.director.report(completed.at, *number, &completed);
            }
        }
        Ok(())
    }

    /// Ends the service as told, and sees to it that the table is as it should be then: with
    /// [`Shutdown::Drain`] until the last connection is over, or a signal says to stop. What could
    /// not be done is left to [`withdraw`](Self::withdraw).
    ///
    /// # Errors
    ///
    /// As [`run_until`](Self::run_until).
    pub fn stop(
        &mut self,
        how: Shutdown,
        report: &mut dyn FnMut(&Happening<'_>),
    ) -> Result<(), RunError> {
        self.director.stop(self.now(), how);
        self.turn(report);
        while !self.director.is_over() {
            self.wait(None)?;
            self.take_requests();
            let signal = self.signals.take()?;
            if signal == Some(Signal::Stop) || self.inbox.take_stop() {
                break;
            }
            self.run_checks()?;
            self.turn(report);
        }
        self.turn(report);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! `director FILE` as it runs: virtual routers and the table on threads of their own, signals on this
//! one.

mod reloading;
mod table;

use core::time::Duration;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use director::log::Log;
use director::notify::Fifos;
use director::run::RunStats;
use director::setup::Setup;
use director::signals::{Signal, Signals};
use director::vrrp::choreography::SyncRoles;
use director::vrrp::run::{Loop, Routers, enter};
use director::vrrp::take_over::TakeOver;
use director::vrrp::{Names, SyncPlan};
use lvs_ipvs::sysctl;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::{Driver, DriverError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Failure;
use crate::arguments::Arguments;
use crate::configuration::{Configuration, VrrpPart};
use crate::journal::Journal;
use crate::reviewing;
use crate::told::{Output, Told};
use table::{Kernel, Table, TableHandle};

/// How long a view of the director may take.
const STATUS_LIMIT: Duration = Duration::from_secs(2);

/// All that runs.
pub(crate) struct Program<'a> {
    path: PathBuf,
    arguments: &'a Arguments,
    configuration: Configuration,
    signals: Signals,
    log: Log<Told>,
    names: Names,
    kernel: Kernel,
    /// The table's thread, where there is a table.
    table: Option<Table>,
    /// The table as take-overs see it.
    handle: TableHandle,
    take_over: TakeOver,
    /// Those of both halves.
    fifos: Fifos,
    /// Virtual routers, where there are some.
    routers: Option<Routers>,
    end: Option<Instant>,
    /// The table is kept until then, at the end.
    hold: Option<Instant>,
    is_stopping: bool,
    /// What has gone wrong first.
    failure: Option<Failure>,
    stats: RunStats,
}

/// Runs a file until told to stop; or only says what there is to be said about it.
pub(crate) fn run(
    path: &Path,
    arguments: &Arguments,
    signals: Signals,
    journal: &mut Journal,
) -> Result<(), Failure> {
    let configuration = Configuration::load(path, arguments, None)?;
    for line in configuration.lines() {
        journal.error(&line);
    }
    if let Some(reason) = configuration.refused(arguments) {
        return Err(Failure::usage(reason));
    }
    if let Some(name) = configuration.namespace() {
        let entered = enter(name);
        // Where the file is for another host that is for that one to say.
        if !arguments.checks() {
            entered.map_err(Failure::running)?;
        }
    }
    let findings = reviewing::look(&configuration, arguments, None);
    if arguments.checks() {
        return reviewing::check(&configuration, &findings, arguments.json, journal);
    }
    if arguments.dump {
        journal.plain(configuration.dump().trim_end());
    }
    reviewing::report(&findings, arguments, journal)?;
    let setup = configuration.setup.iter();
    for diagnostic in setup.flat_map(|setup| setup.initialize_files(None)) {
        journal.error(&diagnostic.to_string());
    }
    let start = journal.start();
    let log = Log::default();
    let output = Output::start(log.clone(), start, arguments.json).map_err(Failure::running)?;
    let started = Program::start(path, arguments, configuration, signals, log.clone());
    let ended = started.map(Program::run);
    log.end();
    output.finish();
    let (stats, result) = ended?;
    if !arguments.json {
        journal.summary(&stats);
    }
    result
}

impl<'a> Program<'a> {
    fn start(
        path: &Path,
        arguments: &'a Arguments,
        mut configuration: Configuration,
        signals: Signals,
        log: Log<Told>,
    ) -> Result<Self, Failure> {
        let end = arguments
            .time
            .and_then(|time| Instant::now().checked_add(time));
        let mut vrrp = configuration.vrrp.take();
        let setup = configuration.setup.take();
        let sync = vrrp.as_ref().and_then(|vrrp| vrrp.sync);
        refuse_both_roles(sync, arguments)?;
        let kernel = Kernel::new(arguments, configuration.ipvs_namespace());
        let handle = TableHandle::default();
        let names = Names::default();
        names.set(&vrrp.as_ref().map(|it| it.names.clone()).unwrap_or_default());
        let (told, named) = (log.clone(), names.clone());
        let tell = move |done| told.tell(Told::take_over(&done, &named));
        let take_over = TakeOver::new(handle.clone(), tell);
        let told = log.clone();
        let fifos = Fifos::start(move |event| told.tell(Told::fifo(&event)));
        let fifos = fifos.map_err(Failure::running)?;
        let mut program = Self {
            path: path.to_owned(),
            arguments,
            configuration,
            signals,
            log,
            names,
            kernel,
            table: None,
            handle,
            take_over,
            fifos,
            routers: None,
            end,
            hold: None,
            is_stopping: false,
            failure: None,
            stats: RunStats::default(),
        };
        let driver = vrrp.as_ref().map(|vrrp| program.driver(vrrp)).transpose()?;
        if let Some(setup) = setup.filter(|setup| !setup.pools.is_empty()) {
            program.start_table(&setup, driver.is_some())?;
        }
        if let Some(sync) = sync {
            let client = program.kernel.connect().map_err(Failure::running)?;
            program.take_over.set_sync(Some(sync), Some(client));
        }
        if let (Some(driver), Some(vrrp)) = (driver, &mut vrrp) {
            program.start_routers(driver, vrrp)?;
        }
        program.configuration.vrrp = vrrp;
        Ok(program)
    }

    /// Opens all that virtual routers need.
    fn driver(&self, vrrp: &VrrpPart) -> Result<Driver, Failure> {
        let mut driver = Driver::new(vrrp.driver.clone()).map_err(|error| cannot_run(&error))?;
        let hooks = driver.set_hooks(self.take_over.clone());
        hooks.map_err(Failure::running)?;
        Ok(driver)
    }

    fn start_routers(&mut self, driver: Driver, vrrp: &mut VrrpPart) -> Result<(), Failure> {
        let (log, names, has_detail) =
            (self.log.clone(), self.names.clone(), self.arguments.detail);
        let tell = move |event| {
            if let Some(told) = Told::vrrp(&event, &names, has_detail) {
                log.tell(told);
            }
        };
        let scripts = vrrp.scripts.take();
        let scripts = scripts.map(|scripts| scripts.with_fifos(self.fifos.clone()));
        let routers = Routers::start(driver, Loop::Blocking, scripts, tell);
        self.routers = Some(routers.map_err(Failure::running)?);
        Ok(())
    }

    fn start_table(&mut self, setup: &Setup, is_standby: bool) -> Result<(), Failure> {
        let table = Table::start(
            setup,
            &self.kernel,
            self.arguments,
            is_standby,
            self.fifos.clone(),
            self.log.clone(),
        )?;
        self.handle.set(Some(table.remote().clone()));
        self.table = Some(table);
        Ok(())
    }

    /// The sync daemons that are run.
    fn sync(&self) -> Option<SyncPlan> {
        self.configuration.vrrp.as_ref().and_then(|vrrp| vrrp.sync)
    }

    /// Runs until it is told to stop, all addresses are gone and the table is left as it is to be.
    fn run(mut self) -> (RunStats, Result<(), Failure>) {
        while self.routers.is_some() || self.table.is_some() {
            if let Err(errno) = self.wait() {
                self.fail(Failure::running(format!(
                    "cannot wait for signals: {errno}"
                )));
            }
            loop {
                match self.signals.take() {
                    Ok(Some(Signal::Stop)) => self.stop(),
                    Ok(Some(Signal::Reload)) => self.reload(),
                    Ok(Some(Signal::Show)) => self.show(),
                    Ok(None) => break,
                    Err(errno) => {
                        self.fail(Failure::running(format!("cannot read signals: {errno}")));
                        break;
                    }
                }
            }
            if self.end.is_some_and(|end| end <= Instant::now()) {
                self.end = None;
                self.stop();
            }
            if self.hold.is_some_and(|hold| hold <= Instant::now()) {
                self.hold = None;
                self.stop();
            }
            self.take_ends();
        }
        self.fifos.finish();
        let result = match self.failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        };
        (self.stats, result)
    }

    /// Waits for a signal, the end of a thread, or of the time.
    fn wait(&self) -> Result<(), Errno> {
        let deadline = self.end.into_iter().chain(self.hold).min();
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            let millis = left.as_micros().div_ceil(1000);
            let millis = i32::try_from(millis).unwrap_or(i32::MAX);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        let mut descriptors = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let routers = self.routers.as_ref().map(AsFd::as_fd);
        let table = self.table.as_ref().map(AsFd::as_fd);
        let ends = routers.into_iter().chain(table);
        descriptors.extend(ends.map(|end| PollFd::new(end, PollFlags::POLLIN)));
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Addresses go first, then the table; asked again, what still drains goes at once.
    fn stop(&mut self) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.log.tell(Told::line("stopping", "stop    asked to"));
            if let Some(routers) = &self.routers {
                self.take_over.leave();
                routers.stop(match self.arguments.dont_release_vrrp {
                    true => ShutdownMode::Handover,
                    false => ShutdownMode::Graceful,
                });
                return;
            }
        }
        if self.routers.is_none()
            && let Some(table) = &self.table
        {
            table.stop();
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.stop();
    }

    /// Threads that have ended.
    fn take_ends(&mut self) {
        if let Some(routers) = &mut self.routers
            && let Some((ended, _)) = routers.ended()
        {
            routers.finish();
            self.routers = None;
            if !self.arguments.dont_release_vrrp {
                self.take_over.end();
            }
            if let Err(error) = ended {
                self.fail(Failure::running(error));
            }
            if self.is_stopping {
                // The addresses are gone: now the table.
                self.hold = self.until_taken_over();
                if self.hold.is_none() {
                    self.stop();
                }
            }
        }
        if let Some((stats, result)) = self.table.as_mut().and_then(Table::ended) {
            self.table = None;
            self.handle.set(None);
            self.stats = stats;
            if let Err(error) = result {
                self.fail(Failure::running(error));
            }
            // Nothing is served without it.
            self.stop();
        }
    }

    /// Until others have taken over connections that they know, answers of real servers still come
    /// here, and need the table to be masqueraded. After a resignation that is the skew time, which is
    /// shorter than the interval.
    fn until_taken_over(&self) -> Option<Instant> {
        let vrrp = self.configuration.vrrp.as_ref()?;
        let SyncRoles::Follow(router) = vrrp.sync?.roles() else {
            return None;
        };
        let mut routers = vrrp.driver.routers();
        let (_, setup) = routers.find(|(id, _)| *id == router)?;
        Instant::now().checked_add(setup.config().interval().as_duration())
    }

    /// Says how things are.
    fn show(&self) {
        if let Some(snapshot) = self.routers.as_ref().and_then(Routers::snapshot) {
            self.log.tell(Told::routers(&snapshot, &self.names));
        }
        if let Some(table) = &self.table
            && let Ok(status) = table.remote().status(STATUS_LIMIT)
        {
            self.log.tell(Told::status(&status));
        }
    }
}

/// Both sync daemons are not to run where that switches balancing off.
fn refuse_both_roles(sync: Option<SyncPlan>, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.memory || arguments.ignore_errors {
        return Ok(());
    }
    let is_backup_only = sysctl::Sysctls::current().get(sysctl::BACKUP_ONLY);
    let is_backup_only = is_backup_only.unwrap_or_default();
    match sync.and_then(|sync| sync.refused(is_backup_only)) {
        Some(reason) => Err(Failure::running(reason)),
        None => Ok(()),
    }
}

/// What would help.
fn cannot_run(error: &DriverError) -> Failure {
    let missing = match error {
        DriverError::Net(error) => error.missing_capability(),
        _ => None,
    };
    let remedy = match (missing, error) {
        (Some(_), _) => "; -C runs the virtual servers alone",
        (_, DriverError::TagInUse { .. }) => ": another director or vrrpd runs here",
        _ => "",
    };
    Failure::running(format!("{error}{remedy}"))
}

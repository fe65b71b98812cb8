//! The thread that checks servers and keeps the table.

use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use director::bell::Bell;
use director::director::{Role, Shutdown};
use director::log::Log;
use director::notify::{Fifos, Notifications};
use director::run::{Happening, Remote, RunError, RunStats, Runner};
use director::setup::Setup;
use director::signals::Signals;
use director::vrrp::take_over::TakeOverTable;
use lvs_healthcheck::Driver;
use lvs_ipvs::{Client, Interface, LedgerFile, MemoryKernel, Namespace};
use lvs_vrrp::net::links::LinkMonitor;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::Failure;
use crate::arguments::Arguments;
use crate::told::Told;

/// Within this time the table of a take-over is complete, or the virtual router steps down and tries
/// again later.
const LIMIT: Duration = Duration::from_secs(10);

/// Where the table is.
#[derive(Debug)]
pub(super) enum Kernel {
    /// That of this network namespace.
    Here,
    /// That of the network namespace of this name.
    In(String),
    /// Memory.
    Memory(MemoryKernel),
}

impl Kernel {
    pub(super) fn new(arguments: &Arguments, namespace: Option<&str>) -> Self {
        match (arguments.memory, namespace) {
            (true, _) => Self::Memory(memory()),
            (false, Some(name)) => Self::In(name.to_owned()),
            (false, None) => Self::Here,
        }
    }

    /// A client of its own for each thread.
    pub(super) fn connect(&self) -> Result<Client, lvs_ipvs::Error> {
        match self {
            Self::Here => Client::connect(),
            Self::In(name) => Namespace::open(Path::new("/run/netns").join(name))?.client(),
            Self::Memory(kernel) => Client::with_transport(kernel.socket()),
        }
    }
}

/// A kernel with the interfaces of this one, by name: sync daemons want theirs.
fn memory() -> MemoryKernel {
    let kernel = MemoryKernel::default();
    if let Ok(monitor) = LinkMonitor::open() {
        let others = monitor.links().iter().filter(|link| !link.is_loopback);
        let others = others.map(|link| Interface::new(&*link.name));
        kernel.set_interfaces([Interface::loopback()].into_iter().chain(others));
    }
    kernel
}

/// What a run came to.
type Ended = (RunStats, Result<(), RunError>);

/// The thread.
#[derive(Debug)]
pub(super) struct Table {
    remote: Remote,
    ended: Receiver<Ended>,
    /// Becomes readable when it has ended.
    end: Arc<EventFd>,
}

impl Table {
    /// Reads the table, and starts to keep it.
    pub(super) fn start(
        setup: &Setup,
        kernel: &Kernel,
        arguments: &Arguments,
        is_standby: bool,
        fifos: Fifos,
        log: Log<Told>,
    ) -> Result<Self, Failure> {
        let client = kernel.connect();
        let client = client.map_err(|error| match error.is_unavailable() {
            true => Failure::running(format!("{error}; --memory tries the file without a kernel")),
            false => Failure::running(error),
        })?;
        let driver = Driver::new(lvs_healthcheck::Config::default()).map_err(Failure::running)?;
        let ledger = arguments.ledger.as_ref().map(LedgerFile::open);
        let ledger = ledger.transpose().map_err(Failure::running)?;
        let signals = Signals::none().map_err(Failure::running)?;
        let runner = Runner::new(setup, client, driver, signals, ledger);
        let mut runner = runner.map_err(Failure::running)?;
        let notifications = Notifications::start(setup, fifos).map_err(Failure::running)?;
        runner = runner.with_notifications(notifications);
        // It may become one later, by a reload.
        runner.set_standby_table(arguments.standby_table.into());
        if is_standby {
            runner.begin_standby();
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let end = EventFd::from_flags(flags).map_err(Failure::running)?;
        let end = Arc::new(end);
        let how = match (arguments.dont_release_ipvs, arguments.drain) {
            (true, _) => Shutdown::Leave,
            (false, Some(_)) => Shutdown::Drain,
            (false, None) => Shutdown::Remove,
        };
        let (remote, (sender, ended)) = (runner.remote(), mpsc::sync_channel(1));
        let thread = thread::Builder::new().name("director-table".into());
        let bell = Bell::new(Arc::clone(&end));
        let started = thread.spawn(move || {
            let _bell = bell;
            let result = run(&mut runner, how, &log);
            // Somebody waits for it, or the program is at its end.
            let _ = sender.send((runner.stats(), result));
        });
        started.map_err(Failure::running)?;
        Ok(Self { remote, ended, end })
    }

    pub(super) const fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Asks it to end; asked again, it does not wait for connections any more.
    pub(super) fn stop(&self) {
        self.remote.stop();
    }

    /// What it came to, once, if it has ended.
    pub(super) fn ended(&mut self) -> Option<Ended> {
        match self.ended.try_recv() {
            Ok(ended) => Some(ended),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some((RunStats::default(), Err(RunError::ThreadEnded)))
            }
        }
    }
}

impl AsFd for Table {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// Runs until told to stop; then what it put into the table is taken out again, if it is not to stay.
/// Commands that tell of it have `child_wait_time` to end.
fn run(runner: &mut Runner, how: Shutdown, log: &Log<Told>) -> Result<(), RunError> {
    let mut report = |happening: &Happening<'_>| {
        if let Some(told) = Told::table(happening) {
            log.tell(told);
        }
    };
    let mut result = runner.run_until(None, &mut report).map(|_| ());
    // Whoever has the addresses now has their connections, too: here none of them would ever end.
    let how = match how {
        Shutdown::Drain if runner.director().role() != Role::Alone => Shutdown::Remove,
        how => how,
    };
    if result.is_ok() {
        result = runner.stop(how, &mut report);
    }
    if how != Shutdown::Leave {
        let withdrawn = runner.withdraw(&mut report);
        result = result.and(withdrawn);
    }
    runner.finish_notifications(&mut report);
    result
}

/// The table for take-overs: there may be none, and later there may be one.
#[derive(Clone, Debug, Default)]
pub(super) struct TableHandle(Arc<Mutex<Option<Remote>>>);

impl TableHandle {
    pub(super) fn set(&self, remote: Option<Remote>) {
        *self.lock() = remote;
    }

    fn get(&self) -> Option<Remote> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Remote>> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakeOverTable for TableHandle {
    fn make_ready(&mut self) -> Result<(), String> {
        let remote = self.get();
        let ready = remote.map_or(Ok(()), |remote| remote.prepare(LIMIT));
        ready.map_err(|error| error.to_string())
    }

    fn stand_by(&mut self) -> Result<(), String> {
        let remote = self.get();
        let standby = remote.map_or(Ok(()), |remote| remote.stand_by(LIMIT));
        standby.map_err(|error| error.to_string())
    }
}

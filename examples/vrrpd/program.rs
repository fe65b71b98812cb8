//! The program as it runs: the driver on a thread of its own, signals on this one.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::{AsyncDriver, Driver, DriverError, DriverEventKind, Handle};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::arguments::{Arguments, Runtime};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::happening::Happening;
use crate::journal::Journal;
use crate::names::Names;
use crate::output::{self, Output};
use crate::scripting::{Orders, Scripting};
use crate::signals::{Signal, Signals};
use crate::view;

/// All that runs.
pub(crate) struct Program<'a> {
    arguments: &'a Arguments,
    configuration: Configuration,
    signals: Signals,
    journal: Journal,
    names: Names,
    handle: Handle,
    /// What the driver's thread ended with.
    ended: Receiver<Result<(), DriverError>>,
    /// Becomes readable when it has ended.
    end: Arc<EventFd>,
    output: Output,
    orders: Orders,
    scripts: Option<JoinHandle<()>>,
    is_stopping: bool,
}

impl<'a> Program<'a> {
    /// Opens and starts everything.
    pub(crate) fn start(
        arguments: &'a Arguments,
        mut configuration: Configuration,
        signals: Signals,
    ) -> Result<Self, Failure> {
        if let Some(name) = configuration.namespace() {
            enter(name)?;
        }
        let journal = Journal::default();
        let names = Names::default();
        names.set(&configuration.names);
        for diagnostic in configuration.diagnostics() {
            journal.tell(Happening::Diagnostic(diagnostic.clone()));
        }
        let mut driver = Driver::new(configuration.driver.clone())?;
        // Now that its devices are there.
        for found in configuration.review() {
            journal.tell(Happening::Review(found));
        }
        let handle = driver.handle();
        let scripting = Scripting::new()?;
        let (listener, reported) = (journal.clone(), scripting.orders());
        let has_scripts = configuration.scripts.is_some();
        driver.on_event(move |event| {
            if let DriverEventKind::Report(report) = &event.kind
                && has_scripts
            {
                reported.report(report);
            }
            listener.tell(Happening::Driver(event.kind.clone()));
        });
        journal.tell(Happening::Started);
        let (told, named, asked) = (journal.clone(), names.clone(), handle.clone());
        let output = if io::stdout().is_terminal() && !arguments.json {
            Output::start(move || view::show(&told, &named, &asked))?
        } else {
            Output::start(move || output::print_lines(&told, &named))?
        };
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let end = EventFd::from_flags(flags).map_err(Failure::system("open an eventfd"))?;
        let end = Arc::new(end);
        let ended = run_driver(driver, arguments.driver, Arc::clone(&end))?;
        let orders = scripting.orders();
        if let Ok(snapshot) = handle.snapshot() {
            orders.begin(snapshot);
        }
        let scripts = configuration.scripts.take();
        let scripts =
            scripts.map(|scripts| scripting.start(scripts, handle.clone(), journal.clone()));
        Ok(Self {
            arguments,
            configuration,
            signals,
            journal,
            names,
            handle,
            ended,
            end,
            output,
            orders,
            scripts: scripts.transpose()?,
            is_stopping: false,
        })
    }

    /// Runs until it is told to stop, and all addresses are gone.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let ended = loop {
            self.wait()?;
            while let Some(signal) = self.signals.take()? {
                match signal {
                    Signal::Stop => self.stop(),
                    Signal::Reload => self.reload(),
                    Signal::Show => self.show(),
                }
            }
            if let Ok(ended) = self.ended.try_recv() {
                break ended;
            }
        };
        if let Some(scripts) = self.scripts.take() {
            self.orders.end();
            // It ends within seconds, and does not panic.
            let _ = scripts.join();
        }
        self.journal.tell(Happening::Stopped);
        self.journal.end();
        self.output.finish();
        Ok(ended?)
    }

    /// Waits for a signal, or the driver's end.
    fn wait(&self) -> Result<(), Failure> {
        let mut descriptors = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.end.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Failure::system("wait for signals")(errno)),
        }
    }

    fn stop(&mut self) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.journal.tell(Happening::Stopping);
            self.orders.stopping();
            // If the driver has ended, that will be seen.
            let _ = self.handle.shutdown(ShutdownMode::Graceful);
        }
    }

    fn show(&self) {
        if let Ok(snapshot) = self.handle.snapshot() {
            self.journal.tell(Happening::Snapshot(Box::new(snapshot)));
        }
    }

    fn reload(&mut self) {
        if self.is_stopping {
            return;
        }
        let reloaded = self.take_over_file();
        self.journal.tell(Happening::Reloaded(reloaded));
    }

    /// Goes on with the file as it is now, or says why not.
    fn take_over_file(&mut self) -> Result<(), String> {
        if self.arguments.file.is_none() {
            return Err("there is no file to read again".to_owned());
        }
        let read = Configuration::load(self.arguments, Some(&self.configuration));
        let configuration = read.map_err(|failure| failure.to_string())?;
        for diagnostic in configuration.diagnostics() {
            self.journal.tell(Happening::Diagnostic(diagnostic.clone()));
        }
        let is_strict = self.arguments.strict;
        if !configuration.is_usable(is_strict) {
            return Err(configuration.refused(is_strict).to_string());
        }
        if configuration.namespace() != self.configuration.namespace() {
            return Err("net_namespace cannot change while it runs".to_owned());
        }
        let stays = |id| configuration.names.contains_key(&id);
        let known = self.configuration.names.keys().copied();
        self.orders
            .removing(known.filter(|id| !stays(*id)).collect());
        let reloaded = self.handle.reload(configuration.driver.clone());
        // If it was refused, those that are leaving stay.
        let follows = match &reloaded {
            Ok(()) => &configuration.file,
            Err(_) => &self.configuration.file,
        };
        if let Some(file) = follows {
            self.orders.follow(file);
        }
        reloaded.map_err(|error| error.to_string())?;
        for found in configuration.review() {
            self.journal.tell(Happening::Review(found));
        }
        self.names.set(&configuration.names);
        self.configuration = configuration;
        Ok(())
    }
}

/// Goes into a network namespace, before there are other threads.
pub(crate) fn enter(name: &str) -> Result<(), Failure> {
    let namespace = File::open(Path::new("/run/netns").join(name));
    let namespace = namespace.map_err(|error| Failure::System("open net_namespace", error))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(Failure::system("enter net_namespace"))
}

/// Runs the driver on a thread of its own, which says how it ended.
fn run_driver(
    mut driver: Driver,
    runtime: Runtime,
    end: Arc<EventFd>,
) -> Result<Receiver<Result<(), DriverError>>, Failure> {
    let failed = |error| Failure::System("start a thread", error);
    let runtime = match runtime {
        Runtime::Blocking => None,
        Runtime::Tokio => {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            Some(builder.enable_io().build().map_err(failed)?)
        }
    };
    let (told, ended) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("vrrpd-driver".into());
    let started = thread.spawn(move || {
        let result = match runtime {
            None => driver.run(),
            Some(runtime) => runtime.block_on(async { AsyncDriver::new(driver)?.run().await }),
        };
        // Somebody waits for it, or the program is at its end.
        let _ = told.send(result);
        let _ = end.write(1);
    });
    started.map_err(failed)?;
    Ok(ended)
}

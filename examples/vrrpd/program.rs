//! The program as it runs: the driver on a thread of its own, signals on this one.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use director::notify::Fifos;
use director::signals::{Signal, Signals};
use director::vrrp::Names;
use director::vrrp::run::{Routers, enter};
use lvs_vrrp::address::{Family, InterfaceIndex};
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::{Carrier, Driver, DriverError, Receiver as RawReceiver, Snapshot};
use lvs_vrrp::node::HandOver;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::arguments::Arguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::hand_over::{self, Door, Estate, Successor};
use crate::happening::{Happening, Journal};
use crate::output::{self, Output};
use crate::view;

/// The index of `lo` in each network namespace.
const LOOPBACK: InterfaceIndex = InterfaceIndex::new(1);

/// All that runs.
pub(crate) struct Program<'a> {
    arguments: &'a Arguments,
    configuration: Configuration,
    signals: Signals,
    journal: Journal,
    names: Names,
    routers: Routers,
    fifos: Fifos,
    output: Output,
    /// Where a successor knocks; there is only one.
    door: Option<Door>,
    /// It gets everything, as it was when it asked.
    successor: Option<(Successor, Snapshot)>,
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
        let told = journal.clone();
        let fifos = Fifos::start(move |event| told.tell(Happening::Fifo(event)));
        let fifos = fifos.map_err(|error| Failure::System("start a thread", error))?;
        let driver = begin(arguments, &configuration, &journal, &names, &fifos)?;
        // Now that its devices are there.
        for found in configuration.review() {
            journal.tell(Happening::Review(found));
        }
        let handle = driver.handle();
        journal.tell(Happening::Started);
        let (told, named, asked) = (journal.clone(), names.clone(), handle.clone());
        let output = if io::stdout().is_terminal() && !arguments.json {
            Output::start(move || view::show(&told, &named, &asked))?
        } else {
            Output::start(move || output::print_lines(&told, &named))?
        };
        let door = match Door::open(arguments.tag) {
            Ok(door) => Some(door),
            Err(error) => {
                let message = format!("no other process can take over from this one: {error}");
                journal.tell(Happening::Review(message));
                None
            }
        };
        let listener = journal.clone();
        let tell = move |event| listener.tell(Happening::Vrrp(event));
        let scripts = configuration.scripts.take();
        let scripts = scripts.map(|scripts| scripts.with_fifos(fifos.clone()));
        let routers = Routers::start(driver, arguments.driver.into(), scripts, tell)?;
        Ok(Self {
            arguments,
            configuration,
            signals,
            journal,
            names,
            routers,
            fifos,
            output,
            door,
            successor: None,
            is_stopping: false,
        })
    }

    /// Runs until it is told to stop, and all addresses are gone.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let (ended, left) = loop {
            self.wait()?;
            self.answer_door();
            while let Some(signal) = self.take_signal()? {
                match signal {
                    Signal::Stop => self.stop(),
                    Signal::Reload => self.reload(),
                    Signal::Show => self.show(),
                }
            }
            if let Some(ended) = self.routers.ended() {
                break ended;
            }
        };
        let successor = self.successor.take();
        let is_stopped = successor.is_none();
        if let Some((successor, snapshot)) = successor {
            self.leave_to(successor, &left, &snapshot);
        }
        self.routers.finish();
        self.fifos.finish();
        if is_stopped {
            self.journal.tell(Happening::Stopped);
        }
        self.journal.end();
        self.output.finish();
        Ok(ended?)
    }

    fn take_signal(&mut self) -> Result<Option<Signal>, Failure> {
        self.signals.take().map_err(Failure::system("read signals"))
    }

    /// Waits for a signal, a successor, or the driver's end.
    fn wait(&self) -> Result<(), Failure> {
        let mut descriptors = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.routers.as_fd(), PollFlags::POLLIN),
        ];
        let door = self.door.as_ref();
        descriptors.extend(door.map(|door| PollFd::new(door.as_fd(), PollFlags::POLLIN)));
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Failure::system("wait for signals")(errno)),
        }
    }

    fn stop(&mut self) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.journal.tell(Happening::Stopping);
            self.routers.stop(ShutdownMode::Graceful);
        }
    }

    /// Lets a successor have everything: this process ends then.
    fn answer_door(&mut self) {
        let Some(successor) = self.door.as_ref().and_then(Door::successor) else {
            return;
        };
        if self.is_stopping {
            successor.refuse("the process that runs is just ending");
            return;
        }
        let Some(snapshot) = self.routers.snapshot() else {
            successor.refuse("the process that runs has just ended");
            return;
        };
        self.is_stopping = true;
        // The name is the successor's from now on.
        self.door = None;
        self.successor = Some((successor, snapshot));
        self.journal.tell(Happening::HandingOver);
        self.routers.stop(ShutdownMode::Handover);
    }

    /// Says what the driver has left.
    fn leave_to(&self, successor: Successor, left: &HandOver, snapshot: &Snapshot) {
        let estate = Estate::new(left, snapshot, &self.configuration.trackers());
        let active = estate.len();
        let given = successor.give(&estate).map_err(|error| error.to_string());
        self.journal.tell(Happening::HandedOver(active, given));
    }

    fn show(&self) {
        if let Some(snapshot) = self.routers.snapshot() {
            self.journal.tell(Happening::Snapshot(Box::new(snapshot)));
        }
    }

    fn reload(&mut self) {
        if self.is_stopping {
            return;
        }
        let reloaded = self.take_over_file();
        let is_new = reloaded.is_ok();
        self.journal.tell(Happening::Reloaded(reloaded));
        if is_new {
            for found in self.configuration.review() {
                self.journal.tell(Happening::Review(found));
            }
        }
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
        let removed = known.filter(|id| !stays(*id)).collect();
        self.names.set(&configuration.names);
        let (before, file) = (&self.configuration.file, &configuration.file);
        let driver = configuration.driver.clone();
        let reloaded = self
            .routers
            .reload(driver, removed, before.as_ref(), file.as_ref());
        if let Err(error) = reloaded {
            self.names.set(&self.configuration.names);
            return Err(error.to_string());
        }
        self.configuration = configuration;
        Ok(())
    }
}

/// The driver, from the beginning or from where another process leaves off.
fn begin(
    arguments: &Arguments,
    configuration: &Configuration,
    journal: &Journal,
    names: &Names,
    fifos: &Fifos,
) -> Result<Driver, Failure> {
    let config = configuration.driver.clone();
    if !arguments.take_over {
        return Ok(Driver::new(config)?);
    }
    // What would be in the way afterwards is better found before.
    config.review()?;
    RawReceiver::open("lo", LOOPBACK, Family::Ipv4, Carrier::Plain).map_err(DriverError::from)?;
    let Some(estate) = hand_over::take_over(arguments.tag).map_err(Failure::TakeOver)? else {
        journal.tell(Happening::NothingToTakeOver);
        return Ok(Driver::new(config)?);
    };
    let (left, config) = estate.into_parts(config, &configuration.trackers());
    let driver = Driver::resume(config, &left)?;
    fifos.inherit();
    let routers = left.routers.keys();
    let routers = routers.filter_map(|id| names.of(*id).map(|name| name.router));
    journal.tell(Happening::TakenOver(routers.collect()));
    Ok(driver)
}

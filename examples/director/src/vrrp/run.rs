//! Virtual routers as they run: the driver on a thread of its own, their scripts on another one.
//!
//! ```text
//!  who runs them ──► Routers ─┬─► thread vrrp-driver    advertisements, addresses
//!                             └─► thread vrrp-scripts   scripts, files, processes, notifications
//!  who listens   ◄── VrrpEvent, from both
//! ```
//!
//! [`Routers`] starts both, and tells them what belongs together: what is removed by a reload is told
//! to the scripts before, what ends is told as stopped. Its descriptor becomes readable when the
//! driver has ended.

mod scripting;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::{self, JoinHandle};

use lvs_vrrp::event::ShutdownMode;
#[cfg(feature = "tokio")]
use lvs_vrrp::net::AsyncDriver;
use lvs_vrrp::net::{Driver, DriverConfig, DriverError, DriverEventKind, Handle, Snapshot};
use lvs_vrrp::node::{HandOver, RouterId};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde_json::Value;

use super::names::Names;
use super::plan::Plan;
use super::scripts::{ScriptEvent, Scripts};
use super::told;
use crate::bell::Bell;
use crate::keepalived::Config;
use scripting::{Orders, Scripting};

/// The name of the driver's thread.
const DRIVER_THREAD: &str = "vrrp-driver";

/// A file, and the plan made of it, which gives its names the same numbers again.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a pair, made by whoever reads the file"
)]
pub struct PlannedFile {
    /// What is to be run.
    pub plan: Plan,
    /// What the file says.
    pub config: Config,
}

/// Something that virtual routers or their scripts did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum VrrpEvent {
    /// The driver says so.
    Driver(DriverEventKind),
    /// Scripts did something, or something was done with them.
    Script(ScriptEvent),
}

impl VrrpEvent {
    /// Its name and what belongs to it, for JSON.
    #[must_use]
    pub fn fields(&self, names: &Names) -> (&'static str, Value) {
        match self {
            Self::Driver(kind) => told::driver(kind, names),
            Self::Script(event) => told::script(event),
        }
    }
}

/// Takes what happens; it must be quick, as advertisements wait for it.
pub type Tell = Arc<dyn Fn(VrrpEvent) + Send + Sync>;

/// Which loop runs the virtual routers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the driver has these two")]
pub enum Loop {
    /// Its own, on epoll.
    #[default]
    Blocking,
    /// That of tokio.
    #[cfg(feature = "tokio")]
    Tokio,
}

/// Why threads cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system refuses something.
    #[error("cannot {0}: {1}")]
    System(&'static str, #[source] io::Error),
}

impl StartError {
    fn system(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System(what, errno.into())
    }
}

/// How a driver ended, and what it has left.
pub type Ended = (Result<(), DriverError>, HandOver);

/// Virtual routers that run. Dropped they go on until the process ends.
#[derive(Debug)]
pub struct Routers {
    handle: Handle,
    /// What the driver's thread ended with.
    ended: Receiver<Ended>,
    /// Becomes readable when it has ended.
    end: Arc<EventFd>,
    orders: Orders,
    scripts: Option<JoinHandle<()>>,
}

impl Routers {
    /// Runs a driver, and the scripts of the file it was made of.
    ///
    /// # Errors
    ///
    /// Where there can be no more threads.
    pub fn start(
        mut driver: Driver,
        runtime: Loop,
        scripts: Option<Scripts>,
        tell: impl Fn(VrrpEvent) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let tell: Tell = Arc::new(tell);
        let scripting = Scripting::new()?;
        let orders = scripting.orders();
        let (listener, reported) = (Arc::clone(&tell), scripting.orders());
        let has_scripts = scripts.is_some();
        driver.on_event(move |event| {
            if let DriverEventKind::Report(report) = &event.kind
                && has_scripts
            {
                reported.report(report);
            }
            listener(VrrpEvent::Driver(event.kind.clone()));
        });
        let handle = driver.handle();
        let end = eventfd()?;
        let ended = run_driver(driver, runtime, Arc::clone(&end))?;
        let scripts = scripts.map(|scripts| scripting.start(scripts, handle.clone(), tell));
        Ok(Self {
            handle,
            ended,
            end,
            orders,
            scripts: scripts.transpose()?,
        })
    }

    /// The means to tell the driver something, and to ask how things are.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// How the driver ended, once, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        match self.ended.try_recv() {
            Ok(ended) => Some(ended),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                let thread = DRIVER_THREAD;
                Some((
                    Err(DriverError::ThreadEnded { thread }),
                    HandOver::default(),
                ))
            }
        }
    }

    /// Asks the driver to stop; scripts are told that it does.
    pub fn stop(&self, mode: ShutdownMode) {
        match mode {
            ShutdownMode::Handover => self.orders.handing_over(),
            _ => self.orders.stopping(),
        }
        // If the driver has ended, that will be seen.
        let _ = self.handle.shutdown(mode);
    }

    /// How the virtual routers are; `None` once the driver has ended.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.handle.snapshot().ok()
    }

    /// Says whether [`reload`](Self::reload) would take this configuration, without doing so.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    ///
    /// # Blocking
    ///
    /// Until the driver has looked at it.
    pub fn try_reload(&self, driver: DriverConfig) -> Result<(), DriverError> {
        self.handle.try_reload(driver)
    }

    /// Goes on with another configuration, by the difference. `removed` are the virtual routers that
    /// it has no more, `before` and `file` the files of both.
    ///
    /// # Errors
    ///
    /// What is wrong with it; then all stays as it was.
    ///
    /// # Blocking
    ///
    /// Until the driver has it.
    pub fn reload(
        &self,
        driver: DriverConfig,
        removed: Vec<RouterId>,
        before: Option<&Arc<PlannedFile>>,
        file: Option<&Arc<PlannedFile>>,
    ) -> Result<(), DriverError> {
        self.orders.removing(removed);
        // What the driver tells of new ones is not to be missed.
        if let Some(file) = file {
            self.orders.expect(file);
        }
        let reloaded = self.handle.reload(driver);
        // If it was refused, those that are leaving stay.
        let follows = match &reloaded {
            Ok(()) => file,
            Err(_) => before,
        };
        if let Some(file) = follows {
            self.orders.follow(file);
        }
        reloaded
    }

    /// Waits for the scripts, once the driver has ended: seconds at most.
    pub fn finish(&mut self) {
        if let Some(scripts) = self.scripts.take() {
            self.orders.end();
            // It ends within seconds, and does not panic.
            let _ = scripts.join();
        }
    }
}

/// Becomes readable when the driver has ended.
impl AsFd for Routers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// Goes into a network namespace, before there are other threads.
///
/// # Errors
///
/// Where there is none of this name in `/run/netns`, or it may not be entered.
pub fn enter(name: &str) -> Result<(), StartError> {
    let namespace = File::open(Path::new("/run/netns").join(name));
    let namespace = namespace.map_err(|error| StartError::System("open net_namespace", error))?;
    let entered = setns(namespace, CloneFlags::CLONE_NEWNET);
    entered.map_err(StartError::system("enter net_namespace"))
}

fn eventfd() -> Result<Arc<EventFd>, StartError> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = EventFd::from_flags(flags).map_err(StartError::system("open an eventfd"))?;
    Ok(Arc::new(event))
}

/// Runs the driver on a thread of its own, which says how it ended.
fn run_driver(
    driver: Driver,
    runtime: Loop,
    end: Arc<EventFd>,
) -> Result<Receiver<Ended>, StartError> {
    let failed = |error| StartError::System("start a thread", error);
    let run: Box<dyn FnOnce(Driver) -> Ended + Send> = match runtime {
        Loop::Blocking => Box::new(run_blocking),
        #[cfg(feature = "tokio")]
        Loop::Tokio => {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_io().build().map_err(failed)?;
            Box::new(move |driver| runtime.block_on(run_on_tokio(driver)))
        }
    };
    let (told, ended) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(DRIVER_THREAD.into());
    let bell = Bell::new(end);
    let started = thread.spawn(move || {
        let _bell = bell;
        // Somebody waits for it, or the program is at its end.
        let _ = told.send(run(driver));
    });
    started.map_err(failed)?;
    Ok(ended)
}

fn run_blocking(mut driver: Driver) -> Ended {
    let result = driver.run();
    // A successor gets the tag with what is left.
    (result, driver.hand_over())
}

#[cfg(feature = "tokio")]
async fn run_on_tokio(driver: Driver) -> Ended {
    match AsyncDriver::new(driver) {
        Ok(mut driver) => {
            let result = driver.run().await;
            (result, driver.into_inner().hand_over())
        }
        Err(error) => (Err(error), HandOver::default()),
    }
}

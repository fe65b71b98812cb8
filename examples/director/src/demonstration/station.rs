//! One director: checks, table in memory and the loop over them, on a thread of its own.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use lvs_healthcheck::Driver;
use lvs_ipvs::{Client, MemoryKernel};
use nix::sys::eventfd::EventFd;

use super::DemonstrationError;
use super::farm::ForwardingTable;
use crate::run::{Happening, Remote, RunError, RunStats, Runner, Status};
use crate::setup::Setup;
use crate::signals::Signals;

/// So long a director may take for an order; one that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// What a director is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Make the table ready: the address is about to come.
    Prepare,
    /// The address is gone.
    Settle,
    /// Another configuration.
    Load(Box<Setup>),
    /// Say how you are.
    Report,
}

/// What a director tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Something happened.
    Line(String),
    /// The table is ready, or cannot be.
    Prepared(bool),
    /// It is a standby, or cannot be.
    Settled(bool),
    /// How it is.
    Status(Box<Status>),
    /// It cannot go on.
    Failed(DemonstrationError),
}

/// What a director tells, and which one in which of its lives.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) number: usize,
    pub(super) life: u32,
    pub(super) told: Told,
}

/// Where directors tell.
#[derive(Clone, Debug)]
pub(super) struct Mouth {
    number: usize,
    life: u32,
    messages: Sender<Message>,
    /// Wakes who listens.
    wake: Arc<EventFd>,
}

impl Mouth {
    /// One that belongs to nobody yet.
    pub(super) const fn new(messages: Sender<Message>, wake: Arc<EventFd>) -> Self {
        let (number, life) = (0, 0);
        Self {
            number,
            life,
            messages,
            wake,
        }
    }

    /// That of a director.
    pub(super) fn of(&self, number: usize, life: u32) -> Self {
        Self {
            number,
            life,
            ..self.clone()
        }
    }

    fn tell(&self, told: Told) {
        let message = Message {
            number: self.number,
            life: self.life,
            told,
        };
        // Nobody listens at the end.
        if self.messages.send(message).is_ok() {
            // It is awake already if the counter is full.
            let _ = self.wake.write(1);
        }
    }
}

/// A running director.
///
/// One thread runs it; another asks it for what it is ordered and waits for the answers, as the
/// thread does that executes the jobs of virtual routers.
#[derive(Debug)]
pub(super) struct Station {
    orders: Sender<Order>,
    remote: Remote,
    end: Arc<End>,
    thread: JoinHandle<RunStats>,
}

/// How a director is to end.
#[derive(Debug, Default)]
struct End {
    /// Taking out of the table what is in it.
    withdraws: AtomicBool,
}

impl Station {
    /// Starts a director, as a standby with an empty table that the forwarder follows.
    pub(super) fn start(
        setup: &Setup,
        forwarding: ForwardingTable,
        mouth: &Mouth,
    ) -> Result<Self, DemonstrationError> {
        let kernel = MemoryKernel::default();
        let driver = Driver::new(lvs_healthcheck::Config::default()).map_err(RunError::from)?;
        let runner = Runner::new(setup, connect(&kernel)?, driver, Signals::none()?, None)?;
        let (remote, end) = (runner.remote(), Arc::new(End::default()));
        let mut desk = Desk {
            runner,
            table: connect(&kernel)?,
            forwarding,
            mouth: mouth.clone(),
            end: Arc::clone(&end),
        };
        let (orders, received) = mpsc::channel();
        let (asked, asks) = (remote.clone(), mouth.clone());
        // It ends when there is nobody to give orders any more.
        spawn("orders", move || obey(&received, &asked, &asks))?;
        let thread = spawn("director", move || {
            if let Err(error) = desk.work() {
                desk.mouth.tell(Told::Failed(error));
            }
            desk.runner.stats()
        })?;
        Ok(Self {
            orders,
            remote,
            end,
            thread,
        })
    }

    /// Gives an order. One that has failed does not hear it.
    pub(super) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Ends it and waits for that; it takes out of the table what is in it, or leaves it as it is.
    pub(super) fn end(self, withdraws: bool) -> RunStats {
        self.end.withdraws.store(withdraws, Ordering::Release);
        self.remote.stop();
        self.thread.join().unwrap_or_default()
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, DemonstrationError> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(run).map_err(DemonstrationError::Thread)
}

/// Does what it is told until nobody tells any more.
fn obey(orders: &Receiver<Order>, remote: &Remote, mouth: &Mouth) {
    while let Ok(order) = orders.recv() {
        let (done, told) = match order {
            Order::Prepare => {
                let done = remote.prepare(LIMIT);
                let told = Told::Prepared(done.is_ok());
                (done, Some(told))
            }
            Order::Settle => {
                let done = remote.stand_by(LIMIT);
                let told = Told::Settled(done.is_ok());
                (done, Some(told))
            }
            Order::Load(setup) => (remote.reload(*setup, LIMIT), None),
            Order::Report => match remote.status(LIMIT) {
                Ok(status) => (Ok(()), Some(Told::Status(Box::new(status)))),
                Err(error) => (Err(error), None),
            },
        };
        if let Err(error) = done {
            mouth.tell(Told::Line(format!("failed  {error}")));
        }
        if let Some(told) = told {
            mouth.tell(told);
        }
    }
}

/// What a director works with.
struct Desk {
    runner: Runner,
    /// A second look at the table, for the forwarder.
    table: Client,
    forwarding: ForwardingTable,
    mouth: Mouth,
    end: Arc<End>,
}

impl Desk {
    fn work(&mut self) -> Result<(), DemonstrationError> {
        let (table, forwarding, mouth) = (&mut self.table, &self.forwarding, &self.mouth);
        let mut failed = None;
        let mut report = |happening: &Happening<'_>| {
            if let Happening::Applied = happening {
                failed = failed.take().or_else(|| follow(table, forwarding).err());
            } else {
                mouth.tell(Told::Line(happening.to_string()));
            }
        };
        let mut run = self.runner.run_until(None, &mut report).map(|_| ());
        if run.is_ok() && self.end.withdraws.load(Ordering::Acquire) {
            run = self.runner.withdraw(&mut report);
        }
        run?;
        failed.map_or(Ok(()), Err)
    }
}

/// One that panics cannot go on, either.
impl Drop for Desk {
    fn drop(&mut self) {
        if thread::panicking() {
            self.mouth.tell(Told::Failed(DemonstrationError::Panicked));
        }
    }
}

fn connect(kernel: &MemoryKernel) -> Result<Client, RunError> {
    Ok(Client::with_transport(kernel.socket())?)
}

/// Gives the forwarder what the table holds, oldest first, as the kernel would have it.
fn follow(table: &mut Client, forwarding: &ForwardingTable) -> Result<(), DemonstrationError> {
    let table = table.snapshot().map_err(RunError::from)?.table();
    forwarding.follow(&table)?;
    Ok(())
}

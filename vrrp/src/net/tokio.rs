//! The driver on tokio: the same steps, with the waiting left to the runtime (feature `tokio`).

use alloc::boxed::Box;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use ::tokio::io::unix::AsyncFd;
use ::tokio::sync::oneshot;
use futures_core::Stream;

use super::config::{DriverConfig, DriverError};
use super::driver::{Command, Driver, DriverEvent, EventStream, Handle, Reply, Snapshot};
use super::watched::Watched;
use super::{NetError, Operation};

/// Runs virtual routers on a task.
///
/// It does what [`Driver`] does, with the same threads beside it. The task must not be starved: what
/// else runs on the same thread of the runtime delays advertisements, so a runtime of its own is a
/// good place for many routers at short intervals.
///
/// ```no_run
/// use lvs_vrrp::net::{AsyncDriver, Driver, DriverConfig};
///
/// # async fn run(config: DriverConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let mut driver = AsyncDriver::new(Driver::new(config)?)?;
/// let (handle, mut events) = (driver.handle(), driver.events(1000));
/// let routers = tokio::spawn(async move { driver.run().await });
/// let snapshot = handle.snapshot_async().await?;
/// println!("{:?}", snapshot.routers.first().map(|router| router.state));
/// if let Some(event) = events.next().await {
///     println!("{}: {:?}", event.sequence, event.kind);
/// }
/// handle.shutdown(Default::default())?;
/// routers.await??;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncDriver {
    driver: Driver,
    watched: AsyncFd<Watched>,
}

impl AsyncDriver {
    /// Lets the runtime of the caller wait for this driver.
    ///
    /// # Errors
    ///
    /// Where the runtime cannot watch one more descriptor.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, and in one without I/O.
    pub fn new(driver: Driver) -> Result<Self, DriverError> {
        let watched = Watched::register(driver.epoll()).map_err(failed)?;
        Ok(Self { driver, watched })
    }

    /// Tells it something from elsewhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.driver.handle()
    }

    /// The events from now on, of which so many may wait to be taken, for tasks.
    pub fn events(&mut self, capacity: usize) -> AsyncEventStream {
        self.driver.events(capacity).into()
    }

    /// Runs until it was [shut down](Handle::shutdown), and all that belongs to that is done.
    ///
    /// The runtime's threads have to be in the network namespace in which the driver was made, as for
    /// [`Driver::run`].
    ///
    /// # Errors
    ///
    /// As [`Driver::run`].
    ///
    /// # Cancellation
    ///
    /// Dropped between two steps it stands still, like a process that is stopped; a new call goes on.
    pub async fn run(&mut self) -> Result<(), DriverError> {
        // The first step sets the first deadline.
        if !self.driver.step(Some(Duration::ZERO))? {
            return Ok(());
        }
        loop {
            let mut guard = self.watched.readable().await.map_err(failed)?;
            if !self.driver.step(Some(Duration::ZERO))? {
                return Ok(());
            }
            if self.driver.found_nothing() {
                guard.clear_ready();
            }
        }
    }

    /// The driver, to be run otherwise.
    #[must_use]
    pub fn into_inner(self) -> Driver {
        self.driver
    }
}

/// The events of a driver for tasks: those of an [`EventStream`], in the same order with the same
/// numbers, and as many of them. It works on whatever runtime, and beside whichever driver.
///
/// Where events were dropped because nobody took them, numbers are missing, and
/// [`dropped`](Self::dropped) counts them. The last transition of a virtual router is never among
/// them.
///
/// ```no_run
/// use lvs_vrrp::net::{AsyncEventStream, Driver, DriverConfig};
///
/// # async fn follow(config: DriverConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let mut driver = Driver::new(config)?;
/// let mut events = AsyncEventStream::from(driver.events(1000));
/// std::thread::spawn(move || driver.run());
/// while let Some(event) = events.next().await {
///     println!("{}: {:?}", event.sequence, event.kind);
/// }
/// println!("{} were dropped", events.dropped());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncEventStream {
    events: EventStream,
}

impl AsyncEventStream {
    /// The next event; `None` when the driver has ended.
    ///
    /// # Cancellation
    ///
    /// Dropped it has taken nothing: the event is the next one's.
    pub async fn next(&mut self) -> Option<DriverEvent> {
        poll_fn(|task| self.events.poll(task)).await
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<DriverEvent> {
        self.events.try_next()
    }

    /// How many were dropped so far because nobody took them: [`EventStream::dropped`].
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.events.dropped()
    }
}

impl From<EventStream> for AsyncEventStream {
    fn from(events: EventStream) -> Self {
        Self { events }
    }
}

impl Stream for AsyncEventStream {
    type Item = DriverEvent;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<DriverEvent>> {
        self.events.poll(task)
    }
}

fn failed(error: std::io::Error) -> DriverError {
    NetError::new(Operation::Wait, "", error).into()
}

impl Handle {
    /// As [`snapshot`](Self::snapshot), for tasks.
    ///
    /// # Errors
    ///
    /// [`DriverError::Ended`].
    ///
    /// # Cancellation
    ///
    /// Dropped it leaves nothing behind.
    pub async fn snapshot_async(&self) -> Result<Snapshot, DriverError> {
        self.ask_async(Command::Snapshot).await
    }

    /// As [`reload`](Self::reload), for tasks.
    ///
    /// # Errors
    ///
    /// As those of [`reload`](Self::reload).
    ///
    /// # Cancellation
    ///
    /// Dropped it leaves the driver with the new configuration, now or soon.
    pub async fn reload_async(&self, config: DriverConfig) -> Result<(), DriverError> {
        let config = Box::new(config);
        self.ask_async(|reply| Command::Reload(config, reply))
            .await?
    }

    async fn ask_async<T: Send + 'static>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, DriverError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(Box::new(move |value| drop(reply.send(value)))))?;
        answer.await.map_err(|_| DriverError::Ended)
    }
}

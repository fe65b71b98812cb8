//! The asynchronous client, for programs on [tokio](https://docs.rs/tokio) (feature `tokio`).
//!
//! [`Client`] has the methods of the blocking [`Client`](crate::Client) and does the same: both
//! run the same [operations](crate::operation) over the same session, and send the same bytes.
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use lvs_ipvs::tokio::Client;
//! use lvs_ipvs::{Destination, VirtualService};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut ipvs = Client::in_memory().await?; // Client::connect() for the kernel's
//! let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
//! ipvs.add_service(&web).await?;
//! let server = Destination::masquerade("10.0.0.11:80".parse().unwrap());
//! ipvs.add_destination(web.key(), &server).await?;
//! assert!(ipvs.add_service(&web).await.unwrap_err().is_exists());
//! # Ok::<(), lvs_ipvs::Error>(()) })?;
//! # }
//! # Ok::<(), lvs_ipvs::Error>(())
//! ```
//!
//! # Cancellation
//!
//! A future may be dropped at any await point, by `select!` or a timeout for instance. Then:
//!
//! - the client can be used at once, for anything;
//! - what had been sent is done or not, as if its answer had been lost: the outcome is *unknown*.
//!   (The kernel handles requests while they are sent, so most likely it is done.) Read the table
//!   before trying again, or use calls that may be repeated;
//! - what had not been sent will not be sent: of a batch, a plan or a call of several steps the
//!   first part may be done;
//! - answers to the dropped call are skipped: the next call reads what waits of them before it
//!   sends anything, a dump that the kernel has begun to its end.
//!
//! A future that was never polled has done nothing.
//!
//! # Blocking
//!
//! The kernel handles requests on the thread that sends them, so a call takes that thread for as
//! long as the kernel works: some microseconds for most, up to seconds for
//! [`stop_daemon`](Client::stop_daemon), and for as long as a module takes to load when one is
//! missing ([`connect`](Client::connect), and the first use of a scheduler). No asynchronous I/O
//! can help there. Use a thread of its own with the blocking client, or
//! `tokio::task::block_in_place`, where that is too long. Between datagrams the client lets other
//! tasks run, as tokio's own I/O does.
//!
//! # Runtime
//!
//! Either flavour of runtime, with I/O and time enabled (`enable_all`). A client belongs to the
//! runtime it was made in: its socket is watched by that one. Over the memory kernel no runtime is
//! needed: nothing is waited for, but each receive gives way once to other tasks, so that every
//! place where a future over a socket could be dropped is there, too.

mod link;

use std::os::fd::OwnedFd;

use crate::batch::Report;
use crate::client::Options;
use crate::client::connection::{Connection, Need};
use crate::config::Timeouts;
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::destination::{Destination, DestinationEntry, DestinationKey};
use crate::error::Error;
use crate::info::Info;
use crate::operation::{
    ApplyChanges, ApplyPlan, ChangeOne, Ensure, EnsureDaemon, EnsureNoDaemon, Ensured, GetOne,
    List, ListDestinations, Operation, StopDaemon, TakeSnapshot, UpdateDestination, UpdateService,
    VisitTable, visit_destinations, visit_services,
};
use crate::plan::Plan;
use crate::request::{Change, Query};
use crate::service::{ServiceEntry, ServiceKey, VirtualService};
use crate::snapshot::{Snapshot, SnapshotService};
use crate::transport::{NetlinkSocket, Transport};
use crate::wire::{DestinationView, ServiceView};
use link::Link;

/// A connection to the IPVS of one network namespace, for asynchronous programs.
///
/// Each method does what the method of that name of the blocking [`Client`](crate::Client) does,
/// with the same errors; what dropping its future leaves behind is said in the
/// [module](self#cancellation).
#[derive(Debug)]
pub struct Client {
    link: Link,
    connection: Connection,
}

impl Client {
    /// Connects to the kernel, in the network namespace of the calling thread.
    ///
    /// The namespace is that of the thread which polls first. Where threads of the runtime are in
    /// different ones, open the socket where you know it and use
    /// [`with_transport`](Self::with_transport).
    ///
    /// # Errors
    ///
    /// As [`Client::connect`](crate::Client::connect); [`Error::Io`] outside of a runtime.
    ///
    /// # Panics
    ///
    /// In a runtime without I/O.
    pub async fn connect() -> Result<Self, Error> {
        let socket = NetlinkSocket::open()
            .map_err(|error| Error::io("cannot open a generic netlink socket", error))?;
        Self::with_transport(socket).await
    }

    /// Uses a generic netlink socket opened elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Client::from_fd`](crate::Client::from_fd); [`Error::Io`] outside of a runtime.
    ///
    /// # Panics
    ///
    /// In a runtime without I/O.
    pub async fn from_fd(socket: OwnedFd) -> Result<Self, Error> {
        let socket = NetlinkSocket::from_descriptor(socket)
            .map_err(|error| Error::io("cannot use this descriptor", error))?;
        Self::with_transport(socket).await
    }

    /// Connects to a new, empty kernel in memory; see
    /// [`MemoryKernel`](crate::MemoryKernel) for one that is prepared or shared.
    ///
    /// # Errors
    ///
    /// None in practice; the signature is that of [`connect`](Self::connect).
    #[cfg(feature = "memory")]
    pub async fn in_memory() -> Result<Self, Error> {
        Self::with_transport(crate::MemoryKernel::default().socket()).await
    }

    /// Connects over that transport.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub async fn with_transport(
        transport: impl Transport + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut client = Self {
            link: Link::new(Box::new(transport))?,
            connection: Connection::new(),
        };
        let family = client.run(GetOne::family()).await;
        client.connection.resolved(family)?;
        Ok(client)
    }

    /// Replaces the options, from the next call on.
    pub fn set_options(&mut self, options: Options) {
        let transport = self.link.transport_mut();
        self.connection.set_options(options, transport);
    }

    /// The options.
    pub const fn options(&self) -> Options {
        self.connection.options()
    }

    /// The size of the socket's receive queue; see
    /// [`Options::receive_buffer`](Options::receive_buffer).
    ///
    /// # Errors
    ///
    /// [`Error::Io`], which no socket is known to give.
    pub fn receive_buffer(&self) -> Result<usize, Error> {
        let size = self.link.transport().receive_buffer();
        size.map_err(|error| Error::io("cannot read the size of the receive queue", error))
    }

    /// Adds a virtual service; see [`Client::add_service`](crate::Client::add_service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn add_service(&mut self, service: &VirtualService) -> Result<(), Error> {
        self.change(Change::AddService(service.clone())).await
    }

    /// Replaces all settings of a virtual service; see
    /// [`Client::set_service`](crate::Client::set_service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn set_service(&mut self, service: &VirtualService) -> Result<(), Error> {
        self.change(Change::SetService(service.clone())).await
    }

    /// Removes a virtual service and its destinations; see
    /// [`Client::remove_service`](crate::Client::remove_service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn remove_service(&mut self, key: ServiceKey) -> Result<(), Error> {
        self.change(Change::RemoveService(key)).await
    }

    /// Makes sure that a virtual service is there with all these settings; see
    /// [`Client::ensure_service`](crate::Client::ensure_service). After a dropped future, calling
    /// it again puts things right.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ensure_service(&mut self, service: &VirtualService) -> Result<Ensured, Error> {
        self.ensure(Ensure::service(service)).await
    }

    /// Makes sure that there is no such virtual service; see
    /// [`Client::ensure_no_service`](crate::Client::ensure_no_service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ensure_no_service(&mut self, key: ServiceKey) -> Result<Ensured, Error> {
        self.ensure(Ensure::no_service(key)).await
    }

    /// Changes some settings of a virtual service and keeps the others; see
    /// [`Client::update_service`](crate::Client::update_service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn update_service(
        &mut self,
        key: ServiceKey,
        modify: impl FnOnce(VirtualService) -> VirtualService,
    ) -> Result<Ensured, Error> {
        self.options().check_query(Query::Service(key))?;
        let update = UpdateService::new(key, modify, self.options().validate);
        self.run(update).await
    }

    /// Reads a virtual service; see [`Client::service`](crate::Client::service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn service(&mut self, key: ServiceKey) -> Result<ServiceEntry, Error> {
        self.options().check_query(Query::Service(key))?;
        self.run(GetOne::service(key)).await
    }

    /// Reads all virtual services; see [`Client::services`](crate::Client::services).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        self.run(List::services()).await
    }

    /// Reads all virtual services without storing them; see
    /// [`Client::for_each_service`](crate::Client::for_each_service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn for_each_service(
        &mut self,
        visit: impl FnMut(&ServiceView<'_>),
    ) -> Result<(), Error> {
        self.run(visit_services(visit)).await
    }

    /// Adds a destination; see [`Client::add_destination`](crate::Client::add_destination).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn add_destination(
        &mut self,
        service: ServiceKey,
        destination: &Destination,
    ) -> Result<(), Error> {
        let change = Change::AddDestination(service, destination.clone());
        self.change(change).await
    }

    /// Replaces all settings of a destination; see
    /// [`Client::set_destination`](crate::Client::set_destination).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn set_destination(
        &mut self,
        service: ServiceKey,
        destination: &Destination,
    ) -> Result<(), Error> {
        let change = Change::SetDestination(service, destination.clone());
        self.change(change).await
    }

    /// Removes a destination; see
    /// [`Client::remove_destination`](crate::Client::remove_destination).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn remove_destination(
        &mut self,
        service: ServiceKey,
        key: DestinationKey,
    ) -> Result<(), Error> {
        self.change(Change::RemoveDestination(service, key)).await
    }

    /// Makes sure that a virtual service has a destination with all these settings; see
    /// [`Client::ensure_destination`](crate::Client::ensure_destination).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ensure_destination(
        &mut self,
        service: ServiceKey,
        destination: &Destination,
    ) -> Result<Ensured, Error> {
        self.ensure(Ensure::destination(service, destination)).await
    }

    /// Makes sure that a virtual service, there or not, does not have that destination; see
    /// [`Client::ensure_no_destination`](crate::Client::ensure_no_destination).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ensure_no_destination(
        &mut self,
        service: ServiceKey,
        key: DestinationKey,
    ) -> Result<Ensured, Error> {
        self.ensure(Ensure::no_destination(service, key)).await
    }

    /// Changes some settings of a destination and keeps the others; see
    /// [`Client::update_destination`](crate::Client::update_destination).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn update_destination(
        &mut self,
        service: ServiceKey,
        key: DestinationKey,
        modify: impl FnOnce(Destination) -> Destination,
    ) -> Result<Ensured, Error> {
        self.options().check_query(Query::Destinations(service))?;
        let update = UpdateDestination::new(service, key, modify, self.options().validate);
        self.run(update).await
    }

    /// Reads the destinations of a service; see
    /// [`Client::destinations`](crate::Client::destinations).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn destinations(
        &mut self,
        service: ServiceKey,
    ) -> Result<Vec<DestinationEntry>, Error> {
        self.options().check_query(Query::Destinations(service))?;
        self.run(ListDestinations::new(service)).await
    }

    /// Reads the destinations of a service without storing them; see
    /// [`Client::for_each_destination`](crate::Client::for_each_destination).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn for_each_destination(
        &mut self,
        service: ServiceKey,
        visit: impl FnMut(&DestinationView<'_>),
    ) -> Result<(), Error> {
        self.options().check_query(Query::Destinations(service))?;
        self.run(visit_destinations(service, visit)).await
    }

    /// Starts a sync daemon; see [`Client::start_daemon`](crate::Client::start_daemon).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn start_daemon(&mut self, daemon: &SyncDaemon) -> Result<(), Error> {
        self.change(Change::StartDaemon(*daemon)).await
    }

    /// Stops the sync daemon of that role; see
    /// [`Client::stop_daemon`](crate::Client::stop_daemon).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Blocking
    ///
    /// The kernel waits for its threads to end, on the calling thread, up to some seconds.
    pub async fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), Error> {
        self.run(StopDaemon::new(role)).await
    }

    /// Makes sure that a sync daemon runs with this configuration; see
    /// [`Client::ensure_daemon`](crate::Client::ensure_daemon).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Blocking
    ///
    /// Where one has to be stopped, as [`stop_daemon`](Self::stop_daemon).
    ///
    /// # Cancellation
    ///
    /// A daemon of another configuration may have been stopped and none started.
    pub async fn ensure_daemon(&mut self, daemon: &SyncDaemon) -> Result<Ensured, Error> {
        self.options().check_change(&Change::StartDaemon(*daemon))?;
        self.run(EnsureDaemon::new(daemon)).await
    }

    /// Makes sure that no sync daemon of that role runs; see
    /// [`Client::ensure_no_daemon`](crate::Client::ensure_no_daemon).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Blocking
    ///
    /// As [`stop_daemon`](Self::stop_daemon).
    pub async fn ensure_no_daemon(&mut self, role: DaemonRole) -> Result<Ensured, Error> {
        self.run(EnsureNoDaemon::new(role)).await
    }

    /// Reads the running sync daemons; see [`Client::daemons`](crate::Client::daemons).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Error> {
        self.run(List::daemons()).await
    }

    /// Reads the timeouts; see [`Client::timeouts`](crate::Client::timeouts).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn timeouts(&mut self) -> Result<Timeouts, Error> {
        self.run(GetOne::timeouts()).await
    }

    /// Sets the timeouts that are given; see
    /// [`Client::set_timeouts`](crate::Client::set_timeouts).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), Error> {
        self.change(Change::SetTimeouts(timeouts)).await
    }

    /// Reads version and connection table size; see [`Client::info`](crate::Client::info).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn info(&mut self) -> Result<Info, Error> {
        self.run(GetOne::info()).await
    }

    /// Zeroes all counters; see [`Client::zero`](crate::Client::zero).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn zero(&mut self) -> Result<(), Error> {
        self.change(Change::Zero(None)).await
    }

    /// Zeroes the counters of a service and its destinations; see
    /// [`Client::zero_service`](crate::Client::zero_service).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn zero_service(&mut self, key: ServiceKey) -> Result<(), Error> {
        self.change(Change::Zero(Some(key))).await
    }

    /// Removes every virtual service of the namespace, whoever made it.
    ///
    /// # Errors
    ///
    /// As [`Client::flush`](crate::Client::flush).
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.change(Change::Flush).await
    }

    /// Reads the whole table until two readings agree; see
    /// [`Client::snapshot`](crate::Client::snapshot).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn snapshot(&mut self) -> Result<Snapshot, Error> {
        self.run(TakeSnapshot::new()).await
    }

    /// Reads the whole table once; see [`Client::snapshot_once`](crate::Client::snapshot_once).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn snapshot_once(&mut self) -> Result<Snapshot, Error> {
        self.run(TakeSnapshot::once()).await
    }

    /// Reads the whole table once without storing it; see
    /// [`Client::for_each_with_destinations`](crate::Client::for_each_with_destinations).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn for_each_with_destinations(
        &mut self,
        visit: impl FnMut(SnapshotService),
    ) -> Result<(), Error> {
        self.run(VisitTable::new(visit)).await
    }

    /// Sends changes together, many in each system call; see
    /// [`Client::execute`](crate::Client::execute).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancellation
    ///
    /// Changes go out in order, so a first part of them may be done, and nothing tells which.
    pub async fn execute(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
    ) -> Result<Report, Error> {
        let changes = ApplyChanges::new(changes, self.options().validate);
        self.run(changes).await
    }

    /// Applies a plan; see [`Client::apply`](crate::Client::apply).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancellation
    ///
    /// A first part of the steps may be done, and nothing tells which. Take a snapshot and plan
    /// anew: that is what plans are for.
    pub async fn apply(&mut self, plan: &Plan) -> Result<Report, Error> {
        let plan = ApplyPlan::new(plan.clone(), self.options().validate);
        self.run(plan).await
    }

    async fn change(&mut self, change: Change) -> Result<(), Error> {
        self.options().check_change(&change)?;
        self.run(ChangeOne::new(change)).await
    }

    async fn ensure(&mut self, ensure: Ensure) -> Result<Ensured, Error> {
        self.options().check_change(ensure.change())?;
        self.run(ensure).await
    }

    /// Runs an operation to its end.
    ///
    /// What an earlier operation left unanswered (its future was dropped, it failed, ended early,
    /// or a function it called panicked) is not heard of any more.
    ///
    /// # Errors
    ///
    /// As [`Client::run`](crate::Client::run).
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the operation. What it had submitted and was not sent yet never
    /// will be; what was sent is as in the [module](self#cancellation).
    pub async fn run<O: Operation>(&mut self, operation: O) -> Result<O::Output, Error> {
        let mut running = self.connection.begin(operation);
        loop {
            match running.next() {
                Need::Send => {
                    let sent = self.link.transport_mut().send(running.outgoing());
                    running.sent(sent);
                }
                Need::Receive(timeout) => {
                    let received = self.link.receive(running.incoming(), timeout).await;
                    running.received(received);
                }
                Need::Nothing(result) => return result,
            }
        }
    }
}

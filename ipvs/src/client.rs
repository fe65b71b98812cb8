//! The blocking client.

pub(crate) mod connection;
mod options;

use std::os::fd::OwnedFd;

use crate::batch::Report;
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
#[cfg(doc)]
use crate::{Outcome, Reason};
use connection::{Connection, Need};

pub use options::Options;

/// A connection to the IPVS of one network namespace.
///
/// Every call sends its requests, waits for the answers and returns: no thread, no retry, no
/// other state than the socket. What a call leaves unanswered when it fails (a time-out, an
/// overrun of the receive queue) is reported as *unknown outcome*, and the client can be used
/// on at once.
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use lvs_ipvs::{Client, Destination, VirtualService};
///
/// let mut ipvs = Client::in_memory()?; // Client::connect() for the kernel's
/// let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
/// ipvs.add_service(&web)?;
/// ipvs.add_destination(web.key(), &Destination::masquerade("10.0.0.11:80".parse().unwrap()))?;
/// assert!(ipvs.add_service(&web).unwrap_err().is_exists());
/// # }
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[derive(Debug)]
pub struct Client {
    transport: Box<dyn Transport + Send + Sync>,
    connection: Connection,
}

impl Client {
    /// Connects to the kernel, in the network namespace of the calling thread.
    ///
    /// Makes the kernel load the module `ip_vs` if it can.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the kernel has no IPVS; [`Error::Io`] when it has no netlink.
    /// A lack of privilege shows with the first request, not here.
    pub fn connect() -> Result<Self, Error> {
        let socket = NetlinkSocket::open()
            .map_err(|error| Error::io("cannot open a generic netlink socket", error))?;
        Self::with_transport(socket)
    }

    /// Uses a generic netlink socket opened elsewhere, for instance in another network
    /// namespace or by a privileged process.
    ///
    /// What is waiting in its receive queue is thrown away. Extended acknowledgements come only
    /// if the socket asks for them (`NETLINK_EXT_ACK`). A socket that is shared, by `dup` or over
    /// a `fork`, gives its answers to whoever reads first: use it in one place only.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is no netlink socket; else as [`connect`](Self::connect).
    pub fn from_fd(socket: OwnedFd) -> Result<Self, Error> {
        let socket = NetlinkSocket::from_descriptor(socket)
            .map_err(|error| Error::io("cannot use this descriptor", error))?;
        Self::with_transport(socket)
    }

    /// Connects to a new, empty kernel in memory; see
    /// [`MemoryKernel`](crate::MemoryKernel) for one that is prepared or shared.
    ///
    /// # Errors
    ///
    /// None in practice; the signature is that of [`connect`](Self::connect).
    #[cfg(feature = "memory")]
    pub fn in_memory() -> Result<Self, Error> {
        Self::with_transport(crate::MemoryKernel::default().socket())
    }

    /// Connects over that transport.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn with_transport(
        transport: impl Transport + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut client = Self {
            transport: Box::new(transport),
            connection: Connection::new(),
        };
        let family = client.run(GetOne::family());
        client.connection.resolved(family)?;
        Ok(client)
    }

    /// Replaces the options, from the next call on.
    pub fn set_options(&mut self, options: Options) {
        self.connection.set_options(options, &mut *self.transport);
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
        let size = self.transport.receive_buffer();
        size.map_err(|error| Error::io("cannot read the size of the receive queue", error))
    }

    /// Adds a virtual service.
    ///
    /// # Errors
    ///
    /// [`Reason::ServiceExists`], [`Reason::UnknownScheduler`] among others.
    pub fn add_service(&mut self, service: &VirtualService) -> Result<(), Error> {
        self.change(Change::AddService(service.clone()))
    }

    /// Replaces all settings of a virtual service. Its destinations, connections and counters
    /// stay; connections keep the persistence they were made under.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`], [`Reason::UnknownScheduler`] among others.
    pub fn set_service(&mut self, service: &VirtualService) -> Result<(), Error> {
        self.change(Change::SetService(service.clone()))
    }

    /// Removes a virtual service and its destinations.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`] among others.
    pub fn remove_service(&mut self, key: ServiceKey) -> Result<(), Error> {
        self.change(Change::RemoveService(key))
    }

    /// Makes sure that a virtual service is there with all these settings: adds it, or replaces
    /// the settings when it exists.
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use lvs_ipvs::{Client, Ensured, VirtualService};
    ///
    /// let mut ipvs = Client::in_memory()?;
    /// let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
    /// assert_eq!(ipvs.ensure_service(&web)?, Ensured::Added);
    /// assert_eq!(ipvs.ensure_service(&web)?, Ensured::Replaced);
    /// assert_eq!(ipvs.ensure_no_service(web.key())?, Ensured::Removed);
    /// assert_eq!(ipvs.ensure_no_service(web.key())?, Ensured::Unchanged);
    /// # }
    /// # Ok::<(), lvs_ipvs::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reason::UnknownScheduler`] among others; [`Reason::ServiceExists`] or
    /// [`Reason::NoSuchService`] when somebody else removes and adds it all the time.
    pub fn ensure_service(&mut self, service: &VirtualService) -> Result<Ensured, Error> {
        self.ensure(Ensure::service(service))
    }

    /// Makes sure that there is no such virtual service.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn ensure_no_service(&mut self, key: ServiceKey) -> Result<Ensured, Error> {
        self.ensure(Ensure::no_service(key))
    }

    /// Changes some settings of a virtual service and keeps the others: reads them, lets the
    /// function modify them, and writes them back unless they are as before. The key stays.
    ///
    /// Attributes this crate does not know go back as they came. There is no lock in the kernel:
    /// what somebody else changes in between is overwritten.
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use lvs_ipvs::{Client, Scheduler, VirtualService};
    ///
    /// let mut ipvs = Client::in_memory()?;
    /// let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
    /// ipvs.add_service(&web)?;
    /// ipvs.update_service(web.key(), |service| service.with_scheduler(Scheduler::Mh))?;
    /// # }
    /// # Ok::<(), lvs_ipvs::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`], [`Reason::UnknownScheduler`] among others.
    pub fn update_service(
        &mut self,
        key: ServiceKey,
        modify: impl FnOnce(VirtualService) -> VirtualService,
    ) -> Result<Ensured, Error> {
        self.options().check_query(Query::Service(key))?;
        self.run(UpdateService::new(key, modify, self.options().validate))
    }

    /// Reads a virtual service.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`] among others.
    pub fn service(&mut self, key: ServiceKey) -> Result<ServiceEntry, Error> {
        self.options().check_query(Query::Service(key))?;
        self.run(GetOne::service(key))
    }

    /// Reads all virtual services, in the kernel's order (that of a hash table).
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        self.run(List::services())
    }

    /// Reads all virtual services without storing them.
    ///
    /// # Errors
    ///
    /// As [`services`](Self::services); what was visited until then was right.
    pub fn for_each_service(&mut self, visit: impl FnMut(&ServiceView<'_>)) -> Result<(), Error> {
        self.run(visit_services(visit))
    }

    /// Adds a destination. It becomes the first in the kernel's list.
    ///
    /// A destination removed less than some minutes ago comes back with its counters and
    /// connections.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`], [`Reason::DestinationExists`],
    /// [`Reason::DestinationRefused`] among others.
    pub fn add_destination(
        &mut self,
        service: ServiceKey,
        destination: &Destination,
    ) -> Result<(), Error> {
        self.change(Change::AddDestination(service, destination.clone()))
    }

    /// Replaces all settings of a destination. Connections keep the forwarding method they were
    /// made with.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`], [`Reason::NoSuchDestination`] among others.
    pub fn set_destination(
        &mut self,
        service: ServiceKey,
        destination: &Destination,
    ) -> Result<(), Error> {
        self.change(Change::SetDestination(service, destination.clone()))
    }

    /// Removes a destination. Packets of its connections are dropped in silence unless the
    /// sysctl `expire_nodest_conn` is on.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`], [`Reason::NoSuchDestination`] among others.
    pub fn remove_destination(
        &mut self,
        service: ServiceKey,
        key: DestinationKey,
    ) -> Result<(), Error> {
        self.change(Change::RemoveDestination(service, key))
    }

    /// Makes sure that a virtual service, which must be there, has a destination with all these
    /// settings: adds it, or replaces the settings when it exists.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`], [`Reason::DestinationRefused`] among others;
    /// [`Reason::DestinationExists`] or [`Reason::NoSuchDestination`] when somebody else removes
    /// and adds it all the time.
    pub fn ensure_destination(
        &mut self,
        service: ServiceKey,
        destination: &Destination,
    ) -> Result<Ensured, Error> {
        self.ensure(Ensure::destination(service, destination))
    }

    /// Makes sure that a virtual service, there or not, does not have that destination.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn ensure_no_destination(
        &mut self,
        service: ServiceKey,
        key: DestinationKey,
    ) -> Result<Ensured, Error> {
        self.ensure(Ensure::no_destination(service, key))
    }

    /// Changes some settings of a destination and keeps the others, as
    /// [`update_service`](Self::update_service) does. All destinations of the service are read
    /// for it, since the kernel does not read one.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`], [`Reason::NoSuchDestination`] among others.
    pub fn update_destination(
        &mut self,
        service: ServiceKey,
        key: DestinationKey,
        modify: impl FnOnce(Destination) -> Destination,
    ) -> Result<Ensured, Error> {
        self.options().check_query(Query::Destinations(service))?;
        let validate = self.options().validate;
        self.run(UpdateDestination::new(service, key, modify, validate))
    }

    /// Reads the destinations of a service, newest first.
    ///
    /// The kernel answers for a missing service as for an empty one, so when there are none the
    /// service is asked for.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`] among others.
    pub fn destinations(&mut self, service: ServiceKey) -> Result<Vec<DestinationEntry>, Error> {
        self.options().check_query(Query::Destinations(service))?;
        self.run(ListDestinations::new(service))
    }

    /// Reads the destinations of a service without storing them. A missing service looks like
    /// one without destinations.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others; what was visited until then was right.
    pub fn for_each_destination(
        &mut self,
        service: ServiceKey,
        visit: impl FnMut(&DestinationView<'_>),
    ) -> Result<(), Error> {
        self.options().check_query(Query::Destinations(service))?;
        self.run(visit_destinations(service, visit))
    }

    /// Starts a sync daemon.
    ///
    /// # Errors
    ///
    /// [`Reason::DaemonRunning`], [`Reason::NoSuchInterface`] among others; what opening its
    /// multicast socket may give comes through as it is.
    pub fn start_daemon(&mut self, daemon: &SyncDaemon) -> Result<(), Error> {
        self.change(Change::StartDaemon(*daemon))
    }

    /// Stops the sync daemon of that role.
    ///
    /// # Errors
    ///
    /// [`Reason::DaemonNotRunning`] among others.
    ///
    /// # Blocking
    ///
    /// The kernel waits for its threads to end, up to some seconds: not for a thread that has
    /// deadlines to keep.
    pub fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), Error> {
        self.run(StopDaemon::new(role))
    }

    /// Makes sure that a sync daemon runs with this configuration. One that does is left alone;
    /// one that runs otherwise is stopped and started anew. What is `None` means the kernel's
    /// default, for the length of messages any.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchInterface`] among others. When starting fails after one was stopped, none
    /// runs.
    ///
    /// # Blocking
    ///
    /// Where one has to be stopped, as [`stop_daemon`](Self::stop_daemon).
    pub fn ensure_daemon(&mut self, daemon: &SyncDaemon) -> Result<Ensured, Error> {
        self.options().check_change(&Change::StartDaemon(*daemon))?;
        self.run(EnsureDaemon::new(daemon))
    }

    /// Makes sure that no sync daemon of that role runs.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    ///
    /// # Blocking
    ///
    /// As [`stop_daemon`](Self::stop_daemon).
    pub fn ensure_no_daemon(&mut self, role: DaemonRole) -> Result<Ensured, Error> {
        self.run(EnsureNoDaemon::new(role))
    }

    /// Reads the running sync daemons, the active one first.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Error> {
        self.run(List::daemons())
    }

    /// Reads the timeouts.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        self.run(GetOne::timeouts())
    }

    /// Sets the timeouts that are given; `None` and 0 leave a value as it is.
    ///
    /// # Errors
    ///
    /// [`Reason::InvalidArgument`] above the kernel's limit, which depends on its `HZ`; then
    /// nothing is changed.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), Error> {
        self.change(Change::SetTimeouts(timeouts))
    }

    /// Reads version and connection table size.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others, so this tells early whether the client can work.
    pub fn info(&mut self) -> Result<Info, Error> {
        self.run(GetOne::info())
    }

    /// Zeroes the counters of all services and destinations, and the totals of the namespace.
    /// Connection counts stay.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn zero(&mut self) -> Result<(), Error> {
        self.change(Change::Zero(None))
    }

    /// Zeroes the counters of a service and its destinations.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`] among others.
    pub fn zero_service(&mut self, key: ServiceKey) -> Result<(), Error> {
        self.change(Change::Zero(Some(key)))
    }

    /// Removes every virtual service of the namespace, whoever made it.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.change(Change::Flush)
    }

    /// Reads the whole table until two readings agree; see [`Snapshot`].
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn snapshot(&mut self) -> Result<Snapshot, Error> {
        self.run(TakeSnapshot::new())
    }

    /// Reads the whole table once, for those who want it fast, as a listing does: entries that
    /// somebody else adds or removes meanwhile can hide others, so
    /// [`agreed`](Snapshot::agreed) is false.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn snapshot_once(&mut self) -> Result<Snapshot, Error> {
        self.run(TakeSnapshot::once())
    }

    /// Reads the whole table once, as [`snapshot_once`](Self::snapshot_once), without storing it:
    /// services in the kernel's order, each with its destinations when they are complete.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others; what was visited until then was right.
    pub fn for_each_with_destinations(
        &mut self,
        visit: impl FnMut(SnapshotService),
    ) -> Result<(), Error> {
        self.run(VisitTable::new(visit))
    }

    /// Sends changes together, many in each system call.
    ///
    /// A change whose arguments cannot be right is reported as [`Outcome::Invalid`] and not
    /// sent; the others are.
    ///
    /// # Errors
    ///
    /// None for what becomes of single changes: that is in the report.
    pub fn execute(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<Report, Error> {
        self.run(ApplyChanges::new(changes, self.options().validate))
    }

    /// Applies a plan: its steps in order, except that a service never loses its last usable
    /// destination before another is known to be in place; what somebody else changed since the
    /// snapshot is repaired once (see [`Change::repair`]).
    ///
    /// A step left out for the first reason is reported as [`Outcome::NotSent`].
    ///
    /// # Errors
    ///
    /// None for what becomes of single changes: that is in the report.
    pub fn apply(&mut self, plan: &Plan) -> Result<Report, Error> {
        self.run(ApplyPlan::new(plan.clone(), self.options().validate))
    }

    fn change(&mut self, change: Change) -> Result<(), Error> {
        self.options().check_change(&change)?;
        self.run(ChangeOne::new(change))
    }

    fn ensure(&mut self, ensure: Ensure) -> Result<Ensured, Error> {
        self.options().check_change(ensure.change())?;
        self.run(ensure)
    }

    /// Runs an operation to its end.
    ///
    /// What an earlier operation left unanswered (it failed, ended early, or a function it called
    /// panicked) is not heard of any more.
    ///
    /// # Errors
    ///
    /// Those of the operation; [`Error::Io`] when it waits for answers and has asked for none.
    pub fn run<O: Operation>(&mut self, operation: O) -> Result<O::Output, Error> {
        let mut running = self.connection.begin(operation);
        loop {
            match running.next() {
                Need::Send => {
                    let sent = self.transport.send(running.outgoing());
                    running.sent(sent);
                }
                Need::Receive(timeout) => {
                    let received = self.transport.receive(running.incoming(), timeout);
                    running.received(received);
                }
                Need::Nothing(result) => return result,
            }
        }
    }
}

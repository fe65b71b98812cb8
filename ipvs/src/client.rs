//! The blocking client.

use core::time::Duration;
use std::io;
use std::os::fd::OwnedFd;

use bytes::BytesMut;

use crate::batch::Report;
use crate::config::Timeouts;
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::destination::{Destination, DestinationEntry, DestinationKey};
use crate::error::{Error, Reason, RequestKind, UnknownCause};
use crate::info::Info;
use crate::operation::{
    ApplyChanges, ApplyPlan, ChangeOne, Collect, GetOne, Operation, Step, StopDaemon, TakeSnapshot,
};
use crate::plan::Plan;
use crate::request::{Change, Query};
use crate::service::{ServiceEntry, ServiceKey, VirtualService};
use crate::session::{Outcome, Reply, Session};
use crate::snapshot::Snapshot;
use crate::transport::{NetlinkSocket, Received, Transport};
use crate::wire::{DestinationView, FamilyId, Messages, ServiceView};

/// How a client behaves.
///
/// ```
/// use core::time::Duration;
/// use lvs_ipvs::Options;
/// let patient = Options::default().with_timeout(Duration::from_secs(60));
/// ```
#[non_exhaustive]
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Longest wait for the next answer. Default: 10 s, since stopping a sync daemon takes
    /// seconds.
    pub timeout: Duration,
    /// Whether arguments are checked before they are sent (see [`validate`](crate::validate)).
    /// Default: yes. Tools that must show the kernel's own answer to nonsense turn it off.
    pub validate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            validate: true,
        }
    }
}

impl Options {
    /// Replaces the longest wait for the next answer.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Leaves judging arguments to the kernel.
    pub const fn without_validation(mut self) -> Self {
        self.validate = false;
        self
    }
}

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
    session: Session,
    options: Options,
    outgoing: BytesMut,
    incoming: BytesMut,
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
            session: Session::new(FamilyId::new(0)),
            options: Options::default(),
            outgoing: BytesMut::new(),
            incoming: BytesMut::new(),
        };
        let family = client.one(Query::Family, |reply| match reply {
            Reply::Family(family) => Some(*family),
            _ => None,
        });
        match family {
            Ok(family) => client.session.set_family(family.id),
            Err(error) if error.reason() == Some(Reason::NoIpvs) => return Err(Error::Unavailable),
            Err(error) => return Err(error),
        }
        Ok(client)
    }

    /// Replaces the options.
    pub const fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// The options.
    pub const fn options(&self) -> Options {
        self.options
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

    /// Reads a virtual service.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`] among others.
    pub fn service(&mut self, key: ServiceKey) -> Result<ServiceEntry, Error> {
        self.one(Query::Service(key), |reply| match reply {
            Reply::Service(service) => Some(service.to_entry()),
            _ => None,
        })
    }

    /// Reads all virtual services, in the kernel's order (that of a hash table).
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        let mut services = Vec::new();
        self.for_each_service(|service| services.push(service.to_entry()))?;
        Ok(services)
    }

    /// Reads all virtual services without storing them.
    ///
    /// # Errors
    ///
    /// As [`services`](Self::services); what was visited until then was right.
    pub fn for_each_service(
        &mut self,
        mut visit: impl FnMut(&ServiceView<'_>),
    ) -> Result<(), Error> {
        self.run(Collect::new(Query::Services, |reply: &Reply<'_>| {
            if let Reply::Service(service) = reply {
                visit(service);
            }
        }))
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

    /// Reads the destinations of a service, newest first.
    ///
    /// The kernel answers for a missing service as for an empty one, so when there are none the
    /// service is asked for.
    ///
    /// # Errors
    ///
    /// [`Reason::NoSuchService`] among others.
    pub fn destinations(&mut self, service: ServiceKey) -> Result<Vec<DestinationEntry>, Error> {
        let mut destinations = Vec::new();
        self.for_each_destination(service, |destination| {
            destinations.push(destination.to_entry());
        })?;
        if destinations.is_empty() {
            self.service(service)?;
        }
        Ok(destinations)
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
        mut visit: impl FnMut(&DestinationView<'_>),
    ) -> Result<(), Error> {
        self.validate_query(Query::Destinations(service))?;
        self.run(Collect::new(
            Query::Destinations(service),
            |reply: &Reply<'_>| {
                if let Reply::Destination(destination) = reply {
                    visit(destination);
                }
            },
        ))
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

    /// Reads the running sync daemons, the active one first.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Error> {
        let mut daemons = Vec::new();
        self.run(Collect::new(Query::Daemons, |reply: &Reply<'_>| {
            if let Reply::Daemon(daemon) = reply {
                daemons.push(*daemon);
            }
        }))?;
        Ok(daemons)
    }

    /// Reads the timeouts.
    ///
    /// # Errors
    ///
    /// A lack of privilege among others.
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        self.one(Query::Timeouts, |reply| match reply {
            Reply::Timeouts(timeouts) => Some(*timeouts),
            _ => None,
        })
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
        self.one(Query::Info, |reply| match reply {
            Reply::Info(info) => Some(*info),
            _ => None,
        })
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

    /// Sends changes together, many in each system call.
    ///
    /// A change whose arguments cannot be right is reported as [`Outcome::Invalid`] and not
    /// sent; the others are.
    ///
    /// # Errors
    ///
    /// None for what becomes of single changes: that is in the report.
    pub fn execute(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<Report, Error> {
        let changes: Vec<_> = changes.into_iter().collect();
        let invalid: Vec<_> = changes
            .iter()
            .map(|change| {
                if self.options.validate {
                    change.validate().err()
                } else {
                    None
                }
            })
            .collect();
        let good = changes
            .iter()
            .zip(&invalid)
            .filter(|(_, invalid)| invalid.is_none());
        let good: Vec<_> = good.map(|(change, _)| change.clone()).collect();
        let mut outcomes = self.run(ApplyChanges::new(good))?.into_iter();
        let outcomes = invalid.into_iter().map(|invalid| match invalid {
            Some(error) => Outcome::Invalid(error),
            None => outcomes
                .next()
                .unwrap_or(Outcome::Unknown(UnknownCause::Unanswered)),
        });
        Ok(Report::new(changes.into_iter().zip(outcomes).collect()))
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
        let outcomes = self.run(ApplyPlan::new(plan.clone(), self.options.validate))?;
        Ok(Report::new(plan.changes().cloned().zip(outcomes).collect()))
    }

    fn change(&mut self, change: Change) -> Result<(), Error> {
        if self.options.validate {
            change.validate().map_err(|error| Error::Invalid {
                request: RequestKind::of_change(&change),
                error,
            })?;
        }
        self.run(ChangeOne::new(change))
    }

    fn one<T>(&mut self, query: Query, read: fn(&Reply<'_>) -> Option<T>) -> Result<T, Error> {
        self.validate_query(query)?;
        let answer = self.run(GetOne::new(query, read))?;
        answer.ok_or(Error::UnknownOutcome {
            request: RequestKind::Read(query),
            cause: UnknownCause::Unanswered,
        })
    }

    fn validate_query(&self, query: Query) -> Result<(), Error> {
        if !self.options.validate {
            return Ok(());
        }
        query.validate().map_err(|error| Error::Invalid {
            request: RequestKind::Read(query),
            error,
        })
    }

    /// Runs an operation to its end.
    ///
    /// What an earlier operation left unanswered (it failed, ended early, or a function it called
    /// panicked) is not heard of any more.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    pub fn run<O: Operation>(&mut self, mut operation: O) -> Result<O::Output, Error> {
        self.session.abandon();
        if let Step::Done(output) = operation.start(&mut self.session) {
            return Ok(output);
        }
        let result = self.pump(&mut operation);
        self.session.abandon();
        // Messages behind the one that ended the operation answer earlier, abandoned requests.
        // Those before it are read again to no effect: their requests are complete.
        let mut rest = Messages::new(&self.incoming);
        while self.session.handle(&mut rest).is_some() {}
        result
    }

    fn pump<O: Operation>(&mut self, operation: &mut O) -> Result<O::Output, Error> {
        loop {
            self.transmit();
            while let Some(event) = self.session.poll_event() {
                if let Step::Done(output) = operation.step(&mut self.session, event)? {
                    return Ok(output);
                }
            }
            // After an overrun only what is in the queue already is of interest.
            let timeout = if self.session.is_draining() {
                Duration::ZERO
            } else {
                self.options.timeout
            };
            match self.transport.receive(&mut self.incoming, timeout) {
                Ok(Received::Datagram) => {
                    let mut messages = Messages::new(&self.incoming);
                    while let Some(event) = self.session.handle(&mut messages) {
                        if let Step::Done(output) = operation.step(&mut self.session, event)? {
                            return Ok(output);
                        }
                    }
                }
                Ok(Received::TimedOut) if self.session.is_draining() => self.session.drained(),
                Ok(Received::TimedOut) => self.session.timed_out(),
                Ok(Received::Overrun) => self.session.overrun(),
                Err(error) => self.session.connection_failed(errno(&error)),
            }
        }
    }

    fn transmit(&mut self) {
        loop {
            self.outgoing.clear();
            let sent = self.session.in_flight();
            if !self.session.poll_transmit(&mut self.outgoing) {
                return;
            }
            if let Err(error) = self.transport.send(&self.outgoing) {
                self.session.send_failed(sent, errno(&error));
                return;
            }
        }
    }
}

/// Errors of a transport come from system calls.
fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(nix::libc::EIO)
}

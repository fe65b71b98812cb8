//! Talking to a running director from other threads.

use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};

use lvs_healthcheck::AdminHint;
use lvs_healthcheck::aggregate::Source;
use lvs_healthcheck::pool;
use lvs_ipvs::{Scheduler, ServiceKey, Timestamp};
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::look::Look;
use super::{RunError, RunStats, Runner};
use crate::director::{Role, ServerKey, ServerStatus};
use crate::setup::Setup;

/// Until the table is looked at again for those who wait for it, when something of it failed.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);

/// After so many looks in succession with the same answer the kernel is believed that it will never
/// have the rest; somebody else may have been at the table during the first.
const REFUSALS: u32 = 2;

/// Why a request was not granted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// There was no answer in time; what was asked for may still happen.
    #[error("the director's table is not ready after {0:?}")]
    Timeout(Duration),
    /// Another role was asked for meanwhile.
    #[error("another role was asked for meanwhile")]
    Superseded,
    /// The director does not run any more.
    #[error("the director has ended")]
    Ended,
    /// The new configuration cannot be run.
    #[error("{0}")]
    Refused(String),
}

/// How a director is, for views.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Its role.
    pub role: Role,
    /// What was done so far.
    pub stats: RunStats,
    /// The pools in the order of the file; those that leave are last.
    pub pools: Vec<PoolStatus>,
}

/// How a pool is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The first service, and how many more there are.
    pub name: String,
    /// The services.
    pub services: Vec<ServiceKey>,
    /// The scheduler of all of them.
    pub scheduler: Scheduler,
    /// Quorum, sorry server, sums.
    pub status: pool::Status,
    /// Whether it is in the configuration; else it is on its way out.
    pub is_configured: bool,
    /// The servers in the order of the file.
    pub servers: Vec<ServerStatus>,
}

type Answer<T> = SyncSender<T>;

/// What another thread asks for.
#[derive(Debug)]
enum Request {
    Role(Role, Duration, Answer<Result<(), RemoteError>>),
    Reload(Box<Setup>, Answer<Result<(), RemoteError>>),
    Try(Box<Setup>, Answer<Result<(), RemoteError>>),
    Begin(Answer<Result<bool, RemoteError>>),
    Finish(Answer<()>),
    Complete(Duration, Answer<Result<(), RemoteError>>),
    Weight(ServiceKey, ServerKey, Option<u32>, Answer<bool>),
    Vote(ServiceKey, ServerKey, Option<AdminHint>, Answer<bool>),
    Status(Answer<Status>),
    Stop,
}

/// A running director as other threads see it.
///
/// Each request wakes the director's loop; those that wait for an answer do so for a limited time.
/// They must not be made on the thread that runs the director, which could not answer.
#[derive(Clone, Debug)]
pub struct Remote {
    requests: Sender<Request>,
    wake: Arc<EventFd>,
}

impl Remote {
    /// The director becomes active. Returns when the kernel's table is complete: when a look at it
    /// found nothing left to do, but for what the kernel refuses and would refuse again.
    ///
    /// # Errors
    ///
    /// That is not so within the limit, or not wanted any more.
    pub fn prepare(&self, limit: Duration) -> Result<(), RemoteError> {
        self.ask(limit, |answer| Request::Role(Role::Active, limit, answer))?
    }

    /// The director becomes a standby. Returns when the kernel's table is as a standby's should be.
    ///
    /// # Errors
    ///
    /// That is not so within the limit, or not wanted any more.
    pub fn stand_by(&self, limit: Duration) -> Result<(), RemoteError> {
        self.ask(limit, |answer| Request::Role(Role::Standby, limit, answer))?
    }

    /// There are no other directors any more. Returns when the kernel's table is complete, as
    /// [`prepare`](Self::prepare) does.
    ///
    /// # Errors
    ///
    /// That is not so within the limit, or not wanted any more.
    pub fn stand_alone(&self, limit: Duration) -> Result<(), RemoteError> {
        self.ask(limit, |answer| Request::Role(Role::Alone, limit, answer))?
    }

    /// Takes over a new setup by difference; see [`Runner::reload`].
    ///
    /// # Errors
    ///
    /// It cannot be run, or there was no answer within the limit.
    pub fn reload(&self, setup: Setup, limit: Duration) -> Result<(), RemoteError> {
        self.ask(limit, |answer| Request::Reload(Box::new(setup), answer))?
    }

    /// Looks at a new setup without taking it over, and keeps it for
    /// [`begin_reload`](Self::begin_reload). For reloads of which the table is a part:
    ///
    /// ```text
    /// try_reload      nothing has changed, whatever is refused
    /// begin_reload    what comes or changes, of services that stay, too
    /// complete        the kernel has it: now addresses may come, and go
    /// finish_reload   services that are not configured any more leave
    /// ```
    ///
    /// # Errors
    ///
    /// It cannot be run, or there was no answer within the limit.
    pub fn try_reload(&self, setup: Setup, limit: Duration) -> Result<(), RemoteError> {
        self.ask(limit, |answer| Request::Try(Box::new(setup), answer))?
    }

    /// Takes over what [`try_reload`](Self::try_reload) was given last, but for services that are
    /// not configured any more: they stay until [`finish_reload`](Self::finish_reload). Says whether
    /// there are some.
    ///
    /// # Errors
    ///
    /// There is nothing, the director is stopping, or there was no answer within the limit.
    pub fn begin_reload(&self, limit: Duration) -> Result<bool, RemoteError> {
        self.ask(limit, Request::Begin)?
    }

    /// What is not configured any more leaves.
    ///
    /// # Errors
    ///
    /// There was no answer within the limit.
    pub fn finish_reload(&self, limit: Duration) -> Result<(), RemoteError> {
        self.ask(limit, Request::Finish)
    }

    /// Returns when the kernel's table is as it should be in the director's role, but for what the
    /// kernel refuses and would refuse again.
    ///
    /// # Errors
    ///
    /// That is not so within the limit.
    pub fn complete(&self, limit: Duration) -> Result<(), RemoteError> {
        self.ask(limit, |answer| Request::Complete(limit, answer))?
    }

    /// Replaces the configured weight of a server, or goes back to it. Says whether there is such a
    /// server.
    ///
    /// # Errors
    ///
    /// There was no answer within the limit.
    pub fn set_weight(
        &self,
        service: ServiceKey,
        server: ServerKey,
        weight: Option<u32>,
        limit: Duration,
    ) -> Result<bool, RemoteError> {
        self.ask(limit, |answer| {
            Request::Weight(service, server, weight, answer)
        })
    }

    /// Puts a server out of service, drains it, or takes that back. Says whether there is such a
    /// server.
    ///
    /// # Errors
    ///
    /// There was no answer within the limit.
    pub fn set_vote(
        &self,
        service: ServiceKey,
        server: ServerKey,
        vote: Option<AdminHint>,
        limit: Duration,
    ) -> Result<bool, RemoteError> {
        self.ask(limit, |answer| Request::Vote(service, server, vote, answer))
    }

    /// How everything is.
    ///
    /// # Errors
    ///
    /// There was no answer within the limit.
    pub fn status(&self, limit: Duration) -> Result<Status, RemoteError> {
        self.ask(limit, Request::Status)
    }

    /// [`Runner::run_until`] returns soon, as after SIGTERM.
    pub fn stop(&self) {
        // One that has ended needs not be stopped.
        let _ = self.send(Request::Stop);
    }

    fn send(&self, request: Request) -> Result<(), RemoteError> {
        self.requests
            .send(request)
            .map_err(|_| RemoteError::Ended)?;
        // It cannot fail but by overflow, and then the loop is awake anyway.
        let _ = self.wake.write(1);
        Ok(())
    }

    fn ask<T>(
        &self,
        limit: Duration,
        request: impl FnOnce(Answer<T>) -> Request,
    ) -> Result<T, RemoteError> {
        let (answer, answers) = mpsc::sync_channel(1);
        self.send(request(answer))?;
        answers.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => RemoteError::Timeout(limit),
            RecvTimeoutError::Disconnected => RemoteError::Ended,
        })
    }
}

/// Who waits for the table.
#[derive(Debug)]
struct Waiting {
    until: Timestamp,
    /// Not that it is as another role wants it.
    is_for_role: bool,
    answer: Answer<Result<(), RemoteError>>,
}

/// Where requests arrive.
#[derive(Debug)]
pub(super) struct Inbox {
    remote: Remote,
    requests: Receiver<Request>,
    /// Who waits for the table to be as the role wants it.
    waiting: Vec<Waiting>,
    /// When the table is to be looked at for those.
    look: Timestamp,
    /// Looks in succession that found nothing but what the kernel refuses.
    refusals: u32,
    is_stopped: bool,
}

impl Inbox {
    pub(super) fn new() -> Result<Self, Errno> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let (sender, requests) = mpsc::channel();
        Ok(Self {
            remote: Remote {
                requests: sender,
                wake: Arc::new(wake),
            },
            requests,
            waiting: Vec::new(),
            look: Timestamp::ZERO,
            refusals: 0,
            is_stopped: false,
        })
    }

    pub(super) fn remote(&self) -> Remote {
        self.remote.clone()
    }

    pub(super) fn wake(&self) -> &EventFd {
        &self.remote.wake
    }

    /// Whether somebody asked for the end, since this was asked last.
    pub(super) const fn take_stop(&mut self) -> bool {
        core::mem::replace(&mut self.is_stopped, false)
    }

    /// When to look at the table for those who wait for it.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty()).then_some(self.look)
    }

    /// Somebody has looked at the table.
    pub(super) fn looked(&mut self, now: Timestamp, look: Look) {
        self.refusals = match look {
            Look::Refused => self.refusals.saturating_add(1),
            _ => 0,
        };
        match look {
            Look::InOrder => self.answer_waiting(),
            Look::Changed => self.look = now,
            // Both directors have the same file, and often the same kernel: if one such service kept
            // them from taking over, nobody would serve the others.
            Look::Refused if self.refusals >= REFUSALS => self.answer_waiting(),
            Look::Refused | Look::Failed => self.look = now.saturating_add(CONFIRM_INTERVAL),
        }
        // They have given up.
        self.waiting.retain(|waiting| waiting.until > now);
    }

    fn answer_waiting(&mut self) {
        for waiting in self.waiting.drain(..) {
            // Who does not wait any more needs no answer.
            let _ = waiting.answer.try_send(Ok(()));
        }
    }

    /// Another role is wanted.
    fn supersede(&mut self) {
        self.waiting.retain(|waiting| {
            if waiting.is_for_role {
                let _ = waiting.answer.try_send(Err(RemoteError::Superseded));
            }
            !waiting.is_for_role
        });
    }
}

impl Runner {
    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.inbox.remote()
    }

    /// Does what others have asked for.
    pub(super) fn take_requests(&mut self) {
        // Whatever was written since is seen below.
        while let Ok(1..) = self.inbox.wake().read() {}
        while let Ok(request) = self.inbox.requests.try_recv() {
            self.grant(request);
        }
    }

    fn grant(&mut self, request: Request) {
        let now = self.now();
        match request {
            Request::Role(role, limit, answer) => {
                if role != self.director.role() {
                    self.inbox.supersede();
                }
                self.director.set_role(now, role);
                self.await_table(limit, true, answer);
            }
            Request::Complete(limit, answer) => self.await_table(limit, false, answer),
            Request::Reload(setup, answer) => {
                let done = self.reload(&setup);
                let _ = answer.try_send(done.map_err(refused));
            }
            Request::Try(setup, answer) => {
                let tried = self.try_reload(&setup);
                self.tried = tried.is_ok().then_some(setup);
                let _ = answer.try_send(tried.map_err(refused));
            }
            Request::Begin(answer) => {
                let begun = match self.tried.take() {
                    Some(setup) => self.begin_reload(&setup).map_err(refused),
                    None => Err(RemoteError::Refused("no setup was tried".to_owned())),
                };
                let has_leaving = self.director.is_reloading();
                let _ = answer.try_send(begun.map(|()| has_leaving));
            }
            Request::Finish(answer) => {
                self.director.finish_reload(now);
                let _ = answer.try_send(());
            }
            Request::Weight(service, server, weight, answer) => {
                let is_there = self.director.set_weight(now, &service, &server, weight);
                let _ = answer.try_send(is_there);
            }
            Request::Vote(service, server, vote, answer) => {
                let source = Source::Api;
                let is_there = self.director.set_vote(now, &service, &server, source, vote);
                let _ = answer.try_send(is_there);
            }
            Request::Status(answer) => {
                let _ = answer.try_send(self.status());
            }
            Request::Stop => self.inbox.is_stopped = true,
        }
    }

    fn await_table(
        &mut self,
        limit: Duration,
        is_for_role: bool,
        answer: Answer<Result<(), RemoteError>>,
    ) {
        let now = self.now();
        self.inbox.waiting.push(Waiting {
            until: now.saturating_add(limit),
            is_for_role,
            answer,
        });
        self.inbox.look = now;
        // Somebody waits: at once, however long ago the last look failed.
        self.retry = None;
    }

    /// How everything is.
    #[must_use]
    pub fn status(&self) -> Status {
        let pools = self.director.status().map(|pool| PoolStatus {
            name: pool.name().to_owned(),
            services: pool.services().iter().map(|it| it.key()).collect(),
            scheduler: pool
                .services()
                .first()
                .map_or_else(Scheduler::default, lvs_ipvs::VirtualService::scheduler),
            status: pool.status(),
            is_configured: pool.is_configured(),
            servers: pool.servers().collect(),
        });
        Status {
            role: self.director.role(),
            stats: self.stats,
            pools: pools.collect(),
        }
    }
}

fn refused(error: RunError) -> RemoteError {
    RemoteError::Refused(error.to_string())
}

//! Performs the [choreography](super::choreography) of take-overs, on the thread of the driver's hooks.
//!
//! Stopping a sync daemon may take seconds (OP-2): only the addresses of that virtual router wait for
//! it, never advertisements.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lvs_ipvs::{Client, DaemonRole};
use lvs_vrrp::job::JobResult;
use lvs_vrrp::net::Hooks;
use lvs_vrrp::node::RouterId;

use super::choreography::{Choreography, Step, SyncRoles};
use super::sync::SyncPlan;

/// The table, as far as take-overs are concerned.
pub trait TakeOverTable: Send {
    /// Makes it that of an active director; done once it is complete.
    ///
    /// # Errors
    ///
    /// Why it is not.
    fn make_ready(&mut self) -> Result<(), String>;

    /// Makes it that of a standby.
    ///
    /// # Errors
    ///
    /// Why it is not.
    fn stand_by(&mut self) -> Result<(), String>;
}

/// A step, as it was done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Done {
    /// For which virtual router; none at the beginning, at the end and after a reload.
    pub router: Option<RouterId>,
    /// What was done.
    pub step: Step,
    /// How long that took.
    pub took: Duration,
    /// Why it was not done, if it was not.
    pub result: Result<(), String>,
}

type Tell = Box<dyn Fn(Done) + Send>;

/// Performs take-overs: hooks for a driver, and the means to change its sync daemons meanwhile. Clones
/// are the same.
#[derive(Clone)]
pub struct TakeOver {
    inner: Arc<Mutex<Inner>>,
    is_leaving: Arc<AtomicBool>,
}

struct Inner {
    choreography: Choreography,
    sync: Option<SyncPlan>,
    table: Box<dyn TakeOverTable>,
    /// For the sync daemons, if there are any.
    client: Option<Client>,
    tell: Tell,
}

impl fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeOver").finish_non_exhaustive()
    }
}

impl TakeOver {
    /// Take-overs of this table, without sync daemons yet. Each step is told of.
    pub fn new(table: impl TakeOverTable + 'static, tell: impl Fn(Done) + Send + 'static) -> Self {
        let inner = Inner {
            choreography: Choreography::default(),
            sync: None,
            table: Box::new(table),
            client: None,
            tell: Box::new(tell),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            is_leaving: Arc::default(),
        }
    }

    /// Goes on with these sync daemons, in the roles they are to have now, by means of that client, which
    /// is used for nothing else. What fails is told.
    ///
    /// # Blocking
    ///
    /// For seconds, where one is to be stopped or a hook is under way.
    pub fn set_sync(&self, sync: Option<SyncPlan>, client: Option<Client>) {
        let mut inner = self.lock();
        if inner.sync == sync {
            return;
        }
        inner.sync = sync;
        if client.is_some() {
            inner.client = client;
        }
        let roles = sync.map_or(SyncRoles::Off, |sync| sync.roles());
        let steps = inner.choreography.reload(roles);
        // What fails is told.
        let _ = inner.perform_all(None, steps);
    }

    /// Whether some virtual router has addresses, or is about to get some.
    #[must_use]
    pub fn has_addresses(&self) -> bool {
        self.lock().choreography.has_addresses()
    }

    /// All virtual routers are about to stop for good.
    pub fn leave(&self) {
        // A hook that is under way is not waited for.
        self.is_leaving.store(true, Ordering::Release);
    }

    /// Stops the sync daemons, if there are any: nothing is run any more.
    ///
    /// # Blocking
    ///
    /// As [`set_sync`](Self::set_sync).
    pub fn end(&self) {
        let mut inner = self.lock();
        let steps = inner.choreography.end();
        let _ = inner.perform_all(None, steps);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A step that panicked was not done, as is said to whoever asked for it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Performs them in order, up to the first that fails.
    fn perform(&mut self, router: Option<RouterId>, steps: Vec<Step>) -> JobResult {
        for step in steps {
            let start = Instant::now();
            let result = self.step(step);
            let is_done = result.is_ok();
            (self.tell)(Done {
                router,
                step,
                took: start.elapsed(),
                result,
            });
            if !is_done {
                return JobResult::Failed;
            }
        }
        JobResult::Done
    }

    /// Performs all of them, whatever fails.
    fn perform_all(&mut self, router: Option<RouterId>, steps: Vec<Step>) -> JobResult {
        let mut result = JobResult::Done;
        for step in steps {
            if self.perform(router, vec![step]) != JobResult::Done {
                result = JobResult::Failed;
            }
        }
        result
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::TableReady => self.table.make_ready(),
            Step::TableStandby => self.table.stand_by(),
            Step::Start(role) => self.start(role),
            Step::Stop(role) => {
                let client = self.client.as_mut().ok_or(NO_CLIENT)?;
                let stopped = client.ensure_no_daemon(role);
                stopped.map(|_| ()).map_err(|error| error.to_string())
            }
        }
    }

    fn start(&mut self, role: DaemonRole) -> Result<(), String> {
        let sync = self.sync.ok_or("no sync daemon is configured")?;
        let client = self.client.as_mut().ok_or(NO_CLIENT)?;
        let started = client.ensure_daemon(&sync.daemon(role));
        started.map(|_| ()).map_err(|error| error.to_string())
    }
}

const NO_CLIENT: &str = "there is no kernel to run sync daemons";

impl Hooks for TakeOver {
    fn prepare(&mut self, router: RouterId) -> JobResult {
        let mut inner = self.lock();
        let steps = inner.choreography.prepare(router);
        let result = inner.perform(Some(router), steps);
        if result == JobResult::Done {
            inner.choreography.prepared(router);
        }
        result
    }

    fn establish(&mut self, router: RouterId) -> JobResult {
        let mut inner = self.lock();
        let steps = inner.choreography.establish(router);
        inner.perform(Some(router), steps)
    }

    fn settle(&mut self, router: RouterId) -> JobResult {
        let mut inner = self.lock();
        if self.is_leaving.load(Ordering::Acquire) {
            inner.choreography.leave();
        }
        let steps = inner.choreography.settle(router);
        inner.perform_all(Some(router), steps)
    }
}

#[cfg(test)]
mod tests {
    use lvs_ipvs::MemoryKernel;
    use std::sync::mpsc::{self, Receiver};

    use super::*;
    use crate::keepalived::Config;
    use crate::vrrp::Plan;

    const ONE: &str = "global_defs {\n lvs_sync_daemon lo inst VI_1\n}\n\
                       vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n \
                       virtual_ipaddress { 192.0.2.1 }\n}\n";

    /// A table that is made ready as often as it may.
    struct Table(usize);

    impl TakeOverTable for Table {
        fn make_ready(&mut self) -> Result<(), String> {
            self.0 = self.0.checked_sub(1).ok_or("not to be had")?;
            Ok(())
        }

        fn stand_by(&mut self) -> Result<(), String> {
            Ok(())
        }
    }

    struct Scene {
        kernel: MemoryKernel,
        router: RouterId,
        take_over: TakeOver,
        told: Receiver<Done>,
    }

    impl Scene {
        fn new(times: usize) -> Self {
            let config = Config::parse("t.conf", ONE);
            let plan = Plan::new(&config);
            let kernel = MemoryKernel::default();
            let client = Client::with_transport(kernel.socket()).unwrap();
            let (sender, told) = mpsc::channel();
            let tell = move |done| sender.send(done).unwrap();
            let take_over = TakeOver::new(Table(times), tell);
            take_over.set_sync(SyncPlan::new(&config, &plan).0, Some(client));
            Self {
                kernel,
                router: plan.routers()[0].id,
                take_over,
                told,
            }
        }

        fn told(&self) -> Vec<String> {
            let told = self.told.try_iter();
            told.map(|done| match done.result {
                Ok(()) => done.step.to_string(),
                Err(error) => format!("{}: {error}", done.step),
            })
            .collect()
        }

        fn daemons(&self) -> Vec<(DaemonRole, u32)> {
            let mut client = Client::with_transport(self.kernel.socket()).unwrap();
            let daemons = client.daemons().unwrap().into_iter();
            daemons
                .map(|daemon| (daemon.role, daemon.sync_id))
                .collect()
        }
    }

    #[test]
    fn the_kernel_has_the_daemon_of_the_role() {
        let mut it = Scene::new(1);
        assert_eq!(it.daemons(), [(DaemonRole::Backup, 51)]);
        let router = it.router;
        assert!(!it.take_over.has_addresses());
        assert_eq!(it.take_over.prepare(router), JobResult::Done);
        assert!(it.take_over.has_addresses());
        assert_eq!(it.daemons(), []);
        assert_eq!(it.take_over.establish(router), JobResult::Done);
        assert_eq!(it.daemons(), [(DaemonRole::Active, 51)]);
        assert_eq!(it.take_over.settle(router), JobResult::Done);
        assert_eq!(it.daemons(), [(DaemonRole::Backup, 51)]);
        it.take_over.end();
        assert_eq!(it.daemons(), []);
        let expected = [
            "sync daemon active stopped",
            "sync daemon backup started",
            "table ready",
            "sync daemon backup stopped",
            "sync daemon active started",
            "sync daemon active stopped",
            "sync daemon backup started",
            "table as a standby's",
            "sync daemon active stopped",
            "sync daemon backup stopped",
        ];
        assert_eq!(it.told(), expected);
    }

    #[test]
    fn what_fails_is_told_and_nothing_follows_it() {
        let mut it = Scene::new(0);
        let _ = it.told();
        assert_eq!(it.take_over.prepare(it.router), JobResult::Failed);
        assert_eq!(it.told(), ["table ready: not to be had"]);
        assert_eq!(it.daemons(), [(DaemonRole::Backup, 51)], "still a standby");
        // Settling goes on to the end, whatever fails.
        it.take_over.lock().client = None;
        assert_eq!(it.take_over.settle(it.router), JobResult::Failed);
        let failed = "there is no kernel to run sync daemons";
        let expected = [
            format!("sync daemon active stopped: {failed}"),
            format!("sync daemon backup started: {failed}"),
            "table as a standby's".to_owned(),
        ];
        assert_eq!(it.told(), expected);
    }

    #[test]
    fn an_unchanged_configuration_starts_nothing() {
        let it = Scene::new(0);
        let _ = it.told();
        let sync = it.take_over.lock().sync;
        it.take_over.set_sync(sync, None);
        assert_eq!(it.told(), Vec::<String>::new());
        it.take_over.set_sync(None, None);
        assert_eq!(it.daemons(), []);
    }
}

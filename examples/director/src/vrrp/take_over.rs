//! Performs the [choreography](super::choreography) of take-overs, on the thread of the driver's hooks.
//!
//! Stopping a sync daemon may take seconds (OP-2): only the addresses of that virtual router wait for
//! it, never advertisements.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use lvs_ipvs::{Client, DaemonRole};
use lvs_vrrp::job::JobResult;
use lvs_vrrp::net::Hooks;
use lvs_vrrp::node::RouterId;

use super::choreography::{Choreography, Step, SyncRoles};
use super::sync::SyncPlan;

/// Until a sync daemon that could not be started is tried again for the first time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Each pause is twice the one before, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
    /// For which virtual router; none at the beginning, at the end, after a reload and when it is tried
    /// again.
    pub router: Option<RouterId>,
    /// What was done.
    pub step: Step,
    /// How long that took.
    pub took: Duration,
    /// Why it was not done, if it was not.
    pub result: Result<(), String>,
    /// Within which time it is tried again, if it is: sync daemons are started until they run.
    pub again: Option<Duration>,
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
    /// Roles whose daemons could not be started.
    missing: Vec<DaemonRole>,
    first_pause: Duration,
    /// Until they are tried again.
    pause: Duration,
    /// Whether a thread does that.
    is_retrying: bool,
}

impl fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeOver").finish_non_exhaustive()
    }
}

impl TakeOver {
    /// Take-overs of this table, without sync daemons yet. Each step is told of. A sync daemon that
    /// cannot be started, as its interface may come later, is tried again on a thread of its own until it
    /// runs or is not wanted any more.
    pub fn new(table: impl TakeOverTable + 'static, tell: impl Fn(Done) + Send + 'static) -> Self {
        let inner = Inner {
            choreography: Choreography::default(),
            sync: None,
            table: Box::new(table),
            client: None,
            tell: Box::new(tell),
            missing: Vec::new(),
            first_pause: FIRST_PAUSE,
            pause: FIRST_PAUSE,
            is_retrying: false,
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
        self.retry_later(&mut inner);
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
        lock(&self.inner)
    }

    /// Sees to what is missing, after a while.
    fn retry_later(&self, inner: &mut Inner) {
        if inner.is_retrying || inner.missing.is_empty() {
            return;
        }
        let (pause, again) = (inner.pause, Arc::downgrade(&self.inner));
        let thread = thread::Builder::new().name("sync-daemons".into());
        // Without a thread the next take-over tries.
        inner.is_retrying = thread.spawn(move || keep_trying(&again, pause)).is_ok();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // A step that panicked was not done, as is said to whoever asked for it.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tries until nothing is missing, or nobody is there any more who wants it.
fn keep_trying(inner: &Weak<Mutex<Inner>>, mut pause: Duration) {
    loop {
        thread::sleep(pause);
        let Some(inner) = inner.upgrade() else {
            return;
        };
        match lock(&inner).retry() {
            Some(next) => pause = next,
            None => return,
        }
    }
}

impl Inner {
    /// Performs them in order, up to the first that fails.
    fn perform(&mut self, router: Option<RouterId>, steps: Vec<Step>) -> JobResult {
        for step in steps {
            let start = Instant::now();
            let result = self.step(step);
            let is_done = result.is_ok();
            let again = self.note(step, is_done);
            (self.tell)(Done {
                router,
                step,
                took: start.elapsed(),
                result,
                again,
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

    /// Notes which sync daemon is missing, and returns when it is tried again.
    fn note(&mut self, step: Step, is_done: bool) -> Option<Duration> {
        let (Step::Start(role) | Step::Stop(role)) = step else {
            return None;
        };
        self.missing.retain(|missing| *missing != role);
        if is_done || step == Step::Stop(role) {
            return None;
        }
        self.missing.push(role);
        Some(self.pause)
    }

    /// Starts what is missing and still wanted; returns the pause until the next time, if any is needed.
    fn retry(&mut self) -> Option<Duration> {
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        let mut missing = core::mem::take(&mut self.missing);
        missing.retain(|role| self.choreography.wants(*role));
        // What fails is told, and missing again.
        let _ = self.perform_all(None, missing.into_iter().map(Step::Start).collect());
        self.is_retrying = !self.missing.is_empty();
        if !self.is_retrying {
            self.pause = self.first_pause;
        }
        self.is_retrying.then_some(self.pause)
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
        let result = inner.perform(Some(router), steps);
        self.retry_later(&mut inner);
        result
    }

    fn settle(&mut self, router: RouterId) -> JobResult {
        let mut inner = self.lock();
        if self.is_leaving.load(Ordering::Acquire) {
            inner.choreography.leave();
        }
        let steps = inner.choreography.settle(router);
        let result = inner.perform_all(Some(router), steps);
        self.retry_later(&mut inner);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use lvs_ipvs::{Interface, MemoryKernel};

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
        /// Nothing is tried again.
        fn new(times: usize) -> Self {
            let hour = Duration::from_secs(3600);
            Self::with(times, MemoryKernel::default(), hour)
        }

        fn with(times: usize, kernel: MemoryKernel, pause: Duration) -> Self {
            let config = Config::parse("t.conf", ONE);
            let plan = Plan::new(&config);
            let client = Client::with_transport(kernel.socket()).unwrap();
            let (sender, told) = mpsc::channel();
            let tell = move |done| sender.send(done).unwrap();
            let take_over = TakeOver::new(Table(times), tell);
            {
                let mut inner = take_over.lock();
                (inner.first_pause, inner.pause) = (pause, pause);
            }
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

    /// Its interface comes later.
    #[test]
    fn a_sync_daemon_that_cannot_be_started_is_tried_again() {
        let kernel = MemoryKernel::default();
        kernel.set_interfaces([]);
        let it = Scene::with(1, kernel, Duration::from_millis(1));
        let started = Step::Start(DaemonRole::Backup);
        let failed: Vec<_> = it
            .told
            .iter()
            .filter(|it| it.step == started)
            .take(4)
            .collect();
        assert!(failed.iter().all(|done| done.result.is_err()));
        let again = failed.iter().map(|done| done.again.unwrap().as_millis());
        assert_eq!(again.collect::<Vec<_>>(), [1, 2, 4, 8]);
        it.kernel.set_interfaces([Interface::loopback()]);
        let done = it.told.iter().find(|done| done.result.is_ok()).unwrap();
        assert_eq!((done.step, done.again), (started, None));
        assert_eq!(it.daemons(), [(DaemonRole::Backup, 51)]);
        assert!(it.take_over.lock().missing.is_empty());
    }

    #[test]
    fn a_sync_daemon_that_is_not_wanted_any_more_is_not_tried_again() {
        let kernel = MemoryKernel::default();
        kernel.set_interfaces([]);
        let hour = Duration::from_secs(3600);
        let mut it = Scene::with(1, kernel, hour);
        assert_eq!(it.take_over.lock().missing, [DaemonRole::Backup]);
        assert_eq!(it.take_over.prepare(it.router), JobResult::Done);
        it.kernel.set_interfaces([Interface::loopback()]);
        assert_eq!(it.take_over.lock().retry(), None);
        assert_eq!(it.daemons(), []);
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

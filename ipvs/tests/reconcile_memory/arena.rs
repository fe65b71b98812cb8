//! A reconciler on a kernel that others change too, before any of its requests, with an observer
//! who looks before and after each datagram.

use core::time::Duration;
use std::collections::BTreeSet;

use lvs_ipvs::operation::{ApplyPlan, TakeSnapshot};
use lvs_ipvs::transport::Transport;
use lvs_ipvs::{
    Adoption, Cause, Change, DestinationKey, Ledger, Outcome, Plan, Reconciler, ServiceKey,
    Snapshot, Table,
};

use crate::courier::{Courier, Moment};
use crate::draining::{DrainWatch, Exceptions};
use crate::expectation::orders;
use crate::generate::everything;
use crate::model::Model;
use crate::settled;
use crate::setup::Setup;

/// A kernel, as seen by others than the reconciler.
pub(crate) trait Kernel {
    /// Somebody else's change; one that is refused does nothing.
    fn meddle(&mut self, change: &Change);
    /// What there is now.
    fn observe(&mut self) -> Model;
    /// All connections end.
    fn end_connections(&mut self);
    /// A request, or the next receive, is about to go wrong, or not.
    fn before(&mut self);
    /// It has.
    fn after(&mut self);
}

/// The reconciler, its way to the kernel, and everybody else.
pub(crate) struct Arena<T, K> {
    courier: Courier<T>,
    pub(crate) reconciler: Reconciler,
    scene: Scene<K>,
}

/// What the observer knows.
struct Scene<K> {
    kernel: K,
    setup: Setup,
    now: Duration,
    draining: DrainWatch,
    /// Changes of somebody else to come, one for each moment.
    foreign: Vec<Option<Change>>,
    log: Vec<String>,
}

/// What the observer knows while a plan is applied.
struct Trial<'a> {
    snapshot: &'a Snapshot,
    desired: &'a Table,
    plan: &'a Plan,
    /// Before the look, with what the look took over.
    ledger: Ledger,
    is_shared: BTreeSet<ServiceKey>,
    created: BTreeSet<(ServiceKey, Option<DestinationKey>)>,
    /// Services that are never to be without a usable destination.
    lasting: Vec<ServiceKey>,
    before: Option<Model>,
}

impl<K> Drop for Scene<K> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}\n{}", self.setup, self.log.join("\n"));
        }
    }
}

impl<T: Transport, K: Kernel> Arena<T, K> {
    pub(crate) fn new(setup: &Setup, transport: T, kernel: K) -> Self {
        Self {
            courier: Courier::new(transport),
            reconciler: setup.reconciler(),
            scene: Scene {
                kernel,
                setup: setup.clone(),
                now: Duration::ZERO,
                draining: DrainWatch::default(),
                foreign: Vec::new(),
                log: Vec::new(),
            },
        }
    }

    pub(crate) fn kernel(&mut self) -> &mut K {
        &mut self.scene.kernel
    }

    pub(crate) fn desire(&mut self, table: Table) {
        self.scene.log.push(format!("desired:\n{table}"));
        self.reconciler.set_desired(table);
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.scene.now += time;
    }

    /// Sets whether every request gets a datagram of its own, so that others act and the observer
    /// looks in between, or many go together.
    pub(crate) fn split(&mut self, splits: bool) {
        self.courier.splits = splits;
    }

    /// Looks once, while somebody else makes these changes, one before each request and receive.
    /// `None` when the table could not be read.
    pub(crate) fn look(&mut self, foreign: Vec<Option<Change>>) -> Option<Plan> {
        let (scene, reconciler) = (&mut self.scene, &mut self.reconciler);
        scene.now += Duration::from_secs(1);
        scene.foreign = foreign;
        let mut disturbed = Vec::new();
        let snapshot = self.courier.run(TakeSnapshot::new(), |moment| {
            scene.act(moment, &mut disturbed);
        });
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => {
                scene.log.push(format!("no look: {error}"));
                return None;
            }
        };
        let mut ledger = reconciler.ledger().clone();
        let desired = reconciler.desired().clone();
        let (plan, next) = reconciler.step(scene.now, &snapshot);
        let none = Exceptions::new();
        scene.draining.look(scene.now, &snapshot, reconciler, &none);
        assert!(next.is_some_and(|next| next > scene.now), "{next:?}");
        for key in reconciler.adopted() {
            match scene.setup.adoption {
                Adoption::Merge => ledger.insert_shared(*key),
                _ => ledger.insert(*key),
            }
        }
        scene.log.push(format!(
            "look at {:?}, agreed {}, ledger {:?}:\n{plan}",
            scene.now,
            snapshot.agreed,
            reconciler.ledger().to_string()
        ));
        let shared = reconciler.ledger().services();
        let shared = shared.filter(|key| reconciler.ledger().is_shared(key));
        let mut goal = Model::seen(&snapshot);
        for step in 0..plan.len() {
            goal.execute(&plan, step);
        }
        let before = Model::seen(&snapshot);
        let lasts = |key: &ServiceKey| {
            let is_usable = before.is_usable(key) && goal.is_usable(key);
            snapshot.agreed && is_usable && !disturbed.contains(key)
        };
        let mut trial = Trial {
            snapshot: &snapshot,
            desired: &desired,
            plan: &plan,
            ledger,
            is_shared: shared.copied().collect(),
            created: BTreeSet::new(),
            lasting: everything().into_iter().filter(lasts).collect(),
            before: None,
        };
        let report = self
            .courier
            .run(ApplyPlan::new(plan.clone(), true), |moment| {
                scene.try_request(moment, &mut trial);
            });
        match report {
            Ok(report) => {
                for (change, outcome) in report.entries() {
                    scene.log.push(format!("{change}: {outcome:?}"));
                    reconciler.record(change, outcome);
                    if !matches!(outcome, Outcome::Done | Outcome::Unknown(_)) {
                        scene.draining.refused(change);
                    }
                }
            }
            Err(error) => scene.log.push(format!("no report: {error}")),
        }
        Some(plan)
    }

    /// Looks, if need be again: of what went wrong before, a dump may be left on the socket.
    fn undisturbed_look(&mut self) -> Plan {
        let mut looks = (0..3).filter_map(|_| self.look(Vec::new()));
        looks.next().unwrap()
    }

    /// Looks, undisturbed, until nothing is left to do but to wait; ends connections if that is
    /// what is waited for. Then all is as it should be.
    pub(crate) fn settle(&mut self) {
        for _ in 0..3 {
            let _ = self.undisturbed_look();
        }
        self.scene.kernel.end_connections();
        for _ in 0..2 {
            let _ = self.undisturbed_look();
        }
        let last = self.undisturbed_look();
        assert!(last.is_empty(), "{last}");
        let drift_look = self.scene.now + Duration::from_secs(30);
        assert_eq!(self.reconciler.next_look(), Some(drift_look));
        let model = self.scene.kernel.observe();
        settled::check(&self.scene.setup, &self.reconciler, &model, &last);
    }
}

impl<K: Kernel> Scene<K> {
    /// Somebody else's turn.
    fn act(&mut self, moment: Moment, disturbed: &mut Vec<ServiceKey>) {
        if moment == Moment::AfterRequest {
            self.kernel.after();
            return;
        }
        if let Some(change) = self.foreign.pop().flatten() {
            self.log.push(format!("somebody: {change}"));
            disturbed.extend(change.service());
            self.kernel.meddle(&change);
        }
        self.kernel.before();
    }

    /// Looks on while a request is handled.
    fn try_request(&mut self, moment: Moment, trial: &mut Trial<'_>) {
        let mut disturbed = Vec::new();
        if moment == Moment::AfterRequest {
            self.kernel.after();
            let before = trial.before.take().unwrap();
            let after = self.kernel.observe();
            self.check(trial, &before, &after);
            return;
        }
        if let Some(change) = self.foreign.pop().flatten() {
            self.log.push(format!("somebody: {change}"));
            disturbed.extend(change.service());
            self.kernel.meddle(&change);
        }
        // Whoever empties a service is answerable for it.
        trial.lasting.retain(|key| !disturbed.contains(key));
        if moment == Moment::BeforeRequest {
            trial.before = Some(self.kernel.observe());
        }
        self.kernel.before();
    }

    /// Checks what our requests of one datagram brought about.
    fn check(&mut self, trial: &mut Trial<'_>, before: &Model, after: &Model) {
        let keys: BTreeSet<_> = before
            .services
            .keys()
            .chain(after.services.keys())
            .collect();
        for key in keys {
            if before.services.get(key) != after.services.get(key) {
                self.log.push(format!("changed: {key}"));
                self.check_service(trial, *key, before, after);
            }
        }
        for key in &trial.lasting {
            assert!(after.is_usable(key), "{key} is empty");
        }
    }

    fn check_service(&self, trial: &mut Trial<'_>, key: ServiceKey, before: &Model, after: &Model) {
        let policy = &self.setup.policy;
        assert!(policy.scope.contains(&key), "{key} is not in scope");
        let wanted = trial.desired.get(&key);
        if !before.services.contains_key(&key) {
            trial.created.insert((key, None));
        }
        let is_ours = trial.ledger.contains(&key) || trial.created.contains(&(key, None));
        let may_adopt = self.setup.adoption == Adoption::Adopt && wanted.is_some();
        assert!(is_ours || may_adopt, "{key} is not ours");
        if !after.services.contains_key(&key) {
            assert_eq!(wanted, None, "{key} was removed");
            assert!(!trial.is_shared.contains(&key), "{key} is not ours alone");
            let change = Change::RemoveService(key);
            let draining = &self.draining;
            draining.check_removal(self.now, &change, trial.snapshot, policy);
        }
        for server in after.servers(&key) {
            if before.server(&key, server.key()).is_none() {
                let wanted = trial.desired.destinations(&key);
                let is_wanted = wanted.iter().any(|one| one.key() == server.key());
                assert!(is_wanted, "{:?} is not desired", server.key());
                trial.created.insert((key, Some(server.key())));
            }
        }
        for server in before.servers(&key) {
            let one = server.key();
            let is_desired = wanted.is_some_and(|wanted| wanted.destination(&one).is_some());
            let left = after.server(&key, one);
            if left == Some(server) {
                continue;
            }
            let is_ours = !trial.is_shared.contains(&key)
                || trial.ledger.owns(&key, &one)
                || trial.created.contains(&(key, Some(one)));
            assert!(is_ours || is_desired, "{one} of {key} is not ours");
            if left.is_some() || !after.services.contains_key(&key) {
                continue;
            }
            let change = Change::RemoveDestination(key, one);
            if is_desired {
                // `OP-11`, `OP-12`
                let mut steps = trial.plan.steps().iter();
                let step = steps.find(|step| step.change == change).unwrap();
                assert_eq!(step.cause, Cause::OutOfOrder);
                assert!(orders(policy, wanted.unwrap()));
            } else {
                let draining = &self.draining;
                draining.check_removal(self.now, &change, trial.snapshot, policy);
            }
        }
    }
}

//! A reconciler, the kernel's table, others who change it too, and what must hold between them.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use lvs_ipvs::{
    Adoption, Cause, Change, DestinationKey, Drift, Ledger, NotSentCause, Outcome, Plan, PlanStep,
    Policy, Reconciler, Rejected, Request, ServiceKey, Snapshot, Surplus, Table, UnknownCause,
};
use proptest::sample::Index;

use crate::draining::{DrainWatch, Exceptions};
use crate::expectation::{drains, orders};
use crate::generate::{everything, with_weight};
use crate::model::Model;
use crate::settled;
use crate::setup::Setup;

const ENOMEM: i32 = 12;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Done,
    Refused,
    DoneUnheard,
    LostUnheard,
    NotSent,
}

/// What happens while a plan is applied: what becomes of each request, and what somebody else
/// changes before it.
pub(crate) type Happenings = [(Option<Change>, Fate)];

/// What is ours of a service, by what was seen to be done to the table.
#[derive(Clone, Debug, PartialEq)]
enum Share {
    Whole,
    /// Of somebody else's service these destinations.
    Destinations(BTreeSet<DestinationKey>),
}

/// One kernel, one reconciler, one observer who sees everything.
pub(crate) struct World {
    setup: Setup,
    pub(crate) reconciler: Reconciler,
    pub(crate) model: Model,
    pub(crate) now: Duration,
    ours: BTreeMap<ServiceKey, Share>,
    draining: DrainWatch,
    exceptions: Exceptions,
    log: Vec<String>,
}

/// What led to a failure, readable.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}\n{}", self.setup, self.log.join("\n"));
        }
    }
}

impl World {
    pub(crate) fn new(setup: &Setup, model: Model) -> Self {
        let log = vec![format!("there is:\n{}", model.snapshot().table())];
        Self {
            setup: setup.clone(),
            reconciler: setup.reconciler(),
            model,
            now: Duration::ZERO,
            ours: BTreeMap::new(),
            draining: DrainWatch::default(),
            exceptions: Exceptions::new(),
            log,
        }
    }

    fn policy(&self) -> &Policy {
        &self.setup.policy
    }

    pub(crate) fn desire(&mut self, table: Table) {
        self.log.push(format!("desired:\n{}", table));
        self.exceptions.retain(|(service, one), _| {
            let wanted = table.get(service);
            wanted.is_none_or(|wanted| wanted.destination(one).is_none())
        });
        self.reconciler.set_desired(table);
    }

    /// Treats a destination otherwise than the policy says.
    pub(crate) fn except(
        &mut self,
        service: ServiceKey,
        one: DestinationKey,
        surplus: Option<Surplus>,
    ) {
        self.log
            .push(format!("except {one} of {service}: {surplus:?}"));
        match surplus {
            Some(surplus) => self.exceptions.insert((service, one), surplus),
            None => self.exceptions.remove(&(service, one)),
        };
        self.reconciler.set_surplus(service, one, surplus);
    }

    /// Somebody else's change; one that the kernel refuses does nothing.
    pub(crate) fn meddle(&mut self, change: &Change) {
        let result = self.model.apply(change);
        self.log.push(format!("somebody: {change}: {result:?}"));
    }

    /// The process dies; what it wrote down is all the next one knows.
    pub(crate) fn restart(&mut self) {
        self.log.push("restart".to_owned());
        let ledger: Ledger = self.reconciler.ledger().to_string().parse().unwrap();
        assert_eq!(&ledger, self.reconciler.ledger());
        let desired = self.reconciler.desired().clone();
        self.reconciler = self.setup.reconciler().with_ledger(ledger);
        self.reconciler.set_desired(desired);
        self.draining = DrainWatch::default();
        self.exceptions.clear();
    }

    /// A snapshot, which may have missed a service or a destination, or have read something twice.
    pub(crate) fn snapshot(&self, torn: Option<(Index, Index, bool)>) -> Snapshot {
        let mut snapshot = self.model.snapshot();
        assert_eq!(Model::seen(&snapshot).services, self.model.services);
        let Some((service, destination, is_twice)) = torn else {
            return snapshot;
        };
        snapshot.agreed = false;
        let services = &mut snapshot.services;
        if services.is_empty() {
            return snapshot;
        }
        let service = service.index(services.len());
        let destinations = &mut services[service].destinations;
        // One place more than there are destinations: the service itself.
        let destination = destination.index(destinations.len() + 1);
        match (destinations.get(destination).cloned(), is_twice) {
            (Some(entry), true) => destinations.push(entry),
            (Some(_), false) => drop(destinations.remove(destination)),
            (None, true) => services.push(services[service].clone()),
            (None, false) => drop(services.remove(service)),
        }
        snapshot
    }

    /// Takes a snapshot, applies the plan, and checks on the way.
    pub(crate) fn look(
        &mut self,
        torn: Option<(Index, Index, bool)>,
        happenings: &Happenings,
    ) -> Plan {
        let snapshot = self.snapshot(torn);
        self.adopt(&snapshot);
        let (plan, next) = self.reconciler.step(self.now, &snapshot);
        let ledger = self.reconciler.ledger().to_string();
        self.log.push(format!(
            "look at {:?}, {torn:?}; ledger {ledger:?}",
            self.now
        ));
        assert!(next.is_some_and(|next| next > self.now), "{next:?}");
        self.draining
            .look(self.now, &snapshot, &self.reconciler, &self.exceptions);
        self.note_creations(&snapshot, &plan);

        let mut goal = self.model.clone();
        for step in 0..plan.len() {
            goal.execute(&plan, step);
        }
        let lasts =
            |key: &ServiceKey| snapshot.agreed && self.model.is_usable(key) && goal.is_usable(key);
        let mut lasting: Vec<_> = everything().into_iter().filter(lasts).collect();
        let mut happenings = happenings.iter();
        let mut done = Vec::new();
        for (index, step) in plan.steps().iter().enumerate() {
            let (foreign, fate) = happenings.next().cloned().unwrap_or((None, Fate::Done));
            if let Some(change) = foreign {
                // Whoever empties a service is answerable for it.
                lasting.retain(|key| Some(*key) != change.service());
                self.meddle(&change);
            }
            self.check_is_allowed(step, &snapshot);
            let outcome = if plan.permits(index, |index| done[index]) {
                self.send(&plan, index, fate)
            } else {
                Outcome::NotSent(NotSentCause::Withheld)
            };
            self.log.push(format!("{}: {outcome:?}", step.change));
            done.push(outcome == Outcome::Done);
            self.reconciler.record(&step.change, &outcome);
            if !matches!(outcome, Outcome::Done | Outcome::Unknown(_)) {
                self.draining.refused(&step.change);
            }
            for key in &lasting {
                assert!(
                    self.model.is_usable(key),
                    "{key} is empty after {}",
                    step.change
                );
            }
        }
        self.check_ledger();
        plan
    }

    /// Carries a request out, or what becomes of it instead.
    fn send(&mut self, plan: &Plan, step: usize, fate: Fate) -> Outcome {
        match fate {
            Fate::Done => self.execute(plan, step, true),
            Fate::Refused => {
                let request = Request::Change(plan.steps()[step].change.clone());
                Outcome::Rejected(Rejected::new(&request, ENOMEM))
            }
            Fate::DoneUnheard => {
                self.claim(&plan.steps()[step]);
                self.execute(plan, step, false);
                self.claim(&plan.steps()[step]);
                Outcome::Unknown(UnknownCause::TimedOut)
            }
            Fate::LostUnheard => {
                self.claim(&plan.steps()[step]);
                Outcome::Unknown(UnknownCause::Overrun)
            }
            Fate::NotSent => Outcome::NotSent(NotSentCause::TimedOutBefore),
        }
    }

    /// What may have been made counts as ours.
    fn claim(&mut self, step: &PlanStep) {
        match &step.change {
            Change::AddService(service) => {
                self.ours.entry(service.key()).or_insert(Share::Whole);
            }
            Change::AddDestination(service, one) if step.cause != Cause::OutOfOrder => {
                if let Some(Share::Destinations(own)) = self.ours.get_mut(service) {
                    own.insert(one.key());
                }
            }
            _ => {}
        }
    }

    /// Sends one request; nothing but what it is about may change, and it must be ours.
    fn execute(&mut self, plan: &Plan, step: usize, is_heard: bool) -> Outcome {
        let before = self.model.clone();
        let outcome = self.model.execute(plan, step);
        let step = &plan.steps()[step];
        let change = &step.change;
        let key = change.service().unwrap();
        for (other, service) in &before.services {
            if *other != key {
                assert_eq!(self.model.services.get(other), Some(service), "{change}");
            }
        }
        for server in self.model.servers(&key) {
            let wanted = self.reconciler.desired().destinations(&key);
            let is_wanted = wanted.iter().any(|one| one.key() == server.key());
            let is_old = before.server(&key, server.key()).is_some();
            assert!(is_old || is_wanted, "{change} adds what nobody desires");
        }
        let is_new = !before.services.contains_key(&key);
        let takes_over = self.setup.adoption == Adoption::Adopt && outcome == Outcome::Done;
        if matches!(change, Change::AddService(_)) && is_heard && (is_new || takes_over) {
            self.ours.insert(key, Share::Whole);
        }
        let Some(share) = self.ours.get_mut(&key) else {
            // A torn dump hid it. What is desired may be taken over, at a look or now.
            let is_desired = self.reconciler.desired().get(&key).is_some();
            if self.setup.adoption != Adoption::Adopt || !is_desired {
                let after = self.model.services.get(&key);
                assert_eq!(
                    before.services.get(&key),
                    after,
                    "{change}: {key} is not ours"
                );
            }
            return outcome;
        };
        if let Share::Destinations(own) = share {
            let wanted = self.reconciler.desired().get(&key);
            for server in before.servers(&key) {
                let is_ours = own.contains(&server.key())
                    || wanted.is_some_and(|wanted| wanted.destination(&server.key()).is_some());
                let after = self.model.server(&key, server.key());
                assert!(is_ours || after == Some(server), "{change}: not ours");
            }
            match change {
                Change::AddDestination(_, one)
                    if outcome == Outcome::Done && before.server(&key, one.key()).is_none() =>
                {
                    self.claim(step);
                }
                Change::RemoveDestination(_, one)
                    if is_heard && step.cause != Cause::OutOfOrder =>
                {
                    own.remove(one);
                }
                _ => {}
            }
        }
        if is_heard && outcome == Outcome::Done && *change == Change::RemoveService(key) {
            self.ours.remove(&key);
        }
        outcome
    }

    /// What a look takes over.
    fn adopt(&mut self, snapshot: &Snapshot) {
        let is_there = |key: &ServiceKey| snapshot.service(key).is_some();
        if snapshot.agreed {
            // Gone and not desired: whoever makes it anew owns it.
            let desired = self.reconciler.desired();
            self.ours
                .retain(|key, _| is_there(key) || desired.get(key).is_some());
            for (key, share) in &mut self.ours {
                if let Share::Destinations(own) = share {
                    own.retain(|one| {
                        let service = snapshot.service(key);
                        service.is_some_and(|service| service.destination(one).is_some())
                            || desired
                                .get(key)
                                .is_some_and(|all| all.destination(one).is_some())
                    });
                }
            }
        }
        for wanted in self.reconciler.desired().services() {
            let key = wanted.service.key();
            if !self.setup.policy.scope.contains(&key) || !is_there(&key) {
                continue;
            }
            match self.setup.adoption {
                Adoption::Adopt => {
                    self.ours.entry(key).or_insert(Share::Whole);
                }
                Adoption::Merge => {
                    let none = Share::Destinations(BTreeSet::new());
                    self.ours.entry(key).or_insert(none);
                }
                _ => {}
            }
        }
    }

    /// Nothing was there: what earlier requests without an answer may have made, they have not.
    fn note_creations(&mut self, snapshot: &Snapshot, plan: &Plan) {
        for step in plan.steps().iter().filter(|_| snapshot.agreed) {
            match &step.change {
                Change::AddService(service) => drop(self.ours.remove(&service.key())),
                Change::AddDestination(service, one) if step.cause == Cause::Missing => {
                    if let Some(Share::Destinations(own)) = self.ours.get_mut(service) {
                        own.remove(&one.key());
                    }
                }
                _ => {}
            }
        }
    }

    /// What a plan must never contain, whatever was seen.
    fn check_is_allowed(&self, step: &PlanStep, snapshot: &Snapshot) {
        let (change, policy) = (&step.change, self.policy());
        let key = change.service().unwrap();
        assert!(policy.scope.contains(&key), "{change}");
        assert_eq!(change.validate(), Ok(()));
        let wanted = self.reconciler.desired().get(&key);
        let seen = snapshot.destinations(&key);
        let seen = |one: &DestinationKey| seen.iter().find(|entry| entry.destination.key() == *one);
        match change {
            Change::RemoveService(_) => {
                assert_eq!(wanted, None, "{change}");
                assert_ne!(policy.surplus_services, Surplus::Keep, "{change}");
                self.draining
                    .check_removal(self.now, change, snapshot, policy);
            }
            Change::RemoveDestination(_, one) => {
                assert!(seen(one).is_some(), "{change} is not there");
                let desired = wanted.and_then(|wanted| wanted.destination(one));
                match (desired, wanted) {
                    (Some(_), Some(wanted)) => {
                        assert_eq!(step.cause, Cause::OutOfOrder);
                        assert!(orders(policy, wanted), "{change}");
                    }
                    _ => self
                        .draining
                        .check_removal(self.now, change, snapshot, policy),
                }
            }
            Change::SetDestination(_, one)
                if wanted.is_none_or(|all| all.destination(&one.key()).is_none()) =>
            {
                // Nobody desires it: all that may change is its weight, to 0.
                let seen = &seen(&one.key()).unwrap().destination;
                assert_eq!(*one, seen.clone().with_weight(0), "{change}");
                assert_ne!(seen.weight(), 0, "{change} changes nothing");
                assert!(drains(policy, &key), "{change}");
            }
            Change::AddService(_) | Change::SetService(_) => assert_ne!(wanted, None, "{change}"),
            Change::AddDestination(_, one) | Change::SetDestination(_, one) => {
                let wanted = wanted.and_then(|wanted| wanted.destination(&one.key()));
                let wanted = wanted.unwrap_or_else(|| panic!("{change} is not desired"));
                match self.setup.drift {
                    // What is put in order is left as somebody made it.
                    Drift::Report if step.cause == Cause::OutOfOrder => {
                        let there = seen(&one.key()).map(|entry| &entry.destination);
                        assert!(one == wanted || Some(one) == there, "{change}");
                    }
                    Drift::AdoptWeight => {
                        assert_eq!(*one, wanted.clone().with_weight(one.weight()));
                    }
                    _ => assert_eq!(one, wanted, "{change}"),
                }
            }
            other => panic!("{other} is not the business of a plan"),
        }
    }

    /// What is ours is written down, what is not is not.
    fn check_ledger(&self) {
        let ledger = self.reconciler.ledger();
        for (key, share) in &self.ours {
            match share {
                Share::Whole => assert!(
                    ledger.contains(key) && !ledger.is_shared(key),
                    "{key} is ours and not in the ledger"
                ),
                Share::Destinations(own) => {
                    for one in own {
                        assert!(ledger.owns(key, one), "{one} of {key} is ours");
                    }
                }
            }
        }
        for key in ledger.services() {
            assert!(self.policy().scope.contains(key), "{key}");
        }
    }

    /// Looks, undisturbed, until nothing is left to do but to wait; ends connections if that is
    /// what is waited for. Then all is as it should be.
    pub(crate) fn settle(&mut self) {
        for (service, one) in core::mem::take(&mut self.exceptions).into_keys() {
            self.reconciler.set_surplus(service, one, None);
        }
        // Three looks for the order (it may need others to be in place, and to have drained),
        // and one more to see that nothing is left.
        for _ in 0..3 {
            self.now += Duration::from_secs(1);
            let _ = self.look(None, &[]);
        }
        self.model.end_connections();
        for _ in 0..2 {
            self.now += Duration::from_secs(1);
            let _ = self.look(None, &[]);
        }
        self.now += Duration::from_secs(1);
        let last = self.look(None, &[]);
        assert!(last.is_empty(), "{last}");
        let drift_look = Some(self.now + Duration::from_secs(30));
        assert_eq!(self.reconciler.next_look(), drift_look);
        assert_eq!(self.reconciler.draining().len(), 0);
        settled::check(&self.setup, &self.reconciler, &self.model, &last);
    }
}

impl World {
    /// Removes what is ours; gives what is left.
    pub(crate) fn withdraw(&mut self) -> Model {
        let before = self.model.clone();
        let ledger = self.reconciler.ledger().clone();
        let plan = self.reconciler.withdraw(&self.model.snapshot());
        for change in plan.changes() {
            assert_eq!(self.model.apply(change), Ok(()), "{change}");
            self.reconciler.record(change, &Outcome::Done);
        }
        for (key, (service, servers)) in &before.services {
            if !ledger.contains(key) {
                assert_eq!(self.model.services.get(key), before.services.get(key));
            } else if ledger.is_shared(key) {
                let (left, _) = &self.model.services[key];
                assert_eq!(left, service);
                for server in servers {
                    let left = self.model.server(key, server.key());
                    let is_ours = ledger.owns(key, &server.key());
                    assert_eq!(left, Some(server).filter(|_| !is_ours));
                }
            } else {
                assert_eq!(self.model.services.get(key), None);
            }
        }
        for key in self.reconciler.ledger().services() {
            let is_shared = self.reconciler.ledger().is_shared(key);
            assert!(is_shared, "{key} was removed and is still in the ledger");
            assert_eq!(self.reconciler.ledger().own_destinations(key).count(), 0);
        }
        self.model.clone()
    }

    /// Sets the weight of what is ours to 0.
    pub(crate) fn quiesce(&mut self) {
        let before = self.model.clone();
        let plan = self.reconciler.quiesce(&self.model.snapshot());
        for change in plan.changes() {
            assert_eq!(self.model.apply(change), Ok(()), "{change}");
        }
        let mut requests = 0;
        for (key, (_, servers)) in &before.services {
            for server in servers {
                let is_ours = self.reconciler.ledger().owns(key, &server.key());
                let changes = is_ours && server.is_usable();
                requests += usize::from(changes);
                let expected = if changes {
                    with_weight(server, 0)
                } else {
                    server.clone()
                };
                assert_eq!(self.model.server(key, server.key()), Some(&expected));
            }
        }
        assert_eq!(plan.len(), requests);
    }
}

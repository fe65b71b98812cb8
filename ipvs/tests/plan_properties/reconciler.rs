//! The reconciler among others who change the table too, and with requests that fail.

use core::time::Duration;
use std::collections::BTreeSet;

use lvs_ipvs::{
    Change, NotSentCause, Outcome, Plan, Policy, Reconciler, Rejected, Request, Scope, ServiceKey,
    Table, UnknownCause, VirtualService,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::generate::{any_policy, any_service, any_table, destination, everything, services};
use crate::model::Model;

const ENOMEM: i32 = 12;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    Refused,
    DoneUnheard,
    LostUnheard,
    NotSent,
}

#[derive(Clone, Debug)]
enum Event {
    Desire(Table),
    /// Somebody else's change; refused ones do nothing.
    Foreign(Change),
    /// A look whose dump missed that service, with the fates of the requests that follow.
    Look(Option<Index>, Vec<Fate>),
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Done),
        1 => Just(Fate::Refused),
        1 => Just(Fate::DoneUnheard),
        1 => Just(Fate::LostUnheard),
        1 => Just(Fate::NotSent),
    ]
}

fn any_foreign() -> impl Strategy<Value = Change> {
    let change = |(service, port): (VirtualService, u16)| {
        (any_service(service, port), 1..=4_u8, 0..6).prop_map(
            move |((service, list), host, kind)| {
                let key = service.key();
                let one = destination(&service, port, host);
                let one = list
                    .into_iter()
                    .find(|other| other.key() == one.key())
                    .unwrap_or(one);
                match kind {
                    0 => Change::AddService(service),
                    1 => Change::SetService(service),
                    2 => Change::RemoveService(key),
                    3 => Change::AddDestination(key, one),
                    4 => Change::SetDestination(key, one),
                    _ => Change::RemoveDestination(key, one.key()),
                }
            },
        )
    };
    let [a, b, c, d] = services().map(change);
    prop_oneof![a, b, c, d]
}

fn any_event() -> impl Strategy<Value = Event> {
    let missed = prop_oneof![4 => Just(None), 1 => any::<Index>().prop_map(Some)];
    let fates = proptest::collection::vec(any_fate(), 8);
    prop_oneof![
        2 => any_table().prop_map(Event::Desire),
        3 => any_foreign().prop_map(Event::Foreign),
        4 => (missed, fates).prop_map(|(missed, fates)| Event::Look(missed, fates)),
    ]
}

/// A reconciler, the kernel's table, and what must hold between them.
struct World {
    reconciler: Reconciler,
    policy: Policy,
    model: Model,
    now: Duration,
    ever_desired: BTreeSet<ServiceKey>,
}

impl World {
    fn new(policy: Policy, table: &Table) -> Self {
        Self {
            reconciler: Reconciler::new(policy.clone()),
            policy,
            model: Model::of(table),
            now: Duration::ZERO,
            ever_desired: BTreeSet::new(),
        }
    }

    fn desire(&mut self, table: Table) {
        let keys = table.services().map(|entry| entry.service.key());
        self.ever_desired.extend(keys);
        self.reconciler.set_desired(table);
    }

    /// Takes a snapshot, applies the plan, and checks on the way.
    fn look(&mut self, missed: Option<Index>, fates: &[Fate]) -> Plan {
        self.now += Duration::from_secs(1);
        let mut snapshot = self.model.snapshot();
        if let Some(index) = missed.filter(|_| !snapshot.services.is_empty()) {
            snapshot
                .services
                .remove(index.index(snapshot.services.len()));
            snapshot.agreed = false;
        }
        let owned: BTreeSet<_> = self.reconciler.ledger().services().copied().collect();
        let desired = self.reconciler.desired().clone();
        let before = self.model.clone();
        let (plan, _) = self.reconciler.step(self.now, &snapshot);

        let expected = before.expected(&desired, &self.policy, &owned);
        let lasting: Vec<_> = everything()
            .into_iter()
            .filter(|key| snapshot.agreed && before.is_usable(key) && expected.is_usable(key))
            .collect();
        let fates = fates.iter().chain(core::iter::repeat(&Fate::Done));
        let mut done = Vec::new();
        for ((step, change), fate) in plan.changes().enumerate().zip(fates) {
            if let Change::RemoveService(key) = change {
                assert!(
                    owned.contains(key) && desired.get(key).is_none(),
                    "{change}"
                );
            }
            let outcome = if plan.permits(step, |index| done[index]) {
                self.send(change, *fate)
            } else {
                Outcome::NotSent(NotSentCause::Withheld)
            };
            done.push(outcome == Outcome::Done);
            self.reconciler.record(change, &outcome);
            for key in &lasting {
                assert!(self.model.is_usable(key), "{key} is empty after {change}");
            }
        }
        // What is neither desired nor owned stays exactly as it was.
        for (key, service) in &before.0 {
            let is_ours = desired.get(key).is_some() || owned.contains(key);
            if !is_ours || !self.policy.scope.contains(key) {
                assert_eq!(self.model.0.get(key), Some(service), "{key} is not ours");
            }
        }
        for key in self.reconciler.ledger().services() {
            assert!(self.ever_desired.contains(key) && self.policy.scope.contains(key));
        }
        plan
    }

    fn send(&mut self, change: &Change, fate: Fate) -> Outcome {
        match fate {
            Fate::Done => self.model.execute(change),
            Fate::Refused => {
                let request = Request::Change(change.clone());
                Outcome::Rejected(Rejected::new(&request, ENOMEM))
            }
            Fate::DoneUnheard => {
                self.model.execute(change);
                Outcome::Unknown(UnknownCause::TimedOut)
            }
            Fate::LostUnheard => Outcome::Unknown(UnknownCause::Overrun),
            Fate::NotSent => Outcome::NotSent(NotSentCause::TimedOutBefore),
        }
    }

    /// Looks, undisturbed, until nothing is left to do.
    fn settle(&mut self) {
        let owned: BTreeSet<_> = self.reconciler.ledger().services().copied().collect();
        let desired = self.reconciler.desired().clone();
        let expected = self.model.expected(&desired, &self.policy, &owned);
        let _ = self.look(None, &[]);
        assert_eq!(self.model, expected);
        let drift_look = Some(self.now + Duration::from_secs(30));
        assert_eq!(self.reconciler.next_look(), drift_look);
        let again = self.look(None, &[]);
        assert!(again.is_empty(), "{again}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happened before, one undisturbed look brings about what is desired, and at no
    /// time is anything touched that is somebody else's, or a service left empty.
    #[test]
    fn converges_after_anything(
        policy in any_policy(),
        actual in any_table(),
        events in proptest::collection::vec(any_event(), 1..20),
    ) {
        let mut world = World::new(policy, &actual);
        for event in events {
            match event {
                Event::Desire(table) => world.desire(table),
                Event::Foreign(change) => world.model.apply(&change).unwrap_or_default(),
                Event::Look(missed, fates) => drop(world.look(missed, &fates)),
            }
        }
        world.settle();
    }

    /// Between settled tables every difference has an author: the new desired table, or
    /// somebody else.
    #[test]
    fn drift_is_what_others_did(
        first in any_table(),
        second in any_table(),
        foreign in proptest::collection::vec(any_foreign(), 1..6),
    ) {
        let mut world = World::new(Policy::new(Scope::all()), &Table::new());
        world.desire(first);
        world.settle();
        world.desire(second.clone());
        let plan = world.look(None, &[]);
        prop_assert!(plan.steps().iter().all(|step| !step.drift), "{}", plan);
        prop_assert_eq!(&world.model.snapshot().table().len(), &second.len());

        for change in &foreign {
            let _ = world.model.apply(change);
        }
        let plan = world.look(None, &[]);
        prop_assert!(plan.steps().iter().all(|step| step.drift), "{}", plan);
    }

    /// Leaving nothing behind takes one request per service, and touches nothing else.
    #[test]
    fn withdrawing_leaves_what_others_have(actual in any_table(), desired in any_table()) {
        let mut world = World::new(Policy::new(Scope::all()), &actual);
        world.desire(desired.clone());
        world.settle();
        let plan = world.reconciler.withdraw(&world.model.snapshot());
        prop_assert_eq!(plan.len(), desired.len());
        for change in plan.changes() {
            let outcome = world.model.execute(change);
            world.reconciler.record(change, &outcome);
        }
        let mut rest = Model::of(&actual);
        rest.0.retain(|key, _| desired.get(key).is_none());
        prop_assert_eq!(world.model, rest);
        prop_assert_eq!(world.reconciler.ledger().services().len(), 0);
    }
}

//! The reconciler among others who change the table too, and with requests that fail.

use core::time::Duration;

use lvs_ipvs::{Cause, Change, Destination, Drain, Policy, Scope, ServiceKey, Surplus, Table};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::generate::{
    any_connections, any_foreign, any_model, any_setup, any_surplus, any_table, destination,
    everything, services,
};
use crate::model::{Connections, Model};
use crate::setup::Setup;
use crate::world::{Fate, World};

#[derive(Clone, Debug)]
enum Event {
    Desire(Table),
    /// Somebody else's change; refused ones do nothing.
    Foreign(Change),
    /// Connections come and go.
    Connections(ServiceKey, Vec<Connections>),
    Wait(Duration),
    /// A destination is to be treated otherwise than the policy says.
    Except(Change, Option<Surplus>),
    Restart,
    /// A look whose dump may be torn, and what happens while its plan is applied.
    Look(Option<(Index, Index, bool)>, Vec<(Option<Change>, Fate)>),
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

fn any_event() -> impl Strategy<Value = Event> {
    let torn = prop_oneof![4 => Just(None), 1 => any::<(Index, Index, bool)>().prop_map(Some)];
    let foreign = option::weighted(0.1, any_foreign());
    let happenings = vec((foreign, any_fate()), 12);
    prop_oneof![
        2 => any_table().prop_map(Event::Desire),
        3 => any_foreign().prop_map(Event::Foreign),
        1 => (select(everything()), any_connections())
            .prop_map(|(service, connections)| Event::Connections(service, connections)),
        1 => (0..40_u64).prop_map(|secs| Event::Wait(Duration::from_secs(secs))),
        1 => (any_foreign(), option::of(any_surplus()))
            .prop_map(|(change, surplus)| Event::Except(change, surplus)),
        1 => Just(Event::Restart),
        4 => (torn, happenings).prop_map(|(torn, happenings)| Event::Look(torn, happenings)),
    ]
}

proptest! {
    /// Whatever happened before, some undisturbed looks bring about what is desired, and at no
    /// time is anything touched that is somebody else's, a service left empty, or a connection
    /// cut before its time.
    #[test]
    fn converges_after_anything(
        setup in any_setup(),
        before in any_model(),
        events in vec(any_event(), 1..20),
    ) {
        let mut world = World::new(&setup, before);
        for event in events {
            match event {
                Event::Desire(table) => world.desire(table),
                Event::Foreign(change) => world.meddle(&change),
                Event::Connections(service, all) => world.model.connect(&service, &all),
                Event::Wait(time) => world.now += time,
                // The change only names the destination.
                Event::Except(Change::AddDestination(service, one), surplus) => {
                    world.except(service, one.key(), surplus);
                }
                Event::Except(..) => {}
                Event::Restart => world.restart(),
                Event::Look(torn, happenings) => {
                    world.now += Duration::from_secs(1);
                    drop(world.look(torn, &happenings));
                }
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
        foreign in vec(any_foreign(), 1..6),
    ) {
        let mut world = World::new(&Setup::of(Policy::new(Scope::all())), Model::default());
        world.desire(first);
        world.settle();
        world.desire(second.clone());
        let plan = world.look(None, &[]);
        prop_assert!(plan.steps().iter().all(|step| !step.drift), "{}", plan);
        prop_assert_eq!(&world.model.snapshot().table().len(), &second.len());

        for change in &foreign {
            world.meddle(change);
        }
        let plan = world.look(None, &[]);
        prop_assert!(plan.steps().iter().all(|step| step.drift), "{}", plan);
    }

    /// `OP-11`: a destination is quiet until its connections have ended or its time is over,
    /// not for longer, and a look is due when that is.
    #[test]
    fn drains_until_connections_end_or_the_limit(
        limit in 2..20_u64,
        counts in any::<[bool; 2]>(),
        looks in vec((0..4_u64, any_connections()), 30),
    ) {
        let [web, ..] = services().map(|(service, port)| (service.key(), service, port));
        let (key, service, port) = web;
        let [one, two] = [1, 2].map(|host| destination(&service, port, host));
        let limit = Duration::from_secs(limit);
        let [inactive, persistent] = counts;
        let drain = Drain::new()
            .with_limit(Some(limit))
            .with_inactive(inactive)
            .with_persistent(persistent);
        let policy = Policy::new(Scope::all())
            .with_surplus_destinations(Surplus::Drain)
            .with_drain(drain);
        let mut world = World::new(&Setup::of(policy), Model::default());
        let table = |list: &[&Destination]| {
            let mut table = Table::new();
            table.insert(service.clone(), list.iter().copied().cloned());
            table
        };
        world.desire(table(&[&one, &two]));
        world.settle();
        world.desire(table(&[&one]));
        let since = world.now;
        prop_assert_eq!(world.look(None, &[]).len(), 1);
        for (wait, connections) in looks {
            world.now += Duration::from_secs(wait);
            world.model.connect(&key, &connections);
            let server = world.model.server(&key, two.key()).unwrap();
            let (open, is_over) = (server.open(&drain), world.now - since >= limit);
            let connections = server.all_connections().into();
            let plan = world.look(None, &[]);
            let causes: Vec<_> = plan.steps().iter().map(|step| &step.cause).collect();
            if open == 0 {
                prop_assert_eq!(causes, [&Cause::Drained]);
                break;
            } else if is_over {
                prop_assert_eq!(causes, [&Cause::DrainLimit { connections }]);
                break;
            }
            prop_assert!(causes.is_empty(), "{}", plan);
            let next = world.reconciler.next_look().unwrap();
            prop_assert!(next <= since + limit && next <= world.now + Duration::from_secs(1));
        }
    }

    /// Leaving nothing behind takes one request per service, and touches nothing else.
    #[test]
    fn withdrawing_leaves_what_others_have(
        setup in any_setup(),
        before in any_model(),
        desired in any_table(),
    ) {
        let mut world = World::new(&setup, before.clone());
        world.desire(desired.clone());
        world.settle();
        let after = world.withdraw();
        // What was there before is there still, but for what was taken over.
        for (key, service) in &before.services {
            if desired.get(key).is_none() || !setup.policy.scope.contains(key) {
                let left = after.services.get(key);
                prop_assert_eq!(left.map(|left| &left.0), Some(&service.0));
            }
        }
        for wanted in desired.services() {
            let key = wanted.service.key();
            if setup.policy.scope.contains(&key) && !before.services.contains_key(&key) {
                prop_assert_eq!(after.services.get(&key), None);
            }
        }
    }

    /// Nothing ours takes new connections any more, and nothing else changes.
    #[test]
    fn quiescing_stops_new_connections_alone(
        setup in any_setup(),
        before in any_model(),
        desired in any_table(),
    ) {
        let mut world = World::new(&setup, before);
        world.desire(desired);
        world.settle();
        world.quiesce();
    }
}

//! Plans against the shortest way there is, found by breadth-first search.

use std::collections::{HashMap, VecDeque};

use lvs_ipvs::{Policy, Scheduler, Scope, Surplus, Table};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::generate::{destination, services};
use crate::model::Model;
use crate::plan;

/// Per service: its scheduler, and the weight of each of three destinations.
type State = [Option<(u8, [Option<u32>; 3])>; 2];

const WEIGHTS: [Option<u32>; 3] = [None, Some(0), Some(1)];

fn table(state: State) -> Table {
    let mut table = Table::new();
    for (cell, (service, port)) in state.into_iter().zip(services()) {
        let Some((scheduler, weights)) = cell else {
            continue;
        };
        let scheduler = [Scheduler::Wlc, Scheduler::Sh][usize::from(scheduler)];
        let list: Vec<_> = (1..)
            .zip(weights)
            .filter_map(|(host, weight)| {
                Some(destination(&service, port, host).with_weight(weight?))
            })
            .collect();
        table.insert(service.with_scheduler(scheduler), list);
    }
    table
}

/// The states one request away, in the first services and destinations. A service that is desired
/// is not to be removed, however many requests that might save: its connections would go.
fn neighbours(state: State, desired: State, [services, hosts]: [usize; 2]) -> Vec<State> {
    let mut all = Vec::new();
    for service in 0..services {
        let mut push = |cell| {
            let mut next = state;
            next[service] = cell;
            all.push(next);
        };
        match state[service] {
            None => (0..2).for_each(|scheduler| push(Some((scheduler, [None; 3])))),
            Some((scheduler, weights)) => {
                push(Some((1 - scheduler, weights)));
                if desired[service].is_none() {
                    push(None);
                }
                for host in 0..hosts {
                    for weight in WEIGHTS.into_iter().filter(|one| *one != weights[host]) {
                        let mut weights = weights;
                        weights[host] = weight;
                        push(Some((scheduler, weights)));
                    }
                }
            }
        }
    }
    all
}

/// Number of requests to every state that can be reached.
fn distances(from: State, desired: State, size: [usize; 2]) -> HashMap<State, usize> {
    let mut distances = HashMap::from([(from, 0)]);
    let mut queue = VecDeque::from([from]);
    while let Some(state) = queue.pop_front() {
        for next in neighbours(state, desired, size) {
            if !distances.contains_key(&next) {
                distances.insert(next, distances[&state] + 1);
                queue.push_back(next);
            }
        }
    }
    distances
}

/// Where the policy leads to.
fn goal(actual: State, desired: State, policy: &Policy) -> State {
    let mut goal = desired;
    for (goal, actual) in goal.iter_mut().zip(actual) {
        match (goal, actual) {
            (goal @ None, actual) if policy.surplus_services == Surplus::Keep => *goal = actual,
            (Some((_, weights)), Some((_, present)))
                if policy.surplus_destinations == Surplus::Keep =>
            {
                for (weight, present) in weights.iter_mut().zip(present) {
                    *weight = weight.or(present);
                }
            }
            _ => {}
        }
    }
    goal
}

fn policies() -> [Policy; 3] {
    let policy = Policy::new(Scope::all());
    [
        policy.clone(),
        policy.clone().with_surplus_services(Surplus::Keep),
        policy.with_surplus_destinations(Surplus::Keep),
    ]
}

fn cells(hosts: usize) -> Vec<Option<(u8, [Option<u32>; 3])>> {
    let mut cells = vec![None];
    for scheduler in 0..2 {
        for number in 0..3_usize.pow(hosts as u32) {
            let weight = |host| WEIGHTS[number / 3_usize.pow(host) % 3];
            cells.push(Some((scheduler, [weight(0), weight(1), weight(2)])));
        }
    }
    cells
}

fn check(actual: State, desired: State, distances: &HashMap<State, usize>) {
    let (from, to) = (Model::of(&table(actual)), table(desired));
    for policy in policies() {
        let plan = plan(&from, &to, &policy);
        let least = distances[&goal(actual, desired, &policy)];
        assert_eq!(plan.len(), least, "{actual:?} to {desired:?}:\n{plan}");
    }
}

/// All 3,025 pairs of tables of one service with three destinations, under each policy.
#[test]
fn every_plan_for_one_service_is_the_shortest() {
    let cells = cells(3);
    assert_eq!(cells.len(), 55);
    for actual in &cells {
        // Only whether the service is desired matters to the ways there are.
        let wanted = distances([*actual, None], [Some((0, [None; 3])); 2], [1, 3]);
        let unwanted = distances([*actual, None], [None; 2], [1, 3]);
        for desired in &cells {
            let distances = if desired.is_some() {
                &wanted
            } else {
                &unwanted
            };
            check([*actual, None], [*desired, None], distances);
        }
    }
}

proptest! {
    #[test]
    fn plans_for_two_services_are_the_shortest(
        actual in [any::<Index>(), any::<Index>()],
        desired in [any::<Index>(), any::<Index>()],
    ) {
        let cells = cells(2);
        let actual = actual.map(|index| *index.get(&cells));
        let desired = desired.map(|index| *index.get(&cells));
        check(actual, desired, &distances(actual, desired, [2, 2]));
    }
}

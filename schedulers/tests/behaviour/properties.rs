//! What holds for every run: nobody ineligible is picked, shares follow the weights, counts agree.

use core::time::Duration;
use std::collections::BTreeMap;

use lvs_schedulers::{
    Algorithm, ConnectionId, Context, Destination, DestinationEntry, DestinationId, Flow,
    Semantics, UnknownScheduler, VirtualService,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{self, Run, address, flow};

#[derive(Clone, Debug)]
enum Step {
    Add(Index, u32, u32),
    Edit(Index, u32, u32),
    Remove(Index),
    Connect,
    Close(Index),
    Expire(Index),
    Rebind,
}

fn step() -> impl Strategy<Value = Step> {
    let weight = prop_oneof![
        Just(0_u32),
        1_u32..6,
        Just(300),
        0..=Destination::MAX_WEIGHT
    ];
    let upper = prop_oneof![3 => Just(0_u32), 1 => 1_u32..5];
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), weight.clone(), upper.clone()).prop_map(|(i, w, u)| Step::Add(i, w, u)),
        2 => (index(), weight, upper).prop_map(|(i, w, u)| Step::Edit(i, w, u)),
        1 => index().prop_map(Step::Remove),
        8 => Just(Step::Connect),
        2 => index().prop_map(Step::Close),
        4 => index().prop_map(Step::Expire),
        1 => Just(Step::Rebind),
    ]
}

const NAMES: [char; 5] = ['A', 'B', 'C', 'D', 'E'];

proptest! {
    /// Random operations against plain maps: who is picked was eligible, somebody is picked if
    /// anybody is eligible, and the counts are those of the connections alive.
    #[test]
    fn picks_are_eligible_and_counts_agree(
        algorithm in prop::sample::select(Algorithm::ALL),
        semantics in prop::sample::select(
            &[Semantics::LINUX_6_1, Semantics::LINUX_6_12, Semantics::LINUX_7_2][..]
        ),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut run = Run::with_semantics(algorithm, semantics, &[]);
        let mut alive: BTreeMap<ConnectionId, (char, bool)> = BTreeMap::new();
        let mut present: Vec<char> = Vec::new();
        for step in steps {
            match step {
                Step::Add(i, weight, upper) => {
                    let name = *i.get(&NAMES);
                    let destination =
                        Destination::new(address(name)).with_weight(weight).with_thresholds(upper, 0);
                    let result = run.service.add(destination);
                    prop_assert_eq!(result.is_ok(), !present.contains(&name));
                    if result.is_ok() {
                        present.insert(0, name);
                    }
                }
                Step::Edit(i, weight, upper) => {
                    let name = *i.get(&NAMES);
                    let destination =
                        Destination::new(address(name)).with_weight(weight).with_thresholds(upper, 0);
                    prop_assert_eq!(run.service.edit(destination).is_ok(), present.contains(&name));
                }
                Step::Remove(i) => {
                    let name = *i.get(&NAMES);
                    let result = run.service.remove(address(name));
                    prop_assert_eq!(result.is_ok(), present.contains(&name));
                    present.retain(|&other| other != name);
                }
                Step::Connect => {
                    // The destination that lblc remembers may be overloaded.
                    let eligible: Vec<char> = run.service.destinations()
                        .filter(|d| d.weight() > 0)
                        .filter(|d| !d.is_overloaded() || algorithm == Algorithm::Lblc)
                        .map(support::name)
                        .collect();
                    let picked = run.connect();
                    if let Some(name) = picked {
                        prop_assert!(eligible.contains(&name), "{} of {:?}", name, eligible);
                        alive.insert(run.connections.pop().unwrap(), (name, true));
                    } else if algorithm == Algorithm::Rr {
                        prop_assert!(eligible.is_empty(), "none of {:?}", eligible);
                    }
                }
                Step::Close(i) if !alive.is_empty() => {
                    let connection = *alive.keys().nth(i.index(alive.len())).unwrap();
                    prop_assert!(run.service.close(connection));
                    alive.get_mut(&connection).unwrap().1 = false;
                }
                Step::Expire(i) if !alive.is_empty() => {
                    let connection = *alive.keys().nth(i.index(alive.len())).unwrap();
                    alive.remove(&connection);
                    prop_assert!(run.service.expire(connection));
                    prop_assert!(!run.service.expire(connection));
                }
                Step::Rebind => run.service.set_scheduler(algorithm.scheduler(semantics)),
                Step::Close(_) | Step::Expire(_) => {}
            }
            let order: Vec<char> = run.service.destinations().map(support::name).collect();
            prop_assert_eq!(&order, &present);
            prop_assert_eq!(run.service.connections(), alive.len());
            for name in &present {
                let entry = run.entry(*name);
                let count = |active| alive.values().filter(|c| **c == (*name, active)).count();
                prop_assert_eq!(
                    (entry.active() as usize, entry.inactive() as usize),
                    (count(true), count(false))
                );
                let upper = entry.destination().upper();
                prop_assert!(!entry.is_overloaded() || upper > 0);
                prop_assert!(entry.is_available());
            }
        }
        for (connection, (name, _)) in &alive {
            prop_assert_eq!(run.service.destination_of(*connection).map(support::name), Some(*name));
        }
    }

    /// Over a full cycle each destination gets weight / divisor picks, from any point on.
    #[test]
    fn wrr_shares_are_proportional_to_the_weights(
        weights in prop::collection::vec(prop_oneof![0_u32..40, Just(12), Just(24)], 1..8),
        start in 0_usize..60,
        bound in any::<bool>(),
    ) {
        let divisor = weights.iter().fold(0, |a, &b| gcd(a, b));
        prop_assume!(divisor > 0);
        let mut run = Run::new(Algorithm::Wrr, &weights);
        if bound {
            run.service.set_scheduler(Algorithm::Wrr.scheduler(Semantics::LINUX_6_1));
        }
        run.picks(start);
        let cycle = weights.iter().map(|weight| (weight / divisor) as usize).sum();
        let picks = run.picks(cycle);
        for (name, weight) in ('A'..).zip(&weights) {
            let share = picks.chars().filter(|&pick| pick == name).count();
            prop_assert_eq!(share, (weight / divisor) as usize, "{} in {}", name, picks);
        }
    }

    /// rr gives each eligible destination the same, from any point on.
    #[test]
    fn rr_shares_are_equal(
        weights in prop::collection::vec(0_u32..3, 1..10),
        start in 0_usize..20,
    ) {
        let eligible = weights.iter().filter(|&&weight| weight > 0).count();
        let mut run = Run::new(Algorithm::Rr, &weights);
        run.picks(start);
        let picks = run.picks(eligible * 3);
        for (name, &weight) in ('A'..).zip(&weights) {
            let share = picks.chars().filter(|&pick| pick == name).count();
            prop_assert_eq!(share, if weight > 0 { 3 } else { 0 }, "{} in {}", name, picks);
        }
    }

    /// The same calls give the same picks.
    #[test]
    fn runs_are_reproducible(weights in prop::collection::vec(0_u32..9, 0..6)) {
        let picks = || Run::new(Algorithm::Wrr, &weights).picks(50);
        prop_assert_eq!(picks(), picks());
    }

    #[test]
    fn any_text_is_a_name_or_an_error_that_names_it(text in ".*") {
        match text.parse::<Algorithm>() {
            Ok(algorithm) => prop_assert_eq!(algorithm.name(), text),
            Err(error) => prop_assert_eq!(error.name(), text),
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// With thresholds in force the overloaded one is left out and the others keep their order.
#[test]
fn overloaded_destination_is_passed_over_and_the_others_keep_their_order() {
    for algorithm in [Algorithm::Rr, Algorithm::Wrr, Algorithm::Lc, Algorithm::Wlc] {
        let mut run = Run::new(algorithm, &[1, 1, 1]);
        run.limit('B', 1, 1, 0);
        let mut context = Context::new(Duration::ZERO);
        let picked: Vec<_> = (0..6)
            .map(|_| {
                let connection = run.service.connect(&flow(), &mut context).unwrap();
                support::name(run.service.destination_of(connection).unwrap())
            })
            .collect();
        assert_eq!(picked, ['C', 'B', 'A', 'C', 'A', 'C'], "{algorithm}");
    }
}

#[test]
fn public_types_are_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<VirtualService>();
    check::<Destination>();
    check::<DestinationEntry>();
    check::<DestinationId>();
    check::<ConnectionId>();
    check::<Algorithm>();
    check::<Flow>();
    check::<Semantics>();
    check::<lvs_schedulers::Error>();
    check::<UnknownScheduler>();
    check::<lvs_schedulers::Rr>();
    check::<lvs_schedulers::Wrr>();
    check::<lvs_schedulers::Lc>();
    check::<lvs_schedulers::Wlc>();
    check::<lvs_schedulers::Fo>();
    check::<lvs_schedulers::Ovf>();
    check::<lvs_schedulers::Sed>();
    check::<lvs_schedulers::Nq>();
    check::<lvs_schedulers::Twos>();
    check::<lvs_schedulers::Explanation>();
    check::<lvs_schedulers::ConnectionState>();
    check::<lvs_schedulers::Packet>();
    check::<lvs_schedulers::Persistence>();
    check::<lvs_schedulers::Settings>();
    check::<lvs_schedulers::Synced>();
    check::<lvs_schedulers::Template>();
}

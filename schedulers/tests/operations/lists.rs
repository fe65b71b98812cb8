//! Algorithms alone, on lists of extreme destinations, with hooks and without.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use lvs_schedulers::{
    Addressed, Algorithm, Candidate, Context, Explanation, Flow, SchedulerFlags, Semantics,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::literal::{Literal, Seen};

#[derive(Clone, Debug)]
struct Server {
    number: u32,
    weight: u32,
    overloaded: bool,
    available: bool,
    active: u32,
    inactive: u32,
}

impl Candidate for Server {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    fn is_available(&self) -> bool {
        self.available
    }

    fn active(&self) -> u32 {
        self.active
    }

    fn inactive(&self) -> u32 {
        self.inactive
    }
}

impl Addressed for Server {
    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::from(0x0a02_0101 + self.number), 80))
    }
}

const EXTREMES: [u32; 6] = [
    0,
    1,
    i32::MAX.unsigned_abs() - 1,
    i32::MAX.unsigned_abs(),
    i32::MIN.unsigned_abs(),
    u32::MAX,
];

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..6, 2 => select(&EXTREMES[..]), 1 => any::<u32>()]
}

fn server() -> impl Strategy<Value = Server> {
    let mark = || prop::bool::weighted(0.2);
    let counts = (number(), number(), number());
    (counts, mark(), mark()).prop_map(|((weight, active, inactive), overloaded, removed)| Server {
        number: 0,
        weight,
        overloaded,
        available: !removed,
        active,
        inactive,
    })
}

fn list() -> impl Strategy<Value = Vec<Server>> {
    vec(server(), 0..9).prop_map(|mut list| {
        (0..)
            .zip(&mut list)
            .for_each(|(number, server)| server.number = number);
        list
    })
}

fn flow(number: u8) -> Flow {
    Flow::tcp(
        ([192, 0, 2, number], 40_000).into(),
        ([198, 51, 100, number % 3], 80).into(),
    )
}

/// The list as the rules see it: newest first.
fn seen(list: &[Server]) -> Vec<Seen<usize>> {
    let seen = list.iter().enumerate().rev().map(|(id, server)| Seen {
        id,
        weight: server.weight,
        overloaded: server.overloaded,
        active: server.active,
        inactive: server.inactive,
    });
    seen.collect()
}

/// Whether the kernel's comparison of 64-bit products is that of the exact ones.
fn fits(list: &[Server], semantics: Semantics) -> bool {
    let widest = |measure: &dyn Fn(&Server) -> u64| list.iter().map(measure).max().unwrap_or(0);
    let overhead = widest(&|d| semantics.overhead.of(d.active, d.inactive));
    overhead.checked_mul(widest(&|d| d.weight.into())).is_some()
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    select(Algorithm::ALL)
}

fn semantics() -> impl Strategy<Value = Semantics> {
    select(&[Semantics::LINUX_6_1, Semantics::LINUX_7_2][..]).prop_map(|mut semantics| {
        semantics.mh_table_index = 8;
        semantics
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Weights and counts of any size neither panic nor hang, nobody ineligible is picked, and ties
    /// go as the rules say: to the destination added last.
    #[test]
    fn extreme_destinations_are_picked_as_the_rules_say(
        list in list(),
        algorithm in algorithm(),
        semantics in semantics(),
        draws in vec(any::<u32>(), 12),
    ) {
        let mut scheduler = algorithm.scheduler::<Server>(semantics);
        scheduler.bind(&list, Duration::ZERO);
        let mut literal = Literal::bound(algorithm.name(), &seen(&list));
        for (number, pair) in (0..).zip(draws.chunks(2)) {
            let (mut next, mut drawn) = (pair.iter(), Vec::new());
            let mut draw = |highest: u32| {
                drawn.push((*next.next().unwrap()).min(highest));
                *drawn.last().unwrap()
            };
            let mut context = Context::new(Duration::ZERO).with_draw(&mut draw);
            let picked = scheduler.pick(&list, &flow(number), &mut context);
            if let Some(index) = picked {
                let server = &list[index];
                prop_assert!(server.weight > 0 && !server.overloaded, "{:?}", server);
            }
            match &mut literal {
                Some(literal) if literal.is_quick() && fits(&list, semantics) => {
                    let expected = literal.pick(&seen(&list), semantics, &drawn);
                    prop_assert_eq!(picked, expected, "{}", algorithm);
                }
                _ => {}
            }
        }
    }

    /// An explanation changes neither pick nor state, says what was picked, and can be read.
    #[test]
    fn explained_picks_are_the_others(
        list in list(),
        algorithm in algorithm(),
        semantics in semantics(),
        flows in vec((any::<u8>(), any::<bool>()), 1..30),
    ) {
        let mut plain = algorithm.scheduler::<Server>(semantics);
        let mut traced = algorithm.scheduler::<Server>(semantics);
        for scheduler in [&mut plain, &mut traced] {
            scheduler.bind(&list, Duration::ZERO);
            scheduler.set_flags(SchedulerFlags::NONE.with_fallback());
        }
        for (number, explained) in flows {
            let flow = flow(number);
            let expected = plain.pick(&list, &flow, &mut Context::new(Duration::ZERO));
            let mut why = Explanation::new();
            let mut context = Context::new(Duration::ZERO);
            if explained {
                context = context.with_trace(&mut why);
            }
            prop_assert_eq!(traced.pick(&list, &flow, &mut context), expected);
            prop_assert_eq!(format!("{plain:?}"), format!("{traced:?}"));
            if explained {
                prop_assert_eq!(why.outcome(), expected);
                prop_assert_eq!(why.scheduler(), algorithm.name());
                let text = why.to_string();
                let outcome = expected.map_or_else(|| String::from("nobody"), |index| format!("#{index}"));
                let first = format!("{algorithm} picks {outcome}\n");
                prop_assert!(text.starts_with(&first), "{}", text);
                prop_assert_eq!(text.lines().count(), why.steps().len() + 1);
            }
        }
    }

    /// Lists that change behind a scheduler's back: nothing that is not there is picked.
    #[test]
    fn forgotten_hooks_do_no_harm(
        lists in vec(list(), 1..6),
        algorithm in algorithm(),
        semantics in semantics(),
        told in any::<[bool; 6]>(),
    ) {
        let mut scheduler = algorithm.scheduler::<Server>(semantics);
        for (list, told) in lists.iter().zip(told) {
            if told {
                scheduler.bind(list, Duration::ZERO);
            }
            for number in 0..8 {
                let mut context = Context::new(Duration::ZERO);
                if let Some(index) = scheduler.pick(list, &flow(number), &mut context) {
                    prop_assert!(list.get(index).is_some_and(|d| d.weight > 0));
                }
            }
        }
    }
}

/// The rules themselves: with equal destinations, each algorithm that compares takes the one added
/// last, and so does each that rotates, first.
#[test]
fn ties_go_to_the_destination_added_last() {
    let equal = |number| Server {
        number,
        weight: 3,
        overloaded: false,
        available: true,
        active: 2,
        inactive: 5,
    };
    let list: Vec<_> = (0..5).map(equal).collect();
    for algorithm in Algorithm::ALL {
        if matches!(algorithm.name(), "dh" | "sh" | "mh" | "twos") {
            continue;
        }
        let mut scheduler = algorithm.scheduler::<Server>(Semantics::LINUX_6_1);
        scheduler.bind(&list, Duration::ZERO);
        let picked = scheduler.pick(&list, &flow(1), &mut Context::new(Duration::ZERO));
        assert_eq!(picked, Some(4), "{algorithm}");
    }
}

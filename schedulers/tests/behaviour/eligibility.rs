//! Spec §1.2, the table: which algorithm leaves out whom.

use core::net::SocketAddr;
use core::time::Duration;

use lvs_schedulers::{Addressed, Algorithm, Candidate, Context, Semantics};

use crate::support::{address, flow};

/// A destination whose every property is set by hand.
#[derive(Clone, Copy)]
struct Server {
    address: SocketAddr,
    weight: u32,
    overloaded: bool,
    available: bool,
    active: u32,
}

impl Candidate for Server {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn last_weight(&self) -> u32 {
        10
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
}

impl Addressed for Server {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

fn server(name: char) -> Server {
    Server {
        address: address(name),
        weight: 10,
        overloaded: false,
        available: true,
        active: 0,
    }
}

/// What an algorithm leaves out besides weight 0, which all do.
struct Rule {
    name: &'static str,
    overloaded: bool,
    unavailable: bool,
    /// With 11 active connections and weight 10.
    full: bool,
}

const fn rule(name: &'static str, overloaded: bool, unavailable: bool, full: bool) -> Rule {
    Rule {
        name,
        overloaded,
        unavailable,
        full,
    }
}

/// Picks without a cached server.
const FRESH: &[Rule] = &[
    rule("rr", true, false, false),
    rule("wrr", true, false, false),
    rule("lc", true, false, false),
    rule("wlc", true, false, false),
    rule("fo", true, false, false),
    rule("ovf", true, false, true),
    rule("lblc", true, false, false),
    rule("lblcr", true, false, false),
    rule("dh", true, true, false),
    rule("sh", true, false, false),
    rule("sed", true, false, false),
    rule("nq", true, false, false),
    rule("mh", true, false, false),
    rule("twos", true, false, false),
];

/// The server that a cache names; the other one of the service is below half load.
const CACHED: &[Rule] = &[
    rule("lblc", false, true, true),
    rule("lblcr", true, true, true),
];

/// A change of a destination, and whether the rule leaves it out then.
type Change = (&'static str, fn(&mut Server), fn(&Rule) -> bool);

const CHANGES: &[Change] = &[
    ("nothing", |_| {}, |_| false),
    ("weight 0", |server| server.weight = 0, |_| true),
    (
        "overloaded",
        |server| server.overloaded = true,
        |rule| rule.overloaded,
    ),
    (
        "unavailable",
        |server| server.available = false,
        |rule| rule.unavailable,
    ),
    ("11 active", |server| server.active = 11, |rule| rule.full),
];

fn pick(scheduler: &mut dyn lvs_schedulers::Scheduler<Server>, list: &[Server]) -> Option<usize> {
    scheduler.pick(list, &flow(), &mut Context::new(Duration::ZERO))
}

fn named(rules: &'static [Rule], algorithm: Algorithm) -> Option<&'static Rule> {
    rules.iter().find(|rule| rule.name == algorithm.name())
}

#[test]
fn spec_1_2_who_is_left_out_of_a_fresh_pick() {
    for &algorithm in Algorithm::ALL {
        let rule = named(FRESH, algorithm).unwrap();
        for (what, change, is_left_out) in CHANGES {
            let mut list = [server('A')];
            let mut scheduler = algorithm.scheduler(Semantics::LINUX_6_1);
            scheduler.bind(&list, Duration::ZERO);
            change(&mut list[0]);
            let expected = if is_left_out(rule) { None } else { Some(0) };
            assert_eq!(
                pick(&mut *scheduler, &list),
                expected,
                "{algorithm}, {what}"
            );
        }
    }
}

#[test]
fn spec_1_2_whom_a_cache_gives_up() {
    for &algorithm in Algorithm::ALL {
        let Some(rule) = named(CACHED, algorithm) else {
            continue;
        };
        for (what, change, is_left_out) in CHANGES {
            // B is the head of the list, so it is cached first; then A has fewer connections.
            let mut list = [server('A'), server('B')];
            let mut scheduler = algorithm.scheduler(Semantics::LINUX_6_1);
            scheduler.bind(&list, Duration::ZERO);
            assert_eq!(pick(&mut *scheduler, &list), Some(1), "{algorithm}");
            list[1].active = 1;
            change(&mut list[1]);
            let expected = if is_left_out(rule) { 0 } else { 1 };
            assert_eq!(
                pick(&mut *scheduler, &list),
                Some(expected),
                "{algorithm}, {what}"
            );
        }
    }
}

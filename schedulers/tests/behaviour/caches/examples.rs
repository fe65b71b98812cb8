//! Spec §9.2 to §9.4: who is picked, and what becomes of the cache.

use lvs_schedulers::{Algorithm, Protocol};

use super::Caches;

const BOTH: [Algorithm; 2] = [Algorithm::Lblc, Algorithm::Lblcr];

/// Spec §9.3, weights A4 B2 C1, TCP, all to X.
#[test]
fn spec_9_3_lblc_moves_an_address_whose_server_is_too_busy() {
    let mut caches = Caches::new(Algorithm::Lblc, &[4, 2, 1]);
    assert_eq!(caches.connects(0, 8), "CCBBBAAA");
}

/// Spec §9.3, the same weights, X and Y by turns.
#[test]
fn spec_9_3_lblc_moves_nobody_while_nobody_is_below_half_load() {
    let mut caches = Caches::new(Algorithm::Lblc, &[4, 2, 1]);
    let picks: String = (0..14).map(|turn| caches.connect(turn % 2)).collect();
    assert_eq!(picks, "CBCBABABABABAB");
    assert_eq!(
        caches.explain(1),
        [
            "203.0.0.1 is cached, 1 server",
            "B: 7 active for weight 2, but nobody is below half load",
            "B: weight 2, 7 active, 0 inactive, taken",
        ]
    );
}

/// Spec §9.4, weights A4 B2 C1, TCP, all to X: the set is {A, B, C} then.
#[test]
fn spec_9_4_lblcr_adds_servers_to_an_address_in_demand() {
    let mut caches = Caches::new(Algorithm::Lblcr, &[4, 2, 1]);
    assert_eq!(caches.connects(0, 8), "CCBBBAAA");
    assert_eq!(
        caches.explain(0),
        [
            "203.0.0.0 is cached, 3 servers",
            "A: weight 4, 3 active, 0 inactive, cost 768, best so far",
            "B: weight 2, 3 active, 0 inactive, cost 768, not better",
            "C: weight 1, 2 active, 0 inactive, cost 512, not better",
        ]
    );
}

/// Spec §9.4, X and Y by turns as in §9.3: X ends with {A, C}, Y with {B}.
#[test]
fn spec_9_4_lblcr_ends_with_two_servers_for_one_address_and_one_for_the_other() {
    let mut caches = Caches::new(Algorithm::Lblcr, &[4, 2, 1]);
    let picks: String = (0..14).map(|turn| caches.connect(turn % 2)).collect();
    assert_eq!(picks, "CBCBABABABABAB");
    let x = caches.explain(0);
    assert_eq!(x[0], "203.0.0.0 is cached, 2 servers");
    assert!(x[1].starts_with('A') && x[2].starts_with('C'), "{x:#?}");
    let y = caches.explain(1);
    assert_eq!(y[0], "203.0.0.1 is cached, 1 server");
    assert!(y[1].starts_with('B'), "{y:#?}");
}

/// Spec §9: the address, not the port; and an address of the other family is another one.
#[test]
fn spec_9_the_port_does_not_matter() {
    use lvs_schedulers::{Context, Flow};

    for algorithm in BOTH {
        let mut caches = Caches::new(algorithm, &[1, 1, 1]);
        let mut connect = |to: &str| {
            let flow = Flow::tcp(([192, 0, 2, 7], 40_000).into(), to.parse().unwrap());
            let mut context = Context::new(caches.now);
            let connection = caches.service.connect(&flow, &mut context).unwrap();
            crate::support::name(caches.service.destination_of(connection).unwrap())
        };
        let picks = [
            "203.0.0.1:80",
            "203.0.0.2:80",
            "203.0.0.1:81",
            "[::cb00:1]:80",
        ]
        .map(&mut connect);
        assert_eq!(picks, ['C', 'B', 'C', 'A'], "{algorithm}");
    }
}

/// Spec §9.2: "more than", and UDP is never active (§1.3).
#[test]
fn spec_9_2_as_many_active_as_the_weight_are_not_too_busy() {
    for algorithm in BOTH {
        let mut caches = Caches::new(algorithm, &[9, 2]);
        assert_eq!(caches.connects(0, 4), "BBBA", "{algorithm}");

        let mut caches = Caches::new(algorithm, &[9, 2]);
        caches.protocol = Protocol::Udp;
        assert_eq!(caches.connects(0, 9), "BBBBBBBBB", "{algorithm}");
    }
}

/// Spec §9.2: relief is less than half of the weight, which weight 1 with no connection is, and
/// weight 0 never.
#[test]
fn spec_9_2_relief_is_less_than_half_of_the_weight() {
    for algorithm in BOTH {
        let mut caches = Caches::new(algorithm, &[2, 1]);
        assert_eq!(caches.connect(0), 'B');
        assert_eq!(caches.connect(1), 'A', "A has 1 for 2: exactly half");
        assert_eq!(caches.connects(0, 4), "BBBB", "{algorithm}");

        let mut caches = Caches::new(algorithm, &[3, 1]);
        assert_eq!(caches.connect(0), 'B');
        assert_eq!(caches.connect(1), 'A', "A has 1 for 3: below half");
        assert_eq!(caches.connects(0, 2), "BA", "{algorithm}");

        let mut caches = Caches::new(algorithm, &[0, 1]);
        assert_eq!(caches.connects(0, 4), "BBBB", "{algorithm}");
    }
}

/// Spec §9.2: anybody counts as relief, also one that gets no connections: the pick afresh then
/// may give the same destination again, and the entry is kept.
#[test]
fn spec_9_2_relief_need_not_be_eligible() {
    for algorithm in BOTH {
        let mut caches = Caches::new(algorithm, &[4, 1]);
        // A: upper threshold 1, reached by one connection, and below half load.
        caches.limit('A', 4, 1);
        assert_eq!((caches.connect(0), caches.connect(1)), ('B', 'A'));
        assert_eq!(caches.connects(0, 3), "BBB");
        let why = caches.explain(0);
        let busy = "B: 4 active for weight 1, too busy: A has 1 for 4";
        assert!(why.iter().any(|line| line == busy), "{why:#?}");
        assert_eq!(
            why.last().unwrap(),
            "203.0.0.0 has B already",
            "{algorithm}"
        );
        assert!(why.iter().any(|line| line == "A: left out, overloaded"));
    }
}

/// Spec §1.2: of a cached server lblc does not look at OVERLOAD, lblcr does.
#[test]
fn spec_1_2_only_lblcr_gives_up_an_overloaded_server() {
    for (algorithm, expected) in [(Algorithm::Lblc, "BBBB"), (Algorithm::Lblcr, "BAAA")] {
        let mut caches = Caches::new(algorithm, &[9, 9]);
        caches.limit('B', 9, 1);
        assert_eq!(caches.connects(0, 4), expected, "{algorithm}");
        assert_eq!(caches.connect(1), 'A', "a fresh pick never takes it");
    }
}

/// Spec §9.3, §9.4: weight 0 and removal invalidate, for as long as they last.
#[test]
fn spec_9_quiesced_and_removed_servers_are_given_up() {
    for algorithm in BOTH {
        let mut caches = Caches::new(algorithm, &[9, 9, 9]);
        assert_eq!(caches.connect(0), 'C');
        caches.edit('C', 0);
        assert_eq!(caches.connect(0), 'B', "{algorithm}");
        caches.edit('C', 9);
        // lblc moved the address; lblcr has both, C added first.
        assert_eq!(caches.connect(0), 'B', "{algorithm}");
        caches.remove('B');
        let expected = match algorithm {
            Algorithm::Lblc => 'A',
            _ => 'C',
        };
        assert_eq!(caches.connect(0), expected, "{algorithm}");
    }
}

/// A removed server that is added again is the same one: what was cached is valid again, wherever
/// it is in the list.
#[test]
fn spec_9_1_an_entry_is_valid_again_when_its_server_comes_back() {
    for algorithm in BOTH {
        let mut caches = Caches::new(algorithm, &[9, 9, 9]);
        assert_eq!(caches.connect(0), 'C');
        assert_eq!(caches.connect(1), 'B');
        caches.remove('C');
        caches.remove('A');
        caches.add('D', 9);
        caches.add('C', 9);
        caches.add('E', 9);
        // wlc would pick E, which has no connection.
        assert_eq!(caches.connect(0), 'C', "{algorithm}");
        assert_eq!(caches.connect(1), 'B', "{algorithm}");
        assert_eq!(caches.connect(2), 'E', "{algorithm}");
    }
}

/// Nobody to pick: the entry stays as it is.
#[test]
fn spec_9_an_entry_survives_that_nobody_is_eligible() {
    for algorithm in BOTH {
        let mut caches = Caches::new(algorithm, &[9, 9]);
        assert_eq!(Caches::new(algorithm, &[]).connect(0), '-');
        assert_eq!(caches.connect(0), 'B');
        caches.edit('A', 0);
        caches.edit('B', 0);
        assert_eq!((caches.pick(0), caches.pick(1)), ('-', '-'));
        assert_eq!(
            caches.explain(0),
            [
                "203.0.0.0 is cached, 1 server",
                "B: left out, weight 0",
                "B: left out, weight 0",
                "A: left out, weight 0",
            ]
        );
        caches.edit('A', 9);
        caches.edit('B', 9);
        assert_eq!(
            caches.connect(0),
            'B',
            "{algorithm}, though A has no connection"
        );
        assert_eq!(caches.explain(1)[0], "203.0.0.1 is not cached");
    }
}

/// The account of a pick says what became of the entry.
#[test]
fn explanations_tell_what_happens_to_the_entry() {
    let mut caches = Caches::new(Algorithm::Lblc, &[4, 1]);
    assert_eq!(
        caches.explain(7),
        [
            "203.0.0.7 is not cached",
            "B: weight 1, 0 active, 0 inactive, cost 0, best so far",
            "A: weight 4, 0 active, 0 inactive, cost 0, not better",
            "203.0.0.7 is cached from now on, goes to B",
        ]
    );
    caches.connects(7, 2);
    assert_eq!(
        caches.explain(7),
        [
            "203.0.0.7 is cached, 1 server",
            "B: 2 active for weight 1, too busy: A has 0 for 4",
            "B: weight 1, 2 active, 0 inactive, cost 512, best so far",
            "A: weight 4, 0 active, 0 inactive, cost 0, best so far",
            "203.0.0.7 moves from B to A",
        ]
    );
    caches.remove('A');
    assert_eq!(
        caches.explain(7),
        [
            "203.0.0.7 is cached, 1 server",
            "A: left out, removed",
            "B: weight 1, 2 active, 0 inactive, cost 512, best so far",
            "203.0.0.7 moves from A to B",
        ]
    );

    let mut caches = Caches::new(Algorithm::Lblcr, &[4, 1]);
    caches.connects(7, 2);
    let added = caches.explain(7);
    assert_eq!(added.last().unwrap(), "203.0.0.7 gets A too, 2 servers now");
    caches.hang_up();
    caches.wait(86_401);
    assert_eq!(
        caches.explain(7),
        [
            "collection: 1 of the cache's entries dropped, unused for 86400 s",
            "203.0.0.7 is not cached",
            "B: weight 1, 0 active, 0 inactive, cost 0, best so far",
            "A: weight 4, 0 active, 0 inactive, cost 0, not better",
            "203.0.0.7 is cached from now on, goes to B",
        ]
    );
}

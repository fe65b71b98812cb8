//! Connection thresholds, connection accounting and the trash, for both generations of the rules.

use lvs_schedulers::{
    Algorithm, Context, Destination, Error, Flow, Semantics, ThresholdEdits, VirtualService,
};

use crate::support::{self, Run, address};

const GENERATIONS: [Semantics; 3] = [
    Semantics::LINUX_6_1,
    Semantics::LINUX_6_12,
    Semantics::LINUX_7_2,
];

fn limited(semantics: Semantics, upper: u32, lower: u32) -> Run {
    let mut run = Run::with_semantics(Algorithm::Rr, semantics, &[1]);
    run.limit('A', 1, upper, lower);
    run
}

/// Fills A until it refuses and returns how many connections it took.
fn fill(run: &mut Run) -> u32 {
    let mut taken = 0;
    while run.connect().is_some() {
        taken += 1;
        assert!(taken < 100, "never overloaded");
    }
    taken
}

/// Check values: u=8 l=0 released at 5; u=7 l=0 at 5; u=8 l=3 at 2.
#[test]
fn overload_lasts_until_the_connections_fall_below_the_lower_threshold() {
    for semantics in GENERATIONS {
        for (upper, lower, released_at) in [
            (8, 0, 5),
            (7, 0, 5),
            (8, 3, 2),
            (1, 0, 0),
            (2, 0, 1),
            (4, 4, 3),
        ] {
            let mut run = limited(semantics, upper, lower);
            assert_eq!(
                fill(&mut run),
                upper,
                "the upper-th connection still goes through"
            );
            let mut left = upper;
            while run.entry('A').is_overloaded() {
                assert_eq!(run.connect(), None);
                run.expire_oldest();
                left -= 1;
            }
            assert_eq!(
                left, released_at,
                "upper {upper} lower {lower} {semantics:?}"
            );
            assert_eq!(fill(&mut run), upper - left);
        }
    }
}

/// A raised upper threshold: the older rule clears the mark even if the connections reach the new
/// one, the newer one keeps it.
#[test]
fn raising_below_the_present_connections_differs_by_generation() {
    let raised = |semantics| {
        let mut run = limited(semantics, 4, 0);
        fill(&mut run);
        run.limit('A', 1, 0, 0);
        for _ in 0..4 {
            run.connect();
        }
        run.limit('A', 1, 2, 0);
        let lowered = run.entry('A').is_overloaded();
        run.limit('A', 1, 3, 0);
        (lowered, run.entry('A').is_overloaded())
    };
    // Lowered below the 8 connections: takes effect with the next bound one / at once.
    assert_eq!(raised(Semantics::LINUX_6_1), (false, false));
    assert_eq!(raised(Semantics::LINUX_6_12), (false, false));
    assert_eq!(raised(Semantics::LINUX_7_2), (true, true));
}

#[test]
fn lowered_threshold_takes_effect_with_the_next_connection_in_the_older_generation() {
    let mut run = limited(Semantics::LINUX_6_1, 10, 0);
    for _ in 0..5 {
        run.connect();
    }
    run.limit('A', 1, 3, 0);
    assert!(!run.entry('A').is_overloaded());
    assert_eq!(run.connect(), Some('A'));
    assert!(run.entry('A').is_overloaded());
}

/// Lowering the lower threshold alone keeps the mark in the older generation and recomputes it in
/// the newer; in the hysteresis between the bounds both keep it.
#[test]
fn changed_lower_threshold_keeps_or_recomputes() {
    let after = |semantics, lower| {
        let mut run = limited(semantics, 8, 2);
        fill(&mut run);
        for _ in 0..4 {
            run.expire_oldest();
        }
        run.limit('A', 1, 8, lower);
        run.entry('A').is_overloaded()
    };
    assert!(after(Semantics::LINUX_6_1, 6), "kept, though 4 < 6");
    assert!(!after(Semantics::LINUX_7_2, 6), "recomputed: 4 < 6");
    assert!(after(Semantics::LINUX_6_1, 3));
    assert!(after(Semantics::LINUX_7_2, 3), "between 3 and 8: kept");
}

#[test]
fn no_threshold_clears_the_mark_in_both_generations() {
    for semantics in GENERATIONS {
        let mut run = limited(semantics, 2, 0);
        fill(&mut run);
        run.limit('A', 1, 0, 0);
        assert!(!run.entry('A').is_overloaded(), "{semantics:?}");
        assert_eq!(run.connect(), Some('A'));
    }
}

#[test]
fn edit_without_change_keeps_the_mark() {
    for semantics in GENERATIONS {
        let mut run = limited(semantics, 8, 0);
        fill(&mut run);
        run.expire_oldest();
        run.limit('A', 1, 8, 0);
        assert!(run.entry('A').is_overloaded(), "{semantics:?}");
    }
}

/// TCP counts as active from its SYN on, UDP never, SCTP not before it is established.
#[test]
fn connections_count_by_protocol() {
    let (client, to) = (([192, 0, 2, 7], 40000).into(), ([192, 0, 2, 1], 80).into());
    let counts = |flow: Flow| {
        let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
        service.add(Destination::new(address('A'))).unwrap();
        let mut context = Context::new(core::time::Duration::ZERO);
        let connection = service.connect(&flow, &mut context).unwrap();
        let read = |service: &VirtualService| {
            let entry = service.destination_at(address('A')).unwrap();
            assert_eq!(entry.total(), entry.active() + entry.inactive());
            (entry.active(), entry.inactive())
        };
        let connected = read(&service);
        assert!(service.close(connection));
        let closed = read(&service);
        assert!(service.close(connection), "closed twice counts once");
        assert_eq!(read(&service), closed);
        assert!(service.expire(connection));
        assert_eq!(read(&service), (0, 0));
        assert_eq!(service.connections(), 0);
        assert!(!service.expire(connection) && !service.close(connection));
        (connected, closed)
    };
    assert_eq!(counts(Flow::tcp(client, to)), ((1, 0), (0, 1)));
    assert_eq!(counts(Flow::udp(client, to)), ((0, 1), (0, 1)));
    assert_eq!(counts(Flow::sctp(client, to)), ((0, 1), (0, 1)));
}

/// Picking alone counts nothing.
#[test]
fn schedule_counts_nothing() {
    let mut run = limited(Semantics::LINUX_6_1, 1, 0);
    assert_eq!(run.picks(3), "AAA");
    assert_eq!((run.entry('A').total(), run.service.connections()), (0, 0));
}

/// A removed destination keeps its connections and comes back with them, at the head of the list.
#[test]
fn removed_destination_comes_back_with_its_connections() {
    let mut run = Run::new(Algorithm::Rr, &[1, 1]);
    assert_eq!((run.connect(), run.connect()), (Some('B'), Some('A')));
    let id = run.entry('A').id();
    run.remove('A');
    assert!(run.service.destination_at(address('A')).is_none());
    let removed = run.service.destination(id).unwrap();
    assert!(!removed.is_available());
    assert_eq!(removed.active(), 1);
    assert_eq!(run.picks(2), "BB");

    run.add('A', 1);
    assert_eq!(run.entry('A').id(), id);
    assert!(run.entry('A').is_available());
    assert_eq!(run.entry('A').active(), 1);
    let order: String = run.service.destinations().map(support::name).collect();
    assert_eq!(order, "AB");
}

/// A connection survives the removal of older destinations than its own.
#[test]
fn connections_follow_their_destination_when_others_go() {
    let mut run = Run::new(Algorithm::Rr, &[1, 1, 1]);
    assert_eq!(run.connect(), Some('C'));
    run.remove('A');
    assert_eq!(
        run.service
            .destination_of(run.connections[0])
            .map(support::name),
        Some('C')
    );
    run.expire_oldest();
    assert_eq!(run.entry('C').total(), 0);
}

/// A revived destination obeys the threshold rule of the generation.
#[test]
fn revived_destination_obeys_its_new_thresholds() {
    let revived = |edits: ThresholdEdits, upper: u32| {
        let mut semantics = Semantics::LINUX_6_1;
        semantics.threshold_edits = edits;
        let mut run = limited(semantics, 3, 0);
        fill(&mut run);
        run.remove('A');
        run.service
            .add(Destination::new(address('A')).with_thresholds(upper, 0))
            .unwrap();
        run.entry('A').is_overloaded()
    };
    assert!(revived(ThresholdEdits::ClearOnRaise, 3));
    assert!(!revived(ThresholdEdits::ClearOnRaise, 4));
    assert!(!revived(ThresholdEdits::ClearOnRaise, 0));
    assert!(revived(ThresholdEdits::Recompute, 3));
    assert!(revived(ThresholdEdits::Recompute, 2));
    assert!(
        revived(ThresholdEdits::Recompute, 4),
        "3 of 4: not below the lower bound"
    );
    assert!(!revived(ThresholdEdits::Recompute, 8));
}

#[test]
fn refusals_name_the_destination_the_value_and_the_limit() {
    let mut service = VirtualService::new(Algorithm::Wrr, Semantics::LINUX_6_1);
    let a = Destination::new("10.2.1.1:80".parse().unwrap());
    service.add(a).unwrap();
    let cases = [
        (service.add(a), "destination 10.2.1.1:80 exists already"),
        (
            service.edit(a.with_weight(2_147_483_648)),
            "weight 2147483648 of destination 10.2.1.1:80 is above 2147483647",
        ),
        (
            service
                .add(Destination::new("[2001:db8::1]:80".parse().unwrap()).with_thresholds(3, 4)),
            "lower threshold 4 of destination [2001:db8::1]:80 is above its upper threshold 3",
        ),
        (
            service.edit(Destination::new("10.2.1.9:80".parse().unwrap())),
            "the service has no destination 10.2.1.9:80",
        ),
    ];
    for (result, message) in cases {
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(message.contains(&error.address().to_string()));
    }
    let gone = "10.2.1.9:80".parse().unwrap();
    assert_eq!(service.remove(gone), Err(Error::NotFound { address: gone }));
    assert!(service.edit(a.with_weight(Destination::MAX_WEIGHT)).is_ok());
}

//! Slow start, damping and least times as an aggregate applies them.

use core::time::Duration;

use lvs_healthcheck::aggregate::{
    Aggregate, Contribution, Damping, Desired, Member, Reason, SlowStart, Standing, UnknownAs,
};
use lvs_healthcheck::policy::Health;

const SECOND: Duration = Duration::from_secs(1);

const UP: Contribution = Contribution::new(Health::Up);
const DOWN: Contribution = Contribution::new(Health::Down);

const fn weight(weight: u32) -> Desired {
    Desired::Present { weight }
}

fn server(unknown: UnknownAs) -> Aggregate<()> {
    let mut server = Aggregate::new(100);
    server.insert((), Member::required(unknown));
    server
}

/// Lets time pass to the end, from deadline to deadline; what changed, and at which second.
fn play(server: &mut Aggregate<()>, end: u32) -> Vec<(u64, Desired)> {
    let mut changes = Vec::new();
    while let Some(deadline) = server.next_deadline() {
        if deadline > end * SECOND {
            break;
        }
        if server.tick(deadline) {
            changes.push((deadline.as_secs(), server.desired()));
        }
    }
    server.tick(end * SECOND);
    changes
}

#[test]
fn slow_start_ramps_up_who_comes_back_and_nobody_else() {
    let slow_start = SlowStart::new(4 * SECOND);
    for unknown in [UnknownAs::Up, UnknownAs::Down, UnknownAs::Hold] {
        let mut server = server(unknown).with_slow_start(slow_start);
        server.apply(100 * SECOND, &(), UP);
        assert_eq!(
            server.desired(),
            weight(100),
            "not at the start: {unknown:?}"
        );
        assert_eq!(server.next_deadline(), None);
        server.apply(200 * SECOND, &(), DOWN);
        server.apply(300 * SECOND, &(), UP);
        assert_eq!(server.desired(), weight(1));
        assert_eq!(server.weight(), 100, "what a quorum counts");
        assert_eq!(
            play(&mut server, 400),
            [
                (301, weight(25)),
                (302, weight(50)),
                (303, weight(75)),
                (304, weight(100))
            ]
        );
    }
}

#[test]
fn first_failure_counts_as_seen_down() {
    let mut server = server(UnknownAs::Down).with_slow_start(SlowStart::new(10 * SECOND));
    server.apply(100 * SECOND, &(), DOWN);
    server.apply(101 * SECOND, &(), UP);
    assert_eq!(
        (server.desired(), server.reason()),
        (weight(1), Reason::SlowStart)
    );
}

#[test]
fn slow_start_ends_with_the_next_failure_and_starts_anew_after_it() {
    let mut server = server(UnknownAs::Up).with_slow_start(SlowStart::new(10 * SECOND));
    server.apply(100 * SECOND, &(), DOWN);
    server.apply(101 * SECOND, &(), UP);
    server.tick(106 * SECOND);
    assert_eq!(server.desired(), weight(50));
    server.apply(106 * SECOND, &(), DOWN);
    assert_eq!(
        (server.desired(), server.next_deadline()),
        (Desired::Absent, None)
    );
    server.apply(120 * SECOND, &(), UP);
    assert_eq!(server.desired(), weight(1));
    assert_eq!(server.next_deadline(), Some(121 * SECOND));
}

#[test]
fn damping_keeps_out_who_flaps_although_its_check_says_up() {
    let mut server = server(UnknownAs::Up).with_damping(Damping::default());
    for _ in 0..2 {
        server.apply(100 * SECOND, &(), UP);
        server.apply(100 * SECOND, &(), DOWN);
        server.apply(100 * SECOND, &(), UP);
        assert_eq!(server.desired(), weight(100));
    }
    server.apply(100 * SECOND, &(), DOWN);
    assert_eq!(server.penalty().round(), 3000.0);
    server.apply(101 * SECOND, &(), UP);
    // The status shows both.
    assert_eq!(
        (server.checked(), server.standing()),
        (Standing::Up, Standing::Down)
    );
    assert!(server.is_suppressed());
    assert_eq!(
        (server.desired(), server.reason()),
        (Desired::Absent, Reason::Suppressed)
    );
    assert_eq!(server.quorum_weight(), 0);
    // 3000 · 2^(−120/60) is 750.
    assert_eq!(play(&mut server, 1000), [(220, weight(100))]);
    assert!(!server.is_suppressed() && server.penalty() < 1.0);
}

#[test]
fn unknown_checks_that_count_as_down_earn_no_penalty() {
    let mut server = Aggregate::new(1).with_damping(Damping::default());
    for check in 0..10 {
        server.insert(check, Member::required(UnknownAs::Down));
        server.apply(SECOND, &check, UP);
    }
    assert_eq!(server.penalty(), 0.0);
    server.apply(SECOND, &3, DOWN);
    assert_eq!(server.penalty(), 1000.0);
    server.apply(SECOND, &3, DOWN);
    server.apply(SECOND, &4, DOWN);
    assert_eq!(server.penalty(), 1000.0, "down already");
}

#[test]
fn ramp_begins_when_damping_ends() {
    let mut server = server(UnknownAs::Up)
        .with_damping(Damping::default())
        .with_slow_start(SlowStart::new(2 * SECOND));
    for _ in 0..3 {
        server.apply(100 * SECOND, &(), DOWN);
        server.apply(100 * SECOND, &(), UP);
    }
    assert_eq!(
        play(&mut server, 1000),
        [(220, weight(1)), (221, weight(50)), (222, weight(100))]
    );
}

#[test]
fn min_down_time_keeps_down_who_was_down_and_not_who_is_new() {
    let mut server = server(UnknownAs::Down).with_min_down_time(30 * SECOND);
    server.tick(99 * SECOND);
    server.apply(100 * SECOND, &(), UP);
    assert_eq!(server.desired(), weight(100), "new");
    server.apply(200 * SECOND, &(), DOWN);
    server.apply(201 * SECOND, &(), UP);
    assert_eq!(
        (server.desired(), server.reason()),
        (Desired::Absent, Reason::MinDownTime)
    );
    server.apply(205 * SECOND, &(), DOWN);
    assert_eq!(
        (server.reason(), server.next_deadline()),
        (Reason::Down, None)
    );
    server.apply(206 * SECOND, &(), UP);
    assert_eq!(
        play(&mut server, 300),
        [(230, weight(100))],
        "since it went down first"
    );
}

#[test]
fn min_up_time_keeps_up_who_has_just_come_up() {
    let mut server = server(UnknownAs::Down).with_min_up_time(30 * SECOND);
    server.apply(100 * SECOND, &(), UP);
    server.apply(110 * SECOND, &(), DOWN);
    assert_eq!(
        (server.desired(), server.reason()),
        (weight(100), Reason::MinUpTime)
    );
    assert_eq!(
        (server.checked(), server.standing()),
        (Standing::Down, Standing::Up)
    );
    assert_eq!(play(&mut server, 200), [(130, Desired::Absent)]);
    server.apply(200 * SECOND, &(), UP);
    server.apply(231 * SECOND, &(), DOWN);
    assert_eq!(server.desired(), Desired::Absent, "up for long enough");
}

#[test]
fn new_configuration_keeps_penalties_ramps_and_votes() {
    use lvs_healthcheck::AdminHint;
    use lvs_healthcheck::aggregate::Source;

    let fresh = || {
        server(UnknownAs::Up)
            .with_damping(Damping::default())
            .with_slow_start(SlowStart::new(10 * SECOND))
    };
    let mut old = fresh();
    old.apply(100 * SECOND, &(), DOWN);
    old.apply(101 * SECOND, &(), UP);
    old.tick(103 * SECOND);
    old.set_vote(Source::Api, Some(AdminHint::Drain));
    old.set_vote(Source::Config, Some(AdminHint::Maint));
    old.set_override(Some(50));
    let mut new = fresh();
    new.carry(&old);
    assert_eq!(
        new.admin(),
        AdminHint::Drain,
        "the configuration votes anew"
    );
    new.set_vote(Source::Api, None);
    assert_eq!(
        (new.desired(), new.reason()),
        (weight(10), Reason::SlowStart)
    );
    assert!(new.penalty() > 900.0);
    assert_eq!(new.next_deadline(), Some(104 * SECOND));
}

#[test]
fn damping_goes_before_the_least_time_up() {
    let mut server = server(UnknownAs::Down)
        .with_damping(Damping::default())
        .with_min_up_time(300 * SECOND);
    for _ in 0..2 {
        server.apply(100 * SECOND, &(), UP);
        server.apply(100 * SECOND, &(), DOWN);
        assert_eq!(server.reason(), Reason::MinUpTime);
    }
    server.apply(100 * SECOND, &(), UP);
    server.apply(100 * SECOND, &(), DOWN);
    assert_eq!(
        (server.desired(), server.reason()),
        (Desired::Absent, Reason::Down)
    );
    server.apply(101 * SECOND, &(), UP);
    assert_eq!(server.reason(), Reason::Suppressed);
}

#[test]
fn min_down_time_counts_from_the_first_failure_of_who_was_never_up() {
    let mut server = server(UnknownAs::Down).with_min_down_time(30 * SECOND);
    server.apply(100 * SECOND, &(), DOWN);
    server.apply(110 * SECOND, &(), UP);
    assert_eq!(server.reason(), Reason::MinDownTime);
    assert_eq!(play(&mut server, 200), [(130, weight(100))]);
}

#[test]
fn new_check_that_counts_as_down_begins_no_min_down_time() {
    let mut server = Aggregate::new(100).with_min_down_time(30 * SECOND);
    server.insert("old", Member::required(UnknownAs::Down));
    server.apply(100 * SECOND, &"old", UP);
    server.insert("new", Member::required(UnknownAs::Down));
    assert_eq!(
        (server.desired(), server.reason()),
        (Desired::Absent, Reason::Unknown)
    );
    server.apply(101 * SECOND, &"new", UP);
    assert_eq!(server.desired(), weight(100));
}

#[test]
fn deadline_is_when_something_can_change() {
    let mut server = server(UnknownAs::Up)
        .with_damping(Damping::default())
        .with_min_down_time(200 * SECOND);
    for _ in 0..3 {
        server.apply(100 * SECOND, &(), UP);
        server.apply(100 * SECOND, &(), DOWN);
    }
    assert!(server.is_suppressed());
    assert_eq!(server.next_deadline(), None, "down of its own");
    server.apply(101 * SECOND, &(), UP);
    // Out until 220 for flapping, and until 300 for the least time down.
    assert_eq!(server.next_deadline(), Some(300 * SECOND));
    assert_eq!(play(&mut server, 400), [(300, weight(100))]);
}

//! The table of delays, row by row and column by column.

use core::time::Duration;

use lvs_healthcheck::policy::{
    Envoy, Haproxy, Initial, Keepalived, KeepalivedChecker, Machine, Policy,
};

use super::explore::Letter::{self, Cancelled, Fail, LocalError, Pass};

/// Seconds until the next attempt after these verdicts.
fn after(policy: &Policy, letters: &[Letter]) -> u64 {
    let mut machine = Machine::new(policy.clone()).unwrap();
    let mut delay = planned(&machine);
    for letter in letters {
        let decided = machine.on_outcome(&letter.outcome()).delay.as_secs();
        delay = planned(&machine);
        assert_eq!(delay, decided, "what is said and what is planned");
    }
    delay
}

/// Seconds from the end of an attempt to the next start, without jitter.
fn planned(machine: &Machine) -> u64 {
    let at = Duration::from_secs(1_000_000);
    let next = machine.next_start(at, at, &mut || u64::MAX / 2 + 1);
    // With the middle draw jitter of any share adds nothing.
    (next - at).as_secs_f64().round() as u64
}

/// Five different delays.
fn native() -> Policy {
    let second = Duration::from_secs(1);
    Policy::default()
        .with_rise(3)
        .with_fall(3)
        .with_interval(10 * second)
        .with_fast_interval(2 * second)
        .with_rising_interval(3 * second)
        .with_down_interval(30 * second)
        .with_idle_interval(60 * second)
}

const DOWN: [Letter; 4] = [Pass, Fail, Fail, Fail];

#[test]
fn interval_when_the_counter_is_full() {
    assert_eq!(after(&native(), &[Pass]), 10);
    assert_eq!(after(&native(), &[Fail, Pass, Pass, Pass]), 10);
}

#[test]
fn fast_interval_while_falling() {
    assert_eq!(after(&native(), &[Pass, Fail]), 2);
    assert_eq!(after(&native(), &[Pass, Fail, Fail]), 2);
}

#[test]
fn fast_interval_before_the_first_verdict() {
    assert_eq!(after(&native(), &[]), 2);
    assert_eq!(after(&native(), &[Cancelled]), 2);
    let undecided = native().with_initial(Initial::Undecided);
    assert_eq!(after(&undecided, &[Pass, Pass]), 2);
    assert_eq!(after(&undecided, &[Pass, Pass, Pass]), 10);
}

#[test]
fn rising_interval_while_rising() {
    let mut letters = DOWN.to_vec();
    letters.push(Pass);
    assert_eq!(after(&native(), &letters), 3);
    letters.push(Pass);
    assert_eq!(after(&native(), &letters), 3);
    letters.push(Pass);
    assert_eq!(after(&native(), &letters), 10);
}

#[test]
fn down_interval_when_the_counter_is_empty() {
    assert_eq!(after(&native(), &DOWN), 30);
    assert_eq!(after(&native(), &[Fail]), 30);
}

#[test]
fn idle_interval_without_traffic_in_every_state() {
    let mut machine = Machine::new(native()).unwrap();
    assert!(machine.set_traffic(false) && !machine.set_traffic(false));
    for letter in [Pass, Fail, Fail, Fail, Pass, LocalError, Cancelled] {
        assert_eq!(machine.on_outcome(&letter.outcome()).delay.as_secs(), 60);
    }
    assert!(machine.set_traffic(true));
    assert_eq!(planned(&machine), 3, "back at once");
    let never = Policy::default().with_interval(Duration::from_secs(10));
    let mut machine = Machine::new(never).unwrap();
    assert!(!machine.set_traffic(false), "off by default");
    assert_eq!(machine.on_outcome(&Pass.outcome()).delay.as_secs(), 10);
}

#[test]
fn interval_after_a_local_error_in_every_state() {
    for letters in [&[][..], &[Pass], &[Pass, Fail], &DOWN] {
        let mut letters = letters.to_vec();
        letters.push(LocalError);
        assert_eq!(after(&native(), &letters), 10, "{letters:?}");
    }
}

#[test]
fn pace_stays_after_a_cancelled_attempt() {
    assert_eq!(after(&native(), &[Pass, Fail, Cancelled]), 2);
    assert_eq!(after(&native(), &[Fail, Cancelled]), 30);
}

#[test]
fn every_optional_interval_defaults_to_the_interval() {
    let plain = Policy::default()
        .with_rise(3)
        .with_fall(3)
        .with_interval(Duration::from_secs(10));
    for letters in [&[][..], &[Pass], &[Pass, Fail], &DOWN, &[Fail, Pass]] {
        assert_eq!(after(&plain, letters), 10, "{letters:?}");
    }
}

#[test]
fn column_haproxy() {
    let mut knobs = Haproxy::new();
    knobs.fastinter = Some(Duration::from_secs(1));
    knobs.downinter = Some(Duration::from_secs(9));
    let policy = Policy::haproxy(&knobs);
    assert_eq!(after(&policy, &[Pass]), 2);
    assert_eq!(after(&policy, &[Pass, Fail]), 1);
    assert_eq!(after(&policy, &[Fail, Pass]), 1);
    assert_eq!(after(&policy, &[Fail]), 9);
    let policy = Policy::haproxy(&Haproxy::new());
    for letters in [&[Pass][..], &[Pass, Fail], &[Fail, Pass], &[Fail]] {
        assert_eq!(after(&policy, letters), 2, "{letters:?}");
    }
}

#[test]
fn column_keepalived() {
    use KeepalivedChecker as Kind;
    let rows = [
        (Kind::Tcp, 1, 60),
        (Kind::Http, 3, 60),
        (Kind::Dns, 60, 60),
        (Kind::Smtp, 1, 60),
    ];
    for (kind, falling, down) in rows {
        let policy = Policy::keepalived(kind, &Keepalived::new());
        assert_eq!(after(&policy, &[Pass]), 60, "{kind:?}");
        assert_eq!(after(&policy, &[Pass, Fail]), falling, "{kind:?}");
        assert_eq!(after(&policy, &[Fail]), down, "{kind:?}");
    }
    let mut knobs = Keepalived::new();
    knobs.delay_loop = Some(Duration::from_secs(2));
    let policy = Policy::keepalived(Kind::Http, &knobs);
    assert_eq!(after(&policy, &[Fail]), 3, "the longer of both");
}

#[test]
fn column_envoy() {
    let seconds = Duration::from_secs;
    let mut fields = Envoy::new(seconds(10), seconds(1), 2, 3);
    let policy = Policy::envoy(&fields);
    for letters in [
        &[Pass][..],
        &[Pass, Fail],
        &[Pass, Fail, Fail, Fail, Pass],
        &[Fail],
    ] {
        assert_eq!(after(&policy, letters), 10, "{letters:?}");
    }
    fields.unhealthy_interval = Some(seconds(30));
    let policy = Policy::envoy(&fields);
    assert_eq!(
        after(&policy, &[Pass, Fail]),
        30,
        "edge defaults to unhealthy"
    );
    assert_eq!(after(&policy, &[Fail]), 30);
    fields.unhealthy_edge_interval = Some(seconds(4));
    fields.healthy_edge_interval = Some(seconds(5));
    fields.no_traffic_healthy_interval = Some(seconds(90));
    let policy = Policy::envoy(&fields);
    assert_eq!(after(&policy, &[Pass]), 10);
    assert_eq!(after(&policy, &[Pass, Fail]), 4);
    assert_eq!(after(&policy, &[Pass, Fail, Fail, Fail, Pass]), 5);
    assert_eq!(after(&policy, &[Fail]), 30);
    let mut machine = Machine::new(policy).unwrap();
    machine.set_traffic(false);
    assert_eq!(planned(&machine), 60, "no_traffic_interval by default");
    assert_eq!(machine.on_outcome(&Pass.outcome()).delay, seconds(90));
    for _ in 0..3 {
        machine.on_outcome(&Fail.outcome());
    }
    assert_eq!(planned(&machine), 60);
}

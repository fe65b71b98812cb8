//! The table of presets, row by row: counts, where they start, what brings them up and down.

use core::time::Duration;

use lvs_healthcheck::policy::{
    Envoy, Haproxy, Health, Initial, Keepalived, KeepalivedChecker, Machine, Policy,
};

use super::explore::Letter;

/// How many of a letter it takes from the start until the health is this; `None` for over ten.
fn takes(policy: &Policy, letter: Letter, health: Health) -> Option<usize> {
    let mut machine = Machine::new(policy.clone()).unwrap();
    (1..=10).find(|_| machine.on_outcome(&letter.outcome()).health == health)
}

/// The same after it was up and is down, or the other way round.
fn takes_later(policy: &Policy, letter: Letter, health: Health) -> Option<usize> {
    let mut machine = Machine::new(policy.clone()).unwrap();
    let before = match letter {
        Letter::Pass => [Letter::Pass, Letter::Fail],
        _ => [Letter::Fail, Letter::Pass],
    };
    for letter in before {
        for _ in 0..10 {
            machine.on_outcome(&letter.outcome());
        }
    }
    (1..=10).find(|_| machine.on_outcome(&letter.outcome()).health == health)
}

/// From the start: successes to up, failures to down. Later: the same.
fn row(policy: &Policy) -> [usize; 4] {
    assert_eq!(policy.validate(), Ok(()));
    [
        takes(policy, Letter::Pass, Health::Up).unwrap(),
        takes(policy, Letter::Fail, Health::Down).unwrap(),
        takes_later(policy, Letter::Pass, Health::Up).unwrap(),
        takes_later(policy, Letter::Fail, Health::Down).unwrap(),
    ]
}

#[test]
fn haproxy_default() {
    assert_eq!(row(&Policy::haproxy(&Haproxy::new())), [1, 1, 2, 3]);
}

#[test]
fn haproxy_agent_check() {
    assert_eq!(row(&Policy::haproxy_agent(&Haproxy::new())), [1, 1, 1, 1]);
}

#[test]
fn haproxy_init_state() {
    let with = |initial| {
        let mut knobs = Haproxy::new();
        knobs.init_state = Some(initial);
        row(&Policy::haproxy(&knobs))
    };
    assert_eq!(with(Initial::FullyUp), [1, 3, 2, 3]);
    assert_eq!(with(Initial::Up1), [1, 1, 2, 3]);
    assert_eq!(with(Initial::Down1), [1, 1, 2, 3]);
    assert_eq!(with(Initial::FullyDown), [2, 1, 2, 3]);
    assert_eq!(with(Initial::Keep { up: true }), [1, 1, 2, 3]);
    assert_eq!(with(Initial::Keep { up: false }), [2, 1, 2, 3]);
}

#[test]
fn keepalived_retry_without_and_with_alpha() {
    let with = |retry, alpha| {
        let mut knobs = Keepalived::new();
        (knobs.retry, knobs.alpha) = (Some(retry), alpha);
        row(&Policy::keepalived(KeepalivedChecker::Tcp, &knobs))
    };
    assert_eq!(with(3, false), [1, 1, 1, 4]);
    assert_eq!(with(3, true), [1, 1, 1, 4]);
    assert_eq!(with(0, false), [1, 1, 1, 1]);
}

#[test]
fn envoy() {
    let second = Duration::from_secs(1);
    let policy = Policy::envoy(&Envoy::new(10 * second, second, 2, 3));
    assert_eq!(row(&policy), [1, 1, 2, 3], "the first success suffices");
}

#[test]
fn seesaw_retries() {
    assert_eq!(row(&Policy::seesaw(2)), [1, 1, 1, 3]);
}

#[test]
fn ldirectord_failurecount() {
    assert_eq!(row(&Policy::ldirectord(4, true)), [1, 1, 1, 4]);
    assert_eq!(row(&Policy::ldirectord(4, false)), [1, 1, 1, 4]);
}

#[test]
fn pingora() {
    assert_eq!(row(&Policy::pingora(1, 1)), [1, 1, 1, 1]);
    assert_eq!(row(&Policy::pingora(2, 3)), [1, 3, 2, 3]);
}

#[test]
fn nginx() {
    assert_eq!(row(&Policy::nginx()), [2, 1, 2, 5]);
}

#[test]
fn dpvs_says_nothing_until_a_threshold_is_met() {
    let policy = Policy::dpvs(1, 1);
    assert_eq!(row(&policy), [2, 2, 2, 2]);
    let mut machine = Machine::new(policy).unwrap();
    let mut healths = |letters: &[Letter]| -> Vec<Health> {
        let step = |letter: &Letter| machine.on_outcome(&letter.outcome()).health;
        letters.iter().map(step).collect()
    };
    use Letter::{Fail, LocalError, Pass};
    assert_eq!(
        healths(&[Pass, Fail, Pass, LocalError, Fail]),
        [Health::Unknown; 5],
        "each run starts anew"
    );
    assert_eq!(healths(&[Fail]), [Health::Down]);
}

#[test]
fn vrrp_script() {
    assert_eq!(row(&Policy::track_script(false)), [1, 1, 1, 1]);
    assert_eq!(row(&Policy::track_script(true)), [1, 1, 1, 1]);
    let counter = |policy: Policy| Machine::new(policy).unwrap().counter();
    assert_eq!(counter(Policy::track_script(false)), 1, "up at first");
    assert_eq!(counter(Policy::track_script(true)), 0, "down at first");
}

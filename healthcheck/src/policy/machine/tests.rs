//! The machine against independent models of keepalived's and HAProxy's own logic, over every
//! string of verdicts, and a test per rule.

use super::super::{Keepalived, KeepalivedChecker, ScheduleBase};
use super::*;
use crate::outcome::Phase;

const SECOND: Duration = Duration::from_secs(1);

fn outcome(pass: bool) -> Outcome {
    Outcome::new(if pass { Code::Ok } else { Code::Refused }, Phase::Connect)
}

fn coded(code: Code) -> Outcome {
    Outcome::new(code, Phase::Connect)
}

/// Every string of so many verdicts.
fn strings(length: u32) -> impl Iterator<Item = Vec<bool>> {
    (0..1_u32 << length).map(move |bits| (0..length).map(|n| bits >> n & 1 == 1).collect())
}

/// keepalived as its manual describes it: a flag and a count of retries, which starts as if all
/// were used up.
struct KeepalivedModel {
    retry: u32,
    up: bool,
    used: u32,
}

impl KeepalivedModel {
    fn new(retry: u32, alpha: bool) -> Self {
        Self {
            retry,
            up: !alpha,
            used: retry,
        }
    }

    /// Takes a result; gives the state and how long to wait: the short or the long delay.
    fn step(&mut self, pass: bool) -> (bool, Duration) {
        if pass {
            self.up = true;
            self.used = 0;
        } else if self.up && self.used < self.retry {
            self.used += 1;
            return (true, SECOND);
        } else {
            self.up = false;
            self.used = 0;
        }
        (self.up, 60 * SECOND)
    }
}

#[test]
fn agrees_with_keepalived_on_every_string() {
    let mut compared = 0;
    for retry in 0..=4 {
        for alpha in [false, true] {
            let mut knobs = Keepalived::new();
            knobs.retry = Some(retry);
            knobs.alpha = alpha;
            let policy = Policy::keepalived(KeepalivedChecker::Tcp, &knobs);
            for string in strings(10) {
                let mut machine = Machine::new(policy.clone()).unwrap();
                let mut model = KeepalivedModel::new(retry.into(), alpha);
                assert_eq!(machine.is_up(), model.up);
                for pass in &string {
                    let decision = machine.on_outcome(&outcome(*pass));
                    let (up, delay) = model.step(*pass);
                    assert_eq!(
                        decision.health == Health::Up,
                        up,
                        "{retry} {alpha} {string:?}"
                    );
                    assert_eq!(decision.delay, delay, "{retry} {alpha} {string:?}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 5 * 2 * 1024 * 10);
}

/// HAProxy as its manual describes it: consecutive failures while up, consecutive successes while
/// down; at the start one failure is enough (`init-state up`).
struct HaproxyModel {
    rise: u32,
    fall: u32,
    up: bool,
    failures: u32,
    successes: u32,
}

impl HaproxyModel {
    fn step(&mut self, pass: bool) -> bool {
        if pass {
            self.failures = 0;
            self.successes += 1;
            self.up |= self.successes >= self.rise;
        } else {
            self.successes = 0;
            self.failures += 1;
            if self.up && self.failures >= self.fall {
                self.up = false;
                self.failures = 0;
            }
        }
        self.up
    }
}

#[test]
fn agrees_with_haproxy_for_all_rise_and_fall_up_to_5() {
    for rise in 1..=5 {
        for fall in 1..=5 {
            let starts = [
                (Initial::FullyUp, true, 0, 0),
                (Initial::Up1, true, fall - 1, 0),
                (Initial::Down1, false, 0, rise - 1),
                (Initial::FullyDown, false, 0, 0),
            ];
            for (initial, up, failures, successes) in starts {
                let policy = Policy::default()
                    .with_rise(rise)
                    .with_fall(fall)
                    .with_initial(initial);
                for string in strings(10) {
                    let mut machine = Machine::new(policy.clone()).unwrap();
                    let mut model = HaproxyModel {
                        rise: rise.into(),
                        fall: fall.into(),
                        up,
                        failures: failures.into(),
                        successes: successes.into(),
                    };
                    for pass in &string {
                        let decision = machine.on_outcome(&outcome(*pass));
                        let up = model.step(*pass);
                        assert_eq!(
                            decision.health == Health::Up,
                            up,
                            "{rise} {fall} {initial:?} {string:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_known_until_an_attempt_says_something() {
    for initial in [
        Initial::FullyUp,
        Initial::Up1,
        Initial::Down1,
        Initial::FullyDown,
    ] {
        let policy = Policy::default().with_initial(initial);
        let mut machine = Machine::new(policy).unwrap();
        assert_eq!(machine.health(), Health::Unknown);
        assert_eq!(machine.on_outcome(&coded(Code::LocalSocket)).change, None);
        assert_eq!(machine.health(), Health::Unknown);
        let change = machine.on_outcome(&outcome(true)).change;
        assert_eq!(
            change,
            Some(HealthChange {
                from: Health::Unknown,
                to: Health::Up
            })
        );
    }
}

#[test]
fn kept_state_starts_as_the_table_had_it() {
    let keep = |up| {
        let policy = Policy::default().with_rise(2).with_fall(3);
        Machine::new(policy.with_initial(Initial::Keep { up })).unwrap()
    };
    assert_eq!(keep(true).on_outcome(&outcome(false)).health, Health::Down);
    assert_eq!(keep(true).on_outcome(&outcome(true)).health, Health::Up);
    assert_eq!(keep(false).on_outcome(&outcome(true)).health, Health::Down);
}

#[test]
fn fail_now_does_not_wait_for_fall() {
    let mut machine = Machine::new(Policy::default().with_fall(5).with_rise(2)).unwrap();
    machine.on_outcome(&outcome(true));
    let failed = coded(Code::Status).with_verdict(Verdict::FailNow);
    assert_eq!(machine.on_outcome(&failed).health, Health::Down);
    assert_eq!(
        machine.on_outcome(&outcome(true)).health,
        Health::Down,
        "then rise counts"
    );
    assert_eq!(machine.on_outcome(&outcome(true)).health, Health::Up);
}

#[test]
fn conditional_pass_counts_as_success_and_asks_for_no_new_connections() {
    let mut machine = Machine::new(Policy::default()).unwrap();
    let decision = machine.on_outcome(&coded(Code::OkNoNew));
    assert_eq!((decision.health, decision.no_new), (Health::Up, true));
    assert!(decision.hint_changed);
    let decision = machine.on_outcome(&coded(Code::Cancelled));
    assert!(
        decision.no_new && !decision.hint_changed,
        "no news, no change"
    );
    let decision = machine.on_outcome(&outcome(true));
    assert!(!decision.no_new && decision.hint_changed);
}

#[test]
fn first_success_may_suffice_at_the_start() {
    let policy = Policy::default()
        .with_rise(3)
        .with_rise_first(1)
        .with_initial(Initial::FullyDown);
    let mut machine = Machine::new(policy).unwrap();
    assert_eq!(machine.on_outcome(&outcome(false)).health, Health::Down);
    assert_eq!(machine.on_outcome(&outcome(true)).health, Health::Up);
    for _ in 0..2 {
        machine.on_outcome(&outcome(false));
    }
    let healths: Vec<_> = (0..3)
        .map(|_| machine.on_outcome(&outcome(true)).health)
        .collect();
    assert_eq!(
        healths,
        [Health::Down, Health::Down, Health::Up],
        "later rise counts"
    );
}

#[test]
fn first_rise_may_take_longer_than_later_ones() {
    let policy = Policy::default()
        .with_rise_first(3)
        .with_initial(Initial::FullyDown)
        .with_fall(1);
    let mut machine = Machine::new(policy).unwrap();
    let mut healths = |string: &[bool]| -> Vec<_> {
        string
            .iter()
            .map(|pass| machine.on_outcome(&outcome(*pass)).health == Health::Up)
            .collect()
    };
    assert_eq!(
        healths(&[true, true, false, true, true, true]),
        [false, false, false, false, false, true]
    );
    assert_eq!(healths(&[false, true]), [false, true]);
}

#[test]
fn delay_follows_the_counter() {
    let policy = Policy::default()
        .with_rise(3)
        .with_fall(3)
        .with_interval(10 * SECOND)
        .with_fast_interval(SECOND)
        .with_rising_interval(2 * SECOND)
        .with_down_interval(30 * SECOND);
    let delays = |policy: Policy, string: &[bool]| -> Vec<_> {
        let mut machine = Machine::new(policy).unwrap();
        string
            .iter()
            .map(|pass| machine.on_outcome(&outcome(*pass)).delay.as_secs())
            .collect()
    };
    let string = [true, false, false, false, false, true, true, true];
    assert_eq!(delays(policy, &string), [10, 1, 1, 30, 30, 2, 2, 10]);
    let plain = Policy::default()
        .with_rise(3)
        .with_fall(3)
        .with_interval(10 * SECOND);
    assert_eq!(
        delays(plain, &string),
        [10; 8],
        "every other delay defaults to the interval"
    );
}

#[test]
fn local_errors_keep_health_counter_and_pace() {
    let policy = Policy::default()
        .with_fall(2)
        .with_interval(10 * SECOND)
        .with_fast_interval(SECOND);
    let mut machine = Machine::new(policy).unwrap();
    machine.on_outcome(&outcome(true));
    machine.on_outcome(&outcome(false));
    let logged: Vec<_> = (1..=9)
        .map(|count| {
            let decision = machine.on_outcome(&coded(Code::LocalSocket));
            assert_eq!(
                (decision.verdict, decision.health),
                (Verdict::Neutral, Health::Up)
            );
            assert_eq!(decision.delay, 10 * SECOND, "the normal interval");
            assert_eq!(decision.local_errors, count);
            decision.log
        })
        .collect();
    assert_eq!(
        logged,
        [true, true, false, true, false, false, false, true, false]
    );
    let decision = machine.on_outcome(&outcome(false));
    assert_eq!(
        decision.health,
        Health::Down,
        "the failure before still counts"
    );
    assert_eq!(decision.local_errors, 0);
}

#[test]
fn local_errors_can_count_as_failures() {
    let with = |rule| {
        let policy = Policy::default().with_fall(2).with_on_local_error(rule);
        let mut machine = Machine::new(policy).unwrap();
        machine.on_outcome(&outcome(true));
        (0..6)
            .map(|_| machine.on_outcome(&coded(Code::LocalBind)).health)
            .position(|health| health == Health::Down)
    };
    assert_eq!(with(OnLocalError::Ignore), None);
    assert_eq!(with(OnLocalError::Fail), Some(1));
    assert_eq!(with(OnLocalError::FailAfter(1)), Some(1));
    assert_eq!(
        with(OnLocalError::FailAfter(4)),
        Some(4),
        "the 4th and 5th are failures"
    );
}

#[test]
fn missing_route_has_its_own_rule() {
    let mut machine = Machine::new(
        Policy::default()
            .with_fall(1)
            .with_on_no_route(OnLocalError::Fail),
    )
    .unwrap();
    machine.on_outcome(&outcome(true));
    assert_eq!(
        machine.on_outcome(&coded(Code::LocalSocket)).health,
        Health::Up
    );
    assert_eq!(
        machine.on_outcome(&coded(Code::LocalNoRoute)).health,
        Health::Down
    );
    let knobs = Keepalived::new();
    let mut machine = Machine::new(Policy::keepalived(KeepalivedChecker::Tcp, &knobs)).unwrap();
    assert_eq!(
        machine.on_outcome(&coded(Code::LocalBind)).health,
        Health::Unknown
    );
    assert_eq!(
        machine.on_outcome(&coded(Code::LocalNoRoute)).health,
        Health::Down
    );
}

#[test]
fn cancelled_attempt_is_no_local_error() {
    let policy = Policy::default()
        .with_fall(1)
        .with_on_local_error(OnLocalError::Fail);
    let mut machine = Machine::new(policy).unwrap();
    machine.on_outcome(&outcome(true));
    let decision = machine.on_outcome(&coded(Code::Cancelled));
    assert_eq!((decision.health, decision.local_errors), (Health::Up, 0));
}

#[test]
fn failure_removes_the_hint_and_success_replaces_it() {
    let mut machine = Machine::new(Policy::default().with_fall(3)).unwrap();
    let weight = |weight| outcome(true).with_weight(WeightHint::Absolute(weight));
    let mut step = |outcome: &Outcome| {
        let decision = machine.on_outcome(outcome);
        (decision.hint, decision.hint_changed)
    };
    assert_eq!(step(&weight(8)), (Some(WeightHint::Absolute(8)), true));
    assert_eq!(step(&weight(8)), (Some(WeightHint::Absolute(8)), false));
    assert_eq!(
        step(&coded(Code::Spawn).with_verdict(Verdict::Neutral)),
        (Some(WeightHint::Absolute(8)), false)
    );
    assert_eq!(step(&outcome(false)), (None, true), "also a tolerated one");
    assert_eq!(step(&weight(3)), (Some(WeightHint::Absolute(3)), true));
    assert_eq!(
        step(&outcome(true)),
        (None, true),
        "a success without a hint"
    );
}

#[test]
fn every_failure_is_logged_on_request() {
    let logs = |all| {
        let policy = Policy::default().with_fall(3).with_log_all_failures(all);
        let mut machine = Machine::new(policy).unwrap();
        [true, false, false, false, false].map(|pass| machine.on_outcome(&outcome(pass)).log)
    };
    assert_eq!(logs(false), [true, false, false, true, false]);
    assert_eq!(logs(true), [true, true, true, true, true]);
}

#[test]
fn new_policy_keeps_what_is_known() {
    let settled = |h: u32, machine: &Machine| assert_eq!(machine.h, h);
    let mut machine = Machine::new(Policy::default().with_rise(2).with_fall(3)).unwrap();
    machine.on_outcome(&outcome(true));
    settled(4, &machine);
    machine
        .set_policy(Policy::default().with_rise(3).with_fall(5))
        .unwrap();
    settled(7, &machine);
    machine.on_outcome(&outcome(false));
    machine
        .set_policy(Policy::default().with_rise(1).with_fall(2))
        .unwrap();
    settled(2, &machine);
    assert_eq!(machine.health(), Health::Up);
    for _ in 0..2 {
        machine.on_outcome(&outcome(false));
    }
    machine.set_policy(Policy::default().with_rise(4)).unwrap();
    assert_eq!(machine.health(), Health::Down);
    assert!(machine.set_policy(Policy::default().with_rise(0)).is_err());
    assert_eq!(machine.policy().rise, 4, "nothing changed");
}

#[test]
fn transitional_is_between_the_ends_or_new() {
    let mut machine = Machine::new(Policy::default().with_rise(2).with_fall(2)).unwrap();
    let expected = [
        (true, false),
        (false, true),
        (false, false),
        (true, true),
        (true, false),
    ];
    assert!(machine.is_transitional());
    for (pass, transitional) in expected {
        machine.on_outcome(&outcome(pass));
        assert_eq!(machine.is_transitional(), transitional);
    }
}

#[test]
fn starts_are_planned_from_the_policy() {
    let policy = Policy::default()
        .with_jitter_percent(0)
        .with_interval(10 * SECOND)
        .with_fast_interval(3 * SECOND)
        .with_schedule_base(ScheduleBase::EndToStart);
    let mut machine = Machine::new(policy.clone()).unwrap();
    let mut draw = || 0;
    let (start, end) = (100 * SECOND, 101 * SECOND);
    assert_eq!(machine.next_start(start, end, &mut draw), 104 * SECOND);
    machine.on_outcome(&outcome(true));
    machine.on_outcome(&outcome(false));
    assert_eq!(machine.next_start(start, end, &mut draw), 104 * SECOND);
    machine
        .set_policy(policy.with_schedule_base(ScheduleBase::StartToStart))
        .unwrap();
    assert_eq!(machine.next_start(start, end, &mut draw), 103 * SECOND);
    assert!(machine.first_start(start, "key", &mut draw) < 110 * SECOND);
}

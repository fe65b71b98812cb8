//! What a machine is told besides outcomes: real traffic, votes, suspension.

use core::time::Duration;

use lvs_healthcheck::policy::{
    Health, Initial, Machine, Observation, Observe, OnError, OnLocalError, Passive, Policy, Ttl,
};
use lvs_healthcheck::{AdminHint, Code, Outcome, Phase, Verdict, WeightHint};

use super::explore::Letter;

const SECOND: Duration = Duration::from_secs(1);

/// Up with a full counter of 6 (rise 3, fall 4), with hints.
fn up(on_error: OnError) -> Machine {
    let passive = Passive::new(Observe::Layer4)
        .with_error_limit(2)
        .with_on_error(on_error);
    let policy = Policy::default()
        .with_rise(3)
        .with_fall(4)
        .with_interval(10 * SECOND)
        .with_fast_interval(SECOND)
        .with_down_interval(30 * SECOND)
        .with_passive(passive);
    let mut machine = Machine::new(policy).unwrap();
    let outcome = Letter::Pass.outcome().with_weight(WeightHint::Percent(50));
    assert_eq!(machine.on_outcome(&outcome).counter, 6);
    machine
}

/// As many errors as it takes; the decision of the last one.
fn errors(machine: &mut Machine) -> lvs_healthcheck::policy::Decision {
    assert_eq!(machine.observe(Observation::ConnectFailed), None);
    machine.observe(Observation::ConnectFailed).unwrap()
}

#[test]
fn on_error_fastinter_only_hurries() {
    let mut machine = up(OnError::FastInterval);
    let decision = errors(&mut machine);
    assert_eq!((decision.counter, decision.verdict), (6, Verdict::Neutral));
    assert_eq!(decision.delay, SECOND);
    assert!(decision.hint.is_some() && !decision.hint_changed && !decision.log);
    let delay = machine.on_outcome(&Letter::Pass.outcome()).delay;
    assert_eq!(delay, 10 * SECOND, "for one attempt");
}

#[test]
fn on_error_fail_check_counts_as_one_failed_check() {
    let mut machine = up(OnError::FailCheck);
    let decision = errors(&mut machine);
    assert_eq!((decision.counter, decision.verdict), (5, Verdict::Fail));
    assert_eq!((decision.hint, decision.hint_changed), (None, true));
    assert_eq!(decision.delay, SECOND);
    assert_eq!(errors(&mut machine).counter, 4);
    assert_eq!(errors(&mut machine).counter, 3);
    let decision = errors(&mut machine);
    assert_eq!((decision.counter, decision.health), (0, Health::Down));
    assert_eq!(decision.change.unwrap().from, Health::Up);
    assert_eq!(decision.delay, SECOND, "also when it is down");
}

#[test]
fn on_error_sudden_death_leaves_one_failure() {
    let mut machine = up(OnError::SuddenDeath);
    let decision = errors(&mut machine);
    assert_eq!((decision.counter, decision.health), (3, Health::Up));
    let mut other = machine.clone();
    assert_eq!(other.on_outcome(&Letter::Pass.outcome()).counter, 6);
    let mut other = machine.clone();
    let health = other.on_outcome(&Letter::Fail.outcome()).health;
    assert_eq!(health, Health::Down);
    assert_eq!(
        errors(&mut machine).health,
        Health::Down,
        "its own next ones"
    );
    assert_eq!(errors(&mut machine).counter, 0, "and down it stays");
}

#[test]
fn on_error_mark_down_takes_down_at_once() {
    let decision = errors(&mut up(OnError::MarkDown));
    assert_eq!((decision.counter, decision.health), (0, Health::Down));
    assert_eq!(decision.verdict, Verdict::FailNow);
}

#[test]
fn only_errors_in_a_row_count_and_only_the_observed_layer() {
    let mut machine = up(OnError::MarkDown);
    for _ in 0..10 {
        assert_eq!(machine.observe(Observation::ConnectFailed), None);
        assert_eq!(machine.observe(Observation::Connected), None);
    }
    for _ in 0..10 {
        assert_eq!(machine.observe(Observation::HttpStatus(500)), None);
        assert_eq!(machine.observe(Observation::ReplyFailed), None);
    }
    assert_eq!(machine.observe(Observation::ConnectFailed), None);
    assert!(machine.observe(Observation::ConnectFailed).is_some());
    let mut blind = Machine::new(Policy::default()).unwrap();
    assert!((0..100).all(|_| blind.observe(Observation::ConnectFailed).is_none()));
}

#[test]
fn error_limit_is_10_by_default() {
    let policy = Policy::default().with_passive(Passive::new(Observe::Layer7));
    let mut machine = Machine::new(policy).unwrap();
    let first = (1..=30).find(|_| machine.observe(Observation::ReplyFailed).is_some());
    assert_eq!(first, Some(10));
    let second = (1..=30).find(|_| machine.observe(Observation::ReplyFailed).is_some());
    assert_eq!(second, Some(10), "counted from 0 again");
}

#[test]
fn suspended_machine_keeps_everything_whatever_comes() {
    let mut machine = up(OnError::MarkDown);
    machine.on_outcome(&Letter::LocalError.outcome());
    machine.suspend();
    assert!(machine.is_suspended());
    let before = format!("{machine:?}");
    for letter in Letter::ALL {
        let outcome = letter.outcome().with_admin(AdminHint::Maint);
        let decision = machine.on_outcome(&outcome);
        assert_eq!((decision.health, decision.counter), (Health::Up, 6));
        assert_eq!(decision.verdict, Verdict::Neutral);
        assert!(decision.change.is_none() && !decision.hint_changed && !decision.log);
    }
    for _ in 0..10 {
        assert_eq!(machine.observe(Observation::ConnectFailed), None);
    }
    assert_eq!(format!("{machine:?}"), before);
    machine.resume();
    let decision = machine.on_outcome(&Letter::LocalError.outcome());
    assert_eq!(decision.local_errors, 1, "those before are forgotten");
    let decision = machine.on_outcome(&Letter::Fail.outcome());
    assert_eq!((decision.health, decision.counter), (Health::Up, 5));
}

#[test]
fn vote_stays_until_the_check_votes_again() {
    let mut machine = Machine::new(Policy::default()).unwrap();
    let mut step = |letter: Letter, vote: Option<AdminHint>| {
        let mut outcome = letter.outcome();
        outcome.admin = vote;
        let decision = machine.on_outcome(&outcome);
        (decision.admin, decision.hint_changed)
    };
    let drain = Some(AdminHint::Drain);
    assert_eq!(step(Letter::Pass, None), (None, false));
    assert_eq!(step(Letter::Pass, drain), (drain, true));
    assert_eq!(step(Letter::Pass, drain), (drain, false));
    assert_eq!(step(Letter::Pass, None), (drain, false));
    assert_eq!(
        step(Letter::Fail, None),
        (drain, false),
        "failures withdraw nothing"
    );
    assert_eq!(step(Letter::Cancelled, None), (drain, false));
    let ready = Some(AdminHint::Ready);
    assert_eq!(
        step(Letter::Cancelled, ready),
        (ready, true),
        "nor is health needed to vote"
    );
    assert_eq!(machine.admin(), ready);
}

/// The 1st, 2nd, 4th, 8th … local error in a row is worth a line; what comes between is not.
#[test]
fn every_2_to_the_kth_local_error_is_told() {
    let mut machine = Machine::new(Policy::default()).unwrap();
    machine.on_outcome(&Letter::Pass.outcome());
    let told: Vec<u32> = (1..=40)
        .filter(|_| {
            // An attempt that was cancelled is neither a local error nor the end of the row.
            assert!(!machine.on_outcome(&Letter::Cancelled.outcome()).log);
            machine.on_outcome(&Letter::LocalError.outcome()).log
        })
        .collect();
    assert_eq!(told, [1, 2, 4, 8, 16, 32]);
    machine.on_outcome(&Letter::Pass.outcome());
    assert!(
        machine.on_outcome(&Letter::LocalError.outcome()).log,
        "the first of a new row"
    );
}

#[test]
fn local_errors_fail_after_so_many_in_a_row() {
    let policy = Policy::default()
        .with_fall(1)
        .with_on_local_error(OnLocalError::FailAfter(3));
    let mut machine = Machine::new(policy).unwrap();
    let mut health = |letter: Letter| machine.on_outcome(&letter.outcome()).health;
    assert_eq!(health(Letter::Pass), Health::Up);
    for _ in 0..5 {
        assert_eq!(health(Letter::LocalError), Health::Up);
        assert_eq!(health(Letter::LocalError), Health::Up);
        assert_eq!(health(Letter::Pass), Health::Up, "the row is over");
    }
    health(Letter::LocalError);
    health(Letter::LocalError);
    assert_eq!(health(Letter::LocalError), Health::Down);
}

/// A failed start of a command that is missing is a failure, not a local error to be ignored.
#[test]
fn failures_of_this_host_that_are_no_neutral_outcomes_count() {
    let mut machine = Machine::new(Policy::default().with_fall(1)).unwrap();
    let missing = Outcome::new(Code::Spawn, Phase::Process);
    let decision = machine.on_outcome(&missing);
    assert_eq!((decision.health, decision.local_errors), (Health::Down, 0));
}

#[test]
fn pushed_reports_keep_a_check_up_until_they_stop() {
    let policy = Policy::default()
        .with_fall(2)
        .with_initial(Initial::FullyDown);
    let mut machine = Machine::new(policy).unwrap();
    let mut ttl = Ttl::new(10 * SECOND, Duration::ZERO).unwrap();
    let mut healths = Vec::new();
    for second in 1..=60 {
        let now = second * SECOND;
        if second % 5 == 0 && second <= 30 {
            ttl.on_report(now);
            machine.on_outcome(&Letter::Pass.outcome());
        }
        if let Some(missing) = ttl.tick(now) {
            machine.on_outcome(&missing);
        }
        healths.push(machine.health());
    }
    let up = |second: usize| healths[second - 1] == Health::Up;
    assert!(up(5) && up(49), "the failure of second 40 is tolerated");
    assert!(!up(50) && !up(60));
}

/// A policy is replaced before anything is known: the new one's start counts.
#[test]
fn new_policy_before_the_first_verdict_starts_anew() {
    let mut machine = Machine::new(Policy::default()).unwrap();
    machine.on_outcome(&Letter::Cancelled.outcome());
    machine.set_policy(Policy::nginx()).unwrap();
    assert_eq!((machine.health(), machine.counter()), (Health::Unknown, 0));
    machine.set_policy(Policy::pingora(2, 2)).unwrap();
    assert_eq!(machine.counter(), 3);
}

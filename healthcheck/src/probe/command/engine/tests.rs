//! Runs of a command in virtual time: every exit code, the kill ladder, the output.

use super::*;
use crate::policy::Health;
use crate::probe::{Errno, Operation, Origin};

const START: Timestamp = Duration::from_secs(50);
const TIMEOUT: Duration = Duration::from_secs(3);

const PLAIN: ExitCodes = ExitCodes::Plain;

fn running(meaning: ExitCodes) -> CommandEngine {
    let attempt = Attempt::new(1, START, TIMEOUT, None, Health::Up);
    let mut engine = CommandEngine::new(Command::new("check"), meaning, attempt);
    let Step::Do(actions) = engine.start(START) else {
        panic!("done before it began")
    };
    let [Action::SetDeadline(deadline), Action::Spawn(command)] = &actions[..] else {
        panic!("unexpected {actions:?}")
    };
    assert_eq!(
        (*deadline, command.arguments()),
        (START + TIMEOUT, &["check".to_owned()][..])
    );
    assert!(wants(engine.on_event(Event::Spawned, START)).is_empty());
    engine
}

fn wants(step: Step) -> Vec<Action> {
    match step {
        Step::Do(actions) => actions,
        other => panic!("not going on: {other:?}"),
    }
}

fn done(step: Step) -> Outcome {
    match step {
        Step::Done(outcome) => outcome,
        other => panic!("not done: {other:?}"),
    }
}

fn exit(meaning: ExitCodes, status: ChildStatus) -> Outcome {
    let mut engine = running(meaning);
    assert!(wants(engine.on_event(Event::ChildOutputEnd, START)).is_empty());
    done(engine.on_event(Event::ChildExit(status), START + Duration::from_millis(7)))
}

#[test]
fn plain_exit_code_0_passes_and_all_others_fail() {
    for code in 0..=255 {
        let outcome = exit(PLAIN, ChildStatus::Code(code));
        let expected = if code == 0 {
            Code::Ok
        } else {
            Code::ExitNonzero
        };
        assert_eq!(outcome.code, expected, "{code}");
        assert_eq!(outcome.weight, None);
        assert_eq!(outcome.timing.total, Some(Duration::from_millis(7)));
    }
    assert_eq!(
        exit(PLAIN, ChildStatus::Code(7)).detail.as_str(),
        "exit code 7"
    );
}

#[test]
fn dynamic_exit_codes_are_weights_up_to_the_limit() {
    for max in [0, 1, 2, 125, 254, 255] {
        for code in 0..=255 {
            let outcome = exit(ExitCodes::Dynamic { max }, ChildStatus::Code(code));
            let (expected, weight) = match code {
                0 => (Code::Ok, None),
                1 => (Code::ExitNonzero, None),
                _ if code <= max => (Code::Ok, Some(WeightHint::Absolute(u32::from(code) - 2))),
                _ => (Code::ExitNonzero, None),
            };
            assert_eq!(
                (outcome.code, outcome.weight),
                (expected, weight),
                "{code} of {max}"
            );
        }
    }
    let outcome = exit(ExitCodes::Dynamic { max: 255 }, ChildStatus::Code(255));
    assert_eq!(outcome.weight, Some(WeightHint::Absolute(253)));
}

#[test]
fn signals_fail_with_and_without_dynamic_weights() {
    for max in [PLAIN, ExitCodes::Dynamic { max: 255 }] {
        let outcome = exit(max, ChildStatus::Signal(11));
        assert_eq!(
            (outcome.code, outcome.verdict),
            (Code::ExitSignal, Verdict::Fail)
        );
        assert_eq!(
            (outcome.weight, outcome.detail.as_str()),
            (None, "signal 11")
        );
    }
}

#[test]
fn stolen_exit_status_says_nothing_about_the_destination() {
    let outcome = exit(PLAIN, ChildStatus::Lost);
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Spawn, Verdict::Neutral)
    );
}

#[test]
fn command_that_cannot_start_is_named() {
    let failed = |number| {
        let attempt = Attempt::new(1, START, TIMEOUT, None, Health::Up);
        let mut engine = CommandEngine::new(Command::new("/no/check"), PLAIN, attempt);
        let _ = engine.start(START);
        done(engine.on_event(
            Event::Failed {
                operation: Operation::Spawn,
                errno: Errno::from_raw(number),
                origin: Origin::Call,
                detail: "",
            },
            START,
        ))
    };
    let missing = failed(2);
    assert_eq!(
        (missing.code, missing.verdict),
        (Code::Spawn, Verdict::Fail)
    );
    assert_eq!(
        missing.detail.as_str(),
        "/no/check: No such file or directory"
    );
    assert_eq!(failed(11).verdict, Verdict::Neutral, "EAGAIN");
}

#[test]
fn output_is_kept_up_to_its_limit_and_shown() {
    let mut engine = running(PLAIN);
    let _ = engine.on_event(Event::ChildOutput(b"disk full\nmore"), START);
    let _ = engine.on_event(Event::ChildOutput(&[b'x'; 10_000]), START);
    let _ = engine.on_event(Event::ChildOutput(b"never seen"), START);
    let _ = engine.on_event(Event::ChildOutputEnd, START);
    let outcome = done(engine.on_event(Event::ChildExit(ChildStatus::Code(1)), START));
    assert_eq!(outcome.output.len(), CommandProbe::MAX_OUTPUT);
    assert!(outcome.output.starts_with(b"disk full\nmorexxx"));
    assert!(
        outcome
            .detail
            .as_str()
            .starts_with("exit code 1; disk full morexxx")
    );
}

#[test]
fn passing_command_shows_its_output_alone() {
    let mut engine = running(PLAIN);
    let _ = engine.on_event(Event::ChildOutput(b" all well\n"), START);
    let _ = engine.on_event(Event::ChildOutputEnd, START);
    let outcome = done(engine.on_event(Event::ChildExit(ChildStatus::Code(0)), START));
    assert_eq!(outcome.detail.as_str(), "all well");
}

#[test]
fn held_output_delays_the_result_by_100_ms_at_most() {
    let mut engine = running(PLAIN);
    let now = START + Duration::from_secs(1);
    let actions = wants(engine.on_event(Event::ChildExit(ChildStatus::Code(0)), now));
    let [Action::SetDeadline(deadline)] = &actions[..] else {
        panic!("unexpected {actions:?}")
    };
    assert_eq!(*deadline, now + Duration::from_millis(100));
    let outcome = done(engine.on_event(Event::Deadline, *deadline));
    assert_eq!(
        outcome.code,
        Code::Ok,
        "what counts is how the command ended"
    );

    let mut engine = running(PLAIN);
    let _ = engine.on_event(Event::ChildExit(ChildStatus::Code(0)), now);
    assert_eq!(
        done(engine.on_event(Event::ChildOutputEnd, now)).code,
        Code::Ok
    );
}

/// The signals and next deadline in a list of actions.
fn ladder(actions: &[Action]) -> (Vec<Signal>, Option<Timestamp>) {
    let mut signals = Vec::new();
    let mut deadline = None;
    for action in actions {
        match action {
            Action::Signal(signal) => signals.push(*signal),
            Action::SetDeadline(at) => deadline = Some(*at),
            other => panic!("unexpected {other:?}"),
        }
    }
    (signals, deadline)
}

#[test]
fn kill_ladder_has_keepaliveds_timings() {
    let mut engine = running(ExitCodes::Dynamic { max: 255 });
    let end = START + TIMEOUT;
    let Step::Report(outcome, actions) = engine.on_event(Event::Deadline, end) else {
        panic!("the outcome comes at once")
    };
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::TimeoutProc, Verdict::Fail)
    );
    assert_eq!(
        (outcome.weight, outcome.detail.as_str()),
        (None, "not ended after 3s")
    );
    let mut at = end + Duration::from_secs(2);
    assert_eq!(ladder(&actions), (vec![Signal::Term], Some(at)));
    for wait in [2, 10, 10, 10] {
        let next = at + Duration::from_secs(wait);
        let actions = wants(engine.on_event(Event::Deadline, at));
        assert_eq!(ladder(&actions), (vec![Signal::Kill], Some(next)));
        at = next;
    }
    assert!(wants(engine.on_event(Event::ChildOutput(b"late"), at)).is_empty());
    let Step::End(actions) = engine.on_event(Event::ChildExit(ChildStatus::Signal(9)), at) else {
        panic!("it is gone")
    };
    assert_eq!(
        ladder(&actions),
        (vec![Signal::Kill], None),
        "for children that ignored SIGTERM"
    );
}

#[test]
fn command_reaped_elsewhere_during_the_ladder_ends_it() {
    let mut engine = running(PLAIN);
    let _ = engine.on_event(Event::Deadline, START + TIMEOUT);
    let step = engine.on_event(Event::ChildExit(ChildStatus::Lost), START + TIMEOUT);
    assert!(matches!(step, Step::End(actions) if actions.is_empty()));
}

#[test]
fn cancelling_climbs_the_same_ladder_without_a_report() {
    let mut engine = running(PLAIN);
    let actions = wants(engine.on_event(Event::Cancel, START));
    assert_eq!(
        ladder(&actions),
        (vec![Signal::Term], Some(START + Duration::from_secs(2)))
    );
    assert!(
        wants(engine.on_event(Event::Cancel, START)).is_empty(),
        "once is enough"
    );
    let step = engine.on_event(Event::ChildExit(ChildStatus::Code(0)), START);
    assert!(matches!(step, Step::End(_)));

    let mut engine = running(PLAIN);
    let _ = engine.on_event(Event::ChildExit(ChildStatus::Code(0)), START);
    assert!(
        matches!(engine.on_event(Event::Cancel, START), Step::End(actions) if actions.is_empty())
    );
}

#[test]
fn monitoring_plugins_warn_with_a_share_and_know_what_they_do_not_know() {
    let nagios = |code| {
        let warning_percent = 50;
        exit(
            ExitCodes::Nagios { warning_percent },
            ChildStatus::Code(code),
        )
    };
    assert_eq!((nagios(0).verdict, nagios(0).weight), (Verdict::Pass, None));
    let warning = nagios(1);
    assert_eq!(warning.verdict, Verdict::Pass);
    assert_eq!(warning.weight, Some(WeightHint::Percent(50)));
    assert_eq!(nagios(2).verdict, Verdict::Fail);
    assert_eq!(nagios(3).verdict, Verdict::Neutral);
    assert_eq!(nagios(4).verdict, Verdict::Fail);
}

use core::time::Duration;

use super::super::super::{CloseMode, Errno, Operation, Origin, Probe};
use super::super::TcpProbe;
use super::*;
use crate::outcome::Verdict;
use crate::policy::Health;
use crate::target::Target;

const START: Timestamp = Duration::from_secs(50);
const SECOND: Duration = Duration::from_secs(1);

fn probe() -> TcpProbe {
    TcpProbe::new(Target::new("192.0.2.7:80".parse().unwrap())).with_close(CloseMode::HalfOpen)
}

/// An engine that has asked for its connection.
fn engine_of(probe: &impl Probe) -> Box<dyn Engine> {
    let attempt = Attempt::new(1, START, 3 * SECOND, Some(SECOND), Health::Up);
    let mut engine = probe.engine(&attempt);
    let Step::Do(actions) = engine.start(START) else {
        panic!("done before it began")
    };
    let [
        Action::SetDeadline(deadline),
        Action::Connect { target, transport },
    ] = &actions[..]
    else {
        panic!("unexpected {actions:?}")
    };
    assert_eq!(*deadline, START + SECOND, "that of connecting");
    assert_eq!(target.address(), "192.0.2.7:80".parse().unwrap());
    let close = CloseMode::HalfOpen;
    assert_eq!(*transport, Transport::Tcp { close });
    engine
}

fn done(step: Step) -> Outcome {
    match step {
        Step::Done(outcome) => outcome,
        other => panic!("not done: {other:?}"),
    }
}

fn after(event: Event<'_>) -> Outcome {
    done(engine_of(&probe()).on_event(event, START + Duration::from_millis(20)))
}

#[test]
fn connected_is_a_pass_with_the_time_it_took() {
    let outcome = after(Event::Connected);
    assert_eq!((outcome.code, outcome.verdict), (Code::Ok, Verdict::Pass));
    assert_eq!(outcome.timing.connect, Some(Duration::from_millis(20)));
    assert_eq!(outcome.timing.total, Some(Duration::from_millis(20)));
}

#[test]
fn deadline_is_a_connect_timeout() {
    let outcome = after(Event::Deadline);
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TimeoutConnect, Phase::Connect)
    );
    assert_eq!(outcome.timing.connect, None);
}

#[test]
fn failure_keeps_the_systems_text_and_what_the_driver_adds() {
    let failed = |detail| Event::Failed {
        operation: Operation::Connect,
        errno: Errno::from_raw(111),
        origin: Origin::Network,
        detail,
    };
    assert_eq!(after(failed("")).detail.as_str(), "Connection refused");
    let outcome = after(failed("ICMP from 192.0.2.1"));
    assert_eq!(
        outcome.detail.as_str(),
        "Connection refused; ICMP from 192.0.2.1"
    );
    assert_eq!(outcome.code, Code::Refused);
}

#[test]
fn cancelled_attempt_says_nothing() {
    assert_eq!(after(Event::Cancel).verdict, Verdict::Neutral);
}

/// Says `ask`, and passes when the answer so far ends with `!`; opens again at `?`.
#[derive(Clone, Debug, Default)]
struct Ask(Vec<u8>);

impl Protocol for Ask {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }

    fn judge(&self, outcome: Outcome) -> Outcome {
        let code = outcome.code.as_str();
        outcome.with_detail(code)
    }
}

impl Dialogue for Ask {
    fn opened(&mut self) -> Turn {
        Turn::Send(b"ask".to_vec())
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        self.0.extend_from_slice(bytes);
        match self.0.last() {
            Some(b'!') => Turn::Done(Outcome::new(Code::Ok, Phase::Match)),
            Some(b'?') => Turn::Reopen,
            _ => Turn::Listen,
        }
    }
}

#[test]
fn dialogue_gets_every_byte_and_time_runs_from_the_start_of_the_attempt() {
    let mut engine = engine_of(&probe().with_protocol(Ask::default()));
    let at = |millis| START + Duration::from_millis(millis);
    let step = engine.on_event(Event::Connected, at(10));
    let Step::Do(actions) = step else {
        panic!("{step:?}")
    };
    assert!(
        matches!(&actions[..], [
            Action::Send(said),
            Action::Read,
            Action::SetDeadline(deadline),
        ] if said == b"ask" && *deadline == START + 3 * SECOND),
        "{actions:?}"
    );
    let step = engine.on_event(Event::Sent, at(10));
    assert!(matches!(step, Step::Do(actions) if actions.is_empty()));
    let step = engine.on_event(Event::Data(b"y"), at(20));
    let asks_again = |action: &Action| matches!(action, Action::Read);
    assert!(matches!(step, Step::Do(actions) if !actions.iter().any(asks_again)));
    let outcome = done(engine.on_event(Event::Data(b"es!"), at(30)));
    assert_eq!(outcome.code, Code::Ok);
    assert_eq!(
        outcome.detail.as_str(),
        "ok",
        "the protocol has the last word"
    );
    assert_eq!(outcome.timing.connect, Some(Duration::from_millis(10)));
    assert_eq!(outcome.timing.first_byte, Some(Duration::from_millis(20)));
    assert_eq!(outcome.timing.total, Some(Duration::from_millis(30)));
}

#[test]
fn deadline_says_what_was_going_on() {
    let mut engine = engine_of(&probe().with_protocol(Ask::default()));
    let _ = engine.on_event(Event::Connected, START);
    let outcome = done(engine.on_event(Event::Deadline, START + 3 * SECOND));
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TimeoutIo, Phase::Send)
    );

    let mut engine = engine_of(&probe().with_protocol(Ask::default()));
    let _ = engine.on_event(Event::Connected, START);
    let _ = engine.on_event(Event::Sent, START);
    let outcome = done(engine.on_event(Event::Deadline, START + 3 * SECOND));
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TimeoutIo, Phase::Recv)
    );
}

#[test]
fn idle_time_counts_from_the_last_byte_and_never_beyond_the_whole() {
    let probe = probe()
        .with_protocol(Ask::default())
        .with_idle_timeout(2 * SECOND);
    let mut engine = engine_of(&probe);
    let asked = |step| match step {
        Step::Do(actions) => actions.into_iter().find_map(|action| match action {
            Action::SetDeadline(deadline) => Some(deadline),
            _ => None,
        }),
        other => panic!("{other:?}"),
    };
    let step = engine.on_event(Event::Connected, START);
    assert_eq!(asked(step), Some(START + 2 * SECOND));
    let step = engine.on_event(Event::Data(b"y"), START + SECOND / 2);
    assert_eq!(asked(step), Some(START + 5 * SECOND / 2));
    let step = engine.on_event(Event::Data(b"y"), START + 2 * SECOND);
    assert_eq!(asked(step), Some(START + 3 * SECOND));
}

#[test]
fn end_without_an_answer_is_early() {
    let mut engine = engine_of(&probe().with_protocol(Ask::default()));
    let _ = engine.on_event(Event::Connected, START);
    let outcome = done(engine.on_event(Event::Eof { orderly: true }, START));
    assert_eq!((outcome.code, outcome.phase), (Code::EofEarly, Phase::Recv));
}

#[test]
fn another_connection_begins_like_the_first() {
    let mut engine = engine_of(&probe().with_protocol(Ask::default()));
    let _ = engine.on_event(Event::Connected, START);
    let step = engine.on_event(Event::Data(b"?"), START + SECOND / 4);
    assert!(
        matches!(&step, Step::Do(actions) if matches!(
            &actions[..],
            [Action::SetDeadline(deadline), Action::Connect { .. }] if *deadline == START + SECOND
        )),
        "{step:?}"
    );
    let step = engine.on_event(Event::Connected, START + SECOND / 2);
    let asks = |action: &Action| matches!(action, Action::Read);
    assert!(matches!(step, Step::Do(actions) if actions.iter().any(asks)));
    let outcome = done(engine.on_event(Event::Data(b"!"), START + SECOND));
    assert_eq!(
        outcome.timing.connect,
        Some(Duration::ZERO),
        "the first one's"
    );
}

#[test]
fn idle_time_of_nothing_is_refused() {
    let probe = probe().with_idle_timeout(Duration::ZERO);
    assert_eq!(probe.validate().unwrap_err().field, "idle_timeout");
}

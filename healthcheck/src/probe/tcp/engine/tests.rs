use core::time::Duration;

use super::super::super::{CloseMode, Errno, Operation, Origin, Probe};
use super::super::TcpProbe;
use super::*;
use crate::outcome::Verdict;
use crate::policy::Health;
use crate::probe::agent::Agent;
use crate::probe::expect::{Expectation, Matcher, Script};
use crate::probe::tls::Tls;
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
    assert!(matches!(transport, Transport::Tcp { close: how, .. } if *how == close));
    engine
}

/// Whether the handshake's last packet is to wait for what the engine does next.
fn is_prompt(probe: &impl Probe) -> bool {
    let attempt = Attempt::new(1, START, 3 * SECOND, Some(SECOND), Health::Up);
    let Step::Do(actions) = probe.engine(&attempt).start(START) else {
        panic!("done before it began")
    };
    let prompt = actions.iter().find_map(|action| match action {
        Action::Connect {
            transport: Transport::Tcp { prompt, .. },
            ..
        } => Some(*prompt),
        _ => None,
    });
    prompt.expect("a connection")
}

#[test]
fn driver_is_told_whether_something_follows_at_once() {
    assert!(is_prompt(&probe()), "it ends");
    assert!(!is_prompt(&probe().with_protocol(Ask::default())), "may be");
    let over = |tls: fn(TcpProbe, Tls) -> TcpProbe| tls(probe(), Tls::new());
    let greeted = over(TcpProbe::with_tls).with_protocol(Ask::default());
    assert!(is_prompt(&greeted), "TLS begins");
    let later = over(TcpProbe::with_starttls).with_protocol(Ask::default());
    assert!(!is_prompt(&later), "only later");
    let agent = Agent::new();
    assert!(!is_prompt(&probe().with_protocol(agent.clone())), "listens");
    assert!(is_prompt(&probe().with_protocol(agent.with_send("?"))));
    let (script, pong) = (Script::new(), Expectation::new(Matcher::contains("+")));
    assert!(!is_prompt(
        &probe().with_protocol(script.clone().expect(pong))
    ));
    assert!(is_prompt(&probe().with_protocol(script.send("PING"))));
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
    let step = engine.on_event(Event::Data(b"?"), START + 3 * SECOND / 2);
    assert!(
        matches!(&step, Step::Do(actions) if matches!(
            &actions[..],
            [Action::SetDeadline(deadline), Action::Connect { .. }] if *deadline == START + 5 * SECOND / 2
        )),
        "{step:?}"
    );
    let step = engine.on_event(Event::Connected, START + 2 * SECOND);
    let asks = |action: &Action| matches!(action, Action::Read);
    assert!(matches!(step, Step::Do(actions) if actions.iter().any(asks)));
    let outcome = done(engine.on_event(Event::Data(b"!"), START + 5 * SECOND / 2));
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

fn actions(step: Step) -> Vec<Action> {
    match step {
        Step::Do(actions) => actions,
        other => panic!("{other:?}"),
    }
}

fn info() -> TlsInfo {
    TlsInfo {
        alpn: Some(b"h2"[..].into()),
        ..TlsInfo::default()
    }
}

#[test]
fn handshake_comes_first_and_has_the_time_of_the_whole() {
    let probe = probe().with_protocol(Ask::default()).with_tls(Tls::new());
    let mut engine = engine_of(&probe);
    let at = |millis| START + Duration::from_millis(millis);
    let begun = actions(engine.on_event(Event::Connected, at(10)));
    assert!(
        matches!(&begun[..], [Action::SetDeadline(deadline), Action::StartTls(_)]
            if *deadline == START + 3 * SECOND),
        "{begun:?}"
    );
    // Of the bytes of the handshake the dialogue hears nothing.
    let asked = actions(engine.on_event(Event::TlsDone(&info()), at(25)));
    assert!(matches!(
        &asked[..],
        [Action::Send(_), Action::Read, Action::SetDeadline(_)]
    ));
    let outcome = done(engine.on_event(Event::Data(b"!"), at(30)));
    assert_eq!(outcome.timing.tls, Some(Duration::from_millis(25)));
    assert_eq!(outcome.tls.as_deref(), Some(&info()));
}

#[test]
fn handshake_that_fails_is_told_by_its_code_and_not_by_the_dialogues() {
    let probe = probe().with_tls(Tls::new());
    let rows = [
        (TlsKind::Handshake, Code::TlsHandshake),
        (TlsKind::Verify, Code::TlsVerify),
        (TlsKind::Unsupported, Code::TlsUnsupported),
        (TlsKind::Eof, Code::EofEarly),
        (TlsKind::Injected, Code::Proto),
    ];
    for (kind, code) in rows {
        let mut engine = engine_of(&probe);
        let _ = engine.on_event(Event::Connected, START);
        let detail = "why";
        let outcome = done(engine.on_event(Event::TlsFailed { kind, detail }, START));
        assert_eq!((outcome.code, outcome.phase), (code, Phase::Tls));
        assert_eq!(
            (outcome.verdict, outcome.detail.as_str()),
            (Verdict::Fail, "why")
        );
    }
    let mut engine = engine_of(&probe);
    let _ = engine.on_event(Event::Connected, START);
    let reset = Event::Failed {
        operation: Operation::Receive,
        errno: Errno::from_raw(104),
        origin: Origin::Network,
        detail: "",
    };
    let outcome = done(engine.on_event(reset, START));
    assert_eq!((outcome.code, outcome.phase), (Code::Reset, Phase::Tls));
    let mut engine = engine_of(&probe);
    let _ = engine.on_event(Event::Connected, START);
    let outcome = done(engine.on_event(Event::Deadline, START + 3 * SECOND));
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TimeoutTls, Phase::Tls)
    );
}

#[test]
fn certificate_that_ends_soon_is_mentioned_where_nothing_else_is() {
    for (days, said) in [
        (3, "the server's certificate ends in 3 days"),
        (-1, "the server's certificate has ended"),
    ] {
        let mut soon = info();
        (soon.days_left, soon.expires_soon) = (Some(days), true);
        let mut engine = engine_of(&probe().with_tls(Tls::new()));
        let _ = engine.on_event(Event::Connected, START);
        let outcome = done(engine.on_event(Event::TlsDone(&soon), START));
        assert_eq!((outcome.code, outcome.phase), (Code::Ok, Phase::Tls));
        assert_eq!(outcome.detail.as_str(), said);
    }
}

/// Asks for TLS at `!`, opens again at `?`, and passes when TLS is there.
#[derive(Clone, Debug, Default)]
struct Upgrade(bool);

impl Protocol for Upgrade {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }
}

impl Dialogue for Upgrade {
    fn opened(&mut self) -> Turn {
        match self.0 {
            true => Turn::Done(Outcome::new(Code::Ok, Phase::Match)),
            false => Turn::Listen,
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        match bytes {
            b"!" => {
                self.0 = true;
                Turn::StartTls
            }
            b"?" => Turn::Reopen,
            b"." => Turn::Send(b"go on".to_vec()),
            _ => Turn::Listen,
        }
    }
}

#[test]
fn plain_text_before_tls_is_heard_byte_by_byte_and_none_after_the_agreement() {
    let probe = probe()
        .with_protocol(Upgrade::default())
        .with_starttls(Tls::new());
    let mut engine = engine_of(&probe);
    let _ = engine.on_event(Event::Connected, START);
    let said = actions(engine.on_event(Event::Data(b"ab.c.d"), START));
    let sent = said
        .iter()
        .filter(|action| matches!(action, Action::Send(_)));
    assert_eq!(sent.count(), 2, "{said:?}");
    let begun = actions(engine.on_event(Event::Data(b"ok!"), START));
    assert!(
        begun
            .iter()
            .any(|action| matches!(action, Action::StartTls(_))),
        "{begun:?}"
    );
    let outcome = done(engine.on_event(Event::TlsDone(&info()), START));
    assert_eq!(outcome.code, Code::Ok);

    let mut engine = engine_of(&probe);
    let _ = engine.on_event(Event::Connected, START);
    let outcome = done(engine.on_event(Event::Data(b"ok!x"), START));
    assert_eq!((outcome.code, outcome.phase), (Code::Proto, Phase::Tls));

    // What is left of a connection that was given up belongs to nobody.
    let mut engine = engine_of(&probe);
    let _ = engine.on_event(Event::Connected, START);
    let again = actions(engine.on_event(Event::Data(b"a?!"), START));
    assert!(
        matches!(again.last(), Some(Action::Connect { .. })),
        "{again:?}"
    );
}

#[test]
fn tls_nobody_said_how_to_speak_or_within_itself_is_not_started() {
    let mut engine = engine_of(&probe().with_protocol(Upgrade::default()));
    let _ = engine.on_event(Event::Connected, START);
    let outcome = done(engine.on_event(Event::Data(b"!"), START));
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TlsUnsupported, Phase::Tls)
    );
    let mut engine = engine_of(
        &probe()
            .with_protocol(Upgrade::default())
            .with_tls(Tls::new()),
    );
    let _ = engine.on_event(Event::Connected, START);
    let _ = engine.on_event(Event::TlsDone(&info()), START);
    let outcome = done(engine.on_event(Event::Data(b"!"), START));
    assert_eq!(outcome.code, Code::TlsUnsupported, "{outcome}");
}

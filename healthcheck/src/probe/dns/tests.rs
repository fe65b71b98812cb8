use core::time::Duration;

use super::super::{Errno, IcmpError};
use super::*;
use crate::policy::Health;

const START: Timestamp = Duration::from_secs(50);
const SECOND: Duration = Duration::from_secs(1);

fn probe() -> DnsProbe {
    DnsProbe::new(
        Target::new("192.0.2.53:53".parse().unwrap()),
        "www.test",
        RecordType::A,
    )
}

/// Asks; gives the engine and what it sent.
fn ask(probe: &DnsProbe) -> (Box<dyn Engine>, Vec<u8>) {
    probe.validate().unwrap();
    let attempt = Attempt::new(1, START, 4 * SECOND, Some(SECOND), Health::Up);
    let mut engine = probe.engine(&attempt.with_random(0x1234 << 48));
    assert!(matches!(engine.start(START), Step::Do(actions) if actions.len() == 2));
    let question = sent(engine.on_event(Event::Connected, START));
    (engine, question)
}

fn sent(step: Step) -> Vec<u8> {
    let Step::Do(actions) = step else {
        panic!("done")
    };
    let send = actions.into_iter().find_map(|action| match action {
        Action::Send(bytes) => Some(bytes),
        _ => None,
    });
    send.expect("nothing was sent")
}

/// The answer to a question, with these addresses.
fn answer(question: &[u8], flags: u16, addresses: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes.splice(2..4, flags.to_be_bytes());
    let count = u16::try_from(addresses.len()).unwrap();
    bytes.splice(6..8, count.to_be_bytes());
    for address in addresses {
        bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend_from_slice(address);
    }
    bytes
}

fn told(engine: &mut Box<dyn Engine>, bytes: &[u8]) -> Option<Outcome> {
    let from = "192.0.2.53:53".parse().unwrap();
    match engine.on_event(Event::Datagram { bytes, from }, START + SECOND) {
        Step::Done(outcome) => Some(outcome),
        _ => None,
    }
}

fn judged(probe: &DnsProbe, flags: u16, addresses: &[[u8; 4]]) -> Outcome {
    let (mut engine, question) = ask(probe);
    told(&mut engine, &answer(&question, flags, addresses)).unwrap()
}

#[test]
fn answer_without_error_passes_even_if_it_is_empty() {
    let outcome = judged(&probe(), 0x8180, &[]);
    assert_eq!(outcome.code, Code::Ok);
    assert_eq!(outcome.timing.first_byte, Some(SECOND));
}

#[test]
fn other_codes_fail_unless_they_are_wanted() {
    let outcome = judged(&probe(), 0x8183, &[]);
    assert_eq!(outcome.code, Code::Status);
    assert_eq!(outcome.detail.as_str(), "expected NOERROR, got NXDOMAIN");
    let resolver = probe().with_rcodes([Rcode::NO_ERROR, Rcode::NX_DOMAIN]);
    assert_eq!(judged(&resolver, 0x8183, &[]).code, Code::Ok);
    assert_eq!(judged(&resolver, 0x8185, &[]).code, Code::Status);
}

#[test]
fn answers_are_counted_and_compared() {
    let two = [[192, 0, 2, 80], [192, 0, 2, 81]];
    let outcome = judged(&probe().with_min_answers(3), 0x8180, &two);
    assert_eq!(outcome.detail.as_str(), "expected 3 answers, got 2");
    let any = probe().with_any_of(["192.0.2.1", "192.0.2.81"]);
    assert_eq!(judged(&any, 0x8180, &two).code, Code::Ok);
    let outcome = judged(&any, 0x8180, &[[10, 0, 0, 1]]);
    assert_eq!(outcome.code, Code::Content);
    assert_eq!(
        outcome.detail.as_str(),
        "expected one of 192.0.2.1, 192.0.2.81, got 10.0.0.1"
    );
    let all = probe().with_all_of(["192.0.2.80", "192.0.2.82"]);
    let outcome = judged(&all, 0x8180, &two);
    assert_eq!(
        outcome.detail.as_str(),
        "expected 192.0.2.82 among the answers, got 192.0.2.80, 192.0.2.81"
    );
}

#[test]
fn forged_and_late_messages_are_waited_out() {
    let (mut engine, question) = ask(&probe());
    let right = answer(&question, 0x8180, &[]);
    let mut wrong = right.clone();
    *wrong.first_mut().unwrap() ^= 0xff;
    assert_eq!(told(&mut engine, &wrong), None);
    assert_eq!(told(&mut engine, b""), None);
    assert_eq!(told(&mut engine, &right).unwrap().code, Code::Ok);
}

#[test]
fn question_is_asked_again_and_then_no_more() {
    let (mut engine, question) = ask(&probe());
    let again = sent(engine.on_event(Event::Deadline, START + 2 * SECOND));
    assert_eq!(again, question, "the same, so that either answer will do");
    let Step::Done(outcome) = engine.on_event(Event::Deadline, START + 4 * SECOND) else {
        panic!("goes on")
    };
    assert_eq!(outcome.code, Code::TimeoutIo);
    assert_eq!(outcome.detail.as_str(), "no answer to 2 queries");
}

#[test]
fn truncated_answer_is_asked_for_over_tcp() {
    let (mut engine, question) = ask(&probe());
    let cut = answer(&question, 0x8380, &[]);
    let from = "192.0.2.53:53".parse().unwrap();
    let step = engine.on_event(Event::Datagram { bytes: &cut, from }, START);
    let later = START + 2 * SECOND;
    let (mut second, question_again) = ask(&probe());
    let cut_again = answer(&question_again, 0x8380, &[]);
    let event = Event::Datagram {
        bytes: &cut_again,
        from,
    };
    let Step::Do(actions) = second.on_event(event, later) else {
        panic!("done")
    };
    assert!(
        matches!(actions.first(), Some(Action::SetDeadline(at)) if *at == later + SECOND),
        "time to connect counts from then: {actions:?}"
    );
    let over_tcp = |action: &Action| {
        matches!(
            action,
            Action::Connect {
                transport: Transport::Tcp { .. },
                ..
            }
        )
    };
    assert!(matches!(step, Step::Do(actions) if actions.iter().any(over_tcp)));
    let framed = sent(engine.on_event(Event::Connected, START));
    assert_eq!(framed.get(2..).unwrap(), question);

    let reply = answer(&question, 0x8180, &[[1, 2, 3, 4]]);
    let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
    let mut outcome = None;
    for byte in [&length[..], &reply].concat() {
        assert_eq!(outcome, None, "before the last byte");
        if let Step::Done(done) = engine.on_event(Event::Data(&[byte]), START) {
            outcome = Some(done);
        }
    }
    assert_eq!(outcome.unwrap().code, Code::Ok);
    // keepalived takes it as it is.
    let keepalived = DnsProbe::keepalived(Target::new("192.0.2.53:53".parse().unwrap()));
    assert_eq!(judged(&keepalived, 0x8380, &[]).code, Code::Ok);
}

#[test]
fn closed_port_and_closed_stream_have_their_codes() {
    let (mut engine, _) = ask(&probe());
    let error = IcmpError::new(3, 3, "192.0.2.53".parse().unwrap(), Errno::from_raw(111));
    let step = engine.on_event(Event::Icmp(error), START);
    assert!(matches!(step, Step::Done(outcome) if outcome.code == Code::Refused));
    let (mut engine, _) = ask(&probe().with_tcp());
    let step = engine.on_event(Event::Eof { orderly: true }, START);
    assert!(matches!(step, Step::Done(outcome) if outcome.code == Code::EofEarly));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (probe, field) in [
        (probe().with_name("a..b"), "name"),
        (probe().with_tries(0), "tries"),
        (probe().with_tries(11), "tries"),
        (probe().with_rcodes([]), "rcodes"),
        (
            probe().with_type(RecordType::ANY).with_any_of(["1.2.3.4"]),
            "type",
        ),
    ] {
        assert_eq!(probe.validate().unwrap_err().field, field);
    }
}

use super::*;
use crate::outcome::Verdict;
use crate::policy::Health;

fn session(smtp: &Smtp) -> Box<dyn Dialogue> {
    let second = core::time::Duration::from_secs(1);
    let attempt = Attempt::new(1, second, second, None, Health::Unknown);
    let mut dialogue = smtp.dialogue(&attempt);
    assert!(
        matches!(dialogue.opened(), Turn::Listen),
        "the server first"
    );
    dialogue
}

fn named() -> Smtp {
    Smtp::new().with_name("us")
}

/// Says these one after the other, and gives what was answered to each but the last, and the last.
fn talk(smtp: &Smtp, lines: &[&str]) -> (Vec<String>, Turn) {
    let mut dialogue = session(smtp);
    let mut said = Vec::new();
    let (last, first) = lines.split_last().unwrap();
    for line in first {
        match dialogue.data(format!("{line}\r\n").as_bytes()) {
            Turn::Send(bytes) => said.push(String::from_utf8(bytes).unwrap()),
            other => panic!("{line}: {other:?}"),
        }
    }
    (said, dialogue.data(format!("{last}\r\n").as_bytes()))
}

fn end(smtp: &Smtp, lines: &[&str]) -> Outcome {
    match talk(smtp, lines).1 {
        Turn::Done(outcome) => outcome,
        other => panic!("not done: {other:?}"),
    }
}

#[test]
fn whole_dialogue_passes() {
    let (said, turn) = talk(&named(), &["220 hello", "250-we\r\n250 can", "221 bye"]);
    assert_eq!(said, ["EHLO us\r\n", "QUIT\r\n"]);
    assert!(matches!(turn, Turn::Done(outcome) if outcome.verdict == Verdict::Pass));
    // Whatever the answer to QUIT.
    assert_eq!(
        end(&named(), &["220 hello", "250 can", "500 what"]).code,
        Code::Ok
    );
}

#[test]
fn server_without_ehlo_is_asked_with_helo_unless_that_was_ruled_out() {
    let lines = ["220 hello", "502 what", "250 can", "221 bye"];
    let (said, turn) = talk(&named(), &lines);
    assert_eq!(said, ["EHLO us\r\n", "HELO us\r\n", "QUIT\r\n"]);
    assert!(matches!(turn, Turn::Done(outcome) if outcome.code == Code::Ok));
    let strict = named().with_hello(Hello::Ehlo);
    assert_eq!(end(&strict, &["220 hello", "502 what"]).code, Code::Status);
    assert_eq!(
        end(&named(), &["220 hello", "502 what", "550 no"]).code,
        Code::Status
    );
}

#[test]
fn every_refusal_has_its_code_and_says_what_came() {
    for (lines, code, detail) in [
        (
            &["421 later"][..],
            Code::Busy,
            "greeting: expected 220, got 421 later",
        ),
        (
            &["554 no"],
            Code::Status,
            "greeting: expected 220, got 554 no",
        ),
        (
            &["220 hi", "421 later"],
            Code::Busy,
            "EHLO: expected 250, got 421 later",
        ),
        (
            &["220 hi", "450 no"],
            Code::Status,
            "EHLO: expected 250, got 450 no",
        ),
        (&["hello"], Code::Proto, "line without a reply code"),
        (&["SSH-2.0-x"], Code::Proto, "line without a reply code"),
        (
            &["220 hi\r\n220 hi"],
            Code::Proto,
            "the server speaks out of turn",
        ),
    ] {
        let outcome = end(&named(), lines);
        assert_eq!(
            (outcome.code, outcome.detail.as_str()),
            (code, detail),
            "{lines:?}"
        );
        assert_eq!(outcome.verdict, Verdict::Fail);
    }
}

#[test]
fn after_a_good_answer_neither_the_end_nor_silence_fails() {
    let quits = || {
        let mut dialogue = session(&named());
        let _ = dialogue.data(b"220 hi\r\n");
        let _ = dialogue.data(b"250 can\r\n");
        dialogue
    };
    assert!(matches!(quits().eof(true), Turn::Done(outcome) if outcome.code == Code::Ok));
    assert_eq!(quits().expired().code, Code::Ok);
    let mut early = session(&named());
    let _ = early.data(b"220 hi\r\n");
    assert_eq!(
        early.expired().detail.as_str(),
        "waiting for the reply to EHLO"
    );
    assert!(matches!(early.eof(true), Turn::Done(outcome) if outcome.code == Code::EofEarly));
}

#[test]
fn keepalived_wants_single_lines_and_haproxy_any_success() {
    let (said, _) = talk(&Smtp::keepalived(), &["220 hi", "250 can", "221 bye"]);
    assert_eq!(said.first().unwrap(), "HELO smtpchecker.keepalived.org\r\n");
    let outcome = end(&Smtp::keepalived(), &["220-hi\r\n220 there"]);
    assert_eq!(outcome.code, Code::Proto);
    assert_eq!(
        outcome.detail.as_str(),
        "reply of 2 lines where one is expected"
    );
    let lines = ["250-hi\r\n250 there", "299 can", "221 bye"];
    let (said, turn) = talk(&Smtp::haproxy(), &lines);
    assert_eq!(said.first().unwrap(), "HELO localhost\r\n");
    assert!(matches!(turn, Turn::Done(outcome) if outcome.code == Code::Ok));
    assert_eq!(end(&Smtp::haproxy(), &["354 hi"]).code, Code::Status);
}

#[test]
#[cfg(feature = "tls")]
fn start_tls_comes_after_the_first_hello_and_nothing_may_follow_its_agreement() {
    let smtp = named().with_start_tls();
    let (said, turn) = talk(&smtp, &["220 hi", "250 can", "220 go ahead"]);
    assert_eq!(said, ["EHLO us\r\n", "STARTTLS\r\n"]);
    assert!(matches!(turn, Turn::StartTls));
    let (_, turn) = talk(
        &smtp,
        &["220 hi", "250 can", "220 go ahead\r\n250 injected"],
    );
    assert!(matches!(turn, Turn::Done(outcome) if outcome.code == Code::Proto));
    assert_eq!(
        end(&smtp, &["220 hi", "250 can", "454 no"]).code,
        Code::Status
    );

    let mut dialogue = session(&smtp);
    for line in [&b"220 hi\r\n"[..], b"250 can\r\n", b"220 go\r\n"] {
        let _ = dialogue.data(line);
    }
    assert!(matches!(dialogue.opened(), Turn::Send(said) if said == b"EHLO us\r\n"));
    assert!(matches!(dialogue.data(b"250 can\r\n"), Turn::Send(said) if said == b"QUIT\r\n"));
}

#[test]
fn pieces_of_any_size_make_the_same_dialogue() {
    let mut dialogue = session(&named());
    let mut said = Vec::new();
    for part in ["220-h", "ello\r", "\n220 t\r\n", "2", "50 can\r\n"] {
        if let Turn::Send(bytes) = dialogue.data(part.as_bytes()) {
            said.push(bytes);
        }
    }
    assert_eq!(said, [b"EHLO us\r\n".to_vec(), b"QUIT\r\n".to_vec()]);
}

#[test]
fn name_that_would_break_the_line_is_refused() {
    for name in ["", "a b", "a\r\nQUIT", "ä"] {
        let refused = Smtp::new().with_name(name).validate().unwrap_err();
        assert_eq!(refused.field, "name", "{name:?}");
    }
    assert_eq!(Smtp::new().validate(), Ok(()));
    assert!(!host_name().is_empty());
}

#[test]
fn name_of_the_host_is_said_if_it_can_be() {
    assert_eq!(said("lb1.example\n"), "lb1.example");
    for odd in [
        "",
        "(none)\n",
        "two words",
        "a\r\nRSET",
        "b\u{fc}ro",
        &"a".repeat(256),
    ] {
        assert_eq!(said(odd), "localhost", "{odd:?}");
    }
}

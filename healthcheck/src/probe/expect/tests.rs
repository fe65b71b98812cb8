use super::*;
use crate::policy::Health;

fn play(script: &Script) -> Box<dyn Dialogue> {
    let second = core::time::Duration::from_secs(1);
    script.dialogue(&Attempt::new(1, second, second, None, Health::Unknown))
}

fn outcome(turn: Turn) -> Outcome {
    match turn {
        Turn::Done(outcome) => outcome,
        other => panic!("not done: {other:?}"),
    }
}

fn redis() -> Script {
    Script::new().send("PING\r\n").expect(
        Expectation::new(Matcher::prefix("+PONG"))
            .by_line()
            .or_end(Matcher::prefix("-LOADING"), Code::Busy),
    )
}

#[test]
fn nothing_to_do_is_done_at_once() {
    assert_eq!(outcome(play(&Script::new()).opened()).code, Code::Ok);
}

#[test]
fn line_decides_when_it_is_complete() {
    for (line, code, detail) in [
        ("+PONG\r\n", Code::Ok, ""),
        ("+PONG\n", Code::Ok, ""),
        (
            "-LOADING data\r\n",
            Code::Busy,
            r#"step 2: got "-LOADING data\r\n""#,
        ),
        (
            "-ERR what\r\n",
            Code::Content,
            r#"step 2: expected "+PONG", got "-ERR what\r\n""#,
        ),
    ] {
        let mut dialogue = play(&redis());
        assert!(matches!(dialogue.opened(), Turn::Send(said) if said == b"PING\r\n"));
        let (last, first) = line.as_bytes().split_last().unwrap();
        for byte in first {
            assert!(matches!(dialogue.data(&[*byte]), Turn::Listen), "{line:?}");
        }
        let outcome = outcome(dialogue.data(&[*last]));
        assert_eq!((outcome.code, outcome.detail.as_str()), (code, detail));
    }
}

#[test]
fn end_and_deadline_say_what_was_awaited() {
    let mut dialogue = play(&redis());
    let _ = dialogue.opened();
    assert_eq!(
        dialogue.expired().detail.as_str(),
        r#"step 2: expected "+PONG""#
    );
    let _ = dialogue.data(b"+PO");
    let late = dialogue.expired();
    assert_eq!(late.code, Code::TimeoutIo);
    assert_eq!(
        late.detail.as_str(),
        r#"step 2: expected "+PONG", got "+PO""#
    );
    let cut = outcome(dialogue.eof(true));
    assert_eq!(cut.code, Code::Content);

    let mut dialogue = play(&redis());
    let _ = dialogue.opened();
    let closed = outcome(dialogue.eof(true));
    assert_eq!(closed.code, Code::EofEarly);
    assert_eq!(
        closed.detail.as_str(),
        r#"step 2: expected "+PONG"; closed by the server"#
    );
}

#[test]
fn last_line_without_an_end_counts_when_the_server_closes() {
    let mut dialogue = play(&redis());
    let _ = dialogue.opened();
    assert!(matches!(dialogue.data(b"+PONG"), Turn::Listen));
    assert_eq!(outcome(dialogue.eof(true)).code, Code::Ok);
}

#[test]
fn several_in_a_row_are_found_in_their_order() {
    let expect = |text: &str| Expectation::new(Matcher::contains(text));
    let script = Script::new().expect(expect("one")).expect(expect("two"));
    let mut dialogue = play(&script);
    assert!(matches!(dialogue.opened(), Turn::Listen));
    assert!(matches!(dialogue.data(b"two one tw"), Turn::Listen));
    assert_eq!(outcome(dialogue.data(b"o")).code, Code::Ok);
}

#[test]
fn what_was_said_before_a_sending_is_forgotten() {
    let expect = |text: &str| Expectation::new(Matcher::contains(text));
    let script = Script::new()
        .expect(expect("hello"))
        .send("a")
        .send("b")
        .expect(expect("ok"));
    let mut dialogue = play(&script);
    let _ = dialogue.opened();
    assert!(matches!(dialogue.data(b"hello ok"), Turn::Send(said) if said == b"ab"));
    assert!(matches!(dialogue.data(b"o"), Turn::Listen));
    assert_eq!(outcome(dialogue.data(b"k")).code, Code::Ok);
}

#[test]
fn script_that_ends_with_a_sending_says_its_farewell() {
    let script = Script::new()
        .expect(Expectation::new(Matcher::prefix("220")))
        .send("QUIT\r\n");
    let mut dialogue = play(&script);
    let _ = dialogue.opened();
    let turn = dialogue.data(b"220 hi\r\n");
    assert!(
        matches!(&turn, Turn::DoneAfter(said, outcome)
            if said == b"QUIT\r\n" && outcome.code == Code::Ok),
        "{turn:?}"
    );
}

#[test]
fn negation_needs_something_to_judge() {
    let script = Script::new().expect(Expectation::new(Matcher::contains("error")).negated());
    let mut dialogue = play(&script);
    assert!(matches!(dialogue.opened(), Turn::Listen));
    assert!(
        matches!(dialogue.data(b"fine"), Turn::Listen),
        "more may come"
    );
    assert_eq!(outcome(dialogue.eof(true)).code, Code::Ok);
    let mut dialogue = play(&script);
    assert!(matches!(dialogue.data(b"an err"), Turn::Listen));
    let wrong = outcome(dialogue.data(b"or"));
    assert_eq!(wrong.code, Code::Content);
    assert_eq!(
        wrong.detail.as_str(),
        r#"step 1: expected not "error" in it, got "an error""#
    );
}

#[test]
fn fewer_bytes_than_asked_for_are_not_judged_before_the_end() {
    let negated = Expectation::new(Matcher::contains("no")).negated();
    let script = Script::new().expect(negated.with_min_bytes(4));
    let mut dialogue = play(&script);
    assert!(matches!(dialogue.data(b"yes"), Turn::Listen));
    assert_eq!(outcome(dialogue.data(b"!")).code, Code::Ok);
    let mut dialogue = play(&script);
    assert!(matches!(dialogue.data(b"yes"), Turn::Listen));
    assert_eq!(outcome(dialogue.eof(true)).code, Code::Ok);
    let wanted = Expectation::new(Matcher::contains("yes")).with_min_bytes(4);
    let script = Script::new().expect(wanted);
    let mut dialogue = play(&script);
    assert!(matches!(dialogue.data(b"yes"), Turn::Listen));
    assert_eq!(outcome(dialogue.data(b"!")).code, Code::Ok);
    let mut dialogue = play(&script);
    assert_eq!(outcome(dialogue.data(b"no, y")).code, Code::Content);
}

#[test]
fn full_buffer_decides_and_bounds_what_is_kept() {
    let never = Expectation::new(Matcher::contains("never")).with_comment("greeting");
    let script = Script::new().expect(never).with_max_buffer(10);
    let mut dialogue = play(&script);
    assert!(matches!(dialogue.data(b"123456789"), Turn::Listen));
    let wrong = outcome(dialogue.data(b"never"));
    assert_eq!(wrong.code, Code::Content);
    assert_eq!(
        wrong.detail.as_str(),
        r#"step 1: greeting: expected "never" in it, got "123456789n""#
    );
}

#[test]
fn what_one_expectation_has_no_room_for_is_left_to_the_next() {
    let expect = |text: &str| Expectation::new(Matcher::exact(text)).by_line();
    let script = Script::new()
        .expect(expect("one"))
        .expect(expect("two three"));
    let mut dialogue = play(&script.with_max_buffer(10));
    assert_eq!(outcome(dialogue.data(b"one\ntwo three\n")).code, Code::Ok);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let script = Script::new().with_max_buffer(0);
    assert_eq!(script.validate().unwrap_err().field, "max_buffer");
    let expectation = Expectation::new(Matcher::contains("x")).with_min_bytes(11);
    let script = Script::new().expect(expectation).with_max_buffer(10);
    assert_eq!(script.validate().unwrap_err().field, "min_bytes");
}

//! What is made of replies: whole, byte by byte, and cut anywhere.

use lvs_healthcheck::probe::http::{BodyMatch, DigestOf, HeaderMatch, Http, Method, StatusSet};
use lvs_healthcheck::{Code, Health, Outcome, Verdict, WeightHint};
use proptest::prelude::*;

use super::drive::{Then, attempt, hear};
use super::fuzzed;

/// One reply: to what, what is said, how it ends, and what comes out.
struct Row {
    http: Http,
    health: Health,
    reply: Vec<u8>,
    then: Then,
    code: Option<Code>,
    /// Part of the detail.
    detail: &'static str,
}

fn row(http: Http, reply: impl AsRef<[u8]>, code: Code, detail: &'static str) -> Row {
    Row {
        http,
        health: Health::Up,
        reply: reply.as_ref().to_vec(),
        then: Then::Silence,
        code: Some(code),
        detail,
    }
}

impl Row {
    fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    fn hear(&self, pieces: Vec<&[u8]>) -> Option<Outcome> {
        hear(&self.http, &attempt(self.health), pieces, self.then)
    }
}

fn get() -> Http {
    Http::get("/")
}

fn body() -> Http {
    get().with_body_contains("ok")
}

/// MD5 of `abc`.
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
/// SHA-256 of `abc`.
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn digest(text: &str) -> Http {
    get().with_digest(text.parse().unwrap())
}

fn heads() -> Vec<Row> {
    use Code::{Ok, Proto};
    let fields = |count: usize, length: usize| {
        let mut reply = b"HTTP/1.1 200 OK\r\n".to_vec();
        for at in 0..count {
            let mut field = format!("a{at}: ");
            field.push_str(&"x".repeat(length - field.len() - 2));
            reply.extend_from_slice(field.as_bytes());
            reply.extend_from_slice(b"\r\n");
        }
        reply
    };
    let ended = |mut reply: Vec<u8>| {
        reply.extend_from_slice(b"\r\n");
        reply
    };
    let line = |length: usize| format!("HTTP/1.1 200 {}\r\n", "x".repeat(length - 15));
    let interim = |count| "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n".repeat(count);
    let last = "HTTP/1.1 200 OK\r\n\r\n";
    vec![
        row(get(), last, Ok, "200 OK"),
        row(get(), "HTTP/1.1 200 OK\n\n", Ok, "200 OK"),
        row(get(), "HTTP/1.0 204\r\n\r\n", Ok, "204"),
        row(get(), "HTTP/1.9 204 \r\n\r\n", Ok, "204"),
        row(get(), format!("\r\n{last}"), Ok, "200"),
        row(get(), format!("\n{last}"), Ok, "200"),
        row(get(), "\r\n\r\n", Proto, "expected HTTP/1, got"),
        row(get(), "\rHTTP/1.1", Proto, "expected HTTP/1, got"),
        row(
            get(),
            "SSH-2.0-OpenSSH_9.2\r\n",
            Proto,
            "got \"SSH-2.0-OpenSSH_9.2\"",
        ),
        row(get(), "HTTP/2.0 200 OK\r\n", Proto, "expected HTTP/1, got"),
        row(get(), "http/1.1 200 OK\r\n", Proto, "expected HTTP/1, got"),
        row(get(), "<html>", Proto, "got \"<html>\""),
        row(get(), b"\x16\x03\x01", Proto, "got \"\\x16\\x03\\x01\""),
        row(
            get(),
            "HTTP/1.x 200 OK\r\n",
            Proto,
            "status line is \"HTTP/1.x",
        ),
        row(get(), "HTTP/1.1 20 OK\r\n", Proto, "status line"),
        row(get(), "HTTP/1.1 2000 OK\r\n", Proto, "status line"),
        row(get(), "HTTP/1.1  200 OK\r\n", Proto, "status line"),
        row(get(), "HTTP/1.1\t200 OK\r\n", Proto, "status line"),
        row(get(), "HTTP/1.1 099 OK\r\n", Proto, "status line"),
        row(get(), "HTTP/1.1 2x0 OK\r\n", Proto, "status line"),
        row(get(), "HTTP/1.1\r\n", Proto, "status line"),
        row(get(), format!("{}\r\n", line(8192)), Ok, "200 xxx"),
        row(
            get(),
            line(8193),
            Proto,
            "status line is longer than 8192 bytes",
        ),
        row(get(), ended(fields(128, 20)), Ok, ""),
        row(get(), fields(129, 20), Proto, "more than 128 header fields"),
        row(get(), ended(fields(1, 65534)), Ok, ""),
        row(
            get(),
            ended(fields(1, 65535)),
            Proto,
            "header is longer than 65536 bytes",
        ),
        row(
            get(),
            ended(fields(100, 1024)),
            Proto,
            "header is longer than 65536 bytes",
        ),
        row(
            get(),
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            Proto,
            "goes on in the next line",
        ),
        row(
            get(),
            "HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\n",
            Proto,
            "goes on in the next line",
        ),
        row(get(), "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Proto, "header: "),
        row(get(), "HTTP/1.1 200 OK\r\n: b\r\n\r\n", Proto, "header: "),
        row(get(), "HTTP/1.1 200 OK\r\nA\r\n\r\n", Proto, "header: "),
        row(get(), "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", Proto, "header: "),
        row(
            get(),
            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            Proto,
            "header: ",
        ),
        row(get(), format!("{}{last}", interim(8)), Ok, "200 OK"),
        row(
            get(),
            format!("{}{last}", interim(9)),
            Proto,
            "more than 8 interim replies",
        ),
        row(
            get(),
            format!("HTTP/1.1 103 Early Hints\r\n\r\n{last}"),
            Ok,
            "200 OK",
        ),
        row(
            get(),
            format!("{}\r\n{last}", interim(1)),
            Proto,
            "expected HTTP/1",
        ),
        row(get(), "HTTP/1.1 101 Yes\r\n\r\n", Proto, "unexpected 101"),
    ]
}

fn bodies() -> Vec<Row> {
    use Code::{Content, EofEarly, Ok, Proto};
    let with = |fields: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
    let chunked = |body: &str| with("Transfer-Encoding: chunked\r\n", body);
    let length = |length: &str, body: &str| with(&format!("Content-Length: {length}\r\n"), body);
    let wire = "3\r\nabc\r\n0\r\n\r\n";
    let head = || get().with_method(Method::Head);
    let ext = "x".repeat(4000);
    let long_ext = "x".repeat(4096);
    let trailer = |count| {
        format!(
            "0\r\n{}",
            format!("a: {}\r\n", "x".repeat(59)).repeat(count)
        )
    };
    vec![
        // Framing, RFC 9112 §6.3.
        row(body(), length("2", "ok"), Ok, "200 OK"),
        row(body(), length("2", "okHTTP/1.1 500"), Ok, ""),
        row(
            body(),
            length("0", ""),
            Content,
            "expected body to contain \"ok\", got \"\"",
        ),
        row(
            body(),
            length("3", "ok"),
            EofEarly,
            "in the body, 1 bytes short",
        )
        .then(Then::Close),
        row(body(), length("2, 2", "ok"), Ok, ""),
        row(
            body(),
            with("Content-Length: 2\r\ncontent-length: 2\r\n", "ok"),
            Ok,
            "",
        ),
        row(
            body(),
            with("Content-Length: 2\r\nContent-Length: 3\r\n", "ok"),
            Proto,
            "both 2 and 3",
        ),
        row(get(), length("2, 3", "ok"), Proto, "both 2 and 3"),
        row(
            body(),
            length("+2", "ok"),
            Proto,
            "Content-Length is \"+2\"",
        ),
        row(body(), length("", "ok"), Proto, "Content-Length is \"\""),
        row(
            body(),
            length("2x", "ok"),
            Proto,
            "Content-Length is \"2x\"",
        ),
        row(
            body(),
            length("18446744073709551616", "ok"),
            Proto,
            "Content-Length is",
        ),
        row(body(), with("", "ok"), Ok, "").then(Then::Close),
        row(body(), with("", "ok"), EofEarly, "cut off in the body").then(Then::CutOff),
        row(body(), length("2", "ok"), Ok, "").then(Then::CutOff),
        row(get(), with("", "ok"), Ok, "").then(Then::CutOff),
        row(body(), with("Transfer-Encoding: gzip\r\n", "ok"), Ok, "").then(Then::Close),
        row(head(), length("2", ""), Ok, "200 OK"),
        row(
            body().with_status(StatusSet::ALL),
            "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n",
            Content,
            "got \"\"",
        ),
        row(
            body().with_status(StatusSet::ALL),
            "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n",
            Content,
            "got \"\"",
        ),
        row(
            get(),
            "",
            EofEarly,
            "closed by the server in the status line",
        )
        .then(Then::Close),
        row(get(), "HTTP/1.1 20", EofEarly, "in the status line").then(Then::Close),
        row(
            get(),
            "HTTP/1.1 200 OK\r\nA: b\r\n",
            EofEarly,
            "in the header",
        )
        .then(Then::Close),
        row(
            get(),
            "HTTP/1.1 200 OK\r\nA: b\r\n",
            EofEarly,
            "cut off in the header",
        )
        .then(Then::CutOff),
        // Chunks, RFC 9112 §7.1.
        row(body(), chunked("1\r\no\r\n1\r\nk\r\n0\r\n\r\n"), Ok, ""),
        row(body(), chunked("2\nok\n0\n\n"), Ok, ""),
        row(
            body(),
            chunked("2;a=b\r\nok\r\n0\r\nT: x\r\nU: y\r\n\r\n"),
            Ok,
            "",
        ),
        row(body(), chunked("000002 \r\nok\r\n0\r\n\r\n"), Ok, ""),
        row(
            body(),
            with(
                "Content-Length: 1\r\nTransfer-Encoding: gzip, Chunked\r\n",
                "2\r\nok\r\n0\r\n\r\n",
            ),
            Ok,
            "",
        ),
        row(body(), chunked(""), EofEarly, "in the body").then(Then::Close),
        row(body(), chunked("2\r\nok\r\n0\r\n"), EofEarly, "in the body").then(Then::Close),
        row(
            body(),
            chunked("\r\n"),
            Proto,
            "chunk size begins with \"\\r\"",
        ),
        row(body(), chunked("x"), Proto, "chunk size begins with \"x\""),
        row(
            body(),
            chunked("-1\r\n"),
            Proto,
            "chunk size begins with \"-\"",
        ),
        row(
            body(),
            chunked("2x\r\n"),
            Proto,
            "chunk size contains \"x\"",
        ),
        row(
            body(),
            chunked("10000000000000000\r\n"),
            Proto,
            "beyond 64 bits",
        ),
        row(
            body(),
            chunked("2\r\nokk"),
            Proto,
            "chunk is longer than its size",
        ),
        row(
            body(),
            chunked("2\r\nok\rk"),
            Proto,
            "chunk is longer than its size",
        ),
        row(
            body(),
            chunked(&format!("2;{ext}\r\nok\r\n0\r\n\r\n")),
            Ok,
            "",
        ),
        row(
            body(),
            chunked(&format!("2;{long_ext}")),
            Proto,
            "longer than 4096 bytes",
        ),
        row(
            get().with_body_match(BodyMatch::contains("x").negated()),
            chunked(&format!("{}\r\n", trailer(1023))),
            Ok,
            "",
        ),
        row(
            body(),
            chunked(&trailer(1025)),
            Proto,
            "trailer is longer than 65536 bytes",
        ),
        // Digests.
        row(digest(MD5), length("3", "abc"), Ok, ""),
        row(digest(SHA256), length("3", "abc"), Ok, ""),
        row(digest(SHA256), chunked(wire), Ok, ""),
        row(
            get().with_digest(
                MD5.parse::<lvs_healthcheck::probe::http::Digest>()
                    .unwrap()
                    .over(DigestOf::Decoded),
            ),
            chunked(wire),
            Ok,
            "",
        ),
        row(
            digest(MD5),
            chunked(wire),
            Content,
            "got md5:8ce1d49e976186b949500395e2825116 of 13 bytes",
        ),
        row(
            digest(MD5),
            length("2", "ab"),
            Content,
            "expected md5:900150983cd24fb0d6963f7d28e17f72, got md5:187ef4436122d1cc2f40dc2b92f0eba0 of 2 bytes",
        ),
        // The limit of a body.
        row(digest(MD5).with_max_body(3), length("3", "abc"), Ok, ""),
        row(
            digest(MD5).with_max_body(2),
            length("3", "abc"),
            Content,
            "got a body of over 2 bytes",
        ),
        row(body().with_max_body(4), with("", "xxok and more"), Ok, ""),
        row(
            body().with_max_body(3),
            with("", "xxok and more"),
            Content,
            "got \"xxo\"",
        ),
    ]
}

fn judgements() -> Vec<Row> {
    use Code::{Busy, Content, Ok, OkNoNew, Status};
    let reply = |status: &str| {
        format!("HTTP/1.1 {status}\r\nX-List: a, b\r\nX-List: c d\r\nX-Empty:\r\n\r\n")
    };
    let field = |wanted: HeaderMatch| get().with_reply_header(wanted);
    let list = || HeaderMatch::present("x-list");
    let drain = || get().with_drain("404,503".parse().unwrap());
    let down = |row| Row {
        health: Health::Down,
        ..row
    };
    vec![
        row(
            get(),
            reply("503 Busy\x07"),
            Status,
            "expected status 200-299, got 503 Busy",
        ),
        row(get(), reply("199 x"), Code::EofEarly, "").then(Then::Close),
        row(get(), reply("300 x"), Status, "got 300 x"),
        row(get(), reply("302 x"), Status, "got 302 x"),
        row(get(), reply("600 x"), Status, "got 600 x"),
        row(get(), reply("999"), Status, "got 999"),
        row(Http::haproxy(), reply("302 x"), Ok, "302 x"),
        row(
            Http::haproxy(),
            reply("400 x"),
            Status,
            "expected status 200-399, got 400 x",
        ),
        row(field(list()), reply("200"), Ok, ""),
        row(field(list().is("c d")), reply("200"), Ok, ""),
        row(
            field(list().is("b")),
            reply("200"),
            Content,
            "expected header x-list to be \"b\", got \"a, b\"",
        ),
        row(field(list().is("b").in_list()), reply("200"), Ok, ""),
        row(field(list().contains(", b")), reply("200"), Ok, ""),
        row(
            field(list().contains(", b").in_list()),
            reply("200"),
            Content,
            "to contain \", b\"",
        ),
        row(
            field(list().negated()),
            reply("200"),
            Content,
            "expected header x-list not to be present, got \"a, b\"",
        ),
        row(
            field(HeaderMatch::present("x-empty").is("")),
            reply("200"),
            Ok,
            "",
        ),
        row(
            field(HeaderMatch::present("x-none")),
            reply("200"),
            Content,
            "expected header x-none to be present, got none",
        ),
        row(
            field(HeaderMatch::present("x-none").negated()),
            reply("200"),
            Ok,
            "",
        ),
        row(drain(), reply("404 Gone"), OkNoNew, "404 Gone"),
        row(drain(), reply("503 Wait"), Busy, "503 Wait"),
        down(row(
            drain(),
            reply("404 Gone"),
            Status,
            "expected status 200-299, got 404 Gone",
        )),
        down(row(
            drain(),
            reply("503 Wait"),
            Busy,
            "expected status 200-299, got 503 Wait",
        )),
        row(
            get().with_body_match(BodyMatch::contains("ok").negated()),
            "HTTP/1.0 200\r\n\r\nnot ok",
            Content,
            "expected body not to contain \"ok\", got \"not ok\"",
        )
        .then(Then::Close),
    ]
}

/// What keepalived makes of replies.
fn compatible() -> Vec<Row> {
    use Code::{Content, Ok, Status};
    let url = || Http::keepalived("/");
    let md5 = |text: &str| url().with_digest(text.parse().unwrap());
    let with = |fields: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
    vec![
        row(url(), with("Content-Length: 3\r\n", "abc"), Ok, "200 OK").then(Then::Close),
        Row {
            code: None,
            ..row(url(), with("Content-Length: 3\r\n", "abc"), Ok, "")
        },
        row(
            url(),
            with("Content-Length: 9\r\n", "abc"),
            Ok,
            "6 bytes less than Content-Length",
        )
        .then(Then::Close),
        // Recorded from genhash of keepalived 2.2.7: only what Content-Length covers.
        row(md5(MD5), with("Content-Length: 3\r\n", "abc\n"), Ok, "").then(Then::Close),
        row(
            md5("md5:8ce1d49e976186b949500395e2825116"),
            with("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
            Ok,
            "",
        )
        .then(Then::Close),
        row(md5(MD5), with("", "ab"), Content, "expected md5:").then(Then::Close),
        row(url(), "HTTP/1.0 302 x\r\n\r\n", Status, "got 302"),
    ]
}

fn rows() -> Vec<Row> {
    let mut rows = heads();
    rows.extend(bodies());
    rows.extend(judgements());
    rows.extend(compatible());
    rows
}

fn facts(outcome: Option<&Outcome>) -> Option<(Verdict, Code, Option<WeightHint>)> {
    outcome.map(|outcome| (outcome.verdict, outcome.code, outcome.weight))
}

#[test]
fn every_rule_in_whole_replies_and_byte_by_byte() {
    for row in rows() {
        let shown = row.reply.get(..200).unwrap_or(&row.reply).escape_ascii();
        let whole = row.hear(vec![&row.reply]);
        assert_eq!(
            whole.as_ref().map(|outcome| outcome.code),
            row.code,
            "{shown}: {whole:?}"
        );
        if let Some(outcome) = &whole {
            let detail = outcome.detail.as_str();
            assert!(detail.contains(row.detail), "{shown}: {detail}");
        }
        let bytes = row.hear(row.reply.chunks(1).collect());
        assert_eq!(facts(whole.as_ref()), facts(bytes.as_ref()), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn cuts_make_no_difference(cuts in proptest::collection::vec(1_usize..300, 1..40)) {
        for row in rows() {
            let whole = row.hear(vec![&row.reply]);
            let mut pieces = Vec::new();
            let mut rest = row.reply.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.len() <= *cut {
                    break;
                }
                let (piece, others) = rest.split_at(*cut);
                pieces.push(piece);
                rest = others;
            }
            pieces.push(rest);
            let cut = row.hear(pieces);
            prop_assert_eq!(facts(whole.as_ref()), facts(cut.as_ref()));
        }
    }

    /// What the fuzz target does, from every reply above with some bytes changed.
    #[test]
    fn replies_that_are_nearly_right_are_judged_however_they_are_cut(
        kind in any::<u8>(),
        cuts in any::<u8>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for row in rows() {
            let mut data = vec![kind, cuts];
            data.extend_from_slice(&row.reply);
            for (at, byte) in &changes {
                let at = at.index(data.len());
                data[at] = *byte;
            }
            fuzzed::check(&data);
        }
    }
}

#[test]
fn failure_that_does_not_wait_for_others() {
    let ask = |http: &Http, reply: &str| {
        hear(
            http,
            &attempt(Health::Up),
            [reply.as_bytes()],
            Then::Silence,
        )
        .unwrap()
    };
    let http = get().with_fail_now("500-502".parse().unwrap());
    assert_eq!(
        ask(&http, "HTTP/1.1 501 x\r\n\r\n").verdict,
        Verdict::FailNow
    );
    assert_eq!(ask(&http, "HTTP/1.1 503 x\r\n\r\n").verdict, Verdict::Fail);
    let expected = http.with_status(StatusSet::ALL);
    assert_eq!(
        ask(&expected, "HTTP/1.1 501 x\r\n\r\n").verdict,
        Verdict::Pass
    );

    let reply = "HTTP/1.1 200 OK\r\nx-envoy-immediate-health-check-fail: true\r\n\r\n";
    assert_eq!(
        ask(&get(), reply).verdict,
        Verdict::Pass,
        "only if asked for"
    );
    let outcome = ask(&get().with_immediate_fail(), reply);
    assert_eq!(
        (outcome.verdict, outcome.code),
        (Verdict::FailNow, Code::Status)
    );
}

#[test]
fn weight_comes_from_the_header_if_asked_for() {
    let ask = |http: &Http, weight: &str| {
        let reply = format!("HTTP/1.1 200 OK\r\nX-Server-Weight: {weight}\r\n\r\n");
        let outcome = hear(
            http,
            &attempt(Health::Up),
            [reply.as_bytes()],
            Then::Silence,
        )
        .unwrap();
        assert_eq!(outcome.verdict, Verdict::Pass);
        (outcome.weight, outcome.detail.as_str().to_owned())
    };
    assert_eq!(ask(&get(), "7").0, None);
    let http = get().with_weight_header();
    for (text, weight) in [
        ("7", WeightHint::Absolute(7)),
        (" 50% ", WeightHint::Percent(50)),
        ("+3", WeightHint::Delta(3)),
        ("-3", WeightHint::Delta(-3)),
        ("0%", WeightHint::Percent(0)),
    ] {
        assert_eq!(ask(&http, text), (Some(weight), "200 OK".to_owned()));
    }
    for text in [
        "",
        "%",
        "+",
        "-",
        "+-3",
        "7 %",
        "4294967296",
        "x",
        "+5%",
        "--1",
    ] {
        let (weight, detail) = ask(&http, text);
        assert_eq!(weight, None, "{text}");
        assert_eq!(detail, format!("200 OK; X-Server-Weight is \"{text}\""));
    }
}

#[cfg(feature = "regex")]
#[test]
fn patterns_look_at_body_and_header() {
    use lvs_healthcheck::probe::Pattern;
    let pattern = |text| Pattern::new(text).unwrap();
    let reply = b"HTTP/1.1 200 OK\r\nX-Node: web-17\r\nContent-Length: 12\r\n\r\nstatus: fine";
    let ask = |http: Http| {
        let outcome = hear(&http, &attempt(Health::Up), [&reply[..]], Then::Silence).unwrap();
        (outcome.code, outcome.detail.as_str().to_owned())
    };
    let matches = BodyMatch::matches(pattern("status: (ok|fine)$"));
    assert_eq!(ask(get().with_body_match(matches.clone())).0, Code::Ok);
    let (code, detail) = ask(get().with_body_match(matches.negated()));
    assert_eq!(code, Code::Content);
    let expected = "expected body not to match /status: (ok|fine)$/, got \"status: fine\"";
    assert_eq!(detail, expected);
    let late = BodyMatch::matches(pattern("fine").with_max_offset(7));
    assert_eq!(ask(get().with_body_match(late)).0, Code::Content);
    let node = HeaderMatch::present("x-node");
    let fits = node.clone().matches(pattern(r"^web-\d+$"));
    assert_eq!(ask(get().with_reply_header(fits)).0, Code::Ok);
    let (code, detail) = ask(get().with_reply_header(node.matches(pattern("^db"))));
    assert_eq!(code, Code::Content);
    assert_eq!(
        detail,
        "expected header x-node to match /^db/, got \"web-17\""
    );
}

//! Several requests in one attempt, redirects, and one request per attempt.

use core::time::Duration;
use std::collections::VecDeque;

use lvs_healthcheck::policy::{Keepalived, KeepalivedChecker, Machine};
use lvs_healthcheck::probe::http::{Http, HttpSequence, Method, Redirects, StatusSet, Version};
use lvs_healthcheck::probe::{Protocol, Turn};
use lvs_healthcheck::{Code, Health, Outcome, Policy, Verdict};

use super::drive::{attempt, talk};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// First lines, and where another connection was wanted.
fn lines(said: &[String]) -> Vec<&str> {
    said.iter()
        .map(|said| said.lines().next().unwrap())
        .collect()
}

/// Holds a dialogue in which these replies come one after the other.
fn converse(protocol: &impl Protocol, replies: &[&str]) -> (Vec<String>, Outcome) {
    let mut dialogue = protocol.dialogue(&attempt(Health::Up));
    let mut replies: VecDeque<_> = replies.iter().collect();
    let talked = talk(&mut *dialogue, |_| {
        let reply = replies.pop_front().unwrap();
        (!reply.is_empty()).then(|| reply.as_bytes().to_vec())
    });
    assert!(replies.is_empty(), "{talked:?}");
    talked
}

#[test]
fn another_name_for_tls_takes_another_connection() {
    let named = |names: [&str; 3]| {
        HttpSequence::new(names.map(|name| Http::get("/").with_server_name(name)))
    };
    let (said, outcome) = converse(&named(["a", "a", "b"]), &[OK, OK, OK]);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let get = "GET / HTTP/1.1";
    assert_eq!(lines(&said), [get, get, "reopened", get]);

    // What the connection is opened with follows.
    let sequence = named(["a", "b", "b"]);
    let mut dialogue = sequence.dialogue(&attempt(Health::Up));
    assert_eq!(dialogue.server_name(), Some("a"));
    let _ = dialogue.opened();
    assert!(matches!(dialogue.data(OK.as_bytes()), Turn::Reopen));
    assert_eq!(dialogue.server_name(), Some("b"));
}

fn pair() -> HttpSequence {
    HttpSequence::new([Http::get("/a"), Http::get("/b").with_body_contains("ok")])
}

#[test]
fn several_share_a_connection_of_1_1() {
    let (said, outcome) = converse(&pair(), &[OK, OK]);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    assert_eq!(lines(&said), ["GET /a HTTP/1.1", "GET /b HTTP/1.1"]);
    assert!(!said[0].contains("Connection"), "{}", said[0]);
    assert!(said[1].contains("Connection: close"), "{}", said[1]);
}

#[test]
fn another_connection_is_opened_where_the_first_cannot_be_used() {
    let replies = [
        // Says so; older; framed by its end; larger than what is worth reading; more than asked for.
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\n\r\nok".to_owned(),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{}",
            "x".repeat(66_000)
        ),
        format!("{OK}more"),
    ];
    for first in replies {
        let (said, outcome) = converse(&pair(), &[&first, OK]);
        assert_eq!(outcome.code, Code::Ok, "{outcome}");
        assert_eq!(
            lines(&said),
            ["GET /a HTTP/1.1", "reopened", "GET /b HTTP/1.1"]
        );
    }
    let kept = "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok";
    let (said, _) = converse(&pair(), &[kept, OK]);
    assert_eq!(lines(&said), ["GET /a HTTP/1.1", "GET /b HTTP/1.1"]);

    let old =
        HttpSequence::new(["/a", "/b"].map(|path| Http::get(path).with_version(Version::Http10)));
    let (said, _) = converse(&old, &[OK, OK]);
    assert_eq!(
        lines(&said),
        ["GET /a HTTP/1.0", "reopened", "GET /b HTTP/1.0"]
    );
}

#[test]
fn connection_that_ends_between_two_requests_is_opened_again_once() {
    let (said, outcome) = converse(&pair(), &[OK, "", OK]);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let again = [
        "GET /a HTTP/1.1",
        "GET /b HTTP/1.1",
        "reopened",
        "GET /b HTTP/1.1",
    ];
    assert_eq!(lines(&said), again);
    let (_, outcome) = converse(&pair(), &[OK, "", ""]);
    assert_eq!(outcome.code, Code::EofEarly);
    let (_, outcome) = converse(&pair(), &[""]);
    assert_eq!(outcome.code, Code::EofEarly, "a fresh connection is not");
}

#[test]
fn first_failure_ends_the_attempt_and_hints_of_any_reply_count() {
    let (said, outcome) = converse(&pair(), &["HTTP/1.1 500 No\r\n\r\n"]);
    assert_eq!((outcome.code, said.len()), (Code::Status, 1));
    let (_, outcome) = converse(&pair(), &[OK, "HTTP/1.1 200 OK\r\n\r\nbad"]);
    assert_eq!(outcome.code, Code::Content);

    let hints = HttpSequence::new([
        Http::get("/a").with_drain("404".parse().unwrap()),
        Http::get("/b").with_weight_header(),
    ]);
    let first = "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n";
    let second = "HTTP/1.1 200 OK\r\nX-Server-Weight: 5\r\n\r\n";
    let (_, outcome) = converse(&hints, &[first, second]);
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::OkNoNew, Verdict::PassNoNew)
    );
    assert_eq!(outcome.weight.unwrap().to_string(), "5");
}

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 3\r\n\r\nxyz")
}

#[test]
fn redirects_are_judged_unless_followed() {
    let (_, outcome) = converse(&Http::get("/a"), &[&to("/b")]);
    assert_eq!(outcome.code, Code::Status);
    let follow = Http::get("/a/b")
        .with_host("www.example")
        .with_body_contains("ok")
        .with_redirects(Redirects::FOLLOW);
    let (said, outcome) = converse(&follow, &[&to("c?d"), &to("http://WWW.example:80/e"), OK]);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let followed = [
        "GET /a/b HTTP/1.1",
        "GET /a/c?d HTTP/1.1",
        "GET /e HTTP/1.1",
    ];
    assert_eq!(lines(&said), followed);
    assert!(
        said.iter()
            .all(|said| said.contains("Host: www.example\r\n"))
    );
}

#[test]
fn redirects_to_elsewhere_are_not_followed() {
    let follow = Http::get("/")
        .with_host("www.example")
        .with_redirects(Redirects::FOLLOW);
    let head = "expected status 200-299, got 302 Found";
    for (reply, remark) in [
        (
            to("http://other.example/"),
            " to http://other.example/, another host",
        ),
        (
            to("//www.example:81/"),
            " to //www.example:81/, another host",
        ),
        (
            to("https://www.example/"),
            " to https://www.example/, which cannot be followed",
        ),
        (to("/a b"), " to /a b, which cannot be followed"),
        ("HTTP/1.1 302 Found\r\n\r\n".to_owned(), " without Location"),
    ] {
        let (_, outcome) = converse(&follow, &[&reply]);
        assert_eq!(outcome.code, Code::Status);
        assert_eq!(outcome.detail.as_str(), format!("{head}{remark}"));
    }
    let replies: Vec<String> = (1..=4).map(|at| to(&format!("/{at}"))).collect();
    let replies: Vec<&str> = replies.iter().map(String::as_str).collect();
    let (_, outcome) = converse(&follow, &replies);
    assert_eq!(
        outcome.detail.as_str(),
        format!("{head} to /4 after 3 redirects")
    );
    // What is not followed may still be what is expected.
    let either = follow.with_status(StatusSet::SUCCESS_OR_REDIRECT);
    let (_, outcome) = converse(&either, &[&to("https://www.example/")]);
    assert_eq!(outcome.code, Code::Ok);
}

#[test]
fn other_host_is_asked_for_at_the_same_server_if_allowed() {
    let follow = Http::get("/").with_redirects(Redirects::Follow {
        max: 1,
        same_host: false,
    });
    let (said, outcome) = converse(&follow, &[&to("http://other.example/x"), OK]);
    assert_eq!(outcome.code, Code::Ok);
    assert!(
        said[1].starts_with("GET /x HTTP/1.1\r\nHost: other.example\r\n"),
        "{}",
        said[1]
    );
}

#[test]
fn method_of_a_redirected_request_is_that_of_the_rfc() {
    let ask = |method, status| {
        let http = Http::get("/")
            .with_method(method)
            .with_body("data")
            .with_redirects(Redirects::FOLLOW);
        let reply = format!("HTTP/1.1 {status} x\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
        let (said, outcome) = converse(&http, &[&reply, OK]);
        assert_eq!(outcome.code, Code::Ok);
        said[1].clone()
    };
    for status in [301, 302, 303] {
        let second = ask(Method::Post, status);
        assert!(
            second.starts_with("GET /x ") && !second.ends_with("data"),
            "{second}"
        );
    }
    for status in [307, 308] {
        let second = ask(Method::Post, status);
        assert!(
            second.starts_with("POST /x ") && second.ends_with("data"),
            "{second}"
        );
    }
    assert!(ask(Method::Head, 303).starts_with("HEAD /x "));
    assert!(ask(Method::Options, 302).starts_with("OPTIONS /x "));
}

/// Attempts of one check, one after the other: what was asked, and how it went.
struct Course {
    sequence: HttpSequence,
    machine: Machine,
}

impl Course {
    fn new(sequence: HttpSequence, policy: Policy) -> Self {
        Self {
            sequence,
            machine: Machine::new(policy).unwrap(),
        }
    }

    /// One attempt; the paths asked for, and the outcome's verdict.
    fn attempt(&mut self, good: impl Fn(&str) -> bool) -> (String, Verdict) {
        let mut dialogue = self.sequence.dialogue(&attempt(self.machine.health()));
        let (said, outcome) = talk(&mut *dialogue, |request| {
            let status = if good(request) { "200 OK" } else { "500 No" };
            Some(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes())
        });
        let outcome = self.sequence.judge(outcome);
        let _ = self.machine.on_outcome(&outcome);
        let paths = said
            .iter()
            .filter_map(|said| said.split(' ').nth(1)?.strip_prefix('/'))
            .collect();
        (paths, outcome.verdict)
    }
}

/// Recorded from keepalived 2.2.7 with two URLs, `retry 1`: `/a` was refused for want of a server,
/// then the server answered as told. The third column is what keepalived made of the real server.
#[test]
fn order_of_urls_is_that_of_keepalived() {
    let recorded = [
        // Asked, answered well, up afterwards.
        ("a", true, false),
        ("a", true, false),
        ("b", true, true),
        ("a", false, true),
        ("a", false, false),
        ("a", false, false),
        ("a", true, false),
        ("a", true, false),
        ("b", true, true),
        ("a", false, true),
        ("a", true, true),
        ("b", true, true),
        ("a", true, true),
        ("b", true, true),
    ];
    let mut knobs = Keepalived::new();
    knobs.retry = Some(1);
    knobs.delay_loop = Some(Duration::from_secs(1));
    let policy = Policy::keepalived(KeepalivedChecker::Http, &knobs);
    let urls =
        HttpSequence::new([Http::keepalived("/a"), Http::keepalived("/b")]).one_per_attempt();
    let mut course = Course::new(urls, policy);
    let (asked, verdict) = course.attempt(|_| false);
    assert_eq!((asked.as_str(), verdict), ("a", Verdict::Fail));
    for (at, (path, good, up)) in recorded.into_iter().enumerate() {
        let (asked, _) = course.attempt(|_| good);
        assert_eq!(asked, path, "attempt {at}");
        assert_eq!(course.machine.health() == Health::Up, up, "attempt {at}");
    }
}

#[test]
fn check_is_up_when_all_have_passed_one_by_one() {
    let urls = HttpSequence::new(["/a", "/b", "/c"].map(Http::get)).one_per_attempt();
    let mut course = Course::new(urls, Policy::default());
    let neutral = |path: &str| (path.to_owned(), Verdict::Neutral);
    assert_eq!(course.attempt(|_| true), neutral("a"));
    assert_eq!(course.attempt(|_| true), neutral("b"));
    assert_eq!(course.machine.health(), Health::Unknown);
    assert_eq!(course.attempt(|_| true), ("c".to_owned(), Verdict::Pass));
    assert_eq!(course.attempt(|_| true), ("a".to_owned(), Verdict::Pass));
    assert_eq!(course.machine.health(), Health::Up);
    // A clone knows nothing of that.
    let mut other = Course::new(course.sequence.clone(), Policy::default());
    assert_eq!(other.attempt(|_| true), neutral("a"));
    assert_eq!(course.attempt(|_| true).0, "b");
}

#[test]
fn fast_recovery_asks_for_all_once_the_failed_one_passes() {
    let urls = HttpSequence::new(["/a", "/b"].map(Http::get))
        .one_per_attempt()
        .with_fast_recovery();
    let mut course = Course::new(urls, Policy::default().with_fall(1).with_rise(1));
    course.attempt(|_| true);
    course.attempt(|_| true);
    assert_eq!(course.attempt(|_| true).0, "a");
    assert_eq!(course.attempt(|_| false), ("b".to_owned(), Verdict::Fail));
    assert_eq!(course.machine.health(), Health::Down);
    assert_eq!(course.attempt(|_| false), ("b".to_owned(), Verdict::Fail));
    let bad_a = |request: &str| !request.starts_with("GET /a");
    assert_eq!(course.attempt(bad_a), ("ba".to_owned(), Verdict::Fail));
    assert_eq!(course.attempt(|_| true), ("bab".to_owned(), Verdict::Pass));
    assert_eq!(course.machine.health(), Health::Up);
    assert_eq!(course.attempt(|_| true).0, "a");
}

#[test]
fn what_says_nothing_leaves_the_turn_as_it_is() {
    let urls = HttpSequence::new(["/a", "/b"].map(Http::get)).one_per_attempt();
    let first = |urls: &HttpSequence| match urls.dialogue(&attempt(Health::Up)).opened() {
        Turn::Send(bytes) => String::from_utf8(bytes).unwrap()[..6].to_owned(),
        other => panic!("unexpected {other:?}"),
    };
    assert_eq!(first(&urls), "GET /a");
    let local = Outcome::new(Code::LocalSocket, lvs_healthcheck::Phase::Bind);
    assert_eq!(urls.judge(local.clone()), local);
    assert_eq!(first(&urls), "GET /a");
    let refused = Outcome::new(Code::Refused, lvs_healthcheck::Phase::Connect);
    let _ = urls.judge(refused);
    assert_eq!(first(&urls), "GET /a");
    let _ = urls.judge(Outcome::new(Code::Ok, lvs_healthcheck::Phase::Match));
    assert_eq!(first(&urls), "GET /b");
}

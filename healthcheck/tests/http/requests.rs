//! The bytes of requests, and what is refused before any is sent.

use lvs_healthcheck::Health;
#[cfg(feature = "regex")]
use lvs_healthcheck::probe::Pattern;
use lvs_healthcheck::probe::Protocol;
use lvs_healthcheck::probe::http::{
    BodyMatch, HeaderMatch, Http, HttpSequence, Method, Redirects, StatusSet, Version,
};

use super::drive::{attempt, request};

/// Of a check that is up.
fn written(http: &Http) -> String {
    request(http, &attempt(Health::Up))
}

#[test]
fn own_requests() {
    let agent = concat!("lvs-healthcheck/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        written(&Http::get("/health?full")),
        format!(
            "GET /health?full HTTP/1.1\r\nHost: 192.0.2.7:8080\r\nUser-Agent: {agent}\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n"
        )
    );
    let post = Http::get("/")
        .with_method(Method::Post)
        .with_host("www.example")
        .with_header("user-agent", "mine")
        .with_header("X-Token", "ä b")
        .with_state_header()
        .with_body("hello");
    let expected = "POST / HTTP/1.1\r\nHost: www.example\r\nAccept: */*\r\nConnection: close\r\n\
                    user-agent: mine\r\nX-Token: ä b\r\nX-Haproxy-Server-State: UP\r\n\
                    Content-Length: 5\r\n\r\nhello";
    assert_eq!(written(&post), expected);
    let down = request(&post, &attempt(Health::Down));
    assert_eq!(down, expected.replace("UP", "DOWN"));
    assert!(written(&Http::get("/").with_version(Version::Http10)).ends_with("*/*\r\n\r\n"));
}

/// Recorded from keepalived 2.2.7: a `HTTP_GET` with and without `virtualhost`, and genhash with
/// `-P 1.1` and `-P 1.0c -V www.example`.
#[test]
fn requests_of_keepalived() {
    let url = Http::keepalived("/a?b");
    assert_eq!(
        written(&url),
        "GET /a?b HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 192.0.2.7:8080\r\n\r\n"
    );
    assert_eq!(
        written(&url.clone().with_host("www.example")),
        "GET /a?b HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: www.example\r\n\r\n"
    );
    assert_eq!(
        written(&url.clone().with_version("1.1".parse().unwrap())),
        "GET /a?b HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n\
         Host: 192.0.2.7:8080\r\n\r\n"
    );
    let url = url
        .with_version("1.0C".parse().unwrap())
        .with_host("www.example");
    assert_eq!(
        written(&url),
        "GET /a?b HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n\
         Host: www.example\r\n\r\n"
    );
}

/// Recorded from HAProxy 2.6.12, which writes the names of fields in small letters and more after
/// the state: `option httpchk`; `http-check send meth GET uri /x ver HTTP/1.1 hdr Host www hdr X-A
/// b`; `http-check send meth POST uri /x body hello` with `http-check send-state`; `option httpchk
/// HEAD /y HTTP/1.1`.
#[test]
fn requests_of_haproxy() {
    let check = Http::haproxy();
    assert_eq!(written(&check), "OPTIONS / HTTP/1.0\r\n\r\n");
    let same = |http: Http, recorded: &str| {
        let sorted = |text: &str| {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let (first, fields) = head.split_once("\r\n").unwrap();
            let mut fields: Vec<_> = fields.split("\r\n").map(str::to_lowercase).collect();
            fields.sort();
            (first.to_owned(), fields, body.to_owned())
        };
        assert_eq!(sorted(&written(&http)), sorted(recorded));
    };
    same(
        check
            .clone()
            .with_method(Method::Get)
            .with_path("/x")
            .with_version(Version::Http11)
            .with_host("www")
            .with_header("X-A", "b"),
        "GET /x HTTP/1.1\r\nhost: www\r\nx-a: b\r\nconnection: close\r\n\r\n",
    );
    same(
        check
            .clone()
            .with_method(Method::Post)
            .with_path("/x")
            .with_body("hello")
            .with_state_header(),
        "POST /x HTTP/1.0\r\nx-haproxy-server-state: UP\r\ncontent-length: 5\r\n\r\nhello",
    );
    same(
        check
            .with_method(Method::Head)
            .with_path("/y")
            .with_version(Version::Http11),
        "HEAD /y HTTP/1.1\r\nconnection: close\r\n\r\n",
    );
}

#[test]
fn host_is_the_address_unless_named() {
    let host = |http: &Http, server: &str, tls| {
        let attempt = attempt(Health::Up).with_server(server.parse().unwrap(), tls);
        let request = request(http, &attempt);
        let line = request.lines().find(|line| line.starts_with("Host"));
        line.map(|line| line["Host: ".len()..].to_owned())
    };
    let own = Http::get("/");
    for (server, tls, expected) in [
        ("192.0.2.7:80", false, "192.0.2.7"),
        ("192.0.2.7:80", true, "192.0.2.7:80"),
        ("192.0.2.7:443", true, "192.0.2.7"),
        ("192.0.2.7:443", false, "192.0.2.7:443"),
        ("[2001:db8::7]:80", false, "[2001:db8::7]"),
        ("[2001:db8::7]:81", false, "[2001:db8::7]:81"),
        ("[fe80::7%3]:81", false, "[fe80::7]:81"),
    ] {
        assert_eq!(
            host(&own, server, tls).as_deref(),
            Some(expected),
            "{server} {tls}"
        );
    }
    let compatible = Http::keepalived("/");
    let with_port = host(&compatible, "192.0.2.7:80", false);
    assert_eq!(with_port.as_deref(), Some("192.0.2.7:80"));
    let with_port = host(&compatible, "[2001:db8::7]:80", false);
    assert_eq!(with_port.as_deref(), Some("[2001:db8::7]:80"));
    assert_eq!(
        host(&own.clone().without_host(), "192.0.2.7:80", false),
        None
    );
    assert_eq!(own.host(), None);
    assert_eq!(own.with_host("www").host(), Some("www"));
}

#[test]
fn what_cannot_be_sent_or_fulfilled_is_refused_by_name() {
    let get = || Http::get("/");
    for (http, field) in [
        (Http::get("/a\r\nX: y"), "path"),
        (Http::get("/a\0"), "path"),
        (Http::get("/a b"), "path"),
        (Http::get("a"), "path"),
        (Http::get(""), "path"),
        (Http::get("*"), "path"),
        (get().with_host("www\r\n"), "host"),
        (get().with_host("w w"), "host"),
        (get().with_host("w\0"), "host"),
        (get().with_header("X\r\n", "y"), "header"),
        (get().with_header("", "y"), "header"),
        (get().with_header("X Y", "y"), "header"),
        (get().with_header("X", "y\n"), "header"),
        (get().with_header("X", "y\0"), "header"),
        (get().with_header("host", "www"), "header"),
        (get().with_header("Content-length", "7"), "header"),
        (get().with_header("Transfer-Encoding", "chunked"), "header"),
        (get().with_header("Connection", "close"), "header"),
        (get().with_status(StatusSet::EMPTY), "status"),
        (get().with_body_contains(""), "contains"),
        (
            get().with_reply_header(HeaderMatch::present("X:")),
            "reply_header",
        ),
        (
            get().with_method(Method::Head).with_body_contains("a"),
            "method",
        ),
        (get().with_max_body(0), "max_body"),
        (
            get().with_redirects(Redirects::Follow {
                max: 0,
                same_host: true,
            }),
            "redirects",
        ),
        (
            get().with_redirects(Redirects::Follow {
                max: 21,
                same_host: true,
            }),
            "redirects",
        ),
    ] {
        let invalid = http.validate().unwrap_err();
        assert_eq!(invalid.field, field, "{http:?}");
        let sequence = HttpSequence::new([get(), http]);
        assert_eq!(sequence.validate(), Err(invalid));
    }
    assert_eq!(
        HttpSequence::new([]).validate().unwrap_err().field,
        "requests"
    );
    assert!("2".parse::<Version>().is_err());
    let fine = Http::get("*")
        .with_method(Method::Options)
        .with_header("Accept", "text/plain")
        .with_body_match(BodyMatch::contains("bad").negated())
        .with_redirects(Redirects::FOLLOW);
    assert_eq!(fine.validate(), Ok(()));
    #[cfg(feature = "regex")]
    {
        let pattern = Pattern::new("a")
            .unwrap()
            .with_min_offset(2)
            .with_max_offset(1);
        let odd = get().with_body_match(BodyMatch::matches(pattern));
        assert_eq!(odd.validate().unwrap_err().field, "offset");
    }
}

#[test]
fn name_for_tls_is_the_host_unless_that_is_an_address() {
    for (host, name) in [
        ("www.example", Some("www.example")),
        ("www.example:8443", Some("www.example")),
        ("192.0.2.7", None),
        ("192.0.2.7:443", None),
        ("[2001:db8::7]", None),
        ("[2001:db8::7]:443", None),
        ("", None),
    ] {
        let http = Http::get("/").with_host(host);
        assert_eq!(http.server_name(), name);
        let both = HttpSequence::new([http, Http::get("/").with_host("other")]);
        let first = both.dialogue(&attempt(Health::Up));
        assert_eq!(first.server_name(), name);
        let names: Vec<_> = name.into_iter().chain(["other"]).collect();
        assert_eq!(both.server_names(), names);
        let old = Http::keepalived("/").with_host(host);
        assert_eq!(old.server_name(), None);
        assert_eq!(old.with_server_name("tls").server_name(), Some("tls"));
    }
    assert_eq!(Http::get("/").server_name(), None);
}

//! What nginx answers.

use core::net::SocketAddr;
use std::process::Command;

use lvs_healthcheck::probe::http::{
    Digest, DigestOf, HeaderMatch, Http, HttpSequence, Method, Redirects, StatusSet, Version,
};
use lvs_healthcheck::{Code, Phase, Target, TcpProbe, Verdict};

use super::lateness::Watch;
use super::nginx::Nginx;
use super::{SECOND, ask, first_report, policy};

/// What a program prints, trimmed.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The digest keepalived's own tool prints for a page.
fn genhash(server: SocketAddr, path: &str) -> String {
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    output("genhash", &["-s", &ip, "-p", &port, "-u", path])
}

fn md5sum(file: &std::path::Path) -> String {
    let line = output("md5sum", &[file.to_str().unwrap()]);
    line.split(' ').next().unwrap().to_owned()
}

#[test]
#[ignore = "needs nginx"]
fn page_passes_and_a_missing_one_fails() {
    let nginx = Nginx::start("");
    nginx.file("health", b"all is ok\n");
    let outcome = ask(
        nginx.address(),
        Http::get("/health").with_body_contains("ok"),
    );
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::Ok, Phase::Match),
        "{outcome}"
    );
    assert_eq!(outcome.detail.as_str(), "200 OK");
    let outcome = ask(nginx.address(), Http::get("/none"));
    assert_eq!(
        (outcome.code, outcome.verdict),
        (Code::Status, Verdict::Fail)
    );
    assert_eq!(
        outcome.detail.as_str(),
        "expected status 200-299, got 404 Not Found"
    );
    let host = nginx.address();
    let asked =
        |number, path: &str, status| format!("{number} 1 \"GET {path} HTTP/1.1\" {host} {status}");
    // The first connection was only to see whether it listens.
    assert_eq!(
        nginx.log(2),
        [asked(2, "/health", 200), asked(3, "/none", 404)]
    );
}

#[test]
#[ignore = "needs nginx"]
fn every_status_is_told_from_every_other() {
    // `return` takes no variable, so each status has its place. Those left out mean something else
    // to nginx.
    let statuses: Vec<u16> = (200..=599)
        .filter(|status| *status != 444 && !(494..500).contains(status))
        .collect();
    let places: String = statuses
        .iter()
        .map(|status| format!("location = /{status} {{ return {status}; }}\n"))
        .collect();
    let nginx = Nginx::start(&places);
    for status in statuses {
        if status == 408 {
            // Here nginx only closes the connection.
            let outcome = ask(nginx.address(), Http::get("/408"));
            assert_eq!(outcome.code, Code::EofEarly);
            continue;
        }
        let exactly = StatusSet::range(status, status);
        for method in [Method::Get, Method::Head] {
            let http = || Http::get(&format!("/{status}")).with_method(method);
            let outcome = ask(nginx.address(), http().with_status(exactly));
            assert_eq!(outcome.code, Code::Ok, "{status} {method:?}: {outcome}");
        }
        let outcome = ask(nginx.address(), Http::get(&format!("/{status}")));
        let expected = if (200..300).contains(&status) {
            Code::Ok
        } else {
            Code::Status
        };
        assert_eq!(outcome.code, expected, "{status}: {outcome}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn versions_methods_and_ways_to_ask() {
    let nginx = Nginx::start(
        "location /named { if ($host != www.example) { return 421; } return 200 named; }
         location /posted { client_max_body_size 1k; return 200; }
         location /echo { echo_read_request_body; echo -n $request_method:$request_body:$http_x_token; }",
    );
    nginx.file("page", b"all is ok\n");
    let server = nginx.address();
    for version in [Version::Http10, Version::Http10Close, Version::Http11] {
        let http = Http::get("/page")
            .with_version(version)
            .with_body_contains("ok");
        assert_eq!(ask(server, http).code, Code::Ok, "{version:?}");
        let http = Http::keepalived("/page")
            .with_version(version)
            .with_body_contains("ok");
        assert_eq!(ask(server, http).code, Code::Ok, "{version:?}");
    }
    let head = Http::get("/page")
        .with_method(Method::Head)
        .with_reply_header(HeaderMatch::present("Content-Length").is("10"));
    assert_eq!(ask(server, head).code, Code::Ok);
    let post = Http::get("/echo")
        .with_method(Method::Post)
        .with_header("X-Token", "secret")
        .with_body("data")
        .with_body_contains("POST:data:secret");
    let outcome = ask(server, post);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    // nginx knows no OPTIONS for files.
    let outcome = ask(server, Http::haproxy());
    assert_eq!(
        outcome.detail.as_str(),
        "expected status 200-399, got 405 Not Allowed"
    );
    assert_eq!(ask(server, Http::get("/named")).code, Code::Status);
    let named = Http::get("/named")
        .with_host("www.example")
        .with_body_contains("named");
    assert_eq!(ask(server, named).code, Code::Ok);
    // RFC 9112 §3.2: no Host in 1.1 is an error, and the server says so.
    let outcome = ask(server, Http::get("/page").without_host());
    assert_eq!(
        outcome.detail.as_str(),
        "expected status 200-299, got 400 Bad Request"
    );
}

#[test]
#[ignore = "needs nginx"]
fn redirects_are_judged_or_followed() {
    let nginx = Nginx::start(
        "absolute_redirect off;
         location = /old { return 302 /page; }
         location = /older { return 301 old; }
         location = /away { return 302 http://other.example/; }
         location = /loop { return 307 /loop; }",
    );
    nginx.file("page", b"all is ok\n");
    let server = nginx.address();
    let outcome = ask(server, Http::get("/old"));
    assert_eq!(
        outcome.detail.as_str(),
        "expected status 200-299, got 302 Moved Temporarily"
    );
    for version in [Version::Http10, Version::Http11] {
        let follow = |path| {
            Http::get(path)
                .with_version(version)
                .with_redirects(Redirects::FOLLOW)
                .with_body_contains("ok")
        };
        let outcome = ask(server, follow("/older"));
        assert_eq!(outcome.code, Code::Ok, "{version:?}: {outcome}");
        let outcome = ask(server, follow("/away"));
        let away = " to http://other.example/, another host";
        assert!(outcome.detail.as_str().ends_with(away), "{outcome}");
        let outcome = ask(server, follow("/loop"));
        assert!(
            outcome.detail.as_str().ends_with(" after 3 redirects"),
            "{outcome}"
        );
    }
    // Three requests over one connection of 1.1, each over its own in 1.0.
    let log = nginx.log(17);
    let older: Vec<_> = log
        .iter()
        .filter(|line| line.contains("/page HTTP/1"))
        .collect();
    let number = |line: &str| line.split(' ').nth(1).map(str::to_owned).unwrap();
    assert_eq!([number(older[0]), number(older[1])], ["1", "3"], "{log:?}");
}

#[test]
#[ignore = "needs nginx"]
fn chunks_are_put_together() {
    let nginx = Nginx::start(
        "location /chunked { echo -n one; echo_flush; echo_sleep 0.05; echo -n two; }
         location /length { return 200 onetwo; }",
    );
    let server = nginx.address();
    let outcome = ask(
        server,
        Http::get("/chunked")
            .with_reply_header(HeaderMatch::present("Transfer-Encoding").is("chunked"))
            .with_body_contains("onetwo"),
    );
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    // Of what is meant, and of what came.
    let decoded = output("sh", &["-c", "printf onetwo | sha256sum | cut -c1-64"]);
    let http = Http::get("/chunked").with_digest(decoded.parse().unwrap());
    let outcome = ask(server, http);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let wire = output(
        "sh",
        &[
            "-c",
            r"printf '3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n' | md5sum | cut -c1-32",
        ],
    );
    let http = Http::get("/chunked").with_digest(wire.parse().unwrap());
    let outcome = ask(server, http);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    // A server that is asked in 1.0 sends no chunks, so both are the same.
    let http = Http::get("/chunked").with_version(Version::Http10);
    let outcome = ask(server, http.with_digest(decoded.parse().unwrap()));
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
}

#[test]
#[ignore = "needs nginx"]
fn compressed_reply_is_judged_as_it_comes() {
    let nginx =
        Nginx::start("gzip on; gzip_min_length 1; gzip_types text/plain; gzip_http_version 1.0;");
    nginx.file("page.txt", "all is ok\n".repeat(100).as_bytes());
    let server = nginx.address();
    let http = || Http::get("/page.txt").with_body_contains("all is ok");
    assert_eq!(ask(server, http()).code, Code::Ok, "nobody asked for gzip");
    let gzip = |http: Http| http.with_header("Accept-Encoding", "gzip");
    let outcome = ask(server, gzip(http()));
    assert_eq!(outcome.code, Code::Content, "{outcome}");
    assert!(
        outcome.detail.as_str().contains(r#"got "\x1f\x8b"#),
        "{outcome}"
    );
    let expected = HeaderMatch::present("Content-Encoding").is("gzip");
    let http = gzip(Http::get("/page.txt")).with_reply_header(expected);
    assert_eq!(
        ask(server, http.with_body_contains(b"\x1f\x8b")).code,
        Code::Ok
    );
}

#[test]
#[ignore = "needs nginx and genhash of keepalived"]
fn digest_is_that_of_md5sum_and_of_genhash() {
    let nginx = Nginx::start("location /chunked { echo -n one; echo -n two; }");
    let server = nginx.address();
    // Small, empty, and larger than any buffer on the way.
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    for (name, content) in [
        ("small", &b"all is ok\n"[..]),
        ("empty", b""),
        ("large", &large),
    ] {
        let file = nginx.file(name, content);
        let path = format!("/{name}");
        let md5 = genhash(server, &path);
        assert_eq!(md5, md5sum(&file), "{name}");
        let digest = md5.parse().unwrap();
        let compatible = Http::keepalived(&path).with_digest(digest);
        let outcome = ask(server, compatible.clone());
        assert_eq!(outcome.code, Code::Ok, "{name}: {outcome}");
        let own = Http::get(&path).with_digest(digest).with_max_body(4 << 20);
        assert_eq!(ask(server, own.clone()).code, Code::Ok, "{name}");
        nginx.file(name, b"another");
        let outcome = ask(server, compatible);
        assert_eq!(outcome.code, Code::Content);
        let expected = format!("expected md5:{md5}, got md5:{} of 7 bytes", md5sum(&file));
        assert_eq!(outcome.detail.as_str(), expected);
        assert_eq!(ask(server, own).code, Code::Content);
    }
    nginx.file("large", &large);
    let digest = genhash(server, "/large").parse().unwrap();
    let outcome = ask(server, Http::get("/large").with_digest(digest));
    assert!(
        outcome
            .detail
            .as_str()
            .ends_with("got a body of over 65536 bytes"),
        "{outcome}"
    );
    let path = "/chunked";
    let digest: Digest = genhash(server, path).parse().unwrap();
    for of in [DigestOf::Wire, DigestOf::Decoded] {
        let http = Http::keepalived(path).with_digest(digest.over(of));
        assert_eq!(ask(server, http).code, Code::Ok, "the same in 1.0");
    }
}

#[test]
#[ignore = "needs nginx"]
fn old_connection_may_be_kept_and_the_reply_ends_all_the_same() {
    let nginx = Nginx::start("keepalive_timeout 60s;");
    nginx.file("page", b"all is ok\n");
    let http = Http::get("/page")
        .with_version(Version::Http10)
        .with_header("Keep-Alive", "timeout=60")
        .with_body_contains("ok");
    assert_eq!(ask(nginx.address(), http).code, Code::Ok);
}

#[test]
#[ignore = "needs nginx"]
fn pages_share_a_connection_of_1_1_only() {
    let nginx = Nginx::start("keepalive_requests 3;");
    for name in ["a", "b", "c", "d"] {
        nginx.file(name, name.as_bytes());
    }
    let pages = |version| {
        HttpSequence::new(["/a", "/b", "/c", "/d"].map(|path| {
            Http::get(path)
                .with_version(version)
                .with_body_contains(&path[1..])
        }))
    };
    // nginx closes after the third request; the fourth has a connection of its own.
    let outcome = ask(nginx.address(), pages(Version::Http11));
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let outcome = ask(nginx.address(), pages(Version::Http10));
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let log = nginx.log(8);
    let numbers: Vec<String> = log
        .iter()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join("."))
        .collect();
    assert_eq!(
        numbers,
        ["2.1", "2.2", "2.3", "3.1", "4.1", "5.1", "6.1", "7.1"]
    );
}

#[test]
#[ignore = "needs nginx"]
fn slow_page_ends_at_the_deadline() {
    let nginx = Nginx::start("limit_rate 1;");
    nginx.file("large", &vec![b'x'; 1 << 20]);
    let timeout = 3 * SECOND / 2;
    let ask = |http: Http| {
        let probe = TcpProbe::new(Target::new(nginx.address())).with_protocol(http);
        let report = first_report(probe, policy().with_timeout(timeout));
        (report.outcome, report.at - report.started)
    };
    let watch = Watch::start();
    let (outcome, took) = ask(Http::get("/large").with_body_contains("y"));
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TimeoutIo, Phase::Recv),
        "{outcome}"
    );
    let late = took.checked_sub(timeout).unwrap();
    watch.judge("limit_rate 1", vec![late]);
    // The header comes as slowly.
    let (outcome, _) = ask(Http::get("/large"));
    assert_eq!(outcome.code, Code::TimeoutIo, "{outcome}");
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "needs nginx"]
fn server_is_named_in_tls_by_its_host() {
    use lvs_healthcheck::probe::tls::{Tls, Verify};
    let nginx = Nginx::start_tls("return 200 $ssl_server_name-$http_host;");
    let server = nginx.address();
    let ask = |http: Http| {
        let tls = Tls::new().with_verify(Verify::None);
        let probe = TcpProbe::new(Target::new(server))
            .with_protocol(http)
            .with_tls(tls);
        first_report(probe, policy()).outcome
    };
    let named = Http::get("/")
        .with_host("www.example:444")
        .with_body_contains("www.example-www.example:444");
    let outcome = ask(named);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    assert!(outcome.tls.is_some());
    let address = Http::get("/").with_body_contains(format!("-{server}"));
    let outcome = ask(address);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    // keepalived's SSL_GET sends no name without enable_sni.
    let compatible = Http::keepalived("/").with_host("www.example").with_digest(
        output(
            "sh",
            &["-c", "printf -- -www.example | md5sum | cut -c1-32"],
        )
        .parse()
        .unwrap(),
    );
    let outcome = ask(compatible);
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let pages =
        HttpSequence::new(["/a", "/b"].map(|path| Http::get(path).with_host("www.example")));
    let probe = TcpProbe::new(Target::new(server))
        .with_protocol(pages)
        .with_tls(Tls::new().with_verify(Verify::None));
    let outcome = first_report(probe, policy()).outcome;
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    // Plain text to a TLS port is told as such.
    let outcome = super::ask(server, Http::get("/"));
    assert_eq!(
        outcome.detail.as_str(),
        "expected status 200-299, got 400 Bad Request"
    );
}

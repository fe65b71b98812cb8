//! What versions, ciphers and protocols there have to be in common, and what it costs.

use core::time::Duration;

use lvs_healthcheck::probe::tls::{Tls, TlsVersion, Verify};
use lvs_healthcheck::{Code, Phase, Policy, Target, TcpProbe};

use nix::time::ClockId;

use super::descriptors::descriptors;
use super::{SECOND, assert_outcome, get, hello, policy, run};
use crate::pki::Pki;
use crate::server::Server;

#[test]
#[ignore = "needs nginx, openssl"]
fn versions_and_protocols_are_agreed_on_or_named() {
    let pki = Pki::new();
    pki.server("a.test");
    let folder = pki.folder().display();
    let block = |more: &str| {
        format!(
            "listen ADDRESS {more}; ssl_certificate {folder}/a.test.pem;
            ssl_certificate_key {folder}/a.test.key; location / {{ return 200 $ssl_protocol; }}"
        )
    };
    let nginx = Server::nginx(
        &pki,
        "",
        &[
            &block("ssl; ssl_protocols TLSv1.2"),
            &block("ssl; ssl_protocols TLSv1.3"),
            &block("ssl http2"),
            &block(""),
        ],
    );
    let tls = Tls::new().with_trust(pki.trust()).with_name("a.test");
    let [old, new] = [TlsVersion::V1_2, TlsVersion::V1_3];
    let target = |number| Target::new(nginx.address(number));
    for (number, text, version) in [(0, "TLSv1.2", old), (1, "TLSv1.3", new)] {
        let outcome = get(target(number), &tls);
        assert_outcome(
            &outcome,
            Code::Ok,
            Phase::Match,
            &format!("200 {text} orderly:true"),
        );
        assert_eq!(outcome.tls.unwrap().version, Some(version));
    }
    // What this host's settings forbid is not the library's limit.
    let only_new = tls.clone().with_versions(new, new);
    let only_old = tls.clone().with_versions(old, old);
    let outcome = hello(nginx.address(0), &only_new);
    assert_outcome(
        &outcome,
        Code::TlsHandshake,
        Phase::Tls,
        "the settings allow TLS 1.3 only",
    );
    let outcome = hello(nginx.address(1), &only_old);
    assert_outcome(
        &outcome,
        Code::TlsHandshake,
        Phase::Tls,
        "the settings allow TLS 1.2 only",
    );

    for (offered, agreed) in [
        (vec!["http/1.1"], "http/1.1"),
        (vec!["h2", "http/1.1"], "h2"),
    ] {
        let outcome = hello(nginx.address(2), &tls.clone().with_alpn(offered));
        assert_outcome(&outcome, Code::Ok, Phase::Tls, "");
        assert_eq!(
            outcome.tls.unwrap().alpn.as_deref(),
            Some(agreed.as_bytes())
        );
    }
    let outcome = hello(nginx.address(2), &tls.clone().with_alpn(["h3", "spdy/3"]));
    assert_outcome(
        &outcome,
        Code::TlsHandshake,
        Phase::Tls,
        "none of the protocols offered by ALPN: h3, spdy/3",
    );

    let outcome = hello(nginx.address(3), &tls);
    assert_outcome(
        &outcome,
        Code::TlsHandshake,
        Phase::Tls,
        "does it speak plain text on this port?",
    );
}

#[test]
#[ignore = "needs openssl"]
fn what_this_library_lacks_is_told_from_what_the_server_refuses() {
    let pki = Pki::new();
    pki.server("a.test");
    pki.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -days 30 -subj /CN=rsa",
    );
    let tls = Tls::new().with_verify(Verify::None);
    let rows = [
        (
            "a.test",
            "-tls1 -cipher ALL:@SECLEVEL=0",
            Code::TlsUnsupported,
            "neither TLS 1.2 nor 1.3",
        ),
        (
            "a.test",
            "-tls1_1 -cipher ALL:@SECLEVEL=0",
            Code::TlsUnsupported,
            "neither TLS 1.2 nor 1.3",
        ),
        (
            "rsa",
            "-tls1_2 -cipher AES128-SHA",
            Code::TlsHandshake,
            "no cipher suite, curve or signature in common",
        ),
        (
            "a.test",
            "-tls1_3 -groups P-521",
            Code::TlsHandshake,
            "no cipher suite, curve or signature in common",
        ),
        (
            "a.test",
            "-tls1_2 -Verify 1 -verify_return_error",
            Code::TlsHandshake,
            "client certificate",
        ),
    ];
    for (name, options, code, detail) in rows {
        let server = Server::openssl(&pki, name, options);
        assert_outcome(&hello(server.address(0), &tls), code, Phase::Tls, detail);
    }
    // Of TLS 1.3 the server says so only after the handshake.
    let server = Server::openssl(
        &pki,
        "a.test",
        "-tls1_3 -Verify 1 -verify_return_error -www",
    );
    let outcome = get(Target::new(server.address(0)), &tls);
    assert_outcome(
        &outcome,
        Code::TlsHandshake,
        Phase::Recv,
        "CertificateRequired: it wants a client certificate, and none is set",
    );
}

/// How long a handshake takes, what it leaves behind, and what resumption saves.
#[test]
#[ignore = "needs nginx, openssl"]
fn hundreds_of_handshakes_leave_no_descriptor() {
    let pki = Pki::new();
    pki.server("a.test");
    pki.self_signed("own", "subjectAltName=DNS:own");
    let folder = pki.folder().display();
    let block = |name: &str| {
        format!(
            "listen ADDRESS ssl; ssl_certificate {folder}/{name}.pem; ssl_certificate_key {folder}/{name}.key;
            ssl_session_cache shared:{name}:1m; location / {{ return 200 {name}; }}"
        )
    };
    let nginx = Server::nginx(&pki, "", &[&block("a.test"), &block("own")]);
    let tls = Tls::new().with_trust(pki.trust()).with_name("a.test");
    let often = policy().with_interval(Policy::MIN_TIME);
    let [old, new] = [TlsVersion::V1_2, TlsVersion::V1_3];
    let rows = [
        ("TLS 1.2", 0, Code::Ok, tls.clone().with_versions(old, old)),
        ("TLS 1.3", 0, Code::Ok, tls.clone().with_versions(new, new)),
        (
            "TLS 1.2, resumed",
            0,
            Code::Ok,
            tls.clone().with_versions(old, old).with_resumption(true),
        ),
        (
            "TLS 1.3, not verified",
            0,
            Code::Ok,
            tls.clone().with_verify(Verify::None),
        ),
        ("TLS 1.3, refused", 1, Code::TlsVerify, tls),
    ];
    for (what, number, code, tls) in rows {
        let probe = TcpProbe::new(Target::new(nginx.address(number))).with_tls(tls);
        let before = descriptors();
        let used = ClockId::CLOCK_THREAD_CPUTIME_ID;
        let start = Duration::from(used.now().unwrap());
        let reports = run(probe, often.clone(), 100);
        let cost = (Duration::from(used.now().unwrap()) - start) / 100;
        // Those of other tests come and go; a hundred of its own would not.
        assert!(descriptors() < before + 60, "{what}: {before} before");
        let mut times = Vec::new();
        for report in &reports {
            assert_eq!(report.outcome.code, code, "{}", report.outcome);
            let timing = report.outcome.timing;
            times.push(timing.tls.or(timing.total).unwrap() - timing.connect.unwrap());
        }
        times.sort();
        let median = times[times.len() / 2];
        println!(
            "{what}: handshake {median:?} (median of 100), processor time of a check {cost:?}"
        );
        // 1,000 full handshakes per second and processor, where the compiler has done its best.
        let limit = if cfg!(debug_assertions) {
            SECOND / 50
        } else {
            SECOND / 1000
        };
        assert!(cost < limit, "{what}: {cost:?}");
        let last = reports[99].outcome.tls.as_deref();
        assert_eq!(
            last.is_some_and(|info| info.resumed),
            what.ends_with("resumed"),
            "{last:?}"
        );
    }
}

//! Whose certificates are good enough, and what is said of the others.

use lvs_healthcheck::probe::tls::{Pem, Pin, Tls, Trust, Verify};
use lvs_healthcheck::{Code, Outcome, Phase, ProxyHeader, Target};

use super::{assert_outcome, get, hello};
use crate::pki::Pki;
use crate::server::Server;

/// A `server` block with this certificate.
fn block(pki: &Pki, name: &str, more: &str) -> String {
    let folder = pki.folder().display();
    format!(
        "listen ADDRESS ssl; ssl_certificate {folder}/{name}.pem; ssl_certificate_key {folder}/{name}.key;
        location / {{ return 200 {name}; }} {more}"
    )
}

fn verify_failed(outcome: &Outcome, detail: &str) {
    assert_outcome(outcome, Code::TlsVerify, Phase::Tls, detail);
    assert!(outcome.tls.is_none() && outcome.timing.tls.is_none());
    assert!(
        outcome
            .detail
            .as_str()
            .starts_with("the server's certificate: "),
        "{outcome}"
    );
}

#[test]
#[ignore = "needs nginx, openssl"]
fn every_certificate_that_is_not_good_enough_is_named() {
    let pki = Pki::new();
    let name = "subjectAltName=DNS:a.test";
    let past = "-startdate 20200101000000Z -enddate 20210101000000Z";
    let future = "-startdate 20900101000000Z -enddate 20910101000000Z";
    pki.server("a.test");
    pki.signed_by("ca", "expired", past, name);
    pki.signed_by("ca", "early", future, name);
    pki.signed_by(
        "ca",
        "other",
        "-days 30",
        "subjectAltName=DNS:b.test,DNS:c.test",
    );
    pki.signed_by("ca", "nameless", "-days 30", "basicConstraints=CA:FALSE");
    pki.signed_by(
        "ca",
        "client",
        "-days 30",
        &format!("{name}\nextendedKeyUsage=clientAuth"),
    );
    pki.signed_by(
        "ca",
        "between",
        "-days 30",
        "basicConstraints=critical,CA:TRUE",
    );
    pki.signed_by("between", "orphan", "-days 30", name);
    pki.self_signed("own", name);
    pki.self_signed("authority", "basicConstraints=critical,CA:TRUE");
    let names = [
        "a.test",
        "expired",
        "early",
        "other",
        "nameless",
        "client",
        "orphan",
        "own",
        "authority",
    ];
    let blocks = names.map(|name| block(&pki, name, ""));
    let nginx = Server::nginx(&pki, "", &blocks.each_ref().map(String::as_str));
    let at = |name: &str| nginx.address(names.iter().position(|other| *other == name).unwrap());

    let tls = Tls::new().with_trust(pki.trust()).with_name("a.test");
    assert_outcome(&hello(at("a.test"), &tls), Code::Ok, Phase::Tls, "");
    verify_failed(
        &hello(at("expired"), &tls),
        "expired on 2021-01-01T00:00:00Z; this host's clock says 20",
    );
    verify_failed(
        &hello(at("early"), &tls),
        "not valid before 2090-01-01T00:00:00Z; this host's clock",
    );
    verify_failed(
        &hello(at("other"), &tls),
        "not for a.test but for b.test, c.test",
    );
    verify_failed(
        &hello(at("nameless"), &tls),
        "not for a.test but for no name at all",
    );
    verify_failed(&hello(at("client"), &tls), "not one for servers");
    let orphan = hello(at("orphan"), &tls);
    verify_failed(
        &orphan,
        "signed by CN=between, who is not trusted (no intermediate certificate was sent)",
    );
    let pin = |name| pki.pin(name).parse::<Pin>().unwrap();
    let own = format!(
        "self-signed (CN=own); to accept it, trust it or pin its public key {}",
        pin("own")
    );
    verify_failed(&hello(at("own"), &tls), &own);
    let trusted = tls.clone().with_trust(Trust::Only(pki.pem("own.pem")));
    assert_outcome(&hello(at("own"), &trusted), Code::Ok, Phase::Tls, "");

    // Not so what `openssl req -x509` makes unless told otherwise, which is an authority's.
    let authority = format!(
        "use one without CA:TRUE, or pin its public key {}",
        pin("authority")
    );
    let trusted = tls
        .clone()
        .with_trust(Trust::Only(pki.pem("authority.pem")));
    verify_failed(&hello(at("authority"), &tls), &authority);
    verify_failed(&hello(at("authority"), &trusted), &authority);

    // The system's authorities do not know this one, unless they are told.
    let system = Tls::new().with_name("a.test");
    verify_failed(
        &hello(at("a.test"), &system),
        "signed by CN=ca, who is not trusted",
    );
    let both = system.with_trust(Trust::SystemAnd(pki.pem("ca.pem")));
    assert_outcome(&hello(at("a.test"), &both), Code::Ok, Phase::Tls, "");

    // Without the name, what is for others will do; without anything, whatever comes.
    let chain = tls.clone().with_verify(Verify::Chain);
    assert_outcome(&hello(at("other"), &chain), Code::Ok, Phase::Tls, "");
    verify_failed(
        &hello(at("expired"), &chain),
        "expired on 2021-01-01T00:00:00Z",
    );
    let none = tls.with_verify(Verify::None);
    for name in names {
        let outcome = hello(at(name), &none);
        assert_outcome(&outcome, Code::Ok, Phase::Tls, "");
        let info = outcome.tls.unwrap();
        assert_eq!(
            info.days_left.unwrap() < 0,
            name == "expired",
            "{name}: {info:?}"
        );
    }
}

#[test]
#[ignore = "needs nginx, openssl"]
fn pinned_keys_are_all_that_counts() {
    let pki = Pki::new();
    pki.server("a.test");
    pki.self_signed("own", "subjectAltName=DNS:whatever");
    let blocks = ["a.test", "own"].map(|name| block(&pki, name, ""));
    let nginx = Server::nginx(&pki, "", &blocks.each_ref().map(String::as_str));
    let own = pki.pin("own").parse().unwrap();
    let other = pki.pin("a.test").parse().unwrap();
    let pinned = |pins| {
        Tls::new()
            .with_verify(Verify::Pin(pins))
            .with_name("a.test")
    };
    for pins in [vec![own], vec![other, own]] {
        assert_outcome(
            &hello(nginx.address(1), &pinned(pins)),
            Code::Ok,
            Phase::Tls,
            "",
        );
    }
    let outcome = hello(nginx.address(1), &pinned(vec![other]));
    verify_failed(
        &outcome,
        &format!("its public key {own} is not one of those pinned"),
    );
}

#[test]
#[ignore = "needs nginx, openssl"]
fn end_of_a_certificate_is_told_before_it_comes() {
    let pki = Pki::new();
    pki.signed_by("ca", "soon", "-days 10", "subjectAltName=IP:127.0.0.1");
    let nginx = Server::nginx(&pki, "", &[&block(&pki, "soon", "")]);
    let tls = Tls::new().with_trust(pki.trust());
    for (tls, soon) in [
        (tls.clone(), true),
        (tls.clone().with_expiry_warning_days(9), false),
        (tls.clone().with_expiry_warning_days(10), true),
        (tls.with_expiry_warning_days(0), false),
    ] {
        let outcome = hello(nginx.address(0), &tls);
        assert_eq!(
            (outcome.code, outcome.phase),
            (Code::Ok, Phase::Tls),
            "{outcome}"
        );
        let said = if soon {
            "the server's certificate ends in 9 days"
        } else {
            ""
        };
        assert_eq!(outcome.detail.as_str(), said);
        let info = outcome.tls.unwrap();
        assert_eq!((info.days_left, info.expires_soon), (Some(9), soon));
        // As openssl has it.
        let said = pki.openssl("x509 -in soon.pem -noout -dateopt iso_8601 -enddate");
        let said = said
            .trim()
            .trim_start_matches("notAfter=")
            .replace(' ', "T");
        let date = x509_date(info.not_after.unwrap());
        assert_eq!(said, date);
    }
}

/// As `date` has it, which nobody here wrote.
fn x509_date(since_1970: core::time::Duration) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"])
        .arg(format!("@{}", since_1970.as_secs()))
        .output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
#[ignore = "needs nginx, openssl"]
fn name_chooses_the_server_and_an_address_is_never_sent_as_one() {
    let pki = Pki::new();
    pki.server("a.test");
    pki.server("b.test");
    // Both at the same address, the first by default.
    let first = block(&pki, "a.test", "server_name a.test;");
    let second = block(&pki, "b.test", "server_name b.test;");
    let both = format!("{first} }} server {{ {second}");
    let told = block(&pki, "a.test", "")
        .replace("return 200 a.test", "return 200 \"sni=$ssl_server_name\"");
    let nginx = Server::nginx(&pki, "", &[&both, &told]);
    let tls = Tls::new().with_trust(pki.trust());
    let target = || Target::new(nginx.address(0));
    for name in ["a.test", "b.test"] {
        let outcome = get(target(), &tls.clone().with_name(name));
        assert_outcome(
            &outcome,
            Code::Ok,
            Phase::Match,
            &format!("200 {name} orderly:true"),
        );
    }
    let told = || Target::new(nginx.address(1));
    let outcome = get(told(), &tls.clone().with_name("a.test"));
    assert_outcome(
        &outcome,
        Code::Ok,
        Phase::Match,
        "200 sni=a.test orderly:true",
    );
    for tls in [tls.clone(), tls.clone().with_name("127.0.0.1")] {
        assert_outcome(
            &get(told(), &tls),
            Code::Ok,
            Phase::Match,
            "200 sni= orderly:true",
        );
    }
    let outcome = get(told(), &tls.with_name("127.0.0.2"));
    assert_outcome(
        &outcome,
        Code::TlsVerify,
        Phase::Tls,
        "not for 127.0.0.2 but for a.test, 127.0.0.1",
    );
}

#[test]
#[ignore = "needs nginx, openssl"]
fn client_certificate_that_nginx_wants_is_no_matter_of_the_handshake() {
    let pki = Pki::new();
    pki.server("a.test");
    pki.signed_by("ca", "checker", "-days 30", "extendedKeyUsage=clientAuth");
    pki.self_signed("stranger", "extendedKeyUsage=clientAuth");
    let folder = pki.folder().display();
    let more = format!("ssl_verify_client on; ssl_client_certificate {folder}/ca.pem;");
    let nginx = Server::nginx(&pki, "", &[&block(&pki, "a.test", &more)]);
    let tls = Tls::new().with_trust(pki.trust()).with_name("a.test");
    let target = || Target::new(nginx.address(0));
    // nginx completes the handshake in any case, and then refuses in its own words.
    assert_outcome(&hello(nginx.address(0), &tls), Code::Ok, Phase::Tls, "");
    assert_outcome(&get(target(), &tls), Code::Ok, Phase::Match, "400 ");
    let with = |name: &str| {
        let [certificate, key] = ["pem", "key"].map(|end| pki.pem(&format!("{name}.{end}")));
        tls.clone().with_client_certificate(certificate, key)
    };
    assert_outcome(
        &get(target(), &with("checker")),
        Code::Ok,
        Phase::Match,
        "200 a.test",
    );
    assert_outcome(
        &get(target(), &with("stranger")),
        Code::Ok,
        Phase::Match,
        "400 ",
    );
    // A key of somebody else's, or none at all, is found before anything is sent.
    let mixed = tls
        .clone()
        .with_client_certificate(pki.pem("checker.pem"), pki.pem("ca.key"));
    let said = mixed.validate().unwrap_err().to_string();
    assert!(
        said.ends_with("must be a certificate and its own key"),
        "{said}"
    );
    let none = tls.with_client_certificate(pki.pem("checker.pem"), Pem::Bytes(Vec::new()));
    assert!(
        none.validate()
            .unwrap_err()
            .to_string()
            .contains("BEGIN PRIVATE KEY")
    );
}

#[test]
#[ignore = "needs nginx, openssl"]
fn proxy_header_goes_before_the_handshake() {
    let pki = Pki::new();
    pki.server("a.test");
    let text = block(&pki, "a.test", "")
        .replace("ssl;", "ssl proxy_protocol;")
        .replace(
            "return 200 a.test",
            "return 200 \"from=$proxy_protocol_addr\"",
        );
    let nginx = Server::nginx(&pki, "", &[&text]);
    let tls = Tls::new().with_trust(pki.trust()).with_name("a.test");
    let target = || Target::new(nginx.address(0));
    let given = ["198.51.100.1:4000", "203.0.113.1:80"].map(|address| address.parse().unwrap());
    let rows = [
        (ProxyHeader::v1(), ""),
        (ProxyHeader::v2(), ""),
        (ProxyHeader::v1().with_own_addresses(), "127.0.0.1"),
        (ProxyHeader::v2().with_own_addresses(), "127.0.0.1"),
        (
            ProxyHeader::v1().with_addresses(given[0], given[1]),
            "198.51.100.1",
        ),
        (
            ProxyHeader::v2().with_addresses(given[0], given[1]),
            "198.51.100.1",
        ),
    ];
    for (header, from) in rows {
        let outcome = get(target().with_proxy_header(header), &tls);
        assert_outcome(
            &outcome,
            Code::Ok,
            Phase::Match,
            &format!("200 from={from} orderly"),
        );
    }
    let outcome = get(target(), &tls);
    assert_eq!(outcome.phase, Phase::Tls, "{outcome}");
    assert!(
        matches!(outcome.code, Code::EofEarly | Code::Reset),
        "{outcome}"
    );
}

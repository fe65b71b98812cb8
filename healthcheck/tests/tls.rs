//! TLS under the driver, against a server of this test that does exactly what each test needs.

#![cfg(feature = "tls")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

#[path = "support/first.rs"]
mod first;
#[path = "support/lateness.rs"]
mod lateness;
#[path = "support/mirror.rs"]
mod mirror;

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lvs_healthcheck::probe::tls::{Pem, Tls, TlsVersion, Trust, Verify};
use lvs_healthcheck::probe::{Dialogue, Protocol, Turn};
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, Code, Config, Driver, Outcome, Phase, Probe, Target, TcpProbe,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use self::first::{first_report, policy};
use self::lateness::Watch;
use self::mirror::Mirror;

const SECOND: Duration = Duration::from_secs(1);

/// An authority made for these tests, the certificate it signed for `check.test` and 127.0.0.1
/// (from 2020 to 2120), and that one's key.
const CA: &[u8] = include_bytes!("data/tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("data/tls/server.pem");
const KEY: &[u8] = include_bytes!("data/tls/server.key");

/// The digest of that key, from the command in the documentation of `Pin`.
const PIN: &str = "d2c9288dc18df5ddc3a8763428f59a9c96645b2d9b509765c9ab66126c6aecf6";

/// A server for one connection, which it is given before TLS.
fn serve<T: Send + 'static>(
    talk: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (TcpProbe, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    let server = thread::spawn(move || talk(listener.accept().unwrap().0));
    (TcpProbe::new(target), server)
}

type Secured = StreamOwned<ServerConnection, TcpStream>;

fn server_config() -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn server_connection() -> ServerConnection {
    ServerConnection::new(server_config()).unwrap()
}

fn secured(stream: TcpStream) -> Secured {
    StreamOwned::new(server_connection(), stream)
}

fn trusting() -> Tls {
    Tls::new().with_trust(Trust::Only(Pem::Bytes(CA.into())))
}

/// Listens, and passes at a line end.
#[derive(Clone, Debug, Default)]
struct Lines(Vec<u8>);

impl Protocol for Lines {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }
}

impl Dialogue for Lines {
    fn opened(&mut self) -> Turn {
        Turn::Listen
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        self.0.extend_from_slice(bytes);
        match self.0.last() {
            Some(b'\n') => Turn::Done(Outcome::new(Code::Ok, Phase::Match)),
            _ => Turn::Listen,
        }
    }
}

#[test]
fn handshake_alone_is_a_check_and_says_goodbye() {
    for (tls, name) in [
        (
            trusting().with_name("check.test"),
            Some("check.test".to_owned()),
        ),
        // Without a name the target's address counts, which is never sent as one.
        (trusting(), None),
        (trusting().with_name("127.0.0.1"), None),
        (
            Tls::new().with_verify(Verify::Pin(vec![PIN.parse().unwrap()])),
            None,
        ),
        (Tls::new().with_verify(Verify::None), None),
    ] {
        for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            let (probe, server) = serve(|stream| {
                let mut stream = secured(stream);
                // No close_notify would be an error.
                let end = stream.read(&mut [0; 16]).unwrap();
                (end, stream.conn.server_name().map(str::to_owned))
            });
            let tls = tls
                .clone()
                .with_versions(version, version)
                .with_alpn(["h3", "http/1.1"]);
            let outcome = first_report(probe.with_tls(tls), policy()).outcome;
            assert_eq!(
                (outcome.code, outcome.phase),
                (Code::Ok, Phase::Tls),
                "{outcome}"
            );
            let info = outcome.tls.as_deref().unwrap();
            assert_eq!(info.version, Some(version));
            assert!(
                info.cipher_suite.starts_with("TLS"),
                "{}",
                info.cipher_suite
            );
            assert_eq!(info.alpn.as_deref(), Some(&b"http/1.1"[..]));
            assert_eq!(
                info.not_after,
                Some(Duration::from_secs(4_733_510_400)),
                "2120-01-01"
            );
            assert!(info.days_left > Some(10_000) && !info.expires_soon);
            assert!(outcome.timing.connect < outcome.timing.tls);
            assert!(outcome.timing.tls <= outcome.timing.total);
            assert_eq!(server.join().unwrap(), (0, name.clone()));
        }
    }
}

#[test]
fn close_notify_can_be_left_out() {
    let (probe, server) = serve(|stream| secured(stream).read(&mut [0; 16]).unwrap_err());
    // Of TLS 1.3, tickets that nobody reads would make it a reset.
    let old = TlsVersion::V1_2;
    let tls = trusting().with_close_notify(false).with_versions(old, old);
    let outcome = first_report(probe.with_tls(tls), policy()).outcome;
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let error = server.join().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
}

#[test]
fn server_is_told_why_its_certificate_is_refused() {
    let other = Verify::Pin(vec!["0".repeat(64).parse().unwrap()]);
    for (tls, alert) in [
        (trusting().with_name("other.test"), "BadCertificate"),
        (trusting().with_verify(other), "CertificateUnknown"),
    ] {
        let (probe, server) = serve(|stream| secured(stream).read(&mut [0; 16]).unwrap_err());
        let outcome = first_report(probe.with_tls(tls), policy()).outcome;
        assert_eq!(outcome.code, Code::TlsVerify, "{outcome}");
        let heard = server.join().unwrap().to_string();
        assert!(heard.contains(alert), "{heard}");
    }
}

/// A protocol of a server that has a name.
#[derive(Debug)]
struct Named(&'static str);

impl Protocol for Named {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Lines::default())
    }

    fn server_name(&self) -> Option<&str> {
        Some(self.0)
    }
}

#[test]
fn name_of_the_protocols_server_counts_unless_tls_has_one() {
    let probe = |tls, name| {
        let target = Target::new("127.0.0.1:9".parse().unwrap());
        TcpProbe::new(target)
            .with_tls(tls)
            .with_protocol(Named(name))
    };
    assert_eq!(probe(trusting(), "check.test").validate(), Ok(()));
    let refused = probe(trusting(), "no name").validate().unwrap_err();
    assert_eq!(refused.field, "name");
    assert_eq!(
        probe(trusting().with_name("check.test"), "no name").validate(),
        Ok(())
    );
    for (tls, code) in [
        (trusting(), Code::TlsVerify),
        (trusting().with_name("check.test"), Code::Ok),
    ] {
        let (probe, server) = serve(|stream| {
            let _ = secured(stream).write_all(b"hello\n");
        });
        let probe = probe.with_tls(tls).with_protocol(Named("other.test"));
        let outcome = first_report(probe, policy()).outcome;
        assert_eq!(outcome.code, code, "{outcome}");
        server.join().unwrap();
    }
}

#[test]
fn what_comes_with_the_end_of_the_handshake_is_heard() {
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let (probe, server) = serve(|stream| {
            let mut stream = secured(stream);
            // It waits until there is a key for it, and then goes with what else is to be sent.
            stream.conn.writer().write_all(b"hello\n").unwrap();
            let _ = stream.read(&mut [0; 16]);
        });
        let tls = trusting().with_versions(version, version);
        let probe = probe.with_tls(tls).with_protocol(Lines::default());
        let report = first_report(probe, policy());
        assert_eq!(report.outcome.code, Code::Ok, "{}", report.outcome);
        let took = report.at - report.started;
        assert!(
            took < policy().timeout() / 2,
            "{took:?}: at the deadline only"
        );
        server.join().unwrap();
    }
}

#[test]
fn megabytes_go_both_ways_whole_and_in_order() {
    // More than any socket buffer holds, so both sides have to wait for each other.
    let size = 8 << 20;
    let (probe, server) = serve(move |stream| {
        let mut stream = secured(stream);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        all.len()
    });
    let probe = probe.with_tls(trusting());
    let outcome = first_report(probe.with_protocol(Mirror { size, back: 0 }), policy()).outcome;
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    assert_eq!(server.join().unwrap(), size);
}

#[test]
fn end_without_goodbye_is_told_from_one_with_it() {
    for (goodbye, detail) in [
        (true, "closed by the server"),
        (false, "TLS connection cut off"),
    ] {
        let (probe, server) = serve(move |stream| {
            let mut stream = secured(stream);
            stream.write_all(b"half a li").unwrap();
            if goodbye {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
            let _ = stream.sock.shutdown(Shutdown::Write);
            let _ = stream.sock.read(&mut [0; 64]);
        });
        let probe = probe.with_tls(trusting()).with_protocol(Lines::default());
        let outcome = first_report(probe, policy()).outcome;
        assert_eq!(
            (outcome.code, outcome.phase),
            (Code::EofEarly, Phase::Recv),
            "{outcome}"
        );
        assert_eq!(outcome.detail.as_str(), detail);
        server.join().unwrap();
    }
}

#[test]
fn servers_that_do_not_finish_the_handshake() {
    type Talk = fn(TcpStream);
    let hello = |stream: &mut TcpStream| assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    let rows: [(Talk, Code, &str); 4] = [
        (
            drop,
            Code::EofEarly,
            "closed the connection during the TLS handshake",
        ),
        (
            |stream| {
                socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            },
            Code::Reset,
            "reset by peer",
        ),
        (
            |mut stream| stream.write_all(b"220 mail.example ESMTP\r\n").unwrap(),
            Code::TlsHandshake,
            "does it speak plain text on this port?",
        ),
        (
            |mut stream| stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).unwrap(),
            Code::TlsHandshake,
            "or a client certificate is wanted",
        ),
    ];
    for (talk, code, detail) in rows {
        let (probe, server) = serve(move |mut stream| {
            hello(&mut stream);
            talk(stream);
        });
        let outcome = first_report(probe.with_tls(trusting()), policy()).outcome;
        assert_eq!(
            (outcome.code, outcome.phase),
            (code, Phase::Tls),
            "{outcome}"
        );
        assert!(outcome.detail.as_str().contains(detail), "{outcome}");
        server.join().unwrap();
    }
}

#[test]
fn handshake_that_stands_still_is_a_timeout_of_its_own() {
    let (probe, server) = serve(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap());
    let timeout = SECOND / 2;
    let policy = policy()
        .with_timeout(timeout)
        .with_connect_timeout(timeout / 2);
    let watch = Watch::start();
    let report = first_report(probe.with_tls(trusting()), policy.clone());
    let outcome = &report.outcome;
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TimeoutTls, Phase::Tls),
        "{outcome}"
    );
    watch.judge("timeout_tls", vec![report.at - report.started - timeout]);
    assert!(server.join().unwrap() > 100, "a whole client hello");

    // The other limit: nothing arrives any more.
    let (probe, server) = serve(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap());
    let probe = probe.with_tls(trusting()).with_idle_timeout(SECOND / 10);
    let watch = Watch::start();
    let report = first_report(probe, policy.with_timeout(60 * SECOND));
    assert_eq!(report.outcome.code, Code::TimeoutTls);
    watch.judge("idle", vec![report.at - report.started - SECOND / 10]);
    server.join().unwrap();
}

/// Asks for TLS when the server has said `go` and a line end; passes at a line in TLS.
#[derive(Clone, Debug, Default)]
struct Upgrade {
    heard: Vec<u8>,
    upgraded: bool,
}

impl Protocol for Upgrade {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }
}

impl Dialogue for Upgrade {
    fn opened(&mut self) -> Turn {
        Turn::Listen
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        self.heard.extend_from_slice(bytes);
        match &self.heard[..] {
            b"hello\n" if !self.upgraded => {
                self.heard.clear();
                Turn::Send(b"STARTTLS\n".to_vec())
            }
            b"go\n" if !self.upgraded => {
                self.heard.clear();
                self.upgraded = true;
                Turn::StartTls
            }
            heard if heard.ends_with(b"\n") => {
                let text = String::from_utf8_lossy(heard);
                Turn::Done(Outcome::new(Code::Ok, Phase::Match).with_detail(&text))
            }
            _ => Turn::Listen,
        }
    }
}

/// The server's side of it, which adds something to its agreement.
fn upgrade(mut stream: TcpStream, go: &[u8]) -> TcpStream {
    stream.write_all(b"hello\n").unwrap();
    let mut asked = [0; 9];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"STARTTLS\n");
    stream.write_all(go).unwrap();
    stream
}

#[test]
fn tls_can_begin_in_the_middle_of_a_dialogue() {
    let (probe, server) = serve(|stream| {
        let mut stream = secured(upgrade(stream, b"go\n"));
        stream.write_all(b"secret\n").unwrap();
        let _ = stream.read(&mut [0; 16]);
    });
    let outcome = first_report(
        probe
            .with_starttls(trusting())
            .with_protocol(Upgrade::default()),
        policy(),
    )
    .outcome;
    assert_eq!(
        (outcome.code, outcome.detail.as_str()),
        (Code::Ok, "secret")
    );
    assert!(outcome.timing.first_byte < outcome.timing.tls && outcome.tls.is_some());
    server.join().unwrap();

    // Nobody said how.
    let (probe, server) = serve(|stream| drop(upgrade(stream, b"go\n")));
    let outcome = first_report(probe.with_protocol(Upgrade::default()), policy()).outcome;
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TlsUnsupported, Phase::Tls),
        "{outcome}"
    );
    assert!(
        outcome.detail.as_str().contains("with_starttls"),
        "{outcome}"
    );
    server.join().unwrap();
}

#[test]
fn what_follows_the_agreement_in_plain_text_is_refused() {
    let (probe, server) = serve(|stream| drop(upgrade(stream, b"go\ninjected\n")));
    let probe = probe
        .with_starttls(trusting())
        .with_protocol(Upgrade::default());
    let outcome = first_report(probe, policy()).outcome;
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::Proto, Phase::Tls),
        "{outcome}"
    );
    assert!(
        outcome
            .detail
            .as_str()
            .contains("plain text where TLS was to start"),
        "{outcome}"
    );
    server.join().unwrap();

    // So late that the handshake has begun: then it is no TLS.
    let (probe, server) = serve(|stream| {
        let mut stream = upgrade(stream, b"go\n");
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"injected\n").unwrap();
    });
    let probe = probe
        .with_starttls(trusting())
        .with_protocol(Upgrade::default());
    let outcome = first_report(probe, policy()).outcome;
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::TlsHandshake, Phase::Tls),
        "{outcome}"
    );
    server.join().unwrap();
}

/// Writes one byte at a time, with a pause after each.
struct Dripping(TcpStream, Duration);

impl Read for Dripping {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Dripping {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        thread::sleep(self.1);
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn handshake_may_come_byte_by_byte_but_not_for_ever() {
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let (probe, server) = serve(|stream| {
            stream.set_nodelay(true).unwrap();
            let stream = Dripping(stream, Duration::ZERO);
            let mut stream = StreamOwned::new(server_connection(), stream);
            stream.write_all(b"hello\n").unwrap();
            let _ = stream.read(&mut [0; 16]);
        });
        let tls = trusting().with_versions(version, version);
        let probe = probe.with_tls(tls).with_protocol(Lines::default());
        let outcome = first_report(probe, policy()).outcome;
        assert_eq!(outcome.code, Code::Ok, "{version}: {outcome}");
        server.join().unwrap();
    }
    let (probe, server) = serve(|stream| {
        let stream = Dripping(stream, SECOND / 50);
        let _ = StreamOwned::new(server_connection(), stream).write_all(b"hello\n");
    });
    // By a tenth of it a busy host may be late before it blames itself.
    let timeout = 3 * SECOND;
    let watch = Watch::start();
    let report = first_report(probe.with_tls(trusting()), policy().with_timeout(timeout));
    assert_eq!(report.outcome.code, Code::TimeoutTls, "{}", report.outcome);
    watch.judge("drip", vec![report.at - report.started - timeout]);
    server.join().unwrap();
}

#[test]
fn server_that_never_ends_is_given_up_and_others_are_heard() {
    // A handshake message of 16 MiB in pieces, nothing at all in records, warnings, no TLS.
    let mut message = vec![22, 3, 3, 1, 0, 2, 0xff, 0xff, 0xff];
    message.resize(5 + 256, 0);
    let flood: [&[u8]; 4] = [
        &message,
        &[22, 3, 3, 0, 0],
        &[21, 3, 3, 0, 2, 1, 90],
        &[0; 64],
    ];
    for record in flood {
        let record = record.repeat(100);
        let (hostile, server) = serve(move |mut stream| while stream.write_all(&record).is_ok() {});
        let (friendly, other) = serve(|stream| drop(secured(stream).read(&mut [0; 16])));
        let mut driver = Driver::new(Config::default()).unwrap();
        let watch = Watch::start();
        let timeout = 3 * SECOND;
        let short = policy().with_timeout(timeout);
        let hostile = driver
            .add(Check::new(hostile.with_tls(trusting()), short))
            .unwrap();
        driver
            .add(Check::new(friendly.with_tls(trusting()), policy()))
            .unwrap();
        let mut events = Vec::new();
        while events.len() < 2 {
            driver.poll(Some(20 * SECOND), &mut events).unwrap();
        }
        let mut late = Vec::new();
        for event in events {
            let CheckEvent::Completed(report) = event else {
                panic!("{event:?}")
            };
            let (code, took) = (report.outcome.code, report.at - report.started);
            if report.check == hostile {
                assert!(
                    matches!(code, Code::TlsHandshake | Code::TimeoutTls),
                    "{}",
                    report.outcome
                );
                late.push(took.saturating_sub(timeout));
            } else {
                assert_eq!(code, Code::Ok, "{}", report.outcome);
            }
        }
        watch.judge("flood", late);
        drop(driver);
        server.join().unwrap();
        other.join().unwrap();
    }
}

/// A web server that refuses who offers no protocol it knows; what was offered.
#[cfg(feature = "http")]
fn insisting(mut stream: TcpStream) -> Vec<String> {
    let mut acceptor = rustls::server::Acceptor::default();
    let accepted = loop {
        acceptor.read_tls(&mut stream).unwrap();
        if let Some(accepted) = acceptor.accept().unwrap() {
            break accepted;
        }
    };
    let hello = accepted.client_hello();
    let offered = hello.alpn().into_iter().flatten();
    let offered: Vec<_> = offered
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if !offered.iter().any(|name| name == "http/1.1") {
        // A fatal alert: no_application_protocol, RFC 7301 §3.2.
        stream.write_all(&[21, 3, 3, 0, 2, 2, 120]).unwrap();
        return offered;
    }
    let connection = accepted.into_connection(server_config()).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(reply).unwrap();
    let _ = stream.read(&mut [0; 16]);
    offered
}

#[cfg(feature = "http")]
#[test]
fn http_offers_itself_to_servers_that_insist() {
    use lvs_healthcheck::probe::http::{Http, HttpSequence};

    fn run(
        protocol: impl Protocol + 'static,
        tls: Tls,
        code: Code,
        expected: &[&str],
        alpn: Option<&str>,
    ) {
        let (probe, server) = serve(insisting);
        let probe = probe.with_tls(tls).with_protocol(protocol);
        let outcome = first_report(probe, policy()).outcome;
        assert_eq!(outcome.code, code, "{outcome}");
        let agreed = outcome.tls.as_deref().and_then(|info| info.alpn.as_deref());
        assert_eq!(agreed, alpn.map(str::as_bytes));
        let text = match expected {
            _ if code == Code::Ok => "200 OK".to_owned(),
            [] => "the server wants a protocol offered by ALPN, and none was".to_owned(),
            names => format!(
                "the server wants none of the protocols offered by ALPN: {}",
                names.join(", ")
            ),
        };
        assert!(outcome.detail.as_str().ends_with(&text), "{outcome}");
        assert_eq!(server.join().unwrap(), expected, "{outcome}");
    }

    let get = || Http::get("/");
    let http = Some("http/1.1");
    run(get(), trusting(), Code::Ok, &["http/1.1"], http);
    let pages = HttpSequence::new([get()]);
    run(pages, trusting(), Code::Ok, &["http/1.1"], http);
    // Whoever says something of it has the last word.
    let both = trusting().with_alpn(["h2", "http/1.1"]);
    run(get(), both, Code::Ok, &["h2", "http/1.1"], http);
    let refused = Code::TlsHandshake;
    run(get(), trusting().with_alpn(["h2"]), refused, &["h2"], None);
    run(get(), trusting().with_alpn([""; 0]), refused, &[], None);
    // These programs offer nothing, and nor do other protocols.
    run(Http::keepalived("/"), trusting(), refused, &[], None);
    run(Http::haproxy(), trusting(), refused, &[], None);
    run((), trusting(), refused, &[], None);
}

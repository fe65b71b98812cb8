//! TLS, with the certificates of the library's own tests.

use core::net::SocketAddr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::program::{down, field, run, up};
use crate::servers::{reply, serve, talk};

/// In the folder of the package, where the program runs, too.
const CA: &str = "../healthcheck/tests/data/tls/ca.pem";
const CERTIFICATE: &str = "../healthcheck/tests/data/tls/server.pem";
const KEY: &str = "../healthcheck/tests/data/tls/server.key";
const PIN: &str = "d2c9288dc18df5ddc3a8763428f59a9c96645b2d9b509765c9ab66126c6aecf6";

/// A server's settings; with `ask`, it wants a certificate of the same authority.
fn config(ask: bool) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(CERTIFICATE).unwrap();
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if ask {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(CA).unwrap())
            .unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

fn secured(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
}

fn secure_web(ask: bool) -> SocketAddr {
    let config = config(ask);
    serve(move |stream| reply(secured(&config, stream), "200 OK", "secret"))
}

#[test]
fn https_verifies_unless_told_otherwise() {
    let address = secure_web(false);
    let url = format!("https://{address}/");
    let text = up(&[&url, "--ca", CA, "--expect-contains", "secret"]);
    assert!(
        field(&text, "tls").starts_with("TLS 1.3, TLS13_AES_"),
        "{text}"
    );
    assert!(
        field(&text, "tls").contains("certificate ends in "),
        "{text}"
    );
    assert!(field(&text, "time").contains(", tls "), "{text}");

    let text = down(&[&url]);
    assert_eq!(field(&text, "outcome"), "tls_verify (tls)");
    assert_eq!(
        field(&text, "expected"),
        "a TLS handshake, with a certificate for 127.0.0.1"
    );
    assert!(field(&text, "try").starts_with("--ca FILE"), "{text}");
    up(&[&url, "--verify", "none"]);
    up(&[&url, "--pin", PIN]);
    let text = down(&[&url, "--pin", &"0".repeat(64)]);
    assert_eq!(field(&text, "outcome"), "tls_verify (tls)");

    up(&[&url, "--ca", CA, "--sni", "check.test"]);
    let text = down(&[&url, "--ca", CA, "--sni", "other.test"]);
    assert!(
        field(&text, "expected").ends_with("for other.test"),
        "{text}"
    );
    up(&[&url, "--ca", CA, "--sni", "other.test", "--verify", "chain"]);
    let text = up(&[&url, "--ca", CA, "--tls-max", "1.2"]);
    assert!(field(&text, "tls").starts_with("TLS 1.2, "), "{text}");

    // The name of the URL at another address.
    let connect = address.to_string();
    let text = up(&["https://check.test/", "--connect", &connect, "--ca", CA]);
    let title = format!("https://check.test/ at {connect}: up");
    assert_eq!(text.lines().next(), Some(&*title));
}

#[test]
fn handshake_alone_and_under_other_protocols() {
    let config = config(false);
    let address = serve(move |stream| {
        let mut stream = secured(&config, stream);
        let mut asked = [0; 6];
        if stream.read_exact(&mut asked).is_ok() {
            stream.write_all(b"+PONG\r\n").unwrap();
        }
    });
    let text = up(&[&format!("tls://{address}"), "--ca", CA]);
    assert_eq!(field(&text, "outcome"), "ok (tls)");
    up(&[&format!("rediss://{address}"), "--ca", CA]);
    up(&[
        "tcp",
        &address.to_string(),
        "--tls",
        "--ca",
        CA,
        "--send",
        r"PING\r\n",
        "--expect",
        "PONG",
    ]);
}

#[test]
fn client_certificate_is_shown_where_one_is_wanted() {
    let url = format!("https://{}/", secure_web(true));
    let text = down(&[&url, "--ca", CA]);
    assert!(field(&text, "got").contains("certificate"), "{text}");
    assert_eq!(field(&text, "try"), "--cert FILE --key FILE");
    // The server's is not one for clients, which the server says.
    let text = down(&[&url, "--ca", CA, "--cert", CERTIFICATE, "--key", KEY]);
    assert!(
        field(&text, "got").contains("does not accept the client certificate"),
        "{text}"
    );
}

#[test]
fn plain_text_is_told_from_tls() {
    let text = down(&[&format!("https://{}/", talk(&["220 ready\r\n"]))]);
    assert_eq!(field(&text, "outcome"), "tls_handshake (tls)");
    assert!(
        field(&text, "try").starts_with("does the port speak TLS?"),
        "{text}"
    );
    // And the other way round.
    let text = down(&[&format!("http://{}/", secure_web(false))]);
    assert!(field(&text, "try").contains("TLS (--tls"), "{text}");
}

#[test]
fn smtp_begins_tls_when_asked_to() {
    let config = config(false);
    let address = serve(move |mut stream| {
        let line = |stream: &mut dyn Read| {
            let mut byte = [0];
            while matches!(stream.read(&mut byte), Ok(1)) && byte[0] != b'\n' {}
        };
        for said in [
            "220 ready\r\n",
            "250-fine\r\n250 STARTTLS\r\n",
            "220 go\r\n",
        ] {
            stream.write_all(said.as_bytes()).unwrap();
            if !said.contains("go") {
                line(&mut stream);
            }
        }
        let mut stream = secured(&config, stream);
        for said in ["250 fine\r\n", "221 bye\r\n"] {
            line(&mut stream);
            let _ = stream.write_all(said.as_bytes());
        }
    });
    let url = format!("smtp://{address}");
    let text = up(&[&url, "--starttls", "--ca", CA]);
    assert!(field(&text, "tls").starts_with("TLS 1.3"), "{text}");
    let text = down(&[&url, "--starttls"]);
    assert_eq!(field(&text, "outcome"), "tls_verify (tls)");
}

#[test]
fn json_has_the_session() {
    let url = format!("https://{}/", secure_web(false));
    let text = up(&[&url, "--ca", CA, "--json"]);
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["tls"]["version"], "TLS 1.3");
    assert_eq!(object["tls"]["resumed"], false);
    assert!(object["tls"]["days_left"].as_i64().unwrap() > 0, "{object}");
    assert!(
        object["tls_ms"].as_f64() > object["connect_ms"].as_f64(),
        "{object}"
    );
    let bad = run(&[&url, "--ca", KEY]);
    assert_eq!(bad.status, Some(2), "{bad:?}");
    assert!(bad.stderr.contains("server.key"), "{bad:?}");
}

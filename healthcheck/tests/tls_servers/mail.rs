//! TLS that begins when a mail server has agreed to it.

use core::net::SocketAddr;
use std::fs;

use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::probe::tls::Tls;
use lvs_healthcheck::{Code, Outcome, Phase, Target, TcpProbe};

use super::{assert_outcome, policy, run};
use crate::pki::Pki;
use crate::server::Server;

fn upgrade(address: SocketAddr, tls: &Tls) -> Outcome {
    let probe = TcpProbe::new(Target::new(address)).with_starttls(tls.clone());
    let smtp = Smtp::new().with_name("check.test").with_start_tls();
    run(probe.with_protocol(smtp), policy(), 1)
        .remove(0)
        .outcome
}

#[test]
#[ignore = "needs nginx with its mail module, openssl"]
fn tls_begins_when_the_server_has_agreed() {
    let pki = Pki::new();
    pki.server("mail.test");
    let folder = pki.folder().display();
    let mail = format!(
        "load_module /usr/lib/nginx/modules/ngx_mail_module.so;
        mail {{ server_name mail.test; auth_http 127.0.0.1:9/; smtp_capabilities PIPELINING;
            server {{ listen ADDRESS; protocol smtp; smtp_auth none; starttls only; xclient off;
                ssl_certificate {folder}/mail.test.pem;
                ssl_certificate_key {folder}/mail.test.key; }} }}"
    );
    let nginx = Server::nginx(&pki, &mail, &[]);
    let tls = Tls::new().with_trust(pki.trust());
    let outcome = upgrade(nginx.address(0), &tls.clone().with_name("mail.test"));
    assert_eq!(outcome.code, Code::Ok, "{outcome}");
    let (timing, info) = (outcome.timing, outcome.tls.as_deref().unwrap());
    assert!(timing.first_byte < timing.tls && timing.tls < timing.total);
    assert!(!info.expires_soon && info.days_left == Some(29), "{info:?}");
    let outcome = upgrade(nginx.address(0), &tls.with_name("other.test"));
    let detail = "not for other.test but for mail.test";
    assert_outcome(&outcome, Code::TlsVerify, Phase::Tls, detail);
}

#[test]
#[ignore = "needs opensmtpd, openssl"]
fn server_that_does_not_agree_is_named_by_its_answer() {
    let pki = Pki::new();
    let folder = pki.folder().display();
    // With TLS it would do for no client: Debian's of version 6.8 cannot sign with OpenSSL 3.
    let server = Server::smtpd(&pki, |address| {
        let (ip, port) = (address.ip(), address.port());
        let configuration = format!(
            "listen on {ip} port {port} hostname mail.test
            action \"keep\" maildir \"{folder}/mail\"
            match for local action \"keep\"\n"
        );
        fs::write(pki.path("smtpd.conf"), configuration).unwrap();
    });
    let tls = Tls::new().with_trust(pki.trust()).with_name("mail.test");
    let outcome = upgrade(server.address(0), &tls);
    assert_eq!(outcome.code, Code::Status, "{outcome}");
    assert!(outcome.tls.is_none());
    assert!(outcome.detail.as_str().contains("STARTTLS"), "{outcome}");
}

//! SMTP with OpenSMTPD.

use std::fs;

use lvs_healthcheck::probe::preset;
use lvs_healthcheck::probe::smtp::{Hello, Smtp};
use lvs_healthcheck::{Code, TcpProbe};
use tempfile::TempDir;

use super::checking::report;
use super::server::{Server, free_port};

fn smtpd() -> Server {
    let (directory, port) = (TempDir::new().unwrap(), free_port());
    let configuration = format!(
        "listen on 127.0.0.1 port {port} hostname mail.test\n\
         action \"keep\" maildir \"{}\"\n\
         match for local action \"keep\"\n",
        directory.path().display(),
    );
    fs::write(directory.path().join("conf"), configuration).unwrap();
    Server::start_in(directory, port, "smtpd", |directory, _| {
        let file = directory.join("conf").display().to_string();
        vec!["-d".to_owned(), "-f".to_owned(), file]
    })
}

#[test]
#[ignore = "needs opensmtpd"]
fn mail_server_lets_every_flavour_come_and_go() {
    let server = smtpd();
    for smtp in [
        Smtp::new(),
        Smtp::new().with_name("lb.test").with_hello(Hello::Ehlo),
        Smtp::keepalived(),
        Smtp::haproxy(),
    ] {
        let outcome = report(TcpProbe::new(server.target()).with_protocol(smtp.clone())).outcome;
        assert_eq!(
            outcome.code,
            Code::Ok,
            "{smtp:?}: {outcome}\n{}",
            server.log()
        );
        assert!(outcome.timing.first_byte >= outcome.timing.connect);
    }
    // A name it does not take for one.
    let odd = Smtp::new().with_name("<>").with_hello(Hello::Helo);
    let outcome = report(TcpProbe::new(server.target()).with_protocol(odd)).outcome;
    assert_eq!(outcome.code, Code::Status, "{outcome}");
    // It is no POP3 server.
    let outcome = report(TcpProbe::new(server.target()).with_protocol(preset::pop3())).outcome;
    assert_eq!(outcome.code, Code::Content, "{outcome}");
}

//! Redis and memcached.

use std::io::Write;
use std::net::TcpStream;

use lvs_healthcheck::probe::preset;
use lvs_healthcheck::{Code, Phase, TcpProbe};

use super::checking::report;
use super::server::Server;

fn redis(more: &[&str]) -> Server {
    Server::start("redis-server", |directory, port| {
        let port = port.to_string();
        let directory = directory.display().to_string();
        let fixed = [
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--dir",
            &directory,
            "--save",
            "",
        ];
        fixed.iter().chain(more).map(ToString::to_string).collect()
    })
}

#[test]
#[ignore = "needs redis-server"]
fn redis_answers_with_and_without_a_password_and_is_refused_when_stopped() {
    let mut server = redis(&["--requirepass", "secret"]);
    let probe = |password| TcpProbe::new(server.target()).with_protocol(preset::redis(password));
    for (password, code) in [
        (Some("secret"), Code::Ok),
        (None, Code::Ok),
        (Some("wrong"), Code::Content),
    ] {
        let outcome = report(probe(password)).outcome;
        assert_eq!(outcome.code, code, "{password:?}: {outcome}");
        if code == Code::Content {
            let detail = outcome.detail.as_str();
            assert!(
                detail.contains("AUTH: expected") && detail.contains("WRONGPASS"),
                "{detail}"
            );
        }
    }
    let probe = probe(None);
    server.stop();
    let outcome = report(probe).outcome;
    assert_eq!(
        (outcome.code, outcome.phase),
        (Code::Refused, Phase::Connect)
    );
}

#[test]
#[ignore = "needs redis-server"]
fn key_takes_a_redis_out_of_service() {
    let server = redis(&[]);
    let probe =
        || TcpProbe::new(server.target()).with_protocol(preset::redis_key("drain me", None));
    assert_eq!(report(probe()).outcome.code, Code::Ok);
    let mut client = TcpStream::connect(server.target().address()).unwrap();
    client.write_all(b"SET \"drain me\" 1\r\n").unwrap();
    // The answer to this connection comes before the probe's is read.
    std::io::Read::read(&mut client, &mut [0; 16]).unwrap();
    let outcome = report(probe()).outcome;
    assert_eq!(outcome.code, Code::Status, "{outcome}");
}

#[test]
#[ignore = "needs memcached"]
fn memcached_tells_its_version() {
    let server = Server::start("memcached", |_, port| {
        let port = port.to_string();
        ["-u", "root", "-l", "127.0.0.1", "-p", &port, "-U", "0"]
            .map(String::from)
            .to_vec()
    });
    let probe = TcpProbe::new(server.target()).with_protocol(preset::memcached());
    assert_eq!(report(probe).outcome.code, Code::Ok);
    let probe = TcpProbe::new(server.target()).with_protocol(preset::ftp());
    let outcome = super::checking::report_within(probe, core::time::Duration::from_millis(300));
    assert_eq!(
        outcome.outcome.code,
        Code::TimeoutIo,
        "it waits for the client"
    );
}

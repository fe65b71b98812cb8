//! Questions over UDP that are others each time: with real servers, with those of these tests, and
//! with nobody.

use core::time::Duration;
use std::fs;
use std::thread;
use std::time::Instant;

use crate::program::{down, field, run, up};
use crate::programs::{CHRONY, FREERADIUS, KAMAILIO, PATIENCE, SNMPD, Server};
use crate::servers::{datagrams, nobody};

impl Server {
    /// What the tool prints once the server answers as it should, which takes some time.
    fn up(&self, words: &[&str]) -> String {
        let begin = Instant::now();
        loop {
            let outcome = run(words);
            if outcome.status == Some(0) {
                return outcome.stdout;
            }
            assert!(
                outcome.status == Some(1) && begin.elapsed() < PATIENCE,
                "{outcome:?}\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
#[ignore = "needs chrony"]
fn ntp_asks_chrony() {
    let server = Server::start(CHRONY);
    let text = server.up(&[&format!("ntp://{}", server.address)]);
    assert_eq!(field(&text, "outcome"), "ok (match): stratum 10");

    // Without a source and without `local`.
    let [command, configuration] = CHRONY;
    let lost = configuration.replace("local stratum 10\n", "");
    let lost = Server::start([command, &lost]);
    let url = format!("ntp://{}", lost.address);
    let begin = Instant::now();
    let text = loop {
        let text = down(&[&url, "--timeout", "1s"]);
        if field(&text, "outcome") == "status (match)" {
            break text;
        }
        assert!(begin.elapsed() < PATIENCE, "{text}");
    };
    assert!(
        field(&text, "expected").starts_with("an answer of a synchronized server"),
        "{text}"
    );
    assert_eq!(
        field(&text, "got"),
        "an unwanted answer: its clock is not synchronized"
    );
    assert!(field(&text, "try").contains("chronyc"), "{text}");
}

#[test]
#[ignore = "needs snmpd"]
fn snmp_asks_snmpd() {
    let server = Server::start(SNMPD);
    let text = server.up(&[&format!("snmp://seen@{}", server.address)]);
    assert!(text.starts_with("snmp://***@127.0.0.1:"), "{text}");
    assert!(!text.contains("seen"), "{text}");
    up(&[&format!("snmp://seen@{}/?version=1", server.address)]);
    let url = format!("snmp://public@{}", server.address);
    let text = down(&[&url, "--timeout", "1s"]);
    assert_eq!(field(&text, "outcome"), "timeout_io (recv)");
    assert_eq!(
        field(&text, "expected"),
        "sysUpTime over SNMP version 2c within 1 s"
    );
    assert!(field(&text, "try").contains("community"), "{text}");
}

#[test]
#[ignore = "needs kamailio"]
fn sip_asks_kamailio() {
    let server = Server::start(KAMAILIO);
    let url = format!("sip://{}", server.address);
    let text = server.up(&[&url]);
    assert_eq!(field(&text, "outcome"), "ok (match): 200 Fine");
    let text = down(&[&url, "--expect", "300-499"]);
    assert_eq!(field(&text, "outcome"), "status (match)");
    assert_eq!(field(&text, "expected"), "status 300 to 499");
    assert_eq!(field(&text, "got"), "200 Fine");
    assert!(
        field(&text, "try").starts_with("--expect 200-499"),
        "{text}"
    );
}

#[test]
#[ignore = "needs freeradius"]
fn radius_asks_freeradius() {
    let server = Server::start(FREERADIUS);
    let text = server.up(&[&format!("radius://:testing123@{}", server.address)]);
    assert!(text.starts_with("radius://:***@127.0.0.1:"), "{text}");
    assert!(!text.contains("testing123"), "{text}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "testing123\n").unwrap();
    let url = format!("radius://{}", server.address);
    up(&[&url, "--password-file", file.path().to_str().unwrap()]);

    let url = format!("radius://:other@{}", server.address);
    let text = down(&[&url, "--timeout", "1s"]);
    assert_eq!(field(&text, "outcome"), "timeout_io (recv)");
    assert!(field(&text, "try").contains("the secret"), "{text}");
}

/// As a server does that speaks version 1 only, RFC 9000 §6.1.
fn refuse_version(question: &[u8]) -> Option<Vec<u8>> {
    let (theirs, ours) = (question.get(5..14)?, question.get(14..23)?);
    Some([&[0x80, 0, 0, 0, 0], ours, theirs, &[0, 0, 0, 1]].concat())
}

#[test]
fn quic_asks_for_versions() {
    let address = datagrams(refuse_version);
    let text = up(&[&format!("quic://{address}")]);
    assert_eq!(field(&text, "outcome"), "ok (match): versions 00000001");

    // What is no answer to the question is told, too.
    let other = datagrams(|said| Some(said.to_vec()));
    let text = down(&[&format!("quic://{other}"), "--timeout", "300ms"]);
    assert_eq!(field(&text, "outcome"), "timeout_io (recv)");
    assert_eq!(
        field(&text, "expected"),
        "a list of the versions that the server speaks within 300 ms"
    );
    assert!(
        field(&text, "got").ends_with("what came is no negotiation of the version asked for"),
        "{text}"
    );
}

#[test]
fn dead_ports_are_refused() {
    for scheme in [
        "ntp://",
        "radius://:secret@",
        "sip://",
        "snmp://public@",
        "quic://",
    ] {
        let address = nobody();
        let text = down(&[&format!("{scheme}{address}")]);
        assert_eq!(field(&text, "outcome"), "refused (connect)", "{scheme}");
        assert!(field(&text, "expected").ends_with(" within 3 s"), "{text}");
        assert!(
            field(&text, "try").ends_with(&format!("ss -lun 'sport = :{}'", address.port())),
            "{text}"
        );
    }
}

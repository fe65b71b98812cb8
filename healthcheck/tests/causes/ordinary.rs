//! Causes that need no privileges.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lvs_healthcheck::probe::agent::Agent;
use lvs_healthcheck::probe::dns::{DnsProbe, RecordType};
use lvs_healthcheck::probe::http::Http;
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::probe::tls::{Pem, Tls, Trust};
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
use lvs_healthcheck::probe::{Event, FnProbe, NamedProbe, Step, preset};
use lvs_healthcheck::{
    Attempt, Code, Command, CommandProbe, Config, Driver, Health, Outcome, Phase, Probe, Target,
    TcpProbe, Verdict,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::full::Full;
use super::server::{
    answering, answering_in_turn, closed, closed_udp, closing, dripping, name_server, resetting,
    saying, serve, silent,
};
use super::{LONG, Row, SECOND, SHORT, outcome, outcome_in, row, second_outcome};

fn tcp(target: Target) -> Outcome {
    outcome(TcpProbe::new(target), LONG)
}

fn http(target: Target, http: Http) -> Outcome {
    outcome(TcpProbe::new(target).with_protocol(http), LONG)
}

/// A server that was well, and now says this.
fn drained(reply: &'static [u8], drain: &str) -> Outcome {
    let probe = TcpProbe::new(answering_in_turn([SORRY, reply]));
    second_outcome(probe.with_protocol(Http::get("/").with_drain(status(drain))))
}

fn smtp(target: Target, timeout: core::time::Duration) -> Outcome {
    let probe = TcpProbe::new(target).with_protocol(Smtp::new().with_name("us"));
    outcome(probe, timeout)
}

fn tls(target: Target, timeout: core::time::Duration) -> Outcome {
    let trust = Trust::Only(Pem::Bytes(CA.into()));
    outcome(
        TcpProbe::new(target).with_tls(Tls::new().with_trust(trust)),
        timeout,
    )
}

fn shell(script: &str, timeout: core::time::Duration) -> Outcome {
    let command = Command::new("/bin/sh")
        .with_argument("-c")
        .with_argument(script);
    outcome(CommandProbe::new(command), timeout)
}

/// An authority, the certificate it signed for 127.0.0.1, and that one's key.
const CA: &[u8] = include_bytes!("../data/tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../data/tls/server.pem");
const KEY: &[u8] = include_bytes!("../data/tls/server.key");

/// A server that is sure of itself.
fn secured() -> Target {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::io::Read;

    serve(|stream| {
        let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let ring = rustls::crypto::ring::default_provider();
        let config = ServerConfig::builder_with_provider(ring.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let connection = ServerConnection::new(config.into()).unwrap();
        // A client that refuses the certificate says so, which is an error here.
        let _ = StreamOwned::new(connection, stream).read(&mut [0; 16]);
    })
}

/// Runs with no descriptor left.
fn without_descriptors(work: impl FnOnce() -> Outcome) -> Outcome {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The lowest free number is the limit: nothing can be opened.
    let free = fs::File::open("/dev/null").unwrap();
    let limit = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&free)).unwrap();
    drop(free);
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
    let outcome = work();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    outcome
}

/// Sockets of what this process did before may close themselves only now, so there might be a
/// number left after all.
fn starved(make: impl Fn() -> Outcome, code: Code) -> Outcome {
    for _ in 0..20 {
        let outcome = make();
        if outcome.code == code {
            return outcome;
        }
        std::thread::sleep(SHORT);
    }
    make()
}

fn no_socket() -> Outcome {
    let produce = || {
        let driver = Driver::new(Config::default()).unwrap();
        let probe = TcpProbe::new(closed());
        without_descriptors(|| outcome_in(driver, probe, LONG))
    };
    starved(produce, LocalSocket)
}

fn no_pipe() -> Outcome {
    let produce = || {
        let driver = Driver::new(Config::default()).unwrap();
        let probe = CommandProbe::new(Command::new("/bin/true"));
        without_descriptors(|| outcome_in(driver, probe, LONG))
    };
    starved(produce, Spawn)
}

fn not_executable() -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("check");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let command = Command::new(path.to_str().unwrap());
    outcome(CommandProbe::new(command), LONG)
}

fn name_of_nobody() -> Outcome {
    let probe = NamedProbe::new("nowhere.invalid:80", |address| {
        TcpProbe::new(Target::new(address))
    });
    outcome(probe, 3 * SECOND)
}

/// A reload while the answer is awaited; the driver keeps such outcomes to itself.
fn cancelled() -> Outcome {
    let probe = TcpProbe::new(closed()).with_protocol(preset::ftp());
    let attempt = Attempt::new(1, SECOND, SECOND, None, Health::Up);
    let mut engine = probe.engine(&attempt);
    assert!(matches!(engine.start(SECOND), Step::Do(_)));
    assert!(matches!(
        engine.on_event(Event::Connected, SECOND),
        Step::Do(_)
    ));
    match engine.on_event(Event::Cancel, SECOND) {
        Step::Done(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn accepting() -> Outcome {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tcp(Target::new(listener.local_addr().unwrap()))
}

/// `192.0.2.1`, where `192.0.2.2` is wanted.
const ANSWER: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01";

fn name_service(target: Target, wanted: &str) -> Outcome {
    let probe = DnsProbe::new(target, "www.example", RecordType::A);
    outcome(probe.with_any_of([wanted]), LONG)
}

use Code::{
    Busy, Cancelled, Content, EofEarly, ExitNonzero, ExitSignal, LocalBind, LocalSocket, Ok,
    OkNoNew, Proto, Refused, Reset, Resolve, Spawn, Status, TimeoutConnect, TimeoutIo, TimeoutProc,
    TimeoutTls, TlsHandshake, TlsUnsupported, TlsVerify,
};
use Phase::{Bind, Connect, Match, Process, Recv};
use Verdict::{Fail, FailNow, Neutral, Pass, PassNoNew};

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const BROKEN: &[u8] = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n";
const BUSY: &[u8] = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n";
const SORRY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsorry";

fn status(text: &str) -> lvs_healthcheck::probe::http::StatusSet {
    text.parse().unwrap()
}

pub(super) const TABLE: &[Row] = &[
    row(Ok, Connect, Pass, "a server that listens", accepting),
    row(Ok, Match, Pass, "the answer that is wanted", || {
        name_service(name_server(0, &[ANSWER]), "192.0.2.1")
    }),
    row(
        Ok,
        Phase::Tls,
        Pass,
        "a certificate that is trusted",
        || tls(secured(), LONG),
    ),
    row(Ok, Process, Pass, "exit code 0", || shell("exit 0", LONG)),
    row(OkNoNew, Match, PassNoNew, "404, which drains", || {
        drained(NOT_FOUND, "404")
    }),
    row(LocalSocket, Bind, Neutral, "EMFILE", no_socket),
    row(LocalBind, Bind, Neutral, "EADDRNOTAVAIL", || {
        tcp(closed().with_source("192.0.2.99".parse().unwrap()))
    }),
    row(LocalBind, Bind, Neutral, "ENODEV", || {
        tcp(closed().with_device("no-such-device"))
    }),
    row(
        Resolve,
        Phase::Resolve,
        Neutral,
        "a name nobody has",
        name_of_nobody,
    ),
    row(Refused, Connect, Fail, "ECONNREFUSED by a reset", || {
        tcp(closed())
    }),
    row(Refused, Connect, Fail, "ICMP port unreachable", || {
        let probe = UdpProbe::new(closed_udp()).with_reply(Reply::any());
        outcome(probe, LONG)
    }),
    row(Reset, Recv, Fail, "ECONNRESET instead of a reply", || {
        http(resetting(), Http::get("/"))
    }),
    row(
        TimeoutConnect,
        Connect,
        Fail,
        "no SYN/ACK from a full queue",
        || {
            let full = Full::new();
            outcome(TcpProbe::new(Target::new(full.address)), SHORT)
        },
    ),
    row(TimeoutTls, Phase::Tls, Fail, "no server hello", || {
        tls(silent(), SHORT)
    }),
    row(TimeoutIo, Recv, Fail, "no greeting", || {
        smtp(silent(), SHORT)
    }),
    row(TimeoutIo, Recv, Fail, "a byte from time to time", || {
        // By a tenth of it a busy host may be late before it blames itself.
        smtp(dripping(), 3 * SECOND)
    }),
    row(
        TlsHandshake,
        Phase::Tls,
        Fail,
        "alert: handshake failure",
        || tls(answering(&[21, 3, 3, 0, 2, 2, 40]), LONG),
    ),
    row(
        TlsVerify,
        Phase::Tls,
        Fail,
        "a certificate of another name",
        || {
            let trust = Trust::Only(Pem::Bytes(CA.into()));
            let settings = Tls::new().with_trust(trust).with_name("other.test");
            outcome(TcpProbe::new(secured()).with_tls(settings), LONG)
        },
    ),
    row(
        TlsUnsupported,
        Phase::Tls,
        Fail,
        "alert: protocol version, of TLS 1.0",
        || tls(answering(&[21, 3, 1, 0, 2, 2, 70]), LONG),
    ),
    row(EofEarly, Recv, Fail, "closed before the greeting", || {
        smtp(closing(), LONG)
    }),
    row(Proto, Recv, Fail, "garbage", || {
        smtp(saying(b"\0\xff\x01\n"), LONG)
    }),
    row(Proto, Recv, Fail, "a greeting without end", || {
        smtp(saying(&[b'2'; 5000]), LONG)
    }),
    row(Status, Match, Fail, "500", || {
        http(answering(BROKEN), Http::get("/"))
    }),
    row(Status, Match, Fail, "SERVFAIL", || {
        name_service(name_server(2, &[]), "192.0.2.1")
    }),
    row(Status, Match, FailNow, "500, which is fatal", || {
        http(
            answering(BROKEN),
            Http::get("/").with_fail_now(status("500")),
        )
    }),
    row(Status, Match, FailNow, "an agent that is down", || {
        outcome(
            TcpProbe::new(saying(b"down\n")).with_protocol(Agent::new()),
            LONG,
        )
    }),
    row(Content, Match, Fail, "another text", || {
        http(
            answering(SORRY),
            Http::get("/").with_body_contains("welcome"),
        )
    }),
    row(Content, Match, Fail, "another address", || {
        name_service(name_server(0, &[ANSWER]), "192.0.2.2")
    }),
    row(Busy, Match, Fail, "SMTP 421", || {
        smtp(saying(b"421 later\r\n"), LONG)
    }),
    row(Busy, Match, PassNoNew, "503, which drains", || {
        drained(BUSY, "503")
    }),
    row(ExitNonzero, Process, Fail, "exit code 1", || {
        shell("exit 1", LONG)
    }),
    row(ExitSignal, Process, Fail, "SIGKILL of its own", || {
        shell("kill -9 $$", LONG)
    }),
    row(TimeoutProc, Process, Fail, "sleeps too long", || {
        shell("sleep 30", SHORT)
    }),
    row(Spawn, Process, Fail, "ENOENT", || {
        outcome(CommandProbe::new(Command::new("/no/such/program")), LONG)
    }),
    row(Spawn, Process, Fail, "EACCES", not_executable),
    row(Spawn, Process, Neutral, "EMFILE", no_pipe),
    row(Cancelled, Recv, Neutral, "a reload", cancelled),
    row(
        Cancelled,
        Process,
        Neutral,
        "a function that panics",
        || outcome(FnProbe::new(|_| panic!("on purpose")), LONG),
    ),
];

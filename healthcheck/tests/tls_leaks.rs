//! What a thousand TLS checks leave behind: nothing. Alone in its process, because it counts
//! everything the process has.

#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use core::time::Duration;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use lvs_healthcheck::policy::{ScheduleBase, Spread};
use lvs_healthcheck::probe::tls::{Tls, Verify};
use lvs_healthcheck::{Check, CheckEvent, Code, Config, Driver, Policy, Target, TcpProbe};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const CERTIFICATE: &[u8] = include_bytes!("data/tls/server.pem");
const KEY: &[u8] = include_bytes!("data/tls/server.key");

fn count(path: &str) -> usize {
    fs::read_dir(path).unwrap().count()
}

fn server_config() -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.unwrap())
}

/// Serves until somebody comes from the port of the end.
fn serve(talk: impl Fn(TcpStream) + Send + 'static) -> (Target, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        loop {
            let (stream, from) = listener.accept().unwrap();
            if from.port() == 4445 {
                return;
            }
            talk(stream);
        }
    });
    (target, server)
}

#[test]
fn thousand_checks_leave_no_descriptor_and_no_thread() {
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    let config = server_config();
    let handshake = move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let _ = StreamOwned::new(connection, stream).read(&mut [0; 16]);
    };
    let (silent, closing) = (
        serve(|mut stream| drop(stream.read_to_end(&mut Vec::new()))),
        serve(drop),
    );
    let good = serve(handshake);
    let none = Tls::new().with_verify(Verify::None);
    let wrong = Tls::new().with_verify(Verify::Pin(vec!["0".repeat(64).parse().unwrap()]));
    // They end well, by refusal of this side, by that of the other, and by the clock.
    let checks = [
        (&good, &none, 2000),
        (&good, &wrong, 2000),
        (&closing, &none, 2000),
        (&silent, &none, 20),
    ];
    let mut driver = Driver::new(Config::default()).unwrap();
    let idle = count("/proc/self/fd");
    let mut ids = Vec::new();
    for ((target, _), tls, timeout) in checks {
        let policy = Policy::default()
            .with_spread(Spread::None)
            .with_schedule_base(ScheduleBase::EndToStart)
            .with_interval(Policy::MIN_TIME)
            .with_timeout(Duration::from_millis(timeout));
        let probe = TcpProbe::new(target.clone()).with_tls(tls.clone());
        ids.push(driver.add(Check::new(probe, policy)).unwrap());
    }
    let mut events = Vec::new();
    while events.len() < 1000 {
        driver
            .poll(Some(Duration::from_secs(1)), &mut events)
            .unwrap();
    }
    let count_of = |codes: &[Code]| {
        let has = |event: &&CheckEvent| matches!(event, CheckEvent::Completed(report) if codes.contains(&report.outcome.code));
        events.iter().filter(has).count()
    };
    let counts = [
        count_of(&[Code::Ok]),
        count_of(&[Code::TlsVerify]),
        count_of(&[Code::EofEarly, Code::Reset]),
        count_of(&[Code::TimeoutTls]),
    ];
    assert_eq!(counts.iter().sum::<usize>(), events.len(), "{counts:?}");
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    for id in ids {
        driver.remove(id).unwrap();
    }
    let left = count("/proc/self/fd");
    // Servers may still hold what they have just accepted.
    assert!(left <= idle + 3, "{idle} before, {left} left");
    drop(driver);

    let mut driver = Driver::new(Config::default()).unwrap();
    for (target, _) in [&good, &closing, &silent] {
        let probe = TcpProbe::new(target.clone().with_source_port(4445));
        driver
            .add(Check::new(
                probe,
                Policy::default().with_spread(Spread::None),
            ))
            .unwrap();
    }
    let mut events = Vec::new();
    while events.len() < 3 {
        driver.poll(None, &mut events).unwrap();
    }
    for event in events {
        let CheckEvent::Completed(report) = event else {
            panic!("{event:?}")
        };
        assert_eq!(report.outcome.code, Code::Ok, "{}", report.outcome);
    }
    drop(driver);
    for (_, server) in [good, closing, silent] {
        server.join().unwrap();
    }
    // A thread that was joined may take a moment to be gone.
    let end = Instant::now() + Duration::from_secs(5);
    while count("/proc/self/task") > before.1 && Instant::now() < end {
        thread::yield_now();
    }
    assert_eq!((count("/proc/self/fd"), count("/proc/self/task")), before);
}

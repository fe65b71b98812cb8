//! A second connection in one attempt, while somebody else still has a copy of the first. By itself:
//! it copies every socket of the process.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::{Action, CloseMode, Engine, Event, Step, Transport};
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, Code, Config, Driver, Outcome, Phase, Policy, Probe, Target,
    Timestamp,
};
use socket2::{Domain, Socket, Type};

const SECOND: Duration = Duration::from_secs(1);

/// Talks to the server, and once that has answered connects to somewhere that never does.
#[derive(Clone, Debug)]
struct Twice {
    server: SocketAddr,
    silent: SocketAddr,
    copies: Arc<Mutex<Vec<OwnedFd>>>,
}

impl Probe for Twice {
    fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(self.clone())
    }
}

impl Engine for Twice {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(vec![connect(self.server), Action::Read])
    }

    fn on_event(&mut self, event: Event<'_>, _now: Timestamp) -> Step {
        match event {
            Event::Connected if self.copies.lock().unwrap().is_empty() => {
                Step::Do(vec![Action::Send(b"?".to_vec())])
            }
            Event::Data(_) => {
                self.copies.lock().unwrap().extend(copies_of_sockets());
                Step::Do(vec![connect(self.silent)])
            }
            Event::Sent => Step::Do(Vec::new()),
            Event::Deadline => Step::Done(Outcome::new(Code::TimeoutConnect, Phase::Connect)),
            other => {
                let detail = format!("{other:?}");
                Step::Done(Outcome::new(Code::Ok, Phase::Match).with_detail(&detail))
            }
        }
    }
}

fn connect(address: SocketAddr) -> Action {
    Action::Connect {
        target: Target::new(address),
        transport: Transport::Tcp {
            close: CloseMode::Fin,
            prompt: true,
        },
    }
}

/// A listener that takes nothing more, and what keeps it so.
fn full_listener() -> (Socket, Vec<TcpStream>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SECOND / 3) {
        filling.push(stream);
        assert!(filling.len() < 16, "the backlog never fills");
    }
    (listener, filling, address)
}

/// Copies of this process's sockets, as a process has them that is just being started.
fn copies_of_sockets() -> Vec<OwnedFd> {
    let own = rustix::process::getpid();
    let own = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty()).unwrap();
    let mut copies = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let is_socket = std::fs::read_link(&path)
            .is_ok_and(|link| link.to_string_lossy().starts_with("socket:"));
        let number = path.file_name().unwrap().to_string_lossy().parse();
        if is_socket {
            let flags = rustix::process::PidfdGetfdFlags::empty();
            copies.extend(rustix::process::pidfd_getfd(&own, number.unwrap(), flags));
        }
    }
    copies
}

#[test]
fn what_happens_to_the_connection_before_says_nothing_of_the_next() {
    let (_listener, _filling, silent) = full_listener();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let copies = Arc::default();
    let probe = Twice {
        server: listener.local_addr().unwrap(),
        silent,
        copies: Arc::clone(&copies),
    };
    let talk = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        thread::sleep(SECOND / 10);
        stream.write_all(b"!").unwrap();
        // More comes after the probe has let go of it.
        thread::sleep(SECOND / 3);
        stream.write_all(b"!").unwrap();
        thread::sleep(SECOND / 3);
    });
    let policy = Policy::default().with_spread(Spread::None);
    let policy = policy.with_timeout(2 * SECOND);
    let mut driver = Driver::new(Config::default()).unwrap();
    driver.add(Check::new(probe, policy)).unwrap();
    let mut events = Vec::new();
    driver.poll(Some(20 * SECOND), &mut events).unwrap();
    let Some(CheckEvent::Completed(report)) = events.pop() else {
        panic!("no outcome")
    };
    let outcome = report.outcome;
    assert_eq!(outcome.code, Code::TimeoutConnect, "{outcome}");
    assert!(!copies.lock().unwrap().is_empty());
    talk.join().unwrap();
}

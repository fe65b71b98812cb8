//! A host: a thread in a network and a mount namespace of its own, with IPVS and name files.

use core::time::Duration;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use lvs_ipvs::{Client, SyncDaemon, Table, Timeouts};
use nix::sched::{CloneFlags, unshare};

use super::names;
use super::tool::{Outcome, Tool};

/// Longest wait for anything that takes milliseconds: the guest has one slow CPU.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that a command can change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) table: Table,
    pub(crate) daemons: Vec<SyncDaemon>,
    pub(crate) timeouts: Timeouts,
}

type Job = Box<dyn FnOnce(&mut Client) + Send>;

/// Goes away with everything in it when it is dropped.
pub(crate) struct Host {
    jobs: Sender<Job>,
}

impl Host {
    /// `lo` is up; the dummy `d0` has 10.9.0.1/24 and fd00:9::1/64, and `lo` further addresses.
    pub(crate) fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (ready, started) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
            names::install();
            run_ip(NETWORK);
            let mut client = Client::connect().unwrap();
            ready.send(()).unwrap();
            for job in queue {
                job(&mut client);
            }
            stop_daemons(&mut client);
        });
        wait(&started, "a new host");
        Self { jobs }
    }

    /// Does something on the host's thread; `what` names it when it takes too long.
    pub(crate) fn enter<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&mut Client) -> T + Send + 'static,
    ) -> T {
        let (done, result) = mpsc::channel();
        let job = Box::new(move |client: &mut Client| {
            // Nobody waits any more when it took too long.
            let _ = done.send(work(client));
        });
        self.jobs.send(job).unwrap();
        wait(&result, what)
    }

    /// Runs one of the programs here.
    pub(crate) fn run(&self, tool: Tool, arguments: &[String], stdin: &str) -> Outcome {
        let (owned, input) = (arguments.to_vec(), stdin.to_owned());
        let outcome = self.enter(&format!("{tool:?} {arguments:?}"), move |_| {
            tool.run(&owned, &input)
        });
        if arguments.iter().any(|word| word.contains("start-daemon"))
            || stdin.contains("start-daemon")
        {
            // A daemon that is stopped before its thread first ran is not waited for: the kernel
            // never answers.
            thread::sleep(Duration::from_millis(20));
        }
        outcome
    }

    /// As [`run`](Self::run), from a line of words without quotes.
    pub(crate) fn line(&self, tool: Tool, line: &str) -> Outcome {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        self.run(tool, &words, "")
    }

    /// What is configured here.
    pub(crate) fn state(&self) -> State {
        self.enter("reading the table", |client| {
            let snapshot = client.snapshot().unwrap();
            assert!(snapshot.agreed);
            State {
                table: snapshot.table(),
                daemons: client.daemons().unwrap(),
                timeouts: client.timeouts().unwrap(),
            }
        })
    }

    /// No services, no daemons, the kernel's timeouts.
    pub(crate) fn reset(&self) {
        self.enter("resetting", |client| {
            client.flush().unwrap();
            stop_daemons(client);
            let timeouts = Timeouts {
                tcp_secs: Some(900),
                tcp_fin_secs: Some(120),
                udp_secs: Some(300),
            };
            client.set_timeouts(timeouts).unwrap();
        });
    }
}

/// Addresses of every class the kernel tells apart: local ones, a network with its broadcast
/// address, and nothing else routed.
const NETWORK: &str = "link set lo up\n\
    link add d0 type dummy\n\
    link set d0 up\n\
    addr add 10.9.0.1/24 brd + dev d0\n\
    addr add fd00:9::1/64 dev d0 nodad\n\
    addr add 192.0.2.10/32 dev lo\n\
    addr add fd00::10/128 dev lo nodad\n";

/// Runs commands of `ip`, one a line.
fn run_ip(commands: &str) {
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    ip.stdin
        .take()
        .unwrap()
        .write_all(commands.as_bytes())
        .unwrap();
    assert!(ip.wait().unwrap().success());
}

fn wait<T>(result: &Receiver<T>, what: &str) -> T {
    result
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// A namespace lives on as long as a daemon runs in it.
fn stop_daemons(client: &mut Client) {
    for daemon in client.daemons().unwrap() {
        client.stop_daemon(daemon.role).unwrap();
    }
}

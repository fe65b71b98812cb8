//! A network namespace with one interface, and programs that run in it.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::example;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A namespace with the interface `va` (192.0.2.11), whose other end `vb` is in there, too, and a
/// folder. Both go with the value.
pub(crate) struct Network {
    name: String,
    pub(crate) folder: TempDir,
}

impl Network {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vrrpd-{}-{number}", process::id());
        ip(&format!("netns add {name}"));
        let network = Self {
            name,
            folder: tempfile::tempdir().unwrap(),
        };
        network.ip("link set lo up");
        network.ip("link add va type veth peer name vb");
        network.ip("addr add 192.0.2.11/24 dev va");
        network.ip("link set vb up");
        network.ip("link set va up");
        network
    }

    pub(crate) fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.name));
    }

    /// Moves the other end, as 192.0.2.12, into another namespace.
    pub(crate) fn give_end_to(&self, other: &Self) {
        other.ip("link del va");
        self.ip(&format!("link set vb netns {}", other.name));
        other.ip("addr add 192.0.2.12/24 dev vb");
        other.ip("link set vb up");
    }

    /// Whether the interface has this address.
    pub(crate) fn has(&self, address: &str) -> bool {
        let text = self.ask("-br addr show dev va");
        text.split_whitespace().any(|word| word == address)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command that is run in here.
    pub(crate) fn command(&self) -> Command {
        let program = example::command("vrrpd");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        command.arg(program.get_program());
        command.current_dir(self.folder.path());
        command
    }

    /// The tool with these arguments.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        Running::start(self.command(), arguments)
    }

    /// Runs a function on a thread in here.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace = File::open(Path::new("/run/netns").join(&self.name)).unwrap();
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What `ip` says in here.
    pub(crate) fn ask(&self, arguments: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]);
        let output = command.args(arguments.split(' ')).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Running {
    /// Runs this command with these arguments.
    pub(crate) fn start(mut command: Command, arguments: &str) -> Self {
        let mut child = command
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (lines, events) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect(&line);
                if lines.send(event).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            events,
            seen: Vec::new(),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let arguments = ["netns", "del", &self.name];
        let _ = Command::new("ip").args(arguments).status();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.unwrap().success(), "ip {arguments}");
}

/// The tool as it runs.
pub(crate) struct Running {
    child: Child,
    events: Receiver<Value>,
    pub(crate) seen: Vec<Value>,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for the next event for which this is so.
    pub(crate) fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(event) = self.events.recv_timeout(left) else {
                panic!("no {what} in {:#?}", self.seen);
            };
            self.seen.push(event.clone());
            if is_it(&event) {
                return event;
            }
        }
    }

    /// Waits for a router to come into a state.
    pub(crate) fn wait_state(&mut self, router: &str, state: &str) -> Value {
        self.wait(&format!("{router} {state}"), |event| {
            event["event"] == "state" && event["router"] == router && event["to"] == state
        })
    }

    pub(crate) fn wait_event(&mut self, name: &str) -> Value {
        self.wait(name, |event| event["event"] == name)
    }

    /// Asks for a snapshot.
    pub(crate) fn snapshot(&mut self) -> Value {
        self.signal(Signal::SIGUSR1);
        self.wait_event("snapshot")
    }

    /// Waits for its end, and gives its exit status.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Tells it to end, and gives its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.wait_event("stopped");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

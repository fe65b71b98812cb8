//! Hosts, each a network namespace of its own, and the programs they run.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Output, Stdio};
use std::time::Instant;
use std::{panic, thread};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest wait for anything that has no time of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace, known to `ip netns`. It is deleted when the value is dropped, with all that
/// is in it.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    namespace: File,
}

impl Host {
    /// Makes a namespace whose name starts with `role`, with `lo` up. No host has IPv6 addresses it
    /// was not given, and none tests whether another has the same.
    pub(crate) fn new(role: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{role}-{}-{number}", process::id());
        complete(Command::new("ip").args(["netns", "add", &name]));
        let namespace = File::open(PathBuf::from("/run/netns").join(&name)).unwrap();
        let host = Self { name, namespace };
        host.enter(|| {
            for (key, value) in [
                ("ipv6/conf/default/accept_dad", "0"),
                ("ipv6/conf/default/router_solicitations", "0"),
                ("ipv6/conf/default/addr_gen_mode", "1"),
                ("ipv4/conf/all/rp_filter", "0"),
                ("ipv4/conf/default/rp_filter", "0"),
            ] {
                fs::write(format!("/proc/sys/net/{key}"), value).expect(key);
            }
        });
        host.ip("link set lo up");
        host
    }

    /// The name `ip netns` knows it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs commands of `ip`, one a line.
    pub(crate) fn ip(&self, commands: &str) {
        let mut command = Command::new("ip");
        input(command.args(["-n", &self.name, "-batch", "-"]), commands);
    }

    /// What a command of `ip` says, as JSON.
    pub(crate) fn ask(&self, arguments: &str) -> serde_json::Value {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-j"]);
        let output = complete(command.args(arguments.split(' ')));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Writes a file below `/proc/sys/net`.
    pub(crate) fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        self.enter(|| fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
    }

    /// Runs a program to its end, whatever that is.
    pub(crate) fn try_run(&self, program: &str, arguments: &str) -> Output {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace());
        command.stdin(Stdio::null());
        let output = self.enter(|| command.output());
        output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Gives a program its input; it has to end well.
    pub(crate) fn feed(&self, program: &str, arguments: &str, text: &str) {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace());
        self.enter(|| input(&mut command, text));
    }

    /// Starts a program.
    pub(crate) fn start(&self, command: &mut Command) -> Program {
        let child = self.enter(|| command.stdin(Stdio::null()).spawn());
        Program {
            child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")),
            ended: None,
        }
    }

    /// Runs a function on a thread in the namespace. Sockets it makes stay there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Not `complete`: a panic here would hide the one that is under way.
        let mut command = Command::new("ip");
        let deleted = command.args(["netns", "delete", &self.name]).status();
        if !deleted.as_ref().is_ok_and(ExitStatus::success) {
            eprintln!("namespace {} was not deleted: {deleted:?}", self.name);
        }
    }
}

/// A program at work; it is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Program {
    /// Sends it a signal, unless it has ended: its number may be another's then.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill(self.pid(), signal).unwrap();
        }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.ended = self.ended.or_else(|| self.child.try_wait().unwrap());
        self.ended
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the end of a program", || self.ended())
    }

    /// Its children. They live as long as it does not wait for them, so its own number is theirs.
    pub(crate) fn children(&mut self) -> Vec<Pid> {
        if self.ended().is_some() {
            return Vec::new();
        }
        let pid = self.child.id();
        let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let listed = listed.unwrap_or_default();
        let pids = listed.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.map(Pid::from_raw).collect()
    }

    /// Ends it and its children at once, so that none of them says a last word.
    pub(crate) fn kill_all(&mut self) {
        // A parent that stands still cannot tell its children to end.
        self.signal(Signal::SIGSTOP);
        for child in self.children() {
            // It may have ended.
            let _ = kill(child, Signal::SIGKILL);
        }
        self.signal(Signal::SIGKILL);
        self.wait();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid(), Signal::SIGSTOP);
            for child in self.children() {
                let _ = kill(child, Signal::SIGKILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a program to its end, which has to be a good one.
pub(crate) fn complete(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output
}

/// Runs a program with this input to its end, which has to be a good one.
fn input(command: &mut Command, text: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let spawned = command.stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that does not read its input says why on standard error. The pipe is dropped at
    // the end of the statement: that is the end of the input.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} {text:?}: {error}");
}

/// Asks until there is an answer, and gives that.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = probe() {
            return seen;
        }
        assert!(Instant::now() < deadline, "no {what} after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Prints what a program wrote into a file, for a test that fails.
pub(crate) fn show(path: &Path) {
    if let Ok(text) = fs::read_to_string(path) {
        eprintln!("--- {}\n{text}", path.display());
    }
}

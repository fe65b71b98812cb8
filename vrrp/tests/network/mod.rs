//! Networks for tests: hosts, each a network namespace, and links between them.
//!
//! Everything a test makes has a name of its own and goes away when its value is dropped, also
//! when the test panics. All waiting is bounded.

#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod holding;
pub(crate) mod stall;

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::time::Instant;
use std::{panic, thread};

use nix::sched::{CloneFlags, setns};

use holding::Holding;

/// Longest wait for anything that takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A host: a network namespace, known to `ip netns`.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    namespace: File,
}

impl Host {
    /// Makes a namespace whose name starts with `role`, with `lo` up and no duplicate address
    /// detection (it takes a second in which IPv6 addresses do not work).
    pub(crate) fn new(role: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{role}-{}-{number}", process::id());
        run(Command::new("ip").args(["netns", "add", &name]), "");
        let namespace = File::open(PathBuf::from("/run/netns").join(&name)).unwrap();
        let host = Self { name, namespace };
        host.sysctl("ipv6/conf/default/accept_dad", "0");
        host.sysctl("ipv6/conf/default/router_solicitations", "0");
        host.ip("link set lo up");
        host
    }

    /// The name `ip netns` knows it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs commands of `ip`, one a line.
    pub(crate) fn ip(&self, commands: &str) {
        run(
            Command::new("ip").args(["-n", &self.name, "-batch", "-"]),
            commands,
        );
    }

    /// What a command of `ip` says.
    pub(crate) fn ask(&self, arguments: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(arguments.split(' '));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether one of its interfaces has this address.
    pub(crate) fn holds(&self, address: &str) -> bool {
        let all = self.ask("-o address show");
        all.split_whitespace()
            .any(|word| word.split('/').next() == Some(address))
    }

    /// Writes a file below `/proc/sys/net`.
    pub(crate) fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        self.enter(|| fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &str, arguments: &str) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        run(command.args(arguments.split_whitespace()), "");
    }

    /// Starts a program, which is killed when the value is dropped.
    pub(crate) fn start(&self, command: &mut Command) -> Running {
        let child = self.enter(|| command.spawn());
        Running(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Starts a thread in the namespace.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace = self.namespace.try_clone().unwrap();
        thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
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
        // Not `run`: a panic here would hide the one that is under way.
        let deleted = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
        if !deleted.as_ref().is_ok_and(process::ExitStatus::success) {
            eprintln!("namespace {} was not deleted: {deleted:?}", self.name);
        }
    }
}

/// A program at work.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Connects two hosts by a cable; both ends are up.
pub(crate) fn cable(left: &Host, left_name: &str, right: &Host, right_name: &str) {
    left.ip(&format!(
        "link add name {left_name} type veth peer name {right_name} netns {}\nlink set dev {left_name} up",
        right.name
    ));
    right.ip(&format!("link set dev {right_name} up"));
}

/// A switch that hosts are connected to. It knows for how long two of them have an address.
#[derive(Debug)]
pub(crate) struct Switch {
    // Before the host: it ends while that is there.
    pub(crate) holding: Holding,
    host: Host,
    ports: AtomicU32,
}

impl Switch {
    pub(crate) fn new() -> Self {
        let host = Host::new("switch");
        host.ip(
            "link add name br0 type bridge mcast_snooping 0 forward_delay 0\nlink set dev br0 up",
        );
        Self {
            holding: Holding::new(&host),
            host,
            ports: AtomicU32::new(0),
        }
    }

    /// Makes it a hub: whatever comes goes to all.
    pub(crate) fn forget_at_once(&self) {
        self.host.ip("link set dev br0 type bridge ageing_time 0");
    }

    /// Connects a host by an interface of this name, with these addresses.
    pub(crate) fn connect(&self, host: &Host, name: &str, addresses: &[&str]) {
        self.holding.add(host);
        let port = self.ports.fetch_add(1, Ordering::Relaxed);
        cable(host, name, &self.host, &format!("p{port}"));
        self.host.ip(&format!("link set dev p{port} master br0"));
        for address in addresses {
            host.ip(&format!("address add {address} dev {name}"));
        }
    }
}

/// Runs a program to its end; panics with what it wrote when it fails.
pub(crate) fn run(command: &mut Command, input: &str) {
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that does not read its input says why on standard error. The pipe is dropped at
    // the end of the statement: that is the end of the input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} {input:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Probes until what it sees is as it should be, and returns that.
pub(crate) fn eventually<T: core::fmt::Debug>(
    mut probe: impl FnMut() -> T,
    is_right: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = probe();
        if is_right(&seen) {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "still after {PATIENCE:?}: {seen:#?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

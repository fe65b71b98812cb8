//! Networks for kernel tests: hosts (each a network namespace), links between them, servers.
//!
//! Everything a test makes has a name of its own and goes away when its value is dropped, also
//! when the test panics. All waiting is bounded.

pub(crate) mod http;
pub(crate) mod topology;
pub(crate) mod udp;

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::io::Write;
use std::panic;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::Instant;

use lvs_ipvs::{Client, Namespace};
use nix::sched::{CloneFlags, setns};

/// Longest wait for anything that takes milliseconds: the guest has one slow CPU.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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
        let namespace = File::open(path(&name)).unwrap();
        let host = Self { name, namespace };
        host.sysctl("ipv6/conf/default/dad_transmits", "0");
        host.ip("link set lo up");
        host
    }

    /// Where the namespace can be opened.
    pub(crate) fn path(&self) -> PathBuf {
        path(&self.name)
    }

    /// Runs commands of `ip`, one a line.
    pub(crate) fn ip(&self, commands: &str) {
        run(
            Command::new("ip").args(["-n", &self.name, "-batch", "-"]),
            commands,
        );
    }

    /// Writes a file below `/proc/sys/net`.
    pub(crate) fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        self.enter(|| fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
    }

    /// Runs commands of `tc`, one a line.
    pub(crate) fn tc(&self, commands: &str) {
        run(
            Command::new("tc").args(["-n", &self.name, "-batch", "-"]),
            commands,
        );
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

    /// The IPVS of the namespace.
    pub(crate) fn ipvs(&self) -> Client {
        Namespace::open(self.path()).unwrap().client().unwrap()
    }

    /// Packets an interface has received.
    pub(crate) fn received_packets(&self, interface: &str) -> u64 {
        let devices = self.enter(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap());
        let prefix = format!("{interface}:");
        let line = devices
            .lines()
            .find_map(|line| line.trim().strip_prefix(&prefix));
        let line = line.unwrap_or_else(|| panic!("no interface {interface} in {devices}"));
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
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

fn path(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}

/// Connects two hosts by a cable; both ends are up.
pub(crate) fn cable(left: &Host, left_name: &str, right: &Host, right_name: &str) {
    left.ip(&format!(
        "link add {left_name} type veth peer name {right_name} netns {}\nlink set {left_name} up",
        right.name
    ));
    right.ip(&format!("link set {right_name} up"));
}

/// Loads a module the way the kernel does; for those it does not load on its own.
pub(crate) fn load_module(name: &str) {
    let modprobe = fs::read_to_string("/proc/sys/kernel/modprobe").unwrap();
    run(Command::new(modprobe.trim_end()).arg(name), "");
}

/// Runs a program to its end; panics with what it wrote when it fails.
fn run(command: &mut Command, input: &str) {
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
        thread::sleep(Duration::from_millis(50));
    }
}

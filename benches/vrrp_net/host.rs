//! Hosts, each a network namespace, and the links between them; they go away with their values.

use core::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::{panic, thread};

use nix::sched::{CloneFlags, setns};

use crate::Result;

/// A network namespace, known to `ip netns`.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    namespace: File,
}

impl Host {
    /// Makes it. Nothing but what the bench starts sends anything there.
    pub(crate) fn new(role: &str) -> Result<Self> {
        let name = format!("{role}-{}", process::id());
        run(Command::new("ip").args(["netns", "add", &name]), "")?;
        let namespace = File::open(PathBuf::from("/run/netns").join(&name))?;
        let host = Self { name, namespace };
        host.sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// Runs commands of `ip`, one a line.
    pub(crate) fn ip(&self, commands: &str) -> Result<()> {
        let mut command = Command::new("ip");
        run(command.args(["-n", &self.name, "-batch", "-"]), commands)
    }

    /// Writes a file below `/proc/sys/net`.
    pub(crate) fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        let written = self.enter(|| fs::write(&path, value));
        written.map_err(|error| format!("{path}: {error}").into())
    }

    /// Connects an interface of this host to one of another; both are up.
    pub(crate) fn connect(&self, name: &str, other: &Self, other_name: &str) -> Result<()> {
        self.ip(&format!(
            "link add name {name} type veth peer name {other_name} netns {}\n\
             link set dev {name} up",
            other.name
        ))?;
        other.ip(&format!("link set dev {other_name} up"))
    }

    /// Removes addresses that a program left behind.
    pub(crate) fn forget<'a>(
        &self,
        addresses: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<()> {
        let mut commands = String::new();
        for (interface, address) in addresses {
            writeln!(commands, "address del {address}/32 dev {interface}")?;
        }
        // Those that are not there any more are no error.
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-force", "-batch", "-"]);
        let _ = run(&mut command, &commands);
        Ok(())
    }

    /// Starts a program.
    pub(crate) fn start(&self, command: &mut Command) -> Result<Child> {
        let started = self.enter(|| command.spawn());
        started.map_err(|error| format!("{command:?}: {error}").into())
    }

    /// Runs a function on a thread in the namespace. Sockets it makes stay there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let entered = setns(&self.namespace, CloneFlags::CLONE_NEWNET);
                assert!(entered.is_ok(), "{}: {entered:?}", self.name);
                work()
            });
            let joined = inside.join();
            joined.unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut command = Command::new("ip");
        if let Err(error) = run(command.args(["netns", "delete", &self.name]), "") {
            println!("namespace {} was not deleted: {error}", self.name);
        }
    }
}

/// Runs a program to its end.
fn run(command: &mut Command, input: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let spawned = command.stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("{command:?}: {error}"))?;
    // Dropped at the end of the statement: that is the end of the input.
    let _ = child
        .stdin
        .take()
        .map(|mut to| to.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {words}").into())
}

//! Which virtual routers there are, and who runs them: we, or keepalived.

#![allow(dead_code, reason = "each bench uses a part")]

use core::fmt::Write as _;
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use std::{env, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;
use crate::host::Host;

/// Virtual routers with one address each, on several interfaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) interfaces: u8,
    /// On each interface; at most 250.
    pub(crate) routers: u8,
    pub(crate) interval_cs: u16,
}

impl Layout {
    /// How many they are.
    pub(crate) fn total(self) -> usize {
        usize::from(self.interfaces) * usize::from(self.routers)
    }

    /// The interfaces' names.
    pub(crate) fn names(self) -> impl Iterator<Item = String> {
        (0..self.interfaces).map(|number| format!("eth{number}"))
    }

    /// Each router: number of the interface, VRID, and virtual address.
    pub(crate) fn each(self) -> impl Iterator<Item = (u8, u8, String)> {
        (0..self.interfaces).flat_map(move |interface| {
            (1..=self.routers).map(move |vrid| (interface, vrid, address(interface, vrid)))
        })
    }

    /// The time after which a router of this priority takes over: RFC 9568 6.1.
    pub(crate) fn down_interval(self, priority: u8) -> Duration {
        let interval = Duration::from_millis(u64::from(self.interval_cs) * 10);
        interval * 3 + interval * (256 - u32::from(priority)) / 256
    }
}

/// The virtual address of a router.
fn address(interface: u8, vrid: u8) -> String {
    format!("10.77.{interface}.{vrid}")
}

/// Says what is missing.
pub(crate) fn check() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err("this makes network namespaces, for which it needs root".into());
    }
    let version = Command::new("keepalived").arg("--version").output();
    let output = version.map_err(|error| {
        format!("no peer to compare with: keepalived: {error} (Debian: apt install keepalived)")
    })?;
    let words = String::from_utf8_lossy(&output.stderr);
    println!("peer: {}", words.lines().next().unwrap_or_default());
    Ok(())
}

/// Whose program runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Maker {
    We,
    Keepalived,
}

impl Maker {
    pub(crate) const BOTH: [Self; 2] = [Self::We, Self::Keepalived];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::We => "lvs-vrrp",
            Self::Keepalived => "keepalived",
        }
    }

    /// Starts it on a host.
    pub(crate) fn start(
        self,
        host: &Host,
        layout: Layout,
        priority: u8,
        folder: &Path,
    ) -> Result<Program> {
        match self {
            Self::We => Program::start_ours(host, layout, priority),
            Self::Keepalived => Program::start_keepalived(host, layout, priority, folder),
        }
    }
}

/// A program that runs virtual routers. It is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// The process that does the work.
    pub(crate) pid: Pid,
}

impl Program {
    fn start_ours(host: &Host, layout: Layout, priority: u8) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("subject").args([
            layout.interfaces.to_string(),
            layout.routers.to_string(),
            layout.interval_cs.to_string(),
            priority.to_string(),
        ]);
        Self::start(host, &mut command)
    }

    /// Starts this program, which works itself.
    pub(crate) fn start(host: &Host, command: &mut Command) -> Result<Self> {
        let child = host.start(command)?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { child, pid })
    }

    fn start_keepalived(host: &Host, layout: Layout, priority: u8, folder: &Path) -> Result<Self> {
        let file = |suffix: &str| -> PathBuf { folder.join(format!("{priority}.{suffix}")) };
        fs::write(file("conf"), configuration(layout, priority)?)?;
        for suffix in ["pid", "vrrp"] {
            // Of one that was killed; it would think that it runs already.
            let _ = fs::remove_file(file(suffix));
        }
        let mut command = Command::new("keepalived");
        command.args(["--vrrp", "--dont-fork", "--log-console", "--no-syslog"]);
        command.arg("--use-file").arg(file("conf"));
        command.arg("--pid").arg(file("pid"));
        command.arg("--vrrp_pid").arg(file("vrrp"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = host.start(&mut command)?;
        let mut program = Self {
            pid: Pid::from_raw(i32::try_from(child.id())?),
            child,
        };
        // Its child does the work.
        let children = format!("/proc/{0}/task/{0}/children", program.pid);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(child) = fs::read_to_string(&children)?.split_whitespace().next() {
                program.pid = Pid::from_raw(child.parse()?);
                return Ok(program);
            }
            if Instant::now() > deadline {
                return Err("keepalived does not start its process for VRRP".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process that does the work, at once.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let parent = Pid::from_raw(i32::try_from(self.child.id())?);
        if parent != self.pid {
            // It would tell the other to resign.
            kill(parent, Signal::SIGSTOP)?;
        }
        Ok(kill(self.pid, Signal::SIGKILL)?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Not reaped yet, so the number is still of that process; or the parent has waited for it.
        let _ = self.kill();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a keepalived.conf says of the layout. The second round of announcements comes after 1 s, as
/// with ours, so that a measurement need not wait for it.
fn configuration(layout: Layout, priority: u8) -> Result<String> {
    let mut text = String::from(
        "global_defs {\n  vrrp_version 3\n  vrrp_garp_master_delay 1\n  router_id bench\n}\n",
    );
    let interval = f64::from(layout.interval_cs) / 100.0;
    for (interface, vrid, address) in layout.each() {
        write!(
            text,
            "vrrp_instance R{interface}_{vrid} {{\n  state BACKUP\n  interface eth{interface}\n  \
             virtual_router_id {vrid}\n  priority {priority}\n  advert_int {interval:.2}\n  \
             virtual_ipaddress {{\n    {address}\n  }}\n}}\n"
        )?;
    }
    Ok(text)
}

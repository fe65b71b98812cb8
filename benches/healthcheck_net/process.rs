//! Processes of a bench, each on one processor, and what they use.

use core::time::Duration;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Result;
use crate::host::Host;

/// A process. It is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    pub(crate) pid: Pid,
}

impl Program {
    /// Starts this program again, with a word that says what it is to be.
    pub(crate) fn own<'a>(
        host: &Host,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        Self::start(host, command.args(arguments))
    }

    pub(crate) fn start(host: &Host, command: &mut Command) -> Result<Self> {
        Self::new(host.start(command.stdin(Stdio::null()))?)
    }

    /// Starts a program where this one is.
    pub(crate) fn here(command: &mut Command) -> Result<Self> {
        Self::new(command.stdin(Stdio::null()).spawn()?)
    }

    fn new(child: Child) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { child, pid })
    }

    /// Waits until it has ended, and gives what it has left in a file.
    pub(crate) fn wait_for(&mut self, file: &Path) -> Result<String> {
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("what was to be measured ended with {status}").into());
        }
        Ok(fs::read_to_string(file)?.trim().into())
    }

    /// An error if it has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("what was to be measured ended with {status}").into()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps this process on one processor, if there are others.
pub(crate) fn stay_on(processor: usize) -> Result<()> {
    if std::thread::available_parallelism()?.get() > 1 {
        let mut set = CpuSet::new();
        set.set(processor)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
    }
    Ok(())
}

/// Counters of a process, and of its network namespace, at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    cpu: Duration,
    opened: u64,
}

/// What it did between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Connections that were begun in a second.
    pub(crate) checks: f64,
    /// User and system time of each, in µs.
    pub(crate) cpu_us: f64,
}

impl Usage {
    pub(crate) fn of(pid: Pid) -> Result<Self> {
        let opened = opened(pid)?;
        // User and system time of all threads, in nanoseconds.
        let clock = clock_getcpuclockid(pid)?;
        Ok(Self {
            at: Instant::now(),
            cpu: clock_gettime(clock)?.into(),
            opened,
        })
    }

    pub(crate) fn since(&self, before: &Self) -> Work {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let opened = (self.opened - before.opened) as f64;
        Work {
            checks: opened / (self.at - before.at).as_secs_f64(),
            cpu_us: (self.cpu - before.cpu).as_secs_f64() * 1e6 / opened,
        }
    }
}

/// How many connections have been begun in the network namespace a process is in.
pub(crate) fn opened(pid: Pid) -> Result<u64> {
    let (line, name) = ("Tcp:", "ActiveOpens");
    let text = fs::read_to_string(format!("/proc/{pid}/net/snmp"))?;
    let mut lines = text.lines().filter(|words| words.starts_with(line));
    let (names, values) = (lines.next(), lines.next());
    let mut pairs = names
        .into_iter()
        .flat_map(str::split_whitespace)
        .zip(values.into_iter().flat_map(str::split_whitespace));
    let found = pairs.find(|(other, _)| *other == name);
    Ok(found.ok_or_else(|| format!("no {name}"))?.1.parse()?)
}

/// Resident memory of a process in KiB: all of it, and what no file has.
pub(crate) fn memory(pid: Pid) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        let number = value.and_then(|value| value.split_whitespace().next());
        Ok(number.ok_or_else(|| format!("no {name}"))?.parse()?)
    };
    Ok((field("VmRSS:")?, field("RssAnon:")?))
}

/// How busy the machine is: programs that run or want to, in the last minute.
pub(crate) fn load() -> String {
    let all = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split_whitespace().next().unwrap_or("?").into()
}

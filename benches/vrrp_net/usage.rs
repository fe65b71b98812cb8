//! What a process uses.

#![allow(dead_code, reason = "each bench uses a part")]

use core::time::Duration;
use std::fs;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Result;
use crate::watch::wall;

/// Counters of a process, and of its network namespace, at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Duration,
    cpu: Duration,
    switches: u64,
    forced: u64,
    received: u64,
    sent: u64,
}

/// What it used in a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Time of a processor, of 1.
    pub(crate) cpu: f64,
    /// How often it waited.
    pub(crate) waits: f64,
    /// How often it was put aside for others.
    pub(crate) forced: f64,
    /// Packets that reached its namespace.
    pub(crate) received: f64,
    /// Packets that left it.
    pub(crate) sent: f64,
}

impl Usage {
    /// What the process has used until now, all its threads together.
    pub(crate) fn of(pid: Pid) -> Result<Self> {
        let (mut switches, mut forced) = (0, 0);
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            switches += field(&status, "voluntary_ctxt_switches:")?;
            forced += field(&status, "nonvoluntary_ctxt_switches:")?;
        }
        let (mut received, mut sent) = (0, 0);
        for line in fs::read_to_string(format!("/proc/{pid}/net/dev"))?.lines() {
            let Some((name, numbers)) = line.split_once(':') else {
                continue;
            };
            if name.trim().starts_with("eth") {
                let numbers: Vec<_> = numbers.split_whitespace().collect();
                received += numbers[1].parse::<u64>()?;
                sent += numbers[9].parse::<u64>()?;
            }
        }
        // User and system time, in nanoseconds.
        let clock = clock_getcpuclockid(pid)?;
        Ok(Self {
            at: wall(),
            cpu: clock_gettime(clock)?.into(),
            switches,
            forced,
            received,
            sent,
        })
    }

    pub(crate) fn since(&self, before: &Self) -> Rate {
        let seconds = (self.at - before.at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts of seconds")]
        let rate = |now: u64, then: u64| (now - then) as f64 / seconds;
        Rate {
            cpu: (self.cpu - before.cpu).as_secs_f64() / seconds,
            waits: rate(self.switches, before.switches),
            forced: rate(self.forced, before.forced),
            received: rate(self.received, before.received),
            sent: rate(self.sent, before.sent),
        }
    }
}

/// Resident memory, in MB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All of it, programs and libraries too, which others may share.
    pub(crate) all: f64,
    /// What no file has: heap and stacks.
    pub(crate) own: f64,
}

/// The memory it has now.
pub(crate) fn memory(pid: Pid) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let megabytes = |name| -> Result<f64> { Ok(field(&status, name)? as f64 / 1024.0) };
    Ok(Memory {
        all: megabytes("VmRSS:")?,
        own: megabytes("RssAnon:")?,
    })
}

fn field(status: &str, name: &str) -> Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("no {name}"))?.parse()?)
}

/// How busy the machine is: programs that run or want to, in the last minute.
pub(crate) fn load() -> String {
    let all = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split_whitespace().next().unwrap_or("?").into()
}

//! Running a program: how long it takes as a whole, and how much memory it needs.

use core::time::Duration;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::ptrace::{self, Event, Options};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Result;

/// A program with its arguments, where its input comes from and its output goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program<'a> {
    pub(crate) path: &'a Path,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) input: &'a Path,
    pub(crate) output: &'a Path,
}

impl Program<'_> {
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(self.path);
        command.args(self.arguments);
        command.stdin(File::open(self.input)?);
        command.stdout(File::create(self.output)?);
        Ok(command)
    }

    /// From before it is started until it has ended; it must succeed.
    pub(crate) fn time(&self) -> Result<Duration> {
        let mut command = self.command()?;
        let start = Instant::now();
        let status = command.status()?;
        let took = start.elapsed();
        if status.success() {
            return Ok(took);
        }
        Err(format!(
            "{} {}: {status}",
            self.path.display(),
            self.arguments.join(" ")
        )
        .into())
    }

    /// Peak of the memory it had resident, in kB: what the kernel says when it is about to end.
    /// (What the kernel keeps for a parent to ask counts in the parent's own memory.)
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let child = self.command()?.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        ptrace::seize(pid, Options::PTRACE_O_TRACEEXIT)?;
        let mut peak = 0;
        loop {
            match waitpid(pid, None)? {
                WaitStatus::PtraceEvent(_, _, event)
                    if event == Event::PTRACE_EVENT_EXIT as i32 =>
                {
                    peak = resident_peak(pid)?;
                    ptrace::cont(pid, None)?;
                }
                WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal)?,
                WaitStatus::Exited(_, 0) if peak > 0 => return Ok(peak),
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    return Err(format!("{} failed", self.path.display()).into());
                }
                _ => ptrace::cont(pid, None)?,
            }
        }
    }
}

fn resident_peak(pid: Pid) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM")?.parse()?)
}

//! A running command: its process descriptor, its process group, its output.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::Errno as Number;
use rustix::process::{
    Pid, PidfdFlags, Signal as RawSignal, WaitId, WaitIdOptions, kill_process_group, pidfd_open,
    waitid,
};

use super::spawn::spawn;
use crate::probe::command::Command;
use crate::probe::{ChildStatus, Signal};

/// A child process and everything in its process group.
///
/// Signals go to the group only until the leader is reaped: as long as it is a zombie, its number
/// cannot be given to a stranger.
#[derive(Debug)]
pub(super) struct Child {
    group: Pid,
    process: OwnedFd,
    output: Option<OwnedFd>,
    reaped: bool,
}

impl Child {
    /// Starts a command.
    pub(super) fn spawn(command: &Command) -> io::Result<Self> {
        let (mut child, output) = spawn(command)?;
        let process = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Number::INVAL)
            .and_then(|group| Ok((group, pidfd_open(group, PidfdFlags::empty())?)));
        match process {
            Ok((group, process)) => Ok(Self {
                group,
                process,
                output: Some(output),
                reaped: false,
            }),
            Err(errno) => {
                // Most likely no descriptor is left. It cannot be watched, so it must not run;
                // a process that was just started and gets SIGKILL ends at once.
                let _ = child.kill().and_then(|()| child.wait());
                Err(errno.into())
            }
        }
    }

    /// Becomes readable when the command has ended.
    pub(super) fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// Standard output and standard error, until [`close_output`](Self::close_output).
    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn close_output(&mut self) {
        self.output = None;
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.reaped
    }

    /// How it ended, while it stays a zombie; `None` if it has not.
    pub(super) fn status(&self) -> Option<ChildStatus> {
        self.wait(WaitIdOptions::NOWAIT)
    }

    /// Lets the kernel forget it; says whether it had ended.
    pub(super) fn reap(&mut self) -> bool {
        self.reaped = self.reaped || self.wait(WaitIdOptions::empty()).is_some();
        self.reaped
    }

    fn wait(&self, extra: WaitIdOptions) -> Option<ChildStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | extra;
        match waitid(WaitId::PidFd(self.process.as_fd()), options) {
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => {
                    // The kernel gives 8 bits of it.
                    ChildStatus::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
                }
                (None, Some(signal)) => ChildStatus::Signal(signal),
                (None, None) => ChildStatus::Lost,
            }),
            Ok(None) | Err(Number::INTR) => None,
            // ECHILD: somebody in this process waits for any child there is.
            Err(_) => Some(ChildStatus::Lost),
        }
    }

    /// Sends a signal to the group; `false` if there is no such group any more.
    pub(super) fn signal(&self, signal: Signal) -> bool {
        if self.reaped {
            return true;
        }
        let signal = match signal {
            Signal::Term => RawSignal::TERM,
            Signal::Kill => RawSignal::KILL,
        };
        kill_process_group(self.group, signal) != Err(Number::SRCH)
    }

    /// Ends the group for good.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::Kill);
    }

    /// Waits for the end, and reaps.
    pub(super) fn reap_within(&mut self, patience: Duration) {
        if self.reap() {
            return;
        }
        let millis = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        let mut descriptors = [PollFd::new(self.process.as_fd(), PollFlags::POLLIN)];
        // Interrupted or not, one more look is all there is time for.
        let _ = poll(&mut descriptors, PollTimeout::from(millis));
        self.reap();
    }
}

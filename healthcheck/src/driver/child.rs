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

/// A child process and everything in its process group: a [`Command`] that runs, for programs which
/// run other commands than checks, too.
///
/// Signals go to the group only until the leader is reaped: as long as it is a zombie, its number
/// cannot be given to a stranger. Dropped, it is left to run, and stays a zombie when it has ended.
///
/// ```
/// use std::time::Duration;
/// use lvs_healthcheck::probe::ChildStatus;
/// use lvs_healthcheck::{Child, Command};
///
/// let mut child = Child::spawn(&"true".parse::<Command>()?)?;
/// // Poll `child.process()` for reading, and `child.output()` meanwhile; or wait:
/// child.reap_within(Duration::from_secs(5));
/// assert!(child.is_reaped());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Child {
    group: Pid,
    process: OwnedFd,
    output: Option<OwnedFd>,
    reaped: bool,
}

impl Child {
    /// Starts a command. Returns when the program is being executed.
    ///
    /// # Errors
    ///
    /// Why it is not: no such file, no permission, no descriptor or process left.
    pub fn spawn(command: &Command) -> io::Result<Self> {
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
    #[must_use]
    pub fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// Standard output and standard error, until [`close_output`](Self::close_output). It does
    /// not block; somebody has to read it, or the command may wait.
    #[must_use]
    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Closes its output; who writes into it then gets a signal.
    pub fn close_output(&mut self) {
        self.output = None;
    }

    /// Whether the kernel has forgotten it.
    #[must_use]
    pub const fn is_reaped(&self) -> bool {
        self.reaped
    }

    /// How it ended, while it stays a zombie; `None` if it has not.
    #[must_use]
    pub fn status(&self) -> Option<ChildStatus> {
        self.wait(WaitIdOptions::NOWAIT)
    }

    /// Lets the kernel forget it; says whether it had ended.
    pub fn reap(&mut self) -> bool {
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
    pub fn signal(&self, signal: Signal) -> bool {
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
    pub fn kill(&mut self) {
        self.signal(Signal::Kill);
    }

    /// Waits for the end, and reaps.
    ///
    /// # Blocking
    ///
    /// For at most this time; 65 s are the most it can be.
    pub fn reap_within(&mut self, patience: Duration) {
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

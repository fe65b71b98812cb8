//! A command that runs, with its output read and thrown away.

use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;

use lvs_healthcheck::probe::{ChildStatus, Signal};
use lvs_healthcheck::{Child, Command as Program};
use nix::errno::Errno;
use nix::unistd::read;

/// What is to end gets so much time.
const END_WAIT: Duration = Duration::from_millis(100);

/// How a command ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// By a signal of this number.
    Signal(i32),
    /// It took too long, and was killed.
    Killed,
    /// How, is not known: somebody else in this process asked first.
    Unknown,
    /// It could not be started.
    NotStarted(String),
}

impl Ended {
    /// Whether it was a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::Killed => f.write_str("took too long, killed"),
            Self::Unknown => f.write_str("ended, nobody knows how"),
            Self::NotStarted(reason) => write!(f, "cannot be started: {reason}"),
        }
    }
}

/// A command that was started.
#[derive(Debug)]
pub(crate) struct Run {
    child: Child,
    /// It was asked to end.
    is_asked: bool,
    is_killed: bool,
}

impl Run {
    pub(crate) fn start(program: &Program) -> io::Result<Self> {
        Ok(Self {
            child: Child::spawn(program)?,
            is_asked: false,
            is_killed: false,
        })
    }

    /// Its end, and its output.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let process = (!self.child.is_reaped()).then(|| self.child.process());
        process.into_iter().chain(self.child.output())
    }

    /// Kills its process group.
    pub(crate) fn kill(&mut self) {
        self.is_killed = true;
        self.child.kill();
    }

    /// Asks its process group to end.
    pub(crate) fn terminate(&mut self) {
        self.is_asked = true;
        self.child.signal(Signal::Term);
    }

    /// Ends its process group: it is asked, given a moment, and killed. No zombie is left.
    pub(crate) fn end(mut self) {
        self.terminate();
        self.child.reap_within(END_WAIT);
        if !self.child.is_reaped() {
            self.kill();
            self.child.reap_within(END_WAIT);
        }
    }

    /// Reads its output, and says how it ended if it has.
    pub(crate) fn step(&mut self) -> Option<Ended> {
        self.drain();
        if self.child.is_reaped() {
            return None;
        }
        let status = self.child.status()?;
        if self.is_killed || self.is_asked {
            // Those that are left of the group go before its number can be another's.
            self.child.kill();
        }
        self.child.reap();
        Some(match status {
            _ if self.is_killed => Ended::Killed,
            ChildStatus::Code(code) => Ended::Code(code),
            ChildStatus::Signal(number) => Ended::Signal(number),
            _ => Ended::Unknown,
        })
    }

    /// Whether somebody it has started still has its output: that is read on, as a daemon must not
    /// be ended by a signal for what it says.
    pub(crate) fn has_output(&self) -> bool {
        self.child.output().is_some()
    }

    /// What can be read now, up to a limit: others wait.
    fn drain(&mut self) {
        let mut buffer = [0; 4096];
        for _ in 0..16 {
            let Some(output) = self.child.output() else {
                return;
            };
            match read(output, &mut buffer) {
                Ok(1..) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Ok(0) | Err(_) => self.child.close_output(),
            }
        }
    }
}

//! SIGINT and SIGTERM as something to be read, so that a command that is running is ended, too.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::Failure;

/// The signals, blocked and waiting to be read.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks them in the calling thread and those it starts from now on.
    pub(crate) fn block() -> Result<Self, Failure> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.add(Signal::SIGTERM);
        set.thread_block()
            .map_err(|errno| Failure::System("block signals", errno.into()))?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let descriptor = SignalFd::with_flags(&set, flags)
            .map_err(|errno| Failure::System("wait for signals", errno.into()))?;
        Ok(Self(descriptor))
    }

    /// Whether one came.
    pub(crate) fn came(&self) -> Result<bool, Failure> {
        let signal = self.0.read_signal();
        let signal = signal.map_err(|errno| Failure::System("read signals", errno.into()))?;
        Ok(signal.is_some())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

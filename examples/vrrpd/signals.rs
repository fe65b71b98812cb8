//! Signals as something to be read, so that they need no handler.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::Failure;

/// The signals that mean something here, blocked and waiting to be read.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
}

/// A signal that came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    Show,
}

impl Signals {
    /// Blocks the signals in the calling thread and those it starts from now on.
    pub(crate) fn block() -> Result<Self, Failure> {
        let mut set = SigSet::empty();
        for number in [
            Number::SIGTERM,
            Number::SIGINT,
            Number::SIGHUP,
            Number::SIGUSR1,
        ] {
            set.add(number);
        }
        set.thread_block()
            .map_err(Failure::system("block signals"))?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let descriptor = SignalFd::with_flags(&set, flags);
        Ok(Self {
            descriptor: descriptor.map_err(Failure::system("wait for signals"))?,
        })
    }

    /// The next signal that came, without waiting.
    pub(crate) fn take(&self) -> Result<Option<Signal>, Failure> {
        let info = self.descriptor.read_signal();
        let Some(info) = info.map_err(Failure::system("read signals"))? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).ok();
        let number = number.and_then(|number| Number::try_from(number).ok());
        Ok(Some(match number {
            Some(Number::SIGHUP) => Signal::Reload,
            Some(Number::SIGUSR1) => Signal::Show,
            _ => Signal::Stop,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

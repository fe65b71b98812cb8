//! Signals as something to be read, so that they need no handler: by the program between its threads,
//! or by a [`Runner`](crate::run::Runner) that is alone.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2, blocked and waiting to be read.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
}

/// A signal that came.
#[expect(clippy::exhaustive_enums, reason = "the signals asked for")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP: the configuration is to be read anew.
    Reload,
    /// SIGUSR1 or SIGUSR2: say how things are. (keepalived writes its state and its counters.)
    Show,
}

impl Signals {
    /// Blocks the signals in the calling thread and those it starts from now on; call it before
    /// starting any.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn block() -> Result<Self, Errno> {
        let mut set = SigSet::empty();
        for number in [
            Number::SIGTERM,
            Number::SIGINT,
            Number::SIGHUP,
            Number::SIGUSR1,
            Number::SIGUSR2,
        ] {
            set.add(number);
        }
        set.thread_block()?;
        Self::of(&set)
    }

    /// No signals: for who is asked by other means, while another thread takes them.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn none() -> Result<Self, Errno> {
        Self::of(&SigSet::empty())
    }

    fn of(set: &SigSet) -> Result<Self, Errno> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self {
            descriptor: SignalFd::with_flags(set, flags)?,
        })
    }

    /// The next signal that came, without waiting.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn take(&mut self) -> Result<Option<Signal>, Errno> {
        let Some(info) = self.descriptor.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo)
            .ok()
            .and_then(|n| Number::try_from(n).ok());
        Ok(Some(match number {
            Some(Number::SIGHUP) => Signal::Reload,
            Some(Number::SIGUSR1 | Number::SIGUSR2) => Signal::Show,
            _ => Signal::Stop,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    /// Raised and blocked on this thread alone, which no other test runs on.
    #[test]
    fn signals_wait_to_be_read() {
        let mut signals = Signals::block().unwrap();
        assert_eq!(signals.take(), Ok(None));
        raise(Number::SIGHUP).unwrap();
        let mut none = Signals::none().unwrap();
        assert_eq!(none.take(), Ok(None));
        assert_eq!(signals.take(), Ok(Some(Signal::Reload)));
        for number in [Number::SIGUSR1, Number::SIGUSR2] {
            raise(number).unwrap();
            assert_eq!(signals.take(), Ok(Some(Signal::Show)));
        }
        for number in [Number::SIGTERM, Number::SIGINT] {
            raise(number).unwrap();
            assert_eq!(signals.take(), Ok(Some(Signal::Stop)));
        }
        assert_eq!(signals.take(), Ok(None));
    }
}

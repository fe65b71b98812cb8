//! A descriptor that tokio watches: the unsafe block of this shell, the only one.

#![expect(unsafe_code, reason = "tokio wants to be promised an open descriptor")]

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use nix::sys::epoll::Epoll;

/// What a driver waits for, watched by a runtime of tokio.
#[derive(Debug)]
pub(super) struct Watched {
    epoll: Arc<Epoll>,
}

impl Watched {
    /// Lets the runtime of the caller watch whether something is ready.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, and in one without I/O.
    pub(super) fn register(epoll: Arc<Epoll>) -> io::Result<AsyncFd<Self>> {
        let watched = Self { epoll };
        // SAFETY: the descriptor is open as long as the `Epoll` lives, which owns it. `watched` keeps
        // that alive by its `Arc`, out of which nothing is ever taken: the field is private to this
        // file, which only reads it, and the driver only lends its own `Arc`. So `as_raw_fd` returns
        // the same open descriptor until `watched` is dropped with the `AsyncFd`.
        let registered = unsafe { AsyncFd::register_with_interest(watched, Interest::READABLE) };
        registered.map_err(Into::into)
    }
}

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.0.as_raw_fd()
    }
}

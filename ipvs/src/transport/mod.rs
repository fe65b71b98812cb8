//! How datagrams get to the kernel and back.
//!
//! The trait is sealed: its two implementations are the netlink socket and, with feature
//! `memory`, the in-memory kernel. A transport carries bytes and time-outs; it knows nothing of
//! what they mean.

#[cfg(any(feature = "neli", feature = "tokio"))]
mod descriptor;
#[cfg(feature = "memory")]
pub mod memory;
mod socket;

use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;

use bytes::BytesMut;

#[cfg(feature = "tokio")]
pub(crate) use descriptor::Watched;
pub use socket::NetlinkSocket;

pub(crate) mod sealed {
    /// Keeps [`Transport`](super::Transport) to this crate's own implementations.
    #[expect(unnameable_types, reason = "that it cannot be named is its use")]
    pub trait Sealed {}
}

/// A connection to a kernel that speaks netlink.
pub trait Transport: sealed::Sealed + fmt::Debug {
    /// Sends one datagram of one or more requests. The kernel handles them before this returns.
    ///
    /// # Errors
    ///
    /// The operating system's; none of the requests was handled then.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Replaces the content of `buffer` by the next datagram.
    ///
    /// Waits at most `timeout`; zero looks only at what is there already.
    ///
    /// # Errors
    ///
    /// The operating system's, except those that [`Received`] tells.
    fn receive(&mut self, buffer: &mut BytesMut, timeout: Duration) -> io::Result<Received>;

    /// Asks for a receive queue of that many bytes of memory, as the kernel counts them. What it
    /// comes to is for [`receive_buffer`](Self::receive_buffer) to tell.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn set_receive_buffer(&mut self, bytes: usize) -> io::Result<()>;

    /// Bytes of memory that answers may take until they are read.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn receive_buffer(&self) -> io::Result<usize>;

    /// What becomes readable when there is something to receive; `None` where a receive never
    /// waits. Always the same.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// What became of a [`Transport::receive`].
#[expect(clippy::exhaustive_enums, reason = "the trait is sealed")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received {
    /// The buffer holds a datagram.
    Datagram,
    /// Nothing came in time.
    TimedOut,
    /// The receive queue overflowed (`ENOBUFS`): replies are missing from here on.
    Overrun,
}

//! A netlink socket: whole datagrams in and out, nothing about their content.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, NetlinkAddr, recvmsg, sendto, setsockopt, sockopt};

/// Room for one datagram. The kernel fills those of a listing up to the size of the buffer that
/// reads them, 32 KiB at most, and no notification is as long.
const DATAGRAM: usize = 32 * 1024;

/// What a read gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Received {
    /// A datagram from the kernel, of this length.
    Datagram(usize),
    /// There is none.
    Nothing,
    /// The queue was full, and something was lost.
    Overrun,
}

/// A socket of routing netlink, which never blocks.
pub(crate) struct NetlinkSocket {
    socket: Socket,
    // Empty while it rests.
    buffer: Vec<u8>,
    is_strict: bool,
}

impl NetlinkSocket {
    /// Opens a socket in the network namespace of the calling thread, and joins these groups.
    pub(crate) fn open(groups: &[u32]) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        // Errors are bare numbers on kernels before 4.12, and carry the request before 4.3.
        ignore_missing(socket.set_ext_ack(true))?;
        ignore_missing(socket.set_cap_ack(true))?;
        // Since 4.20: a listing is of what is asked for, and nothing else.
        let is_strict = socket.set_netlink_get_strict_chk(true).is_ok();
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(Self {
            socket,
            buffer: Vec::new(),
            is_strict,
        })
    }

    /// Whether the kernel lists the addresses of one interface if that is asked for.
    pub(crate) const fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Sends a datagram to the kernel, which carries out what it asks before this returns.
    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let kernel = NetlinkAddr::new(0, 0);
        loop {
            match sendto(
                self.socket.as_raw_fd(),
                datagram,
                &kernel,
                MsgFlags::empty(),
            ) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reads one datagram into the buffer, without waiting.
    pub(crate) fn receive(&mut self) -> io::Result<Received> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; DATAGRAM];
        }
        loop {
            let mut parts = [IoSliceMut::new(&mut self.buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = recvmsg::<NetlinkAddr>(self.socket.as_raw_fd(), &mut parts, None, flags);
            match received {
                Ok(message) => {
                    // Other programs may write to our port, too.
                    if message.address.is_some_and(|from| from.pid() != 0) {
                        continue;
                    }
                    if message.flags.contains(MsgFlags::MSG_TRUNC) {
                        return Ok(Received::Overrun);
                    }
                    return Ok(Received::Datagram(message.bytes));
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(Received::Nothing),
                Err(Errno::ENOBUFS) => return Ok(Received::Overrun),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The datagram that was read last.
    pub(crate) fn datagram(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or_default()
    }

    /// Gives back the room for datagrams, until one is read again.
    pub(crate) fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    /// Waits until there is something to read; `false` if nothing comes in this time.
    pub(crate) fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, timeout) {
            Ok(count) => Ok(count > 0),
            // A signal: the caller looks whether something came, and waits again.
            Err(Errno::EINTR) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Asks for a receive queue of this size, beyond `net.core.rmem_max` where we may
    /// (`SO_RCVBUFFORCE`, `socket(7)`).
    pub(crate) fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        // The kernel doubles what it is given.
        let half = bytes / 2;
        match setsockopt(&self.socket, sockopt::RcvBufForce, &half) {
            Err(Errno::EPERM) => Ok(setsockopt(&self.socket, sockopt::RcvBuf, &half)?),
            result => Ok(result?),
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for NetlinkSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NetlinkSocket").field(&self.socket).finish()
    }
}

/// An option that this kernel does not have is no failure.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(Errno::ENOPROTOOPT as i32) => Ok(()),
        result => result,
    }
}

//! The netlink socket.

use core::fmt;
use core::ops::Range;
use core::time::Duration;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use bytes::BytesMut;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    MsgFlags, MultiHeaders, NetlinkAddr, getsockname, getsockopt, recvmmsg, send, setsockopt,
    sockopt,
};

use super::{Received, Transport, sealed};

/// Room for one datagram. The kernel fills dump datagrams up to the size of the buffer that
/// reads them, 32 KiB at most.
const DATAGRAM: usize = 32 * 1024;

/// Datagrams read with one system call at most. Only what is filled takes memory.
const AT_ONCE: usize = 32;

/// A generic netlink socket.
///
/// What is there is read many datagrams at a time, so a descriptor with nothing to read does not
/// mean that there is nothing to [`receive`](Transport::receive): wait for the one only after the
/// other timed out.
pub struct NetlinkSocket {
    descriptor: OwnedFd,
    // Filled by the kernel, each datagram in its own part; the caller's buffer then takes only
    // what came.
    datagrams: Box<[u8]>,
    // Of the datagrams that were read last.
    lengths: [usize; AT_ONCE],
    // Which of them the caller has not got yet.
    unread: Range<usize>,
}

impl NetlinkSocket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// Extended acknowledgements are asked for where feature `neli` is on; a kernel without them
    /// is fine.
    ///
    /// # Errors
    ///
    /// The operating system's, such as `EPROTONOSUPPORT` on a kernel without generic netlink.
    pub fn open() -> io::Result<Self> {
        open().map(Self::new)
    }

    /// Takes over a socket of type `AF_NETLINK`, protocol `NETLINK_GENERIC`, opened elsewhere,
    /// for instance in another network namespace. It is bound on its first request if need be.
    /// What is waiting in its receive queue is thrown away.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is a socket of another kind, `ENOTSOCK` when it is none; else what
    /// emptying the queue gives.
    pub fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        getsockname::<NetlinkAddr>(descriptor.as_raw_fd())?;
        let mut socket = Self::new(descriptor);
        let mut stale = BytesMut::new();
        while socket.receive(&mut stale, Duration::ZERO)? != Received::TimedOut {}
        Ok(socket)
    }

    fn new(descriptor: OwnedFd) -> Self {
        Self {
            descriptor,
            datagrams: vec![0; AT_ONCE * DATAGRAM].into_boxed_slice(),
            lengths: [0; AT_ONCE],
            unread: 0..0,
        }
    }

    /// Reads what is there without waiting. Several acknowledgements are several datagrams.
    fn read(&mut self) -> nix::Result<()> {
        let mut headers = MultiHeaders::<()>::preallocate(AT_ONCE, None);
        let parts = self.datagrams.chunks_exact_mut(DATAGRAM);
        let mut parts: Vec<_> = parts.map(|part| [IoSliceMut::new(part)]).collect();
        let descriptor = self.descriptor.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let messages = recvmmsg(descriptor, &mut headers, &mut parts, flags, None)?;
        let mut count = 0;
        for (length, message) in self.lengths.iter_mut().zip(messages) {
            *length = message.bytes;
            count += 1;
        }
        self.unread = 0..count;
        Ok(())
    }

    /// The next of the datagrams that were read.
    fn next_read(&mut self) -> Option<&[u8]> {
        let index = self.unread.next()?;
        let length = self.lengths.get(index).copied()?;
        let start = index.checked_mul(DATAGRAM)?;
        self.datagrams.get(start..)?.get(..length)
    }

    /// Waits until there is something to read; `false` when nothing came in time.
    fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // Rounded up, so that a wait never ends just before its deadline.
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                let millis = left.as_micros().div_ceil(1000);
                i32::try_from(millis)
                    .ok()
                    .and_then(|millis| PollTimeout::try_from(millis).ok())
                    .unwrap_or(PollTimeout::MAX)
            });
            let mut descriptors = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
            match poll(&mut descriptors, timeout) {
                Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl fmt::Debug for NetlinkSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetlinkSocket")
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl sealed::Sealed for NetlinkSocket {}

impl Transport for NetlinkSocket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        loop {
            match send(self.descriptor.as_raw_fd(), datagram, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn receive(&mut self, buffer: &mut BytesMut, timeout: Duration) -> io::Result<Received> {
        buffer.clear();
        loop {
            if let Some(datagram) = self.next_read() {
                buffer.extend_from_slice(datagram);
                return Ok(Received::Datagram);
            }
            // Tried first: the answer to a request is there when `send` returns, so a `poll`
            // would be one system call too many.
            match self.read() {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Ok(Received::Overrun),
                Err(Errno::EAGAIN) => {
                    if timeout.is_zero() || !self.wait(timeout)? {
                        return Ok(Received::TimedOut);
                    }
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// `SO_RCVBUFFORCE`, which goes beyond `net.core.rmem_max` and needs `CAP_NET_ADMIN` in the
    /// initial user namespace as IPVS itself does; without it `SO_RCVBUF` (`socket(7)`).
    fn set_receive_buffer(&mut self, bytes: usize) -> io::Result<()> {
        // The kernel doubles what it is given, a number of 32 bits with a sign.
        let half = (bytes / 2).min(i32::MAX as usize / 2);
        match setsockopt(&self.descriptor, sockopt::RcvBufForce, &half) {
            Err(Errno::EPERM) => Ok(setsockopt(&self.descriptor, sockopt::RcvBuf, &half)?),
            result => Ok(result?),
        }
    }

    fn receive_buffer(&self) -> io::Result<usize> {
        Ok(getsockopt(&self.descriptor, sockopt::RcvBuf)?)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

#[cfg(feature = "neli")]
fn open() -> io::Result<OwnedFd> {
    use neli::consts::socket::NlFamily;
    use neli::utils::Groups;

    let socket = neli::socket::NlSocket::connect(NlFamily::Generic, None, Groups::empty())?;
    // Kernels before 4.12 lack the option; their errors are bare numbers then.
    match socket.enable_ext_ack(true) {
        Err(error) if error.raw_os_error() != Some(Errno::ENOPROTOOPT as i32) => return Err(error),
        _ => {}
    }
    Ok(super::descriptor::take_over(socket))
}

#[cfg(not(feature = "neli"))]
fn open() -> io::Result<OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, bind, socket};

    let descriptor = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )?;
    bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn other_descriptors_are_refused() {
        let (unix, _other) = UnixDatagram::pair().unwrap();
        let error = NetlinkSocket::from_descriptor(unix.into()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EINVAL as i32), "{error}");
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = NetlinkSocket::from_descriptor(file.into()).unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(Errno::ENOTSOCK as i32),
            "{error}"
        );
    }

    #[test]
    fn the_receive_buffer_is_what_was_asked_for() {
        let mut socket = NetlinkSocket::open().unwrap();
        // Below every limit, so it needs no privilege.
        for bytes in [16_384, 65_536] {
            socket.set_receive_buffer(bytes).unwrap();
            assert_eq!(socket.receive_buffer().unwrap(), bytes);
        }
        // The kernel's least, and its most, are near what is asked for.
        socket.set_receive_buffer(0).unwrap();
        assert!(socket.receive_buffer().unwrap() < 16_384);
        socket.set_receive_buffer(usize::MAX).unwrap();
        assert!(socket.receive_buffer().unwrap() > 65_536);
    }

    #[test]
    fn answers_read_together_come_one_by_one_and_in_order() {
        let mut socket = NetlinkSocket::open().unwrap();
        let count = 2 * AT_ONCE + 1;
        let mut requests = Vec::new();
        for sequence in 1..=u8::try_from(count).unwrap() {
            // An unknown message type: answered with an error.
            let header = [20, 0, 0, 0, 99, 0, 5, 0, sequence, 0, 0, 0, 0, 0, 0, 0];
            requests.extend_from_slice(&header);
            requests.extend_from_slice(&[0; 4]);
        }
        socket.send(&requests).unwrap();
        let mut buffer = BytesMut::new();
        for sequence in 1..=count {
            let received = socket.receive(&mut buffer, Duration::ZERO).unwrap();
            assert_eq!(received, Received::Datagram);
            let length = u32::from_ne_bytes(*buffer.first_chunk().unwrap());
            assert_eq!(usize::try_from(length).unwrap(), buffer.len());
            assert_eq!(usize::from(buffer[8]), sequence);
        }
        let received = socket.receive(&mut buffer, Duration::ZERO).unwrap();
        assert_eq!(received, Received::TimedOut);
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_waits_in_a_socket_that_is_taken_over_is_thrown_away() {
        let mut first = NetlinkSocket::open().unwrap();
        // An unknown message type of the generic netlink controller: answered with an error.
        let request = [20, 0, 0, 0, 99, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        first.send(&request).unwrap();
        let mut taken = NetlinkSocket::from_descriptor(first.descriptor).unwrap();
        let received = taken.receive(&mut BytesMut::new(), Duration::ZERO).unwrap();
        assert_eq!(received, Received::TimedOut);
    }
}

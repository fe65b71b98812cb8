//! Faults on demand: what goes wrong between a program and its kernel, without chance and
//! without waiting.

use std::collections::VecDeque;

use super::Errno;

/// Something to go wrong; given to [`MemoryKernel::inject`](super::MemoryKernel::inject).
///
/// Faults of replies form a line: each reply datagram that the kernel is about to queue, for
/// whichever socket, meets the first fault of the line, and a fault leaves when its number is
/// used up. [`PassReplies`](Self::PassReplies) lets replies through in between. Faults of
/// requests and of calls count on their own.
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use lvs_ipvs::transport::{Received, Transport};
/// use lvs_ipvs::{Fault, MemoryKernel};
/// use std::time::Duration;
///
/// let kernel = MemoryKernel::default();
/// let mut socket = kernel.socket();
/// kernel.inject(Fault::LoseReplies(1));
/// // The name of a family, acknowledged: nlctrl (16), request and acknowledge (5), CTRL_GETFAMILY.
/// let mut request = vec![];
/// request.extend_from_slice(&32_u32.to_ne_bytes());
/// request.extend_from_slice(&16_u16.to_ne_bytes());
/// request.extend_from_slice(&5_u16.to_ne_bytes());
/// request.extend_from_slice(&[0; 8]);
/// request.extend_from_slice(&[3, 1, 0, 0]);
/// request.extend_from_slice(&9_u16.to_ne_bytes());
/// request.extend_from_slice(&2_u16.to_ne_bytes());
/// request.extend_from_slice(b"IPVS\0\0\0\0");
/// let mut buffer = bytes::BytesMut::new();
///
/// socket.send(&request)?;
/// // The answer is lost, the acknowledgement behind it comes.
/// assert_eq!(socket.receive(&mut buffer, Duration::from_secs(1))?, Received::Datagram);
/// assert_eq!(buffer.len(), 36);
/// // Nothing is waited for: time is virtual.
/// assert_eq!(socket.receive(&mut buffer, Duration::from_secs(1))?, Received::TimedOut);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The next replies pass unharmed, before what is injected after this.
    PassReplies(u32),
    /// The next replies vanish: their requests were carried out.
    LoseReplies(u32),
    /// The next replies are late: the receive that would have got one reports
    /// [`TimedOut`](crate::transport::Received::TimedOut), the receive after it gets it.
    DelayReplies(u32),
    /// The next replies come twice.
    DuplicateReplies(u32),
    /// The next reply ends after that many bytes; longer than it is, it passes.
    TruncateReply(usize),
    /// One bit of the next reply is the other way round: 0 is the lowest bit of the first byte;
    /// a bit behind its end harms nothing.
    FlipBit(usize),
    /// After so many more requests, one is answered with an error and not carried out.
    RejectRequest {
        /// Requests that pass before it.
        after: u32,
        /// The error, as a positive number such as `EINVAL`.
        errno: i32,
    },
    /// After so many more replies, one finds its queue full: it is lost, the next receive of
    /// that socket reports [`Overrun`](crate::transport::Received::Overrun), and replies are lost
    /// until the queue has been read empty.
    OverrunAfter(u32),
    /// The next send fails with that error and reaches nothing.
    FailSend(i32),
    /// The next receive fails with that error and takes nothing.
    FailReceive(i32),
    /// From now on a batch of a dump holds at most that many entries (at least 1); 0 ends it.
    SlowDumps(usize),
}

/// What to do with one reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReplyFault {
    None,
    Lose,
    Delay,
    Duplicate,
    Truncate(usize),
    Flip(usize),
    Overrun,
}

/// The faults to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    replies: VecDeque<Fault>,
    rejections: Vec<(u32, Errno)>,
    overruns: VecDeque<u32>,
    sends: VecDeque<Errno>,
    receives: VecDeque<Errno>,
    entries: usize,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::PassReplies(0)
            | Fault::LoseReplies(0)
            | Fault::DelayReplies(0)
            | Fault::DuplicateReplies(0) => {}
            Fault::PassReplies(_)
            | Fault::LoseReplies(_)
            | Fault::DelayReplies(_)
            | Fault::DuplicateReplies(_)
            | Fault::TruncateReply(_)
            | Fault::FlipBit(_) => self.replies.push_back(fault),
            Fault::RejectRequest { after, errno } => self.rejections.push((after, errno)),
            Fault::OverrunAfter(after) => self.overruns.push_back(after),
            Fault::FailSend(errno) => self.sends.push_back(errno),
            Fault::FailReceive(errno) => self.receives.push_back(errno),
            Fault::SlowDumps(entries) => self.entries = entries,
        }
    }

    pub(super) fn send(&mut self) -> Option<Errno> {
        self.sends.pop_front()
    }

    pub(super) fn receive(&mut self) -> Option<Errno> {
        self.receives.pop_front()
    }

    /// Entries that fit into a batch.
    pub(super) const fn entries(&self) -> usize {
        match self.entries {
            0 => usize::MAX,
            entries => entries,
        }
    }

    /// Counts one request; the error it is to get, if any.
    pub(super) fn request(&mut self) -> Option<Errno> {
        let due = self.rejections.iter().position(|(after, _)| *after == 0);
        for (after, _) in &mut self.rejections {
            *after = after.saturating_sub(1);
        }
        due.map(|due| self.rejections.remove(due).1)
    }

    /// Counts one reply; what happens to it.
    pub(super) fn reply(&mut self) -> ReplyFault {
        match self.overruns.front_mut() {
            Some(0) => {
                self.overruns.pop_front();
                return ReplyFault::Overrun;
            }
            Some(after) => *after = after.saturating_sub(1),
            None => {}
        }
        let Some(fault) = self.replies.pop_front() else {
            return ReplyFault::None;
        };
        // Puts the fault back with one less to go.
        let mut again = |left: u32, fault: fn(u32) -> Fault| {
            if left > 1 {
                self.replies.push_front(fault(left.saturating_sub(1)));
            }
        };
        match fault {
            Fault::PassReplies(left) => {
                again(left, Fault::PassReplies);
                ReplyFault::None
            }
            Fault::LoseReplies(left) => {
                again(left, Fault::LoseReplies);
                ReplyFault::Lose
            }
            Fault::DelayReplies(left) => {
                again(left, Fault::DelayReplies);
                ReplyFault::Delay
            }
            Fault::DuplicateReplies(left) => {
                again(left, Fault::DuplicateReplies);
                ReplyFault::Duplicate
            }
            Fault::TruncateReply(length) => ReplyFault::Truncate(length),
            Fault::FlipBit(bit) => ReplyFault::Flip(bit),
            // Never in this line.
            _ => ReplyFault::None,
        }
    }
}

/// Turns one bit round.
pub(super) fn flip(bytes: &mut [u8], bit: usize) {
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1_u8.rotate_left(u32::try_from(bit % 8).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_replies_form_a_line() {
        let mut faults = Faults::default();
        for fault in [
            Fault::PassReplies(1),
            Fault::LoseReplies(2),
            Fault::PassReplies(0),
            Fault::FlipBit(9),
            Fault::DuplicateReplies(1),
            Fault::TruncateReply(3),
            Fault::DelayReplies(1),
        ] {
            faults.inject(fault);
        }
        let seen: Vec<_> = (0..8).map(|_| faults.reply()).collect();
        assert_eq!(
            seen,
            [
                ReplyFault::None,
                ReplyFault::Lose,
                ReplyFault::Lose,
                ReplyFault::Flip(9),
                ReplyFault::Duplicate,
                ReplyFault::Truncate(3),
                ReplyFault::Delay,
                ReplyFault::None,
            ]
        );
    }

    #[test]
    fn rejections_count_requests() {
        let mut faults = Faults::default();
        faults.inject(Fault::RejectRequest { after: 2, errno: 5 });
        faults.inject(Fault::RejectRequest { after: 0, errno: 6 });
        let seen: Vec<_> = (0..4).map(|_| faults.request()).collect();
        assert_eq!(seen, [Some(6), None, Some(5), None]);
    }

    #[test]
    fn overruns_count_replies() {
        let mut faults = Faults::default();
        faults.inject(Fault::OverrunAfter(1));
        assert_eq!(faults.reply(), ReplyFault::None);
        assert_eq!(faults.reply(), ReplyFault::Overrun);
        assert_eq!(faults.reply(), ReplyFault::None);
    }

    #[test]
    fn bits_count_from_the_first_byte() {
        let mut bytes = [0, 0];
        flip(&mut bytes, 9);
        flip(&mut bytes, 16);
        assert_eq!(bytes, [0, 2]);
    }
}

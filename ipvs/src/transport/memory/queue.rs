//! The receive queue of a socket: bounded in memory, so that it overflows as the kernel's does.

use std::collections::VecDeque;

use crate::transport::Received;

/// The kernel's default receive buffer (`net.core.rmem_default`).
pub(super) const DEFAULT_LIMIT: usize = 212_992;
/// Bookkeeping behind the bytes of a datagram, before its memory is rounded up.
const OVERHEAD: usize = 320;
/// Bookkeeping beside the bytes.
const HEAD: usize = 256;

#[derive(Debug)]
enum Entry {
    Datagram {
        bytes: Vec<u8>,
        charge: usize,
    },
    /// Nothing comes for one receive: what follows is late.
    Gap,
}

/// What waits to be read.
#[derive(Debug)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    charged: usize,
    limit: usize,
    least_charge: usize,
    /// Set by an overflow, told once.
    error: bool,
    /// Set by an overflow; nothing more is taken until the queue has been read empty.
    congested: bool,
}

impl Queue {
    pub(super) const fn new(least_charge: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            charged: 0,
            limit: DEFAULT_LIMIT,
            least_charge,
            error: false,
            congested: false,
        }
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// What a datagram of that length counts for, as the kernel rounds memory up.
    fn charge(&self, length: usize) -> usize {
        let memory = length.saturating_add(OVERHEAD);
        if memory.saturating_add(HEAD) <= self.least_charge {
            return self.least_charge;
        }
        let memory = memory.checked_next_power_of_two().unwrap_or(usize::MAX);
        memory.saturating_add(HEAD)
    }

    /// Queues a reply, or loses it and remembers the overflow.
    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        let charge = self.charge(bytes.len());
        if self.congested || !self.fits(bytes.len()) {
            self.overflow();
        } else {
            self.append(bytes, charge);
        }
    }

    /// Whether there is room for a datagram of that length. One always fits into an empty queue.
    pub(super) fn fits(&self, length: usize) -> bool {
        let total = self.charged.saturating_add(self.charge(length));
        self.charged == 0 || total <= self.limit
    }

    /// Queues a batch of a dump, which is only made when it [`fits`](Self::fits), congested or
    /// not. It counts for the room it was given, not for what is in it.
    pub(super) fn push_batch(&mut self, bytes: Vec<u8>, room: usize) {
        let charge = self.charge(room);
        self.append(bytes, charge);
    }

    fn append(&mut self, bytes: Vec<u8>, charge: usize) {
        self.charged = self.charged.saturating_add(charge);
        self.entries.push_back(Entry::Datagram { bytes, charge });
    }

    /// The next reply is one receive late.
    pub(super) fn push_gap(&mut self) {
        // Gaps cost nothing, so they must not pile up.
        if !matches!(self.entries.back(), Some(Entry::Gap)) {
            self.entries.push_back(Entry::Gap);
        }
    }

    pub(super) const fn overflow(&mut self) {
        if !self.congested {
            self.congested = true;
            self.error = true;
        }
    }

    /// Reports an overflow to the next receive although nothing was lost.
    pub(super) const fn complain(&mut self) {
        self.error = true;
    }

    /// Takes the next datagram.
    pub(super) fn pop(&mut self) -> Result<Vec<u8>, Received> {
        if core::mem::take(&mut self.error) {
            return Err(Received::Overrun);
        }
        match self.entries.pop_front() {
            Some(Entry::Datagram { bytes, charge }) => {
                self.charged = self.charged.saturating_sub(charge);
                Ok(bytes)
            }
            Some(Entry::Gap) | None => Err(Received::TimedOut),
        }
    }

    /// The end of a receive.
    pub(super) fn wake(&mut self) {
        if self.entries.is_empty() {
            self.congested = false;
        }
    }

    /// Whether a running dump adds its next batch after a receive.
    pub(super) const fn takes_batch(&self) -> bool {
        self.charged <= self.limit / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 277 acknowledgements on 6.1.176, 237 on 6.12.101 and 7.2.7, then `ENOBUFS`, which comes
    /// before what was queued.
    #[test]
    fn the_default_buffer_holds_what_the_kernels_does() {
        for (charge, fits) in [(768, 277), (896, 237)] {
            let mut queue = Queue::new(charge);
            for _ in 0..500 {
                queue.push(vec![0; 36]);
            }
            assert_eq!(queue.pop(), Err(Received::Overrun));
            let mut got = 0;
            while queue.pop().is_ok() {
                got += 1;
                queue.wake();
            }
            assert_eq!(got, fits);
        }
    }

    /// Seen through `SO_MEMINFO`.
    #[test]
    fn datagrams_count_for_the_memory_the_kernel_takes() {
        let charges = |least: usize, lengths: &[usize]| -> Vec<usize> {
            let queue = Queue::new(least);
            lengths.iter().map(|length| queue.charge(*length)).collect()
        };
        // 6.1.176
        let lengths = [36, 192, 244, 360, 692, 792, 1592, 3092, 3776, 32448];
        let expected = [768, 768, 1280, 1280, 1280, 2304, 2304, 4352, 4352, 33024];
        assert_eq!(charges(768, &lengths), expected);
        // 6.12.101 and 7.2.7
        let lengths = [36, 292, 320, 344, 692, 792];
        assert_eq!(charges(896, &lengths), [896, 896, 896, 1280, 1280, 2304]);
    }

    #[test]
    fn the_last_byte_of_the_buffer_counts() {
        let mut queue = Queue::new(896);
        queue.set_limit(2 * 896);
        assert!([36, 36].into_iter().all(|length| {
            let fits = queue.fits(length);
            queue.push(vec![0; length]);
            fits
        }));
        assert!(!queue.fits(36));
    }

    #[test]
    fn an_overflow_lasts_until_the_queue_is_empty() {
        let mut queue = Queue::new(768);
        queue.set_limit(2 * 768);
        for _ in 0..4 {
            queue.push(vec![0; 36]);
        }
        assert_eq!(queue.pop(), Err(Received::Overrun));
        queue.wake();
        assert!(queue.pop().is_ok());
        queue.wake();
        queue.push(vec![1]);
        assert!(queue.pop().is_ok());
        assert!(
            queue.pop().is_err(),
            "there was room, but the queue was not empty"
        );
        queue.wake();
        queue.push(vec![2]);
        assert_eq!(queue.pop(), Ok(vec![2]));
    }

    #[test]
    fn one_datagram_always_fits() {
        let mut queue = Queue::new(768);
        queue.set_limit(0);
        queue.push(vec![0; 100_000]);
        assert_eq!(queue.pop().map(|bytes| bytes.len()), Ok(100_000));
    }
}

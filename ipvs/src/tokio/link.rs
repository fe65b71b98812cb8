//! A transport in a runtime of tokio.

use core::time::Duration;
use std::io;

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use ::tokio::runtime::Handle;
use ::tokio::{task, time};
use bytes::BytesMut;

use crate::error::Error;
use crate::transport::{Received, Transport, Watched};

/// How datagrams get to the kernel and back without blocking the thread for longer than the
/// kernel works.
#[derive(Debug)]
pub(super) enum Link {
    /// Waits until the runtime sees something to read.
    Watched(AsyncFd<Watched>),
    /// Never has to wait.
    Immediate(Box<dyn Transport + Send + Sync>),
}

impl Link {
    pub(super) fn new(transport: Box<dyn Transport + Send + Sync>) -> Result<Self, Error> {
        if transport.descriptor().is_none() {
            return Ok(Self::Immediate(transport));
        }
        if let Err(error) = Handle::try_current() {
            let context = "cannot watch the netlink socket outside of a runtime of tokio";
            return Err(Error::io(context, io::Error::other(error)));
        }
        match Watched::register(transport) {
            Ok(watched) => Ok(Self::Watched(watched)),
            Err(error) => Err(Error::io("cannot watch the netlink socket", error)),
        }
    }

    pub(super) fn transport(&self) -> &dyn Transport {
        match self {
            Self::Watched(watched) => watched.get_ref().transport(),
            Self::Immediate(transport) => &**transport,
        }
    }

    pub(super) fn transport_mut(&mut self) -> &mut dyn Transport {
        match self {
            Self::Watched(watched) => watched.get_mut().transport_mut(),
            Self::Immediate(transport) => &mut **transport,
        }
    }

    /// As [`Transport::receive`]. Dropped while it waits, it has taken nothing.
    pub(super) async fn receive(
        &mut self,
        buffer: &mut BytesMut,
        timeout: Duration,
    ) -> io::Result<Received> {
        let watched = match self {
            Self::Watched(watched) => watched,
            Self::Immediate(transport) => {
                task::yield_now().await;
                return transport.receive(buffer, timeout);
            }
        };
        // Long batches and dumps must not keep other tasks waiting.
        task::coop::consume_budget().await;
        // The answer to a request is there when it has been sent, so mostly no wait is needed.
        let transport = watched.get_mut().transport_mut();
        let received = transport.receive(buffer, Duration::ZERO)?;
        if received != Received::TimedOut || timeout.is_zero() {
            return Ok(received);
        }
        let answer = async {
            loop {
                let interest = Interest::READABLE | Interest::ERROR;
                let mut ready = watched.ready_mut(interest).await?;
                let transport = ready.get_inner_mut().transport_mut();
                match transport.receive(buffer, Duration::ZERO)? {
                    Received::TimedOut => ready.clear_ready(),
                    received => return Ok(received),
                }
            }
        };
        let answer = time::timeout(timeout, answer).await;
        answer.unwrap_or(Ok(Received::TimedOut))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use ::tokio::time::Instant;

    use super::*;
    use crate::transport::NetlinkSocket;

    const MINUTE: Duration = Duration::from_secs(60);

    /// An unknown message type of the generic netlink controller: answered with an error.
    const REQUEST: [u8; 20] = [20, 0, 0, 0, 99, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    /// A watched socket, and another handle to it.
    fn link() -> (Link, NetlinkSocket) {
        let socket = NetlinkSocket::open().unwrap();
        let second = socket.as_fd().try_clone_to_owned().unwrap();
        let second = NetlinkSocket::from_descriptor(second).unwrap();
        (Link::new(Box::new(socket)).unwrap(), second)
    }

    #[::tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_time() {
        let (mut link, _second) = link();
        let begin = Instant::now();
        let mut buffer = BytesMut::new();
        let received = link.receive(&mut buffer, MINUTE).await.unwrap();
        assert_eq!(received, Received::TimedOut);
        assert!(begin.elapsed() >= MINUTE);
        // Nor does looking at what is there wait at all.
        let begin = Instant::now();
        let received = link.receive(&mut buffer, Duration::ZERO).await.unwrap();
        assert_eq!(
            (received, begin.elapsed()),
            (Received::TimedOut, Duration::ZERO)
        );
    }

    #[::tokio::test]
    async fn a_wait_ends_with_the_answer() {
        let (mut link, mut second) = link();
        let mut buffer = BytesMut::new();
        for _ in 0..3 {
            // The second is polled when the first waits.
            let (received, ()) = ::tokio::join!(link.receive(&mut buffer, MINUTE), async {
                second.send(&REQUEST).unwrap();
            });
            assert_eq!(received.unwrap(), Received::Datagram);
            assert_eq!(buffer[4], 2, "an acknowledgement");
        }
    }

    #[::tokio::test]
    async fn a_wait_that_is_dropped_takes_nothing() {
        let (mut link, mut second) = link();
        let mut buffer = BytesMut::new();
        ::tokio::select! {
            biased;
            _ = link.receive(&mut buffer, MINUTE) => unreachable!("there is nothing"),
            () = async { second.send(&REQUEST).unwrap() } => {}
        }
        let received = link.receive(&mut buffer, MINUTE).await.unwrap();
        assert_eq!(received, Received::Datagram);
    }

    /// Many datagrams wait; still others get their turn.
    #[::tokio::test]
    async fn reading_gives_way_to_others() {
        let (mut link, mut second) = link();
        for _ in 0..200 {
            second.send(&REQUEST).unwrap();
        }
        let mut buffer = BytesMut::new();
        let mut turns = 0;
        let reading = async {
            let mut read = 0;
            while link.receive(&mut buffer, Duration::ZERO).await.unwrap() == Received::Datagram {
                read += 1;
            }
            read
        };
        let mut reading = core::pin::pin!(reading);
        let read = core::future::poll_fn(|context| {
            turns += 1;
            reading.as_mut().poll(context)
        })
        .await;
        assert_eq!(read, 200);
        assert!(turns > 1);
    }
}

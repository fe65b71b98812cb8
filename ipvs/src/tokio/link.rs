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

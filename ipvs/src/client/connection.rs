//! What every client does, without the socket: runs operations over a session and says what is
//! needed next.
//!
//! The clients around it carry bytes and wait, nothing else. So they treat lost answers,
//! time-outs and failed sends alike.

use core::time::Duration;
use std::io;

use bytes::BytesMut;

use super::Options;
use crate::error::{Error, Reason};
use crate::operation::{Operation, Step};
use crate::session::{Event, Session};
use crate::transport::{Received, Transport};
use crate::wire::{FamilyId, FamilyInfo, Messages};

/// Session, options and buffers of a client.
#[derive(Debug)]
pub(crate) struct Connection {
    session: Session,
    options: Options,
    outgoing: BytesMut,
    incoming: BytesMut,
}

impl Connection {
    /// A connection that does not know its family yet: run
    /// [`GetOne::family`](crate::operation::GetOne::family) first and call
    /// [`resolved`](Self::resolved).
    pub(crate) fn new() -> Self {
        Self {
            session: Session::new(FamilyId::new(0)),
            options: Options::default(),
            outgoing: BytesMut::new(),
            incoming: BytesMut::new(),
        }
    }

    /// Takes the answer to the query for the family.
    pub(crate) fn resolved(&mut self, family: Result<FamilyInfo, Error>) -> Result<(), Error> {
        match family {
            Ok(family) => {
                self.session.set_family(family.id);
                Ok(())
            }
            Err(error) if error.reason() == Some(Reason::NoIpvs) => Err(Error::Unavailable),
            Err(error) => Err(error),
        }
    }

    /// Replaces the options, and with them the size of the transport's receive queue.
    pub(crate) fn set_options(&mut self, options: Options, transport: &mut dyn Transport) {
        self.options = options;
        if let Some(bytes) = options.receive_buffer {
            // As much as the system grants: its size can be asked for.
            transport.set_receive_buffer(bytes).unwrap_or_default();
        }
    }

    pub(crate) const fn options(&self) -> Options {
        self.options
    }

    /// Prepares to run an operation.
    ///
    /// What an earlier one left unanswered (it failed, ended early, was dropped half-way, or a
    /// function it called panicked) is not heard of any more.
    pub(crate) fn begin<O: Operation>(&mut self, operation: O) -> Running<'_, O> {
        self.settle();
        Running {
            connection: self,
            operation,
            start: Start::Clearing { found_empty: false },
            in_flight: 0,
            result: None,
        }
    }

    /// Forgets the operation that ran, and reads what it left in the last datagram: messages
    /// behind the one that ended it answer earlier, abandoned requests. Those before it are read
    /// again to no effect: their requests are complete.
    fn settle(&mut self) {
        self.session.abandon();
        let mut rest = Messages::new(&self.incoming);
        while self.session.handle(&mut rest).is_some() {}
        self.incoming.clear();
    }
}

/// What a running operation needs of the client.
#[derive(Debug)]
pub(crate) enum Need<T> {
    /// To send [`outgoing`](Running::outgoing) and say how that went ([`sent`](Running::sent)).
    Send,
    /// To receive into [`incoming`](Running::incoming), waiting that long at most, and say how
    /// that went ([`received`](Running::received)).
    Receive(Duration),
    /// Nothing any more: this came of it.
    Nothing(Result<T, Error>),
}

/// An operation on its way. Dropping it anywhere leaves the connection usable.
#[derive(Debug)]
pub(crate) struct Running<'a, O: Operation> {
    connection: &'a mut Connection,
    operation: O,
    start: Start,
    // Requests under way before the last datagram was made.
    in_flight: usize,
    result: Option<Result<O::Output, Error>>,
}

/// Whether an operation has started.
///
/// Before it does, what an earlier one left in the receive queue is read: had those answers
/// overflowed the queue unseen, those to come would be lost, too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    Clearing { found_empty: bool },
    Done,
}

impl<O: Operation> Running<'_, O> {
    /// The next datagram; good after [`Need::Send`].
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.connection.outgoing
    }

    /// Where the next answer belongs.
    pub(crate) const fn incoming(&mut self) -> &mut BytesMut {
        &mut self.connection.incoming
    }

    /// What is needed next.
    pub(crate) fn next(&mut self) -> Need<O::Output> {
        if self.start != Start::Done {
            if self.connection.session.is_waiting() {
                return Need::Receive(Duration::ZERO);
            }
            self.start = Start::Done;
            let started = self.operation.start(&mut self.connection.session);
            self.result = ended(Ok(started));
        }
        while self.result.is_none() {
            let Some(event) = self.connection.session.poll_event() else {
                break;
            };
            self.step(event);
        }
        if let Some(result) = self.result.take() {
            self.connection.settle();
            return Need::Nothing(result);
        }
        let Connection {
            session,
            options,
            outgoing,
            ..
        } = &mut *self.connection;
        outgoing.clear();
        self.in_flight = session.in_flight();
        if session.poll_transmit(outgoing) {
            return Need::Send;
        }
        if session.is_draining() {
            // After an overrun only what is in the queue already is of interest.
            return Need::Receive(Duration::ZERO);
        }
        if !session.is_waiting() {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            let context = "the operation waits for answers and has asked for none";
            return Need::Nothing(Err(Error::io(context, error)));
        }
        Need::Receive(options.timeout)
    }

    /// Tells how sending went.
    pub(crate) fn sent(&mut self, sent: io::Result<()>) {
        if let Err(error) = sent {
            let session = &mut self.connection.session;
            session.send_failed(self.in_flight, errno(&error));
        }
    }

    /// Tells how receiving went.
    pub(crate) fn received(&mut self, received: io::Result<Received>) {
        let session = &mut self.connection.session;
        match received {
            Ok(Received::Datagram) => self.read(),
            Ok(Received::TimedOut) if session.is_draining() => session.drained(),
            // A kernel answers while requests are sent, so what is not there is lost. Looking
            // twice costs little, and finds what the memory kernel delays.
            Ok(Received::TimedOut) if self.start == Start::Clearing { found_empty: false } => {
                self.start = Start::Clearing { found_empty: true };
            }
            Ok(Received::TimedOut) => session.timed_out(),
            Ok(Received::Overrun) => session.overrun(),
            Err(error) => session.connection_failed(errno(&error)),
        }
    }

    /// Reads the messages of the datagram that came, up to the one that ends the operation.
    fn read(&mut self) {
        let Connection {
            session, incoming, ..
        } = &mut *self.connection;
        let mut messages = Messages::new(incoming);
        while self.result.is_none() {
            let Some(event) = session.handle(&mut messages) else {
                break;
            };
            self.result = ended(self.operation.step(session, event));
        }
    }

    fn step(&mut self, event: Event<'_>) {
        self.result = ended(self.operation.step(&mut self.connection.session, event));
    }
}

/// What came of an operation that ended with that step.
fn ended<T>(step: Result<Step<T>, Error>) -> Option<Result<T, Error>> {
    match step {
        Ok(Step::Continue) => None,
        Ok(Step::Done(output)) => Some(Ok(output)),
        Err(error) => Some(Err(error)),
    }
}

/// Errors of a transport come from system calls.
fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(nix::libc::EIO)
}

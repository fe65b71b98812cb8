//! The conversation with the kernel, without the socket: sequence numbers, a window of
//! unanswered requests, acknowledgements, dumps, lost answers.
//!
//! ```text
//! submit ─► queue ─► poll_transmit ─► in flight ─► handle(datagram) ─► events
//!                                         └─ overrun, timed_out, failed ─► poll_event
//! ```
//!
//! The kernel handles requests in order and while `send` runs, so whatever is not in the receive
//! queue after an overflow is lost for good: after [`Session::overrun`], read until nothing is
//! left, then call [`Session::drained`]; what is still unanswered becomes *unknown*. Nothing is
//! sent in between, since the kernel drops answers until the queue is empty; afterwards less is
//! under way at a time, so that it does not happen again.
//!
//! A socket can have one dump at a time, so a dump is sent only when the previous one has ended.
//! Requests of an abandoned operation (see [`Session::abandon`]) stay in flight without events
//! until their answers arrive.
//!
//! Carrying its bytes takes a loop like this; [`Client`](crate::Client) is one around
//! [operations](crate::operation).
//!
//! ```no_run
//! use bytes::BytesMut;
//! use core::time::Duration;
//! use lvs_ipvs::session::{Event, Reply, Session};
//! use lvs_ipvs::transport::{NetlinkSocket, Received, Transport};
//! use lvs_ipvs::wire::{FamilyId, Messages};
//! use lvs_ipvs::Query;
//!
//! let mut socket = NetlinkSocket::open()?;
//! let mut session = Session::new(FamilyId::new(28)); // as Query::Family answers
//! session.submit(Query::Services);
//! let (mut outgoing, mut incoming) = (BytesMut::new(), BytesMut::new());
//! 'running: loop {
//!     loop {
//!         outgoing.clear();
//!         let sent = session.in_flight();
//!         if !session.poll_transmit(&mut outgoing) {
//!             break;
//!         }
//!         if let Err(error) = socket.send(&outgoing) {
//!             session.send_failed(sent, error.raw_os_error().unwrap_or(5));
//!         }
//!     }
//!     let patience = if session.is_draining() { 0 } else { 10 };
//!     match socket.receive(&mut incoming, Duration::from_secs(patience)) {
//!         Ok(Received::Datagram) => {}
//!         Ok(Received::TimedOut) if session.is_draining() => session.drained(),
//!         Ok(Received::TimedOut) => session.timed_out(),
//!         Ok(Received::Overrun) => session.overrun(),
//!         Err(error) => session.connection_failed(error.raw_os_error().unwrap_or(5)),
//!     }
//!     let mut messages = Messages::new(&incoming);
//!     while let Some(event) = session.handle(&mut messages) {
//!         match event {
//!             Event::Reply { reply: Reply::Service(service), .. } => println!("{}", service.key()),
//!             Event::Completed { outcome, .. } => {
//!                 println!("{outcome:?}");
//!                 break 'running;
//!             }
//!             _ => {}
//!         }
//!     }
//!     incoming.clear();
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::address::Family;
use crate::config::Timeouts;
use crate::daemon::SyncDaemon;
use crate::error::{DecodeError, ExtAck, NotSentCause, Rejected, RequestKind, UnknownCause};
use crate::info::Info;
use crate::invalid::ValidationError;
use crate::request::{Query, Request};
use crate::wire::{
    self, ATTRIBUTES_OFFSET, Acknowledgement, Body, DestinationView, FamilyId, FamilyInfo, Message,
    Messages, ServiceView, attributes::command,
};

/// Requests that may be unanswered at a time, until an overrun shows that the receive buffer
/// holds less. Their acknowledgements fit the smallest default receive buffer of a socket.
pub const WINDOW: usize = 128;

/// Requests in one datagram at most; more gains nothing.
const REQUESTS_PER_DATAGRAM: usize = 64;

/// Bytes after which a datagram takes no more requests: well below what the smallest default send
/// buffer takes, more than 64 usual requests need.
const DATAGRAM_BYTES: usize = 16 * 1024;

/// Number of a request within its session, counting up from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u64);

impl RequestId {
    /// How many requests were submitted from `first` up to this one.
    pub(crate) fn since(self, first: Self) -> usize {
        usize::try_from(self.0.wrapping_sub(first.0)).unwrap_or(usize::MAX)
    }
}

/// Something that happened to a request.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A message that answers a query. A dump has any number of them.
    Reply {
        /// The query.
        request: RequestId,
        /// What it says.
        reply: Reply<'a>,
    },
    /// The last event of a request.
    Completed {
        /// The request.
        request: RequestId,
        /// What became of it.
        outcome: Outcome,
    },
}

/// The content of a reply.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// To [`Query::Service`] and [`Query::Services`].
    Service(ServiceView<'a>),
    /// To [`Query::Destinations`].
    Destination(DestinationView<'a>),
    /// To [`Query::Daemons`].
    Daemon(SyncDaemon),
    /// To [`Query::Timeouts`].
    Timeouts(Timeouts),
    /// To [`Query::Info`].
    Info(Info),
    /// To [`Query::Family`].
    Family(FamilyInfo),
}

/// What became of a request.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The kernel did it, or the answer is complete.
    Done,
    /// The kernel refused.
    Rejected(Rejected),
    /// It may or may not have been done.
    Unknown(UnknownCause),
    /// It was never sent, so nothing was done.
    NotSent(NotSentCause),
    /// Its arguments cannot be right; it was not sent.
    Invalid(ValidationError),
}

impl Outcome {
    /// The outcome as a result for a single request.
    ///
    /// # Errors
    ///
    /// Everything but [`Outcome::Done`].
    pub fn into_result(self, request: RequestKind) -> Result<(), crate::Error> {
        match self {
            Self::Done => Ok(()),
            Self::Rejected(rejected) => Err(crate::Error::Rejected(rejected)),
            Self::Unknown(cause) => Err(crate::Error::UnknownOutcome { request, cause }),
            Self::NotSent(cause) => Err(crate::Error::NotSent { request, cause }),
            Self::Invalid(error) => Err(crate::Error::Invalid { request, error }),
        }
    }
}

#[derive(Debug)]
struct InFlight {
    id: u64,
    request: Request,
    // Answers are still awaited, but nobody wants to hear of them.
    abandoned: bool,
    // A reply could not be read; the request cannot be done any more.
    unreadable: Option<DecodeError>,
}

/// A sans-IO session; see the [module](self).
#[derive(Debug)]
pub struct Session {
    family: FamilyId,
    next: u64,
    // Submitted and not yet sent; the first has the id `next - queue.len()`.
    queue: VecDeque<Request>,
    // Sent and unanswered, by id: no more than a window, however long an answer stays out.
    in_flight: VecDeque<InFlight>,
    window: usize,
    // What the window may grow to again.
    widest: usize,
    // Answers since the window last changed.
    answered: usize,
    // Between an overrun and the empty queue: what was unanswered when it was noticed.
    draining: Option<usize>,
    dump: bool,
    completed: VecDeque<(RequestId, Outcome)>,
}

impl Session {
    /// A session with that family number; resolve it with [`Query::Family`] and
    /// [`set_family`](Self::set_family).
    #[must_use]
    pub const fn new(family: FamilyId) -> Self {
        Self {
            family,
            next: 0,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            window: WINDOW,
            widest: WINDOW,
            answered: 0,
            draining: None,
            dump: false,
            completed: VecDeque::new(),
        }
    }

    /// Replaces the family number for requests not yet sent.
    pub const fn set_family(&mut self, family: FamilyId) {
        self.family = family;
    }

    /// Queues a request. Its arguments are not checked here.
    pub fn submit(&mut self, request: impl Into<Request>) -> RequestId {
        let id = RequestId(self.next);
        self.next = self.next.wrapping_add(1);
        self.queue.push_back(request.into());
        id
    }

    /// Appends the next datagram to `buffer`; `false` when there is nothing to send now, or what
    /// there is has to wait.
    ///
    /// Requests count as sent from here on: when sending fails, call
    /// [`send_failed`](Self::send_failed) before anything else.
    pub fn poll_transmit(&mut self, buffer: &mut BytesMut) -> bool {
        let mut count = 0;
        if self.is_draining() {
            return false;
        }
        // Answers arrive one by one. To send one request for each of them would take a system
        // call for each: what is left waits until half the window is free.
        let worthwhile = self.queue.len().min(REQUESTS_PER_DATAGRAM);
        let room = self.window.saturating_sub(self.in_flight.len());
        if room < worthwhile.min(self.window.div_ceil(2)) {
            return false;
        }
        let start = buffer.len();
        while count < REQUESTS_PER_DATAGRAM
            && buffer.len().saturating_sub(start) < DATAGRAM_BYTES
            && self.in_flight.len() < self.window
        {
            let is_dump = match self.queue.front() {
                Some(Request::Query(query)) => query.is_dump(),
                Some(Request::Change(_)) => false,
                None => break,
            };
            if is_dump && self.dump {
                break;
            }
            let id = self.first_queued();
            let Some(request) = self.queue.pop_front() else {
                break;
            };
            wire::encode_request(buffer, self.family, sequence(id), &request);
            self.in_flight.push_back(InFlight {
                id,
                request,
                abandoned: false,
                unreadable: None,
            });
            self.dump |= is_dump;
            count += 1;
        }
        count > 0
    }

    /// Whether answers are outstanding.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Handles the messages of a datagram one by one; call until it returns `None`.
    ///
    /// Messages that answer nothing in flight are skipped. When a message cannot be read, its
    /// request completes as [`UnknownCause::Unreadable`]; when even its header makes no sense,
    /// the rest of the datagram is skipped and every request is treated as after an overrun.
    pub fn handle<'a>(&mut self, messages: &mut Messages<'a>) -> Option<Event<'a>> {
        loop {
            if let Some(event) = self.poll_event() {
                return Some(event);
            }
            match messages.next()? {
                Ok(message) => {
                    if let Some(event) = self.handle_message(&message) {
                        return Some(event);
                    }
                }
                Err(error) => self.give_up(UnknownCause::Unreadable(error)),
            }
        }
    }

    fn handle_message<'a>(&mut self, message: &Message<'a>) -> Option<Event<'a>> {
        let id = self.find(message.header().sequence)?;
        let request = RequestId(id);
        let body = match message.body() {
            Ok(body) => body,
            Err(error) => {
                let abandoned = self.complete(id)?.abandoned;
                let outcome = Outcome::Unknown(UnknownCause::Unreadable(error));
                return (!abandoned).then_some(Event::Completed { request, outcome });
            }
        };
        match body {
            Body::Nothing => None,
            Body::Overrun => {
                self.give_up(UnknownCause::Overrun);
                None
            }
            Body::Done(acknowledgement) | Body::Acknowledgement(acknowledgement) => {
                let entry = self.complete(id)?;
                if !is_dump(&entry.request) {
                    self.miss_before(id);
                    self.widen();
                }
                if entry.abandoned {
                    return None;
                }
                let outcome = match entry.unreadable {
                    Some(error) => Outcome::Unknown(UnknownCause::Unreadable(error)),
                    None => outcome(&entry.request, &acknowledgement),
                };
                Some(Event::Completed { request, outcome })
            }
            Body::Generic {
                command,
                attributes,
            } => {
                let family = self.family.number();
                let entry = self.entry(id)?;
                let Request::Query(query) = &entry.request else {
                    return None;
                };
                // A socket handed over may be subscribed to notifications of other families.
                let family = match query {
                    Query::Family => wire::attributes::control::FAMILY,
                    _ => family,
                };
                if message.header().message_type != family {
                    return None;
                }
                if entry.abandoned || entry.unreadable.is_some() {
                    return None;
                }
                match read_reply(query, command, attributes) {
                    Ok(reply) => Some(Event::Reply {
                        request,
                        reply: reply?,
                    }),
                    Err(error) => {
                        entry.unreadable = Some(error);
                        None
                    }
                }
            }
        }
    }

    /// After an overrun the window is narrow; each window of answers makes it wider by one, up to
    /// what the receive buffer held then.
    fn widen(&mut self) {
        self.answered += 1;
        if self.answered >= self.window {
            self.answered = 0;
            self.window = self.window.saturating_add(1).min(self.widest);
        }
    }

    /// The kernel answers in order, dumps apart: what was sent before an answered request and has
    /// no answer yet will not get one.
    fn miss_before(&mut self, id: u64) {
        if self.in_flight.front().is_none_or(|first| first.id > id) {
            return;
        }
        let completed = &mut self.completed;
        self.in_flight.retain(|entry| {
            let missed = entry.id < id && !is_dump(&entry.request);
            if missed && !entry.abandoned {
                let outcome = Outcome::Unknown(UnknownCause::Unanswered);
                completed.push_back((RequestId(entry.id), outcome));
            }
            !missed
        });
    }

    /// The next event that does not come from a datagram.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        let (request, outcome) = self.completed.pop_front()?;
        Some(Event::Completed { request, outcome })
    }

    /// Tells that the last datagram of [`poll_transmit`](Self::poll_transmit) could not be sent:
    /// the kernel has not seen its requests, nor will it see those behind them. `sent` is
    /// [`in_flight`](Self::in_flight) from before that call, `errno` the reason.
    pub fn send_failed(&mut self, sent: usize, errno: i32) {
        let cause = NotSentCause::SendFailed { errno };
        while let Some(entry) = self.in_flight.remove(sent) {
            if is_dump(&entry.request) {
                self.dump = false;
            }
            self.completed
                .push_back((RequestId(entry.id), Outcome::NotSent(cause)));
        }
        self.cancel_queue(cause);
    }

    /// Number of requests in flight, for [`send_failed`](Self::send_failed).
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Tells that the receive queue overflowed (`ENOBUFS`). What it holds is good; read it without
    /// waiting, then call [`drained`](Self::drained).
    pub fn overrun(&mut self) {
        if self.draining.is_none() {
            self.draining = Some(self.in_flight.len());
        }
    }

    /// Whether the receive queue overflowed and has not been found empty since.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Tells that the receive queue was found empty after an overrun: answers still outstanding
    /// were lost.
    pub fn drained(&mut self) {
        if let Some(before) = self.draining.take() {
            if self.is_waiting() {
                // Half of what the buffer held, since answers differ in size; never again more.
                let held = before.saturating_sub(self.in_flight.len());
                self.widest = held.clamp(1, self.widest);
                self.window = (held / 2).clamp(1, self.window);
                self.answered = 0;
            }
        }
        self.give_up(UnknownCause::Overrun);
    }

    /// Tells that no answer came in time. What was not sent yet is not sent any more.
    pub fn timed_out(&mut self) {
        self.give_up_but_dump(UnknownCause::TimedOut, NotSentCause::TimedOutBefore);
    }

    /// Tells that reading failed: what is unanswered stays so. The session can be used on.
    pub fn connection_failed(&mut self, errno: i32) {
        self.draining = None;
        let unknown = UnknownCause::ConnectionFailed { errno };
        self.give_up_but_dump(unknown, NotSentCause::ConnectionFailed { errno });
    }

    /// A dump without an end is still under way in the kernel: it stays in flight, abandoned, so
    /// that the next one waits for its end. The second time it is given up.
    fn give_up_but_dump(&mut self, unknown: UnknownCause, not_sent: NotSentCause) {
        self.complete_all(unknown, true);
        self.dump = self.in_flight.iter().any(|entry| is_dump(&entry.request));
        self.cancel_queue(not_sent);
    }

    /// Forgets the operation that submitted what is queued and in flight. Nothing of it is sent
    /// any more; answers to what was sent are read and dropped.
    pub fn abandon(&mut self) {
        self.queue.clear();
        // Ids of what was queued are not used again: they are a request's for good.
        self.completed.clear();
        for entry in &mut self.in_flight {
            entry.abandoned = true;
        }
    }

    /// Stops waiting for the answer to one request, silently; should it come, it is ignored.
    pub fn forget(&mut self, request: RequestId) {
        self.complete(request.0);
    }

    fn cancel_queue(&mut self, cause: NotSentCause) {
        let mut id = self.first_queued();
        while self.queue.pop_front().is_some() {
            self.completed
                .push_back((RequestId(id), Outcome::NotSent(cause)));
            id = id.wrapping_add(1);
        }
    }

    fn give_up(&mut self, cause: UnknownCause) {
        self.dump = false;
        self.complete_all(cause, false);
    }

    fn complete_all(&mut self, cause: UnknownCause, keep_dump: bool) {
        let Self {
            in_flight,
            completed,
            ..
        } = self;
        in_flight.retain_mut(|entry| {
            let given_up_before = core::mem::replace(&mut entry.abandoned, true);
            if !given_up_before {
                completed.push_back((RequestId(entry.id), Outcome::Unknown(cause)));
            }
            keep_dump && !given_up_before && is_dump(&entry.request)
        });
    }

    /// The id of the first request that was not sent yet, there or not.
    fn first_queued(&self) -> u64 {
        self.next.wrapping_sub(self.queue.len() as u64)
    }

    /// The id in flight behind a sequence number.
    fn find(&self, number: u32) -> Option<u64> {
        let next = self.first_queued();
        let distance = sequence(next).wrapping_sub(number);
        let id = next.wrapping_sub(distance.into());
        self.place(id).map(|_| id)
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.in_flight
            .binary_search_by_key(&id, |entry| entry.id)
            .ok()
    }

    fn entry(&mut self, id: u64) -> Option<&mut InFlight> {
        let place = self.place(id)?;
        self.in_flight.get_mut(place)
    }

    fn complete(&mut self, id: u64) -> Option<InFlight> {
        let place = self.place(id)?;
        let entry = self.in_flight.remove(place)?;
        if is_dump(&entry.request) {
            self.dump = false;
        }
        Some(entry)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "sequence numbers wrap at 32 bits"
)]
const fn sequence(id: u64) -> u32 {
    // The first is 1: tools that watch netlink take 0 for a notification.
    (id as u32).wrapping_add(1)
}

fn is_dump(request: &Request) -> bool {
    matches!(request, Request::Query(query) if query.is_dump())
}

fn outcome(request: &Request, acknowledgement: &Acknowledgement<'_>) -> Outcome {
    let Some(errno) = acknowledgement.errno() else {
        return Outcome::Done;
    };
    let mut rejected = Rejected::new(request, errno);
    let (message, offset) = acknowledgement.extended();
    if message.is_some() || offset.is_some() {
        let message = message.map(str::to_owned);
        rejected.ext_ack = Some(Box::new(ExtAck { message, offset }));
    }
    Outcome::Rejected(rejected)
}

/// Reads a reply by what was asked for; messages of another command are none of its business.
fn read_reply<'a>(
    query: &Query,
    command: u8,
    attributes: &'a [u8],
) -> Result<Option<Reply<'a>>, DecodeError> {
    let offset = ATTRIBUTES_OFFSET;
    Ok(Some(match (query, command) {
        (Query::Service(_) | Query::Services, command::NEW_SERVICE) => {
            Reply::Service(ServiceView::read(attributes, offset)?)
        }
        (Query::Destinations(service), command::NEW_DEST) => {
            let family: Family = service.family();
            Reply::Destination(DestinationView::read(attributes, family, offset)?)
        }
        (Query::Daemons, command::NEW_DAEMON) => {
            Reply::Daemon(wire::read_daemon(attributes, offset)?)
        }
        (Query::Timeouts, command::SET_CONFIG) => {
            Reply::Timeouts(wire::read_timeouts(attributes, offset)?)
        }
        (Query::Info, command::SET_INFO) => Reply::Info(wire::read_info(attributes, offset)?),
        (Query::Family, wire::attributes::control::CMD_NEWFAMILY) => {
            Reply::Family(wire::read_family(attributes, offset)?)
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests;

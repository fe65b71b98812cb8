//! Carries the bytes of an operation as a client does, many requests in a datagram or one in each,
//! and lets others act in between.

use core::time::Duration;

use bytes::BytesMut;
use lvs_ipvs::Error;
use lvs_ipvs::operation::{GetOne, Operation, Step};
use lvs_ipvs::session::Session;
use lvs_ipvs::transport::{Received, Transport};
use lvs_ipvs::wire::{FamilyId, Messages};

/// When somebody may act.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    BeforeRequest,
    AfterRequest,
    BeforeReceive,
}

/// A session and the socket it talks through.
pub(crate) struct Courier<T> {
    session: Session,
    transport: T,
    /// Whether every request gets a datagram of its own.
    pub(crate) splits: bool,
}

impl<T: Transport> Courier<T> {
    pub(crate) fn new(transport: T) -> Self {
        let mut courier = Self {
            session: Session::new(FamilyId::new(0)),
            transport,
            splits: true,
        };
        let family = courier.run(GetOne::family(), |_| ()).unwrap();
        courier.session.set_family(family.id);
        courier
    }

    /// Runs an operation to its end.
    pub(crate) fn run<O: Operation>(
        &mut self,
        mut operation: O,
        mut act: impl FnMut(Moment),
    ) -> Result<O::Output, Error> {
        self.settle();
        if let Step::Done(output) = operation.start(&mut self.session) {
            return Ok(output);
        }
        let (mut outgoing, mut incoming) = (BytesMut::new(), BytesMut::new());
        loop {
            while let Some(event) = self.session.poll_event() {
                if let Step::Done(output) = operation.step(&mut self.session, event)? {
                    return Ok(output);
                }
            }
            outgoing.clear();
            let in_flight = self.session.in_flight();
            if self.session.poll_transmit(&mut outgoing) {
                self.send(&outgoing, in_flight, &mut act);
                continue;
            }
            act(Moment::BeforeReceive);
            self.receive(&mut incoming);
            let mut messages = Messages::new(&incoming);
            while let Some(event) = self.session.handle(&mut messages) {
                if let Step::Done(output) = operation.step(&mut self.session, event)? {
                    return Ok(output);
                }
            }
        }
    }

    /// Sends the requests of a datagram, one by one if they are to be split.
    fn send(&mut self, mut requests: &[u8], in_flight: usize, act: &mut impl FnMut(Moment)) {
        let mut sent = in_flight;
        while let Some((length, _)) = requests.split_first_chunk() {
            let length = u32::from_ne_bytes(*length) as usize;
            let length = match self.splits {
                true => length.next_multiple_of(4),
                false => requests.len(),
            };
            let (request, rest) = requests.split_at(length);
            act(Moment::BeforeRequest);
            let result = self.transport.send(request);
            act(Moment::AfterRequest);
            if let Err(error) = result {
                self.session
                    .send_failed(sent, error.raw_os_error().unwrap());
                return;
            }
            sent += 1;
            requests = rest;
        }
    }

    fn receive(&mut self, incoming: &mut BytesMut) {
        let session = &mut self.session;
        incoming.clear();
        let patience = Duration::from_secs(if session.is_draining() { 0 } else { 10 });
        match self.transport.receive(incoming, patience) {
            Ok(Received::Datagram) => {}
            Ok(Received::TimedOut) if session.is_draining() => session.drained(),
            Ok(Received::TimedOut) => session.timed_out(),
            Ok(Received::Overrun) => session.overrun(),
            Err(error) => session.connection_failed(error.raw_os_error().unwrap()),
        }
    }

    /// Nothing is heard any more of what an earlier operation left.
    fn settle(&mut self) {
        self.session.abandon();
        let mut rest = BytesMut::new();
        while matches!(
            self.transport.receive(&mut rest, Duration::ZERO),
            Ok(Received::Datagram | Received::Overrun)
        ) {
            let mut messages = Messages::new(&rest);
            while self.session.handle(&mut messages).is_some() {}
            rest.clear();
        }
        self.session.drained();
    }
}

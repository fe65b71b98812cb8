//! Any order of requests, answers, garbage and failures in a session, held against a model that
//! only counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use lvs_ipvs::session::{Event, RequestId, Session, WINDOW};
use lvs_ipvs::wire::{Body, FamilyId, Messages};
use lvs_ipvs::{
    Change, DaemonRole, Destination, InterfaceName, Outcome, Query, Request, RequestKind,
    ServiceKey, SyncDaemon, Timeouts, VirtualService,
};

const FAMILY: u16 = 28;

/// Runs what the bytes say; see [`steps`].
///
/// Every request that is not abandoned completes exactly once, never more than [`WINDOW`] are
/// unanswered, never two of them dumps, and afterwards the session works and keeps nothing.
pub(crate) fn check(data: &[u8]) {
    let mut model = Model::new();
    for step in steps(data) {
        model.step(step);
    }
    model.finish();
}

/// A request that was sent and whose answer has not come.
#[derive(Clone, Copy, Debug)]
struct Sent {
    id: RequestId,
    dump: bool,
    // Nobody is to hear of it any more.
    silent: bool,
}

struct Model {
    session: Session,
    // Submitted, not abandoned, not completed.
    open: BTreeSet<RequestId>,
    queued: VecDeque<(RequestId, bool)>,
    // By sequence number.
    sent: BTreeMap<u32, Sent>,
    last: Vec<u8>,
    draining: bool,
}

impl Model {
    fn new() -> Self {
        Self {
            session: Session::new(FamilyId::new(FAMILY)),
            open: BTreeSet::new(),
            queued: VecDeque::new(),
            sent: BTreeMap::new(),
            last: Vec::new(),
            draining: false,
        }
    }

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Submit { kind, count } => {
                for _ in 0..count {
                    self.submit(request(kind));
                }
            }
            Step::Transmit => {
                self.transmit();
            }
            Step::TransmitFails => {
                let before = self.session.in_flight();
                let sent = self.transmit();
                if !sent.is_empty() {
                    self.session.send_failed(before, 105);
                    self.sent.retain(|sequence, _| !sent.contains(sequence));
                    self.queued.clear();
                }
            }
            Step::Answer {
                first,
                count,
                answer,
            } => {
                self.last.clear();
                for (sequence, sent) in self.sent.iter().skip(first.into()).take(count.into()) {
                    write_answer(&mut self.last, *sequence, sent.dump, answer);
                }
                self.receive(usize::MAX);
            }
            Step::Receive(datagram) => {
                match datagram {
                    Datagram::Again => {}
                    Datagram::Cut(length) => self.last.truncate(length.into()),
                    Datagram::Changed(place, bits) => {
                        if let Some(byte) = self.last.get_mut(usize::from(place)) {
                            *byte ^= bits;
                        }
                    }
                    Datagram::Raw(bytes) => self.last = bytes.to_vec(),
                }
                self.receive(usize::MAX);
            }
            Step::ReceivePart { events } => self.receive(events.into()),
            Step::Overrun => {
                self.session.overrun();
                self.draining = true;
            }
            Step::Drained => {
                self.session.drained();
                self.draining = false;
                self.sent.clear();
            }
            Step::TimedOut => self.time_out(),
            Step::ConnectionFailed => {
                self.session.connection_failed(5);
                self.draining = false;
                self.give_up_but_dump();
            }
            Step::Abandon => {
                self.session.abandon();
                self.open.clear();
                self.queued.clear();
                for sent in self.sent.values_mut() {
                    sent.silent = true;
                }
            }
            Step::Forget(which) => {
                let sequence = self.sent.keys().nth(which.into()).copied();
                if let Some(sent) = sequence.and_then(|sequence| self.sent.remove(&sequence)) {
                    self.session.forget(sent.id);
                    if !sent.silent {
                        self.open.remove(&sent.id);
                    }
                }
            }
            Step::PollEvent => {
                if let Some(event) = self.session.poll_event() {
                    hear(&mut self.open, event);
                }
            }
        }
        self.invariants();
    }

    fn invariants(&self) {
        assert!(self.sent.len() <= WINDOW);
        assert!(self.sent.values().filter(|sent| sent.dump).count() <= 1);
        assert_eq!(self.session.is_waiting(), !self.sent.is_empty());
        assert_eq!(
            self.session.in_flight(),
            self.sent.len(),
            "nothing else is kept"
        );
        assert_eq!(self.session.is_draining(), self.draining);
    }

    fn submit(&mut self, request: Request) -> RequestId {
        let dump = matches!(&request, Request::Query(query) if query.is_dump());
        let id = self.session.submit(request);
        assert!(self.open.insert(id), "ids are new");
        self.queued.push_back((id, dump));
        id
    }

    /// Sends one datagram; the sequence numbers in it.
    fn transmit(&mut self) -> Vec<u32> {
        let mut buffer = BytesMut::new();
        let any = self.session.poll_transmit(&mut buffer);
        assert_eq!(any, !buffer.is_empty());
        assert!(!any || !self.draining, "it would be lost");
        if self.sent.is_empty() && !self.queued.is_empty() && !self.draining {
            assert!(any, "nothing to wait for and nothing sent");
        }
        let mut sequences = Vec::new();
        for message in Messages::new(&buffer) {
            let header = message.expect("own bytes can be read").header();
            let (id, dump) = self.queued.pop_front().expect("it was submitted");
            assert_eq!(header.flags & 0x300 == 0x300, dump);
            let silent = false;
            let before = self.sent.insert(header.sequence, Sent { id, dump, silent });
            assert!(before.is_none(), "sequence numbers are new");
            sequences.push(header.sequence);
        }
        sequences
    }

    /// Gives the last datagram to the session, which is asked for so many events at most.
    fn receive(&mut self, events: usize) {
        let mut messages = Messages::new(&self.last);
        for _ in 0..events {
            let Some(event) = self.session.handle(&mut messages) else {
                break;
            };
            hear(&mut self.open, event);
        }
        let left: Vec<_> = messages.map(|message| message.is_ok()).collect();
        let mut all: Vec<_> = Messages::new(&self.last).collect();
        all.truncate(all.len() - left.len());
        for message in all {
            let Ok(message) = message else {
                self.sent.clear();
                continue;
            };
            let sequence = message.header().sequence;
            match message.body() {
                Ok(Body::Overrun) if self.sent.contains_key(&sequence) => self.sent.clear(),
                Ok(Body::Done(_) | Body::Acknowledgement(_)) => {
                    if self.sent.remove(&sequence).is_some_and(|sent| !sent.dump) {
                        // Answers come in order, dumps apart.
                        self.sent
                            .retain(|earlier, sent| *earlier > sequence || sent.dump);
                    }
                }
                Err(_) => {
                    self.sent.remove(&sequence);
                }
                Ok(_) => {}
            }
        }
    }

    fn time_out(&mut self) {
        self.session.timed_out();
        self.give_up_but_dump();
    }

    fn give_up_but_dump(&mut self) {
        self.queued.clear();
        // A dump goes on in the kernel and is waited for once more.
        self.sent
            .retain(|_, sent| sent.dump && !core::mem::replace(&mut sent.silent, true));
    }

    fn hear_all(&mut self) {
        while let Some(event) = self.session.poll_event() {
            hear(&mut self.open, event);
        }
    }

    fn finish(mut self) {
        self.time_out();
        self.hear_all();
        assert!(self.open.is_empty(), "never completed: {:?}", self.open);
        self.time_out();
        self.session.drained();
        self.draining = false;
        self.hear_all();
        self.invariants();

        let id = self.submit(Change::Flush.into());
        let sequence = self.transmit()[0];
        self.last.clear();
        write_answer(&mut self.last, sequence, false, Answer::Done);
        let mut messages = Messages::new(&self.last);
        match self.session.handle(&mut messages) {
            Some(Event::Completed {
                request,
                outcome: Outcome::Done,
            }) => assert_eq!(request, id),
            other => panic!("{other:?}"),
        }
    }
}

fn hear(open: &mut BTreeSet<RequestId>, event: Event<'_>) {
    match event {
        Event::Reply { request, .. } => {
            assert!(open.contains(&request), "an answer nobody waits for");
        }
        Event::Completed { request, outcome } => {
            assert!(open.remove(&request), "completed before, or abandoned");
            assert!(
                !matches!(outcome, Outcome::Invalid(_)),
                "arguments are not checked here"
            );
            if let Err(error) = outcome.into_result(RequestKind::Flush) {
                assert!(!error.to_string().is_empty());
            }
        }
        other => panic!("{other:?}"),
    }
}

fn request(kind: u8) -> Request {
    let key = ServiceKey::tcp(([192, 0, 2, 1], 80).into());
    let destination = || Destination::masquerade(([10, 0, 0, 1], 80).into());
    let interface = InterfaceName::new("lo").expect("a name");
    match kind % 14 {
        0 => Change::AddService(VirtualService::new(key)).into(),
        1 => Change::RemoveService(key).into(),
        2 => Change::AddDestination(key, destination()).into(),
        3 => Change::RemoveDestination(key, destination().key()).into(),
        4 => Change::StartDaemon(SyncDaemon::new(DaemonRole::Active, interface, 1)).into(),
        5 => Change::SetTimeouts(Timeouts::default()).into(),
        6 => Change::Flush.into(),
        7 => Query::Service(key).into(),
        8 => Query::Timeouts.into(),
        9 => Query::Info.into(),
        10 => Query::Family.into(),
        11 => Query::Services.into(),
        12 => Query::Destinations(key).into(),
        _ => Query::Daemons.into(),
    }
}

/// Appends a well-formed answer.
fn write_answer(datagram: &mut Vec<u8>, sequence: u32, dump: bool, answer: Answer) {
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    let end = if dump { DONE } else { ERROR };
    match answer {
        Answer::Done => message(datagram, end, 0, sequence, &[0; 20]),
        Answer::Refused(errno) => {
            let code = (-i32::from(errno)).to_ne_bytes();
            message(datagram, end, 0, sequence, &[&code[..], &[0; 16]].concat());
        }
        Answer::Explained(errno) => {
            let code = (-i32::from(errno)).to_ne_bytes();
            let text = b"\x07\0\x01\0no\0\0\x08\0\x02\0\x14\0\0\0";
            let payload = [&code[..], &[0; 16], text].concat();
            message(datagram, ERROR, 0x300, sequence, &payload);
        }
        Answer::Reply(command) => {
            // A whole reply for each command that has one; the rest is no answer to anything.
            let attributes: &[u8] = match command {
                1 => b"\x18\0\x01\0\x06\0\x01\0\x02\0\0\0\x08\0\x05\0\x07\0\0\0\x07\0\x06\0rr\0\0",
                9 => b"\x1c\0\x03\0\x08\0\x01\0\x01\0\0\0\x07\0\x02\0lo\0\0\x08\0\x03\0\x01\0\0\0",
                12 => b"\x08\0\x04\0\x84\x03\0\0",
                14 => b"\x08\0\x01\0\x01\x02\x01\0\x08\0\x02\0\0\x10\0\0",
                _ => b"\x04\0\x02\0",
            };
            let payload = [&[command, 1, 0, 0], attributes].concat();
            message(datagram, FAMILY, 0, sequence, &payload);
        }
    }
}

fn message(datagram: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, payload: &[u8]) {
    let length = u32::try_from(16 + payload.len()).expect("short");
    datagram.extend_from_slice(&length.to_ne_bytes());
    datagram.extend_from_slice(&kind.to_ne_bytes());
    datagram.extend_from_slice(&flags.to_ne_bytes());
    datagram.extend_from_slice(&sequence.to_ne_bytes());
    datagram.extend_from_slice(&0_u32.to_ne_bytes());
    datagram.extend_from_slice(payload);
    datagram.resize(datagram.len().next_multiple_of(4), 0);
}

/// Something that happens to a session.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    /// Requests are submitted.
    Submit { kind: u8, count: u8 },
    /// A datagram of requests is sent.
    Transmit,
    /// A datagram of requests cannot be sent.
    TransmitFails,
    /// Some of what is unanswered gets an answer, all in one datagram.
    Answer {
        first: u8,
        count: u8,
        answer: Answer,
    },
    /// A datagram that is no such answer arrives.
    Receive(Datagram<'a>),
    /// The last datagram arrives again, and is read up to an event.
    ReceivePart { events: u8 },
    /// The receive queue overflowed.
    Overrun,
    /// The receive queue is empty.
    Drained,
    /// No answer came in time.
    TimedOut,
    /// The socket is of no use any more.
    ConnectionFailed,
    /// The operation that waits is dropped.
    Abandon,
    /// One request is not waited for any more.
    Forget(u8),
    /// An event is fetched.
    PollEvent,
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Done,
    Refused(u8),
    /// With an extended acknowledgement.
    Explained(u8),
    /// A message with that command.
    Reply(u8),
}

/// What arrives, made from the last datagram or of bytes.
#[derive(Clone, Copy, Debug)]
enum Datagram<'a> {
    Again,
    Cut(u8),
    Changed(u8, u8),
    Raw(&'a [u8]),
}

/// Steps as bytes: three each, what happens and its two arguments, so that a fuzzer's changes
/// stay local; raw datagrams follow their step.
fn steps(mut data: &[u8]) -> impl Iterator<Item = Step<'_>> {
    core::iter::from_fn(move || {
        let ([what, a, b], rest) = data.split_first_chunk()?;
        data = rest;
        let answer = |answer| Step::Answer {
            first: *a,
            count: 1 + *b % 64,
            answer,
        };
        Some(match what % 24 {
            // Seldom many, which takes time.
            0..=2 => Step::Submit {
                kind: *a,
                count: 1 + if *b < 240 { *b % 4 } else { *a / 4 },
            },
            3..=5 => Step::Transmit,
            6 => Step::TransmitFails,
            7..=9 => answer(Answer::Done),
            10 => answer(Answer::Refused(b.saturating_add(1))),
            11 => answer(Answer::Explained(b.saturating_add(1))),
            12 => answer(Answer::Reply(*b % 16)),
            13 => Step::Receive(Datagram::Again),
            14 => Step::Receive(Datagram::Cut(*a)),
            15 => Step::Receive(Datagram::Changed(*a, *b)),
            16 => {
                let (bytes, rest) = data.split_at(usize::from(*a).min(data.len()));
                data = rest;
                Step::Receive(Datagram::Raw(bytes))
            }
            17 => Step::ReceivePart { events: *a },
            18 => Step::Overrun,
            19 => Step::Drained,
            20 => Step::TimedOut,
            21 if *a < 64 => Step::ConnectionFailed,
            21 | 22 if *a < 128 => Step::Abandon,
            22 => Step::Forget(*b),
            _ => Step::PollEvent,
        })
    })
}

//! The session without a socket: window, order of dumps, lost and late answers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use lvs_ipvs::session::{Event, RequestId, Session, WINDOW};
use lvs_ipvs::wire::{FamilyId, Messages};
use lvs_ipvs::{
    Change, DaemonRole, DecodeProblem, NotSentCause, Outcome, Query, Reason, ServiceKey,
    UnknownCause,
};

const ERROR: u16 = 2;
const DONE: u16 = 3;

fn key(port: u16) -> ServiceKey {
    ServiceKey::tcp(([192, 0, 2, 1], port).into())
}

fn session() -> Session {
    Session::new(FamilyId::new(28))
}

/// A netlink message.
fn message(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&0_u16.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn acknowledge(sequence: u32, errno: i32) -> Vec<u8> {
    message(
        ERROR,
        sequence,
        &[(-errno).to_ne_bytes().as_slice(), &[0; 16]].concat(),
    )
}

/// Sequence numbers of the requests the session sends now.
fn transmit(session: &mut Session) -> Vec<u32> {
    let mut sequences = Vec::new();
    let mut buffer = BytesMut::new();
    while session.poll_transmit(&mut buffer) {
        for message in Messages::new(&buffer) {
            sequences.push(message.unwrap().header().sequence);
        }
        buffer.clear();
    }
    sequences
}

fn events(session: &mut Session, datagram: &[u8]) -> Vec<(RequestId, Outcome)> {
    let mut messages = Messages::new(datagram);
    let mut completed = Vec::new();
    while let Some(event) = session.handle(&mut messages) {
        if let Event::Completed { request, outcome } = event {
            completed.push((request, outcome));
        }
    }
    completed
}

fn pending(session: &mut Session) -> Vec<(RequestId, Outcome)> {
    events(session, &[])
}

#[test]
fn at_most_a_window_of_requests_is_unanswered() {
    let mut session = session();
    for port in 0..1000 {
        session.submit(Change::RemoveService(key(port)));
    }
    let first = transmit(&mut session);
    assert_eq!(first.len(), WINDOW);
    assert!(transmit(&mut session).is_empty());
    // Not one request for each answer, but a datagram's worth when half the window is free.
    for sequence in &first[..WINDOW / 2 - 1] {
        assert_eq!(events(&mut session, &acknowledge(*sequence, 0)).len(), 1);
        assert!(transmit(&mut session).is_empty());
    }
    events(&mut session, &acknowledge(first[WINDOW / 2 - 1], 0));
    let second = transmit(&mut session);
    assert_eq!(second.len(), WINDOW / 2);
    assert_eq!(second[0], first[WINDOW - 1] + 1);
}

#[test]
fn what_fits_the_window_is_not_kept_waiting() {
    let mut session = session();
    for port in 0..130 {
        session.submit(Change::RemoveService(key(port)));
    }
    let first = transmit(&mut session);
    assert_eq!(first.len(), WINDOW);
    events(&mut session, &acknowledge(first[0], 0));
    assert!(transmit(&mut session).is_empty());
    events(&mut session, &acknowledge(first[1], 0));
    assert_eq!(transmit(&mut session).len(), 2);
}

#[test]
fn answers_are_matched_by_sequence_number() {
    let mut session = session();
    let ids: Vec<_> = (1..=3)
        .map(|p| session.submit(Change::RemoveService(key(p))))
        .collect();
    let sent = transmit(&mut session);
    let datagram = [acknowledge(sent[0], 0), acknowledge(sent[1], 3)].concat();
    let [(first, done), (second, rejected)] = &events(&mut session, &datagram)[..] else {
        panic!()
    };
    assert_eq!((*first, *second), (ids[0], ids[1]));
    assert_eq!(*done, Outcome::Done);
    let Outcome::Rejected(rejected) = rejected else {
        panic!("{rejected:?}")
    };
    assert_eq!(rejected.reason, Reason::NoSuchService);
    assert!(session.is_waiting());
    assert_eq!(
        events(&mut session, &acknowledge(sent[2], 0)),
        [(ids[2], Outcome::Done)]
    );
    assert!(!session.is_waiting());
}

#[test]
fn what_was_passed_over_goes_unanswered_but_dumps_take_their_time() {
    let mut session = session();
    let dump = session.submit(Query::Services);
    let passed_over = session.submit(Change::StopDaemon(DaemonRole::Active));
    let last = session.submit(Change::Flush);
    let sent = transmit(&mut session);
    let unanswered = Outcome::Unknown(UnknownCause::Unanswered);
    assert_eq!(
        events(&mut session, &acknowledge(sent[2], 0)),
        [(last, Outcome::Done), (passed_over, unanswered)]
    );
    let done = message(DONE, sent[0], &[0; 4]);
    assert_eq!(events(&mut session, &done), [(dump, Outcome::Done)]);
}

#[test]
fn strangers_and_repeated_answers_are_ignored() {
    let mut session = session();
    let id = session.submit(Change::Flush);
    let sent = transmit(&mut session);
    assert!(events(&mut session, &acknowledge(sent[0] + 1, 0)).is_empty());
    assert!(events(&mut session, &acknowledge(sent[0].wrapping_sub(1), 1)).is_empty());
    assert_eq!(
        events(&mut session, &acknowledge(sent[0], 0)),
        [(id, Outcome::Done)]
    );
    assert!(events(&mut session, &acknowledge(sent[0], 0)).is_empty());
}

#[test]
fn a_dump_waits_for_the_end_of_the_dump_before_it() {
    let mut session = session();
    let first = session.submit(Query::Services);
    let second = session.submit(Query::Daemons);
    let sent = transmit(&mut session);
    assert_eq!(sent.len(), 1);
    let done = message(DONE, sent[0], &[0; 4]);
    assert_eq!(events(&mut session, &done), [(first, Outcome::Done)]);
    let sent = transmit(&mut session);
    assert_eq!(sent.len(), 1);
    let done = message(DONE, sent[0], &(-1_i32).to_ne_bytes());
    let [(id, Outcome::Rejected(rejected))] = &events(&mut session, &done)[..] else {
        panic!()
    };
    assert_eq!((*id, rejected.reason), (second, Reason::NotPermitted));
}

#[test]
fn after_an_overrun_what_arrived_counts_and_the_rest_is_unknown() {
    let mut session = session();
    let ids: Vec<_> = (1..=3)
        .map(|p| session.submit(Change::RemoveService(key(p))))
        .collect();
    let sent = transmit(&mut session);
    // The receive queue overflowed, but one answer was in it already.
    assert_eq!(
        events(&mut session, &acknowledge(sent[0], 0)),
        [(ids[0], Outcome::Done)]
    );
    session.drained();
    let unknown = Outcome::Unknown(UnknownCause::Overrun);
    assert_eq!(
        pending(&mut session),
        [(ids[1], unknown.clone()), (ids[2], unknown)]
    );
    // The session goes on.
    let id = session.submit(Change::Flush);
    let sent = transmit(&mut session);
    assert_eq!(
        events(&mut session, &acknowledge(sent[0], 0)),
        [(id, Outcome::Done)]
    );
}

#[test]
fn a_time_out_leaves_sent_requests_unknown_and_the_others_unsent() {
    let mut session = session();
    let ids: Vec<_> = (0..=128)
        .map(|p| session.submit(Change::RemoveService(key(p))))
        .collect();
    transmit(&mut session);
    session.timed_out();
    let completed = pending(&mut session);
    assert_eq!(completed.len(), ids.len());
    for ((id, outcome), expected) in completed.iter().zip(&ids) {
        assert_eq!(id, expected);
        let sent = *id != ids[WINDOW];
        let expected = match sent {
            true => Outcome::Unknown(UnknownCause::TimedOut),
            false => Outcome::NotSent(NotSentCause::TimedOutBefore),
        };
        assert_eq!(*outcome, expected);
    }
    let id = session.submit(Change::Flush);
    let sent = transmit(&mut session);
    assert_eq!(
        events(&mut session, &acknowledge(sent[0], 0)),
        [(id, Outcome::Done)]
    );
}

#[test]
fn a_late_dump_holds_back_the_next_one_until_it_ends() {
    let mut session = session();
    let late = session.submit(Query::Services);
    let sent = transmit(&mut session);
    session.timed_out();
    assert_eq!(
        pending(&mut session),
        [(late, Outcome::Unknown(UnknownCause::TimedOut))]
    );

    session.submit(Query::Services);
    assert!(
        transmit(&mut session).is_empty(),
        "the kernel would answer EBUSY"
    );
    // The end of the late dump is no news to anybody, but makes room.
    assert!(events(&mut session, &message(DONE, sent[0], &[0; 4])).is_empty());
    assert_eq!(transmit(&mut session).len(), 1);
}

#[test]
fn a_dump_that_never_ends_is_given_up_the_second_time() {
    let mut session = session();
    session.submit(Query::Services);
    transmit(&mut session);
    session.timed_out();
    pending(&mut session);
    let blocked = session.submit(Query::Services);
    assert!(transmit(&mut session).is_empty());
    session.timed_out();
    assert_eq!(
        pending(&mut session),
        [(blocked, Outcome::NotSent(NotSentCause::TimedOutBefore))]
    );
    session.submit(Query::Services);
    assert_eq!(transmit(&mut session).len(), 1);
}

#[test]
fn what_could_not_be_sent_was_not_done() {
    let mut session = session();
    let first = session.submit(Change::Flush);
    let sent = transmit(&mut session);
    let lost = session.submit(Change::Zero(None));
    let queued: Vec<_> = (0..100)
        .map(|p| session.submit(Change::RemoveService(key(p))))
        .collect();
    let before = session.in_flight();
    assert!(session.poll_transmit(&mut BytesMut::new()));
    session.send_failed(before, 105);
    let completed = pending(&mut session);
    let not_sent = Outcome::NotSent(NotSentCause::SendFailed { errno: 105 });
    assert_eq!(completed.len(), 1 + queued.len());
    assert_eq!(completed[0], (lost, not_sent.clone()));
    for ((id, outcome), expected) in completed[1..].iter().zip(&queued) {
        assert_eq!((id, outcome), (expected, &not_sent));
    }
    // What was sent before is still answered, and ids go on.
    assert_eq!(
        events(&mut session, &acknowledge(sent[0], 0)),
        [(first, Outcome::Done)]
    );
    let id = session.submit(Change::Flush);
    let sent = transmit(&mut session);
    assert_eq!(
        events(&mut session, &acknowledge(sent[0], 0)),
        [(id, Outcome::Done)]
    );
}

#[test]
fn nothing_is_heard_of_an_abandoned_operation() {
    let mut session = session();
    session.submit(Change::Flush);
    let sent = transmit(&mut session);
    session.submit(Change::Zero(None));
    session.abandon();
    assert!(pending(&mut session).is_empty());
    assert!(transmit(&mut session).is_empty());
    assert!(events(&mut session, &acknowledge(sent[0], 0)).is_empty());
    assert!(!session.is_waiting());
}

#[test]
fn a_header_that_makes_no_sense_leaves_everything_unknown() {
    let mut session = session();
    let id = session.submit(Change::Flush);
    transmit(&mut session);
    let mut garbage = acknowledge(1, 0);
    garbage[0] = 200;
    let [(request, Outcome::Unknown(UnknownCause::Unreadable(error)))] =
        events(&mut session, &garbage)[..]
    else {
        panic!()
    };
    assert_eq!((request, error.problem()), (id, DecodeProblem::Truncated));
}

#[test]
fn nothing_is_kept_of_what_was_answered() {
    let mut session = session();
    for _ in 0..3 * WINDOW {
        let id = session.submit(Change::Flush);
        let sent = transmit(&mut session);
        assert_eq!(
            events(&mut session, &acknowledge(sent[0], 0)),
            [(id, Outcome::Done)]
        );
        assert_eq!(session.in_flight(), 0);
    }
}

use super::*;
use crate::request::Change;

/// Number of requests the session sends now.
fn transmit(session: &mut Session) -> usize {
    let before = session.in_flight.len();
    while session.poll_transmit(&mut BytesMut::new()) {}
    session.in_flight.len() - before
}

fn full() -> Session {
    let mut session = Session::new(FamilyId::new(28));
    for _ in 0..3 * WINDOW {
        session.submit(Change::Flush);
    }
    assert_eq!(transmit(&mut session), WINDOW);
    session
}

#[test]
fn nothing_is_sent_between_an_overrun_and_the_empty_queue() {
    let mut session = full();
    session.overrun();
    assert!(session.complete(0).is_some());
    assert_eq!(transmit(&mut session), 0);
    session.drained();
    assert!(!session.is_draining());
    assert!(transmit(&mut session) > 0);
}

#[test]
fn after_an_overrun_half_of_what_was_held_is_under_way() {
    let mut session = full();
    session.overrun();
    for id in 0..9 {
        assert!(session.complete(id).is_some());
    }
    // Told again by the next read: counts from the first time on.
    session.overrun();
    assert!(session.complete(9).is_some());
    session.drained();
    assert_eq!(transmit(&mut session), 5);
}

#[test]
fn an_overrun_that_lost_everything_leaves_one_at_a_time() {
    let mut session = full();
    session.overrun();
    session.drained();
    assert_eq!(transmit(&mut session), 1);
}

#[test]
fn an_overrun_that_lost_nothing_changes_nothing() {
    let mut session = full();
    session.overrun();
    for id in 0..WINDOW as u64 {
        assert!(session.complete(id).is_some());
    }
    session.drained();
    assert_eq!(transmit(&mut session), WINDOW);
}

#[test]
fn a_failed_connection_ends_draining() {
    let mut session = full();
    session.overrun();
    session.connection_failed(5);
    assert!(!session.is_draining());
    session.submit(Change::Flush);
    assert_eq!(transmit(&mut session), 1);
}

#[test]
fn sequence_numbers_wrap_at_32_bits() {
    let mut session = Session::new(FamilyId::new(28));
    session.next = u64::from(u32::MAX) - 2;
    let mut buffer = BytesMut::new();
    let ids: Vec<_> = (0..6).map(|_| session.submit(Change::Flush)).collect();
    assert!(session.poll_transmit(&mut buffer));
    let sent: Vec<_> = Messages::new(&buffer)
        .map(|message| message.map(|message| message.header().sequence))
        .collect();
    let expected = [u32::MAX - 1, u32::MAX, 0, 1, 2, 3].map(Ok);
    assert_eq!(sent, expected);
    for (id, number) in ids.into_iter().zip(expected) {
        let mut answer = vec![0; 36];
        answer[..4].copy_from_slice(&36_u32.to_ne_bytes());
        answer[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        answer[8..12].copy_from_slice(&number.unwrap().to_ne_bytes());
        let event = session.handle(&mut Messages::new(&answer));
        let Some(Event::Completed { request, outcome }) = event else {
            panic!("{event:?}")
        };
        assert_eq!((request, outcome), (id, Outcome::Done));
    }
    assert!(!session.is_waiting());
}

#[test]
fn a_window_made_narrow_by_an_overrun_widens_again() {
    let mut session = Session::new(FamilyId::new(28));
    (session.window, session.widest) = (1, 40);
    for _ in 0..WINDOW * WINDOW {
        session.widen();
    }
    assert_eq!(session.window, 40, "what the buffer held");
}

#[test]
fn long_requests_share_no_datagram_beyond_its_room() {
    let mut session = Session::new(FamilyId::new(28));
    let mut unknown = crate::UnknownAttributes::none();
    for _ in 0..1000 {
        unknown.push(&[8, 0, 99, 0, 1, 2, 3, 4]);
    }
    let service = crate::VirtualService::tcp("192.0.2.1:80".parse().unwrap());
    for _ in 0..10 {
        session.submit(Change::SetService(
            service.clone().with_unknown(unknown.clone()),
        ));
    }
    let mut buffer = BytesMut::new();
    assert!(session.poll_transmit(&mut buffer));
    assert_eq!(
        Messages::new(&buffer).count(),
        3,
        "the third crosses the line"
    );
}

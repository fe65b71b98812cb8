//! Holds a dialogue without a connection.

use core::time::Duration;

use lvs_healthcheck::probe::{Dialogue, Protocol, Turn};
use lvs_healthcheck::{Attempt, Health, Outcome};

/// How a server goes on after what it said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    /// It says nothing more.
    Silence,
    /// It closes the connection.
    Close,
    /// A TLS connection is cut off.
    CutOff,
}

pub(crate) fn attempt(health: Health) -> Attempt {
    let server = "192.0.2.7:8080".parse().unwrap();
    Attempt::new(1, Duration::ZERO, Duration::from_secs(5), None, health).with_server(server, false)
}

/// What a request looks like.
pub(crate) fn request(protocol: &impl Protocol, attempt: &Attempt) -> String {
    match protocol.dialogue(attempt).opened() {
        Turn::Send(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("unexpected {other:?}"),
    }
}

/// What comes out when the server says these pieces: `None` if it is not enough.
pub(crate) fn hear<'a>(
    protocol: &impl Protocol,
    attempt: &Attempt,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    then: Then,
) -> Option<Outcome> {
    let mut dialogue = protocol.dialogue(attempt);
    let _ = dialogue.opened();
    for piece in pieces {
        match dialogue.data(piece) {
            Turn::Listen => {}
            Turn::Done(outcome) => return Some(outcome),
            other => panic!("unexpected {other:?}"),
        }
    }
    if then == Then::Silence {
        return None;
    }
    match dialogue.eof(then == Then::Close) {
        Turn::Done(outcome) => Some(outcome),
        other => panic!("unexpected {other:?}"),
    }
}

/// A dialogue in which each request is noted and answered; `None` closes the connection. Gives the
/// requests, with `reopened` where another connection was wanted, and the outcome.
pub(crate) fn talk(
    dialogue: &mut dyn Dialogue,
    mut answer: impl FnMut(&str) -> Option<Vec<u8>>,
) -> (Vec<String>, Outcome) {
    let mut said = Vec::new();
    let mut turn = dialogue.opened();
    for _ in 0..100 {
        turn = match turn {
            Turn::Send(bytes) => {
                let request = String::from_utf8(bytes).unwrap();
                let answer = answer(&request);
                said.push(request);
                match answer {
                    Some(bytes) => dialogue.data(&bytes),
                    None => dialogue.eof(true),
                }
            }
            Turn::Listen => dialogue.eof(true),
            Turn::Reopen => {
                said.push("reopened".to_owned());
                dialogue.opened()
            }
            Turn::Done(outcome) => return (said, outcome),
            other => panic!("unexpected {other:?}"),
        };
    }
    panic!("no end: {said:?}");
}

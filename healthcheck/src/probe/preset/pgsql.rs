//! The start of a session with PostgreSQL, protocol 3.0.

use super::super::dialogue::{Dialogue, Protocol, Turn};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Detail, Outcome, Phase};
use crate::probe::Identity;

/// The longest message that is taken.
const LIMIT: usize = 16 * 1024;

/// Version 3.0 of the protocol.
const VERSION: u32 = 3 << 16;

/// The shortest authentication request: type, length, kind.
const REQUEST: usize = 9;

/// `Terminate`.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// PostgreSQL: asks for authentication, or lets the user in without.
///
/// An error ([`Status`](Code::Status)) comes with the server's text, such as "the database system
/// is starting up". The server logs nothing for a known user and database.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Pgsql {
    user: Box<str>,
}

impl Pgsql {
    /// As this user, and to the database of the same name.
    pub fn new(user: &str) -> Self {
        Self { user: user.into() }
    }
}

impl Protocol for Pgsql {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn is_prompt(&self) -> bool {
        true
    }

    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Starting {
            user: self.user.clone(),
            heard: Vec::new(),
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        super::mysql::check_user(&self.user)
    }
}

#[derive(Debug)]
struct Starting {
    user: Box<str>,
    heard: Vec<u8>,
}

impl Dialogue for Starting {
    fn opened(&mut self) -> Turn {
        let mut body = VERSION.to_be_bytes().to_vec();
        for word in ["user", &self.user, ""] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
        Turn::Send([&length.to_be_bytes()[..], &body].concat())
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        let room = LIMIT.saturating_sub(self.heard.len());
        self.heard
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        match self.heard.first() {
            None => Turn::Listen,
            Some(b'R') if self.heard.len() < REQUEST => Turn::Listen,
            Some(b'R') if is_request(&self.heard) => {
                Turn::DoneAfter(TERMINATE.to_vec(), Outcome::new(Code::Ok, Phase::Match))
            }
            Some(b'E') => match error_text(&self.heard) {
                Ok(None) => Turn::Listen,
                Ok(Some(text)) => {
                    let text = Detail::from_bytes(text);
                    let detail = format!("the server refused: {text}");
                    Turn::Done(Outcome::new(Code::Status, Phase::Match).with_detail(&detail))
                }
                Err(NoError) => {
                    let outcome = Outcome::new(Code::Proto, Phase::Recv);
                    Turn::Done(outcome.with_detail("not an error message of PostgreSQL"))
                }
            },
            Some(other) => {
                let detail = format!(
                    "expected an authentication request, got a message {:?}",
                    char::from(*other)
                );
                Turn::Done(Outcome::new(Code::Proto, Phase::Recv).with_detail(&detail))
            }
        }
    }
}

/// Whether this begins like an authentication request; other protocols have words with an `R`.
fn is_request(message: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes = message.get(at..at.saturating_add(4))?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    let length = number(1).is_some_and(|length| (8..=4096).contains(&length));
    length && number(5).is_some_and(|kind| kind <= 12)
}

/// Of a length no error has; other protocols have words with an `E`.
#[derive(Debug, Eq, PartialEq)]
struct NoError;

/// The field `M` of an `ErrorResponse`: type, length, then fields that end with a zero; `None` as
/// long as it is incomplete.
fn error_text(message: &[u8]) -> Result<Option<&[u8]>, NoError> {
    let Some(Ok(length)) = message.get(1..5).map(<[u8; 4]>::try_from) else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| NoError)?;
    if !(4..LIMIT).contains(&length) {
        return Err(NoError);
    }
    let Some(fields) = message.get(5..length.saturating_add(1)) else {
        return Ok(None);
    };
    let mut fields = fields.split(|byte| *byte == 0);
    let text = fields.find_map(|field| field.strip_prefix(b"M"));
    Ok(Some(text.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(reply: &[u8]) -> Outcome {
        let mut dialogue = Starting {
            user: "us".into(),
            heard: Vec::new(),
        };
        let (last, first) = reply.split_last().unwrap();
        for byte in first {
            match dialogue.data(&[*byte]) {
                Turn::Listen => {}
                Turn::Done(outcome) | Turn::DoneAfter(_, outcome) => return outcome,
                other => panic!("{other:?}"),
            }
        }
        match dialogue.data(&[*last]) {
            Turn::Done(outcome) | Turn::DoneAfter(_, outcome) => outcome,
            other => panic!("not done: {other:?}"),
        }
    }

    #[test]
    fn first_message_names_version_and_user() {
        let mut dialogue = Starting {
            user: "us".into(),
            heard: Vec::new(),
        };
        let Turn::Send(said) = dialogue.opened() else {
            panic!("says nothing")
        };
        assert_eq!(said, b"\0\0\0\x11\0\x03\0\0user\0us\0\0");
    }

    #[test]
    fn request_for_a_password_passes_and_an_error_tells_its_text() {
        assert_eq!(end(b"R\0\0\0\x08\0\0\0\x05").code, Code::Ok);
        let error = b"E\0\0\0\x15SFATAL\0Mno such\0\0";
        let outcome = end(error);
        assert_eq!(outcome.code, Code::Status);
        assert_eq!(outcome.detail.as_str(), "the server refused: no such");
        assert_eq!(end(b"HTTP/1.1 400").code, Code::Proto);
        assert_eq!(end(b"RFB 003.008\n").code, Code::Proto);
        assert_eq!(end(b"RTSP/1.0 200").code, Code::Proto);
        assert_eq!(end(b"ERROR").code, Code::Proto);
        assert_eq!(end(b"E\0\0\0\x03").code, Code::Proto);
    }

    #[test]
    fn user_that_would_break_the_message_is_refused() {
        assert_eq!(Pgsql::new("").validate().unwrap_err().field, "user");
        assert_eq!(Pgsql::new("a\0b").validate().unwrap_err().field, "user");
        assert_eq!(Pgsql::new("us").validate(), Ok(()));
    }
}

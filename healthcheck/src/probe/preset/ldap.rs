//! An anonymous simple bind, RFC 4511 §4.2.

use super::super::dialogue::{Dialogue, Protocol, Turn};
use crate::attempt::Attempt;
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::Identity;

/// Message 1: bind request, version 3, no name, simple authentication without password.
const BIND: [u8; 14] = [0x30, 12, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];

/// Message 2: unbind request.
const UNBIND: [u8; 7] = [0x30, 5, 2, 1, 2, 0x42, 0];

/// As much of a reply as is looked at.
const LIMIT: usize = 64;

/// `resultCode` of a server that cannot serve now, RFC 4511 appendix A.
const BUSY: [u8; 2] = [51, 52];

/// LDAP: answers an anonymous bind with success.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Ldap;

impl Ldap {
    /// The bind.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Protocol for Ldap {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn is_prompt(&self) -> bool {
        true
    }

    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Binding(Vec::new()))
    }
}

#[derive(Debug)]
struct Binding(Vec<u8>);

impl Dialogue for Binding {
    fn opened(&mut self) -> Turn {
        Turn::Send(BIND.to_vec())
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        let room = LIMIT.saturating_sub(self.0.len());
        self.0.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        match result_code(&self.0) {
            Ok(None) => Turn::Listen,
            Ok(Some(0)) => Turn::DoneAfter(UNBIND.to_vec(), Outcome::new(Code::Ok, Phase::Match)),
            Ok(Some(result)) => {
                let code = if BUSY.contains(&result) {
                    Code::Busy
                } else {
                    Code::Status
                };
                let detail = format!("expected resultCode 0, got {result}");
                Turn::Done(Outcome::new(code, Phase::Match).with_detail(&detail))
            }
            Err(NoBindResponse) => {
                let outcome = Outcome::new(Code::Proto, Phase::Recv);
                Turn::Done(outcome.with_detail("not an LDAP bind response"))
            }
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
struct NoBindResponse;

/// Walks through `SEQUENCE { messageID 1, [APPLICATION 1] { resultCode ENUMERATED, …`; `None` as
/// long as it is incomplete.
fn result_code(bytes: &[u8]) -> Result<Option<u8>, NoBindResponse> {
    let mut rest = bytes.iter().copied();
    let mut next = || rest.next();
    for (tag, content) in [(0x30, None), (2, Some(1)), (0x61, None), (10, None)] {
        match next() {
            None => return Ok(None),
            Some(found) if found == tag => {}
            Some(_) => return Err(NoBindResponse),
        }
        // The length: one byte, or the number of bytes that hold it.
        match next() {
            None => return Ok(None),
            Some(short) if short < 0x80 => {}
            Some(long) if (0x81..=0x84).contains(&long) => {
                for _ in 0x80..long {
                    if next().is_none() {
                        return Ok(None);
                    }
                }
            }
            Some(_) => return Err(NoBindResponse),
        }
        if let Some(content) = content {
            match next() {
                None => return Ok(None),
                Some(found) if found == content => {}
                Some(_) => return Err(NoBindResponse),
            }
        }
    }
    Ok(next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUCCESS: [u8; 14] = [0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 0, 4, 0, 4, 0];

    #[test]
    fn success_is_found_however_the_lengths_are_written() {
        assert_eq!(result_code(&SUCCESS), Ok(Some(0)));
        let long = [
            0x30, 0x84, 0, 0, 0, 16, 2, 1, 1, 0x61, 0x81, 7, 10, 1, 53, 4, 0, 4, 0,
        ];
        assert_eq!(result_code(&long), Ok(Some(53)));
        for cut in 0..10 {
            assert_eq!(result_code(SUCCESS.get(..cut).unwrap()), Ok(None), "{cut}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(result_code(b"HTTP"), Err(NoBindResponse));
        let other_message = [0x30, 12, 2, 1, 2];
        assert_eq!(result_code(&other_message), Err(NoBindResponse));
        let endless = [0x30, 0x80];
        assert_eq!(result_code(&endless), Err(NoBindResponse));
    }

    #[test]
    fn result_decides() {
        let end = |result| {
            let mut reply = SUCCESS;
            *reply.get_mut(9).unwrap() = result;
            match Binding(Vec::new()).data(&reply) {
                Turn::Done(outcome) | Turn::DoneAfter(_, outcome) => outcome.code,
                other => panic!("not done: {other:?}"),
            }
        };
        assert_eq!(end(0), Code::Ok);
        assert_eq!(end(49), Code::Status);
        assert_eq!(end(51), Code::Busy);
    }
}

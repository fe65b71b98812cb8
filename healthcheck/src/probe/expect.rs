//! Send and expect: a dialogue written down step by step.
//!
//! What HAProxy's `tcp-check send` and `expect` rules and Envoy's TCP checks do. Most line-based
//! protocols need no more:
//!
//! ```
//! use lvs_healthcheck::probe::expect::{Expectation, Matcher, Script};
//! use lvs_healthcheck::{Code, Target, TcpProbe};
//!
//! // A Redis server that is still loading its data answers, but is of no use.
//! let redis = Script::new().send("PING\r\n").expect(
//!     Expectation::new(Matcher::prefix("+PONG"))
//!         .by_line()
//!         .or_end(Matcher::prefix("-LOADING"), Code::Busy),
//! );
//! let probe = TcpProbe::new(Target::new("192.0.2.7:6379".parse()?)).with_protocol(redis);
//! # Ok::<_, std::net::AddrParseError>(())
//! ```
//!
//! Ready-made ones are in [`preset`](super::preset).

mod matcher;

use core::fmt;
use core::mem;

pub use self::matcher::Matcher;
pub(super) use self::matcher::{Found, printable};
use super::dialogue::{Dialogue, Protocol, Turn};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};
use crate::probe::Identity;

/// How many bytes an expectation waits for at most, unless set otherwise.
const BUFFER: usize = 16 * 1024;

/// Steps taken one after the other; passes after the last one.
///
/// What the server says is kept from the last sending on. An expectation looks at what came after
/// the match of the one before it, so that several in a row find their texts in this order, with
/// anything between them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Script {
    steps: Vec<Step>,
    max_buffer: usize,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Step {
    Send(Vec<u8>),
    Expect(Expectation),
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// No steps yet: passes as soon as the connection is open.
    pub const fn new() -> Self {
        Self {
            steps: Vec::new(),
            max_buffer: BUFFER,
        }
    }

    /// Says this.
    pub fn send(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    /// Waits for this.
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.steps.push(Step::Expect(expectation));
        self
    }

    /// How many bytes one expectation waits for at most, from 1; then it is decided with those.
    /// Default 16 KiB.
    pub const fn with_max_buffer(mut self, bytes: usize) -> Self {
        self.max_buffer = bytes;
        self
    }
}

/// What a server is expected to say.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Expectation {
    matcher: Matcher,
    negated: bool,
    by_line: bool,
    min_bytes: usize,
    ends: Vec<(Matcher, Code)>,
    comment: Option<Box<str>>,
}

impl Expectation {
    /// Goes on when this is found.
    pub const fn new(matcher: Matcher) -> Self {
        Self {
            matcher,
            negated: false,
            by_line: false,
            min_bytes: 0,
            ends: Vec::new(),
            comment: None,
        }
    }

    /// Goes on when it is *not* found, and fails when it is. HAProxy's `!`.
    ///
    /// As long as more may come it might still be found, so this decides by
    /// [line](Self::by_line), after [so many bytes](Self::with_min_bytes), or at the end.
    pub const fn negated(mut self) -> Self {
        self.negated = true;
        self
    }

    /// Decides when a line is complete, with this line without its end, and fails at once if that
    /// is not what was expected; otherwise the next line might still be.
    pub const fn by_line(mut self) -> Self {
        self.by_line = true;
        self
    }

    /// Decides when this many bytes have come, or the server has ended: neither before nor later.
    /// HAProxy's `min-recv`. Default: as soon as it can be decided.
    pub const fn with_min_bytes(mut self, count: usize) -> Self {
        self.min_bytes = count;
        self
    }

    /// Ends the attempt with this code if this is found instead; may be [`Code::Ok`].
    pub fn or_end(mut self, matcher: Matcher, code: Code) -> Self {
        self.ends.push((matcher, code));
        self
    }

    /// What the step is about, for the detail of an outcome. Default: none.
    pub fn with_comment(mut self, comment: &str) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Judges what has come; `complete` says that nothing more will.
    fn judge(&self, bytes: &[u8], complete: bool) -> Judged {
        let (bytes, complete, line_end) = if self.by_line {
            match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let line = bytes.get(..end).unwrap_or_default();
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    (line, true, Some(end.saturating_add(1)))
                }
                None if complete => (bytes, true, Some(bytes.len())),
                None => return Judged::Undecided,
            }
        } else {
            (bytes, complete, None)
        };
        if bytes.len() < self.min_bytes && !complete {
            return Judged::Undecided;
        }
        // What has been asked to wait for so many bytes is decided by them.
        let complete = complete || self.min_bytes > 0;
        let found = match self.matcher.find(bytes, complete) {
            Found::Yes(_) if self.negated => Found::No,
            Found::No if self.negated => Found::Yes(bytes.len()),
            found => found,
        };
        if let Found::Yes(end) = found {
            return Judged::Next(line_end.unwrap_or(end));
        }
        for (matcher, code) in &self.ends {
            if let Found::Yes(_) = matcher.find(bytes, complete) {
                return Judged::End(*code);
            }
        }
        let ends = || {
            self.ends
                .iter()
                .map(|(matcher, _)| matcher.find(bytes, complete))
        };
        if complete || (found == Found::No && ends().all(|end| end == Found::No)) {
            return Judged::Wrong;
        }
        Judged::Undecided
    }
}

/// What an expectation makes of what has come.
#[derive(Debug, Eq, PartialEq)]
enum Judged {
    /// More is needed.
    Undecided,
    /// It is there, and ends here.
    Next(usize),
    /// The attempt ends with this.
    End(Code),
    /// It will not come any more.
    Wrong,
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(comment) = &self.comment {
            write!(f, "{comment}: ")?;
        }
        f.write_str("expected ")?;
        if self.negated {
            f.write_str("not ")?;
        }
        fmt::Display::fmt(&self.matcher, f)
    }
}

impl Protocol for Script {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn is_prompt(&self) -> bool {
        !matches!(self.steps.first(), Some(Step::Expect(_)))
    }

    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Play {
            script: self.clone(),
            at: 0,
            heard: Vec::new(),
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.max_buffer == 0 {
            return Err(Invalid::new("max_buffer", "0", "must be at least 1"));
        }
        for step in &self.steps {
            let Step::Expect(expectation) = step else {
                continue;
            };
            for (matcher, _) in &expectation.ends {
                matcher.validate()?;
            }
            expectation.matcher.validate()?;
            if expectation.min_bytes > self.max_buffer {
                let value = expectation.min_bytes.to_string();
                let limit = "must not be more than max_buffer";
                return Err(Invalid::new("min_bytes", value, limit));
            }
        }
        Ok(())
    }
}

/// A script being played.
#[derive(Debug)]
struct Play {
    script: Script,
    /// The step that is next.
    at: usize,
    /// What was said since the last sending and not matched.
    heard: Vec<u8>,
}

impl Play {
    /// Takes as many steps as can be taken.
    fn go_on(&mut self, complete: bool) -> Turn {
        loop {
            let step = self.script.steps.get(self.at);
            let expectation = match step {
                None => return Turn::Done(Outcome::new(Code::Ok, Phase::Match)),
                Some(Step::Send(_)) => return self.send(),
                Some(Step::Expect(expectation)) => expectation,
            };
            let full = self.heard.len() >= self.script.max_buffer;
            match expectation.judge(&self.heard, complete || full) {
                Judged::Undecided => return Turn::Listen,
                Judged::Next(end) => {
                    self.heard.drain(..end.min(self.heard.len()));
                    self.at = self.at.saturating_add(1);
                }
                Judged::End(code) => {
                    let heard = printable(&self.heard);
                    let detail = format!("step {}: got {heard}", self.number());
                    return Turn::Done(Outcome::new(code, Phase::Match).with_detail(&detail));
                }
                Judged::Wrong if self.heard.is_empty() => {
                    let detail = format!("{}; closed by the server", self.waiting());
                    return Turn::Done(
                        Outcome::new(Code::EofEarly, Phase::Recv).with_detail(&detail),
                    );
                }
                Judged::Wrong => {
                    let detail = format!("{}, got {}", self.waiting(), printable(&self.heard));
                    return Turn::Done(
                        Outcome::new(Code::Content, Phase::Match).with_detail(&detail),
                    );
                }
            }
        }
    }

    /// Says all that is to be said before something is expected.
    fn send(&mut self) -> Turn {
        let mut bytes = Vec::new();
        while let Some(Step::Send(part)) = self.script.steps.get_mut(self.at) {
            bytes.append(&mut mem::take(part));
            self.at = self.at.saturating_add(1);
        }
        self.heard.clear();
        if self.at >= self.script.steps.len() {
            return Turn::DoneAfter(bytes, Outcome::new(Code::Ok, Phase::Match));
        }
        Turn::Send(bytes)
    }

    /// The number of the step that is next, from 1.
    const fn number(&self) -> usize {
        self.at.saturating_add(1)
    }

    fn waiting(&self) -> String {
        match self.script.steps.get(self.at) {
            Some(Step::Expect(expectation)) => format!("step {}: {expectation}", self.number()),
            _ => format!("step {}", self.number()),
        }
    }
}

impl Dialogue for Play {
    fn opened(&mut self) -> Turn {
        self.go_on(false)
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        // What a full buffer has no room for belongs to the expectations that come after.
        let mut rest = bytes;
        loop {
            let room = self.script.max_buffer.saturating_sub(self.heard.len());
            let (part, after) = rest.split_at(room.min(rest.len()));
            self.heard.extend_from_slice(part);
            rest = after;
            match self.go_on(false) {
                Turn::Listen if !rest.is_empty() && !part.is_empty() => {}
                turn => return turn,
            }
        }
    }

    fn eof(&mut self, _orderly: bool) -> Turn {
        self.go_on(true)
    }

    fn expired(&mut self) -> Outcome {
        let mut detail = self.waiting();
        if !self.heard.is_empty() {
            detail = format!("{detail}, got {}", printable(&self.heard));
        }
        Outcome::new(Code::TimeoutIo, Phase::Recv).with_detail(&detail)
    }
}

#[cfg(test)]
mod tests;

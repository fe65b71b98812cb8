//! HAProxy's agent protocol: the server says in one line how it is and how much it wants.
//!
//! A small program on the server answers each connection with a line such as `up 75%` or
//! `drain #backup running` and closes. What its words mean is in [`Reply`]. An agent that cannot
//! be reached, or does not finish its line, says nothing: the outcome is neutral.

use core::fmt;

use super::dialogue::{Dialogue, Protocol, Turn};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{AdminHint, Code, Detail, Outcome, Phase, Verdict, WeightHint};
use crate::probe::Identity;

/// The longest line that is read, in bytes.
const LINE: usize = 1024;

/// The agent's side of a server's health, over [`TcpProbe`](crate::TcpProbe). HAProxy's
/// `agent-check`.
///
/// ```
/// use lvs_healthcheck::probe::agent::Agent;
/// use lvs_healthcheck::{Target, TcpProbe};
///
/// let target = Target::new("192.0.2.7:9777".parse()?);
/// let probe = TcpProbe::new(target).with_protocol(Agent::new());
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
///
/// `up` and `down` without a weight take back the weight the agent asked for before, as outcomes of
/// every check do; with HAProxy that weight stays. So an agent that wants a weight says so each time.
///
/// Judge it with a rise and fall of 1. In an [`Aggregate`](crate::aggregate::Aggregate) it is
/// usually [advisory](crate::aggregate::Role::Advisory).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[must_use]
pub struct Agent {
    send: Vec<u8>,
}

impl Agent {
    /// Listens to the agent.
    pub const fn new() -> Self {
        Self { send: Vec::new() }
    }

    /// Says this first; a line end is not added. HAProxy's `agent-send`. Default: nothing.
    pub fn with_send(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.send = text.into();
        self
    }
}

impl Protocol for Agent {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn is_prompt(&self) -> bool {
        !self.send.is_empty()
    }

    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Listening {
            send: self.send.clone(),
            line: Vec::new(),
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.send.len() > LINE {
            let length = format!("{} bytes", self.send.len());
            return Err(Invalid::new("send", length, "must be at most 1024 bytes"));
        }
        Ok(())
    }

    /// Only what an agent has said counts.
    fn judge(&self, outcome: Outcome) -> Outcome {
        if outcome.phase == Phase::Match {
            outcome
        } else {
            outcome.with_verdict(Verdict::Neutral)
        }
    }
}

#[derive(Debug)]
struct Listening {
    send: Vec<u8>,
    line: Vec<u8>,
}

impl Dialogue for Listening {
    fn opened(&mut self) -> Turn {
        if self.send.is_empty() {
            return Turn::Listen;
        }
        Turn::Send(core::mem::take(&mut self.send))
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let room = LINE.saturating_sub(self.line.len());
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if part.len() > room {
            let outcome = Outcome::new(Code::Proto, Phase::Recv);
            return Turn::Done(outcome.with_detail("no line end within 1024 bytes"));
        }
        self.line.extend_from_slice(part);
        if end.is_none() {
            return Turn::Listen;
        }
        Turn::Done(Reply::parse(&self.line).outcome())
    }
}

/// What an agent says in its line.
///
/// Words are separated by blanks, tabs and commas; capitals do not matter; of several words of one
/// kind the last one counts. Words of no kind are kept, and otherwise ignored.
///
/// | Word | Kind |
/// |---|---|
/// | `up` | health |
/// | `down`, `fail`, `failed`, `stopped` | health |
/// | `ready`, `drain`, `maint` | [`AdminHint`] |
/// | `75%`, `weight:75%` | share of the configured weight |
/// | `weight:75` | weight |
/// | `maxconn:30` | connections the server wants at most |
/// | `#…` | the rest of the line is text for people |
///
/// An agent in Rust writes its line with `Display`:
///
/// ```
/// use lvs_healthcheck::WeightHint;
/// use lvs_healthcheck::probe::agent::Reply;
///
/// let reply = Reply::parse(b"UP 75%, maxconn:30 # all well");
/// assert_eq!((reply.up, reply.weight), (Some(true), Some(WeightHint::Percent(75))));
/// assert_eq!(reply.to_string(), "up 75% maxconn:30 #all well");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// Whether the server is up, if the agent says so.
    pub up: Option<bool>,
    /// In service or not.
    pub admin: Option<AdminHint>,
    /// How much it wants to do.
    pub weight: Option<WeightHint>,
    /// How many connections it wants at most; for a destination's upper threshold.
    pub max_connections: Option<u32>,
    /// Text for people.
    pub text: Detail,
    /// Words that mean nothing here.
    pub unknown: Vec<String>,
}

impl Reply {
    /// Reads a line, without its end.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let mut reply = Self::default();
        let line = String::from_utf8_lossy(line);
        let (words, text) = line.split_once('#').unwrap_or((&line, ""));
        reply.text = Detail::new(text);
        let words = words
            .split([' ', '\t', ','])
            .filter(|word| !word.is_empty());
        for word in words {
            reply.take(word);
        }
        reply
    }

    fn take(&mut self, word: &str) {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "up" => self.up = Some(true),
            "down" | "fail" | "failed" | "stopped" => self.up = Some(false),
            "ready" => self.admin = Some(AdminHint::Ready),
            "drain" => self.admin = Some(AdminHint::Drain),
            "maint" => self.admin = Some(AdminHint::Maint),
            other => {
                let weight = other.strip_prefix("weight:");
                if let Some(percent) = weight.unwrap_or(other).strip_suffix('%').and_then(number) {
                    self.weight = Some(WeightHint::Percent(percent));
                } else if let Some(weight) = weight.and_then(number) {
                    self.weight = Some(WeightHint::Absolute(weight));
                } else if let Some(limit) = other.strip_prefix("maxconn:").and_then(number) {
                    self.max_connections = Some(limit);
                } else {
                    self.unknown.push(word.to_owned());
                }
            }
        }
    }

    /// What it amounts to for a check.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let outcome = match self.up {
            Some(true) => Outcome::new(Code::Ok, Phase::Match),
            Some(false) => Outcome::new(Code::Status, Phase::Match).with_verdict(Verdict::FailNow),
            None => Outcome::new(Code::Ok, Phase::Match).with_verdict(Verdict::Neutral),
        };
        let mut outcome = outcome.with_detail(&self.to_string());
        outcome.weight = self.weight;
        outcome.max_connections = self.max_connections;
        outcome.admin = self.admin;
        outcome
    }
}

/// Digits only, unlike [`str::parse`], which takes a sign too.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = self.up.map(|up| if up { "up" } else { "down" }.to_owned());
        let weight = self.weight.map(|weight| match weight {
            WeightHint::Absolute(weight) => format!("weight:{weight}"),
            other => other.to_string(),
        });
        let limit = self.max_connections.map(|limit| format!("maxconn:{limit}"));
        let text = Some(&self.text).filter(|text| !text.is_empty());
        let words = [up, self.admin.map(|admin| admin.to_string()), weight, limit];
        let words = words.into_iter().flatten().chain(self.unknown.clone());
        let words: Vec<_> = words.chain(text.map(|text| format!("#{text}"))).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Reply {
        Reply::parse(line.as_bytes())
    }

    #[test]
    fn words_in_any_order_case_and_separation() {
        let reply = parse("up,75%,ready");
        assert_eq!(reply.up, Some(true));
        assert_eq!(reply.admin, Some(AdminHint::Ready));
        assert_eq!(reply.weight, Some(WeightHint::Percent(75)));
        assert_eq!(parse("READY\t75% , Up"), reply);
        for down in ["down", "Fail", "failed", "STOPPED"] {
            assert_eq!(parse(down).up, Some(false), "{down}");
        }
    }

    #[test]
    fn last_word_of_a_kind_counts() {
        let reply = parse("up down drain maint 10% weight:20 maxconn:1 maxconn:2");
        assert_eq!(reply.up, Some(false));
        assert_eq!(reply.admin, Some(AdminHint::Maint));
        assert_eq!(reply.weight, Some(WeightHint::Absolute(20)));
        assert_eq!(reply.max_connections, Some(2));
    }

    #[test]
    fn weight_is_a_share_or_a_number_and_nothing_else() {
        assert_eq!(parse("weight:150%").weight, Some(WeightHint::Percent(150)));
        assert_eq!(parse("0%").weight, Some(WeightHint::Percent(0)));
        for odd in [
            "50",
            "+5%",
            "-5%",
            "%",
            "weight:",
            "weight:-1",
            "5 %",
            "99999999999%",
        ] {
            assert_eq!(parse(odd).weight, None, "{odd}");
            assert!(!parse(odd).unknown.is_empty(), "{odd}");
        }
    }

    #[test]
    fn outcome_follows_health_and_carries_hints() {
        let outcome = parse("down #disk full").outcome();
        assert_eq!(
            (outcome.code, outcome.verdict),
            (Code::Status, Verdict::FailNow)
        );
        assert_eq!(outcome.detail.as_str(), "down #disk full");
        assert_eq!(parse("up").outcome().verdict, Verdict::Pass);
        let limited = parse("up maxconn:30").outcome();
        assert_eq!(limited.max_connections, Some(30));
        let outcome = parse("drain 10%").outcome();
        assert_eq!(outcome.verdict, Verdict::Neutral, "hints only");
        assert_eq!(outcome.admin, Some(AdminHint::Drain));
        assert_eq!(outcome.weight, Some(WeightHint::Percent(10)));
        assert_eq!(parse("").outcome().verdict, Verdict::Neutral);
    }

    #[test]
    fn line_reads_back_as_it_was_written() {
        for line in [
            "up 75% #all well",
            "down maint weight:3 maxconn:9",
            "drain what",
        ] {
            assert_eq!(parse(line).to_string(), line);
        }
    }

    #[test]
    fn line_may_come_in_pieces_and_ends_at_the_first_line_end() {
        let mut listening = Listening {
            send: b"hi\n".to_vec(),
            line: Vec::new(),
        };
        assert!(matches!(listening.opened(), Turn::Send(said) if said == b"hi\n"));
        assert!(matches!(listening.data(b"u"), Turn::Listen));
        let turn = listening.data(b"p 7%\rdown\n");
        assert!(
            matches!(&turn, Turn::Done(outcome) if outcome.detail.as_str() == "up 7%"),
            "{turn:?}"
        );
    }

    #[test]
    fn too_long_a_line_and_a_lost_agent_say_nothing() {
        let mut listening = Listening {
            send: Vec::new(),
            line: Vec::new(),
        };
        assert!(matches!(listening.opened(), Turn::Listen));
        assert!(matches!(listening.data(&[b'x'; 1024]), Turn::Listen));
        let Turn::Done(outcome) = listening.data(b"xx\n") else {
            panic!("goes on")
        };
        assert_eq!(Agent::new().judge(outcome).verdict, Verdict::Neutral);
        let refused = Outcome::new(Code::Refused, Phase::Connect);
        assert_eq!(Agent::new().judge(refused).verdict, Verdict::Neutral);
        let down = parse("down").outcome();
        assert_eq!(Agent::new().judge(down).verdict, Verdict::FailNow);
    }

    #[test]
    fn too_much_to_say_is_refused() {
        let agent = Agent::new().with_send(vec![b'x'; 1025]);
        assert_eq!(agent.validate().unwrap_err().field, "send");
    }
}

//! DNS: a name server answers a question, over UDP or TCP.
//!
//! What comes with another identifier or another question is ignored until time is up: it may be
//! late, or forged.

mod message;
mod record;

use core::net::IpAddr;

use self::message::{Query, Verdict};
pub use self::record::{Rcode, RecordType, UnknownType};
use super::{Action, CloseMode, Engine, Event, Identity, Probe, Step, Transport, failure};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase, Timing};
use crate::target::Target;

/// Asks a name server.
///
/// ```
/// use lvs_healthcheck::Target;
/// use lvs_healthcheck::probe::dns::{DnsProbe, Rcode, RecordType};
///
/// let target = Target::new("192.0.2.53:53".parse()?);
/// let probe = DnsProbe::new(target.clone(), "www.example.org", RecordType::A)
///     .with_any_of(["192.0.2.80"]);
/// // A resolver that is alive says so even of names that do not exist.
/// let resolver = DnsProbe::new(target, "nowhere.invalid", RecordType::A)
///     .with_rcodes([Rcode::NO_ERROR, Rcode::NX_DOMAIN]);
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct DnsProbe {
    target: Target,
    name: Box<str>,
    kind: RecordType,
    tcp: bool,
    tcp_fallback: bool,
    recursion_desired: bool,
    udp_size: Option<u16>,
    lenient: bool,
    tries: u8,
    rcodes: Vec<Rcode>,
    min_answers: u16,
    any_of: Vec<Box<str>>,
    all_of: Vec<Box<str>>,
}

impl DnsProbe {
    /// Asks over UDP, twice if need be, with recursion desired, and wants [`Rcode::NO_ERROR`].
    ///
    /// Names are written with dots, `.` is the root, others than in ASCII as in Punycode.
    pub fn new(target: Target, name: &str, kind: RecordType) -> Self {
        Self {
            target,
            name: name.into(),
            kind,
            tcp: false,
            tcp_fallback: true,
            recursion_desired: true,
            udp_size: None,
            lenient: false,
            tries: 2,
            rcodes: vec![Rcode::NO_ERROR],
            min_answers: 0,
            any_of: Vec::new(),
            all_of: Vec::new(),
        }
    }

    /// As keepalived's `DNS_CHECK`: the SOA of the root unless set otherwise, asked once over UDP;
    /// the question in the answer is not compared, and a truncated answer is judged as it is.
    pub fn keepalived(target: Target) -> Self {
        Self {
            tcp_fallback: false,
            lenient: true,
            tries: 1,
            ..Self::new(target, ".", RecordType::SOA)
        }
    }

    /// Asks for this name. keepalived's `name`.
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Asks for records of this type. keepalived's `type`.
    pub const fn with_type(mut self, kind: RecordType) -> Self {
        self.kind = kind;
        self
    }

    /// Asks over TCP. Default: over UDP.
    pub const fn with_tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Whether an answer that was truncated is asked for again over TCP. Default: yes.
    pub const fn with_tcp_fallback(mut self, fallback: bool) -> Self {
        self.tcp_fallback = fallback;
        self
    }

    /// Whether the server is asked to ask others. Default: yes.
    pub const fn with_recursion_desired(mut self, desired: bool) -> Self {
        self.recursion_desired = desired;
        self
    }

    /// Lets answers over UDP have this many bytes, 512 to 65,535, by EDNS (RFC 6891): 1232 is as much
    /// as gets through everywhere. Default: no EDNS, and the 512 bytes of RFC 1035; longer answers are
    /// truncated and asked for again over TCP.
    pub const fn with_udp_size(mut self, bytes: u16) -> Self {
        self.udp_size = Some(bytes);
        self
    }

    /// How often it is asked over UDP, 1 to 10, spread evenly over the time of the attempt.
    /// Default 2.
    pub const fn with_tries(mut self, tries: u8) -> Self {
        self.tries = tries;
        self
    }

    /// Which response codes pass. Default: [`Rcode::NO_ERROR`] only.
    pub fn with_rcodes(mut self, rcodes: impl IntoIterator<Item = Rcode>) -> Self {
        self.rcodes = rcodes.into_iter().collect();
        self
    }

    /// How many records the answer must have. Default 0.
    pub const fn with_min_answers(mut self, count: u16) -> Self {
        self.min_answers = count;
        self
    }

    /// One of these must be among the answers, written as in a zone file: an address, a name
    /// without its final dot, `10 mail.example.org`, or the text of a TXT record.
    pub fn with_any_of<'a>(mut self, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.any_of = values.into_iter().map(Into::into).collect();
        self
    }

    /// All of these must be among the answers.
    pub fn with_all_of<'a>(mut self, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.all_of = values.into_iter().map(Into::into).collect();
        self
    }

    /// Judges an answer to our question.
    fn judge(&self, bytes: &[u8], rcode: Rcode, answers: u16) -> Outcome {
        if !self.rcodes.contains(&rcode) {
            let expected: Vec<_> = self.rcodes.iter().map(ToString::to_string).collect();
            let detail = format!("expected {}, got {rcode}", expected.join(" or "));
            return Outcome::new(Code::Status, Phase::Match).with_detail(&detail);
        }
        if answers < self.min_answers {
            let detail = format!("expected {} answers, got {answers}", self.min_answers);
            return Outcome::new(Code::Content, Phase::Match).with_detail(&detail);
        }
        if self.any_of.is_empty() && self.all_of.is_empty() {
            return Outcome::new(Code::Ok, Phase::Match);
        }
        let found = match record::values(bytes, self.kind) {
            Ok(found) => found,
            Err(reason) => {
                return Outcome::new(Code::Proto, Phase::Recv).with_detail(&reason);
            }
        };
        let has = |value: &str| found.iter().any(|found| found.eq_ignore_ascii_case(value));
        let got = if found.is_empty() {
            "none".to_owned()
        } else {
            found.join(", ")
        };
        let detail = if let Some(missing) = self.all_of.iter().find(|value| !has(value)) {
            format!("expected {missing} among the answers, got {got}")
        } else if !self.any_of.is_empty() && !self.any_of.iter().any(|value| has(value)) {
            format!("expected one of {}, got {got}", self.any_of.join(", "))
        } else {
            return Outcome::new(Code::Ok, Phase::Match);
        };
        Outcome::new(Code::Content, Phase::Match).with_detail(&detail)
    }
}

impl Probe for DnsProbe {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        let [high, low, ..] = attempt.random.to_be_bytes();
        let query = Query::new(
            u16::from_be_bytes([high, low]),
            &self.name,
            self.kind,
            self.recursion_desired,
        )
        .map(|query| match self.udp_size {
            Some(bytes) => query.with_udp_size(bytes),
            None => query,
        });
        Box::new(Asking {
            over_tcp: self.tcp,
            probe: self.clone(),
            attempt: *attempt,
            // Refused when the check was added.
            query: query.unwrap_or_default(),
            timing: Timing::default(),
            tries: 0,
            heard: Vec::new(),
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.target.validate()?;
        Query::new(0, &self.name, self.kind, false)?;
        if !(1..=10).contains(&self.tries) {
            return Err(Invalid::new(
                "tries",
                self.tries.to_string(),
                "must be 1 to 10",
            ));
        }
        if let Some(bytes) = self.udp_size.filter(|bytes| *bytes < 512) {
            let limit = "must be at least 512 bytes";
            return Err(Invalid::new("udp_size", bytes.to_string(), limit));
        }
        if self.rcodes.is_empty() {
            return Err(Invalid::new("rcodes", "empty", "must be at least one"));
        }
        let values = !self.any_of.is_empty() || !self.all_of.is_empty();
        if values && !self.kind.has_values() {
            let limit = "must be A, AAAA, CNAME, MX, NS, PTR, SOA, SRV or TXT to compare values";
            return Err(Invalid::new("type", self.kind.to_string(), limit));
        }
        Ok(())
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.target.address().ip())
    }
}

#[derive(Debug)]
struct Asking {
    probe: DnsProbe,
    attempt: Attempt,
    query: Query,
    timing: Timing,
    over_tcp: bool,
    /// How often the question was sent over UDP.
    tries: u8,
    /// What came over TCP.
    heard: Vec<u8>,
}

impl Asking {
    fn done(&mut self, outcome: Outcome, now: Timestamp) -> Step {
        self.timing.total = Some(now.saturating_sub(self.attempt.started));
        Step::Done(outcome.with_timing(self.timing))
    }

    fn connect(&self, now: Timestamp) -> Vec<Action> {
        let transport = if self.over_tcp {
            Transport::Tcp {
                close: CloseMode::Fin,
                prompt: true,
            }
        } else {
            Transport::Udp { from_any: false }
        };
        // The same time for each connection, also for one that is opened later.
        let attempt = &self.attempt;
        let allowed = attempt.connect_deadline.saturating_sub(attempt.started);
        let deadline = if self.over_tcp {
            now.saturating_add(allowed).min(attempt.deadline)
        } else {
            attempt.deadline
        };
        let target = self.probe.target.clone();
        vec![
            Action::SetDeadline(deadline),
            Action::Connect { target, transport },
        ]
    }

    /// Sends the question, and asks to be told when to send it again.
    fn ask(&mut self) -> Vec<Action> {
        if self.over_tcp {
            let deadline = self.attempt.deadline;
            return vec![
                Action::Send(self.query.with_length()),
                Action::SetDeadline(deadline),
            ];
        }
        self.tries = self.tries.saturating_add(1);
        let whole = self.attempt.deadline.saturating_sub(self.attempt.started);
        let part = whole / u32::from(self.probe.tries.max(1)) * u32::from(self.tries);
        let deadline = if self.tries < self.probe.tries {
            self.attempt.started.saturating_add(part)
        } else {
            self.attempt.deadline
        };
        let question = self.query.bytes().to_vec();
        vec![Action::Send(question), Action::SetDeadline(deadline)]
    }

    /// Takes a message.
    fn take(&mut self, message: &[u8], now: Timestamp) -> Step {
        match self.query.examine(message, self.probe.lenient) {
            Verdict::Other => Step::Do(Vec::new()),
            Verdict::Answer {
                truncated: true, ..
            } if !self.over_tcp && self.probe.tcp_fallback => {
                self.over_tcp = true;
                Step::Do(self.connect(now))
            }
            Verdict::Answer { rcode, answers, .. } => {
                let passed = now.saturating_sub(self.attempt.started);
                self.timing.first_byte.get_or_insert(passed);
                let outcome = self.probe.judge(message, rcode, answers);
                self.done(outcome, now)
            }
        }
    }

    /// Takes bytes of a stream, in which a length of two bytes precedes each message, RFC 1035
    /// §4.2.2.
    fn take_bytes(&mut self, bytes: &[u8], now: Timestamp) -> Step {
        let mut heard = core::mem::take(&mut self.heard);
        heard.extend_from_slice(bytes);
        let mut at = 0_usize;
        loop {
            let rest = heard.get(at..).unwrap_or_default();
            let Some(Ok(length)) = rest.get(..2).map(<[u8; 2]>::try_from) else {
                break;
            };
            let end = usize::from(u16::from_be_bytes(length)).saturating_add(2);
            let Some(message) = rest.get(2..end) else {
                break;
            };
            at = at.saturating_add(end);
            match self.take(message, now) {
                Step::Do(_) => {}
                step => return step,
            }
        }
        // All at once: thousands of empty messages fit into what is heard at a time.
        heard.drain(..at);
        self.heard = heard;
        Step::Do(Vec::new())
    }
}

impl Engine for Asking {
    fn start(&mut self, now: Timestamp) -> Step {
        Step::Do(self.connect(now))
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        match event {
            Event::Connected => {
                let passed = now.saturating_sub(self.attempt.started);
                if self.over_tcp {
                    self.timing.connect.get_or_insert(passed);
                }
                let mut actions = self.ask();
                actions.insert(0, Action::Read);
                Step::Do(actions)
            }
            Event::Datagram { bytes, .. } => self.take(bytes, now),
            Event::Data(bytes) => self.take_bytes(bytes, now),
            Event::Eof { .. } => {
                let early = Outcome::new(Code::EofEarly, Phase::Recv);
                self.done(
                    early.with_detail("closed by the server before an answer"),
                    now,
                )
            }
            Event::Icmp(error) => match error.outcome() {
                Some(outcome) => self.done(outcome, now),
                None => Step::Do(Vec::new()),
            },
            Event::Failed {
                operation,
                errno,
                origin,
                detail,
            } => self.done(failure(operation, errno, origin, detail), now),
            Event::Deadline if now < self.attempt.deadline && !self.over_tcp => {
                Step::Do(self.ask())
            }
            Event::Deadline if self.over_tcp && self.timing.connect.is_none() => {
                self.done(Outcome::new(Code::TimeoutConnect, Phase::Connect), now)
            }
            Event::Deadline => {
                let times = if self.over_tcp {
                    "over TCP".to_owned()
                } else {
                    format!("to {} queries", self.tries)
                };
                let outcome = Outcome::new(Code::TimeoutIo, Phase::Recv);
                self.done(outcome.with_detail(&format!("no answer {times}")), now)
            }
            Event::Cancel => self.done(Outcome::new(Code::Cancelled, Phase::Recv), now),
            _ => Step::Do(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;

//! UDP: something is sent, and then something comes back, or at least nothing bad does.
//!
//! Without [`with_reply`](UdpProbe::with_reply) silence passes, as in keepalived's `UDP_CHECK`:
//! only an ICMP error fails. Three things to know then:
//!
//! - A dead host passes until its neighbour entry has run out, which takes about 3 s: give the
//!   attempt at least 4 s.
//! - Kernels send only about one ICMP error per second and destination, so of many checks of dead
//!   ports on one machine some pass.
//! - A firewall that drops passes for ever.
//!
//! So prefer a request that is answered. For DNS there is [`DnsProbe`](super::dns::DnsProbe); for what
//! has to be asked anew each time [`ExchangeProbe`], with NTP, RADIUS, SIP, SNMP and QUIC among the
//! [presets](super::preset).

mod exchange;

use core::net::{IpAddr, SocketAddr};

pub use self::exchange::{Answer, Exchange, ExchangeProbe};
use super::expect::{Found, Matcher, printable};
use super::masked::MaskedBytes;
use super::{Action, Engine, Event, Identity, Probe, Step, Transport, failure};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase, Timing};
use crate::target::Target;

/// What is sent unless something else is asked for: 32 bytes.
const PAYLOAD: &[u8; 32] = b"health check over UDP, no answer";

/// The longest payload, over IPv4 without options.
const LONGEST: usize = 65_507;

/// Sends a datagram and judges what comes back.
///
/// ```
/// use lvs_healthcheck::Target;
/// use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
///
/// // NTP: a client's request of 48 bytes, and a server's answer (mode 4).
/// let mut request = [0; 48];
/// request[0] = 0x23;
/// let probe = UdpProbe::new(Target::new("192.0.2.7:123".parse()?))
///     .with_payload(request)
///     .with_reply(Reply::any().with_length(48, 468).with_pattern("X4|XC".parse()?));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct UdpProbe {
    target: Target,
    payload: Box<[u8]>,
    reply: Option<Reply>,
    from: Sender,
}

impl UdpProbe {
    /// Sends 32 bytes of text and wants no answer.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            payload: PAYLOAD.as_slice().into(),
            reply: None,
            from: Sender::Target,
        }
    }

    /// Sends this, up to 65,507 bytes; may be empty.
    pub fn with_payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into().into();
        self
    }

    /// Wants an answer, and this one. Default: none, and silence passes.
    pub fn with_reply(mut self, reply: Reply) -> Self {
        self.reply = Some(reply);
        self
    }

    /// Takes the answer from whatever address it comes, and says which it was if it is not the one
    /// that was asked.
    ///
    /// Servers with several addresses that do not look after it answer from another one, with
    /// direct routing for instance from their own instead of the virtual one: a fault in the
    /// server's settings, which clients do not forgive. From others than the target only what is as
    /// [wanted](Self::with_reply) is taken for an answer, so want more than
    /// [anything](Reply::any); better still, [name them](Self::with_reply_from).
    pub fn with_reply_from_any(mut self) -> Self {
        self.from = Sender::Any;
        self
    }

    /// Takes the answer also from these addresses, at the target's port, and says which it was: with
    /// direct routing the server's own when its virtual address is asked, or the reverse.
    pub fn with_reply_from(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.from = Sender::These(addresses.into_iter().collect());
        self
    }
}

/// Whose answer is taken.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Sender {
    /// Only that of who was asked.
    Target,
    /// Also that of these.
    These(Vec<IpAddr>),
    /// Anybody's.
    Any,
}

/// An answer a [`UdpProbe`] wants.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[must_use]
pub struct Reply {
    length: Option<(usize, usize)>,
    pattern: Option<MaskedBytes>,
    agreed: Option<MaskedBytes>,
    matcher: Option<Matcher>,
}

impl Reply {
    /// Any answer at all.
    pub fn any() -> Self {
        Self::default()
    }

    /// Of this length in bytes, from and to; keepalived's `min_reply_length` and
    /// `max_reply_length`, which are 0 and 255 there. Default: any.
    pub const fn with_length(mut self, min: usize, max: usize) -> Self {
        self.length = Some((min, max));
        self
    }

    /// That begins like this.
    pub fn with_pattern(mut self, pattern: MaskedBytes) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// That begins like this as far as it goes, keepalived's `require_reply`: see
    /// [`MaskedBytes::agrees`].
    pub fn with_agreement(mut self, pattern: MaskedBytes) -> Self {
        self.agreed = Some(pattern);
        self
    }

    /// In which this is found.
    pub fn with_matcher(mut self, matcher: Matcher) -> Self {
        self.matcher = Some(matcher);
        self
    }

    /// Why an answer is not the wanted one.
    fn refuse(&self, bytes: &[u8]) -> Option<String> {
        if let Some((min, max)) = self.length {
            if !(min..=max).contains(&bytes.len()) {
                return Some(format!(
                    "expected {min} to {max} bytes, got {}",
                    bytes.len()
                ));
            }
        }
        let got = || printable(bytes);
        let pattern = self.pattern.as_ref().filter(|it| !it.begins(bytes));
        let agreed = self.agreed.as_ref().filter(|it| !it.agrees(bytes));
        if let Some(pattern) = pattern.or(agreed) {
            return Some(format!("expected {pattern}, got {}", got()));
        }
        let matcher = self.matcher.as_ref();
        let wrong = matcher.filter(|matcher| !matches!(matcher.find(bytes, true), Found::Yes(_)));
        wrong.map(|matcher| format!("expected {matcher}, got {}", got()))
    }
}

impl Probe for UdpProbe {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(UdpEngine {
            probe: self.clone(),
            attempt: *attempt,
            timing: Timing::default(),
            ignored: None,
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.target.validate()?;
        if self.payload.len() > LONGEST {
            let length = format!("{} bytes", self.payload.len());
            return Err(Invalid::new(
                "payload",
                length,
                "must be at most 65507 bytes",
            ));
        }
        let length = self.reply.as_ref().and_then(|reply| reply.length);
        if let Some((min, max)) = length.filter(|(min, max)| min > max) {
            let both = format!("{min} to {max}");
            return Err(Invalid::new(
                "length",
                both,
                "must not end before it begins",
            ));
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
struct UdpEngine {
    probe: UdpProbe,
    attempt: Attempt,
    timing: Timing,
    /// What somebody else said who was not asked.
    ignored: Option<String>,
}

impl UdpEngine {
    fn done(&mut self, outcome: Outcome, now: Timestamp) -> Step {
        self.timing.total = Some(now.saturating_sub(self.attempt.started));
        Step::Done(outcome.with_timing(self.timing))
    }

    /// Judges what the target says, and what somebody else says if that may be its answer.
    fn judge(&mut self, bytes: &[u8], from: SocketAddr, now: Timestamp) -> Step {
        let asked = self.probe.target.address();
        // A link-local address comes with the device as its scope, which may be asked for without.
        let by_target = (from.ip(), from.port()) == (asked.ip(), asked.port());
        let may_be = match &self.probe.from {
            Sender::Target | Sender::Any => true,
            Sender::These(others) => from.port() == asked.port() && others.contains(&from.ip()),
        };
        let reply = self.probe.reply.as_ref();
        let refused = reply.and_then(|reply| reply.refuse(bytes));
        if !by_target && (!may_be || refused.is_some()) {
            let why = refused.unwrap_or_else(|| "not one of those who may answer".to_owned());
            self.ignored
                .get_or_insert_with(|| format!("heard {from}: {why}"));
            return Step::Do(Vec::new());
        }
        let passed = now.saturating_sub(self.attempt.started);
        self.timing.first_byte.get_or_insert(passed);
        let outcome = match refused {
            Some(why) => Outcome::new(Code::Content, Phase::Match).with_detail(&why),
            None if by_target => Outcome::new(Code::Ok, Phase::Match),
            None => {
                Outcome::new(Code::Ok, Phase::Match).with_detail(&format!("answered from {from}"))
            }
        };
        self.done(outcome, now)
    }
}

impl Engine for UdpEngine {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(vec![Action::Connect {
            target: self.probe.target.clone(),
            transport: Transport::Udp {
                from_any: self.probe.from != Sender::Target,
            },
        }])
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        match event {
            Event::Connected => {
                let payload = self.probe.payload.to_vec();
                Step::Do(vec![Action::Read, Action::Send(payload)])
            }
            Event::Datagram { bytes, from } => self.judge(bytes, from, now),
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
            Event::Deadline if self.probe.reply.is_none() => {
                let silence = Outcome::new(Code::Ok, Phase::Recv);
                self.done(silence.with_detail("no answer, and none wanted"), now)
            }
            Event::Deadline => {
                let ignored = self.ignored.take().unwrap_or_default();
                let outcome = Outcome::new(Code::TimeoutIo, Phase::Recv);
                self.done(outcome.with_detail(&ignored), now)
            }
            Event::Cancel => self.done(Outcome::new(Code::Cancelled, Phase::Recv), now),
            _ => Step::Do(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::{Errno, IcmpError};
    use super::*;
    use crate::policy::Health;

    const START: Timestamp = Duration::from_secs(50);

    fn probe() -> UdpProbe {
        UdpProbe::new(Target::new("192.0.2.7:53".parse().unwrap()))
    }

    fn after(probe: &UdpProbe, event: Event<'_>) -> Option<Outcome> {
        let attempt = Attempt::new(1, START, Duration::from_secs(3), None, Health::Up);
        let mut engine = probe.engine(&attempt);
        assert!(matches!(engine.start(START), Step::Do(actions) if actions.len() == 1));
        let step = engine.on_event(Event::Connected, START);
        assert!(matches!(&step, Step::Do(actions) if matches!(
            &actions[..], [Action::Read, Action::Send(sent)] if *sent == *probe.payload
        )));
        match engine.on_event(event, START) {
            Step::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    fn answered(probe: &UdpProbe, bytes: &[u8], from: &str) -> Outcome {
        let from = from.parse().unwrap();
        after(probe, Event::Datagram { bytes, from }).unwrap()
    }

    #[test]
    fn silence_passes_unless_an_answer_is_wanted() {
        assert_eq!(after(&probe(), Event::Deadline).unwrap().code, Code::Ok);
        let strict = probe().with_reply(Reply::any());
        assert_eq!(
            after(&strict, Event::Deadline).unwrap().code,
            Code::TimeoutIo
        );
    }

    #[test]
    fn network_error_fails_and_one_about_something_else_is_ignored() {
        let error = |kind, code| {
            let from = "192.0.2.7".parse().unwrap();
            Event::Icmp(IcmpError::new(kind, code, from, Errno::from_raw(111)))
        };
        assert_eq!(after(&probe(), error(3, 3)).unwrap().code, Code::Refused);
        assert_eq!(
            after(&probe(), error(11, 0)).unwrap().code,
            Code::Unreachable
        );
        assert_eq!(after(&probe(), error(3, 4)), None);
    }

    #[test]
    fn answer_is_judged_by_length_pattern_and_text() {
        let at = "192.0.2.7:53";
        let pattern: MaskedBytes = "4X 41".parse().unwrap();
        let reply = Reply::any().with_length(2, 4).with_pattern(pattern);
        let probe = probe().with_reply(reply.with_matcher(Matcher::contains("A")));
        assert_eq!(answered(&probe, b"AA", at).code, Code::Ok);
        for (bytes, detail) in [
            (&b"A"[..], "expected 2 to 4 bytes, got 1"),
            (b"AABBC", "expected 2 to 4 bytes, got 5"),
            (b"xA", r#"expected 4X 41, got "xA""#),
        ] {
            let outcome = answered(&probe, bytes, at);
            assert_eq!(
                (outcome.code, outcome.detail.as_str()),
                (Code::Content, detail)
            );
        }
    }

    #[test]
    fn answer_from_elsewhere_is_named() {
        let outcome = answered(&probe().with_reply_from_any(), b"x", "192.0.2.8:53");
        assert_eq!(outcome.code, Code::Ok);
        assert_eq!(outcome.detail.as_str(), "answered from 192.0.2.8:53");
    }

    #[test]
    fn what_others_say_counts_only_as_the_wanted_answer() {
        let wanted = probe().with_reply(Reply::any().with_matcher(Matcher::contains("pong")));
        let any = wanted.clone().with_reply_from_any();
        let real = wanted.with_reply_from(["192.0.2.8".parse().unwrap()]);
        let attempt = Attempt::new(1, START, Duration::from_secs(3), None, Health::Up);
        for (probe, stranger) in [(any, "192.0.2.9:9"), (real, "192.0.2.8:54")] {
            let mut engine = probe.engine(&attempt);
            let mut heard = |bytes: &[u8], from: &str| {
                let from = from.parse().unwrap();
                match engine.on_event(Event::Datagram { bytes, from }, START) {
                    Step::Done(outcome) => Some(outcome),
                    _ => None,
                }
            };
            assert_eq!(heard(b"spam", stranger), None);
            assert_eq!(heard(b"spam", "192.0.2.8:53"), None, "not the answer");
            let outcome = heard(b"pong", "192.0.2.8:53").unwrap();
            assert_eq!(outcome.detail.as_str(), "answered from 192.0.2.8:53");
            let mut engine = probe.engine(&attempt);
            let from = stranger.parse().unwrap();
            let spam = Event::Datagram {
                bytes: b"spam",
                from,
            };
            let _ = engine.on_event(spam, START);
            let Step::Done(outcome) = engine.on_event(Event::Deadline, START) else {
                panic!("goes on")
            };
            assert_eq!(outcome.code, Code::TimeoutIo);
            let heard = format!("heard {stranger}: expected");
            assert!(outcome.detail.as_str().starts_with(&heard), "{outcome}");
        }
        let wrong = probe().with_reply(Reply::any().with_length(9, 9));
        let outcome = answered(&wrong.with_reply_from([]), b"x", "192.0.2.7:53");
        assert_eq!(outcome.code, Code::Content, "the target itself");
    }

    #[test]
    fn scope_of_the_device_makes_no_other_address() {
        let target = Target::new("[fe80::1]:53".parse().unwrap()).with_device("eth0");
        let outcome = answered(&UdpProbe::new(target), b"x", "[fe80::1%2]:53");
        assert_eq!((outcome.code, outcome.detail.as_str()), (Code::Ok, ""));
    }

    #[test]
    fn what_cannot_be_sent_or_come_is_refused() {
        let probe = probe();
        let large = probe.clone().with_payload(vec![0; 65_508]);
        assert_eq!(large.validate().unwrap_err().field, "payload");
        let never = probe.with_reply(Reply::any().with_length(3, 2));
        assert_eq!(never.validate().unwrap_err().field, "length");
    }
}

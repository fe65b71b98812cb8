//! ICMP echo: the host answers, which says nothing about the service on it.
//!
//! So let it be [advisory](crate::aggregate::Role::Advisory) where something better can be asked.
//! It cannot be used through a virtual address that this host has itself: the kernel would answer.
//!
//! Works without privileges if a group of this process is in `net.ipv4.ping_group_range`, and with
//! `CAP_NET_RAW`.

use core::net::IpAddr;
use core::time::Duration;

use super::{Action, Engine, Event, Identity, Probe, Step, Transport, failure};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase, Timing};
use crate::target::Target;

/// Type, code, checksum, identifier, sequence number: RFC 792, RFC 4443 §4.1.
const HEADER: usize = 8;

/// By what our messages are told from those of others on a raw socket.
const COOKIE: usize = 8;

/// The longest echo over IPv4 without options.
const LONGEST: usize = 65_507;

/// Sends echo requests and counts the replies.
///
/// ```
/// use lvs_healthcheck::Target;
/// use lvs_healthcheck::probe::icmp::IcmpProbe;
///
/// // Two of three must come back.
/// let probe = IcmpProbe::new("192.0.2.7".parse()?).with_count(3).with_min_replies(2);
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct IcmpProbe {
    target: Target,
    count: u16,
    min_replies: u16,
    spacing: Duration,
    size: usize,
}

impl IcmpProbe {
    /// One request with 56 bytes of data.
    pub const fn new(address: IpAddr) -> Self {
        // An address needs a port, which is not used.
        let address = core::net::SocketAddr::new(address, 1);
        Self {
            target: Target::new(address),
            count: 1,
            min_replies: 1,
            spacing: Duration::from_millis(200),
            size: 56,
        }
    }

    /// With source address, device, mark and so on of this target; its port is not used.
    pub fn with_target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// How many requests are sent, 1 to 1000, unless enough replies come before. Default 1.
    pub const fn with_count(mut self, count: u16) -> Self {
        self.count = count;
        self
    }

    /// How many replies are needed, 1 to the count. Default 1.
    pub const fn with_min_replies(mut self, count: u16) -> Self {
        self.min_replies = count;
        self
    }

    /// The time from one request to the next. Default 200 ms.
    pub const fn with_spacing(mut self, spacing: Duration) -> Self {
        self.spacing = spacing;
        self
    }

    /// How many bytes of data a request has, 8 to 65,507. Default 56; keepalived's is 128.
    pub const fn with_size(mut self, bytes: usize) -> Self {
        self.size = bytes;
        self
    }
}

impl Probe for IcmpProbe {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(Pinging {
            probe: self.clone(),
            attempt: *attempt,
            timing: Timing::default(),
            sent: 0,
            heard: Vec::new(),
            next: Timestamp::MAX,
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.target.validate()?;
        if !(1..=1000).contains(&self.count) {
            return Err(Invalid::new(
                "count",
                self.count.to_string(),
                "must be 1 to 1000",
            ));
        }
        if !(1..=self.count).contains(&self.min_replies) {
            let value = self.min_replies.to_string();
            return Err(Invalid::new("min_replies", value, "must be 1 to the count"));
        }
        if !(COOKIE..=LONGEST).contains(&self.size) {
            return Err(Invalid::new(
                "size",
                self.size.to_string(),
                "must be 8 to 65507 bytes",
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
struct Pinging {
    probe: IcmpProbe,
    attempt: Attempt,
    timing: Timing,
    /// How many requests are out.
    sent: u16,
    /// The numbers of the requests that were answered.
    heard: Vec<u16>,
    /// When the next request is due.
    next: Timestamp,
}

impl Pinging {
    fn done(&mut self, outcome: Outcome, now: Timestamp) -> Step {
        self.timing.total = Some(now.saturating_sub(self.attempt.started));
        Step::Done(outcome.with_timing(self.timing))
    }

    /// Sends the next request, and asks to be told when another one is due.
    fn ask(&mut self, now: Timestamp) -> Step {
        let v4 = self.probe.target.address().is_ipv4();
        let mut message = vec![if v4 { 8 } else { 128 }, 0, 0, 0];
        // For raw sockets; the kernel puts its own identifier into what others send.
        let [.., high, low] = self.attempt.random.to_be_bytes();
        message.extend([high, low]);
        message.extend_from_slice(&self.sent.to_be_bytes());
        message.extend_from_slice(&self.attempt.random.to_be_bytes());
        message.resize(HEADER.saturating_add(self.probe.size), 0);
        if v4 {
            let sum = checksum(&message).to_be_bytes();
            if let Some(place) = message.get_mut(2..4) {
                place.copy_from_slice(&sum);
            }
        }
        self.sent = self.sent.saturating_add(1);
        self.next = if self.sent < self.probe.count {
            now.saturating_add(self.probe.spacing)
        } else {
            Timestamp::MAX
        };
        let deadline = self.next.min(self.attempt.deadline);
        Step::Do(vec![Action::Send(message), Action::SetDeadline(deadline)])
    }

    /// Takes a message; whatever is no new reply to one of our requests is somebody else's.
    fn take(&mut self, message: &[u8], now: Timestamp) -> Step {
        let reply = if self.probe.target.address().is_ipv4() {
            0
        } else {
            129
        };
        let cookie = message.get(HEADER..HEADER.saturating_add(COOKIE));
        let ours = cookie == Some(&self.attempt.random.to_be_bytes());
        let number = message.get(6..8).and_then(|bytes| bytes.try_into().ok());
        let number = number.map(u16::from_be_bytes);
        let Some(number) = number.filter(|number| {
            let new = *number < self.sent && !self.heard.contains(number);
            ours && new && message.first() == Some(&reply)
        }) else {
            return Step::Do(Vec::new());
        };
        let passed = now.saturating_sub(self.attempt.started);
        self.timing.first_byte.get_or_insert(passed);
        self.heard.push(number);
        if self.heard.len() < usize::from(self.probe.min_replies) {
            return Step::Do(Vec::new());
        }
        self.done(Outcome::new(Code::Ok, Phase::Match), now)
    }
}

/// The checksum of RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u16::from_be_bytes([high, low]),
        [last] => u16::from_be_bytes([last, 0]),
        _ => 0,
    });
    let mut sum = words.map(u32::from).fold(0_u32, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

impl Engine for Pinging {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(vec![Action::Connect {
            target: self.probe.target.clone(),
            transport: Transport::Icmp,
        }])
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        match event {
            Event::Connected => match self.ask(now) {
                Step::Do(mut actions) => {
                    actions.insert(0, Action::Read);
                    Step::Do(actions)
                }
                other => other,
            },
            Event::Datagram { bytes, .. } => self.take(bytes, now),
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
            Event::Deadline if now < self.attempt.deadline && now >= self.next => self.ask(now),
            Event::Deadline => {
                let (heard, sent) = (self.heard.len(), self.sent);
                let wanted = self.probe.min_replies;
                let detail = format!("{heard} replies to {sent} requests, {wanted} wanted");
                let outcome = Outcome::new(Code::TimeoutIo, Phase::Recv);
                self.done(outcome.with_detail(&detail), now)
            }
            Event::Cancel => self.done(Outcome::new(Code::Cancelled, Phase::Recv), now),
            _ => Step::Do(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Health;

    const START: Timestamp = Duration::from_secs(50);
    const SECOND: Duration = Duration::from_secs(1);

    fn probe() -> IcmpProbe {
        IcmpProbe::new("192.0.2.7".parse().unwrap())
    }

    fn engine(probe: &IcmpProbe) -> Box<dyn Engine> {
        let attempt = Attempt::new(1, START, 3 * SECOND, None, Health::Up).with_random(7);
        let mut engine = probe.engine(&attempt);
        assert!(matches!(engine.start(START), Step::Do(actions) if actions.len() == 1));
        engine
    }

    /// What is sent after this event, and when the engine wants to be told that time is up.
    fn sent(
        engine: &mut Box<dyn Engine>,
        event: Event<'_>,
        now: Timestamp,
    ) -> (Vec<u8>, Timestamp) {
        let Step::Do(actions) = engine.on_event(event, now) else {
            panic!("done")
        };
        let mut found = (Vec::new(), Timestamp::ZERO);
        for action in actions {
            match action {
                Action::Send(message) => found.0 = message,
                Action::SetDeadline(deadline) => found.1 = deadline,
                Action::Read => {}
                other => panic!("{other:?}"),
            }
        }
        found
    }

    fn heard(engine: &mut Box<dyn Engine>, bytes: &[u8], now: Timestamp) -> Option<Outcome> {
        let from = "192.0.2.7:0".parse().unwrap();
        match engine.on_event(Event::Datagram { bytes, from }, now) {
            Step::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// What comes back for a request.
    fn reply_to(request: &[u8]) -> Vec<u8> {
        let mut reply = request.to_vec();
        *reply.first_mut().unwrap() = 0;
        reply
    }

    #[test]
    fn request_is_complete_and_its_reply_passes() {
        let mut engine = engine(&probe());
        let (request, deadline) = sent(&mut engine, Event::Connected, START);
        assert_eq!((request.len(), deadline), (64, START + 3 * SECOND));
        assert_eq!(checksum(&request), 0, "over itself");
        let outcome = heard(&mut engine, &reply_to(&request), START + SECOND).unwrap();
        assert_eq!(outcome.code, Code::Ok);
        assert_eq!(outcome.timing.first_byte, Some(SECOND));
    }

    #[test]
    fn other_messages_are_ignored() {
        let mut engine = engine(&probe());
        let (request, _) = sent(&mut engine, Event::Connected, START);
        assert_eq!(
            heard(&mut engine, &request, START),
            None,
            "the request itself"
        );
        let mut other = reply_to(&request);
        *other.get_mut(15).unwrap() ^= 1;
        assert_eq!(heard(&mut engine, &other, START), None, "another's cookie");
        let mut later = reply_to(&request);
        *later.get_mut(7).unwrap() = 1;
        assert_eq!(heard(&mut engine, &later, START), None, "not sent yet");
        for cut in 0..16 {
            let short = reply_to(&request);
            assert_eq!(heard(&mut engine, short.get(..cut).unwrap(), START), None);
        }
    }

    #[test]
    fn requests_are_spaced_and_a_reply_counts_once() {
        let probe = probe()
            .with_count(3)
            .with_min_replies(2)
            .with_spacing(SECOND);
        let mut engine = engine(&probe);
        let (first, deadline) = sent(&mut engine, Event::Connected, START);
        assert_eq!(deadline, START + SECOND);
        assert_eq!(heard(&mut engine, &reply_to(&first), START), None);
        assert_eq!(
            heard(&mut engine, &reply_to(&first), START),
            None,
            "a duplicate"
        );
        let (second, deadline) = sent(&mut engine, Event::Deadline, START + SECOND);
        assert_eq!(deadline, START + 2 * SECOND);
        assert_ne!(first, second);
        let outcome = heard(&mut engine, &reply_to(&second), START + SECOND).unwrap();
        assert_eq!(outcome.code, Code::Ok);
    }

    #[test]
    fn too_few_replies_fail_at_the_deadline() {
        let probe = probe()
            .with_count(2)
            .with_min_replies(2)
            .with_spacing(SECOND);
        let mut engine = engine(&probe);
        let (first, _) = sent(&mut engine, Event::Connected, START);
        assert_eq!(heard(&mut engine, &reply_to(&first), START), None);
        let (_, deadline) = sent(&mut engine, Event::Deadline, START + SECOND);
        assert_eq!(deadline, START + 3 * SECOND, "no further request");
        let Step::Done(outcome) = engine.on_event(Event::Deadline, START + 3 * SECOND) else {
            panic!("not done")
        };
        assert_eq!(outcome.code, Code::TimeoutIo);
        assert_eq!(outcome.detail.as_str(), "1 replies to 2 requests, 2 wanted");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (probe, field) in [
            (probe().with_count(0), "count"),
            (probe().with_count(1001), "count"),
            (probe().with_min_replies(2), "min_replies"),
            (probe().with_min_replies(0), "min_replies"),
            (probe().with_size(7), "size"),
            (probe().with_size(65_508), "size"),
        ] {
            assert_eq!(probe.validate().unwrap_err().field, field);
        }
        assert_eq!(probe().validate(), Ok(()));
    }
}

//! Any answers to the questions over UDP that are others each time.

use core::net::SocketAddr;
use core::time::Duration;

use lvs_healthcheck::outcome::{Detail, Timing};
use lvs_healthcheck::probe::preset::{Ntp, Quic, Radius, Sip, Snmp};
use lvs_healthcheck::probe::udp::{Exchange, ExchangeProbe};
use lvs_healthcheck::probe::{Action, Engine, Event, Step, Transport};
use lvs_healthcheck::{Attempt, Code, Health, Outcome, Probe, Target};
use md5::{Digest, Md5};

/// When everything happens but what happens at a deadline.
const NOW: Duration = Duration::from_secs(100);

/// When the attempt's time is over.
const DEADLINE: Duration = Duration::from_secs(103);

/// What makes the question; what makes that of somebody else.
const RANDOM: u64 = 0x1234_5678_9abc_def0;
const OTHER: u64 = 0x2143_6587_a9cb_ed0f;

const SERVER: &str = "192.0.2.7:7";

#[derive(Clone, Copy, Debug)]
enum Kind {
    Ntp { max_stratum: u8 },
    Radius { secret: &'static str },
    Sip { max_status: u16 },
    Snmp { version: u8 },
    Quic,
}

impl Kind {
    const fn new(number: u8, other: bool) -> Self {
        match number % 5 {
            0 => Self::Ntp {
                max_stratum: if other { 3 } else { 15 },
            },
            // The longer one is hashed before it is a key.
            1 => Self::Radius {
                secret: match other {
                    true => {
                        "a secret of more than sixty-four bytes, which is what a block of MD5 has"
                    }
                    false => "secret",
                },
            },
            2 => Self::Sip {
                max_status: if other { 499 } else { 299 },
            },
            3 => Self::Snmp {
                version: if other { 0 } else { 1 },
            },
            _ => Self::Quic,
        }
    }

    fn probe(self, tries: u8) -> Box<dyn Probe> {
        fn over<E: Exchange + Clone + 'static>(exchange: E, tries: u8) -> Box<dyn Probe> {
            let target = Target::new(SERVER.parse().unwrap());
            Box::new(ExchangeProbe::new(target, exchange).with_tries(tries))
        }
        match self {
            Self::Ntp { max_stratum } => over(Ntp::new().with_max_stratum(max_stratum), tries),
            Self::Radius { secret } => over(Radius::new(secret), tries),
            Self::Sip { max_status } => over(Sip::new().with_status(200..=max_status), tries),
            Self::Snmp { version: 0 } => over(Snmp::new("public").with_version_1(), tries),
            Self::Snmp { .. } => over(Snmp::new("public"), tries),
            Self::Quic => over(Quic::new(), tries),
        }
    }

    /// An answer to this question, and whether it is a good one.
    fn answer(self, question: &[u8], said: &[u8]) -> (Vec<u8>, bool) {
        let (first, second) = (byte(said, 0), byte(said, 1));
        match self {
            Self::Ntp { max_stratum } => {
                let mut packet = said.to_vec();
                packet.resize(said.len().max(48), 0);
                packet[0] = first & 0xf8 | 4;
                packet[24..32].copy_from_slice(&question[40..48]);
                let good = (1..=max_stratum).contains(&second) && first >> 6 != 3;
                (packet, good)
            }
            Self::Radius { secret } => {
                let attributes = said.get(1..).unwrap_or_default();
                let length = u16::try_from(20 + attributes.len()).unwrap_or(u16::MAX);
                let [high, low] = length.to_be_bytes();
                let head = [first, question[1], high, low];
                // What is beyond the length belongs to nobody.
                let signed = &attributes[..usize::from(length) - 20];
                let proof = Md5::new_with_prefix(head)
                    .chain_update(&question[4..20])
                    .chain_update(signed)
                    .chain_update(secret)
                    .finalize();
                let packet = [&head[..], &proof[..], attributes].concat();
                (packet, [2, 3, 5, 11].contains(&first) && length <= 4096)
            }
            Self::Sip { max_status } => {
                let status = 100 + u16::from_be_bytes([first, second]) % 600;
                let mut rest = said
                    .get(2..)
                    .unwrap_or_default()
                    .splitn(2, |at| *at == b'\n');
                let (reason, rest) = (rest.next().unwrap(), rest.next().unwrap_or_default());
                let question = core::str::from_utf8(question).unwrap();
                let via = question.lines().find(|line| line.starts_with("Via: "));
                let line = format!("SIP/2.0 {status} ");
                let via = format!("\n{}\n", via.unwrap());
                let answer = [line.as_bytes(), reason, via.as_bytes(), rest].concat();
                (answer, (200..=max_status).contains(&status))
            }
            Self::Snmp { version } => {
                // Before the name there are number, error and index, of 4, 1 and 1 bytes.
                let number = &question[question.len() - 26..question.len() - 22];
                let name = &question[question.len() - 12..question.len() - 2];
                let (long, value) = (byte(said, 2), said.get(3..).unwrap_or_default());
                let value = tlv(second, value, long);
                let list = tlv(0x30, &tlv(0x30, &[name, &value].concat(), long), long);
                let number = tlv(2, number, long);
                let response = [&number, &*tlv(2, &[first], long), &[2, 1, 0], &list].concat();
                let mut message = [&[2, 1, version], &*tlv(4, b"public", long)].concat();
                message.extend(tlv(0xa2, &response, long));
                (tlv(0x30, &message, long), first == 0 && second == 0x43)
            }
            Self::Quic => {
                // Both identifiers, which change places, with their lengths.
                let (theirs, ours) = (&question[5..14], &question[14..23]);
                let versions = said.get(1..).unwrap_or_default();
                let answer = [&[first | 0x80, 0, 0, 0, 0], ours, theirs, versions].concat();
                (answer, !versions.is_empty() && versions.len() % 4 == 0)
            }
        }
    }
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// A value in BER, its length in one of four ways, more than are needed if need be.
fn tlv(kind: u8, value: &[u8], long: u8) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap();
    let bytes = length.to_be_bytes();
    let mut out = vec![kind];
    match (long % 4, length) {
        (0, 0..=127) => out.push(bytes[3]),
        (0 | 1, 0..=255) => out.extend([0x81, bytes[3]]),
        (3, _) => out.extend([&[0x84], &bytes[..]].concat()),
        _ => out.extend([0x83, bytes[1], bytes[2], bytes[3]]),
    }
    out.extend_from_slice(value);
    out
}

/// One attempt, which has asked.
struct Client {
    engine: Box<dyn Engine>,
    question: Vec<u8>,
    /// When it wants to be told that time has passed.
    next: Duration,
}

impl Client {
    fn ask(probe: &dyn Probe, random: u64) -> Self {
        let timeout = DEADLINE - NOW;
        let attempt = Attempt::new(1, NOW, timeout, None, Health::Unknown).with_random(random);
        let mut engine = probe.engine(&attempt);
        let Step::Do(actions) = engine.start(NOW) else {
            panic!("an end before the beginning")
        };
        let [Action::Connect { transport, .. }] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        assert!(matches!(transport, Transport::Udp { .. }), "{transport:?}");
        let Step::Do(actions) = engine.on_event(Event::Connected, NOW) else {
            panic!("an end before an answer")
        };
        let [
            Action::Read,
            Action::Send(question),
            Action::SetDeadline(next),
        ] = &actions[..]
        else {
            panic!("{actions:?}")
        };
        let (question, next) = (question.clone(), *next);
        assert!((NOW..=DEADLINE).contains(&next), "{next:?}");
        Self {
            engine,
            question,
            next,
        }
    }

    /// What this datagram amounts to, if it is taken for an answer.
    fn hear(&mut self, bytes: &[u8]) -> Option<Outcome> {
        let from: SocketAddr = SERVER.parse().unwrap();
        match self.engine.on_event(Event::Datagram { bytes, from }, NOW) {
            Step::Done(outcome) => {
                let detail = outcome.detail.as_str();
                assert!(detail.len() <= Detail::MAX && !detail.chars().any(char::is_control));
                Some(outcome.with_timing(Timing::default()))
            }
            Step::Do(actions) => {
                assert!(actions.is_empty(), "{actions:?}");
                None
            }
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass, in which it asks the same again or, at the very end, gives up.
    fn wait(&mut self) -> Option<Outcome> {
        let now = self.next;
        match self.engine.on_event(Event::Deadline, now) {
            Step::Done(outcome) => {
                assert_eq!((outcome.code, now), (Code::TimeoutIo, DEADLINE));
                Some(outcome.with_timing(Timing::default()))
            }
            Step::Do(actions) => {
                let [Action::Send(again), Action::SetDeadline(next)] = &actions[..] else {
                    panic!("{actions:?}")
                };
                assert!(*again == self.question, "another question");
                assert!(now < *next && *next <= DEADLINE, "{now:?}, then {next:?}");
                self.next = *next;
                None
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The first byte says which question, how often, and what is done to the answer; the rest is said.
pub(super) fn check(data: &[u8]) {
    let traits = byte(data, 0);
    let said = data.get(1..).unwrap_or_default();
    let kind = Kind::new(traits & 7, traits & 8 != 0);
    let tries = 1 + (traits >> 4 & 1) * 2;
    let probe = kind.probe(tries);
    assert_eq!(probe.validate(), Ok(()));
    let mut client = Client::ask(&*probe, RANDOM);
    let (reply, good) = match traits >> 5 {
        // As it is.
        0 | 1 => (said.to_vec(), None),
        // An answer with another byte somewhere, or cut there.
        way @ (2 | 3) => {
            let at = usize::from(u16::from_be_bytes([byte(said, 0), byte(said, 1)]));
            let rest = said.get(3..).unwrap_or_default();
            let (mut reply, _) = kind.answer(&client.question, rest);
            let at = at % reply.len();
            if way == 2 {
                reply.truncate(at);
            } else {
                reply[at] = byte(said, 2);
            }
            (reply, None)
        }
        _ => {
            let (reply, good) = kind.answer(&client.question, said);
            (reply, Some(good))
        }
    };
    let once = client.hear(&reply);
    if let Some(good) = good {
        let passes = once.as_ref().map(|outcome| outcome.verdict.is_pass());
        // Before a final response of SIP there may be others, and RADIUS has a longest packet.
        assert!(
            passes == Some(good) || (passes.is_none() && !good),
            "{once:?}"
        );
    }

    // Before it there may be what was meant for others, and all of it while the question is repeated.
    let mut late = Client::ask(&*probe, RANDOM);
    assert!(late.question == client.question);
    let other = Client::ask(&*probe, OTHER);
    let (foreign, _) = kind.answer(&other.question, b"\x02\x02\x00\x01");
    for noise in [b"".as_slice(), b"\0", &late.question.clone(), &foreign] {
        assert_eq!(late.hear(noise), None, "{}", noise.escape_ascii());
    }
    for _ in 1..tries {
        assert_eq!(late.wait(), None);
    }
    assert_eq!(late.hear(&reply), once);
    if once.is_none() {
        assert!(late.wait().is_some(), "no end at the deadline");
        let ended = client.engine.on_event(Event::Cancel, NOW);
        assert!(matches!(ended, Step::Done(outcome) if outcome.code == Code::Cancelled));
    }
}

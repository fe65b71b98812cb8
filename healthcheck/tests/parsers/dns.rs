//! Any answers to a question, over UDP and TCP.

use core::net::SocketAddr;

use lvs_healthcheck::probe::dns::{DnsProbe, Rcode, RecordType};
use lvs_healthcheck::probe::{Action, Event, Step, Transport};
use lvs_healthcheck::{Attempt, Code, Health, Probe, Target};

use super::talk::{Input, NOW, Plan, RANDOM, compare};

/// A message and its length.
const KEPT: usize = 64 * 1024 + 2;

const KINDS: [RecordType; 8] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::MX,
    RecordType::NS,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::TXT,
    RecordType::CNAME,
];

/// The header of a question becomes that of an answer to it, so that most inputs are one.
fn answer(kind: RecordType, rest: &[u8]) -> Vec<u8> {
    let mut message = RANDOM.to_be_bytes()[..2].to_vec();
    let (head, records) = rest.split_at(rest.len().min(3));
    // Flags, one question, and as many records as are claimed.
    message.push(0x80 | head.first().copied().unwrap_or(0) & 0x03);
    message.push(head.get(1).copied().unwrap_or(0));
    message.extend([0, 1, 0, head.get(2).copied().unwrap_or(0), 0, 0, 0, 0]);
    message.extend(b"\x01a\x00");
    message.extend(kind.number().to_be_bytes());
    message.extend([0, 1]);
    message.extend(records);
    message
}

pub(super) fn check(data: &[u8]) {
    let mut input = Input(data);
    let (traits, kind) = (input.byte(), KINDS[usize::from(input.byte() % 8)]);
    let server: SocketAddr = ([192, 0, 2, 53], 53).into();
    let mut probe = DnsProbe::new(Target::new(server), "a", kind);
    if traits & 1 != 0 {
        probe = DnsProbe::keepalived(Target::new(server))
            .with_type(kind)
            .with_name("a");
    }
    if traits & 2 != 0 {
        probe = probe
            .with_any_of(["192.0.2.1", "a"])
            .with_all_of(["192.0.2.2"]);
    }
    if traits & 4 != 0 {
        probe = probe.with_rcodes([Rcode::NO_ERROR, Rcode::NX_DOMAIN, Rcode::REFUSED]);
    }
    if traits & 8 != 0 {
        probe = probe.with_min_answers(2);
    }
    assert_eq!(probe.validate(), Ok(()));
    let forged = traits & 16 == 0;
    if traits & 32 != 0 {
        let mut plan = Plan::of(&mut input);
        if forged {
            let message = answer(kind, &plan.stream);
            let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
            plan.stream = [&length.to_be_bytes()[..], &message].concat();
        }
        compare(&probe.with_tcp(), &plan, KEPT, false);
        return;
    }
    // Over UDP a message of another is as if it had not come.
    let message = if forged {
        answer(kind, input.0)
    } else {
        input.0.to_vec()
    };
    let once = over_udp(&probe, server, &[&message]);
    let noise = [
        b"".as_slice(),
        b"\x12\x34",
        b"\0\0\x80\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01",
    ];
    let [first, second, third] = noise;
    let late = over_udp(&probe, server, &[first, second, third, &message]);
    assert_eq!(once, late);
}

/// What comes of these datagrams, or that TCP is tried.
fn over_udp(probe: &DnsProbe, server: SocketAddr, messages: &[&[u8]]) -> Option<Code> {
    let timeout = core::time::Duration::from_secs(3);
    let attempt = Attempt::new(1, NOW, timeout, None, Health::Unknown).with_random(RANDOM);
    let mut engine = probe.engine(&attempt);
    assert!(matches!(engine.start(NOW), Step::Do(_)));
    assert!(matches!(
        engine.on_event(Event::Connected, NOW),
        Step::Do(_)
    ));
    for bytes in messages {
        let event = Event::Datagram {
            bytes,
            from: server,
        };
        match engine.on_event(event, NOW) {
            Step::Done(outcome) => return Some(outcome.code),
            Step::Do(actions) => {
                let tcp = |action: &Action| match action {
                    Action::Connect { transport, .. } => matches!(transport, Transport::Tcp { .. }),
                    _ => false,
                };
                if actions.iter().any(tcp) {
                    return None;
                }
                assert!(actions.is_empty(), "{actions:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    let Step::Done(outcome) = engine.on_event(Event::Deadline, attempt.deadline) else {
        panic!("no end at the deadline")
    };
    assert_eq!(outcome.code, Code::TimeoutIo);
    Some(outcome.code)
}

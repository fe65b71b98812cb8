//! Presets over UDP against whatever anybody may send: nothing panics, and nobody passes by chance.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use core::time::Duration;

use lvs_healthcheck::probe::preset::{Ntp, Quic, Sip, Snmp};
use lvs_healthcheck::probe::udp::{Answer, Exchange};
use lvs_healthcheck::{Attempt, Health};
use proptest::prelude::*;

fn attempt(random: u64) -> Attempt {
    let second = Duration::from_secs(1);
    let attempt = Attempt::new(1, second, second, None, Health::Unknown).with_random(random);
    attempt.with_server("192.0.2.7:5060".parse().unwrap(), false)
}

fn all() -> Vec<Box<dyn Exchange>> {
    vec![
        Box::new(Ntp::new()),
        Box::new(Quic::new()),
        #[cfg(feature = "radius")]
        Box::new(lvs_healthcheck::probe::preset::Radius::new("secret")),
        Box::new(Sip::new()),
        Box::new(Snmp::new("public")),
    ]
}

fn passes(exchange: &dyn Exchange, random: u64, bytes: &[u8]) -> bool {
    match exchange.examine(&attempt(random), bytes) {
        Answer::Known(outcome) => outcome.verdict.is_pass(),
        _ => false,
    }
}

proptest! {
    #[test]
    fn noise_is_no_answer(random: u64, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for exchange in all() {
            prop_assert!(!passes(&*exchange, random, &bytes), "{exchange:?}");
        }
    }

    #[test]
    fn question_that_comes_back_changed_or_not_is_no_answer(
        random: u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        whole: bool,
    ) {
        // What a request of NTP leaves open is 0.
        prop_assume!(random != 0);
        for exchange in all() {
            let mut bytes = exchange.ask(&attempt(random));
            if !whole {
                let end = cut.index(bytes.len());
                bytes.truncate(end);
            }
            for (at, value) in &changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
            }
            prop_assert!(!passes(&*exchange, random, &bytes), "{exchange:?} {bytes:x?}");
        }
    }

    #[test]
    fn questions_of_two_attempts_differ(one: u64, other: u64) {
        prop_assume!(one >> 34 != other >> 34 && one.to_be_bytes()[1..4] != other.to_be_bytes()[1..4]);
        for exchange in all() {
            let (first, second) = (exchange.ask(&attempt(one)), exchange.ask(&attempt(other)));
            prop_assert_eq!(first.clone(), exchange.ask(&attempt(one)), "repeated as it was");
            prop_assert!(first != second, "{exchange:?}");
        }
    }
}

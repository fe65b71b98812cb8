//! Virtual addresses that somebody else has removed: when they are brought back, and when that is
//! given up.
//!
//! Each is tried at once, and after a failure again after [`FIRST_WAIT`], twice that, and so on:
//! 50, 100, 200, 400 and 800 ms. With the sixth failure, after some 1.6 s, it counts as lost, and its
//! router gives way as if it could not have been installed
//! ([`Node::lose_addresses`](crate::node::Node::lose_addresses)): as long as it is Active without it, neighbours
//! send packets here that nobody takes. The first failure is told, the second, the fourth and the last.
//!
//! One that is back and is removed again comes back again, at most once in [`SPACE`].

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use crate::net::addresses::AddressKey;
use crate::timer::Timestamp;

/// How long it takes until what has failed is tried again, at first.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// With so many failures it is given up.
const LAST: u32 = 6;

/// No address is brought back twice within this time.
const SPACE: Duration = Duration::from_millis(50);

/// The addresses that are to be brought back.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    tries: BTreeMap<AddressKey, Tries>,
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It is tried then.
    Waits(Timestamp),
    /// It is being tried; whether it was removed again since.
    Runs { is_missing_again: bool },
    /// It is back, since then.
    IsBack(Timestamp),
}

/// What a failure means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    pub(super) is_told: bool,
    /// It is given up.
    pub(super) is_last: bool,
}

impl Restoring {
    /// It is not there any more.
    pub(super) fn miss(&mut self, now: Timestamp, key: AddressKey) {
        let tries = self.tries.entry(key).or_insert(Tries {
            failures: 0,
            state: State::Waits(now),
        });
        tries.state = match tries.state {
            State::Waits(at) => State::Waits(at),
            State::Runs { .. } => State::Runs {
                is_missing_again: true,
            },
            State::IsBack(since) => State::Waits(now.max(since.saturating_add(SPACE))),
        };
    }

    /// When there is something to be tried, if ever.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.tries.values().filter_map(|tries| match tries.state {
            State::Waits(at) => Some(at),
            State::Runs { .. } | State::IsBack(_) => None,
        });
        waiting.min()
    }

    /// What is to be tried now. Those that nobody wants are forgotten; what became of the others is
    /// awaited.
    pub(super) fn take_due(
        &mut self,
        now: Timestamp,
        is_wanted: impl Fn(AddressKey) -> bool,
    ) -> Vec<AddressKey> {
        let mut due = Vec::new();
        self.tries.retain(|key, tries| match tries.state {
            State::Waits(at) if at <= now && is_wanted(*key) => {
                tries.state = State::Runs {
                    is_missing_again: false,
                };
                due.push(*key);
                true
            }
            State::Waits(at) => at > now,
            State::Runs { .. } => true,
            State::IsBack(since) => now < since.saturating_add(SPACE),
        });
        due
    }

    /// It was tried, and there is nothing more to be done.
    pub(super) fn end(&mut self, now: Timestamp, key: AddressKey) {
        if let Some(tries) = self.tries.get_mut(&key) {
            tries.failures = 0;
            tries.state = match tries.state {
                State::Runs {
                    is_missing_again: true,
                } => State::Waits(now.saturating_add(SPACE)),
                _ => State::IsBack(now),
            };
        }
    }

    /// It was tried in vain.
    pub(super) fn fail(&mut self, now: Timestamp, key: AddressKey) -> Failure {
        let Some(tries) = self.tries.get_mut(&key) else {
            return Failure {
                is_told: true,
                is_last: false,
            };
        };
        let wait = FIRST_WAIT.saturating_mul(1 << tries.failures.min(LAST));
        tries.failures = tries.failures.saturating_add(1);
        let failures = tries.failures;
        tries.state = State::Waits(now.saturating_add(wait));
        let is_last = failures >= LAST;
        if is_last {
            self.tries.remove(&key);
        }
        Failure {
            is_told: is_last || failures.is_power_of_two(),
            is_last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::InterfaceIndex;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn key() -> AddressKey {
        AddressKey {
            interface: InterfaceIndex::new(2),
            address: "192.0.2.1".parse().unwrap(),
        }
    }

    /// What is tried at this time.
    fn due(restoring: &mut Restoring, now: u64) -> usize {
        restoring.take_due(ms(now), |_| true).len()
    }

    #[test]
    fn what_fails_is_tried_again_ever_more_rarely_told_now_and_then_and_given_up() {
        let mut restoring = Restoring::default();
        restoring.miss(ms(1000), key());
        let mut tried = Vec::new();
        while let Some(at) = restoring.next_due() {
            let millis = u64::try_from(at.as_millis()).unwrap();
            assert_eq!(due(&mut restoring, millis.saturating_sub(1)), 0);
            assert_eq!(due(&mut restoring, millis), 1);
            // As long as it is not known what came of it, nothing is due, whatever is told again.
            restoring.miss(at, key());
            assert_eq!(restoring.next_due(), None);
            let failure = restoring.fail(at, key());
            tried.push((millis, failure.is_told, failure.is_last));
        }
        let expected = [
            (1000, true, false),
            (1050, true, false),
            (1150, false, false),
            (1350, true, false),
            (1750, false, false),
            (2550, true, true),
        ];
        assert_eq!(tried, expected);
        // If it is missing once more, it begins anew.
        restoring.miss(ms(9000), key());
        assert_eq!(due(&mut restoring, 9000), 1);
        assert!(!restoring.fail(ms(9000), key()).is_last);
    }

    #[test]
    fn what_is_back_has_never_failed_and_is_not_brought_back_without_end() {
        let mut restoring = Restoring::default();
        restoring.miss(ms(0), key());
        for now in [0, 50, 150, 350, 750] {
            assert_eq!(due(&mut restoring, now), 1);
            assert!(!restoring.fail(ms(now), key()).is_last);
        }
        assert_eq!(due(&mut restoring, 1550), 1);
        // Somebody has removed it again before it was known that it is back.
        restoring.miss(ms(1551), key());
        restoring.end(ms(1552), key());
        assert_eq!(restoring.next_due(), Some(ms(1602)));
        assert_eq!(due(&mut restoring, 1602), 1);
        restoring.end(ms(1603), key());
        restoring.miss(ms(1604), key());
        assert_eq!(restoring.next_due(), Some(ms(1653)));
        assert_eq!(due(&mut restoring, 1653), 1);
        let failure = restoring.fail(ms(1653), key());
        assert!(failure.is_told && !failure.is_last);
        assert_eq!(restoring.next_due(), Some(ms(1703)));
        assert_eq!(due(&mut restoring, 1703), 1);
        restoring.end(ms(1704), key());
        assert_eq!(due(&mut restoring, 1754), 0);
        assert!(restoring.tries.is_empty(), "{restoring:?}");
    }

    #[test]
    fn what_nobody_wants_is_forgotten() {
        let mut restoring = Restoring::default();
        restoring.miss(ms(0), key());
        assert!(restoring.take_due(ms(0), |_| false).is_empty());
        assert!(restoring.tries.is_empty());
        // A result that comes late is told, and that is all.
        let failure = restoring.fail(ms(1), key());
        assert!(failure.is_told && !failure.is_last);
        restoring.end(ms(1), key());
        assert_eq!(restoring.next_due(), None);
    }
}

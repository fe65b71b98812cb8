//! The preset against keepalived's own rules: a flag, and a count of retries that starts as if all
//! were used up.

use core::time::Duration;

use lvs_healthcheck::policy::{Health, Keepalived, KeepalivedChecker, Machine, Policy};

use super::explore::{Expected, Letter, Model, explore};

/// Seconds.
#[derive(Clone, Copy, Debug)]
struct Delays {
    delay_loop: u64,
    before_retry: u64,
    while_down: u64,
}

#[derive(Clone, Debug)]
struct Checker {
    retry: u32,
    delays: Delays,
    is_up: bool,
    is_told: bool,
    retries: u32,
}

impl Model for Checker {
    fn step(&mut self, letter: Letter) -> Expected {
        let delays = self.delays;
        let delay = match letter {
            // "Attempt rescheduled, nothing counted."
            Letter::LocalError | Letter::Cancelled => delays.delay_loop,
            Letter::Pass | Letter::PassNoNew => {
                (self.is_up, self.retries) = (true, 0);
                delays.delay_loop
            }
            Letter::Fail if self.is_up && self.retries < self.retry => {
                self.retries += 1;
                delays.before_retry
            }
            Letter::Fail | Letter::FailNow => {
                (self.is_up, self.retries) = (false, 0);
                delays.while_down
            }
        };
        self.is_told |= !matches!(letter, Letter::LocalError);
        Expected {
            health: match (self.is_told, self.is_up) {
                (false, _) => Health::Unknown,
                (true, true) => Health::Up,
                (true, false) => Health::Down,
            },
            delay: Duration::from_secs(delay),
            counter: None,
            no_new: None,
        }
    }
}

/// Every letter keepalived knows of; it has no failure that waits for no retry, but a checker
/// without retries left is the same.
const LETTERS: [Letter; 5] = [
    Letter::Pass,
    Letter::PassNoNew,
    Letter::Fail,
    Letter::FailNow,
    Letter::LocalError,
];

#[test]
fn preset_equals_keepalived_on_all_strings_for_retry_0_to_4_with_and_without_alpha() {
    use KeepalivedChecker as Kind;

    let (mut strings, mut configurations) = (0, 0);
    for kind in [Kind::Tcp, Kind::Http, Kind::Dns, Kind::Misc] {
        for (delay_loop, before_retry) in [(60, 7), (5, 8)] {
            for retry in 0..=4 {
                for alpha in [false, true] {
                    let mut knobs = Keepalived::new();
                    knobs.delay_loop = Some(Duration::from_secs(delay_loop));
                    knobs.delay_before_retry = Some(Duration::from_secs(before_retry));
                    knobs.retry = Some(retry);
                    knobs.alpha = alpha;
                    let machine = Machine::new(Policy::keepalived(kind, &knobs)).unwrap();
                    let model = Checker {
                        retry: retry.into(),
                        delays: Delays {
                            delay_loop,
                            before_retry,
                            while_down: match kind {
                                Kind::Http => delay_loop.max(before_retry),
                                _ => delay_loop,
                            },
                        },
                        is_up: !alpha,
                        is_told: false,
                        // "Failure counter preset to retry."
                        retries: retry.into(),
                    };
                    strings += explore(&machine, &model, &LETTERS);
                    configurations += 1;
                }
            }
        }
    }
    assert_eq!(configurations, 4 * 2 * 5 * 2);
    println!("{strings} strings of 10 verdicts in {configurations} configurations");
}

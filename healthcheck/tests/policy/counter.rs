//! The machine against runs: no counter that goes up and down, only how many successes and failures
//! came in a row.

use core::time::Duration;

use lvs_healthcheck::policy::{Health, Initial, Machine, Policy};

use super::explore::{Expected, Letter, Model, explore, follow};

const INTERVAL: Duration = Duration::from_secs(10);
const FAST: Duration = Duration::from_secs(1);
const RISING: Duration = Duration::from_secs(2);
const DOWN: Duration = Duration::from_secs(30);

const INITIAL: [Initial; 7] = [
    Initial::FullyUp,
    Initial::Up1,
    Initial::Down1,
    Initial::FullyDown,
    Initial::Undecided,
    Initial::Keep { up: true },
    Initial::Keep { up: false },
];

/// What is known, in rows.
#[derive(Clone, Debug)]
struct Runs {
    rise: u32,
    fall: u32,
    /// Successes in a row it takes to come up for the first time.
    first: u32,
    /// `None` while undecided.
    up: Option<bool>,
    /// Whether any attempt said something that settled the matter.
    is_told: bool,
    was_up: bool,
    successes: u32,
    failures: u32,
    no_new: bool,
}

impl Runs {
    fn new(rise: u32, fall: u32, first: Option<u32>, initial: Initial) -> Self {
        let (up, successes, failures) = match initial {
            Initial::FullyUp => (Some(true), 0, 0),
            Initial::Up1 | Initial::Keep { up: true } => (Some(true), 0, fall - 1),
            Initial::Down1 => (Some(false), rise - 1, 0),
            Initial::FullyDown | Initial::Keep { up: false } => (Some(false), 0, 0),
            Initial::Undecided => (None, 0, 0),
            _ => panic!("{initial:?}"),
        };
        Self {
            rise,
            fall,
            first: first.unwrap_or(rise),
            up,
            is_told: false,
            was_up: false,
            successes,
            failures,
            no_new: false,
        }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.successes += 1;
        let needed = if self.was_up { self.rise } else { self.first };
        let comes_up = self.up == Some(true) || self.successes >= needed;
        if comes_up {
            (self.up, self.successes, self.was_up) = (Some(true), 0, true);
        }
        self.is_told |= self.up.is_some();
    }

    fn failed(&mut self, at_once: bool) {
        self.successes = 0;
        self.failures += 1;
        if at_once || (self.up != Some(false) && self.failures >= self.fall) {
            self.up = Some(false);
        }
        if self.up == Some(false) {
            self.failures = 0;
        }
        self.is_told |= self.up.is_some();
    }
}

impl Model for Runs {
    fn step(&mut self, letter: Letter) -> Expected {
        match letter {
            Letter::Pass | Letter::PassNoNew => self.succeeded(),
            Letter::Fail => self.failed(false),
            Letter::FailNow => self.failed(true),
            Letter::LocalError | Letter::Cancelled => {}
        }
        if !matches!(letter, Letter::LocalError | Letter::Cancelled) {
            self.no_new = letter == Letter::PassNoNew;
        }
        let counter = match self.up {
            Some(true) => self.rise + self.fall - 1 - self.failures,
            // Before the first time more may be needed than the counter has room for.
            Some(false) => self.successes.min(self.rise - 1),
            None => 0,
        };
        let (health, delay) = match (self.is_told, self.up) {
            (false, _) | (_, None) => (Health::Unknown, FAST),
            (_, Some(true)) if self.failures == 0 => (Health::Up, INTERVAL),
            (_, Some(true)) => (Health::Up, FAST),
            (_, Some(false)) if counter == 0 => (Health::Down, DOWN),
            (_, Some(false)) => (Health::Down, RISING),
        };
        Expected {
            health,
            delay: match letter {
                Letter::LocalError => INTERVAL,
                _ => delay,
            },
            counter: Some(counter),
            no_new: Some(self.no_new),
        }
    }
}

fn policy(rise: u16, fall: u16, initial: Initial) -> Policy {
    Policy::default()
        .with_rise(rise)
        .with_fall(fall)
        .with_initial(initial)
        .with_interval(INTERVAL)
        .with_fast_interval(FAST)
        .with_rising_interval(RISING)
        .with_down_interval(DOWN)
}

#[test]
fn equals_the_counter_model_on_all_strings_for_rise_and_fall_up_to_5() {
    let (mut strings, mut configurations) = (0, 0);
    for rise in 1..=5 {
        for fall in 1..=5 {
            for initial in INITIAL {
                let machine = Machine::new(policy(rise, fall, initial)).unwrap();
                let model = Runs::new(rise.into(), fall.into(), None, initial);
                strings += explore(&machine, &model, &Letter::ALL);
                configurations += 1;
            }
        }
    }
    assert_eq!(configurations, 5 * 5 * 7);
    println!("{strings} strings of 10 verdicts in {configurations} configurations");
}

#[test]
fn equals_the_counter_model_when_the_first_rise_is_another() {
    let mut strings = 0;
    for rise in 1..=4 {
        for first in 1..=5 {
            for initial in [Initial::FullyUp, Initial::FullyDown, Initial::Undecided] {
                let policy = policy(rise, 2, initial).with_rise_first(first);
                let machine = Machine::new(policy).unwrap();
                let model = Runs::new(rise.into(), 2, Some(first.into()), initial);
                strings += explore(&machine, &model, &Letter::ALL);
            }
        }
    }
    println!("{strings} strings of 10 verdicts");
}

/// The same without any cleverness, for three verdicts.
#[test]
fn equals_the_counter_model_on_strings_tried_one_by_one() {
    let letters = [Letter::Pass, Letter::Fail, Letter::LocalError];
    let mut strings = 0;
    for (rise, fall) in [(1, 2), (2, 3), (3, 1)] {
        let machine = Machine::new(policy(rise, fall, Initial::Up1)).unwrap();
        let model = Runs::new(rise.into(), fall.into(), None, Initial::Up1);
        for number in 0..3_usize.pow(10) {
            let digit = |place| number / 3_usize.pow(place) % 3;
            let string: Vec<Letter> = (0..10).map(|place| letters[digit(place)]).collect();
            follow(&machine, &model, &string);
            strings += 1;
        }
    }
    assert_eq!(strings, 3 * 59_049);
}

#[test]
fn a_check_is_small() {
    assert!(size_of::<Machine>() <= 480, "{}", size_of::<Machine>());
}

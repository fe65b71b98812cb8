//! Every string of verdicts, without trying each: two machines that go through the same pair of
//! states again behave the same again.
//!
//! [`explore`] goes through the graph of pairs (machine, model) that strings of a length can reach,
//! compares what both say at every edge, and counts how many strings run through it. A string that
//! nobody compared would be missing in the sum.

use core::fmt::Debug;
use core::time::Duration;
use std::collections::HashMap;

use lvs_healthcheck::policy::{Decision, Health, Machine};
use lvs_healthcheck::{Code, Outcome, Phase, Verdict};

/// How long strings are.
pub(super) const LENGTH: u32 = 10;

/// One letter of a string: the five verdicts, with the two ways to be neutral apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Letter {
    Pass,
    PassNoNew,
    Fail,
    FailNow,
    LocalError,
    Cancelled,
}

impl Letter {
    pub(super) const ALL: [Self; 6] = [
        Self::Pass,
        Self::PassNoNew,
        Self::Fail,
        Self::FailNow,
        Self::LocalError,
        Self::Cancelled,
    ];

    pub(super) fn outcome(self) -> Outcome {
        let outcome = |code| Outcome::new(code, Phase::Connect);
        match self {
            Self::Pass => outcome(Code::Ok),
            Self::PassNoNew => outcome(Code::OkNoNew),
            Self::Fail => outcome(Code::Refused),
            Self::FailNow => outcome(Code::Status).with_verdict(Verdict::FailNow),
            Self::LocalError => outcome(Code::LocalSocket),
            Self::Cancelled => outcome(Code::Cancelled),
        }
    }

    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Pass => Verdict::Pass,
            Self::PassNoNew => Verdict::PassNoNew,
            Self::Fail => Verdict::Fail,
            Self::FailNow => Verdict::FailNow,
            Self::LocalError | Self::Cancelled => Verdict::Neutral,
        }
    }
}

/// What a model says after a letter; `None` where it has no opinion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Expected {
    pub(super) health: Health,
    pub(super) delay: Duration,
    pub(super) counter: Option<u32>,
    pub(super) no_new: Option<bool>,
}

/// Another way to compute the same.
pub(super) trait Model: Clone + Debug {
    fn step(&mut self, letter: Letter) -> Expected;
}

fn compare(letter: Letter, decision: &Decision, expected: Expected, context: &dyn Debug) {
    let said = Expected {
        health: decision.health,
        delay: decision.delay,
        counter: expected.counter.map(|_| decision.counter),
        no_new: expected.no_new.map(|_| decision.no_new),
    };
    assert_eq!(said, expected, "after {letter:?} in {context:?}");
    assert_eq!(decision.verdict, letter.verdict());
}

/// Compares both over all strings of [`LENGTH`] letters; gives their number.
pub(super) fn explore(machine: &Machine, model: &impl Model, letters: &[Letter]) -> u64 {
    let mut places = HashMap::from([(format!("{machine:?}{model:?}"), 0_usize)]);
    let mut nodes = vec![(machine.clone(), model.clone())];
    let mut edges: Vec<Vec<usize>> = Vec::new();
    // How many strings end in each pair.
    let mut strings = vec![1_u64];
    for _ in 0..LENGTH {
        for place in edges.len()..nodes.len() {
            let mut next = Vec::new();
            for letter in letters {
                let (mut machine, mut model) = nodes.get(place).unwrap().clone();
                let decision = machine.on_outcome(&letter.outcome());
                compare(*letter, &decision, model.step(*letter), &machine);
                assert_eq!(machine.health(), decision.health);
                assert_eq!(machine.counter(), decision.counter);
                let found = nodes.len();
                let to = *places
                    .entry(format!("{machine:?}{model:?}"))
                    .or_insert(found);
                if to == found {
                    nodes.push((machine, model));
                }
                next.push(to);
            }
            edges.push(next);
        }
        let mut longer = vec![0; nodes.len()];
        for (place, count) in strings.iter().enumerate() {
            for to in edges.get(place).unwrap() {
                *longer.get_mut(*to).unwrap() += count;
            }
        }
        strings = longer;
    }
    let sum = strings.iter().sum();
    assert_eq!(
        sum,
        (letters.len() as u64).pow(LENGTH),
        "strings went missing"
    );
    sum
}

/// Compares both letter by letter over one string.
pub(super) fn follow(machine: &Machine, model: &impl Model, string: &[Letter]) {
    let (mut machine, mut model) = (machine.clone(), model.clone());
    for letter in string {
        let decision = machine.on_outcome(&letter.outcome());
        compare(*letter, &decision, model.step(*letter), &string);
    }
}

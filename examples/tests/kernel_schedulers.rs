//! The library's schedulers against the kernel's: the same scenarios, pick for pick.
//!
//! | Variable | Sets | Default |
//! |---|---|---|
//! | `SCENARIOS` | how many scenarios are generated, beside some of SCTP | 520 |
//! | `SCENARIO_FIRST` | the number of the first; the same number is the same scenario | 0 |
//! | `SCENARIO_RECORD` | a file to write them to with the kernel's picks, one a line | none |
//!
//! Runs inside a kernel with IPVS: `cargo test -p examples --test kernel_schedulers --no-run`, then
//! `.ci/guest target/debug/deps/kernel_schedulers-… --include-ignored --test-threads=1 --nocapture`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod schedulers;

use std::collections::BTreeSet;
use std::env;
use std::time::Instant;

use lvs_schedulers::scenario::Scenario;
use schedulers::compare::difference;
use schedulers::coverage::Coverage;
use schedulers::generate::{Generated, algorithms};
use schedulers::kernel::{Picks, play};
use schedulers::probe;
use schedulers::record::Record;

/// Scenarios in one namespace: a multiple of the number of schedulers.
const AT_ONCE: usize = 104;

/// The same of SCTP: entries without an answer leave the table after seconds.
const SCTP_AT_ONCE: usize = 13;

/// Every one of so many is one of SCTP.
const SCTP_SHARE: u64 = 5;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is '{text}', not a number")))
}

/// Scenarios of these numbers and the kernel's picks in them.
fn played(numbers: &[Generated]) -> Vec<(Generated, Scenario, Picks)> {
    let scenarios: Vec<_> = numbers
        .iter()
        .enumerate()
        .map(|(slot, generated)| generated.scenario(slot).with_semantics(probe::semantics()))
        .collect();
    let picks = play(&scenarios);
    let numbered = numbers.iter().copied().zip(scenarios);
    numbered
        .zip(picks)
        .map(|((generated, scenario), picks)| (generated, scenario, picks))
        .collect()
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn generated_scenarios_are_scheduled_alike() {
    probe::semantics();
    let start = Instant::now();
    let first = number("SCENARIO_FIRST").unwrap_or(0);
    let count = number("SCENARIOS").unwrap_or(520);
    let mut record = env::var_os("SCENARIO_RECORD").map(|path| Record::create(path.as_ref()));
    let mut coverage = Coverage::default();
    let mut differences = 0;
    let usual: Vec<_> = (first..first + count).map(Generated::Usual).collect();
    let sctp = (first..first + count.div_ceil(SCTP_SHARE)).map(Generated::Sctp);
    let sctp: Vec<_> = sctp.collect();
    for numbers in usual.chunks(AT_ONCE).chain(sctp.chunks(SCTP_AT_ONCE)) {
        for (generated, scenario, picks) in played(numbers) {
            coverage.add(&scenario, &picks);
            if let Some(record) = &mut record {
                record.add(&scenario, &picks);
            }
            if let Some(difference) = difference(&scenario, &picks) {
                differences += 1;
                println!("{generated:?}: {difference}\n");
            }
        }
    }
    if let Some(record) = record {
        record.finish();
    }
    println!("{coverage}; took {:?}", start.elapsed());
    assert_eq!(differences, 0, "scenarios in which the picks differ");
    if count >= 100 {
        let names = algorithms();
        let names: Vec<_> = names.iter().map(|algorithm| algorithm.name()).collect();
        coverage.require(&names, 5);
        coverage.require(&KINDS, 5);
    }
}

/// What a hundred scenarios must have had.
const KINDS: [&str; 24] = [
    "over TCP",
    "over UDP",
    "over SCTP",
    "over IPv4",
    "over IPv6",
    "by address",
    "by mark",
    "with fallback",
    "with port",
    "with persistence",
    "with a persistence mask",
    "with port 0",
    "with thresholds",
    "flows",
    "flows refused",
    "flows from port 20",
    "flows established",
    "flows closed",
    "flows expired",
    "servers added",
    "servers added again",
    "servers removed",
    "thresholds edited",
    "weights edited",
];

/// Else all of them could be equal because nothing was compared.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn the_comparison_sees_differences() {
    let algorithms = algorithms();
    let numbers: Vec<_> = (0..104).map(Generated::Usual).collect();
    let mut told_apart = BTreeSet::new();
    for (_, scenario, mut picks) in played(&numbers) {
        assert!(difference(&scenario, &picks).is_none());
        let name = scenario.algorithm().name();
        for other in &algorithms {
            let scenario = scenario.clone().with_algorithm(*other);
            if difference(&scenario, &picks).is_some() {
                told_apart.insert((name, other.name()));
            }
        }
        let last = picks.len() - 1;
        picks[last] = match picks[last] {
            Some(_) => None,
            None => Some(0),
        };
        let seen = difference(&scenario, &picks).unwrap().to_string();
        let (line, account) = (format!("flow {last}, "), format!("\n{name} "));
        assert!(seen.starts_with('{') && seen.contains(&line), "{seen}");
        let is_explained = seen.contains(&account) || seen.contains("\ntemplate ");
        assert!(is_explained, "{seen}");
    }
    for name in algorithms.iter().map(|algorithm| algorithm.name()) {
        let others = algorithms.iter().map(|algorithm| algorithm.name());
        for other in others.filter(|other| *other != name) {
            let is_told = told_apart.contains(&(name, other));
            assert!(is_told, "{name} could as well be {other}");
        }
    }
}

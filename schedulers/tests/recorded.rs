//! What running kernels picked, replayed: recorded by `examples/tests/kernel_schedulers.rs`.
//!
//! Each line of a recording is an object with the release of the kernel, a scenario whose `kernel`
//! has what was found out about that kernel, and the id of the server that each flow went to, `null`
//! where it was refused. To record anew, see `SCENARIO_RECORD` there.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use lvs_schedulers::scenario::Scenario;
use serde_json::Value;

const RECORDINGS: [(&str, &str); 2] = [
    ("6.1.176", include_str!("data/recorded/linux-6.1.176.jsonl")),
    ("7.2.7", include_str!("data/recorded/linux-7.2.7.jsonl")),
];

/// A line of a recording.
fn read(line: &str) -> (String, Scenario, Vec<Option<u32>>) {
    let value: Value = serde_json::from_str(line).unwrap();
    let picks = value["picks"].as_array().unwrap();
    let id = |pick: &Value| pick.as_u64().map(|id| u32::try_from(id).unwrap());
    let picks = picks.iter().map(|pick| {
        assert!(pick.is_u64() || pick.is_null(), "{pick}");
        id(pick)
    });
    let scenario = value["scenario"].to_string().parse().unwrap();
    let release = value["release"].as_str().unwrap().to_owned();
    (release, scenario, picks.collect())
}

#[test]
fn recorded_picks_of_kernels_are_reproduced() {
    let mut scenarios = BTreeMap::<_, usize>::new();
    for (release, recording) in RECORDINGS {
        for (line, number) in recording.lines().zip(1..) {
            let (recorded_on, scenario, picks) = read(line);
            assert_eq!(recorded_on, release);
            let replay = scenario.replay();
            let first = replay.picks().iter().zip(&picks).position(|(a, b)| a != b);
            assert!(
                replay.picks() == picks,
                "line {number} of {release}: the kernel picked {picks:?}\nand the library \
                 {replay}\nin {scenario}\nthe first flow that differs is {first:?}"
            );
            *scenarios.entry(scenario.algorithm().name()).or_default() += 1;
        }
    }
    let total: usize = scenarios.values().sum();
    assert!(total >= 100, "only {total}");
    // All but twos, which the recorded kernels are built without.
    assert_eq!(scenarios.len(), 13, "{scenarios:?}");
    assert!(scenarios.values().all(|count| *count >= 7), "{scenarios:?}");
}

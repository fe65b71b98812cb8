//! Made-up traffic: as it was ordered, the same for the same seed, kept and replayed.

use core::net::IpAddr;
use std::collections::HashMap;
use std::fs;

use lvs_schedulers::Protocol;
use lvs_schedulers::scenario::{Event, Scenario};

use crate::program::output;

/// What a run with these options writes out.
fn generated(options: &str) -> Scenario {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scenario.json");
    output(
        &format!("--generate {options} --output {}", path.display()),
        "",
    );
    Scenario::from_json(&fs::read_to_string(path).unwrap()).unwrap()
}

/// When flows began and, by flow, for how long they lasted, in seconds.
fn times(scenario: &Scenario) -> (Vec<f64>, HashMap<usize, f64>) {
    let (mut now, mut begun, mut lasted) = (0.0, Vec::new(), HashMap::new());
    for event in scenario.events() {
        match event {
            Event::Advance { by } => now += by.as_secs_f64(),
            Event::Flow { .. } => begun.push(now),
            Event::Expire { flow } => {
                lasted.insert(*flow, now - begun[*flow]);
            }
            _ => {}
        }
    }
    (begun, lasted)
}

/// How often each client comes, the most frequent first.
fn frequencies(addresses: impl Iterator<Item = IpAddr>) -> Vec<f64> {
    let mut counts = HashMap::new();
    for address in addresses {
        *counts.entry(address).or_insert(0.0) += 1.0;
    }
    let mut counts: Vec<f64> = counts.into_values().collect();
    counts.sort_by(|a: &f64, b| b.total_cmp(a));
    counts
}

fn clients(scenario: &Scenario) -> impl Iterator<Item = IpAddr> {
    scenario.events().iter().filter_map(|event| match event {
        Event::Flow { client, .. } => Some(client.ip()),
        _ => None,
    })
}

#[track_caller]
fn assert_near(value: f64, expected: f64, tolerance: f64) {
    let off = (value / expected - 1.0).abs();
    assert!(off < tolerance, "{value} is not {expected}");
}

#[test]
fn same_seed_makes_the_same_traffic_and_another_seed_another() {
    let options = "--flows 300 --duration pareto --mark";
    assert_eq!(generated(options), generated(options));
    assert_eq!(
        generated(options),
        generated(&format!("{options} --seed 0"))
    );
    assert_ne!(
        generated(options),
        generated(&format!("{options} --seed 1"))
    );
    // Other durations do not change who comes when.
    let other = generated(&format!("{options} --mean 99"));
    let same = generated(options);
    assert_eq!(times(&other).0.len(), 300);
    assert!(clients(&other).eq(clients(&same)));
}

/// The generator is the same on every machine and in every version: this is a promise.
#[test]
fn first_events_of_seed_0_stay_what_they_are() {
    let scenario = generated("--flows 3");
    let events: Vec<String> = scenario.events().iter().map(Event::to_string).collect();
    assert_eq!(events, FIRST);
}

const FIRST: [&str; 9] = [
    r#"{"op": "advance", "seconds": 0.013722}"#,
    r#"{"op": "flow", "client": "10.128.0.22:1024"}"#,
    r#"{"op": "establish", "flow": 0}"#,
    r#"{"op": "advance", "seconds": 0.013491}"#,
    r#"{"op": "flow", "client": "10.128.0.177:1025"}"#,
    r#"{"op": "establish", "flow": 1}"#,
    r#"{"op": "advance", "seconds": 0.003648}"#,
    r#"{"op": "flow", "client": "10.128.0.233:1026"}"#,
    r#"{"op": "establish", "flow": 2}"#,
];

#[test]
fn arrivals_are_poisson_at_the_rate_ordered() {
    let (begun, _) = times(&generated("--flows 20000 --rate 50 --mean 1"));
    assert_near(begun.last().unwrap() / 20_000.0, 1.0 / 50.0, 0.03);
    let pauses: Vec<f64> = begun.windows(2).map(|two| two[1] - two[0]).collect();
    // Of exponential times 1/e are longer than the mean, and the deviation equals the mean.
    let longer = pauses.iter().filter(|pause| **pause > 1.0 / 50.0).count();
    assert_near(longer as f64 / pauses.len() as f64, (-1.0_f64).exp(), 0.03);
}

#[test]
fn durations_have_the_distribution_and_the_mean_ordered() {
    // Nearly all flows end before the last one begins.
    let lasted = |options: &str| -> Vec<f64> {
        let options = format!("--flows 20000 --rate 10 --mean 4 {options}");
        times(&generated(&options)).1.into_values().collect()
    };
    let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
    let longer = |times: &[f64], than: f64| {
        times.iter().filter(|time| **time > than).count() as f64 / times.len() as f64
    };

    let exponential = lasted("");
    assert!(exponential.len() > 19_900);
    assert_near(mean(&exponential), 4.0, 0.03);
    assert_near(longer(&exponential, 8.0), (-2.0_f64).exp(), 0.06);

    let pareto = lasted("--duration pareto --shape 3");
    // Its shortest duration is mean × (shape - 1) / shape.
    let shortest = pareto.iter().copied().fold(f64::MAX, f64::min);
    assert_near(shortest, 4.0 * 2.0 / 3.0, 0.001);
    assert_near(mean(&pareto), 4.0, 0.05);
    assert_near(longer(&pareto, 8.0), (shortest / 8.0).powi(3), 0.1);
}

#[test]
fn clients_and_destinations_come_by_zipf() {
    let scenario = generated(
        "--flows 30000 --mark --clients 50 --client-skew 1 --destinations 40 --destination-skew 2",
    );
    let counts = frequencies(clients(&scenario));
    assert_eq!(counts.len(), 50);
    assert_near(counts[0] / counts[1], 2.0, 0.07);
    assert_near(counts[0] / counts[9], 10.0, 0.1);

    let destinations = scenario.events().iter().filter_map(|event| match event {
        Event::Flow { to, .. } => Some(to.unwrap().ip()),
        _ => None,
    });
    let counts = frequencies(destinations);
    assert!(counts.len() <= 40);
    assert_near(counts[0] / counts[1], 4.0, 0.07);

    let even = frequencies(clients(&generated(
        "--flows 30000 --clients 10 --client-skew 0",
    )));
    assert_near(even[0] / even[9], 1.0, 0.1);
}

#[test]
fn closed_connections_linger_as_long_as_ordered() {
    let scenario = generated("--flows 200 --rate 10 --mean 1 --linger 2.5");
    let (mut now, mut closed, mut lingered) = (0.0, HashMap::new(), 0);
    for event in scenario.events() {
        match event {
            Event::Advance { by } => now += by.as_secs_f64(),
            Event::Close { flow } => {
                closed.insert(*flow, now);
            }
            Event::Expire { flow } => {
                assert_near(now - closed[flow], 2.5, 1e-6);
                lingered += 1;
            }
            _ => {}
        }
    }
    assert!(lingered > 100, "{lingered}");
}

/// What was written out gives the same picks as what was made up as it went.
#[test]
fn written_traffic_replays_to_the_same_picks() {
    for options in [
        "",
        "--mark --protocol udp",
        "--protocol sctp --servers 1,0,5 --kernel 7.2",
    ] {
        for scheduler in ["wlc", "twos", "mh"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("scenario.json");
            let path = path.display();
            let made_up = format!("--generate --flows 500 --scheduler {scheduler} {options}");
            let picks = output(&format!("{made_up} --json --output {path}"), "");
            assert_eq!(picks, output(&format!("--json {path}"), ""));
            assert!(picks.matches(',').count() == 499, "{picks}");
        }
    }
}

#[test]
fn traffic_can_be_made_for_the_servers_of_a_scenario() {
    let base = r#"{"scheduler": "wrr", "virtual": "[2001:db8::1]:53", "protocol": "udp",
        "kernel": "7.2", "flags": ["sh-port"], "seed": 5, "persistent": 60, "mask": 128,
        "servers": [{"id": 7, "address": "[fd00::7]:53", "weight": 2},
                    {"id": 9, "address": "[fd00::9]:53", "weight": 1}],
        "events": [{"op": "remove", "id": 9}]}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scenario.json");
    let table = output(
        &format!("--generate --flows 300 --output {} -", path.display()),
        base,
    );
    assert!(
        table.contains("     7  [fd00::7]:53       2      206  68.7 %     66.7 %"),
        "{table}"
    );
    let scenario = Scenario::from_json(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(scenario.protocol(), Protocol::Udp);
    assert_eq!(scenario.servers().len(), 2);
    // The rest of the scenario is kept, but for its events.
    let settings = |scenario: &Scenario| {
        let (flags, semantics) = (scenario.flags(), scenario.semantics());
        (flags, semantics, scenario.seed(), scenario.persistence())
    };
    assert_eq!(
        settings(&scenario),
        settings(&Scenario::from_json(base).unwrap())
    );
    assert!(clients(&scenario).all(|client| client.is_ipv6()));
    // UDP flows just begin and end.
    let begins_or_ends = |event: &Event| {
        matches!(
            event,
            Event::Flow { .. } | Event::Expire { .. } | Event::Advance { .. }
        )
    };
    assert!(scenario.events().iter().all(begins_or_ends));
}

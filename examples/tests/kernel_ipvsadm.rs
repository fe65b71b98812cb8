//! The tool `ipvsadm` against Debian's: the same command lines, from and to the same tables.
//!
//! Standard output, exit code and the table afterwards have to be equal; the wording on standard
//! error is the tool's own. `PARITY_CASES` sets the number of rule sets (205), `PARITY_CASE` runs
//! one alone.
//!
//! Runs inside a kernel with IPVS: `cargo build -p examples --example ipvsadm`, then
//! `.ci/guest target/debug/deps/kernel_ipvsadm-… --include-ignored --test-threads=1 --nocapture`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod parity;

use core::time::Duration;
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use lvs_ipvs::{DestinationKey, Family, Protocol, ServiceKey, Table};
use parity::compare::{Agreed, Case, Pair, join};
use parity::coverage::Coverage;
use parity::host::Host;
use parity::random::Random;
use parity::spoil::spoil;
use parity::tool::Tool;
use parity::{lines, rules, script, traffic};

/// Command lines for each rule set.
const LINES: usize = 5;

/// Every listing, each with names and without.
const LISTINGS: [&str; 14] = [
    "-L",
    "-L --stats",
    "-L --rate",
    "-L --stats --exact",
    "-L --rate --exact",
    "-L --thresholds",
    "-L --persistent-conn",
    "-L --tun-info",
    "-L --nosort",
    "-L --sort",
    "-L -c",
    "-L --timeout",
    "-L --daemon",
    "-S",
];

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs a command of a case; fails with the smallest such case when the programs differ.
fn run(pair: &Pair, name: &str, case: &Case) -> Agreed {
    match pair.run(&case.words, &join(&case.stdin)) {
        Ok(agreed) => agreed,
        Err(difference) => pair.fail(name, case.clone(), difference),
    }
}

/// What was compared, over all cases.
#[derive(Debug, Default)]
struct Totals {
    coverage: Coverage,
    services: usize,
    servers: usize,
    restored: u32,
    /// Destinations whose thresholds the original restored from what ours saved.
    thresholds: usize,
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn generated_rule_sets_and_command_lines_are_answered_alike() {
    let start = Instant::now();
    let pair = Pair::new();
    let mut totals = Totals::default();
    let seeds = match number("PARITY_CASE") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PARITY_CASES").unwrap_or(205),
    };
    for seed in seeds.clone() {
        generated_case(&pair, seed, &mut totals);
    }
    let cases = seeds.end - seeds.start;
    let Totals {
        coverage,
        services,
        servers,
        restored,
        thresholds,
    } = totals;
    println!("{cases} rule sets, {services} services and {servers} servers accepted");
    println!(
        "{restored} sets restored whole by the other program, thresholds of {thresholds} servers \
         among them; took {:?}",
        start.elapsed()
    );
    if cases >= 200 {
        coverage.check(20);
        let [accepted, refused] = coverage.lines;
        assert!(accepted + refused >= 1000);
        assert!(
            refused * 3 >= accepted + refused,
            "a third is to be refused"
        );
        assert!(
            accepted * 3 >= accepted + refused,
            "a third is to be accepted"
        );
        assert!(
            u64::from(restored) * 2 >= cases,
            "half are to be restored whole"
        );
        assert!(thresholds >= 10, "thresholds are to be restored, too");
    }
}

/// A rule set, command lines on it, its listings, and its way through `-S` and `-R`.
fn generated_case(pair: &Pair, seed: u64, totals: &mut Totals) {
    let name = format!("PARITY_CASE={seed}");
    let mut random = Random::new(seed);
    let mut services = Vec::new();
    pair.reset();
    let mut case = Case {
        words: words("-R"),
        stdin: rules::generate(&mut random, &mut services, 9),
        ..Case::default()
    };
    run(pair, &name, &case);
    case.rules = core::mem::take(&mut case.stdin);
    let table = pair.original.state().table;
    totals.services += table.len();
    totals.servers += table
        .services()
        .map(|service| service.destinations.len())
        .sum::<usize>();

    every_listing(pair, &name, &case, &mut Random::new(!seed));
    for _ in 0..LINES {
        let line = lines::generate(&mut random, &services);
        let (line, words) = if random.percent(45) {
            spoil(&mut random, line)
        } else {
            let words = line.spell(&mut random);
            (line, words)
        };
        case.words = words;
        case.stdin = line.stdin.lines().map(str::to_owned).collect();
        let agreed = run(pair, &name, &case);
        totals
            .coverage
            .add(&line, agreed.accepted(), agreed.status());
        if case.stdin.is_empty() {
            case.before.push(core::mem::take(&mut case.words));
        } else {
            case.rules.append(&mut case.stdin);
        }
    }

    if seed.is_multiple_of(4) {
        totals.thresholds += thresholds_are_saved(pair);
    }
    totals.restored += u32::from(saved_and_restored(pair, &name, case));
}

/// All listings in one process, that is through `-R`; of single services too.
fn every_listing(pair: &Pair, name: &str, case: &Case, random: &mut Random) {
    let mut case = case.clone();
    case.stdin = LISTINGS
        .iter()
        .flat_map(|listing| [(*listing).to_owned(), format!("{listing} -n")])
        .collect();
    for service in pair.original.state().table.services() {
        let service = match service.service.key() {
            ServiceKey::FirewallMark { family, mark } => match family {
                Family::Inet => format!("-f {mark}"),
                Family::Inet6 => format!("-f {mark} -6"),
            },
            ServiceKey::Address { protocol, .. } => {
                let key = service.service.key().to_string();
                let (_, address) = key.split_once(' ').unwrap();
                let option = match protocol {
                    Protocol::TCP => "-t",
                    Protocol::UDP => "-u",
                    _ => "--sctp-service",
                };
                format!("{option} {address}")
            }
        };
        let listing = random.pick(&LISTINGS[..10]);
        case.stdin.push(format!("{listing} {service} -n"));
    }
    run(pair, name, &case);
}

/// What one saved the other restores; true when nothing was lost or refused.
fn saved_and_restored(pair: &Pair, name: &str, mut case: Case) -> bool {
    case.words = words("-S -n");
    let saved = run(pair, name, &case).outcome.stdout;
    case.words = words("-R");
    case.stdin = vec!["-C".to_owned()];
    case.stdin.extend(saved.lines().map(str::to_owned));
    // Both programs wrote that text, each restores it.
    let agreed = run(pair, name, &case);
    if !agreed.accepted() || !agreed.outcome.stderr.is_empty() {
        return false;
    }
    let again = pair.original.line(Tool::Original, "-S -n").stdout;
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&again), sorted(&saved), "{name}");
    true
}

/// The tool saves thresholds when it is asked to, and the original restores them: those of how many
/// destinations, none where it refused a rule.
fn thresholds_are_saved(pair: &Pair) -> usize {
    let saved = pair.original.line(Tool::Ours, "-S -n --with-thresholds");
    assert!(saved.status.success(), "{saved:?}");
    let before = pair.original.state().table;
    let host = Host::new();
    let restored = host.run(Tool::Original, &words("-R"), &saved.stdout);
    if !restored.status.success() || !restored.stderr.is_empty() {
        return 0;
    }
    let expected = thresholds(&before);
    assert_eq!(thresholds(&host.state().table), expected, "{saved:?}");
    expected
        .values()
        .filter(|limits| **limits != [0; 2])
        .count()
}

fn thresholds(table: &Table) -> BTreeMap<(ServiceKey, DestinationKey), [u32; 2]> {
    let mut thresholds = BTreeMap::new();
    for service in table.services() {
        for destination in &service.destinations {
            let limits = [destination.upper_threshold(), destination.lower_threshold()];
            thresholds.insert((service.service.key(), destination.key()), limits);
        }
    }
    thresholds
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn written_down_command_lines_are_answered_alike() {
    let pair = Pair::new();
    let steps = script::read(include_str!("data/ipvsadm.txt"));
    let mut case = Case::default();
    let (mut refused, total) = (0, steps.len());
    for step in steps {
        if step.fresh {
            pair.reset();
            case.before.clear();
        }
        case.words = step.words;
        case.stdin = vec![step.stdin];
        let name = format!("line {}", step.number);
        let agreed = match pair.run(&case.words, &case.stdin[0]) {
            Ok(agreed) => agreed,
            Err(difference) => panic!(
                "{name}: {:?} after {:?}: {difference}",
                case.words, case.before
            ),
        };
        refused += usize::from(!agreed.accepted());
        case.before.push(core::mem::take(&mut case.words));
    }
    println!("{total} command lines, {refused} of them refused");
}

/// The tool zeroes one service, or all; the original shows it.
fn counters_are_zeroed(pair: &Pair) {
    let connections = |service: &str| {
        let listing = format!("-L -n --stats --exact {service}");
        let stdout = pair.original.line(Tool::Original, &listing).stdout;
        let line = stdout.lines().nth(2).unwrap();
        let count = line.split_whitespace().rev().nth(4).unwrap();
        count.parse::<u32>().unwrap()
    };
    let services = ["-t 192.0.2.10:80", "-t [fd00::10]:80", "-f 7"];
    assert!(services.iter().all(|service| connections(service) > 0));
    let zeroed = pair.original.line(Tool::Ours, "-Z -t [fd00::10]:80");
    assert!(zeroed.status.success(), "{zeroed:?}");
    assert_eq!(
        services.map(|service| connections(service) > 0),
        [true, false, true]
    );
    let zeroed = pair.original.line(Tool::Ours, "--zero");
    assert!(zeroed.status.success(), "{zeroed:?}");
    assert_eq!(services.map(connections), [0; 3]);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn live_traffic_is_listed_alike() {
    let pair = Pair::new();
    let traffic = traffic::start(&pair.original);
    // The counters that are read are renewed every 2 s.
    thread::sleep(Duration::from_millis(2200));
    let mut seen = String::new();
    let single = [
        "-L -t 192.0.2.10:80 --stats -n",
        "-L -t 192.0.2.10:80 --rate -n",
        "-L -t 192.0.2.10:443 --persistent-conn",
        "-L -t [fd00::10]:80 --stats --exact -n",
        "-L -f 7 --persistent-conn -n",
        "-L -f 8 -6 --stats",
        "-L -c --persistent-conn",
        "-L -c --persistent-conn -n",
        "-L -c --nosort --exact",
    ];
    let all = LISTINGS.iter().map(|listing| (*listing).to_owned());
    let numeric = LISTINGS.iter().map(|listing| format!("{listing} -n"));
    for line in all.chain(numeric).chain(single.map(str::to_owned)) {
        match pair.list(&words(&line), "") {
            Ok(agreed) => {
                assert!(agreed.accepted(), "{line}: {:?}", agreed.outcome);
                seen += &agreed.outcome.stdout;
            }
            Err(difference) => panic!("ipvsadm {line}: {difference}"),
        }
    }
    // Without any word the programs list too.
    assert!(pair.list(&[], "").is_ok_and(|agreed| agreed.accepted()));
    counters_are_zeroed(&pair);
    drop(traffic);
    // What makes this worth comparing was there.
    for part in [
        "ESTABLISHED",
        "CLOSE_WAIT",
        "TIME_WAIT",
        "SYN_RECV",
        "NONE",
        "ASSURED",
        "UDP",
        "sip",
        "a84b4c76e66710@pc33.example.com",
        "[fd00::10]:80",
        "[fd00:9::2]:55",
        "0.0.0.7:0",
        "localhost:",
        "here.example.com:http",
        "K ",
        "M ",
    ] {
        assert!(seen.contains(part), "{part} is not in\n{seen}");
    }
}

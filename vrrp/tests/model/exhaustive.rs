//! Every state that two and three routers can reach with loss, a crash and a restart.

use core::time::Duration;

use lvs_vrrp::config::RouterConfig;
use lvs_vrrp::profile::AnswerLosing;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{Interval, Profile, Version};

use crate::search::{Findings, Limits, search};
use crate::seeded::Bug;
use crate::setting;
use crate::world::{World, config};

const SECOND: Duration = Duration::from_secs(1);

/// Routers that start together, or one after the other.
fn starts(configs: &[RouterConfig]) -> Vec<World> {
    [0, 500, 1000, 3700]
        .into_iter()
        .flat_map(|gap| {
            let later = (0_u32..).map(move |index| Duration::from_millis(gap) * index);
            let up = configs.iter().cloned().zip(later.clone());
            let mut down: Vec<_> = configs.iter().cloned().zip(later).collect();
            let times: Vec<_> = down.iter().rev().map(|(_, time)| *time).collect();
            for ((_, time), reversed) in down.iter_mut().zip(times) {
                *time = reversed;
            }
            [World::new(up), World::new(down)]
        })
        .collect()
}

/// As deep as that from where all have started at last.
fn limits(worlds: &[World], down_intervals: u32) -> Limits {
    let world = worlds.last().unwrap();
    let holds = world
        .stations
        .iter()
        .map(|station| station.router.config().preempt_hold());
    let down = world.longest_down();
    let starts = world.stations.iter().map(|station| station.starts_at);
    Limits {
        depth: starts.max().unwrap() + down * down_intervals,
        stops: 1,
        restarts: 1,
        losses: None,
        delay: Duration::ZERO,
        settles_within: down * 2 + holds.max().unwrap(),
    }
}

fn report(name: &str, limits: &Limits, findings: &Findings) {
    eprintln!(
        "{name}: {} states, {} transitions, {} with two Active or more, {}; settles in {:?}",
        findings.states,
        findings.transitions,
        findings.split,
        if findings.is_cut {
            format!("searched for {:?}", limits.depth)
        } else {
            "no more states at any depth".to_owned()
        },
        findings.slowest,
    );
}

fn two(name: &str, configs: &[RouterConfig; 2]) {
    let worlds = starts(configs);
    let limits = Limits {
        delay: Duration::from_millis(300),
        ..limits(&worlds, setting("VRRP_MODEL_DOWN_INTERVALS", 3).max(3))
    };
    let findings = search(worlds, &limits).unwrap();
    report(name, &limits, &findings);
    assert!(findings.states > 500 && findings.split > 0, "{findings:?}");
}

fn three(name: &str, configs: &[RouterConfig; 3]) {
    let worlds = starts(configs);
    let limits = Limits {
        losses: Some(u8::try_from(setting("VRRP_MODEL_LOSSES", 6)).unwrap()),
        ..limits(&worlds, setting("VRRP_MODEL_DOWN_INTERVALS", 3))
    };
    let findings = search(worlds, &limits).unwrap();
    report(name, &limits, &findings);
    assert!(findings.states > 5000, "{findings:?}");
}

#[test]
fn two_with_preemption() {
    two("200, 100", &[config(200), config(100)]);
}

#[test]
fn two_equal() {
    two("100, 100", &[config(100), config(100)]);
}

#[test]
fn two_without_preemption() {
    let config = |priority| config(priority).with_preempt(false);
    two("200, 100, no preemption", &[config(200), config(100)]);
}

#[test]
fn two_with_hold() {
    let held = config(200).with_preempt_hold(2 * SECOND);
    two("200 with hold, 100", &[held, config(100)]);
}

#[test]
fn two_of_which_one_is_owner() {
    two("owner, 100", &[config(255), config(100)]);
}

#[test]
fn two_of_version_2() {
    let config = |priority| config(priority).with_versions(Versions::Only(Version::V2));
    two("200, 100, VRRPv2", &[config(200), config(100)]);
}

#[test]
fn two_with_other_intervals() {
    let fast = config(100).with_interval(Interval::from_centiseconds(50).unwrap());
    two("200, 100 at 0.5 s", &[config(200), fast]);
}

#[test]
fn two_that_never_answer() {
    let config = |priority| {
        let mut switches = Profile::Linux.switches();
        switches.answer_losing_adverts = AnswerLosing::Never;
        config(priority).with_switches(switches)
    };
    two("200, 100, no answers", &[config(200), config(100)]);
}

#[test]
fn three_with_preemption() {
    three("200, 150, 100", &[config(200), config(150), config(100)]);
}

#[test]
fn three_of_which_two_are_equal() {
    three("100, 100, 50", &[config(100), config(100), config(50)]);
}

#[test]
fn three_without_preemption() {
    let config = |priority| config(priority).with_preempt(false);
    three(
        "200, 150, 100, no preemption",
        &[config(200), config(150), config(100)],
    );
}

/// The search finds what it is for: the same networks, with a bug in one router.
#[test]
fn seeded_bugs_are_caught() {
    for (bug, priorities) in [
        (Bug::ComparesAddressesBackwards, [100, 100]),
        (Bug::WaitsOnForLosers, [200, 100]),
    ] {
        let mut worlds = starts(&priorities.map(config));
        let limits = limits(&worlds, 3);
        for world in &mut worlds {
            world.stations[0].bug = bug;
        }
        let violation = search(worlds, &limits).unwrap_err();
        eprintln!("{bug:?}: {violation}");
        assert!(
            violation.contains("settle") || violation.contains("no end of answers"),
            "{violation}"
        );
    }
}

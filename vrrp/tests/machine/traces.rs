//! The recorded traces, with times to the nanosecond.

use std::collections::BTreeMap;

use lvs_vrrp::event::{Event, HeardAdvert, ShutdownMode, State};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{Interval, Priority, Profile, Timestamp, Version};

use crate::rig::{address, brief, config, config_v6, seconds};

const TRACES: &str = include_str!("../data/vrrp-traces.txt");

/// `VRRP-017`, `VRRP-039`, `VRRP-044`, `VRRP-049`, `VRRP-051`, `VRRP-052`, `VRRP-059`, `VRRP-062`,
/// `VRRP-063`, `VRRP-064`, `VRRP-065`, `VRRP-074`, `VRRP-075`, `VRRP-076`, `VRRP-077`, `VRRP-078`,
/// `VRRP-079`, `VRRP-080`, `VRRP-142`, `VRRP-207`, `VRRP-208`, `VRRP-212`: every row of every trace.
#[test]
fn all_traces_are_followed() {
    let mut replayed = Vec::new();
    for trace in TRACES.split("\n\n").skip(1) {
        let mut lines = trace.lines();
        let title = lines.next().unwrap();
        let mut router = router(lines.next().unwrap().strip_prefix("router ").unwrap());
        for line in lines {
            let row = replay(&mut router, line);
            assert_eq!(row, line, "{title}");
        }
        replayed.push(title.split_once(' ').unwrap().0);
    }
    let all: Vec<String> = (1..=14).map(|number| format!("T{number:02}")).collect();
    assert_eq!(replayed, all);
}

/// Feeds the event of a line, and gives the line as it happened.
fn replay(router: &mut VirtualRouter, line: &str) -> String {
    let mut columns = line.split(" | ");
    let (time, event) = (columns.next().unwrap(), columns.next().unwrap());
    let now = seconds(time);
    let actions = router.handle(now, read_event(event, now));
    let deadline = match (router.state(), router.next_deadline()) {
        (State::Backup, Some(deadline)) => format!("down {}", decimal(deadline)),
        (State::Active, Some(deadline)) => format!("advert {}", decimal(deadline)),
        (_, deadline) => {
            assert_eq!(deadline, None);
            "none".to_owned()
        }
    };
    let state = router.state();
    format!(
        "{time} | {event} | {} | {state} | {deadline}",
        brief(&actions)
    )
}

fn read_event(text: &str, now: Timestamp) -> Event {
    let Some(advert) = text.strip_prefix("Advert prio ") else {
        return match text {
            "Startup" => Event::Startup,
            "Tick" => Event::Tick,
            "Shutdown" => Event::Shutdown(ShutdownMode::Graceful),
            other => panic!("event {other}"),
        };
    };
    let (priority, rest) = advert.split_once(" from ").unwrap();
    let mut rest = rest.split(", ");
    let source = address(rest.next().unwrap());
    let (interval, version) = match rest.next().unwrap().split_once(' ').unwrap() {
        (seconds, "s") => (
            Interval::from_seconds(seconds.parse().unwrap()).unwrap(),
            Version::V2,
        ),
        (centiseconds, "cs") => (
            Interval::from_centiseconds(centiseconds.parse().unwrap()).unwrap(),
            Version::V3,
        ),
        other => panic!("interval {other:?}"),
    };
    let received_at = rest.next().map_or(now, |text| {
        seconds(text.strip_prefix("received at ").unwrap())
    });
    Event::Advert(HeardAdvert {
        received_at,
        source,
        priority: Priority::new(priority.parse().unwrap()),
        interval,
        version,
    })
}

fn router(settings: &str) -> VirtualRouter {
    let settings: BTreeMap<&str, &str> = settings
        .split(' ')
        .map(|setting| setting.split_once('=').unwrap())
        .collect();
    let own = address(settings.get("own").unwrap_or(&"192.0.2.9"));
    let priority = settings["priority"].parse().unwrap();
    let mut config = if own.is_ipv6() {
        config_v6(priority)
    } else {
        config(priority)
    };
    if priority == 255 {
        config = config.as_owner();
    }
    let profile: Profile = settings
        .get("profile")
        .map_or(Profile::Linux, |name| name.parse().unwrap());
    let version = Version::from_number(settings["version"].parse().unwrap()).unwrap();
    let interval = settings["interval"].strip_suffix("cs").unwrap();
    config = config
        .with_switches(profile.switches())
        .with_versions(Versions::Only(version))
        .with_interval(Interval::from_centiseconds(interval.parse().unwrap()).unwrap())
        .with_preempt(settings.get("preempt") != Some(&"off"));
    if let Some(hold) = settings.get("hold") {
        config = config.with_preempt_hold(seconds(hold.strip_suffix('s').unwrap()));
    }
    let mut router = VirtualRouter::new(config).unwrap();
    let actions = router.handle(Timestamp::ZERO, Event::Source(Some(own)));
    assert!(actions.is_empty());
    router
}

/// Seconds without zeros at the end.
fn decimal(time: Timestamp) -> String {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

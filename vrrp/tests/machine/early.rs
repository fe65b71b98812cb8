//! Advertising before it is due, so that several routers' advertisements leave together.

use core::time::Duration;

use lvs_vrrp::event::{Action, Event, State};
use lvs_vrrp::profile::StallPolicy;
use lvs_vrrp::{
    Actions, AddressList, GuardStatus, Priority, RouterConfig, Switches, Timestamp, VirtualRouter,
    Vrid,
};

const SLACK: Duration = Duration::from_millis(10);

const fn at(millis: u64) -> Timestamp {
    Duration::from_millis(millis)
}

fn config() -> RouterConfig {
    let addresses = AddressList::new(["198.51.100.1".parse().unwrap()]).unwrap();
    RouterConfig::new(Vrid::new(1).unwrap(), addresses)
}

/// Active since 10 s.
fn active(config: RouterConfig) -> VirtualRouter {
    let mut router = VirtualRouter::new(config).unwrap();
    let source = "192.0.2.9".parse().unwrap();
    let _ = router.handle(at(0), Event::Source(Some(source)));
    let _ = router.resume(at(10_000));
    router
}

fn sends(actions: &Actions) -> usize {
    let is_send = |action: &&Action| matches!(action, Action::SendAdvert(_));
    actions.iter().filter(is_send).count()
}

#[test]
fn an_active_advertises_within_its_slack_and_counts_from_there() {
    let mut router = active(config());
    assert_eq!(router.earliest_advert(SLACK), Some(at(10_990)));
    assert_eq!(
        router.earliest_advert(at(500)),
        Some(Duration::from_micros(10_937_500))
    );
    assert_eq!(router.earliest_advert(at(0)), Some(at(11_000)));
    assert!(router.advertise_early(at(10_989), SLACK).is_empty());
    assert_eq!(router.next_deadline(), Some(at(11_000)));
    assert_eq!(sends(&router.advertise_early(at(10_995), SLACK)), 1);
    assert_eq!(router.next_deadline(), Some(at(11_995)));
    assert!(router.advertise_early(at(10_995), SLACK).is_empty());
    // What is due keeps its rhythm.
    assert_eq!(sends(&router.advertise_early(at(11_997), SLACK)), 1);
    assert_eq!(router.next_deadline(), Some(at(12_995)));
}

#[test]
fn only_an_active_is_ever_early() {
    let mut router = VirtualRouter::new(config()).unwrap();
    assert!(router.advertise_early(at(0), SLACK).is_empty());
    let _ = router.handle(at(0), Event::Source(Some("192.0.2.9".parse().unwrap())));
    let _ = router.handle(at(0), Event::Startup);
    let deadline = router.next_deadline().unwrap();
    assert_eq!(router.earliest_advert(SLACK), None);
    let actions = router.advertise_early(deadline - Duration::from_nanos(1), SLACK);
    assert!(actions.is_empty());
    assert_eq!(router.state(), State::Backup);
}

/// `VRRP-216`: the guard is looked at first, early or not.
#[test]
fn nothing_leaves_early_at_the_end_of_the_guard() {
    let mut router = active(config().with_guard(at(500)));
    let until = at(10_995);
    let _ = router.handle(
        at(10_000),
        Event::Guard(GuardStatus::Held { until, epoch: 1 }),
    );
    assert_eq!(router.state(), State::Active);
    let mut late = router.clone();
    assert_eq!(sends(&router.advertise_early(at(10_994), SLACK)), 1);
    let actions = late.advertise_early(until, SLACK);
    assert_eq!(late.state(), State::Backup);
    let resigns = |action: &Action| matches!(action, Action::SendAdvert(send) if send.priority != Priority::RESIGN);
    assert!(!actions.iter().any(resigns));
}

/// One that listens after a pause is silent for the whole interval.
#[test]
fn one_that_listens_is_not_early() {
    let mut switches: Switches = *config().switches();
    switches.stall = StallPolicy::Listen;
    let mut router = active(config().with_switches(switches));
    let _ = router.handle(at(20_000), Event::Tick);
    assert_eq!(router.earliest_advert(SLACK), Some(at(21_000)));
    assert!(router.advertise_early(at(20_999), SLACK).is_empty());
    assert_eq!(sends(&router.advertise_early(at(21_000), SLACK)), 1);
}

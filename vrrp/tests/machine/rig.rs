//! A virtual router with a clock, for tests.

use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::config::RouterConfig;
use lvs_vrrp::event::{
    Action, Event, HeardAdvert, NewActiveReason, Notification, State, Transition,
};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::{Actions, AddressList, Interval, Priority, Timestamp, Version, Vrid};

/// A point of time, or a span, in nanoseconds.
pub(crate) const fn ns(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// A point of time, or a span, in milliseconds.
pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds as people write them, with up to nine digits after the point.
pub(crate) fn seconds(text: &str) -> Duration {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos = format!("{part:0<9}").parse().unwrap();
    Duration::new(whole.parse().unwrap(), nanos)
}

pub(crate) fn centiseconds(centiseconds: u16) -> Interval {
    Interval::from_centiseconds(centiseconds).unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// VRRPv3, id 10, 192.0.2.100, this priority.
pub(crate) fn config(priority: u8) -> RouterConfig {
    let addresses = AddressList::new([address("192.0.2.100")]).unwrap();
    RouterConfig::new(Vrid::new(10).unwrap(), addresses).with_priority(Priority::new(priority))
}

/// VRRPv3 over IPv6, id 10, fe80::100.
pub(crate) fn config_v6(priority: u8) -> RouterConfig {
    let addresses = AddressList::new([address("fe80::100")]).unwrap();
    RouterConfig::new(Vrid::new(10).unwrap(), addresses).with_priority(Priority::new(priority))
}

/// VRRPv3 at the default interval.
pub(crate) fn advert(at: Timestamp, priority: u8, source: &str) -> Event {
    advert_of(at, priority, source, 100, Version::V3)
}

pub(crate) fn advert_of(
    received_at: Timestamp,
    priority: u8,
    source: &str,
    interval_cs: u16,
    version: Version,
) -> Event {
    Event::Advert(HeardAdvert {
        received_at,
        source: address(source),
        priority: Priority::new(priority),
        interval: centiseconds(interval_cs),
        version,
    })
}

/// Address it advertises from.
pub(crate) const OWN: &str = "192.0.2.9";
pub(crate) const LOWER: &str = "192.0.2.1";
pub(crate) const HIGHER: &str = "192.0.2.200";

/// A router that has its source address and was not started.
pub(crate) fn router(config: RouterConfig) -> VirtualRouter {
    let own = match config.family() {
        lvs_vrrp::Family::Ipv4 => OWN,
        lvs_vrrp::Family::Ipv6 => "fe80::9",
    };
    let mut router = VirtualRouter::new(config).unwrap();
    let actions = router.handle(Duration::ZERO, Event::Source(Some(address(own))));
    assert!(actions.is_empty(), "{actions:?}");
    router
}

/// The same, started at 0 and Backup.
pub(crate) fn backup(config: RouterConfig) -> VirtualRouter {
    let mut router = router(config);
    feed(&mut router, Duration::ZERO, Event::Startup);
    assert_eq!(router.state(), State::Backup);
    router
}

/// The same, promoted by silence; the time is that of the promotion.
pub(crate) fn active(config: RouterConfig) -> (VirtualRouter, Timestamp) {
    let mut router = router(config);
    feed(&mut router, Duration::ZERO, Event::Startup);
    let mut now = Duration::ZERO;
    if router.state() == State::Backup {
        now = router.next_deadline().unwrap();
        feed(&mut router, now, Event::Tick);
    }
    assert_eq!(router.state(), State::Active);
    (router, now)
}

/// Feeds an event whose actions do not matter to the test.
pub(crate) fn feed(router: &mut VirtualRouter, now: Timestamp, event: Event) {
    let _ = router.handle(now, event);
}

/// What is sent and done, in the words of the traces: `send 100, install, announce, reason
/// priority`, or `none`.
pub(crate) fn brief(actions: &Actions) -> String {
    let words: Vec<String> = actions.iter().filter_map(brief_word).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

fn brief_word(action: &Action) -> Option<String> {
    Some(match action {
        Action::SendAdvert(advert) => format!("send {}", advert.priority),
        Action::InstallAddresses => "install".to_owned(),
        Action::RemoveAddresses => "remove".to_owned(),
        Action::ChangeAddresses => "change".to_owned(),
        Action::Announce(_) => "announce".to_owned(),
        Action::RequestGuard => "request".to_owned(),
        Action::ReleaseGuard => "release".to_owned(),
        Action::Notify(Notification::Transition(Transition {
            to: State::Active,
            reason,
            ..
        })) => format!("reason {}", reason_word(*reason)),
        _ => return None,
    })
}

fn reason_word(reason: NewActiveReason) -> &'static str {
    match reason {
        NewActiveReason::Priority => "priority",
        NewActiveReason::Preempted => "preempted",
        NewActiveReason::NoResponse => "no-response",
        other => panic!("Active because of {other:?}"),
    }
}

/// Everything reported but transitions.
pub(crate) fn observations(actions: &Actions) -> Vec<Notification> {
    let notifications = actions.iter().filter_map(|action| match action {
        Action::Notify(Notification::Transition(_)) => None,
        Action::Notify(notification) => Some(*notification),
        _ => None,
    });
    notifications.collect()
}

//! Every cell of the tables of RFC 9568 §6.4.

use lvs_vrrp::event::{Event, State};

use crate::rig::{HIGHER, LOWER, active, advert, backup, brief, config, feed, ms, ns, router};

/// `VRRP-063`: an equal priority is acceptable to a Backup, from whatever address.
#[test]
fn backup_does_not_look_at_addresses() {
    for source in [LOWER, HIGHER] {
        let mut router = backup(config(100));
        let actions = router.handle(ms(500), advert(ms(500), 100, source));
        assert_eq!(brief(&actions), "none");
        assert_eq!(router.next_deadline(), Some(ns(4_109_375_000)));
    }
}

/// `VRRP-052`
#[test]
fn only_startup_leaves_initialize() {
    let mut router = router(config(100));
    for event in [
        Event::Tick,
        advert(ms(1), 0, LOWER),
        Event::Yield,
        Event::Stalled,
    ] {
        assert_eq!(brief(&router.handle(ms(1), event)), "none");
        assert_eq!(
            (router.state(), router.next_deadline()),
            (State::Initialize, None)
        );
    }
    feed(&mut router, ms(2), Event::Startup);
    assert_eq!(router.state(), State::Backup);
}

/// `VRRP-081`
#[test]
fn preempt_is_not_looked_at_in_active() {
    let (mut router, now) = active(config(100).with_preempt(false));
    feed(&mut router, now + ms(1), advert(now + ms(1), 101, LOWER));
    assert_eq!(router.state(), State::Backup);
}

//! Announcements: how many, when, spaced, and after what matters more.

use core::time::Duration;

use lvs_vrrp::announce::{ArpStyle, Rounds};
use lvs_vrrp::codec::{ArpOperation, GratuitousArp, UnsolicitedNa};
use lvs_vrrp::event::State;
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{EmitError, NodeRouter, Settings};
use lvs_vrrp::receive::Peer;
use lvs_vrrp::{AddressList, InterfaceIndex, NodeConfig, RouterConfig, Timestamp};

use crate::rig::*;

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    settings.spread = false;
    change(&mut settings);
    settings
}

/// When each frame was handed out, and for which interface.
fn frames(rig: &mut Rig, span: Duration) -> Vec<(Timestamp, InterfaceIndex)> {
    let mut frames = Vec::new();
    let end = rig.now + span;
    loop {
        while let Some(job) = rig.node.poll_job() {
            if let JobKind::Announce(announcement) = &job.kind {
                frames.push((rig.now, announcement.interface()));
            }
            rig.node.complete(rig.now, job.id, JobResult::Done);
        }
        let Some(next) = rig.node.next_deadline().filter(|next| *next <= end) else {
            rig.now = end;
            return frames;
        };
        rig.now = next;
        rig.node.tick(next);
    }
}

fn many(count: u8) -> NodeConfig {
    let addresses = (1..=count).map(|number| [198, 51, 100, number].into());
    let router = router_config(1).with_addresses(AddressList::new(addresses).unwrap());
    config(0).with_router(id(1), NodeRouter::new(LAN, router))
}

/// Spec 3.5: 5 per address, 5 more after 5 s, at most one per 0.2 ms on an interface.
#[test]
fn two_rounds_spaced() {
    let mut rig = Rig::new(many(100));
    let begin = rig.now + Duration::from_nanos(3_609_375_000);
    let all = frames(&mut rig, ms(20_000));
    assert_eq!(all.len(), 1000);
    let (first, second) = all.split_at(500);
    assert!(first[499].0 < begin + ms(200) && second[0].0 >= begin + ms(5000));
    for pair in first.windows(2).chain(second.windows(2)) {
        assert!(
            pair[1].0 - pair[0].0 >= Duration::from_micros(200),
            "{pair:?}"
        );
    }
}

/// A driver that wakes up late catches up with a few frames, not with all.
#[test]
fn a_late_driver_sends_no_burst() {
    let mut rig = Rig::new(many(200));
    rig.run(ms(3600));
    rig.run_open(ms(20));
    rig.work();
    rig.take_log();
    rig.now += ms(500);
    rig.node.tick(rig.now);
    rig.fetch();
    let sent = rig
        .log
        .iter()
        .filter(|word| word.contains("~announce"))
        .count();
    assert!((1..=8).contains(&sent), "{sent}");
    rig.log.clear();
    rig.fetch();
    assert_eq!(rig.log.len(), 0, "twice at one time gives nothing");
}

#[test]
fn advertisements_overtake_announcements() {
    let mut rig = Rig::new(many(200));
    rig.run(ms(3700));
    for _ in 0..3 {
        rig.now += ms(1000);
        rig.node.tick(rig.now);
        let job = rig.node.poll_job().unwrap();
        assert!(matches!(job.kind, JobKind::Send(_)), "{job:?}");
        rig.fetch();
    }
}

#[test]
fn a_refresh_comes_again_and_again() {
    let refresh = settings(|settings| {
        settings.announce.rounds.refresh = Some(ms(10_000));
        settings.announce.rounds.second_round = None;
        settings.announce.rounds.repeat = 1;
    });
    let mut rig = Rig::new(config(1).with_settings(refresh));
    assert_eq!(frames(&mut rig, ms(3_700)).len(), 1);
    assert_eq!(frames(&mut rig, ms(50_000)).len(), 5);
}

/// No announcement of an address that is gone: neither waiting ones nor second rounds.
#[test]
fn nothing_is_announced_after_the_addresses_are_gone() {
    let mut rig = Rig::new(many(200));
    rig.run(ms(3620));
    rig.hear(1, 200, HIGHER);
    rig.log.clear();
    rig.run(ms(3000));
    assert_eq!(rig.state(1), State::Backup);
    rig.hear(1, 200, HIGHER);
    rig.run(ms(3400));
    let words = rig.log.iter().filter(|word| word.contains("~announce"));
    assert_eq!(words.count(), 0);
}

/// No announcement before the addresses are there, however slow that is (`VRRP-113`, `VRRP-121`).
#[test]
fn nothing_is_announced_before_the_addresses_are_there() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(9000));
    rig.finish(JobResult::Done);
    rig.run_open(ms(9000));
    assert!(!rig.log.iter().any(|word| word.contains("~announce")));
    assert!(!rig.log.iter().any(|word| word == "1 Active"));
    rig.finish(JobResult::Done);
    assert!(rig.log.iter().any(|word| word.contains("~announce")));
    rig.run(ms(10));
    assert!(rig.log.iter().any(|word| word == "1 Active"));
}

/// `VRRP-213`, spec 3.5: an advertisement that loses makes the winner announce again, for its whole
/// group.
#[test]
fn a_losing_advertisement_makes_the_group_announce() {
    let group = GroupConfig::new([id(1), id(2)]);
    let mut rig = Rig::active(config(3).with_group(GroupId::new(1), group));
    rig.run(ms(20_000));
    rig.log.clear();
    rig.hear(1, 50, LOWER);
    rig.run(ms(100));
    let count = |number: u8| {
        let word = format!("{number} ~announce {number}");
        rig.log.iter().filter(|other| **other == word).count()
    };
    assert_eq!([1, 2, 3].map(count), [5, 5, 0]);
}

#[test]
fn frames_are_what_the_settings_say() {
    let both = settings(|settings| {
        settings.announce.arp = ArpStyle::Both;
        settings.announce.rounds.repeat = 1;
    });
    let bare = router(2).without_virtual_mac();
    let mut rig = Rig::new(config(1).with_router(id(2), bare).with_settings(both));
    let mut frames = Vec::new();
    while rig.state(1) != State::Active {
        rig.now = rig.node.next_deadline().unwrap();
        rig.node.tick(rig.now);
    }
    let end = rig.now + ms(100);
    while rig.now < end {
        while let Some(job) = rig.node.poll_job() {
            if let JobKind::Announce(announcement) = &job.kind {
                let mut buffer = [0; 100];
                let length = rig
                    .node
                    .emit_announcement(announcement, &mut buffer)
                    .unwrap();
                frames.push(GratuitousArp::parse_frame(&buffer[..length]).unwrap());
            }
            rig.node.complete(rig.now, job.id, JobResult::Done);
        }
        rig.now += ms(1);
        rig.node.tick(rig.now);
    }
    frames.sort_by_key(|arp| (arp.address, arp.operation == ArpOperation::Reply));
    let seen: Vec<_> = frames
        .iter()
        .map(|arp| (arp.address.octets()[3], arp.mac.octets(), arp.operation))
        .collect();
    let (shared, own) = ([0, 0, 0x5e, 0, 1, 1], [2, 0, 0, 0, 0, 9]);
    assert_eq!(
        seen,
        [
            (1, shared, ArpOperation::Request),
            (1, shared, ArpOperation::Reply),
            (2, own, ArpOperation::Request),
            (2, own, ArpOperation::Reply),
        ]
    );
}

#[test]
fn ipv6_addresses_are_announced_as_neighbours() {
    let addresses = AddressList::new(["fe80::100", "2001:db8::100"].map(address)).unwrap();
    let router = RouterConfig::new(vrid(1), addresses).as_owner();
    let config = config(0).with_router(id(1), NodeRouter::new(LAN, router));
    let real = ["fe80::100", "2001:db8::100"].map(address);
    let mut rig = Rig::new(config);
    rig.node.link(rig.now, LAN, true, &real);
    let mut targets = Vec::new();
    for _ in 0..100 {
        while let Some(job) = rig.node.poll_job() {
            if let JobKind::Announce(announcement) = &job.kind {
                let mut buffer = [0; 100];
                let length = rig
                    .node
                    .emit_announcement(announcement, &mut buffer)
                    .unwrap();
                targets.push(
                    UnsolicitedNa::parse_frame(&buffer[..length])
                        .unwrap()
                        .target,
                );
            }
            rig.node.complete(rig.now, job.id, JobResult::Done);
        }
        rig.now += ms(1);
        rig.node.tick(rig.now);
    }
    assert_eq!(targets.len(), 10);
}

/// Spec 3.1: a router with unicast peers announces its own address with the interface's own MAC
/// whenever it starts, and no other router does.
#[test]
fn a_unicast_router_that_starts_announces_its_own_address() {
    let peers = [Peer::new(address(LOWER))];
    let unicast = NodeRouter::new(LAN, router_config(1).with_unicast_peers(peers));
    let link_local = "fe80::9";
    let v6 = AddressList::new([address("fe80::1")]).unwrap();
    let v6 = RouterConfig::new(vrid(1), v6).with_unicast_peers([Peer::new(address("fe80::2"))]);
    let lan = [address(OWN), address(link_local)];
    let config = config(2)
        .with_router(id(1), unicast)
        .with_router(id(3), NodeRouter::new(LAN, v6));
    let mut rig = Rig::new(config);
    rig.fetch();
    assert_eq!(rig.log.last().unwrap(), "1 ~announce 9");
    // However often the link flaps before there is time to announce.
    for is_up in [false, true, false, true] {
        rig.node.link(rig.now, LAN, is_up, &lan);
    }
    let mut announced = Vec::new();
    let mut withdrawn = None;
    for _ in 0..20 {
        while let Some(job) = rig.node.poll_job() {
            if let JobKind::Announce(announcement) = &job.kind {
                assert!(announcement.is_source());
                let mut frame = [0; 100];
                let length = rig
                    .node
                    .emit_announcement(announcement, &mut frame)
                    .unwrap();
                let mac = if announcement.address().is_ipv4() {
                    GratuitousArp::parse_frame(&frame[..length]).unwrap().mac
                } else {
                    UnsolicitedNa::parse_frame(&frame[..length]).unwrap().mac
                };
                announced.push((announcement.router().get(), announcement.address(), mac));
                withdrawn = Some(*announcement);
            }
        }
        rig.now += Duration::from_micros(200);
        rig.node.tick(rig.now);
    }
    let mac = lvs_vrrp::MacAddress::new([2, 0, 0, 0, 0, 9]);
    announced.sort_unstable();
    let expected = [(1, address(OWN), mac), (3, address(link_local), mac)];
    assert_eq!(announced, expected);
    // It is not sent by one that has stopped.
    rig.node.link(rig.now, LAN, false, &lan);
    let frame = rig
        .node
        .emit_announcement(&withdrawn.unwrap(), &mut [0; 100]);
    assert_eq!(frame, Err(EmitError::Withdrawn));
}

/// How many frames of each router there are.
fn counts<const N: usize>(rig: &Rig, numbers: [u8; N]) -> [usize; N] {
    numbers.map(|number| {
        let word = format!("{number} ~announce {number}");
        rig.log.iter().filter(|other| **other == word).count()
    })
}

fn rounds(change: impl FnOnce(&mut Rounds)) -> Rounds {
    let mut rounds = Rounds::default();
    change(&mut rounds);
    rounds
}

/// Spec 3.5: `garp_master_repeat`, `_delay`, `_refresh` and `_refresh_repeat` of one router leave the
/// others alone.
#[test]
fn a_router_may_have_rounds_of_its_own() {
    let own = rounds(|rounds| {
        rounds.repeat = 2;
        rounds.second_round = Some(ms(1000));
        rounds.refresh = Some(ms(10_000));
        rounds.refresh_repeat = 3;
    });
    let mut rig = Rig::new(config(2).with_router(id(1), router(1).with_rounds(own)));
    rig.run(ms(3700));
    assert_eq!(counts(&rig, [1, 2]), [2, 5]);
    rig.run(ms(1000));
    assert_eq!(counts(&rig, [1, 2]), [4, 5]);
    rig.run(ms(4000));
    assert_eq!(counts(&rig, [1, 2]), [4, 10]);
    rig.run(ms(5000));
    assert_eq!(counts(&rig, [1, 2]), [7, 10]);
    rig.run(ms(10_000));
    assert_eq!(counts(&rig, [1, 2]), [10, 10]);
}

/// `VRRP-213`, spec 3.5: `garp_lower_prio_repeat` and `_delay`, of each member of the group by
/// itself; the second round is put off by the next losing advertisement.
#[test]
fn a_second_round_follows_a_losing_advertisement() {
    let first = rounds(|rounds| {
        rounds.losing_repeat = 2;
        rounds.losing_second_round = Some(ms(3000));
    });
    let silent = rounds(|rounds| rounds.losing_repeat = 0);
    let config = config(4)
        .with_router(id(1), router(1).with_rounds(first))
        .with_router(id(3), router(3).with_rounds(silent))
        .with_group(GroupId::new(1), GroupConfig::new([id(1), id(2), id(3)]));
    let mut rig = Rig::active(config);
    rig.run(ms(20_000));
    rig.log.clear();
    rig.hear(1, 50, LOWER);
    rig.run(ms(2000));
    assert_eq!(counts(&rig, [1, 2, 3, 4]), [2, 5, 0, 0]);
    rig.hear(1, 50, LOWER);
    rig.run(ms(2900));
    assert_eq!(counts(&rig, [1, 2, 3, 4]), [4, 10, 0, 0]);
    rig.run(ms(200));
    assert_eq!(counts(&rig, [1, 2, 3, 4]), [6, 10, 0, 0]);
    rig.run(ms(10_000));
    // Those without rounds of their own: 5 s after.
    assert_eq!(counts(&rig, [1, 2, 3, 4]), [6, 15, 0, 0]);
}

/// A router that is Active no more announces nothing, whatever was to come.
#[test]
fn no_second_round_after_the_addresses_are_gone() {
    let own = rounds(|rounds| {
        rounds.losing_second_round = Some(ms(3000));
        rounds.refresh = Some(ms(500));
    });
    let mut rig = Rig::active(config(1).with_router(id(1), router(1).with_rounds(own)));
    rig.hear(1, 50, LOWER);
    rig.run(ms(100));
    rig.hear(1, 200, HIGHER);
    rig.run(ms(0));
    rig.log.clear();
    for _ in 0..5 {
        rig.run(ms(1000));
        rig.hear(1, 200, HIGHER);
    }
    assert_eq!(rig.state(1), State::Backup);
    assert_eq!(counts(&rig, [1]), [0]);
}

/// A new configuration has its rounds followed at once, and those of others go on (`VRRP-215`).
#[test]
fn a_reload_changes_rounds() {
    let refreshed = |refresh| {
        let own = rounds(|rounds| rounds.refresh = refresh);
        config(2).with_router(id(1), router(1).with_rounds(own))
    };
    let mut rig = Rig::active(config(2));
    rig.run(ms(10_000));
    rig.log.clear();
    let now = rig.now;
    rig.node
        .reconfigure(now, refreshed(Some(ms(2000))))
        .unwrap();
    rig.run(ms(1900));
    assert_eq!(counts(&rig, [1, 2]), [0, 0]);
    rig.run(ms(200));
    assert_eq!(counts(&rig, [1, 2]), [1, 0]);
    // The same again is no change.
    rig.node
        .reconfigure(rig.now, refreshed(Some(ms(2000))))
        .unwrap();
    rig.run(ms(2000));
    assert_eq!(counts(&rig, [1, 2]), [2, 0]);
    rig.node
        .reconfigure(rig.now, refreshed(Some(ms(500))))
        .unwrap();
    rig.run(ms(1050));
    assert_eq!(counts(&rig, [1, 2]), [4, 0]);
    rig.node.reconfigure(rig.now, config(2)).unwrap();
    rig.run(ms(10_000));
    assert_eq!(counts(&rig, [1, 2]), [4, 0]);
    assert_eq!([1, 2].map(|number| rig.state(number)), [State::Active; 2]);
}

/// Spec 3.5: `garp_interval`, of each interface by itself.
#[test]
fn an_interface_may_have_a_space_of_its_own() {
    let slow = interface().with_spacing(ms(20));
    let there = NodeRouter::new(OTHER_LAN, router_config(2));
    let config = config(1)
        .with_interface(OTHER_LAN, slow)
        .with_router(id(2), there);
    let mut rig = Rig::new(config);
    let all = frames(&mut rig, ms(4_000));
    for (index, least, most) in [
        (LAN, Duration::from_micros(200), ms(1)),
        (OTHER_LAN, ms(20), ms(21)),
    ] {
        let times: Vec<_> = all.iter().filter(|(_, on)| *on == index).collect();
        assert_eq!(times.len(), 5);
        for pair in times.windows(2) {
            let space = pair[1].0 - pair[0].0;
            assert!((least..most).contains(&space), "{index:?}: {space:?}");
        }
    }
}

/// What would follow at once, and so for ever, is refused by name.
#[test]
fn announcements_after_no_time_are_refused() {
    let refused = |config: NodeConfig| config.validate().unwrap_err().to_string();
    let zero = rounds(|rounds| rounds.refresh = Some(ms(0)));
    assert_eq!(
        refused(config(1).with_settings(settings(|it| it.announce.rounds = zero))),
        "announcements of all routers: refresh after 0 ns is not after at least 1 ns"
    );
    let zero = rounds(|rounds| rounds.second_round = Some(ms(0)));
    assert_eq!(
        refused(config(1).with_router(id(1), router(1).with_rounds(zero))),
        "announcements of router 1: second round after 0 ns is not after at least 1 ns"
    );
    let zero = rounds(|rounds| rounds.losing_second_round = Some(ms(0)));
    assert_eq!(
        refused(config(1).with_router(id(1), router(1).with_rounds(zero))),
        "announcements of router 1: second round after a losing advert after 0 ns is not after at \
         least 1 ns"
    );
    assert_eq!(
        refused(config(1).with_interface(LAN, interface().with_spacing(ms(0)))),
        "interface 2: spacing of announcements of 0 ns is not at least 1 ns"
    );
}

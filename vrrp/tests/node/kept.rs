//! What a new configuration keeps, and what it replaces: trackers, start times, checksum forms, room
//! on the link, addresses that move.

use core::net::IpAddr;

use lvs_vrrp::checksum::{ChecksumForm, TxChecksum};
use lvs_vrrp::codec::{Advertisement, Transmission};
use lvs_vrrp::event::State;
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::JobKind;
use lvs_vrrp::node::{NodeRouter, Settings};
use lvs_vrrp::track::{Track, TrackerId};
use lvs_vrrp::{AddressList, Interval, NodeConfig, Priority, RouterConfig, Version};

use crate::rig::*;

const TRACKER: TrackerId = TrackerId::new(7);

fn priority(rig: &Rig, number: u32) -> u8 {
    let machine = rig.node.machine(id(number)).unwrap();
    machine.effective_priority().get()
}

/// What was told of a tracker is newer than what a configuration begins with.
#[test]
fn trackers_stay_as_they_were_told() {
    let tracked = |number| router(number).with_track(Track::new(TRACKER, -30));
    let base = |count: u8| {
        let config = config(0).with_tracker(TRACKER, true);
        (1..=count).fold(config, |config, number| {
            config.with_router(id(number.into()), tracked(number))
        })
    };
    let mut rig = Rig::new(base(1));
    rig.node.set_tracker(rig.now, TRACKER, false);
    rig.node.reconfigure(rig.now, base(2)).unwrap();
    assert_eq!([1, 2].map(|number| priority(&rig, number)), [70, 70]);
}

/// A tracker of a group counts for each of its members, beside their own.
#[test]
fn trackers_of_a_group_move_all_members() {
    let own = TrackerId::new(8);
    let group = GroupConfig::new([id(1), id(2)]).with_track(Track::new(TRACKER, -30));
    let config = config(3)
        .with_tracker(TRACKER, true)
        .with_tracker(own, true)
        .with_router(id(2), router(2).with_track(Track::new(own, 5)))
        .with_group(GroupId::new(1), group);
    let mut rig = Rig::new(config);
    assert_eq!([1, 2, 3].map(|n| priority(&rig, n)), [100, 105, 100]);
    rig.node.set_tracker(rig.now, TRACKER, false);
    assert_eq!([1, 2, 3].map(|n| priority(&rig, n)), [70, 75, 100]);
}

/// Spec 2.10: routers that are added start at different times too, those that were there do not stop.
#[test]
fn routers_that_are_added_are_spread() {
    let spread = |count| {
        let mut settings = Settings::default();
        settings.spread = true;
        config(count).with_settings(settings)
    };
    let mut rig = Rig::new(spread(1));
    rig.run(ms(1000));
    let begin = rig.now;
    rig.node.reconfigure(rig.now, spread(21)).unwrap();
    rig.run(ms(1000));
    let mut starts: Vec<_> = (2..=21)
        .map(|number| {
            let machine = rig.node.machine(id(number)).unwrap();
            assert_eq!(machine.state(), State::Backup);
            machine.since() - begin
        })
        .collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 20);
    assert!(starts[19] - starts[0] > ms(500), "{starts:?}");
}

/// The checksum form of what was heard counts only as long as peers are to be followed.
#[test]
fn a_new_checksum_policy_counts_at_once() {
    let with = |policy| {
        let mut switches = *router_config(1).switches();
        switches.tx_checksum = policy;
        let router = router_config(1).with_switches(switches);
        config(0).with_router(id(1), NodeRouter::new(LAN, router))
    };
    let follow = TxChecksum::Follow {
        default: ChecksumForm::PseudoHeader,
    };
    let mut rig = Rig::active(with(follow));
    let router = router_config(1);
    let advertisement = Advertisement {
        version: Version::V3,
        vrid: vrid(1),
        priority: Priority::new(50),
        interval: Interval::DEFAULT,
        addresses: router.addresses().as_addresses(),
    };
    let mut bytes = [0; 100];
    let length = Transmission::multicast(address(LOWER))
        .with_checksum(ChecksumForm::MessageOnly)
        .emit_packet(&advertisement, &mut bytes)
        .unwrap();
    rig.hear_bytes(&bytes[..length]);
    assert_eq!(sent_form(&mut rig), ChecksumForm::MessageOnly);
    let fixed = TxChecksum::Fixed(ChecksumForm::PseudoHeader);
    rig.node.reconfigure(rig.now, with(fixed)).unwrap();
    assert_eq!(sent_form(&mut rig), ChecksumForm::PseudoHeader);
}

/// The form of the next advertisement.
fn sent_form(rig: &mut Rig) -> ChecksumForm {
    rig.work();
    rig.now += ms(1000);
    rig.node.tick(rig.now);
    let jobs = core::iter::from_fn(|| rig.node.poll_job());
    let mut kinds = jobs.map(|job| job.kind);
    let send = kinds.find_map(|kind| match kind {
        JobKind::Send(send) => Some(send),
        _ => None,
    });
    let send = send.unwrap();
    let mut bytes = [0; 100];
    let group = rig.node.destinations(&send)[0];
    let sent = rig.node.emit_packet(rig.now, &send, group, &mut bytes);
    let message = &bytes[20..sent.unwrap()];
    let words = message.chunks_exact(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    if folded == 0xffff {
        ChecksumForm::MessageOnly
    } else {
        ChecksumForm::PseudoHeader
    }
}

/// Spec 1.4: packets are as long as the link allows, which may be more than an Ethernet frame.
#[test]
fn packets_are_as_long_as_the_link_allows() {
    let addresses = (1..=100).map(|number| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, number]));
    let router = RouterConfig::new(vrid(1), AddressList::new(addresses).unwrap());
    let lan = interface().with_mtu(9000);
    let config: NodeConfig = config(0)
        .with_interface(LAN, lan.up([address("fe80::9:9")]))
        .with_router(id(1), NodeRouter::new(LAN, router));
    let mut rig = Rig::new(config);
    let mut sent = None;
    while sent.is_none() {
        rig.now = rig.node.next_deadline().unwrap();
        rig.node.tick(rig.now);
        if let Some(JobKind::Send(send)) = rig.node.poll_job().map(|job| job.kind) {
            let group = rig.node.destinations(&send)[0];
            let mut bytes = [0; 9000];
            sent = Some(rig.node.emit_packet(rig.now, &send, group, &mut bytes));
        }
    }
    assert_eq!(sent, Some(Ok(40 + 8 + 100 * 16)));
}

/// The addresses of a router that leaves go to another one when they are gone.
#[test]
fn addresses_of_a_router_that_leaves_go_to_another() {
    let list = ["198.51.100.2", "198.51.100.1"].map(address);
    let both = router_config(2).with_addresses(AddressList::new(list).unwrap());
    let mut rig = Rig::active(config(2));
    rig.run(ms(20_000));
    rig.take_log();
    let new = config(0).with_router(id(2), NodeRouter::new(LAN, both));
    rig.node.reconfigure(rig.now, new).unwrap();
    rig.work();
    assert_eq!(
        rig.take_log(),
        "1 send 0, 2 send 100, 1 remove 1, 1 settle, 2 change +1 -, 1 Initialize"
    );
}

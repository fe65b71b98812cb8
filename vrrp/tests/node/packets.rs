//! Packets: for whom they are, what they change, how often they are reported.

use lvs_vrrp::checksum::ChecksumForm;
use lvs_vrrp::codec::{Advertisement, AhFlavour, AhKey, Authentication, Transmission};
use lvs_vrrp::event::{Notification, ShutdownMode, State};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{NodeRouter, ReportKind};
use lvs_vrrp::receive::{Meta, Observation, Peer, Reason, Versions};
use lvs_vrrp::{AddressList, Family, Interval, NodeConfig, Priority, Rank, Version};

use crate::rig::*;

/// One of each kind of packet that is dropped, with its reason.
fn bad_packets() -> Vec<(Reason, Vec<u8>)> {
    let good = || advert(1, 100, LOWER);
    let changed = |offset: usize, value: u8| {
        let mut bytes = good();
        bytes[offset] = value;
        bytes
    };
    vec![
        (Reason::IpHeader, vec![0x45; 3]),
        (Reason::Proto, changed(9, 17)),
        (Reason::Ttl, changed(8, 254)),
        (Reason::Version, changed(20, 0x41)),
        (Reason::Type, changed(20, 0x32)),
        (Reason::Vrid, changed(21, 77)),
        (Reason::Length, changed(23, 9)),
        (Reason::Checksum, changed(26, 0xaa)),
        (Reason::SelfSent, advert(1, 100, OWN)),
    ]
}

/// `VRRP-093`, `VRRP-139`, `VRRP-203`: a packet that is dropped moves one counter and nothing else.
#[test]
fn a_dropped_packet_moves_exactly_one_counter() {
    for (reason, bytes) in bad_packets() {
        let mut rig = Rig::new(config(2));
        rig.hear(1, 200, HIGHER);
        let before = rig.clone();
        rig.now += ms(10);
        rig.hear_bytes(&bytes);
        let (node, old) = (&rig.node, &before.node);
        assert_eq!(
            format!("{:?}", node.machine(id(1)).unwrap()),
            format!("{:?}", old.machine(id(1)).unwrap()),
            "{reason}: {:?} {:?}",
            rig.log,
            before.log
        );
        assert_eq!(node.next_deadline(), old.next_deadline());
        for other in Reason::ALL {
            let counters = node.router_counters(id(1)).unwrap();
            let count = node.counters().rejected(*other) + counters.rejected(*other);
            assert_eq!(count, u64::from(*other == reason), "{other} after {reason}");
        }
        let all = node.counters().rejected_in_all()
            + node.router_counters(id(1)).unwrap().rejected_in_all();
        assert_eq!(all, 1, "{reason}");
        assert_eq!(node.router_counters(id(1)).unwrap().received(), 1);
        assert_eq!(node.router_counters(id(2)), old.router_counters(id(2)));
    }
}

/// `VRRP-094`: one report at first sight, then one a minute with the number in between; per router,
/// reason and source. `VRRP-095`: it says which router, where, and why.
#[test]
fn drops_are_reported_once_a_minute() {
    let mut rig = Rig::new(config(1));
    rig.take_reports();
    let (_, bad) = &bad_packets()[7];
    for _ in 0..1000 {
        rig.hear_bytes(bad);
        rig.now += ms(50);
    }
    assert_eq!(rig.node.counters().rejected(Reason::Checksum), 1000);
    let subject = rig.reports.last().unwrap().subject;
    assert_eq!((subject.router, subject.interface), (Some(id(1)), LAN));
    assert_eq!(subject.vrid, Some(vrid(1)));
    let rejected = |suppressed| ReportKind::Rejected {
        reason: Reason::Checksum,
        source: Some(address(LOWER)),
        suppressed,
    };
    assert_eq!(rig.take_reports(), [rejected(0)]);
    rig.now += ms(10_000);
    rig.hear_bytes(bad);
    assert_eq!(rig.take_reports(), [rejected(999)]);
    // Another source is another thing.
    let mut other = bad.clone();
    other[12..16].copy_from_slice(&[192, 0, 2, 33]);
    rig.hear_bytes(&other);
    assert_eq!(rig.take_reports().len(), 1);
}

/// What was counted is told when the minute is over, though nothing more comes: once, and then
/// nothing is left to be told.
#[test]
fn what_was_not_reported_is_told_when_the_time_is_over() {
    let mut rig = Rig::new(config(1));
    rig.hear(1, 200, HIGHER);
    let (_, bad) = &bad_packets()[7];
    for _ in 0..10 {
        rig.hear_bytes(bad);
    }
    let rejected = |suppressed| ReportKind::Rejected {
        reason: Reason::Checksum,
        source: Some(address(LOWER)),
        suppressed,
    };
    let begin = rig.now;
    assert_eq!(rig.take_reports(), [rejected(0)]);
    rig.run(ms(59_999));
    assert_eq!(rig.take_reports(), []);
    rig.run(ms(1));
    assert_eq!(rig.take_reports(), [rejected(8)], "the last and 8 more");
    let told = rig.now - begin;
    assert_eq!(told, ms(60_000));
    rig.run(ms(200_000));
    assert_eq!(rig.take_reports(), []);
    rig.hear_bytes(bad);
    assert_eq!(rig.take_reports(), [rejected(0)], "at first sight again");
}

/// A thousand forged sources do not let what is known be reported anew.
#[test]
fn forged_sources_do_not_wear_out_the_limit() {
    let mut rig = Rig::new(config(1));
    let (_, bad) = &bad_packets()[7];
    rig.hear_bytes(bad);
    rig.take_reports();
    let mut forged = bad.clone();
    for number in 0..3000_u16 {
        forged[14..16].copy_from_slice(&number.to_be_bytes());
        rig.hear_bytes(&forged);
    }
    assert!(rig.take_reports().len() <= 1024);
    rig.hear_bytes(bad);
    assert_eq!(rig.take_reports(), []);
}

/// Traffic of others is normal: counted, not reported, unless asked for.
#[test]
fn unknown_ids_are_reported_on_request() {
    for asked in [false, true] {
        let mut settings = lvs_vrrp::node::Settings::default();
        settings.report_unknown_vrids = asked;
        let mut rig = Rig::new(config(1).with_settings(settings));
        rig.reports.clear();
        rig.hear(9, 100, LOWER);
        assert_eq!(rig.node.counters().rejected(Reason::Vrid), 1);
        assert_eq!(rig.take_reports().len(), usize::from(asked));
    }
}

/// `VRRP-128`, `VRRP-129`: several owners, equal priorities: one observation each.
#[test]
fn conflicts_are_observed_once() {
    let owner = NodeRouter::new(LAN, router_config(2).as_owner());
    let mut rig = Rig::active(config(1).with_router(id(2), owner));
    for _ in 0..3 {
        rig.hear(1, 100, LOWER);
        rig.hear(2, 255, LOWER);
    }
    let source = address(LOWER);
    let observed = |observation| ReportKind::Observed {
        observation,
        source,
        suppressed: 0,
    };
    let lost = |priority| Notification::LosingAdvert(Rank::new(Priority::new(priority), source));
    assert_eq!(
        rig.take_reports(),
        [
            observed(Observation::EqualPriority),
            ReportKind::Router(lost(100)),
            observed(Observation::Owner),
            observed(Observation::OwnerConflict),
            ReportKind::Router(Notification::OwnerConflict(source)),
            ReportKind::Router(lost(255)),
        ]
    );
    let counters = rig.node.router_counters(id(2)).unwrap();
    assert_eq!(counters.observed(Observation::OwnerConflict), 3);
}

/// `VRRP-087`: the same id on another interface is another router.
#[test]
fn demultiplexes_by_interface_and_id() {
    let there = NodeRouter::new(OTHER_LAN, router_config(1));
    let mut rig = Rig::new(config(2).with_router(id(11), there));
    rig.run(ms(3000));
    rig.hear(1, 200, HIGHER);
    rig.run(ms(1000));
    let states = [1, 2, 11].map(|number| rig.state(number));
    assert_eq!(states, [State::Backup, State::Active, State::Active]);
    let meta = Meta::ipv6(LAN, rig.now);
    rig.node.receive(rig.now, &meta, &advert(1, 200, HIGHER));
    assert_eq!(rig.node.counters().rejected(Reason::IpHeader), 1);
}

/// Spec 3.1: routers of one id are told apart by their unicast peers.
#[test]
fn demultiplexes_unicast_routers_by_source() {
    let unicast = |peer: &str, own: &str| {
        let config = router_config(1)
            .with_addresses(AddressList::new([address(own)]).unwrap())
            .with_unicast_peers([Peer::new(address(peer)).with_ttl(64..=255)]);
        NodeRouter::new(LAN, config)
    };
    let config = |second: &str| -> NodeConfig {
        config(0)
            .with_router(id(1), unicast(LOWER, "198.51.100.1"))
            .with_router(id(2), unicast(second, "198.51.100.2"))
    };
    let refused = config(LOWER).validate().unwrap_err().to_string();
    assert_eq!(
        refused,
        "routers 2 and 1 have the same interface, family and id, and no peers to tell them apart"
    );
    let mut rig = Rig::new(config(HIGHER));
    let own = address(OWN);
    for (source, ttl) in [(LOWER, 255), (HIGHER, 64), ("192.0.2.77", 255)] {
        let router = router_config(1);
        let advertisement = Advertisement {
            version: Version::V3,
            vrid: vrid(1),
            priority: Priority::new(200),
            interval: Interval::DEFAULT,
            addresses: router.addresses().as_addresses(),
        };
        let mut bytes = [0; 100];
        let length = Transmission::unicast(address(source), own)
            .with_ttl(ttl)
            .emit_packet(&advertisement, &mut bytes)
            .unwrap();
        rig.hear_bytes(&bytes[..length]);
    }
    for number in [1, 2] {
        let counters = rig.node.router_counters(id(number)).unwrap();
        assert_eq!(counters.received(), 1, "router {number}");
    }
    let counters = rig.node.router_counters(id(1)).unwrap();
    let strangers = [1, 2].map(|number| {
        let counters = rig.node.router_counters(id(number)).unwrap();
        counters.rejected(Reason::UnknownPeer)
    });
    assert_eq!(strangers.iter().sum::<u64>(), 1, "{counters:?}");
}

/// `VRRP-141`: the counters begin anew, and say since when.
#[test]
fn counters_begin_anew() {
    let mut rig = Rig::active(config(1));
    rig.hear(1, 50, LOWER);
    assert_eq!(rig.node.router_counters(id(1)).unwrap().received(), 1);
    rig.node.reset_counters(rig.now, id(1));
    assert_eq!(rig.node.router_counters(id(1)).unwrap().received(), 0);
    let machine = rig.node.machine(id(1)).unwrap();
    assert_eq!(machine.counters().discontinuity, rig.now);
}

/// `advertisement-sent` counts packets: one for each peer and version.
#[test]
fn counts_each_packet_that_is_sent() {
    let peers = [LOWER, HIGHER].map(|peer| Peer::new(address(peer)));
    let unicast = NodeRouter::new(LAN, router_config(1).with_unicast_peers(peers));
    let dual = NodeRouter::new(LAN, router_config(2).with_versions(Versions::Dual));
    let config = config(3)
        .with_router(id(1), unicast)
        .with_router(id(2), dual);
    let mut rig = Rig::active(config);
    let mut buffer = [0; 100];
    let mut jobs = Vec::new();
    rig.now += ms(1000);
    rig.node.tick(rig.now);
    rig.node.shutdown(rig.now, ShutdownMode::Graceful);
    while let Some(job) = rig.node.poll_job() {
        if let JobKind::Send(send) = job.kind {
            for destination in rig.node.destinations(&send) {
                let sent = rig
                    .node
                    .emit_packet(rig.now, &send, destination, &mut buffer);
                sent.unwrap();
            }
            jobs.push(send);
        }
    }
    // Those of before were never built.
    let counts = [1, 2, 3].map(|number| {
        let counters = rig.node.router_counters(id(number)).unwrap();
        (counters.sent(), counters.sent_resignations())
    });
    assert_eq!(jobs.len(), 4);
    assert_eq!(counts, [(2, 2), (2, 2), (1, 1)]);
}

/// What a machine says of packets is limited as what the ladder says of them.
#[test]
fn notifications_that_packets_cause_are_limited() {
    let mut rig = Rig::active(config(1));
    for _ in 0..50 {
        rig.hear(1, 50, LOWER);
        rig.hear(1, 100, OWN);
        rig.run(ms(1));
    }
    let rank = Rank::new(Priority::new(50), address(LOWER));
    let notification = Notification::LosingAdvert(rank);
    let reports = rig.take_reports();
    let of_machine: Vec<_> = reports
        .iter()
        .filter(|kind| matches!(kind, ReportKind::Router(_)))
        .collect();
    assert_eq!(of_machine, [&ReportKind::Router(notification)]);
    assert!(reports.len() <= 3, "{reports:?}");
    rig.run(ms(60_000));
    let repeated = ReportKind::Repeated {
        notification,
        suppressed: 48,
    };
    assert!(
        rig.take_reports().contains(&repeated),
        "the last and 48 more"
    );
}

/// `VRRP-202`: two peers whose checksums differ are counted, and reported once.
#[test]
fn a_conflict_of_checksum_forms_is_counted() {
    let mut rig = Rig::active(config(1));
    let forms = [
        (ChecksumForm::MessageOnly, "192.0.2.201"),
        (ChecksumForm::PseudoHeader, "192.0.2.202"),
    ];
    for (form, source) in forms {
        let router = router_config(1);
        let advertisement = Advertisement {
            version: Version::V3,
            vrid: vrid(1),
            priority: Priority::new(200),
            interval: Interval::DEFAULT,
            addresses: router.addresses().as_addresses(),
        };
        let mut bytes = [0; 100];
        let length = Transmission::multicast(address(source))
            .with_checksum(form)
            .emit_packet(&advertisement, &mut bytes)
            .unwrap();
        rig.hear_bytes(&bytes[..length]);
    }
    let counters = rig.node.router_counters(id(1)).unwrap();
    assert_eq!(counters.observed(Observation::ChecksumFormConflict), 1);
    let is_conflict = |kind: &ReportKind| {
        let conflict = Observation::ChecksumFormConflict;
        matches!(kind, ReportKind::Observed { observation, .. } if *observation == conflict)
    };
    assert!(rig.take_reports().iter().any(is_conflict));
}

/// Spec 1.3: one number for sending and hearing, higher in each packet; after the last one it begins
/// anew, and whoever heard the last one hears the first.
#[test]
fn authentication_headers_are_numbered_on() {
    let key = AhKey::new(AhFlavour::Keepalived, b"secret").unwrap();
    let signed = router_config(1)
        .with_versions(Versions::Only(Version::V2))
        .with_authentication(Authentication::Header(key.clone()));
    let mut rig = Rig::new(config(0).with_router(id(1), NodeRouter::new(LAN, signed.clone())));
    let hear = |rig: &mut Rig, sequence: u32| {
        let advertisement = Advertisement {
            version: Version::V2,
            vrid: vrid(1),
            priority: Priority::new(200),
            interval: Interval::DEFAULT,
            addresses: signed.addresses().as_addresses(),
        };
        let authentication = Authentication::Header(key.clone());
        let mut bytes = [0; 100];
        let length = Transmission::multicast(address(HIGHER))
            .with_authentication(&authentication, sequence)
            .emit_packet(&advertisement, &mut bytes)
            .unwrap();
        let counters = |rig: &Rig| rig.node.router_counters(id(1)).unwrap().received();
        let before = counters(rig);
        rig.hear_bytes(&bytes[..length]);
        counters(rig) > before
    };
    assert!(hear(&mut rig, 7));
    assert!(!hear(&mut rig, 7) && !hear(&mut rig, 6));
    assert!(hear(&mut rig, u32::MAX));
    assert!(hear(&mut rig, 1), "it began anew");
    assert!(!hear(&mut rig, 1));
    for (heard, sent) in [
        (40, [41, 42]),
        (0xffff, [0x1_0000, 0x1_0001]),
        (u32::MAX - 1, [u32::MAX, 1]),
    ] {
        let mut rig = rig.clone();
        assert!(hear(&mut rig, heard));
        let mut sequences = Vec::new();
        while sequences.len() < 2 {
            rig.now = rig.node.next_deadline().unwrap();
            rig.node.tick(rig.now);
            while let Some(job) = rig.node.poll_job() {
                if let JobKind::Send(send) = job.kind {
                    let mut bytes = [0; 100];
                    let to = address("224.0.0.18");
                    rig.node
                        .emit_packet(rig.now, &send, to, &mut bytes)
                        .unwrap();
                    sequences.push(u32::from_be_bytes(bytes[28..32].try_into().unwrap()));
                    // A kernel fills in another, which the digest would not cover.
                    assert_ne!(bytes[4..6], [0, 0], "identification");
                }
                rig.node.complete(rig.now, job.id, JobResult::Done);
            }
        }
        assert_eq!(sequences, sent);
    }
}

/// Forged sources without number do not hide what else is wrong.
#[test]
fn a_full_limit_hides_no_other_reason() {
    let mut rig = Rig::new(config(1));
    let packets = bad_packets();
    let mut forged = packets[7].1.clone();
    for number in 0..1100_u16 {
        forged[14..16].copy_from_slice(&number.to_be_bytes());
        rig.hear_bytes(&forged);
    }
    rig.take_reports();
    let (reason, ttl) = &packets[2];
    for _ in 0..3 {
        rig.hear_bytes(ttl);
    }
    let rejected = |suppressed| ReportKind::Rejected {
        reason: *reason,
        source: Some(address(LOWER)),
        suppressed,
    };
    assert_eq!(rig.take_reports(), [rejected(0)]);
    rig.run(ms(60_000));
    assert!(rig.take_reports().contains(&rejected(1)));
}

/// `VRRP-140`: reports name interface, family, virtual router id and reason, also of what is wrong
/// before the id counts, as far as it can be read.
#[test]
fn reports_of_errors_name_the_virtual_router() {
    for (reason, bytes) in bad_packets() {
        let mut settings = lvs_vrrp::node::Settings::default();
        settings.report_unknown_vrids = true;
        let mut rig = Rig::new(config(1).with_settings(settings));
        rig.fetch();
        rig.reports.clear();
        rig.hear_bytes(&bytes);
        let is_it = |kind: &ReportKind| matches!(kind, ReportKind::Rejected { reason: why, .. } if *why == reason);
        let rejected = rig.reports.iter().find(|report| is_it(&report.kind));
        let subject = rejected.unwrap().subject;
        let named = match reason {
            Reason::IpHeader | Reason::Proto => None,
            Reason::Vrid => Some(vrid(77)),
            _ => Some(vrid(1)),
        };
        assert_eq!(
            (subject.interface, subject.family, subject.vrid),
            (LAN, Family::Ipv4, named),
            "{reason}"
        );
    }
    let mut rig = Rig::new(config(1));
    rig.run(ms(4000));
    let active = rig.reports.iter().rev().find(|report| {
        matches!(report.kind, ReportKind::Router(Notification::Transition(t)) if t.to == State::Active)
    });
    let subject = active.unwrap().subject;
    assert_eq!(
        (subject.interface, subject.family, subject.vrid),
        (LAN, Family::Ipv4, Some(vrid(1)))
    );
}

/// Each advertisement a router sends next, as written for each destination.
fn packets_sent(rig: &mut Rig) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut buffer = [0xa5; 1500];
    for _ in 0..10 {
        rig.now = rig.node.next_deadline().unwrap();
        rig.node.tick(rig.now);
        while let Some(job) = rig.node.poll_job() {
            if let JobKind::Send(send) = &job.kind {
                for destination in rig.node.destinations(send) {
                    let length = rig
                        .node
                        .emit_packet(rig.now, send, destination, &mut buffer);
                    packets.push(buffer[..length.unwrap()].to_vec());
                }
            }
            rig.node.complete(rig.now, job.id, JobResult::Done);
        }
    }
    packets
}

/// Spec 3.1: unicast peers get the time to live that is set, groups 255 (`VRRP-004`, `VRRP-009`).
#[test]
fn peers_get_the_time_to_live_that_is_set() {
    let peers = ["192.0.2.201", "192.0.2.202"].map(|text| Peer::new(address(text)));
    let unicast = router_config(1).with_unicast_peers(peers);
    let v6 = AddressList::new([address("fe80::1")]).unwrap();
    let v6 = lvs_vrrp::RouterConfig::new(vrid(1), v6);
    let unicast_v6 = v6
        .clone()
        .with_unicast_peers([Peer::new(address("fe80::2"))]);
    for (router, ttl, addresses) in [
        (unicast.clone(), 255, 2),
        (unicast.clone().with_unicast_ttl(64), 64, 2),
        (unicast.with_unicast_ttl(1), 1, 2),
        (router_config(1), 255, 1),
        (unicast_v6.with_unicast_ttl(64), 64, 1),
        (v6, 255, 1),
    ] {
        let lan = [address(OWN), address("fe80::9")];
        let mut rig = Rig::new(config(0).with_router(id(1), NodeRouter::new(LAN, router)));
        rig.node.link(rig.now, LAN, true, &lan);
        let packets = packets_sent(&mut rig);
        assert!(packets.len() >= addresses && packets.len() % addresses == 0);
        for packet in packets {
            let is_v4 = packet[0] >> 4 == 4;
            assert_eq!(packet[if is_v4 { 8 } else { 7 }], ttl);
        }
    }
}

/// `VRRP-029`, as keepalived does it: a list that begins with a global address is sent; a strict
/// router drops it, another one reports it.
#[test]
fn a_list_that_begins_with_a_global_address_is_sent() {
    use lvs_vrrp::Profile;

    let addresses = AddressList::new(["2001:db8::1", "fe80::1"].map(address)).unwrap();
    let router = lvs_vrrp::RouterConfig::new(vrid(1), addresses);
    let with_router = |router| config(0).with_router(id(1), NodeRouter::new(LAN, router));
    let mut rig = Rig::new(with_router(router.clone()));
    rig.node.link(rig.now, LAN, true, &[address("fe80::9")]);
    let packets = packets_sent(&mut rig);
    assert!(!packets.is_empty());
    for (profile, is_dropped) in [(Profile::Strict9568, true), (Profile::Linux, false)] {
        let mut switches = Profile::Linux.switches();
        switches.receive.first_address = profile.receive_rules().first_address;
        let router = router.clone().with_switches(switches);
        let mut peer = Rig::new(with_router(router));
        peer.node.link(peer.now, LAN, true, &[address("fe80::8")]);
        let meta = Meta::ipv6(LAN, peer.now);
        peer.node.receive(peer.now, &meta, &packets[0]);
        let counters = peer.node.router_counters(id(1)).unwrap();
        let rejected = counters.rejected(Reason::FirstNotLinkLocal);
        let observed = counters.observed(Observation::FirstNotLinkLocal);
        assert_eq!(
            (rejected, observed),
            if is_dropped { (1, 0) } else { (0, 1) }
        );
    }
}

/// With each report the count begins anew.
#[test]
fn what_was_counted_is_told_once() {
    let mut rig = Rig::new(config(1));
    rig.take_reports();
    let (_, bad) = &bad_packets()[7];
    for (times, suppressed) in [(3, 0), (1, 2), (1, 0)] {
        for _ in 0..times {
            rig.hear_bytes(bad);
        }
        let rejected = ReportKind::Rejected {
            reason: Reason::Checksum,
            source: Some(address(LOWER)),
            suppressed,
        };
        assert_eq!(rig.take_reports(), [rejected]);
        rig.now += ms(60_000);
    }
}

/// Spec 1.2: another router with the address from which this one advertises is dropped as an echo,
/// and told as what it may be.
#[test]
fn what_is_dropped_may_be_observed_too() {
    let mut rig = Rig::new(config(1));
    rig.take_reports();
    rig.hear(1, 100, OWN);
    let observed = ReportKind::Observed {
        observation: Observation::DuplicatePrimaryAddress,
        source: address(OWN),
        suppressed: 0,
    };
    assert!(rig.take_reports().contains(&observed));
}

/// What an Active said and was not sent yet is not sent by a Backup, or by one that is stopped.
#[test]
fn advertisements_that_wait_are_withdrawn() {
    let mut rig = Rig::active(config(1));
    rig.now += ms(1000);
    rig.node.tick(rig.now);
    rig.node.link(rig.now, LAN, false, &[]);
    rig.work();
    assert!(!rig.take_log().contains("send"));
}

//! The `auth_hmac` trailer in a node: roll-out, keys, time, replay.

use core::time::Duration;

use lvs_vrrp::checksum::{ChecksumForm, TxChecksum};
use lvs_vrrp::codec::TrailerKey;
use lvs_vrrp::config::TrailerConfig;
use lvs_vrrp::event::{InitReason, State};
use lvs_vrrp::job::{JobKind, SendJob};
use lvs_vrrp::node::{InterfaceConfig, Node, NodeRouter};
use lvs_vrrp::receive::{Meta, Peer, TrailerMode};
use lvs_vrrp::{
    AddressList, ConfigError, MacAddress, NodeConfig, Priority, Profile, Reason, RouterConfig,
    Switches,
};

use crate::rig::*;

/// UTC when the time is 0.
const OFFSET: Duration = Duration::from_secs(1_700_000_000);

fn key(number: u8) -> TrailerKey {
    TrailerKey::new(number, &[number; 32]).unwrap()
}

fn trailed(trailer: TrailerConfig, own: &str) -> NodeConfig {
    let mac = MacAddress::new([2, 0, 0, 0, 0, 9]);
    let router = NodeRouter::new(LAN, router_config(1).with_trailer(trailer));
    config(0)
        .with_interface(LAN, InterfaceConfig::new(mac).up([address(own)]))
        .with_router(id(1), router)
}

/// A node that knows the time.
fn rig(trailer: TrailerConfig, own: &str) -> Rig {
    let mut rig = Rig::new(trailed(trailer, own));
    rig.node.set_utc_offset(rig.now, OFFSET);
    rig.fetch();
    rig
}

/// Runs until it advertises; the job.
fn first_send(node: &mut Node) -> (Duration, SendJob) {
    loop {
        let now = node.next_deadline().unwrap();
        node.tick(now);
        while let Some(job) = node.poll_job() {
            if let JobKind::Send(send) = job.kind {
                return (now, send);
            }
        }
    }
}

/// A packet of a node with this trailer that is Active, and when it was sent.
fn sent(trailer: TrailerConfig) -> (Duration, Vec<u8>) {
    let mut rig = rig(trailer, HIGHER);
    let (now, send) = first_send(&mut rig.node);
    let mut buffer = [0; 1500];
    let group = rig.node.destinations(&send)[0];
    let length = rig
        .node
        .emit_packet(now, &send, group, &mut buffer)
        .unwrap();
    (now, buffer[..length].to_vec())
}

/// What a node with this trailer makes of a packet that comes this much later.
fn judged(trailer: TrailerConfig, packet: &[u8], at: Duration) -> Option<Reason> {
    let mut rig = rig(trailer, OWN);
    rig.now = at;
    rig.hear_bytes(packet);
    let counters = rig.node.router_counters(id(1)).unwrap();
    let mut reasons = Reason::ALL.iter().copied();
    let reason = reasons.find(|reason| counters.rejected(*reason) > 0);
    assert_eq!(counters.received(), u64::from(reason.is_none()));
    reason
}

/// Spec 1.9: every mode of the sender against every mode of the receiver. Each mode understands the
/// one before and the one after.
#[test]
fn the_roll_out_goes_through_three_modes() {
    use TrailerMode::{Enforce, Ignore, Permissive};
    let of = |mode| TrailerConfig::new(mode, key(1));
    for (sender, receiver, expected) in [
        (Ignore, Ignore, None),
        (Ignore, Permissive, None),
        (Ignore, Enforce, Some(Reason::AuthFailure)),
        (Permissive, Ignore, None),
        (Permissive, Permissive, None),
        (Permissive, Enforce, None),
        (Enforce, Ignore, None),
        (Enforce, Permissive, None),
        (Enforce, Enforce, None),
    ] {
        let (at, packet) = sent(of(sender));
        let trailer = if sender == Ignore { 0 } else { 28 };
        assert_eq!(packet.len(), 20 + 8 + 4 + trailer);
        let reason = judged(of(receiver), &packet, at);
        assert_eq!(reason, expected, "{sender:?} to {receiver:?}");
    }
    let (at, packet) = sent(of(Permissive));
    let mut plain = Rig::new(config(1));
    plain.now = at;
    plain.hear_bytes(&packet);
    let counters = plain.node.router_counters(id(1)).unwrap();
    assert_eq!(counters.rejected(Reason::Length), 1, "knows no trailers");
}

#[test]
fn the_first_key_signs_and_all_are_accepted() {
    let of = |numbers: [u8; 2]| {
        TrailerConfig::new(TrailerMode::Enforce, key(numbers[0])).with_key(key(numbers[1]))
    };
    let (at, packet) = sent(of([7, 8]));
    assert_eq!(packet[20 + 12 + 1], 7, "the key's number");
    assert_eq!(judged(of([8, 7]), &packet, at), None);
    let failure = Some(Reason::AuthFailure);
    assert_eq!(judged(of([8, 9]), &packet, at), failure);
    let mut forged = packet.clone();
    forged[59] ^= 1;
    assert_eq!(judged(of([7, 8]), &forged, at), failure);
}

/// Within the window, three intervals or at least 5 s unless set; in monotonic mode at any time.
#[test]
fn old_packets_are_replays() {
    let of = || TrailerConfig::new(TrailerMode::Enforce, key(1));
    let (at, packet) = sent(of());
    let replay = Some(Reason::AuthReplay);
    let second = Duration::from_secs(1);
    for (trailer, after, expected) in [
        (of(), 5, None),
        (of(), 6, replay),
        (of().with_window(300), 300, None),
        (of().with_window(300), 301, replay),
        (of().with_window(1), 2, replay),
        (of().monotonic(), 1_000_000, None),
    ] {
        let reason = judged(trailer, &packet, at + second * after);
        assert_eq!(reason, expected, "{after}");
    }
}

/// The same packet twice: once accepted, once a replay, which changes nothing; whoever else has the
/// key is heard as before.
#[test]
fn a_packet_counts_once() {
    for monotonic in [false, true] {
        let trailer = TrailerConfig::new(TrailerMode::Enforce, key(1));
        let trailer = if monotonic {
            trailer.monotonic()
        } else {
            trailer
        };
        let (at, packet) = sent(trailer.clone());
        let mut rig = rig(trailer, OWN);
        rig.now = at;
        rig.hear_bytes(&packet);
        let deadline = rig.node.machine(id(1)).unwrap().next_deadline();
        rig.now += ms(100);
        rig.hear_bytes(&packet);
        let counters = rig.node.router_counters(id(1)).unwrap();
        let counted = (counters.received(), counters.rejected(Reason::AuthReplay));
        assert_eq!(counted, (1, 1));
        assert_eq!(rig.node.machine(id(1)).unwrap().next_deadline(), deadline);
    }
}

/// Without the time it could neither sign nor compare.
#[test]
fn it_does_not_run_before_the_time_is_known() {
    for (mode, waits) in [
        (TrailerMode::Ignore, false),
        (TrailerMode::Permissive, true),
        (TrailerMode::Enforce, true),
    ] {
        let mut rig = Rig::new(trailed(TrailerConfig::new(mode, key(1)), OWN));
        rig.run(ms(500));
        let reason = rig.node.machine(id(1)).unwrap().init_reason();
        assert_eq!(reason, waits.then_some(InitReason::NotStarted), "{mode:?}");
        rig.node.set_utc_offset(rig.now, OFFSET);
        assert_eq!(rig.state(1), State::Backup);
    }
}

/// Vector V20, in keepalived's layout: accepted, and written byte for byte.
#[test]
fn the_vector_of_keepalived_is_read_and_written() {
    let text = include_str!("../data/vrrp-vectors.json");
    let data: serde_json::Value = serde_json::from_str(text).unwrap();
    let vectors = data.as_array().or_else(|| data["vectors"].as_array());
    let mut vectors = vectors.unwrap().iter();
    let vector = vectors.find(|vector| vector["id"] == "V20").unwrap();
    let bytes = |field: &str| -> Vec<u8> {
        let hex = vector[field].as_str().unwrap();
        let pairs = (0..hex.len()).step_by(2);
        pairs
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let (frame, message) = (bytes("frame"), bytes("message"));
    let key = TrailerKey::new(9, &[0x4f; 32]).unwrap();
    let node = |own: &str, peer: &str, priority| {
        let mut switches = Switches::default();
        switches.tx_checksum = TxChecksum::Fixed(ChecksumForm::MessageOnly);
        let addresses = AddressList::new([address("192.0.2.60")]).unwrap();
        let router = RouterConfig::new(vrid(60), addresses)
            .with_priority(Priority::new(priority))
            .with_switches(switches)
            .with_unicast_peers([Peer::new(address(peer)).with_ttl(64..=64)])
            .with_trailer(TrailerConfig::new(TrailerMode::Enforce, key.clone()).monotonic());
        let lan = InterfaceConfig::new(MacAddress::new([2, 0, 0, 0, 0, 9])).up([address(own)]);
        let config = config(0)
            .with_interface(LAN, lan)
            .with_router(id(60), NodeRouter::new(LAN, router));
        Node::new(config).unwrap()
    };

    let mut receiver = node("192.0.2.42", "192.0.2.41", 100);
    let now = Duration::from_secs(10);
    receiver.set_utc_offset(now, OFFSET);
    receiver.receive(now, &Meta::ipv4(LAN, now), &frame[14..]);
    assert_eq!(receiver.router_counters(id(60)).unwrap().received(), 1);
    receiver.receive(now, &Meta::ipv4(LAN, now), &frame[14..]);
    let counters = receiver.router_counters(id(60)).unwrap();
    assert_eq!(counters.rejected(Reason::AuthReplay), 1);

    // The third one in the second 1/65536 s of that second.
    let mut sender = node("192.0.2.41", "192.0.2.42", 140);
    sender.set_utc_offset(Duration::ZERO, Duration::ZERO);
    let (at, send) = first_send(&mut sender);
    let utc = Duration::new(0x68c0_ffee, 1_000_000_000 / 65536 + 1);
    sender.set_utc_offset(at, utc - at);
    let mut buffer = [0; 100];
    let mut length = 0;
    for _ in 0..3 {
        let peer = sender.destinations(&send)[0];
        length = sender.emit_message(at, &send, peer, &mut buffer).unwrap();
    }
    assert_eq!(buffer[..length], message);
}

#[test]
fn wrong_settings_are_refused() {
    let of = |trailer| router_config(1).with_trailer(trailer);
    let plain = || TrailerConfig::new(TrailerMode::Enforce, key(1));
    for (config, expected) in [
        (
            of(plain().with_key(key(2)).with_key(key(1))),
            ConfigError::TrailerKeyTwice { id: 1 },
        ),
        (
            of(plain().with_window(0)),
            ConfigError::TrailerWindow { seconds: 0 },
        ),
        (
            of(plain().with_window(301)),
            ConfigError::TrailerWindow { seconds: 301 },
        ),
        (
            of(plain()).with_switches(Profile::Strict9568.switches()),
            ConfigError::Refused {
                field: "authentication by a trailer",
            },
        ),
    ] {
        assert_eq!(config.validate(), Err(expected));
    }
    assert_eq!(of(plain().with_key(key(2))).validate(), Ok(()));
}

/// Spec 1.9: the numbers of each source are compared with its own last one, also after a third
/// packet; a source that is one of many is forgotten when it was heard longest ago.
#[test]
fn each_source_has_numbers_of_its_own() {
    use lvs_vrrp::codec::{Advertisement, Transmission};

    let of = || TrailerConfig::new(TrailerMode::Enforce, key(1)).monotonic();
    let router = router_config(1);
    let advertisement = Advertisement {
        version: lvs_vrrp::Version::V3,
        vrid: vrid(1),
        priority: Priority::new(200),
        interval: lvs_vrrp::Interval::DEFAULT,
        addresses: router.addresses().as_addresses(),
    };
    let packet = |source: u8, sequence: u64| {
        let mut bytes = [0; 1500];
        let key = key(1);
        let length = Transmission::multicast([192, 0, 2, source].into())
            .with_trailer(&key, sequence)
            .emit_packet(&advertisement, &mut bytes)
            .unwrap();
        bytes[..length].to_vec()
    };
    let mut rig = rig(of(), OWN);
    let mut is_accepted = |source, sequence| {
        let counters = |rig: &Rig| rig.node.router_counters(id(1)).unwrap().received();
        let before = counters(&rig);
        rig.now += ms(100);
        rig.hear_bytes(&packet(source, sequence));
        counters(&rig) > before
    };
    assert!(is_accepted(100, 1000) && is_accepted(100, 1002));
    assert!(!is_accepted(100, 1001) && is_accepted(101, 500));
    assert!(is_accepted(101, 501) && !is_accepted(100, 1002));
    // 64 are remembered, those with the highest numbers.
    for source in 120..182 {
        assert!(is_accepted(source, 2000));
    }
    assert!(is_accepted(200, 2000));
    assert!(!is_accepted(100, 1002) && is_accepted(101, 501));
}

/// Where only growth is asked for, a peer whose clock was set back is let in by a start; where the
/// time is compared, a start does not make old packets new.
#[test]
fn a_start_forgets_numbers_only_without_a_window() {
    for monotonic in [true, false] {
        let trailer = TrailerConfig::new(TrailerMode::Enforce, key(1));
        let trailer = if monotonic {
            trailer.monotonic()
        } else {
            trailer
        };
        let (at, packet) = sent(trailer.clone());
        let mut rig = rig(trailer, OWN);
        rig.now = at;
        rig.hear_bytes(&packet);
        for is_up in [false, true] {
            rig.node.link(rig.now, LAN, is_up, &[address(OWN)]);
        }
        rig.hear_bytes(&packet);
        let counters = rig.node.router_counters(id(1)).unwrap();
        assert_eq!(counters.received(), 1 + u64::from(monotonic));
    }
}

//! What one side sends, the other hears, with all that is to be known about it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::thread;

use lvs_vrrp::checksum::ChecksumForm;
use lvs_vrrp::codec::{
    Advertisement, AhFlavour, AhKey, Authentication, GratuitousArp, Transmission,
};
use lvs_vrrp::net::{Carrier, FrameSender, ReceiveBuffer, Receiver, SendBatch, Sender, clock};
use lvs_vrrp::receive::{AnyRouter, Meta, Reason, receive};
use lvs_vrrp::{
    AddressList, Family, InterfaceIndex, Interval, MacAddress, Priority, Profile, Version, Vrid,
};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use crate::network::{Host, cable, eventually};

/// Two hosts with a cable: `a` and `b`.
fn pair() -> (Host, Host) {
    let (left, right) = (Host::new("left"), Host::new("right"));
    cable(&left, "a", &right, "b");
    left.ip("address add 192.0.2.1/24 dev a\naddress add fe80::1/64 dev a");
    right.ip("address add 192.0.2.2/24 dev b\naddress add fe80::2/64 dev b");
    (left, right)
}

fn index(host: &Host, name: &str) -> u32 {
    host.enter(|| if_nametoindex(name).unwrap())
}

fn receiver(host: &Host, name: &str, family: Family) -> Receiver {
    let here = InterfaceIndex::new(index(host, name));
    host.enter(|| Receiver::open(name, here, family, Carrier::Plain).unwrap())
}

fn sender(host: &Host, name: &str, family: Family) -> Sender {
    let here = index(host, name);
    host.enter(|| Sender::open(name, here, family).unwrap())
}

fn addresses(family: Family) -> AddressList {
    let address = match family {
        Family::Ipv4 => "192.0.2.100",
        Family::Ipv6 => "fe80::100",
    };
    AddressList::new([address.parse().unwrap()]).unwrap()
}

fn left_address(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::new(192, 0, 2, 1).into(),
        Family::Ipv6 => "fe80::1".parse::<Ipv6Addr>().unwrap().into(),
    }
}

fn push(batch: &mut SendBatch, family: Family, vrid: u8, to: Option<IpAddr>, ttl: u8) {
    let addresses = addresses(family);
    let advertisement = Advertisement {
        version: Version::V3,
        vrid: Vrid::new(vrid).unwrap(),
        priority: Priority::new(150),
        interval: Interval::DEFAULT,
        addresses: addresses.as_addresses(),
    };
    let to = to.unwrap_or_else(|| family.group());
    let transmission = Transmission::unicast(left_address(family), to)
        .with_ttl(ttl)
        .with_checksum(ChecksumForm::PseudoHeader);
    batch
        .push(to, 1500, |buffer| {
            transmission.emit_packet(&advertisement, buffer)
        })
        .unwrap();
}

fn send(sender: &Sender, batch: &SendBatch) {
    let mut places = Vec::new();
    sender.send(batch, |place, result| {
        result.unwrap();
        places.push(place);
    });
    assert_eq!(places, (0..batch.len()).collect::<Vec<_>>());
}

/// Reads until so many packets have come.
fn hear(receiver: &mut Receiver, count: usize) -> Vec<(Meta, Vec<u8>)> {
    let (mut buffer, mut heard) = (ReceiveBuffer::new(), Vec::new());
    eventually(
        || {
            receiver
                .drain(&mut buffer, |meta, bytes| {
                    heard.push((*meta, bytes.to_vec()))
                })
                .unwrap();
            heard.len()
        },
        |heard| *heard >= count,
    );
    heard
}

/// Any router of the default profile takes it.
fn judge(meta: &Meta, bytes: &[u8]) -> Result<u8, Reason> {
    let routers = AnyRouter::new(Profile::Linux.receive_rules());
    receive(meta, bytes, &routers)
        .map(|accepted| accepted.advertisement.vrid.get())
        .map_err(|rejection| rejection.reason())
}

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// What comes to the interface and the group is heard once, with TTL or hop limit,
/// source, destination and time of receipt; and not by the sender itself.
#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn advertisements_arrive_with_what_the_ladder_wants_to_know() {
    let (left, right) = pair();
    for family in FAMILIES {
        let mut hearing = receiver(&right, "b", family);
        hearing.join(family.group()).unwrap();
        let mut own = receiver(&left, "a", family);
        own.join(family.group()).unwrap();
        let sending = sender(&left, "a", family);
        let mut batch = SendBatch::new();
        push(&mut batch, family, 51, None, 255);
        push(&mut batch, family, 52, None, 254);
        let before = clock::now();
        send(&sending, &batch);
        let after = clock::now();
        let heard = hear(&mut hearing, 2);
        let found: Vec<_> = heard
            .iter()
            .map(|(meta, bytes)| judge(meta, bytes))
            .collect();
        assert_eq!(found, [Ok(51), Err(Reason::Ttl)], "{family:?}");
        for (meta, _) in &heard {
            // The two clocks are read one after the other.
            let slack = Duration::from_millis(1);
            let at = meta.received_at();
            assert!(
                at + slack >= before && at <= after + slack,
                "{before:?} {at:?} {after:?}"
            );
            assert_eq!(meta.interface().get(), index(&right, "b"));
        }
        let mut echoes = 0;
        own.drain(&mut ReceiveBuffer::new(), |_, _| echoes += 1)
            .unwrap();
        assert_eq!(echoes, 0, "{family:?}");
    }
}

/// Waits until the kernel notes when packets come. It begins a while after the first socket wants to
/// know it (`net_enable_timestamp` leaves it to a worker), and tells the time of reading until then.
fn until_stamped(hearing: &mut Receiver, sending: &Sender, family: Family) {
    let pause = Duration::from_millis(20);
    let is_stamped = || {
        let mut batch = SendBatch::new();
        push(&mut batch, family, 1, None, 255);
        send(sending, &batch);
        let sent = clock::now();
        thread::sleep(pause);
        let heard = hear(hearing, 1);
        heard
            .iter()
            .all(|(meta, _)| meta.received_at() < sent + pause)
    };
    eventually(is_stamped, |is_stamped| *is_stamped);
}

/// `VRRP-207`: the time of receipt is the kernel's, however late the packet is read.
#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn packets_that_waited_are_as_old_as_they_are() {
    let (left, right) = pair();
    for family in FAMILIES {
        let mut hearing = receiver(&right, "b", family);
        hearing.join(family.group()).unwrap();
        hearing.make_room(250).unwrap();
        let sending = sender(&left, "a", family);
        until_stamped(&mut hearing, &sending, family);
        let mut batch = SendBatch::new();
        for vrid in 1..=250 {
            push(&mut batch, family, vrid, None, 255);
        }
        send(&sending, &batch);
        let sent = clock::now();
        thread::sleep(Duration::from_millis(300));
        let heard = hear(&mut hearing, 250);
        let vrids: Vec<_> = heard
            .iter()
            .map(|(meta, bytes)| judge(meta, bytes).unwrap())
            .collect();
        assert_eq!(vrids, (1..=250).collect::<Vec<u8>>());
        let times = heard.iter().map(|(meta, _)| meta.received_at());
        let latest = times.max().unwrap();
        assert!(
            latest < sent + Duration::from_millis(50),
            "{latest:?} {sent:?}"
        );
    }
}

#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn unicast_is_heard_and_other_groups_are_not() {
    let (left, right) = pair();
    let other: [IpAddr; 2] = [
        Ipv4Addr::new(224, 0, 0, 99).into(),
        "ff02::99".parse().unwrap(),
    ];
    let here: [IpAddr; 2] = [
        Ipv4Addr::new(192, 0, 2, 2).into(),
        "fe80::2".parse().unwrap(),
    ];
    for ((family, other), here) in FAMILIES.into_iter().zip(other).zip(here) {
        let sending = sender(&left, "a", family);
        let mut batch = SendBatch::new();
        push(&mut batch, family, 1, None, 255);
        push(&mut batch, family, 2, Some(other), 255);
        push(&mut batch, family, 3, Some(here), 255);
        let vrids = |heard: Vec<(Meta, Vec<u8>)>| -> Vec<u8> {
            let message = |bytes: &[u8]| match family {
                Family::Ipv4 => bytes[21],
                Family::Ipv6 => bytes[1],
            };
            heard.iter().map(|(_, bytes)| message(bytes)).collect()
        };
        let mut hearing = receiver(&right, "b", family);
        send(&sending, &batch);
        assert_eq!(vrids(hear(&mut hearing, 1)), [3], "{family:?}");
        hearing.join(family.group()).unwrap();
        hearing.join(other).unwrap();
        hearing.leave(family.group()).unwrap();
        send(&sending, &batch);
        assert_eq!(vrids(hear(&mut hearing, 2)), [2, 3], "{family:?}");
    }
}

/// The checksum would be of more than was read.
#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn what_is_longer_than_any_advertisement_is_counted_and_dropped() {
    let (left, right) = pair();
    left.ip("link set dev a mtu 9000");
    right.ip("link set dev b mtu 9000");
    let to = Ipv4Addr::new(192, 0, 2, 2);
    let mut batch = SendBatch::new();
    for length in [4608_usize, 4609] {
        let written = batch.push(to.into(), length, |buffer| {
            buffer.fill(0x5a);
            buffer[..20].fill(0);
            (buffer[0], buffer[8], buffer[9]) = (0x45, 255, 112);
            buffer[16..20].copy_from_slice(&to.octets());
            Ok::<_, Errno>(length)
        });
        written.unwrap();
    }
    push(&mut batch, Family::Ipv4, 51, Some(to.into()), 255);
    let mut hearing = receiver(&right, "b", Family::Ipv4);
    send(&sender(&left, "a", Family::Ipv4), &batch);
    let heard = hear(&mut hearing, 2);
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].1.len(), 4608);
    assert_eq!(judge(&heard[1].0, &heard[1].1), Ok(51));
    assert_eq!(hearing.truncated(), 1);
}

/// The authentication header has a protocol of its own.
#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn authentication_headers_are_heard() {
    let (left, right) = pair();
    let here = InterfaceIndex::new(index(&right, "b"));
    let mut hearing = right
        .enter(|| Receiver::open("b", here, Family::Ipv4, Carrier::AuthenticationHeader).unwrap());
    hearing.join(Family::Ipv4.group()).unwrap();
    let sending = sender(&left, "a", Family::Ipv4);
    let addresses = addresses(Family::Ipv4);
    let advertisement = Advertisement {
        version: Version::V2,
        vrid: Vrid::new(7).unwrap(),
        priority: Priority::new(150),
        interval: Interval::DEFAULT,
        addresses: addresses.as_addresses(),
    };
    let key = Authentication::Header(AhKey::new(AhFlavour::Keepalived, b"secret").unwrap());
    let mut batch = SendBatch::new();
    push(&mut batch, Family::Ipv4, 1, None, 255);
    let transmission =
        Transmission::multicast(left_address(Family::Ipv4)).with_authentication(&key, 9);
    batch
        .push(Family::Ipv4.group(), 1500, |buffer| {
            transmission.emit_packet(&advertisement, buffer)
        })
        .unwrap();
    send(&sending, &batch);
    let heard = hear(&mut hearing, 1);
    assert_eq!(heard.len(), 1);
    let (_, bytes) = &heard[0];
    assert_eq!((bytes[9], bytes[20 + 24 + 1]), (51, 7), "{bytes:?}");
}

/// A full queue is an answer of its own for each packet, and the next one goes out.
#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn a_full_queue_is_told() {
    let (left, right) = pair();
    // Nothing leaves within the test: each second a byte, and room for few packets.
    for family in FAMILIES {
        let sending = sender(&left, "a", family);
        let mut hearing = receiver(&right, "b", family);
        hearing.join(family.group()).unwrap();
        left.run(
            "tc",
            "qdisc add dev a root tbf rate 8bit burst 1540 limit 1540",
        );
        let mut batch = SendBatch::new();
        for vrid in 1..=150 {
            push(&mut batch, family, vrid, None, 255);
        }
        let mut outcomes = Vec::new();
        sending.send(&batch, |place, result| outcomes.push((place, result)));
        assert_eq!(outcomes.len(), 150);
        assert!(outcomes.iter().map(|(place, _)| *place).eq(0..150));
        let failures: Vec<_> = outcomes
            .iter()
            .filter_map(|(_, r)| r.as_ref().err())
            .collect();
        assert!(
            !failures.is_empty() && failures.len() < 150,
            "{}",
            failures.len()
        );
        for failure in &failures {
            assert_eq!(failure.io().raw_os_error(), Some(Errno::ENOBUFS as i32));
            assert!(
                failure.to_string().starts_with("cannot send packets (a): "),
                "{failure}"
            );
        }
        left.run("tc", "qdisc del dev a root");
        let mut batch = SendBatch::new();
        push(&mut batch, family, 77, None, 255);
        send(&sending, &batch);
        eventually(
            || {
                hear(&mut hearing, 1)
                    .iter()
                    .any(|(meta, bytes)| judge(meta, bytes) == Ok(77))
            },
            |heard| *heard,
        );
    }
}

#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn a_link_that_is_down_is_told() {
    let (left, _right) = pair();
    for family in FAMILIES {
        let sending = sender(&left, "a", family);
        left.ip("link set dev a down");
        let mut batch = SendBatch::new();
        push(&mut batch, family, 1, None, 255);
        let mut outcomes = Vec::new();
        sending.send(&batch, |_, result| outcomes.push(result.is_ok()));
        assert_eq!(outcomes, [false]);
        left.ip("link set dev a up");
    }
}

/// Neighbours take the announced MAC for an address they know already.
#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn announcements_change_what_neighbours_know() {
    let (left, right) = pair();
    right.ip("neighbour add 192.0.2.100 lladdr 02:00:00:00:00:99 nud stale dev b");
    let frames = left.enter(|| FrameSender::open("a").unwrap());
    assert_eq!(frames.device(), "a");
    let mac = MacAddress::new([0, 0, 0x5e, 0, 1, 51]);
    let arp = GratuitousArp::new(Ipv4Addr::new(192, 0, 2, 100), mac);
    let mut batch = SendBatch::new();
    let to = IpAddr::from([192, 0, 2, 100]);
    batch
        .push(to, 128, |buffer| arp.emit_frame(buffer))
        .unwrap();
    let mut outcomes = Vec::new();
    frames.send(&batch, |place, result| {
        outcomes.push((place, result.is_ok()))
    });
    assert_eq!(outcomes, [(0, true)]);
    eventually(
        || right.ask("neighbour show 192.0.2.100 dev b"),
        |entry| entry.contains("00:00:5e:00:01:33"),
    );
}

#[test]
#[ignore = "needs root, for network namespaces and raw sockets"]
fn interfaces_that_are_not_there_are_named() {
    let host = Host::new("lonely");
    let errors = host.enter(|| {
        let here = InterfaceIndex::new(99);
        [
            Receiver::open("gone0", here, Family::Ipv4, Carrier::Plain).unwrap_err(),
            Sender::open("gone0", 99, Family::Ipv6).unwrap_err(),
            FrameSender::open("gone0").unwrap_err(),
            // As in another network namespace than the one meant.
            Receiver::open("lo", here, Family::Ipv6, Carrier::Plain).unwrap_err(),
            Sender::open("lo", 99, Family::Ipv4).unwrap_err(),
        ]
    });
    for (error, name) in errors.iter().zip(["gone0", "gone0", "gone0", "lo", "lo"]) {
        assert_eq!(error.subject(), name);
        let said =
            format!("cannot bind a socket to an interface ({name}): No such device (os error 19)");
        assert_eq!(error.to_string(), said);
    }
}

//! Destinations to 5.9.

use nix::libc::{EAFNOSUPPORT, EEXIST, EINVAL, ENOENT, ERANGE, ESRCH};

use super::*;
use crate::{DestinationKey, Family, Rates, ServiceKey, Stats};

const NEW: u8 = command::NEW_DEST;
const SET: u8 = command::SET_DEST;
const DEL: u8 = command::DEL_DEST;
/// Multicast: step 12 refuses it.
const BAD: &str = "224.0.0.1";

fn with_service() -> (Machine, Vec<Vec<u8>>) {
    let mut machine = Machine::linux_6_1();
    let key = by_address("10.0.0.1");
    machine.add_service(&key, false);
    (machine, key)
}

fn family(number: u16) -> Vec<u8> {
    ne16(destination::ADDR_FAMILY, number)
}

fn gue(port: u16) -> [Vec<u8>; 2] {
    [
        attr(destination::TUN_TYPE, &[1]),
        be16(destination::TUN_PORT, port),
    ]
}

/// Spec §5.6: each request fails its step and every later one.
#[test]
fn checks_come_in_the_kernels_order() {
    let (mut machine, key) = with_service();
    let worst = To {
        method: 0,
        weight: -1,
        upper: 0,
        lower: 1,
    };
    let gue_0 = gue(0);
    let mut more = gue_0.to_vec();
    for number in [NEW, SET] {
        // 1: the service.
        let missing = by_address("10.0.0.2");
        let nests = [nest(top::SERVICE, &missing)];
        assert_eq!(machine.errno(number, &nests), ESRCH);
        // 2: the nest, its policy, its key.
        let id = nest(top::SERVICE, &key);
        let mut nested = |attributes: &[Vec<u8>]| {
            machine.errno(number, &[id.clone(), nest(top::DEST, attributes)])
        };
        let full = [server(BAD), worst.attributes(), vec![family(7)]].concat();
        for missing in 0..6 {
            let mut partial = full.clone();
            partial.remove(missing);
            assert_eq!(nested(&partial), EINVAL, "without {missing}");
        }
        let mut short = full.clone();
        short.push(attr(destination::ACTIVE_CONNS, b"abc"));
        assert_eq!(nested(&short), EINVAL);
        assert_eq!(machine.errno(number, core::slice::from_ref(&id)), EINVAL);

        let mut errno = |to, more: &[Vec<u8>]| machine.destination(number, &key, BAD, to, more);
        // 4: a family nobody has.
        more.push(family(7));
        assert_eq!(errno(worst, &more), EAFNOSUPPORT);
        // 6: another family without a tunnel.
        more.pop();
        more.push(family(10));
        assert_eq!(errno(worst, &more), EINVAL);
        more.pop();
        // 7 and 8: weight, thresholds.
        assert_eq!(errno(worst, &more), ERANGE);
        let lower = To { weight: 0, ..worst };
        assert_eq!(errno(lower, &more), ERANGE);
        // 10: GUE without a port, whatever the method.
        assert_eq!(errno(TO, &more), EINVAL);
        // 11 and 12.
        let expected = if number == NEW { EINVAL } else { ENOENT };
        assert_eq!(errno(TO, &[]), expected);
    }
    // 11 comes before 12, as far as one can get there: an address that was good once.
    machine.add_destination(&key, "10.9.0.1");
    assert_eq!(
        machine.destination(NEW, &key, "10.9.0.1", TO, &gue_0),
        EINVAL
    );
    assert_eq!(machine.destination(NEW, &key, "10.9.0.1", TO, &[]), EEXIST);
    // Neither method nor weight make it another one.
    let other = To {
        method: 3,
        weight: 9,
        ..TO
    };
    assert_eq!(
        machine.destination(NEW, &key, "10.9.0.1", other, &[]),
        EEXIST
    );
}

/// Step 9.
#[test]
fn large_thresholds_are_refused_by_newer_kernels() {
    let to = To {
        upper: 0x8000_0000,
        ..TO
    };
    for (generation, expected) in [
        (Generation::LINUX_6_1, 0),
        (Generation::LINUX_6_12, 0),
        (Generation::LINUX_7_2, EINVAL),
    ] {
        let mut machine = Machine::new(generation);
        let key = by_mark(2, 1);
        machine.add_service(&key, false);
        assert_eq!(
            machine.destination(NEW, &key, "10.9.0.1", to, &[]),
            expected
        );
        let most = To {
            upper: 0x7fff_ffff,
            ..TO
        };
        assert_eq!(machine.destination(NEW, &key, "10.9.0.2", most, &[]), 0);
        // After the order of both, before the tunnel.
        let lower = To {
            lower: u32::MAX,
            ..to
        };
        assert_eq!(
            machine.destination(NEW, &key, "10.9.0.1", lower, &[]),
            ERANGE
        );
    }
}

/// Steps 5 and 6, and what a running daemon means for it.
#[test]
fn mixed_families_need_a_tunnel_and_no_daemon() {
    let (mut machine, key) = with_service();
    let inet6 = [family(10)];
    let tunnel = To { method: 2, ..TO };
    assert_eq!(
        machine.destination(NEW, &key, "fd06::1", TO, &inet6),
        EINVAL
    );
    // Only the low three bits of the method count.
    let also_tunnel = To {
        method: 0xffff_fffa,
        ..TO
    };
    assert_eq!(
        machine.destination(NEW, &key, "fd06::1", also_tunnel, &inet6),
        0
    );
    // The identity defaults to the family of the service.
    let nests = |more: &[Vec<u8>]| {
        let id = [&server("fd06::1"), more].concat();
        [nest(top::SERVICE, &key), nest(top::DEST, &id)]
    };
    assert_eq!(machine.errno(DEL, &nests(&[])), ENOENT);
    let backup = nest(top::DAEMON, &[ne32(1, 2), attr(2, b"lo\0"), ne32(3, 1)]);
    assert_eq!(
        machine.errno(command::NEW_DAEMON, core::slice::from_ref(&backup)),
        EINVAL
    );
    assert_eq!(machine.errno(DEL, &nests(&inet6)), 0);
    assert_eq!(machine.errno(command::NEW_DAEMON, &[backup]), 0);
    assert_eq!(
        machine.destination(NEW, &key, "fd06::1", tunnel, &inet6),
        EINVAL
    );
    assert_eq!(
        machine.destination(SET, &key, "fd06::1", tunnel, &inet6),
        EINVAL
    );
    assert_eq!(machine.errno(DEL, &nests(&inet6)), ENOENT);
    // An unknown family comes first.
    let unknown = [family(11)];
    assert_eq!(
        machine.destination(NEW, &key, "fd06::1", tunnel, &unknown),
        EAFNOSUPPORT
    );
}

/// Mixed destinations count until they are gone, whichever way they go.
#[test]
fn daemons_start_again_when_mixed_destinations_are_gone() {
    let tunnel = To { method: 2, ..TO };
    let backup = nest(top::DAEMON, &[ne32(1, 2), attr(2, b"lo\0"), ne32(3, 1)]);
    for remove in [command::FLUSH, command::DEL_SERVICE] {
        let (mut machine, key) = with_service();
        machine.destination(NEW, &key, "fd06::1", tunnel, &[family(10)]);
        assert_eq!(
            machine.errno(command::NEW_DAEMON, core::slice::from_ref(&backup)),
            EINVAL
        );
        assert_eq!(machine.errno(remove, &[nest(top::SERVICE, &key)]), 0);
        assert_eq!(
            machine.errno(command::NEW_DAEMON, core::slice::from_ref(&backup)),
            0
        );
    }
}

/// Step 12, and who is exempt: `SET_DEST` and what comes back from the trash.
#[test]
fn address_classes_matter_for_new_destinations_only() {
    let (mut machine, key) = with_service();
    for (address, expected) in [
        ("0.0.0.0", EINVAL),
        ("255.255.255.255", EINVAL),
        ("127.255.255.255", EINVAL),
        (BAD, EINVAL),
        ("127.0.0.1", 0),
        ("240.0.0.1", 0),
    ] {
        assert_eq!(machine.destination(NEW, &key, address, TO, &[]), expected);
    }
    // 10.5.0.255 becomes a broadcast address after it was added.
    machine.add_destination(&key, "10.5.0.255");
    let interface = Interface::new("eth0").with_address("10.5.0.1".parse().unwrap(), 24);
    machine.kernel.set_interfaces([interface]);
    assert_eq!(machine.destination(SET, &key, "10.5.0.255", TO, &[]), 0);
    let id = nest(top::DEST, &server("10.5.0.255"));
    let nests = [nest(top::SERVICE, &key), id];
    assert_eq!(machine.errno(DEL, &nests), 0);
    assert_eq!(machine.destination(NEW, &key, "10.5.0.255", TO, &[]), 0);
    assert_eq!(machine.errno(DEL, &nests), 0);
    machine.kernel.advance(Duration::from_secs(240));
    assert_eq!(
        machine.destination(NEW, &key, "10.5.0.255", TO, &[]),
        EINVAL
    );
}

/// Spec §5.7.
#[test]
fn removing_reads_less() {
    let (mut machine, key) = with_service();
    machine.add_destination(&key, "10.9.0.1");
    let mut errno = |attributes: &[Vec<u8>]| {
        machine.errno(
            DEL,
            &[nest(top::SERVICE, &key), nest(top::DEST, attributes)],
        )
    };
    assert_eq!(errno(&server("10.9.0.1")[..1]), EINVAL);
    let unknown = [server("10.9.0.1"), vec![family(3)]].concat();
    assert_eq!(errno(&unknown), EAFNOSUPPORT);
    assert_eq!(errno(&server("10.9.0.2")), ENOENT);
    // The full set is harmless, even with values that NEW would refuse.
    let worst = To {
        weight: -1,
        lower: 1,
        ..TO
    };
    let full = [server("10.9.0.1"), worst.attributes()].concat();
    assert_eq!(errno(&full), 0);
    assert_eq!(errno(&full), ENOENT);
}

/// Spec §3.3.
#[test]
fn entries_have_the_kernels_order_and_everything_that_was_set() {
    let (mut machine, key) = with_service();
    let to = To {
        method: 10,
        weight: i32::MAX,
        upper: 9,
        lower: 5,
    };
    let more = [
        attr(destination::TUN_TYPE, &[9]),
        be16(destination::TUN_PORT, 6080),
        ne16(destination::TUN_FLAGS, 0xffff),
    ];
    assert_eq!(machine.destination(NEW, &key, "10.9.0.1", to, &more), 0);
    let entry = machine.dump(command::GET_DEST, &[nest(top::SERVICE, &key)])[0].clone();
    assert_eq!(entry.body[0], command::NEW_DEST);
    let numbers: Vec<_> = entry.nested().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 13, 14, 15, 5, 6, 7, 8, 9, 11, 10, 12]);
    assert_eq!(entry.get_u32(destination::FWD_METHOD), Some(2));
    assert_eq!(
        entry.get_u32(destination::WEIGHT),
        Some(i32::MAX.unsigned_abs())
    );
    assert_eq!(entry.get_u32(destination::U_THRESH), Some(9));
    assert_eq!(entry.get_u32(destination::L_THRESH), Some(5));
    assert_eq!(entry.get(destination::TUN_TYPE).unwrap(), [9]);
    assert_eq!(
        entry.get(destination::TUN_PORT).unwrap(),
        6080_u16.to_be_bytes()
    );
    assert_eq!(entry.get(destination::TUN_FLAGS).unwrap(), [0xff, 0xff]);
    assert_eq!(
        entry.get(destination::ADDR_FAMILY).unwrap(),
        2_u16.to_ne_bytes()
    );

    // What SET leaves out goes back to 0.
    assert_eq!(machine.destination(SET, &key, "10.9.0.1", TO, &[]), 0);
    let entry = machine.dump(command::GET_DEST, &[nest(top::SERVICE, &key)])[0].clone();
    assert_eq!(entry.get(destination::TUN_TYPE).unwrap(), [0]);
    assert_eq!(entry.get(destination::TUN_PORT).unwrap(), [0, 0]);
    assert_eq!(entry.get(destination::TUN_FLAGS).unwrap(), [0, 0]);
}

/// Spec §3.7: older kernels neither read nor write what they do not know.
#[test]
fn older_kernels_know_fewer_attributes() {
    let mut generation = Generation::LINUX_6_1;
    generation.destination_families = false;
    generation.stats64 = false;
    generation.tunnel_types = false;
    generation.tunnel_flags = false;
    let mut machine = Machine::new(generation);
    let key = by_mark(2, 1);
    machine.add_service(&key, false);
    // Refused by a kernel that reads them: a family nobody has, GUE without a port.
    let more = [&[family(7)], &gue(0)[..]].concat();
    assert_eq!(machine.destination(NEW, &key, "10.9.0.1", TO, &more), 0);
    let entry = machine.dump(command::GET_DEST, &[nest(top::SERVICE, &key)])[0].clone();
    let numbers: Vec<_> = entry.nested().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

/// Spec §5.6: head insertion.
#[test]
fn the_newest_comes_first_and_edits_do_not_move() {
    let (mut machine, key) = with_service();
    for number in 1..=3 {
        machine.add_destination(&key, &format!("10.9.0.{number}"));
    }
    assert_eq!(machine.servers(&key), ["10.9.0.3", "10.9.0.2", "10.9.0.1"]);
    assert_eq!(machine.destination(SET, &key, "10.9.0.1", TO, &[]), 0);
    assert_eq!(machine.servers(&key), ["10.9.0.3", "10.9.0.2", "10.9.0.1"]);
    let nests = [
        nest(top::SERVICE, &key),
        nest(top::DEST, &server("10.9.0.1")),
    ];
    machine.errno(DEL, &nests);
    machine.add_destination(&key, "10.9.0.1");
    assert_eq!(machine.servers(&key), ["10.9.0.1", "10.9.0.3", "10.9.0.2"]);
}

/// Spec §5.8.
#[test]
fn dumps_hide_what_is_wrong_with_the_service() {
    let (mut machine, _) = with_service();
    for attributes in [
        vec![],
        vec![nest(top::SERVICE, &by_address("10.0.0.9"))],
        vec![nest(top::SERVICE, &[ne16(service::AF, 2)])],
        vec![nest(top::SERVICE, &by_mark(7, 1))],
        vec![
            attr(top::TIMEOUT_TCP, b"a"),
            nest(top::SERVICE, &by_address("10.0.0.1")),
        ],
    ] {
        let bytes = attributes.concat();
        let request = message(FAMILY, REQUEST | ACK | DUMP, command::GET_DEST, &bytes);
        let answers = machine.ask(&request);
        assert_eq!(answers.len(), 1);
        assert_eq!((answers[0].kind, &answers[0].body[..4]), (3, &[0; 4][..]));
        // Top-level failures leave their text at the end.
        let text = bytes.starts_with(&attr(top::TIMEOUT_TCP, b"a"));
        assert_eq!(answers[0].flags, if text { 0x202 } else { 2 });
    }
}

fn web() -> ServiceKey {
    ServiceKey::tcp("10.0.0.1:80".parse().unwrap())
}

fn first() -> DestinationKey {
    "10.9.0.1:80"
        .parse::<core::net::SocketAddr>()
        .unwrap()
        .into()
}

fn some_stats() -> Stats {
    Stats {
        connections: 7,
        packets_in: (1 << 40) + 5,
        rates: Rates {
            bytes_out: (1 << 33) + 3,
            ..Rates::default()
        },
        ..Stats::default()
    }
}

/// Counts and one counter of the only destination.
fn counts(machine: &mut Machine, key: &[Vec<u8>]) -> ([u32; 3], u32) {
    let entries = machine.dump(command::GET_DEST, &[nest(top::SERVICE, key)]);
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    let connections = [
        destination::ACTIVE_CONNS,
        destination::INACT_CONNS,
        destination::PERSIST_CONNS,
    ]
    .map(|number| entry.get_u32(number).unwrap());
    let stats = attributes(&entry.get(destination::STATS).unwrap());
    let counter = u32::from_ne_bytes(stats[0].1[..].try_into().unwrap());
    (connections, counter)
}

/// Spec §5.9.
#[test]
fn removed_destinations_come_back_with_their_counters() {
    let (mut machine, key) = with_service();
    let id = nest(top::SERVICE, &key);
    let nests = [id.clone(), nest(top::DEST, &server("10.9.0.1"))];
    let prepare = |machine: &mut Machine| {
        assert!(machine.kernel.set_connections(web(), first(), 3, 4, 5));
        assert!(machine.kernel.set_stats(web(), Some(first()), some_stats()));
    };
    machine.add_destination(&key, "10.9.0.1");
    prepare(&mut machine);
    // The same service: everything goes on.
    machine.errno(DEL, &nests);
    assert!(!machine.kernel.set_connections(web(), first(), 0, 0, 0));
    machine.kernel.advance(Duration::from_secs(3600));
    machine.add_destination(&key, "10.9.0.1");
    assert_eq!(counts(&mut machine, &key), ([3, 4, 5], 7));
    // A new service of the same name: connections go on, statistics start again.
    machine.errno(command::DEL_SERVICE, &[id]);
    machine.add_service(&key, false);
    machine.add_destination(&key, "10.9.0.1");
    assert_eq!(counts(&mut machine, &key), ([3, 4, 5], 0));
    // Idle ones are forgotten in time: seen after one minute, gone two minutes later.
    for (seconds, connections) in [(179, 1), (181, 0)] {
        prepare(&mut machine);
        assert!(machine.kernel.set_connections(web(), first(), 0, 0, 0));
        machine.errno(DEL, &nests);
        machine.kernel.advance(Duration::from_secs(seconds));
        machine.add_destination(&key, "10.9.0.1");
        assert_eq!(counts(&mut machine, &key).1, connections * 7);
    }
    // Not in another service.
    prepare(&mut machine);
    machine.errno(DEL, &nests);
    let mut other_port = by_address("10.0.0.1");
    other_port[3] = be16(service::PORT, 81);
    for other in [by_address("10.0.0.2"), other_port, by_mark(2, 1)] {
        machine.add_service(&other, false);
        machine.add_destination(&other, "10.9.0.1");
        assert_eq!(counts(&mut machine, &other), ([0, 0, 0], 0));
    }
    machine.add_destination(&key, "10.9.0.1");
    assert_eq!(counts(&mut machine, &key), ([3, 4, 5], 7));
}

/// The kernel compares marks, not the families of the services they belong to.
#[test]
fn the_trash_of_a_mark_serves_both_families() {
    let mut machine = Machine::linux_6_1();
    let tunnel = To { method: 2, ..TO };
    machine.add_service(&by_mark(2, 5), false);
    machine.add_service(&by_mark(10, 5), true);
    machine.add_destination(&by_mark(2, 5), "10.9.0.1");
    let mark = ServiceKey::firewall_mark(Family::Inet, 5);
    assert!(machine.kernel.set_connections(mark, first(), 3, 4, 5));
    let nests = [
        nest(top::SERVICE, &by_mark(2, 5)),
        nest(top::DEST, &server("10.9.0.1")),
    ];
    machine.errno(DEL, &nests);
    let key = by_mark(10, 5);
    assert_eq!(
        machine.destination(NEW, &key, "10.9.0.1", tunnel, &[family(2)]),
        0
    );
    assert_eq!(counts(&mut machine, &key), ([3, 4, 5], 0));
}

#[test]
fn statistics_are_truncated_in_the_narrow_nest_only() {
    let (mut machine, key) = with_service();
    assert!(machine.kernel.set_stats(web(), None, some_stats()));
    let entry = machine.service(&key);
    let narrow = attributes(&entry.get(service::STATS).unwrap());
    let wide = attributes(&entry.get(service::STATS64).unwrap());
    let without_padding = |nest: Vec<(u16, Vec<u8>)>| -> Vec<(u16, Vec<u8>)> {
        nest.into_iter()
            .filter(|(number, _)| *number != 11)
            .collect()
    };
    // Padding goes where the next value would not be aligned, and is skipped by number.
    assert!(
        wide.iter()
            .any(|(number, payload)| *number == 11 && payload.is_empty())
    );
    let (narrow, wide) = (without_padding(narrow), without_padding(wide));
    assert_eq!(narrow[1].1, 5_u32.to_ne_bytes());
    assert_eq!(wide[1].1, ((1_u64 << 40) + 5).to_ne_bytes());
    assert_eq!(narrow[9].1, 3_u32.to_ne_bytes());
    assert_eq!(wide[9].1, ((1_u64 << 33) + 3).to_ne_bytes());
    let numbers = |nest: &[(u16, Vec<u8>)]| nest.iter().map(|entry| entry.0).collect::<Vec<_>>();
    assert_eq!(numbers(&narrow), (1..=10).collect::<Vec<_>>());
    assert_eq!(numbers(&wide), (1..=10).collect::<Vec<_>>());
}

//! Timeouts, information, zeroing, flushing

use nix::libc::{EINVAL, ESRCH};

use super::*;
use crate::{DestinationKey, ServiceKey, Stats};

fn timeouts(machine: &mut Machine) -> Vec<u32> {
    let answers = machine.ask(&message(FAMILY, REQUEST, command::GET_CONFIG, &[]));
    assert_eq!(answers[0].body[0], command::SET_CONFIG);
    let attributes = answers[0].attributes();
    let numbers: Vec<_> = attributes.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [4, 5, 6]);
    attributes
        .iter()
        .map(|(_, payload)| u32::from_ne_bytes(payload[..].try_into().unwrap()))
        .collect()
}

fn table_size(machine: &mut Machine) -> u32 {
    let answers = machine.ask(&message(FAMILY, REQUEST, command::GET_INFO, &[]));
    let attributes = answers[0].attributes();
    assert_eq!(attributes[0], (1, 0x01_02_01_u32.to_ne_bytes().to_vec()));
    u32::from_ne_bytes(attributes[1].1[..].try_into().unwrap())
}

#[test]
fn timeouts_are_kept_or_replaced() {
    let mut machine = Machine::linux_6_1();
    assert_eq!(timeouts(&mut machine), [900, 120, 300]);
    assert_eq!(machine.errno(command::SET_CONFIG, &[]), 0);
    let mut set = |values: &[(u16, u32)]| {
        let attributes: Vec<_> = values.iter().map(|(n, value)| ne32(*n, *value)).collect();
        let errno = machine.errno(command::SET_CONFIG, &attributes);
        (errno, timeouts(&mut machine))
    };
    assert_eq!(set(&[(5, 30)]), (0, vec![900, 30, 300]));
    assert_eq!(set(&[(4, 0), (6, 7)]), (0, vec![900, 30, 7]));
    assert_eq!(set(&[(6, 21_474_836)]), (0, vec![900, 30, 21_474_836]));
    // Nothing is changed when one is out of range.
    for large in [21_474_837, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let expected = (EINVAL, vec![900, 30, 21_474_836]);
        assert_eq!(set(&[(4, 1), (5, 1), (6, large)]), expected);
    }
}

#[test]
fn the_range_of_timeouts_follows_the_tick() {
    let mut generation = Generation::LINUX_6_1;
    generation.hz = 1000;
    let mut machine = Machine::new(generation);
    let mut set = |value| machine.errno(command::SET_CONFIG, &[ne32(4, value)]);
    assert_eq!(set(2_147_483), 0);
    assert_eq!(set(2_147_484), EINVAL);
}

#[test]
fn the_table_size_is_constant_or_grows_on_first_use() {
    let mut machine = Machine::linux_6_1();
    assert_eq!(table_size(&mut machine), 4096);
    let daemon = |state| nest(top::DAEMON, &[ne32(1, state), attr(2, b"lo\0"), ne32(3, 1)]);
    let mut machine = Machine::new(Generation::LINUX_7_2);
    assert_eq!(table_size(&mut machine), 0);
    assert_eq!(machine.errno(command::NEW_DAEMON, &[daemon(1)]), 0);
    assert_eq!(table_size(&mut machine), 0);
    assert_eq!(machine.errno(command::NEW_DAEMON, &[daemon(2)]), 0);
    assert_eq!(table_size(&mut machine), 256);
    let mut machine = Machine::new(Generation::LINUX_7_2);
    machine.add_service(&by_mark(2, 1), false);
    assert_eq!(table_size(&mut machine), 256);
    assert_eq!(machine.errno(command::FLUSH, &[]), 0);
    assert_eq!(table_size(&mut machine), 256);
}

#[test]
fn zeroing_resets_counters_and_not_connections() {
    let key = by_address("10.0.0.1");
    let web = ServiceKey::tcp("10.0.0.1:80".parse().unwrap());
    let server: DestinationKey = "10.9.0.1:80"
        .parse::<core::net::SocketAddr>()
        .unwrap()
        .into();
    for attributes in [vec![], vec![nest(top::SERVICE, &key)]] {
        let mut machine = Machine::linux_6_1();
        let stats = Stats {
            connections: 7,
            ..Stats::default()
        };
        for other in ["10.0.0.1", "10.0.0.2"] {
            machine.add_service(&by_address(other), false);
        }
        machine.add_destination(&key, "10.9.0.1");
        let other = ServiceKey::tcp("10.0.0.2:80".parse().unwrap());
        assert!(machine.kernel.set_connections(web, server, 3, 4, 5));
        for (service, destination) in [(web, None), (web, Some(server)), (other, None)] {
            assert!(machine.kernel.set_stats(service, destination, stats));
        }
        assert_eq!(machine.errno(command::ZERO, &attributes), 0);
        let connections = |entry: &Reply| {
            let nest = super::attributes(&entry.get(service::STATS).unwrap());
            nest[0].1[0]
        };
        assert_eq!(connections(&machine.service(&key)), 0);
        let left = if attributes.is_empty() { 0 } else { 7 };
        assert_eq!(connections(&machine.service(&by_address("10.0.0.2"))), left);
        let entry = machine.dump(command::GET_DEST, &[nest(top::SERVICE, &key)])[0].clone();
        assert_eq!(connections(&entry), 0);
        assert_eq!(entry.get_u32(destination::ACTIVE_CONNS), Some(3));
    }
}

#[test]
fn zeroing_what_is_not_there() {
    let mut machine = Machine::linux_6_1();
    let mut zero =
        |attributes: &[Vec<u8>]| machine.errno(command::ZERO, &[nest(top::SERVICE, attributes)]);
    assert_eq!(zero(&by_mark(2, 1)), ESRCH);
    assert_eq!(zero(&[ne16(service::AF, 2)]), EINVAL);
    let web = ServiceKey::tcp("10.0.0.1:80".parse().unwrap());
    assert!(!machine.kernel.set_stats(web, None, Stats::default()));
}

#[test]
fn flushing_keeps_everything_but_services() {
    let mut machine = Machine::linux_6_1();
    machine.add_service(&by_mark(2, 1), false);
    machine.add_service(&by_address("fd00::1"), true);
    machine.errno(command::SET_CONFIG, &[ne32(4, 5)]);
    let master = nest(top::DAEMON, &[ne32(1, 1), attr(2, b"lo\0"), ne32(3, 1)]);
    machine.errno(command::NEW_DAEMON, &[master]);
    assert_eq!(machine.errno(command::FLUSH, &[]), 0);
    assert!(machine.dump(command::GET_SERVICE, &[]).is_empty());
    assert_eq!(timeouts(&mut machine), [5, 120, 300]);
    assert_eq!(machine.dump(command::GET_DAEMON, &[]).len(), 1);
    assert_eq!(machine.errno(command::FLUSH, &[]), 0);
}

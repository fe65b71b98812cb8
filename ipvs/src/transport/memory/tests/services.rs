//! Services to 5.5.

use nix::libc::{EAFNOSUPPORT, EEXIST, EINVAL, ENOENT, ESRCH};

use super::*;

const COMMANDS: [u8; 7] = [
    command::SET_SERVICE,
    command::DEL_SERVICE,
    command::GET_SERVICE,
    command::NEW_DEST,
    command::SET_DEST,
    command::DEL_DEST,
    command::ZERO,
];

fn replace(attributes: &mut [Vec<u8>], number: u16, payload: &[u8]) {
    let place = attributes
        .iter()
        .position(|attribute| attribute[2..4] == number.to_ne_bytes());
    attributes[place.unwrap()] = attr(number, payload);
}

fn without(attributes: &[Vec<u8>], number: u16) -> Vec<Vec<u8>> {
    attributes
        .iter()
        .filter(|attribute| attribute[2..4] != number.to_ne_bytes())
        .cloned()
        .collect()
}

/// Spec §5.1, for every command that needs a service.
#[test]
fn the_nest_is_checked_in_the_kernels_order() {
    let mut machine = Machine::linux_6_1();
    let key = by_address("10.0.0.1");
    for number in COMMANDS.into_iter().chain([command::NEW_SERVICE]) {
        let mut errno =
            |attributes: &[Vec<u8>]| machine.errno(number, &[nest(top::SERVICE, attributes)]);
        // A policy failure comes before an unknown family, and so does an incomplete key.
        let mut attributes = key.clone();
        replace(&mut attributes, service::AF, &7_u16.to_ne_bytes());
        attributes.push(attr(service::TIMEOUT, b"abc"));
        assert_eq!(errno(&attributes), EINVAL);
        attributes.pop();
        assert_eq!(errno(&attributes), EAFNOSUPPORT);
        for missing in [service::PROTOCOL, service::ADDR, service::PORT] {
            assert_eq!(errno(&without(&attributes, missing)), EINVAL);
        }
        assert_eq!(errno(&without(&key, service::AF)), EINVAL);
        assert_eq!(errno(&by_mark(0, 1)), EAFNOSUPPORT);
        assert_eq!(errno(&[ne16(service::AF, 0)]), EINVAL);
    }
    for number in [command::NEW_SERVICE, command::SET_SERVICE] {
        // An incomplete nest comes before existence.
        let full = [key.clone(), service_settings(false)].concat();
        for missing in [
            service::SCHED_NAME,
            service::FLAGS,
            service::TIMEOUT,
            service::NETMASK,
        ] {
            let nest = nest(top::SERVICE, &without(&full, missing));
            assert_eq!(machine.errno(number, &[nest]), EINVAL);
        }
    }
    for number in COMMANDS {
        let full = [key.clone(), service_settings(false)].concat();
        // The destination, missing here, is looked at later.
        let errno = machine.errno(number, &[nest(top::SERVICE, &full)]);
        assert_eq!(errno, ESRCH, "{number}");
        if number != command::ZERO {
            assert_eq!(machine.errno(number, &[]), EINVAL, "no nest: {number}");
        }
    }
}

#[test]
fn ipv6_may_be_missing() {
    let mut generation = Generation::LINUX_6_1;
    generation.ipv6 = false;
    let mut machine = Machine::new(generation);
    let full = [by_address("fd00::1"), service_settings(true)].concat();
    let errno = machine.errno(command::NEW_SERVICE, &[nest(top::SERVICE, &full)]);
    assert_eq!(errno, EAFNOSUPPORT);
    machine.add_service(&by_address("10.0.0.1"), false);
}

/// Spec §5.2: exists, scheduler, engine, prefix length.
#[test]
fn new_and_set_are_checked_in_the_kernels_order() {
    let mut machine = Machine::linux_6_1();
    let key = by_address("fd00::1");
    let settings = |scheduler: &[u8], engine: &[u8], prefix: u32| {
        let mut settings = service_settings(true);
        replace(&mut settings, service::SCHED_NAME, scheduler);
        replace(&mut settings, service::NETMASK, &prefix.to_ne_bytes());
        settings.push(attr(service::PE_NAME, engine));
        [key.clone(), settings].concat()
    };
    let mut errno = |number, full: &[Vec<u8>]| machine.errno(number, &[nest(top::SERVICE, full)]);
    let wrong = [
        (settings(b"nope\0", b"nope\0", 0), ENOENT),
        (settings(b"\0", b"sip\0", 64), ENOENT),
        (settings(b"WLC\0", b"sip\0", 64), ENOENT),
        (settings(b"wlc\0", b"nope\0", 0), ENOENT),
        (settings(b"wlc\0", b"sip\0", 0), EINVAL),
        (settings(b"wlc\0", b"sip\0", 129), EINVAL),
        (settings(b"wlc\0", b"sip\0", 128_u32.swap_bytes()), EINVAL),
        (settings(b"wlc", b"sip\0", 64), EINVAL),
    ];
    for (full, expected) in &wrong {
        assert_eq!(errno(command::NEW_SERVICE, full), *expected);
        assert_eq!(
            errno(command::SET_SERVICE, full),
            match expected {
                // A missing service is noticed before its settings, not before the policy.
                _ if full == &wrong[7].0 => EINVAL,
                _ => ESRCH,
            }
        );
    }
    assert_eq!(
        errno(command::NEW_SERVICE, &settings(b"wlc\0", b"\0", 1)),
        0
    );
    for (full, expected) in &wrong {
        assert_eq!(errno(command::SET_SERVICE, full), *expected);
        let exists = if *full == wrong[7].0 { EINVAL } else { EEXIST };
        assert_eq!(errno(command::NEW_SERVICE, full), exists);
    }
    let right = settings(b"sh\0junk", b"sip\0xx", 128);
    assert_eq!(errno(command::SET_SERVICE, &right), 0);
    let service = machine.service(&key);
    assert_eq!(service.get(service::SCHED_NAME).unwrap(), b"sh\0");
    assert_eq!(service.get(service::PE_NAME).unwrap(), b"sip\0");
}

#[test]
fn a_kernel_without_engine_names_ignores_them() {
    let mut generation = Generation::LINUX_6_1;
    generation.engine_names = false;
    let mut machine = Machine::new(generation);
    let key = by_mark(2, 1);
    let mut full = [key.clone(), service_settings(false)].concat();
    full.push(attr(service::PE_NAME, b"nope"));
    let errno = machine.errno(command::NEW_SERVICE, &[nest(top::SERVICE, &full)]);
    assert_eq!(errno, 0);
    assert_eq!(machine.service(&key).get(service::PE_NAME), None);
}

/// Spec §3.2.
#[test]
fn entries_have_the_kernels_order() {
    let mut machine = Machine::linux_6_1();
    let numbers =
        |reply: &Reply| -> Vec<u16> { reply.nested().iter().map(|(number, _)| *number).collect() };
    machine.add_service(&by_address("10.0.0.1"), false);
    let service = machine.service(&by_address("10.0.0.1"));
    assert_eq!(numbers(&service), [1, 2, 3, 4, 6, 7, 8, 9, 10, 12]);
    let mut full = [by_mark(10, 7), service_settings(true)].concat();
    full.push(attr(service::PE_NAME, b"sip\0"));
    machine.errno(command::NEW_SERVICE, &[nest(top::SERVICE, &full)]);
    let service = machine.service(&by_mark(10, 7));
    assert_eq!(numbers(&service), [1, 5, 6, 11, 7, 8, 9, 10, 12]);
    assert_eq!(service.get_u32(service::FWMARK), Some(7));

    let mut generation = Generation::LINUX_6_1;
    generation.stats64 = false;
    let mut machine = Machine::new(generation);
    machine.add_service(&by_mark(2, 1), false);
    let service = machine.service(&by_mark(2, 1));
    assert_eq!(numbers(&service), [1, 5, 6, 7, 8, 9, 10]);
}

/// Spec §4.1.
#[test]
fn flags_obey_the_mask_and_are_always_hashed() {
    let mut machine = Machine::linux_6_1();
    let key = by_mark(2, 1);
    let mut set = |number, flags: &[u8]| {
        let mut full = [key.clone(), service_settings(false)].concat();
        replace(&mut full, service::FLAGS, flags);
        assert_eq!(machine.errno(number, &[nest(top::SERVICE, &full)]), 0);
        let flags = machine.service(&key).get(service::FLAGS).unwrap();
        assert_eq!(flags[4..], [0xff; 4]);
        u32::from_ne_bytes(*flags.first_chunk().unwrap())
    };
    let both = |flags: u32, mask: u32| [flags.to_ne_bytes(), mask.to_ne_bytes()].concat();
    assert_eq!(set(command::NEW_SERVICE, &both(0x29, 0x0f)), 0x0b);
    assert_eq!(set(command::SET_SERVICE, &both(0x30, 0x11)), 0x1a);
    // A short payload has mask 0 where it ends.
    assert_eq!(set(command::SET_SERVICE, &0xff_u32.to_ne_bytes()), 0x1a);
    assert_eq!(set(command::SET_SERVICE, &[]), 0x1a);
    // Unknown bits stay; the kernel's own cannot be taken away.
    assert_eq!(
        set(command::SET_SERVICE, &both(1 << 31, u32::MAX)),
        1 << 31 | 2
    );
}

/// Spec §3.2: ticks in 32 bits.
#[test]
fn persistence_timeouts_wrap() {
    let mut machine = Machine::linux_6_1();
    let key = by_mark(2, 1);
    machine.add_service(&key, false);
    for (asked, reported) in [
        (42_949_672, 42_949_672),
        (42_949_673, 0),
        (u32::MAX, 42_949_671),
    ] {
        let mut full = [key.clone(), service_settings(false)].concat();
        replace(&mut full, service::TIMEOUT, &asked.to_ne_bytes());
        machine.errno(command::SET_SERVICE, &[nest(top::SERVICE, &full)]);
        assert_eq!(
            machine.service(&key).get_u32(service::TIMEOUT),
            Some(reported)
        );
    }
}

/// Spec §3.2: nothing of it is validated, only the first bytes of an IPv4 address count, and a
/// short one is filled up.
#[test]
fn keys_are_taken_as_they_are() {
    let mut machine = Machine::linux_6_1();
    let key = |protocol: u16, address: &[u8], port: &[u8]| {
        vec![
            ne16(service::AF, 2),
            ne16(service::PROTOCOL, protocol),
            attr(service::ADDR, address),
            attr(service::PORT, port),
        ]
    };
    let sixteen: Vec<u8> = (10..26).collect();
    machine.add_service(&key(300, &sixteen, &[1, 2, 3, 4]), false);
    let service = machine.service(&key(300, &[10, 11, 12, 13], &[1, 2]));
    let mut stored = [0; 16];
    stored[..4].copy_from_slice(&[10, 11, 12, 13]);
    assert_eq!(service.get(service::ADDR).unwrap(), stored);
    assert_eq!(service.get(service::PORT).unwrap(), [1, 2]);
    machine.add_service(&key(0, &[10, 11], &[0, 0]), false);
    let service = machine.service(&key(0, &[10, 11, 0, 0], &[0, 0]));
    assert_eq!(service.get(service::ADDR).unwrap()[..4], [10, 11, 0, 0]);
}

/// Spec §3.2.
#[test]
fn marks_win_and_mark_0_is_an_address() {
    let mut machine = Machine::linux_6_1();
    let both = [by_mark(2, 5), by_address("10.0.0.1")].concat();
    machine.add_service(&both, false);
    assert!(machine.service(&by_mark(2, 5)).errno().is_none());
    assert_eq!(
        machine.service(&by_address("10.0.0.1")).errno(),
        Some(ESRCH)
    );
    // The same mark of the other family is another service.
    assert_eq!(machine.service(&by_mark(10, 5)).errno(), Some(ESRCH));
    machine.add_service(&by_mark(10, 5), true);

    machine.add_service(&by_mark(2, 0), false);
    let zero = machine.service(&by_mark(2, 0));
    assert_eq!(zero.get(service::FWMARK), None);
    assert_eq!(zero.get(service::PROTOCOL).unwrap(), 6_u16.to_ne_bytes());
    assert_eq!(zero.get(service::PORT).unwrap(), [0, 0]);
}

/// Spec §5.3.
#[test]
fn set_replaces_everything_but_destinations() {
    let mut machine = Machine::linux_6_1();
    let key = by_address("10.0.0.1");
    let mut full = [key.clone(), service_settings(false)].concat();
    full.push(attr(service::PE_NAME, b"sip\0"));
    machine.errno(command::NEW_SERVICE, &[nest(top::SERVICE, &full)]);
    machine.add_destination(&key, "10.9.0.1");
    let mut plain = [key.clone(), service_settings(false)].concat();
    replace(&mut plain, service::NETMASK, &[255, 255, 0, 1]);
    machine.errno(command::SET_SERVICE, &[nest(top::SERVICE, &plain)]);
    let service = machine.service(&key);
    assert_eq!(service.get(service::PE_NAME), None);
    assert_eq!(service.get(service::NETMASK).unwrap(), [255, 255, 0, 1]);
    assert_eq!(machine.servers(&key), ["10.9.0.1"]);
}

/// Spec §6: address-keyed before mark-keyed up to 7.0, mixed afterwards.
#[test]
fn dumps_list_marks_last_or_mixed() {
    for (generation, last) in [
        (Generation::LINUX_6_1, true),
        (Generation::LINUX_7_2, false),
    ] {
        let mut machine = Machine::new(generation);
        for number in 1..=8 {
            machine.add_service(&by_mark(2, number), false);
            machine.add_service(&by_address(&format!("10.0.0.{number}")), false);
        }
        let entries = machine.dump(command::GET_SERVICE, &[]);
        let marks: Vec<_> = entries
            .iter()
            .map(|entry| entry.get(service::FWMARK).is_some())
            .collect();
        assert_eq!(marks.len(), 16);
        assert_eq!(marks.is_sorted(), last);
        // A service attribute in the request is ignored.
        let one = nest(top::SERVICE, &by_mark(2, 1));
        assert_eq!(machine.dump(command::GET_SERVICE, &[one]).len(), 16);
    }
}

#[test]
fn removed_services_are_gone_with_their_destinations() {
    let mut machine = Machine::linux_6_1();
    let key = by_address("10.0.0.1");
    machine.add_service(&key, false);
    machine.add_destination(&key, "10.9.0.1");
    let id = nest(top::SERVICE, &key);
    assert_eq!(
        machine.errno(command::DEL_SERVICE, core::slice::from_ref(&id)),
        0
    );
    assert_eq!(machine.errno(command::DEL_SERVICE, &[id]), ESRCH);
    machine.add_service(&key, false);
    assert!(machine.servers(&key).is_empty());
}

//! Sync daemons

use nix::libc::{EAFNOSUPPORT, EEXIST, EINVAL, ENETUNREACH, ENODEV, ESRCH};

use super::*;
use crate::wire::attributes::daemon;

const MASTER: u32 = 1;
const BACKUP: u32 = 2;

fn base(state: u32, interface: &[u8]) -> Vec<Vec<u8>> {
    vec![
        ne32(daemon::STATE, state),
        attr(daemon::MCAST_IFN, interface),
        ne32(daemon::SYNC_ID, 300),
    ]
}

fn start(machine: &mut Machine, attributes: &[Vec<u8>]) -> i32 {
    machine.errno(command::NEW_DAEMON, &[nest(top::DAEMON, attributes)])
}

fn stop(machine: &mut Machine, attributes: &[Vec<u8>]) -> i32 {
    machine.errno(command::DEL_DAEMON, &[nest(top::DAEMON, attributes)])
}

fn group6(address: &str) -> Vec<u8> {
    super::address(daemon::MCAST_GROUP6, address)
}

/// Each request fails its step and every later one that can be failed together.
#[test]
fn checks_come_in_the_kernels_order() {
    let mut machine = Machine::linux_6_1();
    assert_eq!(machine.errno(command::NEW_DAEMON, &[]), EINVAL);
    assert_eq!(start(&mut machine, &[]), EINVAL);
    let full = base(3, b"nope\0");
    for missing in 0..3 {
        let mut partial = full.clone();
        partial.remove(missing);
        assert_eq!(start(&mut machine, &partial), EINVAL);
    }
    let with = |more: Vec<u8>| [base(3, b"nope\0"), vec![more]].concat();
    assert_eq!(
        start(&mut machine, &with(attr(daemon::MCAST_TTL, &[]))),
        EINVAL
    );
    for group in [[1, 2, 3, 4], [240, 0, 0, 1]] {
        assert_eq!(
            start(&mut machine, &with(attr(daemon::MCAST_GROUP, &group))),
            EINVAL
        );
    }
    assert_eq!(start(&mut machine, &with(group6("fd00::1"))), EINVAL);
    // A bad IPv4 group is not mended by a good IPv6 one.
    let both = [
        with(attr(daemon::MCAST_GROUP, &[1, 2, 3, 4])),
        vec![group6("ff02::1")],
    ];
    assert_eq!(start(&mut machine, &both.concat()), EINVAL);
    assert_eq!(start(&mut machine, &with(group6("ff02::1"))), ENODEV);
    assert_eq!(start(&mut machine, &full), ENODEV);
    assert_eq!(start(&mut machine, &base(MASTER, b"\0")), ENODEV);
    assert_eq!(start(&mut machine, &base(3, b"lo\0")), EINVAL);
    assert_eq!(start(&mut machine, &base(0, b"lo\0")), EINVAL);
    assert_eq!(start(&mut machine, &base(MASTER, b"lo\0zzz")), 0);
    assert_eq!(start(&mut machine, &base(MASTER, b"lo\0")), EEXIST);
    // The interface comes before that.
    assert_eq!(start(&mut machine, &base(MASTER, b"nope\0")), ENODEV);
    // Both roles run together.
    assert_eq!(start(&mut machine, &base(BACKUP, b"lo\0")), 0);
}

#[test]
fn without_ipv6_there_is_no_ipv6_group() {
    let mut generation = Generation::LINUX_6_1;
    generation.ipv6 = false;
    let mut machine = Machine::new(generation);
    let wrong = [base(3, b"nope\0"), vec![group6("fd00::1")]].concat();
    assert_eq!(start(&mut machine, &wrong), EAFNOSUPPORT);
}

/// Socket set-up, as seen on 6.1.176 with dummy interfaces.
#[test]
fn interfaces_must_carry_multicast() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.set_interfaces([
        Interface::loopback(),
        Interface::new("up"),
        Interface::new("down").down(),
        Interface::new("no6").without_ipv6(),
        Interface::new("small").with_mtu(100),
    ]);
    for (interface, master4, master6, backup6) in [
        (&b"lo\0"[..], 0, ENETUNREACH, 0),
        (b"up\0", 0, 0, 0),
        (b"down\0", ENETUNREACH, ENETUNREACH, 0),
        (b"no6\0", 0, ENETUNREACH, 0),
        (b"small\0", 0, ENETUNREACH, EINVAL),
    ] {
        let six = |state| [base(state, interface), vec![group6("ff05::51")]].concat();
        for (attributes, expected) in [
            (base(MASTER, interface), master4),
            (six(MASTER), master6),
            (base(BACKUP, interface), 0),
            (six(BACKUP), backup6),
        ] {
            assert_eq!(start(&mut machine, &attributes), expected, "{interface:?}");
            let stopped = stop(&mut machine, &attributes[..1]);
            assert_eq!(stopped, if expected == 0 { 0 } else { ESRCH });
        }
    }
}

#[test]
fn stopping() {
    let mut machine = Machine::linux_6_1();
    assert_eq!(machine.errno(command::DEL_DAEMON, &[]), EINVAL);
    assert_eq!(stop(&mut machine, &[ne32(daemon::SYNC_ID, 1)]), EINVAL);
    for state in [0, 3] {
        assert_eq!(stop(&mut machine, &[ne32(daemon::STATE, state)]), EINVAL);
    }
    for state in [MASTER, BACKUP] {
        let role = [ne32(daemon::STATE, state)];
        assert_eq!(stop(&mut machine, &role), ESRCH);
        assert_eq!(start(&mut machine, &base(state, b"lo\0")), 0);
        assert_eq!(stop(&mut machine, &role), 0);
        assert_eq!(stop(&mut machine, &role), ESRCH);
    }
}

/// Spec §3.4, with the values seen on 6.1.176.
#[test]
fn dumps_show_defaults_and_what_was_set() {
    let mut machine = Machine::linux_6_1();
    let backup = [
        base(BACKUP, b"lo\0"),
        vec![
            ne16(daemon::SYNC_MAXLEN, 10),
            group6("ff02::51"),
            ne16(daemon::MCAST_PORT, 9000),
            attr(daemon::MCAST_TTL, &[64]),
        ],
    ];
    assert_eq!(start(&mut machine, &backup.concat()), 0);
    // Zeros are defaults too.
    let master = [
        base(MASTER, b"lo\0"),
        vec![
            ne16(daemon::SYNC_MAXLEN, 0),
            ne16(daemon::MCAST_PORT, 0),
            attr(daemon::MCAST_TTL, &[0]),
        ],
    ];
    assert_eq!(start(&mut machine, &master.concat()), 0);
    let entries = machine.dump(command::GET_DAEMON, &[]);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].body[0], command::NEW_DAEMON);
    let expected = |state: u32, length: u16, port: u16, ttl: u8, group: (u16, Vec<u8>)| {
        vec![
            (daemon::STATE, state.to_ne_bytes().to_vec()),
            (daemon::MCAST_IFN, b"lo\0".to_vec()),
            (daemon::SYNC_ID, 300_u32.to_ne_bytes().to_vec()),
            (daemon::SYNC_MAXLEN, length.to_ne_bytes().to_vec()),
            // Host order, unlike every other port.
            (daemon::MCAST_PORT, port.to_ne_bytes().to_vec()),
            (daemon::MCAST_TTL, vec![ttl]),
            group,
        ]
    };
    let group = (daemon::MCAST_GROUP, vec![224, 0, 0, 81]);
    assert_eq!(entries[0].nested(), expected(MASTER, 1472, 8848, 1, group));
    let group = group6("ff02::51")[4..].to_vec();
    let group = (daemon::MCAST_GROUP6, group);
    assert_eq!(entries[1].nested(), expected(BACKUP, 1024, 9000, 64, group));
}

#[test]
fn older_kernels_know_three_attributes() {
    let mut generation = Generation::LINUX_6_1;
    generation.daemon_extensions = false;
    let mut machine = Machine::new(generation);
    let attributes = [
        base(MASTER, b"lo\0"),
        vec![attr(daemon::MCAST_GROUP, &[1, 2, 3, 4])],
    ];
    assert_eq!(start(&mut machine, &attributes.concat()), 0);
    let entries = machine.dump(command::GET_DAEMON, &[]);
    let numbers: Vec<_> = entries[0]
        .nested()
        .iter()
        .map(|(number, _)| *number)
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
}

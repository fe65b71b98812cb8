//! Netlink and generic netlink: headers, permission, forms, extended acknowledgements
//! (`genetlink.c`, `af_netlink.c`), as seen on 6.1.176, 6.12.101 and 7.2.7.

use nix::libc::{EINVAL, EMSGSIZE, ENODATA, ENOENT, EOPNOTSUPP, EPERM, ERANGE, ESRCH};

use super::*;

const FAILED: &str = "Attribute failed policy validation\0";
const LEFTOVER: &str = "bytes leftover after parsing attributes\0";

#[test]
fn version_and_unusual_flags_do_not_matter() {
    let mut machine = Machine::linux_6_1();
    for version in [0, 1, 9] {
        for flags in [0x100, 0x200, 0x400, 0x1000] {
            let mut bytes = message(FAMILY, REQUEST | ACK | flags, command::GET_INFO, &[]);
            bytes[17] = version;
            // The reserved field neither, for commands this old.
            bytes[18] = 7;
            let answers = machine.ask(&bytes);
            assert_eq!(answers.len(), 2);
            assert_eq!(answers[0].body[..2], [command::SET_INFO, 1]);
            assert_eq!(answers[1].errno(), Some(0));
        }
    }
}

#[test]
fn commands_that_do_not_exist() {
    let mut machine = Machine::linux_6_1();
    for number in [0, command::SET_INFO, 18, 200] {
        for flags in [REQUEST, REQUEST | ACK, REQUEST | DUMP] {
            let answers = machine.ask(&message(FAMILY, flags, number, &[]));
            assert_eq!(answers[0].errno(), Some(EOPNOTSUPP), "{number} {flags}");
        }
        let mut bytes = request(number, &[]);
        bytes[18] = 7;
        let answers = machine.ask(&bytes);
        let newer = number > command::FLUSH;
        let errno = if newer { EINVAL } else { EOPNOTSUPP };
        assert_eq!(answers[0].errno(), Some(errno));
        assert_eq!(answers[0].extended().0.is_some(), newer);
        let answers = machine.ask(&message(FAMILY, REQUEST | 0x400, number, &[]));
        assert_eq!(answers[0].errno(), Some(errno));
    }
    let mut generation = Generation::LINUX_6_1;
    generation.checks_reserved = false;
    let answers = Machine::new(generation).ask(&message(FAMILY, REQUEST | 0x400, 200, &[]));
    assert_eq!(answers[0].errno(), Some(EOPNOTSUPP));
}

#[test]
fn the_wrong_form_of_a_command() {
    let mut machine = Machine::linux_6_1();
    for number in 1..=17 {
        let dump = message(FAMILY, REQUEST | DUMP, number, &[]);
        let has_dump = matches!(
            number,
            command::GET_SERVICE | command::GET_DEST | command::GET_DAEMON
        );
        let answers = machine.ask(&dump);
        let errno = (!has_dump).then_some(EOPNOTSUPP);
        assert_eq!(answers[0].errno(), errno, "{number}");
    }
    for number in [command::GET_DEST, command::GET_DAEMON] {
        assert_eq!(machine.errno(number, &[]), EOPNOTSUPP);
    }
}

/// Spec §1.2: after "does this command exist", before any attribute.
#[test]
fn permission_comes_before_attributes() {
    for (generation, wrong_form) in [
        (Generation::LINUX_6_1, EPERM),
        (Generation::LINUX_6_12, EOPNOTSUPP),
        (Generation::LINUX_7_2, EOPNOTSUPP),
    ] {
        let mut machine = Machine::new(generation);
        machine.kernel.set_permitted(false);
        let short = attr(top::SERVICE, b"ab");
        for (number, flags, errno) in [
            (0, 0, EOPNOTSUPP),
            (18, 0, EOPNOTSUPP),
            (command::SET_INFO, 0, EOPNOTSUPP),
            (command::NEW_SERVICE, 0, EPERM),
            (command::GET_INFO, 0, EPERM),
            (command::FLUSH, 0, EPERM),
            (command::GET_SERVICE, DUMP, EPERM),
            (command::GET_DEST, DUMP, EPERM),
            (command::GET_DEST, 0, wrong_form),
            (command::FLUSH, DUMP, wrong_form),
        ] {
            let answers = machine.ask(&message(FAMILY, REQUEST | flags, number, &short));
            assert_eq!(answers[0].errno(), Some(errno), "{number} {flags}");
            assert_eq!(answers[0].extended(), (None, None));
        }
        // The family resolves, and a message without a header is refused first.
        assert_eq!(machine.ask(&resolve(b"IPVS\0"))[1].errno(), Some(0));
        let mut bytes = message(FAMILY, REQUEST, command::FLUSH, &[]);
        bytes[..4].copy_from_slice(&19_u32.to_ne_bytes());
        assert_eq!(machine.ask(&bytes)[0].errno(), Some(EINVAL));
        machine.kernel.set_permitted(true);
        assert_eq!(machine.errno(command::FLUSH, &[]), 0);
    }
}

#[test]
fn success_is_acknowledged_when_asked_and_errors_always() {
    let mut machine = Machine::linux_6_1();
    let missing = nest(top::SERVICE, &by_address("10.0.0.1"));
    let flush = |flags| message(FAMILY, flags, command::FLUSH, &[]);
    let remove = message(FAMILY, REQUEST, command::DEL_SERVICE, &missing);
    assert!(machine.ask(&flush(REQUEST)).is_empty());
    assert_eq!(machine.ask(&flush(REQUEST | ACK)).len(), 1);
    let answers = machine.ask(&remove);
    assert_eq!(answers[0].errno(), Some(ESRCH));
    assert_eq!(answers[0].sequence, 77);
    // The whole request comes back, unless the socket asked for less.
    assert_eq!(answers[0].flags, 0);
    assert_eq!(answers[0].body[4..], remove);
    machine.socket.set_capped_acks(true);
    let answers = machine.ask(&remove);
    assert_eq!(answers[0].flags, 0x100);
    assert_eq!(answers[0].body.len(), 20);
}

#[test]
fn several_requests_in_one_datagram_stand_alone() {
    let mut machine = Machine::linux_6_1();
    let missing = nest(top::SERVICE, &by_address("10.0.0.1"));
    let datagram = [
        request(command::DEL_SERVICE, &[missing]),
        request(command::FLUSH, &[]),
        message(FAMILY, REQUEST, command::GET_INFO, &[]),
    ]
    .concat();
    let answers = machine.ask(&datagram);
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0].errno(), Some(ESRCH));
    assert_eq!(answers[1].errno(), Some(0));
    assert_eq!(answers[2].kind, FAMILY);
}

#[test]
fn what_is_no_request_is_only_acknowledged() {
    let mut machine = Machine::linux_6_1();
    machine.add_service(&by_mark(2, 1), false);
    let flush = |kind, flags| message(kind, flags, command::FLUSH, &[]);
    assert_eq!(machine.ask(&flush(FAMILY, ACK))[0].errno(), Some(0));
    assert!(machine.ask(&flush(FAMILY, 0)).is_empty());
    for kind in [0, 1, 2, 3, 15] {
        assert_eq!(machine.ask(&flush(kind, REQUEST | ACK))[0].errno(), Some(0));
    }
    // None of them flushed.
    assert_eq!(machine.dump(command::GET_SERVICE, &[]).len(), 1);
    assert_eq!(machine.ask(&flush(999, REQUEST))[0].errno(), Some(ENOENT));
}

#[test]
fn datagrams_the_socket_refuses() {
    let mut machine = Machine::linux_6_1();
    let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
    assert_eq!(errno(machine.socket.send(&[])), Some(ENODATA));
    let mut large = message(FAMILY, REQUEST | ACK, command::FLUSH, &[]);
    large.resize(212_960, 0);
    assert_eq!(machine.ask(&large)[0].errno(), Some(0));
    large.push(0);
    assert_eq!(errno(machine.socket.send(&large)), Some(EMSGSIZE));
    assert!(machine.ask(&[0; 8]).is_empty());
}

/// Spec §1.3: only top-level attributes and the daemon nest are explained.
#[test]
fn extended_acknowledgements() {
    let mut machine = Machine::linux_6_1();
    let mut ask = |number, attributes: &[Vec<u8>]| {
        let answers = machine.ask(&request(number, attributes));
        let last = answers.last().unwrap();
        (last.errno().unwrap(), last.extended())
    };
    let failed = |offset| (Some(FAILED.to_owned()), Some(offset));
    let leftover = (Some(LEFTOVER.to_owned()), None);
    let short = attr(top::TIMEOUT_TCP, b"abc");
    // Checked for every command that is no dump, whether it uses them or not.
    for number in [command::SET_CONFIG, command::GET_CONFIG, command::FLUSH] {
        assert_eq!(
            ask(number, core::slice::from_ref(&short)),
            (ERANGE, failed(20))
        );
        for top in [top::SERVICE, top::DEST, top::DAEMON] {
            assert_eq!(ask(number, &[attr(top, b"ab")]), (ERANGE, failed(20)));
            // An empty nest is a nest.
            assert_eq!(ask(number, &[attr(top, &[])]).0, 0);
        }
    }
    let ok = ne32(top::TIMEOUT_UDP, 1);
    assert_eq!(ask(command::SET_CONFIG, &[ok, short]), (ERANGE, failed(28)));

    let bad_state = nest(top::DAEMON, &[ne32(1, 2), attr(3, b"a")]);
    assert_eq!(ask(command::DEL_DAEMON, &[bad_state]), (EINVAL, failed(32)));
    let mut key = by_address("10.0.0.1");
    key.push(attr(service::FWMARK, b"a"));
    let bad_service = nest(top::SERVICE, &key);
    assert_eq!(
        ask(command::DEL_SERVICE, &[bad_service]),
        (EINVAL, (None, None))
    );

    // Leftovers are mentioned even when all is well.
    let tail = b"abc".to_vec();
    assert_eq!(
        ask(command::FLUSH, core::slice::from_ref(&tail)),
        (0, leftover.clone())
    );
    assert_eq!(
        ask(command::GET_INFO, core::slice::from_ref(&tail)),
        (0, leftover.clone())
    );
    let backup = attr(top::DAEMON, &[ne32(1, 2), tail.clone()].concat());
    assert_eq!(ask(command::DEL_DAEMON, &[backup]), (ESRCH, leftover));
    let service = attr(
        top::SERVICE,
        &[by_address("10.0.0.1").concat(), tail].concat(),
    );
    assert_eq!(ask(command::DEL_SERVICE, &[service]), (ESRCH, (None, None)));

    machine.socket.set_extended_acks(false);
    let answers = machine.ask(&request(command::FLUSH, &[b"abc".to_vec()]));
    assert_eq!((answers[0].flags, answers[0].body.len()), (0x100, 20));
}

/// Spec §1.1.
#[test]
fn the_nested_bit_is_optional_and_unknown_attributes_are_ignored() {
    let mut machine = Machine::linux_6_1();
    let mut full = [by_mark(2, 1), service_settings(false)].concat();
    full.push(attr(0, b"x"));
    full.push(attr(99, b"x"));
    let nested = nest(top::SERVICE | 0x8000, &full);
    let unknown = attr(0x3fff, b"abc");
    let errno = machine.errno(command::NEW_SERVICE, &[unknown, nested]);
    assert_eq!(errno, 0);
    assert_eq!(machine.dump(command::GET_SERVICE, &[]).len(), 1);
}

#[test]
fn families_resolve() {
    let mut machine = Machine::linux_6_1();
    let mut family = |attributes: &[Vec<u8>]| {
        let command = control::CMD_GETFAMILY;
        let attributes = attributes.concat();
        let bytes = message(control::FAMILY, REQUEST, command, &attributes);
        let answer = machine.ask(&bytes).remove(0);
        match answer.errno() {
            Some(errno) => Err(errno),
            None => Ok(answer.attributes()[1].1.clone()),
        }
    };
    let name = |name: &[u8]| attr(control::FAMILY_NAME, name);
    let id = |id| ne16(control::FAMILY_ID, id);
    let ipvs = Ok(FAMILY.to_ne_bytes().to_vec());
    assert_eq!(family(&[name(b"IPVS\0")]), ipvs);
    assert_eq!(family(&[name(b"IPVS\0junk")]), ipvs);
    assert_eq!(family(&[id(FAMILY)]), ipvs);
    assert_eq!(family(&[id(999), name(b"IPVS\0")]), ipvs);
    assert_eq!(family(&[id(FAMILY), name(b"nope\0")]), Err(ENOENT));
    assert_eq!(family(&[id(999)]), Err(ENOENT));
    assert_eq!(family(&[]), Err(EINVAL));
    assert_eq!(family(&[name(b"IPVS")]), Err(EINVAL));
    assert_eq!(family(&[name(b"\0")]), Err(ENOENT));
    assert_eq!(family(&[attr(control::FAMILY_ID, b"a")]), Err(ERANGE));
    let nlctrl = Ok(control::FAMILY.to_ne_bytes().to_vec());
    assert_eq!(family(&[name(b"nlctrl\0")]), nlctrl);
}

#[test]
fn without_the_module_nothing_resolves() {
    let kernel = MemoryKernel::default().without_ipvs();
    let socket = kernel.socket();
    let mut machine = Machine { kernel, socket };
    assert_eq!(machine.ask(&resolve(b"IPVS\0"))[0].errno(), Some(ENOENT));
    assert_eq!(machine.errno(command::GET_INFO, &[]), ENOENT);
    assert_eq!(machine.ask(&resolve(b"nlctrl\0"))[1].errno(), Some(0));
}

#[test]
fn all_families_can_be_dumped() {
    for (generation, malformed) in [
        (Generation::LINUX_6_1, None),
        (Generation::LINUX_6_12, Some(EINVAL)),
    ] {
        let mut machine = Machine::new(generation);
        let dump = |attributes: &[u8]| {
            let command = control::CMD_GETFAMILY;
            message(control::FAMILY, REQUEST | DUMP, command, attributes)
        };
        let answers = machine.ask(&dump(&[]));
        let names: Vec<_> = answers[..2]
            .iter()
            .map(|answer| answer.attributes()[0].1.clone())
            .collect();
        assert_eq!(names, [b"nlctrl\0".to_vec(), b"IPVS\0".to_vec()]);
        assert_eq!((answers.len(), answers[2].kind), (3, 3));
        let answers = machine.ask(&dump(&attr(control::FAMILY_NAME, &[])));
        assert_eq!(answers[0].errno(), malformed);
    }
}

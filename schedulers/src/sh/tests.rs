use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::hash::slots::tests::Server;

const NONE: SchedulerFlags = SchedulerFlags::NONE;

fn bound(list: &[Server], bits: u8, flags: SchedulerFlags) -> Sh {
    let mut sh = Sh::new(AddressHash::HighBits, bits);
    Scheduler::<Server>::set_flags(&mut sh, flags);
    sh.bind(list, Timestamp::ZERO);
    sh
}

fn flow(client: &str, port: u16) -> Flow {
    let client = core::net::SocketAddr::new(client.parse().unwrap(), port);
    Flow::tcp(client, ([192, 0, 2, 1], 80).into())
}

fn pick(sh: &mut Sh, list: &[Server], client: &str, port: u16) -> Option<char> {
    let mut context = Context::new(Timestamp::ZERO);
    let index = sh.pick(list, &flow(client, port), &mut context)?;
    Some(['A', 'B', 'C'][index])
}

fn letters(sh: &Sh) -> String {
    sh.owners()
        .map(|owner| ['A', 'B', 'C'][owner.unwrap()])
        .collect()
}

fn count(sh: &Sh, index: usize) -> usize {
    sh.owners().filter(|&owner| owner == Some(index)).count()
}

/// Spec §11: the table of the example.
#[test]
fn section_11_table() {
    let sh = bound(&[1, 3, 2].map(Server::new), 8, NONE);
    assert_eq!(letters(&sh), "CCBBBA".repeat(43)[..256]);
    assert_eq!([0, 1, 2].map(|index| count(&sh, index)), [42, 128, 86]);
}

/// Spec §11: the table of clients, all columns.
#[test]
fn section_11_picks() {
    let mut list = [1, 3, 2].map(Server::new);
    for (client, server, with_port, plain, fallback) in [
        ("192.168.0.1", 'C', Some('B'), Some('C'), 'C'),
        ("192.168.0.2", 'B', Some('C'), None, 'A'),
        ("192.168.0.3", 'A', Some('B'), Some('A'), 'A'),
        ("10.20.30.40", 'B', Some('C'), None, 'A'),
        ("2001:db8::1", 'B', Some('B'), None, 'C'),
        ("172.16.5.6", 'A', None, Some('A'), 'A'),
    ] {
        let mut sh = bound(&list, 8, NONE);
        assert_eq!(
            pick(&mut sh, &list, client, 40000),
            Some(server),
            "{client}"
        );
        if with_port.is_some() {
            let mut sh = bound(&list, 8, NONE.with_port());
            assert_eq!(pick(&mut sh, &list, client, 40000), with_port, "{client}");
        }
        list[1].overloaded = true;
        assert_eq!(pick(&mut sh, &list, client, 40000), plain, "{client}");
        let mut sh = bound(&list, 8, NONE.with_fallback());
        assert_eq!(
            pick(&mut sh, &list, client, 40000),
            Some(fallback),
            "{client}"
        );
        list[1].overloaded = false;
    }
}

/// Spec §11: the slots of the clients, without and with port 40000.
#[test]
fn section_11_slots() {
    for (client, slot, with_port) in [
        ("192.168.0.1", 192, Some(100)),
        ("192.168.0.2", 34, Some(198)),
        ("192.168.0.3", 131, Some(39)),
        ("10.20.30.40", 10, Some(174)),
        ("2001:db8::1", 63, Some(226)),
        ("172.16.5.6", 77, None),
    ] {
        let list = [Server::new(1)];
        for (flags, slot) in [(NONE, Some(slot)), (NONE.with_port(), with_port)] {
            let mut why = crate::Explanation::new();
            let mut context = Context::new(Timestamp::ZERO).with_trace(&mut why);
            bound(&list, 8, flags).pick(&list, &flow(client, 40000), &mut context);
            let Some(Step::Hashed(hashed)) = why.steps().first() else {
                panic!("{why}");
            };
            assert_eq!(hashed.slot, slot.unwrap_or(hashed.slot), "{client}");
        }
    }
}

/// Spec §11: the fallback of 2001:db8::1 ends at slot 126, twice its own.
#[test]
fn section_11_fallback_starts_at_twice_the_slot() {
    let mut list = [1, 3, 2].map(Server::new);
    list[1].overloaded = true;
    let mut sh = bound(&list, 8, NONE.with_fallback());
    let mut why = crate::Explanation::new();
    let mut context = Context::new(Timestamp::ZERO).with_trace(&mut why);
    sh.pick(&list, &flow("2001:db8::1", 40000), &mut context);
    assert_eq!(
        why.to_string(),
        "sh picks #2\n\
         \x20 2001:db8::1 fold to 0x20010db9, slot 63 of 256\n\
         \x20 slot 63: #1, left out, overloaded\n\
         \x20 fallback 0, slot 126: #2, taken\n"
    );
}

/// Spec §11: after an edit of B to weight 0.
#[test]
fn section_11_quiesced_servers_keep_slots() {
    let mut list = [1, 3, 2].map(Server::new);
    let mut sh = bound(&list, 8, NONE);
    list[1].weight = 0;
    sh.edited(&list, 1);
    assert_eq!(letters(&sh), "CCBA".repeat(64));
    assert_eq!([0, 1, 2].map(|index| count(&sh, index)), [64, 64, 128]);
    for (client, plain, fallback) in [
        ("192.168.0.1", Some('C'), 'C'),
        ("192.168.0.2", None, 'C'),
        ("192.168.0.3", Some('A'), 'A'),
        ("10.20.30.40", None, 'C'),
    ] {
        Scheduler::<Server>::set_flags(&mut sh, NONE);
        assert_eq!(pick(&mut sh, &list, client, 40000), plain, "{client}");
        Scheduler::<Server>::set_flags(&mut sh, NONE.with_fallback());
        assert_eq!(
            pick(&mut sh, &list, client, 40000),
            Some(fallback),
            "{client}"
        );
    }
}

/// Spec §11: the port counts for TCP, UDP and SCTP alike, and is added mod 2^32.
#[test]
fn ports_are_added_without_overflow_for_every_protocol() {
    let list = [1, 3, 2].map(Server::new);
    let mut sh = bound(&list, 8, NONE.with_port());
    let client = "255.255.255.255:7".parse().unwrap();
    let slot = AddressHash::HighBits.slot(6, 8);
    let owner = sh.owners().nth(slot as usize).unwrap();
    let to = ([192, 0, 2, 1], 80).into();
    for flow in [
        Flow::tcp(client, to),
        Flow::udp(client, to),
        Flow::sctp(client, to),
    ] {
        let mut context = Context::new(Timestamp::ZERO);
        assert_eq!(sh.pick(&list, &flow, &mut context), owner);
    }
}

/// Spec §11: if the weights add up to more than the table, older destinations get less or nothing.
#[test]
fn weights_above_the_table_leave_nothing_for_older_destinations() {
    let sh = bound(&[4, 250, 10].map(Server::new), 8, NONE);
    assert_eq!([0, 1, 2].map(|index| count(&sh, index)), [0, 246, 10]);
    let most = i32::MAX.unsigned_abs();
    let sh = bound(&[1, most, u32::MAX].map(Server::new), 20, NONE);
    assert_eq!([0, 1, 2].map(|index| count(&sh, index)), [0, 0, 1 << 20]);
}

#[test]
fn table_sizes_outside_the_kernels_range_count_as_the_nearest() {
    for (bits, len) in [(0, 16), (4, 16), (5, 32), (20, 1 << 20), (255, 1 << 20)] {
        assert_eq!(bound(&[Server::new(1)], bits, NONE).owners().len(), len);
    }
}

/// Spec §1.7: every change fills the table anew; without destinations there is none.
#[test]
fn every_change_fills_the_table() {
    let list = [1, 3, 2].map(Server::new);
    let mut sh = bound(&list[..1], 8, NONE);
    sh.added(&list, 2);
    assert!(sh.owners().eq(bound(&list, 8, NONE).owners()));
    sh.removed(&list[..2], 2);
    assert!(sh.owners().eq(bound(&list[..2], 8, NONE).owners()));
    sh.removed(&[] as &[Server], 0);
    assert_eq!(sh.owners().len(), 0);
    Scheduler::<Server>::set_flags(&mut sh, NONE.with_fallback());
    assert_eq!(pick(&mut sh, &[], "192.168.0.1", 0), None);
}

#[test]
fn forgotten_hooks_neither_panic_nor_loop() {
    let list = [1, 3, 2].map(Server::new);
    let mut sh = bound(&list, 20, NONE.with_fallback());
    for last in 0..3 {
        pick(&mut sh, &list[..last], "192.168.0.1", 0);
    }
}

/// Usable nowhere: the search ends after as many probes as there are destinations.
#[test]
fn a_hopeless_fallback_ends_early() {
    let list = [0, 0, 0].map(Server::new);
    let mut sh = bound(&list, 20, NONE.with_fallback());
    let mut why = crate::Explanation::new();
    let mut context = Context::new(Timestamp::ZERO).with_trace(&mut why);
    assert_eq!(sh.pick(&list, &flow("192.168.0.1", 0), &mut context), None);
    assert_eq!(why.steps().last(), Some(&Step::NobodyLeft { probes: 3 }));
    assert_eq!(why.steps().len(), 2 + 3 + 1);
}

/// The spec's rule word by word, on a table filled slot by slot: §11.
fn literal_pick(list: &[Server], bits: u32, flags: SchedulerFlags, flow: &Flow) -> Option<usize> {
    let len = 1_u64 << bits;
    let mut table = Vec::new();
    let (mut element, mut count) = (list.len().checked_sub(1)?, 0);
    while (table.len() as u64) < len {
        table.push(element);
        count += 1;
        if count >= list[element].weight {
            element = element.checked_sub(1).unwrap_or(list.len() - 1);
            count = 0;
        }
    }
    let port = if flags.port() {
        flow.client().port()
    } else {
        0
    };
    let value = (u64::from(fold(flow.client().ip())) + u64::from(port)) % (1 << 32);
    let h = ((value * 0x61C8_8647) % (1 << 32)) >> (32 - bits);
    let usable = |slot: u64| {
        let owner = table[slot as usize];
        (list[owner].weight > 0 && !list[owner].overloaded).then_some(owner)
    };
    usable(h).or_else(|| {
        let mut probes = (0..len).map(|k| (2 * h + k) % len);
        flags.fallback().then(|| probes.find_map(usable)).flatten()
    })
}

fn servers() -> impl Strategy<Value = Vec<Server>> {
    let weight = prop_oneof![2 => Just(0_u32), 6 => 1_u32..8, 1 => 0_u32..300, 1 => any::<u32>()];
    let server = (weight, prop::bool::weighted(0.3)).prop_map(|(weight, overloaded)| Server {
        overloaded,
        ..Server::new(weight)
    });
    prop::collection::vec(server, 0..9)
}

fn flags() -> impl Strategy<Value = SchedulerFlags> {
    let all = [
        NONE,
        NONE.with_port(),
        NONE.with_fallback(),
        NONE.with_fallback().with_port(),
    ];
    prop::sample::select(all.to_vec())
}

proptest! {
    /// Picks are the spec's, hence also never unusable; and with fallback somebody is picked if and
    /// only if the owner of some slot is usable.
    #[test]
    fn picks_equal_the_literal_rule(
        list in servers(),
        bits in 4_u8..=9,
        flags in flags(),
        clients in prop::collection::vec((any::<u32>(), any::<u16>()), 1..20),
    ) {
        let mut sh = bound(&list, bits, flags);
        let usable = |index: usize| list[index].weight > 0 && !list[index].overloaded;
        for (address, port) in clients {
            let flow = flow(&core::net::Ipv4Addr::from(address).to_string(), port);
            let picked = sh.pick(&list, &flow, &mut Context::new(Timestamp::ZERO));
            prop_assert_eq!(picked, literal_pick(&list, bits.into(), flags, &flow));
            prop_assert!(picked.is_none_or(usable));
            if flags.fallback() {
                prop_assert_eq!(picked.is_some(), sh.owners().flatten().any(usable));
            }
        }
    }

    /// The bounds that the documentation states.
    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(0_u32..40, 1..12), bits in 8_u8..12) {
        let list: Vec<_> = weights.iter().copied().map(Server::new).collect();
        let sh = bound(&list, bits, NONE);
        let rounds = (1 << bits) / weights.iter().map(|&weight| weight.max(1)).sum::<u32>();
        prop_assume!(rounds > 0);
        for (index, &weight) in weights.iter().enumerate() {
            let owned = u32::try_from(count(&sh, index)).unwrap();
            let weight = weight.max(1);
            prop_assert!((rounds * weight..=(rounds + 1) * weight).contains(&owned));
        }
    }
}
